#include "run/eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/log.h"
#include "os/thread.h"
#include "run/budget.h"
#include "run/datasets.h"
#include "run/plan.h"
#include "run/sandboxes.h"
#include "swebench/eval_script.h"
#include "swebench/prediction.h"
#include "swebench/regrade.h"
#include "swebench/row.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

constexpr Seconds connect_limit{3600};  // an image may have to be pulled

// Errors that another try may not meet. What the person gave, or asked for, stays as it is.
bool worth_a_retry(const Error& error) {
  switch (error.code) {
    case Errc::invalid_input:
    case Errc::unsupported:
    case Errc::stopped:
    case Errc::closed:
    case Errc::permission:
    case Errc::internal:
      return false;
    default:
      return true;
  }
}

RunReportOutcome outcome_of(JudgeVerdict verdict) {
  switch (verdict) {
    case JudgeVerdict::passed:
      return RunReportOutcome::resolved;
    case JudgeVerdict::tests_failed:
      return RunReportOutcome::unresolved;
    case JudgeVerdict::empty_patch:
      return RunReportOutcome::empty_patch;
    default:
      return RunReportOutcome::error;  // as the reference counts what has no report.json
  }
}

// Ids in a file of lines, a JSON list, or the known_bad.json of a run of gold patches.
Result<std::set<std::string>> read_known_bad(const std::string& path) {
  std::set<std::string> ids;
  AWM_TRY(const std::string text, read_file(path, uint64_t{16} << 20));
  const auto bare = trim(text);
  if (bare.starts_with('{') || bare.starts_with('[')) {
    AWM_TRY(const Json json, parse_json(text, path));
    const Json* list = json.is_array() ? &json : find_member(json, "known_bad");
    if (list == nullptr || !(list->is_array() || list->is_object())) {
      return fail(Errc::invalid_input, "read", path, "it has neither a list of ids nor a known_bad of them");
    }
    if (list->is_object()) {
      for (const auto& [id, reason] : list->items()) ids.insert(id);
      return ids;
    }
    for (const auto& id : *list) {
      if (!id.is_string()) return fail(Errc::invalid_input, "read", path, "each id must be a string");
      ids.insert(id.get<std::string>());
    }
    return ids;
  }
  for (const auto line : split_lines(text)) {
    if (const auto id = trim(line); !id.empty() && !id.starts_with('#')) ids.emplace(id);
  }
  return ids;
}

// A row and what is to be judged of it.
struct Task {
  const Row* row = nullptr;
  std::optional<std::string> patch;
  bool submitted = false;
  bool solve = false;  // the patch is what the task's own solution makes
};

class Evaluation {
 public:
  Evaluation(const EvalEnvironment& environment, const EvalOptions& options)
      : env_(environment), options_(options), scope_(environment.scope.child("eval")) {}

  Result<std::vector<EvalSummary>> go() {
    const auto began = Clock::now();
    AWM_CHECK(check_options());
    std::vector<EvalSummary> summaries;
    if (!options_.regrade.empty()) {
      AWM_TRY(summaries, grade_again());
    } else {
      AWM_TRY(summaries, judge_all());
    }
    for (auto& summary : summaries) summary.seconds = Seconds(Clock::now() - began).count();
    return summaries;
  }

 private:
  // --- what is to be done
  Result<void> check_options() {
    if (options_.run.datasets.empty())
      return fail(Errc::invalid_input, "evaluate", "", "no data set is named",
                  "name a .jsonl or .json file of SWE-bench rows, or lite, verified, …");
    const bool named = !options_.run.predictions.empty();
    if (options_.gold && named)
      return fail(Errc::invalid_input, "use", "--gold", "it excludes --predictions", "leave one of them out");
    if (options_.regrade.empty() && !options_.gold && !named) {
      return fail(Errc::invalid_input, "evaluate", "", "no patches are named",
                  "add -p FILE with predictions, --gold, or --regrade RUN");
    }
    if (options_.run.workers < 1 || options_.repeat < 1 || options_.infra_retries < 0) {
      return fail(Errc::invalid_input, "use", "--workers, --repeat, --infra-retries", "at least 1, 1 and 0 make sense");
    }
    for (const auto& name : {options_.run.run_id, options_.regrade}) {
      if (name.find('/') != std::string::npos || name == "." || name == "..") {
        return fail(Errc::invalid_input, "use", "run id " + name, "it is to be the name of a folder");
      }
    }
    AWM_TRY(output_dir_, absolute_path(options_.run.output_dir.empty() ? "." : options_.run.output_dir));
    report_dir_ = output_dir_;
    if (!options_.report_dir.empty()) {
      AWM_TRY(report_dir_, absolute_path(options_.report_dir));
    }
    if (!options_.known_bad.empty()) {
      AWM_TRY(known_bad_, read_known_bad(options_.known_bad));
    }
    return {};
  }

