// Settings from OpenHands' config.toml as it is, environment variables and flags; awm's own under [awm] of the same
// file. Order: flag, environment, the named section, [llm], default. Keys are secrets: no text made here holds one.
// What a key means: docs/config.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "llm/provider.h"

namespace awm {

// Variables by name. Tests give their own.
using Environment = std::map<std::string, std::string, std::less<>>;
Environment process_environment();

// What the command line says of settings; "" and empty lists: nothing.
struct SettingsFlags {
  std::string config_file{};               // --config
  std::string llm_config{};                // --llm-config: "llm.NAME" or "NAME"
  std::string model{};                     // --model
  std::string base_url{};                  // --base-url
  std::vector<std::string> api_key_env{};  // --api-key-env: names of variables
  std::string agent_class{};               // --agent-class: its section [agent.CLASS] may name an LLM section
};

enum class SettingSource { fallback, base_section, section, environment, flag };

// One setting and who said it, for people.
struct SettingOrigin {
  std::string key;    // "llm.model"
  std::string value;  // as JSON; secrets as "***"
  SettingSource source = SettingSource::fallback;
  std::string where;  // "config.toml:12 [llm.kimi-k2]", "LLM_MODEL", "--model", "default"
};

// A folder or file of the host that a sandbox shows: "SRC[:DST][:rw]".
struct BindMount {
  std::string source;  // absolute
  std::string target;  // absolute; the same as source where it was not given
  bool writable = false;
  friend bool operator==(const BindMount&, const BindMount&) = default;
};
// Errors: invalid_input saying what of it is wrong. "~/" is `home`.
Result<BindMount> parse_bind(std::string_view text, std::string_view home);

// [awm.sandbox], and what of [sandbox] has a use here. Unset: the sandbox's own default.
struct SandboxSettings {
  std::vector<BindMount> binds;
  std::optional<bool> network;
  std::optional<int64_t> memory_bytes;
  std::optional<int64_t> pids;
  // "NAME=value": [sandbox] runtime_startup_env_vars, then [awm.sandbox] env, each name once.
  std::vector<std::string> environment;
};

// Defaults of a run's options, for options that the command line leaves out: [awm.run], [core], [sandbox] timeout.
struct RunDefaults {
  std::optional<std::string> sandbox;     // "local"
  std::optional<std::string> repos;       // absolute
  std::optional<std::string> env_setup;   // absolute
  std::optional<std::string> output_dir;  // absolute
  std::optional<double> eval_timeout;     // seconds
  std::optional<double> command_timeout;  // seconds; 0: none
  std::optional<std::string> agent_class;
  std::optional<int64_t> max_iterations;
  std::optional<double> max_budget_per_task;  // US dollars; 0: none
};

struct Settings {
  std::string config_file;  // "" : there was none
  std::string llm_section;  // "llm" or "llm.kimi-k2"
  LlmConfig llm;            // its model is "" where nobody named one
  SandboxSettings sandbox;
  RunDefaults run;
  std::vector<SettingOrigin> origins;  // what is not a default, and model, base_url and api_key in any case
  std::vector<std::string> warnings;   // lines for the person
  std::vector<std::string> notes;      // lines for run.log: keys not used, keys inherited, strings read as numbers
};

// A config.toml, read and checked; values not yet chosen among. Cheap to copy; immutable.
class ConfigFile {
 public:
  ConfigFile();  // no file: all is default

  // `name` is how messages call it. Errors: invalid_input naming file, line, section and key of every mistake: TOML
  // syntax, unknown key (with the nearest known), wrong type (with what was expected), value out of range.
  static Result<ConfigFile> parse(std::string_view text, std::string name);
  // "" : ./config.toml where there is one, else no file. Errors: as parse(), and not_found, permission, exhausted (over
  // 4 MiB).
  static Result<ConfigFile> load(const std::string& path);

  [[nodiscard]] const std::string& name() const;                   // "" : no file
  [[nodiscard]] std::vector<std::string> llm_sections() const;     // "llm", "llm.kimi-k2", …, in the file's order
  [[nodiscard]] const std::vector<std::string>& secrets() const;   // every secret value in it
  [[nodiscard]] const std::vector<std::string>& warnings() const;  // sections that are passed over
  [[nodiscard]] const std::vector<std::string>& notes() const;     // keys that are not used, values converted

  struct Data;
  [[nodiscard]] const Data& data() const { return *data_; }

 private:
  explicit ConfigFile(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

// Chooses among file, environment and flags. Pure. Errors: not_found listing the sections there are; invalid_input
// naming the variable or the flag.
Result<Settings> resolve_settings(const ConfigFile& file, const SettingsFlags& flags, const Environment& environment);

// Another model of the same file ([llm.condenser], …) by "llm.NAME", "NAME" or "" for [llm]: section, [llm], default;
// environment and flags speak of the main model alone. Errors: not_found listing the sections there are.
Result<LlmConfig> resolve_llm(const ConfigFile& file, std::string_view name, const Environment& environment);

// All of it: reads the file, chooses, hides every secret from the log (log_hide_secret).
Result<Settings> load_settings(const SettingsFlags& flags, const Environment& environment = process_environment());

// Error unless a model is named; says the ways to name one.
Result<void> require_model(const Settings& settings);

// For config.json and run.log; secrets are "***".
Json to_json(const Settings& settings);
std::vector<std::string> describe(const Settings& settings);

}  // namespace awm
