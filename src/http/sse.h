// Server-sent events, in pieces as they come.
//
// Source: WHATWG HTML, §9.2 "Server-sent events", parsing an event stream.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace awm {

struct SseEvent {
  std::string type;  // "" for "message"
  std::string data;  // lines joined by "\n"
};

// Cuts a byte stream into events. Not thread-safe. Bytes are not checked for UTF-8.
class SseParser {
 public:
  explicit SseParser(std::size_t max_event = std::size_t{64} << 20) : max_event_(max_event) {}

  // Calls `take` for each event that is complete; events without data (comments, keep-alives) are passed over. False:
  // `take` returned false, or an event is larger than allowed (too_large() tells); nothing more is taken then.
  bool feed(std::string_view bytes, const std::function<bool(const SseEvent&)>& take);
  // The stream is at its end: an event without its closing empty line is given too, as servers exist that leave it out.
  bool finish(const std::function<bool(const SseEvent&)>& take);
  [[nodiscard]] bool too_large() const { return too_large_; }

 private:
  bool line(std::string_view text, const std::function<bool(const SseEvent&)>& take);
  bool dispatch(const std::function<bool(const SseEvent&)>& take);

  std::size_t max_event_;
  std::string partial_;
  SseEvent event_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool skip_newline_ = false;  // the last byte was CR; a LF right after it belongs to it
  bool ended_ = false;
  bool too_large_ = false;
};

}  // namespace awm
