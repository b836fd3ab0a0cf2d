// OpenHands' JSON, written by hand and not through a JSON tree: a stream writes some hundred thousand events a second.
#include <cstring>

#include "base/json.h"
#include "base/text.h"
#include "event/event.h"
#include "event/event_fields.h"

namespace awm {
namespace {

// Compact, and byte for byte what dump_json() makes of the same value: reading compares the two.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void open() {
    out_ += '{';
    first_ = true;
  }
  void close() {
    out_ += '}';
    first_ = false;
  }
  void key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;  // names are ours: nothing to escape
    out_ += "\":";
  }
  void comma_pending() { first_ = false; }

  void text(std::string_view value) {
    out_ += '"';
    if (const std::size_t plain = plain_prefix(value, 0); plain == value.size()) {
      out_ += value;
    } else if (is_valid_utf8(value.substr(plain))) {
      escape(value, plain);
    } else {
      escape(to_valid_utf8(value), 0);
    }
    out_ += '"';
  }

  // A visitor of fields.
  void operator()(const char* name, const std::string& value) {
    key(name);
    text(value);
  }
  void operator()(const char* name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
  }
  void operator()(const char* name, int64_t value) {
    key(name);
    number(value);
  }
  void operator()(const char* name, SecurityRisk value) {
    key(name);
    number(static_cast<int>(value));
  }
  void operator()(const char* name, const JsonText& value) {
    key(name);
    out_ += value.text.empty() ? std::string_view("null") : std::string_view(value.text);
  }
  void operator()(const char* name, const std::vector<int64_t>& value) {
    key(name);
    out_ += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out_ += ',';
      number(value[i]);
    }
    out_ += ']';
  }
  void operator()(const char* name, const RunMetadata& value) {
    key(name);
    open();
    visit_fields(value, *this);
    close();
  }
  template <class T>
  void operator()(const char* name, const std::optional<T>& value) {
    if (value) {
      (*this)(name, *value);
    } else {
      key(name);
      out_ += "null";
    }
  }
  void operator()(const char* name, double value) {
    key(name);
    out_ += dump_json(Json(value));
  }

 private:
  void number(int64_t value) {
    char digits[24];
    char* p = digits + sizeof digits;
    const bool negative = value < 0;
    uint64_t rest = negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    do {
      *--p = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest != 0);
    if (negative) *--p = '-';
    out_.append(p, static_cast<std::size_t>(digits + sizeof digits - p));
  }

  // Where, from `i` on, the first byte is that does not stand for itself alone: control, quote, backslash, or not
  // ASCII. Eight bytes at a time ("Bit Twiddling Hacks", a byte less than n).
  static std::size_t plain_prefix(std::string_view value, std::size_t i) {
    constexpr uint64_t ones = 0x0101010101010101;
    constexpr uint64_t high = 0x8080808080808080;
    for (; i + 8 <= value.size(); i += 8) {
      uint64_t eight = 0;
      std::memcpy(&eight, value.data() + i, 8);
      const uint64_t quote = eight ^ (ones * '"');
      const uint64_t slash = eight ^ (ones * '\\');
      const uint64_t odd = ((eight - ones * 0x20) | (quote - ones) | (slash - ones) | eight) & high;
      if (odd != 0) break;
    }
    for (; i < value.size(); ++i) {
      const auto c = static_cast<unsigned char>(value[i]);
      if (c < 0x20 || c == '"' || c == '\\' || c >= 0x80) break;
    }
    return i;
  }

  // `plain`: bytes at the start known to need nothing. The text is valid UTF-8.
  void escape(std::string_view value, std::size_t plain) {
    static constexpr char hex[] = "0123456789abcdef";
    std::size_t from = 0;
    for (std::size_t i = plain_prefix(value, plain); i < value.size(); i = plain_prefix(value, i + 1)) {
      const auto c = static_cast<unsigned char>(value[i]);
      if (c >= 0x80) continue;
      out_.append(value, from, i - from);
      from = i + 1;
      switch (c) {
        case '"':
          out_ += "\\\"";
          break;
        case '\\':
          out_ += "\\\\";
          break;
        case '\b':
          out_ += "\\b";
          break;
        case '\f':
          out_ += "\\f";
          break;
        case '\n':
          out_ += "\\n";
          break;
        case '\r':
          out_ += "\\r";
          break;
        case '\t':
          out_ += "\\t";
          break;
        default:
          out_ += "\\u00";
          out_ += hex[c >> 4];
          out_ += hex[c & 15];
      }
    }
    out_.append(value, from, value.size() - from);
  }

  std::string& out_;
  bool first_ = true;
};

// Reads what has the right type; what has not keeps its default, and the comparison afterwards notices.
struct Reader {
  const Json& object;

