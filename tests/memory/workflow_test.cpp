#include "memory/workflow.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "learning_support.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::memory_of;
using testing::workflow_text;
using Kind = MemoryChange::Kind;

MemoryChange reinforce(const std::string& name, std::vector<std::string> sources,
                       const std::string& date = "2026-02-02T00:00:00") {
  return {.kind = Kind::reinforced, .target = name, .sources = std::move(sources), .model = "m2", .date = date};
}

std::vector<std::string> names(const WorkflowMemory& memory) {
  std::vector<std::string> list;
  for (const auto& workflow : memory.workflows()) list.push_back(workflow->text.name);
  return list;
}

TEST(WorkflowMemory, KeepsWhereAWorkflowCameFrom) {
  const auto memory = memory_of({"Normalise Input First"});
  const auto workflow = memory->find("normalise  INPUT first");
  ASSERT_TRUE(workflow);
  EXPECT_EQ(workflow->sources, std::vector<std::string>{"seed__seed-1"});
  EXPECT_EQ(workflow->created_at, "2026-01-01T00:00:00");
  EXPECT_EQ(workflow->model, "m");
  EXPECT_EQ(workflow->version, 1);
  EXPECT_EQ(workflow->support, 1);
}

TEST(WorkflowMemory, AChangeLeavesTheMemoryBeforeAsItWas) {
  const auto before = memory_of({"First Way", "Second Way"});
  const auto hash = before->hash();
  const auto after = apply(*before, reinforce("First Way", {"a__b-1"}), 50);
  ASSERT_TRUE(after) << after.error();
  EXPECT_EQ(before->hash(), hash);
  EXPECT_EQ(before->find("First Way")->support, 1);
  EXPECT_EQ(after->memory->find("First Way")->support, 2);
  EXPECT_EQ(after->memory->find("First Way")->reinforced, 1);
  // What did not change is shared.
  EXPECT_EQ(after->memory->find("Second Way"), before->find("Second Way"));
}

TEST(WorkflowMemory, AnImprovementKeepsTheVersionBefore) {
  const auto before = memory_of({"First Way", "Second Way"});
  auto better = workflow_text("First Way");
  better.steps.push_back({"Test", "The suite shows what else changed", "run {{test_command}}"});
  const auto after = apply(*before,
                           {.kind = Kind::improved,
                            .target = "First Way",
                            .text = better,
                            .sources = {"x__y-2"},
                            .model = "m2",
                            .date = "2026-03-03T00:00:00"},
                           50);
  ASSERT_TRUE(after) << after.error();
  EXPECT_EQ(names(*after->memory), (std::vector<std::string>{"First Way", "Second Way"}));
  const auto workflow = after->memory->find("First Way");
  EXPECT_EQ(workflow->version, 2);
  EXPECT_EQ(workflow->text, better);
  EXPECT_EQ(workflow->created_at, "2026-01-01T00:00:00");
  EXPECT_EQ(workflow->updated_at, "2026-03-03T00:00:00");
  ASSERT_EQ(workflow->earlier.size(), 1U);
  EXPECT_EQ(workflow->earlier[0]->text, workflow_text("First Way"));
  EXPECT_EQ(workflow->earlier[0]->version, 1);
  EXPECT_EQ(workflow->earlier[0]->model, "m");
  EXPECT_EQ(workflow->sources, (std::vector<std::string>{"seed__seed-1", "x__y-2"}));
}

TEST(WorkflowMemory, RefusesWhatDoesNotFit) {
  const auto memory = memory_of({"First Way"});
  EXPECT_EQ(apply(*memory, reinforce("Unknown", {}), 50).error().code, Errc::not_found);
  EXPECT_EQ(
      apply(*memory, {.kind = Kind::added, .target = "first way", .text = workflow_text("first way")}, 50).error().code,
      Errc::already_exists);
  EXPECT_EQ(apply(*memory, {.kind = Kind::improved, .target = "First Way"}, 50).error().code, Errc::invalid_input);
  EXPECT_EQ(
      apply(*memory, {.kind = Kind::improved, .target = "First Way", .text = workflow_text("Other")}, 50).error().code,
      Errc::invalid_input);
}

