#include "replay/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "base/text.h"
#include "os/file.h"

namespace awm {
namespace {

constexpr uint64_t largest_file = uint64_t{512} << 20;
constexpr int64_t most_rounds = 10'000;

std::unexpected<Error> bad(std::string_view where, std::string cause, std::string remedy = {}) {
  return fail(Errc::invalid_input, "read", std::string(where), std::move(cause), std::move(remedy));
}

Result<void> only_known(const Json& object, std::string_view where, const std::vector<std::string>& known) {
  if (!object.is_object()) return bad(where, "it is not an object");
  for (const auto& item : object.items()) {
    if (std::ranges::find(known, item.key()) != known.end()) continue;
    const std::string near = nearest_word(item.key(), known);
    return bad(where, "unknown key '" + item.key() + "'",
               near.empty() ? "known are " + join(known, ", ") : "did you mean '" + near + "'?");
  }
  return {};
}

Result<std::string> text_member(const Json& object, std::string_view key, std::string_view where) {
  const Json* member = find_member(object, key);
  if (member == nullptr) return std::string();
  if (!member->is_string()) return bad(where, std::string(key) + " is not text");
  return member->get<std::string>();
}

// Text, or a list of lines.
Result<std::string> lines(const Json& value, std::string_view where) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return bad(where, "it is neither text nor a list of lines");
  std::string all;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_string()) return bad(where, "line " + std::to_string(i + 1) + " is not text");
    if (i > 0) all += '\n';
    all += value[i].get<std::string>();
  }
  return all;
}

// {"$lines": [...]} becomes text, wherever it stands.
Result<Json> expand_lines(const Json& value, std::string_view where) {
  if (value.is_object()) {
    if (const Json* list = find_member(value, "$lines"); list != nullptr && value.size() == 1) {
      AWM_TRY(auto text, lines(*list, where));
      return Json(std::move(text));
    }
    Json out = Json::object();
    for (const auto& item : value.items()) {
      AWM_TRY(out[item.key()], expand_lines(item.value(), where));
    }
    return out;
  }
  if (value.is_array()) {
    Json out = Json::array();
    for (const auto& item : value) {
      AWM_TRY(auto expanded, expand_lines(item, where));
      out.push_back(std::move(expanded));
    }
    return out;
  }
  return value;
}

// The number of the round in place of each {{round}}, in every text of a step.
Json in_round(const Json& value, const std::string& round) {
  if (value.is_string()) return Json(replace_all(value.get<std::string>(), "{{round}}", round));
  if (!value.is_structured()) return value;
  Json out = value;
  for (auto& item : out) item = in_round(item, round);
  return out;
}

Result<Requirement> read_requirement(const Json& from, std::string_view where) {
  Requirement requirement;
  if (from.is_string()) {
    requirement.text = from.get<std::string>();
    return requirement;
  }
  AWM_CHECK(only_known(from, where, {"text", "regex", "absent", "in"}));
  AWM_TRY(const auto text, text_member(from, "text", where));
  AWM_TRY(const auto regex, text_member(from, "regex", where));
  if (text.empty() == regex.empty()) return bad(where, "it needs either text or regex");
  requirement.text = text;
  if (!regex.empty()) {
    AWM_TRY(requirement.pattern, Pattern::compile(regex));
  }
  requirement.absent = get_bool(from, "absent").value_or(false);
  AWM_TRY(const auto place, text_member(from, "in", where));
  if (place.empty() || place == "any") {
    requirement.where = Requirement::Where::anywhere;
  } else if (place == "first") {
    requirement.where = Requirement::Where::first;
  } else if (place == "last") {
    requirement.where = Requirement::Where::last;
  } else if (place == "tools") {
    requirement.where = Requirement::Where::tools;
  } else {
    return bad(where, "in is '" + place + "'", "it takes any, first, last or tools");
  }
  return requirement;
}

Result<void> read_requirements(const Json& object, std::string_view where, std::vector<Requirement>& into) {
  const Json* list = find_member(object, "require");
  if (list == nullptr) return {};
  const std::string place = std::string(where) + ", require";
  if (!list->is_array()) {
    AWM_TRY(auto one, read_requirement(*list, place));
    into.push_back(std::move(one));
    return {};
  }
  for (const auto& item : *list) {
    AWM_TRY(auto one, read_requirement(item, place));
    into.push_back(std::move(one));
  }
  return {};
}

