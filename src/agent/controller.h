// What every agent needs: budgets, asking the model, a conversation that fits, events, and the words for how it ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/conversation.h"
#include "agent/rollout.h"
#include "llm/llm.h"

namespace awm {

class Controller {
 public:
  Controller(Runtime& runtime, Llm& llm, const AgentTask& task, const RolloutSettings& settings, const Stop& stop,
             RolloutOutcome& outcome, int max_iterations, double max_cost);

  // Begins the conversation, and records the system and the user's message.
  bool begin(std::string system, std::string instruction, std::vector<ToolSpec> tools);

  // Asks for the next answer, within the budgets; shortens the conversation when it does not fit. nullopt: it is over,
  // and the outcome says why. The answer is not in the conversation yet.
  std::optional<Completion> ask();

  // Records an event. False: it could not be written, and the outcome says so. `id` gets the event's id.
  bool record(Event event, EventSource source, int64_t* id = nullptr);
  // Ends with this error of run_action(), exec() or record().
  void end_with(const Error& error);
  void end(RolloutEnd how, std::string final_message = {});
  [[nodiscard]] bool ended() const { return ended_; }

  // Which call of which answer; shared by an action and its observation.
  std::shared_ptr<const ToolCallMetadata> metadata(const ToolCall& call, const Completion& answer,
                                                   const std::shared_ptr<const std::string>& raw) const;
  // Cost and tokens so far, as OpenHands puts them on an agent's events.
  [[nodiscard]] std::string metrics() const;

  [[nodiscard]] Conversation& conversation() { return *conversation_; }
  [[nodiscard]] const std::vector<ToolSpec>& tools() const { return tools_; }
  [[nodiscard]] Runtime& runtime() { return runtime_; }
  [[nodiscard]] Llm& llm() { return llm_; }
  [[nodiscard]] const AgentTask& task() const { return task_; }
  [[nodiscard]] const RolloutSettings& settings() const { return settings_; }
  [[nodiscard]] RolloutOutcome& outcome() { return outcome_; }
  [[nodiscard]] int max_iterations() const { return max_iterations_; }
  [[nodiscard]] double max_cost() const { return max_cost_; }

 private:
  bool shorten(const std::string& why);

  Runtime& runtime_;
  Llm& llm_;
  const AgentTask& task_;
  const RolloutSettings& settings_;
  const Stop& stop_;
  RolloutOutcome& outcome_;
  const int max_iterations_;
  const double max_cost_;
  std::unique_ptr<Conversation> conversation_;
  std::vector<ToolSpec> tools_;
  int64_t context_window_ = 0;  // tokens; 0 unknown
  int64_t reserve_ = 0;         // tokens of it for the answer
  bool ended_ = false;
};

// The text of an answer or a name as a message: valid UTF-8.
std::string valid(std::string_view text);

// The agents. They fill the outcome.
void run_codeact(Controller& controller);
void run_bash_agent(Controller& controller);

// What the agents have of their own before they run: their prompts, for prompt.json.
struct RenderedPrompts {
  std::string system;
  std::string instruction;
  std::vector<ToolSpec> tools;
};
Result<RenderedPrompts> codeact_prompts(const AgentTask& task, const RuntimeSettings& runtime);
Result<RenderedPrompts> bash_agent_prompts(const AgentTask& task, const RolloutSettings& settings);

}  // namespace awm
