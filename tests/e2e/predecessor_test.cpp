// What the predecessor's users bring and expect: their memory in our runs, our folder in their scripts.
#include "rows.h"
#include "run_awm.h"

namespace awm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What their programs find in an output folder of ours (read_as_predecessor.py, which ends badly where they would).
Json read_as_predecessor(Bench& bench, const std::string& folder) {
  const auto read = bench.process({"python3", source("tests/e2e/read_as_predecessor.py"), folder});
  EXPECT_EQ(read.status, ExitStatus::exited(0)) << read.output;
  auto found = parse_json(read.output, "what was found");
  EXPECT_TRUE(found) << read.output;
  return found ? *std::move(found) : Json::object();
}

TEST(Predecessor, ItsScriptsReadOurFolder) {
  Bench bench;
  bench.serve({.faults = {"step=2,kind=503,times=forever,conversation=logsift-2"}});
  auto lost = example_row("example__ringbuf-1");
  lost["base_commit"] = std::string(40, '0');
  const auto rows = write_rows(bench.folder() / "rows.jsonl",
                               {example_row("example__textkit-1"), example_row("example__logsift-2"), lost,
                                example_row("example__textkit-2"), example_row("example__ringbuf-2")});
  const auto config = bench.folder().write("config.toml", quick_config());
  const auto outcome =
      bench.run_on(rows, bench.model_flags({"--config", config, "--induction-trigger", "1", "--max-iterations", "30"}));
  EXPECT_EQ(outcome.status, ExitStatus::exited(3)) << outcome.output;
  const auto found = read_as_predecessor(bench, outcome.folder);
  EXPECT_EQ(found["classes"], (Json{{"example__textkit-1", "success"},
                                    {"example__logsift-2", "api_error"},
                                    {"example__ringbuf-1", "runtime_error"},
                                    {"example__textkit-2", "test_failed"},
                                    {"example__ringbuf-2", "empty_generation"}}))
      << outcome.output;
  EXPECT_EQ(found["passed_so_far"], (Json{1, 1, 1, 1, 1}));
  EXPECT_EQ(found["workflows"], (Json{"Bring Text Into One Form First"}));
}

TEST(Predecessor, ItsScriptsTellPatchesThatDoNotApplyAndTimeOutsApart) {
  Bench bench;
  auto hangs = example_row("example__logsift-1");
  hangs["eval_script"] = with_tests(hangs, "sleep 100000");
  const auto rows = write_rows(bench.folder() / "rows.jsonl", {example_row("example__textkit-1"), hangs});
  Json foreign{{"instance_id", "example__textkit-1"},
               {"model_name_or_path", "m"},
               {"model_patch", "--- a/nowhere.py\n+++ b/nowhere.py\n@@ -1 +1 @@\n-a\n+b\n"}};
  Json any{{"instance_id", "example__logsift-1"},
           {"model_name_or_path", "m"},
           {"model_patch", string_or(hangs, "patch", "")}};
  const auto patches = write_rows(bench.folder() / "patches.jsonl", {foreign, any});
  const auto outcome = bench.run_on(rows, {"--predictions", patches, "--eval-timeout", "1"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(verdict(outcome, "example__textkit-1"), "FAIL patch_failed");
  EXPECT_EQ(verdict(outcome, "example__logsift-1"), "FAIL time_out");
  // A person reads git's own reason.
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("the patch does not apply: nowhere.py: "), HasSubstr("took longer than")));
  EXPECT_EQ(read_as_predecessor(bench, outcome.folder)["classes"],
            (Json{{"example__textkit-1", "patch_failed"}, {"example__logsift-1", "test_timeout"}}));
}

TEST(Predecessor, ItsMemoryIsReadItsDefectsListedAndUsedFrozen) {
  REQUIRE_SHARED_DATA("awm/memory.json");
  const auto memory = testing::shared_data("awm/memory.json");
  Bench bench;
  auto& server = bench.serve();
  const auto outcome = bench.run({"--instance", "example__textkit-1", "--memory", "frozen", "--memory-from", memory});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(verdict(outcome, "example__textkit-1"), "PASS") << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("all 215 steps have the word \"Reasoning\" as their reason: it was lost in parsing"),
                    HasSubstr("all 43 workflows have no placeholder"), HasSubstr("43 workflows shown")));
  // In the prompt as it was sent: its workflows, and nothing in place of the lost reasons.
  const auto prompt =
      read_file(join_path(outcome.folder, "samples/example__textkit-1/prompt.json")).value_or("nothing");
  EXPECT_THAT(prompt, AllOf(HasSubstr("Safe RawSQL Order-By Deduplication"), Not(HasSubstr("] Reasoning"))));
  // Frozen: a pass teaches nothing, and nobody is asked.
  for (const auto& [name, one] : server.counters().conversations) {
    EXPECT_EQ(one.requests > 0, name == "example__textkit-1.codeact") << name;
  }
  const auto found = read_as_predecessor(bench, outcome.folder);
  EXPECT_EQ(found["workflows"].size(), 43U);
}

}  // namespace
}  // namespace awm::e2e
