// What a server's refusal means: by its status, its codes and, where those say nothing, its words.
//
// Sources: error references of OpenAI, OpenRouter, DeepSeek, Anthropic, Gemini, Mistral, Groq and Azure; the sources of
// vLLM, llama.cpp, Ollama and LiteLLM's proxy; texts met by users (tests/llm/failure_test.cpp names them).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/json_fwd.h"
#include "llm/llm.h"

namespace awm {

// Why one try failed.
struct CallFailure {
  LlmFailure kind = LlmFailure::server;
  std::string words;   // the server's, one line, bounded, valid UTF-8; "" it said nothing
  int status = 0;      // HTTP's, or the one said in-band; 0 none
  bool again = false;  // asking once more may help
  std::optional<Seconds> retry_after{};
  std::optional<int64_t> context_limit{};
  std::string refused_parameter{};  // a request's field that this model does not take; "" none
  bool no_choice = false;           // a whole answer, and nothing in it to choose
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;  // names in lower case

// An answer with another status than 2xx. `body` is what came with it, any format.
CallFailure failure_of_answer(int status, const HeaderList& headers, std::string_view body);

// An "error" member that came with status 200, in a body or in a stream. `status` as HTTP said it.
CallFailure failure_in_band(const Json& error, const HeaderList& headers);

// Is asking again worth anything after a failure of this kind?
bool worth_another_try(LlmFailure kind);

}  // namespace awm
