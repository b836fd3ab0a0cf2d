#include "llm/text_tools.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {

constexpr std::string_view function_tag = "<function=";
constexpr std::string_view parameter_tag = "<parameter=";
constexpr std::string_view parameter_end = "</parameter>";
constexpr std::size_t most_parameters = 64;  // of a call; further ones are nonsense

Json schema_of(const ToolSpec& tool) {
  if (tool.parameters.empty()) return Json::object();
  auto schema = parse_json(tool.parameters, tool.name);
  return schema && schema->is_object() ? *std::move(schema) : Json::object();
}

// Name and schema of each parameter, in the order of the tool.
std::vector<std::pair<std::string, Json>> parameters_of(const Json& schema) {
  std::vector<std::pair<std::string, Json>> list;
  if (const auto* properties = find_member(schema, "properties"); properties != nullptr && properties->is_object()) {
    for (const auto& [name, parameter] : properties->items()) list.emplace_back(name, parameter);
  }
  return list;
}

bool is_required(const Json& schema, const std::string& name) {
  const auto* required = find_member(schema, "required");
  return required != nullptr && required->is_array() && std::ranges::find(*required, Json(name)) != required->end();
}

std::string plain(const Json& value) {
  return value.is_string() ? to_valid_utf8(value.get_ref<const std::string&>()) : dump_json_python(value);
}

// How a model may write a value of this kind.
std::string example_value(const Json& parameter) {
  if (const auto* allowed = find_member(parameter, "enum");
      allowed != nullptr && allowed->is_array() && !allowed->empty()) {
    return plain(allowed->front());
  }
  const std::string type = string_or(parameter, "type", "string");
  if (type == "integer" || type == "number") return "1";
  if (type == "boolean") return "true";
  if (type == "array") return "[1, 2]";
  if (type == "object") return "{}";
  return "first line\nsecond line";
}

std::string parameter_text(const std::string& name, const std::string& value) {
  const std::string edge = contains(value, "\n") ? "\n" : "";
  std::string text(parameter_tag);
  text += name + ">" + edge + value + edge;
  text += parameter_end;
  return text + "\n";
}

std::string example_of(const ToolSpec& tool) {
  const Json schema = schema_of(tool);
  std::string text(function_tag);
  text += tool.name + ">\n";
  for (const auto& [name, parameter] : parameters_of(schema)) {
    if (is_required(schema, name)) text += parameter_text(name, example_value(parameter));
  }
  return text + "</function>";
}

Json typed(const std::string& text, const Json& parameter) {
  const std::string type = string_or(parameter, "type", "string");
  const std::string_view trimmed = trim(text);
  if (type == "integer") {
    int64_t value = 0;
    const auto read = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value);
    if (read.ec == std::errc() && read.ptr == trimmed.data() + trimmed.size()) return value;
  } else if (type == "boolean") {
    const std::string word = to_lower_ascii(trimmed);
    if (word == "true" || word == "false") return word == "true";
  } else if (type == "number" || type == "array" || type == "object") {
    if (auto value = parse_json(trimmed, "a parameter")) {
      const bool fits =
          type == "number" ? value->is_number() : (type == "array" ? value->is_array() : value->is_object());
      if (fits) return *std::move(value);
    }
  } else if (parameter.contains("enum")) {
    return Json(std::string(trimmed));
  }
  return Json(text);
}

std::string_view skip_space(std::string_view text) {
  const auto at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

bool begins_end(std::string_view text) {
  return text.empty() || text.starts_with(text_tools_stop) || text_tools_stop.starts_with(text);
}

// Where the value ends that begins `text`. A value may hold the tag that ends it (a file about this very form): only
// one that another parameter or the call's end follows is the end.
struct ValueEnd {
  std::size_t end = 0;
  std::size_t next = 0;  // what comes after it
};
ValueEnd find_value_end(std::string_view text) {
  for (auto at = text.find(parameter_end); at != std::string_view::npos; at = text.find(parameter_end, at + 1)) {
    const auto rest = skip_space(text.substr(at + parameter_end.size()));
    if (rest.starts_with(parameter_tag) || begins_end(rest)) return {.end = at, .next = at + parameter_end.size()};
  }
  // Stray words follow, or the end is missing.
  if (const auto at = text.find(parameter_end); at != std::string_view::npos) {
    return {.end = at, .next = at + parameter_end.size()};
  }
  auto end = std::min(text.find(text_tools_stop), text.find(parameter_tag));
  if (end == std::string_view::npos) end = text.size();
  return {.end = end, .next = end};
}

struct ReadCall {
  std::string name;
  std::vector<std::pair<std::string, std::string>> parameters;
};

// `text` begins behind "<function=".
std::optional<ReadCall> read_call(std::string_view text) {
  const auto close = text.find('>');
  if (close == std::string_view::npos) return std::nullopt;
  ReadCall call;
  call.name = trim(text.substr(0, close));
  if (call.name.empty() || contains(call.name, "\n")) return std::nullopt;
  text.remove_prefix(close + 1);
  while (call.parameters.size() < most_parameters) {
    const auto next = text.find(parameter_tag);
    if (const auto end = text.find(text_tools_stop); next == std::string_view::npos || end < next) return call;
    text.remove_prefix(next + parameter_tag.size());
    // "<parameter=command=str_replace</parameter>" is met: the name ends at whichever sign comes first.
    const auto sign = text.find_first_of(">=\n");
    if (sign == std::string_view::npos || text[sign] == '\n') return call;
    std::string name(trim(text.substr(0, sign)));
    text.remove_prefix(sign + 1);
    const ValueEnd found = find_value_end(text);
    std::string_view value = text.substr(0, found.end);
    if (value.starts_with("\r\n")) value.remove_prefix(1);
    if (value.starts_with("\n")) value.remove_prefix(1);
    if (value.ends_with("\n")) value.remove_suffix(1);
    call.parameters.emplace_back(std::move(name), std::string(value));
    text.remove_prefix(found.next);
  }
  return call;
}

}  // namespace

