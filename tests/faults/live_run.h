// A run that a test disturbs while it is at work.
#pragma once

#include <string>
#include <vector>

#include "e2e/run_awm.h"
#include "os/sys.h"

namespace awm::e2e {

// A run that goes on beside the test, its output in a file.
class LiveRun {
 public:
  // In `folder` with these variables.
  LiveRun(Spawner& spawner, const std::string& folder, std::vector<std::string> argv,
          std::vector<std::string> environment)
      : log_(folder + "/log") {
    auto log = sys::open(scope(), log_, sys::Open::append);
    EXPECT_TRUE(log) << log.error();
    if (!log) return;
    auto child = spawner.spawn(
        scope(),
        {.argv = std::move(argv), .environment = std::move(environment), .folder = folder, .stdout_fd = log->get()});
    EXPECT_TRUE(child) << child.error();
    if (child) child_ = *std::move(child);
  }
  LiveRun(Bench& bench, std::vector<std::string> argv)
      : LiveRun(bench.spawner(), bench.folder().path(), std::move(argv), bench.environment()) {}
  [[nodiscard]] int pid() const { return child_.pid(); }
  [[nodiscard]] std::string said() const { return testing::read_text(log_); }
  // How it ended, and what it said.
  Result<ProcessOutput> wait(Deadline deadline = Deadline::in(Seconds{240})) {
    ProcessOutput output;
    AWM_TRY(output.status, child_.wait(deadline));
    output.output = said();
    return output;
  }
  Outcome finish(const std::string& folder) {
    auto output = wait();
    EXPECT_TRUE(output) << output.error();
    return Bench::read(output ? *std::move(output) : ProcessOutput{}, folder);
  }

 private:
  std::string log_;
  Child child_;
};

}  // namespace awm::e2e
