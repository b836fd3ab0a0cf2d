// What tests of the local sandbox alone share: a run's parts, repositories of their own, settings.
#pragma once

#include <memory>
#include <string>

#include "os/file.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "os/sys.h"
#include "sandbox/local_sandbox.h"
#include "support/support.h"

namespace awm::testing {

// "" where local sandboxes can be made here; else why not.
inline std::string why_not_local() {
  static const std::string why = [] {
    const Scope scope("test/probe");
    const TestFolder folder;
    auto stop = Stop::create(scope);
    auto spawner = Spawner::create(scope);
    if (!stop || !spawner) return std::string("no descriptors or threads");
    LocalSandboxSettings settings;
    settings.cache_folder = folder / "cache";
    const auto facts = check_local_sandbox(**spawner, **stop, scope, settings);
    return facts ? std::string() : facts.error().message();
  }();
  return why;
}

class LocalTest : public ::testing::Test {
 public:
  LocalTest() : scope("test") {}

  void SetUp() override {
    if (const auto why = why_not_local(); !why.empty()) GTEST_SKIP() << why;
    auto made_stop = Stop::create(scope);
    ASSERT_TRUE(made_stop) << made_stop.error();
    stop = *std::move(made_stop);
    auto made_spawner = Spawner::create(scope);
    ASSERT_TRUE(made_spawner) << made_spawner.error();
    spawner = *std::move(made_spawner);
    folder = std::make_unique<TestFolder>();
  }

  [[nodiscard]] LocalSandboxSettings settings() const {
    LocalSandboxSettings some;
    some.cache_folder = *folder / "cache";
    some.name = "test";
    return some;
  }

  std::unique_ptr<Sandbox> make(const LocalSandboxSettings& some) {
    auto made = make_local_sandbox(some, *spawner, *stop, scope);
    if (!made) throw std::runtime_error(made.error().message());
    return *std::move(made);
  }
  std::unique_ptr<Sandbox> connect(const LocalSandboxSettings& some) {
    auto made = make(some);
    if (auto connected = made->connect(Deadline::in(Seconds(60))); !connected) {
      throw std::runtime_error(connected.error().message());
    }
    return made;
  }
  static void close(Sandbox& sandbox) {
    const auto report = sandbox.close();
    for (const auto& problem : report.problems) ADD_FAILURE() << problem;
  }

  static ExecResult run(Sandbox& sandbox, const std::string& text, Seconds hard_limit = Seconds(60)) {
    ExecOptions options;
    options.hard_limit = hard_limit;
    auto result = sandbox.exec(bash(text), options);
    EXPECT_TRUE(result) << result.error();
    return result ? *std::move(result) : ExecResult{};
  }
  // Of a command that must succeed; without the last line end.
  static std::string output(Sandbox& sandbox, const std::string& text) {
    auto result = run(sandbox, text);
    EXPECT_EQ(result.status, ExitStatus::exited(0)) << text << "\n" << result.output;
    if (result.output.ends_with('\n')) result.output.pop_back();
    return result.output;
  }

  // On this machine, by bash; its output without the last line end.
  std::string host(const std::string& text) const {
    SpawnOptions options;
    options.argv = {"bash", "-ec", text};
    options.environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                           "HOME=" + folder->path(),
                           "GIT_CONFIG_NOSYSTEM=1",
                           "GIT_AUTHOR_NAME=a",
                           "GIT_AUTHOR_EMAIL=a@b",
                           "GIT_COMMITTER_NAME=a",
                           "GIT_COMMITTER_EMAIL=a@b",
                           "GIT_CONFIG_COUNT=2",
                           "GIT_CONFIG_KEY_0=safe.directory",
                           "GIT_CONFIG_VALUE_0=*",
                           "GIT_CONFIG_KEY_1=init.defaultBranch",
                           "GIT_CONFIG_VALUE_1=trunk"};
    options.folder = folder->path();
    auto done = run_process(*spawner, scope, options, Deadline::in(Seconds(120)));
    if (!done) throw std::runtime_error(done.error().message());
    EXPECT_TRUE(done->status.ok()) << text << "\n" << done->output;
    std::string said = std::move(done->output);
    if (said.ends_with('\n')) said.pop_back();
    return said;
  }

  Scope scope;
  std::unique_ptr<Stop> stop;
  std::unique_ptr<Spawner> spawner;
  std::unique_ptr<TestFolder> folder;
};

}  // namespace awm::testing
