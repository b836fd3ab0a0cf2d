// pytest in its several readings, Django's runner (and with it unittest's verbose output), seaborn, SymPy, matplotlib.
#include <optional>
#include <utility>

#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {
namespace {

using namespace python;

// Does the line begin with a status? The five have different first letters.
bool starts_with_status(std::string_view line) {
  if (line.empty()) return false;
  switch (line.front()) {
    case 'P':
      return line.starts_with(test_status::passed);
    case 'F':
      return line.starts_with(test_status::failed);
    case 'S':
      return line.starts_with(test_status::skipped);
    case 'E':
      return line.starts_with(test_status::error);
    case 'X':
      return line.starts_with(test_status::xfail);
    default:
      return false;
  }
}

bool ends_with_status(std::string_view line) {
  if (line.empty()) return false;
  switch (line.back()) {
    case 'D':
      return line.ends_with(test_status::passed) || line.ends_with(test_status::failed) ||
             line.ends_with(test_status::skipped);
    case 'R':
      return line.ends_with(test_status::error);
    case 'L':
      return line.ends_with(test_status::xfail);
    default:
      return false;
  }
}

// pytest's summary "SKIPPED [3] path:line: reason" names no test.
bool is_skip_summary(std::string_view status, std::string_view name) {
  if (status != test_status::skipped || name.size() < 3 || name.front() != '[' || name.back() != ']') return false;
  return skip_digits(name, 1) == name.size() - 1;
}

// The status and the name of a summary line ("PASSED a.py::test_a"), as pytest and its relatives read it.
std::optional<std::pair<std::string_view, std::string_view>> summary_words(std::string_view line,
                                                                           std::string& scratch) {
  if (line.front() == 'F' && has(line, " - ")) {
    scratch = replace(line, " - ", " ");
    line = scratch;
  }
  std::size_t at = 0;
  const std::string_view status = next_word(line, at);
  const std::string_view name = next_word(line, at);
  if (name.empty() || is_skip_summary(status, name)) return std::nullopt;
  return std::pair(status, name);
}

// What stands where the log has a pytest id's option with a path in it: "t[/a/b/c]" → "t[/c]", so that an id is the
// same wherever the repository lies.
std::string_view without_folders(std::string_view name, std::string& scratch) {
  const std::size_t open = name.find('[');
  const std::size_t close = name.rfind(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return name;
  std::string_view option = name.substr(open + 1, close - open - 1);
  const bool is_path = option.starts_with('/') && !option.starts_with("//") && !has(option, "*");
  if (is_path) option.remove_prefix(option.rfind('/'));
  scratch.assign(name.substr(0, open + 1));
  scratch += option;
  scratch += ']';
  return scratch;
}

// Without terminal colours: "[32m" goes, and so does every character from 1 to 31. Copies only where there are some.
std::string_view without_colours(std::string_view line, std::string& scratch) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) - 1U < 31U; };
  const auto colour_end = [&](std::size_t at) {
    const std::size_t end = skip_digits(line, at + 1);
    return end > at + 1 && end < line.size() && line[end] == 'm' ? end + 1 : at;
  };
  std::size_t at = 0;
  while (at < line.size() && !is_control(line[at]) && (line[at] != '[' || colour_end(at) == at)) ++at;
  if (at == line.size()) return line;
  scratch.assign(line.substr(0, at));
  while (at < line.size()) {
    if (line[at] == '[') {
      const std::size_t end = colour_end(at);
      if (end > at) {
        at = end;
        continue;
      }
    }
    if (!is_control(line[at])) scratch += line[at];
    ++at;
  }
  return scratch;
}

