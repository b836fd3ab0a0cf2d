// What happens in a sample: actions (somebody wants something) and observations (something came of it), in the JSON of
// OpenHands V0 (read from 0.62: events/action, events/observation, events/serialization). Both ways exact: what is read
// is written again byte for byte in meaning, key order included, kinds and keys that we do not know too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

enum class EventSource { none, agent, user, environment };
std::string_view to_string(EventSource source);  // "" for none

// OpenHands' ActionSecurityRisk; what a model says of its own action.
enum class SecurityRisk { unknown = -1, low = 0, medium = 1, high = 2 };

// A JSON value kept as its text: nested things that pass through unread. Holds valid JSON; "" stands for null.
struct JsonText {
  std::string text;
  friend bool operator==(const JsonText&, const JsonText&) = default;
};

// Which call of which answer an action came from, and an observation replies to. Shared by all calls of one answer.
struct ToolCallMetadata {
  std::string function_name;
  std::string tool_call_id;
  std::shared_ptr<const std::string> model_response;  // the server's answer, one JSON object; null: {}
  int64_t total_calls_in_response = 1;
};

// --- actions: OpenHands' arguments with OpenHands' defaults, in its order
// ---------------------------------------------
struct RunAction {
  static constexpr std::string_view kind = "run";
  std::string command;    // "" with is_input: show what is new
  bool is_input = false;  // command goes to the running process
  std::string thought;
  bool blocking = false;   // no soft time-out: wait for the end or the hard one
  bool is_static = false;  // a fresh process instead of the shell
  std::optional<std::string> cwd;
  bool hidden = false;
  std::string confirmation_state = "confirmed";
  SecurityRisk security_risk = SecurityRisk::unknown;
};
struct RunIpythonAction {
  static constexpr std::string_view kind = "run_ipython";
  std::string code;
  std::string thought;
  bool include_extra = true;
  std::string confirmation_state = "confirmed";
  SecurityRisk security_risk = SecurityRisk::unknown;
  std::string kernel_init_code;
};
struct ReadAction {
  static constexpr std::string_view kind = "read";
  std::string path;
  int64_t start = 0;
  int64_t end = -1;
  std::string thought;
  SecurityRisk security_risk = SecurityRisk::unknown;
  std::string impl_source = "default";  // "oh_aci": the editor's view
  std::optional<std::vector<int64_t>> view_range;
};
struct WriteAction {
  static constexpr std::string_view kind = "write";
  std::string path;
  std::string content;
  int64_t start = 0;
  int64_t end = -1;
  std::string thought;
  SecurityRisk security_risk = SecurityRisk::unknown;
};
struct EditAction {
  static constexpr std::string_view kind = "edit";
  std::string path;
  std::string command;  // create, str_replace, insert, undo_edit
  std::optional<std::string> file_text;
  std::optional<std::string> old_str;
  std::optional<std::string> new_str;
  std::optional<int64_t> insert_line;
  std::string content;
  int64_t start = 1;
  int64_t end = -1;
  std::string thought;
  SecurityRisk security_risk = SecurityRisk::unknown;
  std::string impl_source = "oh_aci";
};
struct ThinkAction {
  static constexpr std::string_view kind = "think";
  std::string thought;
};
struct FinishAction {
  static constexpr std::string_view kind = "finish";
  std::string final_thought;
  JsonText outputs{"{}"};
  std::string thought;
};
struct RejectAction {
  static constexpr std::string_view kind = "reject";
  JsonText outputs{"{}"};
  std::string thought;
};
struct DelegateAction {
  static constexpr std::string_view kind = "delegate";
  std::string agent;
  JsonText inputs{"{}"};
  std::string thought;
};
struct RecallAction {
  static constexpr std::string_view kind = "recall";
  std::string recall_type = "workspace_context";  // or "knowledge"
  std::string query;
  std::string thought;
};
struct ChangeAgentStateAction {
  static constexpr std::string_view kind = "change_agent_state";
  std::string agent_state;
  std::string thought;
};
struct MessageAction {
  static constexpr std::string_view kind = "message";
  std::string content;
  JsonText file_urls;
  JsonText image_urls;
  bool wait_for_response = false;
  SecurityRisk security_risk = SecurityRisk::unknown;
};
struct SystemAction {
  static constexpr std::string_view kind = "system";
  std::string content;
  JsonText tools;  // as the model is told of them: OpenAI's "tools" array
  std::optional<std::string> openhands_version;
  std::optional<std::string> agent_class;
};
struct CondensationAction {
  static constexpr std::string_view kind = "condensation";
  std::optional<std::vector<int64_t>> forgotten_event_ids;
  std::optional<int64_t> forgotten_events_start_id;
  std::optional<int64_t> forgotten_events_end_id;
  std::optional<std::string> summary;
  std::optional<int64_t> summary_offset;
};
struct CondensationRequestAction {
  static constexpr std::string_view kind = "condensation_request";
};
struct NullAction {
  static constexpr std::string_view kind = "null";
};
// Every other kind (browse, call_tool_mcp, task_tracking, what later versions bring): kept as it came.
struct OtherAction {
  std::string kind;
  std::string message;
  JsonText args{"{}"};
};

