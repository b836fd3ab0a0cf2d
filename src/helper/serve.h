// The helper's main mode: serves one client on standard input and output.
#pragma once

// argv as main() got it; options from argv[2] on. Returns the process's exit code: 0 after the stream's end, 2 for bad
// usage, 1 for a start that failed (told by a fatal frame too), 3 for a client that broke the protocol.
int serve_main(int argc, char** argv);