// The same script gives the same ids in every process: recorded runs are compared.
std::string derived_id(std::string_view name, std::size_t step, std::size_t call) {
  return "call_" +
         sha256_hex(std::string(name) + "/" + std::to_string(step) + "/" + std::to_string(call)).substr(0, 24);
}

Result<ScriptStep> read_step(const Json& from, const std::string& name, std::size_t index, const std::string& where) {
  AWM_CHECK(only_known(
      from, where,
      {"content", "tool_calls", "reasoning", "usage", "finish_reason", "require", "faults", "repeat", "note"}));
  ScriptStep step;
  step.message = Json::object({{"role", "assistant"}, {"content", nullptr}});
  if (const Json* content = find_member(from, "content"); content != nullptr && !content->is_null()) {
    AWM_TRY(step.message["content"], lines(*content, where + ", content"));
  }
  AWM_TRY(const auto reasoning, text_member(from, "reasoning", where));
  if (!reasoning.empty()) step.message["reasoning_content"] = reasoning;
  if (const Json* calls = find_member(from, "tool_calls"); calls != nullptr) {
    if (!calls->is_array()) return bad(where, "tool_calls is not a list");
    Json out = Json::array();
    for (std::size_t i = 0; i < calls->size(); ++i) {
      const Json& call = (*calls)[i];
      const std::string place = where + ", tool call " + std::to_string(i + 1);
      AWM_CHECK(only_known(call, place, {"id", "name", "arguments"}));
      AWM_TRY(const auto tool, text_member(call, "name", place));
      if (tool.empty()) return bad(place, "it has no name");
      Json function = Json::object({{"name", tool}});
      if (const Json* arguments = find_member(call, "arguments"); arguments != nullptr) {
        if (arguments->is_string()) {
          function["arguments"] = *arguments;
        } else {
          AWM_TRY(const auto expanded, expand_lines(*arguments, place));
          function["arguments"] = dump_json(expanded);
        }
      }
      const auto id = get_string(call, "id").value_or(derived_id(name, index, i));
      Json one = Json::object({{"id", id}, {"type", "function"}, {"function", std::move(function)}});
      if (id.empty()) one.erase("id");
      if (!id.empty()) step.ids.push_back(id);
      out.push_back(std::move(one));
    }
    if (!out.empty()) step.message["tool_calls"] = std::move(out);
  }
  AWM_TRY(step.finish_reason, text_member(from, "finish_reason", where));
  if (step.finish_reason.empty()) step.finish_reason = step.message.contains("tool_calls") ? "tool_calls" : "stop";
  if (const Json* usage = find_member(from, "usage"); usage != nullptr) {
    if (!usage->is_object()) return bad(where, "usage is not an object");
    step.usage = *usage;
  }
  AWM_CHECK(read_requirements(from, where, step.require));
  if (const Json* faults = find_member(from, "faults"); faults != nullptr) {
    if (!faults->is_array()) return bad(where, "faults is not a list");
    for (const auto& fault : *faults) {
      AWM_TRY(auto one, parse_fault(fault, where + ", faults"));
      one.step = static_cast<int>(index) + 1;
      step.faults.push_back(std::move(one));
    }
  }
  return step;
}

// A step once or, with "repeat", as often as it says.
Result<void> read_rounds(const Json& from, const std::string& where, ScriptedTalk& into) {
  const Json* repeat = find_member(from, "repeat");
  if (repeat == nullptr) {
    AWM_TRY(auto step, read_step(from, into.name, into.steps.size(), where));
    into.steps.push_back(std::move(step));
    return {};
  }
  if (!repeat->is_number_integer() || repeat->get<int64_t>() < 1 || repeat->get<int64_t>() > most_rounds) {
    return bad(where, "repeat is " + dump_json(*repeat), "it takes a number from 1 to " + std::to_string(most_rounds));
  }
  for (int64_t round = 1; round <= repeat->get<int64_t>(); ++round) {
    AWM_TRY(auto step, read_step(in_round(from, std::to_string(round)), into.name, into.steps.size(), where));
    into.steps.push_back(std::move(step));
  }
  return {};
}

