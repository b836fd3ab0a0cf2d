// Small parts of the helper: it depends on no room of awm, so that it stays static, without exceptions, and small.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace awm::helper {

using Micros = int64_t;  // of the monotonic clock, or a span
inline constexpr Micros kMillisecond = 1000;
inline constexpr Micros kSecond = 1'000'000;

Micros now();

// Owns a descriptor; close-on-exec is its maker's duty.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// `call()` once more whenever a signal interrupts it.
template <class Call>
[[gnu::always_inline]] inline auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}
// As open(2) and openat(2). On a network file system a signal interrupts them as well.
[[gnu::always_inline]] inline int open_file(const char* path, int flags, mode_t mode = 0) {
  return uninterrupted([&] { return ::open(path, flags, mode); });
}
[[gnu::always_inline]] inline int open_at(int folder, const char* path, int flags, mode_t mode = 0) {
  return uninterrupted([&] { return ::openat(folder, path, flags, mode); });
}

struct Pipe {
  Fd read;
  Fd write;
};

// Close-on-exec, blocking. False: errno.
[[nodiscard]] bool make_pipe(Pipe& pipe);
bool set_nonblocking(int fd, bool on);

// An anonymous file holding `content`; sealed: nobody can change it any more. Its offset is 0. Empty: errno.
Fd memory_file(const char* name, std::string_view content, bool sealed);

// Writes all of it, waiting where it must. False: errno.
bool write_all(int fd, std::string_view bytes);

// The first `limit` bytes of a file; nothing when it cannot be opened or read.
std::optional<std::string> slurp(int folder, const char* path, std::size_t limit);

// A whole decimal number, nothing around it.
std::optional<uint64_t> parse_number(std::string_view text);

// Bytes waiting in a pipe; 0 when unknown.
std::size_t bytes_waiting(int fd);

// Keeps the first and the last bytes of a stream and counts the middle. Never holds more than `keep` bytes, nor more
// than came.
class HeadTail {
 public:
  explicit HeadTail(std::size_t keep = 0) { restart(keep); }
  void restart(std::size_t keep);
  void add(std::string_view bytes);
  [[nodiscard]] uint64_t total() const { return total_; }
  [[nodiscard]] uint64_t omitted() const { return total_ - head_.size() - tail_.size(); }
  [[nodiscard]] std::size_t head_size() const { return head_.size(); }
  // Head and tail in a row.
  [[nodiscard]] std::string text() const;

 private:
  std::size_t head_limit_ = 0;
  std::size_t tail_limit_ = 0;
  std::string head_;
  std::string tail_;  // a ring once it is full
  std::size_t tail_start_ = 0;
  uint64_t total_ = 0;
};

}  // namespace awm::helper
