// main() of every test program. At its end, what the kernel says this process holds is compared with the start: a
// descriptor, thread, child or ledger entry too many is printed with the test after which it was first seen, and fails
// the program.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/ledger.h"
#include "support/support.h"

namespace {

// Key: identity ("descriptor 7:inode"); value: words for a person.
using Holdings = std::map<std::string, std::string>;

std::string small_file(const std::string& path) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  text.resize(4096);
  const auto n = ::read(fd, text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  ::close(fd);
  return text;
}

std::vector<std::string> numbers_in(const std::string& path, bool skip_self) {
  std::vector<std::string> names;
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (!skip_self || std::stoi(name) != ::dirfd(folder)) names.push_back(name);
  }
  ::closedir(folder);
  return names;
}

// "pid (name) state ppid … starttime": the fields after the name, which may hold anything, from field 3 on.
std::vector<std::string> stat_fields(const std::string& stat) {
  std::vector<std::string> fields;
  const auto close = stat.rfind(')');
  for (auto at = close == std::string::npos ? stat.size() : close + 2; at < stat.size();) {
    auto end = stat.find(' ', at);
    if (end == std::string::npos) end = stat.size();
    fields.push_back(stat.substr(at, end - at));
    at = end + 1;
  }
  return fields;
}

std::string stat_name(const std::string& stat) {
  const auto open = stat.find('(');
  const auto close = stat.rfind(')');
  return open == std::string::npos || close == std::string::npos ? "?" : stat.substr(open, close - open + 1);
}

Holdings look() {
  Holdings held;
  for (const auto& fd : numbers_in("/proc/self/fd", true)) {
    char target[1024];
    const auto n = ::readlink(("/proc/self/fd/" + fd).c_str(), target, sizeof target);
    struct stat st{};
    if (n < 0 || ::fstat(std::stoi(fd), &st) != 0) continue;
    held["descriptor " + fd + ":" + std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino)] =
        "descriptor " + fd + " -> " + std::string(target, static_cast<std::size_t>(n));
  }
  for (const auto& tid : numbers_in("/proc/self/task", false)) {
    const auto stat = small_file("/proc/self/task/" + tid + "/stat");
    const auto fields = stat_fields(stat);
    if (fields.size() > 19) held["thread " + tid + ":" + fields[19]] = "thread " + tid + " " + stat_name(stat);
  }
  const std::string self = std::to_string(::getpid());
  for (const auto& pid : numbers_in("/proc", false)) {
    const auto stat = small_file("/proc/" + pid + "/stat");
    const auto fields = stat_fields(stat);
    if (fields.size() > 19 && fields[1] == self) {
      held["child " + pid + ":" + fields[19]] =
          "child " + pid + " " + stat_name(stat) + (fields[0] == "Z" ? ", ended and not reaped" : "");
    }
  }
  for (const auto& entry : awm::Ledger::process().entries()) {
    held["ledger " + std::to_string(entry.serial)] = "on the ledger: " + std::string(awm::to_string(entry.kind)) + " " +
                                                     entry.name + ", scope " + entry.scope + ", born at " +
                                                     entry.birthplace;
  }
  return held;
}

// Remembers after which test a thing was first seen.
class Watcher : public testing::EmptyTestEventListener {
 public:
  explicit Watcher(Holdings start) : start_(std::move(start)) {}

  void OnTestEnd(const testing::TestInfo& info) override {
    for (const auto& [key, words] : look()) {
      if (!start_.contains(key)) first_seen_.try_emplace(key, std::string(info.test_suite_name()) + "." + info.name());
    }
  }

  // True when nothing is left. A joined thread shows in /proc until the kernel has buried it, so we look again for a
  // while.
  [[nodiscard]] bool report() const {
    Holdings left;
    awm::testing::eventually(
        [&] {
          left = look();
          std::erase_if(left, [&](const auto& one) { return start_.contains(one.first); });
          return left.empty();
        },
        std::chrono::seconds(3));
    for (const auto& [key, words] : left) {
      const auto seen = first_seen_.find(key);
      std::printf("left behind: %s%s\n", words.c_str(),
                  seen == first_seen_.end() ? "" : (", first seen after " + seen->second).c_str());
    }
    return left.empty();
  }

 private:
  Holdings start_;
  std::map<std::string, std::string> first_seen_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
#ifdef __SANITIZE_THREAD__
  // The sanitizer starts a thread of its own with the first of the program's: it is there before the count begins.
  std::thread([] {}).join();
#endif
  auto* watcher = new Watcher(look());  // gtest owns its listeners
  testing::UnitTest::GetInstance()->listeners().Append(watcher);
  const int result = RUN_ALL_TESTS();
  if (GTEST_FLAG_GET(list_tests)) return result;
  if (!watcher->report()) {
    std::printf("FAILED: the tests left behind what is listed above\n");
    return 1;
  }
  return result;
}
