#include "archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "files.h"
#include "util.h"

namespace awm::helper {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kMaxName = 4096;
constexpr std::size_t kMaxPax = std::size_t{1} << 20;
constexpr std::size_t kMaxLateFolders = 1'000'000;
constexpr int kMaxDepth = 128;  // of folders packed: one descriptor each

bool fail(wire::Failure& failure, int number, const char* operation, std::string_view object, std::string text) {
  failure = {number, operation, std::string(object.substr(0, 1024)), std::move(text)};
  return false;
}

bool fail(wire::Failure& failure, const char* operation, std::string_view object) {
  const int number = errno;
  return fail(failure, number, operation, object, std::strerror(number));
}

// POSIX.1-1988 ustar.
struct TarHeader {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(TarHeader) == kBlock);

template <std::size_t N>
std::string_view text_of(const char (&field)[N]) {
  return std::string_view(field, ::strnlen(field, N));
}

// Octal with blanks around, or GNU's base 256 where the first bit is set.
template <std::size_t N>
bool number_of(const char (&field)[N], int64_t& value) {
  value = 0;
  if ((static_cast<unsigned char>(field[0]) & 0x80) != 0) {
    const bool negative = (static_cast<unsigned char>(field[0]) & 0x40) != 0;
    uint64_t bits = negative ? ~uint64_t{0} : 0;
    for (std::size_t i = 0; i < N; ++i) {
      const auto byte = static_cast<unsigned char>(i == 0 && !negative ? field[0] & 0x7f : field[i]);
      if (i + 8 < N && byte != (negative ? 0xff : 0)) return false;  // more than 64 bits
      bits = bits << 8 | byte;
    }
    value = static_cast<int64_t>(bits);
    return (value < 0) == negative;
  }
  std::size_t i = 0;
  while (i < N && field[i] == ' ') ++i;
  for (; i < N && field[i] >= '0' && field[i] <= '7'; ++i) value = value * 8 + (field[i] - '0');
  return i == N || field[i] == '\0' || field[i] == ' ';
}

unsigned checksum_of(const TarHeader& header) {
  unsigned sum = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  constexpr std::size_t kAt = offsetof(TarHeader, checksum);
  for (std::size_t i = 0; i < kBlock; ++i) sum += i >= kAt && i < kAt + sizeof header.checksum ? ' ' : bytes[i];
  return sum;
}

class Input {
 public:
  explicit Input(int fd) : fd_(fd) {}
  // Up to `limit` bytes that are there now; empty at the end of the stream, or with error() set.
  std::string_view some(std::size_t limit) {
    if (start_ == end_) {
      start_ = end_ = 0;
      ssize_t n = 0;
      do {
        n = ::read(fd_, buffer_, sizeof buffer_);
      } while (n < 0 && errno == EINTR);
      if (n < 0) error_ = errno;
      end_ = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
    const std::size_t size = std::min(limit, end_ - start_);
    const std::string_view bytes(buffer_ + start_, size);
    start_ += size;
    return bytes;
  }
  // Fills all of it; returns how much there was before the end.
  std::size_t fill(char* out, std::size_t size) {
    std::size_t got = 0;
    while (got < size) {
      const std::string_view bytes = some(size - got);
      if (bytes.empty()) break;
      std::memcpy(out + got, bytes.data(), bytes.size());
      got += bytes.size();
    }
    return got;
  }
  bool skip(uint64_t size) {
    while (size > 0) {
      const std::string_view bytes = some(static_cast<std::size_t>(std::min<uint64_t>(size, sizeof buffer_)));
      if (bytes.empty()) return false;
      size -= bytes.size();
    }
    return true;
  }
  [[nodiscard]] int error() const { return error_; }

 private:
  int fd_;
  char buffer_[std::size_t{128} << 10];
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  int error_ = 0;
};

uint64_t padding(uint64_t size) {
  return (kBlock - size % kBlock) % kBlock;
}

// A member's name without "./" before and "/" behind. False: it would lead out of the folder.
bool clean_name(std::string_view name, std::string& clean) {
  clean.clear();
  if (name.empty() || name[0] == '/' || name.size() > kMaxName || name.find('\0') != std::string_view::npos)
    return false;
  while (!name.empty()) {
    const std::size_t slash = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, slash);
    if (part == "..") return false;
    if (!part.empty() && part != ".") {
      if (!clean.empty()) clean += '/';
      clean += part;
    }
    name.remove_prefix(std::min(slash + 1, name.size()));
  }
  return true;
}

// What a pax header or GNU long name says of the member that follows.
struct Extension {
  std::string path;
  std::string link;
  bool has_size = false;
  bool sparse = false;
  uint64_t size = 0;
  bool has_mtime = false;
  int64_t mtime = 0;
};

bool parse_pax(std::string_view text, Extension& extension) {
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    if (blank == std::string_view::npos) return false;
    const auto length = parse_number(text.substr(0, blank));
    if (!length || *length <= blank + 1 || *length > text.size() || text[*length - 1] != '\n') return false;
    const std::string_view record = text.substr(blank + 1, *length - blank - 2);
    text.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key == "path") extension.path = value;
    if (key == "linkpath") extension.link = value;
    if (key.starts_with("GNU.sparse.")) extension.sparse = true;
    if (key == "size") {
      const auto size = parse_number(value);
      if (!size) return false;
      extension.has_size = true;
      extension.size = *size;
    }
    if (key == "mtime") {
      const auto seconds = parse_number(value.substr(0, value.find('.')));
      extension.has_mtime = seconds.has_value();
      if (seconds) extension.mtime = static_cast<int64_t>(*seconds);
    }
  }
  return true;
}

