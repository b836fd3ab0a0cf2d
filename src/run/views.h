// The files that users of the predecessor know, written as a run goes on (what is in them: memory/views.h), made from
// what is committed. Each can be made again from the journal and the samples' own files; losing one loses nothing, so a
// failure to write one is told and goes on.
//
// | file            | written                                       | cost                        |
// | config.json     | at the start                                  | constant                    |
// | results.jsonl   | one line at each commit                       | one sample's line           |
// | checkpoint.json | at each commit, replaced                      | constant                    |
// | memory.json     | when the memory changed, and at the end       | the memory, which is capped |
// | buffer.json     | at the end of a run or of a part of it        | one pass over results.jsonl |
// | result.json     | at the end of a run or of a part of it        | one pass over results.jsonl |
//
// Fields: xesws/CAWM_Online_workflow 722e0e6 (see docs/cli.md).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "memory/views.h"
#include "os/file.h"
#include "run/options.h"

namespace awm {

// One thread: the one that commits.
class Views {
 public:
  // Opens results.jsonl to go on behind `results_bytes` (0: anew). A file that is shorter, or absent, is made again
  // from the samples in `committed`, in that order. One descriptor.
  static Result<std::unique_ptr<Views>> open(const Scope& scope, const std::string& output_dir, uint64_t results_bytes,
                                             const std::vector<std::string>& committed);

  // Appends the sample's line (samples/ID/result.json), after those that could not be written before. Returns the size
  // of results.jsonl with it; 0 when a line could not be had, so that a resume makes the file anew.
  Result<uint64_t> add(const std::string& instance_id);
  Result<void> write_checkpoint(const Checkpoint& checkpoint);
  Result<void> write_memory(const WorkflowMemory& memory);
  // buffer.json, memory.json and result.json. `config` is config.json's content.
  Result<void> write_end(const RunStatistics& statistics, const WorkflowMemory& memory, const Json& config);
  void close() noexcept { results_.close(); }

 private:
  Views(Scope scope, std::string folder) : scope_(std::move(scope)), folder_(std::move(folder)) {}
  [[nodiscard]] std::string path(std::string_view name) const { return join_path(folder_, name); }

  Scope scope_;
  std::string folder_;
  AppendFile results_;
  uint64_t bytes_ = 0;
  std::deque<std::string> pending_;  // ids whose lines are to be written
  bool gap_ = false;                 // a line could not be had
};

// config.json: the predecessor's thirteen keys, with what they mean here.
Json config_view(const RunOptions& options, const std::string& model_name);

}  // namespace awm
