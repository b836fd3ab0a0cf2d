#include "llm/info.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {

constexpr double longest_question = 8;  // seconds

int64_t count_in(const Json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const auto value = get_number(object, key);
    if (value && std::isfinite(*value) && *value > 0 && *value < 1e12) return static_cast<int64_t>(*value);
  }
  return 0;
}

// Prices come as numbers and as strings.
std::optional<double> price_in(const Json& object, std::string_view key) {
  std::optional<double> value = get_number(object, key);
  if (!value) {
    if (const auto text = get_string(object, key); text && !text->empty()) {
      char* end = nullptr;
      const double parsed = std::strtod(text->c_str(), &end);
      if (end == text->c_str() + text->size()) value = parsed;
    }
  }
  if (!value || !std::isfinite(*value) || *value < 0) return std::nullopt;
  return value;
}

bool says_something(const ModelInfo& info) {
  return info.context_window > 0 || info.max_output_tokens > 0 || info.input_price || info.output_price;
}

std::optional<ModelInfo> of_use(ModelInfo info) {
  if (!says_something(info)) return std::nullopt;
  info.source = "server";
  return info;
}

Result<Json> ask(const std::string& method, const std::string& url, const std::string& body,
                 std::vector<std::string> headers, HttpSession& session) {
  HttpRequest request;
  request.method = method;
  request.url = url;
  request.headers = std::move(headers);
  request.body = body;
  request.deadline = Deadline::in(Seconds(longest_question));
  request.connect_limit = Seconds(longest_question);
  request.max_body = std::size_t{32} << 20;
  AWM_TRY(const auto response, session.send(request));
  if (response.status != 200) return fail(Errc::unsupported, method, url, "HTTP " + std::to_string(response.status));
  return parse_json(response.body, url);
}

}  // namespace

std::optional<ModelInfo> info_from_model_list(const Json& list, std::string_view model) {
  const Json* entries = find_member(list, "data");
  if (entries == nullptr) entries = find_member(list, "models");
  if (entries == nullptr && list.is_array()) entries = &list;  // Together
  if (entries == nullptr || !entries->is_array()) return std::nullopt;
  const Json* found = nullptr;
  for (const auto& entry : *entries) {
    if (string_or(entry, "id", "") == model || string_or(entry, "canonical_slug", "") == model) found = &entry;
  }
  // A server of one model may know it by the path of its file.
  if (found == nullptr && entries->size() == 1) found = &entries->front();
  if (found == nullptr || !found->is_object()) return std::nullopt;
  ModelInfo info;
  info.context_window =
      count_in(*found, {"max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens"});
  info.max_output_tokens = count_in(*found, {"max_completion_tokens", "max_output_tokens", "max_output_length"});
  if (const auto* top = find_member(*found, "top_provider")) {
    info.max_output_tokens = std::max(info.max_output_tokens, count_in(*top, {"max_completion_tokens"}));
    // What the first provider takes may be less than what the model could.
    if (const auto window = count_in(*top, {"context_length"}); window > 0) {
      info.context_window = info.context_window > 0 ? std::min(info.context_window, window) : window;
    }
  }
  if (const auto* meta = find_member(*found, "meta"); meta != nullptr && info.context_window == 0) {
    info.context_window = count_in(*meta, {"n_ctx", "n_ctx_train"});
  }
  if (const auto* pricing = find_member(*found, "pricing")) {
    const bool per_token =
        pricing->is_object() && pricing->contains("prompt");  // OpenRouter; Together's are per million
    const double scale = per_token ? 1 : 1e-6;
    if (auto price = price_in(*pricing, per_token ? "prompt" : "input")) info.input_price = *price * scale;
    if (auto price = price_in(*pricing, per_token ? "completion" : "output")) info.output_price = *price * scale;
    if (auto price = price_in(*pricing, per_token ? "input_cache_read" : "cached_input"))
      info.cached_price = *price * scale;
  }
  return of_use(info);
}

