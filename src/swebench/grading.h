// From a test log to a report: which of a row's tests failed and passed, and whether the patch resolved it.
//
// Rules, markers and keys: SWE-bench 5.0.2, harness/grading.py and harness/infra_failure.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "swebench/row.h"

namespace awm {

enum class LogFormat {
  v2,  // since 2024-06: the tests' output stands between two markers
  v1,  // before: a log of steps, without markers around the tests
};

struct TestList {
  std::vector<std::string> success;
  std::vector<std::string> failure;
};

// What a log says about a row. The report's keys are those of the reference.
struct Grade {
  bool resolved = false;
  bool log_found = false;      // the log describes a test run: "patch_successfully_applied"
  bool infra_failure = false;  // an environment's fault is likely; advice only
  std::string failure_reason;  // "missing_module", …; "" none
  std::string why;             // for people, where log_found is false or tests failed
  TestList fail_to_pass;
  TestList pass_to_pass;

  // Beyond the reference.
  std::optional<int64_t> test_exit_code;
  std::size_t start_markers = 0;  // as often as the log has them: more than the script prints were printed by tests
  std::size_t end_markers = 0;
  std::size_t exit_markers = 0;
  std::size_t tests_seen = 0;  // names in the status map
};

// Grades the log in the file. Bytes that are not UTF-8 count as U+FFFD, "\r\n" and "\r" as "\n", as Python reads a
// file. Errors: invalid_input for a row without tests, an unknown parser; not_found, io for the file.
Result<Grade> grade_log_file(const Row& row, const std::string& path, LogFormat format = LogFormat::v2);
// The same from text.
Result<Grade> grade_log(const Row& row, std::string_view log, LogFormat format = LogFormat::v2);

// {ID: {patch_is_None, patch_exists, patch_successfully_applied, resolved, infra_failure, …}}: a report.json. Without a
// grade: that of a patch that is null.
Json report_json(const std::string& instance_id, const Grade* grade);

// Why a run without results probably failed: (reason, environment's fault). nullopt: no sign is in the text.
struct FailureSign {
  std::string reason;
  bool environment = false;  // false: it may be the patch's as well
};
std::optional<FailureSign> classify_log(std::string_view text);
// Of files that may be absent, read one after the other.
std::optional<FailureSign> classify_log_files(const std::vector<std::string>& paths);

// The parser of a row: its column, else its repository's. Errors: invalid_input naming near ones.
Result<std::string> parser_of(const Row& row);

}  // namespace awm
