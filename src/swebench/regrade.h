// Judgements that a run's folders already hold: known by what was judged, and graded again from their logs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/stop.h"
#include "swebench/grading.h"
#include "swebench/judge.h"
#include "swebench/prediction.h"
#include "swebench/report.h"
#include "swebench/row.h"

namespace awm {

struct EarlierJudgement {
  JudgeVerdict verdict = JudgeVerdict::tests_failed;
  std::string summary;
  std::string sandbox_kind;
  Seconds timeout{0};  // that it was judged under
  std::vector<std::string> flags;
};

// What the folder's awm.json says of a verdict on exactly this patch of exactly this row; nullopt where it says
// nothing, something else, an error, or where the report.json of the verdict is gone.
std::optional<EarlierJudgement> earlier_judgement(const std::string& log_folder, const std::string& patch_sha256,
                                                  const std::string& row_sha256);

struct RegradeSettings {
  std::string output_dir = ".";
  std::string run_id;
  LogFormat format = LogFormat::v2;
  std::size_t workers = 2;  // threads
};

struct Regraded {
  std::string model;  // as in the predictions; as the folder is named, without them
  std::vector<RunReportEntry> entries;
  std::size_t graded = 0;       // report.json files written
  std::vector<Error> problems;  // logs that could not be graded: no verdict
};

// Grades every test_output.txt below output_dir/logs/run_evaluation/RUN_ID again and writes its report.json; no sandbox
// is made. With predictions, theirs alone, by their models; without, one result for each model's folder, and the rows
// that have no folder there are incomplete. A row that has no log keeps the report it has. Errors: not_found for the
// run.
Result<std::vector<Regraded>> regrade(const Scope& scope, const Stop& stop, const std::vector<Row>& rows,
                                      const std::vector<Prediction>* predictions, const RegradeSettings& settings);

}  // namespace awm
