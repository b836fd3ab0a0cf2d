// What a model server can do wrong, through the real program: each ends in a recovery or in an error that says what was
// wrong, and costs nothing else.
#include "rows.h"

namespace awm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string task = "example__textkit-1";

struct Case {
  const char* name;
  const char* fault;  // at step 2: one answer has been won by then
  bool stream;
  const char* verdict;  // of results.jsonl
  const char* words;    // in the sample's error, lower case; "" none
  uint64_t requests;    // answered at step 2, the last one included; 0: not looked at
};

// As verdict(), for samples that failed as every other would, too: they have no result and are run again on resume.
std::string outcome_of(const Outcome& outcome, const std::string& id) {
  if (outcome.results.contains(id)) return verdict(outcome, id);
  for (const auto& record : outcome.journal) {
    if (string_or(record, "type", "") != "error" || string_or(record, "instance_id", "") != id) continue;
    return "ERROR " + string_or(record, "reason", "") + (get_bool(record, "hopeless").value_or(false) ? "_setup" : "");
  }
  return "no outcome";
}
// The words that its error has.
std::string error_of(const Outcome& outcome, const std::string& id) {
  const auto line = outcome.results.find(id);
  if (line != outcome.results.end()) return string_or(line->second, "error", "");
  for (const auto& record : outcome.journal) {
    if (string_or(record, "type", "") == "error" && string_or(record, "instance_id", "") == id) {
      return string_or(record, "message", "");
    }
  }
  return "";
}

class BadModel : public ::testing::TestWithParam<Case> {};

TEST_P(BadModel, EndsAsItShould) {
  const Case& c = GetParam();
  Bench bench;
  auto& server = bench.serve({.faults = {std::string("step=2,") + c.fault}});
  const auto config = bench.folder().write(
      "config.toml",
      quick_config(std::string("timeout = 2\n[awm.llm]\nstream = ") + (c.stream ? "true" : "false") + "\n"));
  const auto outcome = bench.run({"--instance", task, "--skip-evaluation", "--config", config});
  EXPECT_EQ(outcome_of(outcome, task), c.verdict) << outcome.output;
  if (*c.words != '\0') {
    EXPECT_THAT(to_lower_ascii(error_of(outcome, task)), HasSubstr(c.words)) << outcome.output;
    EXPECT_NE(outcome.status, ExitStatus::exited(0));
  }
  if (std::string_view(c.verdict) == "SKIPPED") {
    EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  }
  if (c.requests > 0) {
    EXPECT_EQ(server.counters().faults, c.requests);
  }
  EXPECT_THAT(outcome.output, Not(HasSubstr("LEAKED")));
  EXPECT_THAT(outcome.output, Not(HasSubstr("sk-scripted")));
}

constexpr const char* recovered = "SKIPPED";
constexpr const char* api = "ERROR api";
constexpr const char* setup = "ERROR api_setup";

