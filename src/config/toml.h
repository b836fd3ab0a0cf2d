// TOML text → a plain tree with line numbers. The only door to toml++.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace awm {

// A value of a TOML file and where it stands.
struct TomlNode {
  enum class Type { text, integer, number, boolean, date, list, table };
  Type type = Type::table;
  int line = 0;
  Json value;                                               // the whole value; dates as text
  std::vector<std::pair<std::string, TomlNode>> members{};  // of a table, in the file's order

  [[nodiscard]] const TomlNode* find(std::string_view name) const;
};

// "a string", "an integer", … for messages.
std::string_view with_article(TomlNode::Type type);

// Parses TOML 1.0, and of what comes after it line breaks in inline tables (OpenHands' own template shows such).
// Errors: invalid_input with "name:line:column" as the object; the text of values never appears in it.
Result<TomlNode> parse_toml(std::string_view text, std::string_view name);

}  // namespace awm
