#include "memory/prompt_section.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "learning_support.h"
#include "memory/tokens.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::memory_of;

int64_t tokens(std::string_view text) {
  return static_cast<int64_t>(count_tokens(text));
}

TEST(Truncation, MeansWhatItMeantBefore) {
  EXPECT_EQ(parse_truncation("").value(), 50'000);
  EXPECT_EQ(parse_truncation("true").value(), 50'000);
  EXPECT_EQ(parse_truncation("True").value(), 50'000);
  EXPECT_EQ(parse_truncation("false").value(), std::nullopt);
  EXPECT_EQ(parse_truncation("30000").value(), 30'000);
  EXPECT_EQ(parse_truncation("1").value(), 1);
  for (const auto* wrong : {"0", "-5", "1.5", "30k", "yes", "99999999999999999999"}) {
    EXPECT_FALSE(parse_truncation(wrong)) << wrong;
    EXPECT_EQ(parse_truncation(wrong).error().code, Errc::invalid_input);
  }
}

TEST(PromptSection, ShowsAllWithoutALimitOldestFirst) {
  const auto section = workflow_section(*memory_of({"First Way", "Second Way"}), std::nullopt, "base");
  EXPECT_EQ(section.shown, 2U);
  EXPECT_EQ(section.left_out, 0U);
  EXPECT_LT(section.text.find("### First Way"), section.text.find("### Second Way"));
  EXPECT_TRUE(contains(section.text, "guidance, not rules"));
  EXPECT_FALSE(contains(section.text, "left out"));
  EXPECT_EQ(section.tokens, tokens(section.text));
}

TEST(PromptSection, OfNothingIsNothing) {
  const auto section = workflow_section(WorkflowMemory(), 50'000, "base");
  EXPECT_EQ(section.text, "");
  EXPECT_EQ(section.left_out, 0U);
}

// At every limit: whole workflows only, within the limit, and one more would not have fitted.
TEST(PromptSection, KeepsWithinEveryLimit) {
  const auto memory = memory_of({"First Way", "Second Way", "Third Way", "Fourth Way"});
  const std::string base = "You are an agent. " + std::string(200, 'x');
  std::size_t last = 0;
  for (int64_t limit = 1; limit < 1500; limit += 7) {
    const auto section = workflow_section(*memory, limit, base);
    EXPECT_EQ(section.shown + section.left_out, 4U);
    EXPECT_GE(section.shown, last);
    last = section.shown;
    if (section.shown == 0) {
      EXPECT_EQ(section.text, "");
      continue;
    }
    EXPECT_EQ(section.tokens, tokens(section.text));
    EXPECT_LE(section.tokens + tokens(base) + 200, limit);
    if (section.left_out > 0) {
      EXPECT_TRUE(contains(section.text, "(" + std::to_string(section.left_out) + " further workflow")) << section.text;
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const auto whole = workflow_prompt_text(memory->workflows()[i]->text);
      EXPECT_EQ(contains(section.text, whole), i < section.shown);
      EXPECT_EQ(contains(section.text, "### " + memory->workflows()[i]->text.name), i < section.shown);
    }
  }
  EXPECT_EQ(last, 4U);
}

TEST(PromptSection, ALimitBelowOneWorkflowShowsNoneAndSaysHowMany) {
  const auto section = workflow_section(*memory_of({"First Way", "Second Way"}), 210, "base");
  EXPECT_EQ(section.text, "");
  EXPECT_EQ(section.shown, 0U);
  EXPECT_EQ(section.left_out, 2U);
}

TEST(PromptSection, AServersOwnCountsCorrectOurs) {
  TokenScale scale;
  scale.add(500, 1000);
  EXPECT_EQ(scale.expected(100), 100);  // too little seen yet
  scale.add(500, 1000);
  EXPECT_EQ(scale.expected(100), 200);
  scale.add(1'000'000, 100'000'000);
  EXPECT_EQ(scale.expected(100), 300);  // a server that says nonsense
  scale.add(0, -5);
  EXPECT_EQ(scale.expected(100), 300);

  const auto memory = memory_of({"First Way", "Second Way", "Third Way"});
  TokenScale doubled;
  doubled.add(1000, 2000);
  const auto plain = workflow_section(*memory, 700, "base");
  const auto scaled = workflow_section(*memory, 700, "base", doubled);
  EXPECT_GT(plain.shown, scaled.shown);
  EXPECT_GT(scaled.shown, 0U);
  EXPECT_EQ(scaled.tokens, 2 * tokens(scaled.text));
}

}  // namespace
}  // namespace awm
