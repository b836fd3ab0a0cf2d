// Containers that killed runs left behind: found by their labels, removed only where their owner is surely gone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "docker/containers.h"

namespace awm {

// The labels of what this process makes: boot, pid with start time, pid namespace. `lease`: for so long nobody
// elsewhere takes it for a leftover; longer than any sample takes.
ContainerLabels labels_of_this_process(std::string run_id, std::string sample_id, Seconds lease = Seconds(48 * 3600));

enum class LeftoverVerdict {
  alive,          // its owner lives
  owner_is_gone,  // a process of this boot and pid namespace that runs no more
  lease_is_over,  // of another host, boot or namespace, and past its lease
  never_started,  // of another host, boot or namespace; older than an hour, and does not run
  unknown         // of another host, boot or namespace, within its lease
};
std::string_view to_string(LeftoverVerdict verdict);

struct Leftover {
  ContainerSummary container;
  ContainerLabels labels;
  LeftoverVerdict verdict = LeftoverVerdict::unknown;
  // What the owner of another host, boot or namespace may still hold is only removable when asked for (`other_hosts`).
  [[nodiscard]] bool removable(bool other_hosts) const;
};

// Every container with awm's labels, judged from this process's point of view. Others' containers are not among them.
Result<std::vector<Leftover>> list_docker_leftovers(const Engine& engine, Deadline deadline);

struct DockerSweep {
  std::vector<Leftover> removed;  // with `dry_run`: what would be
  std::vector<Leftover> kept;
  std::vector<Error> problems;  // what could not be removed
};
struct DockerSweepOptions {
  bool dry_run = false;
  bool other_hosts = false;  // those of other hosts, boots and namespaces as well, once their lease is over
  std::string run;           // only this run's; "" all
  std::string name_prefix;   // only containers whose name begins so
  Seconds older_than{0};     // only those made so long ago
};

// Removes those that are removable and meant. Safe beside running awms, and beside another sweep.
Result<DockerSweep> sweep_docker_leftovers(const Engine& engine, const DockerSweepOptions& options, Deadline deadline);

}  // namespace awm