  // All rows are read, so that a prediction for a row that was not chosen is told from one for no row.
  Result<void> choose(std::vector<Row> all) {
    for (const auto& row : all) dataset_ids_.insert(row.instance_id);
    const RowFilter filter{.repo = options_.run.repo_filter,
                           .instances = options_.run.instances,
                           .limit = options_.run.limit,
                           .shuffle_seed = options_.run.shuffle_seed};
    AWM_TRY(rows_, filter_rows(std::move(all), filter));
    if (rows_.empty())
      return fail(Errc::invalid_input, "choose from", join(options_.run.datasets, ", "),
                  "no row is left after the filters");
    return {};
  }

  Result<void> read_given() {
    if (options_.run.predictions.empty()) return {};
    AWM_TRY(predictions_, read_predictions(options_.run.predictions));
    std::vector<std::string> strangers;
    for (const auto& prediction : predictions_) {
      if (!dataset_ids_.contains(prediction.instance_id)) strangers.push_back(prediction.instance_id);
    }
    if (strangers.empty()) return {};
    const std::vector<std::string> known(dataset_ids_.begin(), dataset_ids_.end());
    const auto near = nearest_word(strangers.front(), known);
    constexpr std::size_t enough = 5;
    const std::size_t count = strangers.size();
    if (count > enough) strangers.resize(enough);
    return fail(Errc::invalid_input, "judge", options_.run.predictions,
                fmt::format("{} predictions are for no row of the data set: {}{}", count, join(strangers, ", "),
                            count > enough ? ", …" : ""),
                near.empty() ? "" : "did you mean " + near + "?");
  }

  // --- grading saved logs
  Result<std::vector<EvalSummary>> grade_again() {
    DatasetRequest request{.datasets = options_.run.datasets, .split = options_.run.split, .revisions = {}};
    for (auto& dataset : request.datasets) {
      AWM_TRY(dataset, dataset_name(dataset));
    }
    AWM_TRY(auto all, read_datasets(scope_.child("datasets"), env_.stop, request));
    AWM_CHECK(choose(std::move(all.rows)));
    AWM_CHECK(read_given());
    const RegradeSettings settings{.output_dir = output_dir_,
                                   .run_id = options_.regrade,
                                   .format = options_.log_format,
                                   .workers = static_cast<std::size_t>(options_.run.workers)};
    AWM_TRY(auto models, regrade(scope_, env_.stop, rows_, predictions_.empty() ? nullptr : &predictions_, settings));
    std::vector<EvalSummary> summaries;
    for (auto& model : models) {
      EvalSummary summary{.run_id = options_.regrade,
                          .model = model.model,
                          .regraded = model.graded,
                          .problems = std::move(model.problems)};
      AWM_CHECK(report(summary, model.entries));
      for (auto& entry : model.entries) {
        if (entry.in_dataset)
          summary.results.push_back({.instance_id = entry.instance_id,
                                     .outcome = entry.outcome,
                                     .message = std::move(entry.reason),
                                     .known_bad = known_bad_.contains(entry.instance_id)});
      }
      summaries.push_back(std::move(summary));
    }
    return summaries;
  }

