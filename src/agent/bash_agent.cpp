// The agent with one tool, as mini-swe-agent has it: every command in a fresh bash, the patch is what it submits. The
// rules are those of mini-swe-agent 2.2.7-2.4.6, so that recorded runs replay; the words are ours.
#include <algorithm>

#include "agent/codeact_tools.h"
#include "agent/controller.h"
#include "agent/mini_trajectory.h"
#include "agent/prompts.h"
#include "agent/stuck.h"
#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

namespace awm {
namespace {

constexpr std::string_view end_mark = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT";
constexpr int max_format_errors = 3;                       // in a row
constexpr std::size_t shown_chars = 10'000;                // an output of this many code points is shown in part
constexpr std::size_t keep_bytes = std::size_t{16} << 20;  // of one output: a patch must be whole
constexpr double default_timeout = 60;                     // seconds, as in mini's SWE-bench settings

double timeout_of(const RolloutSettings& settings) {
  return settings.command_timeout.count() > 0 ? settings.command_timeout.count() : default_timeout;
}

std::string number_text(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// Python's text mode: every line end becomes "\n".
std::string with_plain_line_ends(std::string text) {
  if (text.find('\r') == std::string::npos) return text;
  return replace_all(replace_all(std::move(text), "\r\n", "\n"), "\r", "\n");
}

// What a command that ended the run submitted: all behind the first line, when that is the mark. As Python's
// output.lstrip().splitlines(keepends=True), on bytes.
std::optional<std::string> submission_of(std::string_view output) {
  const auto blank = [](char c) { return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20); };
  while (!output.empty() && blank(output.front())) output.remove_prefix(1);
  if (!output.starts_with(end_mark)) return std::nullopt;
  std::string_view rest = output.substr(end_mark.size());
  const auto ends_line = [](char c) { return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E); };
  while (!rest.empty() && !ends_line(rest.front())) {
    if (!blank(rest.front())) return std::nullopt;
    rest.remove_prefix(1);
  }
  if (rest.starts_with("\r\n")) {
    rest.remove_prefix(2);
  } else if (!rest.empty()) {
    rest.remove_prefix(1);
  }
  return std::string(rest);
}

struct Ran {
  MiniOutput told;
  std::optional<std::string> submission;
};

// Of the user whom SWE-bench's images run commands as.
constexpr std::string_view image_home = "/root";

class BashAgent {
 public:
  explicit BashAgent(Controller& c) : c_(c) {
    environment_ = {"PAGER=cat", "MANPAGER=cat", "LESS=-R", "PIP_PROGRESS_BAR=off", "TQDM_DISABLE=1"};
    // SWE-bench's images activate their environment in root's .bashrc; a plain `bash -c` would not read it.
    if (Sandbox* sandbox = c.runtime().sandbox(); sandbox != nullptr && sandbox->facts().kind == "docker") {
      environment_.emplace_back("BASH_ENV=" + std::string(image_home) + "/.bashrc");
    }
  }

  void run() {
    for (const Message& message : c_.conversation().messages()) trajectory_.add_text(message.role, message.content);
    while (!c_.ended()) {
      auto answer = c_.ask();
      if (!answer) break;
      std::vector<ToolCall> calls;
      calls.reserve(answer->message.tool_calls.size());
      for (std::size_t i = 0; i < answer->message.tool_calls.size(); ++i) {
        calls.push_back(presentable_call(answer->message.tool_calls[i],
                                         "call_" + std::to_string(c_.outcome().iterations) + "_" + std::to_string(i)));
      }
      auto actions = actions_of(*answer, calls);
      if (!actions) {
        take_format_error(*answer, actions.error());
      } else {
        format_errors_ = 0;
        take_actions(*answer, calls, *actions);
      }
      if (!c_.ended() && c_.settings().stuck_detection.value_or(false)) {
        if (const auto why = stuck_.stuck()) {
          c_.outcome().error = Error{.code = Errc::exhausted,
                                     .operation = "run agent on",
                                     .object = c_.task().instance_id,
                                     .cause = "the agent is stuck: it " + *why};
          c_.end(RolloutEnd::stuck, last_words_);
        }
      }
    }
    if (c_.outcome().final_message.empty()) c_.outcome().final_message = last_words_;
    save();
  }