// Django's output is broken by what tests print: "name ... <white space><words>…\nok". One finditer of the reference is
// one call: `tail` gives the end of a match whose words end at `at`, or npos.
template <class Tail>
void set_interrupted(std::string_view log, std::string_view words, StatusMap& statuses, Tail tail) {
  std::size_t from = 0;   // where the last match ended
  std::size_t start = 0;  // of the line that is looked at
  LineEnds line_end(log);
  for (std::size_t at = log.find(words); at != std::string_view::npos; at = log.find(words, at + 1)) {
    // Before the words: white space, "...", white space, the name from the line's start. Either white space may be the
    // line's end.
    const std::size_t second = space_before(log, at);
    if (second == 0 || at - second < 4 || log.substr(at - second - 3, 3) != "...") continue;
    const std::size_t dots = at - second - 3;
    const std::size_t first = space_before(log, dots);
    if (first == 0) continue;
    const std::size_t name_end = dots - first;
    // The line that the name's end is on: ends of names only go forward, and so does the search for line feeds.
    for (std::size_t end = line_end(start); end < name_end; end = line_end(start)) start = end + 1;
    if (start < from) continue;
    const std::size_t end = tail(at + words.size());
    if (end == std::string_view::npos) continue;
    statuses.set(log.substr(start, name_end - start), test_status::passed);
    from = end;
    if (end > at) at = end - 1;
  }
}

// Django's two ways to say that a test did not pass: at the end of its line, and before its traceback.
struct Verdict {
  std::string_view suffix;
  std::string_view prefix;
  std::string_view status;
};
constexpr Verdict failure{.suffix = " ... FAIL", .prefix = "FAIL:", .status = test_status::failed};
constexpr Verdict error{.suffix = " ... ERROR", .prefix = "ERROR:", .status = test_status::error};

// Is "ok" at `at` a whole line's end? Its end, or npos.
std::size_t ok_line(std::string_view log, std::size_t at) {
  if (log.substr(at, 2) != "ok") return std::string_view::npos;
  return at + 2 == log.size() || log[at + 2] == '\n' ? at + 2 : std::string_view::npos;
}

}  // namespace

Result<StatusMap> parse_log_pytest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::string scratch;
  each_line(log, [&](std::string_view line) {
    if (!starts_with_status(line)) return;
    if (const auto words = summary_words(line, scratch)) statuses.set(words->second, words->first);
  });
  return statuses;
}

Result<StatusMap> parse_log_pytest_options(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::string scratch;
  std::string name;
  each_line(log, [&](std::string_view line) {
    if (!starts_with_status(line)) return;
    if (const auto words = summary_words(line, scratch))
      statuses.set(without_folders(words->second, name), words->first);
  });
  return statuses;
}

Result<StatusMap> parse_log_matplotlib(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::string scratch;
  std::string plain;
  each_line(log, [&](std::string_view line) {
    if (!starts_with_status(line)) return;
    if (has(line, "MouseButton.")) {
      plain = replace(replace(line, "MouseButton.LEFT", "1"), "MouseButton.RIGHT", "3");
      line = plain;
    }
    if (const auto words = summary_words(line, scratch)) statuses.set(words->second, words->first);
  });
  return statuses;
}

Result<StatusMap> parse_log_pytest_v2(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::string scratch;
  each_line(log, [&](std::string_view raw) {
    std::string_view line = without_colours(raw, scratch);
    if (starts_with_status(line)) {
      if (line.front() == 'F') line = before(line, " - ");
      std::size_t at = 0;
      const std::string_view status = next_word(line, at);
      const std::string_view name = next_word(line, at);
      if (name.empty() || is_skip_summary(status, name)) return;
      if (skip_space(line, at) == line.size()) {
        statuses.set(name, status);
      } else {
        statuses.set(join_words(line, 1), status);
      }
    } else if (ends_with_status(line)) {
      const std::string_view status = last_word(line);
      const std::string_view rest = strip(line.substr(0, line.size() - status.size()));
      if (rest.empty()) return;
      statuses.set(join_words(rest, 0), status);
    }
  });
  return statuses;
}

