#include "support/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace awm::testing {

static std::string env_or(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

TestFolder::TestFolder() {
  path_ = env_or("TMPDIR", "/tmp") + "/awm-test-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) {
    ADD_FAILURE() << "no folder for the test at " << path_ << ": " << std::strerror(errno);
    path_.clear();
  }
}

TestFolder::~TestFolder() {
  if (path_.empty()) return;
  if (::testing::Test::HasFailure() || std::getenv("AWM_KEEP") != nullptr) {
    std::printf("kept: %s\nrerun: %s\n", path_.c_str(), rerun_line().c_str());
    return;
  }
  remove_all(path_);
}

std::string TestFolder::write(std::string_view name, std::string_view content) const {
  std::string path = path_;
  for (std::size_t start = 0; start < name.size();) {
    auto end = name.find('/', start);
    if (end == std::string_view::npos) break;
    path += "/" + std::string(name.substr(start, end - start));
    ::mkdir(path.c_str(), 0755);
    start = end + 1;
  }
  path = path_ + "/" + std::string(name);
  write_text(path, content);
  return path;
}

std::string rerun_line() {
  std::string program(4096, '\0');
  const auto n = ::readlink("/proc/self/exe", program.data(), program.size());
  program.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  if (info == nullptr) return program;
  return program + " --gtest_filter='" + info->test_suite_name() + "." + info->name() + "'";
}

std::string read_text(const std::string& path) {
  std::string text;
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    ADD_FAILURE() << "cannot read " << path << ": " << std::strerror(errno);
    return text;
  }
  char piece[65536];
  for (std::size_t n = 0; (n = std::fread(piece, 1, sizeof piece, file)) > 0;) text.append(piece, n);
  std::fclose(file);
  return text;
}

void write_text(const std::string& path, std::string_view content) {
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) {
    ADD_FAILURE() << "cannot write " << path << ": " << std::strerror(errno);
    return;
  }
  const bool whole = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  if (std::fclose(file) != 0 || !whole) ADD_FAILURE() << "cannot write all of " << path;
}

bool path_exists(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0;
}

void remove_all(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return;
  if (!S_ISDIR(st.st_mode)) {
    ::unlink(path.c_str());
    return;
  }
  ::chmod(path.c_str(), 0700);
  if (DIR* folder = ::opendir(path.c_str())) {
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(folder)) names.emplace_back(entry->d_name);
    ::closedir(folder);
    for (const auto& name : names) {
      if (name != "." && name != "..") remove_all(path + "/" + name);
    }
  }
  ::rmdir(path.c_str());
}

std::string shared_data(std::string_view name) {
  const std::string path =
      env_or("AWM_SHARED_DATA", AWM_SOURCE_DIR "/../shared/data") + (name.empty() ? "" : "/") + std::string(name);
  return path_exists(path) ? path : std::string();
}

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return holds();
    ::usleep(1000);
  }
  return true;
}

std::vector<int> open_descriptors() {
  std::vector<int> numbers;
  if (DIR* folder = ::opendir("/proc/self/fd")) {
    while (const dirent* entry = ::readdir(folder)) {
      const int number = std::atoi(entry->d_name);
      if (entry->d_name[0] != '.' && number != ::dirfd(folder)) numbers.push_back(number);
    }
    ::closedir(folder);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool is_root() {
  return ::geteuid() == 0;
}

}  // namespace awm::testing
