#include "agent/controller.h"

#include <algorithm>

#include "agent/codeact_tools.h"
#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {
constexpr int64_t smallest_reserve = 4096;  // tokens for an answer where the server's limit is not known
constexpr int64_t largest_reserve = 16384;
}  // namespace

std::string valid(std::string_view text) {
  return is_valid_utf8(text) ? std::string(text) : to_valid_utf8(text);
}

Controller::Controller(Runtime& runtime, Llm& llm, const AgentTask& task, const RolloutSettings& settings,
                       const Stop& stop, RolloutOutcome& outcome, int max_iterations, double max_cost)
    : runtime_(runtime),
      llm_(llm),
      task_(task),
      settings_(settings),
      stop_(stop),
      outcome_(outcome),
      max_iterations_(max_iterations),
      max_cost_(max_cost) {}

bool Controller::begin(std::string system, std::string instruction, std::vector<ToolSpec> tools) {
  tools_ = std::move(tools);
  const ModelInfo info = llm_.info();
  context_window_ = info.context_window;
  reserve_ = std::clamp(info.max_output_tokens, smallest_reserve, largest_reserve);
  if (context_window_ > 0) reserve_ = std::min(reserve_, context_window_ / 4);
  outcome_.cost_known = true;
  system = valid(system);
  instruction = valid(instruction);
  conversation_ = std::make_unique<Conversation>(system, instruction);
  return record(Action(SystemAction{.content = std::move(system),
                                    .tools = {tools_json(tools_)},
                                    .openhands_version = {},
                                    .agent_class = settings_.agent_class}),
                EventSource::agent) &&
         record(Action(MessageAction{.content = std::move(instruction), .file_urls = {}, .image_urls = {}}),
                EventSource::user);
}

std::optional<Completion> Controller::ask() {
  for (int shortened = 0;;) {
    if (stop_.cancelled()) {
      end_with(stopped_error("run", task_.instance_id));
      return std::nullopt;
    }
    if (outcome_.iterations >= max_iterations_) {
      end(RolloutEnd::iteration_limit);
      return std::nullopt;
    }
    if (max_cost_ > 0 && outcome_.cost >= max_cost_) {
      end(RolloutEnd::cost_limit);
      return std::nullopt;
    }
    // A conversation known not to fit is shortened before it is sent; once an attempt, so that a wrong window ends it.
    if (context_window_ > 0 && shortened == 0 && conversation_->estimated_tokens() > context_window_ - reserve_) {
      if (!shorten("the conversation would not fit the model's context window")) return std::nullopt;
      ++shortened;
    }
    LlmResult answer = llm_.complete(
        {.messages = conversation_->messages(), .tools = tools_, .purpose = "agent", .sample_id = task_.instance_id});
    if (answer) {
      if (outcome_.iterations == 0) outcome_.first_prompt_tokens = answer->usage.prompt_tokens;
      ++outcome_.iterations;
      if (settings_.on_iteration) settings_.on_iteration(outcome_.iterations);
      outcome_.usage += answer->usage;
      outcome_.cost += answer->cost;
      outcome_.cost_known = outcome_.cost_known && answer->cost_known;
      return *std::move(answer);
    }
    LlmError& failed = answer.error();
    if (failed.kind == LlmFailure::context_window) {
      // The server knows better than the table.
      if (failed.context_limit && *failed.context_limit > 0) {
        context_window_ = *failed.context_limit;
        reserve_ = std::min(reserve_, context_window_ / 4);
      }
      ++shortened;
      if (!shorten(failed.error.cause)) return std::nullopt;
      continue;
    }
    outcome_.error = std::move(failed.error);
    if (failed.kind == LlmFailure::stopped) {
      end(RolloutEnd::stopped);
    } else {
      outcome_.llm_failure = failed.kind;
      end(RolloutEnd::llm_error);
    }
    return std::nullopt;
  }
}

bool Controller::shorten(const std::string& why) {
  auto dropped = conversation_->drop_middle();
  if (!dropped) {
    outcome_.error = std::move(dropped).error();
    outcome_.error->cause += "; " + why;
    end(RolloutEnd::context_exhausted);
    return false;
  }
  ++outcome_.condensations;
  if (dropped->messages == 0) return true;  // texts were cut
  CondensationAction condensation;
  if (dropped->first_event >= 0) {
    condensation.forgotten_events_start_id = dropped->first_event;
    condensation.forgotten_events_end_id = dropped->last_event;
  } else {
    condensation.forgotten_event_ids.emplace();
  }
  return record(Action(std::move(condensation)), EventSource::agent);
}

bool Controller::record(Event event, EventSource source, int64_t* id) {
  auto recorded = runtime_.record(std::move(event), source);
  if (!recorded) {
    end_with(recorded.error());
    return false;
  }
  if (id != nullptr) *id = header(*recorded).id;
  return true;
}

void Controller::end(RolloutEnd how, std::string final_message) {
  ended_ = true;
  outcome_.end = how;
  if (!final_message.empty()) outcome_.final_message = std::move(final_message);
}

void Controller::end_with(const Error& error) {
  outcome_.error = error;
  if (error.code == Errc::stopped || stop_.cancelled()) {
    end(RolloutEnd::stopped);
    return;
  }
  switch (error.code) {
    case Errc::lost:
    case Errc::closed:
    case Errc::protocol:
    case Errc::timed_out:
    case Errc::unavailable:
      end(RolloutEnd::sandbox_lost);
      break;
    default:
      end(RolloutEnd::io_error);
  }
}

std::shared_ptr<const ToolCallMetadata> Controller::metadata(const ToolCall& call, const Completion& answer,
                                                             const std::shared_ptr<const std::string>& raw) const {
  return std::make_shared<const ToolCallMetadata>(
      ToolCallMetadata{.function_name = valid(call.name),
                       .tool_call_id = valid(call.id),
                       .model_response = raw,
                       .total_calls_in_response = static_cast<int64_t>(answer.message.tool_calls.size())});
}

std::string Controller::metrics() const {
  Json tokens = Json::object();
  tokens["model"] = llm_.model();
  tokens["prompt_tokens"] = outcome_.usage.prompt_tokens;
  tokens["completion_tokens"] = outcome_.usage.completion_tokens;
  tokens["cache_read_tokens"] = outcome_.usage.cached_tokens;
  tokens["cache_write_tokens"] = outcome_.usage.cache_write_tokens;
  tokens["context_window"] = context_window_;
  tokens["per_turn_token"] = 0;
  tokens["response_id"] = "";
  Json metrics = Json::object();
  metrics["accumulated_cost"] = outcome_.cost;
  metrics["max_budget_per_task"] = max_cost_ > 0 ? Json(max_cost_) : Json();
  metrics["accumulated_token_usage"] = std::move(tokens);
  metrics["costs"] = Json::array();
  metrics["response_latencies"] = Json::array();
  metrics["token_usages"] = Json::array();
  return dump_json(metrics);
}

}  // namespace awm
