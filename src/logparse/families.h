// Every parser, by family: one function each, named as in SWE-bench's registry. parsers.cpp has the table.
#pragma once

#include <string_view>

#include "base/result.h"
#include "logparse/parsers.h"
#include "logparse/status_map.h"

namespace awm::logparse {

// An exception of the reference on this input, said as an error.
std::unexpected<Error> refuse(std::string_view parser, std::string cause);

// Where the time in "name (12 ms)" starts, the white space before it included: \s\(\d+\s*m?s\)$; npos when there is
// none.
std::size_t final_time(std::string_view line);

// python.cpp
Result<StatusMap> parse_log_pytest(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_pytest_options(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_pytest_v2(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_django(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_seaborn(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_sympy(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_matplotlib(std::string_view log, const LogContext& context);

// javascript.cpp
Result<StatusMap> parse_log_highlightjs(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_prismjs(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_eslint(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_bpmn_js(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_openlayers(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_grommet(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_calypso(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_next(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_carbon(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_lighthouse(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_quarto_cli(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_chart_js(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_marked(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_p5js(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_jest(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_jest_json(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_vitest(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_karma(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_tap(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_immutable_js(std::string_view log, const LogContext& context);

// c.cpp
Result<StatusMap> parse_log_redis(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_jq(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_doctest(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_micropython_test(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_googletest(std::string_view log, const LogContext& context);

// go.cpp
Result<StatusMap> parse_log_gotest(std::string_view log, const LogContext& context);

// java.cpp
Result<StatusMap> parse_log_maven(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_ant(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_gradle_custom(std::string_view log, const LogContext& context);

// php.cpp
Result<StatusMap> parse_log_phpunit(std::string_view log, const LogContext& context);

// ruby.cpp
Result<StatusMap> parse_log_minitest(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_cucumber(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_ruby_unit(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_rspec_transformed_json(std::string_view log, const LogContext& context);
Result<StatusMap> parse_log_jekyll(std::string_view log, const LogContext& context);

// rust.cpp
Result<StatusMap> parse_log_cargo(std::string_view log, const LogContext& context);

}  // namespace awm::logparse
