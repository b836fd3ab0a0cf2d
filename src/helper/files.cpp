#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "util.h"

namespace awm::helper {

namespace {

bool fail(wire::Failure& failure, int number, const char* operation, const std::string& object) {
  failure = {number, operation, object, std::strerror(number)};
  return false;
}

bool fail(wire::Failure& failure, const char* operation, const std::string& object) {
  return fail(failure, errno, operation, object);
}

bool check_path(const std::string& path, const char* operation, wire::Failure& failure) {
  if (path.empty() || path[0] != '/') {
    failure = {EINVAL, operation, path, "the path is not absolute"};
    return false;
  }
  if (path.find('\0') != std::string::npos) {
    failure = {EINVAL, operation, path.substr(0, path.find('\0')), "the path has a NUL byte in it"};
    return false;
  }
  return true;
}

wire::FileInfo info_of(const struct stat& s) {
  wire::FileInfo info;
  info.type = S_ISREG(s.st_mode)   ? wire::FileType::file
              : S_ISDIR(s.st_mode) ? wire::FileType::folder
              : S_ISLNK(s.st_mode) ? wire::FileType::link
                                   : wire::FileType::other;
  info.size = static_cast<uint64_t>(s.st_size);
  info.mode = s.st_mode & 07777;
  info.modified_s = s.st_mtim.tv_sec;
  info.uid = s.st_uid;
  info.gid = s.st_gid;
  return info;
}

std::string link_target(int folder, const char* name) {
  char target[4096];
  const ssize_t n = ::readlinkat(folder, name, target, sizeof target);
  return n > 0 ? std::string(target, static_cast<std::size_t>(n)) : std::string();
}

bool in_proc(int fd) {
  struct statfs fs{};
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

// Is it a file about the helper itself? Those a command may not read; through us it may not either.
bool about_the_helper(int fd) {
  if (!in_proc(fd)) return false;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const std::string name = link_target(AT_FDCWD, path);
  const std::string own = "/proc/" + std::to_string(::getpid()) + "/";
  return name.find(own) != std::string::npos || name.find("/proc/self/") != std::string::npos;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Removes everything in an open folder. Deeper than kMaxDepth, a folder is moved up to the tree's root, to be taken
// from there: neither the stack nor the descriptors grow with the depth of what a command made.
constexpr int kMaxDepth = 64;

struct Removal {
  int root = -1;
  unsigned moved = 0;
  wire::Failure first;  // number 0: none
  void note(const char* operation, const std::string& object) {
    if (first.number == 0) fail(first, operation, object);
  }
};

void empty_folder(Removal& removal, int folder, const std::string& path, int depth);

void remove_entry(Removal& removal, int folder, const std::string& name, const std::string& path, int depth) {
  if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) return removal.note("unlink", path);
  if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
  if (errno == ENOTDIR) {
    errno = EPERM;
    return removal.note("unlink", path);
  }
  if (depth >= kMaxDepth) {
    const std::string up = ".awm-removed-" + std::to_string(::getpid()) + "-" + std::to_string(removal.moved++);
    if (::renameat(folder, name.c_str(), removal.root, up.c_str()) != 0) removal.note("rename", path);
    return;
  }
  int fd = open_at(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == EACCES && ::fchmodat(folder, name.c_str(), 0700, 0) == 0) {
    fd = open_at(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) return removal.note("open", path);
  const Fd own(fd);
  if (depth == 0) removal.root = own.get();
  // Others may go on writing into it: a few rounds, and those that moving up needs.
  for (int round = 0; round < 8; ++round) {
    const unsigned moved = removal.moved;
    empty_folder(removal, own.get(), path, depth + 1);
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    if (errno != ENOTEMPTY && errno != EEXIST) break;
    if (removal.moved != moved) round = -1;
  }
  removal.note("rmdir", path);
}

void empty_folder(Removal& removal, int folder, const std::string& path, int depth) {
  struct stat info{};
  if (::fstat(folder, &info) == 0 && (info.st_mode & 0300) != 0300) ::fchmod(folder, 0700);
  const int copy = open_at(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* entries = copy < 0 ? nullptr : ::fdopendir(copy);
  if (entries == nullptr) {
    if (copy >= 0) ::close(copy);
    return removal.note("opendir", path);
  }
  while (const dirent* entry = ::readdir(entries)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    remove_entry(removal, folder, name, path.size() < 4096 ? std::string(path).append("/").append(name) : path, depth);
  }
  ::closedir(entries);
}

}  // namespace

bool make_folders(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) == 0) return true;
  struct stat info{};
  if (errno == EEXIST) {
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return true;
    errno = ENOTDIR;
    return false;
  }
  if (errno != ENOENT) return false;
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (::mkdir(path.substr(0, slash).c_str(), mode | 0700) != 0 && errno != EEXIST) return false;
  }
  return ::mkdir(path.c_str(), mode) == 0 ||
         (errno == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode));
}