INSTANTIATE_TEST_SUITE_P(
    Kinds, BadModel,
    ::testing::Values(Case{"RateLimitOnce", "kind=429,retry_after=0", false, recovered, "", 1},
                      Case{"RateLimitForever", "kind=429,times=forever,retry_after=0", false, api, "rate limit", 3},
                      Case{"Quota", "kind=quota,times=forever", false, setup, "quota", 1},
                      Case{"WrongKey", "kind=401,times=forever", false, setup, "api key", 1},
                      Case{"NoSuchModel", "kind=404,times=forever", false, setup, "does not exist", 1},
                      Case{"BadRequest", "kind=400,times=forever", false, api, "400", 1},
                      Case{"Refused", "kind=refused,times=forever", false, api, "safety system", 1},
                      Case{"ServerErrorOnce", "kind=500", false, recovered, "", 1},
                      Case{"ServerErrorForever", "kind=503,times=forever", false, api, "503", 3},
                      Case{"DisconnectOnce", "kind=disconnect", false, recovered, "", 1},
                      Case{"DisconnectForever", "kind=disconnect,times=forever", false, api, "127.0.0.1", 3},
                      Case{"HangUpOnce", "kind=hangup", false, recovered, "", 0},
                      Case{"ResetOnce", "kind=reset", false, recovered, "", 0},
                      Case{"GarbageOnce", "kind=garbage", false, recovered, "", 1},
                      Case{"GarbageForever", "kind=garbage,times=forever", false, api, "not", 3},
                      Case{"HalfAnAnswerOnce", "kind=truncated", false, recovered, "", 1},
                      Case{"HalfAnAnswerForever", "kind=truncated,times=forever", false, api, "", 3},
                      Case{"NoChoiceForever", "kind=empty,times=forever", false, api, "choice", 3},
                      Case{"SilenceOnce", "kind=silence", false, recovered, "", 1},
                      Case{"Drip", "kind=drip,delay_ms=1,bytes=8", false, recovered, "", 1},
                      Case{"StreamDisconnectOnce", "kind=disconnect", true, recovered, "", 1},
                      Case{"HalfAStreamOnce", "kind=truncated", true, recovered, "", 1},
                      Case{"HalfAStreamForever", "kind=truncated,times=forever", true, api, "", 3},
                      Case{"StreamGarbageForever", "kind=garbage,times=forever", true, api, "", 3},
                      Case{"StreamErrorOnce", "kind=stream_error", true, recovered, "", 1},
                      Case{"StreamDrip", "kind=drip,delay_ms=1,bytes=64", true, recovered, "", 1},
                      Case{"ContextWindowOnce", "kind=context", false, recovered, "", 1}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(BadModelRun, AWrongKeyEndsTheRunBeforeItBurnsTheRest) {
  Bench bench;
  auto& server = bench.serve({.key = "sk-another"});
  const auto outcome = bench.run({"--skip-evaluation"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(1)) << outcome.output;
  EXPECT_EQ(outcome.results.size(), 0U);
  EXPECT_EQ(server.counters().requests, 0U);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("401"), HasSubstr("AWM_REPLAY_KEY"), HasSubstr("--resume-from")));
}

TEST(BadModelRun, AModelThatIsNotServedIsNamed) {
  Bench bench;
  bench.serve({.models = {"another"}});
  const auto outcome = bench.run({"--skip-evaluation", "--limit", "1"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(1)) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("scripted"), HasSubstr("does not exist")));
}

TEST(BadModelRun, AServerThatIsNotThereIsNamed) {
  Bench bench;
  bench.serve();
  const std::string url = bench.server().url();
  bench.server().close();
  const auto config = bench.folder().write("config.toml", quick_config());
  const auto outcome = bench.run({"--skip-evaluation", "--instance", task, "--config", config});
  EXPECT_EQ(outcome.status, ExitStatus::exited(3)) << outcome.output;
  EXPECT_THAT(string_or(outcome.results.at(task), "error", ""), HasSubstr(url));
}

TEST(BadModelRun, AnUnmatchedTaskHearsWhatWasLookedFor) {
  Bench bench;
  const auto script = bench.folder().write(
      "other.json", R"({"match": {"text": "another task altogether"}, "steps": [{"content": "never"}]})");
  bench.serve({.scripts = {script}});
  const auto outcome = bench.run({"--skip-evaluation", "--instance", task});
  EXPECT_NE(outcome.status, ExitStatus::exited(0));
  EXPECT_THAT(error_of(outcome, task), HasSubstr("No script matches")) << outcome.output;
}

