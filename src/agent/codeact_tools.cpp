#include "agent/codeact_tools.h"

#include <cmath>
#include <cstdlib>

#include "agent/prompts.h"
#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {

Json text_property(std::string_view description) {
  return Json{{"type", "string"}, {"description", description}};
}

Json risk_property() {
  Json property = text_property("How risky this action is; see SECURITY_RISK_ASSESSMENT.");
  property["enum"] = Json::array({"LOW", "MEDIUM", "HIGH"});
  return property;
}

ToolSpec tool(std::string name, std::string description, Json properties, Json required) {
  Json parameters = Json::object();
  parameters["type"] = "object";
  parameters["properties"] = std::move(properties);
  parameters["required"] = std::move(required);
  return {.name = std::move(name), .description = std::move(description), .parameters = dump_json(parameters)};
}

// A call's arguments, read with good will. The first complaint is kept.
class Arguments {
 public:
  Arguments(const Json& json, std::string tool) : json_(json), tool_(std::move(tool)) {}

  [[nodiscard]] const std::string& complaint() const { return complaint_; }

  std::optional<std::string> text(std::string_view key) {
    const Json* member = present(key);
    if (member == nullptr) return std::nullopt;
    if (member->is_string()) return member->get<std::string>();
    if (member->is_number() || member->is_boolean()) return dump_json(*member);
    complain(key, "a string", *member);
    return std::nullopt;
  }

  std::string required_text(std::string_view key) {
    auto value = text(key);
    if (!value && complaint_.empty()) {
      complaint_ = "Missing required argument \"" + std::string(key) + "\" in tool call " + tool_;
    }
    return value.value_or("");
  }

  std::optional<int64_t> integer(std::string_view key) {
    const Json* member = present(key);
    if (member == nullptr) return std::nullopt;
    if (const auto n = integer_of(*member)) return n;
    complain(key, "an integer", *member);
    return std::nullopt;
  }

  std::optional<double> number(std::string_view key) {
    const Json* member = present(key);
    if (member == nullptr) return std::nullopt;
    if (member->is_number()) return member->get<double>();
    if (member->is_string()) {
      const auto& text = member->get_ref<const std::string&>();
      char* end = nullptr;
      const double value = std::strtod(text.c_str(), &end);
      if (!text.empty() && end == text.c_str() + text.size()) return value;
    }
    complain(key, "a number", *member);
    return std::nullopt;
  }

  std::optional<std::vector<int64_t>> integers(std::string_view key) {
    const Json* member = present(key);
    if (member == nullptr) return std::nullopt;
    Json unpacked;
    if (member->is_string()) {  // "[1, 20]"
      if (auto parsed = parse_json(member->get_ref<const std::string&>(), key)) unpacked = *std::move(parsed);
      member = &unpacked;
    }
    std::vector<int64_t> list;
    if (member->is_array()) {
      for (const Json& item : *member) {
        const auto n = integer_of(item);
        if (!n) break;
        list.push_back(*n);
      }
      if (list.size() == member->size()) return list;
    }
    complain(key, "a list of integers", *present(key));
    return std::nullopt;
  }

  bool flag(std::string_view key) {
    const Json* member = present(key);
    if (member == nullptr) return false;
    if (member->is_boolean()) return member->get<bool>();
    return member->is_string() && to_lower_ascii(member->get_ref<const std::string&>()) == "true";
  }

  SecurityRisk risk() {
    const auto word = get_string(json_, "security_risk");
    if (word == "LOW") return SecurityRisk::low;
    if (word == "MEDIUM") return SecurityRisk::medium;
    if (word == "HIGH") return SecurityRisk::high;
    return SecurityRisk::unknown;
  }

 private:
  const Json* present(std::string_view key) const {
    const Json* member = find_member(json_, key);
    return member == nullptr || member->is_null() ? nullptr : member;
  }
  static std::optional<int64_t> integer_of(const Json& json) {
    if (json.is_number_integer()) return json.get<int64_t>();
    if (json.is_number_float()) {
      const double value = json.get<double>();
      if (std::trunc(value) == value && std::abs(value) < 1e15) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    if (!json.is_string()) return std::nullopt;
    const auto& text = json.get_ref<const std::string&>();
    char* end = nullptr;
    const long long value = std::strtoll(text.c_str(), &end, 10);
    if (text.empty() || end != text.c_str() + text.size()) return std::nullopt;
    return value;
  }
  void complain(std::string_view key, std::string_view wanted, const Json& got) {
    if (!complaint_.empty()) return;
    complaint_ = "Argument \"" + std::string(key) + "\" in tool call " + tool_ + " should be " + std::string(wanted) +
                 ", but is: " + truncate_middle(dump_json(got), 200, " ... ");
  }

  const Json& json_;
  std::string tool_;
  std::string complaint_;
};

Action run_action(Arguments& arguments) {
  RunAction run;
  run.command = arguments.required_text("command");
  run.is_input = arguments.flag("is_input");
  run.security_risk = arguments.risk();
  const auto timeout = arguments.number("timeout");
  run.blocking = timeout && *timeout > 0;
  Action action(std::move(run));
  if (timeout && *timeout > 0 && std::isfinite(*timeout)) action.timeout = timeout;
  return action;
}

Action editor_action(Arguments& arguments) {
  const std::string command = arguments.required_text("command");
  std::string path = arguments.required_text("path");
  if (command == "view") {
    ReadAction read;
    read.path = std::move(path);
    read.impl_source = "oh_aci";
    read.view_range = arguments.integers("view_range");
    read.security_risk = arguments.risk();
    return read;
  }
  EditAction edit;
  edit.path = std::move(path);
  edit.command = command;
  edit.file_text = arguments.text("file_text");
  edit.old_str = arguments.text("old_str");
  edit.new_str = arguments.text("new_str");
  edit.insert_line = arguments.integer("insert_line");
  edit.security_risk = arguments.risk();
  return edit;
}

}  // namespace

