// A sandbox that is a container: awm-helper is its main process, uploaded before the start and attached, so that the
// container ends with this process however that ends. Nothing is built on or installed in an image.
//
//   auto engine = Engine::connect(scope, *engine_address_from_environment(), Deadline::in(10s), &stop);
//   DockerSandboxSettings settings;
//   settings.image = *image_of({.instance_id = row.instance_id, .repo = row.repo, .image = row.image}, naming);
//   settings.base_commit = row.base_commit;
//   settings.labels = labels_of_this_process(run_id, row.instance_id);
//   if (purpose == "judge") settings = as_reference_judge(settings);
//   auto sandbox = make_docker_sandbox(settings, *engine, spawner, stop, scope);
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "docker/containers.h"
#include "docker/engine.h"
#include "docker/images.h"
#include "docker/sweep.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "sandbox/sandbox.h"

namespace awm {

struct DockerSandboxSettings {
  std::string image;
  std::string platform = "linux/amd64";  // "" : the engine's own
  // Sees to it that the image is there, and stays until the lease is dropped, which is after the container's removal.
  // `cancel` ends it. Absent: an image that is not there is an error.
  std::function<Result<HeldImage>(Cancel& cancel, Deadline deadline)> hold_image;
  Seconds image_limit{7200};  // for that; what it takes is not counted as connect()'s

  // A repository of this machine that goes to /testbed with its history up to base_commit, in place of what is there.
  // "" : the image's own /testbed; then base_commit, where given, must be its HEAD or below it. Without both, an image
  // that has no /testbed gets one that leads to its working folder.
  std::string repository;
  std::string base_commit;
  bool hide_future = true;   // of the image's own repository: what HEAD does not reach is removed
  std::string cache_folder;  // of repositories made ready; "" : awm's own

  std::string env_setup;                 // shell text, sourced before commands (Setup::prelude)
  std::vector<std::string> environment;  // "NAME=value", over the image's

  uint64_t memory = 0;           // bytes; 0: no limit
  double cpus = 0;               // 0: no limit
  int64_t pids = 0;              // 0: no limit
  std::string network = "none";  // "none", "bridge", "host", a network's name; "" : the engine's default
  std::string user;              // name or number; "" : the image's
  std::vector<std::string> add_capabilities;
  std::vector<std::string> drop_capabilities;
  bool no_new_privileges = false;
  bool read_only = false;                    // the image's file system; /testbed and /tmp are writable all the same
  std::map<std::string, std::string> tmpfs;  // path → mount options

  // Shows the helper, and the history of a repository, where they lie on this machine, if the engine sees them; else,
  // and where it does not, they are uploaded.
  bool show_own_files = true;

  std::string name;        // the container's begins with it
  ContainerLabels labels;  // whose it is: labels_of_this_process()
  std::string
      helper_folder;  // with awm-helper, and awm-helper-ARCH for others than this machine's; "" : this program's
};

// The same as SWE-bench's own judge runs it: user root, capability SYS_ADMIN, the engine's default network, no limits,
// nothing hidden in /testbed.
DockerSandboxSettings as_reference_judge(DockerSandboxSettings settings);

// Not connected. `engine`, `spawner` and `stop` outlive it. connect() may run on any thread, ahead of need: a connected
// sandbox waits at no cost but its container and one descriptor, and the threads that use it later may be others.
// Errors of connect() besides Sandbox's: unsupported (architecture; no shell in the image), permission (/testbed cannot
// be written), those of find_image and of hold_image; each names the image and what to do. Lost sandboxes say what
// became of their container: killed, out of memory, removed, engine gone.
Result<std::unique_ptr<Sandbox>> make_docker_sandbox(const DockerSandboxSettings& settings, const Engine& engine,
                                                     Spawner& spawner, const Stop& stop, const Scope& scope);

}  // namespace awm
