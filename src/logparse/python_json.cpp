#include "logparse/python_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>

#include "logparse/utf8.h"

namespace awm::logparse {
namespace {

constexpr std::size_t npos = std::string_view::npos;
constexpr int max_depth = 1497;           // containers within containers that json.loads of CPython 3.12 bears
constexpr std::size_t max_digits = 4300;  // of an integer (sys.int_info.default_max_str_digits)

// Walks a document without building it: every function gives the position behind what it read, or npos.
class Walker {
 public:
  explicit Walker(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t blank(std::size_t at) const {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t' || text_[at] == '\n' || text_[at] == '\r')) ++at;
    return at;
  }

  [[nodiscard]] std::size_t value(std::size_t at, int depth) const {
    if (at >= text_.size()) return npos;
    switch (text_[at]) {
      case '"':
        return string(at, nullptr);
      case '{':
        return object(at, depth, [](std::string_view, std::size_t, std::size_t) {});
      case '[':
        return list(at, depth, [](std::size_t, std::size_t) {});
      default:
        break;
    }
    for (const std::string_view word : {"null", "true", "false", "NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(at).starts_with(word)) return at + word.size();
    }
    return number(at);
  }

  // member(name, start, end) for each, the value's place in the text.
  template <class F>
  [[nodiscard]] std::size_t object(std::size_t at, int depth, F member) const {
    if (depth >= max_depth) return npos;
    at = blank(at + 1);
    if (at < text_.size() && text_[at] == '}') return at + 1;
    std::string name;
    for (;;) {
      if (at >= text_.size() || text_[at] != '"') return npos;
      name.clear();
      at = string(at, &name);
      if (at == npos) return npos;
      at = blank(at);
      if (at >= text_.size() || text_[at] != ':') return npos;
      const std::size_t start = blank(at + 1);
      at = value(start, depth + 1);
      if (at == npos) return npos;
      member(std::string_view(name), start, at);
      at = blank(at);
      if (at >= text_.size()) return npos;
      if (text_[at] == '}') return at + 1;
      if (text_[at] != ',') return npos;
      at = blank(at + 1);
    }
  }

  template <class F>
  [[nodiscard]] std::size_t list(std::size_t at, int depth, F element) const {
    if (depth >= max_depth) return npos;
    at = blank(at + 1);
    if (at < text_.size() && text_[at] == ']') return at + 1;
    for (;;) {
      const std::size_t end = value(at, depth + 1);
      if (end == npos) return npos;
      element(at, end);
      at = blank(end);
      if (at >= text_.size()) return npos;
      if (text_[at] == ']') return at + 1;
      if (text_[at] != ',') return npos;
      at = blank(at + 1);
    }
  }

  // The string that starts with the quote at `at`; its characters are appended to `out`, where that is given.
  [[nodiscard]] std::size_t string(std::size_t at, std::string* out) const {
    for (++at; at < text_.size(); ++at) {
      const auto c = static_cast<unsigned char>(text_[at]);
      if (c == '"') return at + 1;
      if (c < 0x20) return npos;
      if (c != '\\') {
        if (out != nullptr) *out += text_[at];
        continue;
      }
      if (++at >= text_.size()) return npos;
      constexpr std::string_view letters = "\"\\/bfnrt";
      constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
      if (const std::size_t letter = letters.find(text_[at]); letter != npos) {
        if (out != nullptr) *out += meanings[letter];
        continue;
      }
      if (text_[at] != 'u') return npos;
      int64_t code = hex(at + 1);
      if (code < 0) return npos;
      at += 4;
      if (code >= 0xd800 && code < 0xdc00 && text_.substr(at + 1).starts_with("\\u")) {
        const int64_t low = hex(at + 3);
        if (low < 0) return npos;
        if (low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          at += 6;
        }
      }
      if (out != nullptr) append_utf8(*out, static_cast<uint32_t>(code));
    }
    return npos;
  }

  [[nodiscard]] std::size_t number(std::size_t at) const {
    const auto digits = [&](std::size_t from) {
      while (from < text_.size() && text_[from] >= '0' && text_[from] <= '9') ++from;
      return from;
    };
    const std::size_t start = at < text_.size() && text_[at] == '-' ? at + 1 : at;
    std::size_t end = digits(start);
    if (end == start) return npos;
    if (text_[start] == '0') end = start + 1;
    const std::size_t whole = end;
    if (end < text_.size() && text_[end] == '.' && digits(end + 1) > end + 1) end = digits(end + 1);
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      std::size_t exponent = end + 1;
      if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
      if (digits(exponent) > exponent) end = digits(exponent);
    }
    return end == whole && whole - start > max_digits ? npos : end;
  }

 private:
  [[nodiscard]] int64_t hex(std::size_t at) const {
    int64_t code = 0;
    if (at + 4 > text_.size()) return -1;
    for (const char c : text_.substr(at, 4)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return -1;
      code = code * 16 + digit;
    }
    return code;
  }

  std::string_view text_;
};

double to_double(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc()) return value;
  // Out of range: from_chars does not say at which end.
  const std::size_t exponent = text.find_first_of("eE");
  const bool is_small = exponent != npos && text.substr(exponent + 1).starts_with('-');
  value = is_small ? 0.0 : std::numeric_limits<double>::infinity();
  return text.starts_with('-') ? -value : value;
}

// Titles that are no strings. Python keeps them as what they are; in a map of text they are what json.dumps makes of
// them, and what Python takes for equal (1, 1.0, true) is one test under the name that came first.
// Gives what stands for all that is equal, and the name.
std::pair<std::string, std::string> odd_title(std::string_view text) {
  if (text == "true") return {"1", "true"};
  if (text == "false") return {"0", "false"};
  if (text == "null" || text == "NaN") return {std::string(text), std::string(text)};
  double value = 0;
  if (text.ends_with("Infinity")) {
    value = text.starts_with('-') ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
  } else if (text.find_first_of(".eE") == npos) {
    const std::string number = text == "-0" ? "0" : std::string(text);
    return {number, number};
  } else {
    value = to_double(text);
  }
  if (std::isinf(value)) return {value < 0 ? "-inf" : "inf", value < 0 ? "-Infinity" : "Infinity"};
  // float.__repr__: the shortest digits, an exponent below 1e-4 and from 1e16 on.
  std::array<char, 512> buffer{};
  const auto written = [&](auto... format) {
    return std::string(buffer.data(),
                       std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format...).ptr);
  };
  const double size = std::abs(value);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  std::string name = written(scientific ? std::chars_format::scientific : std::chars_format::fixed);
  if (!scientific && name.find('.') == std::string::npos) name += ".0";
  if (std::trunc(value) != value) return {name, name};
  return {value == 0 ? "0" : written(std::chars_format::fixed, 0), name};
}

}  // namespace

