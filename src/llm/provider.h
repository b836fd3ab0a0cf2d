// A model's configuration, and the Llm made from it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "http/client.h"
#include "llm/llm.h"
#include "os/stop.h"

namespace awm {

class LlmShared;  // what all Llms of one configuration know together: which key must wait, what the server said of the
                  // model, which parameters it refuses
std::shared_ptr<LlmShared> make_llm_shared(Seconds info_again = Seconds(60));

// A try that failed and will be made again.
struct LlmRetry {
  int tries = 1;    // that failed so far
  int allowed = 1;  // in all
  Seconds wait{0};  // before the next
  LlmFailure kind = LlmFailure::server;
  std::string cause{};  // for a person; holds no key
};

// One [llm] section, resolved. The names are OpenHands'; what unset means is said where it is not "not sent".
struct LlmConfig {
  std::string name = "llm";             // of the section: for messages
  std::string model{};                  // with LiteLLM's prefix; never empty when used
  std::vector<std::string> api_keys{};  // none: the provider's own variable (OPENROUTER_API_KEY, …) is looked for
  std::string key_source{};             // where the keys come from, for messages: "--api-key-env KEY"
  std::string base_url{};               // "": by the prefix
  std::string api_version{};            // Azure's
  std::string custom_llm_provider{};    // goes before the prefix
  std::string ollama_base_url{};        // of an ollama/ model without base_url

  std::optional<double> temperature = 0.0;
  std::optional<double> top_p = 1.0;
  std::optional<double> top_k{};
  std::optional<int64_t> seed{};
  std::string reasoning_effort{};
  std::optional<bool> native_tool_calling{};  // false: tools are told in words and calls read from them (text_tools.h)
  bool disable_stop_word = false;             // then: the end of a call is not sent as "stop"
  std::string completion_kwargs{};            // JSON object merged into the request; "": none
  std::string safety_settings{};              // JSON list, for gemini and mistral; "": none

  int64_t timeout = 0;          // seconds for one try; 0: 1200
  int num_retries = 5;          // tries in all; 0 counts as 1
  int64_t retry_min_wait = 8;   // seconds
  int64_t retry_max_wait = 64;  // seconds
  double retry_multiplier = 8;  // seconds before the second try; each further wait is twice the last

  int64_t max_input_tokens = 0;                  // 0: what the server or the table says
  int64_t max_output_tokens = 0;                 // 0: the model's own; else sent
  int64_t max_message_chars = 30000;             // of one message's text; the middle is cut. 0: as it is
  std::optional<double> input_cost_per_token{};  // US dollars
  std::optional<double> output_cost_per_token{};

  bool drop_params = true;  // a parameter that the server refuses is left out, and the call made again
  bool modify_params = true;
  bool caching_prompt = true;  // marks for Anthropic's prompt cache, where they are understood
  bool log_completions = false;
  std::string log_completions_folder{};  // "": logs/completions
  std::string openrouter_site_url{};
  std::string openrouter_app_name{};

  std::optional<bool> stream{};  // unset: not streamed

  // Told of each try that failed and is made again, before the wait, on the thread of the call. What it
  // throws is passed over. Unset: only the log is told.
  std::function<void(const LlmRetry&)> on_retry{};

  std::shared_ptr<LlmShared> shared = make_llm_shared();  // copies of a configuration share it

  // Do they ask the same of the same server? `shared`, `on_retry`, `name` and `key_source` aside.
  friend bool same_service(const LlmConfig& a, const LlmConfig& b);
};

// Who serves the model, and where: what the prefix, the section and the environment say.
struct LlmService {
  std::string provider;      // LiteLLM's name: "openrouter", "openai", …; "openai_compatible" for any other server
  std::string model;         // as the server knows it
  std::string base_url;      // without a slash at its end
  std::string key_variable;  // the provider's own; "" where it has none
};
// Pure but for the environment. Errors: invalid_input (no model, nothing says where it is served), unsupported (a
// provider with a protocol of its own), each saying what to write instead.
Result<LlmService> llm_service(const LlmConfig& config);

// Makes one, with a session of its own on `http`; nothing is sent. `http` and `stop` outlive it. Errors: as
// llm_service(), and permission when the provider needs a key and none is given, naming the variable.
Result<std::unique_ptr<Llm>> make_llm(const LlmConfig& config, HttpClient& http, const Stop& stop, const Scope& scope);

}  // namespace awm
