#include "memory/compression.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "learning_support.h"
#include "memory/tokens.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::pass;

Phase phase(const std::string& name, const std::string& action, std::vector<std::string> files = {}) {
  return {name, action, "because of " + action, std::move(files), "ongoing"};
}

TEST(Compression, AsksForChunksAndMergesNeighboursOfOnePhase) {
  const auto experience = pass("a__a-1", 35);
  std::vector<std::pair<std::size_t, std::size_t>> asked;
  const std::vector<Phase> answers = {phase("understanding", "one", {"x"}), phase("locating", "two", {"x"}),
                                      phase("locating", "three", {"y", "x"}), phase("testing", "four")};
  const auto compressed =
      compress(experience, 10, 50, 20'000,
               [&](std::span<const ExperienceStep> steps, std::size_t first, std::size_t last) -> std::optional<Phase> {
                 EXPECT_EQ(steps.size(), last - first + 1);
                 asked.emplace_back(first, last);
                 return answers[asked.size() - 1];
               });
  EXPECT_EQ(asked, (std::vector<std::pair<std::size_t, std::size_t>>{{1, 10}, {11, 20}, {21, 30}, {31, 35}}));
  ASSERT_EQ(compressed.phases.size(), 3U);
  EXPECT_EQ(compressed.phases[1].action_summary, "two → three");
  EXPECT_EQ(compressed.phases[1].key_reasoning, "because of two | because of three");
  EXPECT_EQ(compressed.phases[1].files_involved, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(compressed.original_steps, 35U);
}

TEST(Compression, OfAnEndlessHistoryAsksABoundedNumberOfTimesAndStaysSmall) {
  const auto experience = pass("a__a-1", 5000);
  std::size_t asked = 0;
  const auto compressed =
      compress(experience, 10, 50, 20'000,
               [&](std::span<const ExperienceStep> steps, std::size_t, std::size_t) -> std::optional<Phase> {
                 ++asked;
                 EXPECT_LT(steps_text(steps).size(), 150'000U);
                 auto answer = phase(asked % 2 == 0 ? "fixing" : "testing", std::string(400, 'a'));
                 answer.key_reasoning = std::string(790, 'r') + " " + std::to_string(asked);
                 return answer;
               });
  EXPECT_EQ(asked, 50U);
  EXPECT_LE(count_tokens(phases_text(compressed.phases)), 20'000U);
  const auto tiny =
      compress(experience, 10, 50, 300,
               [&](std::span<const ExperienceStep>, std::size_t first, std::size_t) -> std::optional<Phase> {
                 return phase(first % 200 == 1 ? "fixing" : "testing", "some words about it");
               });
  EXPECT_LE(count_tokens(phases_text(tiny.phases)), 300U);
}

TEST(Compression, WithoutAUsefulAnswerGoesByRules) {
  auto experience = pass("a__a-1", 12);
  for (auto& step : experience.history) step.command = "python -m pytest tests";
  experience.history[2].action_type = "edit_file";
  experience.history[2].file_path = "src/x.py";
  const auto compressed = compress(experience, 10, 50, 20'000, [](auto...) { return std::nullopt; });
  ASSERT_EQ(compressed.phases.size(), 1U);
  EXPECT_EQ(compressed.phases[0].phase, "testing");
  EXPECT_EQ(compressed.phases[0].files_involved, std::vector<std::string>{"src/x.py"});
  EXPECT_TRUE(compress(pass("a__a-1", 0), 10, 50, 20'000, nullptr).phases.empty());
}

TEST(Compression, IsTheSameEachTime) {
  const auto experience = pass("a__a-1", 77);
  EXPECT_EQ(phases_text(compress(experience, 10, 50, 20'000, nullptr).phases),
            phases_text(compress(experience, 10, 50, 20'000, nullptr).phases));
}

TEST(PhaseAnswer, IsRead) {
  const auto read = parse_phase(
      "PHASE: Fixing\nACTION: Changed it\nREASONING: It was wrong\n  and now is right\nFILES: a.py, b.py, "
      "a.py\nOUTCOME: success, all pass\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->phase, "fixing");
  EXPECT_EQ(read->action_summary, "Changed it");
  EXPECT_EQ(read->key_reasoning, "It was wrong and now is right");
  EXPECT_EQ(read->files_involved, (std::vector<std::string>{"a.py", "b.py"}));
  EXPECT_EQ(read->outcome, "success");
  EXPECT_TRUE(parse_phase("**PHASE:** testing\n**ACTION:** x\n**REASONING:** y\nFILES: none\n"));
}

TEST(PhaseAnswer, ThatIsHostileIsNone) {
  EXPECT_FALSE(parse_phase(""));
  EXPECT_FALSE(parse_phase("阶段：修复"));
  EXPECT_FALSE(parse_phase("PHASE: winning\nACTION: x\nREASONING: y\n"));
  EXPECT_FALSE(parse_phase("PHASE: fixing\nACTION: \nREASONING: y\n"));
  EXPECT_FALSE(parse_phase("PHASE: fixing\nPHASE: testing\nACTION: x\nREASONING: y\n"));
  EXPECT_FALSE(parse_phase("PHASE: fixing\nACTION: \xFF\nREASONING: y\n"));
  EXPECT_FALSE(parse_phase("PHASE: fixing\nACTION: " + std::string(1 << 20, 'x') + "\nREASONING: y\n"));
  const auto cut = parse_phase("PHASE: fixing\nACTION: " + std::string(5000, 'x') + "\nREASONING: \x1b[2J" +
                               std::string(5000, 'y') + "\n");
  ASSERT_TRUE(cut);
  EXPECT_LE(utf8_length(cut->action_summary), phase_limits::action + 1);
  EXPECT_LE(utf8_length(cut->key_reasoning), phase_limits::reasoning + 1);
  EXPECT_EQ(cut->key_reasoning.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace awm