TEST(WorkflowMemory, OverItsLimitDropsTheLeastTaughtThenTheLongestUntaught) {
  auto memory = memory_of({"A Way", "B Way", "C Way"});
  memory = apply(*memory, reinforce("A Way", {"s__s-1"}), 3)->memory;
  const auto add = [&](const std::string& name) {
    return *apply(*memory, {.kind = Kind::added, .target = name, .text = workflow_text(name), .sources = {"n__n-1"}},
                  3);
  };
  auto changed = add("D Way");
  ASSERT_EQ(changed.dropped.size(), 1U);
  EXPECT_EQ(changed.dropped[0].name, "B Way");
  EXPECT_EQ(changed.dropped[0].why, "limit of 3 workflows: taught by 1 samples, last at revision 2");
  EXPECT_EQ(names(*changed.memory), (std::vector<std::string>{"A Way", "C Way", "D Way"}));
  // A newcomer stays even where all others were taught more often.
  memory = apply(*changed.memory, reinforce("C Way", {"s__s-2"}), 3)->memory;
  memory = apply(*memory, reinforce("D Way", {"s__s-3"}), 3)->memory;
  changed = add("E Way");
  EXPECT_EQ(names(*changed.memory), (std::vector<std::string>{"C Way", "D Way", "E Way"}));
  EXPECT_EQ(changed.dropped[0].name, "A Way");
}

TEST(WorkflowMemory, TheHashSaysTheSameOfTheSameLearningWheneverItWas) {
  const auto a = apply(*memory_of({"A Way"}), reinforce("A Way", {"s__s-1"}, "2026-02-02T00:00:00"), 50)->memory;
  const auto b = apply(*memory_of({"A Way"}), reinforce("A Way", {"s__s-1"}, "2027-07-07T00:00:00"), 50)->memory;
  const auto c = apply(*memory_of({"A Way"}), reinforce("A Way", {"s__s-2"}), 50)->memory;
  EXPECT_EQ(a->hash(), b->hash());
  EXPECT_NE(a->hash(), c->hash());
  EXPECT_NE(a->hash(), memory_of({"A Way"})->hash());
}

TEST(WorkflowMemory, ListsThatGrowAreBounded) {
  auto memory = memory_of({"A Way"});
  for (int i = 0; i < 100; ++i) memory = apply(*memory, reinforce("A Way", {"s__s-" + std::to_string(i)}), 50)->memory;
  auto text = workflow_text("A Way");
  for (int i = 0; i < 20; ++i) {
    text.description += " More.";
    memory =
        apply(*memory, {.kind = Kind::improved, .target = "A Way", .text = text, .sources = {"t__t-1"}}, 50)->memory;
  }
  const auto workflow = memory->find("A Way");
  EXPECT_EQ(workflow->support, 121);
  EXPECT_EQ(workflow->sources.size(), Workflow::max_sources);
  EXPECT_EQ(workflow->sources.back(), "t__t-1");
  EXPECT_EQ(workflow->earlier.size(), Workflow::max_versions);
  EXPECT_EQ(workflow->earlier.back()->version, 20);
}

TEST(MemoryChange, SurvivesTheJournal) {
  const MemoryChange change{.kind = Kind::improved,
                            .target = "A Way",
                            .text = workflow_text("A Way"),
                            .sources = {"a", "b"},
                            .model = "m",
                            .date = "d"};
  const auto back = memory_change_from_json(to_json(change), "test");
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(to_json(*back), to_json(change));
  EXPECT_EQ(back->text, change.text);
  EXPECT_FALSE(memory_change_from_json(Json{{"kind", "renamed"}}, "test"));
  EXPECT_FALSE(memory_change_from_json(Json{{"kind", "added"}, {"workflow", {{"name", "x"}}}}, "test"));
  EXPECT_FALSE(memory_change_from_json(Json("text"), "test"));
}

TEST(FoldedName, LooksThroughCaseSpaceAndMarks) {
  EXPECT_EQ(folded_name("  Recursive  Fix *(Updated)*"), "recursive fix");
  EXPECT_EQ(folded_name("**Recursive Fix**"), "recursive fix");
  EXPECT_NE(folded_name("Recursive Fix 2"), "recursive fix");
}

}  // namespace
}  // namespace awm