std::optional<ModelInfo> info_from_litellm(const Json& answer, std::string_view model) {
  const Json* entries = find_member(answer, "data");
  if (entries == nullptr || !entries->is_array()) return std::nullopt;
  for (const auto& entry : *entries) {
    if (string_or(entry, "model_name", "") != model) continue;
    const auto* told = find_member(entry, "model_info");
    if (told == nullptr || !told->is_object()) continue;
    ModelInfo info;
    info.context_window = count_in(*told, {"max_input_tokens", "max_tokens"});
    info.max_output_tokens = count_in(*told, {"max_output_tokens", "max_tokens"});
    info.input_price = price_in(*told, "input_cost_per_token");
    info.output_price = price_in(*told, "output_cost_per_token");
    info.cached_price = price_in(*told, "cache_read_input_token_cost");
    if (auto useful = of_use(info)) return useful;
  }
  return std::nullopt;
}

std::optional<ModelInfo> info_from_ollama(const Json& answer) {
  ModelInfo info;
  // What it was loaded with goes before what it could take: more is cut off silently.
  const std::string parameters = string_or(answer, "parameters", "");
  for (const auto line : split_lines(parameters)) {
    const auto text = trim(line);
    if (!text.starts_with("num_ctx")) continue;
    const auto number = trim(text.substr(7));
    int64_t value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc() && value > 0)
      info.context_window = value;
  }
  if (info.context_window == 0) {
    if (const auto* told = find_member(answer, "model_info"); told != nullptr && told->is_object()) {
      for (const auto& [key, value] : told->items()) {
        if (key.ends_with(".context_length") && value.is_number()) info.context_window = count_in(*told, {key.c_str()});
      }
    }
  }
  return of_use(info);
}

std::optional<ModelInfo> info_from_llama_cpp(const Json& answer) {
  ModelInfo info;
  if (const auto* settings = find_member(answer, "default_generation_settings"))
    info.context_window = count_in(*settings, {"n_ctx"});
  if (info.context_window == 0) info.context_window = count_in(answer, {"n_ctx"});
  return of_use(info);
}

std::vector<std::string> key_headers(const Endpoint& endpoint, const std::string& key) {
  if (key.empty()) return {};
  return {(endpoint.has(key_header) ? "api-key: " : "Authorization: Bearer ") + key};
}

std::optional<ModelInfo> ask_server(const Endpoint& endpoint, const std::string& key, HttpSession& session,
                                    const Stop& stop) {
  if (endpoint.has(no_model_list) || stop.draining()) return std::nullopt;
  const auto& service = endpoint.service;
  const auto headers = key_headers(endpoint, key);
  std::string root = service.base_url;
  if (root.ends_with("/v1")) root.resize(root.size() - 3);
  const auto get = [&](const std::string& url) { return ask("GET", url, "", headers, session); };

  if (service.provider.starts_with("ollama")) {
    auto with_type = headers;
    with_type.emplace_back("Content-Type: application/json");
    const auto answer = ask("POST", root + "/api/show", dump_json(Json::object({{"model", service.model}})),
                            std::move(with_type), session);
    return answer ? info_from_ollama(*answer) : std::nullopt;
  }
  if (service.provider == "litellm_proxy" || service.provider == "openhands") {
    if (const auto answer = get(root + "/v1/model/info")) {
      if (auto info = info_from_litellm(*answer, service.model)) return info;
    }
  }
  const auto list = get(service.base_url + "/models");
  // What does not answer this will not answer the rest.
  if (!list && list.error().code != Errc::unsupported && list.error().code != Errc::invalid_input) return std::nullopt;
  std::optional<ModelInfo> info;
  if (list) info = info_from_model_list(*list, service.model);
  if (list && info && info->context_window > 0) {
    // llama.cpp lists what the model was trained with; its slots may be smaller.
    const Json* data = find_member(*list, "data");
    const bool llama_cpp =
        data != nullptr && data->is_array() && !data->empty() && string_or(data->front(), "owned_by", "") == "llamacpp";
    if (!llama_cpp) return info;
    if (const auto props = get(root + "/props")) {
      if (auto told = info_from_llama_cpp(*props)) return told;
    }
    return info;
  }
  if (service.provider == "openai_compatible" && endpoint.loopback) {
    if (const auto answer = get(root + "/v1/model/info")) {
      if (auto told = info_from_litellm(*answer, service.model)) return told;
    }
    if (const auto answer = get(root + "/props")) {
      if (auto told = info_from_llama_cpp(*answer)) return told;
    }
  }
  return info;
}

}  // namespace awm
