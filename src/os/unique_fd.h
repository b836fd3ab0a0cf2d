// A descriptor with an owner: on the ledger from birth to close.
#pragma once

#include <source_location>

#include "base/ledger.h"

namespace awm {

// Owns one descriptor. Explicit in, explicit out (get() borrows); closed once, by reset(), close or the destructor. In
// debug builds, closing a number that the ledger does not know as ours aborts. Not thread-safe; the descriptor itself
// may be used from several threads.
class UniqueFd {
 public:
  UniqueFd() = default;
  UniqueFd(int fd, const Scope& scope, std::string_view name,
           std::source_location birth = std::source_location::current());
  UniqueFd(UniqueFd&& other) noexcept;
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }  // -1 when empty
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  // Closes; errors of close(2) are not failures of the caller's (POSIX leaves the descriptor closed on Linux).
  void reset() noexcept;
  void rescope(const Scope& scope) { token_.rescope(scope); }

 private:
  int fd_ = -1;
  Ledger::Token token_;
};

}  // namespace awm
