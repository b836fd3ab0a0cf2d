// The one gate to the kernel: every system call of the program goes through here, interrupted calls are repeated,
// descriptors are born close-on-exec and owned. Tests can fail the Nth call of a call site (os/fault.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "os/unique_fd.h"

namespace awm::sys {

using Where = std::source_location;

// --- files
// -------------------------------------------------------------------------------------------------------------------------------
enum class Open { read, write_truncate, write_new, append, append_read, read_write, folder };
Result<UniqueFd> open(const Scope& scope, const std::string& path, Open how, unsigned mode = 0644,
                      Where at = Where::current());
// Reads at most size bytes; 0 is the end of the file. EAGAIN is an error (exhausted).
Result<std::size_t> read(int fd, void* to, std::size_t size, Where at = Where::current());
Result<std::size_t> pread(int fd, void* to, std::size_t size, uint64_t offset, Where at = Where::current());
// Writes all of it (waits where needed is the kernel's: for files and blocking pipes).
Result<void> write_all(int fd, std::string_view bytes, Where at = Where::current());
Result<void> fsync(int fd, Where at = Where::current());
Result<void> fdatasync(int fd, Where at = Where::current());
Result<void> ftruncate(int fd, uint64_t size, Where at = Where::current());
Result<void> rename(const std::string& from, const std::string& to, Where at = Where::current());
Result<void> unlink(const std::string& path, Where at = Where::current());
Result<void> rmdir(const std::string& path, Where at = Where::current());
Result<void> mkdir(const std::string& path, unsigned mode = 0755, Where at = Where::current());
Result<void> chmod(const std::string& path, unsigned mode, Where at = Where::current());
// lchown: the link itself, never what it points to.
Result<void> chown(const std::string& path, uint32_t uid, uint32_t gid, Where at = Where::current());
Result<void> symlink(const std::string& target, const std::string& path, Where at = Where::current());
// A second name for the same file, on the same file system.
Result<void> hard_link(const std::string& existing, const std::string& path, Where at = Where::current());
Result<std::string> readlink(const std::string& path, Where at = Where::current());
Result<std::string> realpath(const std::string& path, Where at = Where::current());
Result<std::string> current_folder(Where at = Where::current());

struct FileInfo {
  enum class Type { file, folder, link, socket, other } type = Type::other;
  uint64_t size = 0;
  uint64_t inode = 0;
  uint64_t device = 0;
  unsigned mode = 0;  // permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t modified_ns = 0;
};
Result<FileInfo> stat(const std::string& path, Where at = Where::current());   // follows links
Result<FileInfo> lstat(const std::string& path, Where at = Where::current());  // does not
Result<FileInfo> fstat(int fd, Where at = Where::current());
// Names in a folder without "." and "..", in the folder's order.
Result<std::vector<std::string>> list_folder(const std::string& path, Where at = Where::current());
struct DiskSpace {
  uint64_t total = 0;
  uint64_t available = 0;  // to an ordinary user
};
Result<DiskSpace> disk_space(const std::string& path, Where at = Where::current());
// Exclusive advisory lock of an open file; exhausted when another holds it.
Result<void> try_lock(int fd, Where at = Where::current());
// Makes a new folder from a template that ends in XXXXXX and returns its path (mode 0700).
Result<std::string> make_temp_folder(std::string path_template, Where at = Where::current());

// --- pipes, sockets, waiting
// ---------------------------------------------------------------------------------------------------------------
struct FdPair {
  UniqueFd first;   // read end, or our side
  UniqueFd second;  // write end, or the other side
};
Result<FdPair> pipe(const Scope& scope, std::string_view name, Where at = Where::current());
// A connected pair of stream sockets.
Result<FdPair> socket_pair(const Scope& scope, std::string_view name, Where at = Where::current());
Result<UniqueFd> connect_unix(const Scope& scope, const std::string& path, Deadline deadline,
                              Where at = Where::current());
// TCP on 127.0.0.1 and nowhere else. `port` 0 lets the kernel choose. Errors name the port.
struct Listener {
  UniqueFd fd;  // non-blocking
  int port = 0;
};
Result<Listener> listen_loopback(const Scope& scope, int port, Where at = Where::current());
// One waiting connection; nullopt when none waits (or it went away again).
Result<std::optional<UniqueFd>> accept_one(const Scope& scope, int listener, std::string_view name,
                                           Where at = Where::current());
Result<UniqueFd> connect_loopback(const Scope& scope, int port, Where at = Where::current());
// From now on closing this TCP socket resets the connection instead of ending it politely.
void reset_on_close(int fd) noexcept;
// Connects to a host's port, each of its addresses in turn; the name is resolved by the system's resolver, which may
// take its own time.
Result<UniqueFd> connect_tcp(const Scope& scope, const std::string& host, uint16_t port, Deadline deadline,
                             Where at = Where::current());
// A socket for a library that connects it itself; family, type and protocol as socket(2) has them.
Result<UniqueFd> socket(const Scope& scope, int family, int type, int protocol, std::string_view name,
                        Where at = Where::current());
Result<UniqueFd> event_fd(const Scope& scope, std::string_view name, Where at = Where::current());
// Ends both directions of a socket; a reader elsewhere sees the end. Never fails loudly.
void shutdown(int fd, Where at = Where::current()) noexcept;
Result<void> set_nonblocking(int fd, bool on, Where at = Where::current());

struct PollFd {
  int fd = -1;
  bool want_read = false;
  bool want_write = false;
  bool readable = false;  // or at its end, or in error: a read tells which
  bool writable = false;
};
// Waits until one is ready or the deadline passes; the number ready, 0 for the deadline. Repeats on EINTR.
Result<int> poll(std::span<PollFd> fds, Deadline deadline, Where at = Where::current());
// One recv/send that does not block: nullopt where it would.
Result<std::optional<std::size_t>> recv_some(int fd, void* to, std::size_t size, Where at = Where::current());
Result<std::optional<std::size_t>> send_some(int fd, std::string_view bytes, Where at = Where::current());

// --- processes and the system
// --------------------------------------------------------------------------------------------------------------
Result<void> kill(int pid, int signal, Where at = Where::current());  // pid < 0: the process group
struct WaitResult {
  int pid = 0;
  int wait_status = 0;
};
// waitpid without waiting: nullopt while it runs.
Result<std::optional<WaitResult>> try_wait(int pid, Where at = Where::current());
Result<UniqueFd> pidfd_open(const Scope& scope, int pid, Where at = Where::current());
int pid();
int thread_id();
uint32_t effective_uid();
uint32_t effective_gid();
int cpu_count();  // that this process may use
std::string host_name();
std::string machine();  // uname -m: "x86_64", "aarch64"
bool is_terminal(int fd);
int terminal_columns(int fd);  // 80 where unknown
// Environment of this process; read once at the start of a run, not thread-safe against setenv (nobody calls it).
std::optional<std::string> environment(const std::string& name);
std::vector<std::string> environment_all();
std::string self_path();  // /proc/self/exe, resolved
struct Limit {
  uint64_t soft = 0;
  uint64_t hard = 0;
};
Result<Limit> descriptor_limit(Where at = Where::current());
Result<void> set_descriptor_limit(Limit limit, Where at = Where::current());
// Resident set size of this process in bytes; 0 where the system does not tell.
uint64_t resident_bytes();
// N bytes from the kernel's generator, as lower-case hex.
std::string random_hex(std::size_t bytes);

}  // namespace awm::sys
