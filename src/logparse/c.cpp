// C and C++: Redis' own runner, automake's tests (jq), doctest's XML, MicroPython's runner, googletest.
#include <optional>
#include <string>
#include <vector>

#include "logparse/families.h"
#include "logparse/python_text.h"
#include "logparse/xml.h"

namespace awm::logparse {

using namespace python;

namespace {

constexpr std::size_t npos = std::string_view::npos;

// re.sub(r"\s+in\s+\S+$", "", name): a failed test's file is no part of its name.
std::string_view without_file(std::string_view name) {
  std::size_t end = name.size() - last_word(name).size();
  if (end == name.size() || space_before(name, name.size()) != 0) return name;
  const std::string_view before_file = rstrip(name.substr(0, end));
  if (before_file.size() == end || !before_file.ends_with("in")) return name;
  const std::string_view test = before_file.substr(0, before_file.size() - 2);
  const std::string_view stripped = rstrip(test);
  return stripped.size() == test.size() ? name : stripped;
}

}  // namespace

Result<StatusMap> parse_log_redis(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const std::size_t close = line.find("]:");
    if (close == npos || line.front() != '[') return;
    const std::string_view word = line.substr(1, close - 1);
    const std::string_view status = word == "ok"                         ? test_status::passed
                                    : word == "err"                      ? test_status::failed
                                    : word == "skip" || word == "ignore" ? test_status::skipped
                                                                         : std::string_view();
    const std::size_t space = space_at(line, close + 2);
    const std::size_t name = close + 2 + space;
    if (status.empty() || space == 0 || name >= line.size()) return;
    const std::size_t time = final_time(line);
    std::string_view test = line.substr(name, (time != npos && time > name ? time : line.size()) - name);
    if (word == "err") test = without_file(test);
    statuses.set(test, status);
  });
  return statuses;
}

Result<StatusMap> parse_log_jq(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const bool passed = line.starts_with("PASS:");
    if (!passed && !line.starts_with("FAIL:")) return;
    const std::size_t space = space_at(line, 5);
    if (space == 0 || 5 + space >= line.size()) return;
    statuses.set(line.substr(5 + space), passed ? test_status::passed : test_status::failed);
  });
  return statuses;
}

Result<StatusMap> parse_log_doctest(std::string_view log, const LogContext& /*context*/) {
  constexpr std::string_view closing = "</doctest>";
  StatusMap statuses;
  const std::size_t start = log.find("<doctest");
  if (start == npos) return statuses;
  const std::size_t end = log.find(closing, start);
  if (end == npos) return refuse("parse_log_doctest", "the XML report has no end");

  struct Case {
    bool is_test_case;
    std::string name;
    bool passed = true;
    std::size_t end = 0;  // index of the first case behind it
  };
  std::vector<Case> cases;
  std::vector<std::optional<std::size_t>> open;  // for each open element, its case
  XmlHandler handler;
  handler.start = [&](std::string_view name, const std::vector<XmlAttribute>& attributes) {
    const auto value = [&](std::string_view key) -> const std::string* {
      for (const XmlAttribute& attribute : attributes) {
        if (attribute.name == key) return &attribute.value;
      }
      return nullptr;
    };
    if (name == "Expression") {
      const std::string* success = value("success");
      if (success == nullptr || *success != "true") {
        for (const auto& at : open) {
          if (at) cases[*at].passed = false;
        }
      }
    }
    std::optional<std::size_t> own;
    if (name == "TestCase" || name == "SubCase") {
      const std::string* title = value("name");
      own = cases.size();
      cases.push_back({.is_test_case = name == "TestCase", .name = title == nullptr ? "None" : *title});
    }
    open.push_back(own);
  };
  handler.end = [&] {
    if (open.back()) cases[*open.back()].end = cases.size();
    open.pop_back();
  };
  if (!read_xml(log.substr(start, end + closing.size() - start), handler)) {
    return refuse("parse_log_doctest", "the XML report is not well-formed");
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (!cases[i].is_test_case) continue;
    for (std::size_t j = i + 1; j < cases[i].end; ++j) {
      if (cases[j].is_test_case) continue;
      statuses.set(cases[i].name + " > " + cases[j].name, cases[j].passed ? test_status::passed : test_status::failed);
    }
  }
  return statuses;
}

Result<StatusMap> parse_log_micropython_test(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const std::string_view status = line.starts_with("pass")   ? test_status::passed
                                    : line.starts_with("FAIL") ? test_status::failed
                                    : line.starts_with("skip") ? test_status::skipped
                                                               : std::string_view();
    if (status.empty()) return;
    const std::size_t name = skip_space(line, 4);
    if (name > 4 && name < line.size()) statuses.set(line.substr(name), status);
  });
  return statuses;
}

Result<StatusMap> parse_log_googletest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    // "…[ OK ] Suite.Test (0 ms)": the last bracket that fits, then up to the last " (".
    const std::string_view line = strip(raw);
    if (!line.ends_with(')')) return;
    std::size_t time = line.rfind('(');
    while (time != npos && space_before(line, time) == 0) time = time == 0 ? npos : line.rfind('(', time - 1);
    if (time == npos) return;
    const std::size_t name_end = time - space_before(line, time);
    for (std::size_t open = line.rfind('['); open != npos; open = open == 0 ? npos : line.rfind('[', open - 1)) {
      std::size_t at = skip_space(line, open + 1);
      const bool ok = line.substr(at).starts_with("OK");
      if (!ok && !line.substr(at).starts_with("FAILED")) continue;
      at = skip_space(line, at + (ok ? 2 : 6));
      if (at >= line.size() || line[at] != ']') continue;
      const std::size_t space = space_at(line, ++at);
      const std::size_t name = at + space;
      if (space == 0 || name > name_end) continue;
      statuses.set(line.substr(name, name_end - name), ok ? test_status::passed : test_status::failed);
      return;
    }
  });
  return statuses;
}

}  // namespace awm::logparse
