#include "run/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace awm {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RunOptions, KeepNoPasswordOfABaseUrl) {
  RunOptions options;
  options.base_url = "https://me:s3cret@models.example/v1?a=b@c";
  const Json kept = to_json(options);
  EXPECT_EQ(string_or(kept, "base-url", ""), "https://***@models.example/v1?a=b@c");
  EXPECT_THAT(dump_json(kept), Not(HasSubstr("s3cret")));

  RunOptions later;
  later.resume_from = "runs/1";
  const auto without = resume_options(kept, later, {});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().message(),
            "resume runs/1: the run's --base-url had a password, and a journal keeps none (give --base-url again)");
  later.base_url = options.base_url;
  const auto with = resume_options(kept, later, {"base-url"});
  ASSERT_TRUE(with) << with.error().message();
  EXPECT_EQ(with->base_url, options.base_url);
}

TEST(RunOptions, KeepABaseUrlWithoutOneAsItIs) {
  for (const auto* url : {"", "http://127.0.0.1:8000/v1", "http://h/v1?user=a@b", "h:80/a@b", "http://h/a@b"}) {
    RunOptions options;
    options.base_url = url;
    EXPECT_EQ(string_or(to_json(options), "base-url", "?"), url);
  }
}

TEST(RunOptions, ARunWithoutANameIsNamedByTheClock) {
  const auto id = run_id_of_now();
  EXPECT_THAT(id, testing::MatchesRegex("[0-9]{8}-[0-9]{6}"));
}

}  // namespace
}  // namespace awm
