#include "logparse/status_map.h"

#include <gtest/gtest.h>

#include <string>

namespace awm {
namespace {

TEST(StatusMap, KeepsTheOrderOfFirstAppearanceAndTheLastStatus) {
  StatusMap statuses;
  statuses.set("b", "PASSED");
  statuses.set("a", "FAILED");
  statuses.set("b", "ERROR");
  ASSERT_EQ(statuses.size(), 2U);
  EXPECT_EQ(statuses.entries()[0], (StatusMap::Entry{"b", "ERROR"}));
  EXPECT_EQ(statuses.entries()[1], (StatusMap::Entry{"a", "FAILED"}));
}

TEST(StatusMap, FindsAmongMany) {
  StatusMap statuses;
  EXPECT_EQ(statuses.find("test 0"), nullptr);
  for (int i = 0; i < 10'000; ++i) statuses.set("test " + std::to_string(i), i % 2 == 0 ? "PASSED" : "FAILED");
  for (int i = 0; i < 10'000; ++i) {
    const std::string* status = statuses.find("test " + std::to_string(i));
    ASSERT_NE(status, nullptr) << i;
    ASSERT_EQ(*status, i % 2 == 0 ? "PASSED" : "FAILED") << i;
  }
  EXPECT_FALSE(statuses.contains("test 10000"));
}

TEST(StatusMap, IsJsonInItsOrder) {
  StatusMap statuses;
  EXPECT_EQ(to_json(statuses), "{}");
  statuses.set("é \"x\"\n\\", "PASSED");
  statuses.set("\xed\xa0\xbd", "FAILED");
  EXPECT_EQ(to_json(statuses), "{\n  \"é \\\"x\\\"\\u000a\\\\\": \"PASSED\",\n  \"\\ud83d\": \"FAILED\"\n}");
}

}  // namespace
}  // namespace awm
