#include "llm/failure.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>

#include "base/json.h"
#include "base/text.h"
#include "llm/retry.h"

namespace awm {
namespace {

constexpr std::size_t max_words = 600;

// What a refusal says, whatever its form.
struct Said {
  std::string message;  // for people
  std::string code;     // "context_length_exceeded", "429"
  std::string type;     // "invalid_request_error"
  std::string param;
  std::string all;  // lower case: all of it, as written, for words to be looked for
};

bool has(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(parts, [&](std::string_view part) { return contains(text, part); });
}

std::string as_text(const Json* value) {
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) return value->get<std::string>();
  if (value->is_number() || value->is_boolean()) return dump_json(*value);
  return {};
}

// One line, no markup, bounded.
std::string one_line(std::string_view text) {
  const std::string valid = to_valid_utf8(text);
  std::string line;
  bool in_tag = false;
  const bool markup = valid.starts_with("<") || contains(valid, "<html") || contains(valid, "<!DOCTYPE");
  for (const char c : valid) {
    if (markup && c == '<') in_tag = true;
    const bool space = static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || in_tag;
    if (markup && c == '>') in_tag = false;
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
    if (line.size() > 4 * max_words) break;
  }
  return truncate_middle(trim(to_valid_utf8(line)), max_words, " … ");
}

void read_error_object(const Json& error, Said& said) {
  if (error.is_string()) {
    said.message = error.get<std::string>();
    return;
  }
  if (error.is_array()) {
    // FastAPI: [{"loc": ["body", "messages"], "msg": "field required"}].
    for (const auto& item : error) {
      std::string line = as_text(find_member(item, "msg"));
      if (line.empty()) line = as_text(find_member(item, "message"));
      if (const auto* place = find_member(item, "loc"); place != nullptr && place->is_array()) {
        std::vector<std::string> parts;
        for (const auto& part : *place) parts.push_back(as_text(&part));
        line.insert(0, join(parts, ".") + ": ");
      }
      if (line.empty()) line = as_text(&item);
      if (!line.empty()) said.message += (said.message.empty() ? "" : "; ") + line;
    }
    return;
  }
  if (!error.is_object()) return;
  for (const char* key : {"message", "msg", "detail", "error", "title"}) {
    const auto* member = find_member(error, key);
    if (member == nullptr) continue;
    if (said.message.empty()) said.message = as_text(member);
    if (said.message.empty() && (member->is_object() || member->is_array())) read_error_object(*member, said);
  }
  for (const char* key : {"code", "status"}) {
    if (said.code.empty()) said.code = as_text(find_member(error, key));
  }
  if (said.type.empty()) said.type = as_text(find_member(error, "type"));
  if (said.param.empty()) said.param = as_text(find_member(error, "param"));
  // OpenRouter: what the provider behind it said.
  if (const auto* metadata = find_member(error, "metadata")) {
    const std::string provider = as_text(find_member(*metadata, "provider_name"));
    std::string raw = as_text(find_member(*metadata, "raw"));
    if (raw.empty()) {
      if (const auto* object = find_member(*metadata, "raw"); object != nullptr) raw = dump_json(*object);
    }
    if (!raw.empty()) said.message += " (" + (provider.empty() ? std::string("provider") : provider) + ": " + raw + ")";
  }
}

Said read_body(std::string_view body) {
  Said said;
  said.all = to_lower_ascii(to_valid_utf8(body.substr(0, std::size_t{64} << 10)));
  const auto json = parse_json(body, "the answer");
  if (!json) {
    said.message = std::string(body.substr(0, std::size_t{64} << 10));
    return said;
  }
  const Json* root = &*json;
  if (root->is_array() && !root->empty() && root->front().is_object()) root = &root->front();  // Gemini
  if (root->is_object()) {
    if (const auto* error = find_member(*root, "error"); error != nullptr && !error->is_null()) {
      read_error_object(*error, said);
    }
    if (said.message.empty()) {
      if (const auto* detail = find_member(*root, "detail")) read_error_object(*detail, said);
    }
  }
  if (said.message.empty() || said.code.empty()) {
    Said outer;
    read_error_object(*root, outer);
    if (said.message.empty()) said.message = outer.message;
    if (said.code.empty()) said.code = outer.code;
    if (said.type.empty()) said.type = outer.type;
    if (said.param.empty()) said.param = outer.param;
  }
  if (said.message.empty()) said.message = dump_json(*root);
  return said;
}

// The first number at or after `from`: digits, with commas or underscores between them.
std::optional<int64_t> number_after(std::string_view text, std::size_t from) {
  while (from < text.size() && (text[from] < '0' || text[from] > '9')) {
    // Beyond a sentence's end there is another matter.
    if (text[from] == '.' && from + 1 < text.size() && text[from + 1] == ' ') return std::nullopt;
    ++from;
  }
  std::string digits;
  for (; from < text.size(); ++from) {
    if (text[from] >= '0' && text[from] <= '9') {
      digits += text[from];
    } else if ((text[from] == ',' || text[from] == '_') && from + 1 < text.size() && text[from + 1] >= '0' &&
               text[from + 1] <= '9') {
      continue;
    } else {
      break;
    }
  }
  int64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || parsed.ec != std::errc() || value <= 0) return std::nullopt;
  return value;
}

