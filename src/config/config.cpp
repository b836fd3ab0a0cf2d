#include "config/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "config/file.h"
#include "config/schema.h"
#include "os/file.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

std::string as_list(const std::vector<std::string>& sections) {
  std::vector<std::string> shown;
  shown.reserve(sections.size());
  for (const auto& section : sections) shown.push_back("[" + section + "]");
  return join(shown, ", ");
}

std::optional<std::string> variable(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  // OpenHands passes over empty variables.
  if (found == environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

// "https://user:secret@host/" → "https://***@host/".
std::string without_credentials(std::string url) {
  const auto user = user_info_of(url);
  if (user.empty() || url.find("://") == std::string::npos) return url;
  return url.replace(static_cast<std::size_t>(user.data() - url.data()), user.size(), "***");
}

// "llm.kimi-k2", "kimi-k2", "[llm.kimi-k2]" and "" → "llm.kimi-k2", …, "llm".
std::string section_of(std::string_view name) {
  auto bare = trim(name);
  while (bare.starts_with('[')) bare.remove_prefix(1);
  while (bare.ends_with(']')) bare.remove_suffix(1);
  if (bare.empty() || bare == "llm") return "llm";
  return bare.starts_with("llm.") ? std::string(bare) : "llm." + std::string(bare);
}

Result<void> require_section(const ConfigFile& file, const std::string& section, std::string_view asked_by) {
  if (section == "llm" || file.data().find(section) != nullptr) return {};
  const auto sections = file.llm_sections();
  std::vector<std::string> names;
  for (const auto& one : sections) {
    if (one != "llm") names.push_back(one);
  }
  const auto near = nearest_word(section, names);
  std::string cause = file.name().empty() ? "there is no config.toml here" : "no such section in " + file.name();
  if (!sections.empty()) cause += "; there are " + as_list(sections);
  if (!near.empty()) cause += "; did you mean \"" + near + "\"?";
  return fail(Errc::not_found, std::string(asked_by), "[" + section + "]", std::move(cause),
              file.name().empty() ? "name the file with --config" : "");
}

// What was chosen for one key.
struct Choice {
  Json value;
  SettingSource source = SettingSource::fallback;
  std::string where = "default";
};
using Choices = std::map<std::string, Choice, std::less<>>;

std::string place(const ConfigFile& file, std::string_view section, int line) {
  return fmt::format("{}:{} [{}]", file.name(), line, section);
}

Choices choose_from_file(const ConfigFile& file, const std::string& section) {
  Choices chosen;
  for (const auto& rule : find_section("llm")->keys) {
    if (rule.use != KeyUse::used) continue;
    if (const auto* base = file.data().find("llm", rule.name)) {
      chosen[std::string(rule.name)] = {base->value,
                                        section == "llm" ? SettingSource::section : SettingSource::base_section,
                                        place(file, "llm", base->line)};
    }
    if (section == "llm") continue;
    if (const auto* own = file.data().find(section, rule.name)) {
      chosen[std::string(rule.name)] = {own->value, SettingSource::section, place(file, section, own->line)};
    }
  }
  return chosen;
}

// A variable for a key: checked, or an error that names the variable and never shows a value.
Result<std::optional<Json>> read_variable(const Environment& environment, const std::string& name, const KeyRule& rule,
                                          std::vector<std::string>* warnings) {
  const auto text = variable(environment, name);
  if (!text) return std::optional<Json>();
  auto checked = check_variable(rule, *text);
  if (!checked.value) {
    return fail(Errc::invalid_input, "read", "environment variable " + name, checked.wrong, "correct it, or unset it");
  }
  if (!checked.told.empty() && warnings != nullptr) {
    warnings->push_back(fmt::format("environment variable {}: {}", name, checked.told));
  }
  return std::optional<Json>(std::move(checked.value));
}

std::string variable_name(std::string_view prefix, std::string_view key) {
  std::string name(prefix);
  for (const char c : key) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

// Keys of a model service come with stray white space from files and clipboards; inside they have none.
Result<std::string> clean_key(std::string_view text, const std::string& from) {
  const auto key = trim(text);
  for (const char c : key) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
      return fail(Errc::invalid_input, "read", from, "the key has white space or control characters inside",
                  "check what it was copied from");
    }
  }
  return std::string(key);
}

Result<std::vector<std::string>> keys_from(const std::vector<std::string>& names, const Environment& environment,
                                           const std::string& asked_by) {
  std::vector<std::string> keys;
  for (const auto& list : names) {
    for (const auto& part : split(list, ',')) {
      const std::string name(trim(part));
      if (name.empty()) continue;
      const auto value = variable(environment, name);
      if (!value || trim(*value).empty()) {
        return fail(Errc::not_found, asked_by, name, "this environment variable is not set, or empty",
                    "export " + name + "=…, or name another");
      }
      AWM_TRY(auto key, clean_key(*value, "environment variable " + name));
      keys.push_back(std::move(key));
    }
  }
  return keys;
}

std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(item.get<std::string>());
  return out;
}

