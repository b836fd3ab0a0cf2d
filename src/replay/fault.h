// What a scripted server does wrong on demand.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

enum class FaultKind {
  status,          // an error answer with `status`
  context_window,  // 400, OpenAI's context_length_exceeded
  refused,         // 400, OpenAI's content_policy_violation
  quota,           // 429, OpenAI's insufficient_quota
  disconnect,      // the connection ends half-way through the answer
  hang_up,         // the connection ends without a byte
  reset,           // the connection is reset without a byte
  drip,            // the right answer, slowly, in small pieces
  garbage,         // status 200 and something that is not JSON
  truncated,       // half the answer, well-formed as HTTP: half a JSON document, a stream without its end
  empty,           // a well-formed answer without a choice
  stream_error,    // an error object in the middle of a stream; 500 where not streamed
  silence,         // no answer until the client gives up
};

struct Fault {
  FaultKind kind = FaultKind::status;
  int status = 500;
  int step = 0;                             // of the conversation, from 1; 0: every step
  int times = 1;                            // per conversation and step; -1: always
  std::optional<double> retry_after;        // seconds, sent as Retry-After
  Clock::duration delay{Milliseconds(20)};  // drip: between two pieces
  std::size_t piece = 16;                   // drip: bytes a piece
  std::string message;                      // instead of the usual words
  std::string conversation;                 // only in conversations whose name contains this; "" : in all
};

// "step=3,kind=429,times=2,retry_after=1": the option --fault. Keys: kind (429 and other numbers from 400 to 599,
// context, refused, quota, disconnect, hangup, reset, drip, garbage, truncated, empty, stream_error, silence), step
// (number or *), times (number or forever), retry_after (s), delay_ms, bytes, message, conversation. Errors:
// invalid_input naming the key and what it takes.
Result<Fault> parse_fault(std::string_view spec);

// The same from a script: {"kind": 429, "times": 2}. `where` names the place for errors.
Result<Fault> parse_fault(const Json& object, std::string_view where);

// "429 at step 3, 2 times"
std::string describe(const Fault& fault);

}  // namespace awm
