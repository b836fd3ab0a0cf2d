// Judging a patch: applied in a fresh sandbox, the row's tests run, the log graded; as SWE-bench 5.0.2's
// run_evaluation.py does it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "sandbox/sandbox.h"
#include "swebench/grading.h"
#include "swebench/patch.h"
#include "swebench/row.h"

namespace awm {

enum class JudgeVerdict {
  passed,        // resolved
  tests_failed,  // the tests ran, or the log shows that they did not; not resolved
  patch_failed,  // the patch applies in none of the ways
  empty_patch,
  timed_out,  // the tests ran longer than allowed
};
std::string_view to_string(JudgeVerdict verdict);

struct JudgeSettings {
  Seconds timeout{1800};   // for the tests, from their start
  std::string model_name;  // for awm.json
  std::string log_folder;  // gets patch.diff, eval.sh, test_output.txt, run_instance.log, report.json, awm.json
  int attempt = 1;         // for awm.json: which try of the judge's it is
  // The bytes of one of the row's image_assets; unset: rows that have some are refused.
  std::function<Result<std::string>(const std::string& path, const std::string& url)> fetch_asset;
};

struct Judgement {
  JudgeVerdict verdict = JudgeVerdict::tests_failed;
  std::string summary;             // a line for people
  Grade grade;                     // meaningful for passed and tests_failed
  std::vector<std::string> flags;  // what a person should look at: "edits_tests", "prints_markers", …
  Seconds test_duration{0};
};

// Judges in a connected sandbox that nothing ran in before. Memory is bounded whatever the log's size; the log is
// streamed to test_output.txt. What the folder held of an earlier try is replaced. Errors, with no verdict: what is not
// the patch's fault: the sandbox's own (lost, closed, stopped), git or bash missing, no repository in /testbed, its
// clean-up failing, disk or memory exhausted, a row without what judging needs.
Result<Judgement> judge_patch(Sandbox& sandbox, const Row& row, std::string_view patch, const JudgeSettings& settings);

}  // namespace awm
