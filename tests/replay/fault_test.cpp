#include "replay/fault.h"

#include <gmock/gmock.h>

#include "base/json.h"

namespace awm {
namespace {

using ::testing::HasSubstr;

TEST(Fault, IsReadFromAnOption) {
  const auto fault = parse_fault("step=3, kind=429, times=2, retry_after=1.5, conversation=django");
  ASSERT_TRUE(fault) << fault.error().message();
  EXPECT_EQ(fault->kind, FaultKind::status);
  EXPECT_EQ(fault->status, 429);
  EXPECT_EQ(fault->step, 3);
  EXPECT_EQ(fault->times, 2);
  EXPECT_EQ(fault->retry_after, 1.5);
  EXPECT_EQ(fault->conversation, "django");
  EXPECT_EQ(describe(*fault), "429 at step 3, 2 times, in django");
}

TEST(Fault, HasDefaultsAndWildcards) {
  const auto once = parse_fault("kind=drip");
  ASSERT_TRUE(once);
  EXPECT_EQ(once->step, 0);
  EXPECT_EQ(once->times, 1);
  const auto always = parse_fault("kind=hangup,step=*,times=forever");
  ASSERT_TRUE(always);
  EXPECT_EQ(always->kind, FaultKind::hang_up);
  EXPECT_EQ(always->times, -1);
}

TEST(Fault, SaysWhatIsWrong) {
  EXPECT_THAT(parse_fault("step=3").error().message(), HasSubstr("no kind"));
  EXPECT_THAT(parse_fault("kind=banana").error().message(), HasSubstr("disconnect"));
  EXPECT_THAT(parse_fault("kind=200").error().message(), HasSubstr("400 to 599"));
  EXPECT_THAT(parse_fault("kind=429,stp=3").error().message(), HasSubstr("did you mean 'step'?"));
  EXPECT_THAT(parse_fault("kind=429,times=0").error().message(), HasSubstr("times is '0'"));
  EXPECT_THAT(parse_fault("kind=429,retry_after=-1").error().message(), HasSubstr("retry_after is '-1'"));
  EXPECT_THAT(parse_fault("429").error().message(), HasSubstr("not key=value"));
}

TEST(Fault, IsReadFromAScript) {
  const auto json = parse_json(R"({"kind": 503, "times": "forever", "retry_after": 0.25})", "test");
  const auto fault = parse_fault(*json, "x.json, step 1");
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->status, 503);
  EXPECT_EQ(fault->times, -1);
  EXPECT_EQ(fault->retry_after, 0.25);
  EXPECT_THAT(parse_fault(*parse_json(R"({"kind": []})", "t"), "x.json, step 1").error().message(),
              HasSubstr("x.json, step 1"));
}

}  // namespace
}  // namespace awm
