// Whole runs whose images have to be pulled: from a registry of ours, by the real engine.
#include "docker/docker_support.h"
#include "docker/registry.h"
#include "os/sys.h"
#include "rows.h"

namespace awm::e2e {
namespace {

using ::testing::AllOf;
using testing::docker_engine;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Registry;

const std::vector<std::string> ids{"example__textkit-1", "example__logsift-1", "example__logsift-2"};

class PulledImages : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    if (docker_engine()->address().kind != EngineAddress::Kind::unix_socket)
      GTEST_SKIP() << "an engine elsewhere does not see our registry";
    bench_ = std::make_unique<Bench>();
    bench_->serve();
    bench_->set("DOCKER_HOST", docker_engine()->address().text());
    const auto base = testing::read_text(testing::docker_test_archive());
    for (const auto& id : ids) {
      const auto one = "awm/" + id + ":1";
      names_.push_back(registry_.put(one, {base, testing::tar_of_file("etc/" + id, sys::random_hex(1000))}));
    }
  }
  void TearDown() override {
    if (!bench_) return;
    for (const auto& name : names_) {
      const auto gone = remove_image(*docker_engine(), name, Deadline::in(Seconds{60}));
      EXPECT_TRUE(gone) << gone.error();
    }
    // By tag or by digest.
    const auto kept = list_images(*docker_engine(), registry_.host() + "/awm/*", Deadline::in(Seconds{60}));
    EXPECT_TRUE(kept && kept->empty());
    const auto left = list_containers(*docker_engine(), {std::string(label_prefix) + "run"}, Deadline::in(Seconds{60}));
    EXPECT_TRUE(left && left->empty());
  }
  std::vector<std::string> options(std::vector<std::string> more) {
    for (const auto& id : ids) more.insert(more.end(), {"--instance", id});
    more.insert(more.end(), {"--sandbox", "docker", "--image-template", registry_.host() + "/awm/{instance_id}:1"});
    return more;
  }
  ProcessOutput eval(std::vector<std::string> more) {
    std::vector<std::string> argv{program(),
                                  "eval",
                                  source("examples/tasks.jsonl"),
                                  "--gold",
                                  "--repos",
                                  bench_->folder() / "repos",
                                  "--output-dir",
                                  bench_->folder() / "eval"};
    more = options(std::move(more));
    argv.insert(argv.end(), more.begin(), more.end());
    return bench_->process(std::move(argv));
  }

  Registry registry_;
  std::vector<std::string> names_;
  std::unique_ptr<Bench> bench_;
};

TEST_F(PulledImages, AreThereForAgentAndJudgeAndGoWhenTheDiskIsNeeded) {
  const auto outcome = bench_->run(options({"--workers", "1", "--memory", "off", "--image-budget", "1"}));
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto& id : ids) {
    EXPECT_EQ(verdict(outcome, id), "PASS") << outcome.output;
    EXPECT_EQ(registry_.manifests("awm/" + id), 1) << outcome.output;
  }
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("pulling image " + names_[0]),
                    HasSubstr("image " + names_[0] + ": removed, for the disk's budget"), HasSubstr("nothing leaked")));
  for (const auto& name : names_)
    EXPECT_FALSE(*inspect_image(*docker_engine(), name, Deadline::in(Seconds{60}))) << outcome.output;
}

TEST_F(PulledImages, AreFetchedAheadByARunThatHasTheDisk) {
  const auto outcome = bench_->run(options({"--workers", "2", "--memory", "off"}));
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto& id : ids) {
    EXPECT_EQ(verdict(outcome, id), "PASS") << outcome.output;
    EXPECT_EQ(registry_.manifests("awm/" + id), 1) << outcome.output;
  }
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("pulling image " + names_[2] + " ahead"), HasSubstr("nothing leaked"),
                                    Not(HasSubstr("removed, for"))));
}

TEST_F(PulledImages, OfAPrivateRegistryComeByDockersOwnLogin) {
  registry_.want(Registry::Login::token, "somebody", "hunter2");
  const auto shut = eval({"--run-id", "shut", "--infra-retries", "0"});
  EXPECT_EQ(shut.status, ExitStatus::exited(3)) << shut.output;
  EXPECT_THAT(shut.output, AllOf(HasSubstr("docker login"), HasSubstr("3 error permission")));
  // c29tZWJvZHk6aHVudGVyMg== is somebody:hunter2
  bench_->folder().write("home/.docker/config.json",
                         dump_json(Json{{"auths", {{registry_.host(), {{"auth", "c29tZWJvZHk6aHVudGVyMg=="}}}}}}));
  registry_.fail(Registry::Fault::too_many, 2);
  const auto open = eval({"--run-id", "open"});
  EXPECT_EQ(open.status, ExitStatus::exited(0)) << open.output;
  EXPECT_THAT(open.output, AllOf(HasSubstr("3 of 3 submitted are resolved"), HasSubstr("toomanyrequests"),
                                 HasSubstr("; again in "), Not(HasSubstr("hunter2")), Not(HasSubstr("c29tZ"))));
  const auto found = bench_->process({"grep", "-rlE", "hunter2|c29tZ|X-Registry", bench_->folder() / "eval"});
  EXPECT_EQ(found.output, "");
}

TEST_F(PulledImages, AWrongBudgetIsToldBeforeAnythingIsMade) {
  const auto outcome = bench_->run(options({"--image-budget", "much"}));
  EXPECT_EQ(outcome.status, ExitStatus::exited(2)) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("--image-budget much: it is no size"));
  EXPECT_TRUE(outcome.journal.empty());
}

}  // namespace
}  // namespace awm::e2e
