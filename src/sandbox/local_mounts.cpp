#include "sandbox/local_mounts.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/text.h"
#include "os/file.h"
#include "os/sys.h"
#include "sandbox/checkout.h"

namespace awm {
namespace {

// What is not there, or not for this user, is nothing to show or to hide; what could not be looked at must not be taken
// for that: a sandbox without a folder fails tests, and one with a secret shows it.
template <class T>
Result<std::optional<T>> known(Result<T> looked_at) {
  if (looked_at) return std::optional<T>(*std::move(looked_at));
  const auto& error = looked_at.error();
  if (error.code == Errc::not_found || error.code == Errc::permission) return std::optional<T>();
  return std::unexpected(std::move(looked_at).error());
}

// Of what is shown if it can be: a mount whose server is dead, or a link in a circle, has nothing for anybody. Not of
// what is to be hidden: the server may come back.
template <class T>
Result<std::optional<T>> alive(Result<T> looked_at) {
  if (!looked_at) {
    for (const int dead : {ENOTCONN, ESTALE, EHOSTDOWN, ELOOP}) {
      if (looked_at.error().os_errno == dead) return std::optional<T>();
    }
  }
  return known(std::move(looked_at));
}

// A folder with more entries than this is not taken apart to put a mount point into it.
constexpr std::size_t max_rebuilt_entries = 512;

// Of the root folder: made by ourselves, or not shown at all.
const std::set<std::string>& own_places() {
  static const std::set<std::string> places{"proc", "dev",     "run",  "tmp",       "root",
                                            "home", "testbed", ".awm", "lost+found"};
  return places;
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return path != "/";
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path == folder || is_below(path, folder);
}

class Arguments {
 public:
  explicit Arguments(const LocalMounts& mounts) : mounts_(mounts) {}

  Result<std::vector<std::string>> build() {
    AWM_CHECK(plan_hiding());
    namespaces();
    AWM_CHECK(root());
    own_file_systems();
    // Folders are taken apart for mount points before anything is hidden, so that nothing hidden is shown again.
    for (const auto& bind : mounts_.binds) AWM_CHECK(plan_bind(bind));
    hide();
    AWM_CHECK(own_folders());
    for (const auto& bind : planned_) {
      make_folders_for(bind);
      add(bind.writable ? "--bind" : "--ro-bind", bind.source, bind.target);
    }
    seal();
    return std::move(words_);
  }

 private:
  struct PlannedBind {
    std::string source;
    std::string target;
    bool writable = false;
    std::vector<std::string> missing;  // folders above the target to be made, innermost first
  };

  template <class... Word>
  void add(Word&&... word) {
    (words_.emplace_back(std::forward<Word>(word)), ...);
  }

  void namespaces() {
    add("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox",
        "--die-with-parent", "--as-pid-1");
    if (!mounts_.network) add("--unshare-net");
    if (mounts_.as_root) {
      // What the helper needs to give up its identity; it drops these as well before any command runs.
      add("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP");
    } else {
      const auto id = std::to_string(local_sandbox_uid);
      add("--unshare-user", "--uid", id, "--gid", id);
    }
  }

  // The root folder is ours, so that mount points can be made in it; its folders are the host's.
  Result<void> root() {
    AWM_TRY(auto names, sys::list_folder("/"));
    std::sort(names.begin(), names.end());
    for (const auto& name : names) {
      if (!own_places().contains(name)) AWM_CHECK(show("/" + name));
    }
    rebuilt_.insert("/");
    return {};
  }

  // One entry of the host, read-only, as it is; nothing where it is neither folder, link nor file that can be shown.
  Result<void> show(const std::string& path) {
    AWM_TRY(const auto info, alive(sys::lstat(path)));
    if (!info) return {};
    if (info->type == sys::FileInfo::Type::link) {
      AWM_TRY(const auto target, alive(sys::readlink(path)));
      if (target) add("--symlink", *target, path);
    } else if (info->type == sys::FileInfo::Type::folder ||
               (info->type == sys::FileInfo::Type::file && parent_path(path) != "/")) {
      add("--ro-bind-try", path, path);
    }
    return {};
  }

