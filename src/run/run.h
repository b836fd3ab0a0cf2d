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
#include "run/sample.h"

namespace awm {

// What the program made and a run borrows.
struct RunEnvironment {
  const Scope& scope;
  Stop& stop;
  Spawner& spawner;
  ExitHooks& exit_hooks;
  std::function<void(std::string_view)> say;  // one line an event, for people
};

struct RunSummary {
  std::string output_dir;
  std::string run_id;
  std::string model_name;
  std::vector<SampleResult> results;  // of this run and of what it resumed, in the order of the tasks; patches left out
  std::size_t tasks = 0;              // in all
  bool stopped = false;               // a signal ended it before all tasks were done
  std::optional<Error> gave_up;       // why no further sample was begun: the journal, the key, the disk
  double seconds = 0;
  std::size_t leaks = 0;
};

// Runs, or goes on with a run. Errors: what keeps it from beginning (options, data, configuration, no bubblewrap, a
// folder of another run); nothing was begun then, and no folder made. `given` names the options that the person set,
// for resuming.
Result<RunSummary> run(const RunEnvironment& environment, const RunOptions& options,
                       const std::vector<std::string>& given);

// The table and the lines at the end.
std::string summary_text(const RunSummary& summary, std::size_t columns);

// 0, 3 or 130 by docs/cli.md; 1 when it gave up.
int exit_code_of(const RunSummary& summary);

}  // namespace awm
