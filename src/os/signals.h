// SIGINT, SIGTERM, SIGHUP turned into the process-wide stop. SIGPIPE is ignored.
#pragma once

#include "base/result.h"
#include "os/stop.h"

namespace awm {

// Owns the handlers from construction to destruction (then the former ones are back). One at a time. SIGINT: drain, the
// second cancels. SIGTERM: cancel at once, as who sends it (a cluster, systemd) kills soon after. SIGHUP: drain.
class SignalHandlers {
 public:
  static Result<std::unique_ptr<SignalHandlers>> install(Stop& stop);
  ~SignalHandlers();
  // The first signal that came; 0 when none did.
  [[nodiscard]] static int received();

 private:
  SignalHandlers() = default;
};

}  // namespace awm
