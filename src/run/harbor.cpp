#include "run/harbor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "config/toml.h"
#include "os/file.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr double default_test_limit = 600;  // Harbor's
constexpr uint64_t most_text = uint64_t{4} << 20;
constexpr uint64_t most_tests = uint64_t{1} << 30;

bool is_task(const std::string& folder) {
  return exists(join_path(folder, "task.toml")) && exists(join_path(folder, "instruction.md"));
}

// Adds the names and contents of a folder's files, in order, to what a hash is made of.
Result<void> add_files(const std::string& folder, const std::string& prefix, std::string& hashes) {
  AWM_TRY(auto names, sys::list_folder(folder));
  std::sort(names.begin(), names.end());
  for (const auto& name : names) {
    const auto path = join_path(folder, name);
    AWM_TRY(const auto info, sys::lstat(path));
    hashes += prefix + name + ":";
    if (info.type == sys::FileInfo::Type::folder) {
      AWM_CHECK(add_files(path, prefix + name + "/", hashes));
    } else if (info.type == sys::FileInfo::Type::link) {
      AWM_TRY(const auto target, sys::readlink(path));
      hashes += "-> " + target;
    } else {
      AWM_TRY(const auto content, read_file(path, most_tests));
      hashes += fmt::format("{:o} {}", info.mode & 0777U, sha256_hex(content));
    }
    hashes += "\n";
  }
  return {};
}

class TaskReader {
 public:
  explicit TaskReader(const std::string& folder) : folder_(folder), file_(join_path(folder, "task.toml")) {}

  Result<Row> read() {
    Row row;
    row.task_folder = folder_;
    row.origin = folder_;
    row.instance_id = file_name(folder_);
    AWM_CHECK(check_id(row.instance_id));
    AWM_TRY(const auto text, read_file(file_, most_text));
    AWM_TRY(root_, parse_toml(text, file_));
    AWM_CHECK(refuse_what_is_not_done());
    row.repo = "harbor/" + row.instance_id;
    AWM_TRY(const auto name, string_at("task", "name"));
    const auto parts = split(name, '/');
    if (parts.size() == 2 && !parts[0].empty() && !parts[1].empty()) row.repo = name;
    AWM_TRY(row.problem_statement, read_file(join_path(folder_, "instruction.md"), most_text));
    row.problem_statement = to_valid_utf8(row.problem_statement);
    if (trim(row.problem_statement).empty())
      return wrong(Errc::invalid_input, join_path(folder_, "instruction.md"), "it is empty");
    if (!exists(join_path(folder_, "tests/test.sh")))
      return wrong(Errc::invalid_input, folder_, "it has no tests/test.sh");
    AWM_TRY(row.test_timeout, test_limit());
    AWM_TRY(row.test_environment, variables("verifier"));
    AWM_TRY(const auto everywhere, variables("environment"));
    for (const auto& pair : everywhere) {
      const auto equals = pair.find('=');
      row.environment_setup +=
          fmt::format("export {}={}\n", pair.substr(0, equals), shell_quote(pair.substr(equals + 1)));
    }
    AWM_TRY(row.image, string_at("environment", "docker_image"));
    if (row.image.empty()) {
      AWM_TRY(row.image, image_without_building());
    }
    std::string hashes = sha256_hex(text) + "\n";
    AWM_CHECK(add_files(join_path(folder_, "tests"), "", hashes));
    row.task_hash = sha256_hex(hashes);
    row.has_tests = true;
    return row;
  }

 private:
  [[nodiscard]] static std::unexpected<Error> wrong(Errc code, std::string object, std::string cause,
                                                    std::string remedy = {}) {
    return fail(code, "read the Harbor task", std::move(object), std::move(cause), std::move(remedy));
  }