Result<StatusMap> parse_log_django(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::optional<std::string_view> previous;
  bool refused = false;
  std::string_view refused_line;
  each_line(log, [&](std::string_view raw) {
    if (refused) return;
    std::string_view line = strip(raw);
    if (line.empty()) return;
    const std::size_t dots = line.find(" ... ");
    if (has(line, "--version is equivalent to version")) {
      statuses.set("--version is equivalent to version", test_status::passed);
    }
    if (dots != std::string_view::npos) {
      previous = line.substr(0, dots);
      for (const std::string_view suffix : {" ... ok", " ... OK", " ...  OK"}) {
        if (!line.ends_with(suffix)) continue;
        if (line.starts_with("Applying sites.0002_alter_domain_unique...test_no_migrations")) {
          line = strip(after(line, "..."));
        }
        statuses.set(line.substr(0, line.rfind(suffix)), test_status::passed);
        break;
      }
      if (has(line, " ... skipped")) statuses.set(before(line, " ... skipped"), test_status::skipped);
    }
    for (const Verdict& verdict : {failure, error}) {
      if (dots != std::string_view::npos && line.ends_with(verdict.suffix)) {
        statuses.set(before(line, verdict.suffix), verdict.status);
      }
      if (!line.starts_with(verdict.prefix)) continue;
      std::size_t at = 0;
      next_word(line, at);
      const std::string_view test = next_word(line, at);
      if (test.empty()) {
        refused = true;
        refused_line = line;
        return;
      }
      statuses.set(test, verdict.status);
    }
    if (line.starts_with("ok") && previous) statuses.set(*previous, test_status::passed);
  });
  if (refused)
    return refuse("parse_log_django", "the line '" + std::string(refused_line.substr(0, 100)) + "' names no test");

  bool may_follow = true;
  set_interrupted(log, "Testing against Django installed in ", statuses, [&](std::size_t at) {
    constexpr std::string_view tail = " silenced).\n";
    for (at = may_follow ? log.find(tail, at) : std::string_view::npos; at != std::string_view::npos;
         at = log.find(tail, at + 1)) {
      const std::size_t end = ok_line(log, at + tail.size());
      if (end != std::string_view::npos) return end;
    }
    may_follow = false;  // what does not follow here follows nowhere behind
    return std::string_view::npos;
  });
  LineEnds line_end(log);
  set_interrupted(log, "Internal Server Error: /", statuses, [&](std::size_t at) {
    const std::size_t end = line_end(at);
    if (end == std::string_view::npos || end == at || log[end - 1] != '/') return std::string_view::npos;
    return ok_line(log, end + 1);
  });
  set_interrupted(log, "System check identified no issues (0 silenced)", statuses, [&](std::size_t at) {
    return at < log.size() && log[at] == '\n' ? ok_line(log, at + 1) : std::string_view::npos;
  });
  return statuses;
}

Result<StatusMap> parse_log_seaborn(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view line) {
    const bool failed = line.starts_with(test_status::failed);
    if (!failed && !has(line, test_status::passed)) return;
    std::size_t at = 0;
    const std::string_view first = next_word(line, at);
    const std::string_view second = next_word(line, at);
    if (second.empty()) return;
    if (failed) {
      statuses.set(second, test_status::failed);
    } else if (has(line, " PASSED ")) {
      if (second == test_status::passed) statuses.set(first, test_status::passed);
    } else if (line.starts_with(test_status::passed)) {
      statuses.set(second, test_status::passed);
    }
  });
  return statuses;
}

Result<StatusMap> parse_log_sympy(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::string name;
  // Headings of failures: "____ sympy/core/tests/test_a.py:test_b ____", from the line's first space to its last.
  each_line(log, [&](std::string_view line) {
    const std::size_t last = line.rfind(' ');
    if (last == std::string_view::npos || last < 4) return;
    const std::size_t first = line.find(' ');
    const std::size_t suffix = line.rfind(".py:", last - 4);
    if (suffix == std::string_view::npos || suffix <= first) return;
    name.assign(line.substr(first + 1, last - first - 1));
    statuses.set(name, test_status::failed);
  });
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    if (!line.starts_with("test_")) return;
    const std::string_view status = line.ends_with(" E")    ? test_status::error
                                    : line.ends_with(" F")  ? test_status::failed
                                    : line.ends_with(" ok") ? test_status::passed
                                                            : std::string_view();
    if (status.empty()) return;
    std::size_t at = 0;
    statuses.set(next_word(line, at), status);
  });
  return statuses;
}

}  // namespace awm::logparse
