#include "config/schema.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace awm {
namespace {

using enum KeyKind;
using enum KeyUse;

constexpr auto core_keys = std::to_array<KeyRule>({
    {.name = "default_agent", .use = used},
    {.name = "max_iterations", .kind = integer, .use = used, .minimum = 1},
    {.name = "max_budget_per_task", .kind = number, .use = used, .minimum = 0},
    {.name = "runtime"},
    {.name = "file_store"},
    {.name = "file_store_path"},
    {.name = "file_store_web_hook_url"},
    {.name = "file_store_web_hook_headers", .kind = table, .secret = true},
    {.name = "file_store_web_hook_batch", .kind = boolean},
    {.name = "enable_browser", .kind = boolean},
    {.name = "save_trajectory_path"},
    {.name = "save_screenshots_in_trajectory", .kind = boolean},
    {.name = "replay_trajectory_path"},
    {.name = "search_api_key", .secret = true},
    {.name = "workspace_base"},
    {.name = "workspace_mount_path_in_sandbox"},
    {.name = "workspace_mount_path"},
    {.name = "workspace_mount_rewrite"},
    {.name = "cache_dir"},
    {.name = "run_as_openhands", .kind = boolean},
    {.name = "init_git_in_empty_workspace", .kind = boolean},
    {.name = "disable_color", .kind = boolean},
    {.name = "jwt_secret", .secret = true},
    {.name = "debug", .kind = boolean},
    {.name = "file_uploads_max_file_size_mb", .kind = integer},
    {.name = "file_uploads_restrict_file_types", .kind = boolean},
    {.name = "file_uploads_allowed_extensions", .kind = text_list},
    {.name = "cli_multiline_input", .kind = boolean},
    {.name = "conversation_max_age_seconds", .kind = integer},
    {.name = "enable_default_condenser", .kind = boolean},
    {.name = "max_concurrent_conversations", .kind = integer},
    {.name = "client_wait_timeout", .kind = integer},
    {.name = "mcp_host"},
    {.name = "git_user_name"},
    {.name = "git_user_email"},
    // Names of whole sections that OpenHands would take as tables of [core] too.
    {.name = "cli", .kind = table},
    {.name = "e2b_api_key", .use = old, .secret = true},
    {.name = "modal_api_token_id", .use = old, .secret = true},
    {.name = "modal_api_token_secret", .use = old, .secret = true},
    {.name = "daytona_api_key", .use = old, .secret = true},
    {.name = "daytona_target", .use = old},
    {.name = "daytona_api_url", .use = old},
    {.name = "runloop_api_key", .use = old, .secret = true},
    {.name = "trajectories_path", .use = old},
    {.name = "reasoning_effort", .use = old},
    {.name = "enable_cli_session", .kind = boolean, .use = old},
    {.name = "persist_sandbox", .kind = boolean, .use = old},
    {.name = "ssh_hostname", .use = old},
    {.name = "ssh_port", .kind = integer, .use = old},
    {.name = "ssh_password", .use = old, .secret = true},
});

constexpr auto llm_keys = std::to_array<KeyRule>({
    {.name = "model", .use = used},
    {.name = "api_key", .use = used, .secret = true},
    {.name = "base_url", .use = used},
    {.name = "api_version", .use = used},
    {.name = "custom_llm_provider", .use = used},
    {.name = "temperature", .kind = number, .use = used, .minimum = 0},
    {.name = "top_p", .kind = number, .use = used, .minimum = 0},
    {.name = "top_k", .kind = number, .use = used, .minimum = 0},
    {.name = "seed", .kind = integer, .use = used},
    {.name = "reasoning_effort", .use = used},
    {.name = "native_tool_calling", .kind = boolean, .use = used},
    {.name = "disable_vision", .kind = boolean},
    {.name = "disable_stop_word", .kind = boolean, .use = used},
    {.name = "completion_kwargs", .kind = table, .use = used, .secret = true},
    {.name = "timeout", .kind = integer, .use = used, .minimum = 0},
    {.name = "num_retries", .kind = integer, .use = used, .minimum = 0},
    {.name = "retry_min_wait", .kind = integer, .use = used, .minimum = 0},
    {.name = "retry_max_wait", .kind = integer, .use = used, .minimum = 0},
    {.name = "retry_multiplier", .kind = number, .use = used, .minimum = 0},
    {.name = "max_input_tokens", .kind = integer, .use = used, .minimum = 0},
    {.name = "max_output_tokens", .kind = integer, .use = used, .minimum = 0},
    {.name = "max_message_chars", .kind = integer, .use = used, .minimum = 1},
    {.name = "input_cost_per_token", .kind = number, .use = used, .minimum = 0},
    {.name = "output_cost_per_token", .kind = number, .use = used, .minimum = 0},
    {.name = "drop_params", .kind = boolean, .use = used},
    {.name = "modify_params", .kind = boolean, .use = used},
    {.name = "caching_prompt", .kind = boolean, .use = used},
    {.name = "log_completions", .kind = boolean, .use = used},
    {.name = "log_completions_folder", .use = used},
    {.name = "openrouter_site_url", .use = used},
    {.name = "openrouter_app_name", .use = used},
    {.name = "ollama_base_url", .use = used},
    {.name = "aws_access_key_id", .secret = true},
    {.name = "aws_secret_access_key", .secret = true},
    {.name = "aws_region_name"},
    {.name = "custom_tokenizer"},
    {.name = "safety_settings", .kind = list, .use = used},
    {.name = "for_routing", .kind = boolean},
    {.name = "correct_num", .kind = integer},
    {.name = "embedding_model", .use = old},
    {.name = "embedding_base_url", .use = old},
    {.name = "embedding_deployment_name", .use = old},
    {.name = "max_tokens", .kind = integer, .use = old},
});

constexpr auto agent_keys = std::to_array<KeyRule>({
    {.name = "llm_config", .use = used},
    {.name = "cli_mode", .kind = boolean},
    {.name = "classpath"},
    {.name = "system_prompt_filename"},
    {.name = "enable_browsing", .kind = boolean},
    {.name = "enable_llm_editor", .kind = boolean},
    {.name = "enable_editor", .kind = boolean},
    {.name = "enable_jupyter", .kind = boolean},
    {.name = "enable_cmd", .kind = boolean},
    {.name = "enable_think", .kind = boolean},
    {.name = "enable_finish", .kind = boolean},
    {.name = "enable_condensation_request", .kind = boolean},
    {.name = "enable_prompt_extensions", .kind = boolean},
    {.name = "enable_mcp", .kind = boolean},
    {.name = "disabled_microagents", .kind = text_list},
    {.name = "enable_history_truncation", .kind = boolean},
    {.name = "enable_som_visual_browsing", .kind = boolean},
    {.name = "enable_plan_mode", .kind = boolean},
    {.name = "condenser", .kind = table},
    {.name = "model_routing", .kind = table},
    {.name = "extended", .kind = table},
    {.name = "runtime"},
    {.name = "micro_agent_name", .use = old},
    {.name = "memory_enabled", .kind = boolean, .use = old},
    {.name = "memory_max_threads", .kind = integer, .use = old},
    {.name = "use_microagents", .kind = boolean, .use = old},
    {.name = "codeact_enable_browsing", .kind = boolean, .use = old},
    {.name = "codeact_enable_jupyter", .kind = boolean, .use = old},
    {.name = "codeact_enable_llm_editor", .kind = boolean, .use = old},
    {.name = "function_calling", .kind = boolean, .use = old},
});

constexpr auto sandbox_keys = std::to_array<KeyRule>({
    {.name = "timeout", .kind = integer, .use = used, .minimum = 1},
    {.name = "runtime_startup_env_vars", .kind = text_table, .use = used, .secret = true},
    {.name = "remote_runtime_api_url"},
    {.name = "local_runtime_url"},
    {.name = "keep_runtime_alive", .kind = boolean},
    {.name = "pause_closed_runtimes", .kind = boolean},
    {.name = "rm_all_containers", .kind = boolean},
    {.name = "api_key", .secret = true},
    {.name = "base_container_image"},
    {.name = "runtime_container_image"},
    {.name = "user_id", .kind = integer},
    {.name = "remote_runtime_init_timeout", .kind = integer},
    {.name = "remote_runtime_api_timeout", .kind = integer},
    {.name = "remote_runtime_enable_retries", .kind = boolean},
    {.name = "remote_runtime_class"},
    {.name = "enable_auto_lint", .kind = boolean},
    {.name = "use_host_network", .kind = boolean},
    {.name = "additional_networks", .kind = text_list},
    {.name = "runtime_binding_address"},
    {.name = "runtime_extra_build_args", .kind = text_list},
    {.name = "initialize_plugins", .kind = boolean},
    {.name = "force_rebuild_runtime", .kind = boolean},
    {.name = "runtime_extra_deps"},
    {.name = "browsergym_eval_env"},
    {.name = "platform"},
    {.name = "close_delay", .kind = integer},
    {.name = "remote_runtime_resource_factor", .kind = integer},
    {.name = "enable_gpu", .kind = boolean},
    {.name = "docker_runtime_kwargs", .kind = table},
    {.name = "selected_repo"},
    {.name = "trusted_dirs", .kind = text_list},
    {.name = "vscode_port", .kind = integer},
    {.name = "volumes"},
    {.name = "cuda_visible_devices"},
});

constexpr auto security_keys = std::to_array<KeyRule>({
    {.name = "confirmation_mode", .kind = boolean},
    {.name = "security_analyzer"},
    {.name = "enable_security_analyzer", .kind = boolean, .use = old},
});

// The union over its types; which of them go with which type is OpenHands' affair as long as none is used here.
constexpr auto condenser_keys = std::to_array<KeyRule>({
    {.name = "type"},
    {.name = "attention_window", .kind = integer, .minimum = 1},
    {.name = "keep_first", .kind = integer, .minimum = 0},
    {.name = "max_events", .kind = integer, .minimum = 1},
    {.name = "max_size", .kind = integer, .minimum = 2},
    {.name = "max_event_length", .kind = integer},
    {.name = "llm_config"},
    {.name = "condensers", .kind = list},
});

constexpr auto mcp_keys = std::to_array<KeyRule>({
    {.name = "sse_servers", .kind = list, .secret = true},
    {.name = "stdio_servers", .kind = list, .secret = true},
    {.name = "shttp_servers", .kind = list, .secret = true},
});

constexpr auto kubernetes_keys = std::to_array<KeyRule>({
    {.name = "namespace"},
    {.name = "ingress_domain"},
    {.name = "pvc_storage_size"},
    {.name = "pvc_storage_class"},
    {.name = "resource_cpu_request"},
    {.name = "resource_memory_request"},
    {.name = "resource_memory_limit"},
    {.name = "image_pull_secret"},
    {.name = "ingress_tls_secret"},
    {.name = "node_selector_key"},
    {.name = "node_selector_val"},
    {.name = "tolerations_yaml"},
    {.name = "privileged", .kind = boolean},
});

constexpr auto model_routing_keys = std::to_array<KeyRule>({
    {.name = "router_name"},
    {.name = "llms_for_routing", .kind = table, .secret = true},
});

constexpr auto awm_sandbox_keys = std::to_array<KeyRule>({
    {.name = "bind", .kind = text_list, .use = used},
    {.name = "network", .kind = boolean, .use = used},
    {.name = "memory", .kind = size, .use = used},
    {.name = "pids", .kind = integer, .use = used, .minimum = 1},
    {.name = "env", .kind = text_table, .use = used, .secret = true},
});

constexpr auto awm_llm_keys = std::to_array<KeyRule>({
    {.name = "api_key_env", .kind = text_list, .use = used},
    {.name = "stream", .kind = boolean, .use = used},
});

constexpr auto awm_run_keys = std::to_array<KeyRule>({
    {.name = "sandbox", .use = used},
    {.name = "repos", .use = used},
    {.name = "env_setup", .use = used},
    {.name = "output_dir", .use = used},
    {.name = "eval_timeout", .kind = number, .use = used, .minimum = 1},
    {.name = "command_timeout", .kind = number, .use = used, .minimum = 0},
});

constexpr auto sections = std::to_array<SectionRule>({
    {.name = "core", .keys = core_keys},
    {.name = "llm", .keys = llm_keys, .named = true},
    {.name = "agent", .keys = agent_keys, .named = true},
    {.name = "sandbox", .keys = sandbox_keys},
    {.name = "security", .keys = security_keys},
    {.name = "condenser", .keys = condenser_keys, .named = true},
    {.name = "mcp", .keys = mcp_keys},
    {.name = "kubernetes", .keys = kubernetes_keys},
    {.name = "model_routing", .keys = model_routing_keys},
    {.name = "extended", .keys = {}},
    {.name = "awm.sandbox", .keys = awm_sandbox_keys, .ours = true},
    {.name = "awm.llm", .keys = awm_llm_keys, .named = true, .ours = true},
    {.name = "awm.run", .keys = awm_run_keys, .ours = true},
});

Checked good(Json value, std::string told = {}) {
  return {.value = std::move(value), .wrong = {}, .told = std::move(told)};
}

Checked bad(std::string wrong) {
  return {.value = std::nullopt, .wrong = std::move(wrong), .told = {}};
}

// Python's int(): white space around, a sign, single underscores between digits.
std::optional<int64_t> to_int(std::string_view text) {
  std::string digits;
  const auto body = trim(text);
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '_' && i > 0 && i + 1 < body.size() && body[i - 1] != '_') continue;
    digits += body[i];
  }
  const char* begin = digits.data() + (digits.starts_with('+') ? 1 : 0);
  const char* end = digits.data() + digits.size();
  int64_t value = 0;
  const auto [stop, problem] = std::from_chars(begin, end, value);
  if (problem != std::errc() || stop != end || begin == end) return std::nullopt;
  return value;
}

