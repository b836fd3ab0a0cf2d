// Ends one owner's waits from another thread, where a Stop ends everybody's. Costs no descriptor: who waits enlists
// what breaks its wait (a socket's shutdown, a child's end).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "base/error.h"

namespace awm {

// Thread-safe. Outlives its guards.
class Cancel {
 public:
  Cancel() = default;
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;
  ~Cancel() = default;

  // Asks for it, once and for good: runs what is enlisted now, on the caller's thread, and what is enlisted later at
  // once.
  void request() noexcept;
  [[nodiscard]] bool requested() const;

  // Takes its action off the list; when it is gone, the action does not run and is not running.
  class Guard {
   public:
    Guard() = default;
    Guard(Guard&& other) noexcept;
    Guard& operator=(Guard&& other) noexcept;
    ~Guard() { reset(); }
    void reset() noexcept;

   private:
    friend class Cancel;
    Guard(Cancel* cancel, uint64_t id) : cancel_(cancel), id_(id) {}
    Cancel* cancel_ = nullptr;
    uint64_t id_ = 0;
  };
  // The action is short, throws nothing and calls nothing of this object.
  [[nodiscard]] Guard enlist(std::function<void()> action);

 private:
  mutable std::mutex mutex_;  // held while actions run
  bool requested_ = false;
  uint64_t next_ = 1;
  std::map<uint64_t, std::function<void()>> actions_;
};

// The error that a wait returns when its owner's cancel ended it: Errc::closed.
Error cancelled_error(std::string operation, std::string object);

}  // namespace awm
