// Whole runs whose Docker engine goes away, whose program is killed, or whose descriptors are few. The model is held by
// the test until as many samples are live as it wants.
#include <atomic>
#include <csignal>

#include "docker/own_engine.h"
#include "held_model.h"
#include "os/sys.h"
#include "os/thread.h"
#include "support/faults.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;

std::size_t containers_of_awm(const Engine& engine) {
  const auto found = list_containers(engine, {std::string(label_prefix) + "run"}, Deadline::in(Seconds{60}));
  EXPECT_TRUE(found) << found.error();
  return found ? found->size() : 0;
}

class EngineOfARun : public ::testing::Test {
 protected:
  explicit EngineOfARun(bool live_restore = false) : own_(live_restore) {}
  void SetUp() override {
    REQUIRE_OWN_ENGINE(own_);
    image_ = own_.import_test_image();
    bench_ = std::make_unique<Bench>();
    bench_->set("DOCKER_HOST", own_.address());
  }
  // A run in the engine, on a thread of its own.
  void begin(const Samples& samples, const HeldModel& model, std::vector<std::string> more,
             const std::string& image_template = "") {
    more.insert(more.end(), {"--sandbox", "docker"});
    if (image_template.empty()) {
      more.insert(more.end(), {"--image", image_});
    } else {
      more.insert(more.end(), {"--image-template", image_template});
    }
    const auto argv = run_of(*bench_, samples, model, folder(), more);
    auto thread =
        Thread::start(scope(), "a run", [this, argv] { outcome_ = Bench::read(bench_->process(argv), folder()); });
    ASSERT_TRUE(thread) << thread.error();
    running_ = *std::move(thread);
  }
  const Outcome& finish() {
    running_.join();
    return outcome_;
  }
  [[nodiscard]] std::string folder() const { return bench_->folder() / "run"; }
  Outcome resume() {
    return Bench::read(bench_->process({program(), "run", "--resume-from", folder(), "--retry-errors"}), folder());
  }

  // Somebody else's, which lives on whatever we do.
  UniqueContainer foreign_container() {
    ContainerSpec spec;
    spec.image = image_;
    spec.entrypoint = {"sleep", "1000"};
    spec.network = "none";
    spec.labels = {{"somebody", "else"}};
    auto made = UniqueContainer::create(own_.engine(), scope(), spec, Deadline::in(Seconds{60}));
    EXPECT_TRUE(made) << made.error();
    EXPECT_TRUE(start_container(own_.engine(), made->id(), Deadline::in(Seconds{60})));
    return *std::move(made);
  }
  // The engine is stopped and started again under eight live samples; `alive` of their containers outlive it.
  void restart_under_eight(std::size_t alive) {
    const Samples samples(*bench_, 0, 8);
    HeldModel model(samples.patch());
    begin(samples, model, {"--workers", "8"});
    ASSERT_TRUE(model.wait_for(8));
    own_.shut_down();
    EXPECT_EQ(own_.containers_alive(), alive);
    own_.start_again();
    model.release();
    const auto& outcome = finish();
    EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
    for (const auto& [id, line] : outcome.results) EXPECT_EQ(verdict(outcome, id), "PASS") << id;
    EXPECT_EQ(outcome.results.size(), 8U);
    EXPECT_TRUE(testing::eventually([&] { return containers_of_awm(own_.engine()) == 0; }));
  }
  // Kills the run whose containers live; they are listed.
  std::vector<ContainerSummary> kill_owner(bool frozen) {
    const auto live = list_containers(own_.engine(), {std::string(label_prefix) + "run"}, Deadline::in(Seconds{60}));
    EXPECT_TRUE(live) << live.error();
    for (const auto& one : *live) {
      if (!frozen) break;
      const auto paused = own_.engine().call("POST", "/containers/" + one.id + "/pause", "", Deadline::in(Seconds{60}));
      EXPECT_TRUE(paused) << paused.error();
    }
    const auto pid = std::atoi(live->front().labels.at(std::string(label_prefix) + "pid").c_str());
    EXPECT_GT(pid, 1);
    EXPECT_EQ(::kill(pid, SIGKILL), 0);
    EXPECT_EQ(finish().status, ExitStatus::signalled(9));
    return *live;
  }

  testing::OwnEngine own_;
  std::string image_;
  std::unique_ptr<Bench> bench_;
  Thread running_;
  Outcome outcome_;
};

