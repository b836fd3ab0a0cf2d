#include "llm/retry.h"

#include <gtest/gtest.h>

namespace awm {
namespace {

TEST(RetryWait, DoublesBetweenItsBounds) {
  const RetryPolicy policy;  // OpenHands' defaults: 8, 64, 8
  const auto wait = [&](int tries) { return wait_before_retry(policy, tries, std::nullopt, 0).count(); };
  EXPECT_EQ(wait(1), 8);
  EXPECT_EQ(wait(2), 16);
  EXPECT_EQ(wait(3), 32);
  EXPECT_EQ(wait(4), 64);
  EXPECT_EQ(wait(5), 64);
  EXPECT_EQ(wait(1000), 64);
}

TEST(RetryWait, IsLengthenedByUpToAQuarter) {
  const RetryPolicy policy;
  EXPECT_EQ(wait_before_retry(policy, 1, std::nullopt, 0.5).count(), 9);
  EXPECT_LE(wait_before_retry(policy, 4, std::nullopt, 0.999).count(), 80);
}

TEST(RetryWait, NeverUnderWhatTheServerAsksFor) {
  const RetryPolicy policy;
  EXPECT_EQ(wait_before_retry(policy, 1, Seconds(30), 0).count(), 30);
  EXPECT_EQ(wait_before_retry(policy, 1, Seconds(3), 0).count(), 8);
  // A day would be the run's end: five minutes are waited, or what the configuration allows.
  EXPECT_EQ(wait_before_retry(policy, 1, Seconds(86400), 0).count(), 300);
  EXPECT_EQ(wait_before_retry({.max_wait = Seconds(1000)}, 1, Seconds(86400), 0).count(), 1000);
}

TEST(RetryWait, CanBeNothing) {
  const RetryPolicy none{.tries = 3, .min_wait = Seconds(0), .max_wait = Seconds(0), .multiplier = 0};
  EXPECT_EQ(wait_before_retry(none, 2, std::nullopt, 0.9).count(), 0);
  EXPECT_EQ(wait_before_retry(none, 2, Seconds(0), 0.9).count(), 0);
}

TEST(RetryAfter, IsReadFromHeaders) {
  const auto of = [](const HeaderList& headers) {
    const auto wait = retry_after_of(headers, "");
    return wait ? wait->count() : -1.0;
  };
  EXPECT_EQ(of({}), -1);
  EXPECT_EQ(of({{"retry-after", "20"}}), 20);
  EXPECT_EQ(of({{"retry-after", " 1.5 "}}), 1.5);
  EXPECT_EQ(of({{"retry-after", "0"}}), 0);
  EXPECT_EQ(of({{"retry-after", "20"}, {"retry-after-ms", "250"}}), 0.25);
  EXPECT_EQ(of({{"retry-after", "soon"}}), -1);
  EXPECT_EQ(of({{"retry-after", "-5"}}), -1);
  EXPECT_EQ(of({{"retry-after", ""}}), -1);
  EXPECT_EQ(of({{"date", "Wed, 21 Oct 2026 07:28:00 GMT"}, {"retry-after", "Wed, 21 Oct 2026 07:28:30 GMT"}}), 30);
  EXPECT_EQ(of({{"date", "Wed, 21 Oct 2026 07:28:00 GMT"}, {"retry-after", "Wed, 21 Oct 2026 07:27:30 GMT"}}), 0);
  EXPECT_EQ(of({{"x-ratelimit-reset-after", "12"}}), 12);
}

TEST(RetryAfter, IsReadFromWords) {
  const auto of = [](std::string_view words) {
    const auto wait = retry_after_of({}, words);
    return wait ? wait->count() : -1.0;
  };
  EXPECT_DOUBLE_EQ(of("Please try again in 174ms. Visit https://x"), 0.174);
  EXPECT_DOUBLE_EQ(of("Please try again in 26.604s. Visit"), 26.604);
  EXPECT_DOUBLE_EQ(of("Please try again in 1m30.5s."), 90.5);
  EXPECT_DOUBLE_EQ(of("Please retry after 26 seconds."), 26);
  EXPECT_DOUBLE_EQ(of("try again in 2 minutes"), 120);
  EXPECT_DOUBLE_EQ(of(R"({"retryDelay":"17s"})"), 17);
  EXPECT_DOUBLE_EQ(of(R"({"retryDelay": "17.25s"})"), 17.25);
  EXPECT_EQ(of("try again in a moment"), -1);
  EXPECT_EQ(of("please try again"), -1);
  EXPECT_EQ(of(""), -1);
}

TEST(RetryAfter, SpansAreReadStrictly) {
  EXPECT_EQ(parse_span("1h2m3s")->count(), 3723);
  EXPECT_EQ(parse_span("1 day")->count(), 86400);
  EXPECT_EQ(parse_span("5")->count(), 5);
  for (const auto* text : {"", "s", "5x", "5 6", "-1", "1s 5", "1e9", "nan"}) EXPECT_FALSE(parse_span(text)) << text;
}

TEST(RetryAfter, DatesAreReadStrictly) {
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  EXPECT_EQ(parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT"), 1445412480);
  for (const auto* text : {"", "Wed, 21 Oct 2015 07:28:00", "Wed, 31 Feb 2015 07:28:00 GMT",
                           "Wed, 21 Xxx 2015 07:28:00 GMT", "2015-10-21T07:28:00Z"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

}  // namespace
}  // namespace awm
