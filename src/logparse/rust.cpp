// cargo test
#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

Result<StatusMap> parse_log_cargo(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    if (!line.starts_with("test")) return;
    std::size_t at = 0;
    if (next_word(line, at) != "test") return;
    const std::string_view name = next_word(line, at);
    if (next_word(line, at) != "...") return;
    const std::string_view outcome = next_word(line, at);
    if (at != line.size()) return;
    if (outcome == "ok") statuses.set(name, test_status::passed);
    if (outcome == "FAILED") statuses.set(name, test_status::failed);
  });
  return statuses;
}

}  // namespace awm::logparse
