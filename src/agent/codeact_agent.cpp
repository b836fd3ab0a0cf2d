// The agent with a persistent shell and an editor. Its loop: ask, do what is asked for call by call, tell what came of
// it.
#include "agent/codeact_tools.h"
#include "agent/controller.h"
#include "agent/prompts.h"
#include "agent/stuck.h"
#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {

std::string memory_text(const AgentTask& task) {
  if (task.memory_section.empty()) return "";
  return task.memory_section + (task.memory_section.ends_with('\n') ? "\n" : "\n\n");
}

std::string seconds_text(Seconds seconds) {
  std::string text = std::to_string(seconds.count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

// The thought goes with the first action of an answer, as in OpenHands.
void give_thought(Action& action, const std::string& thought) {
  std::visit(
      [&](auto& body) {
        if constexpr (requires { body.thought; }) {
          body.thought =
              body.thought.empty() || thought.empty() ? thought + body.thought : thought + "\n" + body.thought;
        }
      },
      action.body);
}

class CodeAct {
 public:
  explicit CodeAct(Controller& c) : c_(c) {}

  void run() {
    while (!c_.ended()) {
      auto answer = c_.ask();
      if (!answer) return;
      if (answer->message.tool_calls.empty()) {
        take_words(*answer);
      } else {
        nudges_ = 0;
        take_calls(*answer);
      }
      if (!c_.ended() && c_.settings().stuck_detection.value_or(true)) {
        if (const auto why = stuck_.stuck()) {
          c_.outcome().error = Error{.code = Errc::exhausted,
                                     .operation = "run agent on",
                                     .object = c_.task().instance_id,
                                     .cause = "the agent is stuck: it " + *why};
          c_.end(RolloutEnd::stuck, last_words_);
        }
      }
    }
  }

 private:
  void add_answer(const Completion& answer, int64_t event_id, std::vector<ToolCall> calls) {
    Message message = answer.message;
    message.role = Role::assistant;
    message.content = valid(message.content);
    message.tool_calls = std::move(calls);
    c_.conversation().add(std::move(message), event_id);
    c_.conversation().note_usage(answer.usage.prompt_tokens, answer.usage.completion_tokens);
  }

  // An answer without a tool call: nobody is there to reply, and it is told so, a few times.
  void take_words(const Completion& answer) {
    last_words_ = valid(answer.message.content);
    stuck_.add_message(last_words_);
    Action said(MessageAction{.content = last_words_, .file_urls = {}, .image_urls = {}, .wait_for_response = true});
    said.llm_metrics.text = c_.metrics();
    int64_t id = -1;
    if (!c_.record(std::move(said), EventSource::agent, &id)) return;
    add_answer(answer, id, {});
    if (++nudges_ > c_.settings().max_nudges) {
      c_.end(RolloutEnd::gave_up, last_words_);
      return;
    }
    auto nudge = render_prompt(answer.finish_reason == "length" ? "codeact_nudge_length" : "codeact_nudge");
    if (!nudge) {
      c_.end_with(nudge.error());
      return;
    }
    if (!c_.record(Action(MessageAction{.content = *nudge, .file_urls = {}, .image_urls = {}}), EventSource::user,
                   &id)) {
      return;
    }
    c_.conversation().add(Message{.role = Role::user, .content = *std::move(nudge)}, id);
  }

  void take_calls(const Completion& answer) {
    const std::string thought = valid(answer.message.content);
    if (!thought.empty()) last_words_ = thought;
    std::vector<ToolCall> calls;
    calls.reserve(answer.message.tool_calls.size());
    for (std::size_t i = 0; i < answer.message.tool_calls.size(); ++i) {
      calls.push_back(presentable_call(answer.message.tool_calls[i],
                                       "call_" + std::to_string(c_.outcome().iterations) + "_" + std::to_string(i)));
    }
    const auto raw = std::make_shared<const std::string>(answer.raw.empty() ? "{}" : answer.raw);
    const int64_t first_event = c_.runtime().stream() != nullptr ? c_.runtime().stream()->next_id() : -1;
    add_answer(answer, first_event, calls);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto metadata = c_.metadata(calls[i], answer, raw);
      // The original arguments decide; what is sent back has been made presentable.
      auto action = action_of_call({.id = calls[i].id,
                                    .name = answer.message.tool_calls[i].name,
                                    .arguments = answer.message.tool_calls[i].arguments});
      if (!action) {
        refuse(calls[i], action.error(), metadata);
        if (c_.ended()) return;
        continue;
      }
      if (i == 0) give_thought(*action, thought);
      action->tool_call = metadata;
      if (i == 0) action->llm_metrics.text = c_.metrics();
      if (const auto* finish = get_if<FinishAction>(*action)) {
        const std::string message = finish->final_thought;
        if (c_.record(*std::move(action), EventSource::agent)) c_.end(RolloutEnd::finished, message);
        return;
      }
      const Action done = *action;
      auto observation = c_.runtime().run_action(*std::move(action));
      if (!observation) {
        c_.end_with(observation.error());
        return;
      }
      stuck_.add_step(done, *observation);
      tell(calls[i], *observation);
    }
  }

  // A call that cannot be done is an error that the model hears of.
  void refuse(const ToolCall& call, const std::string& why, const std::shared_ptr<const ToolCallMetadata>& metadata) {
    Observation error(why, ErrorObservation{});
    error.tool_call = metadata;
    if (!c_.record(error, EventSource::agent, &error.id)) return;
    OtherAction wish{.kind = call.name, .message = {}, .args = {call.arguments}};
    stuck_.add_step(Action(std::move(wish)), error);
    tell(call, error);
  }

  void tell(const ToolCall& call, const Observation& observation) {
    std::string text = cut_output(agent_text(observation), c_.runtime().settings().max_output_chars * 2);
    if (text.empty()) text = "(no output)";
    c_.conversation().add(
        Message{.role = Role::tool, .content = std::move(text), .tool_call_id = call.id, .tool_name = call.name},
        observation.id);
  }

  Controller& c_;
  StuckDetector stuck_;
  std::string last_words_;
  int nudges_ = 0;
};

}  // namespace

Result<RenderedPrompts> codeact_prompts(const AgentTask& task, const RuntimeSettings& runtime) {
  const std::string soft = seconds_text(runtime.soft_timeout);
  RenderedPrompts prompts;
  AWM_TRY(prompts.system, render_prompt("codeact_system", {{"soft_timeout", soft}}));
  AWM_TRY(prompts.instruction, render_prompt("codeact_instruction", {{"memory_section", memory_text(task)},
                                                                     {"working_folder", task.working_folder},
                                                                     {"problem_statement", task.problem_statement}}));
  AWM_TRY(prompts.tools, codeact_tools({.soft_timeout = soft,
                                        .max_output_chars = std::to_string(runtime.max_output_chars),
                                        .working_folder = task.working_folder}));
  return prompts;
}

void run_codeact(Controller& controller) {
  CodeAct(controller).run();
}

}  // namespace awm
