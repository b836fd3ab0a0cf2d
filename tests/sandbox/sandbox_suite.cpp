#include "sandbox_suite.h"

#include <array>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <utility>

#include "os/sys.h"
#include "os/thread.h"

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

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---- exec ----

TEST_P(SandboxSuite, ACommandTellsItsCodeAndOutputInOrder) {
  const auto result = run("echo out; echo err >&2; echo again; exit 3");
  EXPECT_EQ(result.status, ExitStatus::exited(3));
  EXPECT_EQ(result.output, "out\nerr\nagain\n");
  EXPECT_EQ(run("kill -TERM $$").status, ExitStatus::signalled(15));
}

TEST_P(SandboxSuite, WhatCouldNotBeStartedIsAResult) {
  const auto result = sandbox().exec(std::vector<std::string>{"no-such-program"}, {});
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->status, ExitStatus::exited(127));
  EXPECT_THAT(result->output, HasSubstr("no-such-program"));
  const auto folder = sandbox().exec(std::vector<std::string>{"/"}, {});
  ASSERT_TRUE(folder) << folder.error();
  EXPECT_EQ(folder->status, ExitStatus::exited(126));
}

TEST_P(SandboxSuite, ArgumentsAreNoShellText) {
  const auto result = sandbox().exec(std::vector<std::string>{"printf", "%s|", "$HOME `id`", "", "a\nb", "*"}, {});
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->output, "$HOME `id`||a\nb|*|");
}

TEST_P(SandboxSuite, FolderVariablesAndInputAreTheCommands) {
  ExecOptions options;
  options.folder = "/usr";
  options.environment = {"ONE=1 and more", "TWO="};
  options.input = std::string(3'000'000, 'x');
  const auto result = sandbox().exec(bash("pwd; echo \"$ONE[$TWO]\"; wc -c"), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->output, "/usr\n1 and more[]\n3000000\n");
  EXPECT_EQ(run("pwd; cat | wc -c; readlink /proc/self/fd/0").output, "/testbed\n0\n/dev/null\n");
}

TEST_P(SandboxSuite, TheSetUpAndTheEnvironmentCountForEveryShellAndExec) {
  auto other =
      connect({.env_setup = "export FROM_SETUP=yes\nhello() { echo hello $1; }\n", .environment = {"GIVEN=value"}});
  EXPECT_EQ(run(*other, "hello $FROM_SETUP $GIVEN").output, "hello yes\n");
  EXPECT_EQ(run(*other, "echo $GIVEN").output, "value\n");
  ExecOptions options;
  options.with_env_setup = false;
  const auto without = other->exec(bash("echo [$FROM_SETUP]; hello"), options);
  ASSERT_TRUE(without) << without.error();
  EXPECT_THAT(without->output, StartsWith("[]\n"));
  const auto in_shell = other->shell_run("hello $FROM_SETUP", {});
  ASSERT_TRUE(in_shell) << in_shell.error();
  EXPECT_EQ(in_shell->output, "hello yes\n");
  EXPECT_TRUE(other->close().clean());
}

TEST_P(SandboxSuite, AHardLimitEndsTheCommandWithAllItStarted) {
  const auto result = run("echo before; (setsid sleep 1000 &) ; sleep 1000 & sleep 1000", Seconds(0.3));
  EXPECT_EQ(result.status, ExitStatus::timed_out());
  EXPECT_EQ(result.output, "before\n");
  EXPECT_EQ(run("cat /proc/[0-9]*/comm | grep -c '^sleep' || true").output, "0\n");
}

TEST_P(SandboxSuite, SilenceIsALimitToo) {
  ExecOptions options;
  options.quiet_limit = Seconds(0.3);
  const auto result = sandbox().exec(bash("echo said; sleep 1000"), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->status, ExitStatus::went_quiet());
  EXPECT_EQ(result->output, "said\n");
}

