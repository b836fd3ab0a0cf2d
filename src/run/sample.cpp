#include "run/sample.h"

#include <fmt/format.h>

#include "agent/controller.h"
#include "base/json.h"
#include "base/text.h"
#include "event/stream.h"
#include "llm/registry.h"
#include "memory/tokens.h"
#include "os/fault.h"
#include "os/log.h"
#include "os/patience.h"
#include "runtime/runtime.h"
#include "swebench/report.h"

namespace awm {
namespace {

// The outcome for results.jsonl, in the words by which its users' scripts tell classes of failures apart.
std::string old_words(const SampleResult& result) {
  if (result.verdict == SampleVerdict::error || result.verdict == SampleVerdict::interrupted) {
    return "Error: " + result.reason + ": " + result.message;
  }
  if (result.reason == "patch_failed") return "APPLY_PATCH_FAIL: " + result.message;
  if (result.reason == "time_out") return "Timeout: " + result.message;
  return result.message;
}

// A sample while it is worked on: the stages below read from top to bottom in run_sample().
class SampleRun {
 public:
  SampleRun(const RunServices& services, const SampleSettings& settings, const SampleTask& task, const Scope& scope)
      : services_(services),
        settings_(settings),
        task_(task),
        row_(*task.row),
        scope_(scope.child(task.row->instance_id)) {
    result_.instance_id = row_.instance_id;
    folder_ = sample_folder(settings.output_dir, row_.instance_id);
  }

  SampleResult work() {
    Result<void> done = make_patch();
    if (done && !final_) done = judge();
    if (!done) finish_with_error(done.error());
    if (!final_) finish(SampleVerdict::skipped, "", "not judged, as asked");
    write_views();
    return std::move(result_);
  }

  // What an earlier part of the run wrote down of it.
  SampleResult from_journal(const SampleState& state) {
    if (const auto record = parse_json(state.final_record, "a journal record")) {
      result_ = sample_result_from_json(*record);
    }
    result_.instance_id = row_.instance_id;
    result_.release_errors = state.release_errors;
    auto patch = patiently([&] { return awm::read_file(join_path(folder_, "patch.diff")); });
    const bool known = patch || patch.error().code == Errc::not_found;
    if (!known) log_warning(row_.instance_id + ": its patch is missing from the results: " + patch.error().message());
    if (patch) result_.patch = *std::move(patch);
    write_views();
    // Nothing is learned from a patch that could not be read.
    if (!known) result_.experience.reset();
    return std::move(result_);
  }

 private:
  // --- the patch
  // -----------------------------------------------------------------------------------------------------------
  Result<void> make_patch() {
    if (auto made = make_folders(folder_); !made)
      return std::unexpected(std::move(made).error().within("make the sample's folder"));
    if (task_.given_patch) {
      result_.agent_end = "given";
      return save_patch(*task_.given_patch);
    }
    if (!task_.earlier_patch_record.empty()) {
      AWM_TRY(const bool there, take_earlier_patch());
      if (there) return {};
    }
    // A sandbox lost in the middle is no fault of the agent's: one fresh try, then an error.
    for (int attempt = 1;; ++attempt) {
      AWM_CHECK(record(Json{{"type", "started"}}));
      AWM_TRY(const bool again, roll_out(attempt));
      if (!again) return {};
      log_warning(fmt::format("{}: the sandbox was lost; one fresh try", row_.instance_id));
    }
  }

  // What an earlier run of awm made and could not judge any more. False when the file is not what the journal says, or
  // is not there.
  Result<bool> take_earlier_patch() {
    const auto json = parse_json(task_.earlier_patch_record, "the journal's patch record");
    if (!json) return false;
    auto patch = patiently([&] { return awm::read_file(join_path(folder_, "patch.diff")); });
    if (!patch && patch.error().code != Errc::not_found) return std::unexpected(std::move(patch).error());
    if (!patch || sha256_hex(*patch) != string_or(*json, "patch_sha256", "")) return false;
    const auto release_errors = std::move(result_.release_errors);
    result_ = sample_result_from_json(*json);
    result_.verdict = SampleVerdict::error;  // none yet
    result_.instance_id = row_.instance_id;
    result_.release_errors = release_errors;
    result_.patch = *std::move(patch);
    return true;
  }

