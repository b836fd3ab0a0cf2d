// The options that say which model: the same for every command that asks one.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace awm {

// Where the values go; they outlive the parsing.
struct ModelFlags {
  std::string& config_file;
  std::string& llm_config;
  std::string& model;
  std::string& base_url;
  std::vector<std::string>& api_key_env;
};

void add_model_flags(CLI::App& to, const ModelFlags& flags);

}  // namespace awm
