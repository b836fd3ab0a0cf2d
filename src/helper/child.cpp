#include "child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "processes.h"

namespace awm::helper {

namespace {

std::string_view name_of(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

void close_from_to(unsigned first, unsigned last) {
  if (first > last) return;
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, first, last, 0u) == 0) return;
#endif
  // Kernels before 5.9, and seccomp filters that do not know it.
  const long open_max = ::sysconf(_SC_OPEN_MAX);
  const unsigned end = std::min(last, open_max > 0 ? static_cast<unsigned>(std::min(open_max, 65536L)) : 65536u);
  for (unsigned fd = first; fd <= end; ++fd) ::close(static_cast<int>(fd));
}

void clean_signals() {
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void report_failure(int report, int number, const char* operation, std::string_view object,
                                 int exit_code) {
  wire::Failure failure{number, operation, std::string(object.substr(0, 2048)), std::strerror(number)};
  std::string payload;
  wire::detail::Encoder encoder{payload};
  wire::Failure::each(failure, encoder);
  write_all(report, payload);
  ::_exit(exit_code);
}

void follow_parent_into_death(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) ::_exit(127);
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (const std::string& s : strings) list.push_back(const_cast<char*>(s.c_str()));
  list.push_back(nullptr);
  return list;
}

}  // namespace

void Environment::set(const std::string& entry) {
  const std::string_view name = name_of(entry);
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const std::string& e) { return name_of(e) == name; });
  if (entry.find('=') == std::string::npos) {
    if (at != entries_.end()) entries_.erase(at);
  } else if (at != entries_.end()) {
    *at = entry;
  } else {
    entries_.push_back(entry);
  }
}

const std::string* Environment::find(std::string_view name) const {
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const std::string& e) { return name_of(e) == name; });
  return at == entries_.end() ? nullptr : &*at;
}

std::string Environment::value(std::string_view name) const {
  const std::string* entry = find(name);
  return entry == nullptr ? std::string() : entry->substr(name.size() + 1);
}

std::string find_program(const std::string& name, const std::string& path, const std::string& folder, int* number) {
  *number = ENOENT;
  if (name.empty()) return {};
  if (name.find('/') != std::string::npos) return name;  // execve itself says what is wrong with it
  std::string_view rest = path.empty() ? "/usr/local/bin:/usr/bin:/bin" : std::string_view(path);
  while (true) {
    const std::size_t colon = rest.find(':');
    std::string candidate(rest.substr(0, colon));
    if (!candidate.empty()) candidate += '/';
    candidate += name;
    if (candidate[0] != '/') candidate.insert(0, 1, '/').insert(0, folder);
    struct stat info{};
    if (::stat(candidate.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      if (::access(candidate.c_str(), X_OK) == 0) return candidate;
      *number = EACCES;
    }
    if (colon == std::string_view::npos) return {};
    rest.remove_prefix(colon + 1);
  }
}

int high_descriptor_base(const Options& options) {
  rlim_t limit = RLIM_INFINITY;
  rlimit own{};
  if (::getrlimit(RLIMIT_NOFILE, &own) == 0) limit = own.rlim_cur;
  for (const ResourceLimit& wanted : options.limits) {
    if (wanted.resource == RLIMIT_NOFILE) limit = std::min(limit, wanted.soft);
  }
  return limit >= 256 ? 200 : std::max(16, static_cast<int>(limit) - 24);
}

pid_t start_command(const Command& command, const ChildRules& rules, Fd* report) {
  Pipe pipe;
  if (!make_pipe(pipe) || !set_nonblocking(pipe.read.get(), true)) return -1;
  std::vector<char*> argv = pointers(command.argv);
  std::vector<char*> envp = pointers(command.environment);
  const std::string& folder = command.folder;
  int highest = 2;
  for (const auto& [from, to] : command.others) highest = std::max(highest, to);
  const pid_t self = ::getpid();
  char oom_score[16];
  std::snprintf(oom_score, sizeof oom_score, "%d", rules.options->command_oom_score);

  const pid_t pid = ::fork();
  if (pid != 0) {
    const int saved = errno;
    *report = std::move(pipe.read);
    errno = saved;
    return pid;
  }

  // The child. No lock can be held: the helper has one thread.
  if (rules.die_with_parent) follow_parent_into_death(self);
  ::setsid();
  clean_signals();
  // First everything above the numbers that are wanted, so that no copy hits a source; then to its place; then all else
  // is closed.
  const int above = highest + 1;
  const int said = ::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, above);
  if (said < 0) report_failure(pipe.write.get(), errno, "fcntl", "descriptors", 127);
  std::vector<std::pair<int, int>> moves{{command.in, 0}, {command.out, 1}, {command.err, 2}};
  moves.insert(moves.end(), command.others.begin(), command.others.end());
  for (auto& [from, to] : moves) {
    from = ::fcntl(from, F_DUPFD_CLOEXEC, above);
    if (from < 0) report_failure(said, errno, "fcntl", "descriptors", 127);
  }
  for (const auto& [from, to] : moves) {
    if (::dup2(from, to) < 0) report_failure(said, errno, "dup2", std::to_string(to), 127);
  }
  int next = 3;
  std::vector<int> kept;
  kept.reserve(command.others.size() + 1);
  for (const auto& [from, to] : command.others) kept.push_back(to);
  kept.push_back(said);
  std::sort(kept.begin(), kept.end());
  for (const int fd : kept) {
    close_from_to(static_cast<unsigned>(next), static_cast<unsigned>(fd) - 1);
    next = fd + 1;
  }
  close_from_to(static_cast<unsigned>(next), ~0u);

  protect_from_same_uid(false);  // nothing of the helper's is open here any more
  Fd score(open_file("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score) write_all(score.get(), oom_score);
  score.reset();
  set_mark(command.mark);
  ::umask(022);
  if (::chdir(folder.empty() ? "/" : folder.c_str()) != 0) report_failure(said, errno, "chdir", folder, 127);
  apply_limits(rules.options->limits);
  ::execve(command.program.c_str(), argv.data(), envp.data());
  report_failure(said, errno, "execve", command.program, 127);
}

pid_t start_worker(Work work, void* context, int in, int out, uint64_t mark, const ChildRules& rules, Fd* report) {
  Pipe pipe;
  if (!make_pipe(pipe) || !set_nonblocking(pipe.read.get(), true)) return -1;
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) {
    const int saved = errno;
    *report = std::move(pipe.read);
    errno = saved;
    return pid;
  }
  if (rules.die_with_parent) follow_parent_into_death(self);
  ::setsid();
  clean_signals();
  ::signal(SIGPIPE, SIG_IGN);
  if (in >= 0) ::dup2(in, 0);
  if (out >= 0) ::dup2(out, 1);
  if (::dup2(pipe.write.get(), 3) < 0) ::_exit(127);
  close_from_to(4, ~0u);
  set_mark(mark);
  ::umask(0);
  ::_exit(work(context, 3));
}

}  // namespace awm::helper