std::optional<double> to_number(std::string_view text) {
  const auto body = trim(text);
  const char* begin = body.data() + (body.starts_with('+') ? 1 : 0);
  const char* end = body.data() + body.size();
  double value = 0;
  const auto [stop, problem] = std::from_chars(begin, end, value);
  if (problem != std::errc() || stop != end || begin == end || !std::isfinite(value)) return std::nullopt;
  return value;
}

Checked in_range(const KeyRule& rule, Json value, std::string told = {}) {
  if (rule.minimum && value.is_number() && value.get<double>() < *rule.minimum) {
    return bad(fmt::format("must be {:g} or more", *rule.minimum));
  }
  return good(std::move(value), std::move(told));
}

Checked wrong_type(const KeyRule& rule, const TomlNode& node) {
  return bad(fmt::format("expected {}, found {}", with_article(rule.kind), with_article(node.type)));
}

// 9007199254740992 and above are not all exact in a double.
bool is_whole(double value) {
  return std::trunc(value) == value && std::abs(value) < 9.0e15;
}

Checked check_integer(const KeyRule& rule, const TomlNode& node, bool lenient) {
  if (node.type == TomlNode::Type::integer) return in_range(rule, node.value);
  if (!lenient) return wrong_type(rule, node);
  if (node.type == TomlNode::Type::number && is_whole(node.value.get<double>())) {
    return in_range(rule, static_cast<int64_t>(node.value.get<double>()));
  }
  if (node.type == TomlNode::Type::text) {
    if (const auto number = to_int(node.value.get<std::string>())) {
      return in_range(rule, *number, "the string is read as an integer");
    }
  }
  return wrong_type(rule, node);
}

