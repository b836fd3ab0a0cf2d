// Failing system calls in tests: the versions of os/fault.h's functions that every test program, and awm-faults, are
// linked with.
//
// A program that is run whole gets its orders from its environment:
//   AWM_FAULT=RULE[,RULE…]    RULE is CALL@FILE[#LINE]:SKIP:TIMES:ERRNO. The calls of CALL ("fdatasync") made from a
//   source file whose path ends in
//                             FILE (at that line) fail with this errno, TIMES of them after the first SKIP. ERRNO -1:
//                             they move half of their bytes.
//   AWM_FAULT_HIT=FILE        a line is appended to FILE each time that a rule fires.
//   AWM_FAULT_CALLS=FILE      when the program ends, FILE is written: a line "COUNT CALL FILE#LINE" for each call site,
//                             and "COUNT crash_point POINT" for each of those.
//   AWM_CRASH=POINT:N         the Nth crash_point(POINT) kills the program as kill -9 does; POINT may be CALL@FILE: it
//                             dies instead of its Nth such call.
//   AWM_HOLD=POINT:FILE       each crash_point(POINT) makes FILE.reached and waits until FILE is gone.
#pragma once

#include <functional>
#include <string_view>

#include "os/fault.h"
#include "support/support.h"

namespace awm::fault {

// Fails the next `times` calls of system call `name` made from a file whose path ends in `file` ("" any; "file.cpp#12":
// that line alone) after letting `skip` pass, with this errno; fault::short_count: they move half of their bytes.
void inject(std::string_view name, std::string_view file, int skip, int times, int os_errno);
void clear();
// How many calls of `name` from `file` passed the gate since clear(): for "fail the Nth, for every N".
[[nodiscard]] int count(std::string_view name, std::string_view file);

}  // namespace awm::fault

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