std::string describe_tools(std::span<const ToolSpec> tools) {
  std::string text;
  for (const ToolSpec& tool : tools) {
    if (!text.empty()) text += "\n";
    text += "### " + tool.name + "\n" + tool.description + "\n";
    const Json schema = schema_of(tool);
    const auto parameters = parameters_of(schema);
    if (parameters.empty()) {
      text += "It takes no parameters.\n";
      continue;
    }
    text += "Parameters:\n";
    for (const auto& [name, parameter] : parameters) {
      text += "- " + name + " (" + string_or(parameter, "type", "string") + ", " +
              (is_required(schema, name) ? "required" : "optional") + ")";
      if (const auto about = string_or(parameter, "description", ""); !about.empty()) text += ": " + about;
      text += "\n";
      if (const auto* allowed = find_member(parameter, "enum"); allowed != nullptr && allowed->is_array()) {
        std::vector<std::string> values;
        for (const auto& value : *allowed) values.push_back("`" + plain(value) + "`");
        text += "  One of: " + join(values, ", ") + "\n";
      }
    }
  }
  return text;
}

std::string tool_instructions(std::span<const ToolSpec> tools) {
  if (tools.empty()) return {};
  return "\n\n## Functions\n\nThese functions are yours to call:\n\n" + describe_tools(tools) +
         "\nTo call one, end your answer with a block of this form, and nothing behind it:\n\n" +
         example_of(tools.front()) +
         "\n\nWrite every required parameter. A value stands between its tags as it is, over several lines where it "
         "has them, without quotes and without escapes. Call one function at a time: its result comes with the next "
         "message. What you think of it goes before the block.\n";
}

std::string call_as_text(const ToolCall& call) {
  std::string text(function_tag);
  text += call.name + ">\n";
  const auto trimmed = trim(call.arguments);
  const auto arguments = parse_json(trimmed.empty() ? "{}" : trimmed, "arguments");
  if (arguments && arguments->is_object()) {
    for (const auto& [name, value] : arguments->items()) text += parameter_text(name, plain(value));
  } else {
    text += parameter_text("malformed_arguments", to_valid_utf8(call.arguments));
  }
  return text + "</function>";
}

std::vector<Message> messages_without_calls(std::span<const Message> messages, std::span<const ToolSpec> tools) {
  std::vector<Message> out;
  out.reserve(messages.size() + 1);
  const std::string instructions = tool_instructions(tools);
  const bool has_system = !messages.empty() && messages.front().role == Role::system;
  if (!has_system && !instructions.empty()) {
    out.push_back({.role = Role::system, .content = std::string(trim(instructions))});
  }
  const auto result = [](const Message& message, const std::string& name) {
    return Message{.role = Role::user,
                   .content = "EXECUTION RESULT of [" + (message.tool_name.empty() ? name : message.tool_name) +
                              "]:\n" + message.content};
  };
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == Role::tool) {  // of no call before it
      out.push_back(result(message, "tool"));
      continue;
    }
    Message told = message;
    told.tool_calls.clear();
    if (i == 0 && has_system) told.content += instructions;
    if (message.tool_calls.empty()) {
      out.push_back(std::move(told));
      continue;
    }
    std::size_t results = i + 1;
    while (results < messages.size() && messages[results].role == Role::tool) ++results;
    std::vector<bool> used(results - i - 1, false);
    for (const ToolCall& call : message.tool_calls) {
      if (!trim(told.content).empty()) told.content += "\n\n";
      told.content += call_as_text(call);
      out.push_back(std::move(told));
      told = {.role = Role::assistant};
      for (std::size_t at = i + 1; at < results; ++at) {
        if (used[at - i - 1] || messages[at].tool_call_id != call.id) continue;
        used[at - i - 1] = true;
        out.push_back(result(messages[at], call.name));
        break;
      }
    }
    for (std::size_t at = i + 1; at < results; ++at) {
      if (!used[at - i - 1]) out.push_back(result(messages[at], "tool"));
    }
    i = results - 1;
  }
  return out;
}

bool take_call_from_text(Message& answer, std::span<const ToolSpec> tools, std::string_view seed) {
  const auto begin = answer.content.find(function_tag);
  if (begin == std::string::npos) return false;
  const auto read = read_call(std::string_view(answer.content).substr(begin + function_tag.size()));
  if (!read) return false;
  const auto tool = std::ranges::find(tools, read->name, &ToolSpec::name);
  const Json schema = tool != tools.end() ? schema_of(*tool) : Json::object();
  const auto* properties = find_member(schema, "properties");
  Json arguments = Json::object();
  for (const auto& [name, value] : read->parameters) {
    const Json* parameter = properties != nullptr ? find_member(*properties, name) : nullptr;
    arguments[name] = parameter != nullptr ? typed(value, *parameter) : Json(value);
  }
  ToolCall call{.id = {}, .name = read->name, .arguments = dump_json(arguments)};
  call.id = "call_" + sha256_hex(std::string(seed) + "/" + call.name + "/" + call.arguments).substr(0, 24);
  answer.content = std::string(trim(std::string_view(answer.content).substr(0, begin)));
  answer.tool_calls.push_back(std::move(call));
  return true;
}

}  // namespace awm
