// How a process ended, as a value and not as an int that means three things.
#pragma once

#include <compare>
#include <string>

namespace awm {

class ExitStatus {
 public:
  enum class Kind { exited, signalled, timed_out, went_quiet, out_of_memory, lost };

  static constexpr ExitStatus exited(int code) { return {Kind::exited, code}; }
  static constexpr ExitStatus signalled(int signal) { return {Kind::signalled, signal}; }
  static constexpr ExitStatus timed_out() { return {Kind::timed_out, 0}; }    // its deadline passed; killed by us
  static constexpr ExitStatus went_quiet() { return {Kind::went_quiet, 0}; }  // no output for too long; killed by us
  static constexpr ExitStatus out_of_memory() {
    return {Kind::out_of_memory, 9};
  }  // killed by the kernel, its counter says so
  static constexpr ExitStatus lost() { return {Kind::lost, 0}; }  // ended with its sandbox; nobody knows how

  // From waitpid()'s status word.
  static ExitStatus from_wait(int wait_status);

  constexpr ExitStatus() = default;
  [[nodiscard]] constexpr Kind kind() const { return kind_; }
  // Exit code or signal number; meaningful for exited and signalled.
  [[nodiscard]] constexpr int value() const { return value_; }
  [[nodiscard]] constexpr bool ok() const { return kind_ == Kind::exited && value_ == 0; }
  // The number a shell would show in $?: the code, 128 + signal, 124 after a time-out, 137 for out of memory, -1 when
  // lost.
  [[nodiscard]] int shell_code() const;
  // "exited 3", "killed by signal 9", "timed out", …
  [[nodiscard]] std::string text() const;

  friend constexpr auto operator<=>(const ExitStatus&, const ExitStatus&) = default;

 private:
  constexpr ExitStatus(Kind kind, int value) : kind_(kind), value_(value) {}
  Kind kind_ = Kind::lost;
  int value_ = 0;
};

}  // namespace awm
