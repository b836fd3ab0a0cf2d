// What ends without warning: the process that owns containers, and the engine itself. The engine here is one of the
// test's own (scripts/dockerd.sh), for it is killed.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>

#include "docker/docker_support.h"
#include "docker/own_engine.h"
#include "os/sys.h"
#include "os/thread.h"
#include "sandbox/docker_sandbox.h"

namespace awm {
namespace {

using testing::docker_engine;
using testing::docker_test_image;
using ::testing::HasSubstr;
using testing::OwnEngine;
using testing::TestFolder;

const Scope scope{"test/engine-gone"};

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

std::size_t count(const Engine& engine, const std::string& run) {
  const auto list = list_containers(engine, {"dev.awm.run=" + run}, within(60));
  EXPECT_TRUE(list) << list.error();
  return list ? list->size() : 0;
}

TEST(KilledOwner, TakesItsContainersDownWithinSeconds) {
  REQUIRE_DOCKER();
  const auto& engine = *docker_engine();
  const std::string run = "killed-" + sys::random_hex(4);
  // Somebody else's container lives on.
  ContainerSpec foreign;
  foreign.image = docker_test_image();
  foreign.entrypoint = {"sleep", "1000"};
  foreign.network = "none";
  foreign.labels = {{"somebody", "else"}};
  auto others = UniqueContainer::create(engine, scope, foreign, within(60));
  ASSERT_TRUE(others) << others.error();
  ASSERT_TRUE(start_container(engine, others->id(), within(60)));

  int out[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  const std::string program = std::string(AWM_BIN_DIR) + "/docker_owner";
  const std::string image = docker_test_image();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::dup2(out[1], 1);
    ::setenv("DOCKER_HOST", engine.address().text().c_str(), 1);
    ::execl(program.c_str(), program.c_str(), image.c_str(), AWM_BIN_DIR, run.c_str(), "4", nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  char ready[16] = {};
  EXPECT_EQ(::read(out[0], ready, 6), 6) << "the owner did not get ready";
  ::close(out[0]);
  EXPECT_EQ(count(engine, run), 4U);
  // While it lives, a sweep of another process leaves its containers alone.
  const auto early = sweep_docker_leftovers(engine, {}, within(60));
  ASSERT_TRUE(early) << early.error();
  EXPECT_EQ(count(engine, run), 4U);

  ASSERT_EQ(::kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(testing::eventually([&] { return count(engine, run) == 0; })) << count(engine, run) << " are left";
  EXPECT_EQ(inspect_container(engine, others->id(), within(20))->status, "running");
}

class EngineGone : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_OWN_ENGINE(own_);
    image_ = own_.import_small_image();
    stop_ = *Stop::create(scope);
    spawner_ = *Spawner::create(scope);
  }
  std::unique_ptr<Sandbox> connected() {
    DockerSandboxSettings s;
    s.image = image_;
    s.platform = "";
    s.helper_folder = AWM_BIN_DIR;
    s.labels = labels_of_this_process("gone", "sample");
    auto made = make_docker_sandbox(s, own_.engine(), *spawner_, *stop_, scope);
    EXPECT_TRUE(made) << made.error();
    const auto done = (*made)->connect(within(120));
    EXPECT_TRUE(done) << done.error();
    return *std::move(made);
  }
  OwnEngine own_;
  std::string image_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<Spawner> spawner_;
};

ExecOptions at_root() {
  ExecOptions options;
  options.folder = "/";
  return options;
}

TEST_F(EngineGone, BeforeTheReleaseIsToldInItsReportAndHangsNobody) {
  auto sandbox = connected();
  ASSERT_TRUE(sandbox->exec(bash("true"), at_root()));
  own_.kill();
  const auto report = sandbox->close();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_TRUE(report.problems[0].code == Errc::unavailable || report.problems[0].code == Errc::lost)
      << report.problems[0];
  EXPECT_FALSE(report.problems[0].remedy.empty());
  EXPECT_EQ(sandbox->close().problems.size(), 1U);
  EXPECT_EQ(Ledger::process().count(ResourceKind::container, scope.path()), 0U);
}

TEST_F(EngineGone, InTheMiddleOfCommandsIsLostForEachAndSaysSo) {
  std::vector<std::unique_ptr<Sandbox>> all;
  std::vector<Result<ExecResult>> results(4, fail(Errc::internal, "", "", ""));
  std::vector<Thread> threads;
  std::atomic<int> began{0};
  for (std::size_t i = 0; i < 4; ++i) all.push_back(connected());
  for (std::size_t i = 0; i < 4; ++i) {
    auto thread = Thread::start(scope, "command", [&, i] {
      auto options = at_root();
      options.on_output = [&](std::string_view) {
        ++began;
        return true;
      };
      results[i] = all[i]->exec(bash("echo began; while :; do :; done"), options);
    });
    ASSERT_TRUE(thread);
    threads.push_back(*std::move(thread));
  }
  ASSERT_TRUE(testing::eventually([&] { return began == 4; }));
  own_.shut_down();
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::lost) << result.error();
  }
  for (auto& sandbox : all) (void)sandbox->close();
  EXPECT_EQ(Ledger::process().count(ResourceKind::container, scope.path()), 0U);
}

TEST_F(EngineGone, BeforeAConnectIsUnavailable) {
  own_.kill();
  DockerSandboxSettings s;
  s.image = image_;
  s.platform = "";
  s.helper_folder = AWM_BIN_DIR;
  auto made = make_docker_sandbox(s, own_.engine(), *spawner_, *stop_, scope);
  ASSERT_TRUE(made);
  const auto done = (*made)->connect(within(30));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::unavailable) << done.error();
  EXPECT_TRUE((*made)->close().clean());
}

}  // namespace
}  // namespace awm
