// Judging predictions: what `awm eval` does once its command line is read.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "run/options.h"
#include "swebench/judge.h"
#include "swebench/report.h"

namespace awm {

struct EvalOptions {
  // Rows and how sandboxes are made: datasets, split, repo_filter, instances, limit, shuffle_seed, config_file,
  // sandbox, image, image_template, platform, repos, repo, env_setup, eval_timeout, workers, output_dir (of logs/),
  // run_id and the predictions' file are taken from it.
  RunOptions run;
  bool gold = false;
  std::string report_dir;  // of MODEL.RUN.json; "" : output_dir
  std::string regrade;     // a run's id: grade its logs again, judge nothing
  LogFormat log_format = LogFormat::v2;
  int infra_retries = 2;  // fresh tries after an error that is not the patch's
  int repeat = 1;         // judgements of each sample
  std::string known_bad;  // file of instances that fail on this host whatever the patch
};

// What one sample came to.
struct EvalResult {
  std::string instance_id;
  RunReportOutcome outcome = RunReportOutcome::incomplete;
  std::optional<JudgeVerdict> verdict;  // unset: an error, or nothing was submitted
  std::string message;                  // for people
  std::string error_class;              // of an error
  std::vector<std::string> flags;
  std::vector<std::string> verdicts;  // of each repetition
  std::vector<std::string> release_errors;
  int tries = 0;         // sandboxes that were made for it
  bool skipped = false;  // judged by an earlier part of the run
  bool known_bad = false;
  double seconds = 0;
  [[nodiscard]] bool flaky() const;  // its repetitions differ
};

struct EvalSummary {
  std::string run_id;
  std::string model;
  std::string sandbox;              // the kind that judged; "" when regraded
  std::string report;               // path of the run report
  std::vector<EvalResult> results;  // in the order of the rows
  std::size_t regraded = 0;
  std::vector<Error> problems;  // of regrading
  bool stopped = false;
  double seconds = 0;
};

struct EvalEnvironment {
  const Scope& scope;
  Stop& stop;
  Spawner* spawner = nullptr;                 // null when only regrading
  std::function<void(std::string_view)> say;  // a line an event, for people
};

// Judges, or grades again, and writes the reports. A sample judged before in this run, of the same patch, row and kind
// of sandbox, is not judged again. One summary a model. Errors: what keeps it from beginning: options, data,
// predictions for rows that are not in the data set, no sandbox.
Result<std::vector<EvalSummary>> evaluate(const EvalEnvironment& environment, const EvalOptions& options);

// For people: counts, what failed and why.
std::string eval_text(const EvalSummary& summary);

}  // namespace awm
