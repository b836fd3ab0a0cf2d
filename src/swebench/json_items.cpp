#include "swebench/json_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "base/json.h"
#include "os/file.h"

namespace awm {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::string_view json_space = " \t\r\n";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(json_space) == std::string_view::npos;
}

// Finds where the values of a document's outermost list or object begin and end, without parsing what is in them.
class Splitter {
 public:
  Splitter(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  // True for an object, false for a list.
  Result<bool> open() {
    skip_space();
    if (at_ == text_.size()) return broken("it is empty");
    if (text_[at_] != '[' && text_[at_] != '{') return broken("neither a list nor an object");
    object_ = text_[at_++] == '{';
    return object_;
  }

  struct Part {
    std::string_view key;  // with its quotes
    std::string_view value;
    std::size_t line = 0;
  };
  // The next member; nullopt behind the last one.
  Result<std::optional<Part>> next() {
    skip_space();
    if (at_ == text_.size()) return broken("it is broken off");
    const char end = object_ ? '}' : ']';
    if (text_[at_] == end && (first_ || !comma_)) return finish();
    Part part;
    first_ = false;
    if (object_) {
      if (text_[at_] != '"') return broken("a key in double quotes is missing");
      AWM_TRY(part.key, value());
      skip_space();
      if (at_ == text_.size()) return broken("it is broken off");
      if (text_[at_] != ':') return broken("a colon is missing behind a key");
      ++at_;
      skip_space();
    }
    part.line = line_;
    AWM_TRY(part.value, value());
    if (part.value.empty()) return broken(at_ == text_.size() ? "it is broken off" : "a value is missing");
    skip_space();
    if (at_ == text_.size()) return broken("it is broken off");
    comma_ = text_[at_] == ',';
    if (comma_) {
      ++at_;
    } else if (text_[at_] != end) {
      return broken("a comma is missing between two values");
    }
    return part;
  }

 private:
  Result<std::optional<Part>> finish() {
    ++at_;
    skip_space();
    if (at_ != text_.size()) return broken("more stands behind its end");
    return std::nullopt;
  }

  Result<std::string_view> value() {
    const std::size_t start = at_;
    int depth = 0;
    bool in_string = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (in_string) {
        if (c == '\\') {
          ++at_;
        } else if (c == '"') {
          in_string = false;
          if (depth == 0) return text_.substr(start, ++at_ - start);
        }
        continue;
      }
      if (c == '"') {
        in_string = true;
      } else if (c == '[' || c == '{') {
        ++depth;
      } else if (c == ']' || c == '}') {
        if (depth == 0) break;
        if (--depth == 0) return text_.substr(start, ++at_ - start);
      } else if (depth == 0 && (c == ',' || json_space.find(c) != std::string_view::npos)) {
        break;
      }
    }
    at_ = std::min(at_, text_.size());
    if (in_string || depth > 0) return broken("it is broken off");
    return text_.substr(start, at_ - start);
  }

  void skip_space() {
    for (; at_ < text_.size() && json_space.find(text_[at_]) != std::string_view::npos; ++at_) {
      if (text_[at_] == '\n') ++line_;
    }
  }

  [[nodiscard]] std::unexpected<Error> broken(std::string_view why) const {
    return fail(Errc::invalid_input, "read", fmt::format("{}:{}", path_, line_),
                fmt::format("not valid JSON: {}", why));
  }

  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  bool object_ = false;
  bool first_ = true;
  bool comma_ = false;
};

Result<Json> parse_item(std::string_view text, const std::string& origin) {
  auto json = parse_json(text, origin);
  if (!json) json.error().operation = "read";
  return json;
}

Result<void> lines(const std::string& path, const std::function<Result<void>(const JsonItem&)>& take,
                   std::size_t max_line) {
  static const Scope scope("process/rows");
  AWM_TRY(auto reader, LineReader::open(scope, path, max_line));
  for (;;) {
    AWM_TRY(const auto next, reader.next());
    if (!next) return {};
    std::string_view line = *next;
    if (reader.line_number() == 1 && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    if (is_blank(line)) continue;
    const std::string origin = fmt::format("{}:{}", path, reader.line_number());
    auto json = parse_item(line, origin);
    if (!json) {
      if (!reader.ended_with_newline()) {
        json.error().cause = "the last line is broken off: " + json.error().cause;
        json.error().remedy = "the file was not written to its end; fetch or write it again";
      }
      return std::unexpected(std::move(json).error());
    }
    AWM_CHECK(take({.origin = origin, .key = {}, .value = &*json}));
  }
}

Result<void> document(const std::string& path, const std::function<bool(std::string_view)>& is_item,
                      const std::function<Result<void>(const JsonItem&)>& take) {
  AWM_TRY(const std::string content, read_file(path));
  std::string_view text = content;
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  Splitter splitter(text, path);
  AWM_TRY(const bool object, splitter.open());
  std::vector<Splitter::Part> parts;
  bool whole = false;
  for (;;) {
    AWM_TRY(const auto part, splitter.next());
    if (!part) break;
    whole = whole || (object && is_item(part->key.substr(1, part->key.size() - 2)));
    parts.push_back(*part);
  }
  if (whole) {
    AWM_TRY(const Json json, parse_item(text, path));
    return take({.origin = path, .key = {}, .value = &json});
  }
  std::set<std::string> keys;
  std::size_t number = 0;
  for (const auto& part : parts) {
    ++number;
    std::string key;
    if (object) {
      AWM_TRY(const Json name, parse_item(part.key, fmt::format("{}:{}", path, part.line)));
      key = name.get<std::string>();
      if (!keys.insert(key).second) {
        return fail(Errc::invalid_input, "read", fmt::format("{}:{}", path, part.line),
                    fmt::format("the key {} stands twice", key));
      }
    }
    const std::string origin = fmt::format("{}:{} (item {})", path, part.line, number);
    AWM_TRY(const Json json, parse_item(part.value, origin));
    AWM_CHECK(take({.origin = origin, .key = key, .value = &json}));
  }
  return {};
}

}  // namespace

Result<void> for_each_item(const std::string& path, const std::function<bool(std::string_view key)>& is_item,
                           const std::function<Result<void>(const JsonItem&)>& take, std::size_t max_line) {
  if (path.ends_with(".jsonl")) return lines(path, take, max_line);
  if (path.ends_with(".json")) return document(path, is_item, take);
  if (!exists(path)) return fail(Errc::not_found, "read", path, "there is no such file");
  return fail(Errc::invalid_input, "read", path, "its name ends neither in .jsonl nor in .json");
}

}  // namespace awm