Checked check_number(const KeyRule& rule, const TomlNode& node, bool lenient) {
  if (node.type == TomlNode::Type::integer) return in_range(rule, node.value.get<double>());
  if (node.type == TomlNode::Type::number) {
    if (!std::isfinite(node.value.get<double>())) return bad("expected a finite number");
    return in_range(rule, node.value);
  }
  if (lenient && node.type == TomlNode::Type::text) {
    if (const auto number = to_number(node.value.get<std::string>())) {
      return in_range(rule, *number, "the string is read as a number");
    }
  }
  return wrong_type(rule, node);
}

Checked check_boolean(const KeyRule& rule, const TomlNode& node, bool lenient) {
  if (node.type == TomlNode::Type::boolean) return good(node.value);
  if (!lenient) return wrong_type(rule, node);
  if (node.type == TomlNode::Type::integer && (node.value == 0 || node.value == 1)) return good(node.value == 1);
  if (node.type == TomlNode::Type::text) {
    const auto word = to_lower_ascii(node.value.get<std::string>());
    for (const std::string_view yes : {"true", "t", "yes", "y", "on", "1"}) {
      if (word == yes) return good(true, "the string is read as true");
    }
    for (const std::string_view no : {"false", "f", "no", "n", "off", "0"}) {
      if (word == no) return good(false, "the string is read as false");
    }
  }
  return wrong_type(rule, node);
}

