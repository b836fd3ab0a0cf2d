// The same inside of a sandbox: each system call of the helper and of the launcher is failed in a run of its own
// (support/helper_faults.h). A sandbox that is broken so may cost the sample, and never gives a verdict that an
// undisturbed one does not give.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "faults/disturbed.h"
#include "os/unique_fd.h"
#include "support/helper_faults.h"

namespace awm::e2e {
namespace {

using testing::HelperFaults;

struct HelperPoint {
  uint64_t place = 0;
  std::string name;  // CALL at FILE:LINE
  uint32_t skip = 0;
  int os_errno = 0;
  [[nodiscard]] std::string text() const {
    return name + ", call " + std::to_string(skip + 1) + ", errno " + std::to_string(os_errno);
  }
};

const std::vector<int>& errors_of(const std::string& call) {
  static const std::vector<int> descriptor{EMFILE, ENFILE, ENOMEM, EIO, EINTR};
  static const std::vector<int> inner{EMFILE, ENOMEM};
  static const std::vector<int> moves{EIO, EINTR, HelperFaults::half};
  static const std::vector<int> change{ENOSPC, EIO, ENOMEM};
  static const std::vector<int> look{EIO, ENOMEM};
  static const std::vector<int> right{EPERM, ENOMEM};
  static const std::vector<int> start{EAGAIN, ENOMEM};
  static const std::vector<int> wait{ENOMEM, EINTR};
  static const std::vector<int> interrupted{EINTR};
  static const std::map<std::string, const std::vector<int>*> table{
      {"open", &descriptor},   {"openat", &descriptor},   {"opendir", &descriptor}, {"fdopendir", &inner},
      {"read", &moves},        {"write", &moves},         {"pread", &moves},        {"pwrite", &moves},
      {"chmod", &change},      {"chown", &change},        {"fchmod", &change},      {"fchmodat", &change},
      {"fchownat", &change},   {"ftruncate", &change},    {"futimens", &change},    {"linkat", &change},
      {"mkdir", &change},      {"mkdirat", &change},      {"rename", &change},      {"renameat", &change},
      {"rmdir", &change},      {"setxattr", &change},     {"symlinkat", &change},   {"unlink", &change},
      {"unlinkat", &change},   {"utimensat", &change},    {"chroot", &right},       {"mount", &right},
      {"setgroups", &right},   {"setresgid", &right},     {"setresuid", &right},    {"setrlimit", &right},
      {"unshare", &right},     {"prctl", &right},         {"kill", &right},         {"setsid", &right},
      {"fork", &start},        {"execv", &start},         {"execve", &start},       {"memfd_create", &inner},
      {"pipe2", &inner},       {"signalfd", &inner},      {"dup2", &inner},         {"poll", &wait},
      {"wait4", &interrupted}, {"waitpid", &interrupted},
  };
  const auto found = table.find(call);
  return found != table.end() ? *found->second : look;
}

bool goes_unnoticed(int os_errno) {
  return os_errno == EINTR || os_errno == HelperFaults::half;
}

class HelperCalls : public Disturbed {
 protected:
  HelperCalls() { patch_may_differ_ = true; }

  // A folder with the program and, as its helper, the one with faults.
  [[nodiscard]] std::string tools(const std::string& folder) {
    const std::string bin = folder + "/bin";
    EXPECT_TRUE(make_folders(bin));
    for (const auto& [from, to] : {std::pair{"/awm", "/awm"}, std::pair{"/awm-helper-faults", "/awm-helper"}}) {
      const auto copied = process({"/bin/cp", std::string(AWM_BIN_DIR) + from, bin + to}, folder + "/home");
      EXPECT_TRUE(copied && copied->status.ok());
    }
    return bin;
  }

  // Orders and counts of one run; the file lies beside the helper.
  class Orders {
   public:
    explicit Orders(const std::string& bin) {
      const auto path = bin + "/awm-helper.faults";
      std::string bytes(sizeof(HelperFaults), '\0');
      std::memcpy(bytes.data(), &HelperFaults::magic_number, sizeof HelperFaults::magic_number);
      EXPECT_TRUE(write_new_file(path, bytes));
      auto fd = sys::open(scope(), path, sys::Open::read_write);
      EXPECT_TRUE(fd) << fd.error();
      if (!fd) return;
      void* at = ::mmap(nullptr, sizeof(HelperFaults), PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
      EXPECT_NE(at, MAP_FAILED);
      if (at != MAP_FAILED) faults_ = static_cast<HelperFaults*>(at);
    }
    Orders(const Orders&) = delete;
    Orders& operator=(const Orders&) = delete;
    ~Orders() {
      if (faults_ != nullptr) ::munmap(faults_, sizeof(HelperFaults));
    }
    HelperFaults& operator*() { return *faults_; }
    HelperFaults* operator->() { return faults_; }

   private:
    HelperFaults* faults_ = nullptr;
  };

