#include "os/owner.h"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <mutex>
#include <vector>

#include "base/text.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::string_view owner_file = "owner";

template <class Number>
bool parse_whole(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// Field 22 of /proc/PID/stat, counted behind the name, which may hold anything.
Result<uint64_t> start_ticks_of(int pid) {
  const auto path = "/proc/" + std::to_string(pid) + "/stat";
  AWM_TRY(const auto text, read_file(path, 8192));
  const auto close = text.rfind(')');
  const auto fields =
      split(close == std::string::npos ? std::string_view() : std::string_view(text).substr(close + 1), ' ');
  uint64_t ticks = 0;
  if (fields.size() < 21 || !parse_whole(fields[20], ticks))
    return fail(Errc::protocol, "read", path, "the process's start time is not where it should be");
  return ticks;
}

constexpr const char* unknown = "unknown";

Result<OwnerMark> look_at_ourselves() {
  OwnerMark mark{.host = sys::host_name(), .boot_id = unknown, .pid_namespace = unknown, .pid = sys::pid()};
  if (mark.host.empty() || mark.host.find(' ') != std::string::npos) mark.host = "unnamed";
  // Where there is none it is unknown; where it could not be had, no mark is better than one that lies.
  const auto boot = read_file("/proc/sys/kernel/random/boot_id", 256);
  if (!boot && boot.error().os_errno != ENOENT) return std::unexpected(boot.error());
  if (boot) mark.boot_id = trim(*boot);
  const auto link = sys::readlink("/proc/self/ns/pid");
  if (!link && link.error().os_errno != ENOENT) return std::unexpected(link.error());
  if (link) {
    const auto open = link->find('[');
    const auto close = link->find(']');
    if (open != std::string::npos && close != std::string::npos && open < close)
      mark.pid_namespace = link->substr(open + 1, close - open - 1);
  }
  const auto ticks = start_ticks_of(mark.pid);
  if (!ticks) {
    if (ticks.error().os_errno != ENOENT) return std::unexpected(ticks.error());
    return fail(Errc::unavailable, "read", "/proc/self/stat", "the process's start time is not there",
                "mount /proc: mount -t proc proc /proc");
  }
  mark.start_ticks = *ticks;
  return mark;
}

}  // namespace

Result<OwnerMark> own_mark() {
  static std::mutex mutex;
  static std::optional<OwnerMark> known;  // nothing of it changes while the process lives
  const std::lock_guard lock(mutex);
  if (!known || known->pid != sys::pid()) {
    AWM_TRY(known, look_at_ourselves());
  }
  return *known;
}

std::string to_line(const OwnerMark& mark) {
  return mark.host + " " + mark.boot_id + " " + mark.pid_namespace + " " + std::to_string(mark.pid) + " " +
         std::to_string(mark.start_ticks) + "\n";
}

std::optional<OwnerMark> parse_owner_mark(std::string_view line) {
  const auto fields = split(trim(line), ' ');
  if (fields.size() != 5) return std::nullopt;
  OwnerMark mark{.host = fields[0], .boot_id = fields[1], .pid_namespace = fields[2]};
  if (!parse_whole(fields[3], mark.pid) || !parse_whole(fields[4], mark.start_ticks) || mark.pid <= 0)
    return std::nullopt;
  return mark;
}

bool is_gone(const OwnerMark& mark, const OwnerMark& own) {
  if (mark.host != own.host) return false;
  if (mark.boot_id == unknown || own.boot_id == unknown) return false;
  if (mark.boot_id != own.boot_id) return true;
  if (mark.pid_namespace != own.pid_namespace) return false;
  const auto ticks = start_ticks_of(mark.pid);
  // A failure to look, for want of descriptors for one, is no proof.
  if (!ticks) {
    if (ticks.error().os_errno != ENOENT && ticks.error().os_errno != ESRCH) return false;
    // Where /proc hides the processes of others, they are not there either, and a signal still finds them.
    const auto reached = sys::kill(mark.pid, 0);
    return !reached && reached.error().os_errno == ESRCH;
  }
  return *ticks != mark.start_ticks;
}

Result<void> write_owner_file(const std::string& folder, const OwnerMark& mark) {
  return write_file(join_path(folder, owner_file), to_line(mark));
}

Result<void> remove_owned_folder(const std::string& folder) {
  std::optional<Error> first;
  if (const auto names = sys::list_folder(folder)) {
    for (const auto& name : *names) {
      if (name == owner_file) continue;
      if (auto gone = remove_tree(join_path(folder, name)); !gone && !first) first = std::move(gone).error();
    }
  }
  if (first) return std::unexpected(*std::move(first));
  const auto mark = read_file(join_path(folder, owner_file), 4096);
  auto gone = remove_tree(folder);
  // Still there, it stays somebody's, so that a later sweep knows what to do with it.
  if (!gone && mark) (void)write_file(join_path(folder, owner_file), *mark);
  return gone;
}

bool is_abandoned(const std::string& folder, const OwnerMark& own) {
  const auto age_of = [](const sys::FileInfo& info) {
    return std::chrono::system_clock::now().time_since_epoch() - std::chrono::nanoseconds(info.modified_ns);
  };
  const auto line = read_file(join_path(folder, owner_file), 4096);
  if (line) {
    if (const auto owner = parse_owner_mark(*line)) return is_gone(*owner, own);
    // The living write theirs whole: this one a power cut took.
    const auto info = sys::lstat(join_path(folder, owner_file));
    return info && age_of(*info) > std::chrono::hours(1);
  }
  if (line.error().code != Errc::not_found) return false;
  const auto info = sys::lstat(folder);
  const auto names = sys::list_folder(folder);
  if (!info || !names || !names->empty()) return false;
  return age_of(*info) > std::chrono::hours(1);
}

void sweep_abandoned(const std::string& folder, std::string_view prefix, const OwnerMark& own, bool dry_run,
                     Swept& swept) {
  const auto names = sys::list_folder(folder);
  if (!names) {
    if (names.error().code != Errc::not_found) swept.problems.push_back(names.error());
    return;
  }
  for (const auto& name : *names) {
    const auto path = join_path(folder, name);
    if (!name.starts_with(prefix) || !is_abandoned(path, own)) continue;
    if (dry_run) {
      swept.removed.push_back(path);
    } else if (auto gone = remove_owned_folder(path); gone) {
      swept.removed.push_back(path);
    } else {
      swept.problems.push_back(std::move(gone).error());
    }
  }
}

}  // namespace awm