struct Keys {
  std::vector<std::string> values;
  SettingSource source = SettingSource::fallback;
  std::string where = "default";
};

// Keys by [awm.llm.NAME] or [awm.llm] api_key_env, else by the chosen api_key.
Result<Keys> choose_keys(const ConfigFile& file, const std::string& section, const Choices& chosen,
                         const Environment& environment) {
  const auto api_key = chosen.find("api_key");
  const bool from_above = api_key != chosen.end() && api_key->second.source >= SettingSource::environment;
  if (!from_above) {
    for (const auto& ours : {"awm." + section, std::string("awm.llm")}) {
      if (const auto* names = file.data().find(ours, "api_key_env")) {
        const auto where = place(file, ours, names->line);
        AWM_TRY(auto values, keys_from(texts(names->value), environment, "find the key named at " + where));
        return Keys{std::move(values),
                    ours == "awm.llm" && section != "llm" ? SettingSource::base_section : SettingSource::section,
                    where};
      }
    }
  }
  Keys keys;
  if (api_key == chosen.end()) return keys;
  keys.source = api_key->second.source;
  keys.where = api_key->second.where;
  AWM_TRY(auto key, clean_key(api_key->second.value.get<std::string>(), "api_key (" + keys.where + ")"));
  if (!key.empty()) keys.values.push_back(std::move(key));
  return keys;
}

template <class T>
void take(const Choices& chosen, std::string_view key, T& to) {
  if (const auto found = chosen.find(key); found != chosen.end()) to = found->second.value.get<T>();
}

template <class T>
void take(const Choices& chosen, std::string_view key, std::optional<T>& to) {
  if (const auto found = chosen.find(key); found != chosen.end()) to = found->second.value.get<T>();
}

// A table or a list, as JSON text.
void take_text(const Choices& chosen, std::string_view key, std::string& to) {
  if (const auto found = chosen.find(key); found != chosen.end()) to = dump_json(found->second.value);
}

bool is_secret(std::string_view key) {
  const auto* rule = find_key(*find_section("llm"), key);
  return rule != nullptr && rule->secret;
}

std::string shown_value(std::string_view key, const Json& value) {
  if (is_secret(key)) return dump_json_python(masked(value));
  if (value.is_string()) return dump_json_python(without_credentials(value.get<std::string>()));
  return dump_json_python(value);
}

