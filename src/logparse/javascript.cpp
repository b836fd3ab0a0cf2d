// JavaScript's runners: mocha, jest, vitest, karma, TAP and their projects' readings of them.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "logparse/families.h"
#include "logparse/python_json.h"
#include "logparse/python_text.h"

namespace awm::logparse {
namespace {

using namespace python;

constexpr std::size_t npos = std::string_view::npos;
constexpr std::string_view tick = "✓";
constexpr std::string_view heavy_tick = "✔";
constexpr std::string_view cross = "✕";
constexpr std::string_view ballot = "✗";
constexpr std::string_view heavy_cross = "✖";

// Headings by indentation: a heading ends those that are as deep or deeper.
class Suites {
 public:
  void clear() { suites_.clear(); }
  // A line that is no result: a heading when it is indented.
  void heading(std::string_view line) {
    const std::string_view name = lstrip(line);
    const std::size_t indent = python::length(line.substr(0, line.size() - name.size()));
    if (indent == 0) return;
    while (!suites_.empty() && suites_.back().second >= indent) suites_.pop_back();
    suites_.emplace_back(rstrip(name), indent);
  }
  // " - ".join of the headings, and of `test` as one more.
  [[nodiscard]] std::string names() const {
    std::string joined;
    for (const auto& [name, indent] : suites_) {
      if (&name != &suites_.front().first) joined += " - ";
      joined += name;
    }
    return joined;
  }
  [[nodiscard]] std::string with(std::string_view test) const {
    if (suites_.empty()) return std::string(test);
    return names().append(" - ").append(test);
  }

