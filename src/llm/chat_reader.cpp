#include <algorithm>
#include <cmath>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "http/sse.h"
#include "llm/chat.h"

namespace awm {
namespace {

constexpr std::size_t max_tool_calls = 1024;

CallFailure malformed(std::string words) {
  return {.kind = LlmFailure::malformed, .words = std::move(words), .again = true};
}

// Text that a message holds as a string, or as a list of parts of which the texts count.
std::string text_of(const Json* content) {
  if (content == nullptr) return {};
  if (content->is_string()) return to_valid_utf8(content->get_ref<const std::string&>());
  std::string text;
  if (content->is_array()) {
    for (const auto& part : *content) {
      if (part.is_string()) text += part.get_ref<const std::string&>();
      if (string_or(part, "type", "text") == "text") text += string_or(part, "text", "");
    }
  }
  return text;
}

std::string arguments_of(const Json* arguments) {
  if (arguments == nullptr || arguments->is_null()) return {};
  if (arguments->is_string()) return to_valid_utf8(arguments->get_ref<const std::string&>());
  return dump_json(*arguments);
}

std::string reasoning_of(const Json& message) {
  for (const char* key : {"reasoning_content", "reasoning"}) {
    if (auto text = text_of(find_member(message, key)); !text.empty()) return text;
  }
  return {};
}

int64_t count_at(const Json& object, std::string_view key) {
  const auto value = get_number(object, key);
  if (!value || !std::isfinite(*value) || *value < 0 || *value > 1e15) return 0;
  return static_cast<int64_t>(*value);
}

Usage usage_of(const Json* usage) {
  Usage out;
  if (usage == nullptr || !usage->is_object()) return out;
  out.reported = true;
  out.prompt_tokens = count_at(*usage, "prompt_tokens");
  out.completion_tokens = count_at(*usage, "completion_tokens");
  if (const auto* details = find_member(*usage, "prompt_tokens_details")) {
    out.cached_tokens = count_at(*details, "cached_tokens");
    // OpenRouter, LiteLLM's proxy.
    for (const char* key : {"cache_write_tokens", "cache_creation_tokens"}) {
      if (out.cache_write_tokens == 0) out.cache_write_tokens = count_at(*details, key);
    }
  }
  if (out.cache_write_tokens == 0) out.cache_write_tokens = count_at(*usage, "cache_creation_input_tokens");
  // DeepSeek, Moonshot, Anthropic behind LiteLLM.
  for (const char* key : {"prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"}) {
    if (out.cached_tokens == 0) out.cached_tokens = count_at(*usage, key);
  }
  if (const auto* details = find_member(*usage, "completion_tokens_details")) {
    out.reasoning_tokens = count_at(*details, "reasoning_tokens");
  }
  out.cached_tokens = std::min(out.cached_tokens, out.prompt_tokens);
  out.cache_write_tokens = std::min(out.cache_write_tokens, out.prompt_tokens - out.cached_tokens);
  return out;
}

// The price of a call where the server says it: OpenRouter in the usage, LiteLLM's proxy in a header.
void take_cost(Completion& completion, const Json* usage, const HttpResponse& response) {
  std::optional<double> cost;
  if (usage != nullptr) cost = get_number(*usage, "cost");
  if (!cost) {
    const std::string text(response.header("x-litellm-response-cost"));
    if (!text.empty()) {
      char* end = nullptr;
      const double value = std::strtod(text.c_str(), &end);
      if (end == text.c_str() + text.size()) cost = value;
    }
  }
  if (!cost || !std::isfinite(*cost) || *cost < 0) return;
  completion.cost = *cost;
  completion.cost_known = true;
}

// Calls without an id get one that the same answer gives again.
void name_calls(Completion& completion) {
  auto& calls = completion.message.tool_calls;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!calls[i].id.empty()) continue;
    calls[i].id =
        "call_" + sha256_hex(completion.id + "/" + std::to_string(i) + "/" + calls[i].name + "/" + calls[i].arguments)
                      .substr(0, 24);
  }
}

// What is not ours to understand and yet to be sent back: reasoning_details of the message, and of each call what is
// beside its function (Gemini's thought signatures).
void keep_fields(Message& message, const Json& reply) {
  Json kept = Json::object();
  if (const auto* details = find_member(reply, "reasoning_details");
      details != nullptr && details->is_array() && !details->empty()) {
    kept["reasoning_details"] = *details;
  }
  if (const auto* calls = find_member(reply, "tool_calls"); calls != nullptr && calls->is_array()) {
    Json call_fields = Json::object();
    for (std::size_t i = 0; i < calls->size() && i < message.tool_calls.size(); ++i) {
      if (const auto* extra = find_member((*calls)[i], "extra_content"); extra != nullptr && !extra->is_null()) {
        call_fields[message.tool_calls[i].id] = Json::object({{"extra_content", *extra}});
      }
    }
    if (!call_fields.empty()) kept["tool_call_fields"] = std::move(call_fields);
  }
  if (!kept.empty()) message.provider_fields = dump_json(kept);
}

