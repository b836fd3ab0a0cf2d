#include "replay/server.h"

#include <atomic>

#include "httpd/raw_client.h"
#include "os/thread.h"
#include "replay/serve.h"
#include "replay/stream.h"
#include "replay/support.h"

namespace awm {
namespace {

using test::book_of;
using test::parse;
using test::RawAnswer;
using test::RawClient;
using test::Talk;
using test::three_steps;
using ::testing::HasSubstr;

const Scope scope{"test/replay"};

std::unique_ptr<ReplayServer> serve(std::vector<std::string> scripts, std::vector<std::string> faults = {},
                                    ReplayServerOptions options = {}) {
  ReplaySettings settings;
  for (const auto& spec : faults) {
    auto fault = parse_fault(spec);
    EXPECT_TRUE(fault) << fault.error().message();
    settings.faults.push_back(*fault);
  }
  auto server = ReplayServer::start(scope, book_of(scripts, settings), options);
  EXPECT_TRUE(server) << server.error().message();
  return server ? std::move(*server) : nullptr;
}

// The events of a stream as JSON, "[DONE]" as text.
std::vector<Json> events(const std::string& body) {
  std::vector<Json> all;
  for (const auto& part : split(replace_all(body, "\n\n", "\x01"), '\x01')) {
    if (part.empty()) continue;
    EXPECT_TRUE(part.starts_with("data: ")) << part;
    const std::string data = part.substr(6);
    all.push_back(data == "[DONE]" ? Json(data) : parse(data));
  }
  return all;
}

// A stream put together again, as a client does.
Json assembled(const std::string& body) {
  Json message = Json::object({{"content", ""}, {"tool_calls", Json::array()}});
  Json whole = Json::object();
  for (const auto& event : events(body)) {
    if (event.is_string()) continue;
    if (event.contains("usage")) whole["usage"] = event["usage"];
    for (const auto& choice : event["choices"]) {
      const Json& delta = choice["delta"];
      if (delta.contains("content")) {
        message["content"] = message["content"].get<std::string>() + delta["content"].get<std::string>();
      }
      if (delta.contains("tool_calls")) {
        for (const auto& call : delta["tool_calls"]) {
          const auto index = call["index"].get<std::size_t>();
          Json& calls = message["tool_calls"];
          if (calls.size() <= index) {
            calls.push_back(Json::object({{"id", call["id"]}, {"name", call["function"]["name"]}, {"arguments", ""}}));
          }
          calls[index]["arguments"] =
              calls[index]["arguments"].get<std::string>() + call["function"]["arguments"].get<std::string>();
        }
      }
      if (!choice["finish_reason"].is_null()) whole["finish_reason"] = choice["finish_reason"];
    }
  }
  whole["message"] = message;
  return whole;
}

TEST(ReplayServer, AnswersAsOpenAisApiDoes) {
  const auto server = serve({three_steps("fix the parser", "parser")});
  EXPECT_EQ(server->url(), "http://127.0.0.1:" + std::to_string(server->port()) + "/v1");
  RawClient client(server->port());
  Talk talk("fix the parser");
  for (const auto* path : {"/v1/chat/completions", "/chat/completions"}) {
    const auto answer = client.post(path, talk.text());
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("content-type"), "application/json");
    EXPECT_EQ(answer.headers.at("x-awm-replay"), "parser#1");
    EXPECT_EQ(parse(answer.body)["choices"][0]["message"]["content"], "I look around.");
  }
  EXPECT_EQ(parse(client.get("/v1/models").body)["data"][0]["id"], "scripted");
  EXPECT_EQ(client.get("/models").status, 200);
  EXPECT_EQ(client.get("/v1/chat/completions").status, 405);
  const auto lost = client.get("/v2/embeddings");
  EXPECT_EQ(lost.status, 404);
  EXPECT_THAT(lost.body, HasSubstr("POST /v1/chat/completions"));
  const Json stats = parse(client.get("/awm/stats").body);
  EXPECT_EQ(stats["requests"], 2);
  EXPECT_EQ(stats["conversations"]["parser"]["furthest_step"], 1);
}

TEST(ReplayServer, AsksForItsKey) {
  const auto server = serve({three_steps("fix the parser", "parser")}, {}, {.port = 0, .key = "sk-good"});
  RawClient client(server->port());
  const Talk talk("fix the parser");
  const auto refused = client.post("/v1/chat/completions", talk.text(), {{"Authorization", "Bearer sk-bad"}});
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(parse(refused.body)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(client.post("/v1/chat/completions", talk.text()).status, 401);
  EXPECT_EQ(client.post("/v1/chat/completions", talk.text(), {{"Authorization", "Bearer sk-good"}}).status, 200);
}

TEST(ReplayServer, StreamsTheSameAnswer) {
  const auto server = serve({three_steps("fix the parser", "parser")});
  RawClient client(server->port());
  Talk talk("fix the parser");
  talk.take(parse(client.post("/v1/chat/completions", talk.text()).body));
  const Json whole = parse(client.post("/v1/chat/completions", talk.text()).body);
  talk.body()["stream"] = true;
  talk.body()["stream_options"] = Json::object({{"include_usage", true}});
  const auto answer = client.post("/v1/chat/completions", talk.text());
  EXPECT_EQ(answer.headers.at("content-type"), "text/event-stream");
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(events(answer.body).back(), "[DONE]");
  const Json again = assembled(answer.body);
  EXPECT_EQ(again["usage"], whole["usage"]);
  EXPECT_EQ(again["finish_reason"], "tool_calls");
  EXPECT_EQ(again["message"]["content"], "I edit.");
  ASSERT_EQ(again["message"]["tool_calls"].size(), 2U);
  const Json& calls = whole["choices"][0]["message"]["tool_calls"];
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again["message"]["tool_calls"][i]["id"], calls[i]["id"]);
    EXPECT_EQ(again["message"]["tool_calls"][i]["arguments"], calls[i]["function"]["arguments"]);
  }
  talk.body().erase("stream_options");
  EXPECT_FALSE(assembled(client.post("/v1/chat/completions", talk.text()).body).contains("usage"));
}

