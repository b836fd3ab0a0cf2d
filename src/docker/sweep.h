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
  [[nodiscard]] bool removable() const {
    return verdict != LeftoverVerdict::alive && verdict != LeftoverVerdict::unknown;
  }
};

// Every container with awm's labels, judged from this process's point of view. Others' containers are not among them.
Result<std::vector<Leftover>> list_docker_leftovers(const Engine& engine, Deadline deadline);

struct DockerSweep {
  std::vector<Leftover> removed;  // with `dry_run`: what would be
  std::vector<Leftover> kept;
  std::vector<Error> problems;  // what could not be removed
};
// Removes those that are removable. Safe beside running awms, and beside another sweep.
Result<DockerSweep> sweep_docker_leftovers(const Engine& engine, bool dry_run, Deadline deadline);

}  // namespace awm
