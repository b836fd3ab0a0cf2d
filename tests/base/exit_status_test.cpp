#include "base/exit_status.h"

#include <csignal>
#include <set>

#include "support/support.h"

namespace awm {
namespace {

TEST(ExitStatusTest, ReadsWaitsStatusWord) {
  EXPECT_EQ(ExitStatus::from_wait(0), ExitStatus::exited(0));
  EXPECT_EQ(ExitStatus::from_wait(3 << 8), ExitStatus::exited(3));
  EXPECT_EQ(ExitStatus::from_wait(255 << 8), ExitStatus::exited(255));
  EXPECT_EQ(ExitStatus::from_wait(SIGKILL), ExitStatus::signalled(SIGKILL));
  EXPECT_EQ(ExitStatus::from_wait(SIGSEGV | 0x80), ExitStatus::signalled(SIGSEGV));
}

TEST(ExitStatusTest, OnlyExitZeroIsOk) {
  EXPECT_TRUE(ExitStatus::exited(0).ok());
  for (const auto status : {ExitStatus::exited(1), ExitStatus::signalled(0), ExitStatus::timed_out(),
                            ExitStatus::went_quiet(), ExitStatus::out_of_memory(), ExitStatus::lost(), ExitStatus()}) {
    EXPECT_FALSE(status.ok()) << status;
  }
}

TEST(ExitStatusTest, IsTheNumberThatAShellShows) {
  EXPECT_EQ(ExitStatus::exited(3).shell_code(), 3);
  EXPECT_EQ(ExitStatus::signalled(SIGTERM).shell_code(), 143);
  EXPECT_EQ(ExitStatus::timed_out().shell_code(), 124);
  EXPECT_EQ(ExitStatus::went_quiet().shell_code(), 124);
  EXPECT_EQ(ExitStatus::out_of_memory().shell_code(), 137);
  EXPECT_EQ(ExitStatus::lost().shell_code(), -1);
}

TEST(ExitStatusTest, SaysHowItEnded) {
  EXPECT_EQ(ExitStatus::exited(3).text(), "exited 3");
  EXPECT_EQ(ExitStatus::signalled(9).text(), "killed by signal 9");
  EXPECT_EQ(ExitStatus::timed_out().text(), "timed out");
  std::set<std::string> texts;
  for (const auto status : {ExitStatus::exited(0), ExitStatus::signalled(9), ExitStatus::timed_out(),
                            ExitStatus::went_quiet(), ExitStatus::out_of_memory(), ExitStatus::lost()}) {
    texts.insert(status.text());
  }
  EXPECT_EQ(texts.size(), 6U);
}

}  // namespace
}  // namespace awm