  // Logs and reports lie in a folder of this name.
  static Result<void> check_id(const std::string& id) {
    const bool plain =
        std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '/'; });
    if (plain && !id.empty() && id.front() != '.' && id.front() != '-') return {};
    return wrong(Errc::invalid_input, id,
                 "its folder's name is no name for results: a space, a dot or a dash in front");
  }

  // The value at [section] key; nullptr where it is not there.
  [[nodiscard]] const TomlNode* at(std::string_view section, std::string_view key) const {
    const TomlNode* table = root_.find(section);
    return table == nullptr ? nullptr : table->find(key);
  }

  [[nodiscard]] std::string place(const TomlNode& node) const { return fmt::format("{}:{}", file_, node.line); }

  [[nodiscard]] Result<std::string> string_at(std::string_view section, std::string_view key) const {
    const TomlNode* node = at(section, key);
    if (node == nullptr) return std::string();
    if (node->type != TomlNode::Type::text) {
      return wrong(Errc::invalid_input, place(*node),
                   fmt::format("[{}] {}: expected a string, found {}", section, key, with_article(node->type)));
    }
    return node->value.get<std::string>();
  }

  [[nodiscard]] Result<double> test_limit() const {
    const TomlNode* node = at("verifier", "timeout_sec");
    if (node == nullptr) return default_test_limit;
    if (!node->value.is_number() || node->value.get<double>() <= 0)
      return wrong(Errc::invalid_input, place(*node), "[verifier] timeout_sec: expected seconds");
    return node->value.get<double>();
  }

  // "NAME=value" of [section.env]. A value "${NAME}" or "${NAME:-default}" is this machine's variable, as in Harbor.
  [[nodiscard]] Result<std::vector<std::string>> variables(std::string_view section) const {
    std::vector<std::string> pairs;
    const TomlNode* table = at(section, "env");
    if (table == nullptr) return pairs;
    for (const auto& [name, node] : table->members) {
      if (node.type != TomlNode::Type::text || name.find_first_of("= \n") != std::string::npos)
        return wrong(Errc::invalid_input, place(node), fmt::format("[{}.env] {}: expected a string", section, name));
      auto value = node.value.get<std::string>();
      if (value.starts_with("${") && value.ends_with('}')) {
        const auto inner = value.substr(2, value.size() - 3);
        const auto dash = inner.find(":-");
        const auto here = sys::environment(inner.substr(0, dash));
        if (!here && dash == std::string::npos) {
          return wrong(Errc::invalid_input, place(node),
                       fmt::format("[{}.env] {}: this machine has no variable {}", section, name, inner), "export it");
        }
        // Mostly a key.
        if (here) log_hide_secret(*here);
        value = here ? *here : inner.substr(dash + 2);
      }
      pairs.push_back(fmt::format("{}={}", name, value));
    }
    return pairs;
  }

  // An environment/Dockerfile that only names an image needs no building.
  [[nodiscard]] Result<std::string> image_without_building() const {
    const auto path = join_path(folder_, "environment/Dockerfile");
    if (!exists(path)) return std::string();
    AWM_TRY(const auto text, read_file(path, most_text));
    std::string image;
    for (const auto whole : split_lines(text)) {
      const auto line = trim(whole);
      if (line.empty() || line.starts_with('#')) continue;
      const auto space = line.find(' ');
      const auto word = to_lower_ascii(line.substr(0, space));
      const auto rest = space == std::string_view::npos ? std::string_view() : trim(line.substr(space));
      if (word == "from" && image.empty() && rest.find_first_of(" $") == std::string_view::npos) {
        image = rest;
      } else if (!(word == "workdir" && rest == "/testbed")) {
        return std::string();
      }
    }
    return image;
  }

  Result<void> refuse_what_is_not_done() const {
    const auto refuse = [&](const TomlNode& node, std::string_view what) {
      return wrong(Errc::unsupported, place(node), std::string(what) + ": awm does not do this",
                   "leave the task out, or run it with Harbor");
    };
    if (const auto* steps = root_.find("steps"); steps != nullptr) return refuse(*steps, "it has several steps");
    AWM_TRY(const auto os, string_at("environment", "os"));
    if (!os.empty() && to_lower_ascii(os) != "linux") return refuse(*at("environment", "os"), "it is not for Linux");
    for (const auto* key : {"gpus", "tpu", "mcp_servers", "healthcheck", "skills_dir", "workdir"}) {
      const auto* node = at("environment", key);
      if (node == nullptr) continue;
      const auto& value = node->value;
      const bool nothing =
          (value.is_number() && value.get<double>() == 0) || (value.is_array() && value.empty()) || value == "/testbed";
      if (!nothing) return refuse(*node, fmt::format("[environment] {}", key));
    }
    for (const auto* section : {"agent", "verifier"}) {
      const auto* user = at(section, "user");
      if (user != nullptr && user->value != "root" && user->value != 0)
        return refuse(*user, fmt::format("[{}] user that is not root", section));
    }
    if (const auto* other = at("verifier", "environment"); other != nullptr)
      return refuse(*other, "a verifier in an image of its own");
    AWM_TRY(const auto mode, string_at("verifier", "environment_mode"));
    if (!mode.empty() && mode != "shared") return refuse(*at("verifier", "environment_mode"), "a separate verifier");
    if (const auto* collect = at("verifier", "collect"); collect != nullptr)
      return refuse(*collect, "[[verifier.collect]]");
    for (const auto* name : {"environment/docker-compose.yaml", "trajectory.json"}) {
      if (exists(join_path(folder_, name))) {
        return wrong(Errc::unsupported, join_path(folder_, name), "awm does not do this",
                     "leave the task out, or run it with Harbor");
      }
    }
    return {};
  }

  const std::string& folder_;
  const std::string file_;
  TomlNode root_;
};

}  // namespace

std::vector<std::string> harbor_tasks_in(const std::string& folder) {
  if (!is_folder(folder)) return {};
  if (is_task(folder)) return {folder};
  std::vector<std::string> tasks;
  auto names = sys::list_folder(folder);
  if (!names) return tasks;
  std::sort(names->begin(), names->end());
  for (const auto& name : *names) {
    if (auto path = join_path(folder, name); is_task(path)) tasks.push_back(std::move(path));
  }
  return tasks;
}

Result<Row> read_harbor_task(const std::string& folder) {
  return TaskReader(folder).read();
}

}  // namespace awm