 private:
  std::vector<std::pair<std::string_view, std::size_t>> suites_;
};

// Calls f(part) for text.split(separator)[1:].
template <class F>
void each_part_after(std::string_view text, std::string_view separator, F f) {
  std::size_t at = text.find(separator);
  while (at != npos) {
    at += separator.size();
    const std::size_t next = text.find(separator, at);
    f(text.substr(at, next - at));
    at = next;
  }
}

// text.split(separator)[-1], and text.rsplit(separator, 1)[0].
std::string_view after_last(std::string_view text, std::string_view separator) {
  const std::size_t at = text.rfind(separator);
  return at == npos ? text : text.substr(at + separator.size());
}
std::string_view before_last(std::string_view text, std::string_view separator) {
  return text.substr(0, text.rfind(separator));
}

// The rest of the line that `at` is on, and where it ends.
std::string_view rest_of_line(std::string_view text, std::size_t at) {
  return text.substr(at, text.find('\n', at) - at);
}

// Where [\d.]+ from `at` ends; `at` itself when there is none.
std::size_t skip_number(std::string_view text, std::size_t at) {
  for (;;) {
    if (at < text.size() && text[at] == '.') {
      ++at;
    } else if (const std::size_t n = digit_at(text, at)) {
      at += n;
    } else {
      return at;
    }
  }
}

// A cursor for fixed sequences: each step moves on or fails for good.
class Steps {
 public:
  Steps(std::string_view text, std::size_t at) : text_(text), at_(at) {}
  Steps& word(std::string_view word) {
    ok_ = ok_ && text_.substr(at_).starts_with(word);
    if (ok_) at_ += word.size();
    return *this;
  }
  Steps& space() {
    const std::size_t n = ok_ ? space_at(text_, at_) : 0;
    ok_ = n != 0;
    at_ += n;
    return *this;
  }
  Steps& spaces(int n) {
    while (n-- > 0) space();
    return *this;
  }
  Steps& line_space() {  // [^\S\r\n]
    ok_ = ok_ && at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r';
    return space();
  }
  Steps& number() {
    const std::size_t end = ok_ ? skip_number(text_, at_) : at_;
    ok_ = ok_ && end > at_;
    at_ = end;
    return *this;
  }
  Steps& digits() {
    const std::size_t end = ok_ ? skip_digits(text_, at_) : at_;
    ok_ = ok_ && end > at_;
    at_ = end;
    return *this;
  }
  explicit operator bool() const { return ok_; }
  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  std::string_view text_;
  std::size_t at_;
  bool ok_ = true;
};

// Without terminal escapes (ECMA-48: ESC and one byte, or a control sequence), as swebench.utils.ansi_escape.
std::string without_escapes(std::string_view text) {
  std::string plain;
  std::size_t at = 0;
  for (;;) {
    const std::size_t escape = text.find('\x1b', at);
    plain += text.substr(at, escape - at);
    if (escape == npos) return plain;
    std::size_t end = escape + 1;
    const auto within = [&](char first, char last) {
      return end < text.size() && text[end] >= first && text[end] <= last;
    };
    if (within('[', '[')) {
      ++end;
      while (within('0', '?')) ++end;
      while (within(' ', '/')) ++end;
    } else if (within('a', '~')) {
      end = npos;
    }
    if (end != npos && within('@', '~')) {
      at = end + 1;
    } else {
      plain += '\x1b';
      at = escape + 1;
    }
  }
}

// re.sub(r"\s+", " ", text).strip()
std::string collapsed(std::string_view text) {
  return join_words(text, 0);
}

// Where "<digits>) " with two characters of white space before the digits begins, at or after `from`: {start of the
// white space, behind the bracket}; npos when there is none.
std::pair<std::size_t, std::size_t> next_numbered(std::string_view log, std::size_t from) {
  for (std::size_t close = log.find(')', from); close != npos; close = log.find(')', close + 1)) {
    std::size_t start = close;
    while (start > from) {
      const std::size_t before_it = char_before(log, start);
      if (digit_at(log, before_it) == 0) break;
      start = before_it;
    }
    if (start == close) continue;
    bool fits = true;
    for (int i = 0; i < 2 && fits; ++i) {
      const std::size_t n = space_before(log, start);
      fits = n != 0;
      start -= n;
    }
    if (fits && start >= from) return {start, close + 1};
  }
  return {npos, npos};
}

// The end of the name in "name (12 ms)": where the last time in brackets that fits starts, white space included.
// `time(at)` gives the position behind the time that starts at `at`, or npos.
template <class Time>
std::size_t before_last_time(std::string_view line, std::size_t from, Time time) {
  for (std::size_t open = line.rfind('('); open != npos && open > from; open = line.rfind('(', open - 1)) {
    const std::size_t gap = space_before(line, open);
    if (gap == 0 || open - gap < from) continue;
    const std::size_t end = time(open + 1);
    if (end != npos && end < line.size() && line[end] == ')') return open - gap;
  }
  return npos;
}

// re.sub(r"\(\d+ms\)", "", text).strip()
std::string without_times(std::string_view text) {
  std::string plain;
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = text.find('(', at);
    plain += text.substr(at, open - at);
    if (open == npos) return std::string(strip(plain));
    const Steps time = Steps(text, open).word("(").digits().word("ms)");
    if (time) {
      at = time.at();
    } else {
      plain += '(';
      at = open + 1;
    }
  }
}

// Every name of re.findall(r'"fullTitle":\s"(.*)",\n', text).
template <class F>
void each_full_title(std::string_view text, F f) {
  constexpr std::string_view key = "\"fullTitle\":";
  LineEnds line_end(text);
  for (std::size_t at = text.find(key); at != npos; at = text.find(key, at)) {
    const Steps steps = Steps(text, at + key.size()).space().word("\"");
    at += key.size();
    if (!steps) continue;
    const std::size_t end = line_end(steps.at());
    if (end == npos) continue;
    const std::string_view value = text.substr(steps.at(), end - steps.at());
    if (!value.ends_with("\",")) continue;
    f(value.substr(0, value.size() - 2));
    at = end + 1;
  }
}

// "PASS name (5ms)", "FAIL name (5 s)": the time is cut off at its last place, in the order in which the reference
// looks for its forms.
void set_pass_or_fail(std::string_view line, StatusMap& statuses) {
  const bool passed = line.starts_with("PASS");
  if (!passed && !line.starts_with("FAIL")) return;
  const std::size_t space = space_at(line, 4);
  if (space == 0) return;
  const std::size_t name = 4 + space;
  std::size_t end = line.size();
  for (const int form : {0, 1, 2}) {
    const std::size_t found = before_last_time(line, name, [&](std::size_t at) {
      Steps steps = Steps(line, at).number();
      if (form == 1) steps.space();
      steps.word(form == 0 ? "ms" : "s");
      return steps ? steps.at() : npos;
    });
    if (found != npos) {
      end = found;
      break;
    }
  }
  statuses.set(line.substr(name, end - name), passed ? test_status::passed : test_status::failed);
}

}  // namespace

Result<StatusMap> parse_log_highlightjs(std::string_view log, const LogContext& /*context*/) {
  // mocha's summary, and the failures told behind it, are no results.
  for (std::size_t at = log.find('\n'); at != npos; at = log.find('\n', at + 1)) {
    std::size_t digits = at + 1;
    while (digits < log.size() && (log[digits] == ' ' || log[digits] == '\t')) ++digits;
    if (Steps(log, digits).digits().word(" passing")) {
      log = log.substr(0, at);
      break;
    }
  }
  StatusMap statuses;
  std::string suite;
  bool in_suite = false;
  each_line(log, [&](std::string_view line) {
    const std::string_view text = strip(line);
    const auto set = [&](std::string_view name, std::string_view status) {
      const std::string test = without_times(name);
      statuses.set(in_suite ? suite + "." + test : test, status);
    };
    if (text.starts_with(tick) || text.starts_with(heavy_tick)) {
      set(text.substr(tick.size()), test_status::passed);
    } else if (const Steps number = Steps(text, 0).digits().word(")")) {
      set(text.substr(number.at()), test_status::failed);
    } else if (line.starts_with("  ")) {
      suite.assign(text);
      in_suite = true;
    }
  });
  return statuses;
}

