// An Llm against a real HTTP server: what is sent, what is read, what is tried again.
#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>
#include <random>

#include "base/text.h"
#include "llm/chat.h"
#include "llm/registry.h"
#include "llm/shared.h"
#include "os/log.h"
#include "os/sys.h"
#include "os/thread.h"
#include "support.h"

namespace awm::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr const char* secret = "sk-test-0123456789abcdef";

std::string refusal(std::string_view message, std::string_view type = "", std::string_view code = "") {
  return dump_json(Json{{"error", {{"message", message}, {"type", type}, {"code", code}}}});
}

std::string delta(std::string_view members, std::string_view finish = "null") {
  return R"({"id":"s1","object":"chat.completion.chunk","created":7,"model":"served","choices":[{"index":0,"delta":{)" +
         std::string(members) + R"(},"finish_reason":)" + std::string(finish) + "}]}";
}

class ClientTest : public LlmTest {};

TEST(JsonString, HoldsAnyBytes) {
  std::minstd_rand random(1);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const std::size_t size = random() % 40;
    const bool plain = round % 2 == 0;
    while (text.size() < size) text += static_cast<char>(plain ? ' ' + random() % 95 : random() % 256);
    if (plain && !text.empty()) text[random() % text.size()] = "\"\\\n\t\x01\x1F\x7F/"[random() % 8];
    std::string json = "x";
    append_json_string(json, text);
    const auto back = parse_json(std::string_view(json).substr(1), "a string");
    ASSERT_TRUE(back) << json << back.error();
    ASSERT_EQ(back->get<std::string>(), to_valid_utf8(text));
  }
}

TEST_F(ClientTest, AnswersWithTextUsageAndWhatTheServerSaid) {
  server_.then(json_response(chat_answer("hi there")));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "hi there");
  EXPECT_EQ(answer->message.role, Role::assistant);
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_EQ(answer->id, "chatcmpl-1");
  EXPECT_EQ(answer->model, "served");
  EXPECT_TRUE(answer->usage.reported);
  EXPECT_EQ(answer->usage.prompt_tokens, 10);
  EXPECT_EQ(answer->usage.completion_tokens, 5);
  EXPECT_EQ(answer->attempts, 1);
  EXPECT_FALSE(answer->cost_known);
  EXPECT_EQ(answer->raw, chat_answer("hi there"));
}

TEST_F(ClientTest, SendsTheConversationItsToolsAndTheParameters) {
  server_.then(json_response(chat_answer("ok")));
  config_.api_keys = {secret};
  config_.temperature = 0.5;
  config_.top_p = 0.9;
  config_.top_k = 40;
  config_.seed = 7;
  config_.max_output_tokens = 100;
  config_.reasoning_effort = "low";
  config_.completion_kwargs =
      R"({"stop":["END"],"temperature":0.25,"extra_body":{"chat_template_kwargs":{"thinking":true}},"extra_headers":{"X-Mine":"1"}})";
  const auto model = llm();
  const std::vector<Message> messages{
      {.role = Role::system, .content = "be \"brief\"\n\x01"},
      {.role = Role::user, .content = "caf\xC3\xA9 \xFF"},
      {.role = Role::assistant,
       .content = "",
       .tool_calls = {{"c1", "bash", R"({"command":"ls"})"}, {"c2", "bash", R"({"command": "l)"}, {"c3", "bash", ""}},
       .reasoning = "hm"},
      {.role = Role::tool, .content = "out", .tool_call_id = "c1", .tool_name = "bash"},
      {.role = Role::assistant, .content = "done"}};
  const std::vector<ToolSpec> tools{
      {"bash", "Runs a command.", R"({"type":"object","properties":{"command":{"type":"string"}}})"}};
  ASSERT_TRUE(ask(*model, messages, tools));
  const Json expected = *parse_json(
      R"({"model":"served","messages":[
        {"role":"system","content":"be \"brief\"\n\u0001"},
        {"role":"user","content":"café �"},
        {"role":"assistant","content":null,"tool_calls":[
          {"id":"c1","type":"function","function":{"name":"bash","arguments":"{\"command\":\"ls\"}"}},
          {"id":"c2","type":"function","function":{"name":"bash","arguments":"{\"malformed_arguments\":\"{\\\"command\\\": \\\"l\"}"}},
          {"id":"c3","type":"function","function":{"name":"bash","arguments":"{}"}}]},
        {"role":"tool","content":"out","tool_call_id":"c1"},
        {"role":"assistant","content":"done"}],
       "tools":[{"type":"function","function":{"name":"bash","description":"Runs a command.","parameters":{"type":"object","properties":{"command":{"type":"string"}}}}}],
       "temperature":0.25,"top_p":0.9,"top_k":40.0,"seed":7,"reasoning_effort":"low","max_tokens":100,"stop":["END"],"chat_template_kwargs":{"thinking":true}})",
      "expected");
  EXPECT_EQ(dump_json(server_.body(), 1), dump_json(expected, 1));
  const auto request = server_.requests().front();
  EXPECT_EQ(request.path, "/v1/chat/completions");
  EXPECT_EQ(request.header("authorization"), "Bearer " + std::string(secret));
  EXPECT_EQ(request.header("content-type"), "application/json");
  EXPECT_EQ(request.header("x-mine"), "1");
  EXPECT_EQ(request.header("x-awm-purpose"), "agent");
}

TEST_F(ClientTest, WhatIsNotSetIsNotSent) {
  server_.then(json_response(chat_answer("ok")));
  ASSERT_TRUE(ask());
  std::vector<std::string> keys;
  const Json body = server_.body();
  for (const auto& [key, value] : body.items()) keys.push_back(key);
  EXPECT_THAT(keys, ::testing::UnorderedElementsAre("model", "messages", "temperature", "top_p"));
}

TEST_F(ClientTest, ToolOutputsThatAreTooLongAreCutInTheMiddle) {
  server_.then(json_response(chat_answer("ok")));
  config_.max_message_chars = 100;
  const auto model = llm();
  ASSERT_TRUE(ask(
      *model, {{.role = Role::user, .content = std::string(1000, 'u')},
               {.role = Role::tool, .content = std::string(500, 'a') + std::string(500, 'b'), .tool_call_id = "1"}}));
  const auto sent = server_.body().at("messages");
  EXPECT_EQ(sent[0]["content"].get<std::string>().size(), 1000U);
  const auto cut = sent[1]["content"].get<std::string>();
  EXPECT_THAT(cut, AllOf(::testing::StartsWith(std::string(50, 'a') + "\n[..."),
                         ::testing::EndsWith("...]\n" + std::string(50, 'b'))));
}