Result<std::vector<ToolSpec>> codeact_tools(const ToolTexts& texts) {
  const PromptValues values = {{"soft_timeout", texts.soft_timeout}, {"max_output_chars", texts.max_output_chars}};
  AWM_TRY(std::string bash_text, render_prompt("codeact_execute_bash", values));
  AWM_TRY(std::string editor_text, render_prompt("codeact_str_replace_editor"));
  AWM_TRY(std::string think_text, render_prompt("codeact_think"));
  AWM_TRY(std::string finish_text, render_prompt("codeact_finish"));

  Json bash_properties = Json::object();
  bash_properties["command"] = text_property(
      "The command. May be empty, with is_input, to see more output of a command that answered with exit code -1; may "
      "be "
      "`C-c` to interrupt it.");
  bash_properties["is_input"] =
      text_property("Whether `command` is input for the command that is still running. Default: false.");
  bash_properties["is_input"]["enum"] = Json::array({"true", "false"});
  bash_properties["timeout"] =
      Json{{"type", "number"}, {"description", "Seconds after which the command is ended. Default: none."}};
  bash_properties["security_risk"] = risk_property();

  Json editor_properties = Json::object();
  editor_properties["command"] = text_property("What to do.");
  editor_properties["command"]["enum"] = Json::array({"view", "create", "str_replace", "insert", "undo_edit"});
  editor_properties["path"] = text_property("Absolute path of a file or directory, such as `" + texts.working_folder +
                                            "/file.py` or `" + texts.working_folder + "`.");
  editor_properties["file_text"] = text_property("For `create`: the content of the new file.");
  editor_properties["old_str"] = text_property("For `str_replace`: the text to be replaced.");
  editor_properties["new_str"] = text_property(
      "For `str_replace`: the text to put in its place (none: nothing). For `insert`: the text to insert.");
  editor_properties["insert_line"] =
      Json{{"type", "integer"}, {"description", "For `insert`: the line after which `new_str` is put; 0: at the top."}};
  editor_properties["view_range"] =
      Json{{"type", "array"},
           {"items", Json{{"type", "integer"}}},
           {"description", "For `view` of a file: first and last line, counted from 1; [11, -1]: from 11 to the end."}};
  editor_properties["security_risk"] = risk_property();

  std::vector<ToolSpec> tools;
  tools.push_back(tool("execute_bash", std::move(bash_text), std::move(bash_properties),
                       Json::array({"command", "security_risk"})));
  tools.push_back(
      tool("think", std::move(think_text), Json{{"thought", text_property("The thought.")}}, Json::array({"thought"})));
  tools.push_back(tool("finish", std::move(finish_text), Json{{"message", text_property("The closing message.")}},
                       Json::array({"message"})));
  tools.push_back(tool("str_replace_editor", std::move(editor_text), std::move(editor_properties),
                       Json::array({"command", "path", "security_risk"})));
  return tools;
}

std::string tools_json(const std::vector<ToolSpec>& tools) {
  Json list = Json::array();
  for (const ToolSpec& spec : tools) {
    Json function = Json::object();
    function["name"] = spec.name;
    function["description"] = spec.description;
    auto parameters = parse_json(spec.parameters, spec.name);
    function["parameters"] = parameters ? *std::move(parameters) : Json::object();
    list.push_back(Json{{"type", "function"}, {"function", std::move(function)}});
  }
  return dump_json(list);
}

std::expected<Action, std::string> action_of_call(const ToolCall& call) {
  const std::string& name = call.name;
  if (name != "execute_bash" && name != "str_replace_editor" && name != "think" && name != "finish") {
    return std::unexpected("Tool " + to_valid_utf8(name) +
                           " is not registered. Please use one of: execute_bash, str_replace_editor, think, finish.");
  }
  // Some servers send no arguments at all where there are none.
  const auto json = parse_json(trim(call.arguments).empty() ? "{}" : call.arguments, "arguments");
  if (!json || !json->is_object()) {
    return std::unexpected("Failed to parse tool call arguments: " +
                           (json ? std::string("they are not a JSON object") : json.error().cause) + ": " +
                           truncate_middle(to_valid_utf8(call.arguments), 1000, " ... "));
  }
  Arguments arguments(*json, name);
  Action action;
  if (name == "execute_bash") {
    action = run_action(arguments);
  } else if (name == "str_replace_editor") {
    action = editor_action(arguments);
  } else if (name == "think") {
    action = ThinkAction{.thought = arguments.text("thought").value_or("")};
  } else {
    action = FinishAction{.final_thought = arguments.text("message").value_or(""), .thought = {}};
  }
  if (!arguments.complaint().empty()) return std::unexpected(arguments.complaint());
  return action;
}

ToolCall presentable_call(ToolCall call, const std::string& fallback_id) {
  if (call.id.empty()) call.id = fallback_id;
  const auto json = parse_json(call.arguments, "arguments");
  if (!json || !json->is_object()) {
    call.arguments =
        trim(call.arguments).empty()
            ? "{}"
            : dump_json(Json{{"unreadable_arguments", truncate_middle(to_valid_utf8(call.arguments), 2000, " ... ")}});
  }
  call.name = to_valid_utf8(call.name);
  return call;
}

}  // namespace awm
