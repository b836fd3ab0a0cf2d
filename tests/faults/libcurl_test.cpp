// The system calls that libcurl makes do not pass our gate; strace fails them from outside, in the one thread that
// libcurl works in. The model's answers then come late, or the sample ends as an error; no verdict is false.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "faults/disturbed.h"
#include "faults/live_run.h"

namespace awm::e2e {
namespace {

struct TracedPoint {
  std::string call;
  int number = 1;  // which of the thread's calls
  std::string error;
  [[nodiscard]] std::string text() const { return call + ", call " + std::to_string(number) + ", " + error; }
};

// What fits a call, by its manual. Not here: what gives back (a close that strace fails is not made), and memory.
const std::map<std::string, std::vector<std::string>>& errors() {
  static const std::map<std::string, std::vector<std::string>> table{
      {"socket", {"EMFILE", "ENFILE", "ENOMEM"}},
      {"connect", {"ECONNREFUSED", "ETIMEDOUT", "EAGAIN", "EINTR"}},
      {"sendto", {"EPIPE", "ECONNRESET", "EAGAIN", "EINTR"}},
      {"sendmsg", {"EPIPE", "ECONNRESET"}},
      {"recvfrom", {"ECONNRESET", "EAGAIN", "EINTR"}},
      {"poll", {"EINTR", "ENOMEM"}},
      {"ppoll", {"EINTR", "ENOMEM"}},
      {"setsockopt", {"ENOBUFS"}},
      {"getsockopt", {"ENOBUFS"}},
      {"getsockname", {"ENOBUFS"}},
      {"getpeername", {"ENOTCONN"}},
      {"fcntl", {"EINVAL"}},
      {"ioctl", {"ENOTTY"}},
      {"read", {"EINTR", "EIO"}},
      {"write", {"EINTR", "EIO"}},
      {"openat", {"EMFILE", "ENFILE"}},
      {"newfstatat", {"ENOMEM"}},
      {"eventfd2", {"EMFILE"}},
      {"pipe2", {"EMFILE"}},
      {"socketpair", {"EMFILE"}},
  };
  return table;
}

class LibcurlCalls : public Disturbed {
 protected:
  void SetUp() override {
    const auto strace = process({"strace", "--version"}, bench_.folder() / "home");
    if (!strace || !strace->status.ok()) {
      if (std::getenv("CI") != nullptr) FAIL() << "CI must have strace";
      GTEST_SKIP() << "strace is not installed";
    }
    config_ = bench_.folder().write("config.toml",
                                    "[llm]\nnum_retries = 4\nretry_min_wait = 0\nretry_max_wait = 0\ntimeout = 5\n");
  }

  [[nodiscard]] Words words_for(const std::string& out) const {
    return run_words(out, {"--instance", "example__textkit-1", "--memory", "off", "--no-prewarm", "--config", config_});
  }

  // A run whose thread is traced so from its first question to the model on.
  Result<ProcessOutput> traced(const std::string& folder, const std::string& out, const Words& how) {
    const auto hold = folder + "/hold";
    const auto home = folder + "/home";
    AWM_CHECK(write_new_file(hold, ""));
    AWM_CHECK(make_folders(home));
    auto words = words_for(out);
    words.front() += "-faults";
    LiveRun run(bench_.spawner(), home, words, environment(home, {"AWM_HOLD=agent:" + hold}));
    std::string thread;
    const bool held = testing::eventually(
        [&] {
          if (!read_file(hold + ".reached")) return false;
          const auto tasks = "/proc/" + std::to_string(run.pid()) + "/task/";
          for (const auto& task : sys::list_folder(tasks).value_or(Words{})) {
            if (read_file(tasks + task + "/comm").value_or("") == "awm-http\n") thread = task;
          }
          return !thread.empty();
        },
        std::chrono::minutes(1));
    if (!held) return fail(Errc::timed_out, "hold", "the run", run.said());
    auto strace =
        bench_.spawner().spawn(scope(), {.argv = plus({"strace", "-qq", "-p", thread, "-o", folder + "/trace"}, how),
                                         .environment = bench_.environment()});
    if (!strace) return std::unexpected(std::move(strace).error());
    const bool attached = testing::eventually([&] {
      const auto status = read_file("/proc/" + thread + "/status").value_or("");
      return status.find("TracerPid:") != std::string::npos && status.find("TracerPid:\t0\n") == std::string::npos;
    });
    EXPECT_TRUE(attached) << "strace does not attach to the thread";
    EXPECT_TRUE(sys::unlink(hold));
    auto output = run.wait(Deadline::in(patience_));
    (void)strace->wait(Deadline::in(Seconds{20}));  // it ends with its thread
    strace->kill();
    return output;
  }

  std::map<std::string, int> calls_in(const std::string& trace) {
    std::map<std::string, int> calls;
    const auto text = read_file(trace);
    EXPECT_TRUE(text) << text.error();
    if (!text) return calls;
    for (const auto line : split_lines(*text)) {
      const auto name = std::string(line.substr(0, line.find('(')));
      if (errors().contains(name)) ++calls[name];
    }
    return calls;
  }

  std::string wrong_run(const TracedPoint& point, const std::string& folder, const std::string& undisturbed) {
    const auto out = folder + "/out";
    const auto output =
        traced(folder, out,
               {"-e", "trace=" + point.call, "-e",
                "inject=" + point.call + ":error=" + point.error + ":when=" + std::to_string(point.number)});
    if (read_file(folder + "/trace").value_or("").find("(INJECTED)") != std::string::npos) count_hit();
    if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
    const auto outcome = Bench::read(*output, out);
    for (const auto& [id, line] : outcome.results) {
      const auto said = verdict(outcome, id);
      if (!said.starts_with("ERROR") && said != "PASS") return "a false verdict: " + said + "\n" + output->output;
    }
    if (point.error == "EINTR" && !output->status.ok()) return "it is seen\n" + output->output;
    if (!output->status.ok() && output->output.find("rror") == std::string::npos)
      return "nothing is said\n" + output->output;
    return wrong_rest(out, folder + "/home", undisturbed, words_for(out));
  }

  std::string config_;
};

TEST_F(LibcurlCalls, OfASample) {
  const auto folder = bench_.folder() / "first";
  ASSERT_TRUE(make_folders(folder));
  const auto undisturbed = bench_.folder() / "undisturbed";
  const auto first = traced(folder, undisturbed, {});
  ASSERT_TRUE(first) << first.error();
  ASSERT_EQ(first->status, ExitStatus::exited(0)) << first->output;
  believe(undisturbed);
  const auto calls = calls_in(folder + "/trace");
  EXPECT_TRUE(calls.contains("sendto") && calls.contains("recvfrom")) << "libcurl works otherwise now";
  std::vector<TracedPoint> points;
  for (const auto& [call, count] : calls) {
    for (const auto& error : errors().at(call)) {
      for (int number = 1; number <= std::min(count, is_long() ? 12 : 1); ++number)
        points.push_back({.call = call, .number = number, .error = error});
    }
  }
  try_all<TracedPoint>("libcurl", points, [&](const TracedPoint& point, const std::string& place) {
    return wrong_run(point, place, undisturbed);
  });
}

}  // namespace
}  // namespace awm::e2e