 private:
  // All calls of an answer, or what is wrong with the first wrong one: then none is run.
  static std::expected<std::vector<MiniAction>, std::string> actions_of(const Completion& answer,
                                                                        const std::vector<ToolCall>& calls) {
    if (calls.empty()) {
      return std::unexpected(
          "No tool calls found in the response. Every response MUST include at least one tool call.");
    }
    std::vector<MiniAction> actions;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const ToolCall& given = answer.message.tool_calls[i];
      std::string wrong;
      const auto json = parse_json(given.arguments, "arguments");
      if (!json) wrong += "Error parsing tool call arguments: " + json.error().cause + ". ";
      if (given.name != "bash") wrong += "Unknown tool '" + valid(given.name) + "'. ";
      const auto command = json ? get_string(*json, "command") : std::nullopt;
      if (!command) wrong += "Missing 'command' argument in bash tool call.";
      if (!wrong.empty()) return std::unexpected(std::string(trim(wrong)));
      actions.push_back({.command = *command, .tool_call_id = calls[i].id});
    }
    return actions;
  }

  void take_format_error(const Completion& answer, const std::string& why) {
    const bool cut_off =
        answer.finish_reason == "length" || (answer.finish_reason == "tool_calls" && answer.message.tool_calls.empty());
    auto text =
        cut_off ? render_prompt("bash_format_error_length") : render_prompt("bash_format_error", {{"error", why}});
    if (!text) {
      c_.end_with(text.error());
      return;
    }
    last_words_ = valid(answer.message.content);
    stuck_.add_message(last_words_);
    int64_t id = -1;
    Action said(MessageAction{.content = last_words_, .file_urls = {}, .image_urls = {}, .wait_for_response = true});
    said.llm_metrics.text = c_.metrics();
    if (!c_.record(std::move(said), EventSource::agent, &id)) return;
    if (!c_.record(Observation(*text, ErrorObservation{}), EventSource::environment)) return;
    trajectory_.add_format_error(answer, *text);
    // The answer itself is not sent back: servers refuse calls that nobody answered.
    c_.conversation().add(Message{.role = Role::user, .content = *std::move(text)}, id);
    if (++format_errors_ >= max_format_errors) {
      exit_status_ = "RepeatedFormatError";
      c_.end(RolloutEnd::gave_up, last_words_);
    }
  }

