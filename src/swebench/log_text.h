// A test log's text, whatever its size: whole where it is small, else in pieces of whole lines, read anew for each
// look.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "logparse/status_map.h"

namespace awm {

// Bytes in pieces → valid UTF-8 in pieces: what to_valid_utf8 makes of the whole.
class Utf8Pieces {
 public:
  std::string next(std::string_view bytes);
  std::string end();  // what was still missing its rest

 private:
  std::string held_;
};

class LogText {
 public:
  // Opens the file; up to `whole_limit` bytes are kept in memory. Errors: not_found, io.
  static Result<LogText> open(const std::string& path, uint64_t whole_limit = uint64_t{32} << 20);
  static LogText from(std::string text);

  // Calls `take` with the decoded text (as decode_log), piece by piece: whole lines with their ends, but for lines over
  // 8 MiB, which are split. Errors: io.
  Result<void> each_piece(const std::function<void(std::string_view)>& take) const;

  // The whole text, where it is in memory.
  [[nodiscard]] bool is_whole() const { return path_.empty(); }
  [[nodiscard]] std::string_view whole() const { return text_; }

 private:
  std::string text_;
  std::string path_;  // "" when text_ is all
};

// The part of a log that parser `name` could read something in, for logs that are too large to be held: bytes `from` to
// `to` of the decoded text, with each run of lines that the parser looks at and makes nothing of as one empty line.
// What the parser gives is the same, but for lines over 8 MiB. Errors: io; exhausted when over 256 MiB are left.
Result<std::string> condensed(const LogText& log, std::string_view name, uint64_t from, uint64_t to);

}  // namespace awm
