// Who made a thing that outlives a killed process: known again across restarts of process numbers and of the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace awm {

struct OwnerMark {
  std::string host;
  std::string boot_id;
  std::string pid_namespace;  // inode number
  int pid = 0;
  uint64_t start_ticks = 0;  // of the process, since boot
  friend bool operator==(const OwnerMark&, const OwnerMark&) = default;
};

// This process's. Thread-safe. Errors: what kept it from being looked at; unavailable without /proc. Boot and namespace
// are "unknown" on kernels that do not tell.
Result<OwnerMark> own_mark();
std::string to_line(const OwnerMark& mark);  // one line, with its end
std::optional<OwnerMark> parse_owner_mark(std::string_view line);

// True only when it is certain: same host and a known other boot, or same boot and process namespace and no such
// process.
bool is_gone(const OwnerMark& mark, const OwnerMark& own);

// A folder's owner is said in a file in it, written first.
Result<void> write_owner_file(const std::string& folder, const OwnerMark& mark);
// rm -rf of such a folder, the owner's file last: what a kill or a failure in between leaves is still known as whose it
// was. not_found is fine.
Result<void> remove_owned_folder(const std::string& folder);
// True when its owner is gone; and for an empty folder of more than an hour ago that names none, whose owner was killed
// just after making it or just before its removal.
bool is_abandoned(const std::string& folder, const OwnerMark& own);

// What a sweep found of the dead.
struct Swept {
  std::vector<std::string> removed;  // paths; those that would be, where it only looks
  std::vector<Error> problems;       // what could not be looked at or removed
};
// Removes the abandoned folders in `folder` whose names begin with `prefix`; with `dry_run` they stay. No `folder`:
// nothing.
void sweep_abandoned(const std::string& folder, std::string_view prefix, const OwnerMark& own, bool dry_run,
                     Swept& swept);

}  // namespace awm