TEST_P(SandboxSuite, HeadAndTailOfAHugeOutputAreKept) {
  ExecOptions options;
  options.keep = 1000;
  const auto result = sandbox().exec(bash("echo first; head -c 50000000 /dev/zero; echo; echo last"), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->status, ExitStatus::exited(0));
  EXPECT_EQ(result->output.size(), 1000u);
  EXPECT_EQ(result->omitted_bytes, 50'000'012u - 1000u);
  EXPECT_THAT(result->output, StartsWith("first\n"));
  EXPECT_TRUE(result->output.ends_with("\nlast\n"));
  EXPECT_EQ(result->omitted_at, 500u);
}

TEST_P(SandboxSuite, AStreamGivesEveryByteInOrderAndCanBeLeft) {
  ExecOptions options;
  uint64_t bytes = 0;
  std::string head;
  options.on_output = [&](std::string_view piece) {
    if (head.size() < 10) head += piece.substr(0, 10);
    bytes += piece.size();
    return true;
  };
  const auto result = sandbox().exec(bash("seq 1 2000000; exit 4"), options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->status, ExitStatus::exited(4));
  EXPECT_EQ(bytes, 14'888'896u);
  EXPECT_THAT(head, StartsWith("1\n2\n3\n"));
  options.on_output = [](std::string_view) { return false; };
  const auto left = sandbox().exec(bash("yes"), options);
  ASSERT_TRUE(left) << left.error();
  EXPECT_EQ(left->status, ExitStatus::signalled(9));
}

TEST_P(SandboxSuite, ABackgroundJobHoldingStdoutDoesNotDelayTheCommand) {
  const auto result = run("sleep 1000 & echo started");
  EXPECT_EQ(result.status, ExitStatus::exited(0));
  EXPECT_EQ(result.output, "started\n");
  const auto flood = run("yes & echo started");
  EXPECT_EQ(flood.status, ExitStatus::exited(0));
}

TEST_P(SandboxSuite, BytesComeAsTheyAre) {
  EXPECT_EQ(run("printf 'a\\0b\\377\\033[31m\\r\\n'").output, std::string("a\0b\xff\x1b[31m\r\n", 11));
}

TEST_P(SandboxSuite, CommandsRunSideBySide) {
  auto& shared = sandbox();
  // Each waits for the other: one after the other they would not end.
  std::vector<Thread> threads;
  std::array<ExecResult, 2> results;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string own = std::to_string(i);
    const std::string other = std::to_string(1 - i);
    auto thread = Thread::start(scope_, "side", [&, i, own, other] {
      results[i] = run(
          shared, "touch /tmp/side-" + own + "; until [ -e /tmp/side-" + other + " ]; do sleep 0.01; done; echo " + own,
          Seconds(30));
    });
    ASSERT_TRUE(thread) << thread.error();
    threads.push_back(*std::move(thread));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(results[0].output, "0\n");
  EXPECT_EQ(results[1].output, "1\n");
}

TEST_P(SandboxSuite, KillingEverythingDoesNotReachTheHelper) {
  // kill(2) spares its caller, not the caller's parent.
  EXPECT_EQ(run("(kill -9 -1; true); echo not reached").status, ExitStatus::signalled(9));
  EXPECT_EQ(run("echo alive").output, "alive\n");
}

TEST_P(SandboxSuite, AForkBombStaysWithinItsLimit) {
  auto small = connect({.pids = 80});
  EXPECT_EQ(run(*small, "bomb() { bomb | bomb & }; bomb; sleep 1000", Seconds(0.5)).status, ExitStatus::timed_out());
  EXPECT_EQ(run(*small, "echo alive").output, "alive\n");
  EXPECT_TRUE(small->close().clean());
}

