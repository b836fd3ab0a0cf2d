// A point in time by which a wait ends. Every wait has one.
#pragma once

#include <chrono>
#include <compare>
#include <string>

namespace awm {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;  // as people write them: 0.5, 1800

class Deadline {
 public:
  // Never passes. For waits that the process-wide stop ends.
  static constexpr Deadline never() { return Deadline(Clock::time_point::max()); }
  // `span` from now; a span beyond some 100 years is never.
  static Deadline in(Clock::duration span);
  static Deadline in(Seconds span);
  template <class Rep, class Period>
  static Deadline in(std::chrono::duration<Rep, Period> span) {
    return in(Seconds(span));
  }
  static constexpr Deadline at(Clock::time_point when) { return Deadline(when); }

  constexpr Deadline() = default;  // never
  [[nodiscard]] bool passed() const { return when_ != Clock::time_point::max() && Clock::now() >= when_; }
  [[nodiscard]] constexpr bool is_never() const { return when_ == Clock::time_point::max(); }
  [[nodiscard]] constexpr Clock::time_point when() const { return when_; }
  // Time left, never negative; Clock::duration::max() when there is no end.
  [[nodiscard]] Clock::duration left() const;
  // Time left for poll(2): rounded up, 0 when passed, -1 when there is no end, capped at a day.
  [[nodiscard]] int poll_ms() const;

  friend constexpr auto operator<=>(const Deadline&, const Deadline&) = default;

 private:
  constexpr explicit Deadline(Clock::time_point when) : when_(when) {}
  Clock::time_point when_ = Clock::time_point::max();
};

// The nearer of two.
constexpr Deadline sooner(Deadline a, Deadline b) {
  return a < b ? a : b;
}

// Wall-clock time as OpenHands and Python's datetime.isoformat() write it, in UTC: "2026-01-31T12:34:56.789012".
std::string iso_time(std::chrono::system_clock::time_point when = std::chrono::system_clock::now());

}  // namespace awm
