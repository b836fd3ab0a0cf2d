// go test -v
#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

Result<StatusMap> parse_log_gotest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    if (!line.starts_with("--- ") || !line.ends_with(')')) return;
    const std::string_view word = line.substr(4, 6);
    const std::string_view status = word == "PASS: "   ? test_status::passed
                                    : word == "FAIL: " ? test_status::failed
                                    : word == "SKIP: " ? test_status::skipped
                                                       : std::string_view();
    if (status.empty()) return;
    // The last brackets that hold something.
    constexpr std::size_t name = 10;
    const std::size_t time = line.size() < 4 ? std::string_view::npos : line.rfind(" (", line.size() - 4);
    if (time == std::string_view::npos || time <= name) return;
    statuses.set(line.substr(name, time - name), status);
  });
  return statuses;
}

}  // namespace awm::logparse