// Each ill call is answered with words that let the model mend it; the run goes on to its end.
std::string ill_calls(std::string_view tool, std::string_view last_step) {
  const std::string name(tool);
  return R"({"name": "ill", "match": {"text": "slugify() loses every letter"}, "steps": [
    {"content": "Broken JSON.", "tool_calls": [{"name": ")" +
         name + R"(", "arguments": "{\"command\": \"ls"}]},
    {"content": "No arguments.", "tool_calls": [{"name": ")" +
         name + R"(", "arguments": {}}], "require": [{"regex": "(?i)json", "in": "last"}]},
    {"content": "A list.", "tool_calls": [{"name": ")" +
         name + R"(", "arguments": [1]}], "require": [{"regex": "(?i)command", "in": "last"}]},
    {"content": "A wrong type.", "tool_calls": [{"name": ")" +
         name + R"(", "arguments": {"command": 7}}], "require": [{"regex": "(?i)object|argument", "in": "last"}]},
    {"content": "No such tool.", "tool_calls": [{"name": "browse", "arguments": {"url": "http://127.0.0.1"}}], "require": [{"regex": "(?i)command", "in": "last"}]},
    {"content": "Two calls, the first ill.", "tool_calls": [{"name": "browse", "arguments": {}}, {"name": ")" +
         name + R"(", "arguments": {"command": "true"}}], "require": [{"text": "browse", "in": "last"}]},
    {"content": "No call at all."},
    {"content": "Now a good one.", "tool_calls": [{"name": ")" +
         name + R"(", "arguments": {"command": "echo good > GOOD"}}]},
    )" + std::string(last_step) +
         "]}";
}

TEST(BadModelRun, CodeActAgentAnswersIllCallsAndGoesOn) {
  Bench bench;
  const auto script = bench.folder().write(
      "ill.json", ill_calls("execute_bash",
                            R"({"content": "", "tool_calls": [{"name": "finish", "arguments": {"message": "ok"}}]})"));
  auto& server = bench.serve({.scripts = {script}});
  const auto outcome = bench.run({"--skip-evaluation", "--instance", task});
  EXPECT_EQ(verdict(outcome, task), recovered) << outcome.output;
  EXPECT_EQ(server.counters().conversations.at("ill").furthest, 9U) << outcome.output;
  EXPECT_THAT(read_file(join_path(outcome.folder, "samples/" + task + "/patch.diff")).value_or(""), HasSubstr("+good"));
}

// As mini-swe-agent does, it forgets an ill answer and asks again; a model that never gets it right has given up.
TEST(BadModelRun, BashAgentEndsWithAModelThatCallsNothingWell) {
  Bench bench;
  const auto script = bench.folder().write("ill.json", ill_calls("bash", R"({"content": "never"})"));
  bench.serve({.scripts = {script}});
  const auto outcome = bench.run({"--skip-evaluation", "--instance", task, "--agent-class", "BashAgent"});
  EXPECT_EQ(verdict(outcome, task), recovered) << outcome.output;
  EXPECT_EQ(string_or(outcome.results.at(task), "agent_end", ""), "gave_up") << outcome.output;
}

TEST(BadModelRun, APromptThatOutgrowsTheWindowIsShortenedAndTheRunGoesOn) {
  Bench bench;
  std::string steps;
  for (int i = 1; i <= 6; ++i) {
    steps += R"({"content": "Much output.", "tool_calls": [{"name": "execute_bash", "arguments": {"command": "seq )" +
             std::to_string(i) + R"( 6000"}}]},)";
  }
  const auto script = bench.folder().write(
      "long.json", R"({"name": "long", "match": {"text": "slugify() loses every letter"}, "steps": [)" + steps +
                       R"({"content": "", "tool_calls": [{"name": "finish", "arguments": {"message": "ok"}}]}]})");
  auto& server = bench.serve({.scripts = {script}, .context_window = 24000});
  const auto outcome = bench.run({"--skip-evaluation", "--instance", task});
  EXPECT_EQ(verdict(outcome, task), recovered) << outcome.output;
  EXPECT_EQ(server.counters().conversations.at("long").furthest, 7U) << outcome.output;
  EXPECT_THAT(read_file(join_path(outcome.folder, "samples/" + task + "/events.jsonl")).value_or(""),
              HasSubstr("\"condensation\""));
}

}  // namespace
}  // namespace awm::e2e