LlmConfig to_llm_config(const ConfigFile& file, const std::string& section, const Choices& chosen, const Keys& keys) {
  LlmConfig config;
  config.name = section;
  config.api_keys = keys.values;
  if (keys.source != SettingSource::fallback) config.key_source = keys.where;
  take(chosen, "model", config.model);
  take(chosen, "base_url", config.base_url);
  take(chosen, "api_version", config.api_version);
  take(chosen, "custom_llm_provider", config.custom_llm_provider);
  take(chosen, "ollama_base_url", config.ollama_base_url);
  take(chosen, "temperature", config.temperature);
  take(chosen, "top_p", config.top_p);
  take(chosen, "top_k", config.top_k);
  take(chosen, "seed", config.seed);
  take(chosen, "reasoning_effort", config.reasoning_effort);
  take(chosen, "native_tool_calling", config.native_tool_calling);
  take(chosen, "disable_stop_word", config.disable_stop_word);
  take_text(chosen, "completion_kwargs", config.completion_kwargs);
  take_text(chosen, "safety_settings", config.safety_settings);
  take(chosen, "timeout", config.timeout);
  take(chosen, "num_retries", config.num_retries);
  take(chosen, "retry_min_wait", config.retry_min_wait);
  take(chosen, "retry_max_wait", config.retry_max_wait);
  take(chosen, "retry_multiplier", config.retry_multiplier);
  take(chosen, "max_input_tokens", config.max_input_tokens);
  take(chosen, "max_output_tokens", config.max_output_tokens);
  take(chosen, "max_message_chars", config.max_message_chars);
  take(chosen, "input_cost_per_token", config.input_cost_per_token);
  take(chosen, "output_cost_per_token", config.output_cost_per_token);
  take(chosen, "drop_params", config.drop_params);
  take(chosen, "modify_params", config.modify_params);
  take(chosen, "caching_prompt", config.caching_prompt);
  take(chosen, "log_completions", config.log_completions);
  take(chosen, "log_completions_folder", config.log_completions_folder);
  take(chosen, "openrouter_site_url", config.openrouter_site_url);
  take(chosen, "openrouter_app_name", config.openrouter_app_name);
  for (const auto& ours : {std::string("awm.llm"), "awm." + section}) {
    if (const auto* stream = file.data().find(ours, "stream")) config.stream = stream->value.get<bool>();
  }
  return config;
}

void set_flag(Choices& chosen, std::string_view key, const std::string& value, std::string_view flag) {
  if (!value.empty()) chosen[std::string(key)] = {value, SettingSource::flag, std::string(flag)};
}

// An LLM_… variable one letter off does nothing in OpenHands; here it is told.
void warn_of_near_variables(const Environment& environment, std::vector<std::string>& warnings) {
  std::vector<std::string> known;
  for (const auto& rule : find_section("llm")->keys) known.push_back(variable_name("LLM_", rule.name));
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("LLM_") || std::ranges::find(known, name) != known.end()) continue;
    if (const auto near = nearest_word(name, known); !near.empty()) {
      warnings.push_back(fmt::format("environment variable {} is not used; did you mean {}?", name, near));
    }
  }
}

// The section a person or an agent's own section asks for.
Result<std::string> choose_section(const ConfigFile& file, const SettingsFlags& flags) {
  if (!flags.llm_config.empty()) {
    auto section = section_of(flags.llm_config);
    AWM_CHECK(require_section(file, section, "take the model of --llm-config"));
    return section;
  }
  std::vector<std::string> agents;
  if (!flags.agent_class.empty()) agents.push_back("agent." + flags.agent_class);
  agents.emplace_back("agent");
  for (const auto& agent : agents) {
    if (const auto* named = file.data().find(agent, "llm_config")) {
      auto section = section_of(named->value.get<std::string>());
      AWM_CHECK(require_section(file, section, "take the llm_config of " + place(file, agent, named->line)));
      return section;
    }
  }
  return std::string("llm");
}

Result<std::string> absolute(const std::string& path, const std::string& where) {
  auto result = absolute_path(path);
  if (!result) return fail(std::move(result).error().within("read " + where));
  return result;
}

// Options of a run and of its sandboxes, each with its origin.
class Rest {
 public:
  Rest(const ConfigFile& file, const Environment& environment, Settings& settings)
      : file_(file), environment_(environment), settings_(settings) {}

  Result<void> read() {
    AWM_CHECK(read_run());
    return read_sandbox();
  }

