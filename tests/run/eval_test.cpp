// `awm eval` in local sandboxes: verdicts, what is not judged again, repetitions, errors and their tries.
#include "run/eval.h"

#include "base/json.h"
#include "os/file.h"
#include "sandbox/local_support.h"

namespace awm {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view gold = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n";

class EvalTest : public testing::LocalTest {
 public:
  void SetUp() override {
    LocalTest::SetUp();
    if (IsSkipped()) return;
    host(R"(mkdir -p repos; git init -q repos/o__n; cd repos/o__n; echo one > a.txt
      printf 'grep -q two a.txt && echo PASSED t::a || { echo FAILED t::a; exit 1; }\n' > t.sh; git add -A; git commit -qm first)");
    commit_ = host("git -C repos/o__n rev-parse HEAD");
    for (const auto* id : {"o__n-1", "o__n-2"}) add_row(id);
    options_.run.datasets = {*folder / "rows.jsonl"};
    options_.run.sandbox = "local";
    options_.run.repos = *folder / "repos";
    options_.run.output_dir = *folder / "out";
    options_.run.run_id = "r";
    options_.run.config_file = folder->write("config.toml", "");
    options_.run.workers = 2;
    options_.run.eval_timeout = 60;
  }

  void add_row(const std::string& id, const std::string& repo = "o/n", const std::string& test = "bash t.sh") {
    const Json row{{"instance_id", id},
                   {"repo", repo},
                   {"base_commit", commit_},
                   {"problem_statement", "x"},
                   {"patch", gold},
                   {"FAIL_TO_PASS", {"t::a"}},
                   {"PASS_TO_PASS", Json::array()},
                   {"log_parser", "parse_log_pytest"},
                   {"eval_script", ": '>>>>> Start Test Output'\n" + test + "\n: '>>>>> End Test Output'\n"}};
    rows_ += dump_json(row) + "\n";
    folder->write("rows.jsonl", rows_);
  }
  void predict(const std::vector<std::pair<std::string, std::string>>& patches) {
    std::string text;
    for (const auto& [id, patch] : patches)
      text += dump_json(Json{{"instance_id", id}, {"model_name_or_path", "m/x"}, {"model_patch", patch}}) + "\n";
    options_.run.predictions = folder->write("preds.jsonl", text);
  }

  Result<std::vector<EvalSummary>> evaluate() {
    lines_.clear();
    const EvalEnvironment environment{
        .scope = scope, .stop = *stop, .spawner = spawner.get(), .say = [this](std::string_view line) {
          lines_ += std::string(line) + "\n";
        }};
    return awm::evaluate(environment, options_);
  }
  EvalSummary evaluated() {
    auto summaries = evaluate();
    EXPECT_TRUE(summaries) << summaries.error();
    return summaries && !summaries->empty() ? std::move(summaries->front()) : EvalSummary{};
  }
  std::string error() {
    const auto summaries = evaluate();
    return summaries ? "no error" : summaries.error().message();
  }
  Json report() { return parse_json(testing::read_text(*folder / "out/m__x.r.json"), "report").value_or(Json()); }

