// A run: tasks in their order, one journal, results, a summary. What `awm run` does once its command line is read.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/exit_hooks.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "run/options.h"
#include "run/progress.h"
#include "run/sample.h"

namespace awm {

// What the program made and a run borrows.
struct RunEnvironment {
  const Scope& scope;
  Stop& stop;
  Spawner& spawner;
  ExitHooks& exit_hooks;
  ProgressListener* progress = nullptr;  // told of all that happens, from several threads; null: nobody
};

struct RunSummary {
  std::string output_dir;
  std::string run_id;
  std::string model_name;
  // Of this run and of what it resumed, in the order of the tasks; patches and experiences left out.
  std::vector<SampleResult> results;
  std::size_t tasks = 0;          // in all
  bool stopped = false;           // a signal ended it before all tasks were done
  std::optional<Error> gave_up;   // why no further sample was begun: the journal, the key, the disk
  std::string journal_elsewhere;  // file with the records that journal.jsonl did not take; "" none
  double seconds = 0;
  std::size_t leaks = 0;
  std::size_t workflows = 0;   // known at the end
  std::size_t inductions = 0;  // in all parts of the run
  double learning_cost = 0;    // US dollars, of this part of the run
  int64_t learning_calls = 0;
  std::vector<std::pair<std::size_t, std::size_t>>
      workflows_over_time;  // (samples committed, workflows known) at each change
  bool strict_resources = false;
};

// Runs, or goes on with a run. Errors: what keeps it from beginning (options, data, configuration, no bubblewrap, a
// folder of another run); nothing was begun then, and no folder made. `given` names the options that the person set,
// for resuming.
Result<RunSummary> run(const RunEnvironment& environment, const RunOptions& options,
                       const std::vector<std::string>& given);

// The table and the lines at the end.
std::string summary_text(const RunSummary& summary, std::size_t columns);

// By docs/cli.md: 0, 1 when it gave up, 3, 4 or 130.
int exit_code_of(const RunSummary& summary);

// "PASS 4 of 4 tests; 7 steps, agent 2.1 s, judge 0.4 s": a result in a line.
std::string line_of(const SampleResult& result);

}  // namespace awm
