// Fresh processes: what comes back, and how a whole tree is ended.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "client.h"

namespace awm::helper_test {
namespace {

using wire::End;
using wire::Type;

// A text that no other process on the machine has in its command line.
std::string unique_seconds() {
  static int counter = 0;
  return std::to_string(100'000 + ::getpid() % 10'000) + "." + std::to_string(++counter);
}

struct TempFolder {
  TempFolder() {
    std::string pattern = "/tmp/awm-helper-test-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string path;
};

TEST(Exec, GivesOutputInOrderAndExitCode) {
  Client client;
  const auto result = client.bash("echo out; echo err >&2; echo out; exit 3");
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out.bytes, "out\nerr\nout\n");
  EXPECT_EQ(result.total, 12u);
  EXPECT_GT(result.peak_rss, 0u);
}

TEST(Exec, KeepsStderrApartWhereAsked) {
  Client client;
  auto request = Client::bash_exec("echo out; echo err >&2");
  request.separate = true;
  const auto result = client.exec(request);
  EXPECT_EQ(result.out.bytes, "out\n");
  EXPECT_EQ(result.err.bytes, "err\n");
}

TEST(Exec, HasAnEmptyStdin) {
  Client client;
  EXPECT_EQ(client.bash("cat; readlink /proc/self/fd/0").out.bytes, "/dev/null\n");
}

TEST(Exec, FeedsInputOfAnySize) {
  Client client;
  auto request = Client::bash_exec("cat | wc -c; cat");
  request.input.assign(5'000'000, '\0');
  EXPECT_EQ(client.exec(request).out.bytes, "5000000\n");
}

TEST(Exec, RunsWhereItIsToldWithTheVariablesItIsGiven) {
  Client client;
  auto request = Client::bash_exec("pwd; echo $A; echo ${HOME-none}");
  request.folder = "/usr/bin";
  request.environment = {"A=first", "A=x=y z", "HOME"};
  EXPECT_EQ(client.exec(request).out.bytes, "/usr/bin\nx=y z\nnone\n");
}

TEST(Exec, NothingOfTheHelperIsInherited) {
  Client client;
  const auto result = client.exec({.argv = {"ls", "/proc/self/fd"}});
  EXPECT_EQ(result.out.bytes, "0\n1\n2\n3\n");  // 3: ls's own
  EXPECT_EQ(client.bash("grep -E '^Sig(Blk|Ign)' /proc/self/status").out.bytes,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(Exec, ASignalIsNotAnExitCode) {
  Client client;
  const auto result = client.bash("kill -9 $$");
  EXPECT_EQ(result.end, End::signalled);
  EXPECT_EQ(result.code, 9);
}

TEST(Exec, WhatCouldNotBeStartedIsNotAnExitCodeEither) {
  Client client;
  auto result = client.exec({.argv = {"no-such-program-anywhere"}});
  EXPECT_EQ(result.end, End::not_started);
  EXPECT_EQ(result.code, ENOENT);
  EXPECT_EQ(result.failure.object, "no-such-program-anywhere");

  result = client.exec({.argv = {"/etc/passwd"}});
  EXPECT_EQ(result.end, End::not_started);
  EXPECT_EQ(result.code, EACCES);
  EXPECT_EQ(result.failure.operation, "execve");

  result = client.exec({.argv = {"true"}, .folder = "/no/such/folder"});
  EXPECT_EQ(result.end, End::not_started);
  EXPECT_EQ(result.code, ENOENT);
  EXPECT_EQ(result.failure.operation, "chdir");
  EXPECT_EQ(result.failure.object, "/no/such/folder");

  result = client.bash("no-such-program-anywhere");
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.code, 127);
}

TEST(Exec, ArgumentsTooLongAreToldAndManyAreFine) {
  Client client;
  wire::Exec request{.argv = {"true", std::string(200'000, 'x')}};
  auto result = client.exec(request);
  EXPECT_EQ(result.end, End::not_started);
  EXPECT_EQ(result.code, E2BIG);

  request.argv = {"bash", "-c", "echo $#", "bash"};
  request.argv.resize(50'000, "argument");
  result = client.exec(request);
  EXPECT_EQ(result.out.bytes, "49996\n");
}

TEST(Exec, RefusesWhatIsNoCommand) {
  Client client;
  EXPECT_EQ(client.failure(client.send(Type::exec, wire::Exec{})).number, EINVAL);
  EXPECT_EQ(client.failure(client.send(Type::exec, wire::Exec{.argv = {"echo", std::string("a\0b", 3)}})).number,
            EINVAL);
}

TEST(Exec, HeadAndTailOfAHugeOutputAreKeptAndTheRestCounted) {
  Client client;
  auto request = Client::bash_exec("seq 1 1000000");
  request.keep = 1000;
  const auto result = client.exec(request);
  EXPECT_EQ(result.total, 6'888'896u);
  EXPECT_EQ(result.out.bytes.size(), 1000u);
  EXPECT_EQ(result.out.omitted, result.total - 1000);
  EXPECT_EQ(result.out.omitted_at, 500u);
  EXPECT_TRUE(result.out.bytes.starts_with("1\n2\n3\n"));
  EXPECT_TRUE(result.out.bytes.ends_with("\n999999\n1000000\n"));
}

TEST(Exec, AGigabyteOfOutputCostsNoMemory) {
  Client client;
  const auto result = client.exec({.argv = {"head", "-c", "1G", "/dev/zero"}});
  EXPECT_EQ(result.total, uint64_t{1} << 30);
  EXPECT_EQ(result.out.omitted, result.total - 100 * 1024);
  std::ifstream status("/proc/" + std::to_string(client.pid()) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      EXPECT_LT(std::atoi(line.c_str() + 6), 16 * 1024) << line;
    }
  }
}

TEST(Exec, BytesComeAsTheyAre) {
  Client client;
  const auto result = client.bash("printf '\\0\\377\\033[31m\\r\\n'");
  EXPECT_EQ(result.out.bytes, std::string("\0\377\033[31m\r\n", 9));
}

TEST(Exec, AClosedStdoutIsNotAnEnd) {
  Client client;
  const auto result = client.bash("exec >&- 2>&- <&-; echo lost; exit 4");
  EXPECT_EQ(result.code, 4);
  EXPECT_EQ(result.out.bytes, "");
}

TEST(Exec, ABackgroundJobHoldingStdoutDoesNotDelayTheCommand) {
  Client client;
  const auto result = client.bash("sleep 1000 & echo started");
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out.bytes, "started\n");
}

TEST(Exec, ABackgroundFloodIsTakenOnlyAsFarAsItWasThere) {
  Client client;
  const auto result = client.bash("yes & echo started");
  EXPECT_EQ(result.code, 0);
  EXPECT_LT(result.total, 64u << 20);
  EXPECT_EQ(client.bash("echo next").out.bytes, "next\n");
}

TEST(Exec, ABackgroundJobMayGoOnWriting) {
  Client client;
  TempFolder folder;
  // It would be killed by SIGPIPE, or hang for ever, when nobody took what it writes.
  auto result = client.bash("(head -c 300000 /dev/zero; echo $? > " + folder.path + "/code) &");
  EXPECT_EQ(result.code, 0);
  result = client.bash("while [ ! -s " + folder.path + "/code ]; do sleep 0.01; done; cat " + folder.path + "/code");
  EXPECT_EQ(result.out.bytes, "0\n");
}

TEST(Exec, CommandsRunSideBySide) {
  Client client;
  TempFolder folder;
  const uint32_t waits = client.send(Type::exec, Client::bash_exec("read x < <(while [ ! -s " + folder.path +
                                                                   "/go ]; do sleep 0.01; done; echo went); echo $x"));
  EXPECT_EQ(client.bash("echo go > " + folder.path + "/go").code, 0);
  EXPECT_EQ(client.wait_for<wire::ExecResult>(waits, Type::exec_result).out.bytes, "went\n");
}

TEST(Exec, TooManyAtOnceAreRefusedAndTheOthersGoOn) {
  Client client;
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < wire::kMaxInFlight; ++i)
    ids.push_back(client.send(Type::exec, wire::Exec{.argv = {"sleep", "1000"}}));
  EXPECT_EQ(client.failure(client.send(Type::exec, wire::Exec{.argv = {"true"}})).number, EAGAIN);
  for (const uint32_t id : ids) {
    client.send_frame(Type::cancel, id);
    EXPECT_EQ(client.wait_for<wire::ExecResult>(id, Type::exec_result).end, End::cancelled);
  }
  EXPECT_EQ(client.exec({.argv = {"true"}}).end, End::exited);
}

// ---- deadlines and killing ----

wire::Exec with_deadline(const std::string& text, uint32_t hard_ms = 150) {
  auto request = Client::bash_exec(text);
  request.hard_ms = hard_ms;
  return request;
}

TEST(ExecDeadline, EndsTheCommandAndKeepsItsOutput) {
  Client client;
  const auto result = client.exec(with_deadline("echo before; sleep 1000"));
  EXPECT_EQ(result.end, End::hard_timeout);
  EXPECT_EQ(result.code, 9);
  EXPECT_EQ(result.out.bytes, "before\n");
  EXPECT_GE(result.micros, 150'000u);
  EXPECT_FALSE(result.survivors);
}

TEST(ExecDeadline, SilenceIsADeadlineToo) {
  Client client;
  auto request = Client::bash_exec("echo one; sleep 1000");
  request.quiet_ms = 150;
  const auto result = client.exec(request);
  EXPECT_EQ(result.end, End::quiet_timeout);
  EXPECT_EQ(result.out.bytes, "one\n");
}

TEST(ExecDeadline, TermFirstWhereAGraceIsGiven) {
  Client client;
  auto request = with_deadline("trap 'echo cleaned; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
  request.grace_ms = 20'000;
  auto result = client.exec(request);
  EXPECT_EQ(result.end, End::hard_timeout);
  EXPECT_EQ(result.code, 0);
  EXPECT_TRUE(result.out.bytes.ends_with("cleaned\n")) << result.out.bytes;

  request = with_deadline("trap '' TERM INT HUP; echo ready; while :; do sleep 0.01; done");
  request.grace_ms = 50;
  result = client.exec(request);
  EXPECT_EQ(result.end, End::hard_timeout);
  EXPECT_EQ(result.code, 9);
}

class ExecTree : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ExecTree, IsKilledWhole) {
  const std::string seconds = unique_seconds();
  std::string text = GetParam().second;
  for (std::size_t at = 0; (at = text.find("@@")) != std::string::npos;) text.replace(at, 2, "sleep " + seconds);
  // The sleeping ones are there before the deadline's clock matters: the command itself waits for them.
  Client client;
  const auto result = client.exec(with_deadline(text + "\necho ready; command sleep 1000", 1500));
  EXPECT_EQ(result.end, End::hard_timeout);
  EXPECT_EQ(result.out.bytes, "ready\n");
  EXPECT_FALSE(result.survivors);
  EXPECT_EQ(processes_with(seconds), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, ExecTree,
    testing::Values(std::pair{"child", "@@ &"}, std::pair{"grandchild", "(bash -c '@@ & wait') &"},
                    std::pair{"new_session", "setsid @@ &"}, std::pair{"double_fork", "(setsid bash -c '@@ & exit' &)"},
                    std::pair{"wiped_environment",
                              "(setsid env -i /bin/bash -c '/bin/sleep 0; @@ & exit' </dev/null >/dev/null 2>&1 &)"},
                    std::pair{"ignored_signals", "(trap '' TERM INT HUP QUIT PIPE USR1; @@ &)"},
                    std::pair{"stopped", "@@ & kill -STOP $!"}, std::pair{"many", "for i in {1..200}; do @@ & done"},
                    std::pair{"respawning", "r() { (@@ & wait; r) & }; r; r; r"}),
    [](const auto& test) { return test.param.first; });

TEST(ExecTreeOfOthers, IsLeftAlone) {
  const std::string seconds = unique_seconds();
  Client client;
  client.bash("setsid sleep " + seconds + " &");
  EXPECT_EQ(client.exec(with_deadline("sleep 1000", 50)).end, End::hard_timeout);
  EXPECT_EQ(processes_with(seconds), 1);
}

TEST(ExecSignal, ReachesTheWholeTree) {
  Client client;
  auto request = Client::bash_exec(
      "trap 'echo parent; exit 0' USR1; (trap 'echo child; exit 0' USR1; echo ready; while :; do sleep 0.01; done) & "
      "wait; wait");
  request.stream = true;
  const uint32_t id = client.send(Type::exec, request);
  Frame frame;
  while (client.out[id] != "ready\n" && client.next(frame)) client.out[frame.id] += frame.payload;
  client.expect_ok(client.send(Type::signal, wire::Signal{id, 10}));
  EXPECT_EQ(client.wait_for<wire::ExecResult>(id, Type::exec_result).code, 0);
  EXPECT_NE(client.out[id].find("parent"), std::string::npos);
  EXPECT_EQ(client.failure(client.send(Type::signal, wire::Signal{id, 10})).number, ESRCH);
}

TEST(ExecForkBomb, StaysWithinItsLimitAndIsKilled) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give the commands a uid of their own";
  Client client(
      {.arguments = {"--uid", "54321", "--gid", "54321", "--drop-caps", "--no-new-privs", "--rlimit", "nproc=60"}});
  auto request = with_deadline("b() { b | b & b; }; b 2>/dev/null", 500);
  request.keep = 1000;
  EXPECT_EQ(client.exec(request).end, End::hard_timeout);
  const auto result = client.bash("echo well");
  EXPECT_EQ(result.out.bytes, "well\n");
}

// ---- streaming ----

TEST(ExecStream, GivesAllOutputWithinTheWindow) {
  Client client;
  auto request = Client::bash_exec("seq 1 200000; echo last >&2");
  request.stream = true;
  request.separate = true;
  request.window = 10'000;
  const uint32_t id = client.send(Type::exec, request);
  uint64_t allowed = request.window;
  uint64_t got = 0;
  std::string out, err;
  Frame frame;
  while (client.next(frame) && frame.type == Type::data) {
    got += frame.payload.size();
    ASSERT_LE(got, allowed);
    (frame.flags == 2 ? err : out) += frame.payload;
    if (got == allowed) {
      allowed += 70'000;
      client.grant(id, 70'000);
    }
  }
  wire::ExecResult result;
  ASSERT_EQ(frame.type, Type::exec_result);
  ASSERT_TRUE(wire::decode(frame.payload, result));
  EXPECT_EQ(result.total, got);
  EXPECT_EQ(result.out.bytes, "");
  EXPECT_EQ(out.size(), 1'288'895u);
  EXPECT_TRUE(out.ends_with("\n199999\n200000\n"));
  EXPECT_EQ(err, "last\n");
}

TEST(ExecStream, AShutWindowHoldsTheCommandUpAndIsNotSilence) {
  Client client;
  auto request = Client::bash_exec("head -c 500000 /dev/zero; echo done >&2");
  request.stream = true;
  request.window = 1;
  request.quiet_ms = 1000;  // time for a busy machine to start a shell
  const uint32_t id = client.send(Type::exec, request);
  // Another request is served meanwhile, for longer than the quiet limit.
  EXPECT_EQ(client.exec(with_deadline("sleep 1000", 1500)).end, End::hard_timeout);
  EXPECT_EQ(client.out[id].size(), 1u);
  client.grant(id, 1'000'000);
  EXPECT_EQ(client.wait_for<wire::ExecResult>(id, Type::exec_result).end, End::exited);
  EXPECT_EQ(client.out[id].size(), 500'005u);
}

TEST(ExecStream, CanBeCancelledWithAShutWindow) {
  Client client;
  auto request = Client::bash_exec("yes");
  request.stream = true;
  request.window = 100;
  const uint32_t id = client.send(Type::exec, request);
  Frame frame;
  ASSERT_TRUE(client.next(frame));
  client.send_frame(Type::cancel, id);
  EXPECT_EQ(client.wait_for<wire::ExecResult>(id, Type::exec_result).end, End::cancelled);
}

// ---- the environment set-up ----

TEST(ExecSetup, IsSourcedBeforeTheTextAndLeavesNoTraces) {
  Client client;
  client.expect_ok(client.send(
      Type::setup,
      wire::Setup{.prelude = "export FROM_PRELUDE=yes; f() { echo function; }; cd /usr", .environment = {"BASE=b"}}));
  auto request = Client::bash_exec(
      "echo $FROM_PRELUDE $BASE; f; pwd; echo \"${BASH_ENV-none}\"; ls /proc/self/fd | wc -l; bash -c 'echo nested "
      "$FROM_PRELUDE'; nosuch");
  request.with_setup = true;
  EXPECT_EQ(client.exec(request).out.bytes,
            "yes b\nfunction\n/usr\nnone\n4\nnested yes\nbash: line 1: nosuch: command not found\n");
  request.argv[0] = "sh";
  request.argv[2] = "echo $FROM_PRELUDE; ls /proc/self/fd | wc -l";
  EXPECT_EQ(client.exec(request).out.bytes, "yes\n4\n");
  request.with_setup = false;
  EXPECT_EQ(client.exec(request).out.bytes, "\n4\n");
}

TEST(ExecSetup, AReturnOrAFailureInItDoesNotStopTheText) {
  Client client;
  client.expect_ok(client.send(Type::setup, wire::Setup{.prelude = "false; X=1; return 3", .environment = {}}));
  auto request = Client::bash_exec("echo went $X");
  request.with_setup = true;
  EXPECT_EQ(client.exec(request).out.bytes, "went 1\n");
}

TEST(ExecSetup, CannotBeAlteredByCommands) {
  Client client;
  client.expect_ok(client.send(
      Type::setup,
      wire::Setup{.prelude = "echo original; for f in /proc/self/fd/*; do (echo 'echo altered' > $f) 2>/dev/null; done",
                  .environment = {}}));
  auto request = Client::bash_exec("true");
  request.with_setup = true;
  client.exec(request);
  EXPECT_TRUE(client.exec(request).out.bytes.starts_with("original\n"));
  EXPECT_EQ(client.exec(request).out.bytes.find("\naltered\noriginal"), std::string::npos);
}

TEST(ExecSetup, ABashEnvOfTheImageStillCounts) {
  TempFolder folder;
  std::ofstream(folder.path + "/env") << "IMAGE=i\n";
  Client client;
  client.expect_ok(client.send(
      Type::setup, wire::Setup{.prelude = "PRELUDE=p$IMAGE", .environment = {"BASH_ENV=" + folder.path + "/env"}}));
  auto request = Client::bash_exec("echo $IMAGE $PRELUDE; bash -c 'echo $IMAGE'");
  request.with_setup = true;
  EXPECT_EQ(client.exec(request).out.bytes, "i pi\ni\n");
}

TEST(ExecSetup, NeedsAShellsText) {
  Client client;
  wire::Exec request{.argv = {"ls", "-l", "/"}};
  request.with_setup = true;
  EXPECT_EQ(client.failure(client.send(Type::exec, request)).number, EINVAL);
}

TEST(ExecWithoutBash, SaysThatItIsShInstead) {
  TempFolder folder;
  for (const char* program : {"sh", "cat"})
    std::filesystem::create_symlink(std::string("/bin/") + program, folder.path + "/" + program);
  Client client({.environment = {"PATH=" + folder.path}});
  EXPECT_EQ(client.hello.bash, "");
  EXPECT_EQ(client.hello.sh, folder.path + "/sh");
  EXPECT_EQ(client.hello.git, "");
  client.expect_ok(client.send(Type::setup, wire::Setup{.prelude = "P=prelude", .environment = {}}));
  auto request = Client::bash_exec("echo $P $0");
  EXPECT_EQ(client.exec(request).end, End::not_started);
  request.sh_instead = true;
  request.with_setup = true;
  const auto result = client.exec(request);
  EXPECT_TRUE(result.used_sh);
  EXPECT_EQ(result.out.bytes, "prelude sh\n");
}

}  // namespace
}  // namespace awm::helper_test
