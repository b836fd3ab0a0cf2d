// How a run makes the sandboxes of its rows: which kind, from which repository or image, with what in them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "run/plan.h"
#include "sandbox/sandbox.h"

namespace awm {

// Thread-safe after open(). Borrows what it is given.
class Sandboxes {
 public:
  virtual ~Sandboxes() = default;

  // Sees to it that the plan's kind can be had here (bubblewrap, an engine), and removes what killed runs left behind.
  // Errors: unavailable, permission, with the remedy.
  static Result<std::unique_ptr<Sandboxes>> open(const Scope& scope, const RunPlan& plan, Spawner& spawner,
                                                 const Stop& stop);

  // Not connected. `purpose` is "agent" or "judge". Errors: not_found (repository), invalid_input (row).
  virtual Result<std::unique_ptr<Sandbox>> make(const Row& row, std::string_view purpose, const Scope& scope) = 0;
};

}  // namespace awm
