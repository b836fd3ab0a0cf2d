#include "sandbox/cgroup.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <optional>
#include <set>

#include "base/text.h"
#include "os/file.h"
#include "os/owner.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::string_view name_prefix = "awm-";

struct Mount {
  std::string root;
  std::string point;
  std::string type;
  std::set<std::string> options;  // of the file system: the controllers of version 1
};

// Spaces and the like are written as \040.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, value, 8).ptr == text.data() + i + 4) {
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// proc(5): "36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/root rw,errors=continue"
std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const auto line : split_lines(mountinfo)) {
    const auto dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto before = split(line.substr(0, dash), ' ');
    const auto after = split(line.substr(dash + 3), ' ');
    if (before.size() < 6 || after.size() < 3) continue;
    Mount mount{.root = unescape(before[3]), .point = unescape(before[4]), .type = after[0], .options = {}};
    for (auto& option : split(after[2], ',')) mount.options.insert(std::move(option));
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// Where a group is seen below a mount that may show only a part of the hierarchy.
std::string folder_of(const Mount& mount, std::string group) {
  const auto without_end = [](std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path == "/" ? std::string() : path;
  };
  const auto root = without_end(mount.root);
  group = without_end(std::move(group));
  if (group == root) return mount.point;
  if (group.starts_with(root + "/")) return mount.point + group.substr(root.size());
  return mount.point;
}

Result<void> write_value(const Scope& scope, const std::string& path, std::string_view value) {
  if (!exists(path)) return fail(Errc::not_found, "write", path, "there is no such file");
  AWM_TRY(const auto file, sys::open(scope, path, sys::Open::write_truncate));
  return sys::write_all(file.get(), value);
}

void pause_briefly() {
  (void)sys::poll({}, Deadline::in(Milliseconds(3)));
}

bool has_word(std::string_view words, std::string_view word) {
  for (const auto& line : split_lines(words)) {
    for (const auto& one : split(line, ' ')) {
      if (one == word) return true;
    }
  }
  return false;
}

// A group with processes of its own gives its children no controllers; a delegated one's processes are ours, so they
// move down.
void hand_controllers_down(const Scope& scope, const std::string& folder) {
  const auto enable = [&] { return write_value(scope, join_path(folder, "cgroup.subtree_control"), "+memory +pids"); };
  auto enabled = enable();
  if (enabled || enabled.error().os_errno != EBUSY) return;
  const auto leaf = join_path(folder, new_cgroup_name());
  if (!sys::mkdir(leaf)) return;
  const auto procs = read_file(join_path(folder, "cgroup.procs"), 1 << 20);
  if (!procs) return;
  for (const auto pid : split_lines(*procs)) (void)write_value(scope, join_path(leaf, "cgroup.procs"), pid);
  (void)enable();
}

void kill_members(const std::string& folder) {
  for (int round = 0; round < 200; ++round) {
    const auto procs = read_file(join_path(folder, "cgroup.procs"), 1 << 20);
    if (!procs || trim(*procs).empty()) return;
    for (const auto line : split_lines(*procs)) {
      int pid = 0;
      std::from_chars(line.data(), line.data() + line.size(), pid);
      if (pid > 1 && pid != sys::pid()) (void)sys::kill(pid, 9);
    }
    pause_briefly();
  }
}

Result<void> remove_group(const std::string& folder) {
  const auto deadline = Deadline::in(Seconds(5));
  for (;;) {
    auto gone = sys::rmdir(folder);
    if (gone || gone.error().code == Errc::not_found) return {};
    if (gone.error().os_errno != EBUSY || deadline.passed()) return gone;
    pause_briefly();
  }
}

// The owner's number in a name; nothing where it is not one of ours.
std::optional<OwnerMark> owner_of_name(std::string_view name, const OwnerMark& own) {
  if (!name.starts_with(name_prefix)) return std::nullopt;
  const auto parts = split(name.substr(name_prefix.size()), '-');
  if (parts.size() < 4) return std::nullopt;
  // The rest is this machine's, now: groups do not outlive the system.
  auto mark = parse_owner_mark(own.host + " " + own.boot_id + " " + parts[0] + " " + parts[1] + " " + parts[2]);
  return mark;
}

}  // namespace

CgroupPlaces find_cgroup_places(std::string_view mountinfo, std::string_view own_groups, bool as_root) {
  CgroupPlaces found;
  const auto mounts = parse_mounts(mountinfo);
  const auto group_of = [&](std::string_view controller) {
    for (const auto line : split_lines(own_groups)) {
      const auto first = line.find(':');
      const auto second = line.find(':', first + 1);
      if (first == std::string_view::npos || second == std::string_view::npos) continue;
      const auto controllers = line.substr(first + 1, second - first - 1);
      if (controller.empty() ? controllers.empty()
                             : has_word(replace_all(std::string(controllers), ",", " "), controller))
        return std::string(line.substr(second + 1));
    }
    return std::string("/");
  };
  const auto add = [&](CgroupPlaces::Place place) {
    for (const auto& other : found.places) {
      if (other.folder == place.folder) return;
    }
    found.places.push_back(std::move(place));
  };
  for (const auto& mount : mounts) {
    if (mount.type != "cgroup2") continue;
    // Root leaves its own group, which may be a session's, alone.
    if (as_root) add({.folder = mount.point, .version2 = true, .memory = true, .pids = true});
    add({.folder = folder_of(mount, group_of("")), .version2 = true, .memory = true, .pids = true});
  }
  for (const std::string_view controller : {"memory", "pids"}) {
    for (const auto& mount : mounts) {
      if (mount.type != "cgroup" || !mount.options.contains(std::string(controller))) continue;
      const bool memory = controller == "memory";
      const bool both = mount.options.contains("memory") && mount.options.contains("pids");
      add({.folder = folder_of(mount, group_of(controller)), .memory = memory || both, .pids = !memory || both});
      add({.folder = mount.point, .memory = memory || both, .pids = !memory || both});
    }
  }
  return found;
}

