#include "run/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "config/config.h"
#include "os/census.h"
#include "os/limits.h"
#include "os/log.h"
#include "sandbox/local_sandbox.h"
#include "swebench/prediction.h"
#include "swebench/report.h"

namespace awm {
namespace {

// Descriptors that a run holds besides its samples: standard streams, journal, log, stop, HTTP pool, a reader now and
// then.
constexpr uint64_t base_descriptors = 32;
constexpr uint64_t descriptors_per_sample = 3;

std::string default_run_id() {
  // 2026-01-31T12:34:56 → 20260131-123456
  std::string id;
  for (const char c : iso_time().substr(0, 19)) {
    if (c == 'T') {
      id += '-';
    } else if (c >= '0' && c <= '9') {
      id += c;
    }
  }
  return id;
}

class Run {
 public:
  Run(const RunEnvironment& environment, RunOptions options, std::vector<std::string> given)
      : env_(environment),
        options_(std::move(options)),
        given_(std::move(given)),
        scope_(environment.scope.child("run")) {}

  Result<RunSummary> go() {
    const auto began = Clock::now();
    AWM_CHECK(open_earlier());
    AWM_CHECK(check_options());
    AWM_CHECK(read_settings());
    AWM_CHECK(read_tasks());
    AWM_CHECK(prepare_sandboxes());
    AWM_CHECK(check_limits());
    AWM_CHECK(open_output());
    AWM_CHECK(open_model());
    work();
    write_reports();
    http_.reset();
    journal_->close();
    summary_.seconds = Seconds(Clock::now() - began).count();
    return std::move(summary_);
  }

 private:
  // --- before anything is made
  // ---------------------------------------------------------------------------------------------
  Result<void> open_earlier() {
    if (options_.resume_from.empty()) return {};
    std::string folder = options_.resume_from;
    // The predecessor's users name its checkpoint.json.
    if (file_name(folder) == "checkpoint.json") folder = parent_path(folder);
    AWM_TRY(folder, absolute_path(folder));
    AWM_TRY(journal_, Journal::open(scope_, folder));
    const Json* settings = find_member(journal_->header(), "settings");
    AWM_TRY(options_, resume_options(settings != nullptr ? *settings : Json::object(), options_, given_));
    options_.output_dir = folder;
    return {};
  }

  Result<void> check_options() {
    if (options_.datasets.empty()) {
      return fail(Errc::invalid_input, "run", "", "no tasks are named", "add --dataset FILE.jsonl with SWE-bench rows");
    }
    const auto& classes = agent_classes();
    if (std::find(classes.begin(), classes.end(), options_.agent_class) == classes.end()) {
      return fail(Errc::invalid_input, "use", "--agent-class " + options_.agent_class, "there is no such agent",
                  "choose one of " + join(classes, ", "));
    }
    if (options_.sandbox != "local") {
      return fail(Errc::invalid_input, "use", "--sandbox " + options_.sandbox, "there is no such sandbox",
                  "choose local");
    }
    if (options_.gold && !options_.predictions.empty()) {
      return fail(Errc::invalid_input, "use", "--gold", "it excludes --predictions", "leave one of them out");
    }
    if (patches_given() && options_.skip_evaluation) {
      return fail(Errc::invalid_input, "use", "--skip-evaluation",
                  "given patches that are not judged leave nothing to do");
    }
    return {};
  }

  [[nodiscard]] bool patches_given() const { return options_.gold || !options_.predictions.empty(); }

  Result<void> read_settings() {
    ConfigSources sources;
    sources.file = options_.config_file;
    AWM_TRY(settings_, load_settings(sources));
    if (patches_given()) {
      settings_model_name_ = options_.gold ? "gold" : "";
      return {};
    }
    LlmFlags flags{.section = options_.llm_config,
                   .model = options_.model,
                   .base_url = options_.base_url,
                   .api_key_env = options_.api_key_env};
    AWM_TRY(llm_, resolve_llm(settings_, flags));
    settings_model_name_ = llm_->model;
    return {};
  }

