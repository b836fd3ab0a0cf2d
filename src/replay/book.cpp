#include "replay/book.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace awm {
namespace {

constexpr int64_t scripted_time = 1'700'000'000;  // "created" of scripted answers: the same in every run

ReplayAnswer refuse(int status, std::string_view message, std::string_view type, std::string_view code) {
  return {.status = status, .body = error_body(message, type, code), .fault = {}, .conversation = {}, .step = 0};
}

const Json* calls_of(const Json& message) {
  const Json* calls = find_member(message, "tool_calls");
  return calls != nullptr && calls->is_array() && !calls->empty() ? calls : nullptr;
}

// All that a message says: its content, and the names and arguments of its calls.
std::string whole_text(const Json& message) {
  std::string text = content_text(message);
  if (const Json* calls = calls_of(message)) {
    for (const auto& call : *calls) {
      if (const Json* function = find_member(call, "function")) {
        text += '\n' + string_or(*function, "name", "") + ' ' + string_or(*function, "arguments", "");
      }
    }
  }
  return text;
}

// The rule of OpenAI's API that broken agents break first: every call is answered, every answer was called for.
std::optional<std::string> broken_pairing(const Json& messages) {
  std::set<std::string> open;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Json& message = messages[i];
    const auto role = get_string(message, "role");
    const std::string place = "messages[" + std::to_string(i) + "]";
    if (!role) return place + " has no role.";
    if (*role == "tool") {
      const auto id = string_or(message, "tool_call_id", "");
      if (open.erase(id) == 0) {
        return fmt::format(
            "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
            "'tool_calls'. ({}, tool_call_id '{}')",
            place, id);
      }
      continue;
    }
    if (!open.empty()) {
      return "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
             "'tool_call_id'. The following tool_call_ids did not have response messages: " +
             join(std::vector<std::string>(open.begin(), open.end()), ", ") + " (before " + place + ")";
    }
    if (*role == "assistant") {
      if (const Json* calls = calls_of(message)) {
        for (const auto& call : *calls) open.insert(string_or(call, "id", ""));
      }
    } else if (*role != "system" && *role != "user" && *role != "developer") {
      return place + ": '" + *role + "' is not one of 'system', 'assistant', 'user', 'tool', and 'developer'.";
    }
  }
  if (!open.empty()) {
    return "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
           "'tool_call_id'. The following tool_call_ids did not have response messages: " +
           join(std::vector<std::string>(open.begin(), open.end()), ", ");
  }
  return std::nullopt;
}

bool all_in(const std::vector<std::string>& texts, std::string_view where) {
  return !texts.empty() && std::ranges::all_of(texts, [&](const std::string& text) { return contains(where, text); });
}

std::string describe_error(const Fault& fault, std::string_view usual) {
  return fault.message.empty() ? std::string(usual) : fault.message;
}

Json fault_body(const Fault& fault, int64_t prompt_tokens) {
  switch (fault.kind) {
    case FaultKind::context_window:
      return error_body(
          describe_error(fault, "This model's maximum context length is " +
                                    std::to_string(std::max<int64_t>(prompt_tokens / 2, 1)) +
                                    " tokens. However, your messages resulted in " + std::to_string(prompt_tokens) +
                                    " tokens. Please reduce the length of the messages."),
          "invalid_request_error", "context_length_exceeded");
    case FaultKind::refused:
      return error_body(describe_error(fault, "Your request was rejected as a result of our safety system."),
                        "invalid_request_error", "content_policy_violation");
    case FaultKind::quota:
      return error_body(
          describe_error(fault, "You exceeded your current quota, please check your plan and billing details."),
          "insufficient_quota", "insufficient_quota");
    default:
      break;
  }
  switch (fault.status) {
    case 401:
    case 403:
      return error_body(describe_error(fault, "Incorrect API key provided."), "invalid_request_error",
                        "invalid_api_key");
    case 404:
      return error_body(describe_error(fault, "The model does not exist or you do not have access to it."),
                        "invalid_request_error", "model_not_found");
    case 429:
      return error_body(describe_error(fault, "Rate limit reached for requests. Please try again later."), "requests",
                        "rate_limit_exceeded");
    default:
      return error_body(describe_error(fault, fault.status < 500 ? "The request was refused (a fault on demand)."
                                                                 : "The server had an error (a fault on demand)."),
                        fault.status < 500 ? "invalid_request_error" : "server_error", "");
  }
}

