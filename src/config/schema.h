// The keys that a config.toml may hold, by section: OpenHands 0.62's (openhands/core/config/*.py), those of its other
// versions that its templates named, and ours under [awm].
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "config/toml.h"

namespace awm {

enum class KeyKind { text, integer, number, boolean, text_list, list, table, text_table, size };
// What is expected, for messages: "an integer".
std::string_view with_article(KeyKind kind);

enum class KeyUse {
  used,
  unused,  // OpenHands', accepted, and not used here
  old,     // of OpenHands before or after 0.62
};

struct KeyRule {
  std::string_view name;
  KeyKind kind = KeyKind::text;
  KeyUse use = KeyUse::unused;
  bool secret = false;              // its value is shown nowhere, or those of the names in it that look like one
  std::optional<double> minimum{};  // of a number
};

struct SectionRule {
  std::string_view name;          // "llm", "awm.sandbox"
  std::span<const KeyRule> keys;  // none of them: anything goes
  bool named = false;             // [section.NAME] holds the same keys
  bool ours = false;              // strict: values are taken as TOML types them
};

// All sections; "" where a name is none of them.
std::span<const SectionRule> known_sections();
const SectionRule* find_section(std::string_view name);
const KeyRule* find_key(const SectionRule& section, std::string_view name);
std::vector<std::string> key_names(const SectionRule& section);

// The value as the rule wants it, or what is wrong: "expected an integer, found a list". Where `lenient`, what pydantic
// converts is converted (5.0 and "5" are the integer 5, "yes" is true) and `told` says so.
struct Checked {
  std::optional<Json> value;
  std::string wrong;
  std::string told;
};
Checked check_value(const KeyRule& rule, const TomlNode& node, bool lenient);

// A value of the environment, typed as OpenHands types it: int(), float(), "true" and "1" are true and all else is
// false, lists and tables as Python literals.
Checked check_variable(const KeyRule& rule, std::string_view text);

// "4G", "512 MB", "1048576" → bytes; binary units, as Docker counts them. nullopt where it is none.
std::optional<int64_t> parse_size(std::string_view text);

// A Python literal of lists, tuples, dicts, strings, numbers, True, False and None; nullopt where it is none.
std::optional<Json> parse_python_literal(std::string_view text);

}  // namespace awm
