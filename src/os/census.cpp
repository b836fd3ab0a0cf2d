#include "os/census.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <set>

namespace awm {
namespace {

std::string read_small(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string all;
  char text[4096];
  ssize_t n = 0;
  while ((n = ::read(fd, text, sizeof text)) > 0) all.append(text, static_cast<std::size_t>(n));
  ::close(fd);
  return all;
}

// Field `number` (from 1) of /proc/…/stat; the name in parentheses may hold anything.
std::string stat_field(const std::string& stat, int number) {
  const auto close = stat.rfind(')');
  if (close == std::string::npos) return {};
  int field = 2;
  std::size_t at = close + 1;
  while (at < stat.size()) {
    while (at < stat.size() && stat[at] == ' ') ++at;
    auto end = stat.find(' ', at);
    if (end == std::string::npos) end = stat.size();
    if (++field == number) return stat.substr(at, end - at);
    at = end;
  }
  return {};
}

std::string stat_name(const std::string& stat) {
  const auto open = stat.find('(');
  const auto close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return stat.substr(open + 1, close - open - 1);
}

template <class Each>
void numbers_in(const char* path, Each each) {
  DIR* folder = ::opendir(path);
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder)) {  // NOLINT(concurrency-mt-unsafe): a stream of our own
    char* end = nullptr;
    const long number = std::strtol(entry->d_name, &end, 10);
    if (end != entry->d_name && *end == '\0') each(number, ::dirfd(folder));
  }
  ::closedir(folder);
}

}  // namespace

Census take_census(const Ledger& ledger) {
  Census census;
  for (const auto& entry : ledger.entries()) census.owned.emplace(entry.kind, entry.id);
  numbers_in("/proc/self/fd", [&](long fd, int reader) {
    if (fd == reader) return;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    char target[512];
    const auto n = ::readlink(path.c_str(), target, sizeof target);
    if (n < 0) return;
    CensusItem item{
        .kind = ResourceKind::descriptor, .id = fd, .what = std::string(target, static_cast<std::size_t>(n))};
    struct stat st{};
    // By its path: the descriptor is another thread's, who may close it at any time.
    if (::stat(path.c_str(), &st) == 0) {
      item.identity =
          std::to_string(fd) + ":" + std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino) + ":" + item.what;
    }
    census.descriptors.push_back(std::move(item));
  });
  numbers_in("/proc/self/task", [&](long tid, int) {
    const auto stat = read_small("/proc/self/task/" + std::to_string(tid) + "/stat");
    census.threads.push_back({.kind = ResourceKind::thread,
                              .id = tid,
                              .what = stat_name(stat),
                              .identity = std::to_string(tid) + ":" + stat_field(stat, 22)});
  });
  // Children belong to the thread that made them; CONFIG_PROC_CHILDREN gives them without a walk over all processes.
  for (const auto& thread : census.threads) {
    const auto list = read_small("/proc/self/task/" + std::to_string(thread.id) + "/children");
    for (std::size_t at = 0; at < list.size();) {
      auto end = list.find(' ', at);
      if (end == std::string::npos) end = list.size();
      if (const long pid = std::atol(list.substr(at, end - at).c_str()); pid > 0) {  // NOLINT(cert-err34-c)
        const auto stat = read_small("/proc/" + std::to_string(pid) + "/stat");
        census.children.push_back({.kind = ResourceKind::child,
                                   .id = pid,
                                   .what = stat_name(stat),
                                   .identity = std::to_string(pid) + ":" + stat_field(stat, 22)});
      }
      at = end + 1;
    }
  }
  return census;
}

ResourceDifference compare_with_ledger(const Census& now, const Census* previous, const Ledger& ledger,
                                       const std::vector<LibraryAllowance>& allowances,
                                       const std::vector<CensusItem>& inherited) {
  ResourceDifference difference;
  const auto entries = ledger.entries();
  auto owned = now.owned;
  for (const auto& entry : entries) owned.emplace(entry.kind, entry.id);
  std::set<std::string> inherited_identities;
  for (const auto& item : inherited) inherited_identities.insert(item.identity);
  std::vector<std::size_t> used(allowances.size(), 0);

  const auto check = [&](const std::vector<CensusItem>& items, const std::vector<CensusItem>* before) {
    for (const auto& item : items) {
      if (owned.contains({item.kind, item.id}) || inherited_identities.contains(item.identity)) continue;
      bool allowed = false;
      for (std::size_t i = 0; i < allowances.size() && !allowed; ++i) {
        const auto& allowance = allowances[i];
        if (allowance.kind == item.kind && item.what.starts_with(allowance.what_prefix) && used[i] < allowance.bound) {
          ++used[i];
          allowed = true;
        }
      }
      if (allowed) continue;
      bool twice = before == nullptr;
      if (before != nullptr) {
        for (const auto& old : *before) twice = twice || old.identity == item.identity;
      }
      if (twice) difference.unknown.push_back(item);
    }
  };
  check(now.descriptors, previous != nullptr ? &previous->descriptors : nullptr);
  check(now.threads, previous != nullptr ? &previous->threads : nullptr);
  check(now.children, previous != nullptr ? &previous->children : nullptr);

  const auto in_kernel = [&](ResourceKind kind, int64_t id) {
    const auto& items = kind == ResourceKind::descriptor ? now.descriptors
                        : kind == ResourceKind::thread   ? now.threads
                                                         : now.children;
    for (const auto& item : items) {
      if (item.id == id) return true;
    }
    return false;
  };
  for (const auto& entry : entries) {
    const bool countable = entry.kind == ResourceKind::descriptor || entry.kind == ResourceKind::thread ||
                           entry.kind == ResourceKind::child;
    if (countable && !in_kernel(entry.kind, entry.id)) difference.vanished.push_back(entry);
  }
  return difference;
}

}  // namespace awm
