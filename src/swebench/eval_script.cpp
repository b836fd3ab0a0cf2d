#include "swebench/eval_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/text.h"
#include "logparse/parsers.h"
#include "logparse/python_text.h"
#include "swebench/grading.h"
#include "swebench/patch.h"
#include "swebench/repository_facts.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

constexpr std::string_view header = "#!/bin/bash\nset -uxo pipefail\n";
constexpr std::string_view activate = "source /opt/miniconda3/bin/activate";
constexpr std::string_view choose_environment = "conda activate testbed";

const Json& facts() {
  static const Json json = parse_json(repository_facts(), "repositories.json").value_or(Json::object());
  return json;
}

[[nodiscard]] std::unexpected<Error> unjudgeable(const Row& row, std::string_view key, std::string cause,
                                                 std::string remedy = {}) {
  return fail(Errc::invalid_input, "judge", fmt::format("{}, {}, {}", row.origin, row.instance_id, key),
              std::move(cause), std::move(remedy));
}

// Known versions as numbers, so that 3.10 comes behind 3.9.
std::vector<std::string> versions_of(const Json& repository) {
  std::vector<std::string> versions;
  for (const auto& group : repository["groups"]) {
    for (const auto& version : group["versions"]) versions.push_back(version.get<std::string>());
  }
  return versions;
}

struct Facts {
  const Json* repository = nullptr;
  const Json* group = nullptr;
};

Result<Facts> facts_of(const Row& row) {
  const Json* repository = find_member(facts(), row.repo);
  if (repository == nullptr) {
    std::vector<std::string> known;
    for (const auto& [name, value] : facts().items()) known.push_back(name);
    const auto near = nearest_word(row.repo, known);
    return unjudgeable(row, "eval_script", fmt::format("the row has none, and how {} is tested is not known", row.repo),
                       near.empty() ? "give the row an eval_script and a log_parser" : "did you mean " + near + "?");
  }
  for (const auto& group : (*repository)["groups"]) {
    for (const auto& version : group["versions"]) {
      if (version == row.version) return Facts{repository, &group};
    }
  }
  return unjudgeable(row, "version",
                     row.version.empty()
                         ? fmt::format("it is missing, and without it how {} is tested is not known", row.repo)
                         : fmt::format("how {} {} is tested is not known", row.repo, row.version),
                     "known versions are " + join(versions_of(*repository), ", "));
}

// As it stands where a shell takes it for one word, else quoted.
std::string word(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    constexpr std::string_view safe = "@%_-+=:,./";
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80 ||
           safe.find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain ? std::string(text) : shell_quote(text);
}

// What follows the test command: the files that the test patch names, wherever it has "diff --git".
std::vector<std::string> test_words(std::string_view test_patch, bool modules) {
  static constexpr std::array<std::string_view, 11> no_tests{".json", ".png", "csv",  ".txt",  ".md",  ".jpg",
                                                             ".jpeg", ".pkl", ".yml", ".yaml", ".toml"};
  std::vector<std::string> words;
  python::each_line(test_patch, [&](std::string_view line) {
    const auto start = line.find("diff --git a/");
    if (start == std::string_view::npos) return;
    const auto name_at = line.rfind(" b/");
    if (name_at == std::string_view::npos || name_at < start + 13) return;
    std::string_view name = line.substr(name_at + 3);
    if (std::any_of(no_tests.begin(), no_tests.end(), [&](std::string_view end) { return name.ends_with(end); }))
      return;
    if (!modules) {
      words.emplace_back(name);
      return;
    }
    if (name.ends_with(".py")) name.remove_suffix(3);
    if (name.starts_with("tests/")) name.remove_prefix(6);
    words.push_back(replace_all(std::string(name), "/", "."));
  });
  return words;
}

// A here-document's end that is no line of the text.
std::string delimiter_for(std::string_view text) {
  std::string delimiter = "EOF_114329324912";
  std::string seed(text);
  while (contains(text, delimiter)) {
    seed += delimiter;
    delimiter = "EOF_" + sha256_hex(seed).substr(0, 12);
  }
  return delimiter;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  python::each_line(text, [&](std::string_view line) { lines.emplace_back(line); });
  return lines;
}

