// Failing system calls in tests. Works where built with AWM_FAULTS; elsewhere tests skip by REQUIRE_FAULTS().
#pragma once

#include <functional>
#include <string_view>

#include "os/sys.h"
#include "support/support.h"

#define REQUIRE_FAULTS()                                                                              \
  do {                                                                                                \
    if (!::awm::fault::enabled()) GTEST_SKIP() << "this build injects no faults (AWM_FAULTS is off)"; \
  } while (false)

namespace awm::testing {

// Forgets all injected faults at the end of a scope.
class FaultScope {
 public:
  FaultScope() { fault::clear(); }
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;
  ~FaultScope() { fault::clear(); }
};

// Runs `body` once undisturbed, to count the calls of `name` made from files ending in `file`, then once for each of
// them with that call failing; `body` gets the number of the failing call (from 0), or -1. Returns how many calls were
// failed.
inline int fail_each_call(std::string_view name, std::string_view file, int os_errno,
                          const std::function<void(int)>& body) {
  const FaultScope scope;
  body(-1);
  const int calls = fault::count(name, file);
  for (int n = 0; n < calls; ++n) {
    fault::clear();
    fault::inject(name, file, n, 1, os_errno);
    body(n);
  }
  return calls;
}

}  // namespace awm::testing