void index_ids(ScriptedTalk& conversation) {
  std::set<std::string> ambiguous;
  for (std::size_t i = 0; i < conversation.steps.size(); ++i) {
    for (const auto& id : conversation.steps[i].ids) {
      const auto [at, is_new] = conversation.step_of_id.emplace(id, i);
      if (!is_new && at->second != i) ambiguous.insert(id);
    }
  }
  for (const auto& id : ambiguous) conversation.step_of_id.erase(id);
}

Result<ScriptedTalk> read_script(const Json& from, const std::string& where, const std::string& stem,
                                 const ProblemStatements& problems) {
  AWM_CHECK(only_known(from, where, {"name", "purpose", "match", "model", "require", "steps", "note"}));
  ScriptedTalk conversation;
  conversation.file = where;
  AWM_TRY(conversation.name, text_member(from, "name", where));
  if (conversation.name.empty()) conversation.name = stem;
  AWM_TRY(conversation.purpose, text_member(from, "purpose", where));
  if (conversation.purpose.empty()) conversation.purpose = "agent";
  AWM_TRY(conversation.model, text_member(from, "model", where));

  const Json* match = find_member(from, "match");
  if (match == nullptr) return bad(where, "it has no match", R"(for example "match": {"text": "words of the task"})");
  AWM_CHECK(only_known(*match, where + ", match", {"text", "instance_id", "tool", "default"}));
  if (const Json* text = find_member(*match, "text"); text != nullptr) {
    const Json list = text->is_array() ? *text : Json::array({*text});
    for (const auto& one : list) {
      if (!one.is_string()) return bad(where + ", match", "text is neither text nor a list of texts");
      if (auto folded = fold_space(one.get<std::string>()); !folded.empty()) {
        conversation.texts.push_back(std::move(folded));
      }
    }
  }
  AWM_TRY(conversation.instance_id, text_member(*match, "instance_id", where));
  if (!conversation.instance_id.empty() && conversation.texts.empty()) {
    const auto problem = problems.find(conversation.instance_id);
    conversation.texts.push_back(problem != problems.end() ? fold_space(problem->second) : conversation.instance_id);
  }
  AWM_TRY(conversation.tool, text_member(*match, "tool", where));
  conversation.is_default = get_bool(*match, "default").value_or(false);
  if (conversation.texts.empty() && !conversation.is_default) {
    return bad(where + ", match", "it says neither text nor instance_id nor default");
  }

  AWM_CHECK(read_requirements(from, where, conversation.require));
  const Json* steps = find_member(from, "steps");
  if (steps == nullptr || !steps->is_array() || steps->empty()) return bad(where, "it has no steps");
  for (std::size_t i = 0; i < steps->size(); ++i) {
    AWM_CHECK(read_rounds((*steps)[i], where + ", step " + std::to_string(i + 1), conversation));
  }
  index_ids(conversation);
  return conversation;
}

