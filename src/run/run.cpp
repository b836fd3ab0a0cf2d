#include "run/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "os/census.h"
#include "os/fault.h"
#include "os/log.h"
#include "run/budget.h"
#include "run/learner.h"
#include "run/loop.h"
#include "run/plan.h"
#include "run/prewarm.h"
#include "run/sandboxes.h"
#include "run/views.h"
#include "swebench/eval_script.h"
#include "swebench/report.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

constexpr uint64_t low_disk_bytes = uint64_t{256} << 20;
// With no sample live, so long do descriptors that others use keep the next from beginning.
constexpr Seconds longest_shortage{120};

// A run from its first check to its summary.
class Run {
 public:
  Run(const RunEnvironment& environment, RunOptions options, const std::vector<std::string>& given)
      : env_(environment), scope_(environment.scope.child("run")), asked_(std::move(options)), given_(given) {}

  Result<RunSummary> go() {
    const auto began = Clock::now();
    AWM_TRY(plan_, make_plan(scope_, env_.stop, std::move(asked_), given_));
    // Before an agent is paid for a patch that nobody could judge.
    if (!options().skip_evaluation) {
      for (const auto& row : plan_.rows) AWM_CHECK(check_judgeable(row));
    }
    if (options().gold) AWM_CHECK(refuse_gold_of_task_folders());
    AWM_TRY(const auto budget, fit_workers(options().workers, "run"));
    plan_.options.workers = budget.workers;
    descriptor_limit_ = budget.descriptor_limit;
    const SandboxNews news{.say = [this](std::string_view line) { say(line); },
                           .status =
                               [this](std::string_view text) {
                                 if (env_.progress != nullptr) env_.progress->waiting(text);
                               }};
    AWM_TRY(sandboxes_, Sandboxes::open(scope_, plan_, env_.spawner, env_.stop, news));
    AWM_CHECK(open_http());
    AWM_CHECK(open_output());
    AWM_CHECK(open_model());
    AWM_CHECK(take_up_earlier());
    AWM_CHECK(work());
    write_end(Seconds(Clock::now() - began).count());
    close();
    summary_.seconds = Seconds(Clock::now() - began).count();
    return std::move(summary_);
  }

 private:
  [[nodiscard]] const RunOptions& options() const { return plan_.options; }
  [[nodiscard]] const std::string& output_dir() const { return plan_.options.output_dir; }

  void say(std::string_view line) const {
    if (env_.progress != nullptr) env_.progress->note(line);
  }

  [[nodiscard]] Result<void> refuse_gold_of_task_folders() const {
    for (const auto& row : plan_.rows) {
      if (is_task_folder(row)) {
        return fail(Errc::unsupported, "use", "--gold",
                    "the Harbor task " + row.instance_id + " has a solution that is run, and no patch",
                    "use awm eval --gold");
      }
    }
    return {};
  }

  // --- before the first sample
  // -----------------------------------------------------------------------------------------
  // Runs that begin in the same second get folders of their own.
  Result<void> name_output() {
    auto& options = plan_.options;
    const std::string now = run_id_of_now();
    std::string id = now;
    if (!options.output_dir.empty()) {
      AWM_TRY(options.output_dir, absolute_path(options.output_dir));
    } else {
      AWM_TRY(const auto runs, absolute_path("runs"));
      AWM_CHECK(make_folders(runs));
      for (int number = 2;; ++number) {
        options.output_dir = join_path(runs, id);
        auto made = sys::mkdir(options.output_dir);
        if (made) break;
        if (made.error().code != Errc::already_exists) return made;
        id = fmt::format("{}-{}", now, number);
      }
    }
    if (options.run_id.empty()) options.run_id = id;
    return {};
  }

