// Which conversation a request belongs to, at which step it is, and what the answer is. No network here.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "replay/fault.h"
#include "replay/script.h"

namespace awm {

struct ReplayAnswer {
  int status = 200;
  Json body;                   // a chat completion, or {"error": {...}}
  std::optional<Fault> fault;  // to be played on the body; error statuses are in `body` already
  std::string conversation;    // "" when none matched
  std::size_t step = 0;        // from 1
  bool stream = false;         // the request asks for server-sent events
  bool stream_usage = false;   // and for the usage among them
};

struct ReplayCounters {
  uint64_t requests = 0;
  uint64_t matched = 0;      // found a conversation
  uint64_t unmatched = 0;    // 404
  uint64_t refused = 0;      // ill-formed requests, unmet requirements, past the end of a script
  uint64_t faults = 0;       // served instead of, or on, an answer
  uint64_t completions = 0;  // whole answers
  struct OfOne {
    uint64_t requests = 0;
    std::size_t furthest = 0;  // highest step answered, from 1
    std::size_t steps = 0;
  };
  std::map<std::string, OfOne> conversations;
};

struct ReplaySettings {
  std::vector<Fault> faults;
  std::vector<std::string> models;  // other models get 404; none: any model is served
  std::int64_t context_window = 0;  // estimated tokens beyond it get context_length_exceeded; 0: none
};

// Thread-safe once built: conversations do not change, counters have a lock.
class ReplayBook {
 public:
  // Errors: already_exists when two conversations could not be told apart (same purpose, texts and tool), naming both.
  static Result<ReplayBook> create(std::vector<ScriptedTalk> conversations, ReplaySettings settings);
  ReplayBook(ReplayBook&& other) noexcept;

  // The answer to the body of a POST to /chat/completions. `purpose` is the header x-awm-purpose, `sample` the header
  // x-awm-sample; "" where not sent.
  //
  // Purpose: the header, else that of a conversation with another purpose than "agent" whose texts are all in the
  // messages, else "agent". ScriptedTalk: among those of the purpose whose tool is offered, the one of this sample,
  // else the one with the longest texts in the messages before the first answer (white space folded), else the default.
  // Step: behind the last assistant message that has a tool-call id of this conversation, plus the assistant messages
  // after it; all assistant messages are counted where none has.
  ReplayAnswer answer(std::string_view body, std::string_view purpose, std::string_view sample);

  [[nodiscard]] ReplayCounters counters() const;
  [[nodiscard]] const std::vector<ScriptedTalk>& conversations() const { return conversations_; }
  // OpenAI's list of models.
  [[nodiscard]] Json models() const;

 private:
  struct Request;
  ReplayBook(std::vector<ScriptedTalk> conversations, ReplaySettings settings);
  [[nodiscard]] const ScriptedTalk* find(const Request& request) const;
  [[nodiscard]] ReplayAnswer unmatched(const Request& request) const;
  [[nodiscard]] std::size_t step_of(const ScriptedTalk& conversation, const Json& messages) const;
  [[nodiscard]] std::optional<Fault> take_fault(const ScriptedTalk& conversation, std::size_t step);

  std::vector<ScriptedTalk> conversations_;
  ReplaySettings settings_;
  mutable std::mutex mutex_;
  ReplayCounters counters_;
  std::map<std::string, int> served_faults_;  // conversation, step and fault → times served
};

// {"error": {"message", "type", "param", "code"}}, as OpenAI writes it.
Json error_body(std::string_view message, std::string_view type, std::string_view code);

}  // namespace awm
