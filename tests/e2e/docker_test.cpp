// The example tasks in containers: the same patches, verdicts and memory as in the local sandbox; what is left after
// kill -9.
#include "docker/docker_support.h"
#include "os/sys.h"
#include "os/thread.h"
#include "run_awm.h"
#include "support/faults.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;

std::size_t containers_of_awm() {
  const auto found =
      list_containers(*testing::docker_engine(), {std::string(label_prefix) + "run"}, Deadline::in(Seconds{30}));
  EXPECT_TRUE(found) << found.error();
  return found ? found->size() : 0;
}

class Containers : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    bench_ = std::make_unique<Bench>();
    bench_->serve();
    bench_->set("DOCKER_HOST", testing::docker_engine()->address().text());
  }
  static std::vector<std::string> in_docker(std::vector<std::string> more) {
    more.insert(more.end(), {"--sandbox", "docker", "--image", testing::docker_build_image()});
    return more;
  }
  std::unique_ptr<Bench> bench_;
};

TEST_F(Containers, GiveWhatTheLocalSandboxGives) {
  const std::vector<std::string> common{"--induction-trigger", "1", "--max-iterations", "30", "--memory-lag", "4"};
  const auto local = bench_->run(common);
  auto more = in_docker(common);
  more.insert(more.end(), {"--workers", "3"});
  const auto docker = bench_->run(more);
  EXPECT_EQ(docker.status, ExitStatus::exited(0)) << docker.output;
  EXPECT_THAT(docker.output, HasSubstr("nothing leaked"));
  const auto diff = bench_->process({program(), "diff", local.folder, docker.folder});
  EXPECT_EQ(diff.status, ExitStatus::exited(0)) << diff.output;
  EXPECT_THAT(diff.output, HasSubstr("9 samples compared, 0 differences"));
  EXPECT_EQ(containers_of_awm(), 0U);
}

TEST_F(Containers, OfAKilledRunGoAwayAndTheRunGoesOn) {
  const std::vector<std::string> tasks{"--instance",         "example__textkit-1", "--instance",
                                       "example__logsift-2", "--workers",          "2"};
  const auto undisturbed = bench_->run(tasks);
  bench_->set("AWM_CRASH", "judge:2");
  const auto first = bench_->run(in_docker(tasks));
  bench_->set("AWM_CRASH", "");
  ASSERT_EQ(first.status, ExitStatus::signalled(9)) << first.output;
  EXPECT_TRUE(testing::eventually([] { return containers_of_awm() == 0; }));
  const auto resumed = bench_->process({program(), "run", "--resume-from", first.folder});
  EXPECT_EQ(resumed.status, ExitStatus::exited(0)) << resumed.output;
  const auto diff = bench_->process({program(), "diff", undisturbed.folder, first.folder});
  EXPECT_EQ(diff.status, ExitStatus::exited(0)) << diff.output;
}

// Made ahead, it is gone before its sample begins: whenever that is noticed, the sample has a fresh one.
TEST_F(Containers, MadeAheadAndLostAreMadeAnew) {
  const auto hold = bench_->folder().write("hold", "");
  bench_->set("AWM_HOLD", "release:" + hold);
  Outcome outcome;
  auto run = Thread::start(scope(), "a run", [&] {
    outcome = bench_->run(in_docker(
        {"--instance", "example__textkit-1", "--instance", "example__logsift-2", "--workers", "1", "--memory", "off"}));
  });
  ASSERT_TRUE(run) << run.error();
  const auto& engine = *testing::docker_engine();
  const std::string second = std::string(label_prefix) + "sample=example__logsift-2";
  std::vector<ContainerSummary> ahead;
  EXPECT_TRUE(testing::eventually(
      [&] {
        const auto found = list_containers(engine, {second}, Deadline::in(Seconds{60}));
        if (found) ahead = *found;
        return exists(hold + ".reached") && ahead.size() == 1 && ahead.front().state == "running";
      },
      std::chrono::minutes(2)));
  for (const auto& one : ahead) EXPECT_TRUE(remove_container(engine, one.id, Deadline::in(Seconds{60})));
  EXPECT_TRUE(sys::unlink(hold));
  run->join();
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(verdict(outcome, "example__textkit-1"), "PASS") << outcome.output;
  EXPECT_EQ(verdict(outcome, "example__logsift-2"), "PASS") << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
  EXPECT_EQ(containers_of_awm(), 0U);
}

TEST_F(Containers, WithoutAnEngineTheRunSaysWhatToDo) {
  bench_->set("DOCKER_HOST", "unix://" + (bench_->folder() / "no.sock"));
  const auto outcome = bench_->run(in_docker({}));
  EXPECT_NE(outcome.status, ExitStatus::exited(0));
  EXPECT_TRUE(outcome.journal.empty());
  EXPECT_THAT(outcome.output, HasSubstr("no.sock"));
}

}  // namespace
}  // namespace awm::e2e