using ActionBody =
    std::variant<NullAction, RunAction, RunIpythonAction, ReadAction, WriteAction, EditAction, ThinkAction,
                 FinishAction, RejectAction, DelegateAction, RecallAction, ChangeAgentStateAction, MessageAction,
                 SystemAction, CondensationAction, CondensationRequestAction, OtherAction>;

// --- observations
// ------------------------------------------------------------------------------------------------------
struct RunMetadata {
  int64_t exit_code = -1;  // -1: not finished yet
  int64_t pid = -1;
  std::optional<std::string> username;
  std::optional<std::string> hostname;
  std::optional<std::string> working_dir;
  std::optional<std::string> py_interpreter_path;
  std::string prefix;  // said before the output
  std::string suffix;  // said after it
};
struct RunObservation {
  static constexpr std::string_view kind = "run";
  std::string command;
  RunMetadata metadata;
  bool hidden = false;
};
struct RunIpythonObservation {
  static constexpr std::string_view kind = "run_ipython";
  std::string code;
  JsonText image_urls;
};
struct ReadObservation {
  static constexpr std::string_view kind = "read";
  std::string path;
  std::string impl_source = "default";
};
struct WriteObservation {
  static constexpr std::string_view kind = "write";
  std::string path;
};
struct EditObservation {
  static constexpr std::string_view kind = "edit";
  std::string path;
  bool prev_exist = false;
  std::optional<std::string> old_content;
  std::optional<std::string> new_content;
  std::string impl_source = "llm_based_edit";
  std::optional<std::string> diff;
  std::optional<std::string> diff_cache;  // "_diff_cache"
};
struct ErrorObservation {
  static constexpr std::string_view kind = "error";
  std::string error_id;
};
struct SuccessObservation {
  static constexpr std::string_view kind = "success";
};
struct ThinkObservation {
  static constexpr std::string_view kind = "think";
};
struct CondenseObservation {
  static constexpr std::string_view kind = "condense";
};
struct AgentStateChangedObservation {
  static constexpr std::string_view kind = "agent_state_changed";
  std::string agent_state;
  std::string reason;
};
struct UserRejectedObservation {
  static constexpr std::string_view kind = "user_rejected";
};
struct NullObservation {
  static constexpr std::string_view kind = "null";
};
// Every other kind (browse, recall, mcp, delegate, …): kept as it came.
struct OtherObservation {
  std::string kind;
  std::string message;
  JsonText extras{"{}"};
};

using ObservationBody =
    std::variant<NullObservation, RunObservation, RunIpythonObservation, ReadObservation, WriteObservation,
                 EditObservation, ErrorObservation, SuccessObservation, ThinkObservation, CondenseObservation,
                 AgentStateChangedObservation, UserRejectedObservation, OtherObservation>;