TEST_F(ClientTest, ReadsToolCallsReasoningAndWhatGoesBackUnchanged) {
  server_.then(json_response(
      R"({"id":"x","model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"reasoning":"thought",
       "reasoning_details":[{"type":"reasoning.encrypted","data":"abc"}],
       "tool_calls":[{"id":"c1","type":"function","function":{"name":"bash","arguments":"{\"command\":\"ls\"}"},"extra_content":{"google":{"thought_signature":"sig"}}},
                     {"type":"function","function":{"name":"think","arguments":{"thought":"x"}}}]}}],
       "usage":{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":12},"cost":0.0125}})"));
  const auto model = llm();
  const auto answer = ask(*model, {{.content = "go"}});
  ASSERT_TRUE(answer) << answer.error().error;
  const auto& calls = answer->message.tool_calls;
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0].id, "c1");
  EXPECT_EQ(calls[0].arguments, R"({"command":"ls"})");
  EXPECT_EQ(calls[1].arguments, R"({"thought":"x"})");
  EXPECT_THAT(calls[1].id, ::testing::StartsWith("call_"));
  EXPECT_EQ(answer->message.reasoning, "thought");
  EXPECT_EQ(answer->usage.cached_tokens, 64);
  EXPECT_EQ(answer->usage.reasoning_tokens, 12);
  EXPECT_TRUE(answer->cost_known);
  EXPECT_DOUBLE_EQ(answer->cost, 0.0125);

  ASSERT_TRUE(ask(*model, {{.content = "go"}, answer->message}));
  const Json back = server_.body(1).at("messages")[1];
  EXPECT_EQ(back.at("reasoning_details"), Json::array({Json{{"type", "reasoning.encrypted"}, {"data", "abc"}}}));
  EXPECT_EQ(back.at("tool_calls")[0].at("extra_content").at("google").at("thought_signature"), "sig");
  EXPECT_FALSE(back.at("tool_calls")[1].contains("extra_content"));
  EXPECT_FALSE(back.contains("reasoning_content"));
  EXPECT_FALSE(back.contains("tool_call_fields"));
  // The same answer names its nameless call the same.
  EXPECT_EQ(back.at("tool_calls")[1].at("id"), calls[1].id);
}

// --- streams

TEST_F(ClientTest, AStreamIsPutTogether) {
  config_.stream = true;
  server_.then(sse_response(
      {delta(R"("role":"assistant","content":"")"), delta(R"("reasoning_content":"th")"),
       delta(R"("reasoning_content":"ink")"), delta(R"("content":"Let me ")"), delta(R"("content":"look.")"),
       delta(R"("tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"bash","arguments":""}}])"),
       delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"comm"}}])"),
       delta(R"("tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"think","arguments":"{}"}}])"),
       delta(R"("tool_calls":[{"index":0,"function":{"arguments":"and\":1}"}}])"), delta("", "\"tool_calls\""),
       R"({"id":"s1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}})", "[DONE]"}));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "Let me look.");
  EXPECT_EQ(answer->message.reasoning, "think");
  ASSERT_EQ(answer->message.tool_calls.size(), 2U);
  EXPECT_EQ(answer->message.tool_calls[0].arguments, R"({"command":1})");
  EXPECT_EQ(answer->message.tool_calls[1].name, "think");
  EXPECT_EQ(answer->finish_reason, "tool_calls");
  EXPECT_EQ(answer->usage.prompt_tokens, 3);
  EXPECT_EQ(answer->id, "s1");
  const Json raw = *parse_json(answer->raw, "raw");
  EXPECT_EQ(raw.at("object"), "chat.completion");
  EXPECT_EQ(raw.at("choices")[0].at("message").at("tool_calls")[0].at("function").at("arguments"), R"({"command":1})");
  const Json sent = server_.body();
  EXPECT_EQ(sent.at("stream"), true);
  EXPECT_EQ(sent.at("stream_options"), (Json{{"include_usage", true}}));
}

TEST_F(ClientTest, CallsThatAStreamNumbersBadlyAreToldApart) {
  config_.stream = true;
  server_.then(sse_response({delta(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{}"}}])"),
                             delta(R"("tool_calls":[{"index":0,"id":"b","function":{"name":"two","arguments":"{}"}}])"),
                             delta("", "\"tool_calls\""), "[DONE]"}));
  server_.then(sse_response({delta(R"("tool_calls":[{"id":"a","function":{"name":"one","arguments":"{"}}])"),
                             delta(R"("tool_calls":[{"function":{"arguments":"}"}}])"),
                             delta(R"("tool_calls":[{"id":"b","function":{"name":"two","arguments":"{}"}}])"),
                             delta("", "\"tool_calls\""), "[DONE]"}));
  const auto model = llm();
  for (int i = 0; i < 2; ++i) {
    const auto answer = ask(*model, {{.content = "x"}});
    ASSERT_TRUE(answer) << answer.error().error;
    ASSERT_EQ(answer->message.tool_calls.size(), 2U) << i;
    EXPECT_EQ(answer->message.tool_calls[0].arguments, "{}");
    EXPECT_EQ(answer->message.tool_calls[1].name, "two");
  }
}

TEST_F(ClientTest, ReasoningDetailsOfAStreamGoTogether) {
  config_.stream = true;
  server_.then(
      sse_response({delta(R"("reasoning_details":[{"type":"reasoning.text","index":0,"text":"a"}])"),
                    delta(R"("reasoning_details":[{"type":"reasoning.text","index":0,"text":"b","signature":"s"}])"),
                    delta(R"("content":"x")", "\"stop\""), "[DONE]"}));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.provider_fields,
            R"({"reasoning_details":[{"type":"reasoning.text","index":0,"text":"ab","signature":"s"}]})");
}

TEST_F(ClientTest, AServerThatDoesNotStreamIsReadAllTheSame) {
  config_.stream = true;
  server_.then(json_response(chat_answer("whole")));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "whole");
}

TEST_F(ClientTest, AServerThatStreamsUnaskedIsReadAllTheSame) {
  server_.then(sse_response({delta(R"("content":"piece")", "\"stop\""), "[DONE]"}));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "piece");
}

TEST_F(ClientTest, AWholeStreamWhoseConnectionBreaksAtTheEndIsTaken) {
  config_.stream = true;
  server_.then(sse_response({delta(R"("content":"all of it")", "\"stop\""), "[DONE]"}, false));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "all of it");
  EXPECT_EQ(server_.posts(), 1U);
}

// --- failures and retries

struct FailureCase {
  const char* name;
  HttpdResponse response;
  bool stream;
  LlmFailure kind;
  Errc code;
  std::size_t tries;
  const char* words;
};

HttpdResponse cut(HttpdResponse response, std::size_t after) {
  response.cut_after = after;
  return response;
}

HttpdResponse hung_up(bool reset) {
  HttpdResponse response;
  response.hang_up = true;
  response.reset = reset;
  return response;
}

HttpdResponse plain(std::string body, std::string type = "text/html") {
  HttpdResponse response;
  response.content_type = std::move(type);
  response.body = std::move(body);
  return response;
}

