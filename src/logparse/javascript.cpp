// JavaScript's runners: TAP.
#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

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

}  // namespace awm::logparse
