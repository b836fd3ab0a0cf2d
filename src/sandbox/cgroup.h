// The kernel's limits for one sandbox: a control group for memory and one for processes, version 2 where it can be
// used, else version 1, else none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ledger.h"
#include "base/result.h"
#include "os/owner.h"

namespace awm {

struct CgroupLimits {
  uint64_t memory_bytes = 0;
  uint64_t pids = 0;
};

// Where groups can be made, read from /proc/self/mountinfo and /proc/self/cgroup.
struct CgroupPlaces {
  struct Place {
    std::string folder;  // in which groups are made
    bool version2 = false;
    bool memory = false;
    bool pids = false;
  };
  std::vector<Place> places;  // to be tried in this order
};
CgroupPlaces find_cgroup_places(std::string_view mountinfo, std::string_view own_groups, bool as_root);

// On the ledger while it lives. Not thread-safe, but kills() is.
class Cgroup {
 public:
  Cgroup() = default;
  Cgroup(Cgroup&&) noexcept = default;
  Cgroup& operator=(Cgroup&&) noexcept = default;
  Cgroup(const Cgroup&) = delete;
  ~Cgroup() { (void)close(); }

  // Makes what can be made; a rung that is not to be had is not an error: memory() and pids() tell what holds.
  static Cgroup create(const CgroupPlaces& places, const std::string& name, const CgroupLimits& limits,
                       const Scope& scope);

  [[nodiscard]] bool limits_memory() const { return !memory_folder_.empty(); }
  [[nodiscard]] bool limits_pids() const { return !pids_folder_.empty(); }
  [[nodiscard]] int version() const { return version_; }  // 0: none
  [[nodiscard]] std::vector<std::string> procs_files() const;
  // What the kernel killed in it for memory so far; 0 where it does not tell.
  [[nodiscard]] uint64_t kills() const;
  // Kills whatever is in it.
  void kill_all() noexcept;
  // Removes the folders; waits a moment for processes that are just ending. Idempotent.
  Result<void> close() noexcept;

 private:
  struct Folder {
    std::string path;
    Ledger::Token token;
  };
  std::vector<Folder> folders_;
  std::string memory_folder_;
  std::string pids_folder_;
  int version_ = 0;
};

// "awm-<pid namespace>-<pid>-<start>-<number>": whose it is can be told from the name alone.
std::string new_cgroup_name();
// Removes groups of processes that are gone, with what lives in them; with `dry_run` they stay.
void sweep_cgroups(const CgroupPlaces& places, const OwnerMark& own, bool dry_run, Swept& swept);
// The places of this machine.
CgroupPlaces cgroup_places();

}  // namespace awm