  // --- judging
  Result<std::vector<EvalSummary>> judge_all() {
    RunOptions run = options_.run;
    run.gold = true;  // no model is asked: none has to be configured
    run.predictions.clear();
    run.memory = "off";
    run.output_dir = output_dir_;
    run.instances.clear();
    run.repo_filter.clear();
    run.limit = 0;
    run.shuffle_seed.reset();
    if (run.run_id.empty()) run.run_id = run_id_of_now();
    std::vector<std::string> given{"sandbox", "output-dir", "eval-timeout"};
    if (!run.repos.empty()) given.emplace_back("repos");
    if (!run.env_setup.empty()) given.emplace_back("env-setup");
    AWM_TRY(plan_, make_plan(scope_, env_.stop, run, given));
    AWM_CHECK(choose(std::move(plan_.rows)));
    AWM_CHECK(read_given());
    AWM_CHECK(make_tasks());
    for (const auto& task : tasks_) {
      if (task.submitted && (task.solve || !task.patch.value_or("").empty())) AWM_CHECK(check_judgeable(*task.row));
    }
    AWM_TRY(const auto budget, fit_workers(plan_.options.workers, "evaluate"));
    plan_.options.workers = budget.workers;
    const SandboxNews news{.say =
                               [this](std::string_view line) {
                                 const std::lock_guard lock(say_mutex_);
                                 if (env_.say) env_.say(line);
                               },
                           .status = {}};
    AWM_TRY(sandboxes_, Sandboxes::open(scope_, plan_, *env_.spawner, env_.stop, news));
    AWM_CHECK(write_run_metadata(output_dir_, plan_.options.run_id, join(dataset_titles(), ","), options_.run.split));
    results_.resize(tasks_.size());
    std::vector<const Row*> rows;
    for (const auto& task : tasks_) {
      if (needs_sandbox(task)) rows.push_back(task.row);
    }
    sandboxes_->expect(rows);
    work_all();

    EvalSummary summary{.run_id = plan_.options.run_id,
                        .model = model_,
                        .sandbox = plan_.options.sandbox,
                        .stopped = env_.stop.draining()};
    std::vector<RunReportEntry> entries;
    entries.reserve(results_.size());
    for (const auto& result : results_)
      entries.push_back({.instance_id = result.instance_id, .outcome = result.outcome, .reason = result.message});
    const std::set<std::string> chosen = ids_of_tasks();
    for (const auto& prediction : predictions_) {
      if (!chosen.contains(prediction.instance_id))
        entries.push_back(
            {.instance_id = prediction.instance_id, .outcome = RunReportOutcome::error, .in_dataset = false});
    }
    AWM_CHECK(report(summary, entries));
    AWM_CHECK(write_what_we_know());
    summary.results = std::move(results_);
    sandboxes_.reset();
    std::vector<EvalSummary> summaries;
    summaries.push_back(std::move(summary));
    return summaries;
  }

  // As the person named them, short names spelt out.
  [[nodiscard]] std::vector<std::string> dataset_titles() const {
    auto titles = options_.run.datasets;
    for (std::size_t i = 0; i < titles.size(); ++i) {
      if (const auto& known = plan_.options.datasets[i]; !known.starts_with('/')) titles[i] = known;
    }
    return titles;
  }

  [[nodiscard]] std::set<std::string> ids_of_tasks() const {
    std::set<std::string> ids;
    for (const auto& task : tasks_) ids.insert(task.row->instance_id);
    return ids;
  }

  Result<void> make_tasks() {
    std::map<std::string, const Prediction*> by_id;
    for (const auto& prediction : predictions_) {
      by_id[prediction.instance_id] = &prediction;
      if (model_.empty()) model_ = prediction.model;
      if (prediction.model != model_) {
        return fail(Errc::invalid_input, "judge", prediction.origin,
                    fmt::format("its model is {}, and those before are {}'s", prediction.model, model_),
                    "judge one model's predictions at a time");
      }
    }
    if (options_.gold) model_ = "gold";
    if (model_.empty()) model_ = "None";  // what the reference calls it
    for (const auto& row : rows_) {
      Task task{.row = &row};
      if (options_.gold) {
        task.submitted = true;
        task.solve = is_task_folder(row);
        task.patch = row.patch;
      } else if (const auto found = by_id.find(row.instance_id); found != by_id.end()) {
        task.submitted = true;
        task.patch = found->second->patch;
      }
      tasks_.push_back(std::move(task));
    }
    return {};
  }

  void work_all() {
    std::atomic<std::size_t> next = 0;
    const auto body = [&](std::size_t worker) {
      const Scope scope = scope_.child("worker-" + std::to_string(worker));
      for (std::size_t i = next++; i < tasks_.size(); i = next++) {
        results_[i].instance_id = tasks_[i].row->instance_id;
        if (env_.stop.draining()) {
          // Begun by nobody: it runs when the same command is given again.
          if (tasks_[i].submitted) results_[i].outcome = RunReportOutcome::error;
          results_[i].message = "not judged: stopped";
          continue;
        }
        work(tasks_[i], results_[i], scope.child(results_[i].instance_id));
        sandboxes_->finished(*tasks_[i].row);
        tell(results_[i]);
      }
    };
    std::vector<Thread> threads;
    const std::size_t workers = std::min(static_cast<std::size_t>(plan_.options.workers), tasks_.size());
    for (std::size_t i = 1; i < workers; ++i) {
      auto thread = Thread::start(scope_, "judge", [&body, i] { body(i); });
      if (!thread) {
        log_warning(thread.error().message());
        break;
      }
      threads.push_back(*std::move(thread));
    }
    body(0);
    threads.clear();
  }