class FailureTest : public LlmTest, public ::testing::WithParamInterface<FailureCase> {};

TEST_P(FailureTest, ForeverIsATypedFailure) {
  const auto& c = GetParam();
  server_.then(c.response);
  config_.stream = c.stream;
  config_.api_keys = {secret};
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(to_string(answer.error().kind), to_string(c.kind)) << answer.error().error;
  EXPECT_EQ(answer.error().error.code, c.code);
  EXPECT_EQ(server_.posts(), c.tries);
  EXPECT_EQ(static_cast<std::size_t>(answer.error().attempts), c.tries);
  EXPECT_THAT(answer.error().error.message(),
              AllOf(HasSubstr(c.words), HasSubstr("openai/served at " + server_.url()), Not(HasSubstr(secret))));
}

TEST_P(FailureTest, OnceIsForgottenWhereAnotherTryHelps) {
  const auto& c = GetParam();
  server_.then(c.response);
  server_.then(c.stream ? sse_response({delta(R"("content":"well")", "\"stop\""), "[DONE]"})
                        : json_response(chat_answer("well")));
  config_.stream = c.stream;
  const auto one = llm();
  const auto answer = ask(*one, {{.content = "x"}});
  if (c.tries == 1) {
    EXPECT_FALSE(answer);
    return;
  }
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "well");
  EXPECT_EQ(answer->attempts, 2);
  EXPECT_EQ(one->totals().retries, 1);
  EXPECT_EQ(one->totals().calls, 1);
}

const FailureCase failure_cases[] = {
    {"RateLimit",
     json_response(refusal("Rate limit reached", "requests", "rate_limit_exceeded"), 429, {{"Retry-After", "0"}}),
     false, LlmFailure::rate_limit, Errc::exhausted, 3, "rate limit is reached"},
    {"Quota",
     json_response(refusal("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), 429), false,
     LlmFailure::out_of_credit, Errc::exhausted, 1, "quota"},
    {"Payment", json_response(refusal("Insufficient credits"), 402), false, LlmFailure::out_of_credit, Errc::exhausted,
     1, "Insufficient credits"},
    {"WrongKey",
     json_response(refusal("Incorrect API key provided: sk-test-0123456789abcdef.", "", "invalid_api_key"), 401), false,
     LlmFailure::authentication, Errc::permission, 1, "check the key of api_key of [llm]"},
    {"Forbidden", json_response(refusal("not for you"), 403), false, LlmFailure::authentication, Errc::permission, 1,
     "HTTP 403"},
    {"NoSuchModel", json_response(refusal("The model `served` does not exist", "", "model_not_found"), 404), false,
     LlmFailure::no_such_model, Errc::not_found, 1, "does not exist"},
    {"BadRequest", json_response(refusal("messages: too strange"), 400), false, LlmFailure::bad_request,
     Errc::invalid_input, 1, "too strange"},
    {"Context",
     json_response(refusal("This model's maximum context length is 4096 tokens.", "", "context_length_exceeded"), 400),
     false, LlmFailure::context_window, Errc::exhausted, 1, "4096"},
    {"Refused", json_response(refusal("rejected by our safety system", "", "content_policy_violation"), 400), false,
     LlmFailure::content_refused, Errc::permission, 1, "safety system"},
    {"ServerError", json_response(refusal("boom", "server_error"), 500), false, LlmFailure::server, Errc::unavailable,
     3, "HTTP 500"},
    {"Overloaded", json_response(refusal("Overloaded", "overloaded_error"), 529), false, LlmFailure::server,
     Errc::unavailable, 3, "Overloaded"},
    {"Gateway", json_response("<html><h1>504 Gateway Time-out</h1></html>", 504), false, LlmFailure::server,
     Errc::unavailable, 3, "504 Gateway Time-out"},
    {"HungUp", hung_up(false), false, LlmFailure::network, Errc::unavailable, 3, "after 3 tries"},
    {"Reset", hung_up(true), false, LlmFailure::network, Errc::unavailable, 3, "after 3 tries"},
    {"HalfAnAnswer", cut(json_response(chat_answer("lost")), 40), false, LlmFailure::network, Errc::unavailable, 3,
     "no answer came"},
    {"CutJson", json_response(chat_answer("lost").substr(0, 100)), false, LlmFailure::malformed, Errc::protocol, 3,
     "not JSON"},
    {"Html", plain("<html>It works!</html>"), false, LlmFailure::malformed, Errc::protocol, 3, "It works!"},
    {"NotUtf8", plain("\xFF\xFE garbage", "application/json"), false, LlmFailure::malformed, Errc::protocol, 3,
     "not JSON"},
    {"Empty", plain("", "application/json"), false, LlmFailure::malformed, Errc::protocol, 3, "empty"},
    {"Whitespace", plain("  \n \n", "application/json"), false, LlmFailure::malformed, Errc::protocol, 3, "empty"},
    {"NoObject", json_response("[1,2]"), false, LlmFailure::malformed, Errc::protocol, 3, "no JSON object"},
    {"NoChoice", json_response(R"({"id":"x","choices":[]})"), false, LlmFailure::malformed, Errc::protocol, 3,
     "no choice"},
    {"ChoicesOfAnotherType", json_response(R"({"id":"x","choices":{"a":1}})"), false, LlmFailure::malformed,
     Errc::protocol, 3, "no choice"},
    {"NoMessage", json_response(R"({"choices":[{"finish_reason":"stop"}]})"), false, LlmFailure::malformed,
     Errc::protocol, 3, "no message"},
    {"CallsOfAnotherType", json_response(R"({"choices":[{"message":{"tool_calls":"ls"}}]})"), false,
     LlmFailure::malformed, Errc::protocol, 3, "tool_calls"},
    {"CallWithoutFunction", json_response(R"({"choices":[{"message":{"tool_calls":[{"id":"1"}]}}]})"), false,
     LlmFailure::malformed, Errc::protocol, 3, "names no function"},
    {"InBandRate", json_response(R"({"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min"}})"),
     false, LlmFailure::rate_limit, Errc::exhausted, 3, "free-models"},
    {"InBandProvider",
     json_response(
         R"({"id":"x","choices":[{"finish_reason":"error","message":{"content":""},"error":{"code":502,"message":"Upstream gone"}}]})"),
     false, LlmFailure::server, Errc::unavailable, 3, "Upstream gone"},
    {"InBandCredit", json_response(R"({"error":{"code":402,"message":"Insufficient credits"}})"), false,
     LlmFailure::out_of_credit, Errc::exhausted, 1, "Insufficient"},
    {"FilteredAnswer", json_response(R"({"choices":[{"finish_reason":"content_filter","message":{"content":null}}]})"),
     false, LlmFailure::content_refused, Errc::permission, 1, "filter"},
    {"Redirect", json_response("", 301, {{"Location", "https://elsewhere.example/v1/chat/completions"}}), false,
     LlmFailure::bad_request, Errc::invalid_input, 1, "elsewhere.example"},
    {"StreamRefused", json_response(refusal("boom"), 500), true, LlmFailure::server, Errc::unavailable, 3, "boom"},
    {"StreamBroken", sse_response({delta(R"("content":"ha")")}, false), true, LlmFailure::network, Errc::unavailable, 3,
     "no answer came"},
    {"HalfAStream", sse_response({delta(R"("content":"ha")")}), true, LlmFailure::malformed, Errc::protocol, 3,
     "before the answer was complete"},
    {"EmptyStream", sse_response({}), true, LlmFailure::malformed, Errc::protocol, 3, "empty"},
    {"StreamGarbage", sse_response({"{\"choices\":[{", "x"}), true, LlmFailure::malformed, Errc::protocol, 3,
     "not JSON"},
    {"StreamHtml", plain("<html>It works!</html>"), true, LlmFailure::malformed, Errc::protocol, 3, "It works!"},
    {"StreamInBandError",
     sse_response(
         {delta(R"("content":"ha")"),
          R"({"id":"s","error":{"code":"server_error","message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]})"}),
     true, LlmFailure::server, Errc::unavailable, 3, "Provider disconnected"},
};

INSTANTIATE_TEST_SUITE_P(Answers, FailureTest, ::testing::ValuesIn(failure_cases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_F(ClientTest, ContextWindowSaysTheLimit) {
  server_.then(json_response(
      refusal("This model's maximum context length is 4096 tokens.", "", "context_length_exceeded"), 400));
  EXPECT_EQ(ask().error().context_limit, 4096);
}

TEST_F(ClientTest, ATimeoutIsANetworkFailure) {
  config_.timeout = 1;
  config_.num_retries = 1;
  server_.then_do([](const HttpdRequest&) {
    HttpdResponse response;
    response.stream = [](HttpdStream& out) {
      while (out.pause(1h)) {
      }
      return false;
    };
    return response;
  });
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, LlmFailure::network);
  EXPECT_THAT(answer.error().error.message(), HasSubstr("within the time allowed"));
}

TEST_F(ClientTest, NumRetriesCountsTries) {
  server_.then(json_response(refusal("boom"), 500));
  for (const int tries : {1, 2, 5}) {
    const auto before = server_.posts();
    config_.num_retries = tries;
    EXPECT_FALSE(ask());
    EXPECT_EQ(server_.posts() - before, static_cast<std::size_t>(tries));
  }
}

TEST_F(ClientTest, AServerThatIsNotThereIsNamed) {
  const std::string url = server_.url();
  server_.server().close();
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, LlmFailure::network);
  EXPECT_THAT(answer.error().error.message(),
              AllOf(HasSubstr(url), HasSubstr("check that the server runs there"), HasSubstr("after 3 tries")));
}

TEST_F(ClientTest, ParametersThatAModelRefusesAreLeftOutFromThenOn) {
  server_.then(json_response(
      R"({"error":{"message":"Unsupported value: 'temperature' does not support 0.0 with this model.","param":"temperature","code":"unsupported_value"}})",
      400));
  server_.then(json_response(
      R"({"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}})",
      400));
  server_.then(json_response(chat_answer("ok")));
  config_.max_output_tokens = 50;
  config_.num_retries = 1;
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->attempts, 1);
  EXPECT_TRUE(server_.body(0).contains("temperature"));
  EXPECT_FALSE(server_.body(1).contains("temperature"));
  EXPECT_TRUE(server_.body(1).contains("max_tokens"));
  EXPECT_FALSE(server_.body(2).contains("max_tokens"));
  EXPECT_EQ(server_.body(2).at("max_completion_tokens"), 50);
  // Another Llm of the same configuration knows it too.
  ASSERT_TRUE(ask());
  EXPECT_EQ(server_.posts(), 4U);
  EXPECT_FALSE(server_.body(3).contains("temperature"));
}

