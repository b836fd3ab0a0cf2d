#include "event/event.h"

#include <array>

#include "base/json.h"
#include "base/text.h"
#include "event/event_fields.h"

namespace awm {

std::string_view to_string(EventSource source) {
  switch (source) {
    case EventSource::agent:
      return "agent";
    case EventSource::user:
      return "user";
    case EventSource::environment:
      return "environment";
    case EventSource::none:
      break;
  }
  return "";
}

const EventHeader& header(const Event& event) {
  return std::visit([](const auto& side) -> const EventHeader& { return side; }, event);
}

EventHeader& header(Event& event) {
  return std::visit([](auto& side) -> EventHeader& { return side; }, event);
}

namespace {

template <class Body>
std::string_view kind_of_body(const Body& body) {
  if constexpr (std::is_same_v<Body, OtherAction> || std::is_same_v<Body, OtherObservation>) {
    return body.kind;
  } else {
    return Body::kind;
  }
}

std::string first_code_points(const std::string& text, std::size_t n) {
  return text.substr(0, utf8_offset(text, n));
}

std::string message_of(const CondensationAction& b) {
  if (b.summary && !b.summary->empty()) return "Summary: " + *b.summary;
  std::string ids;
  const auto add = [&](int64_t id) { ids += (ids.empty() ? "" : ", ") + std::to_string(id); };
  if (b.forgotten_event_ids) {
    for (const int64_t id : *b.forgotten_event_ids) add(id);
  } else if (b.forgotten_events_start_id && b.forgotten_events_end_id) {
    // A range from a hostile file must not become an endless list.
    const int64_t first = *b.forgotten_events_start_id;
    const int64_t last = std::min(*b.forgotten_events_end_id, first < INT64_MAX - 100'000 ? first + 100'000 : first);
    for (int64_t id = first; id <= last; ++id) add(id);
  }
  return "Condenser is dropping the events: [" + ids + "].";
}

std::string message_of_action(const ActionBody& body) {
  return std::visit(
      [](const auto& b) -> std::string {
        using T = std::decay_t<decltype(b)>;
        if constexpr (std::is_same_v<T, RunAction>) {
          return "Running command: " + b.command;
        } else if constexpr (std::is_same_v<T, RunIpythonAction>) {
          return "Running Python code interactively: " + b.code;
        } else if constexpr (std::is_same_v<T, ReadAction>) {
          return "Reading file: " + b.path;
        } else if constexpr (std::is_same_v<T, WriteAction>) {
          return "Writing file: " + b.path;
        } else if constexpr (std::is_same_v<T, ThinkAction>) {
          return "I am thinking...: " + b.thought;
        } else if constexpr (std::is_same_v<T, FinishAction>) {
          return b.thought.empty() ? "All done! What's next on the agenda?" : b.thought;
        } else if constexpr (std::is_same_v<T, RejectAction>) {
          std::string text = "Task is rejected by the agent.";
          if (const auto outputs = parse_json(b.outputs.text, "outputs")) {
            if (const auto reason = get_string(*outputs, "reason")) text += " Reason: " + *reason;
          }
          return text;
        } else if constexpr (std::is_same_v<T, DelegateAction>) {
          return "I'm asking " + b.agent + " for help with this task.";
        } else if constexpr (std::is_same_v<T, RecallAction>) {
          return "Retrieving content for: " + first_code_points(b.query, 50);
        } else if constexpr (std::is_same_v<T, ChangeAgentStateAction>) {
          return "Agent state changed to " + b.agent_state;
        } else if constexpr (std::is_same_v<T, MessageAction> || std::is_same_v<T, SystemAction>) {
          return b.content;
        } else if constexpr (std::is_same_v<T, CondensationAction>) {
          return message_of(b);
        } else if constexpr (std::is_same_v<T, CondensationRequestAction>) {
          return "Requesting a condensation of the conversation history.";
        } else if constexpr (std::is_same_v<T, NullAction>) {
          return "No action";
        } else if constexpr (std::is_same_v<T, OtherAction>) {
          return b.message;
        } else {
          static_assert(std::is_same_v<T, EditAction>);  // has no message
          return "";
        }
      },
      body);
}

std::string message_of_observation(const Observation& o) {
  return std::visit(
      [&](const auto& b) -> std::string {
        using T = std::decay_t<decltype(b)>;
        if constexpr (std::is_same_v<T, RunObservation>) {
          return "Command `" + b.command + "` executed with exit code " + std::to_string(b.metadata.exit_code) + ".";
        } else if constexpr (std::is_same_v<T, RunIpythonObservation>) {
          return "Code executed in IPython cell.";
        } else if constexpr (std::is_same_v<T, ReadObservation>) {
          return "I read the file " + b.path + ".";
        } else if constexpr (std::is_same_v<T, WriteObservation>) {
          return "I wrote to the file " + b.path + ".";
        } else if constexpr (std::is_same_v<T, EditObservation>) {
          return "I edited the file " + b.path + ".";
        } else if constexpr (std::is_same_v<T, NullObservation>) {
          return "No observation";
        } else if constexpr (std::is_same_v<T, AgentStateChangedObservation>) {
          return "";
        } else if constexpr (std::is_same_v<T, OtherObservation>) {
          return b.message;
        } else {
          return o.content;
        }
      },
      o.body);
}

// Strings inside a JSON value, keys not. `top` leaves the stream's own fields alone.
bool mask_json(Json& json, const TextMask& mask, bool top) {
  static constexpr std::array<std::string_view, 6> own = {"id",    "timestamp", "source",
                                                          "cause", "action",    "observation"};
  bool changed = false;
  if (json.is_string()) {
    changed = mask.apply(json.get_ref<std::string&>());
  } else if (json.is_object()) {
    for (auto& [key, value] : json.items()) {
      if (top && std::find(own.begin(), own.end(), key) != own.end()) continue;
      changed |= mask_json(value, mask, false);
    }
  } else if (json.is_array()) {
    for (auto& value : json) changed |= mask_json(value, mask, false);
  }
  return changed;
}

bool mask_json_text(std::string& text, const TextMask& mask, bool top) {
  if (text.size() < 4) return false;
  // Most values hold no secret: parsing is for those that may. A secret with characters that JSON escapes shows only
  // there.
  if (text.find('\\') == std::string::npos) {
    std::string probe = text;
    if (!mask.apply(probe)) return false;
  }
  auto json = parse_json(text, "event");
  if (!json) return mask.apply(text);
  if (!mask_json(*json, mask, top)) return false;
  text = dump_json(*json);
  return true;
}

struct Masker {
  const TextMask& mask;
  bool changed = false;

