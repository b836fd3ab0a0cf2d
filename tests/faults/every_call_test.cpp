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

#include "e2e/run_awm.h"
#include "os/fault.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm::e2e {
namespace {

using Words = std::vector<std::string>;

struct Site {
  std::string call;
  std::string place;  // file.cpp#line
  int calls = 0;
};

struct Point {
  Site site;
  int number = 0;
  int os_errno = 0;
  [[nodiscard]] std::string rule() const {
    return site.call + "@" + site.place + ":" + std::to_string(number) + ":1:" + std::to_string(os_errno);
  }
};

bool is_long() {
  return sys::environment("AWM_LONG").has_value();
}

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

class EveryCall : public ::testing::Test {
 protected:
  EveryCall() { bench_.serve(); }

  static Words with(Words words, const Words& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  // The program that is run whole, in a home of its own; its cache is empty at first.
  Result<ProcessOutput> process(Words argv, const std::string& home, const Words& orders = {}) {
    if (!orders.empty()) argv.front() += "-faults";
    Words environment = bench_.environment();
    std::erase_if(environment, [](const std::string& one) { return one.starts_with("HOME="); });
    environment = with(std::move(environment), orders);
    environment.push_back("HOME=" + home);
    AWM_CHECK(make_folders(home));
    SpawnOptions options{.argv = std::move(argv), .environment = std::move(environment), .folder = home};
    return run_process(bench_.spawner(), scope(), std::move(options), Deadline::in(Seconds{90}));
  }

  [[nodiscard]] Words run_words(const std::string& out, const Words& more) const {
    const Words first{program(),
                      "run",
                      "--dataset",
                      source("examples/tasks.jsonl"),
                      "--repos",
                      bench_.folder() / "repos",
                      "--sandbox",
                      "local",
                      "--output-dir",
                      out,
                      "--strict-resources",
                      "--plain"};
    return with(first, bench_.model_flags(more));
  }

  static std::vector<Site> sites_in(const std::string& path) {
    std::vector<Site> sites;
    const auto text = read_file(path);
    EXPECT_TRUE(text) << text.error();
    if (!text) return sites;
    for (const auto line : split_lines(*text)) {
      const std::string one(line);
      char call[32] = {};
      char place[512] = {};
      int calls = 0;
      if (std::sscanf(one.c_str(), "%d %31s %511s", &calls, &call[0], &place[0]) == 3) {
        std::string file = place;
        // As the rules compare: from the room on, whatever stands before it in this build.
        if (const auto src = file.rfind("src/"); src != std::string::npos) file.erase(0, src + 4);
        sites.push_back({.call = call, .place = file, .calls = calls});
      }
    }
    EXPECT_GT(sites.size(), 3U);
    return sites;
  }

  // In the fast form, sites that another scenario has failed already are left out.
  static std::vector<Point> points_of(const std::vector<Site>& sites, int calls_at_most) {
    static std::set<std::string> seen;
    std::vector<Point> points;
    std::size_t turn = 0;
    for (const auto& site : sites) {
      const auto& errors = errors_of(site.call);
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

  // Tries all points, two at a time, and prints how many; `attempt` tells what was wrong, "" for nothing.
  void try_all(const std::string& scenario, const std::vector<Point>& points,
               const std::function<std::string(const Point&, const std::string& folder)>& attempt) {
    std::mutex mutex;
    std::size_t next = 0;
    std::size_t wrong = 0;
    const auto work = [&] {
      for (;;) {
        std::size_t mine = 0;
        {
          const std::lock_guard lock(mutex);
          if (next == points.size() || wrong > 25) return;
          mine = next++;
        }
        const auto folder = bench_.folder() / (scenario + "-" + std::to_string(mine));
        EXPECT_TRUE(make_folders(folder));
        const auto said = attempt(points[mine], folder);
        if (said.empty()) {
          EXPECT_TRUE(remove_tree(folder));
          continue;
        }
        const std::lock_guard lock(mutex);
        ++wrong;
        ADD_FAILURE() << scenario << ", AWM_FAULT=" << points[mine].rule() << ": " << said;
      }
    };
    {
      std::vector<Thread> threads;
      for (int i = 0; i < 2; ++i) {
        auto thread = Thread::start(scope(), "a worker", work);
        ASSERT_TRUE(thread) << thread.error();
        threads.push_back(std::move(*thread));
      }
    }
    std::printf("%s: %zu points tried, %zu of them hit, %zu wrong\n", scenario.c_str(), next, hits_, wrong);
    // Calls that depend on the moment (how often a poll returns) may be fewer in the run that is disturbed.
    EXPECT_GE(hits_ * 10, next * 8);
    hits_ = 0;
  }

  void count_hit(const std::string& folder) {
    if (!sys::lstat(folder + "/hit")) return;
    const std::lock_guard lock(hits_mutex_);
    ++hits_;
  }

  // What is wrong with a run of awm that ended so.
  static std::string wrong_end(const Result<ProcessOutput>& output) {
    if (!output) return "it did not end: " + output.error().message();
    if (output->status.kind() != ExitStatus::Kind::exited)
      return "it ended with " + output->status.text() + "\n" + output->output;
    if (output->status == ExitStatus::exited(4)) return "it did not give everything back\n" + output->output;
    return {};
  }

  // The journal's lines are whole, and what was judged is what an undisturbed run is judged.
  static std::string wrong_journal(const std::string& out, std::set<std::string>& judged) {
    const auto text = read_file(out + "/journal.jsonl");
    if (!text) return {};
    for (const auto line : split_lines(*text)) {
      const auto record = parse_json(line, "journal");
      if (!record) return "the journal has a broken line: " + std::string(line);
      if (string_or(*record, "type", "") != "verdict") continue;
      if (string_or(*record, "verdict", "") != "passed") return "a false verdict: " + std::string(line);
      judged.insert(string_or(*record, "instance_id", ""));
    }
    return {};
  }

  // After a disturbed run in `out`: the rest is done by an undisturbed one, and all of it is as in `undisturbed`.
  std::string wrong_rest(const std::string& out, const std::string& home, const std::string& undisturbed,
                         const Words& words) {
    std::set<std::string> before;
    if (auto wrong = wrong_journal(out, before); !wrong.empty()) return wrong;
    // Refused before there was a journal: the same command serves.
    const bool begun = sys::lstat(out + "/journal.jsonl").has_value() && sys::lstat(out + "/journal.jsonl")->size > 0;
    const auto rest = process(
        begun ? Words{program(), "run", "--resume-from", out, "--retry-errors", "--strict-resources"} : words, home);
    if (auto wrong = wrong_end(rest); !wrong.empty()) return "resumed: " + wrong;
    if (rest->status != ExitStatus::exited(0))
      return "resumed, it ended with " + rest->status.text() + "\n" + rest->output;
    std::set<std::string> after;
    if (auto wrong = wrong_journal(out, after); !wrong.empty()) return "resumed: " + wrong;
    const auto diff = process({program(), "diff", undisturbed, out}, home);
    if (!diff) return diff.error().message();
    // What is tried again is committed later.
    const bool order_alone = diff->output.find("run: order of the commits") != std::string::npos &&
                             diff->output.find(", 1 differences") != std::string::npos;
    if (!diff->status.ok() && !order_alone) return "resumed, it differs: " + diff->output;
    const auto live = sys::list_folder(home + "/.cache/awm/local/live");
    if (live && !live->empty()) return "left in the cache: live/" + live->front();
    return {};
  }

  // A disturbed run of `more`.
  std::string wrong_run(const Point& point, const std::string& folder, const std::string& undisturbed,
                        const Words& more) {
    const std::string out = folder + "/out";
    const auto words = run_words(out, more);
    const auto output =
        process(words, folder + "/home", {"AWM_FAULT=" + point.rule(), "AWM_FAULT_HIT=" + folder + "/hit"});
    count_hit(folder);
    if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
    const auto outcome = Bench::read(*output, out);
    int passed = 0;
    for (const auto& [id, line] : outcome.results) {
      const auto said = verdict(outcome, id);
      if (said == "PASS")
        ++passed;
      else if (!said.starts_with("ERROR"))
        return "a false verdict of " + id + ": " + said + "\n" + output->output;
    }
    if (goes_unnoticed(point.os_errno) && output->status != ExitStatus::exited(0))
      return "it is seen\n" + output->output;
    // One call failed: that stops one sample, or the run before its first.
    if (passed == 0 && !outcome.results.empty()) return "no sample passed\n" + output->output;
    if (output->status != ExitStatus::exited(0) && output->output.find("rror") == std::string::npos)
      return "nothing is said\n" + output->output;
    if (output->status == ExitStatus::exited(0) && passed < 2)
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
    try_all(scenario, points_of(sites_in(calls), calls_at_most),
            [&](const Point& point, const std::string& folder) { return wrong_run(point, folder, undisturbed, more); });
  }

  Bench bench_;
  std::mutex hits_mutex_;
  std::size_t hits_ = 0;
};

const Words two_samples{"--instance", "example__textkit-1", "--instance", "example__logsift-2", "--workers", "1"};
const Words learning{"--instance",          "example__textkit-1",
                     "--instance",          "example__logsift-2",
                     "--instance",          "example__textkit-2",
                     "--induction-trigger", "1",
                     "--max-iterations",    "30",
                     "--workers",           "1"};

Words plus(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

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
  try_all("resume", points_of(sites_in(calls), 3), [&](const Point& point, const std::string& folder) -> std::string {
    const auto output = resume(folder, "AWM_FAULT=" + point.rule(), folder + "/hit");
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
  try_all("sweep", points_of(sites_in(calls), 3), [&](const Point& point, const std::string& folder) -> std::string {
    left(folder);
    const auto output =
        process(sweep, folder + "/home", {"AWM_FAULT=" + point.rule(), "AWM_FAULT_HIT=" + folder + "/hit"});
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
