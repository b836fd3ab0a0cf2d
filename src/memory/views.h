// The files that the predecessor's users know, written and read: checkpoint.json, buffer.json, result.json,
// results.jsonl. (memory.json: memory_file.h.)
//
// When each is written, so that a sample's cost does not grow with the samples done: results.jsonl a line a sample;
// checkpoint.json at every commit (constant size); memory.json when learning changed it (bounded by the number of
// workflows); buffer.json and result.json, which hold everything, once, when the run ends.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "base/ledger.h"
#include "base/result.h"
#include "memory/experience.h"
#include "memory/workflow.h"

namespace awm {

struct Checkpoint {
  int64_t total_processed = 0;
  int64_t total_success = 0;
  std::string start_time;
  std::string last_checkpoint;
};
Json to_json(const Checkpoint& checkpoint);
// Theirs and ours. Errors: invalid_input naming the file.
Result<Checkpoint> read_checkpoint(const std::string& path);

// Where an experience comes from JSON: errors: invalid_input naming `what` and the key. Over-long texts are cut to the
// limits of experience.h.
Result<Experience> experience_from_json(const Json& json, std::string_view what);

struct ResultsRead {
  int64_t lines = 0;
  std::vector<std::string> left_out;  // broken lines and second lines of an id: one line each, at most 100
  bool torn = false;                  // the last line had no end and was left out
};
// Reads results.jsonl, theirs or ours, a line at a time, in order; `take` returns false to end. A broken line is left
// out and told. Errors: not_found, io.
Result<ResultsRead> read_results(const Scope& scope, const std::string& path,
                                 const std::function<bool(Experience)>& take);

// buffer.json from results.jsonl: what passed, by task type. One pass a type, a line in memory at a time.
Result<void> write_buffer_view(const Scope& scope, const std::string& results_jsonl, const std::string& buffer_json,
                               const std::string& last_updated);

// result.json: experiences, workflows, statistics. `statistics` is written as it is; statistics_view() makes it.
Result<void> write_result_view(const Scope& scope, const std::string& results_jsonl, const WorkflowMemory& memory,
                               const Json& statistics, const std::string& result_json);

struct RunStatistics {
  int64_t total_processed = 0;
  int64_t total_success = 0;
  int64_t workflows_learned = 0;
  double elapsed_seconds = 0;
};
// The predecessor's keys; `config` is what stands in config.json.
Json statistics_view(const RunStatistics& statistics, const Json& config);

}  // namespace awm
