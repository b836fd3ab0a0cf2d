// A model behind a server: one call, one answer, typed failures. Providers differ behind this interface.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/result.h"
#include "llm/message.h"

namespace awm {

enum class LlmFailure {
  authentication,   // 401, 403: the key is missing or wrong
  rate_limit,       // 429 to the last try
  context_window,   // the messages do not fit: shorten and ask again
  content_refused,  // refused by the provider's filter
  bad_request,      // 400 and its kin: asking again is useless
  no_such_model,    // 404, or a 400 that says so
  out_of_credit,    // 402 or insufficient_quota: a person must pay
  server,           // 5xx to the last try
  network,          // no connection, broken, timed out, to the last try
  malformed,        // the answer is not what the protocol says, to the last try
  stopped,          // the run was stopped, or the Llm closed, while waiting
};
std::string_view to_string(LlmFailure kind);

struct LlmError {
  LlmFailure kind = LlmFailure::server;
  Error error;                             // words for a person; never holds a key
  std::optional<int64_t> context_limit{};  // context_window: the limit in tokens, where the server says it
  int attempts = 1;
};

using LlmResult = std::expected<Completion, LlmError>;

struct CompletionRequest {
  std::span<const Message> messages;
  std::span<const ToolSpec> tools;
  std::string purpose = "agent";  // "agent", "classification", "compression", "induction": for logs and for replay
  std::string sample_id{};        // for logs; "" none
};

struct ModelInfo {
  int64_t context_window = 0;           // tokens; 0 unknown
  int64_t max_output_tokens = 0;        // 0 unknown
  std::optional<double> input_price{};  // US dollars a token
  std::optional<double> output_price{};
  std::optional<double> cached_price{};
  std::string source;  // "config", "server", "table", "unknown"
};

struct LlmTotals {
  int64_t calls = 0;
  int64_t retries = 0;
  Usage usage;
  double cost = 0;
};

class Llm {
 public:
  virtual ~Llm() = default;  // closes
  // One completion; retries and waits inside. Thread-safe. Blocks until answered, failed for good, stopped or closed.
  virtual LlmResult complete(const CompletionRequest& request) = 0;
  [[nodiscard]] virtual const std::string& model() const = 0;  // as configured, prefix included
  // From configuration, server or the shipped table; asked for once, then remembered. Never fails: unknown is an
  // answer.
  [[nodiscard]] virtual ModelInfo info() = 0;
  [[nodiscard]] virtual LlmTotals totals() const = 0;
  // Ends calls in flight (they return stopped) and gives the session back. Idempotent; a later complete() fails with
  // Errc::closed inside.
  virtual void close() noexcept = 0;
};

}  // namespace awm