  Result<void> read_tasks() {
    AWM_TRY(rows_, read_rows(options_.datasets));
    dataset_hash_ = hash_of(rows_);
    RowFilter filter{.repo = options_.repo_filter,
                     .instances = options_.instances,
                     .limit = options_.limit,
                     .shuffle_seed = options_.shuffle_seed};
    AWM_TRY(rows_, filter_rows(std::move(rows_), filter));
    if (rows_.empty()) {
      return fail(Errc::invalid_input, "choose from", join(options_.datasets, ", "), "no row is left after the filters",
                  "check --repo-filter and --limit");
    }
    if (journal_) {
      const auto before = string_or(journal_->header(), "dataset_hash", dataset_hash_);
      if (before != dataset_hash_ && !options_.force) {
        return fail(Errc::invalid_input, "resume", options_.output_dir,
                    "the data set is not the one the run began with", "bring the old one back, or add --force");
      }
    }
    if (!options_.predictions.empty()) {
      AWM_TRY(const auto predictions, read_predictions(options_.predictions));
      std::set<std::string> known;
      for (const auto& row : rows_) known.insert(row.instance_id);
      for (const auto& prediction : predictions) {
        given_patches_[prediction.instance_id] = prediction.patch.value_or("");
        if (settings_model_name_.empty()) settings_model_name_ = prediction.model;
        if (!known.contains(prediction.instance_id)) ++unknown_predictions_;
      }
      if (unknown_predictions_ > 0) {
        log_warning(fmt::format("{}: {} predictions are for no chosen row and are left out", options_.predictions,
                                unknown_predictions_));
      }
      std::erase_if(rows_, [&](const Row& row) { return !given_patches_.contains(row.instance_id); });
      if (rows_.empty())
        return fail(Errc::invalid_input, "judge", options_.predictions, "none of its predictions is for a chosen row");
    }
    if (settings_model_name_.empty()) settings_model_name_ = "unknown";
    return {};
  }

  Result<void> prepare_sandboxes() {
    if (!options_.env_setup.empty()) {
      AWM_TRY(env_setup_, awm::read_file(options_.env_setup, std::size_t{1} << 20));
    }
    for (const auto& pair : options_.repo) {
      const auto equals = pair.find('=');
      if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size()) {
        return fail(Errc::invalid_input, "read", "--repo " + pair, "not of the form OWNER/NAME=PATH");
      }
      AWM_TRY(repositories_[pair.substr(0, equals)], absolute_path(pair.substr(equals + 1)));
    }
    if (!options_.repos.empty()) {
      AWM_TRY(repos_folder_, absolute_path(options_.repos));
      if (!is_folder(repos_folder_))
        return fail(Errc::not_found, "use", "--repos " + options_.repos, "there is no such folder");
    }
    AWM_CHECK(check_local_sandbox(env_.spawner, scope_));
    // What killed runs left behind on this machine.
    for (const auto& swept : sweep_local_leftovers()) log_info("removed what a killed run left: " + swept);
    return {};
  }

  Result<void> check_limits() {
    AWM_TRY(const auto budget, ensure_sufficient_file_descriptors(base_descriptors + descriptors_per_sample));
    if (!budget.sufficient) return fail(Errc::exhausted, "run", "", budget.told);
    if (budget.soft_now != budget.soft_before) log_info(budget.told);
    return {};
  }

  // --- the output folder
  // ---------------------------------------------------------------------------------------------------
  Result<void> open_output() {
    if (journal_) {
      options_.run_id = string_or(journal_->header(), "run_id", options_.run_id);
    } else {
      if (options_.run_id.empty()) options_.run_id = default_run_id();
      if (options_.output_dir.empty()) options_.output_dir = "runs/" + options_.run_id;
      AWM_TRY(options_.output_dir, absolute_path(options_.output_dir));
      for (const auto* foreign : {"checkpoint.json", "results.jsonl"}) {
        if (exists(join_path(options_.output_dir, foreign)) && !exists(journal_path(options_.output_dir))) {
          return fail(Errc::already_exists, "use", options_.output_dir,
                      std::string("it holds the ") + foreign + " of another program's run",
                      "name another --output-dir");
        }
      }
      AWM_CHECK(make_folders(options_.output_dir));
      Json header{{"awm_version", AWM_VERSION},    {"run_id", options_.run_id},    {"model_name", settings_model_name_},
                  {"dataset_hash", dataset_hash_}, {"tasks", rows_.size()},        {"memory_lag", 1},
                  {"host", sys::host_name()},      {"settings", to_json(options_)}};
      AWM_TRY(journal_, Journal::create(scope_, options_.output_dir, header));
      AWM_CHECK(write_config_view());
    }
    summary_.output_dir = options_.output_dir;
    summary_.run_id = options_.run_id;
    summary_.model_name = settings_model_name_;
    return {};
  }

