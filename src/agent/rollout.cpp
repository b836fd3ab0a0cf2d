#include "agent/rollout.h"

#include "agent/codeact_tools.h"
#include "agent/controller.h"
#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

namespace awm {
namespace {

constexpr int codeact_iterations = 100;  // the predecessor's default
constexpr int bash_iterations = 250;     // mini-swe-agent's step_limit for SWE-bench

Result<void> save_prompt(const RolloutSettings& settings, const AgentTask& task, const std::string& model,
                         const RenderedPrompts& prompts) {
  Json document = Json::object();
  document["instance_id"] = task.instance_id;
  document["agent_class"] = settings.agent_class;
  document["model"] = model;
  document["system"] = valid(prompts.system);
  document["instruction"] = valid(prompts.instruction);
  document["memory_section"] = valid(task.memory_section);
  auto tools = parse_json(tools_json(prompts.tools), "tools");
  document["tools"] = tools ? *std::move(tools) : Json::array();
  return write_file(join_path(settings.output_folder, "prompt.json"), dump_json(document, 2) + "\n");
}

}  // namespace

std::string_view to_string(RolloutEnd end) {
  switch (end) {
    case RolloutEnd::finished:
      return "finished";
    case RolloutEnd::submitted:
      return "submitted";
    case RolloutEnd::gave_up:
      return "gave_up";
    case RolloutEnd::iteration_limit:
      return "iteration_limit";
    case RolloutEnd::cost_limit:
      return "cost_limit";
    case RolloutEnd::stuck:
      return "stuck";
    case RolloutEnd::llm_error:
      return "llm_error";
    case RolloutEnd::sandbox_lost:
      return "sandbox_lost";
    case RolloutEnd::stopped:
      return "stopped";
    case RolloutEnd::context_exhausted:
      return "context_exhausted";
    case RolloutEnd::io_error:
      return "io_error";
  }
  return "unknown";
}

const std::vector<std::string>& agent_classes() {
  static const std::vector<std::string> names = {"CodeActAgent", "BashAgent"};
  return names;
}

RolloutOutcome run_rollout(Runtime& runtime, Llm& llm, const AgentTask& task, const RolloutSettings& settings,
                           const Stop& stop) {
  const auto began = Clock::now();
  RolloutOutcome outcome;
  const auto problem = [&](const Result<void>& result) {
    if (!result) outcome.save_problems.push_back(result.error());
  };
  const bool bash = settings.agent_class == "BashAgent";
  const auto prompts = bash ? bash_agent_prompts(task, settings) : codeact_prompts(task, runtime.settings());
  if (!bash && settings.agent_class != "CodeActAgent") {
    outcome.end = RolloutEnd::io_error;
    outcome.error = Error{.code = Errc::invalid_input,
                          .operation = "run agent",
                          .object = settings.agent_class,
                          .cause = "there is no such agent",
                          .remedy = "use one of: " + join(agent_classes(), ", ")};
  } else if (!prompts) {
    outcome.end = RolloutEnd::io_error;
    outcome.error = prompts.error();
  } else {
    if (!settings.output_folder.empty()) {
      problem(make_folders(settings.output_folder));
      problem(save_prompt(settings, task, llm.model(), *prompts));
    }
    Controller controller(runtime, llm, task, settings, stop, outcome,
                          settings.max_iterations > 0 ? settings.max_iterations
                          : bash                      ? bash_iterations
                                                      : codeact_iterations,
                          settings.max_cost);
    if (controller.begin(prompts->system, prompts->instruction, prompts->tools)) {
      if (bash) {
        run_bash_agent(controller);
      } else {
        run_codeact(controller);
      }
    }
    const bool well = outcome.end == RolloutEnd::finished || outcome.end == RolloutEnd::submitted;
    (void)runtime.record(Observation("", AgentStateChangedObservation{.agent_state = well ? "finished" : "error",
                                                                      .reason = std::string(to_string(outcome.end))}),
                         EventSource::environment);
    if (!settings.output_folder.empty() && runtime.stream() != nullptr) {
      const auto exported =
          export_trajectory(runtime.stream()->path(), join_path(settings.output_folder, "trajectory.json"));
      if (!exported) outcome.save_problems.push_back(exported.error());
    }
  }
  outcome.cost_known = outcome.cost_known && outcome.iterations > 0;
  outcome.duration = Clock::now() - began;
  return outcome;
}

}  // namespace awm
