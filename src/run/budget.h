// What a run takes of the descriptor limit, and how many workers fit into what there is.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace awm {

struct WorkerBudget {
  int workers = 1;                // at most what was asked for, at least 1
  uint64_t descriptor_limit = 0;  // the soft limit, as it is now
};

// Raises the descriptor limit toward what `workers` need, told in the log; where it cannot suffice, fewer workers are
// granted, and that is told as a warning. Errors: exhausted when not even one fits; `what` is named in it ("run").
Result<WorkerBudget> fit_workers(int workers, std::string_view what);

}  // namespace awm