// Reads {"choices": […], "usage": …}, parsed; `raw` is its text.
ChatResult read_parsed(const Json& answer, std::string raw, const HttpResponse& response) {
  if (!answer.is_object()) return std::unexpected(malformed("the answer is no JSON object"));
  if (const auto* error = find_member(answer, "error");
      error != nullptr && !error->is_null() && !(error->is_object() && error->empty())) {
    return std::unexpected(failure_in_band(*error, response.headers));
  }
  const auto* choices = find_member(answer, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) {
    // Gateways that put a refusal into a 200 without calling it an error.
    if (const auto said = string_or(answer, "message", string_or(answer, "detail", ""));
        !said.empty() && string_or(answer, "object", "") == "error") {
      return std::unexpected(failure_in_band(answer, response.headers));
    }
    CallFailure failure = malformed("the answer has no choice in it");
    failure.no_choice = true;
    return std::unexpected(std::move(failure));
  }
  const Json& choice = choices->front();
  if (const auto* error = find_member(choice, "error"); error != nullptr && !error->is_null()) {
    return std::unexpected(failure_in_band(*error, response.headers));
  }
  const auto* reply = find_member(choice, "message");
  if (reply == nullptr || !reply->is_object())
    return std::unexpected(malformed("the answer's choice has no message in it"));

  Completion completion;
  completion.id = string_or(answer, "id", "");
  completion.model = string_or(answer, "model", "");
  completion.finish_reason = string_or(choice, "finish_reason", "");
  Message& message = completion.message;
  message.role = Role::assistant;
  message.content = text_of(find_member(*reply, "content"));
  message.reasoning = reasoning_of(*reply);
  if (message.content.empty()) message.content = string_or(*reply, "refusal", "");
  if (const auto* calls = find_member(*reply, "tool_calls"); calls != nullptr && !calls->is_null()) {
    if (!calls->is_array()) return std::unexpected(malformed("the answer's tool_calls are no list"));
    if (calls->size() > max_tool_calls) return std::unexpected(malformed("the answer has too many tool calls"));
    for (const auto& call : *calls) {
      const auto* function = find_member(call, "function");
      if (function == nullptr || !function->is_object())
        return std::unexpected(malformed("a tool call of the answer names no function"));
      message.tool_calls.push_back({.id = string_or(call, "id", ""),
                                    .name = string_or(*function, "name", ""),
                                    .arguments = arguments_of(find_member(*function, "arguments"))});
    }
  } else if (const auto* call = find_member(*reply, "function_call");
             call != nullptr && !string_or(*call, "name", "").empty()) {
    // The form before tool calls; servers exist that send it hollow.
    message.tool_calls.push_back(
        {.id = "", .name = string_or(*call, "name", ""), .arguments = arguments_of(find_member(*call, "arguments"))});
  }
  name_calls(completion);
  keep_fields(message, *reply);
  if (message.content.empty() && message.tool_calls.empty()) {
    if (completion.finish_reason == "content_filter") {
      return std::unexpected(CallFailure{.kind = LlmFailure::content_refused,
                                         .words = "the provider's content filter stopped the answer"});
    }
    if (completion.finish_reason == "error") {
      return std::unexpected(
          CallFailure{.kind = LlmFailure::server, .words = "the provider broke the answer off", .again = true});
    }
  }
  const auto* usage = find_member(answer, "usage");
  completion.usage = usage_of(usage);
  take_cost(completion, usage, response);
  completion.raw = std::move(raw);
  return completion;
}

}  // namespace

ChatResult read_chat(const HttpResponse& response) {
  const auto body = trim(response.body);
  if (body.empty()) return std::unexpected(malformed("the answer is empty"));
  // A server that streams though it was not asked to.
  if (body.starts_with("data:") || contains(response.header("content-type"), "text/event-stream")) {
    ChatStream stream;
    stream.take(response.body);
    HttpResponse head = response;
    head.body.clear();
    return stream.finish(head);
  }
  auto parsed = parse_json(body, "the answer");
  if (!parsed) {
    const auto begin = to_valid_utf8(body.substr(0, 120));
    return std::unexpected(malformed("the answer is not JSON (" + parsed.error().cause + "); it begins: " + begin));
  }
  std::string raw = body.find_first_of("\r\n") == std::string_view::npos && is_valid_utf8(body) ? std::string(body)
                                                                                                : dump_json(*parsed);
  return read_parsed(*parsed, std::move(raw), response);
}

