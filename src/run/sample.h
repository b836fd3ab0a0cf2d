// One sample as one call: (task, settings) in, result out. Which thread works it out makes no difference; the loop
// alone commits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/rollout.h"
#include "base/json_fwd.h"
#include "base/result.h"
#include "http/client.h"
#include "llm/provider.h"
#include "memory/experience.h"
#include "os/exit_hooks.h"
#include "os/stop.h"
#include "run/journal.h"
#include "run/learned.h"
#include "sandbox/sandbox.h"
#include "swebench/judge.h"
#include "swebench/row.h"

namespace awm {

enum class SampleVerdict {
  passed,
  failed,       // judged, and not resolved: the patch's own fault
  error,        // no verdict: something else's fault; may be tried again
  skipped,      // a patch was made, and judging was not asked for
  interrupted,  // stopped in the middle; run again on resume
};
std::string_view to_string(SampleVerdict verdict);

// Why a sample failed or erred, in the words that its users' scripts count by.
//   failed: empty_patch, patch_failed, tests_failed, time_out
//   error:  api (the model), runtime (sandbox, helper, engine), judge (the tests could not be run), disk, setup
//   (repository, image)
struct SampleResult {
  std::string instance_id;
  SampleVerdict verdict = SampleVerdict::error;
  std::string reason;     // one of the words above; "" for passed
  bool hopeless = false;  // every other sample would fail alike: a wrong key, no such model, no credit
  std::string message;    // for people
  std::string patch;
  std::string agent_end;  // how the agent ended: finished, submitted, iteration_limit, …; "given" for a given patch
  int iterations = 0;
  double cost = 0;
  bool cost_known = false;
  Usage usage;
  double agent_seconds = 0;
  double judge_seconds = 0;
  std::vector<std::string> release_errors;
  int workflows_shown = 0;                  // in the agent's prompt
  int workflows_left_out = 0;               // for want of room
  int64_t memory_revision = 0;              // of the memory that it saw
  int64_t first_prompt_tokens = 0;          // of the first request, as the server counted; 0 unknown
  int64_t first_prompt_tokens_counted = 0;  // the same, as we count
  std::size_t leaks = 0;                    // what the census at its end found
  std::string timestamp;                    // ISO, when its verdict stood
  std::optional<Experience> experience;     // what it did, for learning; not in the journal
};

// Where a sample is, for people who watch.
enum class SamplePhase { connecting, agent, judging };
std::string_view to_string(SamplePhase phase);

// Makes a sandbox for a row; connected already, or not. `purpose` is "agent" or "judge".
using SandboxFactory =
    std::function<Result<std::unique_ptr<Sandbox>>(const Row& row, std::string_view purpose, const Scope& scope)>;

// What all samples of a run share. Borrowed; outlives them.
struct RunServices {
  HttpClient* http = nullptr;      // null when no model is asked
  const LlmConfig* llm = nullptr;  // null when patches are given
  const Stop* stop = nullptr;
  ExitHooks* exit_hooks = nullptr;
  Journal* journal = nullptr;
  SandboxFactory make_sandbox;
  // Told as a sample goes on, from its thread; may be empty. `iterations`: answers of the model so far.
  std::function<void(const std::string& instance_id, SamplePhase phase, int iterations)> on_phase;
};

struct SampleSettings {
  std::string output_dir;
  std::string run_id;
  std::string model_name;   // as reports name it
  RolloutSettings rollout;  // its output_folder is filled in
  JudgeSettings judge;      // its log folder is filled in
  bool skip_evaluation = false;
  double connect_timeout = 600;       // seconds, for a sandbox to be ready
  std::optional<int64_t> truncation;  // tokens for workflows in a prompt, its own text included
};

struct SampleTask {
  const Row* row = nullptr;
  std::optional<std::string> given_patch;  // judged instead of an agent's; "" is an empty patch
  // Text of the journal's patch record when an earlier try made a patch and died before its verdict; "" none.
  std::string earlier_patch_record;
  LearnedPtr learned;  // what the prompt may carry; null: nothing
};

// Works one sample through. Every stage is in the journal before it returns; files lie under output_dir/samples/ID and
// output_dir/logs/run_evaluation/RUN/MODEL/ID. Never throws. The result is an error only by its verdict.
SampleResult run_sample(const RunServices& services, const SampleSettings& settings, const SampleTask& task,
                        const Scope& scope);

// A sample that has an outcome in the journal: the result from there, its view written again. Nothing is run.
SampleResult finished_sample(const SampleSettings& settings, const Row& row, const SampleState& state);

// The sample's folder.
std::string sample_folder(const std::string& output_dir, const std::string& instance_id);

// The result as the journal's verdict or error record, and back.
Json to_json(const SampleResult& result);
SampleResult sample_result_from_json(const Json& record);

}  // namespace awm
