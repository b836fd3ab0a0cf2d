#include <cstdio>
#include <cstring>

#include "launch.h"
#include "lent.h"
#include "serve.h"
#include "wire.h"

int main(int argc, char** argv) {
  if (argc > 0) {
    if (const char* name = lent_name(argv[0])) return run_lent(name, argc, argv);
  }
  const char* mode = argc > 1 ? argv[1] : "";
  if (std::strcmp(mode, "serve") == 0) return serve_main(argc, argv);
  if (std::strcmp(mode, "launch") == 0) return launch_main(argc, argv);
  if (std::strcmp(mode, "--version") == 0) {
    std::printf("awm-helper, protocol %u\n", awm::wire::kVersion);
    return 0;
  }
  std::fputs(
      "usage: awm-helper serve [options]   serve commands to the client on standard input and output\n"
      "       awm-helper launch ...        prepare namespaces and mounts, then run bubblewrap\n"
      "       awm-helper --version\n",
      stderr);
  return 2;
}
