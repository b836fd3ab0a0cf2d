// Tasks that are folders and judge by a reward: a Harbor task's tests/ are brought into the sandbox, run as they are,
// and leave a number.
//
// Format: Harbor 0.26 (harbor/verifier/verifier.py, models/trial/paths.py; on PyPI).
#pragma once

#include <string>

#include "base/result.h"
#include "sandbox/sandbox.h"
#include "swebench/grading.h"
#include "swebench/row.h"

namespace awm {

inline constexpr const char* task_test_script = "/tests/test.sh";

// Whether the row is such a task.
inline bool is_task_folder(const Row& row) {
  return !row.task_folder.empty();
}

// Shows the task's tests/ at /tests and takes away what rewards an image may hold. Errors: the sandbox's own, not_found
// for a folder that went away.
Result<void> bring_task_tests(Sandbox& sandbox, const Row& row);

// Copies the reward that the tests left (/logs/verifier/reward.json, else reward.txt) into `folder`. Error: protocol
// where there is none.
Result<void> fetch_reward(Sandbox& sandbox, const std::string& folder);

// What the reward in `folder` says: resolved where it is at least 1; of a reward.json with several numbers, "reward",
// or else each of them. Errors: not_found; protocol for what is no finite number.
Result<Grade> grade_reward(const std::string& folder);

// The difference that the task's own solution makes, run in a connected sandbox that nothing ran in before: what a gold
// patch is for rows. Errors: not_found where the task has none; io where it fails; those of extract_patch().
Result<std::string> patch_of_solution(Sandbox& sandbox, const Row& row);

}  // namespace awm
