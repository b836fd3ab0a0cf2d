#include "swebench/regrade.h"

#include "base/text.h"
#include "os/file.h"
#include "swebench_support.h"

namespace awm {
namespace {

using testing::TestFolder;

constexpr std::string_view good_log =
    "+ : '>>>>> Start Test Output'\nPASSED t.py::a\nPASSED t.py::b\n+ : '>>>>> End Test Output'\n>>>>> Test Exit Code: "
    "0\n";

class RegradeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Stop::create(scope_);
    ASSERT_TRUE(made) << made.error();
    stop_ = *std::move(made);
    for (const auto* id : {"good-1", "bad-1", "empty-1", "none-1", "gone-1"}) {
      Row row = testing::sample_row();
      row.instance_id = id;
      rows_.push_back(row);
    }
    save("good-1", "diff", good_log);
    save("bad-1", "diff", replace_all(std::string(good_log), "PASSED t.py::b", "FAILED t.py::b"));
    save("empty-1", "", "");
    folder_.write("logs/run_evaluation/r/m__x/none-1/patch.diff", "diff");
  }
  void save(const std::string& id, std::string_view patch, std::string_view log) const {
    folder_.write("logs/run_evaluation/r/m__x/" + id + "/patch.diff", patch);
    if (!log.empty()) folder_.write("logs/run_evaluation/r/m__x/" + id + "/test_output.txt", log);
  }
  [[nodiscard]] std::map<std::string, RunReportOutcome> outcomes(const Regraded& one) const {
    std::map<std::string, RunReportOutcome> all;
    for (const auto& entry : one.entries) all[entry.instance_id] = entry.outcome;
    return all;
  }

  Scope scope_{"test"};
  std::unique_ptr<Stop> stop_;
  TestFolder folder_;
  std::vector<Row> rows_;
};

TEST_F(RegradeTest, GradesWhatTheFoldersHold) {
  const auto models = regrade(scope_, *stop_, rows_, nullptr, {.output_dir = folder_.path(), .run_id = "r"});
  ASSERT_TRUE(models) << models.error();
  ASSERT_EQ(models->size(), 1U);
  EXPECT_EQ(models->front().model, "m__x");
  EXPECT_EQ(models->front().graded, 2U);
  EXPECT_EQ(outcomes(models->front()),
            (std::map<std::string, RunReportOutcome>{{"good-1", RunReportOutcome::resolved},
                                                     {"bad-1", RunReportOutcome::unresolved},
                                                     {"empty-1", RunReportOutcome::empty_patch},
                                                     {"none-1", RunReportOutcome::error},
                                                     {"gone-1", RunReportOutcome::incomplete}}));
  const auto report =
      parse_json(testing::read_text(folder_ / "logs/run_evaluation/r/m__x/bad-1/report.json"), "report");
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ((*report)["bad-1"]["tests_status"]["PASS_TO_PASS"]["failure"], Json::array({"t.py::b"}));
}

TEST_F(RegradeTest, PredictionsSayWhatWasSubmitted) {
  const std::vector<Prediction> predictions{
      {.instance_id = "good-1", .model = "m/x", .patch = "diff", .origin = {}},
      {.instance_id = "bad-1", .model = "m/x", .patch = std::nullopt, .origin = {}},
      {.instance_id = "other-1", .model = "m/x", .patch = "diff", .origin = {}}};
  const auto models = regrade(scope_, *stop_, rows_, &predictions, {.output_dir = folder_.path(), .run_id = "r"});
  ASSERT_TRUE(models) << models.error();
  EXPECT_EQ(models->front().model, "m/x");
  const auto all = outcomes(models->front());
  EXPECT_EQ(all.at("good-1"), RunReportOutcome::resolved);
  EXPECT_EQ(all.at("bad-1"), RunReportOutcome::empty_patch);
  EXPECT_EQ(all.at("empty-1"), RunReportOutcome::incomplete);
  EXPECT_FALSE(models->front().entries.back().in_dataset);
}

TEST_F(RegradeTest, ALogThatCannotBeGradedIsAnErrorOfThatSampleAlone) {
  rows_[1].log_parser = "parse_log_nothing";
  const auto models = regrade(scope_, *stop_, rows_, nullptr, {.output_dir = folder_.path(), .run_id = "r"});
  ASSERT_TRUE(models) << models.error();
  EXPECT_EQ(models->front().problems.size(), 1U);
  EXPECT_EQ(outcomes(models->front()).at("bad-1"), RunReportOutcome::error);
  EXPECT_EQ(outcomes(models->front()).at("good-1"), RunReportOutcome::resolved);
}

TEST_F(RegradeTest, ARunThatIsNotThereIsSaid) {
  const auto models = regrade(scope_, *stop_, rows_, nullptr, {.output_dir = folder_.path(), .run_id = "x"});
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().code, Errc::not_found);
}

TEST(EarlierJudgementTest, IsKnownByPatchAndRowAndNotByAFilesPresence) {
  const TestFolder folder;
  const Json awm{{"verdict", "passed"},   {"patch_sha256", "p"},
                 {"row_sha256", "r"},     {"sandbox", {{"kind", "local"}}},
                 {"timeout_seconds", 60}, {"flags", {"edits_tests"}}};
  folder.write("awm.json", dump_json(awm));
  EXPECT_FALSE(earlier_judgement(folder.path(), "p", "r")) << "its report.json is gone";
  folder.write("report.json", "{}");
  const auto earlier = earlier_judgement(folder.path(), "p", "r");
  ASSERT_TRUE(earlier);
  EXPECT_EQ(earlier->verdict, JudgeVerdict::passed);
  EXPECT_EQ(earlier->sandbox_kind, "local");
  EXPECT_EQ(earlier->timeout, Seconds(60));
  EXPECT_EQ(earlier->flags, std::vector<std::string>{"edits_tests"});
  EXPECT_FALSE(earlier_judgement(folder.path(), "q", "r"));
  EXPECT_FALSE(earlier_judgement(folder.path(), "p", "s"));
  Json error = awm;
  error["verdict"] = "error";
  folder.write("awm.json", dump_json(error));
  EXPECT_FALSE(earlier_judgement(folder.path(), "p", "r"));
  folder.write("awm.json", "{");
  EXPECT_FALSE(earlier_judgement(folder.path(), "p", "r"));
}

}  // namespace
}  // namespace awm