  // The agent at work, once. True: its sandbox was lost, and a fresh try is due.
  Result<bool> roll_out(int attempt) {
    const auto began = Clock::now();
    tell(SamplePhase::connecting);
    const Scope scope = scope_.child(attempt == 1 ? "agent" : "agent-again");
    const auto events = join_path(folder_, "events.jsonl");
    // A try that was broken off leaves its events; they are no part of this one.
    AWM_CHECK(remove_tree(events));

    RuntimeParts parts;
    auto sandbox = services_.make_sandbox(row_, "agent", scope.child("sandbox"));
    if (!sandbox) return std::unexpected(std::move(sandbox).error());
    parts.sandbox = *std::move(sandbox);
    AWM_TRY(parts.stream, EventStream::open(scope.child("stream"), events));
    parts.registry = std::make_unique<LlmRegistry>();
    auto llm = make_llm(*services_.llm, *services_.http, *services_.stop, scope.child("llm"));
    if (!llm) return std::unexpected(std::move(llm).error());
    Llm* const model = llm->get();
    AWM_CHECK(parts.registry->add("agent", *services_.llm, *std::move(llm)));

    RuntimeSettings runtime_settings;
    Runtime runtime(std::move(parts), runtime_settings, scope, services_.exit_hooks);
    bool lost = false;
    Result<void> worked = work_in(runtime, *model, lost);
    result_.agent_seconds += Seconds(Clock::now() - began).count();
    if (worked && !lost) worked = record_patch();
    // Law 5: the patch is on disk before the sandbox that made it is given back.
    note_release("agent", runtime.close());
    if (!worked) return std::unexpected(std::move(worked).error());
    if (lost && attempt >= 2) {
      return fail(Errc::lost, "work in", "the agent's sandbox",
                  lost_error_.empty() ? "it was lost twice" : "it was lost twice: " + lost_error_);
    }
    return lost;
  }

  // A lost sandbox is no error yet: a fresh try may be due.
  Result<void> unless_lost(Error error, bool& lost) {
    if (error.code != Errc::lost) return std::unexpected(std::move(error));
    lost = true;
    lost_error_ = error.message();
    return {};
  }

  Result<void> work_in(Runtime& runtime, Llm& model, bool& lost) {
    if (auto connected = runtime.connect(Deadline::in(Seconds(settings_.connect_timeout))); !connected) {
      return unless_lost(std::move(connected).error(), lost);
    }
    Sandbox& sandbox = *runtime.sandbox();
    // The one agent submits its patch, the others' is the difference to here.
    const bool submits = settings_.rollout.agent_class == "BashAgent";
    StartHead start;
    if (!submits) {
      auto found = find_start_head(sandbox);
      if (!found) return unless_lost(std::move(found).error(), lost);
      start = *std::move(found);
    }

    AgentTask agent_task{.instance_id = row_.instance_id,
                         .repo = row_.repo,
                         .problem_statement = row_.problem_statement,
                         .base_commit = row_.base_commit};
    RolloutSettings rollout = settings_.rollout;
    // What a first try cost counts against the sample's budget.
    if (rollout.max_cost > 0) rollout.max_cost = std::max(rollout.max_cost - result_.cost, 1e-9);
    rollout.output_folder = folder_;
    AWM_CHECK(add_memory(agent_task, rollout, runtime.settings()));
    tell(SamplePhase::agent);
    rollout.on_iteration = [this](int iterations) {
      fault::crash_point("agent");
      if (services_.on_phase) services_.on_phase(row_.instance_id, SamplePhase::agent, iterations);
    };
    auto outcome = run_rollout(runtime, model, agent_task, rollout, *services_.stop);
    for (const auto& problem : outcome.save_problems) log_warning(row_.instance_id + ": " + problem.message());
    result_.agent_end = to_string(outcome.end);
    result_.first_prompt_tokens = outcome.first_prompt_tokens;
    result_.iterations = outcome.iterations;
    result_.cost += outcome.cost;
    result_.cost_known = outcome.cost_known;
    result_.usage.prompt_tokens += outcome.usage.prompt_tokens;
    result_.usage.completion_tokens += outcome.usage.completion_tokens;
    result_.usage.cached_tokens += outcome.usage.cached_tokens;
    result_.usage.reasoning_tokens += outcome.usage.reasoning_tokens;
    result_.usage.reported = result_.usage.reported || outcome.usage.reported;

    switch (outcome.end) {
      case RolloutEnd::sandbox_lost:
        lost = true;
        if (outcome.error) lost_error_ = outcome.error->message();
        return {};
      case RolloutEnd::stopped:
        return std::unexpected(stopped_error("work on", row_.instance_id));
      case RolloutEnd::llm_error:
        llm_failure_ = outcome.llm_failure;
        return std::unexpected(outcome.error.value_or(
            Error{.code = Errc::unavailable, .operation = "ask", .object = "the model", .cause = "it did not answer"}));
      case RolloutEnd::io_error:
        return std::unexpected(outcome.error.value_or(
            Error{.code = Errc::io, .operation = "write", .object = folder_, .cause = "failed"}));
      default:
        break;
    }
    // Whatever else ended it: what the agent left counts, as everywhere in the field.
    if (submits) {
      result_.patch = outcome.submission.value_or("");
      return {};
    }
    auto patch = extract_patch(sandbox, start);
    if (!patch) return unless_lost(std::move(patch).error(), lost);
    result_.patch = *std::move(patch);
    return {};
  }