TEST_F(ClientTest, WithoutDropParamsARefusedParameterIsAFailure) {
  server_.then(json_response(
      R"({"error":{"message":"Unsupported parameter: 'top_p'","param":"top_p","code":"unsupported_parameter"}})", 400));
  config_.drop_params = false;
  EXPECT_EQ(ask().error().kind, LlmFailure::bad_request);
  EXPECT_EQ(server_.posts(), 1U);
}

// --- an answer with nothing in it

TEST_F(ClientTest, AnAnswerWithoutChoiceIsAskedForAtAnotherTemperature) {
  server_.then(json_response(R"({"id":"1","choices":[]})"));
  server_.then(json_response(R"({"id":"1","choices":[]})"));
  server_.then(json_response(chat_answer("at last")));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "at last");
  EXPECT_EQ(answer->attempts, 3);
  EXPECT_EQ(server_.body(0).at("temperature"), 0.0);
  EXPECT_EQ(server_.body(1).at("temperature"), 1.0);
  EXPECT_EQ(server_.body(2).at("temperature"), 1.0);
  Json first = server_.body(0);
  Json second = server_.body(1);
  first.erase("temperature");
  second.erase("temperature");
  EXPECT_EQ(first, second) << "and nothing else changes";
  ASSERT_TRUE(ask());
  EXPECT_EQ(server_.body(3).at("temperature"), 0.0) << "the next call begins as configured";
}

TEST_F(ClientTest, ATemperatureThatWasChosenStaysAfterAnAnswerWithoutChoice) {
  config_.temperature = 0.7;
  config_.num_retries = 2;
  server_.then(json_response(R"({"choices":[]})"));
  server_.then(json_response(chat_answer("ok")));
  ASSERT_TRUE(ask());
  EXPECT_EQ(server_.body(0).at("temperature"), 0.7);
  EXPECT_EQ(server_.body(1).at("temperature"), 0.7);
  config_.temperature.reset();
  ASSERT_TRUE(ask());
  EXPECT_FALSE(server_.body(2).contains("temperature"));
}

