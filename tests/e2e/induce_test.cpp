// awm induce: a memory from finished runs, through the real program and a real server.
#include "memory/memory_file.h"
#include "run_awm.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string result_line(const std::string& id, const std::string& problem, const std::string& verdict) {
  const Json json{{"instance_id", id},
                  {"problem_statement", problem},
                  {"diff_patch", "--- a/pkg/names.py\n+++ b/pkg/names.py\n@@ -1 +1 @@\n-a\n+b\n"},
                  {"history", Json::array({Json{{"step_id", 0},
                                                {"observation", "found"},
                                                {"thought", "look"},
                                                {"action", "grep names"},
                                                {"action_type", "run_command"},
                                                {"file_path", nullptr},
                                                {"command", "grep names"}}})},
                  {"test_result", verdict},
                  {"test_output", nullptr},
                  {"task_type", nullptr},
                  {"timestamp", "2025-12-01T17:41:09.944292"},
                  {"model_name", "kimi"}};
  return dump_json(json) + "\n";
}

const std::string good_answer =
    "ACTION: NEW\nTARGET: new\n\n## Workflow: Clean Names Before Use\nDescription: A name with odd letters breaks a "
    "function; clean it first.\nApplicable scenarios: odd letters in names\nSteps:\n1. [Locate] The place must be "
    "known\n   Action: search for {{function}}\n2. [Fix] Cleaning first is enough\n   Action: edit {{target_file}}\n3. "
    "[Test] It must hold\n   Action: run {{test_command}}\n";

class Induce : public ::testing::Test {
 protected:
  // One conversation for each text, with these answers.
  void serve(const std::vector<std::pair<std::string, std::vector<std::string>>>& talks) {
    Json scripts = Json::array();
    for (const auto& [text, answers] : talks) {
      Json steps = Json::array();
      for (const auto& answer : answers) steps.push_back(Json{{"content", answer}});
      scripts.push_back(
          Json{{"name", text}, {"purpose", "induction"}, {"match", Json{{"text", text}}}, {"steps", std::move(steps)}});
    }
    bench_.serve({.scripts = {bench_.folder().write("scripts/induction.json", dump_json(scripts))}});
  }
  ProcessOutput induce(std::vector<std::string> more) {
    std::vector<std::string> argv{program(),         "induce",        "--model",
                                  "openai/scripted", "--base-url",    bench_.server().url(),
                                  "--api-key-env",   "AWM_REPLAY_KEY"};
    argv.insert(argv.end(), more.begin(), more.end());
    return bench_.process(std::move(argv));
  }
  Bench bench_;
};

TEST_F(Induce, LearnsFromThePredecessorsResultsAndKeepsPrompts) {
  serve({{"the first problem", {"no answer at all", good_answer}},
         {"the third problem", {"ACTION: REINFORCE\nTARGET: Clean Names Before Use\n"}}});
  bench_.folder().write("old/results.jsonl", result_line("a__a-1", "the first problem", "PASS") +
                                                 result_line("b__b-2", "the second problem", "FAIL") +
                                                 result_line("c__c-3", "the third problem", "PASS"));
  const auto out = bench_.folder() / "learned.json";
  const auto output = induce({bench_.folder() / "old", "--out", out});
  EXPECT_EQ(output.status, ExitStatus::exited(0)) << output.output;
  EXPECT_THAT(output.output, HasSubstr("3 samples read, 2 passes learned from, 0 of them taught nothing"));
  EXPECT_THAT(output.output, Not(HasSubstr("sk-scripted")));
  const auto loaded = read_memory_file(out, 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_TRUE(loaded->defects.empty());
  const auto workflow = loaded->memory->find("Clean Names Before Use");
  ASSERT_TRUE(workflow);
  EXPECT_EQ(workflow->sources, (std::vector<std::string>{"a__a-1", "c__c-3"}));
  EXPECT_EQ(workflow->reinforced, 1);
  EXPECT_THAT(testing::read_text(out + ".prompts/00001-induction.txt"), HasSubstr("the first problem"));
  EXPECT_THAT(testing::read_text(out + ".prompts/00001-induction.txt"), HasSubstr("===== refused ====="));
  EXPECT_THAT(testing::read_text(out + ".prompts/00003-induction.txt"), HasSubstr("Clean Names Before Use"));

  // The file is not overwritten by mistake, and can be gone on from.
  const auto again = induce({bench_.folder() / "old", "--out", out});
  EXPECT_EQ(again.status, ExitStatus::exited(2)) << again.output;
  EXPECT_THAT(again.output, HasSubstr("--memory-from"));
}

TEST_F(Induce, SaysWhatIsWrong) {
  serve({{"the first problem", {good_answer}}});
  bench_.folder().write("run/results.jsonl", result_line("b__b-2", "the first problem", "FAIL"));
  EXPECT_THAT(induce({bench_.folder() / "absent"}).output, HasSubstr("there is no such folder or file"));
  EXPECT_THAT(induce({bench_.folder() / "run"}).output, HasSubstr("no sample passed"));
  EXPECT_EQ(induce({}).status, ExitStatus::exited(2));
  const auto broken = bench_.folder().write("broken.json", "{\"workflows\": [");
  const auto output = induce({bench_.folder() / "run", "--memory-from", broken});
  EXPECT_EQ(output.status, ExitStatus::exited(2));
  EXPECT_THAT(output.output, HasSubstr("broken.json"));
  EXPECT_FALSE(testing::path_exists(bench_.folder() / "memory.json"));
}

TEST_F(Induce, AWrongKeyEndsItWithTheReason) {
  bench_.serve(
      {.scripts = {bench_.folder().write(
           "scripts/x.json",
           R"({"name": "x", "purpose": "induction", "match": {"text": "the first problem"}, "steps": [{"content": "x"}]})")},
       .key = "another"});
  bench_.folder().write("run/results.jsonl", result_line("a__a-1", "the first problem", "PASS"));
  const auto output = induce({bench_.folder() / "run", "--out", bench_.folder() / "m.json"});
  EXPECT_EQ(output.status, ExitStatus::exited(1)) << output.output;
  EXPECT_THAT(to_lower_ascii(output.output), HasSubstr("401"));
  EXPECT_THAT(output.output, Not(HasSubstr("sk-scripted")));
}

}  // namespace
}  // namespace awm::e2e