  // The workflows that the agent's prompt carries.
  Result<void> add_memory(AgentTask& task, const RolloutSettings& rollout, const RuntimeSettings& runtime) {
    AWM_TRY(const auto prompts,
            rollout.agent_class == "BashAgent" ? bash_agent_prompts(task, rollout) : codeact_prompts(task, runtime));
    const std::string base = prompts.system + "\n" + prompts.instruction;
    result_.first_prompt_tokens_counted = static_cast<int64_t>(count_tokens(base));
    for (const auto& tool : prompts.tools) {
      result_.first_prompt_tokens_counted += static_cast<int64_t>(count_tokens(tool.description + tool.parameters));
    }
    if (!task_.learned || task_.learned->memory->size() == 0) return {};
    const auto section = workflow_section(*task_.learned->memory, settings_.truncation, base, task_.learned->scale);
    task.memory_section = section.text;
    result_.workflows_shown = static_cast<int>(section.shown);
    result_.workflows_left_out = static_cast<int>(section.left_out);
    result_.memory_revision = task_.learned->memory->revision();
    result_.first_prompt_tokens_counted += static_cast<int64_t>(count_tokens(section.text));
    return {};
  }

  void tell(SamplePhase phase) const {
    if (services_.on_phase) services_.on_phase(row_.instance_id, phase, result_.iterations);
  }

  Result<void> save_patch(std::string patch) {
    result_.patch = std::move(patch);
    AWM_CHECK(record(Json{{"type", "started"}}));
    return record_patch();
  }

  Result<void> record_patch() {
    AWM_CHECK(awm::write_file(join_path(folder_, "patch.diff"), result_.patch, true));
    Json json = to_json(result_);
    json["type"] = "patch";
    json.erase("verdict");
    json.erase("reason");
    json["patch_sha256"] = sha256_hex(result_.patch);
    json["patch_bytes"] = result_.patch.size();
    return record(std::move(json));
  }

  // --- the verdict
  // ---------------------------------------------------------------------------------------------------------
  Result<void> judge() {
    if (settings_.skip_evaluation) return {};
    const auto began = Clock::now();
    tell(SamplePhase::judging);
    judging_ = true;
    JudgeSettings judge_settings = settings_.judge;
    judge_settings.log_folder =
        run_log_folder(settings_.output_dir, settings_.run_id, settings_.model_name, row_.instance_id);
    if (result_.patch.empty()) {
      // Nothing to run: the reference, too, calls it unresolved without a container.
      finish(SampleVerdict::failed, "empty_patch", "the patch is empty");
      return {};
    }
    for (int attempt = 1;; ++attempt) {
      const Scope scope = scope_.child(attempt == 1 ? "judge" : "judge-again");
      auto made = services_.make_sandbox(row_, "judge", scope.child("sandbox"));
      if (!made) return std::unexpected(std::move(made).error());
      const std::unique_ptr<Sandbox> sandbox = *std::move(made);
      Result<void> judged = judge_in(*sandbox, judge_settings);
      result_.judge_seconds = Seconds(Clock::now() - began).count();
      fault::crash_point("release");
      // Law 5: the verdict is on disk (finish() wrote it) before its sandbox is given back.
      note_release("judge", sandbox->close());
      if (judged) return {};
      if (judged.error().code != Errc::lost || attempt >= 2) return judged;
      log_warning(fmt::format("{}: the judge's sandbox was lost; one fresh try", row_.instance_id));
    }
  }

