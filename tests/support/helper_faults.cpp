#include "support/helper_faults.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>

using awm::testing::HelperFaults;

extern "C" const char __ehdr_start[];

namespace {

// High enough that no table of descriptors that the helper hands on has it.
constexpr int kept_fd = 250;

HelperFaults* faults = nullptr;

void map(int fd) {
  void* at = ::mmap(nullptr, sizeof(HelperFaults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return;
  faults = static_cast<HelperFaults*>(at);
  if (faults->magic != HelperFaults::magic_number) faults = nullptr;
}

// The launcher finds the file beside itself and keeps it open for the helper that bubblewrap starts, which closes it.
__attribute__((constructor)) void find_faults() {
  struct stat kept{};
  if (::fstat(kept_fd, &kept) == 0 && S_ISREG(kept.st_mode) && kept.st_size == sizeof(HelperFaults)) {
    map(kept_fd);
    ::close(kept_fd);
    return;
  }
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - sizeof ".faults");
  if (length <= 0) return;
  std::memcpy(path + length, ".faults", sizeof ".faults");
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  map(fd);
  if (faults != nullptr) ::dup2(fd, kept_fd);
  ::close(fd);
}

// The error of this call from `from`; 0: it is made.
int check(const char* call, const void* from) {
  if (faults == nullptr) return 0;
  const auto place = static_cast<uint64_t>(static_cast<const char*>(from) - __ehdr_start);
  for (auto& site : faults->sites) {
    uint64_t there = site.place.load();
    if (there == 0 && site.place.compare_exchange_strong(there, place)) {
      std::strncpy(site.call, call, sizeof site.call - 1);
      there = place;
    }
    if (there != place) continue;
    const uint32_t number = site.calls.fetch_add(1);
    if (faults->place != place || faults->error == 0 || number != faults->skip) return 0;
    faults->hits.fetch_add(1);
    return faults->error;
  }
  return 0;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's option --wrap makes these names.
#define AWM_FROM __builtin_return_address(0)
#define AWM_GATE(result, name, parameters, arguments)          \
  extern "C" result __real_##name parameters;                  \
  extern "C" result __wrap_##name parameters {                 \
    if (const int error = check(#name, AWM_FROM); error > 0) { \
      errno = error;                                           \
      return (result) - 1;                                     \
    }                                                          \
    return __real_##name arguments;                            \
  }
#define AWM_GATE_POINTER(result, name, parameters, arguments)  \
  extern "C" result __real_##name parameters;                  \
  extern "C" result __wrap_##name parameters {                 \
    if (const int error = check(#name, AWM_FROM); error > 0) { \
      errno = error;                                           \
      return nullptr;                                          \
    }                                                          \
    return __real_##name arguments;                            \
  }
// `size` is the name of a parameter.
#define AWM_GATE_SOME(name, parameters, arguments)          \
  extern "C" ssize_t __real_##name parameters;              \
  extern "C" ssize_t __wrap_##name parameters {             \
    const int error = check(#name, AWM_FROM);               \
    if (error > 0) {                                        \
      errno = error;                                        \
      return -1;                                            \
    }                                                       \
    if (error == HelperFaults::half && size > 1) size /= 2; \
    return __real_##name arguments;                         \
  }

AWM_GATE_SOME(read, (int fd, void* data, std::size_t size), (fd, data, size))
AWM_GATE_SOME(write, (int fd, const void* data, std::size_t size), (fd, data, size))
AWM_GATE_SOME(pread, (int fd, void* data, std::size_t size, off_t at), (fd, data, size, at))
AWM_GATE_SOME(pwrite, (int fd, const void* data, std::size_t size, off_t at), (fd, data, size, at))

AWM_GATE(int, access, (const char* path, int mode), (path, mode))
AWM_GATE(int, chdir, (const char* path), (path))
AWM_GATE(int, chmod, (const char* path, mode_t mode), (path, mode))
AWM_GATE(int, chown, (const char* path, uid_t uid, gid_t gid), (path, uid, gid))
AWM_GATE(int, chroot, (const char* path), (path))
AWM_GATE(int, dup2, (int from, int to), (from, to))
AWM_GATE(int, execv, (const char* path, char* const* argv), (path, argv))
AWM_GATE(int, execve, (const char* path, char* const* argv, char* const* environment), (path, argv, environment))
AWM_GATE(int, fchmod, (int fd, mode_t mode), (fd, mode))
AWM_GATE(int, fchmodat, (int folder, const char* path, mode_t mode, int flags), (folder, path, mode, flags))
AWM_GATE(int, fchownat, (int folder, const char* path, uid_t uid, gid_t gid, int flags),
         (folder, path, uid, gid, flags))
AWM_GATE(pid_t, fork, (), ())
AWM_GATE(int, fstat, (int fd, struct stat* into), (fd, into))
AWM_GATE(int, fstatat, (int folder, const char* path, struct stat* into, int flags), (folder, path, into, flags))
AWM_GATE(int, fstatfs, (int fd, struct statfs* into), (fd, into))
AWM_GATE(int, ftruncate, (int fd, off_t size), (fd, size))
AWM_GATE(int, futimens, (int fd, const timespec* times), (fd, times))
AWM_GATE(int, getgroups, (int size, gid_t* into), (size, into))
AWM_GATE(int, getrlimit, (__rlimit_resource_t kind, struct rlimit* into), (kind, into))
AWM_GATE(int, kill, (pid_t pid, int signal), (pid, signal))
AWM_GATE(int, linkat, (int from, const char* old, int to, const char* made, int flags), (from, old, to, made, flags))
AWM_GATE(off_t, lseek, (int fd, off_t at, int whence), (fd, at, whence))
AWM_GATE(int, lstat, (const char* path, struct stat* into), (path, into))
AWM_GATE(int, memfd_create, (const char* name, unsigned flags), (name, flags))
AWM_GATE(int, mkdir, (const char* path, mode_t mode), (path, mode))
AWM_GATE(int, mkdirat, (int folder, const char* path, mode_t mode), (folder, path, mode))
AWM_GATE(int, mount, (const char* from, const char* to, const char* kind, unsigned long flags, const void* data),
         (from, to, kind, flags, data))
AWM_GATE(int, pipe2, (int* into, int flags), (into, flags))
AWM_GATE(int, poll, (struct pollfd * fds, nfds_t count, int limit), (fds, count, limit))
AWM_GATE(ssize_t, readlink, (const char* path, char* into, std::size_t size), (path, into, size))
AWM_GATE(ssize_t, readlinkat, (int folder, const char* path, char* into, std::size_t size), (folder, path, into, size))
AWM_GATE(int, removexattr, (const char* path, const char* name), (path, name))
AWM_GATE(int, rename, (const char* from, const char* to), (from, to))
AWM_GATE(int, renameat, (int from, const char* old, int to, const char* made), (from, old, to, made))
AWM_GATE(int, rmdir, (const char* path), (path))
AWM_GATE(int, setgroups, (std::size_t count, const gid_t* groups), (count, groups))
AWM_GATE(int, setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))
AWM_GATE(int, setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved))
AWM_GATE(int, setrlimit, (__rlimit_resource_t kind, const struct rlimit* limit), (kind, limit))
AWM_GATE(pid_t, setsid, (), ())
AWM_GATE(int, setxattr, (const char* path, const char* name, const void* value, std::size_t size, int flags),
         (path, name, value, size, flags))
AWM_GATE(int, signalfd, (int fd, const sigset_t* signals, int flags), (fd, signals, flags))
AWM_GATE(int, stat, (const char* path, struct stat* into), (path, into))
AWM_GATE(int, symlinkat, (const char* text, int folder, const char* path), (text, folder, path))
AWM_GATE(int, unlink, (const char* path), (path))
AWM_GATE(int, unlinkat, (int folder, const char* path, int flags), (folder, path, flags))
AWM_GATE(int, unshare, (int flags), (flags))
AWM_GATE(int, utimensat, (int folder, const char* path, const timespec* times, int flags), (folder, path, times, flags))
AWM_GATE(pid_t, wait4, (pid_t pid, int* status, int options, struct rusage* usage), (pid, status, options, usage))
AWM_GATE(pid_t, waitpid, (pid_t pid, int* status, int options), (pid, status, options))
AWM_GATE_POINTER(DIR*, fdopendir, (int fd), (fd))
AWM_GATE_POINTER(DIR*, opendir, (const char* path), (path))
AWM_GATE_POINTER(struct dirent*, readdir, (DIR * listing), (listing))
AWM_GATE_POINTER(char*, realpath, (const char* path, char* into), (path, into))

// Those with arguments that depend: what is not there is not looked at by the kernel.
#define AWM_GATE_VARIADIC(result, name, fixed, fixed_names, last, kind) \
  extern "C" result __real_##name(AWM_UNPACK fixed, ...);               \
  extern "C" result __wrap_##name(AWM_UNPACK fixed, ...) {              \
    if (const int error = check(#name, AWM_FROM); error > 0) {          \
      errno = error;                                                    \
      return -1;                                                        \
    }                                                                   \
    va_list list;                                                       \
    va_start(list, last);                                               \
    kind value = va_arg(list, kind);                                    \
    va_end(list);                                                       \
    return __real_##name(AWM_UNPACK fixed_names, value);                \
  }
#define AWM_UNPACK(...) __VA_ARGS__
AWM_GATE_VARIADIC(int, open, (const char* path, int flags), (path, flags), flags, unsigned)
AWM_GATE_VARIADIC(int, openat, (int folder, const char* path, int flags), (folder, path, flags), flags, unsigned)
AWM_GATE_VARIADIC(int, fcntl, (int fd, int order), (fd, order), order, void*)
AWM_GATE_VARIADIC(int, ioctl, (int fd, unsigned long order), (fd, order), order, void*)

extern "C" int __real_prctl(int order, ...);
extern "C" int __wrap_prctl(int order, ...) {
  if (const int error = check("prctl", AWM_FROM); error > 0) {
    errno = error;
    return -1;
  }
  va_list list;
  va_start(list, order);
  unsigned long values[4];
  for (auto& value : values) value = va_arg(list, unsigned long);
  va_end(list);
  return __real_prctl(order, values[0], values[1], values[2], values[3]);
}

extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...) {
  if (const int error = check("syscall", AWM_FROM); error > 0) {
    errno = error;
    return -1;
  }
  va_list list;
  va_start(list, number);
  long values[6];
  for (auto& value : values) value = va_arg(list, long);
  va_end(list);
  return __real_syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
// NOLINTEND(bugprone-reserved-identifier)