std::optional<int64_t> number_before(std::string_view text, std::size_t end) {
  while (end > 0 && text[end - 1] == ' ') --end;
  std::size_t start = end;
  while (start > 0 && ((text[start - 1] >= '0' && text[start - 1] <= '9') || text[start - 1] == ',')) --start;
  return start == end ? std::nullopt : number_after(text.substr(0, end), start);
}

// The window in tokens where the words name it.
std::optional<int64_t> context_limit_in(std::string_view all) {
  for (const std::string_view marker : {"maximum context length is",
                                        "model maximum context length:",
                                        "maximum prompt length is",
                                        "maximum model length of",
                                        "maximum number of tokens allowed",
                                        "max_model_len",
                                        "\"n_ctx\"",
                                        "available context size",
                                        "while limit is",
                                        "max size:",
                                        "context window of",
                                        "context length of only",
                                        "context length is only",
                                        "must be <=",
                                        "maximum allowed input length is",
                                        "input length should be less than",
                                        "tokens): limit",
                                        "(tpm): limit",
                                        "maximum input length of",
                                        "max input tokens:",
                                        "model token limit:"}) {
    const auto at = all.find(marker);
    if (at == std::string_view::npos) continue;
    if (const auto limit = number_after(all, at + marker.size())) return limit;
  }
  // Anthropic: "prompt is too long: 208310 tokens > 200000 maximum", "… exceed context limit: 198000 + 8192 > 200000".
  if (const auto at = all.find(" > "); at != std::string_view::npos && has(all, {"too long", "context limit"})) {
    if (const auto limit = number_after(all, at)) return limit;
  }
  // Alibaba: "Range of input length should be [1, 129024]".
  if (const auto at = all.find("range of input length should be ["); at != std::string_view::npos) {
    if (const auto comma = all.find(", ", at); comma != std::string_view::npos) return number_after(all, comma);
  }
  // Mistral: "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length".
  if (const auto at = all.find(" maximum context length"); at != std::string_view::npos) {
    return number_before(all, at);
  }
  return std::nullopt;
}

bool is_context_window(const Said& said) {
  if (has(said.code, {"context_length_exceeded", "tokens_limit_reached", "string_above_max_length"}) ||
      contains(said.type, "exceed_context_size")) {
    return true;
  }
  const std::string_view all = said.all;
  // A request that is larger than the tokens a minute allow never succeeds, however long one waits.
  if (contains(all, "request too large for") || contains(all, "request body too large for")) return true;
  if (has(all, {"tokens per min", "tokens per day", "(tpm)", "(tpd)"})) return false;
  return has(all, {"context_length_exceeded",
                   "context length exceeded",
                   "contextwindowexceeded",
                   "context window exceeded",
                   "maximum context length",
                   "model maximum context length",
                   "maximum prompt length is",
                   "prompt is too long",
                   "prompt too long",
                   "input is too long",
                   "exceed context limit",
                   "exceeds the context window",
                   "exceed the context window",
                   "exceeds the available context size",
                   "context size has been exceeded",
                   "exceeds the maximum number of tokens",
                   "longer than the maximum model length",
                   "max_tokens must be at least 1, got -",
                   "please reduce the length of the messages",
                   "please reduce the length of the prompt",
                   "tokens + `max_new_tokens` must be",
                   "range of input length should be",
                   "context the overflows",
                   "exceeds model's maximum",
                   "input tokens exceed the configured limit",
                   "too many tokens in the prompt",
                   "exceeded model token limit",
                   "greater than the context length",
                   "input length should be less than"});
}