  // FILE:LINE of each place.
  std::map<uint64_t, std::string> names_of(const std::vector<uint64_t>& places) {
    Words words{"/usr/bin/addr2line", "-s", "-p", "-i", "-e", std::string(AWM_BIN_DIR) + "/awm-helper-faults"};
    for (const auto place : places) {
      char text[32];
      std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(place - 1));
      words.emplace_back(text);
    }
    const auto printed = process(words, bench_.folder() / "home");
    std::map<uint64_t, std::string> names;
    if (!printed) return names;
    std::size_t next = 0;
    for (const auto line : split_lines(printed->output)) {
      if (const auto inlined = line.find("(inlined by) "); inlined != std::string_view::npos && next > 0) {
        names[places[next - 1]] = line.substr(inlined + 13);
      } else if (next < places.size()) {
        names[places[next++]] = line.substr(0, line.find(" ("));
      }
    }
    return names;
  }

  [[nodiscard]] std::vector<HelperPoint> points_of(HelperFaults& counted) {
    std::vector<uint64_t> places;
    for (const auto& site : counted.sites) {
      if (site.place != 0) places.push_back(site.place);
    }
    EXPECT_GT(places.size(), 50U);
    const auto names = names_of(places);
    std::vector<HelperPoint> points;
    std::size_t turn = 0;
    for (const auto& site : counted.sites) {
      if (site.place == 0) continue;
      const std::string call = site.call;
      const auto name = names.find(site.place);
      const HelperPoint point{
          .place = site.place, .name = call + " at " + (name != names.end() ? name->second : "?"), .skip = 0};
      const auto& errors = errors_of(call);
      const auto add = [&](uint32_t skip, int os_errno) {
        points.push_back(point);
        points.back().skip = skip;
        points.back().os_errno = os_errno;
      };
      if (!is_long()) {
        // Every third site, another third of the errors with each.
        if (turn++ % 3 == 0) add(0, errors[turn / 3 % errors.size()]);
        continue;
      }
      for (const int one : errors) add(0, one);
      for (uint32_t skip = 1; skip < std::min<uint32_t>(site.calls, 4); ++skip)
        add(skip, errors[turn++ % errors.size()]);
    }
    return points;
  }

  std::string wrong_run(const HelperPoint& point, const std::string& folder, const std::string& undisturbed) {
    const auto bin = tools(folder);
    Orders orders(bin);
    orders->place = point.place;
    orders->skip = point.skip;
    orders->error = point.os_errno;
    const std::string out = folder + "/out";
    auto words = run_words(out, one_sample);
    words.front() = bin + "/awm";
    const auto output = process(words, folder + "/home");
    if (orders->hits > 0) count_hit();
    if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
    const auto outcome = Bench::read(*output, out);
    const bool well = output->status == ExitStatus::exited(0);
    for (const auto& [id, line] : outcome.results) {
      const auto said = verdict(outcome, id);
      if (!said.starts_with("ERROR") && said != "PASS") return "a false verdict: " + said + "\n" + output->output;
    }
    if (goes_unnoticed(point.os_errno) && !well) return "it is seen\n" + output->output;
    if (!well && output->output.find("rror") == std::string::npos) return "nothing is said\n" + output->output;
    words.front() = program();
    return wrong_rest(out, folder + "/home", undisturbed, words);
  }

  const Words one_sample{"--instance", "example__textkit-1", "--memory", "off", "--no-prewarm"};
};

TEST_F(HelperCalls, OfASample) {
  const auto undisturbed = bench_.folder() / "undisturbed";
  const auto bin = tools(bench_.folder() / "first");
  Orders counted(bin);
  auto words = run_words(undisturbed, one_sample);
  words.front() = bin + "/awm";
  const auto first = process(words, bench_.folder() / "first/home");
  ASSERT_TRUE(first) << first.error();
  ASSERT_EQ(first->status, ExitStatus::exited(0)) << first->output;
  believe(undisturbed);
  try_all<HelperPoint>("helper", points_of(*counted), [&](const HelperPoint& point, const std::string& folder) {
    return wrong_run(point, folder, undisturbed);
  });
}

}  // namespace
}  // namespace awm::e2e