TEST_F(ClientTest, NoAnswerEverIsAFailureAtTheTemperatureThatWasChosen) {
  config_.temperature = 0.7;
  server_.then(json_response(R"({"choices":[]})"));
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, LlmFailure::malformed);
  EXPECT_EQ(answer.error().attempts, 3);
  ASSERT_EQ(server_.posts(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(server_.body(i).at("temperature"), 0.7);
}

TEST_F(ClientTest, OtherFailuresLeaveTheTemperatureAlone) {
  server_.then(json_response(refusal("boom"), 500));
  server_.then(json_response("{"));
  server_.then(json_response(chat_answer("ok")));
  ASSERT_TRUE(ask());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(server_.body(i).at("temperature"), 0.0);
}

// --- who is told of retries

TEST_F(ClientTest, AListenerIsToldOfEachTryThatIsMadeAgain) {
  std::vector<LlmRetry> told;
  config_.api_keys = {secret};
  config_.on_retry = [&](const LlmRetry& retry) { told.push_back(retry); };
  server_.then(json_response(refusal(std::string("slow down, ") + secret), 429));
  server_.then(json_response(refusal("boom"), 500));
  server_.then(json_response(chat_answer("ok")));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].tries, 1);
  EXPECT_EQ(told[0].allowed, 3);
  EXPECT_EQ(told[0].kind, LlmFailure::rate_limit);
  EXPECT_THAT(told[0].cause, AllOf(HasSubstr("slow down"), Not(HasSubstr(secret))));
  EXPECT_EQ(told[1].tries, 2);
  EXPECT_EQ(told[1].kind, LlmFailure::server);
  EXPECT_EQ(told[1].wait.count(), 0);
}

TEST_F(ClientTest, TheLastFailureIsNoRetryAndAListenerThatThrowsHarmsNobody) {
  int told = 0;
  config_.on_retry = [&](const LlmRetry&) {
    ++told;
    throw std::runtime_error("no");
  };
  server_.then(json_response(refusal("boom"), 500));
  EXPECT_EQ(ask().error().attempts, 3);
  EXPECT_EQ(told, 2);
  server_.then(json_response(refusal("no"), 400));
  ASSERT_FALSE(ask());
  config_.on_retry = {};
  ASSERT_FALSE(ask());
}

TEST_F(ClientTest, TheWaitIsWithinTheConfiguredBounds) {
  std::vector<double> waits;
  config_.retry_min_wait = 60;
  config_.retry_max_wait = 90;
  config_.retry_multiplier = 1;
  server_.then(json_response(refusal("slow down"), 429));
  const auto model = [&] {
    config_.on_retry = [&](const LlmRetry& retry) {
      waits.push_back(retry.wait.count());
      stop_->request(StopLevel::cancel);  // instead of waiting
    };
    return llm();
  }();
  EXPECT_EQ(ask(*model, {{.content = "x"}}).error().kind, LlmFailure::stopped);
  ASSERT_EQ(waits.size(), 1U);
  EXPECT_GE(waits[0], 60);
  EXPECT_LE(waits[0], 90 * 1.25);
}

// --- keys

std::string key_of(const HttpdRequest& request) {
  return request.header("authorization").value_or("").substr(7);
}

TEST_F(ClientTest, SeveralKeysShareTheCalls) {
  server_.then(json_response(chat_answer("ok")));
  config_.api_keys = {"key-aaaa-1", "key-bbbb-2", "key-cccc-3"};
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(ask());
  std::map<std::string, int> used;
  for (const auto& request : server_.requests()) {
    if (request.method == "POST") ++used[key_of(request)];
  }
  EXPECT_EQ(used, (std::map<std::string, int>{{"key-aaaa-1", 2}, {"key-bbbb-2", 2}, {"key-cccc-3", 2}}));
}

TEST_F(ClientTest, AKeyAtItsLimitRestsWhileAnotherWorks) {
  std::atomic<int> limited = 0;
  server_.then_do([&](const HttpdRequest& request) {
    if (key_of(request) != "key-aaaa-1") return json_response(chat_answer("ok"));
    ++limited;
    return json_response(refusal("Rate limit reached", "", "rate_limit_exceeded"), 429, {{"Retry-After", "250"}});
  });
  config_.api_keys = {"key-aaaa-1", "key-bbbb-2"};
  config_.num_retries = 1;
  for (int i = 0; i < 5; ++i) {
    const auto answer = ask();
    ASSERT_TRUE(answer) << answer.error().error;
    EXPECT_EQ(answer->attempts, 1);
  }
  // Its 250 seconds are not over.
  EXPECT_EQ(limited.load(), 1);
}

TEST_F(ClientTest, WhenEveryKeyIsAtItsLimitTheTriesRunOut) {
  server_.then(json_response(refusal("Rate limit reached", "", "rate_limit_exceeded"), 429));
  config_.api_keys = {"key-aaaa-1", "key-bbbb-2"};
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, LlmFailure::rate_limit);
  EXPECT_EQ(answer.error().attempts, 3);
  EXPECT_LE(server_.posts(), 6U);
}

TEST_F(ClientTest, ARefusedKeyIsGivenUpAndTheOthersGoOn) {
  std::atomic<int> refused = 0;
  server_.then_do([&](const HttpdRequest& request) {
    if (key_of(request) == "key-bbbb-2") return json_response(chat_answer("ok"));
    ++refused;
    return json_response(refusal("Incorrect API key provided"), 401);
  });
  config_.api_keys = {"key-aaaa-1", "key-bbbb-2", "key-cccc-3"};
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(ask());
  EXPECT_LE(refused.load(), 2);
  server_.then_do([](const HttpdRequest&) { return json_response(refusal("Incorrect API key provided"), 401); });
}

TEST_F(ClientTest, WhenEveryKeyIsRefusedItIsTold) {
  server_.then(json_response(refusal("Incorrect API key provided"), 401));
  config_.api_keys = {"key-aaaa-1", "key-bbbb-2"};
  config_.key_source = "--api-key-env A,B";
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, LlmFailure::authentication);
  EXPECT_THAT(answer.error().error.message(), HasSubstr("check the key of --api-key-env A,B"));
  EXPECT_EQ(server_.posts(), 2U);
}

TEST_F(ClientTest, NoErrorAndNoLogLineShowsAKey) {
  server_.then(json_response(refusal(std::string("you sent Bearer ") + secret + " and that is wrong"), 400));
  config_.api_keys = {secret};
  const auto answer = ask();
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().error.message(), AllOf(HasSubstr("you sent Bearer ***"), Not(HasSubstr(secret))));
  EXPECT_EQ(hide_secrets(std::string("x ") + secret), "x ***");
}

// --- costs and what is known of the model

TEST_F(ClientTest, CostFollowsFromConfiguredPrices) {
  server_.then(json_response(
      R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"cost":99}})"));
  config_.input_cost_per_token = 1e-6;
  config_.output_cost_per_token = 2e-6;
  const auto model = llm();
  const auto answer = ask(*model, {{.content = "x"}});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->cost_known);
  EXPECT_DOUBLE_EQ(answer->cost, 0.0012);
  EXPECT_DOUBLE_EQ(model->totals().cost, 0.0012);
  EXPECT_EQ(model->totals().usage.prompt_tokens, 1000);
  EXPECT_EQ(model->info().source, "config");
}