  void work(const Task& task, EvalResult& result, const Scope& scope) {
    const Row& row = *task.row;
    result.known_bad = known_bad_.contains(row.instance_id);
    if (!task.submitted) return;
    std::string patch = task.patch.value_or("");
    if (task.solve) {
      auto solved = solve(row, scope);
      if (!solved) {
        result.outcome = RunReportOutcome::error;
        result.message = solved.error().message();
        result.error_class = to_string(solved.error().code);
        return;
      }
      patch = *std::move(solved);
    }
    if (patch.empty()) {
      result.outcome = RunReportOutcome::empty_patch;
      result.verdict = JudgeVerdict::empty_patch;
      result.message = task.patch ? "the patch is empty" : "the patch is null";
      return;
    }
    const std::string folder = run_log_folder(output_dir_, plan_.options.run_id, model_, row.instance_id);
    if (skip(row, patch, folder, result)) return;
    const auto began = Clock::now();
    for (int i = 0; i < options_.repeat && (i == 0 || !env_.stop.draining()); ++i) {
      const std::string place = i == 0 ? folder : join_path(folder, fmt::format("repeat-{}", i + 1));
      auto judged = judge_with_retries(row, patch, place, result, scope);
      const std::string word = judged ? std::string(to_string(judged->verdict)) : "error";
      result.verdicts.push_back(word);
      if (i > 0) continue;  // the first is the verdict; the others tell whether it can be believed
      if (!judged) {
        result.outcome = RunReportOutcome::error;
        result.message = judged.error().message();
        result.error_class = to_string(judged.error().code);
        continue;
      }
      result.verdict = judged->verdict;
      result.outcome = outcome_of(judged->verdict);
      result.message = judged->summary;
      result.flags = judged->flags;
    }
    result.seconds = Seconds(Clock::now() - began).count();
  }

  [[nodiscard]] bool needs_sandbox(const Task& task) const {
    const std::string patch = task.patch.value_or("");
    if (task.submitted && task.solve) return true;
    if (!task.submitted || patch.empty()) return false;
    EvalResult earlier;
    const auto folder = run_log_folder(output_dir_, plan_.options.run_id, model_, task.row->instance_id);
    return !skip(*task.row, patch, folder, earlier);
  }

  // What the task's own solution changes, made where the judge judges: it may need the network.
  Result<std::string> solve(const Row& row, const Scope& scope) {
    for (int attempt = 1;; ++attempt) {
      auto patch = [&]() -> Result<std::string> {
        AWM_TRY(const std::unique_ptr<Sandbox> sandbox, sandboxes_->make(row, "judge", scope.child("solution")));
        auto made = [&]() -> Result<std::string> {
          AWM_CHECK(sandbox->connect(Deadline::in(connect_limit)));
          return patch_of_solution(*sandbox, row);
        }();
        for (const auto& problem : sandbox->close().problems) log_warning(row.instance_id + ": " + problem.message());
        return made;
      }();
      if (patch || attempt > options_.infra_retries || !worth_a_retry(patch.error()) || env_.stop.draining())
        return patch;
      log_warning(fmt::format("{}: {}; try {} of {}", row.instance_id, patch.error().message(), attempt + 1,
                              options_.infra_retries + 1));
    }
  }

  bool skip(const Row& row, const std::string& patch, const std::string& folder, EvalResult& result) const {
    if (options_.repeat > 1) return false;
    const auto earlier = earlier_judgement(folder, sha256_hex(patch), hash_of(row));
    if (!earlier || earlier->sandbox_kind != plan_.options.sandbox) return false;
    // A longer limit may let the tests end.
    if (earlier->verdict == JudgeVerdict::timed_out && earlier->timeout < Seconds(plan_.options.eval_timeout))
      return false;
    result.skipped = true;
    result.verdict = earlier->verdict;
    result.outcome = outcome_of(earlier->verdict);
    result.message = earlier->summary;
    result.flags = earlier->flags;
    return true;
  }

