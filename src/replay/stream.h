// A whole chat completion, taken apart into the events of a stream as OpenAI's API sends them.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace awm {

// Server-sent events ("data: {...}\n\n"), the last one "data: [DONE]\n\n". Text and arguments come in pieces of at most
// `piece` bytes, cut between characters. With `usage` the chunk before the last carries the usage and no choice
// (stream_options.include_usage).
std::vector<std::string> completion_events(const Json& completion, bool usage, std::size_t piece = 48);

}  // namespace awm
