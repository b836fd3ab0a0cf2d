// The messages that a model is sent: they grow by one exchange at a time, and shrink from the middle when they no
// longer fit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/message.h"

namespace awm {

class Conversation {
 public:
  // `system` and `instruction` stay for ever.
  Conversation(std::string system, std::string instruction);

  // `event_id`: the first event of the stream that the message belongs to; -1 none.
  void add(Message message, int64_t event_id = -1);

  [[nodiscard]] std::span<const Message> messages() const { return messages_; }

  struct Dropped {
    std::size_t messages = 0;
    int64_t first_event = -1;  // what the dropped messages belonged to; -1 unknown
    int64_t last_event = -1;
  };
  // Drops exchanges from the middle, the oldest first, until about half the text of all exchanges is left. An exchange
  // is an answer of the model with all that follows it up to the next answer: calls and their results stay together.
  // The last exchange stays; when it is the only one, its long texts are cut in the middle instead. A note at the end
  // of the instruction says how much is missing. Error (exhausted): there is nothing more to drop or cut.
  Result<Dropped> drop_middle();

  // What the server counted for the messages so far: makes estimated_tokens() exact up to there.
  void note_usage(int64_t prompt_tokens, int64_t completion_tokens);
  // What the messages will cost, by the server's last count, else by four bytes a token.
  [[nodiscard]] int64_t estimated_tokens() const;

 private:
  [[nodiscard]] static std::size_t size_of(const Message& message);
  [[nodiscard]] std::vector<std::size_t> exchange_starts() const;

  std::vector<Message> messages_;
  std::vector<int64_t> event_ids_;
  std::string instruction_;
  std::size_t dropped_ = 0;
  std::size_t bytes_ = 0;
  int64_t counted_tokens_ = 0;     // of the messages when the server last counted
  std::size_t counted_bytes_ = 0;  // their size then; 0: never
};

}  // namespace awm
