// Everything that a run needs to know before it makes anything: options complete, settings read, tasks chosen,
// repositories found. Nothing is made or begun here; every mistake of a person's is told here.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "memory/workflow.h"
#include "os/stop.h"
#include "run/journal.h"
#include "run/options.h"
#include "swebench/row.h"

namespace awm {

// What an earlier part of the run left, when one is gone on with.
struct EarlierRun {
  std::unique_ptr<Journal> journal;
  // Commit records in their order, as JSON text: (instance id, record).
  std::vector<std::pair<std::string, std::string>> commits;
};

struct RunPlan {
  RunOptions options;  // complete: defaults filled in, paths absolute
  Settings settings;
  std::optional<LlmConfig> llm;                          // unset when patches are given
  std::string model_name;                                // as reports name it
  std::vector<Row> rows;                                 // those to work on, in order
  std::string dataset_hash;                              // of all rows that were read
  std::map<std::string, std::string> dataset_revisions;  // of data sets by name
  std::map<std::string, std::string> given_patches;
  std::string env_setup;                            // shell prelude of every sandbox
  std::map<std::string, std::string> repositories;  // --repo: "owner/name" → path
  std::optional<int64_t> truncation;                // tokens
  std::shared_ptr<const WorkflowMemory> memory_at_start;
  std::optional<EarlierRun> earlier;

  [[nodiscard]] bool patches_given() const { return options.gold || !options.predictions.empty(); }
  [[nodiscard]] bool learns() const {
    return options.memory == "online" && llm.has_value() && !options.skip_evaluation;
  }
};

// `given`: the options that the person set (names without dashes). Lines for people go to the log. Errors:
// invalid_input, not_found, … of the first mistake; stopped while rows are fetched; the journal of an earlier run is
// opened (and so locked) and nothing else.
Result<RunPlan> make_plan(const Scope& scope, const Stop& stop, RunOptions options,
                          const std::vector<std::string>& given);

// The row's repository on this machine. Error: not_found with the remedy.
Result<std::string> repository_of(const RunPlan& plan, const Row& row);
// The same, nullopt where nothing names one (then a container's own /testbed is used).
std::optional<std::string> find_repository(const RunPlan& plan, const Row& row);

}  // namespace awm
