#include "config/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "config/schema.h"
#include "config/toml.h"
#include "os/file.h"

namespace awm {
namespace {

// A mistake and its line; the words do not repeat the file's name.
struct Mistake {
  int line = 0;
  std::string text;
};

// A key as messages show it: whole lines of it, control characters and all, are no key of ours.
std::string shown(std::string_view key) {
  std::string out = to_valid_utf8(key.substr(0, 60));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return key.size() > 60 ? out + "…" : out;
}

class Reader {
 public:
  explicit Reader(ConfigFile::Data& data) : data_(data) {}

  void read_root(const TomlNode& root) {
    for (const auto& [name, node] : root.members) {
      if (node.type != TomlNode::Type::table) {
        mistakes_.push_back({node.line, fmt::format("\"{}\" stands in no section{}", shown(name), home_of(name, ""))});
      } else if (name == "awm") {
        read_ours(node);
      } else if (const auto* section = find_section(name)) {
        read_section(*section, name, node);
      } else {
        data_.warnings.push_back(fmt::format("{}:{}: section [{}] is not known, and passed over{}", data_.name,
                                             node.line, shown(name), did_you_mean(name, section_names())));
        collect_secrets(node, false);
      }
    }
    tell_unused();
  }

  std::vector<Mistake> take_mistakes() {
    std::ranges::stable_sort(mistakes_, {}, &Mistake::line);
    return std::move(mistakes_);
  }

 private:
  static std::vector<std::string> section_names() {
    std::vector<std::string> names;
    for (const auto& section : known_sections()) {
      if (!section.name.starts_with("awm.")) names.emplace_back(section.name);
    }
    names.emplace_back("awm");
    return names;
  }

  static std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
    const auto near = nearest_word(word, known);
    return near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
  }

  // "; it belongs in [llm]", where exactly that key is known elsewhere.
  static std::string home_of(std::string_view key, std::string_view except) {
    for (const auto& section : known_sections()) {
      if (section.name != except && find_key(section, key) != nullptr) {
        return fmt::format("; it belongs in [{}]", section.name);
      }
    }
    return "";
  }

  void read_ours(const TomlNode& awm) {
    for (const auto& [name, node] : awm.members) {
      const auto full = "awm." + name;
      const auto* section = find_section(full);
      if (section != nullptr && node.type == TomlNode::Type::table) {
        read_section(*section, full, node);
      } else if (section != nullptr) {
        mistakes_.push_back(
            {node.line, fmt::format("[awm] {}: expected a table, found {}", name, with_article(node.type))});
      } else {
        std::vector<std::string> ours;
        for (const auto& known : known_sections()) {
          if (known.ours) ours.emplace_back(known.name.substr(4));
        }
        std::string where = did_you_mean(name, ours);
        for (const auto& known : known_sections()) {
          if (known.ours && find_key(known, name) != nullptr) where = fmt::format("; it belongs in [{}]", known.name);
        }
        mistakes_.push_back({node.line, fmt::format("[awm] does not know \"{}\"{}", shown(name), where)});
      }
    }
  }

  void read_section(const SectionRule& rule, const std::string& name, const TomlNode& table) {
    ConfigSection section{.name = name, .line = table.line, .values = {}};
    const bool anything = rule.keys.empty() || table.find("classpath") != nullptr;
    std::vector<std::pair<std::string, const TomlNode*>> inner;
    for (const auto& [key, node] : table.members) {
      if (const auto* known = find_key(rule, key)) {
        read_key(rule, *known, section, node);
      } else if (rule.named && node.type == TomlNode::Type::table) {
        inner.emplace_back(fmt::format("{}.{}", name, key), &node);
      } else if (anything) {
        unused_[name].push_back(shown(key));
        collect_secrets(node, false);
      } else {
        mistakes_.push_back({node.line, unknown_key(rule, name, key)});
      }
    }
    // [llm.gpt-3.5] is, to TOML, a table "5" inside "gpt-3"; the person meant one name. "gpt-3" alone is then no
    // section.
    const bool only_a_prefix = name != rule.name && section.values.empty() && !inner.empty();
    if (!only_a_prefix) data_.sections.push_back(std::move(section));
    for (const auto& [inner_name, node] : inner) read_section(rule, inner_name, *node);
  }

  static std::string unknown_key(const SectionRule& rule, const std::string& name, const std::string& key) {
    auto hint = did_you_mean(key, key_names(rule));
    if (hint.empty()) hint = home_of(key, rule.name);
    return fmt::format("[{}] does not know the key \"{}\"{}", shown(name), shown(key), hint);
  }

  void read_key(const SectionRule& rule, const KeyRule& key, ConfigSection& section, const TomlNode& node) {
    if (key.secret) collect_secrets(node, true);
    auto checked = check_value(key, node, !rule.ours);
    if (!checked.value) {
      mistakes_.push_back({node.line, fmt::format("[{}] {}: {}", shown(section.name), key.name, checked.wrong)});
      return;
    }
    if (!checked.told.empty()) {
      data_.notes.push_back(
          fmt::format("{}:{}: [{}] {}: {}", data_.name, node.line, section.name, key.name, checked.told));
    }
    if (key.use == KeyUse::unused) unused_[section.name].emplace_back(key.name);
    if (key.use == KeyUse::old) old_[section.name].emplace_back(key.name);
    section.values.insert_or_assign(std::string(key.name), ConfigValue{std::move(*checked.value), node.line});
  }