class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  std::optional<Json> read() {
    auto value = read_value(0);
    skip_space();
    return at_ == text_.size() ? value : std::nullopt;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::optional<Json> read_value(int depth) {
    skip_space();
    if (depth > 32 || at_ >= text_.size()) return std::nullopt;
    switch (text_[at_]) {
      case '{':
        return read_dict(depth);
      case '[':
        return read_list(depth, ']');
      case '(':
        return read_list(depth, ')');
      case '\'':
      case '"':
        return read_string();
      default:
        return read_word();
    }
  }

  std::optional<Json> read_list(int depth, char close) {
    ++at_;
    Json list = Json::array();
    while (!take(close)) {
      if (!list.empty() && !take(',')) return std::nullopt;
      if (!list.empty() && take(close)) break;
      auto item = read_value(depth + 1);
      if (!item) return std::nullopt;
      list.push_back(std::move(*item));
    }
    return list;
  }

  std::optional<Json> read_dict(int depth) {
    ++at_;
    Json dict = Json::object();
    while (!take('}')) {
      if (!dict.empty() && !take(',')) return std::nullopt;
      if (!dict.empty() && take('}')) break;
      auto key = read_value(depth + 1);
      if (!key || !key->is_string() || !take(':')) return std::nullopt;
      auto value = read_value(depth + 1);
      if (!value) return std::nullopt;
      dict[key->get<std::string>()] = std::move(*value);
    }
    return dict;
  }

