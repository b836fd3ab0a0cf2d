// Refusals told apart: on texts that users met (../shared/data/llm_api/error_texts.jsonl) and on answers written after
// the providers' documentation.
#include "llm/failure.h"

#include <gmock/gmock.h>

#include "base/json.h"
#include "base/text.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;
using enum LlmFailure;

struct Refusal {
  const char* name;
  int status;
  const char* body;
  LlmFailure kind;
  int64_t limit = 0;           // of the context, in tokens
  const char* words = "";      // in what a person is told
  double retry_after = -1;     // seconds; -1 not said
  const char* parameter = "";  // refused
};

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, IsToldApart) {
  const Refusal& c = GetParam();
  const auto failure = failure_of_answer(c.status, {}, c.body);
  EXPECT_EQ(to_string(failure.kind), to_string(c.kind)) << failure.words;
  EXPECT_EQ(failure.context_limit.value_or(0), c.limit);
  EXPECT_THAT(failure.words, HasSubstr(c.words));
  EXPECT_FALSE(failure.words.empty());
  EXPECT_EQ(failure.words.find('\n'), std::string::npos);
  EXPECT_EQ(failure.again, worth_another_try(c.kind));
  EXPECT_DOUBLE_EQ(failure.retry_after ? failure.retry_after->count() : -1, c.retry_after);
  EXPECT_EQ(failure.refused_parameter, c.parameter);
  EXPECT_EQ(failure.status, c.status);
}

