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
  for (const auto& [key, node] : table) {
    TomlNode member = convert(node);
    // A key's own line is what a person looks for; a long value may begin and end elsewhere.
    if (const int line = line_of(key.source()); line > 0) member.line = line;
    out.value[std::string(key.str())] = member.value;
    out.members.emplace_back(std::string(key.str()), std::move(member));
  }
  // toml++ keeps a table sorted by name.
  std::ranges::stable_sort(out.members, {}, [](const auto& member) { return member.second.line; });
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
    return fail(Errc::invalid_input, "read",
                std::string(name) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                "not valid TOML: " + std::string(error.description()));
  }
  return convert_table(result.table());
}

}  // namespace awm