  std::optional<Json> read_string() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      char c = text_[at_++];
      if (c == '\\') {
        if (at_ >= text_.size()) return std::nullopt;
        c = text_[at_++];
        switch (c) {
          case 'n':
            c = '\n';
            break;
          case 't':
            c = '\t';
            break;
          case 'r':
            c = '\r';
            break;
          case '\\':
          case '\'':
          case '"':
            break;
          default:
            out += '\\';  // as Python keeps an escape that it does not know
        }
      }
      out += c;
    }
    if (at_ >= text_.size()) return std::nullopt;
    ++at_;
    return to_valid_utf8(out);
  }

  std::optional<Json> read_word() {
    const auto end = std::min(text_.find_first_of(",:]}) \t\r\n", at_), text_.size());
    const auto word = text_.substr(at_, end - at_);
    at_ = end;
    if (word == "True") return true;
    if (word == "False") return false;
    if (word == "None") return Json(nullptr);
    if (const auto whole = to_int(word)) return *whole;
    if (const auto number = to_number(word)) return *number;
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool all_text(const Json& container) {
  for (const auto& item : container) {
    if (!item.is_string()) return false;
  }
  return true;
}

}  // namespace

std::string_view with_article(KeyKind kind) {
  switch (kind) {
    case KeyKind::text:
      return "a string";
    case KeyKind::integer:
      return "an integer";
    case KeyKind::number:
      return "a number";
    case KeyKind::boolean:
      return "true or false";
    case KeyKind::text_list:
      return "a list of strings";
    case KeyKind::list:
      return "a list";
    case KeyKind::table:
      return "a table";
    case KeyKind::text_table:
      return "a table of strings";
    case KeyKind::size:
      return "a size such as \"4G\" or \"512M\", or a number of bytes";
  }
  return "a value";
}

std::span<const SectionRule> known_sections() {
  return sections;
}

