#include "os/stop.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "os/sys.h"

namespace awm {

Result<std::unique_ptr<Stop>> Stop::create(const Scope& scope) {
  AWM_TRY(auto drain, sys::event_fd(scope, "stop: drain"));
  AWM_TRY(auto cancel, sys::event_fd(scope, "stop: cancel"));
  return std::unique_ptr<Stop>(new Stop(std::move(drain), std::move(cancel)));
}

void Stop::request(StopLevel level) noexcept {
  const int saved = errno;
  StopLevel now = level_.load(std::memory_order_acquire);
  while (now < level && !level_.compare_exchange_weak(now, level, std::memory_order_acq_rel)) {
  }
  const uint64_t one = 1;
  if (level >= StopLevel::drain) (void)!::write(drain_.get(), &one, sizeof one);
  if (level == StopLevel::cancel) (void)!::write(cancel_.get(), &one, sizeof one);
  errno = saved;
}

Result<void> Stop::sleep_until(Deadline deadline) const {
  std::array<sys::PollFd, 1> set{sys::PollFd{.fd = cancel_.get(), .want_read = true}};
  AWM_TRY(const int ready, sys::poll(set, deadline));
  if (ready > 0) return std::unexpected(stopped_error("wait", ""));
  return {};
}

Error stopped_error(std::string operation, std::string object) {
  return Error{.code = Errc::stopped,
               .operation = std::move(operation),
               .object = std::move(object),
               .cause = "the run was stopped"};
}

}  // namespace awm
