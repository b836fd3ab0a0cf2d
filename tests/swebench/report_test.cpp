#include "swebench/report.h"

#include "os/file.h"
#include "swebench_support.h"

namespace awm {
namespace {

using testing::TestFolder;

TEST(RunReportTest, HasTheReferencesKeysAndSortedIds) {
  const TestFolder folder;
  folder.write("logs/run_evaluation/r/m__x/u-1/test_output.txt", "ModuleNotFoundError: x");
  folder.write("logs/run_evaluation/r/m__x/e-1/run_instance.log", "Test timed out");
  folder.write("logs/run_evaluation/r/m__x/e-1/test_output.txt", "a\n\nTimeout error: 10 seconds exceeded.");
  folder.write("logs/run_evaluation/r/m__x/e-2/run_instance.log", "Cannot allocate memory");
  const std::vector<RunReportEntry> entries{
      {.instance_id = "u-1", .outcome = RunReportOutcome::unresolved},
      {.instance_id = "r-2", .outcome = RunReportOutcome::resolved},
      {.instance_id = "r-1", .outcome = RunReportOutcome::resolved},
      {.instance_id = "p-1", .outcome = RunReportOutcome::empty_patch},
      {.instance_id = "e-1", .outcome = RunReportOutcome::error},
      {.instance_id = "e-2", .outcome = RunReportOutcome::error},
      {.instance_id = "i-1", .outcome = RunReportOutcome::incomplete},
      {.instance_id = "x-1", .outcome = RunReportOutcome::error, .in_dataset = false}};
  ASSERT_TRUE(write_run_report(folder.path(), "m/x", "r", entries));
  const auto report = parse_json(testing::read_text(folder / "m__x.r.json"), "report");
  ASSERT_TRUE(report) << report.error();
  const Json expected{
      {"total_instances", 7},
      {"submitted_instances", 7},
      {"completed_instances", 3},
      {"resolved_instances", 2},
      {"unresolved_instances", 1},
      {"infra_failure_instances", 1},
      {"ambiguous_failure_instances", 2},
      {"empty_patch_instances", 1},
      {"error_instances", 2},
      {"completed_ids", {"r-1", "r-2", "u-1"}},
      {"incomplete_ids", {"i-1"}},
      {"empty_patch_ids", {"p-1"}},
      {"submitted_ids", {"e-1", "e-2", "p-1", "r-1", "r-2", "u-1", "x-1"}},
      {"resolved_ids", {"r-1", "r-2"}},
      {"unresolved_ids", {"u-1"}},
      {"infra_failure_ids", {"e-2"}},
      {"ambiguous_failure_ids", {"e-1", "u-1"}},
      {"failure_reasons", {{"e-1", "tests_timed_out"}, {"e-2", "out_of_memory"}, {"u-1", "missing_module"}}},
      {"error_ids", {"e-1", "e-2"}},
      {"schema_version", 2}};
  EXPECT_EQ(report->dump(1), expected.dump(1));
}

TEST(RunReportTest, AnEmptyRunHasEmptyListsAndAnEmptyObject) {
  const Json report = run_report("/nowhere", "m", "r", {});
  EXPECT_EQ(report["resolved_ids"], Json::array());
  EXPECT_EQ(report["failure_reasons"], Json::object());
}

TEST(RunReportTest, SaysWhatTheRunWasGradedAgainst) {
  const TestFolder folder;
  ASSERT_TRUE(write_run_metadata(folder.path(), "r", "lite.jsonl", "test"));
  const auto json = parse_json(testing::read_text(folder / "logs/run_evaluation/r/run.json"), "run.json");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["dataset"], "lite.jsonl");
  EXPECT_EQ((*json)["split"], "test");
  EXPECT_TRUE((*json)["task_repo"].is_null());
  EXPECT_TRUE((*json)["created_at"].get<std::string>().ends_with("+00:00"));
}

}  // namespace
}  // namespace awm
