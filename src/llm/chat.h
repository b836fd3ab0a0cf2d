// Chat completions on the wire, as OpenAI documents them (platform.openai.com/docs/api-reference/chat), with the
// dialects of those who took the protocol over.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "http/client.h"
#include "llm/failure.h"
#include "llm/llm.h"
#include "llm/service.h"

namespace awm {

// What of a configuration goes into every request; made once. Immutable.
class ChatParameters {
 public:
  // Errors: invalid_input for completion_kwargs or safety_settings that are not what they must be.
  static Result<std::shared_ptr<const ChatParameters>> create(const LlmConfig& config, const Endpoint& endpoint);

  // The request's body. `refused`: parameters that this model does not take, left out. `temperature` takes the place of
  // the one configured, where one is sent.
  [[nodiscard]] std::string body(const CompletionRequest& request, bool stream, const std::set<std::string>& refused,
                                 std::optional<double> temperature = std::nullopt) const;
  // What is sent as "temperature"; nullopt: nothing, or no number.
  [[nodiscard]] std::optional<double> temperature() const;
  // Headers that the configuration asks for ("extra_headers" of completion_kwargs).
  [[nodiscard]] const std::vector<std::string>& headers() const { return headers_; }

 private:
  ChatParameters() = default;
  [[nodiscard]] std::string write(const CompletionRequest& request, bool stream, const std::set<std::string>& refused,
                                  std::optional<double> temperature, bool stop) const;
  [[nodiscard]] bool has_member(std::string_view name) const;
  [[nodiscard]] std::string_view cut(const Message& message, std::string& kept) const;
  std::vector<std::pair<std::string, std::string>> members_;  // name, JSON
  std::vector<std::string> headers_;
  std::string model_;
  uint32_t flags_ = 0;
  bool cache_marks_ = false;
  bool text_tools_ = false;  // tools are told in words
  bool stop_ = false;        // and the end of a call stops the model
  std::size_t max_message_chars_ = 0;
  std::string max_tokens_;  // the limit that was set, to give it another name
};

using ChatResult = std::expected<Completion, CallFailure>;

// A whole answer. Cost, latency and attempts are the caller's to fill in; `cost` is there when the server said it.
ChatResult read_chat(const HttpResponse& response);

// An answer in pieces.
class ChatStream {
 public:
  ChatStream();
  ~ChatStream();
  ChatStream(const ChatStream&) = delete;
  ChatStream& operator=(const ChatStream&) = delete;
  // False: nothing further is wanted (an error came, or nonsense).
  bool take(std::string_view bytes);
  // Was it all there: a last word of the server's ([DONE] or a finish reason)?
  [[nodiscard]] bool complete() const;
  // What came, once the exchange is over.
  ChatResult finish(const HttpResponse& response);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends `text` as a JSON string; bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace awm
