#include "logparse/python_text.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <span>

#include "logparse/unicode_tables.h"

namespace awm::python {
namespace {

struct CodePoint {
  uint32_t value = 0;
  std::size_t length = 1;
};

// The text is valid UTF-8 (or holds three-byte surrogates): no checks beyond its end.
CodePoint code_point(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<uint32_t>(static_cast<unsigned char>(text[at + i])) : 0U;
  };
  const uint32_t c = byte(0);
  if (c < 0x80) return {c, 1};
  if (c < 0xe0) return {(c & 0x1fU) << 6U | (byte(1) & 0x3fU), 2};
  if (c < 0xf0) return {(c & 0x0fU) << 12U | (byte(1) & 0x3fU) << 6U | (byte(2) & 0x3fU), 3};
  return {(c & 0x07U) << 18U | (byte(1) & 0x3fU) << 12U | (byte(2) & 0x3fU) << 6U | (byte(3) & 0x3fU), 4};
}

bool is_in(uint32_t code, std::span<const CodeRange> ranges) {
  const auto after = std::ranges::upper_bound(ranges, code, {}, &CodeRange::first);
  return after != ranges.begin() && code <= std::prev(after)->last;
}

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_wide_space(uint32_t code) {
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
         code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

}  // namespace

std::size_t wide_space_at(std::string_view text, std::size_t at) {
  const auto c = static_cast<unsigned char>(text[at]);
  if (c != 0xc2 && (c < 0xe1 || c > 0xe3)) return 0;
  const CodePoint point = code_point(text, at);
  return is_wide_space(point.value) ? point.length : 0;
}

std::size_t wide_space_before(std::string_view text, std::size_t end) {
  const std::size_t start = char_before(text, end);
  const std::size_t length = wide_space_at(text, start);
  return start + length == end ? length : 0;
}

std::size_t wide_digit_at(std::string_view text, std::size_t at) {
  const CodePoint point = code_point(text, at);
  return is_in(point.value, digit_ranges()) ? point.length : 0;
}

std::size_t wide_alnum_at(std::string_view text, std::size_t at) {
  const CodePoint point = code_point(text, at);
  return is_in(point.value, alnum_ranges()) ? point.length : 0;
}

std::string_view last_word(std::string_view text) {
  const std::string_view stripped = rstrip(text);
  std::size_t start = stripped.size();
  while (start > 0 && space_before(stripped, start) == 0) start = char_before(stripped, start);
  return stripped.substr(start);
}

std::string join_words(std::string_view text, std::size_t from) {
  std::string joined;
  std::size_t at = 0;
  for (std::size_t i = 0;; ++i) {
    const std::string_view word = next_word(text, at);
    if (word.empty()) return joined;
    if (i < from) continue;
    if (i > from) joined += ' ';
    joined += word;
  }
}

std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::optional<double> to_float(std::string_view text) {
  // Decimal digits of any script count, and "_" between two digits.
  std::string plain;
  text = strip(text);
  for (std::size_t at = 0; at < text.size(); at += char_length(text, at)) {
    const CodePoint point = code_point(text, at);
    if (point.value < 0x80) {
      plain += text[at];
      continue;
    }
    const auto after = std::ranges::upper_bound(digit_ranges(), point.value, {}, &CodeRange::first);
    if (digit_at(text, at) == 0) return std::nullopt;
    plain += static_cast<char>('0' + (point.value - std::prev(after)->first) % 10);
  }
  const auto is_digit = [&](std::size_t i) { return i < plain.size() && plain[i] >= '0' && plain[i] <= '9'; };
  std::string digits;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '_') {
      if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) return std::nullopt;
      continue;
    }
    digits += to_lower(plain[i]);
  }
  std::string_view number = digits;
  const bool negative = number.starts_with('-');
  if (negative || number.starts_with('+')) number.remove_prefix(1);
  double value = 0;
  if (number == "inf" || number == "infinity") {
    value = std::numeric_limits<double>::infinity();
  } else if (number == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else {
    if (number.empty() || !(number.front() == '.' || (number.front() >= '0' && number.front() <= '9')))
      return std::nullopt;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (end != number.data() + number.size()) return std::nullopt;
    // from_chars leaves the value alone when it is out of range; a version that large or small is only compared.
    if (error == std::errc::result_out_of_range)
      value = has(number, "e-") ? 0 : std::numeric_limits<double>::infinity();
  }
  return negative ? -value : value;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    result += text.substr(at, found - at);
    if (found == std::string_view::npos) return result;
    result += to;
    at = found + from.size();
  }
}

}  // namespace awm::python
