// Reports on a whole run, as SWE-bench 5.0.2's reporting.py writes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

enum class RunReportOutcome {
  resolved,
  unresolved,   // judged: a report.json was written
  empty_patch,  // null or ""
  error,        // submitted, and no report: the patch did not apply, time-out, no verdict
  incomplete,   // nothing was submitted for the row
};

struct RunReportEntry {
  std::string instance_id;
  RunReportOutcome outcome = RunReportOutcome::incomplete;
  std::string reason;      // for people; not in the report
  bool in_dataset = true;  // false: a prediction for no chosen row; it counts as submitted only
};

// "a/b" → "a__b": a model's name in paths.
std::string model_file_name(const std::string& model_name);
// output_dir/logs/run_evaluation/RUN/MODEL/ID.
std::string run_log_folder(const std::string& output_dir, const std::string& run_id, const std::string& model_name,
                           const std::string& instance_id);

// The report's keys and values, schema_version 2. Why unresolved and erroneous samples failed is read from their logs
// below output_dir.
Json run_report(const std::string& output_dir, const std::string& model_name, const std::string& run_id,
                const std::vector<RunReportEntry>& entries);
// Writes it as output_dir/MODEL.RUN.json. Errors: io, exhausted.
Result<void> write_run_report(const std::string& output_dir, const std::string& model_name, const std::string& run_id,
                              const std::vector<RunReportEntry>& entries);

// logs/run_evaluation/RUN/run.json: what the run was graded against.
Result<void> write_run_metadata(const std::string& output_dir, const std::string& run_id, const std::string& dataset,
                                const std::string& split);

}  // namespace awm
