// Containers of the real engine.
#include <array>
#include <atomic>
#include <map>

#include "docker/docker_support.h"
#include "docker/sweep.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm {
namespace {

using testing::docker_engine;
using testing::docker_test_image;
using ::testing::HasSubstr;

const Scope scope{"test/docker"};

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

ContainerSpec spec_of(std::vector<std::string> command, const std::string& run = "containers-test") {
  ContainerSpec spec;
  spec.image = docker_test_image();
  spec.entrypoint = std::move(command);
  spec.network = "none";
  spec.labels = labels_of_this_process(run, "sample").map();
  return spec;
}

std::string read_all(EngineStream& stream) {
  std::string all = stream.already_read;
  std::array<char, 4096> piece;
  for (;;) {
    std::array<sys::PollFd, 1> set{sys::PollFd{.fd = stream.socket.get(), .want_read = true}};
    const auto ready = sys::poll(set, within(30));
    if (!ready || *ready == 0) return all;
    const auto got = sys::recv_some(stream.socket.get(), piece.data(), piece.size());
    if (!got || !*got || **got == 0) return all;
    all.append(piece.data(), **got);
  }
}

TEST(Container, IsOnTheLedgerFromItsCreationToItsRemoval) {
  REQUIRE_DOCKER();
  auto made = UniqueContainer::create(*docker_engine(), scope, spec_of({"true"}), within(60));
  ASSERT_TRUE(made) << made.error();
  EXPECT_EQ(Ledger::process().count(ResourceKind::container, scope.path()), 1U);
  const std::string id = made->id();
  auto other = *std::move(made);
  EXPECT_EQ(Ledger::process().count(ResourceKind::container, scope.path()), 1U);
  ASSERT_TRUE(other.remove(within(60)));
  EXPECT_EQ(Ledger::process().count(ResourceKind::container, scope.path()), 0U);
  EXPECT_EQ(inspect_container(*docker_engine(), id, within(20)).error().code, Errc::not_found);
  EXPECT_TRUE(other.remove(within(60)));
  EXPECT_TRUE(remove_container(*docker_engine(), id, within(20)));
}

TEST(Container, AttachedBeforeItsStartLosesNothingAndReadsItsInput) {
  REQUIRE_DOCKER();
  auto made = UniqueContainer::create(
      *docker_engine(), scope, spec_of({"sh", "-c", "echo first; read line; echo got $line; echo bad >&2; exit 3"}),
      within(60));
  ASSERT_TRUE(made) << made.error();
  auto stream = attach_container(*docker_engine(), scope, made->id(), within(20));
  ASSERT_TRUE(stream) << stream.error();
  ASSERT_TRUE(start_container(*docker_engine(), made->id(), within(60)));
  ASSERT_TRUE(sys::send_some(stream->socket.get(), "hello\n"));
  // In frames of the engine's choice: which stream, three zeros, the length in four bytes, the bytes.
  const auto all = read_all(*stream);
  std::map<char, std::string> said;
  for (std::size_t at = 0; at + 8 <= all.size();) {
    std::size_t length = 0;
    for (std::size_t i = 4; i < 8; ++i) length = length << 8 | static_cast<unsigned char>(all[at + i]);
    said[all[at]] += all.substr(at + 8, length);
    at += 8 + length;
  }
  EXPECT_EQ(said[1], "first\ngot hello\n");
  EXPECT_EQ(said[2], "bad\n");
  ContainerState state;
  ASSERT_TRUE(testing::eventually([&] {
    state = inspect_container(*docker_engine(), made->id(), within(20)).value_or(ContainerState{});
    return state.status == "exited";
  }));
  EXPECT_EQ(state.exit_code, 3);
  EXPECT_FALSE(state.oom_killed);
}

TEST(Container, TakesAnArchiveBeforeItsStart) {
  REQUIRE_DOCKER();
  const testing::TestFolder folder;
  (void)folder.write("x/script", "#!/bin/sh\necho from the archive\n");
  ASSERT_EQ(std::system(("chmod 755 '" + (folder / "x/script") + "' && tar -C '" + (folder / "x") + "' -cf '" +
                         (folder / "a.tar") + "' script")
                            .c_str()),
            0);
  auto made = UniqueContainer::create(*docker_engine(), scope, spec_of({"/script"}), within(60));
  ASSERT_TRUE(made) << made.error();
  bool given = false;
  const auto put = put_container_archive(*docker_engine(), made->id(), "/", within(60), [&]() -> Result<std::string> {
    return std::exchange(given, true) ? std::string() : testing::read_text(folder / "a.tar");
  });
  ASSERT_TRUE(put) << put.error();
  auto stream = attach_container(*docker_engine(), scope, made->id(), within(20));
  ASSERT_TRUE(stream) << stream.error();
  const auto started = start_container(*docker_engine(), made->id(), within(60));
  ASSERT_TRUE(started) << started.error();
  EXPECT_THAT(read_all(*stream), HasSubstr("from the archive"));
}

TEST(Container, AnArchiveForOneThatIsGoneIsRefusedInTheEnginesWords) {
  REQUIRE_DOCKER();
  int pieces = 0;
  const auto put = put_container_archive(*docker_engine(), "awm-gone", "/", within(60), [&]() -> Result<std::string> {
    return ++pieces > 50 ? std::string() : std::string(std::size_t{1} << 20, '\0');
  });
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::not_found) << put.error();
  EXPECT_THAT(put.error().cause, HasSubstr("awm-gone"));
}

