#include "llm/chat.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/json.h"
#include "base/text.h"
#include "llm/text_tools.h"

namespace awm {
namespace {

constexpr std::string_view cut_note = "\n[... Observation truncated due to length ...]\n";

// How many bytes from `at` on need no escape; whole words first. `high` is set when one of them is not ASCII.
std::size_t plain_bytes(std::string_view text, std::size_t at, bool& high) {
  constexpr uint64_t ones = 0x0101010101010101U;
  constexpr uint64_t tops = 0x8080808080808080U;
  const std::size_t begin = at;
  uint64_t seen = 0;
  while (at + 8 <= text.size()) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    seen |= word;
    // A zero byte in `x` has its top bit set in (x - ones) & ~x: for quotes, backslashes, and bytes under 0x20.
    const uint64_t quote = word ^ (ones * '"');
    const uint64_t backslash = word ^ (ones * '\\');
    const uint64_t control = word & (ones * 0xE0U);
    const uint64_t found =
        (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((control - ones) & ~control)) & tops;
    if (found != 0) break;
    at += 8;
  }
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c == '"' || c == '\\') break;
    seen |= c;
    ++at;
  }
  high = high || (seen & tops) != 0;
  return at - begin;
}

// Escapes; bytes over 0x7F are taken as they are. True: there were some.
bool append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  bool high = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t plain = plain_bytes(text, at, high);
    out.append(text, at, plain);
    at += plain;
    if (at >= text.size()) break;
    const auto c = static_cast<unsigned char>(text[at]);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += hex[c >> 4U];
        out += hex[c & 15U];
    }
  }
  return high;
}

// A call's arguments as they go back: servers that parse them fail on anything but an object.
void append_arguments(std::string& out, std::string_view arguments) {
  const auto text = trim(arguments);
  if (text.empty()) {
    out += "\"{}\"";
    return;
  }
  if (text.front() == '{' && nlohmann::json::accept(text)) {
    append_json_string(out, arguments);
    return;
  }
  std::string wrapped = "{\"malformed_arguments\":";
  append_json_string(wrapped, arguments);
  wrapped += '}';
  append_json_string(out, wrapped);
}

// The members of a JSON object's text, without its braces; "" when it has none.
std::string_view members_of(std::string_view object) {
  auto text = trim(object);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return {};
  return trim(text.substr(1, text.size() - 2));
}

// Gemini 2.5 Pro thinks long about every step unless it is given a budget; this is the smallest that it takes, and what
// OpenHands gives it. False: nobody says how this server is told.
bool set_thinking_budget(Json& members, const std::string& provider) {
  constexpr int tokens = 128;
  if (provider == "gemini") {
    members["extra_body"] = Json{{"google", {{"thinking_config", {{"thinking_budget", tokens}}}}}};
  } else if (provider == "openrouter") {
    members["reasoning"] = Json{{"max_tokens", tokens}};
  } else if (provider == "litellm_proxy" || provider == "openhands") {
    members["thinking"] = Json{{"type", "enabled"}, {"budget_tokens", tokens}};
  } else {
    return false;
  }
  return true;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  const std::size_t begin = out.size();
  if (append_escaped(out, text) && !is_valid_utf8(text)) {
    out.resize(begin);
    append_escaped(out, to_valid_utf8(text));
  }
  out += '"';
}