  // Every text below a secret key, and below others those whose own key sounds like a secret.
  void collect_secrets(const TomlNode& node, bool secret) { collect_secrets(node.value, secret); }

  void collect_secrets(const Json& value, bool secret) {
    if (value.is_string() && secret && !value.get_ref<const std::string&>().empty()) {
      data_.secrets.push_back(value.get<std::string>());
    } else if (value.is_array()) {
      for (const auto& item : value) collect_secrets(item, false);
    } else if (value.is_object()) {
      for (const auto& [key, item] : value.items()) {
        const auto name = to_lower_ascii(key);
        const bool sounds = contains(name, "key") || contains(name, "token") || contains(name, "secret") ||
                            contains(name, "password") || contains(name, "authorization");
        collect_secrets(item, sounds);
      }
    }
  }

  void tell_unused() {
    const auto tell = [&](const auto& keys, std::string_view words) {
      if (keys.empty()) return;
      std::vector<std::string> parts;
      parts.reserve(keys.size());
      for (const auto& [section, names] : keys) parts.push_back(fmt::format("[{}] {}", section, join(names, ", ")));
      data_.notes.push_back(fmt::format("{}: {}: {}", data_.name, words, join(parts, "; ")));
    };
    tell(unused_, "accepted, and not used by awm");
    tell(old_, "of other versions of OpenHands than 0.62, and not used by awm");
  }

  ConfigFile::Data& data_;
  std::vector<Mistake> mistakes_;
  std::map<std::string, std::vector<std::string>> unused_;
  std::map<std::string, std::vector<std::string>> old_;
};

constexpr std::size_t most_mistakes = 20;

Error to_error(const std::string& file, const std::vector<Mistake>& mistakes) {
  Error error{.code = Errc::invalid_input,
              .operation = "read",
              .object = fmt::format("{}:{}", file, mistakes.front().line),
              .cause = mistakes.front().text,
              .remedy = "docs/config.md lists the keys"};
  if (mistakes.size() > 1) {
    error.object = file;
    std::vector<std::string> lines;
    for (const auto& mistake : mistakes) {
      if (lines.size() == most_mistakes) break;
      lines.push_back(fmt::format("line {}: {}", mistake.line, mistake.text));
    }
    error.cause = fmt::format("{} mistakes: {}{}", mistakes.size(), join(lines, "; "),
                              mistakes.size() > most_mistakes ? "; …" : "");
  }
  return error;
}

constexpr uint64_t largest_file = uint64_t{4} << 20;

}  // namespace

const ConfigSection* ConfigFile::Data::find(std::string_view section) const {
  for (const auto& one : sections) {
    if (one.name == section) return &one;
  }
  return nullptr;
}

const ConfigValue* ConfigFile::Data::find(std::string_view section, std::string_view key) const {
  const auto* found = find(section);
  if (found == nullptr) return nullptr;
  const auto value = found->values.find(key);
  return value == found->values.end() ? nullptr : &value->second;
}

Json masked(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty() ? value : Json("***");
  if (!value.is_structured()) return value;
  Json out = value;
  for (auto& item : out) item = masked(item);
  return out;
}

ConfigFile::ConfigFile() : data_(std::make_shared<Data>()) {}

Result<ConfigFile> ConfigFile::parse(std::string_view text, std::string name) {
  AWM_TRY(const TomlNode root, parse_toml(text, name));
  auto data = std::make_shared<Data>();
  data->name = std::move(name);
  Reader reader(*data);
  reader.read_root(root);
  if (const auto mistakes = reader.take_mistakes(); !mistakes.empty()) {
    return fail(to_error(data->name, mistakes));
  }
  return ConfigFile(std::move(data));
}

Result<ConfigFile> ConfigFile::load(const std::string& path) {
  const std::string name = path.empty() ? "config.toml" : path;
  auto text = read_file(name, largest_file);
  if (!text) {
    if (path.empty() && text.error().code == Errc::not_found) return ConfigFile();
    auto error = std::move(text).error();
    if (error.remedy.empty() && error.code == Errc::not_found) error.remedy = "see --config";
    return fail(std::move(error));
  }
  return parse(*text, name);
}

const std::string& ConfigFile::name() const {
  return data_->name;
}

std::vector<std::string> ConfigFile::llm_sections() const {
  std::vector<std::string> names;
  for (const auto& section : data_->sections) {
    if (section.name == "llm" || section.name.starts_with("llm.")) names.push_back(section.name);
  }
  return names;
}

const std::vector<std::string>& ConfigFile::secrets() const {
  return data_->secrets;
}

const std::vector<std::string>& ConfigFile::warnings() const {
  return data_->warnings;
}

const std::vector<std::string>& ConfigFile::notes() const {
  return data_->notes;
}

}  // namespace awm
