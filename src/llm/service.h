// Which server a model's prefix means, and how that server is spoken to.
//
// Source: LiteLLM's provider list and its documentation of each provider (base URL, key variable, prefix).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/provider.h"

namespace awm {

// Peculiarities of a dialect of chat completions; the rest is common.
enum DialectFlag : uint32_t {
  max_completion_tokens = 1U << 0U,  // the limit's name; else max_tokens
  no_stream_options = 1U << 1U,      // refuses them; tells the usage by itself
  tool_names = 1U << 2U,             // wants "name" in a tool's answer
  key_header = 1U << 3U,             // "api-key: KEY" in place of a bearer token
  no_key = 1U << 4U,                 // works without a key
  ends_in_v1 = 1U << 5U,             // its base URL is often given without the /v1 it needs
  sends_reasoning_back = 1U << 6U,   // wants the reasoning of earlier calls back as reasoning_content
  no_model_list = 1U << 7U,          // its /models says nothing of windows and prices
  usage_include = 1U << 8U,          // OpenRouter: "usage": {"include": true} for the cost
  reasoning_object = 1U << 9U,       // OpenRouter: "reasoning": {"effort": …}
};

struct ProviderRule {
  std::string_view prefix;
  std::string_view base_url;       // "": must be given
  std::string_view key_variables;  // comma between; the first that is set
  std::string_view base_variables;
  uint32_t flags = 0;
};

std::span<const ProviderRule> provider_rules();

// What a model's name tells of it, as far as it changes what is sent. Source: OpenHands' model_features and llm (0.62).
struct ModelFeatures {
  bool reasons = false;           // thinks by itself: takes no temperature and no top_p
  bool one_of_two = false;        // takes temperature or top_p, not both
  bool prompt_cache = false;      // caches a prompt up to a mark in it
  bool stop_words = true;         // takes "stop"
  bool thinks_at_length = false;  // Gemini 2.5 Pro: thinks about every step unless given a budget
};
// `model`: with prefixes or without, any case, a variant (":free") and "-gguf" at its end aside.
ModelFeatures model_features(std::string_view model);

// A service with all that calls need.
struct Endpoint {
  LlmService service;
  uint32_t flags = 0;
  std::string chat_url;
  std::vector<std::string> headers;  // beside the key's and the content type
  ModelFeatures features;
  bool claude = false;  // an Anthropic model, behind whichever server
  bool loopback = false;

  [[nodiscard]] bool has(DialectFlag flag) const { return (flags & flag) != 0; }
};
Result<Endpoint> find_endpoint(const LlmConfig& config);

// The provider's own key, from the environment; "" none.
std::string key_from_environment(std::string_view key_variables);

}  // namespace awm
