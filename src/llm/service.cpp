#include "llm/service.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

#include "base/text.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::string_view default_azure_version = "2024-12-01-preview";

constexpr auto rules = std::to_array<ProviderRule>({
    {"openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL,OPENAI_API_BASE",
     max_completion_tokens | no_model_list},
    {"openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY,OR_API_KEY", "OPENROUTER_API_BASE",
     usage_include | reasoning_object},
    {"deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "DEEPSEEK_API_BASE",
     sends_reasoning_back | no_model_list},
    {"anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL,ANTHROPIC_API_BASE",
     ends_in_v1 | no_model_list},
    {"gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY,GOOGLE_API_KEY",
     "GEMINI_API_BASE", tool_names | no_model_list},
    {"azure", "", "AZURE_API_KEY,AZURE_OPENAI_API_KEY", "AZURE_API_BASE",
     max_completion_tokens | key_header | no_model_list},
    {"ollama", "http://localhost:11434", "OLLAMA_API_KEY", "OLLAMA_API_BASE", no_key | ends_in_v1 | tool_names},
    {"ollama_chat", "http://localhost:11434", "OLLAMA_API_KEY", "OLLAMA_API_BASE", no_key | ends_in_v1 | tool_names},
    {"hosted_vllm", "", "HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE", no_key},
    {"vllm", "", "HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE", no_key},
    {"litellm_proxy", "", "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE", no_key},
    {"openhands", "https://llm-proxy.app.all-hands.dev", "LLM_API_KEY,OPENHANDS_API_KEY", "", 0},
    {"llamafile", "http://127.0.0.1:8080", "LLAMAFILE_API_KEY", "LLAMAFILE_API_BASE", no_key | ends_in_v1},
    {"lm_studio", "http://127.0.0.1:1234", "LM_STUDIO_API_KEY", "LM_STUDIO_API_BASE", no_key | ends_in_v1},
    {"mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "MISTRAL_API_BASE", no_stream_options | tool_names},
    {"codestral", "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY", "", no_stream_options | tool_names},
    {"groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "GROQ_API_BASE", max_completion_tokens},
    {"together_ai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY,TOGETHER_AI_TOKEN,TOGETHER_API_KEY", "", 0},
    {"xai", "https://api.x.ai/v1", "XAI_API_KEY", "XAI_API_BASE", no_model_list},
    {"fireworks_ai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY,FIREWORKS_AI_API_KEY",
     "FIREWORKS_API_BASE", 0},
    {"moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "MOONSHOT_API_BASE", sends_reasoning_back},
    {"zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "ZAI_API_BASE", no_model_list},
    {"dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", "DASHSCOPE_API_BASE",
     no_model_list},
    {"volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY,ARK_API_KEY", "", no_model_list},
    {"minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY", "MINIMAX_API_BASE", no_model_list},
    {"deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", "", 0},
    {"cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "CEREBRAS_API_BASE", max_completion_tokens},
    {"sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", "", 0},
    {"nvidia_nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY,NVIDIA_API_KEY", "NVIDIA_NIM_API_BASE",
     no_model_list},
    {"perplexity", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY,PERPLEXITY_API_KEY", "", no_model_list},
    {"novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY", "", 0},
    {"nebius", "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY", "NEBIUS_API_BASE", 0},
    {"hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", "", 0},
    {"huggingface", "https://router.huggingface.co/v1", "HF_TOKEN,HUGGINGFACE_API_KEY", "", 0},
    {"github", "https://models.inference.ai.azure.com", "GITHUB_API_KEY,GITHUB_TOKEN", "", no_model_list},
    {"openai_like", "", "OPENAI_LIKE_API_KEY", "OPENAI_LIKE_API_BASE", no_key},
    {"custom_openai", "", "OPENAI_API_KEY", "", no_key},
});

// LiteLLM's names whose protocols are not chat completions.
constexpr auto foreign = std::to_array<std::string_view>({"bedrock",
                                                          "vertex_ai",
                                                          "vertex_ai_beta",
                                                          "sagemaker",
                                                          "sagemaker_chat",
                                                          "cohere",
                                                          "cohere_chat",
                                                          "watsonx",
                                                          "replicate",
                                                          "palm",
                                                          "ai21",
                                                          "nlp_cloud",
                                                          "petals",
                                                          "oobabooga",
                                                          "databricks",
                                                          "snowflake",
                                                          "predibase",
                                                          "triton",
                                                          "text-completion-openai",
                                                          "github_copilot",
                                                          "azure_ai",
                                                          "cloudflare",
                                                          "oci",
                                                          "sap"});

const ProviderRule* find_rule(std::string_view prefix) {
  for (const auto& rule : rules) {
    if (rule.prefix == prefix) return &rule;
  }
  return nullptr;
}

// What LiteLLM knows without a prefix.
std::string_view family_of(std::string_view model) {
  const auto any = [&](std::initializer_list<std::string_view> starts) {
    for (const auto start : starts) {
      if (model.starts_with(start)) return true;
    }
    return false;
  };
  if (any({"gpt-", "chatgpt-", "o1", "o3", "o4-"})) return "openai";
  if (any({"claude-"})) return "anthropic";
  if (any({"gemini-"})) return "gemini";
  if (any({"deepseek-chat", "deepseek-reasoner", "deepseek-coder"})) return "deepseek";
  if (any({"mistral-", "magistral-", "devstral-", "codestral-", "ministral-"})) return "mistral";
  if (any({"grok-"})) return "xai";
  return {};
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string first_variable(std::string_view names) {
  for (const auto& name : split(names, ',')) {
    if (name.empty()) continue;
    if (auto value = sys::environment(name)) {
      std::string text(trim(*value));
      if (!text.empty()) return text;
    }
  }
  return {};
}

// Azure has its deployments in the path and its version in the query; its newer address is like any other's.
std::string azure_chat_url(const std::string& base, const std::string& model, const std::string& version) {
  if (base.ends_with("/openai/v1")) return base + "/chat/completions";
  const std::string query = "?api-version=" + version;
  if (contains(base, "/openai/deployments/")) return base + "/chat/completions" + query;
  return base + (base.ends_with("/openai") ? "" : "/openai") + "/deployments/" + model + "/chat/completions" + query;
}

}  // namespace

std::span<const ProviderRule> provider_rules() {
  return rules;
}

ModelFeatures model_features(std::string_view model) {
  model = trim(model);
  std::string name = to_lower_ascii(model.substr(model.rfind('/') + 1));
  if (const auto variant = name.find(':'); variant != std::string::npos) name.resize(variant);
  if (name.ends_with("-gguf")) name.resize(name.size() - 5);
  const bool claude = contains(name, "claude");
  // "claude-sonnet-4.5" at OpenRouter is Anthropic's "claude-sonnet-4-5".
  if (claude) std::ranges::replace(name, '.', '-');
  const auto family = [&](std::string_view wanted) {
    return name.starts_with(wanted) && (name.size() == wanted.size() || name[wanted.size()] == '-');
  };
  const auto any = [&](std::initializer_list<std::string_view> names) { return std::ranges::any_of(names, family); };

  ModelFeatures features;
  const bool small_gemini = contains(name, "-lite") || contains(name, "-image");
  features.reasons = any({"o1", "o3", "o4", "deepseek-r1-0528", "claude-sonnet-4-5", "claude-haiku-4-5"}) ||
                     (name.starts_with("gpt-5") && !contains(name, "-chat")) ||
                     (any({"gemini-2.5-pro", "gemini-2.5-flash"}) && !small_gemini);
  features.one_of_two = any({"claude-opus-4-1", "claude-opus-4-5"});
  features.prompt_cache = claude;
  features.stop_words = !any({"o1", "deepseek-r1-0528"}) && name != "grok-4-0709" && name != "grok-code-fast-1";
  features.thinks_at_length = family("gemini-2.5-pro");
  return features;
}

std::string key_from_environment(std::string_view key_variables) {
  return first_variable(key_variables);
}

Result<Endpoint> find_endpoint(const LlmConfig& config) {
  const std::string model(trim(config.model));
  if (model.empty()) return fail(Errc::invalid_input, "choose", "a model", "none is named");
  Endpoint endpoint;
  endpoint.service.model = model;
  std::string prefix = config.custom_llm_provider;
  const auto slash = model.find('/');
  const std::string written(slash == std::string::npos ? "" : model.substr(0, slash));
  const bool known_prefix = find_rule(written) != nullptr;
  if (prefix.empty() && known_prefix) prefix = written;
  if (!prefix.empty() && prefix == written) endpoint.service.model = model.substr(slash + 1);
  if (prefix.empty() && config.base_url.empty()) prefix = family_of(model);

  std::string base(trim(config.base_url));
  const ProviderRule* rule = nullptr;
  if (!prefix.empty()) {
    rule = find_rule(prefix);
    if (rule == nullptr && base.empty()) {
      for (const auto name : foreign) {
        if (prefix == name) {
          return fail(Errc::unsupported, "ask", model, "the provider \"" + prefix + "\" has a protocol of its own",
                      "put a LiteLLM proxy in front of it, and name the model litellm_proxy/… with its base_url");
        }
      }
      return fail(Errc::invalid_input, "ask", model, "custom_llm_provider \"" + prefix + "\" is not known",
                  "docs/models.md lists the providers; or give base_url");
    }
  } else if (base.empty()) {
    for (const auto name : foreign) {
      if (written != name) continue;
      return fail(Errc::unsupported, "ask", model, "the provider \"" + written + "\" has a protocol of its own",
                  "put a LiteLLM proxy in front of it, and name the model litellm_proxy/… with its base_url");
    }
    std::vector<std::string> names;
    names.reserve(rules.size());
    for (const auto& one : rules) names.emplace_back(one.prefix);
    const auto near = nearest_word(written, names);
    return fail(Errc::invalid_input, "ask", model,
                "nothing says where this model is served" + (near.empty() ? "" : "; did you mean " + near + "/…?"),
                "put a provider's prefix before its name (openai/, openrouter/, hosted_vllm/, …: docs/models.md), or "
                "give base_url");
  }
  endpoint.flags = rule != nullptr ? rule->flags : uint32_t{no_key};
  endpoint.service.provider = rule != nullptr ? std::string(rule->prefix) : "openai_compatible";
  if (rule != nullptr) {
    endpoint.service.key_variable = split(rule->key_variables, ',').front();
    const bool ollama = rule->prefix.starts_with("ollama");
    if (base.empty() && ollama) base = config.ollama_base_url;
    if (base.empty()) base = first_variable(rule->base_variables);
    if (base.empty()) base = rule->base_url;
    if (base.empty()) {
      return fail(Errc::invalid_input, "ask", model, "nothing says where this model is served",
                  "give base_url, or set " + std::string(split(rule->base_variables, ',').front()));
    }
    // Another server that speaks OpenAI's protocol may be of any kind.
    if (rule->prefix == "openai" && !config.base_url.empty() && !contains(base, "api.openai.com")) {
      endpoint.flags &= ~uint32_t{max_completion_tokens | no_model_list};
      endpoint.flags |= no_key;
      endpoint.service.provider = "openai_compatible";
      if (contains(base, "://openrouter.ai/")) {
        endpoint.service.provider = "openrouter";
        endpoint.flags |= usage_include | reasoning_object;
      }
    }
    if (rule->prefix == "fireworks_ai" && !contains(endpoint.service.model, "/")) {
      endpoint.service.model = "accounts/fireworks/models/" + endpoint.service.model;
    }
  }
  if (!base.starts_with("http://") && !base.starts_with("https://")) {
    return fail(Errc::invalid_input, "ask", model,
                "base_url \"" + url_for_people(base) + "\" is no http:// or https:// address",
                "write it whole, as in http://127.0.0.1:8000/v1");
  }
  base = without_slash(base);
  if (base.ends_with("/chat/completions")) base = without_slash(base.substr(0, base.size() - 17));
  if (endpoint.has(ends_in_v1) && !base.ends_with("/v1")) base += "/v1";
  endpoint.service.base_url = base;
  endpoint.chat_url = base + "/chat/completions";
  if (endpoint.service.provider == "azure") {
    std::string version = config.api_version;
    if (version.empty()) version = first_variable("AZURE_API_VERSION");
    endpoint.chat_url =
        azure_chat_url(base, endpoint.service.model, version.empty() ? std::string(default_azure_version) : version);
  }
  if (endpoint.service.provider == "openrouter") {
    std::string site = config.openrouter_site_url.empty() ? first_variable("OR_SITE_URL") : config.openrouter_site_url;
    std::string name = config.openrouter_app_name.empty() ? first_variable("OR_APP_NAME") : config.openrouter_app_name;
    if (!site.empty()) endpoint.headers.push_back("HTTP-Referer: " + site);
    endpoint.headers.push_back("X-Title: " + (name.empty() ? std::string("awm") : name));
  }
  endpoint.features = model_features(endpoint.service.model);
  const std::string lower = to_lower_ascii(endpoint.service.model);
  endpoint.claude = contains(lower, "claude") || endpoint.service.provider == "anthropic";
  endpoint.loopback = is_loopback_url(base);
  return endpoint;
}

Result<LlmService> llm_service(const LlmConfig& config) {
  AWM_TRY(auto endpoint, find_endpoint(config));
  return std::move(endpoint.service);
}

}  // namespace awm
