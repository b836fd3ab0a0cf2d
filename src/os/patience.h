// Waiting out what others hold up for a moment.
#pragma once

#include <chrono>

#include "base/deadline.h"
#include "base/result.h"
#include "os/sys.h"

namespace awm {

// What `attempt()` gives, a Result: tried again up to four times, one second in all, while it fails for want of
// something (descriptors, memory, disk) or by an input or output error. For what is written and read on the way and
// must not be missing for so little. Blocks the calling thread.
template <class Attempt>
auto patiently(const Attempt& attempt) -> decltype(attempt()) {
  auto done = attempt();
  for (int tries = 1; !done && tries < 5; ++tries) {
    if (done.error().code != Errc::exhausted && done.error().code != Errc::io) break;
    (void)sys::poll({}, Deadline::in(std::chrono::milliseconds(100 * tries)));
    done = attempt();
  }
  return done;
}

}  // namespace awm