  void take_actions(const Completion& answer, const std::vector<ToolCall>& calls,
                    const std::vector<MiniAction>& actions) {
    const std::string thought = valid(answer.message.content);
    if (!thought.empty()) last_words_ = thought;
    trajectory_.add_answer(answer, calls, actions);
    Message message = answer.message;
    message.role = Role::assistant;
    message.content = thought;
    message.tool_calls = calls;
    const int64_t first_event = c_.runtime().stream() != nullptr ? c_.runtime().stream()->next_id() : -1;
    c_.conversation().add(std::move(message), first_event);
    c_.conversation().note_usage(answer.usage.prompt_tokens, answer.usage.completion_tokens);

    const auto raw = std::make_shared<const std::string>(answer.raw.empty() ? "{}" : answer.raw);
    std::vector<MiniOutput> outputs;
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto metadata = c_.metadata(calls[i], answer, raw);
      auto ran = run_command(actions[i], i == 0 ? thought : "", i == 0, metadata);
      if (!ran) {
        c_.end_with(ran.error());
        return;
      }
      if (ran->submission) {
        c_.outcome().submission = std::move(ran->submission);
        if (c_.record(Action(FinishAction{.final_thought = last_words_, .thought = {}}), EventSource::agent)) {
          c_.end(RolloutEnd::submitted, last_words_);
        }
        return;
      }
      outputs.push_back(std::move(ran->told));
    }
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const std::string content = shown(outputs[i]);
      trajectory_.add_output(actions[i], outputs[i], content);
      c_.conversation().add(
          Message{.role = Role::tool, .content = content, .tool_call_id = actions[i].tool_call_id, .tool_name = "bash"},
          first_event);
    }
  }

  Result<Ran> run_command(const MiniAction& mini, const std::string& thought, bool first,
                          const std::shared_ptr<const ToolCallMetadata>& metadata) {
    Sandbox* const sandbox = c_.runtime().sandbox();
    if (sandbox == nullptr) return fail(Errc::closed, "run", mini.command, "this runtime has no sandbox");
    RunAction run;
    run.command = mini.command;
    run.thought = thought;
    run.is_static = true;
    run.blocking = true;
    run.cwd = c_.task().working_folder;
    Action action(run);
    action.timeout = timeout_of(c_.settings());
    action.tool_call = metadata;
    if (first) action.llm_metrics.text = c_.metrics();
    AWM_TRY(const Event recorded, c_.runtime().record(action, EventSource::agent));

    ExecOptions options;
    options.folder = c_.task().working_folder;
    options.environment = environment_;
    options.hard_limit = Seconds(timeout_of(c_.settings()));
    options.keep = keep_bytes;
    auto executed = sandbox->exec(bash(mini.command), options);
    if (!executed && executed.error().code == Errc::invalid_input) {
      // The command's own fault (a NUL byte, too long): the model hears of it.
      Ran refused;
      refused.told.returncode = -1;
      refused.told.exception_info = "The command could not be started: " + valid(executed.error().cause);
      Observation seen(refused.told.exception_info, ErrorObservation{});
      seen.tool_call = metadata;
      AWM_CHECK(c_.runtime().record(std::move(seen), EventSource::environment));
      return refused;
    }
    if (!executed) return std::unexpected(std::move(executed).error());
    ExecResult result = *std::move(executed);
    if (result.status.kind() == ExitStatus::Kind::lost) {
      return fail(Errc::lost, "run", mini.command, "the sandbox ended during the command");
    }

    Ran ran;
    ran.told.returncode = result.status.shell_code();
    const bool timed_out =
        result.status.kind() == ExitStatus::Kind::timed_out || result.status.kind() == ExitStatus::Kind::went_quiet;
    if (timed_out) {
      ran.told.returncode = -1;
      ran.told.exception_info = "An error occurred while executing the command: Command '" + valid(mini.command) +
                                "' timed out after " + number_text(timeout_of(c_.settings())) + " seconds";
    } else if (result.status.kind() == ExitStatus::Kind::out_of_memory) {
      ran.told.exception_info = "The command was ended: out of memory.";
    }
    if (result.status.ok()) {
      ran.submission = submission_of(result.output);
      if (ran.submission && result.omitted_bytes > 0) {
        ran.submission.reset();
        ran.told.returncode = 1;
        ran.told.exception_info = "The patch is larger than " + human_bytes(keep_bytes) +
                                  " and was not submitted. Submit a patch of the source files only.";
      }
    }
    ran.told.output = with_plain_line_ends(to_valid_utf8(result.output));
    if (result.omitted_bytes > 0) {
      const auto at = static_cast<std::size_t>(std::min<uint64_t>(result.omitted_at, result.output.size()));
      ran.told.output = with_plain_line_ends(to_valid_utf8(std::string_view(result.output).substr(0, at))) + "\n[... " +
                        std::to_string(result.omitted_bytes) + " bytes left out ...]\n" +
                        with_plain_line_ends(to_valid_utf8(std::string_view(result.output).substr(at)));
    }

    RunMetadata end;
    end.exit_code = ran.told.returncode;
    end.working_dir = c_.task().working_folder;
    if (!ran.told.exception_info.empty()) end.suffix = "\n[" + ran.told.exception_info + "]";
    Observation observation(cut_output(ran.told.output, c_.runtime().settings().max_output_chars),
                            RunObservation{.command = mini.command, .metadata = std::move(end)});
    observation.tool_call = metadata;
    if (header(recorded).id >= 0) observation.cause = header(recorded).id;
    stuck_.add_step(action, observation);
    AWM_CHECK(c_.runtime().record(std::move(observation), EventSource::environment));
    return ran;
  }

  // The tags and limits of mini's observation.
  [[nodiscard]] static std::string shown(const MiniOutput& output) {
    std::string text;
    if (!output.exception_info.empty()) text += "<exception>" + output.exception_info + "</exception>\n";
    text += "<returncode>" + std::to_string(output.returncode) + "</returncode>\n";
    const std::size_t length = utf8_length(output.output);
    if (length < shown_chars) return text + "<output>\n" + output.output + "</output>";
    const std::size_t half = shown_chars / 2;
    text += "<warning>\n" + prompt_template("bash_too_long").value_or("The output is too long.") + "\n</warning>";
    text += "<output_head>\n" + output.output.substr(0, utf8_offset(output.output, half)) + "\n</output_head>\n";
    text += "<elided_chars>\n" + std::to_string(length - shown_chars) + " characters elided\n</elided_chars>\n";
    text += "<output_tail>\n" + output.output.substr(utf8_offset(output.output, length - half)) + "\n</output_tail>";
    return text;
  }

  [[nodiscard]] std::string exit_status() const {
    if (!exit_status_.empty()) return exit_status_;
    switch (c_.outcome().end) {
      case RolloutEnd::submitted:
        return "Submitted";
      case RolloutEnd::iteration_limit:
      case RolloutEnd::cost_limit:
        return "LimitsExceeded";
      case RolloutEnd::context_exhausted:
        return "ContextWindowExceededError";
      case RolloutEnd::llm_error:
        return "LlmError";
      case RolloutEnd::sandbox_lost:
        return "SandboxLost";
      case RolloutEnd::stopped:
        return "Stopped";
      case RolloutEnd::stuck:
        return "Stuck";
      case RolloutEnd::finished:
      case RolloutEnd::gave_up:
      case RolloutEnd::io_error:
        break;
    }
    return std::string(to_string(c_.outcome().end));
  }

  void save() {
    const RolloutOutcome& outcome = c_.outcome();
    const std::string status = exit_status();
    const std::string submission = outcome.submission.value_or("");
    trajectory_.add_exit(status, submission,
                         outcome.submission ? submission
                         : outcome.error    ? outcome.error->message()
                                            : status);
    if (c_.settings().output_folder.empty()) return;
    MiniTrajectory::Info info;
    info.cost = outcome.cost;
    info.calls = outcome.iterations;
    info.model = c_.llm().model();
    info.system_template = prompt_template("bash_system").value_or("");
    info.instance_template = prompt_template("bash_instruction").value_or("");
    info.step_limit = c_.max_iterations();
    info.cost_limit = c_.max_cost();
    info.working_folder = c_.task().working_folder;
    info.environment = environment_;
    info.timeout = timeout_of(c_.settings());
    info.sandbox = c_.runtime().sandbox() != nullptr ? c_.runtime().sandbox()->facts().kind : "none";
    info.instance_id = c_.task().instance_id;
    const std::string path = join_path(c_.settings().output_folder, c_.task().instance_id + ".traj.json");
    if (auto saved = trajectory_.save(path, info); !saved) c_.outcome().save_problems.push_back(saved.error());
  }

  Controller& c_;
  MiniTrajectory trajectory_;
  StuckDetector stuck_;
  std::vector<std::string> environment_;
  std::string last_words_;
  std::string exit_status_;
  int format_errors_ = 0;
};

}  // namespace

Result<RenderedPrompts> bash_agent_prompts(const AgentTask& task, const RolloutSettings& settings) {
  RenderedPrompts prompts;
  AWM_TRY(prompts.system, render_prompt("bash_system"));
  std::string memory = task.memory_section;
  if (!memory.empty()) memory += memory.ends_with('\n') ? "\n" : "\n\n";
  AWM_TRY(prompts.instruction,
          render_prompt("bash_instruction", {{"memory_section", std::move(memory)},
                                             {"working_folder", task.working_folder},
                                             {"problem_statement", task.problem_statement},
                                             {"command_timeout", number_text(timeout_of(settings))}}));
  AWM_TRY(std::string description, prompt_template("bash_tool"));
  prompts.tools = {
      {.name = "bash",
       .description = std::move(description),
       .parameters = dump_json(
           Json{{"type", "object"},
                {"properties", Json{{"command", Json{{"type", "string"}, {"description", "The bash command to run"}}}}},
                {"required", Json::array({"command"})}})}};
  return prompts;
}

void run_bash_agent(Controller& controller) {
  BashAgent(controller).run();
}

}  // namespace awm