TEST(Container, LimitsAndLabelsArriveInside) {
  REQUIRE_DOCKER();
  auto spec = spec_of({"sh", "-c",
                       "id -u; cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max "
                       "/sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; touch /x 2>&1; ls /sys/class/net"});
  spec.user = "1000";
  spec.pids = 77;
  spec.memory = uint64_t{128} << 20;
  spec.cpus = 0.5;
  spec.read_only = true;
  auto made = UniqueContainer::create(*docker_engine(), scope, spec, within(60));
  ASSERT_TRUE(made) << made.error();
  auto stream = attach_container(*docker_engine(), scope, made->id(), within(20));
  ASSERT_TRUE(stream) << stream.error();
  ASSERT_TRUE(start_container(*docker_engine(), made->id(), within(60)));
  const auto all = read_all(*stream);
  EXPECT_THAT(all, HasSubstr("1000\n"));
  EXPECT_THAT(all, HasSubstr("77\n"));
  EXPECT_THAT(all, HasSubstr("134217728\n"));
  EXPECT_THAT(all, HasSubstr("Read-only file system"));
  EXPECT_THAT(all, ::testing::Not(HasSubstr("eth0")));
  const auto list = list_containers(*docker_engine(), {"dev.awm.run=containers-test"}, within(20));
  ASSERT_TRUE(list) << list.error();
  ASSERT_EQ(list->size(), 1U);
  const auto labels = ContainerLabels::from(list->front().labels);
  ASSERT_TRUE(labels);
  EXPECT_EQ(labels->sample_id, "sample");
  EXPECT_EQ(labels->pid, sys::pid());
  EXPECT_FALSE(labels->boot_id.empty());
}

TEST(Container, MoreCpusThanThereAreIsTheEnginesRefusal) {
  REQUIRE_DOCKER();
  auto spec = spec_of({"true"});
  spec.cpus = 100000;
  const auto made = UniqueContainer::create(*docker_engine(), scope, spec, within(60));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::invalid_input) << made.error();
  EXPECT_THAT(made.error().cause, HasSubstr("CPU"));
}

TEST(Events, TellWhatBecomesOfOurContainers) {
  REQUIRE_DOCKER();
  std::vector<std::string> actions;
  std::atomic<bool> listening{false};
  Result<void> followed;
  auto thread = Thread::start(scope, "events", [&] {
    followed = follow_events(
        *docker_engine(), {"dev.awm.run=events-test"}, within(60),
        [&](const EngineEvent& event) {
          actions.push_back(event.action);
          return event.action != "destroy";
        },
        [&] { listening = true; });
  });
  ASSERT_TRUE(thread);
  ASSERT_TRUE(testing::eventually([&] { return listening.load(); }));
  auto made = UniqueContainer::create(*docker_engine(), scope, spec_of({"true"}, "events-test"), within(60));
  ASSERT_TRUE(made) << made.error();
  ASSERT_TRUE(start_container(*docker_engine(), made->id(), within(60)));
  ASSERT_TRUE(made->remove(within(60)));
  thread->join();
  EXPECT_TRUE(followed) << followed.error();
  EXPECT_THAT(actions, ::testing::IsSupersetOf({"create", "start", "die", "destroy"}));
}

TEST(Labels, SurviveTheWayThereAndBack) {
  const auto labels = labels_of_this_process("run", "sample/1");
  const auto back = ContainerLabels::from(labels.map());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->map(), labels.map());
  EXPECT_EQ(back->pid, sys::pid());
  EXPECT_GT(back->pid_start_time, 0U);
  EXPECT_THAT(back->pid_namespace, ::testing::MatchesRegex("[0-9]+"));
  EXPECT_FALSE(ContainerLabels::from({{"other", "label"}}));
}