// The word that ends a line's here-document; "" where it opens none.
std::string here_document_end(std::string_view line) {
  const auto at = line.find("<<");
  if (at == std::string_view::npos || line.substr(at).starts_with("<<<")) return "";
  std::string_view rest = trim(line.substr(at + 2));
  if (rest.starts_with('-')) rest.remove_prefix(1);
  if (rest.starts_with('\'') || rest.starts_with('"')) {
    const auto end = rest.find(rest.front(), 1);
    return end == std::string_view::npos ? "" : std::string(rest.substr(1, end - 1));
  }
  return std::string(rest.substr(0, rest.find_first_of(" \t;|&>")));
}

}  // namespace

Result<std::string> published_eval_script(const Row& row) {
  if (!row.eval_script.empty()) return row.eval_script;
  AWM_TRY(const Facts known, facts_of(row));
  if (row.test_patch.empty()) return unjudgeable(row, "test_patch", "it is missing, and so is an eval_script");
  std::string reset = "git checkout " + row.base_commit + " ";
  std::string separator;
  for (const auto& file : patched_files(row.test_patch)) {
    if (file.old_name.empty()) continue;
    reset += separator + word(file.old_name);
    separator = " ";
  }
  std::string test = string_or(*known.group, "test", "");
  for (const auto& name : test_words(row.test_patch, string_or(*known.repository, "tests_as", "") == "modules"))
    test += " " + word(name);
  std::vector<std::string> lines{std::string(activate), std::string(choose_environment), "cd /testbed"};
  if (const Json* before = find_member(*known.group, "before"); before != nullptr) {
    for (const auto& line : *before) lines.push_back(line.get<std::string>());
  }
  lines.insert(lines.end(), {"git config --global --add safe.directory /testbed", "cd /testbed", "git status",
                             "git show", "git -c core.fileMode=false diff " + row.base_commit, std::string(activate),
                             std::string(choose_environment)});
  if (const auto install = string_or(*known.group, "install", ""); !install.empty()) lines.push_back(install);
  const auto end = delimiter_for(row.test_patch);
  lines.insert(lines.end(), {reset, fmt::format("git apply -v - <<'{}'\n{}\n{}", end, row.test_patch, end),
                             fmt::format(": '{}'", start_marker), test, fmt::format(": '{}'", end_marker), reset});
  return std::string(header) + join(lines, "\n") + "\n";
}

std::string runnable_eval_script(std::string_view published) {
  auto lines = lines_of(python::strip(published));
  std::erase_if(lines, [](const std::string& line) { return line == "#!/bin/bash" || line == "set -uxo pipefail"; });
  const auto end =
      std::find_if(lines.begin(), lines.end(), [](const std::string& line) { return contains(line, end_marker); });
  if (end != lines.end()) {
    const auto behind = lines.insert(end + 1, fmt::format("echo \"{}: $SWEBENCH_TEST_EXIT_CODE\"", exit_marker));
    lines.insert(behind - 1, "SWEBENCH_TEST_EXIT_CODE=$?");
  }
  return std::string(header) + join(lines, "\n") + "\n";
}

std::string without_image_steps(std::string_view script, bool has_locale, std::vector<std::string>& left_out) {
  static constexpr std::array<std::string_view, 4> installs{"python -m pip install", "pip install", "pip3 install",
                                                            "python setup.py "};
  static constexpr std::array<std::string_view, 3> locales{"export LANG=en_US", "export LANGUAGE=en_US",
                                                           "export LC_ALL=en_US"};
  const auto starts = [](std::string_view line, const auto& words) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view start) { return line.starts_with(start); });
  };
  std::vector<std::string> kept;
  std::string document_end;
  bool tests_began = false;
  for (auto& line : lines_of(script)) {
    if (!document_end.empty()) {
      if (line == document_end) document_end.clear();
      kept.push_back(std::move(line));
      continue;
    }
    tests_began = tests_began || contains(line, start_marker);
    const std::string_view bare = trim(line);
    const bool image_step = bare == activate || bare == choose_environment || starts(bare, installs) ||
                            (!has_locale && (starts(bare, locales) || contains(bare, "locale-gen")));
    if (!tests_began && image_step) {
      left_out.push_back(std::move(line));
      continue;
    }
    document_end = here_document_end(line);
    kept.push_back(std::move(line));
  }
  return join(kept, "\n");
}

Result<void> check_judgeable(const Row& row) {
  if (is_task_folder(row)) return {};  // read_harbor_task() saw to it
  if (!row.has_tests) return unjudgeable(row, "FAIL_TO_PASS, PASS_TO_PASS", "they are missing");
  AWM_CHECK(parser_of(row));
  AWM_CHECK(published_eval_script(row));
  return {};
}

}  // namespace awm