TEST(ReplayServer, CutsStreamsBetweenCharacters) {
  const Json completion = parse(R"({"id": "x", "choices": [{"index": 0, "finish_reason": "stop",
      "message": {"role": "assistant", "content": "äöü€😀äöü€😀"}}]})");
  std::string body;
  for (const auto& event : completion_events(completion, false, 3)) {
    EXPECT_TRUE(is_valid_utf8(event));
    body += event;
  }
  EXPECT_EQ(assembled(body)["message"]["content"], "äöü€😀äöü€😀");
}

// What each fault looks like on the wire, whole and streamed; the request after it gets the answer.
class ReplayFault : public ::testing::TestWithParam<bool> {
 protected:
  RawAnswer first_of(const std::string& fault) {
    server_ = serve({three_steps("fix the parser", "parser")}, {fault});
    RawClient client(server_->port());
    Talk talk("fix the parser");
    talk.body()["stream"] = GetParam();
    auto answer = client.post("/v1/chat/completions", talk.text());
    const auto next = client.post("/v1/chat/completions", talk.text());
    EXPECT_EQ(next.status, 200);
    EXPECT_TRUE(next.complete);
    EXPECT_THAT(next.body, HasSubstr("I look around."));
    EXPECT_EQ(server_->counters().faults, 1U);
    return answer;
  }
  std::unique_ptr<ReplayServer> server_;
};

TEST_P(ReplayFault, RateLimitWithRetryAfter) {
  const auto answer = first_of("kind=429,retry_after=0.5");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.headers.at("retry-after"), "0.5");
}

TEST_P(ReplayFault, ServerErrorWithItsMessage) {
  const auto answer = first_of("kind=500,message=the cat sat on it");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(parse(answer.body)["error"]["message"], "the cat sat on it");
}

TEST_P(ReplayFault, DisconnectHalfWay) {
  const auto answer = first_of("kind=disconnect");
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.body.empty());
  EXPECT_FALSE(answer.complete);
}

TEST_P(ReplayFault, HangUpAndReset) {
  EXPECT_FALSE(first_of("kind=hangup").any_byte);
  const auto reset = first_of("kind=reset");
  EXPECT_FALSE(reset.any_byte);
  EXPECT_TRUE(reset.reset);
}

TEST_P(ReplayFault, DripIsSlowAndWhole) {
  const auto answer = first_of("kind=drip,delay_ms=1,bytes=100");
  EXPECT_TRUE(answer.complete);
  EXPECT_THAT(answer.body, HasSubstr("I look around."));
}

