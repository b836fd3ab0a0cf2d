#include "base/deadline.h"

#include <limits>

#include "support/support.h"

namespace awm {
namespace {

using namespace std::chrono_literals;

TEST(DeadlineTest, NeverIsNeverReached) {
  EXPECT_FALSE(Deadline::never().passed());
  EXPECT_TRUE(Deadline().is_never());
  EXPECT_EQ(Deadline::never().poll_ms(), -1);
  EXPECT_EQ(Deadline::never().left(), Clock::duration::max());
}

TEST(DeadlineTest, SpansBeyondAllMeasureAreNever) {
  EXPECT_TRUE(Deadline::in(Clock::duration::max()).is_never());
  EXPECT_TRUE(Deadline::in(Seconds(1e18)).is_never());
  EXPECT_TRUE(Deadline::in(Seconds(std::numeric_limits<double>::infinity())).is_never());
  EXPECT_FALSE(Deadline::in(std::chrono::hours(24 * 365)).is_never());
}

TEST(DeadlineTest, ThePastHasPassed) {
  for (const double seconds : {0.0, -1.0, -1e300, -std::numeric_limits<double>::infinity()}) {
    const auto deadline = Deadline::in(Seconds(seconds));
    EXPECT_TRUE(deadline.passed()) << seconds;
    EXPECT_EQ(deadline.poll_ms(), 0) << seconds;
    EXPECT_EQ(deadline.left(), Clock::duration::zero()) << seconds;
  }
}

TEST(DeadlineTest, APollWaitsNoShorterThanTheDeadline) {
  // Rounded up: a poll that ends a fraction early would spin.
  EXPECT_GT(Deadline::in(100us).poll_ms(), 0);
  EXPECT_EQ(Deadline::in(std::chrono::hours(24 * 30)).poll_ms(), 24 * 3600 * 1000);
}

TEST(DeadlineTest, TheSoonerOfTwo) {
  const auto now = Clock::now();
  EXPECT_EQ(sooner(Deadline::at(now), Deadline::at(now + 1s)), Deadline::at(now));
  EXPECT_EQ(sooner(Deadline::never(), Deadline::at(now)), Deadline::at(now));
  EXPECT_LT(Deadline::at(now), Deadline::never());
}

TEST(DeadlineTest, IsoTimeIsPythons) {
  using std::chrono::system_clock;
  EXPECT_EQ(iso_time(system_clock::time_point(0s)), "1970-01-01T00:00:00.000000");
  // datetime(2024, 2, 29, 23, 59, 59, 7, tzinfo=timezone.utc).timestamp()
  EXPECT_EQ(iso_time(system_clock::time_point(1709251199s + 7us)), "2024-02-29T23:59:59.000007");
  EXPECT_EQ(iso_time(system_clock::time_point(-1us)), "1969-12-31T23:59:59.999999");
}

}  // namespace
}  // namespace awm