TEST_F(EngineOfARun, StoppedBetweenVerdictAndReleaseLeavesTheVerdict) {
  const Samples samples(*bench_, 1, 0);
  HeldModel model(samples.patch());
  const auto hold = bench_->folder().write("hold", "");
  bench_->set("AWM_HOLD", "release:" + hold);
  begin(samples, model, {});
  ASSERT_TRUE(testing::eventually([&] { return exists(hold + ".reached"); }, std::chrono::minutes(2)));
  own_.kill();
  ASSERT_TRUE(sys::unlink(hold));
  const auto& outcome = finish();
  EXPECT_EQ(verdict(outcome, "free-0"), "PASS") << outcome.output;
  ASSERT_TRUE(outcome.results.contains("free-0"));
  EXPECT_THAT(string_or(outcome.results.at("free-0"), "release_error", ""), HasSubstr("judge sandbox: "));
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  bench_->set("AWM_HOLD", "");
  // The engine comes back with what it had; the next run sweeps it.
  own_.start_again();
  const auto again = resume();
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  EXPECT_EQ(verdict(again, "free-0"), "PASS");
  EXPECT_TRUE(testing::eventually([&] { return containers_of_awm(own_.engine()) == 0; }));
}

TEST_F(EngineOfARun, GoneUnderEightSamplesLosesNoVerdictAndTheRestAreErrors) {
  const Samples samples(*bench_, 2, 8);
  HeldModel model(samples.patch());
  begin(samples, model, {"--workers", "8"});
  ASSERT_TRUE(model.wait_for(8));
  own_.kill();
  model.release();
  const auto& outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::exited(3)) << outcome.output;
  ASSERT_EQ(outcome.results.size(), 10U) << outcome.output;
  for (const auto& [id, line] : outcome.results) {
    if (id.starts_with("free-")) {
      EXPECT_EQ(verdict(outcome, id), "PASS");
    } else {
      EXPECT_EQ(verdict(outcome, id), "ERROR runtime") << id;
      EXPECT_NE(string_or(line, "error", ""), "");
    }
  }
  own_.start_again();
  const auto again = resume();
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  for (const auto& [id, line] : again.results) EXPECT_EQ(verdict(again, id), "PASS") << id;
  EXPECT_EQ(again.results.size(), 10U);
  EXPECT_TRUE(testing::eventually([&] { return containers_of_awm(own_.engine()) == 0; }));
}

TEST_F(EngineOfARun, RestartedUnderEightSamplesIsMadeUpForByAFreshTry) {
  restart_under_eight(0);
}

class EngineWithLiveRestore : public EngineOfARun {
 protected:
  EngineWithLiveRestore() : EngineOfARun(true) {}
};

// Then the containers live on, and nobody speaks to them any more.
TEST_F(EngineWithLiveRestore, RestartedUnderEightSamplesIsMadeUpForByAFreshTryAndLeavesNothing) {
  restart_under_eight(8);
}

TEST_F(EngineOfARun, WhoseContainersAreKilledOrRemovedGivesTheirSamplesAFreshTry) {
  const Samples samples(*bench_, 0, 3);
  HeldModel model(samples.patch());
  begin(samples, model, {"--workers", "3"});
  ASSERT_TRUE(model.wait_for(3));
  const auto live = list_containers(own_.engine(), {std::string(label_prefix) + "run"}, Deadline::in(Seconds{60}));
  ASSERT_TRUE(live) << live.error();
  ASSERT_EQ(live->size(), 3U);
  EXPECT_TRUE(own_.engine().call("POST", "/containers/" + live->at(0).id + "/kill", "", Deadline::in(Seconds{60})));
  EXPECT_TRUE(remove_container(own_.engine(), live->at(1).id, Deadline::in(Seconds{60})));
  model.release();
  const auto& outcome = finish();
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto& [id, line] : outcome.results) EXPECT_EQ(verdict(outcome, id), "PASS") << id;
  EXPECT_EQ(outcome.results.size(), 3U);
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
  EXPECT_EQ(containers_of_awm(own_.engine()), 0U);
}

TEST_F(EngineOfARun, OfAKilledProgramKeepsNoneOfItsEightContainers) {
  const Samples samples(*bench_, 0, 8);
  HeldModel model(samples.patch());
  const auto others = foreign_container();
  begin(samples, model, {"--workers", "8"});
  ASSERT_TRUE(model.wait_for(8));
  EXPECT_EQ(kill_owner(false).size(), 8U);
  EXPECT_TRUE(testing::eventually([&] { return containers_of_awm(own_.engine()) == 0; }))
      << containers_of_awm(own_.engine()) << " are left";
  EXPECT_EQ(inspect_container(own_.engine(), others.id(), Deadline::in(Seconds{20}))->status, "running");
  model.release();
  const auto again = resume();
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  for (const auto& [id, line] : again.results) EXPECT_EQ(verdict(again, id), "PASS") << id;
  EXPECT_EQ(again.results.size(), 8U);
}

