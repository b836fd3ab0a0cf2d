// How a run makes the sandboxes of its rows: which kind, from which repository or image, with what in them.
#pragma once

#include <functional>
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

// What goes on with a run's sandboxes before they are there, for people. Called from any thread; may be empty.
struct SandboxNews {
  std::function<void(std::string_view line)> say;     // an event: an image was pulled, was removed
  std::function<void(std::string_view text)> status;  // what is got ready now, a line each; "" : nothing
};

// Thread-safe after open(). Borrows what it is given.
class Sandboxes {
 public:
  virtual ~Sandboxes() = default;

  // Sees to it that the plan's kind can be had here (bubblewrap, an engine), and removes what killed runs left behind.
  // Errors: unavailable, permission, with the remedy.
  static Result<std::unique_ptr<Sandboxes>> open(const Scope& scope, const RunPlan& plan, Spawner& spawner,
                                                 const Stop& stop, SandboxNews news = {});

  // The rows that will be worked on, in their order: what they need is got ready ahead, and kept until they are
  // finished. Once, before the first is made; the rows outlive this.
  virtual void expect(const std::vector<const Row*>& rows) = 0;
  // No further sandbox of this row will be made.
  virtual void finished(const Row& row) = 0;

  // Not connected. `purpose` is "agent" or "judge". Errors: not_found (repository), invalid_input (row).
  virtual Result<std::unique_ptr<Sandbox>> make(const Row& row, std::string_view purpose, const Scope& scope) = 0;
};

}  // namespace awm
