#include "processes.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

namespace awm::helper {

namespace {

// The next word of a line of words.
std::string_view next_word(std::string_view& text) {
  const std::size_t start = text.find_first_not_of(' ');
  if (start == std::string_view::npos) {
    text = {};
    return {};
  }
  const std::size_t end = std::min(text.find_first_of(" \n", start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

uint64_t number_or_zero(std::string_view word) {
  return parse_number(word).value_or(0);
}

bool read_process(int proc, pid_t pid, Process& process) {
  char path[32];
  std::snprintf(path, sizeof path, "%d/stat", pid);
  const auto text = slurp(proc, path, 1024);
  if (!text) return false;
  const std::size_t name_end = text->rfind(')');  // the name may hold anything, parentheses and newlines included
  if (name_end == std::string::npos) return false;
  std::string_view rest = std::string_view(*text).substr(name_end + 1);
  const std::string_view state = next_word(rest);
  if (state.empty()) return false;
  process.pid = pid;
  process.state = state[0];
  process.parent = static_cast<pid_t>(number_or_zero(next_word(rest)));
  next_word(rest);  // process group
  process.session = static_cast<pid_t>(number_or_zero(next_word(rest)));
  for (int field = 7; field <= 21; ++field) next_word(rest);
  process.start_ticks = number_or_zero(next_word(rest));
  next_word(rest);  // virtual size
  process.resident = number_or_zero(next_word(rest)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return true;
}

}  // namespace

uint64_t ticks_now() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  const auto hz = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<uint64_t>(t.tv_sec) * hz + static_cast<uint64_t>(t.tv_nsec) * hz / 1'000'000'000;
}

std::vector<Process> all_processes() {
  std::vector<Process> found;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return found;
  const pid_t self = ::getpid();
  while (const dirent* entry = ::readdir(proc)) {
    const auto pid = parse_number(entry->d_name);
    if (!pid || static_cast<pid_t>(*pid) == self) continue;
    Process process;
    if (read_process(::dirfd(proc), static_cast<pid_t>(*pid), process)) found.push_back(process);
  }
  ::closedir(proc);
  return found;
}

std::optional<uint64_t> soft_limit(pid_t pid, std::string_view name) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/limits", pid);
  const auto text = slurp(AT_FDCWD, path, 4096);
  const std::size_t at = text ? text->find(name) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(*text).substr(at + name.size());
  return parse_number(next_word(rest));
}

uint64_t mark_of(pid_t pid) {
  const uint64_t mark = soft_limit(pid, "Max file locks").value_or(0);
  return mark >= kFirstMark ? mark : 0;
}

bool set_mark(uint64_t mark) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_LOCKS, &limit) != 0) return false;
  limit.rlim_cur = mark;
  return ::setrlimit(RLIMIT_LOCKS, &limit) == 0;
}

uint64_t own_memory(pid_t pid) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/statm", pid);
  const auto text = slurp(AT_FDCWD, path, 256);
  if (!text) return 0;
  std::string_view rest = *text;
  next_word(rest);
  const uint64_t resident = number_or_zero(next_word(rest));
  const uint64_t shared = number_or_zero(next_word(rest));
  return resident > shared ? (resident - shared) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::vector<pid_t> members(const Tree& tree) {
  const std::vector<Process> all = all_processes();
  const pid_t self = ::getpid();
  std::vector<char> in(all.size(), 0);
  std::vector<pid_t> known;  // sorted: pids of members, zombies and the root included, to descend from
  if (tree.root > 0) known.push_back(tree.root);
  const auto add = [&](std::size_t i) {
    in[i] = 1;
    known.insert(std::lower_bound(known.begin(), known.end(), all[i].pid), all[i].pid);
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].pid == tree.root) {
      in[i] = 1;
      continue;
    }
    if (tree.mark != 0) {
      const uint64_t mark = mark_of(all[i].pid);
      if (mark == tree.mark) {
        add(i);
        continue;
      }
      if (mark != 0) continue;  // another tree's, whatever its session number is
    }
    if (tree.session > 0 && all[i].session == tree.session) add(i);
  }
  for (bool grew = true; grew;) {
    grew = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (in[i] != 0 || !std::binary_search(known.begin(), known.end(), all[i].parent)) continue;
      add(i);
      grew = true;
    }
  }
  std::vector<pid_t> result;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (in[i] == 0 || !all[i].alive() || all[i].start_ticks < tree.since_ticks || all[i].pid == self) continue;
    if (!tree.with_root && all[i].pid == tree.root) continue;
    result.push_back(all[i].pid);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::size_t signal_tree(const Tree& tree, int signal) {
  const std::vector<pid_t> found = members(tree);
  for (const pid_t pid : found) ::kill(pid, signal);
  return found.size();
}

std::size_t kill_tree(const Tree& tree) {
  std::vector<pid_t> stopped;
  for (int round = 0; round < 64; ++round) {
    bool grew = false;
    for (const pid_t pid : members(tree)) {
      const auto at = std::lower_bound(stopped.begin(), stopped.end(), pid);
      if (at != stopped.end() && *at == pid) continue;
      ::kill(pid, SIGSTOP);
      stopped.insert(at, pid);
      grew = true;
    }
    if (!grew) break;
  }
  for (const pid_t pid : stopped) ::kill(pid, SIGKILL);
  return stopped.size();
}

}  // namespace awm::helper