  Result<void> judge_in(Sandbox& sandbox, const JudgeSettings& judge_settings) {
    AWM_CHECK(sandbox.connect(Deadline::in(Seconds(settings_.connect_timeout))));
    fault::crash_point("judge");
    AWM_TRY(const auto judgement, judge_patch(sandbox, row_, result_.patch, judge_settings));
    switch (judgement.verdict) {
      case JudgeVerdict::passed:
        finish(SampleVerdict::passed, "", judgement.summary);
        break;
      case JudgeVerdict::tests_failed:
        finish(SampleVerdict::failed, "tests_failed", judgement.summary);
        break;
      case JudgeVerdict::patch_failed:
        finish(SampleVerdict::failed, "patch_failed", judgement.summary);
        break;
      case JudgeVerdict::empty_patch:
        finish(SampleVerdict::failed, "empty_patch", judgement.summary);
        break;
      case JudgeVerdict::timed_out:
        finish(SampleVerdict::failed, "time_out", judgement.summary);
        break;
    }
    return {};
  }

  // --- the end
  // -------------------------------------------------------------------------------------------------------------
  void finish(SampleVerdict verdict, std::string_view reason, std::string_view message) {
    result_.verdict = verdict;
    result_.reason = reason;
    result_.message = to_valid_utf8(message);
    result_.timestamp = iso_time();
    final_ = true;
    Json json = to_json(result_);
    json["type"] = verdict == SampleVerdict::error || verdict == SampleVerdict::interrupted ? "error" : "verdict";
    if (auto written = record(std::move(json)); !written) {
      log_error(fmt::format("{}: the verdict ({}) could not be written to the journal: {}", row_.instance_id,
                            to_string(verdict), written.error().message()));
    }
  }

  void finish_with_error(const Error& error) {
    if (final_) return;  // a verdict stands, whatever comes after
    if (error.code == Errc::stopped) return finish(SampleVerdict::interrupted, "stopped", error.message());
    std::string_view reason = "runtime";
    if (llm_failure_) {
      reason = "api";
      // What a person must mend, and what fails every other sample alike.
      result_.hopeless = *llm_failure_ == LlmFailure::authentication || *llm_failure_ == LlmFailure::no_such_model ||
                         *llm_failure_ == LlmFailure::out_of_credit;
    } else if (error.os_errno == ENOSPC || error.os_errno == EDQUOT) {
      reason = "disk";
    } else if (!judging_ && result_.agent_end.empty() &&
               (error.code == Errc::not_found || error.code == Errc::unavailable)) {
      reason = "setup";
    } else if (judging_) {
      reason = "judge";
    }
    finish(SampleVerdict::error, reason, hide_secrets(error.message()));
  }

  void note_release(std::string_view which, const ReleaseReport& report) {
    if (report.clean()) return;
    for (const auto& problem : report.problems) {
      const std::string words = fmt::format("{} sandbox: {}", which, problem.message());
      result_.release_errors.push_back(words);
      log_warning(row_.instance_id + ": " + words);
      (void)record(Json{{"type", "release"}, {"which", which}, {"release_error", words}});
    }
  }

  Result<void> record(Json json) {
    json["instance_id"] = row_.instance_id;
    return services_.journal->append(std::move(json));
  }

  // result.json: this sample's line of results.jsonl. A view: losing it loses nothing.
  void write_views() {
    Experience experience{.instance_id = row_.instance_id,
                          .problem_statement = row_.problem_statement,
                          .diff_patch = result_.patch,
                          .test_output = old_words(result_),
                          .task_type = task_type_of(row_.problem_statement),
                          .timestamp = result_.timestamp,
                          .model_name = settings_.model_name};
    switch (result_.verdict) {
      case SampleVerdict::passed:
        experience.test_result = "PASS";
        break;
      case SampleVerdict::failed:
        experience.test_result = "FAIL";
        break;
      case SampleVerdict::skipped:
        experience.test_result = "SKIPPED";
        break;
      default:
        experience.test_result = "ERROR";
        break;
    }
    const auto events = join_path(folder_, "events.jsonl");
    if (exists(events)) {
      // Nothing is learned from a pass without its steps.
      auto steps = patiently([&] { return experience_steps(events); });
      if (!steps)
        log_warning(row_.instance_id + ": its steps are missing from the results: " + steps.error().message());
      if (steps) experience.history = *std::move(steps);
    }
    Json json = to_json(experience);
    result_.experience = std::move(experience);
    if (!result_.reason.empty()) json["reason"] = result_.reason;
    if (result_.verdict == SampleVerdict::error) json["error"] = result_.message;
    if (!result_.release_errors.empty()) json["release_error"] = join(result_.release_errors, "; ");
    json["agent_end"] = result_.agent_end;
    json["cost"] = result_.cost;
    const auto text = dump_json(json) + "\n";
    const auto written = patiently([&] { return awm::write_file(join_path(folder_, "result.json"), text); });
    if (!written) {
      log_warning(row_.instance_id + ": " + written.error().message());
    }
  }