const SectionRule* find_section(std::string_view name) {
  for (const auto& section : sections) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

const KeyRule* find_key(const SectionRule& section, std::string_view name) {
  for (const auto& key : section.keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::vector<std::string> key_names(const SectionRule& section) {
  std::vector<std::string> names;
  for (const auto& key : section.keys) names.emplace_back(key.name);
  return names;
}

Checked check_value(const KeyRule& rule, const TomlNode& node, bool lenient) {
  switch (rule.kind) {
    case KeyKind::text:
      return node.type == TomlNode::Type::text ? good(node.value) : wrong_type(rule, node);
    case KeyKind::integer:
      return check_integer(rule, node, lenient);
    case KeyKind::number:
      return check_number(rule, node, lenient);
    case KeyKind::boolean:
      return check_boolean(rule, node, lenient);
    case KeyKind::list:
      return node.type == TomlNode::Type::list ? good(node.value) : wrong_type(rule, node);
    case KeyKind::table:
      return node.type == TomlNode::Type::table ? good(node.value) : wrong_type(rule, node);
    case KeyKind::text_list:
      if (node.type != TomlNode::Type::list) return wrong_type(rule, node);
      return all_text(node.value) ? good(node.value) : bad("expected a list of strings, found another value in it");
    case KeyKind::text_table:
      if (node.type != TomlNode::Type::table) return wrong_type(rule, node);
      return all_text(node.value) ? good(node.value) : bad("expected a table of strings, found another value in it");
    case KeyKind::size: {
      if (node.type == TomlNode::Type::integer && node.value.get<int64_t>() > 0) return good(node.value);
      if (node.type == TomlNode::Type::text) {
        if (const auto bytes = parse_size(node.value.get<std::string>())) return good(*bytes);
      }
      return bad(fmt::format("expected {}", with_article(rule.kind)));
    }
  }
  return wrong_type(rule, node);
}

Checked check_variable(const KeyRule& rule, std::string_view text) {
  const auto expected = [&] { return bad(fmt::format("expected {}", with_article(rule.kind))); };
  switch (rule.kind) {
    case KeyKind::text:
      return good(to_valid_utf8(text));
    case KeyKind::integer:
      if (const auto value = to_int(text)) return in_range(rule, *value);
      return expected();
    case KeyKind::number:
      if (const auto value = to_number(text)) return in_range(rule, *value);
      return expected();
    case KeyKind::boolean: {
      const auto word = to_lower_ascii(text);
      if (word == "true" || word == "1") return good(true);
      return good(false, word == "false" || word == "0" ? "" : "only true and 1 mean true: it is read as false");
    }
    case KeyKind::size:
      if (const auto bytes = parse_size(text)) return good(*bytes);
      return expected();
    case KeyKind::list:
    case KeyKind::text_list:
    case KeyKind::table:
    case KeyKind::text_table: {
      auto value = parse_python_literal(text);
      const bool wants_list = rule.kind == KeyKind::list || rule.kind == KeyKind::text_list;
      if (!value || value->is_array() != wants_list || value->is_object() == wants_list) return expected();
      if ((rule.kind == KeyKind::text_list || rule.kind == KeyKind::text_table) && !all_text(*value)) return expected();
      return good(std::move(*value));
    }
  }
  return expected();
}

std::optional<int64_t> parse_size(std::string_view text) {
  const auto body = trim(text);
  const auto digits = std::min(body.find_first_not_of("0123456789."), body.size());
  const auto number = to_number(body.substr(0, digits));
  if (!number || *number <= 0) return std::nullopt;
  auto unit = to_lower_ascii(trim(body.substr(digits)));
  if (unit.ends_with("ib")) unit.resize(unit.size() - 2);
  if (unit.size() > 1 && unit.ends_with('b')) unit.pop_back();
  double factor = 1;
  if (unit == "k") {
    factor = 1024.0;
  } else if (unit == "m") {
    factor = 1024.0 * 1024;
  } else if (unit == "g") {
    factor = 1024.0 * 1024 * 1024;
  } else if (unit == "t") {
    factor = 1024.0 * 1024 * 1024 * 1024;
  } else if (!unit.empty() && unit != "b") {
    return std::nullopt;
  }
  const double bytes = *number * factor;
  if (bytes < 1 || bytes > 9.0e18) return std::nullopt;
  return static_cast<int64_t>(bytes);
}

std::optional<Json> parse_python_literal(std::string_view text) {
  return LiteralReader(text).read();
}

}  // namespace awm