// --- events
// ------------------------------------------------------------------------------------------------------------
template <class Body, class Variant>
inline constexpr bool is_alternative = false;
template <class Body, class... Bodies>
inline constexpr bool is_alternative<Body, std::variant<Bodies...>> = (std::is_same_v<Body, Bodies> || ...);

struct EventHeader {
  int64_t id = -1;        // given by the stream, from 0; -1: not in a stream yet
  std::string timestamp;  // ISO 8601 without zone (UTC); given by the stream
  EventSource source = EventSource::none;
  std::optional<int64_t> cause;  // id of the action that an observation replies to
  std::shared_ptr<const ToolCallMetadata> tool_call;
  JsonText llm_metrics;
  // The JSON that this event was read from, where the fields here do not say all of it (older versions, unknown keys).
  // Then it alone is what is written, with the header's fields put in: whoever changes the body clears it.
  std::shared_ptr<const std::string> original;
};

struct Action : EventHeader {
  ActionBody body;
  std::optional<double> timeout;  // seconds: a hard time-out

  Action() = default;
  Action(ActionBody b) : body(std::move(b)) {}  // NOLINT: an action is its body
  template <class Body>
    requires is_alternative<Body, ActionBody>
  Action(Body b) : body(std::move(b)) {}  // NOLINT
};

struct Observation : EventHeader {
  std::string content;
  ObservationBody body;

  Observation() = default;
  Observation(std::string text, ObservationBody b) : content(std::move(text)), body(std::move(b)) {}
};

using Event = std::variant<Action, Observation>;

[[nodiscard]] const EventHeader& header(const Event& event);
[[nodiscard]] EventHeader& header(Event& event);
[[nodiscard]] std::string_view kind_of(const Event& event);  // "run", "message", …
[[nodiscard]] std::string_view kind_of(const Action& action);
[[nodiscard]] std::string_view kind_of(const Observation& observation);
[[nodiscard]] bool is_hidden(const Event& event);

// The body of this type, or null.
template <class Body>
const Body* get_if(const Action& action) {
  return std::get_if<Body>(&action.body);
}
template <class Body>
const Body* get_if(const Observation& observation) {
  return std::get_if<Body>(&observation.body);
}
template <class Body>
const Body* get_if(const Event& event) {
  if constexpr (is_alternative<Body, ActionBody>) {
    const auto* action = std::get_if<Action>(&event);
    return action != nullptr ? std::get_if<Body>(&action->body) : nullptr;
  } else {
    const auto* observation = std::get_if<Observation>(&event);
    return observation != nullptr ? std::get_if<Body>(&observation->body) : nullptr;
  }
}

// The one-line text that OpenHands derives from an event ("Running command: ls").
[[nodiscard]] std::string event_message(const Event& event);

// One JSON object on one line, keys in OpenHands' order; valid UTF-8 whatever the strings hold.
[[nodiscard]] std::string event_to_json(const Event& event);
// The same without id and timestamp, from `"source"` on, appended to `out`: a stream puts those in front.
void append_event_rest(const Event& event, std::string& out);

// Errors: invalid_input naming `what`: not an object, neither "action" nor "observation", that key no string.
Result<Event> event_from_json(const Json& json, std::string_view what = "event");
Result<Event> event_from_text(std::string_view text, std::string_view what = "event");

// Replaces, in every text of the event (nested and lists included; not id, timestamp, source, kind), what `replace`
// changes. True when anything changed.
class TextMask {
 public:
  virtual ~TextMask() = default;
  // True when it changed `text`.
  virtual bool apply(std::string& text) const = 0;
};
bool mask_event(Event& event, const TextMask& mask);

// What a model is shown of a command's end, as OpenHands words it: prefix, output, suffix, directory, exit code.
[[nodiscard]] std::string agent_text(const Observation& observation);

}  // namespace awm
