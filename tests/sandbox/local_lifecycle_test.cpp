// Giving back: after failing system calls, after kill -9, by the sweep.
#include <algorithm>
#include <csignal>

#include "base/text.h"
#include "local_support.h"
#include "os/owner.h"
#include "os/sys.h"
#include "os/thread.h"
#include "sandbox/cgroup.h"
#include "support/faults.h"

namespace awm::testing {
namespace {

using ::testing::HasSubstr;

class LocalLifecycleTest : public LocalTest {
 public:
  void SetUp() override {
    LocalTest::SetUp();
    if (IsSkipped()) return;
    host(
        "git init -q repo; cd repo; echo one > a.txt; git add -A; git commit -qm first; echo two > a.txt; git commit "
        "-qam second");
    base = host("git -C repo rev-parse HEAD~1");
  }
  [[nodiscard]] LocalSandboxSettings with_repository() const {
    auto some = settings();
    some.repository = *folder / "repo";
    some.base_commit = base;
    return some;
  }
  // Folders of live sandboxes and half-made checkouts.
  [[nodiscard]] std::string leftovers() const {
    return host("find cache/live cache/building -mindepth 1 -maxdepth 1 2>/dev/null || true");
  }
  std::string base;
};

// Every call that our side makes, each made to fail in turn: an error or success, and nothing stays.
TEST_F(LocalLifecycleTest, EveryFailingCallLeavesNothingAndDoesNotHang) {
  {
    auto sandbox = connect(with_repository());
    close(*sandbox);
  }
  const auto descriptors = open_descriptors();
  int failed_connects = 0;
  int failures = 0;
  struct Call {
    const char* name;
    const char* file;
    int number;
  };
  for (const auto& [name, file, number] :
       {Call{"mkdir", "local_sandbox.cpp", ENOSPC}, Call{"open", "", EMFILE}, Call{"socketpair", "", EMFILE},
        Call{"chmod", "local_sandbox.cpp", EIO}, Call{"write", "", ENOSPC}, Call{"poll", "helper_client.cpp", ENOMEM},
        Call{"recv", "", EIO}, Call{"send", "", EIO}, Call{"fcntl", "", EINVAL}}) {
    failures += fail_each_call(name, file, number, [&](int n) {
      auto sandbox = make(with_repository());
      const auto connected = sandbox->connect(Deadline::in(Seconds(60)));
      if (n < 0) {
        EXPECT_TRUE(connected) << connected.error();
      } else if (!connected) {
        ++failed_connects;
        EXPECT_FALSE(connected.error().message().empty());
      }
      const auto report = sandbox->close();
      // What could not be given back is told, and only then.
      if (n < 0) {
        EXPECT_TRUE(report.clean());
      }
      if (n >= 0) fault::clear();
      if (report.clean()) {
        EXPECT_EQ(leftovers(), "") << name << " " << n;
      }
      EXPECT_EQ(open_descriptors(), descriptors) << name << " " << n;
      EXPECT_TRUE(Ledger::process().entries(scope.path() + "/").empty());
      EXPECT_EQ(Ledger::process().count(ResourceKind::cgroup), 0u);
    });
  }
  EXPECT_GT(failures, 20);
  EXPECT_GT(failed_connects, 10);
}

TEST_F(LocalLifecycleTest, AReleaseThatFailsIsReportedAndSweptLater) {
  const FaultScope faults;
  auto sandbox = connect(with_repository());
  fault::inject("rmdir", "file.cpp", 0, 1000, EBUSY);
  fault::inject("unlink", "file.cpp", 0, 1000, EBUSY);
  const auto report = sandbox->close();
  fault::clear();
  ASSERT_FALSE(report.clean());
  EXPECT_THAT(report.problems.front().message(), HasSubstr("cache/live"));
  EXPECT_EQ(sandbox->close().problems.size(), report.problems.size());
  // While we live it is ours, and no sweep's.
  EXPECT_TRUE(sweep_local_leftovers(*folder / "cache").removed.empty());
  EXPECT_NE(leftovers(), "");
}

TEST_F(LocalLifecycleTest, AGroupThatDoesNotGoAwayIsReported) {
  const FaultScope faults;
  auto sandbox = connect(with_repository());
  if (Ledger::process().count(ResourceKind::cgroup) == 0) {
    close(*sandbox);
    GTEST_SKIP() << "no control group can be made here";
  }
  fault::inject("rmdir", "cgroup.cpp", 0, 1, EIO);
  const auto report = sandbox->close();
  fault::clear();
  ASSERT_FALSE(report.clean());
  EXPECT_THAT(report.problems.front().message(), HasSubstr("awm-"));
  EXPECT_EQ(Ledger::process().count(ResourceKind::cgroup), 0u);
  ASSERT_TRUE(sys::rmdir(report.problems.front().object)) << report.problems.front();
}

// The run that is killed: this program once more, holding a sandbox.
TEST(LocalHolder, HoldsASandboxUntilItIsKilled) {
  const auto place = sys::environment("AWM_TEST_HOLD");
  if (!place) GTEST_SKIP() << "started by LocalLifecycleTest only";
  const Scope scope("holder");
  auto stop = Stop::create(scope);
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(stop && spawner);
  LocalSandboxSettings some;
  some.cache_folder = *place + "/cache";
  some.repository = *place + "/repo";
  some.base_commit = read_text(*place + "/base");
  some.name = "held";
  auto sandbox = make_local_sandbox(some, **spawner, **stop, scope);
  ASSERT_TRUE(sandbox);
  ASSERT_TRUE((*sandbox)->connect(Deadline::in(Seconds(60))));
  ExecOptions options;
  options.on_output = [&](std::string_view) {
    write_text(*place + "/ready", "ready");
    return true;
  };
  const auto sign = read_text(*place + "/sign");
  (void)(*sandbox)->exec(
      bash("(setsid bash -c 'exec -a " + sign + " sleep 1000' &); echo began; exec -a " + sign + " sleep 1000"),
      options);
}

TEST_F(LocalLifecycleTest, KilledHardItTakesEverythingDownAndTheSweepFindsTheRest) {
  const std::string sign = "awm-held-" + sys::random_hex(8);
  write_text(*folder / "base", base);
  write_text(*folder / "sign", sign);
  SpawnOptions options;
  options.argv = {sys::self_path(), "--gtest_filter=LocalHolder.*"};
  options.environment = {"PATH=" + sys::environment("PATH").value_or(""), "AWM_TEST_HOLD=" + folder->path(),
                         "HOME=" + folder->path(), "TMPDIR=" + folder->path()};
  auto holder = spawner->spawn(scope, options);
  ASSERT_TRUE(holder) << holder.error();
  ASSERT_TRUE(eventually([&] { return path_exists(*folder / "ready"); }));
  const auto alive = [&] { return host("ps -eo args | grep -c '^" + sign + "' || true"); };
  EXPECT_TRUE(eventually([&] { return alive() == "2"; })) << alive();
  EXPECT_NE(leftovers(), "");
  // Never what lives.
  EXPECT_TRUE(sweep_local_leftovers(*folder / "cache").removed.empty());
  EXPECT_EQ(alive(), "2");

  EXPECT_TRUE(holder->signal(SIGKILL));
  ASSERT_TRUE(holder->wait(Deadline::in(Seconds(20))));
  EXPECT_TRUE(eventually([&] { return alive() == "0"; })) << alive();
  EXPECT_TRUE(eventually([&] { return host("grep -c " + folder->path() + " /proc/mounts || true") == "0"; }));
  const auto swept = sweep_local_leftovers(*folder / "cache").removed;
  EXPECT_FALSE(swept.empty());
  EXPECT_EQ(leftovers(), "");
  EXPECT_TRUE(sweep_local_leftovers(*folder / "cache").removed.empty());
}

TEST_F(LocalLifecycleTest, TheSweepRemovesHalfMadeCheckoutsOfTheDead) {
  auto dead = own_mark();
  ASSERT_TRUE(dead) << dead.error();
  const auto living = *dead;
  dead->start_ticks += 1;  // the number was given to another process since
  folder->write("cache/building/one/owner", to_line(*dead));
  folder->write("cache/building/one/entry/tree/file", "half");
  folder->write("cache/building/two/owner", to_line(living));
  folder->write("cache/live/sandbox-1-x-y/owner", to_line(*dead));
  folder->write("cache/live/sandbox-2-x-y/owner", to_line(living));
  EXPECT_EQ(sweep_local_leftovers(*folder / "cache").removed.size(), 2u);
  EXPECT_EQ(leftovers(), "cache/live/sandbox-2-x-y\ncache/building/two");
}

// A process that is killed, or a file system that refuses, in the middle of a removal.
TEST_F(LocalLifecycleTest, AHalfDoneRemovalIsFinishedByTheNextSweep) {
  const FaultScope faults;
  auto dead = own_mark();
  ASSERT_TRUE(dead) << dead.error();
  dead->start_ticks += 1;
  for (const auto* name : {"cache/building/one", "cache/live/sandbox-1-x-y"}) {
    folder->write(std::string(name) + "/owner", to_line(*dead));
    folder->write(std::string(name) + "/part/file", "half");
  }
  // Whatever order the folder has: the mark outlives what could not be removed.
  fault::inject("rmdir", "file.cpp", 0, 2, EBUSY);
  EXPECT_TRUE(sweep_local_leftovers(*folder / "cache").removed.empty());
  fault::clear();
  EXPECT_EQ(leftovers(), "cache/live/sandbox-1-x-y\ncache/building/one");
  EXPECT_EQ(sweep_local_leftovers(*folder / "cache").removed.size(), 2u);
  EXPECT_EQ(leftovers(), "");
}

TEST_F(LocalLifecycleTest, AFolderWithoutAMarkIsRemovedOnlyWhenItIsOldAndEmpty) {
  host("mkdir -p cache/live/sandbox-1-new-x cache/live/sandbox-1-old-x cache/live/sandbox-1-full-x/part");
  host("touch -d '2 hours ago' cache/live/sandbox-1-old-x cache/live/sandbox-1-full-x");
  EXPECT_EQ(sweep_local_leftovers(*folder / "cache").removed.size(), 1u);
  EXPECT_EQ(leftovers().find("sandbox-1-old-x"), std::string::npos);
  EXPECT_THAT(leftovers(), HasSubstr("sandbox-1-new-x"));
  EXPECT_THAT(leftovers(), HasSubstr("sandbox-1-full-x"));
}

// A power cut leaves a mark without its bytes; the living write theirs whole.
TEST_F(LocalLifecycleTest, AFolderWhoseMarkIsTornIsRemovedWhenItIsOld) {
  host("mkdir -p cache/live/sandbox-1-new-x/part cache/live/sandbox-1-old-x/part");
  host("for f in new old; do : > cache/live/sandbox-1-$f-x/owner; done");
  host("touch -d '2 hours ago' cache/live/sandbox-1-old-x/owner");
  EXPECT_EQ(sweep_local_leftovers(*folder / "cache").removed.size(), 1u);
  EXPECT_EQ(leftovers().find("sandbox-1-old-x"), std::string::npos);
  EXPECT_THAT(leftovers(), HasSubstr("sandbox-1-new-x"));
}

// As /proc mounted with hidepid shows the processes of others to an ordinary user: not at all.
TEST(OwnerMark, IsNotGoneWhereProcHidesIt) {
  const FaultScope faults;
  const auto own = own_mark();
  ASSERT_TRUE(own);
  auto other = *own;
  other.pid = 1;
  other.start_ticks = 1;
  fault::inject("open", "", 0, 1, ENOENT);
  EXPECT_FALSE(is_gone(other, *own));
}

TEST(OwnerMark, IsGoneOnlyWhenThatIsCertain) {
  const auto own = own_mark();
  ASSERT_TRUE(own) << own.error();
  EXPECT_FALSE(is_gone(*own, *own));
  EXPECT_EQ(parse_owner_mark(to_line(*own)), *own);
  auto other = *own;
  other.start_ticks += 1;
  EXPECT_TRUE(is_gone(other, *own));
  other.host = "elsewhere";
  EXPECT_FALSE(is_gone(other, *own));
  other = *own;
  other.boot_id = "earlier";
  EXPECT_TRUE(is_gone(other, *own));
  auto blind = *own;
  blind.boot_id = "unknown";
  EXPECT_FALSE(is_gone(other, blind));
  EXPECT_FALSE(is_gone(blind, *own));
  other = *own;
  other.pid_namespace = "4026530000";
  other.start_ticks += 1;
  EXPECT_FALSE(is_gone(other, *own));
  for (const auto* broken : {"", "a b c", "a b c d e", "a b c 1", "a b c -1 5", "a b c 1 5x"})
    EXPECT_FALSE(parse_owner_mark(broken)) << broken;
}

// Not to be able to look is no sign of death.
TEST(OwnerMark, IsNotGoneWhereItCannotBeLookedAt) {
  const FaultScope faults;
  const auto own = own_mark();
  ASSERT_TRUE(own);
  auto other = *own;
  other.start_ticks += 1;
  fault::inject("open", "", 0, 1, EMFILE);
  EXPECT_FALSE(is_gone(other, *own));
}

TEST(CgroupPlaces, VersionTwoComesFirstAndTheOwnGroupIsFoundBelowItsMount) {
  const auto places =
      find_cgroup_places("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
                         "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope\n", false);
  ASSERT_EQ(places.places.size(), 1u);
  EXPECT_EQ(places.places[0].folder,
            "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope");
  EXPECT_TRUE(places.places[0].version2);
  const auto as_root =
      find_cgroup_places("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/init.scope\n", true);
  ASSERT_EQ(as_root.places.size(), 2u);
  EXPECT_EQ(as_root.places[0].folder, "/sys/fs/cgroup");
}

TEST(CgroupPlaces, VersionOneHasAPlaceForEachController) {
  const auto places = find_cgroup_places(
      "31 30 0:27 /docker/abc /sys/fs/cgroup/memory\\040x rw - cgroup cgroup rw,memory\n"
      "32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
      "33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
      "8:pids:/a/b\n4:memory:/docker/abc/inner\n0::/\n", true);
  std::vector<std::string> folders;
  for (const auto& place : places.places) folders.push_back(place.folder);
  EXPECT_THAT(folders,
              ::testing::ElementsAre("/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory x/inner",
                                     "/sys/fs/cgroup/memory x", "/sys/fs/cgroup/pids/a/b", "/sys/fs/cgroup/pids"));
}

// Plain folders in the place of the kernel's: what is written where, and that the rest is left when nothing can be
// limited.
TEST(CgroupPlaces, AVersionTwoGroupIsGivenItsLimits) {
  const TestFolder folder;
  folder.write("group/cgroup.procs", "");
  folder.write("group/cgroup.controllers", "cpu memory pids\n");
  folder.write("group/cgroup.subtree_control", "");
  CgroupPlaces places;
  places.places.push_back({.folder = folder / "group", .version2 = true, .memory = true, .pids = true});
  const Scope scope("test");
  // The kernel makes a group's files with its folder; without them nothing is limited and the folder goes again.
  auto group = Cgroup::create(places, "awm-x", {.memory_bytes = 1000, .pids = 10}, scope);
  EXPECT_FALSE(group.limits_memory());
  EXPECT_FALSE(group.limits_pids());
  EXPECT_EQ(read_text(folder / "group/cgroup.subtree_control"), "+memory +pids");
  EXPECT_FALSE(path_exists(folder / "group/awm-x"));
  EXPECT_TRUE(group.close());
}

// A folder with a system in it that is no mount point itself: bubblewrap alone fails there.
TEST_F(LocalLifecycleTest, APlainChrootServesToo) {
  if (!is_root()) GTEST_SKIP() << "chroot needs root";
  const std::string script = R"(unshare -m bash -ec '
    mount --make-rprivate /
    mkdir -p root/{usr,etc,proc,dev,tmp,var,root,run}
    for d in usr etc dev var; do mount --rbind /$d root/$d; done
    for l in bin lib lib64 sbin; do [ ! -e /$l ] || ln -s usr/$l root/$l; done
    mount -t proc proc root/proc
    mkdir -p root"$1" && mount --bind "$1" root"$1"
    HOME=/root TMPDIR=/tmp exec chroot root "$2" --gtest_filter=LocalHostileTest.CommandsHaveNo*:Kinds/SandboxSuite.TheShellKeeps*
  ' x )" + std::string(AWM_BIN_DIR) +
                             " " + sys::self_path() + " 2>&1 || true";
  const auto said = host(script);
  EXPECT_THAT(said, HasSubstr("[  PASSED  ] 3 tests")) << said;
}

// Root of a user namespace that maps nobody else, as in some containers, is an ordinary user here.
TEST_F(LocalLifecycleTest, RootOfAUserNamespaceIsAnOrdinaryUser) {
  const std::string self = sys::self_path() + " --gtest_filter=";
  const auto said =
      host("TMPDIR=$HOME unshare -Ur " + self +
           "LocalHostileTest.CommandsHaveNo*:LocalHostileTest.Secrets*:CheckoutTest.FilesAndHead* 2>&1 || true");
  EXPECT_THAT(said, HasSubstr("[  PASSED  ] 3 tests")) << said;
}

TEST_F(LocalLifecycleTest, WithoutUserNamespacesItSaysWhatToDo) {
  const std::string self = sys::self_path() + " --gtest_filter=";
  const auto said = host("unshare -Ur bash -c 'echo 0 > /proc/sys/user/max_user_namespaces; TMPDIR=$HOME " + self +
                         "LocalHostileTest.CommandsHaveNo*' 2>&1 || true");
  EXPECT_THAT(said, HasSubstr("sysctl user.max_user_namespaces=15000")) << said;
  EXPECT_THAT(said, HasSubstr("[  SKIPPED ] 1 test")) << said;
}

// Somebody else prepares the same checkout, and takes his time.
TEST_F(LocalLifecycleTest, CloseEndsAConnectThatWaits) {
  ASSERT_TRUE(make_folders(*folder / "cache/locks"));
  std::vector<UniqueFd> held;
  const Scope others("test-others");
  for (const auto& name : {base, base + "-64231"}) {
    auto file = sys::open(others, *folder / "cache/locks/" + name, sys::Open::append);
    ASSERT_TRUE(file) << file.error();
    ASSERT_TRUE(sys::try_lock(file->get()));
    held.push_back(*std::move(file));
  }
  auto sandbox = make(with_repository());
  Result<void> connected;
  auto thread = Thread::start(others, "connect", [&] { connected = sandbox->connect(Deadline::in(Seconds(3600))); });
  ASSERT_TRUE(thread) << thread.error();
  EXPECT_TRUE(eventually([&] {
    const auto entries = Ledger::process().entries(scope.path() + "/");
    return std::any_of(entries.begin(), entries.end(),
                       [](const auto& entry) { return contains(entry.name, "/locks/"); });
  }));
  EXPECT_TRUE(sandbox->close().clean());
  thread->join();
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::closed) << connected.error();
  EXPECT_EQ(leftovers(), "");
}

TEST(LocalCheck, WithoutBubblewrapItSaysWhatToDo) {
  const Scope scope("test");
  const TestFolder folder;
  auto stop = Stop::create(scope);
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(stop && spawner);
  LocalSandboxSettings some;
  some.cache_folder = folder / "cache";
  some.bubblewrap = "/nowhere/bwrap";
  const auto checked = check_local_sandbox(**spawner, **stop, scope, some);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::unavailable);
  EXPECT_THAT(checked.error().message(), HasSubstr("apt-get install bubblewrap"));
}

TEST(LocalCheck, ABubblewrapThatFailsIsQuoted) {
  const Scope scope("test");
  const TestFolder folder;
  auto stop = Stop::create(scope);
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(stop && spawner);
  LocalSandboxSettings some;
  some.cache_folder = folder / "cache";
  some.bubblewrap =
      folder.write("bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
  ASSERT_TRUE(sys::chmod(some.bubblewrap, 0755));
  const auto checked = check_local_sandbox(**spawner, **stop, scope, some);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Errc::unavailable) << checked.error();
  EXPECT_THAT(checked.error().message(), HasSubstr("No permissions to create new namespace"));
}

}  // namespace
}  // namespace awm::testing