  // config.json with the predecessor's thirteen keys: a view for old scripts.
  Result<void> write_config_view() {
    const Json view{{"llm_config_name", options_.llm_config.empty() ? settings_model_name_ : options_.llm_config},
                    {"agent_class", options_.agent_class},
                    {"max_iterations", options_.max_iterations},
                    {"dataset_name", join(options_.datasets, ",")},
                    {"split", "test"},
                    {"repo_filter", options_.repo_filter},
                    {"induction_trigger_count", 0},
                    {"max_workflows", 0},
                    {"truncation_limit", nullptr},
                    {"output_dir", options_.output_dir},
                    {"checkpoint_interval", 1},
                    {"skip_evaluation", options_.skip_evaluation},
                    {"verbose", !options_.quiet}};
    return awm::write_file(join_path(options_.output_dir, "config.json"), dump_json(view, 2) + "\n");
  }

  Result<void> open_model() {
    if (patches_given()) return {};
    AWM_TRY(http_, HttpClient::create(scope_.child("http"), env_.stop));
    return {};
  }

  // --- the samples
  // ---------------------------------------------------------------------------------------------------------
  void work() {
    RunServices services{.http = http_.get(),
                         .llm = llm_ ? &*llm_ : nullptr,
                         .stop = &env_.stop,
                         .exit_hooks = &env_.exit_hooks,
                         .journal = journal_.get(),
                         .make_sandbox = [this](const Row& row, std::string_view purpose, const Scope& scope) {
                           return make_sandbox(row, purpose, scope);
                         }};
    SampleSettings sample_settings;
    sample_settings.output_dir = options_.output_dir;
    sample_settings.run_id = options_.run_id;
    sample_settings.model_name = settings_model_name_;
    sample_settings.rollout.agent_class = options_.agent_class;
    sample_settings.rollout.max_iterations = options_.max_iterations;
    sample_settings.rollout.max_cost = options_.max_budget_per_task;
    sample_settings.rollout.command_timeout = Seconds(options_.command_timeout);
    sample_settings.judge.timeout = Seconds(options_.eval_timeout);
    sample_settings.judge.model_name = settings_model_name_;
    sample_settings.skip_evaluation = options_.skip_evaluation;

    summary_.tasks = rows_.size();
    inherited_ = take_census();
    remove_foreign_results();
    std::size_t index = 0;
    for (const auto& row : rows_) {
      ++index;
      const auto state = journal_->sample(row.instance_id);
      if (state && is_done(*state)) {
        auto earlier = earlier_result(row.instance_id, *state);
        append_result_line(row.instance_id);
        summary_.results.push_back(std::move(earlier));
        continue;
      }
      if (env_.stop.draining()) {
        summary_.stopped = true;
        break;
      }
      SampleTask task{.row = &row};
      if (options_.gold) task.given_patch = row.patch;
      if (const auto patch = given_patches_.find(row.instance_id); patch != given_patches_.end())
        task.given_patch = patch->second;
      if (state && state->stage == SampleState::Stage::patched) task.earlier_patch_record = state->patch_record;
      const std::string place = fmt::format("[{}/{}] {}", index, rows_.size(), row.instance_id);
      if (!options_.quiet) env_.say(place + ": started");
      auto result = run_sample(services, sample_settings, task, scope_.child("sample"));
      check_resources(result);
      append_result_line(row.instance_id);
      if (!options_.quiet) env_.say(place + ": " + line_of(result));
      const bool hopeless = is_hopeless(result);
      result.patch.clear();  // it is on disk; ten thousand of them are not kept in memory
      if (result.verdict == SampleVerdict::interrupted) summary_.stopped = true;
      summary_.results.push_back(std::move(result));
      if (hopeless) break;
    }
    if (env_.stop.draining() && summary_.results.size() < rows_.size()) summary_.stopped = true;
  }