int fault_status(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::context_window:
    case FaultKind::refused:
      return 400;
    case FaultKind::quota:
      return 429;
    case FaultKind::status:
      return fault.status;
    default:
      return 200;
  }
}

}  // namespace

Json error_body(std::string_view message, std::string_view type, std::string_view code) {
  Json error = Json::object({{"message", message}, {"type", type}, {"param", nullptr}, {"code", nullptr}});
  if (!code.empty()) error["code"] = code;
  return Json::object({{"error", std::move(error)}});
}

// What is read off a request once.
struct ReplayBook::Request {
  const Json* messages = nullptr;
  std::size_t first_count = 0;  // messages before the first answer
  std::string first;            // their text, folded
  std::string purpose;          // from the header; "" not said
  std::string sample;
  std::string model;
  std::vector<std::string> tools;
  int64_t prompt_tokens = 0;  // estimated: four bytes a token, four tokens a message

  [[nodiscard]] std::string text(Requirement::Where where) const {
    if (where == Requirement::Where::tools) return join(tools, "\n");
    std::size_t from = 0;
    std::size_t to = messages->size();
    if (where == Requirement::Where::first) to = first_count;
    if (where == Requirement::Where::last) {
      for (from = to; from > 0 && string_or((*messages)[from - 1], "role", "") != "assistant";) --from;
    }
    std::string all;
    for (std::size_t i = from; i < to; ++i) all += whole_text((*messages)[i]) + '\n';
    return all;
  }

  [[nodiscard]] bool meets(const Requirement& requirement) const {
    const std::string there = text(requirement.where);
    const bool found = requirement.pattern ? requirement.pattern->found_in(there)
                                           : contains(there, requirement.text) ||
                                                 contains(fold_space(there), fold_space(requirement.text));
    return found != requirement.absent;
  }
};

namespace {

std::string describe(const Requirement& requirement) {
  std::string what = requirement.absent ? "without " : "";
  what += requirement.pattern ? "a match of /" + requirement.pattern->expression() + "/" : "'" + requirement.text + "'";
  switch (requirement.where) {
    case Requirement::Where::first:
      return what + " in the first messages";
    case Requirement::Where::last:
      return what + " in the last messages";
    case Requirement::Where::tools:
      return what + " among the tools";
    case Requirement::Where::anywhere:
      break;
  }
  return what + " in the messages";
}

}  // namespace

ReplayBook::ReplayBook(std::vector<ScriptedTalk> conversations, ReplaySettings settings)
    : conversations_(std::move(conversations)), settings_(std::move(settings)) {
  for (const auto& one : conversations_) counters_.conversations[one.name].steps = one.steps.size();
}

ReplayBook::ReplayBook(ReplayBook&& other) noexcept
    : conversations_(std::move(other.conversations_)),
      settings_(std::move(other.settings_)),
      counters_(std::move(other.counters_)),
      served_faults_(std::move(other.served_faults_)) {}

Result<ReplayBook> ReplayBook::create(std::vector<ScriptedTalk> conversations, ReplaySettings settings) {
  std::map<std::string, const ScriptedTalk*> names;
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const ScriptedTalk& one = conversations[i];
    if (const auto [at, is_new] = names.emplace(one.name, &one); !is_new) {
      return fail(Errc::already_exists, "read", one.file,
                  "its name '" + one.name + "' is that of " + at->second->file + " too", "give one another name");
    }
    for (std::size_t j = 0; j < i; ++j) {
      const ScriptedTalk& other = conversations[j];
      if (one.purpose == other.purpose && one.tool == other.tool && one.texts == other.texts &&
          one.is_default == other.is_default) {
        return fail(Errc::already_exists, "read", one.file, "nothing tells it from " + other.file,
                    "let match.text or match.tool differ");
      }
    }
  }
  return ReplayBook(std::move(conversations), std::move(settings));
}