TEST_F(ClientTest, CostFollowsFromTheServersPricesCachedTokensApart) {
  server_.on_get("/v1/models",
                 json_response(R"({"data":[{"id":"other","context_length":1},{"id":"served","context_length":262144,
      "top_provider":{"context_length":131072,"max_completion_tokens":16384},"pricing":{"prompt":"0.000001","completion":"0.000004","input_cache_read":"0.0000001"}}]})"));
  server_.then(json_response(
      R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":500}}})"));
  const auto model = llm();
  const ModelInfo info = model->info();
  EXPECT_EQ(info.source, "server");
  EXPECT_EQ(info.context_window, 131072);
  EXPECT_EQ(info.max_output_tokens, 16384);
  const auto answer = ask(*model, {{.content = "x"}});
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->cost_known);
  EXPECT_DOUBLE_EQ(answer->cost, 500e-6 + 500e-7 + 400e-6);
}

TEST_F(ClientTest, TokensAndCostsOfAllCallsAddUp) {
  server_.then(json_response(
      R"({"id":"r1","choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":3},"cache_creation_input_tokens":4,"completion_tokens_details":{"reasoning_tokens":1}}})"));
  server_.then(json_response(
      R"({"id":"r2","choices":[{"message":{"content":"y"}}],"usage":{"prompt_tokens":8,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":3}}})"));
  config_.input_cost_per_token = 1e-6;
  config_.output_cost_per_token = 2e-6;
  const auto model = llm();
  const auto first = ask(*model, {{.content = "1"}});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->id, "r1");
  EXPECT_EQ(first->usage.cached_tokens, 3);
  EXPECT_EQ(first->usage.cache_write_tokens, 4);
  EXPECT_EQ(model->totals().usage.cache_write_tokens, 4);
  const auto second = ask(*model, {{.content = "2"}});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->id, "r2");
  EXPECT_EQ(second->usage.prompt_tokens, 8);
  EXPECT_EQ(second->usage.cached_tokens, 2);
  EXPECT_EQ(second->usage.cache_write_tokens, 3);
  const LlmTotals all = model->totals();
  EXPECT_EQ(all.calls, 2);
  EXPECT_EQ(all.retries, 0);
  EXPECT_EQ(all.usage.prompt_tokens, 18);
  EXPECT_EQ(all.usage.completion_tokens, 11);
  EXPECT_EQ(all.usage.cached_tokens, 5);
  EXPECT_EQ(all.usage.cache_write_tokens, 7);
  EXPECT_EQ(all.usage.reasoning_tokens, 1);
  EXPECT_TRUE(all.usage.reported);
  EXPECT_DOUBLE_EQ(all.cost, first->cost + second->cost);
  EXPECT_DOUBLE_EQ(all.cost, 18e-6 + 22e-6);
}

TEST(UsageTest, SumsKeepEveryCount) {
  Usage sum{.prompt_tokens = 10, .completion_tokens = 5, .cached_tokens = 3, .cache_write_tokens = 2};
  EXPECT_FALSE(sum.reported);
  sum += {.prompt_tokens = 8,
          .completion_tokens = 6,
          .cached_tokens = 2,
          .cache_write_tokens = 4,
          .reasoning_tokens = 1,
          .reported = true};
  EXPECT_EQ(sum.prompt_tokens, 18);
  EXPECT_EQ(sum.completion_tokens, 11);
  EXPECT_EQ(sum.cached_tokens, 5);
  EXPECT_EQ(sum.cache_write_tokens, 6);
  EXPECT_EQ(sum.reasoning_tokens, 1);
  EXPECT_TRUE(sum.reported);
}

TEST_F(ClientTest, AServerThatSaysNothingOfTokensCountsAsACallWithout) {
  server_.then(json_response(R"({"choices":[{"message":{"content":"x"}}]})"));
  const auto model = llm();
  const auto answer = ask(*model, {{.content = "1"}});
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->usage.reported);
  EXPECT_FALSE(answer->cost_known);
  EXPECT_EQ(model->totals().calls, 1);
  EXPECT_FALSE(model->totals().usage.reported);
}

TEST_F(ClientTest, TheLatencyIsThatOfTheAnsweringTryOnAClockThatOnlyGrows) {
  server_.then(json_response(refusal("boom"), 500));
  server_.then(json_response(chat_answer("ok")));
  const auto began = Clock::now();
  const auto answer = ask();
  const Seconds all(Clock::now() - began);
  ASSERT_TRUE(answer);
  EXPECT_GT(answer->latency.count(), 0);
  EXPECT_LE(answer->latency, all);
}

TEST_F(ClientTest, LiteLlmsHeaderSaysTheCost) {
  server_.then(json_response(chat_answer("x"), 200, {{"x-litellm-response-cost", "0.5e-3"}}));
  const auto answer = ask();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->cost_known);
  EXPECT_DOUBLE_EQ(answer->cost, 0.0005);
}

TEST_F(ClientTest, TheServerIsAskedOnceForAllOfAConfiguration) {
  server_.on_get(
      "/v1/models",
      json_response(
          R"({"object":"list","data":[{"id":"served","object":"model","owned_by":"vllm","max_model_len":40960}]})"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(llm()->info().context_window, 40960);
  EXPECT_EQ(server_.requests().size(), 1U);
  config_.max_input_tokens = 1000;
  config_.shared = make_llm_shared();
  EXPECT_EQ(llm()->info().context_window, 1000);
}

TEST_F(ClientTest, ConfiguredLimitsGoBeforeTheServersAndTheTables) {
  server_.on_get("/v1/models",
                 json_response(R"({"data":[{"id":"gpt-4o-mini","context_length":7000,"max_completion_tokens":1500},
      {"id":"DeepSeek-V3-0324","context_length":32768,"max_completion_tokens":7168}]})"));
  const auto limits = [&](const char* model, int64_t input, int64_t output) {
    LlmConfig config = config_;
    config.model = model;
    config.api_keys = {"k"};
    config.max_input_tokens = input;
    config.max_output_tokens = output;
    config.shared = make_llm_shared();
    const ModelInfo info = llm(config)->info();
    return std::pair(info.context_window, info.max_output_tokens);
  };
  EXPECT_EQ(limits("openrouter/gpt-4o-mini", 0, 0), (std::pair<int64_t, int64_t>(7000, 1500)));
  EXPECT_EQ(limits("openrouter/gpt-4o-mini", 5000, 0), (std::pair<int64_t, int64_t>(5000, 1500)));
  EXPECT_EQ(limits("openrouter/gpt-4o-mini", 0, 1200), (std::pair<int64_t, int64_t>(7000, 1200)));
  EXPECT_EQ(limits("sambanova/DeepSeek-V3-0324", 0, 0), (std::pair<int64_t, int64_t>(32768, 7168)));
  EXPECT_EQ(limits("openrouter/anthropic/claude-sonnet-4", 0, 0), (std::pair<int64_t, int64_t>(200000, 64000)));
  EXPECT_EQ(limits("openrouter/anthropic/claude-sonnet-4", 0, 2048), (std::pair<int64_t, int64_t>(200000, 2048)));
  EXPECT_EQ(limits("openrouter/nobody/knows-this", 0, 0), (std::pair<int64_t, int64_t>(0, 0)));
}

TEST_F(ClientTest, AModelOfTheProxyIsFoundByItsWholeName) {
  server_.on_get("/v1/model/info",
                 json_response(R"({"data":[{"model_name":"model-x","model_info":{"max_input_tokens":1}},
      {"model_name":"nested/provider/path/model-x","model_info":{"max_input_tokens":32000}},
      {"model_name":"copilot/gpt-4.1","model_info":{"max_input_tokens":128000}}]})"));
  server_.then(json_response(chat_answer("ok")));
  for (const auto& [tail, window] :
       {std::pair("nested/provider/path/model-x", 32000), std::pair("copilot/gpt-4.1", 128000)}) {
    LlmConfig config = config_;
    config.model = std::string("litellm_proxy/") + tail;
    config.shared = make_llm_shared();
    const auto model = llm(config);
    EXPECT_EQ(model->model(), config.model);
    EXPECT_EQ(model->info().context_window, window);
    const auto before = server_.posts();
    ASSERT_TRUE(ask(*model, {{.content = "x"}}));
    EXPECT_EQ(server_.body(before).at("model"), tail);
  }
}

