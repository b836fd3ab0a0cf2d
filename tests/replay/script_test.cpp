#include "replay/script.h"

#include "replay/support.h"

namespace awm {
namespace {

using test::Files;
using test::three_steps;
using ::testing::HasSubstr;

Result<std::vector<ScriptedTalk>> read(const std::string& script) {
  const Files files({{"one.json", script}});
  return read_scripts(files.path("one.json"), {});
}

TEST(Script, BecomesMessagesWithIdsOfItsOwn) {
  const auto read_once = read(three_steps("the task", "t"));
  ASSERT_TRUE(read_once) << read_once.error().message();
  const auto& one = read_once->front();
  ASSERT_EQ(one.steps.size(), 3U);
  const Json& calls = one.steps[1].message["tool_calls"];
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0]["function"]["arguments"], R"({"command":"a\nb"})");
  EXPECT_EQ(one.steps[0].finish_reason, "tool_calls");
  EXPECT_EQ(one.steps[2].finish_reason, "stop");
  // Every id is its own, and the same in another process.
  EXPECT_EQ(one.step_of_id.size(), 3U);
  EXPECT_EQ(read(three_steps("the task", "t"))->front().step_of_id, one.step_of_id);
  EXPECT_NE(read(three_steps("the task", "u"))->front().step_of_id, one.step_of_id);
}

TEST(Script, RepeatsAStepWithTheNumberOfTheRound) {
  const auto all = read(R"({"name": "r", "match": {"text": "x"}, "steps": [{"content": "first {{round}}"},
    {"content": ["again", "{{round}}"], "repeat": 3, "require": [{"text": "out {{round}}"}],
     "tool_calls": [{"name": "bash", "arguments": {"command": {"$lines": ["echo {{round}} {{round}}", "date"]}}}]}]})");
  ASSERT_TRUE(all) << all.error().message();
  const auto& steps = all->front().steps;
  ASSERT_EQ(steps.size(), 4U);
  EXPECT_EQ(steps[0].message["content"], "first {{round}}");
  EXPECT_EQ(steps[3].message["content"], "again\n3");
  EXPECT_EQ(steps[3].message["tool_calls"][0]["function"]["arguments"], R"({"command":"echo 3 3\ndate"})");
  EXPECT_EQ(steps[3].require.front().text, "out 3");
  EXPECT_EQ(all->front().step_of_id.size(), 3U);
}