  const RunServices services_;
  const SampleSettings& settings_;
  const SampleTask task_;
  const Row& row_;
  Scope scope_;
  std::string folder_;
  SampleResult result_;
  bool final_ = false;
  bool judging_ = false;
  std::optional<LlmFailure> llm_failure_;
  std::string lost_error_;
};

}  // namespace

std::string_view to_string(SampleVerdict verdict) {
  switch (verdict) {
    case SampleVerdict::passed:
      return "passed";
    case SampleVerdict::failed:
      return "failed";
    case SampleVerdict::error:
      return "error";
    case SampleVerdict::skipped:
      return "skipped";
    case SampleVerdict::interrupted:
      return "interrupted";
  }
  return "error";
}

std::string_view to_string(SamplePhase phase) {
  switch (phase) {
    case SamplePhase::connecting:
      return "connecting";
    case SamplePhase::agent:
      return "agent";
    case SamplePhase::judging:
      return "judging";
  }
  return "";
}

std::string sample_folder(const std::string& output_dir, const std::string& instance_id) {
  return join_path(join_path(output_dir, "samples"), instance_id);
}

SampleResult finished_sample(const SampleSettings& settings, const Row& row, const SampleState& state) {
  return SampleRun({}, settings, {.row = &row}, Scope("finished")).from_journal(state);
}

SampleResult run_sample(const RunServices& services, const SampleSettings& settings, const SampleTask& task,
                        const Scope& scope) {
  return SampleRun(services, settings, task, scope).work();
}

Json to_json(const SampleResult& result) {
  Json json{{"instance_id", result.instance_id},
            {"verdict", to_string(result.verdict)},
            {"reason", result.reason},
            {"message", result.message},
            {"agent_end", result.agent_end},
            {"iterations", result.iterations},
            {"cost", result.cost},
            {"hopeless", result.hopeless},
            {"cost_known", result.cost_known},
            {"prompt_tokens", result.usage.prompt_tokens},
            {"completion_tokens", result.usage.completion_tokens},
            {"cached_tokens", result.usage.cached_tokens},
            {"workflows_shown", result.workflows_shown},
            {"workflows_left_out", result.workflows_left_out},
            {"memory_revision", result.memory_revision},
            {"first_prompt_tokens", result.first_prompt_tokens},
            {"first_prompt_tokens_counted", result.first_prompt_tokens_counted},
            {"agent_seconds", result.agent_seconds},
            {"judge_seconds", result.judge_seconds}};
  if (!result.timestamp.empty()) json["timestamp"] = result.timestamp;
  return json;
}

SampleResult sample_result_from_json(const Json& record) {
  SampleResult result;
  result.instance_id = string_or(record, "instance_id", "");
  const auto verdict = string_or(record, "verdict", "error");
  for (const auto candidate : {SampleVerdict::passed, SampleVerdict::failed, SampleVerdict::error,
                               SampleVerdict::skipped, SampleVerdict::interrupted}) {
    if (to_string(candidate) == verdict) result.verdict = candidate;
  }
  result.reason = string_or(record, "reason", "");
  result.message = string_or(record, "message", "");
  result.agent_end = string_or(record, "agent_end", "");
  result.iterations = static_cast<int>(get_int(record, "iterations").value_or(0));
  result.cost = get_number(record, "cost").value_or(0);
  result.hopeless = get_bool(record, "hopeless").value_or(false);
  result.cost_known = get_bool(record, "cost_known").value_or(false);
  result.usage.prompt_tokens = get_int(record, "prompt_tokens").value_or(0);
  result.usage.completion_tokens = get_int(record, "completion_tokens").value_or(0);
  result.usage.cached_tokens = get_int(record, "cached_tokens").value_or(0);
  result.workflows_shown = static_cast<int>(get_int(record, "workflows_shown").value_or(0));
  result.workflows_left_out = static_cast<int>(get_int(record, "workflows_left_out").value_or(0));
  result.memory_revision = get_int(record, "memory_revision").value_or(0);
  result.first_prompt_tokens = get_int(record, "first_prompt_tokens").value_or(0);
  result.first_prompt_tokens_counted = get_int(record, "first_prompt_tokens_counted").value_or(0);
  result.agent_seconds = get_number(record, "agent_seconds").value_or(0);
  result.judge_seconds = get_number(record, "judge_seconds").value_or(0);
  result.timestamp = string_or(record, "timestamp", "");
  return result;
}

}  // namespace awm
