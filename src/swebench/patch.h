// Patches as text, and out of a sandbox: the difference between what an agent left and where it began.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace awm {

// Where a sandbox's repository stood before anybody worked in it. Published images may have a commit of their own above
// base_commit, so a patch is the difference to this one.
struct StartHead {
  std::string commit;      // full object name
  std::string objects;     // path of its object store, inside
  bool file_modes = true;  // whether permission bits are told apart there (core.fileMode)
};

// To be asked right after connect(). Errors: unavailable where git is missing; not_found where /testbed is no
// repository with a commit; the sandbox's own.
Result<StartHead> find_start_head(Sandbox& sandbox);

inline constexpr std::size_t max_patch_bytes = std::size_t{256} << 20;

// The difference of /testbed to its start as `git apply` takes it: binary files and new files in (not those that the
// work tree's .gitignore hides), mode changes as well where the repository tells modes apart. It is taken through a git
// folder, an index and settings of its own, so that nothing an agent did in .git or to git's settings (hooks, filters,
// excludes, locks, replaced objects) changes it. What it leaves behind in the sandbox is removed.
// Errors: exhausted over max_patch_bytes; not_found when the start's objects are gone; io when git fails; timed_out;
// the sandbox's own.
Result<std::string> extract_patch(Sandbox& sandbox, const StartHead& start);

// One file of a patch. Names are unquoted, without a/ and b/; "" for /dev/null.
struct PatchedFile {
  std::string old_name;
  std::string new_name;
};

// The files that a patch in git's or diff's form touches, in order, once each. Never fails: what is no patch has none.
std::vector<PatchedFile> patched_files(std::string_view patch);

}  // namespace awm