std::string read_mocha_json(std::string_view document, StatusMap& statuses, OddTitles& odd_titles) {
  const Walker walker(document);
  std::size_t failures = npos;
  std::size_t passes = npos;
  const std::size_t end = walker.object(0, 0, [&](std::string_view name, std::size_t start, std::size_t /*end*/) {
    if (name == "failures") failures = start;
    if (name == "passes") passes = start;
  });
  if (end != document.size()) return "the report's JSON is broken";
  std::string cause;
  const auto read_list = [&](std::size_t at, std::string_view what, std::string_view status) {
    if (!cause.empty()) return;
    const std::string whose = "'" + std::string(what) + "'";
    if (at == npos) {
      cause = "the report has no " + whose;
      return;
    }
    if (document[at] == '"' || document[at] == '{') {
      // Python walks an empty string or object without a complaint.
      const bool is_empty = document[at] == '"' ? document[at + 1] == '"' : document[walker.blank(at + 1)] == '}';
      if (!is_empty) cause = whose + " is no list";
      return;
    }
    if (document[at] != '[') {
      cause = whose + " is no list";
      return;
    }
    std::string title;
    const std::size_t list_end = walker.list(at, 1, [&](std::size_t start, std::size_t /*end*/) {
      if (!cause.empty()) return;
      std::size_t key = npos;
      std::size_t key_end = npos;
      if (document[start] == '{') {
        const std::size_t test_end =
            walker.object(start, 2, [&](std::string_view name, std::size_t from, std::size_t to) {
              if (name != "fullTitle") return;
              key = from;
              key_end = to;
            });
        if (test_end == npos) key = npos;
      }
      if (key == npos || document[key] == '{' || document[key] == '[') {
        cause = "a test in " + whose + " has no usable fullTitle";
        return;
      }
      const std::string_view text = document.substr(key, key_end - key);
      title.clear();
      if (document[key] == '"') {
        if (walker.string(key, &title) == npos) cause = "a title is broken";
      } else {
        auto [same_as, odd_name] = odd_title(text);
        title = odd_titles.try_emplace(std::move(same_as), std::move(odd_name)).first->second;
      }
      statuses.set(title, status);
    });
    if (list_end == npos) cause = whose + " is broken";
  };
  read_list(failures, "failures", test_status::failed);
  read_list(passes, "passes", test_status::passed);
  return cause;
}

}  // namespace awm::logparse