const ScriptedTalk* ReplayBook::find(const Request& request) const {
  const auto fits = [&](const ScriptedTalk& one) {
    if (!one.tool.empty()) return std::ranges::find(request.tools, one.tool) != request.tools.end();
    // A caller who offers no tools is not the agent that this conversation was held with.
    return !request.tools.empty() || !one.calls_tools();
  };
  const auto best_of = [&](auto is_candidate, auto matches) {
    const ScriptedTalk* best = nullptr;
    const auto rank = [](const ScriptedTalk& one) { return std::pair(one.match_length(), !one.tool.empty()); };
    for (const auto& one : conversations_) {
      if (!is_candidate(one) || !fits(one) || !matches(one)) continue;
      if (best == nullptr || rank(one) > rank(*best)) best = &one;
    }
    return best;
  };
  const auto by_text = [&](const ScriptedTalk& one) { return all_in(one.texts, request.first); };
  const auto by_sample = [&](const ScriptedTalk& one) {
    return !request.sample.empty() && one.instance_id == request.sample;
  };
  const auto by_default = [](const ScriptedTalk& one) { return one.is_default; };

  std::string purpose = request.purpose;
  if (purpose.empty()) {
    const auto other = best_of([](const ScriptedTalk& one) { return one.purpose != "agent"; }, by_text);
    if (other != nullptr) return other;
    purpose = "agent";
  }
  const auto of_purpose = [&](const ScriptedTalk& one) { return one.purpose == purpose; };
  if (const auto* one = best_of(of_purpose, by_sample)) return one;
  if (const auto* one = best_of(of_purpose, by_text)) return one;
  return best_of(of_purpose, by_default);
}

ReplayAnswer ReplayBook::unmatched(const Request& request) const {
  std::vector<std::string> names;
  names.reserve(conversations_.size());
  for (const auto& one : conversations_) names.push_back(one.name);
  constexpr std::size_t shown = 20;
  const std::size_t more = names.size() > shown ? names.size() - shown : 0;
  names.resize(names.size() - more);
  std::string message =
      "No script matches. Looked for the texts of " + std::to_string(conversations_.size()) + " conversations (" +
      join(names, ", ") + (more > 0 ? " and " + std::to_string(more) + " more" : "") + ") in the first " +
      std::to_string(request.first_count) + " messages, which are " + std::to_string(request.first.size()) +
      " bytes and end with \"" +
      to_valid_utf8(request.first.size() > 200 ? request.first.substr(request.first.size() - 200) : request.first) +
      "\"; purpose: " + (request.purpose.empty() ? "not said, taken as agent" : request.purpose) +
      "; tools offered: " + (request.tools.empty() ? "none" : join(request.tools, ", ")) + ".";
  // The likeliest reason is a script for another agent: say so.
  for (const auto& one : conversations_) {
    if (!all_in(one.texts, request.first)) continue;
    message += " The texts of '" + one.name + "' are there, but it is for purpose '" + one.purpose + "'" +
               (one.tool.empty() ? (one.calls_tools() ? " and calls tools" : "")
                                 : " and requests that offer the tool '" + one.tool + "'") +
               ".";
  }
  return refuse(404, message, "replay_error", "no_script");
}