Result<StatusMap> parse_log_prismjs(std::string_view log, const LogContext& /*context*/) {
  constexpr std::string_view name = "parse_log_prismjs";
  StatusMap statuses;
  std::string cause;
  OddTitles odd_titles;
  each_part_after(log, "./node_modules/.bin/mocha tests/run.js --reporter json", [&](std::string_view part) {
    if (!cause.empty()) return;
    std::string document = "{";
    document += before_last(after(part, "{"), "}");
    document += '}';
    cause = read_mocha_json(document, statuses, odd_titles);
  });
  if (!cause.empty()) return refuse(name, std::move(cause));
  return statuses;
}

Result<StatusMap> parse_log_eslint(std::string_view log, const LogContext& /*context*/) {
  // "  1) title\n  …  TypeError": the title goes to the first white space behind which, on the same line, an "Error"
  // follows. Behind the last "Error" of that line the next search begins.
  constexpr std::string_view word = "Error";
  StatusMap statuses;
  std::size_t from = 0;
  for (;;) {
    const auto [start, title] = next_numbered(log, from);
    if (start == npos) return statuses;
    std::size_t error = log.find(word, title);
    std::size_t title_end = npos;
    std::size_t last = npos;
    while (error != npos && title_end == npos) {
      const std::size_t line_end = std::min(log.find('\n', error), log.size());
      last = log.rfind(word, line_end - word.size());
      const std::size_t line_break = log.rfind('\n', error);
      if (line_break != npos && line_break >= title) {
        title_end = line_break;
        while (title_end > title) {
          const std::size_t n = space_before(log, title_end);
          if (n == 0) break;
          title_end -= n;
        }
      } else {
        const std::size_t space = skip_word(log, title);
        if (space < last) title_end = space;
      }
      if (title_end == npos) error = log.find(word, line_end);
    }
    if (title_end == npos) return statuses;
    statuses.set(collapsed(log.substr(title, title_end - title)), test_status::failed);
    from = last + word.size();
  }
}

namespace {

// Every group of `(.*)FAILED\n` behind what `head` accepts at an occurrence of `word`. head(at) gives the position
// behind itself, or npos.
template <class Head>
void set_failed_lines(std::string_view log, std::string_view word, StatusMap& statuses, Head head) {
  LineEnds line_end(log);
  for (std::size_t at = log.find(word); at != npos; at = log.find(word, at)) {
    const std::size_t name = head(at);
    at += word.size();
    if (name == npos) continue;
    const std::size_t end = line_end(name);
    if (end == npos) continue;
    const std::string_view rest = log.substr(name, end - name);
    if (!rest.ends_with(test_status::failed)) continue;
    statuses.set(rest.substr(0, rest.size() - test_status::failed.size()), test_status::failed);
    at = end + 1;
  }
}

}  // namespace

Result<StatusMap> parse_log_bpmn_js(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  const auto numbered = [&](std::string_view browser, bool with_number) {
    set_failed_lines(log, browser, statuses, [&](std::size_t at) {
      Steps steps = Steps(log, at + browser.size()).space().number().space().word("(Linux").space();
      if (with_number) {
        steps.number();
      } else {
        steps.word("x86_64");
      }
      steps.word(")").space();
      return steps ? steps.at() : npos;
    });
  };
  numbered("2KPhantomJS", true);
  numbered("2KPhantomJS", false);
  // "Chrome Headless … (Linux x86_64) name FAILED": the last platform on the line behind which a failure stands.
  constexpr std::string_view browser = "Chrome";
  LineEnds line_ends(log);
  for (std::size_t at = log.find(browser); at != npos;) {
    const Steps head = Steps(log, at + browser.size()).space().word("Headless").space();
    at += browser.size();
    const std::size_t line_end = head ? line_ends(head.at()) : npos;
    if (line_end != npos) {
      // Behind the line's end a platform may open the next line: its white space is the line's end then.
      for (std::size_t open = log.rfind('(', line_end + 1); open != npos && open > head.at();
           open = log.rfind('(', open - 1)) {
        const std::size_t gap = space_before(log, open);
        if (gap == 0 || open - gap < head.at()) continue;
        const Steps platform = Steps(log, open).word("(Linux").space().word("x86_64)").space();
        if (!platform) continue;
        const std::size_t end = log.find('\n', platform.at());
        if (end == npos) continue;
        const std::string_view rest = log.substr(platform.at(), end - platform.at());
        if (!rest.ends_with(test_status::failed)) continue;
        statuses.set(rest.substr(0, rest.size() - test_status::failed.size()), test_status::failed);
        at = end + 1;
        break;
      }
    }
    at = log.find(browser, at);
  }
  numbered("HeadlessChrome", true);
  return statuses;
}

