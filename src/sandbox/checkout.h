// A commit of a git repository with its history and nothing later, laid out once and shared by all sandboxes that need
// it.
//
// In the cache folder:
//   checkouts/KEY/tree     the files and .git: one branch at the commit, tags of its history, no remotes, no reflogs
//   checkouts/KEY/history  git's objects of that history alone; .git names it as an alternate, at history_inside
//   packs/                 history in pieces, hard-linked into each checkout that has them in its past
//   locks/, building/
// KEY holds the commit's object name, so that an entry never changes; it is complete when it has its name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "os/cancel.h"
#include "os/owner.h"
#include "os/spawn.h"
#include "os/stop.h"

namespace awm {

struct CheckoutRequest {
  std::string repository;
  std::string base_commit;
  std::string cache_folder;
  uint32_t uid = 0;  // of the user that commands run as
  uint32_t gid = 0;
  bool give_away = false;  // the files are made that user's; else they stay ours
};

struct Checkout {
  std::string commit;   // full object name
  std::string tree;     // to be shown at /testbed, never written to
  std::string history;  // to be shown read-only at history_inside
};

inline constexpr const char* history_inside = "/.awm/history";

// Thread-safe, and safe beside other processes: one makes an entry, the others wait for it. Errors: not_found
// (repository, commit), unavailable (no git), exhausted (disk), stopped, timed_out; closed when `cancel` ends it.
Result<Checkout> prepare_checkout(const CheckoutRequest& request, Spawner& spawner, const Stop& stop,
                                  const Scope& scope, Deadline deadline, Cancel* cancel = nullptr);

// Removes half-made entries of processes that are gone; with `dry_run` they stay.
void sweep_checkouts(const std::string& cache_folder, const OwnerMark& own, bool dry_run, Swept& swept);

// How many hexadecimal digits git shows of an object name in a repository of so many objects (its default for
// core.abbrev).
int default_abbreviation(uint64_t objects);

}  // namespace awm
