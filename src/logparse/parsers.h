// The log parsers of SWE-bench 5.0.2 under their names. Each gives what the reference's gives on the same text,
// whatever the text: see docs/log-parsers.md. unittest's verbose output is what parse_log_django reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "logparse/status_map.h"

namespace awm {

// What four of the parsers ask of the row: parse_log_lighthouse and parse_log_next its version, parse_log_jekyll and
// parse_log_immutable_js its instance id. Borrowed.
struct LogContext {
  std::string_view version;
  std::string_view instance_id;
};

struct LogParser {
  std::string_view name;
  // Reads a log made readable by decode_log (or any valid UTF-8). Bounded memory beyond the result; thread-safe. Error,
  // invalid_input, exactly where the reference's parser raises: there the sample is an error, and has no verdict.
  Result<StatusMap> (*parse)(std::string_view log, const LogContext& context);
};

// The parser of that name, or nullptr.
const LogParser* find_log_parser(std::string_view name);
// find_log_parser, or not_found with near names in the remedy.
Result<const LogParser*> require_log_parser(std::string_view name);
// All names, in the reference's order.
std::vector<std::string_view> log_parser_names();

// The parser for a repository of the classic datasets, which name none in their rows ("django/django" →
// parse_log_django); "" where the repository is not known. The comparison ignores no case.
std::string_view default_log_parser(std::string_view repository);

// Bytes as Python reads a text file with errors="replace": what is not UTF-8 becomes U+FFFD, "\r\n" and "\r" become
// "\n". No copy when nothing is to change.
std::string decode_log(std::string bytes);

}  // namespace awm