TEST_F(EngineOfARun, WithContainersThatOutliveTheirRunIsSwept) {
  const Samples samples(*bench_, 0, 2);
  HeldModel model(samples.patch());
  const auto others = foreign_container();
  begin(samples, model, {"--workers", "2"});
  ASSERT_TRUE(model.wait_for(2));
  const auto left = kill_owner(true);  // frozen, a helper hears nothing of the end
  model.release();
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(containers_of_awm(own_.engine()), 2U);
  const auto dry = bench_->process({program(), "sweep", "--dry-run"});
  EXPECT_EQ(dry.status, ExitStatus::exited(0)) << dry.output;
  for (const auto& one : left) EXPECT_THAT(dry.output, HasSubstr("would remove container " + one.name + " (paused)"));
  EXPECT_THAT(dry.output, HasSubstr("2 would be removed, 0 kept"));
  EXPECT_EQ(containers_of_awm(own_.engine()), 2U);
  const auto swept = bench_->process({program(), "sweep", "--sandbox", "docker"});
  EXPECT_EQ(swept.status, ExitStatus::exited(0)) << swept.output;
  EXPECT_THAT(swept.output, HasSubstr("2 removed, 0 kept"));
  EXPECT_EQ(containers_of_awm(own_.engine()), 0U);
  EXPECT_EQ(inspect_container(own_.engine(), others.id(), Deadline::in(Seconds{20}))->status, "running");
}

// The sandbox made ahead waits for a registry that does not answer; nobody wants it once the run is to end.
TEST_F(EngineOfARun, ThatPullsForTheNextSampleDoesNotKeepAStoppedRunFromEnding) {
  std::atomic<int> asked{0};
  auto registry = HttpServer::start(scope(), {}, [&](const HttpdRequest& request) {
    if (request.path.starts_with("/v2")) ++asked;
    return HttpdResponse{.delay = std::chrono::hours(1)};
  });
  ASSERT_TRUE(registry) << registry.error();
  const auto repository = "127.0.0.1:" + std::to_string((*registry)->port()) + "/sample";
  ASSERT_TRUE(own_.engine().call("POST", "/images/" + image_ + "/tag?repo=" + url_encode(repository) + "&tag=free-0",
                                 "", Deadline::in(Seconds{60})));

  const Samples samples(*bench_, 2, 0);
  HeldModel model(samples.patch());
  const auto hold = bench_->folder().write("hold", "");
  bench_->set("AWM_HOLD", "release:" + hold);
  begin(samples, model, {"--workers", "1"}, repository + ":{instance_id}");
  ASSERT_TRUE(testing::eventually([&] { return exists(hold + ".reached") && asked > 0; }, std::chrono::minutes(2)));
  const auto live = list_containers(own_.engine(), {std::string(label_prefix) + "run"}, Deadline::in(Seconds{60}));
  ASSERT_TRUE(live) << live.error();
  ASSERT_EQ(live->size(), 1U) << "the judge's";
  const auto pid = std::atoi(live->front().labels.at(std::string(label_prefix) + "pid").c_str());
  ASSERT_GT(pid, 1);
  ASSERT_EQ(::kill(pid, SIGINT), 0);
  ASSERT_TRUE(sys::unlink(hold));
  const auto& outcome = finish();
  EXPECT_EQ(verdict(outcome, "free-0"), "PASS") << outcome.output;
  EXPECT_EQ(verdict(outcome, "free-1"), "no result") << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
  EXPECT_EQ(outcome.status.kind(), ExitStatus::Kind::exited) << outcome.status << outcome.output;
}

TEST_F(EngineOfARun, OfManySamplesUnderALowLimitHoldsWhatAFewDid) {
  constexpr int limit = 64;
  std::vector<Held> held;
  for (const std::size_t count : {8, 24}) {
    const Samples samples(*bench_, count, 0);
    HeldModel model(samples.patch());
    const auto place = bench_->folder() / ("flat-" + std::to_string(count));
    const auto argv = run_of(*bench_, samples, model, place,
                             {"--sandbox", "docker", "--image", image_, "--workers", "8", "--strict-resources"});
    const auto outcome = Bench::read(bench_->process(with_descriptors(limit, argv)), place);
    EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
    EXPECT_EQ(outcome.results.size(), count);
    held.push_back(held_at_the_end(outcome));
  }
  EXPECT_EQ(held[0].leaks, 0);
  EXPECT_TRUE(held[1].no_more_than(held[0])) << ::testing::PrintToString(held);
  EXPECT_EQ(containers_of_awm(own_.engine()), 0U);
}

}  // namespace
}  // namespace awm::e2e
