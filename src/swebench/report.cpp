#include "swebench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/deadline.h"
#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "swebench/grading.h"

namespace awm {

std::string model_file_name(const std::string& model_name) {
  return replace_all(model_name, "/", "__");
}

std::string run_log_folder(const std::string& output_dir, const std::string& run_id, const std::string& model_name,
                           const std::string& instance_id) {
  return join_path(output_dir,
                   fmt::format("logs/run_evaluation/{}/{}/{}", run_id, model_file_name(model_name), instance_id));
}

Json run_report(const std::string& output_dir, const std::string& model_name, const std::string& run_id,
                const std::vector<RunReportEntry>& entries) {
  using Ids = std::set<std::string>;
  Ids submitted;
  Ids completed;
  Ids resolved;
  Ids unresolved;
  Ids infra;
  Ids ambiguous;
  Ids empty;
  Ids errors;
  Ids incomplete;
  std::map<std::string, std::string> reasons;
  std::size_t total = 0;
  for (const auto& entry : entries) {
    const auto& id = entry.instance_id;
    if (entry.in_dataset) ++total;
    if (entry.outcome == RunReportOutcome::incomplete) {
      incomplete.insert(id);
      continue;
    }
    submitted.insert(id);
    if (!entry.in_dataset) continue;
    switch (entry.outcome) {
      case RunReportOutcome::resolved:
        completed.insert(id);
        resolved.insert(id);
        continue;
      case RunReportOutcome::empty_patch:
        empty.insert(id);
        continue;
      case RunReportOutcome::unresolved:
        completed.insert(id);
        unresolved.insert(id);
        break;
      default:
        errors.insert(id);
        break;
    }
    const std::string folder = run_log_folder(output_dir, run_id, model_name, id);
    if (const auto sign =
            classify_log_files({join_path(folder, "test_output.txt"), join_path(folder, "run_instance.log")})) {
      reasons[id] = sign->reason;
      (sign->environment ? infra : ambiguous).insert(id);
    }
  }
  return Json{{"total_instances", total},
              {"submitted_instances", submitted.size()},
              {"completed_instances", completed.size()},
              {"resolved_instances", resolved.size()},
              {"unresolved_instances", unresolved.size()},
              {"infra_failure_instances", infra.size()},
              {"ambiguous_failure_instances", ambiguous.size()},
              {"empty_patch_instances", empty.size()},
              {"error_instances", errors.size()},
              {"completed_ids", completed},
              {"incomplete_ids", incomplete},
              {"empty_patch_ids", empty},
              {"submitted_ids", submitted},
              {"resolved_ids", resolved},
              {"unresolved_ids", unresolved},
              {"infra_failure_ids", infra},
              {"ambiguous_failure_ids", ambiguous},
              {"failure_reasons", reasons.empty() ? Json::object() : Json(reasons)},
              {"error_ids", errors},
              {"schema_version", 2}};
}

Result<void> write_run_report(const std::string& output_dir, const std::string& model_name, const std::string& run_id,
                              const std::vector<RunReportEntry>& entries) {
  AWM_CHECK(make_folders(output_dir));
  const std::string path = join_path(output_dir, fmt::format("{}.{}.json", model_file_name(model_name), run_id));
  return write_file(path, dump_json(run_report(output_dir, model_name, run_id, entries), 4) + "\n");
}

Result<void> write_run_metadata(const std::string& output_dir, const std::string& run_id, const std::string& dataset,
                                const std::string& split) {
  const std::string folder = join_path(output_dir, "logs/run_evaluation/" + run_id);
  AWM_CHECK(make_folders(folder));
  // As datetime.isoformat(timespec="seconds") in UTC.
  constexpr std::size_t seconds_end = 19;
  const Json json{{"dataset", dataset},
                  {"split", split},
                  {"task_repo", nullptr},
                  {"created_at", iso_time().substr(0, seconds_end) + "+00:00"}};
  return write_file(join_path(folder, "run.json"), dump_json(json, 2) + "\n");
}

}  // namespace awm
