// Containers by the Engine API: values in, values out; who owns a container is said by UniqueContainer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "docker/engine.h"

namespace awm {

// Labels on everything that awm makes in an engine, so that a sweep knows its own (values of ContainerLabels).
inline constexpr std::string_view label_prefix = "dev.awm.";

struct ContainerLabels {
  std::string run_id;
  std::string sample_id;
  std::string boot_id;          // of the host that made it
  int64_t pid = 0;              // of the awm that made it
  uint64_t pid_start_time = 0;  // of that process, in clock ticks since boot: a pid alone is used again
  std::string pid_namespace;    // in which that pid means something
  int64_t lease_until = 0;      // seconds since the epoch; past it, also another host may remove it
  [[nodiscard]] std::map<std::string, std::string> map() const;
  // nullopt when the labels are not awm's.
  static std::optional<ContainerLabels> from(const std::map<std::string, std::string>& labels);
};

struct ContainerSpec {
  std::string image;
  std::string name;                      // "" : the engine's choice
  std::vector<std::string> entrypoint;   // replaces the image's; arguments included
  std::vector<std::string> environment;  // "NAME=value", over the image's
  std::string user;                      // "" : the image's
  std::string folder;                    // "" : the image's
  std::map<std::string, std::string> labels;
  std::string network;  // "none", "bridge", "host"; "" : the engine's default
  std::vector<std::string> add_capabilities;
  std::vector<std::string> drop_capabilities;
  // Files and folders of the engine's machine, read-only; one that is not there is a refusal.
  std::vector<std::pair<std::string, std::string>> shown;  // there → inside
  uint64_t memory = 0;                                     // bytes; 0: none
  double cpus = 0;                                         // 0: none
  int64_t pids = 0;                                        // 0: none
  std::string platform;                                    // "linux/amd64"; "" : the engine's own
  bool no_new_privileges = false;
  bool auto_remove = false;                  // the engine removes it when its main process has ended
  bool read_only = false;                    // the root file system
  std::vector<std::string> volumes;          // anonymous ones, at these paths; removed with the container
  std::map<std::string, std::string> tmpfs;  // path → mount options ("noexec,size=64m")
  // stdin kept open for one attached client, and closed with it: the container's main process sees the end of our
  // process.
  bool stdin_once = true;
};

struct ContainerState {
  std::string status;  // "created", "running", "exited", "dead", …
  int exit_code = 0;
  bool oom_killed = false;  // the engine's word; not to be relied on while it runs
  std::string error;        // why it could not be started
  int64_t pid = 0;          // of its main process where the engine runs; 0 when it does not
};

struct ContainerSummary {
  std::string id;
  std::string name;
  std::string image;
  std::string state;
  int64_t created = 0;  // seconds since the epoch
  std::map<std::string, std::string> labels;
};

// Errors of all: those of Engine::call.
Result<std::string> create_container(const Engine& engine, const ContainerSpec& spec, Deadline deadline);
Result<void> start_container(const Engine& engine, const std::string& id, Deadline deadline);
// Both directions of the main process, raw. Before the start, so that nothing is missed.
Result<EngineStream> attach_container(const Engine& engine, const Scope& scope, const std::string& id,
                                      Deadline deadline);
Result<ContainerState> inspect_container(const Engine& engine, const std::string& id, Deadline deadline);
// Extracts a tar under `folder` of a container, running or not.
Result<void> put_container_archive(const Engine& engine, const std::string& id, const std::string& folder,
                                   Deadline deadline, const std::function<Result<std::string>()>& next);
// SIGKILL and remove with its anonymous volumes; gone already is fine, and where the engine is removing it already its
// end is waited for. A stop does not end it.
Result<void> remove_container(const Engine& engine, const std::string& id, Deadline deadline);
// What happens to containers with these labels from now on, until `take` returns false. `started` is called once the
// engine listens: nothing after it is missed. Errors also: timed_out at the deadline.
struct EngineEvent {
  std::string action;                             // "create", "start", "oom", "die", "destroy", …
  std::string id;                                 // of the container
  std::map<std::string, std::string> attributes;  // labels, image, name, exitCode
};
Result<void> follow_events(const Engine& engine, const std::vector<std::string>& labels, Deadline deadline,
                           const std::function<bool(const EngineEvent&)>& take,
                           const std::function<void()>& started = {});
// What has happened to one container, oldest first, also to one that is gone; the engine remembers its last 256 events.
Result<std::vector<EngineEvent>> past_events(const Engine& engine, const std::string& id, Deadline deadline);
// Every container, running or not, that has all of these labels ("name" or "name=value").
Result<std::vector<ContainerSummary>> list_containers(const Engine& engine, const std::vector<std::string>& labels,
                                                      Deadline deadline);

// Owns one container; on the ledger from creation to removal.
class UniqueContainer {
 public:
  UniqueContainer() = default;
  // The engine outlives it. A creation whose answer does not come is taken back by the container's name (one of our own
  // where the spec has none).
  static Result<UniqueContainer> create(const Engine& engine, const Scope& scope, const ContainerSpec& spec,
                                        Deadline deadline,
                                        std::source_location birth = std::source_location::current());
  UniqueContainer(UniqueContainer&& other) noexcept;
  UniqueContainer& operator=(UniqueContainer&& other) noexcept;
  ~UniqueContainer();  // removes, and logs what failed
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] explicit operator bool() const { return !id_.empty(); }
  // Removes it; on failure it stays owned by nobody but its labels, for the sweep.
  Result<void> remove(Deadline deadline) noexcept;

 private:
  const Engine* engine_ = nullptr;
  std::string id_;
  Ledger::Token token_;
};

}  // namespace awm