  Result<Judgement> judge_with_retries(const Row& row, const std::string& patch, const std::string& folder,
                                       EvalResult& result, const Scope& scope) {
    for (int attempt = 1;; ++attempt) {
      ++result.tries;
      auto judged = judge_once(row, patch, folder, attempt, result, scope);
      if (judged || attempt > options_.infra_retries || !worth_a_retry(judged.error()) || env_.stop.draining())
        return judged;
      log_warning(fmt::format("{}: {}; try {} of {}", row.instance_id, judged.error().message(), attempt + 1,
                              options_.infra_retries + 1));
    }
  }

  Result<Judgement> judge_once(const Row& row, const std::string& patch, const std::string& folder, int attempt,
                               EvalResult& result, const Scope& scope) {
    AWM_TRY(const std::unique_ptr<Sandbox> sandbox, sandboxes_->make(row, "judge", scope.child("sandbox")));
    const JudgeSettings settings{
        .timeout = Seconds(plan_.options.eval_timeout), .model_name = model_, .log_folder = folder, .attempt = attempt};
    auto judged = [&]() -> Result<Judgement> {
      AWM_CHECK(sandbox->connect(Deadline::in(connect_limit)));
      return judge_patch(*sandbox, row, patch, settings);
    }();
    // The verdict is on disk; what its sandbox cannot give back changes nothing of it.
    for (const auto& problem : sandbox->close().problems) {
      result.release_errors.push_back(problem.message());
      log_warning(row.instance_id + ": " + problem.message());
    }
    return judged;
  }

  void tell(const EvalResult& result) {
    const std::lock_guard lock(say_mutex_);
    ++told_;
    if (!env_.say || result.outcome == RunReportOutcome::incomplete) return;
    std::string_view word;
    switch (result.outcome) {
      case RunReportOutcome::resolved:
        word = "resolved";
        break;
      case RunReportOutcome::unresolved:
        word = "NOT resolved";
        break;
      case RunReportOutcome::empty_patch:
        word = "empty patch";
        break;
      default:
        word = result.verdict ? to_string(*result.verdict) : "ERROR";
        break;
    }
    std::string line = fmt::format("[{}/{}] {}: {}", told_, tasks_.size(), result.instance_id, word);
    if (!result.message.empty() && result.outcome != RunReportOutcome::empty_patch) line += ": " + result.message;
    if (result.skipped) {
      line += " (judged before)";
    } else if (result.seconds > 0) {
      line += fmt::format(" ({})", human_seconds(result.seconds));
    }
    if (!result.flags.empty()) line += "; look at: " + join(result.flags, ", ");
    if (result.flaky()) line += "; FLAKY: " + join(result.verdicts, ", ");
    if (result.known_bad && result.outcome != RunReportOutcome::resolved) line += "; known to fail here";
    env_.say(line);
  }

  // --- reports
  Result<void> report(EvalSummary& summary, const std::vector<RunReportEntry>& entries) {
    // The logs that tell why samples failed are below output_dir_, the report may go elsewhere.
    const Json json = run_report(output_dir_, summary.model, summary.run_id, entries);
    AWM_CHECK(make_folders(report_dir_));
    summary.report = join_path(report_dir_, fmt::format("{}.{}.json", model_file_name(summary.model), summary.run_id));
    return write_file(summary.report, dump_json(json, 4) + "\n");
  }