TEST_F(ClientTest, AnUnknownModelIsAnAnswer) {
  const auto info = llm()->info();
  EXPECT_EQ(info.source, "unknown");
  EXPECT_EQ(info.context_window, 0);
  EXPECT_FALSE(info.input_price);
}

TEST_F(ClientTest, AServerThatCouldNotTellIsAskedAgain) {
  config_.shared = make_llm_shared(Seconds(0));
  const auto model = llm();
  EXPECT_EQ(model->info().source, "unknown");
  server_.on_get(
      "/v1/models",
      json_response(
          R"({"object":"list","data":[{"id":"served","object":"model","owned_by":"vllm","max_model_len":40960}]})"));
  EXPECT_EQ(model->info().context_window, 40960);
  const auto asked = server_.requests().size();
  EXPECT_EQ(model->info().context_window, 40960);
  EXPECT_EQ(server_.requests().size(), asked);
}

TEST_F(ClientTest, AServerThatCouldNotTellIsNotAskedAtOnceAgain) {
  const auto model = llm();
  EXPECT_EQ(model->info().source, "unknown");
  const auto asked = server_.requests().size();
  EXPECT_EQ(model->info().source, "unknown");
  EXPECT_EQ(server_.requests().size(), asked);
}

TEST_F(ClientTest, LlamaCppTellsItsWindow) {
  server_.on_get(
      "/v1/models",
      json_response(
          R"({"object":"list","data":[{"id":"/models/q.gguf","owned_by":"llamacpp","meta":{"n_ctx_train":131072}}]})"));
  server_.on_get("/props", json_response(R"({"default_generation_settings":{"n_ctx":8192},"total_slots":1})"));
  EXPECT_EQ(llm()->info().context_window, 8192);
}

TEST_F(ClientTest, OllamaTellsItsWindow) {
  server_.on_get(
      "/api/show",
      json_response(
          R"({"parameters":"stop \"x\"\nnum_ctx                        16384","model_info":{"general.architecture":"qwen3","qwen3.context_length":40960}})"));
  config_.model = "ollama/qwen3";
  config_.base_url = server_.server().url();
  EXPECT_EQ(llm()->info().context_window, 16384);
  server_.then(json_response(chat_answer("x")));
  EXPECT_TRUE(ask());
  EXPECT_EQ(server_.requests().back().path, "/v1/chat/completions");
}

TEST_F(ClientTest, LiteLlmsProxyTellsWindowAndPrices) {
  server_.on_get(
      "/v1/model/info",
      json_response(
          R"({"data":[{"model_name":"served","model_info":{"max_input_tokens":200000,"max_output_tokens":64000,"input_cost_per_token":3e-06,"output_cost_per_token":1.5e-05,"cache_read_input_token_cost":3e-07}}]})"));
  config_.model = "litellm_proxy/served";
  const auto info = llm()->info();
  EXPECT_EQ(info.context_window, 200000);
  EXPECT_EQ(info.max_output_tokens, 64000);
  EXPECT_DOUBLE_EQ(info.input_price.value_or(0), 3e-6);
  EXPECT_DOUBLE_EQ(info.cached_price.value_or(0), 3e-7);
}

// --- files

TEST_F(ClientTest, CompletionsAreLoggedWithoutKeys) {
  testing::TestFolder folder;
  config_.api_keys = {secret};
  config_.log_completions = true;
  config_.log_completions_folder = folder / "deep/completions";
  server_.then(json_response(chat_answer(std::string("I know ") + secret)));
  server_.then(json_response(refusal("no"), 400));
  ASSERT_TRUE(ask("first"));
  ASSERT_FALSE(ask("second"));
  const auto names = *sys::list_folder(folder / "deep/completions");
  ASSERT_EQ(names.size(), 2U);
  int answers = 0;
  for (const auto& name : names) {
    EXPECT_THAT(name, AllOf(::testing::StartsWith("openai_served-"), ::testing::EndsWith(".json")));
    const std::string text = testing::read_text(folder / ("deep/completions/" + name));
    EXPECT_THAT(text, Not(HasSubstr(secret)));
    const auto json = parse_json(text, name);
    ASSERT_TRUE(json) << json.error();
    EXPECT_EQ(json->at("request").at("messages").size(), 1U);
    answers += json->contains("response") ? 1 : 0;
    EXPECT_NE(json->contains("response"), json->contains("error"));
  }
  EXPECT_EQ(answers, 1);
}

// --- ending

class EndTest : public LlmTest {
 protected:
  EndTest() {
    server_.then_do([this](const HttpdRequest&) {
      HttpdResponse response;
      response.stream = [this](HttpdStream& out) {
        arrived_ = true;
        arrived_.notify_all();
        while (out.pause(1h)) {
        }
        return false;
      };
      return response;
    });
  }
  ~EndTest() override { server_.server().close(); }  // its threads use what follows
  std::atomic<bool> arrived_ = false;
};

TEST_F(EndTest, ClosingEndsACallInFlight) {
  const auto model = llm();
  std::optional<LlmResult> answer;
  auto caller = Thread::start(scope_, "caller", [&] { answer = ask(*model, {{.content = "x"}}); });
  arrived_.wait(false);
  model->close();
  caller->join();
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().kind, LlmFailure::stopped);
  EXPECT_EQ(answer->error().error.code, Errc::closed);
  EXPECT_EQ(server_.posts(), 1U);
  const auto later = ask(*model, {{.content = "x"}});
  EXPECT_EQ(later.error().error.code, Errc::closed);
  EXPECT_EQ(server_.posts(), 1U);
  model->close();
}