const Refusal refusals[] = {
    // OpenAI: platform.openai.com/docs/guides/error-codes
    {"OpenAiContext", 400,
     R"({"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}})",
     context_window, 8192, "maximum context length"},
    {"OpenAiContextOfNewerModels", 400,
     R"({"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}})",
     context_window, 0, "exceeds the context window"},
    {"OpenAiKey", 401,
     R"({"error":{"message":"Incorrect API key provided: sk-abc*********xyz. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})",
     authentication, 0, "Incorrect API key"},
    {"OpenAiRegion", 403,
     R"({"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","param":null,"type":"request_forbidden"}})",
     authentication},
    {"OpenAiRate", 429,
     R"({"error":{"message":"Rate limit reached for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s. Visit https://platform.openai.com/account/rate-limits to learn more.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     rate_limit, 0, "tokens per min", 3.89},
    {"OpenAiRequestLargerThanItsLimit", 429,
     R"({"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 41234. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})",
     context_window, 30000},
    {"OpenAiQuota", 429,
     R"({"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}})",
     out_of_credit, 0, "quota"},
    {"OpenAiModel", 404,
     R"({"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}})",
     no_such_model, 0, "gpt-9"},
    {"OpenAiModelOfAProject", 403,
     R"({"error":{"message":"Project `proj_x` does not have access to model `gpt-4o`","type":"invalid_request_error","param":null,"code":"model_not_found"}})",
     no_such_model},
    {"OpenAiFilter", 400,
     R"({"error":{"message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error","param":null,"code":"content_policy_violation"}})",
     content_refused, 0, "safety system"},
    {"OpenAiInvalidPrompt", 400,
     R"({"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","param":null,"code":"invalid_prompt"}})",
     content_refused},
    {"OpenAiMissingToolAnswer", 400,
     R"({"error":{"message":"An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.","type":"invalid_request_error","param":"messages.[3].role","code":null}})",
     bad_request, 0, "tool_call_id"},
    {"OpenAiServer", 500,
     R"({"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}})",
     server},
    {"OpenAiOverloaded", 503,
     R"({"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":null}})",
     server},
    {"OpenAiNoTemperature", 400,
     R"({"error":{"message":"Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}})",
     bad_request, 0, "temperature", -1, "temperature"},
    {"OpenAiOtherNameOfTheLimit", 400,
     R"({"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}})",
     bad_request, 0, "", -1, "max_tokens"},
    {"OpenAiUnknownArgument", 400,
     R"({"error":{"message":"Unrecognized request argument supplied: top_k","type":"invalid_request_error","param":null,"code":null}})",
     bad_request, 0, "", -1, "top_k"},
    // OpenRouter: openrouter.ai/docs/api-reference/errors
    {"OpenRouterContext", 400,
     R"({"error":{"message":"This endpoint's maximum context length is 262144 tokens. However, you requested about 301234 tokens (300000 of text input, 1234 of tool input). Please reduce the length of either one, or use the \"middle-out\" transform to compress your prompt automatically.","code":400,"metadata":{"provider_name":null}}})",
     context_window, 262144},
    {"OpenRouterCredit", 402,
     R"({"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 6666.","code":402}})",
     out_of_credit, 0, "credits"},
    {"OpenRouterKey", 401, R"({"error":{"message":"No auth credentials found","code":401}})", authentication},
    {"OpenRouterKeyLimit", 403,
     R"({"error":{"message":"Key limit exceeded. Manage it using https://openrouter.ai/settings/keys","code":403}})",
     out_of_credit},
    {"OpenRouterModeration", 403,
     R"({"error":{"message":"anthropic/claude requires moderation on OpenRouter. Your input was flagged for \"violence\". No credits were charged.","code":403,"metadata":{"reasons":["violence"],"flagged_input":"…","provider_name":"Anthropic"}}})",
     content_refused, 0, "flagged"},
    {"OpenRouterModelId", 400,
     R"({"error":{"message":"moonshotai/kimi-k9 is not a valid model ID","code":400},"user_id":"u"})", no_such_model, 0,
     "kimi-k9"},
    {"OpenRouterNoEndpoint", 404,
     R"({"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}})",
     no_such_model, 0, "tool use"},
    {"OpenRouterProviderRate", 429,
     R"({"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"moonshotai/kimi-k2-0905 is temporarily rate-limited upstream. Please retry shortly, or add your own key","provider_name":"Chutes"}}})",
     rate_limit, 0, "Chutes: moonshotai"},
    {"OpenRouterProviderContext", 400,
     R"({"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"object\":\"error\",\"message\":\"This model's maximum context length is 131072 tokens. However, you requested 140000 tokens.\"}","provider_name":"DeepInfra"}}})",
     context_window, 131072, "DeepInfra"},
    {"OpenRouterProviderDown", 502, R"({"error":{"message":"Provider returned error","code":502}})", server},
    // DeepSeek: api-docs.deepseek.com/quick_start/error_codes
    {"DeepSeekBalance", 402,
     R"({"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}})",
     out_of_credit},
    {"DeepSeekModel", 400,
     R"({"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}})",
     no_such_model},
    {"DeepSeekRisk", 400,
     R"({"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}})",
     content_refused},
    {"DeepSeekKey", 401,
     R"({"error":{"message":"Authentication Fails, Your api key: ****1234 is invalid","type":"authentication_error","param":null,"code":"invalid_request_error"}})",
     authentication},
    {"DeepSeekContext", 400,
     R"({"error":{"message":"This model's maximum context length is 131072 tokens. However, you requested 136331 tokens (128139 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}})",
     context_window, 131072},
    {"DeepSeekFormat", 422,
     R"({"error":{"message":"Failed to deserialize the JSON body into the target type: messages[0]: missing field `content`","type":"invalid_request_error","param":null,"code":"invalid_request_error"}})",
     bad_request},
    // vLLM
    {"VllmContext", 400,
     R"({"object":"error","message":"This model's maximum context length is 6048 tokens. However, you requested 6616 tokens (568 in the messages, 6048 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400})",
     context_window, 6048},
    {"VllmContextNoRoom", 400,
     R"({"object":"error","message":"max_tokens must be at least 1, got -186.","type":"BadRequestError","param":null,"code":400})",
     context_window},
    {"VllmContextOfThePromptAlone", 400,
     R"({"error":{"message":"The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.","type":"BadRequestError","param":null,"code":400}})",
     context_window, 4096},
    {"VllmContextNewerWords", 400,
     R"({"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 32768 tokens and your request has 30001 input tokens (8192 > 32768 - 30001).","type":"BadRequestError","param":null,"code":400}})",
     context_window, 32768},
    {"VllmModel", 404,
     R"({"object":"error","message":"The model `qwen` does not exist.","type":"NotFoundError","param":null,"code":404})",
     no_such_model, 0, "qwen"},
    {"VllmToolsNotEnabled", 400,
     R"({"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400})",
     bad_request, 0, "--enable-auto-tool-choice"},
    {"VllmKey", 401, R"({"error":"Unauthorized"})", authentication, 0, "Unauthorized"},
    // Ollama
    {"OllamaModel", 404,
     R"({"error":{"message":"model \"qwen9\" not found, try pulling it first","type":"api_error","param":null,"code":null}})",
     no_such_model, 0, "pulling"},
    {"OllamaNoTools", 400,
     R"({"error":{"message":"registry.ollama.ai/library/gemma:latest does not support tools","type":"api_error","param":null,"code":null}})",
     bad_request, 0, "does not support tools"},
    {"OllamaOldForm", 404, R"({"error":"model 'qwen9' not found"})", no_such_model},
    // llama.cpp
    {"LlamaCppContext", 400,
     R"({"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}})",
     context_window, 4096},
    {"LlamaCppContextNewerWords", 400,
     R"({"error":{"code":400,"message":"request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}})",
     context_window, 4096},
    {"LlamaCppLoading", 503, R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})", server,
     0, "Loading model"},
    {"LlamaCppKey", 401, R"({"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}})",
     authentication},
    // LiteLLM's proxy
    {"LiteLlmKey", 401,
     R"({"error":{"message":"Authentication Error, Invalid proxy server token passed. Received API Key = sk-...1234","type":"token_not_found_in_db","param":"key","code":"401"}})",
     authentication},
    {"LiteLlmBudget", 400,
     R"({"error":{"message":"Budget has been exceeded! Current cost: 10.1, Max budget: 10.0","type":"budget_exceeded","param":null,"code":"400"}})",
     out_of_credit},
    {"LiteLlmModel", 400,
     R"({"error":{"message":"/chat/completions: Invalid model name passed in model=gpt9. Call `/v1/models` to view available models for your key.","type":"None","param":"None","code":"400"}})",
     no_such_model},
    {"LiteLlmContext", 400,
     R"({"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: AnthropicException - prompt is too long: 208310 tokens > 200000 maximum. Received Model Group=claude","type":null,"param":null,"code":"400"}})",
     context_window, 200000},
    {"LiteLlmUnsupportedParameter", 400,
     R"({"error":{"message":"litellm.UnsupportedParamsError: groq does not support parameters: ['reasoning_effort'], for model=x. To drop these, set `litellm.drop_params=True`","type":"None","param":null,"code":"400"}})",
     bad_request, 0, "", -1, "reasoning_effort"},
    // Anthropic: docs.anthropic.com/en/api/errors
    {"AnthropicContext", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"},"request_id":"req_1"})",
     context_window, 200000},
    {"AnthropicContextWithOutput", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000, decrease input length or `max_tokens` and try again"}})",
     context_window, 200000},
    {"AnthropicCredit", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}})",
     out_of_credit},
    {"AnthropicKey", 401, R"({"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}})",
     authentication},
    {"AnthropicRate", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 40,000 input tokens per minute."}})",
     rate_limit},
    {"AnthropicOverloaded", 529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})",
     server},
    {"AnthropicModel", 404, R"({"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}})",
     no_such_model},
    {"AnthropicBothSamplings", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"`temperature` and `top_p` cannot both be specified for this model. Please use only one."}})",
     bad_request, 0, "", -1, "top_p"},
    {"AnthropicFilter", 400,
     R"({"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}})",
     content_refused},
    // Gemini: ai.google.dev/gemini-api/docs/troubleshooting
    {"GeminiKey", 400,
     R"([{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}])",
     authentication},
    {"GeminiRate", 429,
     R"([{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: generate_content_free_tier_requests, limit: 10. Please retry in 17.4s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}])",
     rate_limit, 0, "", 17.4},
    {"GeminiContext", 400,
     R"([{"error":{"code":400,"message":"The input token count (1195853) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}])",
     context_window, 1048576},
    {"GeminiModel", 404,
     R"([{"error":{"code":404,"message":"models/gemini-9 is not found for API version v1main, or is not supported for generateContent.","status":"NOT_FOUND"}}])",
     no_such_model},
    {"GeminiOverloaded", 503,
     R"([{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}])",
     server},
    // Azure: learn.microsoft.com/azure/ai-services/openai
    {"AzureFilter", 400,
     R"({"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}})", content_refused},
    {"AzureDeployment", 404,
     R"({"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}})",
     no_such_model},
    {"AzureKey", 401,
     R"({"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}})",
     authentication},
    {"AzureRate", 429,
     R"({"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded the token rate limit. Please retry after 26 seconds."}})",
     rate_limit, 0, "", 26},
    {"AzureGateway", 404, R"({"statusCode":404,"message":"Resource not found"})", no_such_model},
    // Mistral, Groq, xAI, Together, Fireworks, Cerebras, Moonshot, Alibaba, GitHub
    {"MistralContext", 400,
     R"({"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"})",
     context_window, 32768},
    {"MistralRate", 429, R"({"message":"Requests rate limit exceeded"})", rate_limit},
    {"MistralExtra", 422,
     R"({"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{}}]},"type":"invalid_request_error","param":null,"code":null})",
     bad_request, 0, "stream_options", -1, "stream_options"},
    {"MistralModel", 400,
     R"({"object":"error","message":"Invalid model: mistral-x","type":"invalid_model","param":null,"code":"1500"})",
     no_such_model},
    {"GroqToolUse", 400,
     R"({"error":{"message":"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=x>"}})",
     malformed},
    {"GroqTooLarge", 413,
     R"({"error":{"message":"Request too large for model `x` in organization `org` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 8000, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}})",
     context_window, 6000},
    {"GroqDecommissioned", 400,
     R"({"error":{"message":"The model `mixtral-8x7b-32768` has been decommissioned and is no longer supported.","type":"invalid_request_error","code":"model_decommissioned"}})",
     no_such_model},
    {"XaiKey", 400,
     R"({"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***12. You can obtain an API key from https://console.x.ai."})",
     authentication},
    {"XaiContext", 400,
     R"({"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."})",
     context_window, 131072},
    {"TogetherContext", 422,
     R"({"error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 0 `max_new_tokens`","type":"invalid_request_error","param":null,"code":null}})",
     context_window, 8193},
    {"FireworksContext", 400,
     R"({"error":{"object":"error","type":"invalid_request_error","message":"The prompt is too long: 140000, model maximum context length: 131071"}})",
     context_window, 131071},
    {"CerebrasContext", 400,
     R"({"message":"Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"})",
     context_window, 8192},
    {"MoonshotContext", 400,
     R"({"error":{"message":"Invalid request: Your request exceeded model token limit: 262144","type":"invalid_request_error"}})",
     context_window, 262144},
    {"MoonshotSuspended", 429,
     R"({"error":{"message":"Your account org-x is not active, current state: suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}})",
     out_of_credit},
    {"AlibabaContext", 400,
     R"({"error":{"code":"invalid_parameter_error","message":"Range of input length should be [1, 129024]","type":"invalid_request_error"}})",
     context_window, 129024},
    {"AlibabaInspection", 400,
     R"({"error":{"code":"data_inspection_failed","message":"Input data may contain inappropriate content.","type":"data_inspection_failed"}})",
     content_refused},
    {"AlibabaOverdue", 400,
     R"({"error":{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing.","type":"Arrearage"}})",
     out_of_credit},
    {"GitHubContext", 413,
     R"({"error":{"code":"tokens_limit_reached","message":"Request body too large for gpt-4o model. Max size: 8000 tokens.","details":null}})",
     context_window, 8000},
    // Gateways and what is no chat completions API
    {"FastApi", 422, R"({"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]})",
     bad_request, 0, "body.messages: field required"},
    {"FastApiNotFound", 404, R"({"detail":"Not Found"})", no_such_model, 0, "Not Found"},
    {"NginxNotFound", 404,
     "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><center><h1>404 Not "
     "Found</h1></center></body></html>",
     no_such_model, 0, "no chat completions API at this address; 404 Not Found"},
    {"NginxBadGateway", 502, "<html>\r\n<head><title>502 Bad Gateway</title></head></html>", server, 0,
     "502 Bad Gateway"},
    {"NginxTooLarge", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>", bad_request, 0,
     "413 Request Entity Too Large"},
    {"CloudflareTimeout", 524, "error code: 524", server, 0, "524"},
    {"RequestTimeout", 408, R"({"error":{"message":"Request timed out"}})", server},
    {"NotUtf8", 400, "bad \xff\xfe bytes", bad_request, 0, "bad"},
};