  [[nodiscard]] bool is_done(const SampleState& state) const {
    if (state.stage == SampleState::Stage::judged) return true;
    if (state.stage != SampleState::Stage::errored) return false;
    const auto record = parse_json(state.final_record, "a journal record");
    // Interrupted by a stop is no error of the sample's: it runs again.
    if (record && string_or(*record, "verdict", "") == "interrupted") return false;
    return !options_.retry_errors;
  }

  SampleResult earlier_result(const std::string& instance_id, const SampleState& state) {
    SampleResult result;
    if (const auto record = parse_json(state.final_record, "a journal record"))
      result = sample_result_from_json(*record);
    result.instance_id = instance_id;
    result.release_errors = state.release_errors;
    return result;
  }

  // A wrong key or an unknown model fails every sample alike: the rest is not burnt, and the run can be gone on with.
  bool is_hopeless(const SampleResult& result) {
    if (auto broken = journal_problem()) {
      summary_.gave_up = std::move(broken);
      return true;
    }
    if (result.verdict != SampleVerdict::error || result.reason != "api_setup") return false;
    summary_.gave_up =
        Error{.code = Errc::permission, .operation = "ask", .object = settings_model_name_, .cause = result.message};
    return true;
  }

  // The journal must be writable before more work is taken on.
  std::optional<Error> journal_problem() {
    auto probe = journal_->append(Json{{"type", "census"},
                                       {"descriptors", last_descriptors_},
                                       {"threads", last_threads_},
                                       {"children", last_children_}});
    if (probe) return std::nullopt;
    return std::move(probe).error();
  }

  void check_resources(SampleResult& result) {
    const auto scope_prefix = scope_.child("sample").child(result.instance_id).path();
    for (const auto& entry : Ledger::process().entries(scope_prefix)) {
      ++result.leaks;
      log_warning(fmt::format("leak: {} {} ({}) of {}, born at {}", to_string(entry.kind), entry.id, entry.name,
                              entry.scope, entry.birthplace));
    }
    Census now = take_census();
    std::vector<CensusItem> known = inherited_.descriptors;
    known.insert(known.end(), inherited_.threads.begin(), inherited_.threads.end());
    known.insert(known.end(), inherited_.children.begin(), inherited_.children.end());
    std::vector<LibraryAllowance> allowances;
    if (http_) allowances = http_->library_allowances();
    const auto difference =
        compare_with_ledger(now, previous_ ? &*previous_ : nullptr, Ledger::process(), allowances, known);
    // The first census has nothing to be compared with: what it shows once may be passing.
    if (previous_) {
      for (const auto& item : difference.unknown) {
        ++result.leaks;
        log_warning(fmt::format("leak: {} {} ({}) that nobody owns", to_string(item.kind), item.id, item.what));
      }
    }
    if (env_.exit_hooks.size() > 0) {
      ++result.leaks;
      log_warning(fmt::format("leak: {} exit hooks are left after {}", env_.exit_hooks.size(), result.instance_id));
    }
    last_descriptors_ = now.descriptors.size();
    last_threads_ = now.threads.size();
    last_children_ = now.children.size();
    previous_ = std::move(now);
    summary_.leaks += result.leaks;
  }

  Result<std::unique_ptr<Sandbox>> make_sandbox(const Row& row, std::string_view purpose, const Scope& scope) {
    LocalSandboxSettings settings = local_settings_of(settings_);
    AWM_TRY(settings.repository, repository_of(row));
    settings.base_commit = row.base_commit;
    settings.env_setup = row.environment_setup;
    if (!settings.env_setup.empty() && !settings.env_setup.ends_with('\n')) settings.env_setup += '\n';
    settings.env_setup += env_setup_;
    settings.hidden_paths.push_back(options_.output_dir);
    settings.name = row.instance_id + "-" + std::string(purpose);
    return make_local_sandbox(settings, env_.spawner, env_.stop, scope);
  }

  Result<std::string> repository_of(const Row& row) const {
    if (const auto it = repositories_.find(row.repo); it != repositories_.end()) return it->second;
    if (repos_folder_.empty()) {
      return fail(
          Errc::not_found, "find the repository", row.repo, "neither --repos nor --repo names it",
          "add --repos DIR (with DIR/" + replace_all(row.repo, "/", "__") + ") or --repo " + row.repo + "=PATH");
    }
    const std::string base = join_path(repos_folder_, replace_all(row.repo, "/", "__"));
    for (const auto& path : {base, base + ".git"}) {
      if (is_folder(path)) return path;
    }
    return fail(Errc::not_found, "find the repository", row.repo, "there is no " + base,
                "git clone it there (bare or not), or name it with --repo " + row.repo + "=PATH");
  }

