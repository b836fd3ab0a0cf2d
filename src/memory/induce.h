// A memory from runs that are finished: ours (journal.jsonl, results.jsonl), the predecessor's (results.jsonl).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ledger.h"
#include "base/result.h"
#include "llm/llm.h"
#include "memory/learn.h"

namespace awm {

struct InduceSettings {
  LearnSettings learn;
  std::size_t trigger = 1;  // passes learned from at a time
  // A line for people.
  std::function<void(std::string_view)> say;
  // Each exchange as it is made; may be empty.
  std::function<void(const LearnExchange&)> save;
  // The memory after each step, and LearnOutcome::journal_record; may be empty.
  std::function<void(const WorkflowMemory&, const Json&)> step;
};

struct InduceReport {
  std::shared_ptr<const WorkflowMemory> memory;
  LearnCost cost;
  int64_t samples = 0;                // read
  int64_t passes = 0;                 // learned from
  int64_t refused = 0;                // of the passes, how many taught nothing
  std::vector<std::string> left_out;  // lines that could not be read, results that the journal contradicts
  std::optional<LlmError> gave_up;    // why it ended early; memory is what was learned until then
};

// Runs in their order, each a folder or a results.jsonl, passes in the order of their lines; a sample that was learned
// from in an earlier run is left out. Starts from `start`. Errors: not_found (no such run, no results.jsonl in it), io,
// invalid_input (no pass in any).
Result<InduceReport> induce(const Scope& scope, const std::vector<std::string>& runs,
                            std::shared_ptr<const WorkflowMemory> start, Llm& llm, const InduceSettings& settings,
                            const std::function<std::string()>& now);

}  // namespace awm
