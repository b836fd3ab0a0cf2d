// What the helper with faults (awm-helper-faults) and a test share: a file that both map.
//
// The program is awm-helper from the same sources, linked so that its system calls pass a gate first
// (helper_faults.cpp). Where a file "<its own path>.faults" lies beside it, it follows the order in it and counts in
// it, in the launcher of a sandbox, in the sandbox, and in whatever it forks there. Without the file it is awm-helper.
#pragma once

#include <atomic>
#include <cstdint>

namespace awm::testing {

struct HelperSite {
  std::atomic<uint64_t> place;  // 0: free; else the address in the program after the call
  char call[24];
  std::atomic<uint32_t> calls;
};

struct HelperFaults {
  static constexpr uint64_t magic_number = 0x61776d2d66617574;
  static constexpr int half = -1;  // of `error`: the call moves half of its bytes

  uint64_t magic = magic_number;
  // The order: after `skip` calls from `place` one fails with the errno `error`.
  uint64_t place = 0;
  uint32_t skip = 0;
  int32_t error = 0;
  std::atomic<uint32_t> hits = 0;
  HelperSite sites[1024] = {};
};

}  // namespace awm::testing
