// Two runs compared: what differs besides times.
//
// Compared: tasks, data set, model and memory lag of the headers; for each sample its verdict, reason, patch (byte by
// byte), agent's end, steps, tokens, the memory it saw, its actions, what was learned at its commit; the order of the
// commits; the memory at the end. May differ, and is left out: times and durations, costs, resource counts, sizes of
// views, what a command printed, release errors, retries and broken-off tries, run id, host, folders, workers,
// prewarming, kind of sandbox.
#pragma once

#include <string>
#include <vector>

#include "base/ledger.h"
#include "base/result.h"

namespace awm {

struct RunDifference {
  std::string where;  // "sample django__django-11179: verdict"
  std::string a;      // "" : not there
  std::string b;
};

struct RunDiff {
  std::vector<RunDifference> differences;
  std::size_t samples = 0;  // that stand in both
};

// Reads two output folders; changes nothing, needs no lock. Errors: not_found, invalid_input with file and line.
Result<RunDiff> diff_runs(const Scope& scope, const std::string& folder_a, const std::string& folder_b);

}  // namespace awm