TEST_F(EndTest, TheStopEndsACallInFlight) {
  const auto model = llm();
  std::optional<LlmResult> answer;
  auto caller = Thread::start(scope_, "caller", [&] { answer = ask(*model, {{.content = "x"}}); });
  arrived_.wait(false);
  stop_->request(StopLevel::cancel);
  caller->join();
  EXPECT_EQ(answer->error().kind, LlmFailure::stopped);
  EXPECT_EQ(answer->error().error.code, Errc::stopped);
}

TEST_F(ClientTest, ClosingEndsAStreamHalfWay) {
  config_.stream = true;
  for (const int pieces : {1, 3, 9}) {
    std::atomic<bool> arrived = false;
    FakeModel server;
    server.then_do([&](const HttpdRequest&) {
      HttpdResponse response;
      response.content_type = "text/event-stream";
      response.stream = [&](HttpdStream& out) {
        for (int i = 0; i < pieces; ++i) {
          if (!out.write("data: " + delta(R"("content":"some ")") + "\n\n")) return false;
        }
        arrived = true;
        arrived.notify_all();
        while (out.pause(1h)) {
        }
        return false;
      };
      return response;
    });
    config_.base_url = server.url();
    const auto model = llm();
    std::optional<LlmResult> answer;
    auto caller = Thread::start(scope_, "caller", [&] { answer = ask(*model, {{.content = "x"}}); });
    arrived.wait(false);
    model->close();
    caller->join();
    ASSERT_FALSE(*answer) << "half an answer is none";
    EXPECT_EQ(answer->error().kind, LlmFailure::stopped);
    EXPECT_EQ(server.posts(), 1U);
    server.server().close();
  }
}

TEST_F(ClientTest, AStopThatLetsLiveWorkFinishLetsACallFinish) {
  server_.then_do([&](const HttpdRequest&) {
    stop_->request(StopLevel::drain);
    return json_response(chat_answer("said in spite of it"));
  });
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "said in spite of it");
  EXPECT_EQ(server_.posts(), 1U);
}

TEST_F(ClientTest, TheStopEndsAWaitBetweenTries) {
  std::atomic<bool> answered = false;
  server_.then_do([&](const HttpdRequest&) {
    answered = true;
    answered.notify_all();
    return json_response(refusal("boom"), 500);
  });
  config_.retry_min_wait = 3600;
  config_.retry_max_wait = 3600;
  const auto model = llm();
  std::optional<LlmResult> answer;
  auto caller = Thread::start(scope_, "caller", [&] { answer = ask(*model, {{.content = "x"}}); });
  answered.wait(false);
  stop_->request(StopLevel::cancel);
  caller->join();
  EXPECT_EQ(answer->error().kind, LlmFailure::stopped);
  EXPECT_EQ(server_.posts(), 1U);
  server_.server().close();
}

TEST_F(ClientTest, ClosingEndsAWaitForARateLimit) {
  std::atomic<bool> answered = false;
  server_.then_do([&](const HttpdRequest&) {
    answered = true;
    answered.notify_all();
    return json_response(refusal("Rate limit reached"), 429, {{"Retry-After", "200"}});
  });
  const auto model = llm();
  std::optional<LlmResult> answer;
  auto caller = Thread::start(scope_, "caller", [&] { answer = ask(*model, {{.content = "x"}}); });
  answered.wait(false);
  model->close();
  caller->join();
  EXPECT_EQ(answer->error().kind, LlmFailure::stopped);
  server_.server().close();
}

// One caller at a time is let in. The others are refused, and told so when that one has its answer.
TEST_F(ClientTest, ManyWorkersBehindOneRateLimitAllGetThrough) {
  constexpr int workers = 8;
  std::mutex mutex;
  std::condition_variable changed;
  bool busy = false;
  int done = 0;
  int refused = 0;
  server_.then_do([&](const HttpdRequest&) {
    std::unique_lock lock(mutex);
    if (!busy) {
      busy = true;
      changed.wait(lock, [&] { return refused + done + 1 >= workers; });  // until all others have asked
      return json_response(chat_answer("ok"));
    }
    ++refused;
    changed.notify_all();
    changed.wait(lock, [&, before = done] { return done > before; });
    return json_response(refusal("Rate limit reached"), 429);
  });
  config_.num_retries = 1;
  const auto model = llm();
  std::atomic<int> right = 0;
  std::vector<Thread> threads;
  for (int i = 0; i < workers; ++i) {
    auto thread = Thread::start(scope_, "worker", [&] {
      right += ask(*model, {{.content = "x"}}) ? 1 : 0;
      const std::lock_guard lock(mutex);
      busy = false;
      ++done;
      changed.notify_all();
    });
    ASSERT_TRUE(thread);
    threads.push_back(std::move(*thread));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right.load(), workers);
  EXPECT_GE(refused, workers - 1);
}

TEST_F(ClientTest, WhoIsNeverLetInGivesUpThoughOthersAreAnswered) {
  std::unique_ptr<Llm> other;
  server_.then_do([&](const HttpdRequest& request) {
    if (request.body.find("me first") != std::string::npos) return json_response(chat_answer("ok"));
    EXPECT_TRUE(ask(*other, {{.content = "me first"}}));
    return json_response(refusal("Rate limit reached"), 429);
  });
  other = llm();
  const auto answer = ask("x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, LlmFailure::rate_limit);
  EXPECT_EQ(answer.error().attempts, 3);
  EXPECT_EQ(server_.posts(), 2U * (60U + 3U));
}

TEST_F(ClientTest, ManyThreadsShareOneLlm) {
  server_.then(json_response(chat_answer("ok")));
  config_.api_keys = {"key-aaaa-1", "key-bbbb-2"};
  const auto model = llm();
  std::atomic<int> right = 0;
  std::vector<Thread> threads;
  for (int i = 0; i < 8; ++i) {
    auto thread = Thread::start(scope_, "caller", [&] {
      for (int j = 0; j < 10; ++j) right += ask(*model, {{.content = "x"}}) ? 1 : 0;
    });
    ASSERT_TRUE(thread);
    threads.push_back(std::move(*thread));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right.load(), 80);
  EXPECT_EQ(model->totals().calls, 80);
  EXPECT_EQ(model->totals().usage.prompt_tokens, 800);
}

TEST_F(ClientTest, NothingOfAClosedLlmIsLeftOnTheLedger) {
  server_.then(json_response(chat_answer("ok")));
  auto model = llm();
  EXPECT_EQ(Ledger::process().count(ResourceKind::connection, scope_.child("llm").path()), 1U);
  ASSERT_TRUE(ask(*model, {{.content = "x"}}));
  model.reset();
  EXPECT_TRUE(Ledger::process().entries(scope_.child("llm").path()).empty());
}

}  // namespace
}  // namespace awm::test