  void own_file_systems() {
    add("--proc", "/proc", "--dev", "/dev");
    // Settings of the kernel belong to root's number alone, whatever rights it lacks; where that number is ours, they
    // would be a way out.
    for (const auto* place : {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"})
      add("--ro-bind-try", place, place);
    add("--bind", join_path(mounts_.scratch, "shm"), "/dev/shm", "--remount-ro", "/dev");
  }

  [[nodiscard]] bool is_covered(const std::string& path) const {
    return std::any_of(covered_.begin(), covered_.end(),
                       [&](const std::string& one) { return is_at_or_below(path, one); });
  }

  Result<void> plan_hiding() {
    std::set<std::string> paths{"/root", "/home", "/run", "/tmp"};
    // A folder of its own on some systems, a link to /run on most.
    for (const auto* place : {"/var/run", "/var/tmp", "/sys/fs/cgroup"}) {
      AWM_TRY(const auto info, known(sys::lstat(place)));
      if (info && info->type == sys::FileInfo::Type::folder) paths.insert(place);
    }
    std::vector<std::string> wanted = mounts_.hidden_paths;
    if (const auto home = sys::environment("HOME")) wanted.push_back(*home);
    for (const auto& path : wanted) {
      if (path.empty() || !path.starts_with('/')) continue;
      AWM_TRY(const auto folded, absolute_path(path));
      if (folded == "/") continue;
      paths.insert(folded);
      // Reached by a link, the place itself is hidden as well.
      AWM_TRY(const auto real, known(sys::realpath(folded)));
      if (real && *real != "/") paths.insert(*real);
    }
    // In order, so that what lies below something hidden comes after it and is left out.
    for (const auto& path : paths) {
      if (is_covered(path)) continue;
      AWM_TRY(const auto info, known(sys::lstat(path)));
      const bool ours = path == "/root" || path == "/home" || path == "/run" || path == "/tmp";
      if (ours || (info && info->type == sys::FileInfo::Type::folder)) {
        covered_.push_back(path);
      } else if (info && info->type != sys::FileInfo::Type::link) {
        masked_files_.push_back(path);
      }
    }
    for (const auto* secret : {"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-"}) {
      if (exists(secret)) masked_files_.emplace_back(secret);
    }
    AWM_TRY(const auto sockets, known(read_file("/proc/net/unix", std::size_t{64} << 20)));
    if (!sockets) return {};
    for (const auto& path : named_sockets(*sockets)) {
      AWM_TRY(const auto real, alive(sys::realpath(path)));
      if (!real || is_covered(*real) || is_below(*real, "/dev") || is_below(*real, "/proc")) continue;
      AWM_TRY(const auto info, alive(sys::lstat(*real)));
      if (info && info->type == sys::FileInfo::Type::socket) masked_files_.push_back(*real);
    }
    return {};
  }

  void hide() {
    for (const auto& path : covered_) add("--perms", "0755", "--tmpfs", path);
    for (const auto& path : masked_files_) add("--ro-bind-try", "/dev/null", path);
  }

  Result<void> own_folders() {
    add("--bind", join_path(mounts_.scratch, "tmp"), "/tmp");
    if (std::find(covered_.begin(), covered_.end(), "/var/tmp") != covered_.end())
      add("--bind", join_path(mounts_.scratch, "var-tmp"), "/var/tmp");
    add("--perms", "0755", "--dir", home_inside, "--bind", join_path(mounts_.scratch, "home"), home_inside);
    add("--perms", "0755", "--dir", "/testbed", "--bind", mounts_.testbed, "/testbed");
    add("--perms", "0755", "--dir", "/.awm", "--ro-bind", mounts_.helper, helper_inside);
    if (!mounts_.history.empty())
      add("--perms", "0755", "--dir", history_inside, "--ro-bind", mounts_.history, history_inside);
    if (exists("/etc/passwd")) add("--ro-bind", mounts_.passwd, "/etc/passwd");
    if (exists("/etc/group")) add("--ro-bind", mounts_.group, "/etc/group");
    // Names are resolved by a file that often lies in /run.
    if (mounts_.network) {
      const auto real = sys::realpath("/etc/resolv.conf");
      if (real && is_covered(*real)) {
        PlannedBind names{.source = *real, .target = *real, .writable = false, .missing = {}};
        AWM_CHECK(plan_parents(names));
        make_folders_for(names);
        add("--ro-bind", *real, *real);
      }
    }
    return {};
  }

  Result<void> plan_bind(const LocalBind& bind) {
    const auto words = "bind " + bind.source + (bind.target.empty() ? "" : ":" + bind.target);
    const auto target_text = bind.target.empty() ? bind.source : bind.target;
    if (!bind.source.starts_with('/') || !target_text.starts_with('/')) {
      return fail(Errc::invalid_input, "use", words, "its paths are not absolute");
    }
    AWM_TRY(const auto source, absolute_path(bind.source));
    AWM_TRY(const auto target, absolute_path(target_text));
    if (!exists(source)) return fail(Errc::not_found, "use", words, "there is no " + source);
    for (const auto* place : {"/", "/proc", "/dev", "/testbed", "/.awm"}) {
      if (target == place)
        return fail(Errc::invalid_input, "use", words, std::string("the sandbox has its own ") + place);
    }
    if (is_below(target, "/proc") || is_below(target, "/dev") || is_below(target, "/.awm")) {
      return fail(Errc::invalid_input, "use", words, "the sandbox has its own " + parent_path(target));
    }
    PlannedBind planned{.source = source, .target = real_target(target), .writable = bind.writable, .missing = {}};
    AWM_CHECK(plan_parents(planned));
    planned_.push_back(std::move(planned));
    return {};
  }

  // Without links of the host's in what is there of it: a mount point below a link cannot be made.
  [[nodiscard]] std::string real_target(const std::string& target) const {
    std::string there = parent_path(target);
    while (there != "/" && !exists(there)) there = parent_path(there);
    if (there == "/" || is_inside_ours(there)) return target;
    const auto real = sys::realpath(there);
    return real ? *real + target.substr(there.size()) : target;
  }

  // Folders above a mount point, for everybody to pass: bubblewrap would make them its own user's alone.
  Result<void> plan_parents(PlannedBind& bind) {
    std::string folder = parent_path(bind.target);
    while (folder != "/" && !can_take_folders(folder)) {
      if (!is_inside_ours(folder) && is_folder(folder)) break;
      bind.missing.push_back(folder);
      folder = parent_path(folder);
    }
    const bool there = bind.missing.empty() && !is_inside_ours(bind.target) && exists(bind.target);
    if (!there && !can_take_folders(folder)) AWM_CHECK(rebuild(folder, bind.target));
    return {};
  }

  void make_folders_for(const PlannedBind& bind) {
    for (auto path = bind.missing.rbegin(); path != bind.missing.rend(); ++path) add("--perms", "0755", "--dir", *path);
  }

  // Places in which folders can be made: what we cover, and what was taken apart.
  [[nodiscard]] bool can_take_folders(const std::string& path) const {
    return rebuilt_.contains(path) || std::find(covered_.begin(), covered_.end(), path) != covered_.end();
  }
  // Not the host's entry at this path, whether there is one or not.
  [[nodiscard]] bool is_inside_ours(const std::string& path) const {
    return is_covered(path) || is_at_or_below(path, "/testbed");
  }

  // The host's folder is read-only, so a mount point cannot be made in it: an empty one takes its place, with the same
  // entries.
  Result<void> rebuild(const std::string& folder, const std::string& target) {
    AWM_TRY(auto names, sys::list_folder(folder));
    if (names.size() > max_rebuilt_entries) {
      return fail(Errc::invalid_input, "use", "bind to " + target,
                  folder + " has too many entries to make a place for it",
                  "make the folder " + target + " on this machine first");
    }
    std::sort(names.begin(), names.end());
    add("--perms", "0755", "--tmpfs", folder);
    for (const auto& name : names) AWM_CHECK(show(join_path(folder, name)));
    rebuilt_.insert(folder);
    return {};
  }

  // What is ours and empty would else be a place to write without a bound.
  void seal() {
    for (const auto& path : covered_) {
      if (path != "/tmp" && path != "/var/tmp") add("--remount-ro", path);
    }
    for (const auto& path : rebuilt_) {
      if (path != "/") add("--remount-ro", path);
    }
    add("--remount-ro", "/");
  }

  const LocalMounts& mounts_;
  std::vector<std::string> words_;
  std::vector<std::string> covered_;
  std::set<std::string> rebuilt_;
  std::vector<std::string> masked_files_;
  std::vector<PlannedBind> planned_;
};

}  // namespace

Result<std::vector<std::string>> bubblewrap_arguments(const LocalMounts& mounts) {
  return Arguments(mounts).build();
}

std::vector<std::string> named_sockets(std::string_view proc_net_unix) {
  // "Num RefCount Protocol Flags Type St Inode Path"; the path comes last and may hold spaces.
  std::set<std::string> paths;
  for (const auto line : split_lines(proc_net_unix)) {
    const auto slash = line.find(" /");
    if (slash != std::string_view::npos) paths.emplace(line.substr(slash + 1));
  }
  return {paths.begin(), paths.end()};
}

}  // namespace awm