TEST_P(SandboxSuite, MemoryRunsOutForTheCommandAlone) {
  auto small = connect({.memory_bytes = uint64_t{256} << 20});
  const auto result = run(*small, "exec tail /dev/zero");
  EXPECT_EQ(result.status, ExitStatus::out_of_memory());
  EXPECT_EQ(run(*small, "echo alive").output, "alive\n");
  EXPECT_EQ(run(*small, "kill -9 $$").status, ExitStatus::signalled(9));
  EXPECT_TRUE(small->close().clean());
}

// ---- the persistent shell ----

TEST_P(SandboxSuite, TheShellKeepsItsState) {
  EXPECT_EQ(shell("cd /usr; X=5; f() { echo f$X; }; export Y=6").status, ExitStatus::exited(0));
  const auto result = shell("f; pwd; bash -c 'echo $Y'; false");
  EXPECT_EQ(result.output, "f5\n/usr\n6\n");
  EXPECT_EQ(result.status, ExitStatus::exited(1));
  EXPECT_EQ(result.folder, "/usr");
  // And none of it is an exec's.
  EXPECT_EQ(run("echo [$X$Y]; pwd").output, "[]\n/testbed\n");
}

TEST_P(SandboxSuite, HostileTextEndsLikeAnyCommand) {
  shell("KEPT=yes");
  for (const auto* text : {"echo \"open",
                           "echo 'open",
                           "echo $(ls",
                           "if true; then echo x",
                           "{ echo x",
                           "case x in",
                           "fi",
                           "cat <<EOF\nline",
                           "echo a \\",
                           "",
                           "# nothing",
                           "exec >/dev/null",
                           "exec 2>&1 <&-",
                           "set -u; echo $NOSUCH; set +u",
                           "echo ${NOSUCH?gone}",
                           "eval() { :; }; printf() { :; }; read() { :; }",
                           "alias builtin=false eval=false printf=false",
                           "PATH=",
                           "set -x; set +x",
                           "PROMPT_COMMAND='echo prompt'; PS1='$ '",
                           "trap 'echo err' ERR; trap - ERR",
                           "sleep 1000 & disown",
                           "printf '1 0\\n' >&200; printf '2 0\\n' >&203",
                           "trap '' INT TERM HUP"}) {
    const auto result = shell(text);
    EXPECT_TRUE(result.finished) << text;
    EXPECT_FALSE(result.restarted) << text;
  }
  EXPECT_EQ(shell("echo $KEPT").output, "yes\n");
}

TEST_P(SandboxSuite, AShellThatEndsIsTakenAnewAndThatIsTold) {
  shell("X=1; cd /usr");
  for (const auto& [text, status] :
       {std::pair{"exit 7", ExitStatus::exited(7)}, std::pair{"exec bash -c 'exit 9'", ExitStatus::exited(9)},
        std::pair{"set -e; (exit 4)", ExitStatus::exited(4)}, std::pair{"kill -9 $$", ExitStatus::signalled(9)}}) {
    const auto result = shell(text);
    EXPECT_TRUE(result.restarted) << text;
    EXPECT_EQ(result.status, status) << text;
    EXPECT_EQ(shell("echo [$X]; pwd").output, "[]\n/testbed\n") << text;
  }
}

TEST_P(SandboxSuite, ASoftLimitAnswersAndTheCommandGoesOnWithInputAndInterrupt) {
  ShellOptions soft;
  soft.soft_quiet_limit = Seconds(0.2);
  auto result = sandbox().shell_run("echo name?; read name; echo hello $name; sleep 1000", soft);
  ASSERT_TRUE(result) << result.error();
  EXPECT_FALSE(result->finished);
  EXPECT_EQ(result->output, "name?\n");
  EXPECT_FALSE(sandbox().shell_run("echo second", soft));
  result = sandbox().shell_input("awm\n", soft);
  ASSERT_TRUE(result) << result.error();
  EXPECT_FALSE(result->finished);
  EXPECT_EQ(result->output, "hello awm\n");
  result = sandbox().shell_continue(soft);
  ASSERT_TRUE(result) << result.error();
  EXPECT_FALSE(result->finished);
  result = sandbox().shell_interrupt(soft);
  ASSERT_TRUE(result) << result.error();
  EXPECT_TRUE(result->finished);
  EXPECT_EQ(result->status, ExitStatus::exited(130));
  EXPECT_FALSE(result->restarted);
  EXPECT_EQ(shell("echo on").output, "on\n");
}

