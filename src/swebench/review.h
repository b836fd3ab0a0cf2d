// What a person should look at before a verdict is believed. It never changes one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "swebench/grading.h"
#include "swebench/row.h"

namespace awm {

// Words for awm.json, sorted, once each; docs/judging.md explains them:
//   edits_eval_files   files that the row's test patch changes too (the eval script puts these back)
//   edits_tests        other tests
//   edits_conftest     conftest.py, or what Python runs at its start (sitecustomize.py, *.pth)
//   edits_runner       the tests' runner (a program that the test command names), its settings, a build file
//   edits_git          what lies in .git: hooks, settings
//   adds_link, adds_submodule, leaves_tree   symbolic links, submodules, names with ".." or from the root
std::vector<std::string> review_patch(const Row& row, std::string_view patch, std::string_view eval_script);

//   prints_markers     the log has more of the markers than the eval script prints
std::vector<std::string> review_log(const Grade& grade);

}  // namespace awm
