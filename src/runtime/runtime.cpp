#include "runtime/runtime.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "llm/registry.h"
#include "os/log.h"

namespace awm {
namespace {

constexpr std::string_view what_to_do_meanwhile =
    "You may wait longer to see additional output by sending empty command '', send other commands to interact with "
    "the "
    "current process, send keys (\"C-c\", \"C-z\", \"C-d\") to interrupt/kill the previous command before sending your "
    "new "
    "command, or use the timeout parameter in execute_bash for future commands.";
constexpr std::string_view cut_note = "\n[... Observation truncated due to length ...]\n";

// 10 → "10", 0.5 → "0.5".
std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

Observation run_observation(const RunAction& run, std::string content, RunMetadata metadata) {
  return {std::move(content),
          RunObservation{.command = run.command, .metadata = std::move(metadata), .hidden = run.hidden}};
}

// "C-c" and its kin: a key sent to the running command.
std::optional<char> control_key(std::string_view command) {
  const std::string_view key = trim(command);
  if (key.size() != 3 || !key.starts_with("C-")) return std::nullopt;
  const char letter = static_cast<char>(key[2] | 0x20);
  if (letter < 'a' || letter > 'z') return std::nullopt;
  return letter;
}

std::string how_it_ended(const ExitStatus& status) {
  return "[The command completed with exit code " + std::to_string(status.shell_code()) + ".]";
}

}  // namespace

std::string cut_output(std::string_view text, std::size_t max_chars, uint64_t omitted, uint64_t omitted_at) {
  if (omitted > 0) {
    // What is missing was in the middle; so is the note, and each side keeps its half.
    const auto at = static_cast<std::size_t>(std::min<uint64_t>(omitted_at, text.size()));
    const std::string head = to_valid_utf8(text.substr(0, at));
    const std::string tail = to_valid_utf8(text.substr(at));
    const std::size_t half = max_chars / 2;
    const std::size_t tail_chars = utf8_length(tail);
    return head.substr(0, utf8_offset(head, half)) + std::string(cut_note) +
           tail.substr(tail_chars > half ? utf8_offset(tail, tail_chars - half) : 0);
  }
  return truncate_middle(to_valid_utf8(text), max_chars, cut_note);
}

RuntimeParts::RuntimeParts() = default;
RuntimeParts::RuntimeParts(RuntimeParts&&) noexcept = default;
RuntimeParts& RuntimeParts::operator=(RuntimeParts&&) noexcept = default;
RuntimeParts::~RuntimeParts() = default;

Runtime::Runtime(RuntimeParts parts, RuntimeSettings settings, const Scope& scope, ExitHooks* hooks)
    : parts_(std::move(parts)), settings_(std::move(settings)), editor_(settings_.working_folder) {
  if (hooks != nullptr) {
    hook_ = hooks->add(scope, "close runtime", [this] {
      for (const Error& problem : release().problems) log_warning(problem.message());
    });
  }
}

Runtime::~Runtime() {
  (void)close();
}

Result<void> Runtime::connect(Deadline deadline) {
  if (!parts_.sandbox) return {};
  return parts_.sandbox->connect(deadline);
}

Result<Event> Runtime::record(Event event, EventSource source) {
  if (!parts_.stream) {
    header(event).source = source;
    return event;
  }
  AWM_TRY(const EventPtr added, parts_.stream->add_event(std::move(event), source));
  return *added;
}

Result<Observation> Runtime::run_action(Action action) {
  int64_t id = action.id;
  if (id < 0) {
    AWM_TRY(const Event recorded, record(action, EventSource::agent));
    id = header(recorded).id;
  }
  AWM_TRY(Observation observation, perform(action));
  if (id >= 0) observation.cause = id;
  observation.tool_call = action.tool_call;
  AWM_TRY(const Event recorded, record(observation, EventSource::environment));
  // The model is told what was seen; the stream's copy, with secrets hidden, is for files and subscribers. Both are one
  // in what a sandbox can know: keys never enter it.
  const EventHeader& given = header(recorded);
  observation.id = given.id;
  observation.timestamp = given.timestamp;
  observation.source = given.source;
  return observation;
}

Result<Observation> Runtime::perform(const Action& action) {
  if (const auto* run = get_if<RunAction>(action)) {
    if (!parts_.sandbox) return fail(Errc::closed, "run", run->command, "this runtime has no sandbox");
    return run->is_static ? run_fresh(*run, action.timeout) : run_in_shell(*run, action.timeout);
  }
  const auto edit_with = [&](const EditorCommand& command) -> Result<EditorResult> {
    if (!parts_.sandbox) return fail(Errc::closed, command.command, command.path, "this runtime has no sandbox");
    return editor_.run(*parts_.sandbox, command);
  };
  if (const auto* read = get_if<ReadAction>(action)) {
    EditorCommand command{.command = "view", .path = read->path, .view_range = read->view_range};
    if (read->impl_source != "oh_aci" && (read->start > 0 || read->end >= 0)) {
      // Lines start…end of the older action, counted from 0, end not in.
      command.view_range = {read->start + 1, read->end < 0 ? -1 : read->end};
    }
    AWM_TRY(EditorResult result, edit_with(command));
    if (!result.ok) return Observation(std::move(result.text), ErrorObservation{});
    return Observation(std::move(result.text), ReadObservation{.path = read->path, .impl_source = "oh_aci"});
  }
  if (const auto* edit = get_if<EditAction>(action)) {
    AWM_TRY(EditorResult result, edit_with({.command = edit->command,
                                            .path = edit->path,
                                            .file_text = edit->file_text,
                                            .old_str = edit->old_str,
                                            .new_str = edit->new_str,
                                            .insert_line = edit->insert_line,
                                            .view_range = {}}));
    if (!result.ok) return Observation(std::move(result.text), ErrorObservation{});
    return Observation(std::move(result.text), EditObservation{.path = edit->path,
                                                               .prev_exist = result.existed,
                                                               .old_content = std::move(result.old_content),
                                                               .new_content = std::move(result.new_content),
                                                               .impl_source = "oh_aci",
                                                               .diff = {},
                                                               .diff_cache = {}});
  }
  if (const auto* write = get_if<WriteAction>(action)) {
    if (!parts_.sandbox) return fail(Errc::closed, "write", write->path, "this runtime has no sandbox");
    auto written = parts_.sandbox->write_file(write->path, write->content);
    if (written) return Observation("", WriteObservation{.path = write->path});
    switch (written.error().code) {
      case Errc::lost:
      case Errc::closed:
      case Errc::stopped:
      case Errc::protocol:
        return std::unexpected(std::move(written).error());
      default:
        return Observation("ERROR:\n" + written.error().message(), ErrorObservation{});
    }
  }
  if (get_if<ThinkAction>(action) != nullptr) {
    return Observation("Your thought has been logged.", ThinkObservation{});
  }
  if (const auto* state = get_if<ChangeAgentStateAction>(action)) {
    return Observation("", AgentStateChangedObservation{.agent_state = state->agent_state, .reason = {}});
  }
  const std::string_view kind = kind_of(action);
  if (kind == "run_ipython" || kind == "delegate" || std::holds_alternative<OtherAction>(action.body)) {
    return Observation("The action \"" + std::string(kind) + "\" is not available here.", ErrorObservation{});
  }
  return Observation("", NullObservation{});  // finish, message, system, recall, null: recorded, nothing comes of them
}

Result<Observation> Runtime::run_fresh(const RunAction& run, std::optional<double> timeout) {
  ExecOptions options;
  options.folder = run.cwd.value_or(settings_.working_folder);
  const Seconds limit = timeout ? Seconds(*timeout) : settings_.hard_timeout;
  options.hard_limit = limit;
  options.keep = settings_.max_output_chars * 4;  // a code point has four bytes at most
  AWM_TRY(const ExecResult result, parts_.sandbox->exec(bash(run.command), options));
  RunMetadata metadata;
  metadata.exit_code = result.status.shell_code();
  metadata.working_dir = options.folder;
  if (result.status.kind() == ExitStatus::Kind::timed_out) {
    metadata.suffix = "\n[The command timed out after " + seconds_text(limit.count()) + " seconds and was ended.]";
  } else if (result.status.kind() == ExitStatus::Kind::out_of_memory) {
    metadata.suffix = "\n[The command was ended: out of memory.]";
  } else {
    metadata.suffix = "\n" + how_it_ended(result.status);
  }
  return run_observation(run,
                         cut_output(result.output, settings_.max_output_chars, result.omitted_bytes, result.omitted_at),
                         std::move(metadata));
}

Result<Observation> Runtime::run_in_shell(const RunAction& run, std::optional<double> timeout) {
  Sandbox& sandbox = *parts_.sandbox;
  ShellOptions options;
  const Seconds limit = timeout ? Seconds(*timeout) : settings_.hard_timeout;
  // A command with a time-out of its own is not asked after before it: OpenHands' "blocking".
  options.soft_quiet_limit = run.blocking && limit.count() > 0 ? Seconds(0) : settings_.soft_timeout;
  options.keep = settings_.max_output_chars * 4;
  const std::string command(trim(run.command));
  const auto key = control_key(command);

  if (!command_unfinished_) {
    if (command.empty()) {
      return run_observation(run, "ERROR: No previous running command to retrieve logs from.", {});
    }
    if (run.is_input || key) return run_observation(run, "ERROR: No previous running command to interact with.", {});
  } else if (!command.empty() && !run.is_input && !key) {
    RunMetadata metadata;
    metadata.suffix = "\n[Your command \"" + command +
                      "\" is NOT executed. The previous command is still running - You CANNOT send new commands until "
                      "the previous command is completed. By setting `is_input` to `true`, you can interact with the "
                      "current process: " +
                      std::string(what_to_do_meanwhile) + "]";
    return run_observation(run, "", std::move(metadata));
  }

  const bool continued = command_unfinished_;
  // The hard limit is the command's: one that is continued has been given its own when it began.
  Result<ShellResult> answer = fail(Errc::internal, "run", command, "no answer");
  if (!continued) {
    options.hard_limit = limit;
    answer = sandbox.shell_run(run.command, options);
  } else if (command.empty()) {
    answer = sandbox.shell_continue(options);
  } else if (key == 'c') {
    answer = sandbox.shell_interrupt(options);
  } else if (key) {
    const char byte = static_cast<char>(*key - 'a' + 1);
    answer = sandbox.shell_input(std::string_view(&byte, 1), options);
  } else {
    answer = sandbox.shell_input(run.command + "\n", options);
  }
  // The command's own fault (a NUL byte, too long): the model hears of it.
  if (!answer && answer.error().code == Errc::invalid_input) {
    return Observation("ERROR: the command could not be run: " + to_valid_utf8(answer.error().cause),
                       ErrorObservation{});
  }
  if (!answer) return std::unexpected(std::move(answer).error());
  ShellResult& result = *answer;
  command_unfinished_ = !result.finished;

  RunMetadata metadata;
  if (continued) metadata.prefix = "[Below is the output of the previous command.]\n";
  if (!result.finished) {
    metadata.suffix = "\n[The command has no new output after " + seconds_text(options.soft_quiet_limit.count()) +
                      " seconds. " + std::string(what_to_do_meanwhile) + "]";
  } else {
    metadata.exit_code = result.status.shell_code();
    if (!result.folder.empty()) metadata.working_dir = result.folder;
    std::string end = how_it_ended(result.status);
    if (key) {
      end.insert(end.size() - 1, std::string(" CTRL+") + static_cast<char>(*key - 0x20) + " was sent.");
    }
    if (result.status.kind() == ExitStatus::Kind::timed_out) {
      end = "[The command timed out after " + seconds_text(limit.count()) + " seconds and was ended.]";
    } else if (result.status.kind() == ExitStatus::Kind::out_of_memory) {
      end = "[The command was ended: out of memory.]";
    }
    metadata.suffix = "\n" + end;
    if (result.restarted) {
      metadata.suffix +=
          "\n[The shell itself ended with this command. A new one was started: working directory, variables and "
          "functions of the old one are lost.]";
    }
  }
  return run_observation(run,
                         cut_output(result.output, settings_.max_output_chars, result.omitted_bytes, result.omitted_at),
                         std::move(metadata));
}

ReleaseReport Runtime::close() noexcept {
  hook_.unregister();
  return release();
}

ReleaseReport Runtime::release() noexcept {
  const std::lock_guard lock(close_mutex_);
  if (report_) return *report_;
  ReleaseReport report;
  const auto release_part = [&](const char* what, auto&& part) {
    try {
      part();
    } catch (const std::exception& e) {
      report.problems.push_back(Error{.code = Errc::internal, .operation = "close", .object = what, .cause = e.what()});
    } catch (...) {
      report.problems.push_back(
          Error{.code = Errc::internal, .operation = "close", .object = what, .cause = "an unknown exception"});
    }
  };
  release_part("sandbox", [&] {
    if (!parts_.sandbox) return;
    for (Error& problem : parts_.sandbox->close().problems) report.problems.push_back(std::move(problem));
  });
  release_part("models", [&] {
    if (parts_.registry) parts_.registry->close();
  });
  release_part("event stream", [&] {
    if (!parts_.stream) return;
    if (auto closed = parts_.stream->close(); !closed) report.problems.push_back(std::move(closed).error());
  });
  report_ = report;
  return report;
}

}  // namespace awm