bool read_file(const wire::Read& request, wire::ReadResult& result, wire::Failure& failure) {
  if (!check_path(request.path, "open", failure)) return false;
  const Fd file(open_file(request.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return fail(failure, "open", request.path);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail(failure, "stat", request.path);
  if (S_ISDIR(info.st_mode)) return fail(failure, EISDIR, "read", request.path);
  if (!S_ISREG(info.st_mode)) {
    failure = {EINVAL, "read", request.path, "not a regular file"};
    return false;
  }
  if (about_the_helper(file.get())) return fail(failure, EACCES, "open", request.path);
  if (request.offset > INT64_MAX) return fail(failure, EINVAL, "read", request.path);
  result.info = info_of(info);
  const std::size_t limit = std::min<std::size_t>(request.limit, wire::kMaxRead);
  while (result.bytes.size() < limit) {
    const std::size_t had = result.bytes.size();
    const std::size_t want = std::min(limit - had, std::size_t{256} << 10);
    result.bytes.resize(had + want);
    const ssize_t n = ::pread(file.get(), result.bytes.data() + had, want, static_cast<off_t>(request.offset + had));
    const int number = errno;
    result.bytes.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && number == EINTR) continue;
    if (n < 0) return fail(failure, number, "read", request.path);
    if (n == 0) {
      result.end = true;
      break;
    }
  }
  if (!result.end && request.offset + result.bytes.size() == result.info.size) result.end = true;
  return true;
}

bool write_file(const wire::Write& request, wire::Failure& failure) {
  if (!check_path(request.path, "open", failure)) return false;
  if (request.append && request.atomic) return fail(failure, EINVAL, "write", request.path);
  if (request.parents && !make_folders(folder_of(request.path), 0755))
    return fail(failure, "mkdir", folder_of(request.path));
  std::string path = request.path;
  std::string beside;
  unsigned mode = request.mode & 07777;
  Fd file;
  if (request.atomic) {
    char real[PATH_MAX];
    struct stat info{};
    if (::realpath(path.c_str(), real) != nullptr) path = real;
    if (::stat(path.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) return fail(failure, EISDIR, "write", request.path);
      if (!S_ISREG(info.st_mode)) return fail(failure, EINVAL, "write", request.path);
      if (::access(path.c_str(), W_OK) != 0) return fail(failure, "open", request.path);
      mode = info.st_mode & 07777;
    }
    static unsigned counter = 0;
    beside = path + ".awm-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    file = Fd(open_file(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return fail(failure, "open", beside);
  } else {
    file = Fd(open_file(
        path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (request.append ? O_APPEND : 0), mode));
    if (!file) return fail(failure, "open", path);
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    failure = {EINVAL, "write", request.path, "not a regular file"};
    return false;
  }
  if (in_proc(file.get())) return fail(failure, EACCES, "write", request.path);
  if (!request.append && !request.atomic && ::ftruncate(file.get(), 0) != 0)
    return fail(failure, "truncate", request.path);
  bool good = write_all(file.get(), request.bytes);
  if (good && request.atomic) good = ::fchmod(file.get(), mode) == 0 && ::rename(beside.c_str(), path.c_str()) == 0;
  if (good) return true;
  const int number = errno;
  if (!beside.empty()) ::unlink(beside.c_str());
  return fail(failure, number, "write", request.path);
}

bool stat_file(const wire::Stat& request, wire::FileInfo& result, wire::Failure& failure) {
  if (!check_path(request.path, "stat", failure)) return false;
  struct stat info{};
  if (::fstatat(AT_FDCWD, request.path.c_str(), &info, request.follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
    return fail(failure, "stat", request.path);
  result = info_of(info);
  if (result.type == wire::FileType::link) result.target = link_target(AT_FDCWD, request.path.c_str());
  return true;
}

bool list_folder(const wire::List& request, wire::ListResult& result, wire::Failure& failure) {
  if (!check_path(request.path, "opendir", failure)) return false;
  DIR* entries = ::opendir(request.path.c_str());
  if (entries == nullptr) return fail(failure, "opendir", request.path);
  std::size_t size = 0;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info{};
    if (::fstatat(::dirfd(entries), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
    wire::Entry found{name, info_of(info)};
    if (found.info.type == wire::FileType::link) found.info.target = link_target(::dirfd(entries), name.c_str());
    size += name.size() + found.info.target.size() + 64;
    if (size > wire::kMaxPayload / 2) {
      result.truncated = true;
      break;
    }
    result.entries.push_back(std::move(found));
  }
  ::closedir(entries);
  std::sort(result.entries.begin(), result.entries.end(),
            [](const wire::Entry& a, const wire::Entry& b) { return a.name < b.name; });
  return true;
}

bool make_folder(const wire::Mkdir& request, wire::Failure& failure) {
  if (!check_path(request.path, "mkdir", failure)) return false;
  const bool made = request.parents ? make_folders(request.path, request.mode & 07777)
                                    : ::mkdir(request.path.c_str(), request.mode & 07777) == 0;
  return made || fail(failure, "mkdir", request.path);
}

bool rename_file(const wire::Rename& request, wire::Failure& failure) {
  if (!check_path(request.from, "rename", failure) || !check_path(request.to, "rename", failure)) return false;
  return ::rename(request.from.c_str(), request.to.c_str()) == 0 || fail(failure, "rename", request.from);
}

bool remove_path(const wire::Remove& request, wire::Failure& failure) {
  if (!check_path(request.path, "remove", failure)) return false;
  std::string path = request.path;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT && request.missing_ok) return true;
    return fail(failure, "stat", path);
  }
  if (!S_ISDIR(info.st_mode)) return ::unlink(path.c_str()) == 0 || fail(failure, "unlink", path);
  if (!request.recursive) return ::rmdir(path.c_str()) == 0 || fail(failure, "rmdir", path);
  const std::size_t slash = path.find_last_of('/');
  const std::string name = path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") return fail(failure, EINVAL, "remove", path);
  const Fd folder(open_file(folder_of(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return fail(failure, "open", folder_of(path));
  Removal removal;
  remove_entry(removal, folder.get(), name, path, 0);
  failure = removal.first;
  return removal.first.number == 0;
}

}  // namespace awm::helper
