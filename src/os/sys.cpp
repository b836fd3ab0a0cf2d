#include "os/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "os/gate.h"

extern char** environ;

namespace awm::sys {
namespace {

std::unexpected<Error> fail_os(std::string_view operation, std::string_view object) {
  return std::unexpected(os_error(std::string(operation), std::string(object), errno));
}

std::string descriptor_name(int fd) {
  return "descriptor " + std::to_string(fd);
}

FileInfo to_info(const struct stat& st) {
  FileInfo info;
  if (S_ISREG(st.st_mode)) {
    info.type = FileInfo::Type::file;
  } else if (S_ISDIR(st.st_mode)) {
    info.type = FileInfo::Type::folder;
  } else if (S_ISLNK(st.st_mode)) {
    info.type = FileInfo::Type::link;
  } else if (S_ISSOCK(st.st_mode)) {
    info.type = FileInfo::Type::socket;
  }
  info.size = static_cast<uint64_t>(st.st_size);
  info.inode = st.st_ino;
  info.device = st.st_dev;
  info.mode = st.st_mode & 07777U;
  info.uid = st.st_uid;
  info.gid = st.st_gid;
  info.modified_ns = st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec;
  return info;
}

}  // namespace

Result<UniqueFd> open(const Scope& scope, const std::string& path, Open how, unsigned mode, Where at) {
  int flags = O_CLOEXEC;
  switch (how) {
    case Open::read:
      flags |= O_RDONLY;
      break;
    case Open::write_truncate:
      flags |= O_WRONLY | O_CREAT | O_TRUNC;
      break;
    case Open::write_new:
      flags |= O_WRONLY | O_CREAT | O_EXCL;
      break;
    case Open::append:
      flags |= O_WRONLY | O_CREAT | O_APPEND;
      break;
    case Open::append_read:
      flags |= O_RDWR | O_CREAT | O_APPEND;
      break;
    case Open::read_write:
      flags |= O_RDWR | O_CREAT;
      break;
    case Open::folder:
      flags |= O_RDONLY | O_DIRECTORY;
      break;
  }
  const int fd = kernel("open", at, [&] { return ::open(path.c_str(), flags, mode); });
  if (fd < 0) return fail_os("open", path);
  return UniqueFd(fd, scope, path, at);
}

Result<std::size_t> read(int fd, void* to, std::size_t size, Where at) {
  const auto n = kernel_some("read", at, size, [&](std::size_t most) { return ::read(fd, to, most); });
  if (n < 0) return fail_os("read", descriptor_name(fd));
  return static_cast<std::size_t>(n);
}

Result<std::size_t> pread(int fd, void* to, std::size_t size, uint64_t offset, Where at) {
  const auto n = kernel_some("pread", at, size,
                             [&](std::size_t most) { return ::pread(fd, to, most, static_cast<off_t>(offset)); });
  if (n < 0) return fail_os("read", descriptor_name(fd));
  return static_cast<std::size_t>(n);
}

Result<void> write_all(int fd, std::string_view bytes, Where at) {
  while (!bytes.empty()) {
    const auto n =
        kernel_some("write", at, bytes.size(), [&](std::size_t most) { return ::write(fd, bytes.data(), most); });
    if (n < 0) return fail_os("write", descriptor_name(fd));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> fsync(int fd, Where at) {
  if (kernel("fsync", at, [&] { return ::fsync(fd); }) < 0) return fail_os("fsync", descriptor_name(fd));
  return {};
}

Result<void> fdatasync(int fd, Where at) {
  if (kernel("fdatasync", at, [&] { return ::fdatasync(fd); }) < 0) return fail_os("fdatasync", descriptor_name(fd));
  return {};
}

Result<void> ftruncate(int fd, uint64_t size, Where at) {
  if (kernel("ftruncate", at, [&] { return ::ftruncate(fd, static_cast<off_t>(size)); }) < 0)
    return fail_os("truncate", descriptor_name(fd));
  return {};
}

Result<void> rename(const std::string& from, const std::string& to, Where at) {
  if (kernel("rename", at, [&] { return ::rename(from.c_str(), to.c_str()); }) < 0)
    return fail_os("rename", from + " to " + to);
  return {};
}

Result<void> unlink(const std::string& path, Where at) {
  if (kernel("unlink", at, [&] { return ::unlink(path.c_str()); }) < 0) return fail_os("remove", path);
  return {};
}

Result<void> rmdir(const std::string& path, Where at) {
  if (kernel("rmdir", at, [&] { return ::rmdir(path.c_str()); }) < 0) return fail_os("remove folder", path);
  return {};
}

Result<void> mkdir(const std::string& path, unsigned mode, Where at) {
  if (kernel("mkdir", at, [&] { return ::mkdir(path.c_str(), mode); }) < 0) return fail_os("make folder", path);
  return {};
}

Result<void> chmod(const std::string& path, unsigned mode, Where at) {
  if (kernel("chmod", at, [&] { return ::chmod(path.c_str(), mode); }) < 0) return fail_os("change mode of", path);
  return {};
}

Result<void> chown(const std::string& path, uint32_t uid, uint32_t gid, Where at) {
  if (kernel("chown", at, [&] { return ::lchown(path.c_str(), uid, gid); }) < 0)
    return fail_os("change owner of", path);
  return {};
}

Result<void> symlink(const std::string& target, const std::string& path, Where at) {
  if (kernel("symlink", at, [&] { return ::symlink(target.c_str(), path.c_str()); }) < 0)
    return fail_os("make link", path);
  return {};
}

Result<void> hard_link(const std::string& existing, const std::string& path, Where at) {
  if (kernel("link", at, [&] { return ::link(existing.c_str(), path.c_str()); }) < 0) return fail_os("make link", path);
  return {};
}

Result<std::string> readlink(const std::string& path, Where at) {
  std::string target(PATH_MAX, '\0');
  const auto n = kernel("readlink", at, [&] { return ::readlink(path.c_str(), target.data(), target.size()); });
  if (n < 0) return fail_os("read link", path);
  target.resize(static_cast<std::size_t>(n));
  return target;
}

Result<std::string> realpath(const std::string& path, Where at) {
  std::unique_ptr<char, decltype(&std::free)> resolved(nullptr, &std::free);
  const auto resolve = [&] {
    resolved.reset(::realpath(path.c_str(), nullptr));
    return resolved ? 0 : -1;
  };
  if (kernel("realpath", at, resolve) < 0) return fail_os("resolve", path);
  return std::string(resolved.get());
}

Result<std::string> current_folder(Where at) {
  std::string path(PATH_MAX, '\0');
  if (kernel("getcwd", at, [&] { return ::getcwd(path.data(), path.size()) == nullptr ? -1 : 0; }) < 0)
    return fail_os("find", "the working directory");
  path.resize(std::strlen(path.c_str()));
  return path;
}

Result<FileInfo> stat(const std::string& path, Where at) {
  struct stat st{};
  if (kernel("stat", at, [&] { return ::stat(path.c_str(), &st); }) < 0) return fail_os("look at", path);
  return to_info(st);
}

Result<FileInfo> lstat(const std::string& path, Where at) {
  struct stat st{};
  if (kernel("lstat", at, [&] { return ::lstat(path.c_str(), &st); }) < 0) return fail_os("look at", path);
  return to_info(st);
}

Result<FileInfo> fstat(int fd, Where at) {
  struct stat st{};
  if (kernel("fstat", at, [&] { return ::fstat(fd, &st); }) < 0) return fail_os("look at", descriptor_name(fd));
  return to_info(st);
}

Result<std::vector<std::string>> list_folder(const std::string& path, Where at) {
  const int fd = kernel("opendir", at, [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return fail_os("list", path);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(fd), [](DIR* d) { return ::closedir(d); });
  if (!folder) {
    const int saved = errno;
    ::close(fd);
    errno = saved;
    return fail_os("list", path);
  }
  std::vector<std::string> names;
  for (;;) {
    errno = fault::check("readdir", at);
    const dirent* entry =
        errno > 0 ? nullptr : ::readdir(folder.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (entry == nullptr) {
      if (errno != 0) return fail_os("list", path);
      return names;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Result<DiskSpace> disk_space(const std::string& path, Where at) {
  struct statvfs st{};
  if (kernel("statvfs", at, [&] { return ::statvfs(path.c_str(), &st); }) < 0)
    return fail_os("ask for the free space of", path);
  return DiskSpace{.total = st.f_blocks * st.f_frsize, .available = st.f_bavail * st.f_frsize};
}

Result<void> try_lock(int fd, Where at) {
  if (kernel("flock", at, [&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) < 0)
    return fail_os("lock", descriptor_name(fd));
  return {};
}

Result<std::string> make_temp_folder(std::string path_template, Where at) {
  if (kernel("mkdtemp", at, [&] { return ::mkdtemp(path_template.data()) == nullptr ? -1 : 0; }) < 0)
    return fail_os("make a temporary folder", path_template);
  return path_template;
}

Result<FdPair> pipe(const Scope& scope, std::string_view name, Where at) {
  int fds[2];
  if (kernel("pipe", at, [&] { return ::pipe2(fds, O_CLOEXEC); }) < 0) return fail_os("make a pipe", name);
  return FdPair{.first = UniqueFd(fds[0], scope, name, at), .second = UniqueFd(fds[1], scope, name, at)};
}

Result<FdPair> socket_pair(const Scope& scope, std::string_view name, Where at) {
  int fds[2];
  if (kernel("socketpair", at, [&] { return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds); }) < 0)
    return fail_os("make a socket pair", name);
  return FdPair{.first = UniqueFd(fds[0], scope, name, at), .second = UniqueFd(fds[1], scope, name, at)};
}

Result<UniqueFd> connect_unix(const Scope& scope, const std::string& path, Deadline deadline, Where at) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return fail_os("connect to", path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int raw = kernel("socket", at, [] { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  if (raw < 0) return fail_os("make a socket for", path);
  UniqueFd fd(raw, scope, path, at);
  for (;;) {
    const auto connect = [&] {
      return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    };
    if (kernel("connect", at, connect) == 0) return fd;
    if (errno != EAGAIN || deadline.passed()) return fail_os("connect to", path);
    // The listener's backlog is full; the kernel offers nothing to wait on.
    ::poll(nullptr, 0, 2);
  }
}

namespace {
sockaddr_in loopback_address(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}
}  // namespace

Result<Listener> listen_loopback(const Scope& scope, int port, Where at) {
  const std::string name = "127.0.0.1:" + std::to_string(port);
  const int raw = kernel("socket", at, [] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
  if (raw < 0) return fail_os("make a socket for", name);
  Listener listener{.fd = UniqueFd(raw, scope, "listen " + name, at)};
  const int on = 1;
  ::setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = loopback_address(port);
  socklen_t size = sizeof address;
  const auto bind = [&] { return ::bind(raw, reinterpret_cast<const sockaddr*>(&address), size); };
  if (kernel("bind", at, bind) < 0 || kernel("listen", at, [&] { return ::listen(raw, 128); }) < 0 ||
      ::getsockname(raw, reinterpret_cast<sockaddr*>(&address), &size) < 0) {
    return fail_os("listen on", name);
  }
  listener.port = ntohs(address.sin_port);
  return listener;
}

Result<std::optional<UniqueFd>> accept_one(const Scope& scope, int listener, std::string_view name, Where at) {
  const auto raw = kernel("accept", at, [&] { return ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); });
  if (raw < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED) return std::optional<UniqueFd>();
    return fail_os("accept on", name);
  }
  const int on = 1;
  ::setsockopt(raw, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return std::optional<UniqueFd>(UniqueFd(raw, scope, name, at));
}

Result<UniqueFd> connect_loopback(const Scope& scope, int port, Where at) {
  const std::string name = "127.0.0.1:" + std::to_string(port);
  const int raw = kernel("socket", at, [] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  if (raw < 0) return fail_os("make a socket for", name);
  UniqueFd fd(raw, scope, name, at);
  const sockaddr_in address = loopback_address(port);
  const auto connected = kernel(
      "connect", at, [&] { return ::connect(raw, reinterpret_cast<const sockaddr*>(&address), sizeof address); });
  if (connected < 0) return fail_os("connect to", name);
  const int on = 1;
  ::setsockopt(raw, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void reset_on_close(int fd) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

Result<UniqueFd> connect_tcp(const Scope& scope, const std::string& host, uint16_t port, Deadline deadline, Where at) {
  const std::string name = host + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); failed != 0) {
    return fail(Errc::unavailable, "find", host, ::gai_strerror(failed), "check the host's name");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  int last_errno = ECONNREFUSED;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int raw = kernel("socket", at, [&] {
      return ::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    });
    if (raw < 0) {
      last_errno = errno;
      continue;
    }
    UniqueFd fd(raw, scope, name, at);
    if (kernel("connect", at, [&] { return ::connect(fd.get(), address->ai_addr, address->ai_addrlen); }) < 0 &&
        errno != EINPROGRESS) {
      last_errno = errno;
      continue;
    }
    std::array<PollFd, 1> set{PollFd{.fd = fd.get(), .want_write = true}};
    AWM_TRY(const int ready, poll(set, deadline, at));
    if (ready == 0) return fail(Errc::timed_out, "connect to", name, "no answer in time");
    socklen_t size = sizeof last_errno;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &last_errno, &size);
    if (last_errno != 0) continue;
    AWM_CHECK(set_nonblocking(fd.get(), false, at));
    return fd;
  }
  errno = last_errno;
  return fail_os("connect to", name);
}

Result<UniqueFd> socket(const Scope& scope, int family, int type, int protocol, std::string_view name, Where at) {
  const int fd = kernel("socket", at, [&] { return ::socket(family, type | SOCK_CLOEXEC, protocol); });
  if (fd < 0) return fail_os("make a socket for", name);
  return UniqueFd(fd, scope, name, at);
}

Result<UniqueFd> event_fd(const Scope& scope, std::string_view name, Where at) {
  const int fd = kernel("eventfd", at, [] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
  if (fd < 0) return fail_os("make an event", name);
  return UniqueFd(fd, scope, name, at);
}

void shutdown(int fd, Where) noexcept {
  ::shutdown(fd, SHUT_RDWR);
}

Result<void> set_nonblocking(int fd, bool on, Where at) {
  const int flags = kernel("fcntl", at, [&] { return ::fcntl(fd, F_GETFL); });
  if (flags < 0 || ::fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0) {
    return fail_os("change", descriptor_name(fd));
  }
  return {};
}

Result<int> poll(std::span<PollFd> fds, Deadline deadline, Where at) {
  std::array<pollfd, 16> small{};
  std::vector<pollfd> large;
  pollfd* set = small.data();
  if (fds.size() > small.size()) {
    large.resize(fds.size());
    set = large.data();
  }
  for (std::size_t i = 0; i < fds.size(); ++i) {
    set[i].fd = fds[i].fd;
    set[i].events = static_cast<short>((fds[i].want_read ? POLLIN : 0) | (fds[i].want_write ? POLLOUT : 0));
    set[i].revents = 0;
  }
  for (;;) {
    const int n = kernel("poll", at, [&] { return ::poll(set, fds.size(), deadline.poll_ms()); });
    if (n < 0) return fail_os("wait for", "descriptors");
    if (n == 0 && !deadline.passed()) continue;  // poll_ms is capped at a day
    for (std::size_t i = 0; i < fds.size(); ++i) {
      const auto got = set[i].revents;
      fds[i].readable = (got & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) != 0;
      fds[i].writable = (got & (POLLOUT | POLLHUP | POLLERR | POLLNVAL)) != 0;
    }
    return n;
  }
}

Result<std::optional<std::size_t>> recv_some(int fd, void* to, std::size_t size, Where at) {
  const auto n = kernel_some("recv", at, size, [&](std::size_t most) { return ::recv(fd, to, most, MSG_DONTWAIT); });
  if (n >= 0) return std::optional(static_cast<std::size_t>(n));
  if (errno == EAGAIN || errno == EWOULDBLOCK) return std::optional<std::size_t>();
  return fail_os("receive from", descriptor_name(fd));
}

Result<std::optional<std::size_t>> send_some(int fd, std::string_view bytes, Where at) {
  const auto n = kernel_some("send", at, bytes.size(), [&](std::size_t most) {
    return ::send(fd, bytes.data(), most, MSG_DONTWAIT | MSG_NOSIGNAL);
  });
  if (n >= 0) return std::optional(static_cast<std::size_t>(n));
  if (errno == EAGAIN || errno == EWOULDBLOCK) return std::optional<std::size_t>();
  return fail_os("send to", descriptor_name(fd));
}

Result<void> kill(int pid, int signal, Where at) {
  if (kernel("kill", at, [&] { return ::kill(pid, signal); }) < 0)
    return fail_os("signal", "process " + std::to_string(pid));
  return {};
}

Result<std::optional<WaitResult>> try_wait(int pid, Where at) {
  int status = 0;
  const auto got = kernel("waitpid", at, [&] { return ::waitpid(pid, &status, WNOHANG); });
  if (got < 0) return fail_os("wait for", "process " + std::to_string(pid));
  if (got == 0) return std::optional<WaitResult>();
  return std::optional(WaitResult{.pid = got, .wait_status = status});
}

Result<UniqueFd> pidfd_open(const Scope& scope, int pid, Where at) {
  const int fd = kernel("pidfd_open", at, [&] { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); });
  if (fd < 0) return fail_os("watch", "process " + std::to_string(pid));
  return UniqueFd(fd, scope, "pidfd of " + std::to_string(pid), at);  // close-on-exec by definition
}

int pid() {
  return ::getpid();
}
int thread_id() {
  return static_cast<int>(::syscall(SYS_gettid));
}
uint32_t effective_uid() {
  return ::geteuid();
}
uint32_t effective_gid() {
  return ::getegid();
}

int cpu_count() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return 1;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

std::string machine() {
  struct utsname names{};
  if (::uname(&names) != 0) return "unknown";
  return names.machine;
}

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

int terminal_columns(int fd) {
  struct winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nobody writes the environment
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::vector<std::string> environment_all() {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}

std::string self_path() {
  std::string path(PATH_MAX, '\0');
  const auto n = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return path;
}

Result<Limit> descriptor_limit(Where at) {
  struct rlimit limit{};
  if (kernel("getrlimit", at, [&] { return ::getrlimit(RLIMIT_NOFILE, &limit); }) < 0)
    return fail_os("read", "the descriptor limit");
  return Limit{.soft = limit.rlim_cur, .hard = limit.rlim_max};
}

Result<void> set_descriptor_limit(Limit wanted, Where at) {
  const struct rlimit limit{.rlim_cur = wanted.soft, .rlim_max = wanted.hard};
  if (kernel("setrlimit", at, [&] { return ::setrlimit(RLIMIT_NOFILE, &limit); }) < 0)
    return fail_os("set", "the descriptor limit");
  return {};
}

uint64_t resident_bytes() {
  const int fd = kernel("open", Where::current(), [] { return ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC); });
  if (fd < 0) return 0;
  char text[128] = {};
  const auto n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (n <= 0 || std::sscanf(text, "%llu %llu", &total, &resident) != 2) return 0;  // NOLINT(cert-err34-c)
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> raw(bytes);
  std::size_t have = 0;
  while (have < bytes) {
    const auto n = ::getrandom(raw.data() + have, bytes - have, 0);
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const unsigned char b : raw) {
    out += digits[b >> 4];
    out += digits[b & 15];
  }
  return out;
}

}  // namespace awm::sys
