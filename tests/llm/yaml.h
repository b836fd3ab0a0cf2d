// Reads the YAML that cassettes are written in (block mappings and sequences; plain, quoted, literal and folded
// scalars;
// !!binary), into JSON; bytes of !!binary stay bytes. Not more of YAML 1.1 than that.
#pragma once

#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace awm::test {

class YamlReader {
 public:
  static Json read(std::string_view text) {
    YamlReader reader;
    for (const auto& line : split(text, '\n')) reader.lines_.push_back(line);
    return reader.block(0);
  }

 private:
  static std::size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }
  [[nodiscard]] bool blank(std::size_t at) const { return trim(lines_[at]).empty(); }
  void skip_blank() {
    while (at_ < lines_.size() && (blank(at_) || lines_[at_] == "---" || lines_[at_] == "...")) ++at_;
  }

  // The mapping or sequence whose lines are indented by at least `least`.
  Json block(std::size_t least) {
    skip_blank();
    if (at_ >= lines_.size() || indent_of(lines_[at_]) < least) return nullptr;
    const std::size_t indent = indent_of(lines_[at_]);
    if (lines_[at_].compare(indent, 2, "- ") == 0 || lines_[at_].substr(indent) == "-") return sequence(indent);
    return mapping(indent);
  }

  Json sequence(std::size_t indent) {
    Json list = Json::array();
    for (;;) {
      skip_blank();
      if (at_ >= lines_.size() || indent_of(lines_[at_]) != indent || lines_[at_][indent] != '-') return list;
      const std::string rest(trim(std::string_view(lines_[at_]).substr(indent + 1)));
      if (rest.empty()) {
        ++at_;
        list.push_back(block(indent + 1));
      } else if (is_key(rest)) {
        // "- key: value": a mapping that begins on this line.
        lines_[at_][indent] = ' ';
        list.push_back(block(indent + 1));
      } else {
        list.push_back(scalar(rest, indent));
      }
    }
  }

  static bool is_key(std::string_view text) {
    if (text.front() == '"' || text.front() == '\'' || text.front() == '{' || text.front() == '[') return false;
    const auto colon = text.find(": ");
    return colon != std::string_view::npos || text.ends_with(':');
  }

  Json mapping(std::size_t indent) {
    Json object = Json::object();
    for (;;) {
      skip_blank();
      if (at_ >= lines_.size() || indent_of(lines_[at_]) != indent) return object;
      const std::string line = lines_[at_].substr(indent);
      auto colon = line.find(": ");
      if (colon == std::string::npos) colon = line.size() - 1;
      if (line[colon] != ':') throw std::runtime_error("no key in line " + std::to_string(at_ + 1));
      std::string key = line.substr(0, colon);
      if (key.size() > 1 && key.front() == '\'') key = key.substr(1, key.size() - 2);
      const std::string rest(trim(std::string_view(line).substr(colon + 1)));
      if (rest.empty()) {
        ++at_;
        skip_blank();
        // A sequence may stand at its key's own indentation.
        const bool own = at_ < lines_.size() && indent_of(lines_[at_]) == indent && lines_[at_][indent] == '-';
        object[key] = own ? sequence(indent) : block(indent + 1);
      } else {
        object[key] = scalar(rest, indent);
      }
    }
  }

  // A value that begins with `rest` on the current line; its further lines are indented deeper than `indent`.
  Json scalar(const std::string& rest, std::size_t indent) {
    if (rest.starts_with("!!binary")) return decode(literal(indent, '|', '-'));
    if (rest.front() == '|' || rest.front() == '>')
      return literal(indent, rest.front(), rest.size() > 1 ? rest.back() : ' ');
    if (rest.front() == '\'' || rest.front() == '"') return quoted(rest);
    std::string text = rest;
    for (++at_; at_ < lines_.size() && !blank(at_) && indent_of(lines_[at_]) > indent; ++at_)
      text += " " + std::string(trim(lines_[at_]));
    return plain(text);
  }

  static Json plain(const std::string& text) {
    if (text == "null" || text == "~") return nullptr;
    if (text == "true" || text == "false") return text == "true";
    if (text == "[]") return Json::array();
    if (text == "{}") return Json::object();
    int64_t whole = 0;
    if (auto parsed = std::from_chars(text.data(), text.data() + text.size(), whole);
        parsed.ec == std::errc() && parsed.ptr == text.data() + text.size())
      return whole;
    double number = 0;
    if (auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
        parsed.ec == std::errc() && parsed.ptr == text.data() + text.size())
      return number;
    return text;
  }

  std::string literal(std::size_t indent, char style, char chomp) {
    std::string text;
    std::size_t own = 0;
    for (++at_; at_ < lines_.size(); ++at_) {
      if (blank(at_)) {
        text += '\n';
        continue;
      }
      if (own == 0) own = indent_of(lines_[at_]);
      if (indent_of(lines_[at_]) <= indent) break;
      text += lines_[at_].substr(own) + (style == '|' ? "\n" : " ");
    }
    if (chomp != '+') {
      while (text.ends_with('\n') || text.ends_with(' ')) text.pop_back();
      if (chomp != '-') text += '\n';
    }
    return text;
  }

  std::string quoted(const std::string& first) {
    const char quote = first.front();
    std::string text;
    std::string line = first.substr(1);
    for (;;) {
      for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote == '\'' && c == '\'') {
          if (i + 1 < line.size() && line[i + 1] == '\'') {
            text += line[i++];
            continue;
          }
          ++at_;
          return text;
        }
        if (quote == '"' && c == '"') {
          ++at_;
          return text;
        }
        if (quote == '"' && c == '\\') {
          if (i + 1 == line.size()) {
            escaped_end_ = true;
            break;
          }
          escape(line, i, text);
          continue;
        }
        text += c;
      }
      fold(text);
      if (at_ >= lines_.size()) throw std::runtime_error("a quote without its end");
      const auto& next = lines_[at_];
      line = std::string(trim(next));
      // A blank at the end of a line inside quotes goes with the fold, unless it is the quote's own line end.
      if (!line.empty() && line.front() == '\\' && quote == '"' && line.size() > 1 && line[1] == ' ') line.erase(0, 1);
    }
  }

  // The end of a line within quotes: one is a blank, each further empty line a line end; "\" at the end joins.
  void fold(std::string& text) {
    if (!escaped_end_) {
      while (text.ends_with(' ')) text.pop_back();
    }
    ++at_;
    std::size_t empty = 0;
    while (at_ < lines_.size() && blank(at_)) {
      ++empty;
      ++at_;
    }
    if (empty > 0) {
      text.append(empty, '\n');
    } else if (!escaped_end_) {
      text += ' ';
    }
    escaped_end_ = false;
  }

  static void escape(const std::string& line, std::size_t& i, std::string& text) {
    const char c = line[++i];
    const auto code = [&](std::size_t digits) {
      uint32_t point = 0;
      std::from_chars(line.data() + i + 1, line.data() + i + 1 + digits, point, 16);
      i += digits;
      if (point < 0x80) {
        text += static_cast<char>(point);
      } else if (point < 0x800) {
        text += static_cast<char>(0xC0U | (point >> 6U));
        text += static_cast<char>(0x80U | (point & 0x3FU));
      } else if (point < 0x10000) {
        text += static_cast<char>(0xE0U | (point >> 12U));
        text += static_cast<char>(0x80U | ((point >> 6U) & 0x3FU));
        text += static_cast<char>(0x80U | (point & 0x3FU));
      } else {
        text += static_cast<char>(0xF0U | (point >> 18U));
        text += static_cast<char>(0x80U | ((point >> 12U) & 0x3FU));
        text += static_cast<char>(0x80U | ((point >> 6U) & 0x3FU));
        text += static_cast<char>(0x80U | (point & 0x3FU));
      }
    };
    switch (c) {
      case 'n':
        text += '\n';
        break;
      case 'r':
        text += '\r';
        break;
      case 't':
        text += '\t';
        break;
      case '0':
        text += '\0';
        break;
      case 'x':
        code(2);
        break;
      case 'u':
        code(4);
        break;
      case 'U':
        code(8);
        break;
      default:
        text += c;
    }
  }

  static std::string decode(std::string_view base64) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : base64) {
      const auto value = digits.find(c);
      if (value == std::string_view::npos) continue;
      bits = (bits << 6U) | static_cast<uint32_t>(value);
      count += 6;
      if (count >= 8) {
        count -= 8;
        bytes += static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xFFU);
      }
    }
    return bytes;
  }

  std::vector<std::string> lines_;
  std::size_t at_ = 0;
  bool escaped_end_ = false;
};

}  // namespace awm::test