 private:
  // The value of a key of the file; a variable of the environment goes before it where one is named.
  Result<const Json*> choose(std::string_view section, std::string_view key, const std::string& variable = {}) {
    const auto& rule = *find_key(*find_section(section), key);
    if (!variable.empty()) {
      AWM_TRY(auto value, read_variable(environment_, variable, rule, &settings_.warnings));
      if (value) {
        held_ = std::move(*value);
        where_ = variable;
        note(section, key, SettingSource::environment, rule.secret);
        return &held_;
      }
    }
    const auto* found = file_.data().find(section, key);
    if (found == nullptr) return nullptr;
    held_ = found->value;
    where_ = place(file_, section, found->line);
    note(section, key, SettingSource::section, rule.secret);
    return &held_;
  }

  void note(std::string_view section, std::string_view key, SettingSource source, bool secret) {
    settings_.origins.push_back({.key = fmt::format("{}.{}", section, key),
                                 .value = dump_json_python(secret ? masked(held_) : held_),
                                 .source = source,
                                 .where = where_});
  }

  template <class T>
  Result<void> set(std::optional<T>& to, std::string_view section, std::string_view key,
                   const std::string& variable = {}) {
    AWM_TRY(const Json* value, choose(section, key, variable));
    if (value != nullptr) to = value->get<T>();
    return {};
  }

  Result<void> set_path(std::optional<std::string>& to, std::string_view key) {
    AWM_CHECK(set(to, "awm.run", key));
    if (to) {
      AWM_TRY(to, absolute(*to, fmt::format("{} {}", where_, key)));
    }
    return {};
  }

  Result<void> read_run() {
    RunDefaults& run = settings_.run;
    AWM_CHECK(set(run.agent_class, "core", "default_agent", "DEFAULT_AGENT"));
    AWM_CHECK(set(run.max_iterations, "core", "max_iterations", "MAX_ITERATIONS"));
    AWM_CHECK(set(run.max_budget_per_task, "core", "max_budget_per_task", "MAX_BUDGET_PER_TASK"));
    AWM_CHECK(set(run.command_timeout, "sandbox", "timeout", "SANDBOX_TIMEOUT"));
    AWM_CHECK(set(run.command_timeout, "awm.run", "command_timeout"));
    AWM_CHECK(set(run.eval_timeout, "awm.run", "eval_timeout"));
    AWM_CHECK(set(run.sandbox, "awm.run", "sandbox"));
    AWM_CHECK(set_path(run.repos, "repos"));
    AWM_CHECK(set_path(run.env_setup, "env_setup"));
    return set_path(run.output_dir, "output_dir");
  }

  Result<void> add_environment(std::string_view section, std::string_view key, const std::string& variable = {}) {
    AWM_TRY(const Json* table, choose(section, key, variable));
    if (table == nullptr) return {};
    for (const auto& [name, value] : table->items()) {
      const auto& text = value.get_ref<const std::string&>();
      if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos ||
          text.find('\0') != std::string::npos) {
        return fail(Errc::invalid_input, "read", fmt::format("{} {}", where_, key),
                    "a variable's name is empty or has \"=\" in it, or a zero byte stands in it");
      }
      std::erase_if(settings_.sandbox.environment,
                    [&](const std::string& entry) { return entry.starts_with(name + "="); });
      settings_.sandbox.environment.push_back(fmt::format("{}={}", name, text));
    }
    return {};
  }

  Result<void> read_sandbox() {
    SandboxSettings& sandbox = settings_.sandbox;
    AWM_CHECK(set(sandbox.network, "awm.sandbox", "network"));
    AWM_CHECK(set(sandbox.memory_bytes, "awm.sandbox", "memory"));
    AWM_CHECK(set(sandbox.pids, "awm.sandbox", "pids"));
    AWM_CHECK(add_environment("sandbox", "runtime_startup_env_vars", "SANDBOX_RUNTIME_STARTUP_ENV_VARS"));
    AWM_CHECK(add_environment("awm.sandbox", "env"));
    AWM_TRY(const Json* binds, choose("awm.sandbox", "bind"));
    if (binds == nullptr) return {};
    const auto home = variable(environment_, "HOME").value_or("");
    for (const auto& text : texts(*binds)) {
      auto bind = parse_bind(text, home);
      if (!bind) {
        auto error = std::move(bind).error();
        error.object = fmt::format("{} bind \"{}\"", where_, text);
        return fail(std::move(error));
      }
      sandbox.binds.push_back(std::move(*bind));
    }
    return {};
  }

  const ConfigFile& file_;
  const Environment& environment_;
  Settings& settings_;
  Json held_;
  std::string where_;
};