  Result<void> open_output() {
    auto& options = plan_.options;
    AWM_TRY(const auto second,
            absolute_path(options.journal_fallback.empty() ? sys::environment("TMPDIR").value_or("/tmp")
                                                           : options.journal_fallback));
    if (!is_folder(second)) {
      return fail(Errc::not_found, "use", "--journal-fallback " + second, "there is no such folder");
    }
    if (plan_.earlier) {
      journal_ = std::move(plan_.earlier->journal);
      started_at_ = string_or(journal_->header(), "time", iso_time());
      AWM_CHECK(record_changed_settings());
    } else {
      AWM_CHECK(name_output());
      for (const auto* foreign : {"checkpoint.json", "results.jsonl"}) {
        if (exists(join_path(output_dir(), foreign)) && !exists(journal_path(output_dir()))) {
          return fail(Errc::already_exists, "use", output_dir(),
                      std::string("it holds the ") + foreign + " of another program's run",
                      "name another --output-dir");
        }
      }
      AWM_CHECK(make_folders(output_dir()));
      started_at_ = iso_time();
      Json header = what_results_depend_on();
      header["awm_version"] = AWM_VERSION;
      header["run_id"] = options.run_id;
      header["host"] = sys::host_name();
      header["time"] = started_at_;
      AWM_TRY(journal_, Journal::create(scope_, output_dir(), header));
      const auto config = dump_json(config_view(options, plan_.model_name), 2) + "\n";
      if (auto written = write_file(join_path(output_dir(), "config.json"), config); !written) {
        log_warning(written.error().message());
      }
    }
    journal_->keep_what_fails(second, options.run_id);
    summary_.output_dir = output_dir();
    summary_.run_id = options.run_id;
    summary_.model_name = plan_.model_name;
    summary_.tasks = plan_.rows.size();
    summary_.strict_resources = options.strict_resources;
    return {};
  }

  [[nodiscard]] Json what_results_depend_on() const {
    Json depends{{"model_name", plan_.model_name},
                 {"dataset_hash", plan_.dataset_hash},
                 {"tasks", plan_.rows.size()},
                 {"memory_lag", options().memory_lag},
                 {"memory_hash", plan_.memory_at_start->hash()},
                 {"settings", to_json(options())}};
    if (!plan_.dataset_revisions.empty()) depends["dataset_revisions"] = plan_.dataset_revisions;
    return depends;
  }

  // What --force, or an option that no result depends on, made different holds for later resumes as well.
  Result<void> record_changed_settings() {
    Json now = what_results_depend_on();
    bool changed = false;
    for (const auto& [key, value] : now.items()) {
      const Json* before = find_member(journal_->header(), key);
      changed = changed || before == nullptr || *before != value;
    }
    if (!changed) return {};
    now["type"] = "settings";
    return journal_->append(std::move(now));
  }

  // Whatever a person must mend of the model's settings (a missing key) is told before anything is made.
  Result<void> open_http() {
    if (!plan_.llm) return {};
    const auto workers = static_cast<std::size_t>(options().workers);
    HttpOptions http;  // a connection for each worker, and for learning
    http.max_connections_a_host = std::max(http.max_connections_a_host, workers + 2);
    http.max_connections = std::max(http.max_connections, workers + 4);
    http.max_idle_connections = std::max(http.max_idle_connections, workers);
    AWM_TRY(http_, HttpClient::create(scope_.child("http"), env_.stop, http));
    AWM_TRY(const auto tried, make_llm(*plan_.llm, *http_, env_.stop, scope_.child("check")));
    tried->close();
    return {};
  }

  Result<void> open_model() {
    if (plan_.llm) {
      if (plan_.learns()) {
        AWM_TRY(learning_llm_, make_llm(*plan_.llm, *http_, env_.stop, scope_.child("learning")));
      }
    }
    learner_ =
        std::make_unique<Learner>(LearnerSettings{.learns = plan_.learns(),
                                                  .trigger = options().induction_trigger,
                                                  .max_workflows = static_cast<std::size_t>(options().max_workflows),
                                                  .classify_by_model = options().classify,
                                                  .folder = join_path(output_dir(), "learning")},
                                  plan_.memory_at_start, learning_llm_.get());
    return {};
  }

