// One system call fails, and nothing is lost for it: whole runs of the real program, in each of which a single call of
// a single call site fails.
//
// An undisturbed run tells which calls are made, and from where. Then each call is failed in a run of its own. However
// that ends, the program must end by itself, have given everything back, have told no verdict that is not true, and go
// on from what it saved to what an undisturbed run gives. By itself this fails the first call of each site with one of
// the errors that fit it; with AWM_LONG=1 every call, and the first with each error.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "faults/disturbed.h"
#include "os/fault.h"

namespace awm::e2e {
namespace {

struct Point {
  Site site;
  int number = 0;
  int os_errno = 0;
  // A rule of AWM_FAULT.
  [[nodiscard]] std::string text() const {
    return site.call + "@" + site.place + ":" + std::to_string(number) + ":1:" + std::to_string(os_errno);
  }
};

// What can go wrong with a call by its manual, of the errors that hosts with little of everything show.
const std::vector<int>& errors_of(const std::string& call) {
  static const std::vector<int> descriptor{EMFILE, ENFILE, ENOMEM, EIO, EINTR};
  static const std::vector<int> inner{EMFILE, ENFILE, ENOMEM, EINTR};
  static const std::vector<int> input{EIO, EINTR, fault::short_count};
  static const std::vector<int> output{ENOSPC, EIO, EINTR, fault::short_count};
  static const std::vector<int> from_peer{ECONNRESET, EAGAIN, EINTR, fault::short_count};
  static const std::vector<int> to_peer{EPIPE, ECONNRESET, EAGAIN, EINTR, fault::short_count};
  static const std::vector<int> change{ENOSPC, EIO, ENOMEM, EINTR};
  static const std::vector<int> look{EIO, ENOMEM, EINTR};
  static const std::vector<int> list{EIO, ENOMEM};
  static const std::vector<int> start{EAGAIN, ENOMEM};
  static const std::vector<int> limit{EPERM};
  static const std::vector<int> interrupted{EINTR};
  static const std::vector<int> wait{ENOMEM, EINTR};
  static const std::vector<int> join{ECONNREFUSED, EAGAIN, EINTR};
  static const std::map<std::string, const std::vector<int>*> table{
      {"open", &descriptor}, {"opendir", &descriptor}, {"readdir", &list},
      {"read", &input},      {"pread", &input},        {"write", &output},
      {"fsync", &change},    {"fdatasync", &change},   {"ftruncate", &change},
      {"rename", &change},   {"unlink", &change},      {"rmdir", &change},
      {"mkdir", &change},    {"chmod", &change},       {"chown", &change},
      {"symlink", &change},  {"link", &change},        {"mkdtemp", &change},
      {"pipe", &inner},      {"socketpair", &inner},   {"socket", &inner},
      {"eventfd", &inner},   {"pidfd_open", &inner},   {"accept", &inner},
      {"connect", &join},    {"poll", &wait},          {"recv", &from_peer},
      {"send", &to_peer},    {"fork", &start},         {"pthread_create", &start},
      {"getrlimit", &limit}, {"setrlimit", &limit},    {"waitpid", &interrupted},
      {"kill", &limit},
  };
  const auto found = table.find(call);
  return found != table.end() ? *found->second : look;
}

// Errors that a program does not see at all: the call is made again, or goes on where it stopped.
bool goes_unnoticed(int os_errno) {
  return os_errno == EINTR || os_errno == fault::short_count;
}

class EveryCall : public Disturbed {
 protected:
  // In the fast form, sites that another scenario has failed already are left out.
  static std::vector<Point> points_of(const std::vector<Site>& sites, int calls_at_most) {
    static std::set<std::string> seen;
    std::vector<Point> points;
    std::size_t turn = 0;
    for (const auto& site : sites) {
      auto errors = errors_of(site.call);
      // A control file takes a whole write or none, and half of a number is another number.
      if (site.place.starts_with("sandbox/cgroup.cpp")) std::erase(errors, fault::short_count);
      if (!is_long() && !seen.insert(site.call + site.place).second) continue;
      if (!is_long()) {
        points.push_back({.site = site, .number = 0, .os_errno = errors[turn++ % errors.size()]});
        continue;
      }
      for (const int one : errors) points.push_back({.site = site, .number = 0, .os_errno = one});
      for (int number = 1; number < std::min(site.calls, calls_at_most); ++number) {
        points.push_back({.site = site, .number = number, .os_errno = errors[turn++ % errors.size()]});
      }
    }
    return points;
  }

  // A disturbed run of `more`.
  std::string wrong_run(const Point& point, const std::string& folder, const std::string& undisturbed,
                        const Words& more) {
    const std::string out = folder + "/out";
    const auto words = run_words(out, more);
    const auto output =
        process(words, folder + "/home", {"AWM_FAULT=" + point.text(), "AWM_FAULT_HIT=" + folder + "/hit"});
    count_hit(folder);
    if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
    const auto outcome = Bench::read(*output, out);
    std::size_t judged = 0;
    for (const auto& [id, line] : outcome.results) {
      const auto said = verdict(outcome, id);
      if (said.starts_with("ERROR")) continue;
      ++judged;
      const auto truth = truth_.find(id);
      if (truth == truth_.end() || (truth->second == "passed") != (said == "PASS"))
        return "a false verdict of " + id + ": " + said + "\n" + output->output;
    }
    if (goes_unnoticed(point.os_errno) && output->status != ExitStatus::exited(0))
      return "it is seen\n" + output->output;
    // One call failed: that stops one sample, or the run before its first.
    if (judged == 0 && !outcome.results.empty()) return "no sample was judged\n" + output->output;
    if (output->status != ExitStatus::exited(0) && output->output.find("rror") == std::string::npos)
      return "nothing is said\n" + output->output;
    if (output->status == ExitStatus::exited(0) && judged < truth_.size())
      return "it ended well without all verdicts\n" + output->output;
    return wrong_rest(out, folder + "/home", undisturbed, words);
  }