bool is_out_of_credit(int status, const Said& said) {
  // Gemini calls its limits a minute and a day a quota too, and says when to come back.
  if (has(said.all, {"retryinfo", "retrydelay", "per minute", "per_minute"}) && status == 429) return false;
  return status == 402 || has(said.code, {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}) ||
         has(said.type, {"insufficient_quota", "budget_exceeded", "exceeded_current_quota"}) ||
         has(said.all,
             {"insufficient_quota", "exceeded your current quota", "insufficient balance", "insufficient credits",
              "insufficient funds", "credit balance is too low", "out of credits", "requires more credits",
              "key limit exceeded", "budget has been exceeded", "exceededbudget", "billing_hard_limit",
              "account is in good standing", "arrearage", "no credits remaining", "never purchased credits"});
}

bool is_refused(const Said& said) {
  return has(said.code, {"content_filter", "content_policy_violation", "invalid_prompt", "data_inspection_failed",
                         "datainspectionfailed", "content_policy"}) ||
         has(said.all,
             {"content_filter", "content management policy", "content_policy_violation", "safety system",
              "responsibleaipolicyviolation", "content exists risk", "prohibited_content", "violating our usage policy",
              "usage policies", "flagged by", "input was flagged", "prompt was flagged", "requires moderation",
              "data_inspection_failed", "blocked by content", "content filtering policy"});
}

bool is_authentication(int status, const Said& said) {
  return status == 401 || has(said.code, {"invalid_api_key", "authentication_error", "api_key_invalid"}) ||
         has(said.type, {"authentication_error", "auth_error", "invalid_authentication"}) ||
         has(said.all, {"incorrect api key", "invalid api key", "api key not valid", "invalid x-api-key",
                        "no auth credentials", "authentication error, invalid proxy server token"});
}

bool is_no_such_model(int status, const Said& said) {
  if (has(said.code, {"model_not_found", "deploymentnotfound", "invalid_model", "model_decommissioned",
                      "model_not_available", "unknown_model"}) ||
      has(said.all, {"model_not_found", "deploymentnotfound", "not a valid model id", "model not exist",
                     "invalid model name", "no such model", "unknown model", "invalid model:", "model_decommissioned",
                     "no endpoints found", "is not found for api version"})) {
    return true;
  }
  if (contains(said.all, "model") &&
      has(said.all, {"does not exist", "not found, try pulling it", "is not supported for generatecontent",
                     "does not have access to model"})) {
    return status < 500;
  }
  // A replayed model without an answer is no model that is missing.
  return status == 404 && !has(said.type, {"replay_error"});
}

bool is_rate_limit(int status, const Said& said) {
  return status == 429 || has(said.code, {"rate_limit", "resource_exhausted", "too_many_requests", "throttling"}) ||
         has(said.type, {"rate_limit"}) ||
         (status != 200 && has(said.all, {"rate limit reached", "rate limit exceeded", "too many requests"}));
}

// "Unsupported parameter: 'stop' is not supported with this model.", "Unrecognized request argument supplied: top_k",
// "Extra inputs are not permitted", "`temperature` and `top_p` cannot both be specified".
std::string refused_parameter(const Said& said) {
  const std::string_view all = said.all;
  const bool refused =
      has(said.code, {"unsupported_parameter", "unsupported_value", "unknown_parameter"}) ||
      has(all, {"unsupported parameter", "unsupported value", "unrecognized request argument", "unknown parameter",
                "extra inputs are not permitted", "extra fields not permitted", "extra_forbidden",
                "is not supported with this model", "is not supported by this model", "not support parameter",
                "does not support parameters", "cannot both be specified", "unexpected keyword argument",
                "unknown name \"", "is deprecated for this model", "property '", "invalid argument provided: "});
  if (!refused) return {};
  constexpr std::array<std::string_view, 16> known{"max_completion_tokens",
                                                   "max_tokens",
                                                   "reasoning_effort",
                                                   "temperature",
                                                   "stream_options",
                                                   "top_p",
                                                   "top_k",
                                                   "parallel_tool_calls",
                                                   "safety_settings",
                                                   "presence_penalty",
                                                   "frequency_penalty",
                                                   "seed",
                                                   "stop",
                                                   "reasoning",
                                                   "thinking",
                                                   "usage"};
  if (!said.param.empty()) {
    const auto named = std::ranges::find(known, std::string_view(said.param));
    if (named != known.end()) return std::string(*named);
  }
  if (contains(all, "cannot both be specified") && contains(all, "top_p")) return "top_p";
  // The one that stands first and quoted or alone: "Use 'max_completion_tokens' instead" comes later.
  std::size_t best = std::string_view::npos;
  std::string name;
  for (const auto candidate : known) {
    for (const std::string_view left : {"'", "`", "\"", ": ", ".", ", ", "('body', '"}) {
      const std::string wanted = std::string(left) + std::string(candidate);
      for (auto at = all.find(wanted); at != std::string_view::npos; at = all.find(wanted, at + 1)) {
        const auto end = at + wanted.size();
        const bool whole = end >= all.size() || !(all[end] == '_' || (all[end] >= 'a' && all[end] <= 'z'));
        // The member "type": "…" of an error names no parameter.
        if (!whole || (end + 1 < all.size() && all[end] == '"' && all[end + 1] == ':')) continue;
        if (at < best) {
          best = at;
          name = candidate;
        }
        break;
      }
    }
  }
  return name;
}