  // What earlier parts of the run committed: their results, what was learned, and what is left to do, in its order.
  Result<void> take_up_earlier() {
    results_.resize(plan_.rows.size());
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < plan_.rows.size(); ++i) index.emplace(plan_.rows[i].instance_id, i);
    std::vector<std::string> committed;
    uint64_t results_bytes = 0;
    std::set<std::string> again;
    if (plan_.earlier) {
      SampleSettings mending;
      mending.output_dir = output_dir();
      mending.model_name = plan_.model_name;
      const auto experience_of = [&](const std::string& id) -> Result<Experience> {
        const auto path = join_path(sample_folder(output_dir(), id), "result.json");
        if (const auto line = read_file(path)) {
          if (const auto json = parse_json(*line, path)) {
            if (auto experience = experience_from_json(*json, path)) return experience;
          }
        }
        // A view that was lost is made again from journal, events and patch.
        const auto row = index.find(id);
        const auto state = journal_->sample(id);
        if (row != index.end() && state && !state->final_record.empty()) {
          auto again_made = finished_sample(mending, plan_.rows[row->second], *state);
          if (again_made.experience) return *std::move(again_made.experience);
        }
        return fail(Errc::not_found, "resume", path, "it is gone, and so is what it could be made from");
      };
      std::vector<Json> records;
      std::size_t learned_up_to = 0;  // commits whose passes an induction has taken
      for (const auto& [id, text] : plan_.earlier->commits) {
        AWM_TRY(auto record, parse_json(text, journal_path(output_dir())));
        records.push_back(std::move(record));
        if (find_member(records.back(), "learned") != nullptr) learned_up_to = records.size();
      }
      for (std::size_t at = 0; at < records.size(); ++at) {
        const Json& record = records[at];
        const std::string& id = plan_.earlier->commits[at].first;
        AWM_CHECK(learner_->replay(record, [&]() -> Result<Experience> {
          if (at < learned_up_to) return Experience{};  // a later record's induction has taken it
          return experience_of(id);
        }));
        note_memory(committed.size() + 1);
        results_bytes = static_cast<uint64_t>(get_int(record, "results_bytes").value_or(0));
        committed.push_back(id);
        const auto known = index.find(id);
        if (known != index.end()) results_[known->second] = sample_result_from_json(record);
      }
    }
    for (std::size_t i = 0; i < plan_.rows.size(); ++i) {
      const auto& id = plan_.rows[i].instance_id;
      const auto state = journal_->sample(id);
      const bool done = state && state->committed;
      if (done && results_[i]) {
        results_[i]->release_errors = state->release_errors;
        if (options().retry_errors && results_[i]->verdict == SampleVerdict::error) again.insert(id);
      }
      if (!done || again.contains(id)) todo_.push_back(i);
      if (!done) results_[i].reset();
    }
    // A sample that is tried again has no line until its new one.
    // And of several commits of one, the last stands.
    std::set<std::string> seen;
    std::vector<std::string> standing;
    for (auto it = committed.rbegin(); it != committed.rend(); ++it) {
      const auto state = journal_->sample(*it);
      if (again.contains(*it) || !state || !state->committed || !seen.insert(*it).second) continue;
      standing.push_back(*it);
    }
    if (standing.size() != committed.size()) results_bytes = 0;
    committed.assign(standing.rbegin(), standing.rend());
    for (const auto& id : again) results_[index.at(id)].reset();
    earlier_commits_ = committed.size();
    AWM_TRY(views_, Views::open(scope_, output_dir(), results_bytes, committed));
    for (const auto& result : results_) {
      if (!result) continue;
      ++processed_;
      passed_ += result->verdict == SampleVerdict::passed ? 1 : 0;
    }
    return {};
  }

  // --- the samples
  // -----------------------------------------------------------------------------------------------------
  Result<void> work() {
    services_ = RunServices{.http = http_.get(),
                            .llm = plan_.llm ? &*plan_.llm : nullptr,
                            .stop = &env_.stop,
                            .exit_hooks = &env_.exit_hooks,
                            .journal = journal_.get(),
                            .make_sandbox = {},
                            .on_phase = {}};
    settings_.output_dir = output_dir();
    settings_.run_id = options().run_id;
    settings_.model_name = plan_.model_name;
    settings_.rollout.agent_class = options().agent_class;
    settings_.rollout.max_iterations = options().max_iterations;
    settings_.rollout.max_cost = options().max_budget_per_task;
    settings_.rollout.command_timeout = Seconds(options().command_timeout);
    settings_.judge.timeout = Seconds(options().eval_timeout);
    settings_.judge.model_name = plan_.model_name;
    settings_.skip_evaluation = options().skip_evaluation;
    settings_.truncation = plan_.truncation;

    const auto workers = static_cast<std::size_t>(options().workers);
    if (env_.progress != nullptr) {
      env_.progress->started({.tasks = plan_.rows.size(),
                              .earlier = processed_,
                              .earlier_passed = passed_,
                              .workers = workers,
                              .output_dir = output_dir()});
    }
    inherited_ = take_census();
    // Only an agent's sandbox is worth making ahead: given patches have none.
    if (!options().no_prewarm && plan_.llm) {
      prewarmer_.emplace(
          scope_,
          [this](std::size_t position) { return sandboxes_->make(row_at(position), "agent", sample_scope(position)); },
          Seconds(settings_.connect_timeout), workers);
    }
    std::vector<const Row*> rows;
    for (const std::size_t index : todo_) {
      const Row& row = plan_.rows[index];
      const auto given = plan_.given_patches.find(row.instance_id);
      if (given == plan_.given_patches.end() || !given->second.empty()) rows.push_back(&row);
    }
    sandboxes_->expect(rows);
    Loop loop(scope_, env_.stop, {.workers = workers, .lag = static_cast<std::size_t>(options().memory_lag)},
              {.work = [&](std::size_t position, const LearnedPtr& learned,
                           std::size_t) { return work_out(loop, position, learned); },
               .commit = [this](std::size_t position) { return commit(position); },
               .admit = [this](std::size_t live) { return admit(live); }},
              learner_->history(static_cast<std::size_t>(options().memory_lag)));
    auto outcome = loop.run(todo_.size());
    if (prewarmer_) {
      for (const auto& problem : prewarmer_->close().problems)
        log_warning("a sandbox made ahead: " + problem.message());
      prewarmer_.reset();
    }
    if (!outcome) return std::unexpected(std::move(outcome).error());
    summary_.stopped = env_.stop.draining() && outcome->committed < todo_.size();
    if (outcome->problem && outcome->problem->code != Errc::stopped && !summary_.gave_up) {
      summary_.gave_up = std::move(outcome->problem);
    }
    if (outcome->problem && outcome->problem->code == Errc::stopped) summary_.stopped = true;
    return {};
  }

  [[nodiscard]] const Row& row_at(std::size_t position) const { return plan_.rows[todo_[position]]; }
  [[nodiscard]] Scope sample_scope(std::size_t position) const {
    return scope_.child("sample").child(row_at(position).instance_id).child("agent").child("sandbox");
  }

  // On a worker's thread.
  LoopStep work_out(const Loop& loop, std::size_t position, const LearnedPtr& learned) {
    // Admission may have been given before the sample that found it out.
    if (journal_fails()) return LoopStep::abandoned;
    const std::size_t index = todo_[position];
    const Row& row = plan_.rows[index];
    const auto state = journal_->sample(row.instance_id);
    SampleResult result;
    if (state && is_finished(*state)) {
      // Judged by an earlier part of the run that ended before it was committed.
      result = finished_sample(settings_, row, *state);
    } else {
      SampleTask task{.row = &row, .learned = learned};
      if (options().gold) task.given_patch = row.patch;
      if (const auto patch = plan_.given_patches.find(row.instance_id); patch != plan_.given_patches.end()) {
        task.given_patch = patch->second;
      }
      // Also behind an interruption or a judge's error: the agent is not paid twice.
      if (state && state->stage != SampleState::Stage::judged) task.earlier_patch_record = state->patch_record;
      RunServices services = services_;
      bool prewarmed_tried = false;
      services.make_sandbox = [&, position](const Row& of, std::string_view purpose,
                                            const Scope& scope) -> Result<std::unique_ptr<Sandbox>> {
        if (purpose == "agent" && prewarmer_ && !prewarmed_tried) {
          prewarmed_tried = true;
          if (auto ready = prewarmer_->take(position)) return ready;
        }
        return sandboxes_->make(of, purpose, scope);
      };
      services.on_phase = [&, index](const std::string& id, SamplePhase phase, int iterations) {
        if (phase == SamplePhase::judging && prewarmer_) {
          if (const auto ahead = loop.next(); ahead && needs_agent(*ahead)) prewarmer_->prepare(*ahead);
        }
        if (env_.progress != nullptr) env_.progress->sample(index + 1, id, phase, iterations);
      };
      result = run_sample(services, settings_, task, scope_.child("sample"));
      if (prewarmer_) prewarmer_->forget(position);
      check_resources(result);
    }
    sandboxes_->finished(row);
    result.patch = {};  // on disk; ten thousand of them are not kept in memory
    const bool abandoned = result.verdict == SampleVerdict::interrupted || is_hopeless(result);
    const std::lock_guard lock(mutex_);
    results_[index] = std::move(result);
    return abandoned ? LoopStep::abandoned : LoopStep::done;
  }

  // No earlier part of the run left a patch or an outcome of it.
  [[nodiscard]] bool needs_agent(std::size_t position) const {
    const auto state = journal_->sample(row_at(position).instance_id);
    return !state || state->stage == SampleState::Stage::started;
  }

  // An outcome stands, and nothing asks for another try.
  [[nodiscard]] bool is_finished(const SampleState& state) const {
    if (state.committed) return false;  // it is among those to be tried again
    if (state.stage == SampleState::Stage::judged) return true;
    if (state.stage != SampleState::Stage::errored || options().retry_errors) return false;
    const auto record = parse_json(state.final_record, "a journal record");
    if (!record) return false;
    const auto result = sample_result_from_json(*record);
    return result.verdict == SampleVerdict::error && !result.hopeless;
  }

  // A wrong key or an unknown model fails every sample alike: the rest is not burnt, and the run can be gone on with.
  bool is_hopeless(const SampleResult& result) {
    if (!result.hopeless) return false;
    const std::lock_guard lock(mutex_);
    if (!summary_.gave_up) {
      summary_.gave_up = Error{.code = Errc::permission,
                               .operation = "every further sample would fail alike",
                               .object = {},
                               .cause = result.message};
    }
    return true;
  }

  // On the caller's thread, in the order of the tasks.
  Result<LearnedPtr> commit(std::size_t position) {
    const std::size_t index = todo_[position];
    SampleResult* result = nullptr;
    {
      const std::lock_guard lock(mutex_);
      result = &*results_[index];
    }
    if (env_.progress != nullptr && plan_.learns() && result->verdict == SampleVerdict::passed) {
      env_.progress->learning(result->instance_id);
    }
    AWM_TRY(auto step, learner_->take(*result));
    if (step.record) fault::crash_point("induction");
    uint64_t results_bytes = 0;
    if (auto added = views_->add(result->instance_id)) {
      results_bytes = *added;
    } else {
      log_warning("results.jsonl: " + added.error().message());
    }
    fault::crash_point("view");
    Json record = to_json(*result);
    record["type"] = "commit";
    record["results_bytes"] = results_bytes;
    record["descriptors"] = last_descriptors_.load();
    record["threads"] = last_threads_.load();
    record["children"] = last_children_.load();
    record["resident_bytes"] = sys::resident_bytes();
    record["leaks"] = result->leaks;
    if (options().max_budget_per_task > 0 && result->cost == 0 && result->usage.prompt_tokens > 0 &&
        !result->cost_known && !std::exchange(price_missed_, true)) {
      log_warning(
          fmt::format("--max-budget-per-task has no effect: no price of {} is known (set input_cost_per_token "
                      "and output_cost_per_token in its section of config.toml)",
                      plan_.model_name));
    }
    const bool changed = step.record.has_value();
    if (changed) record["learned"] = *std::move(step.record);
    AWM_CHECK(journal_->append(std::move(record), changed ? Durability::synced : Durability::lazy));
    ++processed_;
    passed_ += result->verdict == SampleVerdict::passed ? 1 : 0;
    result->experience.reset();
    for (const auto& note : step.notes) say(note);
    if (changed) {
      if (auto written = views_->write_memory(*step.learned->memory); !written) log_warning(written.error().message());
      note_memory(earlier_commits_ + position + 1);
    }
    write_checkpoint();
    if (env_.progress != nullptr) {
      env_.progress->committed(*result, {.number = index + 1,
                                         .tasks = plan_.rows.size(),
                                         .workflows = step.learned->memory->size(),
                                         .learning_cost = learner_->cost().cost});
    }
    return step.learned;
  }

  void note_memory(std::size_t commits) {
    const std::size_t known = learner_->now()->memory->size();
    auto& curve = summary_.workflows_over_time;
    if (curve.empty() || curve.back().second != known) curve.emplace_back(commits, known);
  }

  void write_checkpoint() {
    const Checkpoint checkpoint{.total_processed = static_cast<int64_t>(processed_),
                                .total_success = static_cast<int64_t>(passed_),
                                .start_time = started_at_,
                                .last_checkpoint = iso_time()};
    if (auto written = views_->write_checkpoint(checkpoint); !written) log_warning(written.error().message());
  }

  // One thread at a time; `live`: samples being worked on.
  Admission admit(std::size_t live) {
    if (journal_fails()) return Admission::end;
    if (const auto disk = sys::disk_space(output_dir()); disk && disk->available < low_disk_bytes) {
      return give_up("begin another sample in", output_dir(), human_bytes(disk->available) + " of disk are left",
                     "make room, and go on with --resume-from");
    }
    // Whatever in this process uses descriptors: what is not there cannot be given to a sample.
    const uint64_t used = Ledger::process().count(ResourceKind::descriptor) + 3;
    if (descriptor_limit_ == 0 || used + 2 <= descriptor_limit_) {
      short_since_.reset();
      return Admission::go;
    }
    const auto shortage = fmt::format("{} of {} descriptors are in use", used, descriptor_limit_);
    if (!short_since_) {
      short_since_ = Clock::now();
      log_warning(shortage + ": no further sample begins until some are free");
    }
    if (live > 0) short_since_ = Clock::now();  // they will give theirs back
    if (Clock::now() - *short_since_ < longest_shortage) return Admission::wait;
    return give_up("begin another sample in", output_dir(), shortage, "raise ulimit -n, and go on with --resume-from");
  }

  // Whether records are kept that the journal does not take.
  bool journal_fails() {
    const auto trouble = journal_->trouble();
    if (!trouble) return false;
    (void)give_up("write the journal", journal_path(output_dir()), trouble->cause,
                  "mend the disk, and go on with --resume-from");
    return true;
  }

  Admission give_up(std::string operation, std::string object, std::string cause, std::string remedy) {
    const std::lock_guard lock(mutex_);
    if (!summary_.gave_up) {
      summary_.gave_up = Error{.code = Errc::exhausted,
                               .operation = std::move(operation),
                               .object = std::move(object),
                               .cause = std::move(cause),
                               .remedy = std::move(remedy)};
    }
    return Admission::end;
  }

  // The census at a sample's end.
  void check_resources(SampleResult& result) {
    const auto prefix = scope_.child("sample").child(result.instance_id).path();
    for (const auto& entry : Ledger::process().entries(prefix)) {
      ++result.leaks;
      log_warning(fmt::format("leak: {} {} ({}) of {}, born at {}", to_string(entry.kind), entry.id, entry.name,
                              entry.scope, entry.birthplace));
    }
    const std::lock_guard lock(census_mutex_);
    Census now = take_census();
    std::vector<CensusItem> known = inherited_.descriptors;
    known.insert(known.end(), inherited_.threads.begin(), inherited_.threads.end());
    known.insert(known.end(), inherited_.children.begin(), inherited_.children.end());
    std::vector<LibraryAllowance> allowances;
    if (http_) allowances = http_->library_allowances();
    const auto unknown_in = [&](const Census& census, const Census& before) {
      auto items = compare_with_ledger(census, &before, Ledger::process(), allowances, known).unknown;
      std::erase_if(items, [this](const CensusItem& item) { return told_leaks_.contains(item.identity); });
      return items;
    };
    // The first census has nothing to be compared with: what it shows once may be passing.
    auto unknown = previous_ ? unknown_in(now, *previous_) : std::vector<CensusItem>();
    // A folder that is being read, a program that is being started: gone in a moment. What is lost stays.
    for (int look = 0; look < 20 && !unknown.empty(); ++look) {
      (void)sys::poll({}, Deadline::in(Seconds{0.01}));
      const auto again = unknown_in(take_census(), now);
      std::erase_if(unknown, [&](const CensusItem& item) {
        return std::none_of(again.begin(), again.end(),
                            [&](const CensusItem& other) { return other.identity == item.identity; });
      });
    }
    for (const auto& item : unknown) {
      told_leaks_.insert(item.identity);
      ++result.leaks;
      log_warning(fmt::format("leak: {} {} ({}) that nobody owns", to_string(item.kind), item.id, item.what));
    }
    last_descriptors_ = now.descriptors.size();
    last_threads_ = now.threads.size();
    last_children_ = now.children.size();
    previous_ = std::move(now);
    summary_.leaks += result.leaks;
  }

  // --- the end
  // ---------------------------------------------------------------------------------------------------------
  void write_end(double seconds) {
    if (env_.progress != nullptr) env_.progress->ended();
    const auto& memory = *learner_->now()->memory;
    const RunStatistics statistics{.total_processed = static_cast<int64_t>(processed_),
                                   .total_success = static_cast<int64_t>(passed_),
                                   .workflows_learned = static_cast<int64_t>(memory.size()),
                                   .elapsed_seconds = seconds};
    write_checkpoint();
    if (auto written = views_->write_end(statistics, memory, config_view(options(), plan_.model_name)); !written) {
      log_warning(written.error().message());
    }
    write_run_report_view();
    summary_.workflows = memory.size();
    summary_.inductions = learner_->inductions();
    summary_.learning_cost = learner_->cost().cost;
    summary_.learning_calls = learner_->cost().calls;
    for (auto& result : results_) {
      if (!result) continue;
      result->experience.reset();
      summary_.results.push_back(std::move(*result));
    }
    const Json record{{"type", "run_ended"}, {"stopped", summary_.stopped}, {"leaks", summary_.leaks}};
    if (auto written = journal_->append(record); !written) log_warning(written.error().message());
  }

  void write_run_report_view() {
    if (options().skip_evaluation) return;
    std::vector<RunReportEntry> entries;
    for (std::size_t i = 0; i < plan_.rows.size(); ++i) {
      RunReportEntry entry{.instance_id = plan_.rows[i].instance_id};
      if (!results_[i] || results_[i]->verdict == SampleVerdict::interrupted) {
        entry.outcome = RunReportOutcome::incomplete;
      } else {
        const auto& result = *results_[i];
        entry.reason = result.reason;
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
      }
      entries.push_back(std::move(entry));
    }
    if (auto written =
            write_run_metadata(output_dir(), options().run_id, join(options().datasets, ","), options().split);
        !written) {
      log_warning(written.error().message());
    }
    if (auto written = write_run_report(output_dir(), plan_.model_name, options().run_id, entries); !written) {
      log_warning(written.error().message());
    }
  }

  void close() {
    learner_.reset();
    if (learning_llm_) learning_llm_->close();
    learning_llm_.reset();
    http_.reset();
    views_->close();
    views_.reset();
    sandboxes_.reset();
    summary_.journal_elsewhere = journal_->close();
  }

  const RunEnvironment& env_;
  Scope scope_;
  RunOptions asked_;
  const std::vector<std::string>& given_;
  RunPlan plan_;
  std::unique_ptr<Sandboxes> sandboxes_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<HttpClient> http_;
  std::unique_ptr<Llm> learning_llm_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<Views> views_;
  std::optional<Prewarmer> prewarmer_;
  RunServices services_;
  SampleSettings settings_;
  std::string started_at_;
  uint64_t descriptor_limit_ = 0;
  std::optional<Clock::time_point> short_since_;  // when admission last saw too few descriptors, or a sample live then
  bool price_missed_ = false;                     // told

  std::vector<std::size_t> todo_;  // indices of rows, in the order in which they are worked on
  std::size_t earlier_commits_ = 0;
  std::size_t processed_ = 0;
  std::size_t passed_ = 0;

  std::mutex mutex_;  // results_ and summary_.gave_up, while workers live
  std::vector<std::optional<SampleResult>> results_;
  RunSummary summary_;

  std::mutex census_mutex_;
  Census inherited_;
  std::optional<Census> previous_;
  std::set<std::string> told_leaks_;
  std::atomic<std::size_t> last_descriptors_{0};
  std::atomic<std::size_t> last_threads_{0};
  std::atomic<std::size_t> last_children_{0};
};

}  // namespace

Result<RunSummary> run(const RunEnvironment& environment, const RunOptions& options,
                       const std::vector<std::string>& given) {
  return Run(environment, options, given).go();
}

}  // namespace awm