CgroupPlaces cgroup_places() {
  const auto mounts = read_file("/proc/self/mountinfo", 16 << 20);
  const auto groups = read_file("/proc/self/cgroup", 1 << 20);
  if (!mounts || !groups) return {};
  return find_cgroup_places(*mounts, *groups, sys::effective_uid() == 0);
}

std::string new_cgroup_name() {
  static std::atomic<uint64_t> number{0};
  OwnerMark mark;
  if (const auto own = own_mark()) mark = *own;
  return std::string(name_prefix) + mark.pid_namespace + "-" + std::to_string(mark.pid) + "-" +
         std::to_string(mark.start_ticks) + "-" + std::to_string(++number);
}

Cgroup Cgroup::create(const CgroupPlaces& places, const std::string& name, const CgroupLimits& limits,
                      const Scope& scope) {
  Cgroup group;
  for (const auto& place : places.places) {
    const bool want_memory = place.memory && !group.limits_memory();
    const bool want_pids = place.pids && !group.limits_pids();
    if (!want_memory && !want_pids) continue;
    if (place.version2 && group.version_ != 0) continue;
    if (!exists(join_path(place.folder, "cgroup.procs"))) continue;
    if (place.version2) {
      const auto controllers = read_file(join_path(place.folder, "cgroup.controllers"), 1 << 16);
      if (!controllers || !has_word(trim(*controllers), "memory") || !has_word(trim(*controllers), "pids")) continue;
      hand_controllers_down(scope, place.folder);
    }
    const auto path = join_path(place.folder, name);
    if (!sys::mkdir(path)) continue;
    Folder folder{.path = path, .token = Ledger::process().add(ResourceKind::cgroup, 0, path, scope)};
    bool useful = false;
    if (want_memory) {
      const auto bytes = std::to_string(limits.memory_bytes);
      if (place.version2) {
        useful = write_value(scope, join_path(path, "memory.max"), bytes).has_value();
        if (useful) (void)write_value(scope, join_path(path, "memory.swap.max"), "0");
      } else {
        useful = write_value(scope, join_path(path, "memory.limit_in_bytes"), bytes).has_value();
        if (useful) (void)write_value(scope, join_path(path, "memory.memsw.limit_in_bytes"), bytes);
      }
      if (useful) group.memory_folder_ = path;
    }
    if (want_pids && write_value(scope, join_path(path, "pids.max"), std::to_string(limits.pids))) {
      useful = true;
      group.pids_folder_ = path;
    }
    if (useful) {
      group.version_ = place.version2 ? 2 : 1;
      group.folders_.push_back(std::move(folder));
    } else {
      (void)remove_group(path);
    }
  }
  return group;
}

std::vector<std::string> Cgroup::procs_files() const {
  std::vector<std::string> files;
  files.reserve(folders_.size());
  for (const auto& folder : folders_) files.push_back(join_path(folder.path, "cgroup.procs"));
  return files;
}

uint64_t Cgroup::kills() const {
  if (memory_folder_.empty()) return 0;
  const auto text =
      read_file(join_path(memory_folder_, version_ == 2 ? "memory.events" : "memory.oom_control"), 1 << 16);
  if (!text) return 0;
  for (const auto line : split_lines(*text)) {
    constexpr std::string_view key = "oom_kill ";
    uint64_t count = 0;
    if (line.starts_with(key)) {
      std::from_chars(line.data() + key.size(), line.data() + line.size(), count);
      return count;
    }
  }
  return 0;
}

void Cgroup::kill_all() noexcept {
  for (const auto& folder : folders_) kill_members(folder.path);
}

Result<void> Cgroup::close() noexcept {
  Result<void> first;
  for (auto& folder : folders_) {
    auto gone = remove_group(folder.path);
    if (!gone && first) first = std::move(gone);
  }
  folders_.clear();
  return first;
}

void sweep_cgroups(const CgroupPlaces& places, const OwnerMark& own, bool dry_run, Swept& swept) {
  for (const auto& place : places.places) {
    const auto names = sys::list_folder(place.folder);
    if (!names) {
      if (names.error().code != Errc::not_found) swept.problems.push_back(names.error());
      continue;
    }
    for (const auto& name : *names) {
      const auto owner = owner_of_name(name, own);
      if (!owner || !is_gone(*owner, own)) continue;
      const auto path = join_path(place.folder, name);
      if (!dry_run) kill_members(path);
      auto gone = dry_run ? Result<void>() : remove_group(path);
      if (gone) {
        swept.removed.push_back(path);
      } else {
        swept.problems.push_back(std::move(gone).error());
      }
    }
  }
}

}  // namespace awm