TEST(Sweep, RemovesWhatTheDeadLeftAndNothingElse) {
  REQUIRE_DOCKER();
  auto dead = labels_of_this_process("sweep-test", "dead");
  dead.pid_start_time += 1;  // a process of this number that is not the owner: the pid was used again
  auto gone = labels_of_this_process("sweep-test", "gone");
  gone.pid = 0x3fffffff;
  auto elsewhere = labels_of_this_process("sweep-test", "elsewhere");
  elsewhere.boot_id = "another";
  auto expired = elsewhere;
  expired.sample_id = "expired";
  expired.lease_until = 1;
  const auto alive = labels_of_this_process("sweep-test", "alive");

  std::map<std::string, std::string> ids;
  std::vector<UniqueContainer> keep;
  for (const auto& labels : {dead, gone, elsewhere, expired, alive}) {
    auto spec = spec_of({"true"});
    spec.labels = labels.map();
    auto made = UniqueContainer::create(*docker_engine(), scope, spec, within(60));
    ASSERT_TRUE(made) << made.error();
    ids[labels.sample_id] = made->id();
    keep.push_back(*std::move(made));
  }
  auto foreign = spec_of({"true"});
  foreign.labels = {{"somebody", "else"}};
  auto others = UniqueContainer::create(*docker_engine(), scope, foreign, within(60));
  ASSERT_TRUE(others) << others.error();
  // Labels that somebody wrote by hand, with one of ours missing or no number, are not ours.
  std::vector<std::string> forged;
  for (const auto& [name, words] : dead.map()) {
    for (const bool missing : {true, false}) {
      const bool number = name.ends_with("pid") || name.ends_with("pid-start") || name.ends_with("lease-until");
      if (!missing && !number) continue;
      auto spec = spec_of({"true"});
      spec.labels = dead.map();
      spec.labels[name] = words + "x";
      if (missing) spec.labels.erase(name);
      auto made = UniqueContainer::create(*docker_engine(), scope, spec, within(60));
      ASSERT_TRUE(made) << made.error();
      forged.push_back(made->id());
      keep.push_back(*std::move(made));
    }
  }
  EXPECT_EQ(forged.size(), 10U);

  const auto names = [](const std::vector<Leftover>& list) {
    std::vector<std::string> found;
    for (const auto& one : list) {
      if (one.labels.run_id == "sweep-test") found.push_back(one.labels.sample_id);
    }
    return found;
  };
  const auto dry = sweep_docker_leftovers(*docker_engine(), {.dry_run = true}, within(60));
  ASSERT_TRUE(dry) << dry.error();
  EXPECT_THAT(names(dry->removed), ::testing::UnorderedElementsAre("dead", "gone"));
  EXPECT_TRUE(inspect_container(*docker_engine(), ids["dead"], within(20)));

  for (const DockerSweepOptions& others_only :
       {DockerSweepOptions{.run = "another"}, DockerSweepOptions{.name_prefix = "no-such-name"},
        DockerSweepOptions{.older_than = Seconds{3600}}}) {
    const auto none = sweep_docker_leftovers(*docker_engine(), others_only, within(60));
    ASSERT_TRUE(none) << none.error();
    EXPECT_TRUE(names(none->removed).empty());
  }
  const auto here = sweep_docker_leftovers(*docker_engine(), {}, within(60));
  ASSERT_TRUE(here) << here.error();
  EXPECT_THAT(names(here->removed), ::testing::UnorderedElementsAre("dead", "gone"));
  const auto swept = sweep_docker_leftovers(*docker_engine(), {.other_hosts = true}, within(60));
  for (const auto& id : forged) EXPECT_TRUE(inspect_container(*docker_engine(), id, within(20))) << id;
  ASSERT_TRUE(swept) << swept.error();
  EXPECT_THAT(names(swept->removed), ::testing::ElementsAre("expired"));
  EXPECT_THAT(names(swept->kept), ::testing::UnorderedElementsAre("elsewhere", "alive"));
  EXPECT_TRUE(swept->problems.empty());
  for (const auto* name : {"dead", "gone", "expired"}) {
    EXPECT_EQ(inspect_container(*docker_engine(), ids[name], within(20)).error().code, Errc::not_found) << name;
  }
  for (const auto& id : {ids["elsewhere"], ids["alive"], others->id()})
    EXPECT_TRUE(inspect_container(*docker_engine(), id, within(20)));
}

}  // namespace
}  // namespace awm