CallFailure classify(int status, const HeaderList& headers, const Said& said, bool parsed) {
  CallFailure failure;
  failure.status = status;
  failure.words = one_line(said.message);
  const auto of_kind = [&](LlmFailure kind) {
    failure.kind = kind;
    failure.again = worth_another_try(kind);
  };
  if (is_context_window(said)) {
    of_kind(LlmFailure::context_window);
    failure.context_limit = context_limit_in(said.all);
  } else if (is_out_of_credit(status, said)) {
    of_kind(LlmFailure::out_of_credit);
  } else if (status != 401 && status < 500 && status != 429 && is_refused(said)) {
    of_kind(LlmFailure::content_refused);
  } else if (status != 429 && status < 500 && status != 404 && is_authentication(status, said)) {
    of_kind(LlmFailure::authentication);
  } else if (contains(said.code, "tool_use_failed")) {
    // Groq: the model wrote a call that is none; the next try may be a better one.
    of_kind(LlmFailure::malformed);
  } else if (is_rate_limit(status, said)) {
    of_kind(LlmFailure::rate_limit);
  } else if (status != 0 && is_no_such_model(status, said)) {
    of_kind(LlmFailure::no_such_model);
    if (status == 404 && !parsed)
      failure.words = one_line("there is no chat completions API at this address; " + said.message);
  } else if (status == 403) {
    // A page in place of JSON is a gateway's word on this request, not the provider's on the key.
    of_kind(parsed ? LlmFailure::authentication : LlmFailure::bad_request);
  } else if (status >= 300 && status < 500 && status != 408 && status != 409 && status != 425) {
    of_kind(LlmFailure::bad_request);
    failure.refused_parameter = refused_parameter(said);
  } else {
    of_kind(LlmFailure::server);  // among them 408 (it took too long), 409 (a conflict) and 425 (too early)
  }
  if (failure.again) failure.retry_after = retry_after_of(headers, said.all);
  return failure;
}

}  // namespace

bool worth_another_try(LlmFailure kind) {
  switch (kind) {
    case LlmFailure::rate_limit:
    case LlmFailure::server:
    case LlmFailure::network:
    case LlmFailure::malformed:
      return true;
    default:
      return false;
  }
}

CallFailure failure_of_answer(int status, const HeaderList& headers, std::string_view body) {
  const Said said = read_body(body);
  const auto first = trim(body);
  const bool parsed = first.starts_with('{') || first.starts_with('[');
  if (status >= 300 && status < 400) {
    CallFailure failure{.kind = LlmFailure::bad_request, .status = status};
    for (const auto& [name, value] : headers) {
      if (name == "location")
        failure.words = one_line("the server sends on to " + value + "; set base_url to where it is");
    }
    if (failure.words.empty()) failure.words = one_line(said.message);
    return failure;
  }
  // Some servers wrap the true status in one that says nothing.
  return classify(status, headers, said, parsed);
}

CallFailure failure_in_band(const Json& error, const HeaderList& headers) {
  Said said;
  said.all = to_lower_ascii(dump_json(error));
  read_error_object(error, said);
  if (said.message.empty()) said.message = dump_json(error);
  int status = 0;
  std::from_chars(said.code.data(), said.code.data() + said.code.size(), status);
  if (status < 400 || status > 599) {
    const std::string kind = to_lower_ascii(said.type + " " + said.code);
    status = has(kind, {"invalid_request", "bad_request", "badrequest"})            ? 400
             : has(kind, {"authentication", "unauthorized"})                        ? 401
             : has(kind, {"permission"})                                            ? 403
             : has(kind, {"not_found", "notfound"})                                 ? 404
             : has(kind, {"rate_limit", "resource_exhausted", "too_many_requests"}) ? 429
                                                                                    : 500;
  }
  return classify(status, headers, said, true);
}

}  // namespace awm