Result<StatusMap> parse_log_openlayers(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  const auto set = [&](std::string_view name) { statuses.set(collapsed(name), test_status::failed); };
  // "(Linux x86_64) " from `steps` on: the platform is a word that ends with the bracket.
  const auto behind_platform = [&](Steps steps) {
    steps.word("(Linux").space();
    if (!steps) return npos;
    const std::size_t end = skip_word(log, steps.at());
    if (end < steps.at() + 2 || log[end - 1] != ')') return npos;
    const std::size_t space = space_at(log, end);
    return space == 0 ? npos : end + space;
  };
  constexpr std::string_view browser = "Chrome";
  LineEnds line_end(log);
  for (std::size_t at = log.find(browser); at != npos;) {
    const std::size_t name =
        behind_platform(Steps(log, at + browser.size()).space().word("Headless").space().number().space());
    at += browser.size();
    const std::size_t end = name == npos ? npos : line_end(name);
    if (end != npos) {
      const std::string_view rest = log.substr(name, end - name);
      if (log.substr(end + 1).starts_with("FAILED\n")) {
        set(rest);
        at = end + 8;
      } else if (rest.ends_with(test_status::failed)) {
        const std::size_t gap = space_before(rest, rest.size() - 6);
        if (gap != 0) {
          set(rest.substr(0, rest.size() - 6 - gap));
          at = end + 1;
        }
      }
    }
    at = log.find(browser, at);
  }
  for (std::size_t at = log.find(browser); at != npos;) {
    const std::size_t name = behind_platform(Steps(log, at + browser.size()).space().number().space());
    at += browser.size();
    const std::size_t end = name == npos ? npos : line_end(name);
    if (end != npos) {
      const std::string_view rest = log.substr(name, end - name);
      if (rest.ends_with(test_status::failed)) {
        set(rest.substr(0, rest.size() - 6));
        at = end + 1;
      }
    }
    at = log.find(browser, at);
  }
  for (std::size_t from = 0; from < log.size();) {
    const auto [start, title] = next_numbered(log, from);
    if (start == npos) break;
    if (start != 0 && log[start - 1] != '\n') {
      from = title;
      continue;
    }
    const std::size_t error = log.find("Error:", title);
    if (error == npos) break;
    set(log.substr(title, error - title));
    from = error + 6;
  }
  for (std::size_t at = 0; at < log.size();) {
    // `at` is the start of a line.
    const Steps head = Steps(log, at).word("case").space();
    std::size_t end = log.find('\n', at);
    if (head) {
      const std::size_t case_end = std::min(log.find('\n', head.at()), log.size());
      for (std::size_t colon = case_end == 0 ? npos : log.rfind(':', case_end - 1); colon != npos && colon >= head.at();
           colon = colon == 0 ? npos : log.rfind(':', colon - 1)) {
        const Steps tail = Steps(log, colon + 1).space().word("mismatch");
        if (!tail) continue;
        set(log.substr(head.at(), colon - head.at()));
        end = log.find('\n', tail.at());
        break;
      }
    }
    if (end == npos) break;
    at = end + 1;
  }
  return statuses;
}

Result<StatusMap> parse_log_grommet(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  for (const auto& [word, status] : {std::pair(std::string_view("FAIL"), test_status::failed),
                                     std::pair(std::string_view("PASS"), test_status::passed)}) {
    for (std::size_t at = 0; at < log.size();) {
      const Steps head = Steps(log, at).word(word).space();
      if (!head) {
        const std::size_t end = log.find('\n', at);
        if (end == npos) break;
        at = end + 1;
        continue;
      }
      const std::string_view rest = rest_of_line(log, head.at());
      std::string_view name = strip(rest);
      if (name.ends_with("s)")) {
        std::size_t end = name.size() - 2;
        if (end > 0 && name[end - 1] == 'm') --end;
        end -= space_before(name, end);
        const std::size_t open = name.rfind('(');
        if (open != npos && open + 1 < end && skip_number(name, open + 1) == end) {
          const std::size_t gap = space_before(name, open);
          if (gap != 0) name = name.substr(0, open - gap);
        }
      }
      statuses.set(name, status);
      at = head.at() + rest.size() + 1;
    }
  }
  return statuses;
}

Result<StatusMap> parse_log_calypso(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  Suites suites;
  bool refused = false;
  each_part_after(log, " ./node_modules/.bin/jest ", [&](std::string_view part) {
    bool ended = false;
    each_line(part, [&](std::string_view line) {
      if (ended || refused) return;
      if (line.starts_with("Test Suites") || line.starts_with("  ● ")) {
        ended = true;
        return;
      }
      const std::string_view text = lstrip(line);
      const bool passed = text.starts_with(tick);
      if (!passed && !text.starts_with(cross)) return suites.heading(line);
      // Here the reference takes apart a line of white space, mark, white space, name, and dies of any other.
      const std::size_t space = space_at(text, tick.size());
      refused = text.size() == line.size() || space == 0;
      if (refused) return;
      std::string_view name = text.substr(tick.size() + space);
      bool has_time = false;
      for (std::size_t open = line.find('('); open != npos && !has_time; open = line.find('(', open + 1)) {
        has_time = static_cast<bool>(Steps(line, open).word("(").digits().word("ms)"));
      }
      if (has_time) {
        const std::size_t open = name.rfind('(');
        const Steps time = Steps(name, std::min(open, name.size())).word("(").digits().word("ms)");
        refused = !time || time.at() != name.size();
        if (refused) return;
        name = name.substr(0, open);
      }
      std::string test = suites.names();
      test += " - ";
      test += name;
      statuses.set(strip(test), passed ? test_status::passed : test_status::failed);
    });
  });
  if (refused) return refuse("parse_log_calypso", "a result line is not indented, or its time is not at its end");
  return statuses;
}

