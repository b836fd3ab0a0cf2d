// Containers and images by the Engine API: values in, values out; who owns a container is said by UniqueContainer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
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
  std::vector<std::string> binds;  // "SRC:DST[:ro]"
  uint64_t memory = 0;             // bytes; 0: none
  double cpus = 0;                 // 0: none
  int64_t pids = 0;                // 0: none
  std::string platform;            // "linux/amd64"; "" : the engine's own
  bool no_new_privileges = false;
  // stdin kept open for one attached client, and closed with it: the container's main process sees the end of our
  // process.
  bool stdin_once = true;
};

struct ImageInfo {
  std::string id;
  std::string architecture;  // "amd64"
  std::string os;            // "linux"
  std::string user;          // "" : root
  std::string folder;
  std::vector<std::string> environment;
  uint64_t size = 0;
};

struct ContainerState {
  std::string status;  // "created", "running", "exited", "dead", …
  int exit_code = 0;
  bool oom_killed = false;  // the engine's word; not to be relied on while it runs
  std::string error;
};

struct ContainerSummary {
  std::string id;
  std::string name;
  std::string image;
  std::string state;
  int64_t created = 0;  // seconds since the epoch
  std::map<std::string, std::string> labels;
};

// Errors of all: those of Engine::call. `ref` is an image's name, an id, or name@digest.
Result<std::optional<ImageInfo>> inspect_image(const Engine& engine, const std::string& ref, Deadline deadline);
// Pulls; progress gets one line now and then ("layer 3 of 7, 120 MB"). Errors also in-band: not_found, exhausted (rate
// limit, disk), permission.
Result<void> pull_image(const Engine& engine, const std::string& ref, const std::string& platform, Deadline deadline,
                        const std::function<void(std::string_view)>& progress);
// Makes an image of a root file system's tar, as `docker import` does; returns its id.
Result<std::string> import_image(const Engine& engine, const std::string& ref, Deadline deadline,
                                 const std::function<Result<std::string>()>& next);
Result<void> remove_image(const Engine& engine, const std::string& ref, Deadline deadline);

Result<std::string> create_container(const Engine& engine, const ContainerSpec& spec, Deadline deadline);
Result<void> start_container(const Engine& engine, const std::string& id, Deadline deadline);
// Both directions of the main process, raw. Before the start, so that nothing is missed.
Result<EngineStream> attach_container(const Engine& engine, const Scope& scope, const std::string& id,
                                      Deadline deadline);
Result<ContainerState> inspect_container(const Engine& engine, const std::string& id, Deadline deadline);
// Extracts a tar under `folder` of a container, running or not.
Result<void> put_container_archive(const Engine& engine, const std::string& id, const std::string& folder,
                                   Deadline deadline, const std::function<Result<std::string>()>& next);
// SIGKILL and remove with its anonymous volumes; gone already is fine.
Result<void> remove_container(const Engine& engine, const std::string& id, Deadline deadline);
// Every container, running or not, that has all of these labels ("name" or "name=value").
Result<std::vector<ContainerSummary>> list_containers(const Engine& engine, const std::vector<std::string>& labels,
                                                      Deadline deadline);

// Owns one container; on the ledger from creation to removal.
class UniqueContainer {
 public:
  UniqueContainer() = default;
  // The engine outlives it.
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