TEST_P(ReplayFault, GarbageIsNotJson) {
  const auto answer = first_of("kind=garbage");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_FALSE(parse_json(answer.body, "x"));
  EXPECT_FALSE(is_valid_utf8(answer.body));
}

TEST_P(ReplayFault, TruncatedIsHalfAnAnswerInWholeHttp) {
  const auto answer = first_of("kind=truncated");
  EXPECT_TRUE(answer.complete);
  EXPECT_FALSE(answer.body.empty());
  EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("[DONE]")));
  if (!GetParam()) {
    EXPECT_FALSE(parse_json(answer.body, "x"));
  }
}

TEST_P(ReplayFault, EmptyHasNoChoice) {
  const auto answer = first_of("kind=empty");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, ::testing::Not(HasSubstr("I look around.")));
}

TEST_P(ReplayFault, StreamError) {
  const auto answer = first_of("kind=stream_error");
  EXPECT_EQ(answer.status, GetParam() ? 200 : 500);
  EXPECT_THAT(answer.body, HasSubstr("server_error"));
}

TEST_P(ReplayFault, ContextWindow) {
  const auto answer = first_of("kind=context");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(parse(answer.body)["error"]["code"], "context_length_exceeded");
}

INSTANTIATE_TEST_SUITE_P(Both, ReplayFault, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "Streamed" : "Whole"; });

TEST(ReplayServer, SilenceEndsWithTheServer) {
  auto server = serve({three_steps("fix the parser", "parser")}, {"kind=silence"});
  RawClient client(server->port());
  ASSERT_TRUE(client.connect());
  const std::string body = Talk("fix the parser").text();
  ASSERT_TRUE(client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body));
  RawClient other(server->port());
  // Counted once the request has been taken up: then the answer is what is not coming.
  while (parse(other.get("/awm/stats").body)["faults"] != 1) {
  }
  server->close();
  EXPECT_FALSE(client.receive().any_byte);
}

TEST(ReplayServer, HoldsEightConversationsAtOnce) {
  std::vector<std::string> scripts;
  for (int i = 0; i < 8; ++i) {
    scripts.push_back(three_steps("task number " + std::to_string(i) + ".", "t" + std::to_string(i)));
  }
  const auto server = serve(scripts, {"step=2,kind=500,times=2"});
  std::atomic<int> finished{0};
  {
    std::vector<Thread> threads;
    for (int i = 0; i < 8; ++i) {
      auto thread = Thread::start(scope, "client", [&, i] {
        RawClient client(server->port());
        Talk talk("task number " + std::to_string(i) + ".");
        int errors = 0;
        for (int step = 0; step < 3;) {
          const auto answer = client.post("/v1/chat/completions", talk.text());
          if (answer.status == 500) {
            ++errors;
            continue;
          }
          if (answer.headers.at("x-awm-replay") != "t" + std::to_string(i) + "#" + std::to_string(step + 1)) return;
          talk.take(parse(answer.body));
          ++step;
        }
        finished += errors == 2 ? 1 : 0;
      });
      ASSERT_TRUE(thread);
      threads.push_back(std::move(*thread));
    }
  }
  EXPECT_EQ(finished, 8);
  EXPECT_EQ(server->counters().completions, 24U);
  EXPECT_EQ(server->counters().faults, 16U);
}

TEST(StartReplay, ReadsWhatIsNamed) {
  const test::Files files({{"a.json", three_steps("fix the parser", "parser")}});
  const auto server = start_replay({.scripts = {files.path()}, .faults = {"kind=500"}}, scope);
  ASSERT_TRUE(server) << server.error().message();
  EXPECT_EQ(RawClient((*server)->port()).post("/chat/completions", Talk("fix the parser").text()).status, 500);
  EXPECT_THAT(start_replay({}, scope).error().message(), HasSubstr("--script"));
  EXPECT_THAT(start_replay({.scripts = {files.path()}, .faults = {"kind=x"}}, scope).error().message(),
              HasSubstr("kind"));
  EXPECT_EQ(start_replay({.scripts = {files.path("none")}}, scope).error().code, Errc::not_found);
}

}  // namespace
}  // namespace awm