Result<std::shared_ptr<const ChatParameters>> ChatParameters::create(const LlmConfig& config,
                                                                     const Endpoint& endpoint) {
  std::shared_ptr<ChatParameters> made(new ChatParameters());
  made->model_ = endpoint.service.model;
  made->flags_ = endpoint.flags;
  made->max_message_chars_ = static_cast<std::size_t>(std::max<int64_t>(0, config.max_message_chars));
  const auto& provider = endpoint.service.provider;
  made->cache_marks_ = config.caching_prompt && endpoint.features.prompt_cache &&
                       (provider == "openrouter" || provider == "litellm_proxy" || provider == "openhands");
  Json members = Json::object();
  if (!endpoint.features.reasons) {
    if (config.temperature) members["temperature"] = *config.temperature;
    // Anthropic's newer models take one of the two, and 1 is what they do anyway.
    const bool second = endpoint.features.one_of_two && config.temperature;
    if (config.top_p && !second && !(endpoint.claude && *config.top_p >= 1)) members["top_p"] = *config.top_p;
  }
  if (config.top_k) members["top_k"] = *config.top_k;
  if (config.seed) members["seed"] = *config.seed;
  const bool little =
      config.reasoning_effort.empty() || config.reasoning_effort == "low" || config.reasoning_effort == "none";
  if (endpoint.features.thinks_at_length && little && set_thinking_budget(members, provider)) {
    // Said in tokens.
  } else if (!config.reasoning_effort.empty()) {
    if (endpoint.has(reasoning_object)) {
      members["reasoning"] = Json::object({{"effort", config.reasoning_effort}});
    } else {
      members["reasoning_effort"] = config.reasoning_effort;
    }
  }
  int64_t limit = config.max_output_tokens;
  if (limit > 0) {
    made->max_tokens_ = std::to_string(limit);
    members[endpoint.has(max_completion_tokens) ? "max_completion_tokens" : "max_tokens"] = limit;
  }
  if (!config.safety_settings.empty() &&
      (contains(endpoint.service.model, "gemini") || contains(endpoint.service.model, "mistral"))) {
    AWM_TRY(auto settings, parse_json(config.safety_settings, "safety_settings"));
    members["safety_settings"] = std::move(settings);
  }
  made->text_tools_ = config.native_tool_calling == false;
  made->stop_ = made->text_tools_ && endpoint.features.stop_words && !config.disable_stop_word;
  if (endpoint.has(usage_include)) members["usage"] = Json::object({{"include", true}});
  if (!config.completion_kwargs.empty()) {
    AWM_TRY(auto given, parse_json(config.completion_kwargs, "completion_kwargs"));
    if (!given.is_object()) return fail(Errc::invalid_input, "read", "completion_kwargs", "it is no table");
    for (auto& [key, value] : given.items()) {
      if (key == "extra_headers" && value.is_object()) {
        for (const auto& [name, text] : value.items()) {
          if (text.is_string()) made->headers_.push_back(name + ": " + text.get<std::string>());
        }
      } else if (key == "extra_body" && value.is_object()) {
        for (auto& [name, member] : value.items()) members[name] = member;
      } else if (key == "messages" || key == "tools" || key == "model" || key == "stream") {
        return fail(Errc::invalid_input, "read", "completion_kwargs", "\"" + key + "\" is not its to set");
      } else {
        members[key] = value;
      }
    }
  }
  for (const auto& [key, value] : members.items()) made->members_.emplace_back(key, dump_json(value));
  return std::shared_ptr<const ChatParameters>(std::move(made));
}

bool ChatParameters::has_member(std::string_view name) const {
  return std::ranges::any_of(members_, [&](const auto& member) { return member.first == name; });
}

std::optional<double> ChatParameters::temperature() const {
  const auto found =
      std::ranges::find(members_, std::string_view("temperature"), &std::pair<std::string, std::string>::first);
  if (found == members_.end()) return std::nullopt;
  const auto value = parse_json(found->second, "temperature");
  return value && value->is_number() ? std::optional<double>(value->get<double>()) : std::nullopt;
}

// What of a tool's output goes to the model: all, or its two ends, made in `kept`.
std::string_view ChatParameters::cut(const Message& message, std::string& kept) const {
  const std::string_view content = message.content;
  if (message.role != Role::tool || max_message_chars_ == 0 || content.size() <= max_message_chars_) return content;
  if (utf8_length(to_valid_utf8(content)) <= max_message_chars_ + cut_note.size()) return content;
  kept = truncate_middle(to_valid_utf8(content), max_message_chars_, cut_note);
  return kept;
}

std::string ChatParameters::body(const CompletionRequest& request, bool stream, const std::set<std::string>& refused,
                                 std::optional<double> temperature) const {
  const auto is_result = [](const Message& message) { return message.role == Role::tool; };
  if (!text_tools_ || (request.tools.empty() && std::ranges::none_of(request.messages, is_result))) {
    return write(request, stream, refused, temperature, false);
  }
  std::vector<Message> whole(request.messages.begin(), request.messages.end());
  std::string kept;
  for (Message& message : whole) message.content = std::string(cut(message, kept));
  const auto told = messages_without_calls(whole, request.tools);
  CompletionRequest asked = request;
  asked.messages = told;
  asked.tools = {};
  return write(asked, stream, refused, temperature, stop_ && !request.tools.empty());
}

