// What `awm-helper serve` is told on its command line, and giving up rights before any command runs.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire.h"

namespace awm::helper {

struct ResourceLimit {
  int resource = 0;  // RLIMIT_…
  std::string name;  // "nproc"
  rlim_t soft = RLIM_INFINITY;
  rlim_t hard = RLIM_INFINITY;
};

struct Options {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  bool no_new_privs = false;
  bool drop_caps = false;
  std::vector<ResourceLimit>
      limits;  // of commands; the helper itself keeps its own, so that it can still act when they are used up
  uint64_t tree_memory = 0;      // bytes; 0: no watchdog
  int command_oom_score = 1000;  // oom_score_adj of commands
};

// Reads argv[from…]. Empty: *problem is a sentence for people.
std::optional<Options> parse_options(int argc, char** argv, int from, std::string* problem);
extern const char* const kServeUsage;

// Groups, identity, bounding, ambient and all other capability sets, no_new_privs, as far as `options` ask; then checks
// that it is so. Where it is not, returns false with what failed: the helper must not serve.
[[nodiscard]] bool drop_privileges(const Options& options, wire::Failure& failure);

// Nobody of the same uid may trace this process, read its memory or open its descriptors through /proc. In a child:
// undone with `off` once nothing of the helper's is left open there, since a process under this protection does not own
// its own /proc files.
void protect_from_same_uid(bool on);

// Called in a child. Sets the soft and hard limits, as near as the kernel allows. Returns the first that could not be
// set, or null.
const ResourceLimit* apply_limits(const std::vector<ResourceLimit>& limits);

}  // namespace awm::helper