// Words that stand where a key is not needed; hiding them would blacken harmless lines.
bool is_placeholder(const std::string& secret) {
  const auto word = to_lower_ascii(secret);
  for (const std::string_view known : {"empty", "none", "null", "dummy", "ollama", "local", "localhost", "no-key",
                                       "test", "true", "false", "changeme"}) {
    if (word == known) return true;
  }
  return secret.size() < 4;
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (const auto& entry : sys::environment_all()) {
    const auto equals = entry.find('=');
    if (equals != std::string::npos) environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

Result<BindMount> parse_bind(std::string_view text, std::string_view home) {
  const auto wrong = [&](std::string cause) {
    return fail(Errc::invalid_input, "read", std::string(text), std::move(cause),
                "a bind is \"SRC[:DST][:rw]\" with absolute paths");
  };
  auto parts = split(text, ':');
  BindMount bind;
  if (parts.size() > 1 && (parts.back() == "rw" || parts.back() == "ro")) {
    bind.writable = parts.back() == "rw";
    parts.pop_back();
  }
  if (parts.size() > 2) return wrong("it has too many parts, or a mode other than rw and ro");
  for (auto& part : parts) {
    if (part == "~" || part.starts_with("~/")) {
      if (home.empty()) return wrong("\"~\" is used, and HOME is not set");
      part = std::string(home) + part.substr(1);
    }
    if (part.empty()) return wrong("a path of it is empty");
    if (!part.starts_with('/')) return wrong("its path \"" + part + "\" is not absolute");
    if (part.find('\0') != std::string::npos) return wrong("a zero byte stands in it");
    AWM_TRY(part, absolute_path(part));
  }
  bind.source = parts.front();
  bind.target = parts.back();
  if (bind.target == "/") return wrong("it would cover the sandbox's root");
  return bind;
}

Result<Settings> resolve_settings(const ConfigFile& file, const SettingsFlags& flags, const Environment& environment) {
  Settings settings;
  settings.config_file = file.name();
  settings.warnings = file.warnings();
  settings.notes = file.notes();
  AWM_TRY(settings.llm_section, choose_section(file, flags));
  Choices chosen = choose_from_file(file, settings.llm_section);

  std::vector<std::string> inherited;
  for (const auto& [key, choice] : chosen) {
    if (choice.source == SettingSource::base_section) inherited.push_back(key);
  }
  if (!inherited.empty()) {
    settings.notes.push_back(
        fmt::format("{}: [{}] inherits from [llm]: {}", file.name(), settings.llm_section, join(inherited, ", ")));
  }

  const auto override = [&](std::string_view key, Choice choice) {
    auto& now = chosen[std::string(key)];
    // Somebody who picked a section by name may not think of an exported variable.
    if (choice.source == SettingSource::environment && settings.llm_section != "llm" &&
        now.source == SettingSource::section && now.value != choice.value) {
      settings.warnings.push_back(fmt::format("{} goes before {} of {}", choice.where, key, now.where));
    }
    now = std::move(choice);
  };
  for (const auto& rule : find_section("llm")->keys) {
    if (rule.use != KeyUse::used) continue;
    const auto name = variable_name("LLM_", rule.name);
    AWM_TRY(auto value, read_variable(environment, name, rule, &settings.warnings));
    if (value) override(rule.name, {std::move(*value), SettingSource::environment, name});
  }
  warn_of_near_variables(environment, settings.warnings);
  set_flag(chosen, "model", flags.model, "--model");
  set_flag(chosen, "base_url", flags.base_url, "--base-url");

  Keys keys;
  if (!flags.api_key_env.empty()) {
    AWM_TRY(keys.values, keys_from(flags.api_key_env, environment, "find the key of --api-key-env"));
    keys.source = SettingSource::flag;
    keys.where = "--api-key-env " + join(flags.api_key_env, ",");
  } else {
    AWM_TRY(keys, choose_keys(file, settings.llm_section, chosen, environment));
  }
  settings.llm = to_llm_config(file, settings.llm_section, chosen, keys);

  for (const std::string_view key : {"model", "base_url"}) {
    if (!chosen.contains(key)) chosen[std::string(key)] = {.value = ""};
  }
  for (const auto& [key, choice] : chosen) {
    if (key == "api_key") continue;
    settings.origins.push_back({"llm." + key, shown_value(key, choice.value), choice.source, choice.where});
  }
  settings.origins.push_back({"llm.api_key",
                              keys.values.empty()       ? "\"\""
                              : keys.values.size() == 1 ? "\"***\""
                                                        : fmt::format("{} keys", keys.values.size()),
                              keys.source, keys.where});
  AWM_CHECK(Rest(file, environment, settings).read());
  return settings;
}

Result<LlmConfig> resolve_llm(const ConfigFile& file, std::string_view name, const Environment& environment) {
  const auto section = section_of(name);
  AWM_CHECK(require_section(file, section, "take the model of"));
  const Choices chosen = choose_from_file(file, section);
  AWM_TRY(const Keys keys, choose_keys(file, section, chosen, environment));
  return to_llm_config(file, section, chosen, keys);
}

Result<Settings> load_settings(const SettingsFlags& flags, const Environment& environment) {
  AWM_TRY(const ConfigFile file, ConfigFile::load(flags.config_file));
  for (const auto& secret : file.secrets()) {
    if (!is_placeholder(secret)) log_hide_secret(secret);
  }
  AWM_TRY(auto settings, resolve_settings(file, flags, environment));
  for (const auto& key : settings.llm.api_keys) {
    if (!is_placeholder(key)) log_hide_secret(key);
  }
  if (const auto user = user_info_of(settings.llm.base_url); !user.empty())
    log_hide_secret(user.substr(user.find(':') + 1));
  return settings;
}

Result<void> require_model(const Settings& settings) {
  if (!settings.llm.model.empty()) return {};
  return fail(Errc::invalid_input, "choose", "a model",
              settings.config_file.empty()
                  ? "none is named, and there is no config.toml here"
                  : fmt::format("[{}] of {} names none", settings.llm_section, settings.config_file),
              "give --model, or --llm-config llm.NAME, or set LLM_MODEL");
}

std::vector<std::string> describe(const Settings& settings) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("settings: {}, model section [{}]",
                              settings.config_file.empty() ? "no config.toml" : settings.config_file,
                              settings.llm_section));
  for (const auto& origin : settings.origins) {
    lines.push_back(fmt::format("  {} = {} ({})", origin.key, origin.value, origin.where));
  }
  lines.insert(lines.end(), settings.notes.begin(), settings.notes.end());
  return lines;
}

Json to_json(const Settings& settings) {
  Json values = Json::object();
  for (const auto& origin : settings.origins) {
    values[origin.key] = Json::object({{"value", origin.value}, {"from", origin.where}});
    if (auto value = parse_json(origin.value, origin.key)) values[origin.key]["value"] = std::move(*value);
  }
  return Json::object(
      {{"config_file", settings.config_file}, {"llm_section", settings.llm_section}, {"values", std::move(values)}});
}

}  // namespace awm
