// Prefixes: which server, which key, which dialect.
#include "llm/service.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "llm/info.h"
#include "support.h"

namespace awm::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A variable of the environment for one test. Nothing else reads the environment meanwhile.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) {
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_.c_str()); }

 private:
  std::string name_;
};

struct Served {
  const char* model;
  const char* base_url;  // of the section; "" none
  const char* provider;
  const char* name;  // sent
  const char* chat_url;
  const char* key_variable;
};

class ServiceTest : public ::testing::TestWithParam<Served> {};

TEST_P(ServiceTest, FollowsFromThePrefix) {
  const auto& c = GetParam();
  LlmConfig config{.model = c.model, .base_url = c.base_url};
  const auto endpoint = find_endpoint(config);
  ASSERT_TRUE(endpoint) << endpoint.error();
  EXPECT_EQ(endpoint->service.provider, c.provider);
  EXPECT_EQ(endpoint->service.model, c.name);
  EXPECT_EQ(endpoint->chat_url, c.chat_url);
  EXPECT_EQ(endpoint->service.key_variable, c.key_variable);
}

INSTANTIATE_TEST_SUITE_P(
    Prefixes, ServiceTest,
    ::testing::Values(
        Served{"openrouter/moonshotai/kimi-k2-0905", "", "openrouter", "moonshotai/kimi-k2-0905",
               "https://openrouter.ai/api/v1/chat/completions", "OPENROUTER_API_KEY"},
        Served{"openai/gpt-4o", "", "openai", "gpt-4o", "https://api.openai.com/v1/chat/completions", "OPENAI_API_KEY"},
        Served{"gpt-4o", "", "openai", "gpt-4o", "https://api.openai.com/v1/chat/completions", "OPENAI_API_KEY"},
        Served{"o3-mini", "", "openai", "o3-mini", "https://api.openai.com/v1/chat/completions", "OPENAI_API_KEY"},
        Served{"claude-sonnet-4-5", "", "anthropic", "claude-sonnet-4-5",
               "https://api.anthropic.com/v1/chat/completions", "ANTHROPIC_API_KEY"},
        Served{"anthropic/claude-opus-4-1", "https://api.anthropic.com", "anthropic", "claude-opus-4-1",
               "https://api.anthropic.com/v1/chat/completions", "ANTHROPIC_API_KEY"},
        Served{"gemini/gemini-2.5-pro", "", "gemini", "gemini-2.5-pro",
               "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "GEMINI_API_KEY"},
        Served{"deepseek/deepseek-chat", "", "deepseek", "deepseek-chat",
               "https://api.deepseek.com/v1/chat/completions", "DEEPSEEK_API_KEY"},
        Served{"deepseek-reasoner", "", "deepseek", "deepseek-reasoner", "https://api.deepseek.com/v1/chat/completions",
               "DEEPSEEK_API_KEY"},
        Served{"mistral/devstral-small-2507", "", "mistral", "devstral-small-2507",
               "https://api.mistral.ai/v1/chat/completions", "MISTRAL_API_KEY"},
        Served{"groq/openai/gpt-oss-120b", "", "groq", "openai/gpt-oss-120b",
               "https://api.groq.com/openai/v1/chat/completions", "GROQ_API_KEY"},
        Served{"together_ai/Qwen/Qwen3-Coder", "", "together_ai", "Qwen/Qwen3-Coder",
               "https://api.together.xyz/v1/chat/completions", "TOGETHERAI_API_KEY"},
        Served{"xai/grok-4", "", "xai", "grok-4", "https://api.x.ai/v1/chat/completions", "XAI_API_KEY"},
        Served{"fireworks_ai/kimi-k2-instruct", "", "fireworks_ai", "accounts/fireworks/models/kimi-k2-instruct",
               "https://api.fireworks.ai/inference/v1/chat/completions", "FIREWORKS_API_KEY"},
        Served{"fireworks_ai/accounts/fireworks/models/x", "", "fireworks_ai", "accounts/fireworks/models/x",
               "https://api.fireworks.ai/inference/v1/chat/completions", "FIREWORKS_API_KEY"},
        Served{"moonshot/kimi-k2-thinking", "", "moonshot", "kimi-k2-thinking",
               "https://api.moonshot.ai/v1/chat/completions", "MOONSHOT_API_KEY"},
        Served{"ollama/qwen3", "", "ollama", "qwen3", "http://localhost:11434/v1/chat/completions", "OLLAMA_API_KEY"},
        Served{"ollama_chat/qwen3:8b", "http://gpu:11434/", "ollama_chat", "qwen3:8b",
               "http://gpu:11434/v1/chat/completions", "OLLAMA_API_KEY"},
        Served{"hosted_vllm/Qwen/Qwen3-8B", "http://gpu:8000/v1", "hosted_vllm", "Qwen/Qwen3-8B",
               "http://gpu:8000/v1/chat/completions", "HOSTED_VLLM_API_KEY"},
        Served{"openhands/claude-3.7-sonnet", "", "openhands", "claude-3.7-sonnet",
               "https://llm-proxy.app.all-hands.dev/chat/completions", "LLM_API_KEY"},
        Served{"litellm_proxy/copilot/gpt-4.1", " http://proxy:4000 ", "litellm_proxy", "copilot/gpt-4.1",
               "http://proxy:4000/chat/completions", "LITELLM_PROXY_API_KEY"},
        Served{"litellm_proxy/claude-sonnet-4", "http://proxy:4000", "litellm_proxy", "claude-sonnet-4",
               "http://proxy:4000/chat/completions", "LITELLM_PROXY_API_KEY"},
        Served{"openai/my-model", "http://127.0.0.1:8080/v1/", "openai_compatible", "my-model",
               "http://127.0.0.1:8080/v1/chat/completions", "OPENAI_API_KEY"},
        Served{"openai/moonshotai/kimi-k2", "https://openrouter.ai/api/v1", "openrouter", "moonshotai/kimi-k2",
               "https://openrouter.ai/api/v1/chat/completions", "OPENAI_API_KEY"},
        Served{"scripted", "http://127.0.0.1:1/v1", "openai_compatible", "scripted",
               "http://127.0.0.1:1/v1/chat/completions", ""},
        Served{"moonshotai/kimi-k2", "http://host/v1/chat/completions", "openai_compatible", "moonshotai/kimi-k2",
               "http://host/v1/chat/completions", ""},
        Served{"azure/my-deployment", "https://me.openai.azure.com/", "azure", "my-deployment",
               "https://me.openai.azure.com/openai/deployments/my-deployment/chat/"
               "completions?api-version=2024-12-01-preview",
               "AZURE_API_KEY"},
        Served{"azure/my-deployment", "https://me.openai.azure.com/openai/v1", "azure", "my-deployment",
               "https://me.openai.azure.com/openai/v1/chat/completions", "AZURE_API_KEY"}));

TEST(Service, CustomProviderGoesBeforeThePrefix) {
  const auto service = llm_service({.model = "moonshotai/kimi-k2", .custom_llm_provider = "openrouter"});
  ASSERT_TRUE(service) << service.error();
  EXPECT_EQ(service->model, "moonshotai/kimi-k2");
  EXPECT_EQ(service->base_url, "https://openrouter.ai/api/v1");
}

TEST(Service, ProvidersVariablesSayWhere) {
  const Variable base("HOSTED_VLLM_API_BASE", "http://gpu:8000/v1");
  EXPECT_EQ(llm_service({.model = "hosted_vllm/x"})->base_url, "http://gpu:8000/v1");
  const Variable ollama("OLLAMA_API_BASE", "http://gpu:11434");
  EXPECT_EQ(llm_service({.model = "ollama/x"})->base_url, "http://gpu:11434/v1");
  EXPECT_EQ(llm_service({.model = "ollama/x", .ollama_base_url = "http://mine:1"})->base_url, "http://mine:1/v1");
  const Variable version("AZURE_API_VERSION", "2025-01-01");
  EXPECT_THAT(find_endpoint({.model = "azure/d", .base_url = "https://a"})->chat_url,
              HasSubstr("api-version=2025-01-01"));
  EXPECT_THAT(find_endpoint({.model = "azure/d", .base_url = "https://a", .api_version = "v9"})->chat_url,
              HasSubstr("api-version=v9"));
}

TEST(Service, WhatNobodyServesIsTold) {
  const auto refused = [](LlmConfig config) { return llm_service(config).error().message(); };
  EXPECT_THAT(refused({.model = ""}), HasSubstr("none is named"));
  EXPECT_THAT(refused({.model = "kimi-k2"}),
              AllOf(HasSubstr("ask kimi-k2: nothing says where this model is served"), HasSubstr("docs/models.md")));
  EXPECT_THAT(refused({.model = "openruoter/x/y"}), HasSubstr("did you mean openrouter/…?"));
  EXPECT_THAT(refused({.model = "bedrock/claude"}),
              AllOf(HasSubstr("a protocol of its own"), HasSubstr("litellm_proxy/")));
  EXPECT_THAT(refused({.model = "hosted_vllm/x"}), HasSubstr("set HOSTED_VLLM_API_BASE"));
  EXPECT_THAT(refused({.model = "x", .custom_llm_provider = "nobody"}), HasSubstr("custom_llm_provider \"nobody\""));
  EXPECT_THAT(refused({.model = "x", .base_url = "127.0.0.1:8000"}), HasSubstr("no http:// or https:// address"));
}

TEST(Service, ReasoningModelsAreKnownByName) {
  for (const auto* model : {"openai/o1", "openai/o3-mini", "openai/o4-mini", "openai/gpt-5", "openai/gpt-5-mini",
                            "openrouter/openai/gpt-5", "openrouter/openai/o3:free", "azure/o3"}) {
    LlmConfig config{.model = model, .base_url = std::string_view(model).starts_with("azure") ? "https://a" : ""};
    EXPECT_TRUE(find_endpoint(config)->features.reasons) << model;
  }
  for (const auto* model :
       {"openai/gpt-4o", "openai/gpt-5-chat-latest", "openrouter/x/o1x", "deepseek/deepseek-reasoner"}) {
    EXPECT_FALSE(find_endpoint({.model = model})->features.reasons) << model;
  }
}

struct Features {
  const char* model;
  bool reasons;
  bool prompt_cache;
  bool stop_words;
};
class FeatureTest : public ::testing::TestWithParam<Features> {};

TEST_P(FeatureTest, FollowFromTheName) {
  const auto& c = GetParam();
  const ModelFeatures features = model_features(c.model);
  EXPECT_EQ(features.reasons, c.reasons);
  EXPECT_EQ(features.prompt_cache, c.prompt_cache);
  EXPECT_EQ(features.stop_words, c.stop_words);
}

INSTANTIATE_TEST_SUITE_P(
    Models, FeatureTest,
    ::testing::Values(
        Features{"gpt-4o", false, false, true}, Features{"openai/gpt-4o", false, false, true},
        Features{"  OPENAI/gpt-4o  ", false, false, true}, Features{"openrouter/gpt-4o-mini", false, false, true},
        Features{"gpt-4.1", false, false, true}, Features{"gpt-3.5-turbo", false, false, true},
        Features{"gpt-5", true, false, true}, Features{"gpt-5-2025-08-07", true, false, true},
        Features{"gpt-5-mini-2025-08-07", true, false, true}, Features{"o1", true, false, false},
        Features{"o1-2024-12-17", true, false, false}, Features{"o1-mini", true, false, false},
        Features{"o1-preview", true, false, false}, Features{"o3", true, false, true},
        Features{"o3-2025-04-16", true, false, true}, Features{"o3-mini", true, false, true},
        Features{"o3-mini-2025-01-31", true, false, true}, Features{"o4-mini", true, false, true},
        Features{"o4-mini-2025-04-16", true, false, true}, Features{"gemini-2.5-pro", true, false, true},
        Features{"litellm_proxy/gemini-2.5-pro", true, false, true}, Features{"gemini-2.5-flash", true, false, true},
        Features{"gemini-2.5-flash-lite", false, false, true}, Features{"gemini-1.0-pro", false, false, true},
        Features{"xai/grok-4-0709", false, false, false}, Features{"grok-4-0709", false, false, false},
        Features{"grok-4-0801", false, false, true}, Features{"xai/grok-code-fast-1", false, false, false},
        Features{"grok-code-fast-1", false, false, false},
        Features{"deepseek/DeepSeek-R1-0528:671b-Q4_K_XL", true, false, false},
        Features{"DeepSeek-R1-0528", true, false, false}, Features{"DeepSeek-R1-0528-GGUF", true, false, false},
        Features{"openai/GLM-4.5-GGUF", false, false, true},
        Features{"qwen3-coder-480b-a35b-instruct", false, false, true},
        Features{"kimi-k2-0711-preview", false, false, true}, Features{"unknown-model", false, false, true},
        Features{"", false, false, true}, Features{"claude-3-7-sonnet-20250219", false, true, true},
        Features{"anthropic/claude-3-7-sonnet", false, true, true},
        Features{"litellm_proxy/claude-3.7-sonnet", false, true, true},
        Features{"claude-sonnet-3-7-latest", false, true, true}, Features{"claude-3-5-sonnet", false, true, true},
        Features{"claude-3-5-haiku-20241022", false, true, true},
        Features{"claude-3.5-haiku-20241022", false, true, true},
        Features{"claude-3-haiku-20240307", false, true, true}, Features{"claude-3-opus-20240229", false, true, true},
        Features{"claude-sonnet-4-latest", false, true, true}, Features{"claude-opus-4-1-20250805", false, true, true},
        Features{"claude-sonnet-4-5-20250929", true, true, true},
        Features{"openrouter/anthropic/claude-haiku-4.5", true, true, true},
        Features{"bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", false, true, true}));

TEST(ModelTable, KnowsFamiliesByTheirLongestName) {
  const auto info = [](const char* model) { return info_from_table(*llm_service({.model = model})); };
  EXPECT_DOUBLE_EQ(info("openai/gpt-4o-mini-2024-07-18")->input_price.value_or(0), 0.15e-6);
  EXPECT_DOUBLE_EQ(info("openai/gpt-4o")->input_price.value_or(0), 2.5e-6);
  EXPECT_EQ(info("openrouter/moonshotai/kimi-k2-0905")->context_window, 262144);
  EXPECT_EQ(info("openai/gpt-4")->context_window, 8192);
  EXPECT_EQ(info("anthropic/claude-3-7-sonnet")->max_output_tokens, 64000);
  EXPECT_EQ(info("anthropic/claude-sonnet-4-20250514")->max_output_tokens, 64000);
  EXPECT_FALSE(info("openai/gpt-4.5-preview"));
  EXPECT_FALSE(info("openai/gpt-9"));
  // A price of the maker's is none of another's.
  EXPECT_FALSE(info("openrouter/deepseek/deepseek-chat")->input_price);
  EXPECT_TRUE(info("deepseek/deepseek-chat")->input_price);
  EXPECT_DOUBLE_EQ(info("openrouter/anthropic/claude-sonnet-4.5")->output_price.value_or(0), 15e-6);
  EXPECT_EQ(info("openrouter/moonshotai/kimi-k2:free")->input_price, 0);
  EXPECT_EQ(info("openai/gpt-4o")->source, "table");
}

// --- the dialects' requests, as our own server sees them

class DialectTest : public LlmTest {
 protected:
  Json sent(LlmConfig config) {
    FakeModel server;
    server.then(json_response(chat_answer("ok")));
    config.base_url = std::string(server.server().url()) + (config.base_url.empty() ? "/v1" : config.base_url);
    config.num_retries = 1;
    const auto made = llm(config);
    const std::vector<Message> messages{
        {.role = Role::system, .content = "s"},
        {.role = Role::user, .content = "u"},
        {.role = Role::assistant, .content = "", .tool_calls = {{"c", "bash", "{}"}}, .reasoning = "hm"},
        {.role = Role::tool, .content = "t", .tool_call_id = "c", .tool_name = "bash"}};
    const std::vector<ToolSpec> tools{{"bash", "Runs a command.", ""}};
    EXPECT_TRUE(ask(*made, messages, tools));
    request_ = server.requests().front();
    return server.body();
  }
  HttpdRequest request_;
};

TEST_F(DialectTest, OpenAiModelsThatReasonGetNoTemperature) {
  const auto body = sent(
      {.model = "openrouter/openai/gpt-5", .api_keys = {"k"}, .reasoning_effort = "high", .max_output_tokens = 10});
  EXPECT_FALSE(body.contains("temperature"));
  EXPECT_FALSE(body.contains("top_p"));
  EXPECT_EQ(body.at("reasoning"), (Json{{"effort", "high"}}));
  EXPECT_EQ(body.at("max_tokens"), 10);
  EXPECT_EQ(body.at("usage"), (Json{{"include", true}}));
}

TEST_F(DialectTest, ReasoningEffortIsSentWhenItIsAskedForAndOnlyThen) {
  for (const auto* model : {"openai/o1", "openai/o3", "openai/gpt-5-mini", "deepseek/DeepSeek-R1-0528",
                            "litellm_proxy/gemini-2.5-flash", "openai/gpt-4o"}) {
    for (const bool stream : {false, true}) {
      const auto body = sent({.model = model, .api_keys = {"k"}, .reasoning_effort = "high", .stream = stream});
      EXPECT_EQ(body.at("reasoning_effort"), "high") << model;
      const auto plain = sent({.model = model, .api_keys = {"k"}, .stream = stream});
      EXPECT_FALSE(plain.contains("reasoning_effort")) << model;
      EXPECT_FALSE(plain.contains("thinking")) << model;
      EXPECT_EQ(plain.contains("temperature"), !model_features(model).reasons) << model;
      EXPECT_EQ(plain.contains("top_p"), !model_features(model).reasons) << model;
    }
  }
}

TEST_F(DialectTest, Gemini25ProThinksLittleUnlessMoreIsAskedFor) {
  const auto asked = [&](const char* model, const char* effort) {
    return sent({.model = model, .api_keys = {"k"}, .reasoning_effort = effort});
  };
  for (const auto* effort : {"", "low", "none"}) {
    const auto direct = asked("gemini/gemini-2.5-pro", effort);
    EXPECT_EQ(direct.at("extra_body"),
              *parse_json(R"({"google":{"thinking_config":{"thinking_budget":128}}})", "body"));
    EXPECT_FALSE(direct.contains("reasoning_effort"));
    EXPECT_FALSE(direct.contains("temperature"));
    EXPECT_FALSE(direct.contains("top_p"));
    const auto proxy = asked("litellm_proxy/gemini-2.5-pro", effort);
    EXPECT_EQ(proxy.at("thinking"), *parse_json(R"({"type":"enabled","budget_tokens":128})", "body"));
    EXPECT_FALSE(proxy.contains("reasoning_effort"));
    EXPECT_EQ(asked("openrouter/google/gemini-2.5-pro", effort).at("reasoning"), (Json{{"max_tokens", 128}}));
  }
  for (const auto* effort : {"medium", "high"}) {
    const auto direct = asked("gemini/gemini-2.5-pro", effort);
    EXPECT_EQ(direct.at("reasoning_effort"), effort);
    EXPECT_FALSE(direct.contains("extra_body"));
    EXPECT_FALSE(asked("litellm_proxy/gemini-2.5-pro", effort).contains("thinking"));
    EXPECT_EQ(asked("openrouter/google/gemini-2.5-pro", effort).at("reasoning"), (Json{{"effort", effort}}));
  }
  // A server that nobody knows how to tell.
  EXPECT_EQ(asked("hosted_vllm/gemini-2.5-pro", "low").at("reasoning_effort"), "low");
  EXPECT_FALSE(asked("gemini/gemini-2.5-flash", "").contains("extra_body"));
}

TEST_F(DialectTest, ClaudeGetsOneOfTemperatureAndTopPWhereItTakesNoMore) {
  const auto asked = [&](const char* model) {
    return sent({.model = model, .api_keys = {"k"}, .temperature = 0.7, .top_p = 0.9});
  };
  const auto newer = asked("anthropic/claude-opus-4-1-20250805");
  EXPECT_EQ(newer.at("temperature"), 0.7);
  EXPECT_FALSE(newer.contains("top_p"));
  EXPECT_FALSE(newer.contains("thinking")) << "it thinks only when it is told to";
  const auto older = asked("anthropic/claude-opus-4-20250514");
  EXPECT_EQ(older.at("temperature"), 0.7);
  EXPECT_EQ(older.at("top_p"), 0.9);
  EXPECT_FALSE(
      sent({.model = "anthropic/claude-opus-4-1", .api_keys = {"k"}, .temperature = std::nullopt, .top_p = 0.9})
          .contains("temperature"));
  EXPECT_EQ(sent({.model = "anthropic/claude-opus-4-1", .api_keys = {"k"}, .temperature = std::nullopt, .top_p = 0.9})
                .at("top_p"),
            0.9);
}

TEST_F(DialectTest, EveryModelIsToldOfItsToolsNatively) {
  for (const auto* model : {"claude-3-7-sonnet-20250219",
                            "claude-3.7-sonnet",
                            "claude-sonnet-3-7-latest",
                            "claude-3-5-sonnet",
                            "claude-3.5-haiku",
                            "claude-3-5-haiku-20241022",
                            "claude-sonnet-4-latest",
                            "claude-opus-4-1-20250805",
                            "gpt-4o",
                            "gpt-4.1",
                            "gpt-5",
                            "gpt-5-mini-2025-08-07",
                            "o1-2024-12-17",
                            "o3-mini",
                            "o4-mini",
                            "gemini-2.5-pro",
                            "gemini-2.5-pro-preview-03-25",
                            "gemini-2.5-pro-exp-03-25",
                            "gemini/gemini-2.5-pro-preview-03-25",
                            "gemini-1.0-pro",
                            "grok-4-0709",
                            "kimi-k2-0711-preview",
                            "kimi-k2-instruct",
                            "qwen3-coder",
                            "qwen3-coder-480b-a35b-instruct"}) {
    for (const auto* prefix : {"openrouter/", "litellm_proxy/", "hosted_vllm/"}) {
      const auto body = sent({.model = std::string(prefix) + model, .api_keys = {"k"}});
      EXPECT_EQ(body.at("messages")[2].at("tool_calls")[0].at("function").at("name"), "bash") << prefix << model;
      EXPECT_EQ(body.at("messages")[3].at("role"), "tool") << prefix << model;
      ASSERT_EQ(body.at("tools").size(), 1U) << prefix << model;
      EXPECT_EQ(body.at("tools")[0].at("function").at("name"), "bash");
      EXPECT_FALSE(body.contains("stop"));
    }
  }
}

TEST_F(DialectTest, OpenRouterIsToldWhoAsks) {
  (void)sent({.model = "openrouter/x/y",
              .api_keys = {"k"},
              .openrouter_site_url = "https://site",
              .openrouter_app_name = "name"});
  EXPECT_EQ(request_.header("http-referer"), "https://site");
  EXPECT_EQ(request_.header("x-title"), "name");
  EXPECT_EQ(request_.header("authorization"), "Bearer k");
}

TEST_F(DialectTest, AzureTakesTheKeyInItsOwnHeaderAndTheDeploymentInThePath) {
  const auto body = sent(
      {.model = "azure/dep", .api_keys = {"azure-key"}, .base_url = "/", .api_version = "v1", .max_output_tokens = 10});
  EXPECT_EQ(request_.path, "/openai/deployments/dep/chat/completions");
  EXPECT_EQ(request_.header("api-key"), "azure-key");
  EXPECT_EQ(request_.header("authorization"), std::nullopt);
  ASSERT_EQ(request_.query.size(), 1U);
  EXPECT_EQ(request_.query[0].second, "v1");
  EXPECT_EQ(body.at("max_completion_tokens"), 10);
}

TEST_F(DialectTest, MistralGetsToolNamesAndNoStreamOptions) {
  // The stream's answer is a whole one: it is read all the same.
  const auto body = sent({.model = "mistral/m", .api_keys = {"k"}, .stream = true});
  EXPECT_FALSE(body.contains("stream_options"));
  EXPECT_EQ(body.at("messages")[3].at("name"), "bash");
}

TEST_F(DialectTest, DeepSeekGetsTheReasoningOfItsCallsBack) {
  EXPECT_EQ(sent({.model = "deepseek/x", .api_keys = {"k"}}).at("messages")[2].at("reasoning_content"), "hm");
  EXPECT_FALSE(sent({.model = "openai/x", .api_keys = {"k"}}).at("messages")[2].contains("reasoning_content"));
}

TEST_F(DialectTest, ClaudesCacheIsMarkedWhereMarksAreUnderstood) {
  const auto marked = [](const Json& message) {
    return message.at("content").is_array() && message.at("content")[0].contains("cache_control");
  };
  const auto body = sent({.model = "openrouter/anthropic/claude-sonnet-4", .api_keys = {"k"}});
  EXPECT_TRUE(marked(body.at("messages")[0]));
  EXPECT_TRUE(marked(body.at("messages")[1]));
  EXPECT_TRUE(marked(body.at("messages")[3]));
  EXPECT_FALSE(body.contains("top_p"));
  const auto off = sent({.model = "openrouter/anthropic/claude-sonnet-4", .api_keys = {"k"}, .caching_prompt = false});
  EXPECT_FALSE(marked(off.at("messages")[0]));
  EXPECT_FALSE(marked(sent({.model = "openrouter/x/y", .api_keys = {"k"}}).at("messages")[0]));
  EXPECT_TRUE(marked(sent({.model = "openhands/claude-3.7-sonnet", .api_keys = {"k"}}).at("messages")[0]));
  EXPECT_TRUE(marked(sent({.model = "litellm_proxy/claude-3-5-haiku-20241022"}).at("messages")[0]));
  // Anthropic's own chat completions know no marks.
  EXPECT_FALSE(marked(sent({.model = "anthropic/claude-3-7-sonnet", .api_keys = {"k"}}).at("messages")[0]));
}

TEST_F(DialectTest, TheProvidersOwnVariableHoldsTheKey) {
  const Variable key("DEEPSEEK_API_KEY", " sk-from-environment-1 ");
  (void)sent({.model = "deepseek/x"});
  EXPECT_EQ(request_.header("authorization"), "Bearer sk-from-environment-1");
}

TEST_F(DialectTest, AServerOfOnesOwnNeedsNoKey) {
  (void)sent({.model = "hosted_vllm/x"});
  EXPECT_EQ(request_.header("authorization"), std::nullopt);
}

TEST_F(DialectTest, AMissingKeyIsToldBeforeAnythingIsSent) {
  const auto made = make_llm({.model = "openrouter/x/y"}, *http_, *stop_, scope_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::permission);
  EXPECT_THAT(made.error().message(), HasSubstr("export OPENROUTER_API_KEY=…"));
}

TEST_F(DialectTest, IllKwargsAndKeysAreTold) {
  EXPECT_EQ(
      make_llm({.model = "hosted_vllm/x", .base_url = "http://h", .completion_kwargs = "[1]"}, *http_, *stop_, scope_)
          .error()
          .code,
      Errc::invalid_input);
  EXPECT_THAT(make_llm({.model = "hosted_vllm/x", .base_url = "http://h", .completion_kwargs = R"({"messages":[]})"},
                       *http_, *stop_, scope_)
                  .error()
                  .message(),
              HasSubstr("messages"));
  EXPECT_EQ(make_llm({.model = "hosted_vllm/x", .api_keys = {"a\nb"}, .base_url = "http://h"}, *http_, *stop_, scope_)
                .error()
                .code,
            Errc::invalid_input);
}

}  // namespace
}  // namespace awm::test