namespace {

StatusMap parse_log_next_v1(std::string_view log) {
  std::string plain = without_escapes(log);
  std::string without_messages;
  for (std::size_t at = 0;;) {
    constexpr std::string_view word = "AssertionError:";
    std::size_t start = plain.find(word, at);
    std::size_t end = npos;
    while (start != npos) {
      const std::size_t behind = start + word.size();
      const std::size_t hash = skip_space(plain, behind);
      if (hash > behind && hash < plain.size() && plain[hash] == '#') {
        end = plain.find("\n\n", hash + 1);
        break;
      }
      start = plain.find(word, behind);
    }
    if (start == npos || end == npos) {
      without_messages.append(plain, at, npos);
      break;
    }
    without_messages.append(plain, at, start - at);
    at = end + 2;
  }
  StatusMap statuses;
  Suites suites;
  each_part_after(without_messages, " xvfb-run ", [&](std::string_view part) {
    bool ended = false;
    each_line(after_last(part, "Starting browser Chrome"), [&](std::string_view line) {
      if (ended) return;
      if (line.starts_with("TOTAL")) {
        ended = true;
        return;
      }
      const std::string_view text = lstrip(line);
      for (const std::string_view word : {"ERROR", "LOG", "WARN", "Check", "in"}) {
        if (text.starts_with(word)) return;
      }
      for (const auto& [mark, status] :
           {std::pair(ballot, test_status::failed), std::pair(tick, test_status::passed)}) {
        const std::size_t at = line.find(mark);
        if (at == npos) continue;
        statuses.set(suites.with(line.substr(skip_space(line, at + mark.size()))), status);
        return;
      }
      suites.heading(line);
    });
  });
  return statuses;
}

StatusMap parse_log_next_v2(std::string_view log) {
  constexpr std::string_view word = "Running:";
  struct Suite {
    std::string_view name;
    std::size_t start;  // of the heading
    std::size_t end;
  };
  std::vector<Suite> suites;
  for (std::size_t at = log.find(word); at != npos;) {
    const std::size_t behind = at + word.size();
    const std::size_t line_end = log.find('\n', behind);
    if (line_end == npos) break;
    std::size_t next = line_end;
    if (line_end > behind && log[line_end - 1] == ')') {
      const Steps name = Steps(log, line_end).word("\n\n\n").spaces(2);
      const std::size_t end = name ? log.find('\n', name.at()) : npos;
      if (end != npos) {
        suites.push_back({.name = log.substr(name.at(), end - name.at()), .start = at, .end = end + 1});
        next = end + 1;
      }
    }
    at = log.find(word, next);
  }
  StatusMap statuses;
  std::string test;
  for (std::size_t i = 0; i < suites.size(); ++i) {
    const std::size_t end = i + 1 < suites.size() ? suites[i + 1].start : log.size();
    const std::string_view part = log.substr(suites[i].end, end - suites[i].end);
    for (const bool passed : {false, true}) {
      for (std::size_t at = 0; at < part.size();) {
        Steps steps = Steps(part, at).spaces(4);
        if (passed) {
          steps.word(tick);
        } else {
          steps.digits().word(")");
        }
        steps.space();
        std::size_t line_from = at;
        if (steps) {
          std::string_view name = rest_of_line(part, steps.at());
          const std::size_t open = passed ? name.rfind('(') : name.size();
          if (open != npos) {
            name = name.substr(0, open);
            test.assign(suites[i].name);
            test += ": ";
            test += strip(name);
            statuses.set(test, passed ? test_status::passed : test_status::failed);
            line_from = steps.at() + open;
          }
        }
        const std::size_t line_end = part.find('\n', line_from);
        if (line_end == npos) break;
        at = line_end + 1;
      }
    }
  }
  return statuses;
}

}  // namespace

Result<StatusMap> parse_log_next(std::string_view log, const LogContext& context) {
  return context.version == "1.27" ? parse_log_next_v2(log) : parse_log_next_v1(log);
}

Result<StatusMap> parse_log_carbon(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view line) { set_pass_or_fail(line, statuses); });
  return statuses;
}

