// The helper's second mode, `awm-helper launch …`: prepares namespaces and mounts, then becomes bubblewrap.
#pragma once

// argv as main() got it: argv[1] is "launch". Returns only when it failed, with the process's exit code (message on
// stderr).
int launch_main(int argc, char** argv);