class Unpacker {
 public:
  Unpacker(int in, wire::ArchiveResult& result, wire::Failure& failure)
      : input_(in), result_(result), failure_(failure) {}

  bool run(const std::string& folder) {
    root_ = Fd(open_file(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) return fail(failure_, "open", folder);
    const Fd probe(open_beneath("."));
    has_openat2_ = static_cast<bool>(probe);
    TarHeader header{};
    bool zeros = false;
    while (true) {
      const std::size_t got = input_.fill(reinterpret_cast<char*>(&header), kBlock);
      if (got == 0 && zeros) break;
      if (got < kBlock) return cut_off("");
      const auto* bytes = reinterpret_cast<const char*>(&header);
      if (std::all_of(bytes, bytes + kBlock, [](char c) { return c == 0; })) {
        if (zeros) break;
        zeros = true;
        continue;
      }
      if (zeros) return fail(failure_, EBADMSG, "untar", "", "an empty header in the midst of the archive");
      if (!member(header)) return false;
    }
    while (!input_.some(kBlock).empty()) {
    }
    return finish_folders();
  }

 private:
  struct LateFolder {
    std::string name;
    mode_t mode;
    int64_t mtime;
  };

  bool cut_off(std::string_view name) {
    if (input_.error() != 0) {
      errno = input_.error();
      return fail(failure_, "read", name);
    }
    return fail(failure_, EBADMSG, "untar", name, "the archive ends in the midst of a member, or without its end mark");
  }

  int open_beneath(const char* path) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(::syscall(SYS_openat2, root_.get(), path, &how, sizeof how));
  }