namespace {

StatusMap parse_log_lighthouse_mocha(std::string_view log) {
  // The log's parts: behind each "running 12 test files", up to the first "12 passing".
  const auto heading = [&](std::size_t from) -> std::pair<std::size_t, std::size_t> {
    for (std::size_t at = log.find("running", from); at != npos; at = log.find("running", at + 1)) {
      const Steps steps = Steps(log, at + 7).space().digits().space().word("test").space().word("files");
      if (steps) return {at, steps.at()};
    }
    return {npos, npos};
  };
  StatusMap statuses;
  Suites suites;
  for (auto [start, end] = heading(0); start != npos;) {
    const auto next = heading(end);
    std::string_view run = log.substr(end, (next.first == npos ? log.size() : next.first) - end);
    for (std::size_t at = run.find("passing"); at != npos; at = run.find("passing", at + 1)) {
      const std::size_t space = space_before(run, at);
      std::size_t digits = at - space;
      while (space != 0 && digits > 0 && digit_at(run, char_before(run, digits)) != 0)
        digits = char_before(run, digits);
      if (digits == at - space) continue;
      run = run.substr(0, digits);
      break;
    }
    suites.clear();
    each_line(strip(run), [&](std::string_view line) {
      const std::string_view text = strip(line);
      const bool passed = text.starts_with(heavy_tick);
      const Steps head = passed ? Steps(text, heavy_tick.size()).space() : Steps(text, 0).digits().word(")").space();
      if (!head) return suites.heading(line);
      std::size_t name_end = before_last_time(text, head.at(), [&](std::size_t at) {
        const Steps number = Steps(text, at).digits().word("m");
        if (!number) return npos;
        const std::size_t seconds = text.find_first_not_of('m', number.at());
        return seconds != npos && text[seconds] == 's' ? seconds + 1 : npos;
      });
      if (name_end == npos) name_end = text.size();
      statuses.set(suites.with(text.substr(head.at(), name_end - head.at())),
                   passed ? test_status::passed : test_status::failed);
    });
    std::tie(start, end) = next;
  }
  return statuses;
}

}  // namespace

Result<StatusMap> parse_log_lighthouse(std::string_view log, const LogContext& context) {
  if (context.version == "9.5" || context.version == "10.0" || context.version == "10.2") {
    return parse_log_lighthouse_mocha(log);
  }
  const std::optional<double> version = to_float(context.version);
  if (!version) {
    return refuse("parse_log_lighthouse",
                  "needs the row's version, a number; it is '" + std::string(context.version) + "'");
  }
  if (*version >= 3) return parse_log_carbon(log, context);
  StatusMap statuses;
  each_part_after(log, "./node_modules/.bin/mocha --reporter json", [&](std::string_view part) {
    each_full_title(before_last(after_last(part, "\"passes\": ["), "]"),
                    [&](std::string_view test) { statuses.set(test, test_status::passed); });
    each_full_title(before_last(after_last(part, "\"failures\": ["), "],"),
                    [&](std::string_view test) { statuses.set(test, test_status::failed); });
  });
  return statuses;
}

Result<StatusMap> parse_log_quarto_cli(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::map<std::string, std::size_t, std::less<>> folders;  // "/tmp/x/" → its number, in order of first appearance
  // The first /tmp/(\w+)<tail> of the line gives the number by which all are replaced.
  const auto rename = [&](std::string& line, std::string_view tail) {
    constexpr std::string_view root = "/tmp/";
    std::string renamed;
    std::string number;
    std::size_t at = 0;
    for (std::size_t start = line.find(root); start != npos; start = line.find(root, start)) {
      std::size_t end = start + root.size();
      while (const std::size_t n = word_char_at(line, end)) end += n;
      if (end == start + root.size() || !std::string_view(line).substr(end).starts_with(tail)) {
        ++start;
        continue;
      }
      end += tail.size();
      if (number.empty()) {
        number = std::to_string(folders.try_emplace(line.substr(start, end - start), folders.size()).first->second);
      }
      renamed.append(line, at, start - at).append(root).append(number);
      start = at = end;
    }
    if (!number.empty()) line = renamed.append(line, at, npos);
  };
  bool ended = false;
  each_line(log, [&](std::string_view raw) {
    if (ended) return;
    if (has(raw, "ERRORS") || has(raw, "failures:")) {
      ended = true;
      return;
    }
    if (!has(raw, "[smoke]") && !has(raw, "[unit]")) return;
    std::string line(raw);
    rename(line, ".qmd");
    rename(line, "/");
    const std::string_view test = strip(before(line, "..."));
    if (line.starts_with("test result:") || (has(line, "passed") && has(line, "failed") && has(line, "steps")) ||
        has(line, "34mINFO")) {
      return;
    }
    if (has(line, "32mok")) {
      statuses.set(test, test_status::passed);
    } else if (has(line, "31mFAILED") || !statuses.contains(test)) {
      statuses.set(test, test_status::failed);
    }
  });
  return statuses;
}

