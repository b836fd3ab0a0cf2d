// A model that says what a test wrote down, and remembers what it was asked.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "llm/llm.h"

namespace awm::testing {

class ScriptedLlm : public Llm {
 public:
  struct Asked {
    std::string purpose;
    std::string sample_id;
    std::vector<Message> messages;
    [[nodiscard]] const std::string& last() const { return messages.back().content; }
  };
  using Answer = std::function<LlmResult(const Asked&)>;

  // Answers of one purpose come in this order; asked for more, it fails as a server that is down.
  void say(const std::string& purpose, std::string text, std::string finish_reason = "stop") {
    then(purpose, [text = std::move(text), finish_reason = std::move(finish_reason)](const Asked&) {
      return completion(text, finish_reason);
    });
  }
  void fail(const std::string& purpose, LlmFailure kind) {
    then(purpose, [kind](const Asked&) -> LlmResult {
      return std::unexpected(LlmError{
          .kind = kind,
          .error = Error{
              .code = Errc::unavailable, .operation = "ask", .object = "the model", .cause = "as the test wants it"}});
    });
  }
  void then(const std::string& purpose, Answer answer) { answers_[purpose].push_back(std::move(answer)); }
  // Every further question of this purpose.
  void always(const std::string& purpose, Answer answer) { always_[purpose] = std::move(answer); }

  static Completion completion(const std::string& text, const std::string& finish_reason = "stop") {
    Completion completion;
    completion.message = Message{.role = Role::assistant, .content = text};
    completion.finish_reason = finish_reason;
    completion.model = "served-model";
    completion.usage = Usage{.prompt_tokens = 100, .completion_tokens = 10, .reported = true};
    completion.cost = 0.5;
    completion.cost_known = true;
    return completion;
  }

  LlmResult complete(const CompletionRequest& request) override {
    asked.push_back(Asked{request.purpose, request.sample_id, {request.messages.begin(), request.messages.end()}});
    auto& queue = answers_[request.purpose];
    if (!queue.empty()) {
      const auto answer = std::move(queue.front());
      queue.pop_front();
      return answer(asked.back());
    }
    if (const auto it = always_.find(request.purpose); it != always_.end()) return it->second(asked.back());
    return std::unexpected(LlmError{.kind = LlmFailure::server,
                                    .error = Error{.code = Errc::unavailable,
                                                   .operation = "ask",
                                                   .object = "the model",
                                                   .cause = "the test has no answer for " + request.purpose}});
  }
  [[nodiscard]] const std::string& model() const override { return model_; }
  [[nodiscard]] ModelInfo info() override { return {}; }
  [[nodiscard]] LlmTotals totals() const override { return {}; }
  void close() noexcept override {}

  std::vector<Asked> asked;

 private:
  std::string model_ = "openai/scripted";
  std::map<std::string, std::deque<Answer>> answers_;
  std::map<std::string, Answer> always_;
};

}  // namespace awm::testing
