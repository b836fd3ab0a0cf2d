// The example tasks, end to end: agent, patch, verdict, what is learned from it, in the local sandbox.
#include <array>

#include "run_awm.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::map<std::string, std::string> expected{
    {"example__logsift-1", "PASS"},
    {"example__logsift-2", "PASS"},
    {"example__logsift-3", "PASS"},  // with a workflow that logsift-1 teaches and logsift-2 improves
    {"example__ringbuf-1", "PASS"},
    {"example__ringbuf-2", "FAIL empty_patch"},  // gives up
    {"example__ringbuf-3", "FAIL empty_patch"},  // breaks its budget
    {"example__textkit-1", "PASS"},
    {"example__textkit-2", "FAIL tests_failed"},
    {"example__textkit-3", "PASS"},  // with a workflow that textkit-1 teaches
};
constexpr std::size_t budget = 30;

// As the demo runs them, and more.
std::vector<std::string> as_in_the_demo(std::vector<std::string> more) {
  more.insert(more.end(), {"--max-iterations", std::to_string(budget), "--induction-trigger", "1"});
  return more;
}

void expect_verdicts(const Outcome& outcome) {
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(outcome.results.size(), expected.size()) << outcome.output;
  for (const auto& [id, wanted] : expected) EXPECT_EQ(verdict(outcome, id), wanted) << id << "\n" << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
}

void expect_scripts_played(const ReplayCounters& counters, std::string_view kind) {
  EXPECT_EQ(counters.unmatched, 0U);
  EXPECT_EQ(counters.refused, 0U);
  for (const auto& [name, one] : counters.conversations) {
    const bool learning = contains(name, ".induction") || contains(name, ".compression");
    if (!name.ends_with(kind) && !learning) continue;
    const auto steps = name.starts_with("example__ringbuf-3") ? budget : one.steps;
    EXPECT_EQ(one.furthest, steps) << name;
    EXPECT_EQ(one.requests, steps) << name;
  }
}

// Name and version of each workflow in memory.json, oldest first.
std::vector<std::string> workflows_of(const std::string& folder) {
  std::vector<std::string> names;
  const auto text = read_file(join_path(folder, "memory.json"));
  const auto json = text ? parse_json(*text, "memory.json") : Result<Json>(Json::object());
  if (!json || !json->contains("workflows")) return names;
  for (const auto& workflow : (*json)["workflows"]) names.push_back(string_or(workflow, "name", "?"));
  return names;
}
const std::vector<std::string> taught{"Bring Text Into One Form First", "Mend Every Place Of A Defect",
                                      "State The Rule That Must Hold"};

class Examples : public ::testing::TestWithParam<const char*> {};

