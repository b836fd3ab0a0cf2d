// One agent at one task, from the first prompt to the patch: reads from top to bottom, on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "llm/llm.h"
#include "os/stop.h"
#include "runtime/runtime.h"

namespace awm {

struct AgentTask {
  std::string instance_id;
  std::string repo;  // "django/django"
  std::string problem_statement;
  std::string base_commit;
  std::string working_folder = "/testbed";
  std::string memory_section;  // workflows, in front of the instruction; "" none
};

struct RolloutSettings {
  std::string agent_class = "CodeActAgent";  // or "BashAgent"
  int max_iterations = 0;                 // model answers; 0: the agent's own limit (CodeActAgent 100, BashAgent 250)
  double max_cost = 0;                    // US dollars; 0: none. Held before each call; needs a known price
  Seconds command_timeout{0};             // BashAgent: of one command, 0: 60 s. CodeActAgent: hard limit, 0: none
  std::optional<bool> stuck_detection{};  // unset: CodeActAgent yes, BashAgent no (mini-swe-agent has none)
  int max_nudges = 3;                     // replies without a tool call, in a row, before it counts as given up
  std::function<void(int)> on_iteration;  // told after each answer of the model, from the caller's thread; may be empty
  std::string output_folder;              // where trajectory.json, prompt.json, ID.traj.json go; "": nothing is saved
};

enum class RolloutEnd {
  finished,   // CodeActAgent called finish
  submitted,  // BashAgent submitted
  gave_up,    // no tool call in spite of nudges; or nothing but malformed calls
  iteration_limit,
  cost_limit,
  stuck,              // the same again and again
  llm_error,          // the model could not be asked: llm_failure says why
  sandbox_lost,       // the caller may try once more in a fresh one
  stopped,            // the run was stopped
  context_exhausted,  // the conversation does not fit the model, shortened or not
  io_error,           // events could not be written
};
std::string_view to_string(RolloutEnd end);

struct RolloutOutcome {
  RolloutEnd end = RolloutEnd::stopped;
  std::optional<std::string> submission;  // BashAgent: the patch it submitted, byte by byte
  std::string final_message;              // finish's message, or the last words
  int iterations = 0;                     // answers of the model
  Usage usage;                            // of this rollout alone
  int64_t first_prompt_tokens = 0;        // of the first request, as the server counted; 0 unknown
  double cost = 0;                        // US dollars
  bool cost_known = false;                // true when every answer had a price
  int condensations = 0;                  // times the middle was dropped
  Seconds duration{0};
  std::optional<LlmFailure> llm_failure;
  std::optional<Error> error;        // why it ended, where that is an error
  std::vector<Error> save_problems;  // trajectory or prompt files that could not be written; harms nothing else
};

// Runs the agent. `runtime` is connected, `llm` answers. Every step is recorded in the runtime's stream. Never throws;
// files in settings.output_folder are written also when it ends badly.
RolloutOutcome run_rollout(Runtime& runtime, Llm& llm, const AgentTask& task, const RolloutSettings& settings,
                           const Stop& stop);

// Names that run_rollout() knows.
const std::vector<std::string>& agent_classes();

}  // namespace awm
