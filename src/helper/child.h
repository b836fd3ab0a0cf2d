// Starting processes: commands (fork and exec) and workers (fork alone, for work that may take long or hang).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "privileges.h"
#include "util.h"
#include "wire.h"

namespace awm::helper {

// A command's environment: NAME=value, each name once, in order of first appearance.
class Environment {
 public:
  void set(const std::string& entry);  // "NAME=value" sets, "NAME" removes
  void set_all(const std::vector<std::string>& entries) {
    for (const std::string& entry : entries) set(entry);
  }
  [[nodiscard]] const std::string* find(std::string_view name) const;  // the value's whole entry
  [[nodiscard]] std::string value(std::string_view name) const;        // empty: not there
  [[nodiscard]] const std::vector<std::string>& entries() const { return entries_; }

 private:
  std::vector<std::string> entries_;
};

// Where a program is: as execvp(3) looks for it, in `path`, whose relative entries start at `folder`. Empty: *number is
// ENOENT or EACCES.
std::string find_program(const std::string& name, const std::string& path, const std::string& folder, int* number);

struct Command {
  std::string program;  // path
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string folder;
  int in = -1;
  int out = -1;
  int err = -1;
  std::vector<std::pair<int, int>>
      others;  // a descriptor of ours, and its number in the child: not close-on-exec there
  uint64_t mark = 0;
};

// What every child gets.
struct ChildRules {
  const Options* options = nullptr;
  bool die_with_parent = false;  // where the helper is not pid 1, the kernel does not do it by itself
};

// Numbers for `others` start here: 200, or lower where the limit on descriptors is low.
int high_descriptor_base(const Options& options);

// Starts a command in a session of its own. `report`: the read end of a pipe on which a Failure arrives when it could
// not be started (decode() it when the child has ended; nothing there: it was started). -1: errno, nothing was started.
pid_t start_command(const Command& command, const ChildRules& rules, Fd* report);

// Starts `work` in a forked child, with `in` and `out` (or /dev/null, where -1) as its descriptors 0 and 1 and the
// write end of the report's pipe as 3; all else is closed. Its return value is the exit code. The protection from the
// same uid stays.
using Work = int (*)(void* context, int report);
pid_t start_worker(Work work, void* context, int in, int out, uint64_t mark, const ChildRules& rules, Fd* report);

}  // namespace awm::helper