std::string stem_of(const std::string& path, std::string_view suffix) {
  std::string name = file_name(path);
  if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

// Files below `path` that end in `suffix`, by name; a file is itself whatever it is called.
Result<std::vector<std::string>> files_of(const std::string& path, std::string_view suffix, int depth) {
  AWM_TRY(const auto info, sys::stat(path));
  if (info.type != sys::FileInfo::Type::folder) return std::vector<std::string>{path};
  std::vector<std::string> found;
  AWM_TRY(auto names, sys::list_folder(path));
  std::ranges::sort(names);
  for (const auto& name : names) {
    const std::string child = join_path(path, name);
    if (is_folder(child)) {
      if (depth <= 0) continue;
      AWM_TRY(auto below, files_of(child, suffix, depth - 1));
      found.insert(found.end(), below.begin(), below.end());
    } else if (name.ends_with(suffix)) {
      found.push_back(child);
    }
  }
  return found;
}

// What the template put around {{task}} is the same in every prompt: the statement is what stands between.
std::optional<std::string> between_template(const std::string& prompt, const std::string& pattern) {
  for (const std::string_view mark : {"{{task}}", "{{ task }}"}) {
    const auto at = pattern.find(mark);
    if (at == std::string::npos) continue;
    const std::string_view all = pattern;
    std::string_view before = all.substr(0, at);
    std::string_view after = all.substr(at + mark.size());
    // Up to the next substitution on either side: what those became is unknown.
    if (const auto end = std::max(before.rfind("}}") + 2, before.rfind("%}") + 2); end >= 2)
      before = before.substr(end);
    after = after.substr(0, std::min(after.find("{{"), after.find("{%")));
    before = trim(before);
    after = trim(after);
    const auto start = before.empty() ? 0 : prompt.find(before);
    if (start == std::string::npos) continue;
    const auto from = start + before.size();
    const auto to = after.empty() ? prompt.size() : prompt.rfind(after);
    if (to == std::string::npos || to < from) continue;
    auto statement = std::string(trim(std::string_view(prompt).substr(from, to - from)));
    if (!statement.empty()) return statement;
  }
  return std::nullopt;
}

std::optional<std::string> between_tags(const std::string& prompt) {
  for (const std::string_view tag : {"pr_description", "issue_description", "problem_statement", "issue", "task"}) {
    const std::string open = "<" + std::string(tag) + ">";
    const std::string close = "</" + std::string(tag) + ">";
    const auto from = prompt.find(open);
    const auto to = prompt.rfind(close);
    if (from == std::string::npos || to == std::string::npos || to < from + open.size()) continue;
    std::string_view inside = trim(std::string_view(prompt).substr(from + open.size(), to - from - open.size()));
    // mini-swe-agent's own words in front of the statement.
    for (const std::string_view lead : {"Consider the following PR description:", "Please solve this issue:"}) {
      if (inside.starts_with(lead)) inside = trim(inside.substr(lead.size()));
    }
    if (!inside.empty()) return std::string(inside);
  }
  return std::nullopt;
}

Result<ScriptStep> recorded_step(const Json& message, const std::string& where) {
  ScriptStep step;
  const Json* extra = find_member(message, "extra");
  const Json* response = extra == nullptr ? nullptr : find_member(*extra, "response");
  const Json* choices = response == nullptr ? nullptr : find_member(*response, "choices");
  const Json* choice = choices != nullptr && choices->is_array() && !choices->empty() ? &(*choices)[0] : nullptr;
  const Json* said = choice == nullptr ? nullptr : find_member(*choice, "message");
  if (said != nullptr && said->is_object()) {
    step.response = *response;
    step.message = *said;
    step.finish_reason = string_or(*choice, "finish_reason", "");
    if (const Json* usage = find_member(*response, "usage"); usage != nullptr && usage->is_object()) {
      step.usage = *usage;
    }
  } else {
    // Older recordings and other models: only the message itself.
    step.message = Json::object({{"role", "assistant"}, {"content", content_text(message)}});
    if (const Json* calls = find_member(message, "tool_calls"); calls != nullptr && calls->is_array()) {
      step.message["tool_calls"] = *calls;
    }
  }
  if (const Json* calls = find_member(step.message, "tool_calls"); calls != nullptr && !calls->is_null()) {
    if (!calls->is_array()) return bad(where, "tool_calls is not a list");
    for (const auto& call : *calls) {
      if (auto id = get_string(call, "id"); id && !id->empty()) step.ids.push_back(*std::move(id));
    }
  }
  if (step.finish_reason.empty()) step.finish_reason = step.ids.empty() ? "stop" : "tool_calls";
  return step;
}

Result<ScriptedTalk> read_trajectory(const std::string& path, const ProblemStatements& problems) {
  AWM_TRY(const auto text, read_file(path, largest_file));
  AWM_TRY(const auto json, parse_json(text, path));
  const Json* messages = find_member(json, "messages");
  if (messages == nullptr || !messages->is_array()) {
    return bad(path, "it has no list of messages", "a trajectory of mini-swe-agent is a .traj.json");
  }
  ScriptedTalk conversation;
  conversation.file = path;
  conversation.purpose = "agent";
  conversation.instance_id = string_or(json, "instance_id", stem_of(path, ".traj.json"));
  conversation.name = conversation.instance_id;
  std::optional<std::string> prompt;
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const Json& message = (*messages)[i];
    const std::string role = string_or(message, "role", "");
    if (role == "user" && !prompt) prompt = content_text(message);
    if (role != "assistant") continue;
    AWM_TRY(auto step, recorded_step(message, path + ", message " + std::to_string(i)));
    conversation.steps.push_back(std::move(step));
  }
  if (conversation.steps.empty()) return bad(path, "it has no message of the assistant");

  std::string statement;
  if (const auto known = problems.find(conversation.instance_id); known != problems.end()) {
    statement = known->second;
  } else if (!prompt) {
    return bad(path, "it has no message of the user", "name the rows with --dataset");
  } else {
    std::string pattern;
    if (const Json* info = find_member(json, "info"); info != nullptr) {
      if (const Json* config = find_member(*info, "config"); config != nullptr) {
        if (const Json* agent = find_member(*config, "agent"); agent != nullptr) {
          pattern = string_or(*agent, "instance_template", "");
        }
      }
    }
    auto found = between_template(*prompt, pattern);
    if (!found) found = between_tags(*prompt);
    statement = found ? *std::move(found) : *prompt;
  }
  conversation.texts.push_back(fold_space(statement));
  if (conversation.texts.front().empty()) return bad(path, "its problem statement is empty");
  index_ids(conversation);
  return conversation;
}

}  // namespace