Result<StatusMap> parse_log_chart_js(std::string_view coloured, const LogContext& /*context*/) {
  const std::string plain = without_escapes(coloured);
  const std::string_view log = plain;
  constexpr std::string_view browser = "Chrome";
  StatusMap statuses;
  LineEnds line_end(log);
  for (std::size_t at = log.find(browser); at != npos;) {
    const Steps head = Steps(log, at + browser.size()).space().number().line_space().word("(");
    at += browser.size();
    if (head) {
      const std::size_t end = std::min(line_end(head.at()), log.size());
      const std::string_view line = log.substr(0, end);
      if (line.ends_with(test_status::failed)) {
        // One character at least stands in the brackets, and the first that close before white space close them.
        const std::size_t failed = end - test_status::failed.size();
        std::size_t close = head.at() < end ? head.at() + char_length(line, head.at()) : end;
        for (close = line.find(')', close); close != npos; close = line.find(')', close + 1)) {
          const Steps name = Steps(line, close + 1).line_space();
          if (!name || name.at() > failed) continue;
          statuses.set(line.substr(name.at(), failed - name.at()), test_status::failed);
          at = end;
          break;
        }
      }
    }
    at = log.find(browser, at);
  }
  return statuses;
}

Result<StatusMap> parse_log_marked(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view line) {
    const Steps head = Steps(line, 0).digits().word(")").space();
    if (head) statuses.set(strip(line.substr(head.at())), test_status::failed);
  });
  return statuses;
}

namespace {

// Without lines that are, or stand between, what looks like JSON.
std::string without_json_blocks(std::string_view log) {
  std::string kept;
  bool first = true;
  bool in_object = false;
  bool in_list = false;
  each_line(log, [&](std::string_view line) {
    const std::string_view text = rstrip(line);
    if (text.ends_with('{')) {
      in_object = true;
    } else if (text.ends_with('[')) {
      in_list = true;
    } else if (text == "}" && in_object) {
      in_object = false;
    } else if (text == "]" && in_list) {
      in_list = false;
    } else if (!in_object && !in_list && !(text.starts_with('{') && text.ends_with('}')) &&
               !(text.starts_with('[') && text.ends_with(']'))) {
      if (!first) kept += '\n';
      first = false;
      kept += line;
    }
  });
  return kept;
}

// Without <name>…</name>. Each time the leftmost goes, with all within; opening tags of that name within it are left in
// its place, one fewer than there were, and the search begins anew.
std::string without_xml_blocks(std::string log) {
  std::size_t from = 0;  // no block starts before
  for (;;) {
    std::size_t start = log.find('<', from);
    std::string tag;
    std::string closing;
    std::size_t end = npos;
    std::set<std::string, std::less<>> unclosed;
    for (; start != npos; start = log.find('<', start + 1)) {
      std::size_t name_end = start + 1;
      while (const std::size_t n = word_char_at(log, name_end)) name_end += n;
      if (name_end == start + 1 || name_end >= log.size() || log[name_end] != '>') continue;
      tag.assign(log, start, name_end + 1 - start);
      if (unclosed.contains(tag)) continue;
      closing = "</" + tag.substr(1);
      end = log.find(closing, name_end + 1);
      if (end != npos) break;
      unclosed.insert(tag);
    }
    if (start == npos) return log;
    end += closing.size();
    std::size_t tags = 0;
    for (std::size_t at = start; (at = log.find(tag, at)) < end; at += tag.size()) ++tags;
    std::string left;
    for (std::size_t i = 1; i < tags; ++i) left += tag;
    log.replace(start, end - start, left);
    // What now meets may be a tag: an opening one starts at the last "<" before, a closing one may end any block.
    const std::size_t before_it = start == 0 ? npos : log.rfind('<', start - 1);
    if (before_it == npos) {
      from = start;
    } else {
      from = log[before_it + 1] == '/' || before_it + 1 == start ? 0 : before_it;
    }
  }
}

}  // namespace

Result<StatusMap> parse_log_p5js(std::string_view coloured, const LogContext& /*context*/) {
  const std::string plain = without_xml_blocks(without_json_blocks(without_escapes(coloured)));
  const std::string_view log = plain;
  constexpr std::size_t longest = 1000;  // characters of a title
  StatusMap statuses;
  std::size_t line = 0;
  while (line < log.size()) {
    const std::size_t number = skip_space(log, line);
    const Steps head = Steps(log, number).digits().word(")");
    std::size_t next = number;
    if (head) {
      std::size_t end = head.at();
      std::size_t characters = 0;
      while (end < log.size() && log[end] != ':' && characters < longest) {
        end += char_length(log, end);
        ++characters;
      }
      if (end < log.size() && log[end] == ':') {
        std::string name;
        std::size_t last_indent = 0;
        bool valid = true;
        each_line(log.substr(head.at(), end - head.at()), [&](std::string_view part) {
          const std::size_t indent = python::length(part.substr(0, skip_space(part, 0)));
          valid = valid && indent > last_indent;
          last_indent = indent;
          if (part.data() != log.data() + head.at()) name += ':';
          name += strip(part);
        });
        if (valid) statuses.set(name, test_status::failed);
        next = end;
      }
    }
    const std::size_t line_end = log.find('\n', next);
    if (line_end == npos) break;
    line = line_end + 1;
  }
  return statuses;
}

