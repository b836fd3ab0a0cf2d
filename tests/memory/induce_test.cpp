#include "memory/induce.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "learning_support.h"
#include "scripted_llm.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;
using testing::new_answer;
using testing::pass;
using testing::ScriptedLlm;
using testing::workflow_text;

const Scope scope("test");

std::string now() {
  return "2026-02-02T00:00:00";
}

std::string line(Experience experience, const std::string& result = "PASS") {
  experience.test_result = result;
  return dump_json(to_json(experience)) + "\n";
}

TEST(Induce, LearnsFromAPredecessorsRun) {
  const testing::TestFolder folder;
  folder.write("old/results.jsonl",
               line(pass("a__a-1")) + line(pass("b__b-1"), "FAIL") + line(pass("c__c-1")) + "{torn");
  ScriptedLlm llm;
  llm.say("induction", new_answer(workflow_text("First Way")));
  llm.say("induction", "ACTION: REINFORCE\nTARGET: First Way\n");
  std::vector<std::string> said;
  int records = 0;
  InduceSettings settings;
  settings.say = [&](std::string_view text) { said.emplace_back(text); };
  settings.step = [&](const WorkflowMemory& memory, const Json& record) {
    EXPECT_EQ(record["hash"], memory.hash());
    ++records;
  };
  const auto report = induce(scope, {folder / "old"}, WorkflowMemory::empty(), llm, settings, now);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->samples, 3);
  EXPECT_EQ(report->passes, 2);
  EXPECT_EQ(report->refused, 0);
  EXPECT_EQ(report->memory->find("First Way")->sources, (std::vector<std::string>{"a__a-1", "c__c-1"}));
  EXPECT_EQ(report->cost.calls, 2);
  EXPECT_EQ(said.size(), 2U);
  EXPECT_EQ(records, 2);
}

TEST(Induce, BelievesOurJournalOverTheView) {
  const testing::TestFolder folder;
  folder.write("run/results.jsonl", line(pass("a__a-1")) + line(pass("b__b-1")));
  folder.write("run/journal.jsonl",
               "{\"type\":\"header\"}\n{\"type\":\"verdict\",\"instance_id\":\"a__a-1\",\"verdict\":\"passed\"}\n"
               "{\"type\":\"verdict\",\"instance_id\":\"b__b-1\",\"verdict\":\"failed\"}\n{\"torn");
  ScriptedLlm llm;
  llm.say("induction", new_answer(workflow_text("First Way")));
  const auto report = induce(scope, {folder / "run"}, WorkflowMemory::empty(), llm, {}, now);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->passes, 1);
  ASSERT_EQ(report->left_out.size(), 1U);
  EXPECT_THAT(report->left_out[0], HasSubstr("b__b-1"));
}

TEST(Induce, TakesSeveralPassesATimeAndASampleOnce) {
  const testing::TestFolder folder;
  folder.write("one/results.jsonl", line(pass("a__a-1")) + line(pass("b__b-1")));
  folder.write("two/results.jsonl", line(pass("a__a-1")) + line(pass("c__c-1")));
  ScriptedLlm llm;
  llm.say("induction",
          "ACTION: NEW\nTARGET: new\nSOURCES: a__a-1, b__b-1\n\n" + testing::block(workflow_text("First Way")));
  llm.say("induction", "ACTION: REINFORCE\nTARGET: First Way\n");
  InduceSettings settings;
  settings.trigger = 2;
  const auto report =
      induce(scope, {folder / "one", folder / "two/results.jsonl"}, WorkflowMemory::empty(), llm, settings, now);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->passes, 3);
  EXPECT_EQ(report->memory->find("First Way")->sources, (std::vector<std::string>{"a__a-1", "b__b-1", "c__c-1"}));
}

TEST(Induce, KeepsWhatItHasWhenTheModelIsGone) {
  const testing::TestFolder folder;
  folder.write("run/results.jsonl", line(pass("a__a-1")) + line(pass("b__b-1")) + line(pass("c__c-1")));
  ScriptedLlm llm;
  llm.say("induction", new_answer(workflow_text("First Way")));
  llm.fail("induction", LlmFailure::out_of_credit);
  const auto report = induce(scope, {folder / "run"}, WorkflowMemory::empty(), llm, {}, now);
  ASSERT_TRUE(report) << report.error();
  ASSERT_TRUE(report->gave_up);
  EXPECT_EQ(report->memory->size(), 1U);
  EXPECT_EQ(llm.asked.size(), 2U);
}

TEST(Induce, NamesARunThatIsNone) {
  const testing::TestFolder folder;
  folder.write("empty/other.txt", "");
  folder.write("failed/results.jsonl", line(pass("a__a-1"), "FAIL"));
  ScriptedLlm llm;
  const auto with = [&](const std::string& run) {
    return induce(scope, {folder / run}, WorkflowMemory::empty(), llm, {}, now).error();
  };
  EXPECT_EQ(with("absent").code, Errc::not_found);
  EXPECT_THAT(with("absent").message(), HasSubstr("absent"));
  EXPECT_THAT(with("empty").message(), HasSubstr("no results.jsonl"));
  EXPECT_THAT(with("failed").message(), HasSubstr("no sample passed"));
  EXPECT_TRUE(llm.asked.empty());
}

}  // namespace
}  // namespace awm
