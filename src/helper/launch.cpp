#include "launch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util.h"

namespace awm::helper {
namespace {

constexpr const char* kUsage =
    "awm-helper launch [--cgroup PROCS_FILE]... [--scratch FOLDER BYTES] [--owner UID GID] [--tree LOWER TARGET] "
    "[--copy]\n"
    "                  [--user-namespace] -- PROGRAM ARGUMENT...\n"
    "  In a mount namespace of its own (for an ordinary user: and a user namespace): a bounded memory file system at\n"
    "  FOLDER, with tmp, var-tmp, shm and home in it; LOWER shown writable at TARGET, what is written going to "
    "FOLDER;\n"
    "  then becomes PROGRAM.\n";

struct LaunchOptions {
  std::vector<std::string> cgroups;
  std::string scratch;
  std::string scratch_size;
  uid_t uid = 0;
  gid_t gid = 0;
  bool own_ids = false;
  std::string lower;
  std::string target;
  bool copy = false;
  bool user_namespace = false;
  char** program = nullptr;
};

// The reader is awm, which shows it to a person.
int complain(const std::string& what, int number, const std::string& remedy = {}) {
  std::fprintf(stderr, "awm-helper: launch: %s: %s%s%s\n", what.c_str(), std::strerror(number),
               remedy.empty() ? "" : "; ", remedy.c_str());
  return 1;
}

std::optional<LaunchOptions> parse(int argc, char** argv) {
  LaunchOptions options;
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    const int left = argc - i - 1;
    if (name == "--" && left >= 1) {
      options.program = argv + i + 1;
      return options;
    }
    if (name == "--copy") {
      options.copy = true;
    } else if (name == "--user-namespace") {
      options.user_namespace = true;
    } else if (name == "--cgroup" && left >= 1) {
      options.cgroups.emplace_back(argv[++i]);
    } else if (name == "--scratch" && left >= 2) {
      options.scratch = argv[i + 1];
      options.scratch_size = argv[i + 2];
      if (!parse_number(options.scratch_size)) return std::nullopt;
      i += 2;
    } else if (name == "--tree" && left >= 2) {
      options.lower = argv[i + 1];
      options.target = argv[i + 2];
      i += 2;
    } else if (name == "--owner" && left >= 2) {
      const auto uid = parse_number(argv[i + 1]);
      const auto gid = parse_number(argv[i + 2]);
      if (!uid || !gid || *uid >= UINT32_MAX || *gid >= UINT32_MAX) return std::nullopt;
      options.uid = static_cast<uid_t>(*uid);
      options.gid = static_cast<gid_t>(*gid);
      options.own_ids = true;
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// errno, or 0.
int write_file(const char* path, std::string_view text) {
  const int file = open_file(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  const int number = write_all(file, text) ? 0 : errno;
  ::close(file);
  return number;
}

// An ordinary user's own user namespace: root in it, so that file systems can be mounted; outside nothing more than
// before.
int enter_user_namespace(uid_t uid, gid_t gid) {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    const int number = errno;
    std::string remedy = "user namespaces are refused here: run awm as root, or allow them";
    if (number == ENOSPC) {
      remedy = "as root: sysctl user.max_user_namespaces=15000";
    } else if (::access("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", F_OK) == 0) {
      remedy =
          "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give bwrap and awm-helper an AppArmor "
          "profile"
          " with \"userns,\"";
    } else if (::access("/proc/sys/kernel/unprivileged_userns_clone", F_OK) == 0) {
      remedy = "as root: sysctl kernel.unprivileged_userns_clone=1";
    }
    return complain("make a user namespace", number, remedy);
  }
  if (const int number = write_file("/proc/self/setgroups", "deny"); number != 0 && number != ENOENT)
    return complain("write /proc/self/setgroups", number);
  char map[64];
  std::snprintf(map, sizeof map, "0 %u 1", gid);
  if (const int number = write_file("/proc/self/gid_map", map); number != 0)
    return complain("write /proc/self/gid_map", number);
  std::snprintf(map, sizeof map, "0 %u 1", uid);
  if (const int number = write_file("/proc/self/uid_map", map); number != 0) {
    // Ubuntu's AppArmor lets the namespace be made, and takes every right in it away.
    return complain(
        "write /proc/self/uid_map", errno,
        "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give bwrap and awm-helper an AppArmor"
        " profile with \"userns,\"");
  }
  return 0;
}

// In a chroot the root folder is no mount point, and bubblewrap's pivot_root fails. Bound somewhere, moved onto the
// root and entered, it is one.
int make_root_a_mount(const std::string& at) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0) return 0;
  if (errno != EINVAL) return complain("make the mounts our own", errno);
  if (at.empty()) return complain("make the root folder a mount point", EINVAL);
  // Everything mounted below is taken along. It must not be bound into itself without end, so the place is not below it
  // yet.
  if (::mount("/", at.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) return complain("bind / to " + at, errno);
  if (::mount(nullptr, at.c_str(), nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return complain("own the mounts of " + at, errno);
  if (::chdir(at.c_str()) != 0) return complain("enter " + at, errno);
  if (::chroot(".") != 0) return complain("make " + at + " the root", errno);
  if (::chdir("/") != 0) return complain("enter /", errno);
  return 0;
}

bool make_folder(const std::string& path, mode_t mode, const LaunchOptions& options) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return false;
  if (::chmod(path.c_str(), mode) != 0) return false;
  return !options.own_ids || ::chown(path.c_str(), options.uid, options.gid) == 0;
}

bool copy_file(int from_folder, int to_folder, const char* name, const struct stat& info) {
  Fd from(open_at(from_folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!from) return false;
  Fd to(open_at(to_folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) return false;
  static char buffer[std::size_t{256} << 10];
  ssize_t n = 0;
  while ((n = ::read(from.get(), buffer, sizeof buffer)) != 0) {
    if (n < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    if (!write_all(to.get(), std::string_view(buffer, static_cast<std::size_t>(n)))) return false;
  }
  const timespec times[2] = {info.st_atim, info.st_mtim};
  return ::fchmod(to.get(), info.st_mode & 07777) == 0 && ::futimens(to.get(), times) == 0;
}

// Files, links and folders with modes and times: git's index knows files by their time and size.
bool copy_tree(int from, int to, const LaunchOptions& options, std::string* problem) {
  DIR* listing = ::fdopendir(::fcntl(from, F_DUPFD_CLOEXEC, 3));
  if (listing == nullptr) return false;
  bool good = true;
  while (good) {
    errno = 0;
    const dirent* entry = ::readdir(listing);
    if (entry == nullptr) {
      good = errno == 0;
      break;
    }
    const char* name = entry->d_name;
    if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
    struct stat info{};
    good = ::fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (good && S_ISDIR(info.st_mode)) {
      Fd below(open_at(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      good = below && ::mkdirat(to, name, 0700) == 0;
      Fd made(good ? open_at(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1);
      good = good && made && copy_tree(below.get(), made.get(), options, problem);
      const timespec times[2] = {info.st_atim, info.st_mtim};
      good = good && ::fchmod(made.get(), info.st_mode & 07777) == 0 && ::futimens(made.get(), times) == 0;
    } else if (good && S_ISLNK(info.st_mode)) {
      std::string text(static_cast<std::size_t>(info.st_size) + 1, '\0');
      const ssize_t n = ::readlinkat(from, name, text.data(), text.size());
      good = n >= 0 && n <= static_cast<ssize_t>(info.st_size);
      if (good) text.resize(static_cast<std::size_t>(n));
      good = good && ::symlinkat(text.c_str(), to, name) == 0;
      const timespec times[2] = {info.st_atim, info.st_mtim};
      good = good && ::utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) == 0;
    } else if (good && S_ISREG(info.st_mode)) {
      good = copy_file(from, to, name, info);
    }
    if (good && options.own_ids) good = ::fchownat(to, name, options.uid, options.gid, AT_SYMLINK_NOFOLLOW) == 0;
    if (!good && problem->empty()) *problem = name;
  }
  const int saved = errno;
  ::closedir(listing);
  errno = saved;
  return good;
}

// LOWER read-only below, changes in the scratch file system. 0: mounted; else errno.
int mount_overlay(const LaunchOptions& options, bool in_user_namespace) {
  const std::string upper = options.scratch + "/upper";
  const std::string work = options.scratch + "/work";
  struct stat lower{};
  if (::stat(options.lower.c_str(), &lower) != 0) return errno;
  if (!make_folder(upper, lower.st_mode & 07777, options) || ::mkdir(work.c_str(), 0700) != 0) return errno;
  // Without extended attributes above, a folder removed and made again would show what was in it before.
  const char* attribute = in_user_namespace ? "user.awm" : "trusted.awm";
  if (::setxattr(upper.c_str(), attribute, "1", 1, 0) != 0) return errno;
  ::removexattr(upper.c_str(), attribute);
  // By descriptor: whatever characters are in the paths, the option's syntax has none of them.
  Fd lower_fd(open_file(options.lower.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Fd upper_fd(open_file(upper.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  Fd work_fd(open_file(work.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!lower_fd || !upper_fd || !work_fd) return errno;
  char text[256];
  std::snprintf(text, sizeof text, "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d%s",
                lower_fd.get(), upper_fd.get(), work_fd.get(), in_user_namespace ? ",userxattr" : ",redirect_dir=on");
  if (::mount("overlay", options.target.c_str(), "overlay", MS_NODEV | MS_NOSUID, text) == 0) return 0;
  return errno;
}

int make_tree(const LaunchOptions& options, bool in_user_namespace) {
  int number = ENOTSUP;
  if (!options.copy) number = mount_overlay(options, in_user_namespace);
  if (number == 0) return 0;
  const std::string copied = options.scratch + "/tree";
  struct stat info{};
  if (::stat(options.lower.c_str(), &info) != 0) return complain("look at " + options.lower, errno);
  if (!make_folder(copied, info.st_mode & 07777, options)) return complain("make " + copied, errno);
  Fd from(open_file(options.lower.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Fd to(open_file(copied.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string problem;
  if (!from || !to || !copy_tree(from.get(), to.get(), options, &problem)) {
    return complain("copy " + options.lower + (problem.empty() ? "" : " (" + problem + ")"), errno,
                    "an overlay was not possible: " + std::string(std::strerror(number)));
  }
  if (::mount(copied.c_str(), options.target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return complain("bind " + copied, errno);
  return 0;
}

int launch(const LaunchOptions& options) {
  for (const std::string& file : options.cgroups) {
    if (const int number = write_file(file.c_str(), "0"); number != 0)
      return complain("enter the cgroup " + file, number);
  }
  ::umask(022);
  const bool in_user_namespace = options.user_namespace || ::geteuid() != 0;
  if (in_user_namespace) {
    if (const int code = enter_user_namespace(::geteuid(), ::getegid()); code != 0) return code;
  } else if (::unshare(CLONE_NEWNS) != 0) {
    return complain("make a mount namespace", errno, "awm needs CAP_SYS_ADMIN here, or to be run by an ordinary user");
  }
  if (const int code = make_root_a_mount(options.scratch); code != 0) return code;
  if (::access("/proc/self/fd", F_OK) != 0) return complain("use /proc", errno, "as root: mount -t proc proc /proc");
  if (!options.scratch.empty()) {
    const std::string size = "mode=0755,size=" + options.scratch_size;
    if (::mount("awm-scratch", options.scratch.c_str(), "tmpfs", MS_NODEV | MS_NOSUID, size.c_str()) != 0)
      return complain("mount the scratch file system", errno);
    for (const char* shared : {"/tmp", "/var-tmp", "/shm"}) {
      LaunchOptions unowned = options;
      unowned.own_ids = false;
      if (!make_folder(options.scratch + shared, 01777, unowned)) return complain(std::string("make ") + shared, errno);
    }
    if (!make_folder(options.scratch + "/home", 0755, options)) return complain("make the home folder", errno);
    if (!make_folder(options.scratch + "/empty", 0755, options)) return complain("make an empty folder", errno);
  }
  if (!options.lower.empty()) {
    if (const int code = make_tree(options, in_user_namespace); code != 0) return code;
  }
  // A change of identity took it away.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execv(options.program[0], options.program);
  return complain(std::string("start ") + options.program[0], errno);
}

}  // namespace
}  // namespace awm::helper

int launch_main(int argc, char** argv) {
  const auto options = awm::helper::parse(argc, argv);
  if (!options) {
    std::fputs(awm::helper::kUsage, stderr);
    return 2;
  }
  return awm::helper::launch(*options);
}
