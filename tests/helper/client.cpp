#include "client.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace awm::helper_test {

namespace {

const char* const kHelper = AWM_BIN_DIR "/awm-helper";

void write_file(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, text.data(), text.size());
  ::close(fd);
}

// In the child: a process namespace is there already; /proc must show it.
bool enter_sandbox(bool own_user, uid_t uid, gid_t gid) {
  if (own_user) {
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
    write_file("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

pid_t clone_process(unsigned long flags) {
  return static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

unsigned long namespace_flags() {
  return CLONE_NEWPID | CLONE_NEWNS | (::geteuid() == 0 ? 0UL : static_cast<unsigned long>(CLONE_NEWUSER));
}

}  // namespace

bool can_be_first_process() {
  static const bool can = [] {
    const uid_t uid = ::getuid();
    const gid_t gid = ::getgid();
    const pid_t pid = clone_process(namespace_flags());
    if (pid == 0) ::_exit(enter_sandbox(uid != 0, uid, gid) ? 0 : 1);
    int status = 0;
    return pid > 0 && ::waitpid(pid, &status, 0) == pid && status == 0;
  }();
  return can;
}

Client::Client(const StartOptions& options) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    ADD_FAILURE() << "socketpair: " << std::strerror(errno);
    return;
  }
  std::vector<std::string> arguments{kHelper, "serve"};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = options.environment;
  if (environment.empty()) environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"};
  std::vector<char*> envp;
  for (std::string& entry : environment) envp.push_back(entry.data());
  envp.push_back(nullptr);
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();

  fd_ = ends[0];
  pid_ = options.first_process ? clone_process(namespace_flags()) : ::fork();
  if (pid_ == 0) {
    if (options.first_process && !enter_sandbox(uid != 0, uid, gid)) ::_exit(120);
    ::dup2(ends[1], 0);
    ::dup2(ends[1], 1);
    ::execve(kHelper, argv.data(), envp.data());
    ::_exit(121);
  }
  ::close(ends[1]);
  Frame frame;
  if (!next(frame) || frame.type != wire::Type::hello || !wire::decode(frame.payload, hello)) unexpected(frame);
}

Client::~Client() {
  end_stream();
  if (pid_ > 0) wait_exit();
}

void Client::end_stream() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int Client::wait_exit() {
  if (pid_ <= 0) return -1;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  pollfd wait_for{pidfd, POLLIN, 0};
  if (::poll(&wait_for, 1, static_cast<int>(kLimit.count())) != 1) {
    ADD_FAILURE() << "the helper does not end";
    ::kill(pid_, SIGKILL);
  }
  ::close(pidfd);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Client::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void Client::send_frame(wire::Type type, uint32_t id, std::string_view bytes) {
  std::string frame;
  wire::append_frame(frame, type, id, bytes);
  send_raw(frame);
}

void Client::grant(uint32_t id, uint32_t bytes) {
  std::string frame;
  EXPECT_TRUE(wire::append_message(frame, wire::Type::window, id, wire::Window{bytes}));
  send_raw(frame);
}

bool Client::next(Frame& frame, std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (true) {
    wire::Header header;
    std::string_view payload;
    if (parser_.next(header, payload)) {
      frame = {static_cast<wire::Type>(header.type), header.flags, header.id, std::string(payload)};
      return true;
    }
    if (fd_ < 0) return false;
    pollfd wait_for{fd_, POLLIN, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0 || ::poll(&wait_for, 1, static_cast<int>(left)) == 0) {
      ADD_FAILURE() << "nothing comes from the helper";
      return false;
    }
    static char buffer[1 << 18];
    const ssize_t n = ::read(fd_, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    parser_.feed(std::string_view(buffer, static_cast<std::size_t>(n)));
  }
}

bool Client::at_end() {
  Frame frame;
  return !next(frame);
}

Frame Client::wait(uint32_t id) {
  Frame frame;
  const auto early = early_.find(id);
  if (early != early_.end()) {
    frame = std::move(early->second);
    early_.erase(early);
    return frame;
  }
  while (next(frame)) {
    if (frame.type == wire::Type::data) {
      (frame.flags == static_cast<uint16_t>(wire::Stream::err) ? err : out)[frame.id] += frame.payload;
    } else if (frame.id == id && frame.type != wire::Type::window) {
      return frame;
    } else if (frame.type == wire::Type::fatal) {
      unexpected(frame);
      break;
    } else if (frame.type != wire::Type::window) {
      early_.emplace(frame.id, std::move(frame));
    }
  }
  ADD_FAILURE() << "no answer to request " << id;
  return {};
}

void Client::unexpected(const Frame& frame) {
  wire::Failure failure;
  if ((frame.type == wire::Type::error || frame.type == wire::Type::fatal) && wire::decode(frame.payload, failure)) {
    ADD_FAILURE() << "unexpected error " << failure.number << ": " << failure.operation << " " << failure.object << ": "
                  << failure.text;
  } else {
    ADD_FAILURE() << "unexpected frame of type " << static_cast<int>(frame.type) << " for request " << frame.id;
  }
}

wire::Exec Client::bash_exec(const std::string& text) {
  wire::Exec request;
  request.argv = {"bash", "-c", text};
  return request;
}

wire::ShellAnswer Client::open_shell(uint32_t number, const std::string& folder) {
  wire::ShellOpen request;
  request.shell = number;
  request.folder = folder;
  return wait_for<wire::ShellAnswer>(send(wire::Type::shell_open, request), wire::Type::shell_answer);
}

wire::ShellAnswer Client::run(const wire::ShellRun& request) {
  return wait_for<wire::ShellAnswer>(send(wire::Type::shell_run, request), wire::Type::shell_answer);
}

wire::ShellAnswer Client::run(const std::string& text, uint32_t soft_quiet_ms, uint32_t hard_ms, uint32_t number) {
  wire::ShellRun request;
  request.shell = number;
  request.text = text;
  request.soft_quiet_ms = soft_quiet_ms;
  request.hard_ms = hard_ms;
  request.grace_ms = 100;
  return run(request);
}

wire::ShellAnswer Client::wait_shell(uint32_t soft_quiet_ms) {
  wire::ShellWait request;
  request.shell = 1;
  request.soft_quiet_ms = soft_quiet_ms;
  return wait_for<wire::ShellAnswer>(send(wire::Type::shell_wait, request), wire::Type::shell_answer);
}

wire::ShellAnswer Client::input(const std::string& bytes, bool end, uint32_t soft_quiet_ms) {
  wire::ShellInput request;
  request.wait.shell = 1;
  request.wait.soft_quiet_ms = soft_quiet_ms;
  request.bytes = bytes;
  request.end = end;
  return wait_for<wire::ShellAnswer>(send(wire::Type::shell_input, request), wire::Type::shell_answer);
}

wire::ShellAnswer Client::interrupt() {
  wire::ShellInterrupt request;
  request.wait.shell = 1;
  request.wait.soft_total_ms = 250;
  request.signal = SIGINT;
  wire::ShellAnswer answer;
  for (int round = 0; round < 40; ++round) {
    const Frame frame = wait(send(wire::Type::shell_interrupt, request));
    if (frame.type != wire::Type::shell_answer || !wire::decode(frame.payload, answer)) {
      unexpected(frame);
      return {};
    }
    if (answer.finished || answer.idle) return answer;
  }
  ADD_FAILURE() << "the command outlives every interrupt";
  return answer;
}

void Client::expect_ok(uint32_t id) {
  const Frame frame = wait(id);
  if (frame.type != wire::Type::ok) unexpected(frame);
}

int processes_with(const std::string& text) {
  int found = 0;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return 0;
  while (const dirent* entry = ::readdir(proc)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    char path[300];
    std::snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    std::string line(65536, '\0');
    const ssize_t n = ::read(fd, line.data(), line.size());
    ::close(fd);
    line.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    if (line.find(text) != std::string::npos) ++found;
  }
  ::closedir(proc);
  return found;
}

bool wait_until_none(const std::string& text) {
  const auto until = std::chrono::steady_clock::now() + Client::kLimit;
  while (processes_with(text) > 0) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::sched_yield();
  }
  return true;
}

}  // namespace awm::helper_test
