// How long to wait before a call is made again.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/deadline.h"
#include "llm/failure.h"

namespace awm {

struct RetryPolicy {
  int tries = 5;  // in all, at least 1
  Seconds min_wait{8};
  Seconds max_wait{64};
  double multiplier = 8;  // seconds
};

// The wait after `tries` failed ones (from 1): multiplier · 2^(tries − 1), within min and max, lengthened by up to a
// quarter of itself with `jitter` in [0, 1); never shorter than what the server asks for, which counts up to the larger
// of max_wait and 5 minutes.
Seconds wait_before_retry(const RetryPolicy& policy, int tries, std::optional<Seconds> retry_after, double jitter);

// What the server asks for: retry-after-ms, Retry-After in seconds or as a date (RFC 9110 §10.2.3; `now` is when it
// came, for clocks that differ the Date header is used), x-ratelimit-reset-after; else its words ("try again in
// 3.89s", "retryDelay": "17s"). Nullopt: nothing, or nonsense.
std::optional<Seconds> retry_after_of(const HeaderList& headers, std::string_view words);

// "Wed, 21 Oct 2026 07:28:00 GMT" → seconds since 1970; nullopt for anything else.
std::optional<int64_t> parse_http_date(std::string_view text);

// "17s", "6ms", "1m30.5s", "2 minutes", "3.89" → seconds; nullopt for anything else.
std::optional<Seconds> parse_span(std::string_view text);

}  // namespace awm
