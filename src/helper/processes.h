// Who runs inside, from /proc, and how a whole tree of processes is ended.
//
// A tree is known by three signs, any of which is enough: descent from its first process, that process's session, and a
// mark that every child inherits and that a double fork, a new session, another uid or a cleared environment do not
// wipe off: the soft limit of RLIMIT_LOCKS, which the kernel has not looked at since 2.4 and shows to everybody in
// /proc/PID/limits.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "util.h"

namespace awm::helper {

inline constexpr uint64_t kFirstMark = 0x41574d'0000'0001;  // an unlikely limit for anybody else to set

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';
  uint64_t start_ticks = 0;  // since boot
  uint64_t resident = 0;     // bytes
  [[nodiscard]] bool alive() const { return state != 'Z' && state != 'X'; }
};

// Now, on the clock of Process::start_ticks, rounded down.
uint64_t ticks_now();

// Every process in /proc but the helper itself. Empty when /proc cannot be read.
std::vector<Process> all_processes();

// A soft limit, by its name in /proc/PID/limits. None: unlimited, or not to be read.
std::optional<uint64_t> soft_limit(pid_t pid, std::string_view name);

// The mark, or 0: none of ours.
uint64_t mark_of(pid_t pid);
// Sets the caller's mark; children inherit it. False where the hard limit forbids.
bool set_mark(uint64_t mark);

// Resident bytes that are the process's own, not shared.
uint64_t own_memory(pid_t pid);

struct Tree {
  pid_t root = -1;           // first process, while it is not reaped; the helper's own pid: everything below the helper
  pid_t session = -1;        // of the first process; also after its end
  uint64_t mark = 0;         // 0: not by mark
  uint64_t since_ticks = 0;  // only members that started then or later
  bool with_root = true;
};

// Members that are alive.
std::vector<pid_t> members(const Tree& tree);

// Sends a signal to each member, once. Returns how many there were.
std::size_t signal_tree(const Tree& tree, int signal);

// One round of killing: stops members until no new ones turn up, so that they cannot fork away, then kills all. Returns
// how many were there: repeat until 0.
std::size_t kill_tree(const Tree& tree);

}  // namespace awm::helper
