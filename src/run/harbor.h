// Harbor tasks as rows: a folder with instruction.md, task.toml, environment/, tests/test.sh and solution/.
//
// Format: Harbor 0.26, task schema 1.4 (harbor/models/task/config.py; on PyPI). What of it cannot be honoured is an
// error, never passed over: a verdict would not be the task's.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "swebench/row.h"

namespace awm {

// The Harbor tasks that a folder stands for, by name: itself, or those right below it. Empty: it is no such folder.
std::vector<std::string> harbor_tasks_in(const std::string& folder);

// The task as a row. Its image is "" where environment/Dockerfile would have to be built. Errors: invalid_input with
// file and line or key; unsupported for what awm does not do (several steps or containers, Windows, accelerators, other
// users, tool servers, a separate verifier, a working folder of its own).
Result<Row> read_harbor_task(const std::string& folder);

}  // namespace awm
