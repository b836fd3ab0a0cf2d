#include "config/toml.h"

// Header-only and without exceptions, whatever the distribution's own build of the library is.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 1
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "base/text.h"

namespace awm {
namespace {

int line_of(const toml::source_region& region) {
  return static_cast<int>(region.begin.line);
}

template <class T>
std::string as_text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TomlNode convert(const toml::node& node);

TomlNode convert_table(const toml::table& table) {
  TomlNode out{.type = TomlNode::Type::table, .line = line_of(table.source()), .value = Json::object()};
  // toml++ keeps a table sorted by name; people read it in the order in which it is written.
  std::vector<std::pair<toml::source_position, const toml::key*>> order;
  for (const auto& [key, node] : table) order.emplace_back(key.source().begin, &key);
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) {
    return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
  });
  for (const auto& [position, key] : order) {
    TomlNode member = convert(*table.get(key->str()));
    // A key's own line is what a person looks for; a long value may begin and end elsewhere.
    if (position.line > 0) member.line = static_cast<int>(position.line);
    out.value[std::string(key->str())] = member.value;
    out.members.emplace_back(std::string(key->str()), std::move(member));
  }
  return out;
}

TomlNode convert(const toml::node& node) {
  TomlNode out{.line = line_of(node.source()), .value = nullptr};
  if (const auto* table = node.as_table()) return convert_table(*table);
  if (const auto* list = node.as_array()) {
    out.type = TomlNode::Type::list;
    out.value = Json::array();
    for (const auto& item : *list) out.value.push_back(convert(item).value);
  } else if (const auto* text = node.as_string()) {
    out.type = TomlNode::Type::text;
    out.value = text->get();
  } else if (const auto* integer = node.as_integer()) {
    out.type = TomlNode::Type::integer;
    out.value = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    out.type = TomlNode::Type::number;
    out.value = number->get();
  } else if (const auto* boolean = node.as_boolean()) {
    out.type = TomlNode::Type::boolean;
    out.value = boolean->get();
  } else {
    out.type = TomlNode::Type::date;
    if (const auto* date = node.as_date()) out.value = as_text(date->get());
    if (const auto* time = node.as_time()) out.value = as_text(time->get());
    if (const auto* both = node.as_date_time()) out.value = as_text(both->get());
  }
  return out;
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view name) const {
  for (const auto& [key, node] : members) {
    if (key == name) return &node;
  }
  return nullptr;
}

std::string_view with_article(TomlNode::Type type) {
  switch (type) {
    case TomlNode::Type::text:
      return "a string";
    case TomlNode::Type::integer:
      return "an integer";
    case TomlNode::Type::number:
      return "a number";
    case TomlNode::Type::boolean:
      return "true or false";
    case TomlNode::Type::date:
      return "a date or time";
    case TomlNode::Type::list:
      return "a list";
    case TomlNode::Type::table:
      return "a table";
  }
  return "a value";
}

Result<TomlNode> parse_toml(std::string_view text, std::string_view name) {
  const toml::parse_result result = toml::parse(text);
  if (!result) {
    const toml::parse_error& error = result.error();
    const auto at = error.source().begin;
    constexpr std::string_view preamble = "Error while parsing ";
    std::string_view words = error.description();
    if (words.starts_with(preamble)) words.remove_prefix(preamble.size());
    return fail(Errc::invalid_input, "read",
                std::string(name) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                "not valid TOML: " + std::string(words),
                "texts are quoted, true and false are lower case, and for None the key is left out");
  }
  return convert_table(result.table());
}

}  // namespace awm
