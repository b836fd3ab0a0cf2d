// Java's builders: Maven, Ant, Gradle.
#include <deque>
#include <optional>
#include <string>

#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

namespace {

constexpr std::size_t npos = std::string_view::npos;

}  // namespace

Result<StatusMap> parse_log_maven(std::string_view log, const LogContext& /*context*/) {
  // Maven names no test that passed: one command runs one test, and its BUILD line is the result. The two may come in
  // any order; they are matched first to first.
  StatusMap statuses;
  std::deque<std::string_view> pending;
  std::deque<std::string_view> results;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    constexpr std::string_view option = "-Dtest=";
    for (std::size_t at = line.rfind(option); at != npos; at = at == 0 ? npos : line.rfind(option, at - 1)) {
      const std::size_t name = at + option.size();
      const std::size_t end = skip_word(line, name);
      if (end == name) continue;
      pending.push_back(line.substr(name, end - name));
      break;
    }
    const bool passed = line.ends_with("BUILD SUCCESS");
    if (!passed && !line.ends_with("BUILD FAILURE")) return;
    const std::string_view status = passed ? test_status::passed : test_status::failed;
    if (pending.empty()) {
      results.push_back(status);
    } else {
      statuses.set(pending.front(), status);
      pending.pop_front();
    }
  });
  for (; !pending.empty() && !results.empty(); pending.pop_front(), results.pop_front()) {
    statuses.set(pending.front(), results.front());
  }
  return statuses;
}

Result<StatusMap> parse_log_ant(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    constexpr std::string_view task = "[junit]";
    if (!line.starts_with(task)) return;
    const std::size_t bracket = skip_space(line, task.size());
    if (bracket == task.size()) return;
    const std::string_view rest = line.substr(bracket);
    const bool passed = rest.starts_with("[PASS]");
    if (!passed && !rest.starts_with("[FAIL]") && !rest.starts_with("[ERR]")) return;
    const std::size_t word = rest.find(']') + 1;
    const std::size_t name = skip_space(rest, word);
    if (name == word) return;
    statuses.set(rest.substr(name), passed ? test_status::passed : test_status::failed);
  });
  return statuses;
}

Result<StatusMap> parse_log_gradle_custom(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::optional<std::string_view> pending;  // "Class > method" whose status is on a later line
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    if (line.empty()) return;
    const bool passed = line.ends_with(test_status::passed);
    const bool failed = line.ends_with(test_status::failed);
    if (passed || failed) {
      const std::string_view status = passed ? test_status::passed : test_status::failed;
      const std::size_t word = line.size() - status.size();
      const std::size_t gap = space_before(line, word);
      // At least two characters, the first no ">", and one of white space.
      if (gap != 0 && line.front() != '>' && word - gap > char_length(line, 0)) {
        statuses.set(line.substr(0, word - gap), status);
        pending.reset();
        return;
      }
    }
    std::size_t at = 0;
    const std::string_view first = next_word(line, at);
    if (first.front() != '>' && next_word(line, at) == ">" && !next_word(line, at).empty() && at == line.size()) {
      pending = line;
      return;
    }
    if (pending && (line == test_status::passed || line == test_status::failed)) {
      statuses.set(*pending, line);
      pending.reset();
    }
  });
  return statuses;
}

}  // namespace awm::logparse
