#include "base/json.h"

#include <array>
#include <charconv>
#include <cmath>

namespace awm {
namespace {

// Depth before parsing: the parser's own recursion must not be reached by what is too deep. Strings are skipped.
int nesting(std::string_view text, int limit) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest) deepest = depth;
      if (deepest > limit) return deepest;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

// A text of one line is a line of a file that the caller names: "line 1" would contradict it.
std::string place(std::string_view text, std::size_t byte) {
  if (text.find('\n') == std::string_view::npos) return "column " + std::to_string(std::min(byte, text.size()) + 1);
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < std::min(byte, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// Python's repr of a float: the shortest digits that read back as the same number, with an exponent below 1e-4 and from
// 1e16 on.
std::string python_float(double value) {
  std::array<char, 40> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const auto e = text.find('e');
  int exponent = 0;
  const auto number = text.substr(e + (text[e + 1] == '+' ? 2 : 1));
  std::from_chars(number.data(), number.data() + number.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  const std::string sign = text.front() == '-' ? "-" : "";
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  const std::string fraction = digits.substr(whole);
  return sign + digits.substr(0, whole) + "." + (fraction.empty() ? "0" : fraction);
}

void dump_python(const Json& json, std::string& out) {
  if (json.is_object()) {
    out += '{';
    bool first = true;
    for (const auto& item : json.items()) {
      if (!first) out += ", ";
      first = false;
      out += Json(item.key()).dump(-1, ' ', false, Json::error_handler_t::replace);
      out += ": ";
      dump_python(item.value(), out);
    }
    out += '}';
  } else if (json.is_array()) {
    out += '[';
    bool first = true;
    for (const auto& item : json) {
      if (!first) out += ", ";
      first = false;
      dump_python(item, out);
    }
    out += ']';
  } else if (json.is_number_float() && std::isfinite(json.get<double>())) {
    out += python_float(json.get<double>());
  } else {
    out += json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

// The library quotes all of a broken string, which may be a whole patch: the end of it shows where it broke.
std::string shorten_quote(std::string why) {
  constexpr std::string_view mark = "; last read: '";
  constexpr std::size_t room = 40;
  const auto at = why.find(mark);
  if (at == std::string::npos || why.size() - at - mark.size() <= room + 1) return why;
  std::size_t from = why.size() - 1 - room;
  while (from < why.size() && (static_cast<unsigned char>(why[from]) & 0xC0U) == 0x80U) ++from;
  return why.substr(0, at + mark.size()) + "…" + why.substr(from);
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what, int max_depth) {
  if (nesting(text, max_depth) > max_depth) {
    return fail(Errc::invalid_input, "parse", std::string(what),
                "nested deeper than " + std::to_string(max_depth) + " levels");
  }
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& e) {
    std::string why = e.what();
    if (const auto colon = why.rfind(": "); why.starts_with("[json.exception") && colon != std::string::npos) {
      why = why.substr(why.find("] ") + 2);
      if (const auto at = why.find(": "); why.starts_with("parse error") && at != std::string::npos)
        why = why.substr(at + 2);
    }
    if (text.empty() || text.find_first_not_of(" \t\r\n") == std::string_view::npos) why = "empty";
    return fail(Errc::invalid_input, "parse", std::string(what),
                "not valid JSON at " + place(text, e.byte > 0 ? e.byte - 1 : 0) + ": " + shorten_quote(std::move(why)));
  } catch (const nlohmann::json::exception& e) {
    return fail(Errc::invalid_input, "parse", std::string(what), e.what());
  }
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string dump_json_python(const Json& json) {
  std::string out;
  dump_python(json, out);
  return out;
}

const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(std::string(key));
  return it == object.end() ? nullptr : &*it;
}

std::optional<std::string> get_string(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return member->get<std::string>();
}

std::optional<int64_t> get_int(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr) return std::nullopt;
  if (member->is_number_unsigned()) {
    const auto value = member->get<uint64_t>();
    if (value > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(value);
  }
  if (!member->is_number_integer()) return std::nullopt;
  return member->get<int64_t>();
}

std::optional<double> get_number(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  return member->get<double>();
}

std::optional<bool> get_bool(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  if (member == nullptr || !member->is_boolean()) return std::nullopt;
  return member->get<bool>();
}

std::string string_or(const Json& object, std::string_view key, std::string_view fallback) {
  auto value = get_string(object, key);
  return value ? *std::move(value) : std::string(fallback);
}

}  // namespace awm