struct ChatStream::State {
  struct Call {
    int64_t index = 0;
    ToolCall call;
    Json extra;
  };

  SseParser parser;
  std::string plain;  // what came before anything looked like an event: perhaps a plain JSON answer
  bool events = false;
  bool done = false;
  bool last_word = false;
  std::optional<CallFailure> failure;

  std::string id;
  std::string model;
  int64_t created = 0;
  std::string content;
  std::string refusal;
  std::string reasoning;
  Json reasoning_details = Json::array();
  std::vector<Call> calls;
  std::string finish_reason;
  Json usage;

  bool on_event(const SseEvent& event);
  void on_delta(const Json& delta);
  void on_call(const Json& piece);
  void on_detail(const Json& piece);
};

bool ChatStream::State::on_event(const SseEvent& event) {
  events = true;
  const auto data = trim(event.data);
  if (data.empty()) return true;
  if (data == "[DONE]") {
    done = last_word = true;
    return true;
  }
  if (done) return true;
  const auto chunk = parse_json(data, "a piece of the stream");
  if (!chunk || !chunk->is_object()) {
    failure = malformed("a piece of the stream is not JSON; it begins: " + to_valid_utf8(data.substr(0, 120)));
    return false;
  }
  if (const auto* error = find_member(*chunk, "error"); error != nullptr && !error->is_null()) {
    failure = failure_in_band(*error, {});
    return false;
  }
  if (event.type == "error") {
    failure = failure_in_band(*chunk, {});
    return false;
  }
  if (id.empty()) id = string_or(*chunk, "id", "");
  if (model.empty()) model = string_or(*chunk, "model", "");
  if (created == 0) created = count_at(*chunk, "created");
  if (const auto* told = find_member(*chunk, "usage"); told != nullptr && told->is_object()) usage = *told;
  // Groq's own place for it.
  if (const auto* groq = find_member(*chunk, "x_groq")) {
    if (const auto* told = find_member(*groq, "usage"); told != nullptr && told->is_object()) usage = *told;
  }
  const auto* choices = find_member(*chunk, "choices");
  if (choices == nullptr || !choices->is_array()) return true;
  for (const auto& choice : *choices) {
    if (count_at(choice, "index") != 0) continue;
    if (const auto* error = find_member(choice, "error"); error != nullptr && !error->is_null()) {
      failure = failure_in_band(*error, {});
      return false;
    }
    if (const auto* delta = find_member(choice, "delta"); delta != nullptr && delta->is_object()) on_delta(*delta);
    if (const auto* whole = find_member(choice, "message"); whole != nullptr && whole->is_object()) on_delta(*whole);
    if (const auto reason = string_or(choice, "finish_reason", ""); !reason.empty()) {
      finish_reason = reason;
      last_word = true;
    }
    if (const auto* told = find_member(choice, "usage"); told != nullptr && told->is_object())
      usage = *told;  // Moonshot
    if (calls.size() > max_tool_calls) {
      failure = malformed("the answer has too many tool calls");
      return false;
    }
  }
  return true;
}

void ChatStream::State::on_delta(const Json& delta) {
  content += text_of(find_member(delta, "content"));
  refusal += string_or(delta, "refusal", "");
  reasoning += reasoning_of(delta);
  if (const auto* pieces = find_member(delta, "reasoning_details"); pieces != nullptr && pieces->is_array()) {
    for (const auto& piece : *pieces) on_detail(piece);
  }
  if (const auto* pieces = find_member(delta, "tool_calls"); pieces != nullptr && pieces->is_array()) {
    for (const auto& piece : *pieces) on_call(piece);
  }
  if (const auto* piece = find_member(delta, "function_call");
      piece != nullptr && (!calls.empty() || !string_or(*piece, "name", "").empty())) {
    on_call(Json::object({{"index", 0}, {"function", *piece}}));
  }
}