TEST_P(Examples, EndWithTheirVerdicts) {
  Bench bench;
  bench.serve();
  const bool codeact = std::string_view(GetParam()) == "CodeActAgent";
  const auto outcome = bench.run(as_in_the_demo({"--agent-class", GetParam(), "--run-id", "examples"}));
  expect_verdicts(outcome);
  expect_scripts_played(bench.server().counters(), codeact ? ".codeact" : ".bash");
  EXPECT_EQ(workflows_of(outcome.folder), taught);
  EXPECT_EQ(string_or(outcome.results.at("example__ringbuf-3"), "agent_end", ""), "iteration_limit");

  const auto text = read_file(join_path(outcome.folder, "openai__scripted.examples.json"));
  ASSERT_TRUE(text) << text.error();
  const auto report = parse_json(*text, "report");
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ((*report)["total_instances"], 9);
  EXPECT_EQ((*report)["submitted_instances"], 9);
  EXPECT_EQ((*report)["resolved_instances"], 6);
  EXPECT_EQ((*report)["unresolved_instances"], 1);
  EXPECT_EQ((*report)["empty_patch_instances"], 2);
  EXPECT_EQ((*report)["error_instances"], 0);

  const std::string logs =
      join_path(outcome.folder, "logs/run_evaluation/examples/openai__scripted/example__textkit-2");
  const auto judged = parse_json(*read_file(join_path(logs, "report.json")), "report.json");
  ASSERT_TRUE(judged);
  const Json& one = (*judged)["example__textkit-2"];
  EXPECT_EQ(one["resolved"], false);
  EXPECT_EQ(one["patch_successfully_applied"], true);
  EXPECT_EQ(
      one["tests_status"]["FAIL_TO_PASS"]["failure"],
      Json::array(
          {"test_no_space_before_the_ellipsis (tests.test_shorten.ShortenTest.test_no_space_before_the_ellipsis)"}));
  EXPECT_EQ(one["tests_status"]["FAIL_TO_PASS"]["success"].size(), 1U);
  EXPECT_EQ(one["tests_status"]["PASS_TO_PASS"]["success"].size(), 3U);
  EXPECT_TRUE(exists(join_path(logs, "test_output.txt")));

  for (const auto& [id, wanted] : expected) {
    const std::string folder = join_path(outcome.folder, "samples/" + id);
    for (const auto* name : {"patch.diff", "events.jsonl", "trajectory.json", "prompt.json"}) {
      EXPECT_TRUE(exists(join_path(folder, name))) << id << ": " << name;
    }
    EXPECT_EQ(exists(join_path(folder, id + ".traj.json")), !codeact);
    // The key is nowhere in what is kept.
    for (const auto* name : {"events.jsonl", "trajectory.json", "prompt.json"}) {
      EXPECT_THAT(read_file(join_path(folder, name)).value_or(""), Not(HasSubstr("sk-scripted")));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Agents, Examples, ::testing::Values("CodeActAgent", "BashAgent"),
                         [](const auto& one) { return std::string(one.param); });

// The way in which the demo's ending says it.
TEST_P(Examples, SayWhichWorkflowHelpedWhichTask) {
  Bench bench;
  bench.serve();
  const auto outcome = bench.run(as_in_the_demo({"--agent-class", GetParam(), "--workers", "1", "--memory-lag", "2"}));
  expect_verdicts(outcome);
  const auto said = bench.process({source("examples/what_helped.py"), outcome.folder});
  EXPECT_EQ(said.output,
            "example__textkit-3 passed because of the workflow \"Bring Text Into One Form First\" that "
            "example__textkit-1 taught.\n"
            "example__logsift-3 passed because of the workflow \"Mend Every Place Of A Defect\" that "
            "example__logsift-1 and example__logsift-2 taught.\n");
}

TEST_P(Examples, AskTheModelForTaskTypesWhereThatIsWanted) {
  Bench bench;
  bench.serve();
  const auto asked = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--agent-class", GetParam(), "--instance", "example__textkit-1"});
    const auto outcome = bench.run(as_in_the_demo(more));
    EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
    EXPECT_EQ(verdict(outcome, "example__textkit-1"), "PASS");
    const auto names = sys::list_folder(outcome.folder + "/learning/example__textkit-1");
    EXPECT_TRUE(names) << outcome.output;
    std::string all = names ? join(*names, " ") : "";
    return all;
  };
  EXPECT_THAT(asked({"--classify"}), HasSubstr("classification"));
  const auto by_rules = asked({});
  EXPECT_THAT(by_rules, HasSubstr("induction"));
  EXPECT_THAT(by_rules, Not(HasSubstr("classification")));
}

TEST_P(Examples, WithoutMemoryThoseThatNeedAWorkflowFailAndNoOthers) {
  Bench bench;
  bench.serve();
  const auto outcome = bench.run(as_in_the_demo({"--agent-class", GetParam(), "--memory", "off"}));
  EXPECT_EQ(outcome.status, ExitStatus::exited(3)) << outcome.output;
  for (const auto& [id, usual] : expected) {
    const bool learner = id == "example__textkit-3" || id == "example__logsift-3";
    EXPECT_EQ(verdict(outcome, id), learner ? "ERROR api" : usual) << id << "\n" << outcome.output;
  }
  EXPECT_THAT(string_or(outcome.results.at("example__textkit-3"), "error", ""),
              HasSubstr("demands at step 1: 'Bring Text Into One Form First' in the first messages"));
}

TEST(ExampleRows, GoldPatchesAreResolved) {
  Bench bench;
  const auto outcome = bench.run({"--gold"}, false);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto& [id, ignored] : expected) EXPECT_EQ(verdict(outcome, id), "PASS") << id << "\n" << outcome.output;
}