  void whole_runs(const std::string& scenario, const Words& more, int calls_at_most) {
    const auto undisturbed = bench_.folder() / (scenario + "-undisturbed");
    const auto calls = bench_.folder() / (scenario + "-calls");
    const auto first =
        process(run_words(undisturbed, more), bench_.folder() / (scenario + "-home"), {"AWM_FAULT_CALLS=" + calls});
    ASSERT_TRUE(first) << first.error();
    ASSERT_EQ(first->status, ExitStatus::exited(0)) << first->output;
    believe(undisturbed);
    try_all<Point>(
        scenario, points_of(sites_in(calls), calls_at_most),
        [&](const Point& point, const std::string& folder) { return wrong_run(point, folder, undisturbed, more); });
  }
};

const Words learning{"--instance",          "example__textkit-1",
                     "--instance",          "example__logsift-2",
                     "--instance",          "example__textkit-2",
                     "--induction-trigger", "1",
                     "--max-iterations",    "30",
                     "--workers",           "1"};

TEST_F(EveryCall, OfARunOfTwoSamples) {
  whole_runs("run", plus(two_samples, {"--memory", "off", "--no-prewarm"}), 100000);
}

TEST_F(EveryCall, OfARunWithSandboxesMadeAhead) {
  whole_runs("ahead", plus(two_samples, {"--memory", "off"}), 3);
}

TEST_F(EveryCall, OfARunThatLearns) {
  whole_runs("learning", learning, 3);
}

TEST_F(EveryCall, OfAResume) {
  const auto more = plus(two_samples, {"--memory", "off", "--no-prewarm"});
  const auto undisturbed = bench_.folder() / "undisturbed";
  const auto home = bench_.folder() / "first-home";
  const auto whole = process(run_words(undisturbed, more), home);
  ASSERT_TRUE(whole) << whole.error();
  believe(undisturbed);
  const auto killed = bench_.folder() / "killed";
  const auto first = process(run_words(killed, more), home, {"AWM_CRASH=judge:2"});
  ASSERT_TRUE(first) << first.error();
  ASSERT_EQ(first->status, ExitStatus::signalled(9)) << first->output;
  const auto resume = [&](const std::string& folder, const std::string& order, const std::string& hit) {
    const auto copied = process({"/bin/cp", "-a", killed, folder + "/out"}, folder + "/home");
    EXPECT_TRUE(copied && copied->status.ok());
    return process({program(), "run", "--resume-from", folder + "/out", "--strict-resources", "--plain"},
                   folder + "/home", {order, "AWM_FAULT_HIT=" + hit});
  };
  const auto counting = bench_.folder() / "counting";
  ASSERT_TRUE(make_folders(counting));
  const auto calls = bench_.folder() / "calls";
  const auto counted = resume(counting, "AWM_FAULT_CALLS=" + calls, counting + "/hit");
  ASSERT_TRUE(counted && counted->status.ok()) << counted->output;
  try_all<Point>("resume", points_of(sites_in(calls), 3),
                 [&](const Point& point, const std::string& folder) -> std::string {
                   const auto output = resume(folder, "AWM_FAULT=" + point.text(), folder + "/hit");
                   count_hit(folder);
                   if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
                   const auto outcome = Bench::read(*output, folder + "/out");
                   if (!outcome.results.empty() && verdict(outcome, "example__textkit-1") != "PASS")
                     return "a verdict was lost\n" + output->output;
                   if (goes_unnoticed(point.os_errno) && output->status != ExitStatus::exited(0))
                     return "it is seen\n" + output->output;
                   return wrong_rest(folder + "/out", folder + "/home", undisturbed, {});
                 });
}

TEST_F(EveryCall, OfASweep) {
  const auto left = [&](const std::string& folder) {
    const auto first = process(run_words(folder + "/out", two_samples), folder + "/home", {"AWM_CRASH=judge:1"});
    EXPECT_TRUE(first && first->status == ExitStatus::signalled(9));
  };
  const Words sweep{program(), "sweep"};
  const auto counting = bench_.folder() / "counting";
  const auto calls = bench_.folder() / "calls";
  left(counting);
  const auto counted = process(sweep, counting + "/home", {"AWM_FAULT_CALLS=" + calls});
  ASSERT_TRUE(counted) << counted.error();
  try_all<Point>(
      "sweep", points_of(sites_in(calls), 3), [&](const Point& point, const std::string& folder) -> std::string {
        left(folder);
        const auto output =
            process(sweep, folder + "/home", {"AWM_FAULT=" + point.text(), "AWM_FAULT_HIT=" + folder + "/hit"});
        count_hit(folder);
        if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
        const auto live = folder + "/home/.cache/awm/local/live";
        const auto names = sys::list_folder(live);
        if (output->status.ok() && names && !names->empty())
          return "it ended well and left " + names->front() + "\n" + output->output;
        if (goes_unnoticed(point.os_errno) && !output->status.ok()) return "it is seen\n" + output->output;
        const auto again = process(sweep, folder + "/home");
        if (!again || !again->status.ok())
          return "swept again, it fails: " + (again ? again->output : again.error().message());
        const auto rest = sys::list_folder(live);
        if (rest && !rest->empty()) return "swept again, it left " + rest->front();
        return {};
      });
}

}  // namespace
}  // namespace awm::e2e