  std::string commit_;
  std::string rows_;
  std::string lines_;
  EvalOptions options_;
};

TEST_F(EvalTest, JudgesWhatWasSubmittedAndOnlyWhatIsNew) {
  predict({{"o__n-1", std::string(gold)}, {"o__n-2", ""}});
  auto summary = evaluated();
  ASSERT_EQ(summary.results.size(), 2U);
  EXPECT_EQ(summary.results[0].outcome, RunReportOutcome::resolved);
  EXPECT_EQ(summary.results[1].outcome, RunReportOutcome::empty_patch);
  EXPECT_EQ(summary.sandbox, "local");
  EXPECT_EQ(report()["resolved_ids"], Json::array({"o__n-1"}));
  EXPECT_EQ(report()["empty_patch_ids"], Json::array({"o__n-2"}));
  EXPECT_TRUE(exists(*folder / "out/logs/run_evaluation/r/run.json"));

  // The same patch is not judged again, another is: "+2" for "+two".
  std::string useless(gold);
  useless.replace(useless.find("+two"), 4, "+2");
  predict({{"o__n-1", std::string(gold)}, {"o__n-2", useless}});
  summary = evaluated();
  EXPECT_TRUE(summary.results[0].skipped);
  EXPECT_EQ(summary.results[0].outcome, RunReportOutcome::resolved);
  EXPECT_FALSE(summary.results[1].skipped);
  EXPECT_EQ(summary.results[1].outcome, RunReportOutcome::unresolved);
  predict({{"o__n-1", useless}, {"o__n-2", useless}});
  summary = evaluated();
  EXPECT_FALSE(summary.results[0].skipped);
  EXPECT_TRUE(summary.results[1].skipped);
  EXPECT_EQ(report()["resolved_instances"], 0);

  // And so it is when the row's tests changed.
  rows_.clear();
  add_row("o__n-1", "o/n", "echo PASSED t::a");
  add_row("o__n-2");
  summary = evaluated();
  EXPECT_EQ(summary.results[0].outcome, RunReportOutcome::resolved);

  options_.regrade = "r";
  options_.run.predictions.clear();
  summary = evaluated();
  EXPECT_EQ(summary.regraded, 2U);
  EXPECT_EQ(report()["resolved_ids"], Json::array({"o__n-1"}));
}

TEST_F(EvalTest, GoldPatchesTellWhatThisHostCannotJudge) {
  add_row("o__n-3", "o/n", "echo FAILED t::a; false");
  options_.gold = true;
  auto summary = evaluated();
  EXPECT_EQ(summary.results[0].outcome, RunReportOutcome::resolved);
  EXPECT_EQ(summary.results[2].outcome, RunReportOutcome::unresolved);
  const std::string known = *folder / "out/logs/run_evaluation/r/known_bad.json";
  const auto bad = parse_json(testing::read_text(known), known);
  ASSERT_TRUE(bad) << bad.error();
  ASSERT_EQ((*bad)["known_bad"].size(), 1U);
  EXPECT_TRUE((*bad)["known_bad"].contains("o__n-3"));

  options_.known_bad = known;
  options_.run.run_id = "again";
  summary = evaluated();
  EXPECT_FALSE(summary.results[0].known_bad);
  EXPECT_TRUE(summary.results[2].known_bad);
  EXPECT_THAT(eval_text(summary), HasSubstr("1 of those not resolved are known to fail on this host"));
}

TEST_F(EvalTest, VerdictsThatDifferAreCalledFlaky) {
  rows_.clear();
  // The second judgement finds what the first left in a folder of the host.
  host("mkdir -p shared; chmod 777 shared");
  options_.run.config_file =
      folder->write("config.toml", "[awm.sandbox]\nbind = [\"" + folder->path() + "/shared:/shared:rw\"]\n");
  add_row("o__n-1", "o/n",
          "if [ -e /shared/seen ]; then echo FAILED t::a; false; else touch /shared/seen; echo PASSED t::a; fi");
  predict({{"o__n-1", std::string(gold)}});
  options_.repeat = 2;
  const auto summary = evaluated();
  EXPECT_THAT(summary.results[0].verdicts, ElementsAre("passed", "tests_failed"));
  EXPECT_TRUE(summary.results[0].flaky());
  EXPECT_EQ(summary.results[0].outcome, RunReportOutcome::resolved);
  EXPECT_THAT(eval_text(summary), HasSubstr("1 are FLAKY"));
}

TEST_F(EvalTest, WhatIsNotThePatchsFaultIsTriedAgainAndThenAnError) {
  add_row("o__n-4", "o/none");
  predict({{"o__n-1", std::string(gold)}, {"o__n-4", std::string(gold)}});
  options_.infra_retries = 1;
  const auto summary = evaluated();
  EXPECT_EQ(summary.results[0].outcome, RunReportOutcome::resolved);
  EXPECT_EQ(summary.results[1].outcome, RunReportOutcome::incomplete);
  EXPECT_EQ(summary.results[2].outcome, RunReportOutcome::error);
  EXPECT_EQ(summary.results[2].error_class, "not_found");
  EXPECT_EQ(summary.results[2].tries, 2);
  EXPECT_THAT(summary.results[2].message, HasSubstr("o/none"));
  EXPECT_EQ(report()["error_ids"], Json::array({"o__n-4"}));
  EXPECT_EQ(report()["incomplete_ids"], Json::array({"o__n-2"}));
}

TEST_F(EvalTest, MistakesAreToldBeforeAnythingRuns) {
  EXPECT_THAT(error(), HasSubstr("no patches are named"));
  predict({{"o__n-9", std::string(gold)}});
  EXPECT_THAT(error(), ::testing::AllOf(HasSubstr("1 predictions are for no row of the data set: o__n-9"),
                                        HasSubstr("did you mean o__n-")));
  options_.gold = true;
  EXPECT_THAT(error(), HasSubstr("--gold: it excludes --predictions"));
  options_.gold = false;
  options_.run.run_id = "../x";
  EXPECT_THAT(error(), HasSubstr("it is to be the name of a folder"));
  options_.run.run_id = "r";
  options_.run.predictions =
      folder->write("p.jsonl", R"({"instance_id": "o__n-1", "model_name_or_path": "a", "model_patch": "x"})"
                               "\n"
                               R"({"instance_id": "o__n-2", "model_name_or_path": "b", "model_patch": "x"})");
  EXPECT_THAT(error(), HasSubstr("judge one model's predictions at a time"));
  EXPECT_FALSE(exists(*folder / "out/logs"));
}

}  // namespace
}  // namespace awm
