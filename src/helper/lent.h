// A program of the host's lent to an image that lacks it: `PATH/bin/NAME`, a link to this helper, runs PATH/lent/NAME
// with the loader and the libraries that came along, so that the image's own C library does not matter.
#pragma once

// The name that a lent program was called by ("git"), or null when argv0 is the helper's own.
const char* lent_name(const char* argv0);
// Becomes the lent program. Returns only when it cannot, with the exit code 127 (message on stderr).
int run_lent(const char* name, int argc, char** argv);