std::string ChatParameters::write(const CompletionRequest& request, bool stream, const std::set<std::string>& refused,
                                  std::optional<double> temperature, bool stop) const {
  std::size_t size = 1024;
  for (const auto& message : request.messages) {
    size += 256 + message.content.size() + message.content.size() / 16 + message.reasoning.size() +
            message.provider_fields.size();
    for (const auto& call : message.tool_calls) size += 128 + call.arguments.size() * 5 / 4;
  }
  for (const auto& tool : request.tools) size += 128 + tool.description.size() + tool.parameters.size();
  std::string out;
  out.reserve(size);

  const auto flag = [&](DialectFlag wanted) { return (flags_ & wanted) != 0; };
  // Anthropic caches up to a mark: one after the system prompt, one after each of the last two messages to the model,
  // so that the next call finds the longer beginning of this one.
  std::array<const Message*, 3> marked{};
  if (cache_marks_) {
    std::size_t count = 0;
    for (auto it = request.messages.rbegin(); it != request.messages.rend() && count < 2; ++it) {
      if (it->role == Role::user || it->role == Role::tool) marked[count++] = &*it;
    }
    if (!request.messages.empty() && request.messages.front().role == Role::system)
      marked[2] = &request.messages.front();
  }

  out += "{\"model\":";
  append_json_string(out, model_);
  out += ",\"messages\":[";
  bool first = true;
  for (const Message& message : request.messages) {
    if (!first) out += ',';
    first = false;
    out += "{\"role\":\"";
    out += to_string(message.role);
    out += "\",\"content\":";
    std::string kept;
    const std::string_view content = cut(message, kept);
    if (content.empty() && message.role == Role::assistant && !message.tool_calls.empty()) {
      out += "null";
    } else if (!content.empty() && std::ranges::find(marked, &message) != marked.end()) {
      out += "[{\"type\":\"text\",\"text\":";
      append_json_string(out, content);
      out += ",\"cache_control\":{\"type\":\"ephemeral\"}}]";
    } else {
      append_json_string(out, content);
    }
    if (message.role == Role::tool) {
      out += ",\"tool_call_id\":";
      append_json_string(out, message.tool_call_id);
      if (flag(tool_names) && !message.tool_name.empty()) {
        out += ",\"name\":";
        append_json_string(out, message.tool_name);
      }
    }
    if (message.role == Role::assistant) {
      Json call_fields;
      if (!message.provider_fields.empty()) {
        if (auto fields = parse_json(message.provider_fields, "provider_fields"); fields && fields->is_object()) {
          if (const auto* calls = find_member(*fields, "tool_call_fields")) call_fields = *calls;
          fields->erase("tool_call_fields");
          if (const auto text = dump_json(*fields); !members_of(text).empty()) {
            out += ',';
            out += members_of(text);
          }
        }
      }
      if (!message.tool_calls.empty()) {
        out += ",\"tool_calls\":[";
        bool first_call = true;
        for (const auto& call : message.tool_calls) {
          if (!first_call) out += ',';
          first_call = false;
          out += "{\"id\":";
          append_json_string(out, call.id);
          out += ",\"type\":\"function\",\"function\":{\"name\":";
          append_json_string(out, call.name);
          out += ",\"arguments\":";
          append_arguments(out, call.arguments);
          out += '}';
          if (const auto* more = find_member(call_fields, call.id);
              more != nullptr && more->is_object() && !more->empty()) {
            out += ',';
            out += members_of(dump_json(*more));
          }
          out += '}';
        }
        out += ']';
        if (flag(sends_reasoning_back) && !message.reasoning.empty()) {
          out += ",\"reasoning_content\":";
          append_json_string(out, message.reasoning);
        }
      }
    }
    out += '}';
  }
  out += ']';

  if (!request.tools.empty()) {
    out += ",\"tools\":[";
    bool first_tool = true;
    for (const auto& tool : request.tools) {
      if (!first_tool) out += ',';
      first_tool = false;
      out += "{\"type\":\"function\",\"function\":{\"name\":";
      append_json_string(out, tool.name);
      out += ",\"description\":";
      append_json_string(out, tool.description);
      out += ",\"parameters\":";
      out += tool.parameters.empty() ? std::string_view("{\"type\":\"object\",\"properties\":{}}")
                                     : std::string_view(tool.parameters);
      out += "}}";
    }
    out += ']';
  }

  for (const auto& [name, value] : members_) {
    if (refused.contains(name)) continue;
    out += ',';
    append_json_string(out, name);
    out += ':';
    out += temperature && name == "temperature" ? dump_json(Json(*temperature)) : value;
  }
  if (stop && !refused.contains("stop") && !has_member("stop")) {
    out += ",\"stop\":[";
    append_json_string(out, text_tools_stop);
    out += ']';
  }
  // A limit refused by one name has another.
  if (!max_tokens_.empty()) {
    const bool old_name = refused.contains("max_tokens");
    const bool new_name = refused.contains("max_completion_tokens");
    if (old_name != new_name) {
      const std::string_view other = old_name ? "max_completion_tokens" : "max_tokens";
      if (!has_member(other)) {
        out += ",\"";
        out += other;
        out += "\":";
        out += max_tokens_;
      }
    }
  }
  if (stream) {
    out += ",\"stream\":true";
    if (!flag(no_stream_options) && !refused.contains("stream_options"))
      out += ",\"stream_options\":{\"include_usage\":true}";
  }
  out += '}';
  return out;
}

}  // namespace awm