  // Opens a folder under the root, whose links may not lead out of it; made where it is missing. Without openat2
  // (before Linux 5.6, or forbidden by an older seccomp filter) no link at all is followed.
  bool open_folder(const std::string& path, Fd& folder) {
    if (path.empty()) {
      folder = Fd(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 3));
      return static_cast<bool>(folder) || fail(failure_, "fcntl", path);
    }
    if (has_openat2_) {
      for (int i = 0; i < 16; ++i) {  // EAGAIN: somebody renames below while we look
        folder = Fd(open_beneath(path.c_str()));
        if (folder || errno != EAGAIN) break;
      }
      if (folder) return true;
      if (errno != ENOENT) return refused(path);
    }
    Fd at(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 3));
    std::size_t start = 0;
    while (start <= path.size()) {
      const std::size_t slash = std::min(path.find('/', start), path.size());
      const std::string part = path.substr(start, slash - start);
      const std::string so_far = path.substr(0, slash);
      Fd next(has_openat2_ ? open_beneath(so_far.c_str())
                           : open_at(at.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!next && errno == ENOENT) {
        if (::mkdirat(at.get(), part.c_str(), 0755) != 0) return fail(failure_, "mkdir", so_far);
        next = Fd(open_at(at.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      }
      if (!next) return refused(so_far);
      at = std::move(next);
      start = slash + 1;
    }
    folder = std::move(at);
    return true;
  }

  bool refused(const std::string& path) {
    if (errno == EXDEV || errno == ELOOP || (errno == ENOTDIR && !has_openat2_)) {
      return fail(failure_, errno, "untar", path,
                  "refused: a member would be written through a link that leads out of the folder");
    }
    return fail(failure_, "open", path);
  }

  // The folder that holds `name`, and the name's last part; the folder last used stays open.
  bool locate(const std::string& name, int& folder, std::string& last) {
    const std::size_t slash = name.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "" : name.substr(0, slash);
    last = slash == std::string::npos ? name : name.substr(slash + 1);
    if (!parent_ || parent != parent_name_) {
      parent_.reset();
      if (!open_folder(parent, parent_)) return false;
      parent_name_ = parent;
    }
    folder = parent_.get();
    return true;
  }

  bool read_text(uint64_t size, std::string& text, std::string_view what) {
    if (size > kMaxPax) return fail(failure_, EFBIG, "untar", what, "an extended header longer than a megabyte");
    text.resize(size);
    if (input_.fill(text.data(), size) < size || !input_.skip(padding(size))) return cut_off(what);
    return true;
  }

  bool member(const TarHeader& header) {
    int64_t checksum = 0, size_field = 0, mode = 0, mtime = 0;
    if (!number_of(header.checksum, checksum) || checksum != static_cast<int64_t>(checksum_of(header))) {
      return fail(failure_, EBADMSG, "untar", "", "a header's checksum is wrong: not a tar archive, or a damaged one");
    }
    const bool posix = std::memcmp(header.magic, "ustar\0", 6) == 0;
    std::string name(text_of(header.name));
    if (posix && header.prefix[0] != '\0') name = std::string(text_of(header.prefix)) + "/" + name;
    if (!number_of(header.size, size_field) || size_field < 0 || !number_of(header.mode, mode) ||
        !number_of(header.mtime, mtime)) {
      return fail(failure_, EBADMSG, "untar", name, "a number in its header is broken");
    }
    auto size = static_cast<uint64_t>(size_field);
    std::string text;
    switch (header.type) {
      case 'x':
        if (!read_text(size, text, name)) return false;
        return parse_pax(text, next_) || fail(failure_, EBADMSG, "untar", name, "a broken pax header");
      case 'g':
        return read_text(size, text, name);
      case 'L':
      case 'K':
        if (!read_text(size, text, name)) return false;
        (header.type == 'L' ? next_.path : next_.link) = text.substr(0, text.find('\0'));
        return true;
      default:
        break;
    }
    const Extension extension = std::exchange(next_, {});
    std::string link(text_of(header.link));
    if (!extension.path.empty()) name = extension.path;
    if (!extension.link.empty()) link = extension.link;
    if (extension.has_size) size = extension.size;
    if (extension.has_mtime) mtime = extension.mtime;
    if (extension.sparse) return fail(failure_, ENOTSUP, "untar", name, "sparse members are not supported");
    if (size > INT64_MAX) return fail(failure_, EFBIG, "untar", name, "its size is out of range");
    std::string clean;
    if (!clean_name(name, clean))
      return fail(failure_, EPERM, "untar", name, "refused: the name is absolute, has \"..\" in it, or is too long");
    ++result_.members;
    char type = header.type;
    if ((type == '0' || type == '\0') && name.ends_with('/')) type = '5';
    const auto bits = static_cast<mode_t>(mode & 01777);
    switch (type) {
      case '0':
      case '\0':
      case '7':
        return file(clean, size, bits, mtime);
      case '5':
        if (!input_.skip(size + padding(size))) return cut_off(name);
        return folder(clean, bits, mtime);
      case '2':
        if (!input_.skip(size + padding(size))) return cut_off(name);
        return symlink(clean, link);
      case '1':
        if (!input_.skip(size + padding(size))) return cut_off(name);
        return hard_link(clean, link);
      default:
        return fail(failure_, EPERM, "untar", name,
                    std::string("refused: member type '") + type + "' (devices, pipes and the like)");
    }
  }

  bool file(const std::string& name, uint64_t size, mode_t mode, int64_t mtime) {
    int at = -1;
    std::string last;
    if (name.empty()) return fail(failure_, EISDIR, "untar", name, "a file named like the folder itself");
    if (!locate(name, at, last)) return false;
    Fd out(open_at(at, last.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out && errno == EEXIST && ::unlinkat(at, last.c_str(), 0) == 0) {
      out = Fd(open_at(at, last.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    }
    if (!out) return fail(failure_, "open", name);
    for (uint64_t left = size; left > 0;) {
      const std::string_view bytes = input_.some(static_cast<std::size_t>(std::min<uint64_t>(left, SIZE_MAX)));
      if (bytes.empty()) return cut_off(name);
      if (!write_all(out.get(), bytes)) return fail(failure_, "write", name);
      left -= bytes.size();
      result_.bytes += bytes.size();
    }
    if (!input_.skip(padding(size))) return cut_off(name);
    if (::fchmod(out.get(), mode) != 0) return fail(failure_, "chmod", name);
    const timespec times[2] = {{mtime, 0}, {mtime, 0}};
    ::futimens(out.get(), times);
    return true;
  }

  bool folder(const std::string& name, mode_t mode, int64_t mtime) {
    if (name.empty()) return true;
    int at = -1;
    std::string last;
    if (!locate(name, at, last)) return false;
    if (::mkdirat(at, last.c_str(), 0700) != 0) {
      struct stat info{};
      if (errno != EEXIST || ::fstatat(at, last.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(failure_, "mkdir", name);
      if (S_ISLNK(info.st_mode)) {
        Fd existing;
        return open_folder(name, existing);  // a link to a folder inside stays
      }
      if (!S_ISDIR(info.st_mode) && (::unlinkat(at, last.c_str(), 0) != 0 || ::mkdirat(at, last.c_str(), 0700) != 0)) {
        return fail(failure_, "mkdir", name);
      }
      if ((info.st_mode & 0300) != 0300) ::fchmodat(at, last.c_str(), 0700, 0);
    }
    // Its own mode may forbid writing, and writing changes its time: both come last.
    if (late_.size() < kMaxLateFolders) late_.push_back({name, mode, mtime});
    return true;
  }

  bool finish_folders() {
    for (auto it = late_.rbegin(); it != late_.rend(); ++it) {
      int at = -1;
      std::string last;
      if (!locate(it->name, at, last)) return false;
      const Fd own(open_at(at, last.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!own) continue;
      const timespec times[2] = {{it->mtime, 0}, {it->mtime, 0}};
      ::futimens(own.get(), times);
      if (::fchmod(own.get(), it->mode) != 0) return fail(failure_, "chmod", it->name);
    }
    return true;
  }

  bool symlink(const std::string& name, const std::string& target) {
    int at = -1;
    std::string last;
    if (name.empty() || target.empty() || target.size() > kMaxName || target.find('\0') != std::string::npos) {
      return fail(failure_, EINVAL, "untar", name, "a link without a name or a target");
    }
    if (!locate(name, at, last)) return false;
    if (::symlinkat(target.c_str(), at, last.c_str()) == 0) return true;
    if (errno == EEXIST && ::unlinkat(at, last.c_str(), 0) == 0 && ::symlinkat(target.c_str(), at, last.c_str()) == 0)
      return true;
    return fail(failure_, "symlink", name);
  }

  bool hard_link(const std::string& name, const std::string& target) {
    std::string clean, last, target_last;
    if (!clean_name(target, clean) || clean.empty() || name.empty()) {
      return fail(failure_, EPERM, "untar", name, "refused: a hard link whose target is outside");
    }
    int at = -1;
    if (!locate(clean, at, target_last)) return false;
    const Fd source(::fcntl(at, F_DUPFD_CLOEXEC, 3));
    if (!locate(name, at, last)) return false;
    if (::linkat(source.get(), target_last.c_str(), at, last.c_str(), 0) == 0) return true;
    if (errno == EEXIST && ::unlinkat(at, last.c_str(), 0) == 0 &&
        ::linkat(source.get(), target_last.c_str(), at, last.c_str(), 0) == 0)
      return true;
    return fail(failure_, "link", name);
  }

  Input input_;
  wire::ArchiveResult& result_;
  wire::Failure& failure_;
  Fd root_;
  bool has_openat2_ = false;
  Fd parent_;
  std::string parent_name_;
  Extension next_;
  std::vector<LateFolder> late_;
};

class Packer {
 public:
  Packer(int out, wire::ArchiveResult& result, wire::Failure& failure)
      : out_(out), result_(result), failure_(failure) {}

  bool run(const std::string& path, const std::string& name) {
    if (!entry(AT_FDCWD, path, name, 0)) return false;
    const char zeros[2 * kBlock] = {};
    return put(std::string_view(zeros, sizeof zeros)) && flush();
  }

 private:
  bool put(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t size = std::min(bytes.size(), sizeof buffer_ - used_);
      std::memcpy(buffer_ + used_, bytes.data(), size);
      used_ += size;
      bytes.remove_prefix(size);
      if (used_ == sizeof buffer_ && !flush()) return false;
    }
    return true;
  }
  bool flush() {
    if (!write_all(out_, std::string_view(buffer_, used_))) return fail(failure_, "write", "archive");
    used_ = 0;
    return true;
  }
  bool pad(uint64_t size) {
    const char zeros[kBlock] = {};
    return put(std::string_view(zeros, static_cast<std::size_t>(padding(size))));
  }

  bool left_out(const std::string& name, const std::string& why) {
    ++result_.left_out;
    if (result_.first_problem.empty()) result_.first_problem = name.substr(0, 1024) + ": " + why;
    return true;
  }
  bool left_out(const std::string& name) { return left_out(name, std::strerror(errno)); }

  static void pax_record(std::string& text, std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;  // blank, equals sign, newline
    std::size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
    text += std::to_string(length) + ' ';
    text.append(key).append("=").append(value) += '\n';
  }

  template <std::size_t N>
  static void octal(char (&field)[N], uint64_t value) {
    for (std::size_t i = N - 1; i-- > 0; value /= 8) field[i] = static_cast<char>('0' + value % 8);
    field[N - 1] = '\0';
  }

  bool header(const std::string& name, char type, mode_t mode, uint64_t size, int64_t mtime, const std::string& link) {
    constexpr uint64_t kMaxOctal = (uint64_t{1} << 33) - 1;
    if (type != 'x') {
      std::string pax;
      if (name.size() > sizeof(TarHeader::name)) pax_record(pax, "path", name);
      if (link.size() > sizeof(TarHeader::link)) pax_record(pax, "linkpath", link);
      if (size > kMaxOctal) pax_record(pax, "size", std::to_string(size));
      if (!pax.empty() && (!header("PaxHeaders/member", 'x', 0644, pax.size(), 0, "") || !put(pax) || !pad(pax.size())))
        return false;
    }
    TarHeader h{};
    std::memcpy(h.name, name.data(), std::min(name.size(), sizeof h.name));
    std::memcpy(h.link, link.data(), std::min(link.size(), sizeof h.link));
    std::memcpy(h.magic, "ustar\0", 6);
    std::memcpy(h.version, "00", 2);
    octal(h.mode, mode & 07777);
    octal(h.uid, 0);
    octal(h.gid, 0);
    octal(h.size, std::min(size, kMaxOctal));
    octal(h.mtime, std::min(static_cast<uint64_t>(std::max<int64_t>(mtime, 0)), kMaxOctal));
    h.type = type;
    std::snprintf(h.checksum, sizeof h.checksum, "%06o", checksum_of(h));
    h.checksum[7] = ' ';
    return put(std::string_view(reinterpret_cast<const char*>(&h), sizeof h));
  }

  bool entry(int folder, const std::string& path, const std::string& name, int depth) {
    struct stat info{};
    if (::fstatat(folder, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (depth == 0) return fail(failure_, "stat", path);
      return errno == ENOENT || left_out(name);
    }
    if (S_ISLNK(info.st_mode)) {
      char target[kMaxName];
      const ssize_t n = ::readlinkat(folder, path.c_str(), target, sizeof target);
      if (n <= 0) return left_out(name);
      ++result_.members;
      return header(name, '2', 0777, 0, info.st_mtim.tv_sec, std::string(target, static_cast<std::size_t>(n)));
    }
    if (S_ISREG(info.st_mode)) return file(folder, path, name, depth);
    if (!S_ISDIR(info.st_mode)) return left_out(name, "not a file, folder or link");
    return tree(folder, path, name, depth);
  }

  bool file(int folder, const std::string& path, const std::string& name, int depth) {
    const Fd in(open_at(folder, path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat info{};
    if (!in || ::fstat(in.get(), &info) != 0) return depth == 0 ? fail(failure_, "open", path) : left_out(name);
    if (!S_ISREG(info.st_mode)) return left_out(name, "changed while it was read");
    const auto size = static_cast<uint64_t>(info.st_size);
    if (!header(name, '0', info.st_mode, size, info.st_mtim.tv_sec, "")) return false;
    ++result_.members;
    static char buffer[std::size_t{128} << 10];
    for (uint64_t left = size; left > 0;) {
      ssize_t n = ::read(in.get(), buffer, static_cast<std::size_t>(std::min<uint64_t>(left, sizeof buffer)));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {  // shorter than it said: the size in the header must be kept
        left_out(name, n < 0 ? std::strerror(errno) : "became shorter while it was read");
        std::memset(buffer, 0, sizeof buffer);
        for (; left > 0; left -= static_cast<uint64_t>(n)) {
          n = static_cast<ssize_t>(std::min<uint64_t>(left, sizeof buffer));
          if (!put(std::string_view(buffer, static_cast<std::size_t>(n)))) return false;
        }
        break;
      }
      if (!put(std::string_view(buffer, static_cast<std::size_t>(n)))) return false;
      left -= static_cast<uint64_t>(n);
      result_.bytes += static_cast<uint64_t>(n);
    }
    return pad(size);
  }

  bool tree(int folder, const std::string& path, const std::string& name, int depth) {
    if (depth >= kMaxDepth) return left_out(name, "too deep");
    const int fd = open_at(folder, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info{};
    DIR* entries = fd < 0 ? nullptr : ::fdopendir(fd);
    if (entries == nullptr || ::fstat(fd, &info) != 0) {
      if (entries != nullptr) {
        ::closedir(entries);
      } else if (fd >= 0) {
        ::close(fd);
      }
      return depth == 0 ? fail(failure_, "open", path) : left_out(name);
    }
    std::vector<std::string> names;
    while (const dirent* found = ::readdir(entries)) {
      const std::string_view each = found->d_name;
      if (each != "." && each != "..") names.emplace_back(each);
    }
    std::sort(names.begin(), names.end());  // the same tree gives the same bytes
    bool good = header(name + "/", '5', info.st_mode, 0, info.st_mtim.tv_sec, "");
    ++result_.members;
    for (std::size_t i = 0; good && i < names.size(); ++i)
      good = entry(fd, names[i], name == "." ? names[i] : name + "/" + names[i], depth + 1);
    ::closedir(entries);
    return good;
  }

  int out_;
  wire::ArchiveResult& result_;
  wire::Failure& failure_;
  char buffer_[std::size_t{64} << 10];
  std::size_t used_ = 0;
};

}  // namespace

bool unpack(int in, const std::string& folder, bool make_folder, wire::ArchiveResult& result, wire::Failure& failure) {
  if (folder.empty() || folder[0] != '/') return fail(failure, EINVAL, "untar", folder, "the path is not absolute");
  if (make_folder && !make_folders(folder, 0755)) return fail(failure, "mkdir", folder);
  Unpacker unpacker(in, result, failure);
  return unpacker.run(folder);
}

bool pack(int out, const std::string& path, const std::string& name, wire::ArchiveResult& result,
          wire::Failure& failure) {
  if (path.empty() || path[0] != '/') return fail(failure, EINVAL, "tar", path, "the path is not absolute");
  std::string root = name;
  if (root.empty()) {
    std::string_view trimmed = path;
    while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.remove_suffix(1);
    root = trimmed.substr(trimmed.find_last_of('/') + 1);
    if (root.empty() || root == "..") root = ".";
  }
  Packer packer(out, result, failure);
  return packer.run(path, root);
}

}  // namespace awm::helper
