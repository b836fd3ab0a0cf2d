// A thread with an owner: named, on the ledger, joined. There are no detached threads.
#pragma once

#include <functional>
#include <memory>
#include <source_location>

#include "base/ledger.h"
#include "base/result.h"

namespace awm {

class Thread {
 public:
  // Starts `body`, all signals blocked in it. Errors: exhausted. An exception that leaves body ends the program: it is
  // a bug.
  static Result<Thread> start(const Scope& scope, std::string_view name, std::function<void()> body,
                              std::source_location birth = std::source_location::current());
  Thread();
  Thread(Thread&&) noexcept;
  Thread& operator=(Thread&&) noexcept;  // joins what it held
  ~Thread();                             // joins

  // Waits for its end; once, later calls do nothing. Not from itself.
  void join();
  [[nodiscard]] bool joinable() const { return state_ != nullptr; }
  [[nodiscard]] bool is_current() const;

 private:
  struct State;
  explicit Thread(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace awm
