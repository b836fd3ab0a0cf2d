// Commands that judging and patch-taking run in a sandbox, each checked: what is the sandbox's fault is an Error.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace awm {

// How a step ended by itself.
struct StepResult {
  int exit_code = 0;
  std::string output;  // valid UTF-8, both streams; head and tail where it was long
  Seconds duration{0};
};

struct Step {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string folder = "/testbed";
  Seconds limit{600};
  std::size_t keep = std::size_t{256} << 10;
};

// Runs it without the sandbox's environment set-up. Errors: unavailable when the program is missing (127, 126),
// exhausted when memory ended it, timed_out, lost; io when a signal ended it; the sandbox's own.
Result<StepResult> run_step(Sandbox& sandbox, const Step& step);
// The same, and io when it exits with anything but 0, with the end of its output.
Result<StepResult> run_checked(Sandbox& sandbox, const Step& step);

// What run_step() makes of an end that is not an exit; nullopt for an exit, but for a missing program.
std::optional<Error> step_failure(const ExitStatus& status, const std::string& command, std::string_view output);

// The last lines of an output, for a message.
std::string last_words(std::string_view output);

}  // namespace awm