TEST_P(SandboxSuite, AHardLimitInterruptsTheShellsCommand) {
  const auto result = shell("echo began; sleep 1000", Seconds(0.3));
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.status, ExitStatus::timed_out());
  EXPECT_EQ(result.output, "began\n");
  const auto stubborn = shell("trap '' INT; bash -c 'while :; do sleep 1000; done'", Seconds(0.3));
  EXPECT_EQ(stubborn.status, ExitStatus::timed_out());
  EXPECT_EQ(shell("echo on").output, "on\n");
}

TEST_P(SandboxSuite, BackgroundJobsOfTheShellNeitherDelayNorDrown) {
  // An interactive bash may tell the job's number first.
  EXPECT_THAT(shell("sleep 1000 & echo started").output, ::testing::EndsWith("started\n"));
  const auto flood = shell("yes & true");
  EXPECT_TRUE(flood.finished);
  EXPECT_LE(flood.output.size(), 200u * 1024);
  EXPECT_EQ(shell("kill %% %1; wait; true").status.kind(), ExitStatus::Kind::exited);
}

TEST_P(SandboxSuite, HugeTextsAndOutputsPassTheShell) {
  const auto result =
      shell("cat > /tmp/big <<'EOF'\n" + std::string(1'000'000, 'x') + "\nEOF\nwc -c < /tmp/big; seq 1 1000000");
  EXPECT_THAT(result.output, StartsWith("1000001\n1\n2\n"));
  EXPECT_TRUE(result.output.ends_with("\n999999\n1000000\n"));
  EXPECT_GT(result.omitted_bytes, 6'000'000u);
}

// ---- files and archives ----

TEST_P(SandboxSuite, FilesAreWrittenReadListedAndRemoved) {
  const std::string bytes("one\0two\xff\n", 9);
  ASSERT_TRUE(sandbox().write_file("/testbed/new/folder/file", bytes, 0755));
  const auto read = sandbox().read_file("/testbed/new/folder/file");
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(*read, bytes);
  EXPECT_EQ(run("stat -c '%a %U' new/folder/file; id -un").output,
            "755 " + run("id -un").output + run("id -un").output);
  const auto info = sandbox().stat("/testbed/new/folder/file");
  ASSERT_TRUE(info) << info.error();
  EXPECT_EQ(info->type, SandboxFileInfo::Type::file);
  EXPECT_EQ(info->size, 9u);
  run("ln -s folder new/link; mkfifo new/pipe");
  const auto listed = sandbox().list("/testbed/new");
  ASSERT_TRUE(listed) << listed.error();
  std::vector<std::string> names;
  for (const auto& entry : *listed) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("folder", "link", "pipe"));
  EXPECT_EQ((*listed)[1].info.type, SandboxFileInfo::Type::link);
  ASSERT_TRUE(sandbox().remove("/testbed/new"));
  ASSERT_TRUE(sandbox().remove("/testbed/new"));
  EXPECT_EQ(run("ls -A").output, "");
}

TEST_P(SandboxSuite, FilesThatCannotBeHadAreToldApart) {
  run("mkdir folder; mkfifo pipe; head -c 3000 /dev/zero > some");
  EXPECT_EQ(sandbox().read_file("/testbed/nothing").error().code, Errc::not_found);
  EXPECT_EQ(sandbox().read_file("/testbed/folder").error().code, Errc::invalid_input);
  EXPECT_FALSE(sandbox().read_file("/testbed/pipe"));
  EXPECT_EQ(sandbox().read_file("/testbed/some", 2999).error().code, Errc::exhausted);
  EXPECT_EQ(sandbox().read_file("/testbed/some", 3000)->size(), 3000u);
  EXPECT_FALSE(sandbox().write_file("/proc/nothing/here", "x"));
  EXPECT_EQ(sandbox().stat("/testbed/nothing").error().code, Errc::not_found);
}