  void operator()(const char* name, std::string& value) const {
    if (const Json* member = find_member(object, name); member != nullptr && member->is_string())
      value = member->get_ref<const std::string&>();
  }
  void operator()(const char* name, bool& value) const { value = get_bool(object, name).value_or(value); }
  void operator()(const char* name, int64_t& value) const { value = get_int(object, name).value_or(value); }
  void operator()(const char* name, SecurityRisk& value) const {
    if (const auto n = get_int(object, name); n && *n >= -1 && *n <= 2) value = static_cast<SecurityRisk>(*n);
  }
  void operator()(const char* name, JsonText& value) const {
    if (const Json* member = find_member(object, name))
      value.text = member->is_null() ? std::string() : dump_json(*member);
  }
  void operator()(const char* name, std::optional<std::string>& value) const { value = get_string(object, name); }
  void operator()(const char* name, std::optional<int64_t>& value) const { value = get_int(object, name); }
  void operator()(const char* name, std::optional<std::vector<int64_t>>& value) const {
    const Json* member = find_member(object, name);
    if (member == nullptr || !member->is_array()) return;
    std::vector<int64_t> list;
    for (const Json& item : *member) {
      if (!item.is_number_integer()) return;
      list.push_back(item.get<int64_t>());
    }
    value = std::move(list);
  }
  void operator()(const char* name, RunMetadata& value) const {
    if (const Json* member = find_member(object, name); member != nullptr && member->is_object())
      visit_fields(value, Reader{*member});
  }
};

// The alternative of the variant whose kind it is.
template <class Variant, std::size_t I = 0>
bool read_body(std::string_view kind, const Json& fields, Variant& body) {
  if constexpr (I + 1 == std::variant_size_v<Variant>) {  // the last one takes the rest
    return false;
  } else {
    using Body = std::variant_alternative_t<I, Variant>;
    if (kind != Body::kind) return read_body<Variant, I + 1>(kind, fields, body);
    Body read;
    visit_fields(read, Reader{fields});
    body = std::move(read);
    return true;
  }
}

EventSource source_from(std::string_view word) {
  if (word == "agent") return EventSource::agent;
  if (word == "user") return EventSource::user;
  if (word == "environment") return EventSource::environment;
  return EventSource::none;
}

std::shared_ptr<const ToolCallMetadata> read_tool_call(const Json& json) {
  ToolCallMetadata call;
  call.function_name = string_or(json, "function_name", "");
  call.tool_call_id = string_or(json, "tool_call_id", "");
  call.total_calls_in_response = get_int(json, "total_calls_in_response").value_or(1);
  if (const Json* response = find_member(json, "model_response")) {
    call.model_response = std::make_shared<const std::string>(dump_json(*response));
  }
  return std::make_shared<const ToolCallMetadata>(std::move(call));
}

void write_header_end(Writer& w, const EventHeader& h, std::string& out) {
  if (h.tool_call) {
    w.key("tool_call_metadata");
    w.open();
    w("function_name", h.tool_call->function_name);
    w("tool_call_id", h.tool_call->tool_call_id);
    w.key("model_response");
    out += h.tool_call->model_response ? std::string_view(*h.tool_call->model_response) : std::string_view("{}");
    w("total_calls_in_response", h.tool_call->total_calls_in_response);
    w.close();
  }
  if (!h.llm_metrics.text.empty()) w("llm_metrics", h.llm_metrics);
}

template <class Body>
void write_fields(Writer& w, const char* name, const Body& body) {
  w.key(name);
  w.open();
  visit_fields(body, w);
  w.close();
}

void write_action(Writer& w, const Action& action, std::string& out) {
  std::visit(
      [&](const auto& body) {
        using T = std::decay_t<decltype(body)>;
        w.key("action");
        w.text(kind_of(action));
        write_header_end(w, action, out);
        if constexpr (std::is_same_v<T, OtherAction>) {
          w("args", body.args);
        } else {
          write_fields(w, "args", body);
        }
      },
      action.body);
  if (action.timeout) w("timeout", *action.timeout);
}

void write_observation(Writer& w, const Observation& observation, std::string& out) {
  std::visit(
      [&](const auto& body) {
        using T = std::decay_t<decltype(body)>;
        w.key("observation");
        w.text(kind_of(observation));
        write_header_end(w, observation, out);
        w("content", observation.content);
        if constexpr (std::is_same_v<T, OtherObservation>) {
          w("extras", body.extras);
        } else {
          write_fields(w, "extras", body);
        }
        if constexpr (std::is_same_v<T, RunObservation>) {
          w("success", body.metadata.exit_code == 0);
        } else if constexpr (std::is_same_v<T, RunIpythonObservation>) {
          w("success", true);
        }
      },
      observation.body);
}

