// The process-wide stop: asked for once, finish what is live; asked for twice, end every wait now.
#pragma once

#include <atomic>
#include <memory>

#include "base/deadline.h"
#include "base/result.h"
#include "os/unique_fd.h"

namespace awm {

enum class StopLevel { none, drain, cancel };

// Made once by main (tests make their own). Thread-safe. Two descriptors.
class Stop {
 public:
  static Result<std::unique_ptr<Stop>> create(const Scope& scope);

  // Raises the level, never lowers it. Async-signal-safe.
  void request(StopLevel level) noexcept;
  [[nodiscard]] StopLevel level() const { return level_.load(std::memory_order_acquire); }
  [[nodiscard]] bool draining() const { return level() != StopLevel::none; }
  [[nodiscard]] bool cancelled() const { return level() == StopLevel::cancel; }

  // Readable once the level is cancel (or at least drain): for poll sets. Borrowed; never read from it.
  [[nodiscard]] int cancel_fd() const { return cancel_.get(); }
  [[nodiscard]] int drain_fd() const { return drain_.get(); }

  // Sleeps until the deadline, or until the stop is cancel (returns Errc::stopped).
  Result<void> sleep_until(Deadline deadline) const;

 private:
  Stop(UniqueFd drain, UniqueFd cancel) : drain_(std::move(drain)), cancel_(std::move(cancel)) {}
  std::atomic<StopLevel> level_{StopLevel::none};
  UniqueFd drain_;
  UniqueFd cancel_;
};

// The error that a wait returns when the stop ended it.
Error stopped_error(std::string operation, std::string object);

}  // namespace awm
