#include "swebench/steps.h"

#include <fmt/format.h>

#include "base/text.h"

namespace awm {

std::string last_words(std::string_view output) {
  constexpr std::size_t most = 300;
  std::string_view text = trim(output);
  if (text.size() > most) text.remove_prefix(text.size() - most);
  return to_valid_utf8(trim(text));
}

std::optional<Error> step_failure(const ExitStatus& status, const std::string& command, std::string_view output) {
  Error error{.code = Errc::io, .operation = "run", .object = command, .cause = status.text()};
  switch (status.kind()) {
    case ExitStatus::Kind::exited:
      if (status.value() != 127 && status.value() != 126) return std::nullopt;
      error.code = Errc::unavailable;
      error.cause = "the sandbox could not start it: " + last_words(output);
      break;
    case ExitStatus::Kind::signalled:
      break;
    case ExitStatus::Kind::timed_out:
    case ExitStatus::Kind::went_quiet:
      error.code = Errc::timed_out;
      break;
    case ExitStatus::Kind::out_of_memory:
      error.code = Errc::exhausted;
      break;
    case ExitStatus::Kind::lost:
      error.code = Errc::lost;
      break;
  }
  return error;
}

Result<StepResult> run_step(Sandbox& sandbox, const Step& step) {
  ExecOptions options;
  options.folder = step.folder;
  options.environment = step.environment;
  options.hard_limit = step.limit;
  options.keep = step.keep;
  options.with_env_setup = false;
  AWM_TRY(const auto result, sandbox.exec(step.argv, options));
  const std::string command = join(step.argv, " ");
  if (auto failure = step_failure(result.status, command, result.output)) return fail(*std::move(failure));
  StepResult done{.exit_code = result.status.value(), .output = {}, .duration = result.duration};
  if (result.omitted_bytes > 0) {
    done.output = to_valid_utf8(std::string_view(result.output).substr(0, result.omitted_at)) +
                  fmt::format("\n[{} left out]\n", human_bytes(result.omitted_bytes)) +
                  to_valid_utf8(std::string_view(result.output).substr(result.omitted_at));
  } else {
    done.output = to_valid_utf8(result.output);
  }
  return done;
}

Result<StepResult> run_checked(Sandbox& sandbox, const Step& step) {
  AWM_TRY(auto done, run_step(sandbox, step));
  if (done.exit_code != 0) {
    return fail(Errc::io, "run", join(step.argv, " "),
                fmt::format("exited {}: {}", done.exit_code, last_words(done.output)));
  }
  return done;
}

}  // namespace awm
