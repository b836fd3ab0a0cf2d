// C and C++: googletest.
#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

Result<StatusMap> parse_log_googletest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    // "…[ OK ] Suite.Test (0 ms)": the last bracket that fits, then up to the last " (".
    const std::string_view line = strip(raw);
    if (!line.ends_with(')')) return;
    for (std::size_t open = line.rfind('['); open != std::string_view::npos;
         open = open == 0 ? std::string_view::npos : line.rfind('[', open - 1)) {
      std::size_t at = skip_space(line, open + 1);
      const bool ok = line.substr(at).starts_with("OK");
      if (!ok && !line.substr(at).starts_with("FAILED")) continue;
      at = skip_space(line, at + (ok ? 2 : 6));
      if (at >= line.size() || line[at] != ']') continue;
      const std::size_t space = space_at(line, ++at);
      if (space == 0) continue;
      const std::size_t name = at + space;
      for (std::size_t time = line.rfind('('); time != std::string_view::npos && time > name;
           time = line.rfind('(', time - 1)) {
        const std::size_t gap = space_before(line, time);
        if (gap == 0 || time - gap < name) continue;
        statuses.set(line.substr(name, time - gap - name), ok ? test_status::passed : test_status::failed);
        return;
      }
    }
  });
  return statuses;
}

}  // namespace awm::logparse
