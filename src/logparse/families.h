// Every parser, by family: one function each, named as in SWE-bench's registry. parsers.cpp has the table.
#pragma once

#include <string_view>

#include "base/result.h"
#include "logparse/parsers.h"
#include "logparse/status_map.h"

namespace awm::logparse {

// An exception of the reference on this input, said as an error.
std::unexpected<Error> refuse(std::string_view parser, std::string cause);

// python.cpp
Result<StatusMap> parse_log_pytest(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_pytest_options(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_pytest_v2(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_django(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_seaborn(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_sympy(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_matplotlib(std::string_view log, const LogContext& context);

// javascript.cpp
Result<StatusMap> parse_log_tap(std::string_view log, const LogContext& context);

// c.cpp
Result<StatusMap> parse_log_googletest(std::string_view log, const LogContext& context);

}  // namespace awm::logparse