bool ScriptedTalk::calls_tools() const {
  return std::ranges::any_of(steps, [](const ScriptStep& step) {
    const Json* calls = find_member(step.message, "tool_calls");
    return calls != nullptr && calls->is_array() && !calls->empty();
  });
}

std::size_t ScriptedTalk::match_length() const {
  std::size_t length = 0;
  for (const auto& text : texts) length += text.size();
  return length;
}

Result<void> read_problem_statements(const std::string& path, ProblemStatements& into) {
  const auto take = [&](const Json& row, const std::string& where) -> Result<void> {
    const auto id = get_string(row, "instance_id");
    const auto statement = get_string(row, "problem_statement");
    if (!id || !statement) return bad(where, "it has no instance_id and problem_statement");
    into[*id] = *statement;
    return {};
  };
  if (path.ends_with(".json")) {
    AWM_TRY(const auto text, read_file(path, largest_file));
    AWM_TRY(const auto rows, parse_json(text, path));
    if (!rows.is_array()) return bad(path, "it is not a list of rows");
    for (std::size_t i = 0; i < rows.size(); ++i) AWM_CHECK(take(rows[i], path + ", row " + std::to_string(i + 1)));
    return {};
  }
  AWM_TRY(auto reader, LineReader::open(Scope("replay"), path));
  for (;;) {
    AWM_TRY(const auto line, reader.next());
    if (!line) return {};
    if (trim(*line).empty()) continue;
    const std::string where = path + ":" + std::to_string(reader.line_number());
    AWM_TRY(const auto row, parse_json(*line, where));
    AWM_CHECK(take(row, where));
  }
}

Result<std::vector<ScriptedTalk>> read_scripts(const std::string& path, const ProblemStatements& problems) {
  AWM_TRY(const auto files, files_of(path, ".json", 0));
  if (files.empty()) return bad(path, "the folder has no *.json", "a script is a .json file: docs/replay.md");
  std::vector<ScriptedTalk> all;
  for (const auto& file : files) {
    AWM_TRY(const auto text, read_file(file, largest_file));
    AWM_TRY(const auto json, parse_json(text, file));
    if (json.is_array()) {
      for (std::size_t i = 0; i < json.size(); ++i) {
        const std::string number = std::to_string(i + 1);
        AWM_TRY(auto one, read_script(json[i], fmt::format("{}, script {}", file, number),
                                      fmt::format("{}-{}", stem_of(file, ".json"), number), problems));
        all.push_back(std::move(one));
      }
    } else {
      AWM_TRY(auto one, read_script(json, file, stem_of(file, ".json"), problems));
      all.push_back(std::move(one));
    }
  }
  return all;
}

Result<std::vector<ScriptedTalk>> read_trajectories(const std::string& path, const ProblemStatements& problems) {
  AWM_TRY(const auto files, files_of(path, ".traj.json", 3));
  if (files.empty()) return bad(path, "no *.traj.json is below this folder");
  std::vector<ScriptedTalk> all;
  for (const auto& file : files) {
    AWM_TRY(auto one, read_trajectory(file, problems));
    all.push_back(std::move(one));
  }
  return all;
}

std::string fold_space(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool space = false;
  for (const char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      space = !out.empty();
      continue;
    }
    if (space) out += ' ';
    space = false;
    out += c;
  }
  return out;
}

std::string content_text(const Json& message) {
  const Json* content = find_member(message, "content");
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) return {};
  std::string all;
  for (const auto& part : *content) all += part.is_string() ? part.get<std::string>() : string_or(part, "text", "");
  return all;
}

}  // namespace awm