INSTANTIATE_TEST_SUITE_P(Answers, RefusalTest, ::testing::ValuesIn(refusals),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Refusal, AnEmptyBodyIsTold) {
  const auto failure = failure_of_answer(500, {}, "");
  EXPECT_EQ(failure.kind, server);
  EXPECT_EQ(failure_of_answer(429, {}, "").kind, rate_limit);
  EXPECT_EQ(failure_of_answer(401, {}, "").kind, authentication);
}

TEST(Refusal, ARedirectNamesWhereItLeads) {
  const auto failure = failure_of_answer(308, {{"location", "https://elsewhere/v1"}}, "");
  EXPECT_EQ(failure.kind, bad_request);
  EXPECT_THAT(failure.words, HasSubstr("https://elsewhere/v1"));
}

TEST(Refusal, WordsAreBounded) {
  EXPECT_LT(failure_of_answer(500, {}, std::string(1'000'000, 'x')).words.size(), 1000U);
}

TEST(Refusal, InBandErrorsAreToldApartByCodeAndType) {
  const auto in_band = [](const char* text) { return failure_in_band(*parse_json(text, "a test"), {}); };
  EXPECT_EQ(in_band(R"({"code":429,"message":"Rate limit exceeded: free-models-per-min."})").kind, rate_limit);
  EXPECT_EQ(in_band(R"({"code":502,"message":"Provider returned error"})").kind, server);
  EXPECT_EQ(in_band(R"({"code":"server_error","message":"Provider disconnected"})").kind, server);
  EXPECT_EQ(in_band(R"({"message":"Internal Server Error","code":500})").kind, server);
  EXPECT_EQ(in_band(R"({"type":"overloaded_error","message":"Overloaded"})").kind, server);
  EXPECT_EQ(in_band(R"({"type":"invalid_request_error","message":"bad"})").kind, bad_request);
  EXPECT_EQ(in_band(R"({"code":402,"message":"Insufficient credits"})").kind, out_of_credit);
  EXPECT_EQ(
      in_band(R"({"code":"context_length_exceeded","message":"This model's maximum context length is 4096 tokens."})")
          .context_limit,
      4096);
  EXPECT_EQ(in_band(R"("something went wrong")").kind, server);
  EXPECT_EQ(in_band(R"({"type":"authentication_error","message":"no"})").kind, authentication);
}

TEST(Refusal, RecordedTextsAreToldApart) {
  REQUIRE_SHARED_DATA("llm_api/error_texts.jsonl");
  int seen = 0;
  const std::string file = testing::read_text(testing::shared_data("llm_api/error_texts.jsonl"));
  for (const auto line : split_lines(file)) {
    const auto row = *parse_json(line, "error_texts.jsonl");
    const auto failure = failure_of_answer(static_cast<int>(*get_int(row, "status")), {}, *get_string(row, "text"));
    const bool context = string_or(row, "kind", "") == "context_length";
    EXPECT_EQ(failure.kind, context ? context_window : rate_limit) << line;
    if (const auto limit = get_int(row, "limit")) {
      EXPECT_EQ(failure.context_limit, *limit) << line;
    }
    if (const auto wait = get_number(row, "retry_in_s")) {
      ASSERT_TRUE(failure.retry_after) << line;
      EXPECT_DOUBLE_EQ(failure.retry_after->count(), *wait) << line;
    }
    ++seen;
  }
  EXPECT_EQ(seen, 10);
}

}  // namespace
}  // namespace awm