Result<StatusMap> parse_log_jest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const std::string_view status = line.starts_with(tick)    ? test_status::passed
                                    : line.starts_with(cross) ? test_status::failed
                                    : line.starts_with("○")   ? test_status::skipped
                                                              : std::string_view();
    if (status.empty()) return;
    const std::size_t space = space_at(line, tick.size());
    const std::size_t name = tick.size() + space;
    if (space == 0 || name >= line.size()) return;
    const std::size_t time = final_time(line);
    const std::size_t end = time != npos && time > name ? time : line.size();
    statuses.set(strip(line.substr(name, end - name)), status);
  });
  return statuses;
}

Result<StatusMap> parse_log_jest_json(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const bool passed = line.starts_with("[PASSED]");
    if (!passed && !line.starts_with("[FAILED]")) return;
    const std::size_t space = space_at(line, 8);
    if (space == 0 || 8 + space >= line.size()) return;
    statuses.set(line.substr(8 + space), passed ? test_status::passed : test_status::failed);
  });
  return statuses;
}

Result<StatusMap> parse_log_vitest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    std::string_view status;
    std::size_t mark = 0;
    if (line.starts_with(tick)) {
      status = test_status::passed;
      mark = tick.size();
    } else if (line.starts_with("×")) {
      status = test_status::failed;
      mark = std::string_view("×").size();
    } else if (line.starts_with("↓")) {
      status = test_status::skipped;
      mark = std::string_view("↓").size();
    } else {
      return;
    }
    const std::size_t space = space_at(line, mark);
    const std::size_t name = mark + space;
    if (space == 0 || name >= line.size()) return;
    // \s(\d+\s*m?s?|\[skipped\])$
    std::size_t end = line.size();
    if (line.ends_with("[skipped]")) {
      end -= 9;
    } else {
      if (line[end - 1] == 's') --end;
      if (end > name && line[end - 1] == 'm') --end;
      while (const std::size_t n = space_before(line, end)) end -= n;
      const std::size_t digits_end = end;
      while (end > name && digit_at(line, char_before(line, end)) != 0) end = char_before(line, end);
      if (end == digits_end) end = 0;
    }
    const std::size_t gap = end > name ? space_before(line, end) : 0;
    end = gap == 0 || end - gap <= name ? line.size() : end - gap;
    statuses.set(line.substr(name, end - name), status);
  });
  return statuses;
}

Result<StatusMap> parse_log_karma(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  std::size_t current_indent = 0;
  std::vector<std::string_view> suites;
  bool started = false;
  bool ended = false;
  bool refused = false;
  bool any_indent = false;
  each_line(log, [&](std::string_view line) {
    if (ended || refused) return;
    if (line.starts_with("SUMMARY:")) {
      ended = true;
      return;
    }
    if (has(line, "Starting browser")) {
      started = true;
      return;
    }
    if (!started) return;
    const std::string_view text = lstrip(line);
    const bool passed = text.starts_with(heavy_tick);
    if (passed || text.starts_with(heavy_cross)) {
      const std::size_t space = space_at(text, heavy_tick.size());
      if (space != 0) {
        std::string test;
        for (const std::string_view suite : suites) test.append(suite).append(" > ");
        test += text.substr(heavy_tick.size() + space);
        statuses.set(test, passed ? test_status::passed : test_status::failed);
        return;
      }
    }
    // A heading: its indentation is one less than its white space. As deep as the last, it changes nothing.
    const std::size_t spaces = python::length(line.substr(0, line.size() - text.size()));
    if (spaces < 2) return;
    const std::size_t indent = spaces - 1;
    if (!any_indent || indent > current_indent) {
      suites.push_back(text);
    } else if (indent < current_indent) {
      refused = suites.empty();
      if (refused) return;
      suites.pop_back();
    }
    any_indent = true;
    current_indent = indent;
  });
  if (refused) return refuse("parse_log_karma", "a heading is indented less than any before");
  return statuses;
}

Result<StatusMap> parse_log_tap(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const bool ok = line.starts_with("ok ");
    if (!ok && !line.starts_with("not ok ")) return;
    const std::size_t number = ok ? 3 : 7;
    const std::size_t end = skip_digits(line, number);
    if (end == number || end + 1 >= line.size() || line[end] != ' ') return;
    statuses.set(line.substr(end + 1), ok ? test_status::passed : test_status::failed);
  });
  return statuses;
}

Result<StatusMap> parse_log_immutable_js(std::string_view log, const LogContext& context) {
  const std::string_view number = after_last(context.instance_id, "-");
  if (number == "2006") return parse_log_jest(log, context);
  if (number == "2005") return parse_log_jest_json(log, context);
  return refuse("parse_log_immutable_js",
                "knows the instances …-2005 and …-2006, not '" + std::string(context.instance_id) + "'");
}

}  // namespace awm::logparse
