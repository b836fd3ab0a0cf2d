// JSON as Python's json.loads takes it (NaN and Infinity, no control characters in strings, lone surrogates kept), as
// far as one parser needs it. Facts: Python 3.12's json module.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "logparse/status_map.h"

namespace awm::logparse {

// Names of titles that are no strings, one map for all reports of a log: what stands for all that Python takes for
// equal (1, 1.0 and true) → the JSON text of the one that came first.
using OddTitles = std::map<std::string, std::string>;

// Reads mocha's JSON report: the titles of "failures", then those of "passes". Returns "" or, where Python raises, why.
std::string read_mocha_json(std::string_view document, StatusMap& statuses, OddTitles& odd_titles);

}  // namespace awm::logparse
