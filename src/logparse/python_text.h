// Python's text as its parsers see it, on valid UTF-8: what str.split(), str.strip() and re's \s \d \w (on str) mean,
// and what `$` means. Every parser takes these from here. Facts: Python 3.12's str.isspace, str.isdecimal, str.isalnum
// (Unicode 15.0); unicode_tables.cpp holds what is not ASCII.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::python {

// ASCII white space of Python: \t \n \v \f \r, the separators 0x1c-0x1f, and space.
constexpr std::array<bool, 256> ascii_space = [] {
  std::array<bool, 256> table{};
  for (unsigned c : {0x09U, 0x0aU, 0x0bU, 0x0cU, 0x0dU, 0x1cU, 0x1dU, 0x1eU, 0x1fU, 0x20U}) table[c] = true;
  return table;
}();

std::size_t wide_space_at(std::string_view text, std::size_t at);
std::size_t wide_space_before(std::string_view text, std::size_t end);

// Length in bytes of the white space character that starts at `at` (\s); 0: none.
inline std::size_t space_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) return ascii_space[c] ? 1 : 0;
  return wide_space_at(text, at);
}
// Length of the white space character that ends before `end`; 0: none.
inline std::size_t space_before(std::string_view text, std::size_t end) {
  if (end == 0) return 0;
  const auto c = static_cast<unsigned char>(text[end - 1]);
  if (c < 0x80) return ascii_space[c] ? 1 : 0;
  return wide_space_before(text, end);
}
// Where the white space that starts at `at` ends.
inline std::size_t skip_space(std::string_view text, std::size_t at) {
  while (const std::size_t n = space_at(text, at)) at += n;
  return at;
}
// Where the run of anything but white space that starts at `at` ends.
inline std::size_t skip_word(std::string_view text, std::size_t at) {
  while (at < text.size() && space_at(text, at) == 0) ++at;
  return at;
}

// str.strip(), lstrip(), rstrip()
inline std::string_view lstrip(std::string_view text) {
  text.remove_prefix(skip_space(text, 0));
  return text;
}
inline std::string_view rstrip(std::string_view text) {
  while (const std::size_t n = space_before(text, text.size())) text.remove_suffix(n);
  return text;
}
inline std::string_view strip(std::string_view text) {
  return rstrip(lstrip(text));
}

// The next of str.split()'s words from `at` on, which moves behind it; "" at the end.
inline std::string_view next_word(std::string_view text, std::size_t& at) {
  const std::size_t start = skip_space(text, at);
  at = skip_word(text, start);
  return text.substr(start, at - start);
}
// The last of str.split()'s words; "" when there is none.
std::string_view last_word(std::string_view text);
// " ".join(text.split()[from:])
std::string join_words(std::string_view text, std::size_t from);

// Length of the decimal digit at `at` (\d, str.isdecimal); 0: none. And of the word character (\w).
std::size_t wide_digit_at(std::string_view text, std::size_t at);
std::size_t wide_alnum_at(std::string_view text, std::size_t at);
inline std::size_t digit_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) return c >= '0' && c <= '9' ? 1 : 0;
  return wide_digit_at(text, at);
}
inline std::size_t word_char_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ? 1 : 0;
  }
  return wide_alnum_at(text, at);
}
inline std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (const std::size_t n = digit_at(text, at)) at += n;
  return at;
}

// Start of the character before `end`; `end` > 0.
inline std::size_t char_before(std::string_view text, std::size_t end) {
  --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return end;
}
// Length of the character at `at` (which is within the text).
inline std::size_t char_length(std::string_view text, std::size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  return c < 0x80 ? 1U : c < 0xe0 ? 2U : c < 0xf0 ? 3U : 4U;
}
// len(text)
std::size_t length(std::string_view text);

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
// text.split(separator, 1)[0], and [-1]: the whole text where there is none.
inline std::string_view before(std::string_view text, std::string_view separator) {
  return text.substr(0, text.find(separator));
}
inline std::string_view after(std::string_view text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  return at == std::string_view::npos ? text : text.substr(at + separator.size());
}
// float(text): nullopt where it raises ValueError.
std::optional<double> to_float(std::string_view text);
// text.replace(from, to)
std::string replace(std::string_view text, std::string_view from, std::string_view to);

// Where the line that a position is on ends, remembered: a search that asks for many places on one long line stays
// linear.
class LineEnds {
 public:
  explicit LineEnds(std::string_view text) : text_(text) {}
  // The next line feed at or after `at`; npos when there is none.
  std::size_t operator()(std::size_t at) {
    if (at < from_ || (end_ != std::string_view::npos && at > end_)) {
      from_ = at;
      end_ = text_.find('\n', at);
    }
    return end_;
  }

 private:
  std::string_view text_;
  std::size_t from_ = std::string_view::npos;
  std::size_t end_ = 0;
};

// Calls f(line) for each of text.split("\n"): one empty line for an empty text, and one after a last "\n".
template <class F>
void each_line(std::string_view text, F f) {
  for (;;) {
    const void* found = text.empty() ? nullptr : std::memchr(text.data(), '\n', text.size());
    if (found == nullptr) return static_cast<void>(f(text));
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    f(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
}

}  // namespace awm::python
