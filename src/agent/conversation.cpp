#include "agent/conversation.h"

#include <algorithm>

#include "agent/prompts.h"
#include "base/text.h"

namespace awm {
namespace {
constexpr std::size_t cut_to = 2000;  // code points of a text in the last exchange, when nothing else helps
}

Conversation::Conversation(std::string system, std::string instruction) : instruction_(std::move(instruction)) {
  add(Message{.role = Role::system, .content = std::move(system)});
  add(Message{.role = Role::user, .content = instruction_});
}

std::size_t Conversation::size_of(const Message& message) {
  std::size_t size = message.content.size() + message.reasoning.size() + 16;
  for (const ToolCall& call : message.tool_calls) size += call.name.size() + call.arguments.size() + 16;
  return size;
}

void Conversation::add(Message message, int64_t event_id) {
  bytes_ += size_of(message);
  messages_.push_back(std::move(message));
  event_ids_.push_back(event_id);
}

std::vector<std::size_t> Conversation::exchange_starts() const {
  std::vector<std::size_t> starts;
  for (std::size_t i = 2; i < messages_.size(); ++i) {
    if (messages_[i].role == Role::assistant || starts.empty()) starts.push_back(i);
  }
  return starts;
}

Result<Conversation::Dropped> Conversation::drop_middle() {
  const std::vector<std::size_t> starts = exchange_starts();
  std::size_t total = 0;
  for (std::size_t i = 2; i < messages_.size(); ++i) total += size_of(messages_[i]);
  Dropped dropped;
  if (starts.size() > 1) {
    std::size_t keep_from = starts.back();
    std::size_t kept = 0;
    for (std::size_t e = starts.size(); e-- > 1;) {
      const std::size_t end = e + 1 < starts.size() ? starts[e + 1] : messages_.size();
      for (std::size_t i = starts[e]; i < end; ++i) kept += size_of(messages_[i]);
      if (kept > total / 2 && e + 1 < starts.size()) break;
      keep_from = starts[e];
    }
    dropped.messages = keep_from - 2;
    for (std::size_t i = 2; i < keep_from; ++i) {
      if (event_ids_[i] < 0) continue;
      if (dropped.first_event < 0) dropped.first_event = event_ids_[i];
      dropped.last_event = event_ids_[i];
    }
    const auto from = static_cast<std::ptrdiff_t>(2);
    const auto to = static_cast<std::ptrdiff_t>(keep_from);
    messages_.erase(messages_.begin() + from, messages_.begin() + to);
    event_ids_.erase(event_ids_.begin() + from, event_ids_.begin() + to);
    dropped_ += dropped.messages;
    AWM_TRY(const std::string note, render_prompt("context_note", {{"count", std::to_string(dropped_)}}));
    messages_[1].content = instruction_ + note;
  } else {
    bool cut = false;
    for (std::size_t i = 2; i < messages_.size(); ++i) {
      if (messages_[i].role == Role::assistant || utf8_length(messages_[i].content) <= cut_to + 100) continue;
      messages_[i].content =
          truncate_middle(messages_[i].content, cut_to, "\n[... left out: the context window is full ...]\n");
      cut = true;
    }
    if (!cut) {
      return fail(Errc::exhausted, "shorten", "the conversation", "nothing is left that could be dropped",
                  "use a model with a larger context window, or set max_input_tokens right");
    }
  }
  bytes_ = 0;
  for (const Message& message : messages_) bytes_ += size_of(message);
  if (counted_bytes_ > 0) {  // the count was of more than is left: only its ratio still holds
    counted_tokens_ = static_cast<int64_t>(static_cast<double>(counted_tokens_) * static_cast<double>(bytes_) /
                                           static_cast<double>(counted_bytes_));
    counted_bytes_ = bytes_;
  }
  return dropped;
}

void Conversation::note_usage(int64_t prompt_tokens, int64_t completion_tokens) {
  if (prompt_tokens <= 0) return;
  counted_tokens_ = prompt_tokens + completion_tokens;
  counted_bytes_ = bytes_;
}

int64_t Conversation::estimated_tokens() const {
  const std::size_t new_bytes = bytes_ - std::min(bytes_, counted_bytes_);
  return counted_tokens_ + static_cast<int64_t>(new_bytes / 4);
}

}  // namespace awm
