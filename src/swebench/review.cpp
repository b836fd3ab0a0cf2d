#include "swebench/review.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "logparse/python_text.h"
#include "os/file.h"
#include "swebench/eval_script.h"
#include "swebench/patch.h"

namespace awm {
namespace {

bool is_test_file(const std::string& name) {
  const auto parts = split(name, '/');
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    static constexpr std::array<std::string_view, 7> folders{"test", "tests", "testing", "__tests__",
                                                             "spec", "specs", "t"};
    if (std::find(folders.begin(), folders.end(), parts[i]) != folders.end()) return true;
  }
  const std::string& base = parts.back();
  return base.starts_with("test_") || contains(base, "_test.") || contains(base, ".test.") ||
         contains(base, "_spec.") || contains(base, ".spec.");
}

bool is_start_file(const std::string& base) {
  return base == "conftest.py" || base == "sitecustomize.py" || base == "usercustomize.py" || base.ends_with(".pth");
}

bool is_runner_setting(const std::string& base) {
  static constexpr std::array<std::string_view, 20> names{
      "pytest.ini", "tox.ini",        "setup.cfg", "setup.py",  "pyproject.toml", "noxfile.py",       "package.json",
      "Makefile",   "CMakeLists.txt", "pom.xml",   "build.xml", "build.gradle",   "build.gradle.kts", "Cargo.toml",
      "go.mod",     "Rakefile",       "Gemfile",   ".rspec",    "composer.json",  "phpunit.xml.dist"};
  static constexpr std::array<std::string_view, 7> fronts{"jest.config", "karma.conf",   "vitest.config", ".mocharc",
                                                          "phpunit.xml", "babel.config", ".babelrc"};
  return std::find(names.begin(), names.end(), base) != names.end() ||
         std::any_of(fronts.begin(), fronts.end(), [&](std::string_view front) { return base.starts_with(front); });
}

// Files that the lines between the markers name as programs or settings: "./tests/runtests.py" → "tests/runtests.py".
std::set<std::string> runner_files(std::string_view script, const std::set<std::string>& tests) {
  const auto begin = script.find(start_marker);
  if (begin == std::string_view::npos) return {};
  const auto end = script.find(end_marker, begin);
  std::set<std::string> files;
  python::each_line(script.substr(begin, end == std::string_view::npos ? end : end - begin),
                    [&](std::string_view line) {
                      std::size_t at = 0;
                      for (auto word = python::next_word(line, at); !word.empty(); word = python::next_word(line, at)) {
                        while (word.starts_with("./")) word.remove_prefix(2);
                        if (contains(word, "/") && !word.starts_with('-') && !tests.contains(std::string(word)))
                          files.emplace(word);
                      }
                    });
  return files;
}

}  // namespace

std::vector<std::string> review_patch(const Row& row, std::string_view patch, std::string_view eval_script) {
  std::set<std::string> flags;
  std::set<std::string> restored;
  for (const auto& file : patched_files(row.test_patch)) {
    for (const auto& name : {file.old_name, file.new_name}) {
      if (!name.empty()) restored.insert(name);
    }
  }
  const auto runner = runner_files(eval_script, restored);
  for (const auto& file : patched_files(patch)) {
    for (const auto& name : {file.old_name, file.new_name}) {
      if (name.empty()) continue;
      const std::string base = file_name(name);
      if (restored.contains(name)) {
        flags.insert("edits_eval_files");
      } else if (runner.contains(name) || is_runner_setting(base)) {
        flags.insert("edits_runner");
      } else if (is_start_file(base)) {
        flags.insert("edits_conftest");
      } else if (is_test_file(name)) {
        flags.insert("edits_tests");
      }
      const auto parts = split(name, '/');
      if (name.starts_with('/') || std::find(parts.begin(), parts.end(), "..") != parts.end())
        flags.insert("leaves_tree");
      if (std::find(parts.begin(), parts.end(), ".git") != parts.end()) flags.insert("edits_git");
    }
  }
  python::each_line(patch, [&](std::string_view line) {
    if (line == "new file mode 120000" || line == "new mode 120000") flags.insert("adds_link");
    if (line == "new file mode 160000" || line == "new mode 160000") flags.insert("adds_submodule");
  });
  return {flags.begin(), flags.end()};
}

std::vector<std::string> review_log(const Grade& grade) {
  // `set -x` shows the line that prints the exit code, and then there is what it prints.
  constexpr std::size_t own_exit_markers = 2;
  if (grade.start_markers <= 1 && grade.end_markers <= 1 && grade.exit_markers <= own_exit_markers) return {};
  return {"prints_markers"};
}

}  // namespace awm