  void operator()(const char*, std::string& text) { changed |= mask.apply(text); }
  void operator()(const char*, std::optional<std::string>& text) {
    if (text) changed |= mask.apply(*text);
  }
  void operator()(const char*, JsonText& json) { changed |= mask_json_text(json.text, mask, false); }
  void operator()(const char*, RunMetadata& metadata) { visit_fields(metadata, *this); }
  template <class T>
  void operator()(const char*, T&) {}  // numbers and flags
};

}  // namespace

std::string_view kind_of(const Action& action) {
  return std::visit([](const auto& body) { return kind_of_body(body); }, action.body);
}

std::string_view kind_of(const Observation& observation) {
  return std::visit([](const auto& body) { return kind_of_body(body); }, observation.body);
}

std::string_view kind_of(const Event& event) {
  return std::visit([](const auto& side) { return kind_of(side); }, event);
}

bool is_hidden(const Event& event) {
  if (const auto* run = get_if<RunAction>(event)) return run->hidden;
  if (const auto* run = get_if<RunObservation>(event)) return run->hidden;
  return false;
}

std::string event_message(const Event& event) {
  if (const auto* action = std::get_if<Action>(&event)) return message_of_action(action->body);
  return message_of_observation(std::get<Observation>(event));
}

bool mask_event(Event& event, const TextMask& mask) {
  Masker masker{mask};
  std::visit(
      [&](auto& side) {
        using Side = std::decay_t<decltype(side)>;
        if constexpr (std::is_same_v<Side, Observation>) masker("content", side.content);
        std::visit(
            [&](auto& body) {
              visit_fields(body, masker);
              if constexpr (std::is_same_v<std::decay_t<decltype(body)>, OtherAction>) {
                masker("message", body.message);
                masker("args", body.args);
              } else if constexpr (std::is_same_v<std::decay_t<decltype(body)>, OtherObservation>) {
                masker("message", body.message);
                masker("extras", body.extras);
              }
            },
            side.body);
        masker("llm_metrics", side.llm_metrics);
        if (side.tool_call && side.tool_call->model_response) {
          std::string response = *side.tool_call->model_response;
          if (mask_json_text(response, mask, false)) {
            ToolCallMetadata copy = *side.tool_call;
            copy.model_response = std::make_shared<const std::string>(std::move(response));
            side.tool_call = std::make_shared<const ToolCallMetadata>(std::move(copy));
            masker.changed = true;
          }
        }
        if (side.original) {
          std::string original = *side.original;
          if (mask_json_text(original, mask, true)) {
            side.original = std::make_shared<const std::string>(std::move(original));
            masker.changed = true;
          }
        }
      },
      event);
  return masker.changed;
}

std::string agent_text(const Observation& observation) {
  const auto* run = get_if<RunObservation>(observation);
  if (run == nullptr) return observation.content;
  const RunMetadata& m = run->metadata;
  std::string text = m.prefix + observation.content + m.suffix;
  if (m.working_dir && !m.working_dir->empty()) text += "\n[Current working directory: " + *m.working_dir + "]";
  if (m.py_interpreter_path && !m.py_interpreter_path->empty()) {
    text += "\n[Python interpreter: " + *m.py_interpreter_path + "]";
  }
  if (m.exit_code != -1) text += "\n[Command finished with exit code " + std::to_string(m.exit_code) + "]";
  return text;
}

}  // namespace awm
