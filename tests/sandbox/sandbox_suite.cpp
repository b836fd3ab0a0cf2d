#include "sandbox_suite.h"

namespace awm::testing {

void SandboxSuite::SetUp() {
  if (const auto why = GetParam().unavailable(); !why.empty()) GTEST_SKIP() << GetParam().name << ": " << why;
  auto stop = Stop::create(scope_);
  ASSERT_TRUE(stop) << stop.error();
  stop_ = *std::move(stop);
  auto spawner = Spawner::create(scope_);
  ASSERT_TRUE(spawner) << spawner.error();
  spawner_ = *std::move(spawner);
  folder_ = std::make_unique<TestFolder>();
}

void SandboxSuite::TearDown() {
  if (sandbox_) {
    const auto report = sandbox_->close();
    for (const auto& problem : report.problems) ADD_FAILURE() << problem;
  }
}

std::unique_ptr<Sandbox> SandboxSuite::make(const SandboxWish& wish) {
  auto made = GetParam().make({*spawner_, *stop_, *folder_, scope_}, wish);
  EXPECT_TRUE(made) << made.error();
  return made ? *std::move(made) : nullptr;
}

std::unique_ptr<Sandbox> SandboxSuite::connect(const SandboxWish& wish) {
  auto made = make(wish);
  if (!made) throw std::runtime_error("no sandbox");
  const auto connected = made->connect(Deadline::in(Seconds(60)));
  if (!connected) throw std::runtime_error(connected.error().message());
  return made;
}

Sandbox& SandboxSuite::sandbox() {
  if (!sandbox_) sandbox_ = connect();
  return *sandbox_;
}

ExecResult SandboxSuite::run(Sandbox& in, const std::string& text, Seconds hard_limit) {
  ExecOptions options;
  options.hard_limit = hard_limit;
  auto result = in.exec(bash(text), options);
  EXPECT_TRUE(result) << result.error();
  return result ? *std::move(result) : ExecResult{};
}

ShellResult SandboxSuite::shell(const std::string& text, Seconds hard_limit) {
  ShellOptions options;
  options.soft_quiet_limit = Seconds(0);
  options.hard_limit = hard_limit;
  auto result = sandbox().shell_run(text, options);
  EXPECT_TRUE(result) << result.error();
  return result ? *std::move(result) : ShellResult{};
}

namespace {

TEST_P(SandboxSuite, ACommandRunsAndTellsItsCodeAndOutput) {
  const auto result = run("echo out; echo err >&2; exit 3");
  EXPECT_EQ(result.status, ExitStatus::exited(3));
  EXPECT_EQ(result.output, "out\nerr\n");
}

}  // namespace
}  // namespace awm::testing
