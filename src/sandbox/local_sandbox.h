// A sandbox on this machine: bubblewrap around awm-helper as process 1, the task's repository in /testbed as an overlay
// on a cached checkout. What it keeps in and out: docs/sandbox.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/owner.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "sandbox/sandbox.h"

namespace awm {

// A file or folder of the host that is shown inside.
struct LocalBind {
  std::string source;  // absolute
  std::string target;  // absolute; "" : as source
  bool writable = false;
};

struct LocalSandboxSettings {
  std::string repository;                 // a git repository of the host, bare or not; "" : /testbed is an empty folder
  std::string base_commit;                // full or abbreviated object name, or any name that git resolves to a commit
  std::string env_setup;                  // shell text for every shell and every exec with_env_setup
  std::vector<std::string> environment;   // "NAME=value", on top of the sandbox's own
  std::vector<std::string> hidden_paths;  // folders and files of the host not to be seen, besides $HOME and /run
  std::vector<LocalBind> binds;           // applied after all that is hidden
  std::string name;                       // for people: in folder and cgroup names
  bool network = false;                   // the host's network; else none but an own loopback
  uint64_t memory_bytes = 0;  // of all processes and of all files written, at most half of it files; 0: half of the
                              // machine's memory, at most 8 GiB
  uint64_t pids = 0;          // processes and threads; 0: 1024
  uint64_t open_files = 0;    // descriptors of one process, hard limit; 0: 65536
  std::string helper;         // awm-helper; "" : beside this program
  std::string bubblewrap;     // "" : bwrap of the PATH
  std::string cache_folder;   // for checkouts and for what live sandboxes need; "" : awm::cache_folder()
  bool use_cgroups = true;    // false: as where no cgroup can be made
  bool use_overlay = true;    // false: as where no overlay can be mounted; the checkout is copied
};

// Nothing is made before connect(). `spawner` and `stop` must outlive it. Errors: invalid_input (a bind, a hidden
// path).
Result<std::unique_ptr<Sandbox>> make_local_sandbox(LocalSandboxSettings settings, Spawner& spawner, const Stop& stop,
                                                    const Scope& scope);

// Can local sandboxes be made here? Starts one without a repository. Errors: unavailable (with the remedy). The facts
// tell which limits hold.
Result<SandboxFacts> check_local_sandbox(Spawner& spawner, const Stop& stop, const Scope& scope,
                                         const LocalSandboxSettings& settings = {});

// Removes what killed runs left: folders, cgroups with their processes, half-made checkouts. Never what belongs to a
// living process, to another machine or to another process namespace. With `dry_run` it only looks.
Swept sweep_local_leftovers(const std::string& cache_folder = {}, bool dry_run = false);

// The user that commands run as: one of its own, so that the host's files are not a command's even when awm is root.
inline constexpr uint32_t local_sandbox_uid = 64231;

}  // namespace awm