  // awm.json beside run.json, and what a run of gold patches says of this host.
  Result<void> write_what_we_know() {
    const std::string folder = join_path(output_dir_, "logs/run_evaluation/" + plan_.options.run_id);
    Json samples = Json::object();
    Json bad = Json::object();
    for (const auto& result : results_) {
      if (result.outcome == RunReportOutcome::incomplete) continue;
      Json one{{"outcome", result.verdict ? to_string(*result.verdict) : "error"},
               {"tries", result.tries},
               {"skipped", result.skipped}};
      if (!result.flags.empty()) one["flags"] = result.flags;
      if (result.verdicts.size() > 1) one["verdicts"] = result.verdicts;
      if (result.flaky()) one["flaky"] = true;
      if (result.known_bad) one["known_bad"] = true;
      if (!result.error_class.empty()) {
        one["error_class"] = result.error_class;
        one["error"] = result.message;
      }
      if (!result.release_errors.empty()) one["release_errors"] = result.release_errors;
      samples[result.instance_id] = std::move(one);
      if (result.outcome != RunReportOutcome::resolved || result.flaky())
        bad[result.instance_id] = result.flaky() ? "flaky: " + join(result.verdicts, ", ") : result.message;
    }
    const Json json{{"schema", 1},
                    {"run_id", plan_.options.run_id},
                    {"model_name_or_path", model_},
                    {"sandbox", plan_.options.sandbox},
                    {"host", sys::host_name()},
                    {"repeat", options_.repeat},
                    {"dataset_revisions", plan_.dataset_revisions},
                    {"samples", samples}};
    AWM_CHECK(write_file(join_path(folder, "awm.json"), dump_json(json, 2) + "\n"));
    if (!options_.gold) return {};
    const Json known{{"sandbox", plan_.options.sandbox}, {"host", sys::host_name()}, {"known_bad", bad}};
    return write_file(join_path(folder, "known_bad.json"), dump_json(known, 2) + "\n");
  }

  const EvalEnvironment& env_;
  const EvalOptions& options_;
  Scope scope_;
  std::string output_dir_;
  std::string report_dir_;
  std::string model_;
  RunPlan plan_;
  std::vector<Row> rows_;
  std::set<std::string> dataset_ids_;
  std::set<std::string> known_bad_;
  std::vector<Prediction> predictions_;
  std::vector<Task> tasks_;
  std::vector<EvalResult> results_;
  std::unique_ptr<Sandboxes> sandboxes_;
  std::mutex say_mutex_;
  std::size_t told_ = 0;
};

}  // namespace

bool EvalResult::flaky() const {
  return std::any_of(verdicts.begin(), verdicts.end(),
                     [this](const std::string& one) { return one != verdicts.front(); });
}

Result<std::vector<EvalSummary>> evaluate(const EvalEnvironment& environment, const EvalOptions& options) {
  return Evaluation(environment, options).go();
}

std::string eval_text(const EvalSummary& summary) {
  std::map<RunReportOutcome, std::size_t> counts;
  std::size_t flaky = 0;
  std::size_t known_bad = 0;
  std::size_t flagged = 0;
  std::size_t skipped = 0;
  std::map<std::string, std::size_t> errors;
  for (const auto& result : summary.results) {
    ++counts[result.outcome];
    flaky += result.flaky() ? 1 : 0;
    skipped += result.skipped ? 1 : 0;
    flagged += result.flags.empty() ? 0 : 1;
    known_bad += result.known_bad && result.outcome != RunReportOutcome::resolved ? 1 : 0;
    if (result.outcome == RunReportOutcome::error)
      ++errors[result.verdict ? std::string(to_string(*result.verdict)) : "error " + result.error_class];
  }
  const std::size_t submitted = summary.results.size() - counts[RunReportOutcome::incomplete];
  std::string text = fmt::format("{}, run {}: {} of {} submitted are resolved", summary.model, summary.run_id,
                                 counts[RunReportOutcome::resolved], submitted);
  if (!summary.sandbox.empty()) text += fmt::format(" ({} verdicts)", summary.sandbox);
  text += fmt::format("\n{} unresolved, {} empty patches, {} without a report", counts[RunReportOutcome::unresolved],
                      counts[RunReportOutcome::empty_patch], counts[RunReportOutcome::error]);
  std::string separator = " (";
  for (const auto& [word, count] : errors) {
    if (summary.sandbox.empty()) break;
    text += fmt::format("{}{} {}", separator, count, word);
    separator = ", ";
  }
  if (separator == ", ") text += ")";
  text += fmt::format(", {} not submitted; {}\n", counts[RunReportOutcome::incomplete], human_seconds(summary.seconds));
  if (summary.regraded > 0) text += fmt::format("{} logs graded again\n", summary.regraded);
  if (skipped > 0) text += fmt::format("{} judged before and not again\n", skipped);
  if (flagged > 0) text += fmt::format("{} have flags to look at: awm.json of each\n", flagged);
  if (flaky > 0) text += fmt::format("{} are FLAKY: their judgements differ\n", flaky);
  if (known_bad > 0) text += fmt::format("{} of those not resolved are known to fail on this host\n", known_bad);
  for (const auto& problem : summary.problems) text += "not graded: " + problem.message() + "\n";
  return text + "report: " + summary.report + "\n";
}

}  // namespace awm
