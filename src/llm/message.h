// One conversation with a model, free of any provider's dialect.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/json_fwd.h"

namespace awm {

enum class Role { system, user, assistant, tool };
std::string_view to_string(Role role);

// A model's wish to use a tool. `arguments` is what the model wrote: meant to be a JSON object, and hostile.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;
};

struct Message {
  Role role = Role::user;
  std::string content;
  std::vector<ToolCall> tool_calls;  // assistant only
  std::string tool_call_id;          // tool only: the call it answers
  std::string tool_name;             // tool only: its name; some servers want it
  std::string
      reasoning;  // assistant only: what a reasoning model said before; sent back only to servers that ask for it
  std::string provider_fields;  // assistant only: JSON object of further fields to send back unchanged
                                // (reasoning_details, …); "" none
};

// A tool as the model is told of it. `parameters` is a JSON Schema object, as text.
struct ToolSpec {
  std::string name;
  std::string description;
  std::string parameters;
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;       // part of prompt_tokens: read from the provider's cache
  int64_t cache_write_tokens = 0;  // part of prompt_tokens: written into it
  int64_t reasoning_tokens = 0;    // part of completion_tokens
  bool reported = false;           // false: the server said nothing of it

  // The sum of both; reported when one of them was.
  Usage& operator+=(const Usage& other) {
    prompt_tokens += other.prompt_tokens;
    completion_tokens += other.completion_tokens;
    cached_tokens += other.cached_tokens;
    cache_write_tokens += other.cache_write_tokens;
    reasoning_tokens += other.reasoning_tokens;
    reported = reported || other.reported;
    return *this;
  }
};

struct Completion {
  Message message;
  std::string finish_reason;  // "stop", "tool_calls", "length", "content_filter", as the server said
  std::string id;             // the server's
  std::string model;          // as the server said
  Usage usage;
  double cost = 0;  // US dollars; 0 and !cost_known where no price is known
  bool cost_known = false;
  Seconds latency{0};  // of the attempt that succeeded
  int attempts = 1;
  std::string raw;  // the response as one JSON object (assembled, when it was streamed): for trajectories
};

}  // namespace awm