void ChatStream::State::on_call(const Json& piece) {
  const auto call_id = string_or(piece, "id", "");
  const auto index = get_int(piece, "index");
  const auto* function = find_member(piece, "function");
  const auto name = function != nullptr ? string_or(*function, "name", "") : std::string();
  // A call goes on under its index. Servers exist that number every call 0, or none: there an id of its own, or a name
  // again, begins another.
  Call* call = nullptr;
  for (auto& known : calls) {
    if (index ? known.index == *index : &known == &calls.back()) call = &known;
  }
  const bool other_id = call != nullptr && !call_id.empty() && !call->call.id.empty() && call->call.id != call_id;
  const bool other_name =
      call != nullptr && !index && call_id.empty() && !name.empty() && !call->call.arguments.empty();
  if (call == nullptr || other_id || other_name) {
    if (calls.size() > max_tool_calls) return;
    calls.push_back({.index = index.value_or(static_cast<int64_t>(calls.size())), .call = {}, .extra = {}});
    call = &calls.back();
  }
  if (call->call.id.empty()) call->call.id = call_id;
  // Names come whole; some servers repeat them with every piece.
  if (call->call.name.empty()) call->call.name = name;
  if (function != nullptr) call->call.arguments += arguments_of(find_member(*function, "arguments"));
  if (const auto* extra = find_member(piece, "extra_content"); extra != nullptr && !extra->is_null())
    call->extra = *extra;
}

// Pieces of one detail have its index and type; their texts go together.
void ChatStream::State::on_detail(const Json& piece) {
  if (!piece.is_object()) return;
  for (auto& known : reasoning_details) {
    if (!piece.contains("index") || known.value("index", Json()) != piece["index"] ||
        string_or(known, "type", "") != string_or(piece, "type", ""))
      continue;
    for (const auto& [key, value] : piece.items()) {
      const bool grows = key == "text" || key == "summary" || key == "data";
      if (grows && value.is_string() && known.contains(key) && known[key].is_string()) {
        known[key].get_ref<std::string&>() += value.get_ref<const std::string&>();
      } else if (!value.is_null()) {
        known[key] = value;
      }
    }
    return;
  }
  if (reasoning_details.size() < max_tool_calls) reasoning_details.push_back(piece);
}

ChatStream::ChatStream() : state_(std::make_unique<State>()) {}
ChatStream::~ChatStream() = default;

bool ChatStream::take(std::string_view bytes) {
  if (state_->failure) return false;
  if (!state_->events) state_->plain += bytes;
  const bool more = state_->parser.feed(bytes, [this](const SseEvent& event) { return state_->on_event(event); });
  if (state_->events) state_->plain.clear();
  if (state_->parser.too_large()) state_->failure = malformed("a piece of the stream is too large");
  return more && !state_->failure;
}

bool ChatStream::complete() const {
  return state_->last_word && !state_->failure;
}

ChatResult ChatStream::finish(const HttpResponse& response) {
  State& state = *state_;
  if (!state.failure && !response.ended_by_caller) {
    state.parser.finish([this](const SseEvent& event) { return state_->on_event(event); });
  }
  if (state.failure) {
    if (!state.failure->retry_after && state.failure->again) state.failure->retry_after = {};
    return std::unexpected(std::move(*state.failure));
  }
  if (!state.events) {
    // No stream at all: a server that answers whole, or with a page.
    HttpResponse whole = response;
    whole.body = state.plain;
    std::erase_if(whole.headers, [](const auto& header) { return header.first == "content-type"; });
    if (trim(whole.body).starts_with("data:")) whole.body.clear();
    return read_chat(whole);
  }
  if (!state.last_word) return std::unexpected(malformed("the stream ended before the answer was complete"));

  Json message = Json::object({{"role", "assistant"}, {"content", nullptr}});
  if (!state.content.empty() || state.calls.empty()) message["content"] = state.content;
  if (!state.refusal.empty()) message["refusal"] = state.refusal;
  if (!state.reasoning.empty()) message["reasoning_content"] = state.reasoning;
  if (!state.reasoning_details.empty()) message["reasoning_details"] = state.reasoning_details;
  if (!state.calls.empty()) {
    Json calls = Json::array();
    for (std::size_t i = 0; i < state.calls.size(); ++i) {
      const auto& call = state.calls[i];
      Json item =
          Json::object({{"index", i},
                        {"id", call.call.id},
                        {"type", "function"},
                        {"function", Json::object({{"name", call.call.name}, {"arguments", call.call.arguments}})}});
      if (!call.extra.is_null()) item["extra_content"] = call.extra;
      calls.push_back(std::move(item));
    }
    message["tool_calls"] = std::move(calls);
  }
  Json whole = Json::object(
      {{"id", state.id}, {"object", "chat.completion"}, {"created", state.created}, {"model", state.model}});
  whole["choices"] = Json::array(
      {Json::object({{"index", 0},
                     {"message", std::move(message)},
                     {"finish_reason", state.finish_reason.empty() ? Json() : Json(state.finish_reason)}})});
  if (!state.usage.is_null()) whole["usage"] = state.usage;
  return read_parsed(whole, dump_json(whole), response);
}

}  // namespace awm
