// data/repositories.json as the build put it into the program (CMakeLists.txt writes the source).
#pragma once

#include <string_view>

namespace awm {

// What is known of the twelve SWE-bench repositories. By repository: `tests_as` ("files", or "modules" for Django's
// dotted names) and `groups` of versions with their `python`, the lines `before` git is asked, the `install` line, and
// the `test` command, which the test files follow. Facts: SWE-bench 4.1.0, harness/constants/python.py.
std::string_view repository_facts();

}  // namespace awm
