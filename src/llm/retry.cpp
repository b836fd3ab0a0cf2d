#include "llm/retry.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include "base/text.h"

namespace awm {
namespace {

constexpr double longest_asked = 300;  // seconds

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<double> take_number(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() &&
         (is_digit(text[end]) || (text[end] == '.' && end + 1 < text.size() && is_digit(text[end + 1])))) {
    ++end;
  }
  double value = 0;
  const auto digits = text.substr(0, end);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end == 0 || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  text.remove_prefix(end);
  return value;
}

std::optional<int> number_at(std::string_view text, std::size_t at, std::size_t digits) {
  if (at + digits > text.size()) return std::nullopt;
  int value = 0;
  const auto parsed = std::from_chars(text.data() + at, text.data() + at + digits, value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + at + digits) return std::nullopt;
  return value;
}

std::string_view header(const HeaderList& headers, std::string_view name) {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return {};
}

std::optional<Seconds> sane(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return std::nullopt;
  return Seconds(seconds);
}

}  // namespace

std::optional<Seconds> parse_span(std::string_view text) {
  text = trim(text);
  double seconds = 0;
  bool any = false;
  while (!text.empty()) {
    const auto value = take_number(text);
    if (!value) return std::nullopt;
    while (text.starts_with(' ')) text.remove_prefix(1);
    std::size_t letters = 0;
    while (letters < text.size() && ((text[letters] | 0x20) >= 'a' && (text[letters] | 0x20) <= 'z')) ++letters;
    const std::string unit = to_lower_ascii(text.substr(0, letters));
    text.remove_prefix(letters);
    while (text.starts_with(' ')) text.remove_prefix(1);
    double scale = 0;
    if (unit == "ms" || unit == "milliseconds" || unit == "millisecond") {
      scale = 0.001;
    } else if (unit.empty() || unit == "s" || unit == "sec" || unit == "secs" || unit == "second" ||
               unit == "seconds") {
      scale = 1;
    } else if (unit == "m" || unit == "min" || unit == "mins" || unit == "minute" || unit == "minutes") {
      scale = 60;
    } else if (unit == "h" || unit == "hr" || unit == "hour" || unit == "hours") {
      scale = 3600;
    } else if (unit == "d" || unit == "day" || unit == "days") {
      scale = 86400;
    } else {
      return std::nullopt;
    }
    // A number without a unit stands alone.
    if (unit.empty() && (any || !text.empty())) return std::nullopt;
    seconds += *value * scale;
    any = true;
  }
  if (!any) return std::nullopt;
  return sane(seconds);
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  text = trim(text);
  // "Wed, 21 Oct 2026 07:28:00 GMT": the one form that servers may send.
  if (text.size() != 29 || text.substr(3, 2) != ", " || !text.ends_with(" GMT") || text[19] != ':' || text[22] != ':') {
    return std::nullopt;
  }
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto month = std::ranges::find(months, text.substr(8, 3));
  const auto day = number_at(text, 5, 2);
  const auto year = number_at(text, 12, 4);
  const auto hour = number_at(text, 17, 2);
  const auto minute = number_at(text, 20, 2);
  const auto second = number_at(text, 23, 2);
  if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const std::chrono::seconds since_epoch = std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) +
                                           std::chrono::minutes(*minute) + std::chrono::seconds(*second);
  return since_epoch.count();
}

std::optional<Seconds> retry_after_of(const HeaderList& headers, std::string_view words) {
  if (const auto text = header(headers, "retry-after-ms"); !text.empty()) {
    if (const auto span = parse_span(text)) return Seconds(span->count() / 1000);
  }
  if (const auto text = header(headers, "retry-after"); !text.empty()) {
    if (const auto span = parse_span(text)) return span;
    if (const auto when = parse_http_date(text)) {
      auto now = parse_http_date(header(headers, "date"));
      if (!now) {
        now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                  .count();
      }
      return Seconds(static_cast<double>(std::max<int64_t>(0, *when - *now)));
    }
  }
  if (const auto text = header(headers, "x-ratelimit-reset-after"); !text.empty()) {
    if (const auto span = parse_span(text)) return span;
  }
  const std::string lower = to_lower_ascii(words);
  for (const std::string_view marker :
       {"try again in ", "retry in ", "retry after ", "retry_after\":", "retrydelay\":", "retry_after_seconds\":"}) {
    const auto at = lower.find(marker);
    if (at == std::string::npos) continue;
    std::string_view rest = std::string_view(lower).substr(at + marker.size());
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '"' || rest.front() == '~')) rest.remove_prefix(1);
    // The longest beginning that is a span: numbers, units, and no full stop that ends the sentence.
    std::size_t end = 0;
    std::optional<Seconds> best;
    while (end < rest.size() &&
           (is_digit(rest[end]) || rest[end] == '.' || rest[end] == ' ' || (rest[end] >= 'a' && rest[end] <= 'z'))) {
      ++end;
      const bool whole =
          end == rest.size() || !(is_digit(rest[end]) || (rest[end] >= 'a' && rest[end] <= 'z') ||
                                  (rest[end] == '.' && end + 1 < rest.size() && is_digit(rest[end + 1])));
      if (!whole) continue;
      if (const auto span = parse_span(rest.substr(0, end))) best = span;
    }
    if (best) return best;
  }
  return std::nullopt;
}

Seconds wait_before_retry(const RetryPolicy& policy, int tries, std::optional<Seconds> retry_after, double jitter) {
  const double grown = policy.multiplier * std::exp2(std::clamp(tries - 1, 0, 30));
  const double highest = std::max(policy.max_wait.count(), policy.min_wait.count());
  double wait = std::clamp(grown, policy.min_wait.count(), highest);
  wait += wait * 0.25 * std::clamp(jitter, 0.0, 1.0);
  if (retry_after) {
    wait = std::max(wait, std::min(retry_after->count(), std::max(policy.max_wait.count(), longest_asked)));
  }
  return Seconds(wait);
}

}  // namespace awm
