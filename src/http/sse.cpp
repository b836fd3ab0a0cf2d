#include "http/sse.h"

namespace awm {

bool SseParser::dispatch(const std::function<bool(const SseEvent&)>& take) {
  if (has_data_ && !take(event_)) ended_ = true;
  event_ = {};
  has_data_ = false;
  return !ended_;
}

bool SseParser::line(std::string_view text, const std::function<bool(const SseEvent&)>& take) {
  if (first_line_) {
    first_line_ = false;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  }
  if (text.empty()) return dispatch(take);
  if (text.front() == ':') return true;
  const auto colon = text.find(':');
  const auto field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
    if (event_.data.size() > max_event_) too_large_ = ended_ = true;
  } else if (field == "event") {
    event_.type = value;
  }
  return !ended_;
}

bool SseParser::feed(std::string_view bytes, const std::function<bool(const SseEvent&)>& take) {
  while (!ended_ && !bytes.empty()) {
    if (skip_newline_) {
      skip_newline_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const auto end = bytes.find_first_of("\r\n");
    if (end == std::string_view::npos) {
      partial_ += bytes;
      if (partial_.size() > max_event_) too_large_ = ended_ = true;
      break;
    }
    skip_newline_ = bytes[end] == '\r';
    if (partial_.empty()) {
      line(bytes.substr(0, end), take);
    } else {
      partial_ += bytes.substr(0, end);
      const std::string whole = std::move(partial_);
      partial_.clear();
      line(whole, take);
    }
    bytes.remove_prefix(end + 1);
  }
  return !ended_;
}

bool SseParser::finish(const std::function<bool(const SseEvent&)>& take) {
  if (ended_) return false;
  if (!partial_.empty()) {
    const std::string whole = std::move(partial_);
    partial_.clear();
    if (!line(whole, take)) return false;
  }
  return dispatch(take);
}

}  // namespace awm
