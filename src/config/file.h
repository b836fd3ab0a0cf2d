// What ConfigFile holds: sections with checked values and their lines.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "config/config.h"

namespace awm {

struct ConfigValue {
  Json value;
  int line = 0;
};

struct ConfigSection {
  std::string name;  // "llm", "llm.kimi-k2", "awm.sandbox"
  int line = 0;
  std::map<std::string, ConfigValue, std::less<>> values;
};

struct ConfigFile::Data {
  std::string name;
  std::vector<ConfigSection> sections;  // in the file's order
  std::vector<std::string> secrets;
  std::vector<std::string> warnings;
  std::vector<std::string> notes;

  [[nodiscard]] const ConfigSection* find(std::string_view section) const;
  [[nodiscard]] const ConfigValue* find(std::string_view section, std::string_view key) const;
};

// The value with every text in it replaced by "***", for tables that may hold secrets.
Json masked(const Json& value);

}  // namespace awm