std::size_t ReplayBook::step_of(const ScriptedTalk& conversation, const Json& messages) const {
  std::size_t after = 0;
  for (std::size_t i = messages.size(); i-- > 0;) {
    const Json& message = messages[i];
    if (string_or(message, "role", "") != "assistant") continue;
    if (const Json* calls = calls_of(message)) {
      for (const auto& call : *calls) {
        const auto known = conversation.step_of_id.find(string_or(call, "id", ""));
        if (known != conversation.step_of_id.end()) return known->second + 1 + after;
      }
    }
    ++after;
  }
  return after;
}

std::optional<Fault> ReplayBook::take_fault(const ScriptedTalk& conversation, std::size_t step) {
  const auto take = [&](const Fault& fault, const std::string& name) -> bool {
    if (fault.step != 0 && static_cast<std::size_t>(fault.step) != step + 1) return false;
    if (!fault.conversation.empty() && !contains(conversation.name, fault.conversation)) return false;
    int& served = served_faults_[conversation.name + "/" + std::to_string(step) + "/" + name];
    if (fault.times >= 0 && served >= fault.times) return false;
    ++served;
    return true;
  };
  for (std::size_t i = 0; i < settings_.faults.size(); ++i) {
    if (take(settings_.faults[i], "demanded/" + std::to_string(i))) return settings_.faults[i];
  }
  if (step >= conversation.steps.size()) return std::nullopt;
  const auto& own = conversation.steps[step].faults;
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (take(own[i], std::to_string(i))) return own[i];
  }
  return std::nullopt;
}

