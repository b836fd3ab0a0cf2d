// A model's window, limits and prices: what servers tell, and the shipped table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "http/client.h"
#include "llm/llm.h"
#include "llm/service.h"

namespace awm {

// What of `model` stands in a list of models ({"data": [{"id": …}]}: OpenAI's /models with the additions of OpenRouter,
// vLLM, Together, Groq, Mistral, Moonshot, llama.cpp). Nullopt: it is not in it, or nothing of use is said.
std::optional<ModelInfo> info_from_model_list(const Json& list, std::string_view model);
// LiteLLM's proxy: /v1/model/info.
std::optional<ModelInfo> info_from_litellm(const Json& answer, std::string_view model);
// Ollama: POST /api/show.
std::optional<ModelInfo> info_from_ollama(const Json& answer);
// llama.cpp: GET /props.
std::optional<ModelInfo> info_from_llama_cpp(const Json& answer);

// The shipped table (list prices in US dollars, for those who are told none): by the model's name, its provider's
// prefix aside. Nullopt: not in it.
std::optional<ModelInfo> info_from_table(const LlmService& service);

// Asks the server, a few seconds at most. Nullopt: it tells nothing, or nothing came.
std::optional<ModelInfo> ask_server(const Endpoint& endpoint, const std::string& key, HttpSession& session,
                                    const Stop& stop);

// The headers by which a call proves who makes it.
std::vector<std::string> key_headers(const Endpoint& endpoint, const std::string& key);

}  // namespace awm