TEST(Script, ErrorsNameFileAndKey) {
  const auto error_of = [](const std::string& script) { return read(script).error().message(); };
  EXPECT_THAT(error_of(R"({"match": {"text": "x"}, "stepz": []})"),
              HasSubstr("one.json: unknown key 'stepz' (did you mean 'steps'?)"));
  EXPECT_THAT(error_of(R"({"match": {"text": "x"}, "steps": [{"content": "a"}, {"contnt": "b"}]})"),
              HasSubstr("one.json, step 2: unknown key 'contnt'"));
  EXPECT_THAT(error_of(R"({"match": {"text": "x"}, "steps": [{"tool_calls": [{"arguments": {}}]}]})"),
              HasSubstr("step 1, tool call 1: it has no name"));
  EXPECT_THAT(error_of(R"({"match": {}, "steps": [{}]})"), HasSubstr("neither text nor instance_id nor default"));
  EXPECT_THAT(error_of(R"({"match": {"text": "x"}})"), HasSubstr("it has no steps"));
  EXPECT_THAT(error_of(R"({"match": {"text": "x"}, "steps": [{"require": [{"regex": "("}]}]})"),
              HasSubstr("missing closing parenthesis"));
  EXPECT_THAT(error_of(R"({"match": {"text": "x"}, "steps": [{"repeat": 0}]})"),
              HasSubstr("step 1: repeat is 0 (it takes a number from 1 to 10000)"));
  EXPECT_THAT(error_of("{"), HasSubstr("one.json: not valid JSON at column 2"));
  EXPECT_THAT(read_scripts("/nonexistent.json", {}).error().message(), HasSubstr("/nonexistent.json"));
  const Files empty(std::map<std::string, std::string>{});
  EXPECT_THAT(read_scripts(empty.path(), {}).error().message(), HasSubstr("has no *.json"));
}

TEST(Script, TakesTheTextOfAnInstanceFromRows) {
  const Files files({{"s.json", R"({"match": {"instance_id": "a__b-1"}, "steps": [{"content": "x"}]})"},
                     {"rows.jsonl", R"({"instance_id": "a__b-1", "problem_statement": "It  breaks\r\n when used"})"},
                     {"bad.jsonl", "{\"instance_id\": \"a\"}\n"}});
  ProblemStatements problems;
  ASSERT_TRUE(read_problem_statements(files.path("rows.jsonl"), problems));
  const auto scripts = read_scripts(files.path("s.json"), problems);
  ASSERT_TRUE(scripts);
  EXPECT_THAT(scripts->front().texts, ::testing::ElementsAre("It breaks when used"));
  EXPECT_THAT(read_problem_statements(files.path("bad.jsonl"), problems).error().message(), HasSubstr("bad.jsonl:1"));
}

std::string trajectory(const std::string& prompt, const std::string& agent_template) {
  Json json = Json::object();
  json["instance_id"] = "a__b-1";
  json["info"]["config"]["agent"]["instance_template"] = agent_template;
  json["messages"] = Json::array({Json::object({{"role", "system"}, {"content", "You are…"}}),
                                  Json::object({{"role", "user"}, {"content", prompt}}),
                                  Json::object({{"role", "assistant"}, {"content", "I look."}})});
  return dump_json(json);
}

TEST(Trajectory, FindsTheProblemStatementInItsPrompt) {
  const auto text_of = [](const std::string& prompt, const std::string& agent_template) {
    const Files files({{"a/a.traj.json", trajectory(prompt, agent_template)}});
    const auto all = read_trajectories(files.path(), {});
    return all ? all->front().texts.front() : all.error().message();
  };
  EXPECT_EQ(
      text_of("Do this:\nIt breaks.\nYou run x86 and so on.", "Do this:\n{{task}}\nYou run {{system}} and so on.\n"),
      "It breaks.");
  EXPECT_EQ(
      text_of("<pr_description>\nConsider the following PR description:\nIt breaks.\n</pr_description>\nmore", ""),
      "It breaks.");
  EXPECT_EQ(text_of("Just do it", "{{task}}"), "Just do it");
  EXPECT_EQ(text_of("Just do it", ""), "Just do it");
  const Files files({{"x.traj.json", trajectory("Something else", "")}});
  const auto known = read_trajectories(files.path(), {{"a__b-1", "From the rows"}});
  ASSERT_TRUE(known);
  EXPECT_EQ(known->front().texts.front(), "From the rows");
}

TEST(Trajectory, WithoutRawResponsesAnswersWithItsMessages) {
  const Files files({{"x.traj.json", trajectory("It breaks", "")}});
  const auto all = read_trajectories(files.path("x.traj.json"), {});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->front().steps.at(0).message["content"], "I look.");
  EXPECT_TRUE(all->front().steps.at(0).response.is_null());
}

TEST(Trajectory, ThatIsNoneIsAnError) {
  const Files files({{"x.traj.json", R"({"messages": []})"}, {"y.traj.json", "[1, 2]"}});
  EXPECT_THAT(read_trajectories(files.path("x.traj.json"), {}).error().message(),
              HasSubstr("no message of the assistant"));
  EXPECT_THAT(read_trajectories(files.path("y.traj.json"), {}).error().message(), HasSubstr("no list of messages"));
}

TEST(Script, FoldsWhiteSpace) {
  EXPECT_EQ(fold_space("  a \t\r\n b\n"), "a b");
  EXPECT_EQ(fold_space(" \n "), "");
}

}  // namespace
}  // namespace awm
