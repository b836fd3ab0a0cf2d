#include "swebench/regrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/thread.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

// One sample's folder, to be graded.
struct Work {
  const Row* row = nullptr;
  std::string folder;
  bool null_patch = false;
  RunReportEntry entry;
  bool graded = false;
  std::optional<Error> problem;
};

// The outcome that a report.json tells; error where there is none, or it is none.
RunReportOutcome outcome_of_report(const Row& row, const std::string& path) {
  const auto text = read_file(path);
  if (!text) return RunReportOutcome::error;
  const auto report = parse_json(*text, path);
  if (!report) return RunReportOutcome::error;
  const Json* mine = find_member(*report, row.instance_id);
  const auto resolved = mine == nullptr ? std::nullopt : get_bool(*mine, "resolved");
  if (!resolved) return RunReportOutcome::error;
  return *resolved ? RunReportOutcome::resolved : RunReportOutcome::unresolved;
}

void grade_again(Work& work, LogFormat format) {
  const std::string log = join_path(work.folder, "test_output.txt");
  const std::string report = join_path(work.folder, "report.json");
  if (!exists(log)) {
    work.entry.outcome = outcome_of_report(*work.row, report);
    return;
  }
  work.entry.outcome = RunReportOutcome::error;
  auto grade = is_task_folder(*work.row) ? grade_reward(work.folder) : grade_log_file(*work.row, log, format);
  if (!grade) {
    work.problem = std::move(grade).error();
    return;
  }
  if (auto written =
          write_file(report, dump_json(report_json(work.row->instance_id, work.null_patch ? nullptr : &*grade), 4));
      !written) {
    work.problem = std::move(written).error();
    return;
  }
  work.graded = true;
  work.entry.outcome = grade->resolved && !work.null_patch ? RunReportOutcome::resolved : RunReportOutcome::unresolved;
  work.entry.reason = grade->why;
}

Result<void> work_all(const Scope& scope, const Stop& stop, std::vector<Work>& all, const RegradeSettings& settings) {
  std::atomic<std::size_t> next = 0;
  const auto body = [&] {
    for (std::size_t i = next++; i < all.size() && !stop.draining(); i = next++) {
      if (all[i].entry.outcome == RunReportOutcome::error) grade_again(all[i], settings.format);
    }
  };
  std::vector<Thread> threads;
  const std::size_t others = std::min(settings.workers, all.size());
  for (std::size_t i = 1; i < others; ++i) {
    auto thread = Thread::start(scope, "regrade", body);
    if (!thread) break;  // fewer do as well
    threads.push_back(*std::move(thread));
  }
  body();
  threads.clear();
  if (stop.draining()) return std::unexpected(stopped_error("regrade", settings.run_id));
  return {};
}

}  // namespace

std::optional<EarlierJudgement> earlier_judgement(const std::string& log_folder, const std::string& patch_sha256,
                                                  const std::string& row_sha256) {
  const std::string path = join_path(log_folder, "awm.json");
  if (!exists(path)) return std::nullopt;
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  const auto json = parse_json(*text, path);
  if (!json || string_or(*json, "patch_sha256", "") != patch_sha256 || string_or(*json, "row_sha256", "") != row_sha256)
    return std::nullopt;
  EarlierJudgement earlier;
  const auto verdict = string_or(*json, "verdict", "error");
  bool known = false;
  for (const auto one : {JudgeVerdict::passed, JudgeVerdict::tests_failed, JudgeVerdict::patch_failed,
                         JudgeVerdict::empty_patch, JudgeVerdict::timed_out}) {
    if (to_string(one) != verdict) continue;
    earlier.verdict = one;
    known = true;
  }
  if (!known) return std::nullopt;
  const bool reported = earlier.verdict == JudgeVerdict::passed || earlier.verdict == JudgeVerdict::tests_failed;
  if (reported && !exists(join_path(log_folder, "report.json"))) return std::nullopt;
  earlier.summary = string_or(*json, "summary", "");
  if (const Json* sandbox = find_member(*json, "sandbox")) earlier.sandbox_kind = string_or(*sandbox, "kind", "");
  earlier.timeout = Seconds(get_number(*json, "timeout_seconds").value_or(0));
  if (const Json* flags = find_member(*json, "flags"); flags != nullptr && flags->is_array()) {
    for (const auto& flag : *flags) {
      if (flag.is_string()) earlier.flags.push_back(flag.get<std::string>());
    }
  }
  return earlier;
}

Result<std::vector<Regraded>> regrade(const Scope& scope, const Stop& stop, const std::vector<Row>& rows,
                                      const std::vector<Prediction>* predictions, const RegradeSettings& settings) {
  const std::string run = join_path(settings.output_dir, "logs/run_evaluation/" + settings.run_id);
  if (!is_folder(run)) {
    return fail(Errc::not_found, "regrade", settings.run_id, "there is no folder " + run,
                "name a run below logs/run_evaluation, and --output-dir where that is");
  }
  // Model → its predictions; without predictions, by the folders.
  std::map<std::string, std::map<std::string, const Prediction*>> models;
  if (predictions != nullptr) {
    for (const auto& prediction : *predictions) models[prediction.model][prediction.instance_id] = &prediction;
  } else {
    AWM_TRY(const auto names, sys::list_folder(run));
    for (const auto& name : names) {
      if (is_folder(join_path(run, name))) models[name];
    }
  }
  std::vector<Regraded> results;
  std::vector<Work> all;
  std::vector<std::size_t> ends;
  for (const auto& [model, given] : models) {
    for (const auto& row : rows) {
      Work work{.row = &row,
                .folder = run_log_folder(settings.output_dir, settings.run_id, model, row.instance_id),
                .entry = {.instance_id = row.instance_id}};
      if (predictions != nullptr) {
        const auto found = given.find(row.instance_id);
        if (found != given.end()) {
          work.null_patch = !found->second->patch;
          work.entry.outcome =
              found->second->patch.value_or("").empty() ? RunReportOutcome::empty_patch : RunReportOutcome::error;
        }
      } else if (is_folder(work.folder)) {
        const auto patch = sys::stat(join_path(work.folder, "patch.diff"));
        work.entry.outcome = patch && patch->size == 0 ? RunReportOutcome::empty_patch : RunReportOutcome::error;
      }
      all.push_back(std::move(work));
    }
    ends.push_back(all.size());
    results.push_back({.model = model});
  }
  AWM_CHECK(work_all(scope, stop, all, settings));
  std::size_t at = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (; at < ends[i]; ++at) {
      results[i].graded += all[at].graded ? 1 : 0;
      if (all[at].problem) results[i].problems.push_back(*std::move(all[at].problem));
      results[i].entries.push_back(std::move(all[at].entry));
    }
    if (predictions == nullptr) continue;
    for (const auto& [id, prediction] : models[results[i].model]) {
      const bool chosen = std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.instance_id == id; });
      if (!chosen)
        results[i].entries.push_back({.instance_id = id, .outcome = RunReportOutcome::error, .in_dataset = false});
    }
  }
  return results;
}

}  // namespace awm
