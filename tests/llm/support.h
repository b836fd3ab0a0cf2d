// A model server that answers as told, and an Llm that asks it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "httpd/server.h"
#include "llm/llm.h"
#include "llm/provider.h"
#include "os/stop.h"
#include "support/support.h"

namespace awm::test {

// An answer in OpenAI's form.
inline std::string chat_answer(std::string_view content, std::string_view more = "") {
  return R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"served","choices":[{"index":0,"message":{"role":"assistant","content":)" +
         dump_json(Json(content)) +
         R"(},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15})" +
         std::string(more) + "}";
}

inline HttpdResponse json_response(std::string body, int status = 200,
                                   std::vector<std::pair<std::string, std::string>> headers = {}) {
  HttpdResponse response;
  response.status = status;
  response.body = std::move(body);
  response.headers = std::move(headers);
  return response;
}

// An answer as server-sent events; `end` false breaks the connection after them.
inline HttpdResponse sse_response(std::vector<std::string> events, bool end = true) {
  HttpdResponse response;
  response.content_type = "text/event-stream";
  response.stream = [events = std::move(events), end](HttpdStream& out) {
    for (const auto& event : events) {
      if (!out.write("data: " + event + "\n\n")) return false;
    }
    return end;
  };
  return response;
}

// POSTs get the answers queued, in order, the last one again and again; other requests get 404 unless told.
class FakeModel {
 public:
  FakeModel() {
    auto server =
        HttpServer::start(Scope("test/model"), {}, [this](const HttpdRequest& request) { return answer(request); });
    EXPECT_TRUE(server) << server.error();
    if (server) server_ = *std::move(server);
  }
  void then(HttpdResponse response) {
    const std::lock_guard lock(mutex_);
    answers_.push_back([response](const HttpdRequest&) { return response; });
  }
  void then_do(HttpdHandler handler) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(handler));
  }
  void on_get(std::string path, HttpdResponse response) {
    const std::lock_guard lock(mutex_);
    gets_.emplace_back(std::move(path), std::move(response));
  }
  [[nodiscard]] std::string url() const { return server_->url() + "/v1"; }
  [[nodiscard]] HttpServer& server() { return *server_; }
  [[nodiscard]] std::vector<HttpdRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::size_t posts() const {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const auto& request : requests_) count += request.path.ends_with("/chat/completions") ? 1U : 0U;
    return count;
  }
  // The body of the nth POST, parsed.
  [[nodiscard]] Json body(std::size_t n = 0) const {
    const std::lock_guard lock(mutex_);
    for (const auto& request : requests_) {
      if (!request.path.ends_with("/chat/completions")) continue;
      if (n-- == 0) return parse_json(request.body, "a request").value_or(Json());
    }
    return {};
  }

 private:
  HttpdResponse answer(const HttpdRequest& request) {
    HttpdHandler handler;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      if (!request.path.ends_with("/chat/completions")) {
        for (const auto& [path, response] : gets_) {
          if (path == request.path) return response;
        }
        return json_response(R"({"detail":"Not Found"})", 404);
      }
      if (answers_.empty()) return json_response(R"({"error":{"message":"no answer is left"}})", 400);
      handler = answers_.front();
      if (answers_.size() > 1) answers_.pop_front();
    }
    return handler(request);
  }

  mutable std::mutex mutex_;
  std::deque<HttpdHandler> answers_;
  std::vector<std::pair<std::string, HttpdResponse>> gets_;
  std::vector<HttpdRequest> requests_;
  std::unique_ptr<HttpServer> server_;  // last: its threads use the rest
};

class LlmTest : public ::testing::Test {
 protected:
  LlmTest() {
    auto stop = Stop::create(scope_);
    EXPECT_TRUE(stop);
    stop_ = *std::move(stop);
    auto http = HttpClient::create(scope_.child("http"), *stop_);
    EXPECT_TRUE(http);
    http_ = *std::move(http);
    config_.model = "openai/served";
    config_.base_url = server_.url();
    config_.retry_min_wait = 0;
    config_.retry_max_wait = 0;
    config_.retry_multiplier = 0;
    config_.num_retries = 3;
  }

  std::unique_ptr<Llm> llm() { return llm(config_); }
  std::unique_ptr<Llm> llm(const LlmConfig& config) {
    auto made = make_llm(config, *http_, *stop_, scope_.child("llm"));
    EXPECT_TRUE(made) << made.error();
    return made ? *std::move(made) : nullptr;
  }
  static LlmResult ask(Llm& llm, const std::vector<Message>& messages, const std::vector<ToolSpec>& tools = {}) {
    return llm.complete({.messages = messages, .tools = tools});
  }
  LlmResult ask(std::string_view text = "hello") {
    const auto one = llm();
    return ask(*one, {{.role = Role::user, .content = std::string(text)}});
  }

  Scope scope_{"test/llm"};
  FakeModel server_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<HttpClient> http_;
  LlmConfig config_;
};

}  // namespace awm::test