TEST_P(SandboxSuite, LargeFilesPassInPieces) {
  std::string large;
  for (int i = 0; large.size() < 15'000'000; ++i) large += std::to_string(i) + " ";
  ASSERT_TRUE(sandbox().write_file("/tmp/large", large));
  const auto read = sandbox().read_file("/tmp/large", std::size_t{64} << 20);
  ASSERT_TRUE(read) << read.error();
  EXPECT_TRUE(*read == large);
  EXPECT_EQ(run("wc -c < /tmp/large").output, std::to_string(large.size()) + "\n");
}

TEST_P(SandboxSuite, ArchivesGoOutAndIn) {
  run("mkdir -p a/b/empty; echo hello > a/file; chmod 755 a/file; ln -s file a/link; head -c 5000000 /dev/urandom > "
      "a/b/big");
  const auto sums = run("cd a && find . -type f | sort | xargs md5sum; find . -printf '%p %m %y %l\\n' | sort").output;
  std::string archive;
  const auto got = sandbox().get_archive("/testbed/a", [&](std::string_view piece) -> Result<void> {
    archive += piece;
    return {};
  });
  ASSERT_TRUE(got) << got.error();
  std::size_t at = 0;
  const auto put = sandbox().put_archive("/testbed/copy", [&]() -> Result<std::string> {
    const auto piece = archive.substr(at, 300'000);
    at += piece.size();
    return piece;
  });
  ASSERT_TRUE(put) << put.error();
  EXPECT_EQ(run("cd copy/a && find . -type f | sort | xargs md5sum; find . -printf '%p %m %y %l\\n' | sort").output,
            sums);
}

TEST_P(SandboxSuite, AnArchiveThatIsNoneOrIsLeftIsAnErrorAndNoMore) {
  bool given = false;
  EXPECT_FALSE(sandbox().put_archive("/testbed/x", [&]() -> Result<std::string> {
    if (std::exchange(given, true)) return std::string();
    return std::string(2000, 'x');
  }));
  EXPECT_EQ(sandbox()
                .put_archive("/testbed/x",
                             []() -> Result<std::string> { return fail(Errc::io, "read", "the source", "gone"); })
                .error()
                .code,
            Errc::io);
  run("head -c 20000000 /dev/zero > big");
  EXPECT_EQ(sandbox()
                .get_archive("/testbed/big",
                             [](std::string_view) -> Result<void> {
                               return fail(Errc::exhausted, "write", "the target", "full");
                             })
                .error()
                .code,
            Errc::exhausted);
  EXPECT_FALSE(sandbox().get_archive("/testbed/nothing", [](std::string_view) -> Result<void> { return {}; }));
  EXPECT_EQ(run("echo on").output, "on\n");
}

// ---- connect and close ----

TEST_P(SandboxSuite, FactsTellWhatIsInside) {
  const auto facts = sandbox().facts();
  EXPECT_TRUE(facts.has_bash);
  EXPECT_EQ(facts.architecture, sys::machine());
  EXPECT_EQ(std::to_string(facts.uid) + "\n", run("id -u").output);
  EXPECT_FALSE(facts.kind.empty());
  EXPECT_FALSE(facts.memory_limit.empty());
  EXPECT_FALSE(facts.pids_limit.empty());
  EXPECT_EQ(facts.network, "off");
}

TEST_P(SandboxSuite, ALiveSandboxHoldsOneDescriptorAndAClosedOneNone) {
  auto unconnected = make();
  const auto before = open_descriptors().size();
  ASSERT_TRUE(unconnected->connect(Deadline::in(Seconds(60))));
  run(*unconnected, "true");
  ASSERT_TRUE(unconnected->shell_run("true", {}));
  EXPECT_LE(open_descriptors().size(), before + 1);
  EXPECT_TRUE(unconnected->close().clean());
  EXPECT_EQ(open_descriptors().size(), before);
  EXPECT_TRUE(Ledger::process().entries(scope_.path() + "/").empty());
}

TEST_P(SandboxSuite, ConnectingAgainChangesNothing) {
  ASSERT_EQ(run("echo kept > /testbed/mark").status, ExitStatus::exited(0));
  const auto again = sandbox().connect(Deadline::in(Seconds(60)));
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(run("cat /testbed/mark").output, "kept\n");
  EXPECT_TRUE(sandbox().close().problems.empty());
  const auto late = sandbox().connect(Deadline::in(Seconds(60)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::closed);
}

TEST_P(SandboxSuite, ClosedIsClosedAndMayBeClosedAgain) {
  auto one = connect();
  EXPECT_TRUE(one->close().clean());
  EXPECT_TRUE(one->close().clean());
  EXPECT_EQ(one->exec(bash("true"), {}).error().code, Errc::closed);
  EXPECT_EQ(one->shell_run("true", {}).error().code, Errc::closed);
  EXPECT_EQ(one->read_file("/etc/hostname").error().code, Errc::closed);
  EXPECT_EQ(one->connect(Deadline::in(Seconds(5))).error().code, Errc::closed);
}

TEST_P(SandboxSuite, OneThatWasNeverConnectedClosesToo) {
  auto one = make();
  EXPECT_EQ(one->exec(bash("true"), {}).error().code, Errc::closed);
  EXPECT_TRUE(one->close().clean());
  EXPECT_FALSE(one->connect(Deadline::in(Seconds(5))));
}

TEST_P(SandboxSuite, CloseEndsACallOnAnotherThread) {
  auto one = connect();
  std::optional<Result<ExecResult>> result;
  std::atomic<bool> began{false};
  ExecOptions options;
  options.on_output = [&](std::string_view) {
    began = true;
    return true;
  };
  auto thread = Thread::start(scope_, "caller", [&] { result = one->exec(bash("echo began; sleep 1000"), options); });
  ASSERT_TRUE(thread) << thread.error();
  ASSERT_TRUE(eventually([&] { return began.load(); }));
  EXPECT_TRUE(one->close().clean());
  thread->join();
  ASSERT_TRUE(result);
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Errc::closed);
}

TEST_P(SandboxSuite, TheStopEndsEveryWait) {
  auto one = connect();
  std::optional<Result<ExecResult>> result;
  auto thread = Thread::start(scope_, "caller", [&] { result = one->exec(bash("sleep 1000"), {}); });
  ASSERT_TRUE(thread) << thread.error();
  stop_->request(StopLevel::cancel);
  thread->join();
  ASSERT_TRUE(result);
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Errc::stopped);
  // Giving back is not stopped.
  EXPECT_TRUE(one->close().clean());
}

TEST_P(SandboxSuite, AConnectWithoutTimeFailsAndLeavesNothing) {
  const auto before = open_descriptors().size();
  auto one = make();
  const auto connected = one->connect(Deadline::in(Milliseconds(0)));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::timed_out) << connected.error();
  EXPECT_TRUE(one->close().clean());
  EXPECT_EQ(open_descriptors().size(), before);
  EXPECT_TRUE(Ledger::process().entries(scope_.path() + "/").empty());
}

TEST_P(SandboxSuite, ManyOneAfterAnotherCostNothing) {
  connect()->close();
  const auto before = open_descriptors();
  for (int i = 0; i < 10; ++i) {
    auto one = connect();
    EXPECT_EQ(run(*one, "echo hi").output, "hi\n");
    EXPECT_TRUE(one->close().clean());
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace awm::testing
