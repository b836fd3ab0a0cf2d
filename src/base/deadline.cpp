#include "base/deadline.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace awm {

Deadline Deadline::in(Clock::duration span) {
  const auto now = Clock::now();
  if (span >= Clock::time_point::max() - now) return never();
  return Deadline(now + span);
}

Deadline Deadline::in(Seconds span) {
  constexpr double century = 100.0 * 365 * 24 * 3600;
  if (!(span.count() < century)) return never();
  if (span.count() <= 0) return at(Clock::now());
  return in(std::chrono::duration_cast<Clock::duration>(span));
}

Clock::duration Deadline::left() const {
  if (is_never()) return Clock::duration::max();
  return std::max(when_ - Clock::now(), Clock::duration::zero());
}

int Deadline::poll_ms() const {
  if (is_never()) return -1;
  const auto ms = std::chrono::ceil<Milliseconds>(left()).count();
  return static_cast<int>(std::min<Milliseconds::rep>(ms, 24L * 3600 * 1000));
}

std::string iso_time(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  const auto micros = floor<microseconds>(when.time_since_epoch()).count();
  const auto fraction = ((micros % 1'000'000) + 1'000'000) % 1'000'000;
  const auto seconds = static_cast<std::time_t>((micros - fraction) / 1'000'000);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
}

}  // namespace awm
