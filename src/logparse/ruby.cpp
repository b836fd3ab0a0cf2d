// Ruby's runners: minitest, cucumber, test-unit, RSpec as one line a test.
#include <algorithm>

#include "logparse/families.h"
#include "logparse/python_text.h"

namespace awm::logparse {

using namespace python;

namespace {

constexpr std::size_t npos = std::string_view::npos;

}  // namespace

Result<StatusMap> parse_log_minitest(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    // "Class#test_name = 0.01 s = .": the last of . F E is the outcome, the last "=" before it ends the time, and the
    // last ". " before that ends the name.
    const std::string_view line = strip(raw);
    const std::size_t outcome = line.find_last_of(".FE");
    if (outcome == npos || outcome == 0) return;
    const std::size_t equals = line.rfind('=', outcome - 1);
    if (equals == npos || equals < 2) return;
    const std::size_t name_end = line.rfind(". ", equals - 2);
    if (name_end == npos || name_end == 0) return;
    statuses.set(line.substr(0, name_end), line[outcome] == '.' ? test_status::passed : test_status::failed);
  });
  return statuses;
}

Result<StatusMap> parse_log_cucumber(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    for (std::size_t at = line.rfind(" ."); at != npos; at = at == 0 ? npos : line.rfind(" .", at - 1)) {
      const std::size_t end = std::min(line.find_first_not_of('.', at + 1), line.size());
      const bool failed = end < line.size() && line[end] == 'F';
      if (!failed && end - at < 3) continue;
      statuses.set(line.substr(0, at), failed ? test_status::failed : test_status::passed);
      return;
    }
  });
  return statuses;
}

Result<StatusMap> parse_log_ruby_unit(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    constexpr std::string_view prefix = "test: ";
    // The last colon with an outcome behind it, of those that leave a name: without the prefix, or else with it.
    std::size_t colon = npos;
    std::string_view status;
    for (std::size_t at = line.rfind(':'); at != npos && at != 0 && colon == npos; at = line.rfind(':', at - 1)) {
      const std::size_t outcome = skip_space(line, at + 1);
      if (outcome == at + 1 || outcome >= line.size()) continue;
      const char c = line[outcome];
      if (c != '.' && (word_char_at(line, outcome + 1) != 0 || (c != 'E' && c != 'F' && c != 'O'))) continue;
      colon = at;
      status = c == '.' ? test_status::passed : c == 'O' ? test_status::skipped : test_status::failed;
    }
    if (colon == npos) return;
    const std::size_t name = line.starts_with(prefix) && colon > prefix.size() ? prefix.size() : 0;
    statuses.set(line.substr(name, colon - name), status);
  });
  return statuses;
}

Result<StatusMap> parse_log_rspec_transformed_json(std::string_view log, const LogContext& /*context*/) {
  StatusMap statuses;
  each_line(log, [&](std::string_view raw) {
    const std::string_view line = strip(raw);
    const std::size_t passed = line.rfind(" - passed");
    const std::size_t failed = line.rfind(" - failed");
    const bool has_passed = passed != npos && passed != 0;
    const bool has_failed = failed != npos && failed != 0;
    if (has_passed && (!has_failed || passed > failed)) {
      statuses.set(line.substr(0, passed), test_status::passed);
    } else if (has_failed) {
      statuses.set(line.substr(0, failed), test_status::failed);
    }
  });
  return statuses;
}

Result<StatusMap> parse_log_jekyll(std::string_view log, const LogContext& context) {
  // The pull request's number: what stands between the first "-" and the second.
  const std::size_t dash = context.instance_id.find('-');
  const std::string_view number = dash == npos ? std::string_view() : before(context.instance_id.substr(dash + 1), "-");
  if (number == "9141" || number == "8047" || number == "8167") return parse_log_minitest(log, context);
  if (number == "8761" || number == "8771") return parse_log_cucumber(log, context);
  return refuse("parse_log_jekyll", "knows the instances …-9141, -8047, -8167, -8761 and -8771, not '" +
                                        std::string(context.instance_id) + "'");
}

}  // namespace awm::logparse