  static std::string line_of(const SampleResult& result) {
    std::string text;
    switch (result.verdict) {
      case SampleVerdict::passed:
        text = "PASS";
        break;
      case SampleVerdict::failed:
        text = "FAIL";
        break;
      case SampleVerdict::error:
        text = "ERROR";
        break;
      case SampleVerdict::skipped:
        text = "patch made";
        break;
      case SampleVerdict::interrupted:
        text = "interrupted";
        break;
    }
    if (!result.reason.empty()) text += " (" + result.reason + ")";
    if (!result.message.empty()) text += " " + result.message;
    if (result.iterations > 0)
      text += fmt::format("; {} steps, agent {}", result.iterations, human_seconds(result.agent_seconds));
    if (result.judge_seconds > 0) text += fmt::format(", judge {}", human_seconds(result.judge_seconds));
    if (result.cost_known) text += fmt::format(", ${:.4f}", result.cost);
    return text;
  }

  // --- views
  // ---------------------------------------------------------------------------------------------------------------
  [[nodiscard]] std::string results_path() const { return join_path(options_.output_dir, "results.jsonl"); }

  // results.jsonl is made anew from the samples' own lines as the loop passes over them.
  void remove_foreign_results() {
    if (auto gone = remove_tree(results_path()); !gone) log_warning(gone.error().message());
  }

  void append_result_line(const std::string& instance_id) {
    const auto run_it = [&]() -> Result<void> {
      AWM_TRY(const auto line,
              awm::read_file(join_path(sample_folder(options_.output_dir, instance_id), "result.json")));
      AWM_TRY(auto file, AppendFile::open(scope_, results_path()));
      return file.append(line);
    };
    if (auto done = run_it(); !done) log_warning(instance_id + ": results.jsonl: " + done.error().message());
  }

  void write_reports() {
    if (options_.skip_evaluation) return;
    std::vector<RunReportEntry> entries;
    std::set<std::string> seen;
    for (const auto& result : summary_.results) {
      RunReportEntry entry{.instance_id = result.instance_id};
      switch (result.verdict) {
        case SampleVerdict::passed:
          entry.outcome = RunReportOutcome::resolved;
          break;
        case SampleVerdict::failed:
          entry.outcome = result.reason == "empty_patch"    ? RunReportOutcome::empty_patch
                          : result.reason == "tests_failed" ? RunReportOutcome::unresolved
                                                            : RunReportOutcome::error;
          break;
        default:
          entry.outcome = RunReportOutcome::error;
          break;
      }
      entry.reason = result.reason;
      seen.insert(result.instance_id);
      entries.push_back(std::move(entry));
    }
    for (const auto& row : rows_) {
      if (!seen.contains(row.instance_id))
        entries.push_back({.instance_id = row.instance_id, .outcome = RunReportOutcome::incomplete});
    }
    if (auto written = write_run_report(options_.output_dir, settings_model_name_, options_.run_id, entries);
        !written) {
      log_warning(written.error().message());
    }
    (void)journal_->append(Json{{"type", "run_ended"}, {"stopped", summary_.stopped}, {"leaks", summary_.leaks}});
  }

  const RunEnvironment& env_;
  RunOptions options_;
  std::vector<std::string> given_;
  Scope scope_;
  Settings settings_;
  std::optional<LlmConfig> llm_;
  std::string settings_model_name_;
  std::vector<Row> rows_;
  std::string dataset_hash_;
  std::map<std::string, std::string> given_patches_;
  std::size_t unknown_predictions_ = 0;
  std::string env_setup_;
  std::map<std::string, std::string> repositories_;
  std::string repos_folder_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<HttpClient> http_;
  RunSummary summary_;
  Census inherited_;
  std::optional<Census> previous_;
  std::size_t last_descriptors_ = 0;
  std::size_t last_threads_ = 0;
  std::size_t last_children_ = 0;
};

}  // namespace

Result<RunSummary> run(const RunEnvironment& environment, const RunOptions& options,
                       const std::vector<std::string>& given) {
  return Run(environment, options, given).go();
}

}  // namespace awm
