// `awm replay serve`, without its command line.
#pragma once

#include <string>
#include <vector>

#include "base/ledger.h"
#include "base/result.h"
#include "os/stop.h"
#include "replay/server.h"

namespace awm {

struct ReplayServeOptions {
  std::vector<std::string> scripts;       // files or folders
  std::vector<std::string> trajectories;  // files or folders
  std::vector<std::string> datasets;      // SWE-bench rows: problem statements by instance id
  std::vector<std::string> faults;        // "step=3,kind=429,times=2,retry_after=1"
  std::vector<std::string> models;        // other models get 404; none: any is served
  std::string key;                        // "" : any key is good
  int64_t context_window = 0;             // tokens (estimated); 0: no limit
  int port = 0;
};

// Reads all that is named and serves it. Errors: a file, row or fault that cannot be read, by name; nothing named.
Result<std::unique_ptr<ReplayServer>> start_replay(const ReplayServeOptions& options, const Scope& scope);

// Prints "listening on http://127.0.0.1:PORT/v1" on standard output, serves until the stop is asked for (drain is
// enough), tells on standard error what was served. Exit code: 0, or 2 when something named is wrong, 1 when it cannot
// listen.
int replay_serve(const ReplayServeOptions& options, const Stop& stop, const Scope& scope);

}  // namespace awm
