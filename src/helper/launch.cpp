#include "launch.h"

#include <cstdio>

int launch_main(int, char**) {
  std::fputs("awm-helper: launch: this build cannot start a local sandbox\n", stderr);
  return 2;
}