TEST(ExampleRows, EmptyAndUselessPatchesAreNot) {
  Bench bench;
  std::string predictions;
  for (const auto& [id, ignored] : expected) {
    Json prediction = Json::object({{"instance_id", id}, {"model_name_or_path", "nobody"}, {"model_patch", ""}});
    if (id == "example__logsift-1") {
      prediction["model_patch"] =
          "diff --git a/NOTES b/NOTES\nnew file mode 100644\n--- /dev/null\n+++ b/NOTES\n@@ -0,0 +1 @@\n+nothing\n";
    }
    if (id == "example__logsift-2") {
      prediction["model_patch"] = "diff --git a/gone b/gone\n--- a/gone\n+++ b/gone\n@@ -1 +1 @@\n-a\n+b\n";
    }
    predictions += dump_json(prediction) + "\n";
  }
  const auto path = bench.folder().write("preds.jsonl", predictions);
  const auto outcome = bench.run({"--predictions", path}, false);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto& [id, ignored] : expected) {
    const std::string wanted = id == "example__logsift-1"   ? "FAIL tests_failed"
                               : id == "example__logsift-2" ? "FAIL patch_failed"
                                                            : "FAIL empty_patch";
    EXPECT_EQ(verdict(outcome, id), wanted) << id << "\n" << outcome.output;
  }
}

TEST(ExampleRun, ResumedAsksTheModelNothingAgain) {
  Bench bench;
  auto& server = bench.serve();
  const auto first = bench.run({"--instance", "example__textkit-1", "--instance", "example__textkit-2"});
  EXPECT_EQ(verdict(first, "example__textkit-1"), "PASS") << first.output;
  const auto asked = server.counters().requests;
  const auto again = Bench::read(bench.process({program(), "run", "--resume-from", first.folder}), first.folder);
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  EXPECT_EQ(server.counters().requests, asked);
  EXPECT_EQ(again.results, first.results);
}

TEST(ExampleRun, AnErrorIsTriedAgainOnDemandAndTheRestIsKept) {
  Bench bench;
  bench.serve({.faults = {"step=2,kind=400,times=1,conversation=textkit-2"}});
  const auto first = bench.run({"--instance", "example__textkit-1", "--instance", "example__textkit-2"});
  EXPECT_EQ(first.status, ExitStatus::exited(3)) << first.output;
  EXPECT_EQ(verdict(first, "example__textkit-1"), "PASS");
  EXPECT_EQ(verdict(first, "example__textkit-2"), "ERROR api");
  const auto before = bench.server().counters().conversations.at("example__textkit-1.codeact").requests;
  const auto again =
      Bench::read(bench.process({program(), "run", "--resume-from", first.folder, "--retry-errors"}), first.folder);
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  EXPECT_EQ(verdict(again, "example__textkit-1"), "PASS");
  EXPECT_EQ(verdict(again, "example__textkit-2"), "FAIL tests_failed") << again.output;
  EXPECT_EQ(bench.server().counters().conversations.at("example__textkit-1.codeact").requests, before);
}

// As the demo does it: the scripted model is a program of its own, and its address is read off its first line.
TEST(ReplayServe, PrintsItsAddressServesAndEndsOnASignal) {
  Bench bench;
  auto pipe = sys::pipe(scope(), "replay output");
  ASSERT_TRUE(pipe) << pipe.error();
  SpawnOptions options{.argv = {program(), "replay", "serve", "--script", source("examples/scripts")},
                       .environment = bench.environment(),
                       .folder = bench.folder().path(),
                       .stdout_fd = pipe->second.get()};
  auto child = bench.spawner().spawn(scope(), options);
  ASSERT_TRUE(child) << child.error();
  pipe->second.reset();
  std::string printed;
  while (!contains(printed, "/v1\n")) {
    std::array<char, 256> bytes{};
    const auto got = sys::read(pipe->first.get(), bytes.data(), bytes.size());
    ASSERT_TRUE(got) << got.error();
    ASSERT_GT(*got, 0U) << printed;
    printed.append(bytes.data(), *got);
  }
  const auto at = printed.find("listening on http://127.0.0.1:");
  ASSERT_NE(at, std::string::npos) << printed;
  const std::string url = printed.substr(at + 13, printed.find('\n', at) - at - 13);
  const auto outcome = bench.run({"--model", "openai/any", "--base-url", url, "--api-key-env", "AWM_REPLAY_KEY",
                                  "--instance", "example__logsift-2"},
                                 false);
  EXPECT_EQ(verdict(outcome, "example__logsift-2"), "PASS") << outcome.output;
  ASSERT_TRUE(child->signal(15));
  const auto ended = child->wait(Deadline::in(Seconds{20}));
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(*ended, ExitStatus::exited(0));
}

}  // namespace
}  // namespace awm::e2e
