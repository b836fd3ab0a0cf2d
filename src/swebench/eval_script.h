// The script that runs a row's tests: the row's own, or built from what is known of its repository.
//
// Form and added lines: SWE-bench 5.0.2 (harness/utils.py, types.py); facts on repositories: data/repositories.json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "swebench/row.h"

namespace awm {

inline constexpr std::string_view start_marker = ">>>>> Start Test Output";
inline constexpr std::string_view end_marker = ">>>>> End Test Output";
inline constexpr std::string_view exit_marker = ">>>>> Test Exit Code";

// The row's script as the reference publishes it: its eval_script column, else built from repository, version, base
// commit and test patch. Errors: invalid_input for an unknown repository or version (near ones are named), no test
// patch.
Result<std::string> published_eval_script(const Row& row);

// The script that runs: the published one's lines under a header of our own, with lines added that record the test
// command's exit code.
std::string runnable_eval_script(std::string_view published);

// For a sandbox that is not the published image: leaves out the lines in front of the tests that activate its conda
// environment and install the repository into it, and, unless `has_locale`, those that make and choose en_US.UTF-8.
// `left_out` gets them.
std::string without_image_steps(std::string_view script, bool has_locale, std::vector<std::string>& left_out);

// Whether the row has what judging needs: tests, a script, a known parser. Errors: invalid_input naming row and key.
Result<void> check_judgeable(const Row& row);

}  // namespace awm