ReplayAnswer ReplayBook::answer(std::string_view body, std::string_view purpose, std::string_view sample) {
  const auto count = [this](uint64_t ReplayCounters::* which) {
    const std::lock_guard lock(mutex_);
    ++(counters_.*which);
  };
  count(&ReplayCounters::requests);
  const auto refused = [&](int status, std::string_view message, std::string_view code) {
    count(&ReplayCounters::refused);
    return refuse(status, message, "invalid_request_error", code);
  };

  const auto parsed = parse_json(body, "request");
  if (!parsed) return refused(400, "We could not parse the JSON body of your request: " + parsed.error().cause, "");
  Request request;
  request.messages = find_member(*parsed, "messages");
  if (request.messages == nullptr || !request.messages->is_array() || request.messages->empty()) {
    return refused(400, "'messages' must be a list with at least one message.", "");
  }
  if (const auto broken = broken_pairing(*request.messages)) return refused(400, *broken, "");
  request.purpose = std::string(purpose);
  request.sample = std::string(sample);
  request.model = string_or(*parsed, "model", "");
  if (!settings_.models.empty() && std::ranges::find(settings_.models, request.model) == settings_.models.end()) {
    return refused(404, "The model `" + request.model + "` does not exist or you do not have access to it.",
                   "model_not_found");
  }
  if (const Json* tools = find_member(*parsed, "tools"); tools != nullptr && tools->is_array()) {
    for (const auto& tool : *tools) {
      if (const Json* function = find_member(tool, "function")) {
        request.tools.push_back(string_or(*function, "name", ""));
      }
    }
  }
  std::string first;
  std::size_t bytes = 0;
  bool answered = false;
  for (const auto& message : *request.messages) {
    const std::string text = whole_text(message);
    bytes += text.size() + 16;
    answered = answered || string_or(message, "role", "") == "assistant";
    if (answered) continue;
    ++request.first_count;
    first += text + '\n';
  }
  request.first = fold_space(first);
  request.prompt_tokens = static_cast<int64_t>(bytes / 4);
  if (settings_.context_window > 0 && request.prompt_tokens > settings_.context_window) {
    return refused(400,
                   "This model's maximum context length is " + std::to_string(settings_.context_window) +
                       " tokens. However, your messages resulted in " + std::to_string(request.prompt_tokens) +
                       " tokens. Please reduce the length of the messages.",
                   "context_length_exceeded");
  }

  const ScriptedTalk* conversation = find(request);
  if (conversation == nullptr) {
    count(&ReplayCounters::unmatched);
    return unmatched(request);
  }
  const std::size_t step = step_of(*conversation, *request.messages);
  std::optional<Fault> fault;
  {
    const std::lock_guard lock(mutex_);
    ++counters_.matched;
    ++counters_.conversations[conversation->name].requests;
    fault = take_fault(*conversation, step);
    if (fault) ++counters_.faults;
  }
  const auto of_conversation = [&](ReplayAnswer answer) {
    answer.conversation = conversation->name;
    answer.step = step + 1;
    return answer;
  };
  const bool whole = !fault || fault_status(*fault) == 200;
  if (!whole) {
    return of_conversation({.status = fault_status(*fault),
                            .body = fault_body(*fault, request.prompt_tokens),
                            .fault = fault,
                            .conversation = {},
                            .step = 0});
  }
  if (step >= conversation->steps.size()) {
    return of_conversation(refused(400,
                                   "The script '" + conversation->name + "' ends after " +
                                       std::to_string(conversation->steps.size()) +
                                       " answers; this request asks for answer " + std::to_string(step + 1) + ".",
                                   "end_of_script"));
  }
  const ScriptStep& script = conversation->steps[step];
  std::vector<std::string> missing;
  for (const auto* list : {&conversation->require, &script.require}) {
    for (const auto& requirement : *list) {
      if (!request.meets(requirement)) missing.push_back(describe(requirement));
    }
  }
  if (!missing.empty()) {
    return of_conversation(refused(400,
                                   "The script '" + conversation->name + "' demands at step " +
                                       std::to_string(step + 1) + ": " + join(missing, "; ") + ".",
                                   "requirement_not_met"));
  }

  Json completion = script.response.is_object() ? script.response : Json::object();
  if (!script.response.is_object()) {
    completion["id"] = "chatcmpl-" + sha256_hex(conversation->name + "/" + std::to_string(step)).substr(0, 24);
    completion["object"] = "chat.completion";
    completion["created"] = scripted_time;
    completion["model"] = request.model.empty() ? "scripted" : request.model;
    completion["choices"] = Json::array({Json::object(
        {{"index", 0}, {"message", script.message}, {"logprobs", nullptr}, {"finish_reason", script.finish_reason}})});
  }
  if (script.usage.is_object()) {
    completion["usage"] = script.usage;
  } else {
    const auto written = static_cast<int64_t>(whole_text(script.message).size() / 4 + 1);
    completion["usage"] = Json::object({{"prompt_tokens", request.prompt_tokens},
                                        {"completion_tokens", written},
                                        {"total_tokens", request.prompt_tokens + written}});
  }
  {
    const std::lock_guard lock(mutex_);
    auto& one = counters_.conversations[conversation->name];
    one.furthest = std::max(one.furthest, step + 1);
    if (!fault) ++counters_.completions;
  }
  ReplayAnswer good{
      .status = 200, .body = std::move(completion), .fault = std::move(fault), .conversation = {}, .step = 0};
  good.stream = get_bool(*parsed, "stream").value_or(false);
  if (const Json* stream = find_member(*parsed, "stream_options")) {
    good.stream_usage = get_bool(*stream, "include_usage").value_or(false);
  }
  return of_conversation(std::move(good));
}

ReplayCounters ReplayBook::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

Json ReplayBook::models() const {
  std::vector<std::string> names = settings_.models;
  if (names.empty()) {
    for (const auto& one : conversations_) {
      if (!one.model.empty() && std::ranges::find(names, one.model) == names.end()) names.push_back(one.model);
    }
  }
  if (names.empty()) names.emplace_back("scripted");
  Json data = Json::array();
  for (const auto& name : names) {
    Json model =
        Json::object({{"id", name}, {"object", "model"}, {"created", scripted_time}, {"owned_by", "awm-replay"}});
    if (settings_.context_window > 0) model["context_length"] = settings_.context_window;
    data.push_back(std::move(model));
  }
  return Json::object({{"object", "list"}, {"data", std::move(data)}});
}

}  // namespace awm
