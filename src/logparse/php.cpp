// PHPUnit with --testdox
#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

Result<StatusMap> parse_log_phpunit(std::string_view log, const LogContext& /*context*/) {
  constexpr std::size_t npos = std::string_view::npos;
  StatusMap statuses;
  std::string suite = "None";
  std::string test;
  each_line(log, [&](std::string_view line) {
    // "Name of the suite (Class)": a word character, one more, the last brackets that hold something.
    const std::size_t first = word_char_at(line, 0);
    if (first != 0 && line.ends_with(')')) {
      const std::size_t open = line.size() < 4 ? npos : line.rfind(" (", line.size() - 4);
      if (open != npos && open > first) {
        suite.assign(line.substr(0, open));
        return;
      }
    }
    const std::string_view text = lstrip(line);
    const std::string_view status = text.starts_with("✔")   ? test_status::passed
                                    : text.starts_with("✘") ? test_status::failed
                                    : text.starts_with("↩") ? test_status::skipped
                                                            : std::string_view();
    if (status.empty()) return;
    test.assign(suite).append(" > ").append(lstrip(text.substr(3)));
    statuses.set(test, status);
  });
  return statuses;
}

}  // namespace awm::logparse