// The members from `source` on, without the braces' end; `first`: nothing stands before them.
void write_rest(Writer& w, const Event& event, std::string& out) {
  const EventHeader& h = header(event);
  if (h.source != EventSource::none) {
    w.key("source");
    w.text(to_string(h.source));
  }
  w("message", event_message(event));
  if (h.cause) w("cause", *h.cause);
  if (const auto* action = std::get_if<Action>(&event)) {
    write_action(w, *action, out);
  } else {
    write_observation(w, std::get<Observation>(event), out);
  }
}

// `original` with the header's present values in it.
Json updated_original(const Event& event) {
  const EventHeader& h = header(event);
  Json json = Json::object();
  if (auto parsed = parse_json(*h.original, "event"); parsed && parsed->is_object()) json = *std::move(parsed);
  if (h.id >= 0) json["id"] = h.id;
  if (!h.timestamp.empty()) json["timestamp"] = h.timestamp;
  if (h.source != EventSource::none) json["source"] = std::string(to_string(h.source));
  if (h.cause) json["cause"] = *h.cause;
  return json;
}

Event read_typed(const Json& json, bool is_action, const std::string& kind) {
  Event event;
  if (is_action) {
    Action action;
    const Json empty = Json::object();
    const Json* args = find_member(json, "args");
    if (!read_body(kind, args != nullptr ? *args : empty, action.body)) {
      action.body = OtherAction{.kind = kind,
                                .message = string_or(json, "message", ""),
                                .args = {args != nullptr ? dump_json(*args) : std::string("{}")}};
    }
    action.timeout = get_number(json, "timeout");
    event = std::move(action);
  } else {
    Observation observation;
    const Json empty = Json::object();
    const Json* extras = find_member(json, "extras");
    if (!read_body(kind, extras != nullptr ? *extras : empty, observation.body)) {
      observation.body = OtherObservation{.kind = kind,
                                          .message = string_or(json, "message", ""),
                                          .extras = {extras != nullptr ? dump_json(*extras) : std::string("{}")}};
    }
    observation.content = string_or(json, "content", "");
    event = std::move(observation);
  }
  EventHeader& h = header(event);
  h.id = get_int(json, "id").value_or(-1);
  h.timestamp = string_or(json, "timestamp", "");
  h.source = source_from(string_or(json, "source", ""));
  h.cause = get_int(json, "cause");
  if (const Json* call = find_member(json, "tool_call_metadata"); call != nullptr && call->is_object()) {
    h.tool_call = read_tool_call(*call);
  }
  if (const Json* metrics = find_member(json, "llm_metrics"); metrics != nullptr && !metrics->is_null()) {
    h.llm_metrics.text = dump_json(*metrics);
  }
  return event;
}

Result<Event> read_event(const Json& json, std::string_view what, std::string_view compact) {
  if (!json.is_object()) return fail(Errc::invalid_input, "read event", std::string(what), "not a JSON object");
  const Json* action = find_member(json, "action");
  const Json* observation = find_member(json, "observation");
  const Json* kind = action != nullptr ? action : observation;
  if (kind == nullptr) {
    return fail(Errc::invalid_input, "read event", std::string(what),
                "neither \"action\" nor \"observation\" is there");
  }
  if (!kind->is_string()) {
    return fail(Errc::invalid_input, "read event", std::string(what),
                std::string(action != nullptr ? "\"action\"" : "\"observation\"") + " is not a string");
  }
  Event event = read_typed(json, action != nullptr, kind->get_ref<const std::string&>());
  const std::string rendered = event_to_json(event);
  if (rendered != compact) {
    std::string original = dump_json(json);
    if (rendered != original) header(event).original = std::make_shared<const std::string>(std::move(original));
  }
  return event;
}

}  // namespace

void append_event_rest(const Event& event, std::string& out) {
  if (header(event).original) {
    Json json = updated_original(event);
    json.erase("id");
    json.erase("timestamp");
    out += std::string_view(dump_json(json)).substr(1);
    return;
  }
  Writer w(out);
  write_rest(w, event, out);
  out += '}';
}

std::string event_to_json(const Event& event) {
  const EventHeader& h = header(event);
  if (h.original) return dump_json(updated_original(event));
  std::string out;
  out.reserve(512);
  Writer w(out);
  w.open();
  if (h.id >= 0) w("id", h.id);
  if (!h.timestamp.empty()) w("timestamp", h.timestamp);
  write_rest(w, event, out);
  w.close();
  return out;
}

Result<Event> event_from_json(const Json& json, std::string_view what) {
  return read_event(json, what, {});
}

Result<Event> event_from_text(std::string_view text, std::string_view what) {
  AWM_TRY(const Json json, parse_json(text, what));
  return read_event(json, what, text);
}

}  // namespace awm
