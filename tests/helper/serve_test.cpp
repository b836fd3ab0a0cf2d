// The helper itself: its stream, its rights, its life and its end.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "client.h"

namespace awm::helper_test {
namespace {

using wire::End;
using wire::Type;

TEST(Hello, SaysWhatIsInside) {
  Client client;
  EXPECT_EQ(client.hello.magic, wire::kMagic);
  EXPECT_EQ(client.hello.version, wire::kVersion);
#if defined(__x86_64__)
  EXPECT_EQ(client.hello.architecture, "x86_64");
#endif
  EXPECT_EQ(client.hello.pid, 1u);
  EXPECT_EQ(client.hello.uid, ::getuid());
  EXPECT_EQ(client.hello.bash, "/usr/bin/bash");
  EXPECT_NE(client.hello.git, "");
  EXPECT_EQ(client.hello.home, "/tmp");
  EXPECT_FALSE(client.hello.user.empty());
  EXPECT_FALSE(client.hello.host.empty());
  EXPECT_FALSE(client.hello.dropped);
}

TEST(Usage, CountsProcessesAndMemory) {
  Client client;
  const uint32_t id = client.send(Type::exec, Client::bash_exec("sleep 1000 & wait"));
  while (true) {
    const uint32_t ask = id + 1000;
    client.send_frame(Type::usage, ask);
    const auto usage = client.wait_for<wire::UsageResult>(ask, Type::usage_result);
    if (usage.processes == 2 && usage.memory > 10'000) break;
  }
  client.send_frame(Type::cancel, id);
  EXPECT_EQ(client.wait_for<wire::ExecResult>(id, Type::exec_result).end, End::cancelled);
}

// ---- the stream ----

wire::Failure fatal(Client& client) {
  Frame frame;
  wire::Failure failure;
  EXPECT_TRUE(client.next(frame));
  EXPECT_EQ(frame.type, Type::fatal);
  EXPECT_TRUE(wire::decode(frame.payload, failure));
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(client.wait_exit(), 3);
  return failure;
}

TEST(Violation, IsToldAndEndsTheHelper) {
  std::string frame;
  {
    Client client;
    client.send_raw(std::string(100, '\xff'));
    EXPECT_NE(fatal(client).text.find("longer than"), std::string::npos);
  }
  {
    Client client;
    client.send_frame(Type::exec, 1, "nonsense");
    fatal(client);
  }
  {
    Client client;  // trailing bytes
    ASSERT_TRUE(wire::append_message(frame, Type::stat, 1, wire::Stat{"/"}));
    frame[0] = static_cast<char>(frame[0] + 1);
    client.send_raw(frame + "x");
    fatal(client);
  }
  {
    Client client;  // an id in use
    const uint32_t id = client.send(Type::exec, wire::Exec{.argv = {"sleep", "1000"}});
    frame.clear();
    ASSERT_TRUE(wire::append_message(frame, Type::stat, id, wire::Stat{"/"}));
    client.send_raw(frame);
    fatal(client);
  }
  {
    Client client;  // no id
    frame.clear();
    ASSERT_TRUE(wire::append_message(frame, Type::stat, 0, wire::Stat{"/"}));
    client.send_raw(frame);
    fatal(client);
  }
}

TEST(Violation, UnknownRequestsAndIdsAreNone) {
  Client client;
  client.send_frame(static_cast<Type>(999), 7);
  EXPECT_EQ(client.failure(7).number, EOPNOTSUPP);
  for (const Type type : {Type::cancel, Type::data, Type::end}) client.send_frame(type, 12345);
  client.grant(12345, 100);
  EXPECT_EQ(client.bash("echo well").out.bytes, "well\n");
}

TEST(Garbage, NeverCrashesOrHangsTheHelper) {
  std::mt19937 engine(20'240'607);
  const auto random = [&engine] { return static_cast<uint32_t>(engine()); };
  std::vector<std::string> arguments;  // whatever the damaged requests ask for, it is done with few rights
  if (::geteuid() == 0) arguments = {"--uid", "54326", "--gid", "54326", "--drop-caps", "--no-new-privs"};
  for (int round = 0; round < 150; ++round) {
    Client client({.arguments = arguments});
    std::string bytes;
    // Whole good frames, damaged here and there; sometimes plain noise.
    for (int i = 0; i < 20; ++i) {
      wire::ShellRun run{.shell = static_cast<uint32_t>(random() % 3), .text = "true"};
      wire::Exec exec{.argv = {"true"}};
      bool good = true;
      switch (random() % 8) {
        case 0:
          good = wire::append_message(bytes, Type::exec, random() % 5, exec);
          break;
        case 1:
          good = wire::append_message(bytes, Type::shell_open, random() % 50,
                                      wire::ShellOpen{.shell = static_cast<uint32_t>(random() % 3)});
          break;
        case 2:
          good = wire::append_message(bytes, Type::shell_run, random() % 50, run);
          break;
        case 3:
          good = wire::append_message(bytes, Type::list, random() % 50, wire::List{"/usr"});
          break;
        case 4:
          wire::append_frame(bytes, static_cast<Type>(random() % 80), random() % 50,
                             std::string(random() % 64, static_cast<char>(random())));
          break;
        case 5:
          good = wire::append_message(bytes, Type::get, random() % 50, wire::Get{"/etc/passwd"});
          break;
        case 6:
          good = wire::append_message(bytes, Type::put, random() % 50, wire::Put{"/nosuch"});
          break;
        default:
          good =
              wire::append_message(bytes, Type::window, random() % 50, wire::Window{static_cast<uint32_t>(random())});
          break;
      }
      ASSERT_TRUE(good);
    }
    const unsigned damage = random() % 4;
    for (unsigned i = 0; i < damage; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (round % 10 == 0) {
      for (char& c : bytes) c = static_cast<char>(random());
    }
    client.send_raw(bytes);
    if (round % 2 == 0) ::shutdown(client.fd(), SHUT_WR);
    if (round % 2 == 1) client.end_stream();
    Frame frame;
    while (client.fd() >= 0 && client.next(frame)) {
    }
    const int code = client.wait_exit();
    EXPECT_TRUE(code == 0 || code == 3) << "round " << round << ": " << code;
  }
}

TEST(Stream, OneByteAtATimeIsFine) {
  Client client;
  std::string frame;
  ASSERT_TRUE(wire::append_message(frame, Type::exec, 77, Client::bash_exec("echo slow")));
  for (const char c : frame) client.send_raw(std::string_view(&c, 1));
  EXPECT_EQ(client.wait_for<wire::ExecResult>(77, Type::exec_result).out.bytes, "slow\n");
}

TEST(Stream, AClientThatDoesNotReadHoldsTheHelperUpNotDown) {
  Client client;
  // Each answer is a megabyte; the stream takes far less, and the helper stops taking requests before it holds all of
  // them.
  client.bash("head -c 4000000 /dev/zero >/tmp/awm-helper-backlog");
  ::fcntl(client.fd(), F_SETFL, ::fcntl(client.fd(), F_GETFL) | O_NONBLOCK);
  std::string frame;
  int sent = 0;
  for (uint32_t id = 100; id < 100'000; ++id) {
    frame.clear();
    wire::Read request{"/tmp/awm-helper-backlog"};
    ASSERT_TRUE(wire::append_message(frame, Type::read, id, request));
    if (::send(client.fd(), frame.data(), frame.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frame.size())) {
      pollfd ready{client.fd(), POLLOUT, 0};
      if (::poll(&ready, 1, 300) == 0) break;  // full, and nothing takes it
      --id;
      continue;
    }
    ++sent;
  }
  ::fcntl(client.fd(), F_SETFL, ::fcntl(client.fd(), F_GETFL) & ~O_NONBLOCK);
  EXPECT_LT(sent, 99'000);
  Frame answer;
  for (int i = 0; i < sent; ++i) {
    ASSERT_TRUE(client.next(answer));
    ASSERT_EQ(answer.type, Type::read_result);
  }
  EXPECT_EQ(client.bash("rm /tmp/awm-helper-backlog; echo well").out.bytes, "well\n");
}

// ---- its end ----

class End_ : public testing::TestWithParam<bool> {};

// Everything a command may do to stay behind.
const char* const kStayBehind =
    "trap '' TERM INT HUP QUIT PIPE; for i in 1 2 3; do setsid sleep 31337 & (setsid bash -c 'sleep 31337 & exit' &) ; "
    "(trap '' HUP TERM; exec env -i /bin/sleep 31337) & done; sleep 31337 & kill -STOP $!; "
    "r() { (sleep 31337; r) & }; r; echo ready; wait";

TEST_P(End_, OfTheStreamEndsEverything) {
  Client client({.first_process = GetParam()});
  client.open_shell();
  client.run(std::string(kStayBehind), 200);
  const uint32_t id = client.send(Type::exec, [] {
    auto request = Client::bash_exec(kStayBehind);
    request.stream = true;
    return request;
  }());
  Frame frame;
  while (client.out[id].find("ready") == std::string::npos && client.next(frame)) client.out[frame.id] += frame.payload;
  EXPECT_GE(processes_with("31337"), 10);
  client.end_stream();
  EXPECT_EQ(client.wait_exit(), 0);
  EXPECT_EQ(processes_with("31337"), 0);
}

TEST_P(End_, ByShutdownIsTheSame) {
  Client client({.first_process = GetParam()});
  client.bash(std::string("(") + kStayBehind + ") >/dev/null 2>&1 & true");
  client.send_frame(Type::shutdown, 0);
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(client.wait_exit(), 0);
  EXPECT_EQ(processes_with("31337"), 0);
}

TEST_P(End_, BySigtermFromOutsideIsTheSame) {
  Client client({.first_process = GetParam()});
  ::kill(client.pid(), SIGTERM);
  EXPECT_TRUE(client.at_end());
  EXPECT_EQ(client.wait_exit(), 0);
}

INSTANTIATE_TEST_SUITE_P(Mode, End_, testing::Bool(),
                         [](const auto& test) { return test.param ? "first_process" : "ordinary_process"; });

TEST(End_, OfAForkBombEndsItToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give the commands a uid of their own";
  Client client({.arguments = {"--uid", "54322", "--gid", "54322", "--rlimit", "nproc=100"}, .first_process = false});
  client.send(Type::exec, Client::bash_exec("b() { b | b & b; }; b 2>/dev/null"));
  auto request = Client::bash_exec("sleep 1000");
  request.hard_ms = 300;
  client.send(Type::exec, request);
  Frame frame;
  client.next(frame);
  client.end_stream();
  EXPECT_EQ(client.wait_exit(), 0);
}

// ---- hostile commands ----

TEST(FirstProcess, SurvivesWhateverIsSentToIt) {
  if (!can_be_first_process()) GTEST_SKIP() << "process namespaces are not permitted here";
  Client client;
  client.bash("sleep 1000 & setsid sleep 1000 &");
  EXPECT_EQ(client.bash("kill -9 -1; echo alive").out.bytes, "alive\n");
  client.bash("for s in {1..64}; do kill -$s 1; done 2>/dev/null");
  EXPECT_EQ(client.bash("echo alive").out.bytes, "alive\n");
  client.open_shell();
  const auto answer = client.run("kill -9 -1; echo alive");
  EXPECT_TRUE(answer.out.bytes.ends_with("alive\n")) << answer.out.bytes;
}

TEST(FirstProcess, ReapsOrphans) {
  Client client;
  client.bash("for i in {1..50}; do (setsid true &); done");
  while (client.bash("ps -eo stat= | grep -c Z").out.bytes != "0\n") {
  }
}

class Secrets : public testing::TestWithParam<const char*> {};

TEST_P(Secrets, OfTheHelperCannotBeReachedBySameUid) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to drop to a uid of its own";
  Client client({.arguments = {"--uid", "54323", "--gid", "54323", "--drop-caps", "--no-new-privs"}});
  const auto result = client.bash(GetParam());
  EXPECT_NE(result.code, 0) << result.out.bytes;
  EXPECT_EQ(client.bash("echo alive").out.bytes, "alive\n");
}

INSTANTIATE_TEST_SUITE_P(
    Ways, Secrets,
    testing::Values("cat /proc/1/environ", "cat /proc/1/mem", "cat /proc/1/maps", "ls /proc/1/fd/", "cat /proc/1/fd/3",
                    "echo x >/proc/1/fd/4", "readlink /proc/1/exe", "readlink /proc/1/cwd", "cat /proc/1/syscall",
                    "cat /proc/1/stack", "cat /proc/1/auxv", "echo 5 >/proc/1/oom_score_adj",
                    "python3 -c 'import ctypes,sys; sys.exit(0 if ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 "
                    "else 1)'",  // PTRACE_ATTACH
                    "python3 -c 'import os,ctypes,sys; f=ctypes.CDLL(None).syscall(434, 1, 0); "
                    "g=ctypes.CDLL(None).syscall(438, f, 3, 0); sys.exit(0 if g >= 0 else 1)'",  // pidfd_getfd
                    "prlimit --pid 1 --nofile=5:5"));

TEST(Privileges, AreGivenUpForGood) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to have something to give up";
  Client client({.arguments = {"--uid", "54324", "--gid", "54325", "--drop-caps", "--no-new-privs", "--rlimit",
                               "nofile=300:400", "--rlimit", "core=0", "--rlimit", "nproc=50"}});
  EXPECT_TRUE(client.hello.dropped);
  EXPECT_EQ(client.hello.uid, 54324u);
  EXPECT_EQ(client.hello.gid, 54325u);
  EXPECT_EQ(client.hello.user, "54324");
  EXPECT_EQ(
      client.bash("id -u; id -g; id -G; grep -E '^(Cap|NoNewPrivs|Groups)' /proc/self/status").out.bytes,
      "54324\n54325\n54325\nGroups:\t "
      "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
      "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
  EXPECT_EQ(client.bash("ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -u; cat /proc/self/oom_score_adj; umask").out.bytes,
            "300\n400\n0\n50\n1000\n0022\n");
  client.open_shell();
  EXPECT_EQ(client.run("id -u; ulimit -Hn; cat /proc/self/oom_score_adj").out.bytes, "54324\n400\n1000\n");
  EXPECT_NE(client.bash("su -c id || cat /etc/shadow").code, 0);
  EXPECT_EQ(client.failure(client.send(Type::read, wire::Read{"/etc/shadow"})).number, EACCES);
  EXPECT_NE(client.bash("mount -t tmpfs none /tmp").code, 0);
}

TEST(Privileges, ThatCannotBeGivenUpAreARefusalToServe) {
  const std::string without = ::geteuid() == 0 ? "setpriv --bounding-set -setuid " : "";
  FILE* out = ::popen((without + AWM_BIN_DIR "/awm-helper serve --uid 1 </dev/null").c_str(), "r");
  ASSERT_NE(out, nullptr);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), out));
  EXPECT_EQ(WEXITSTATUS(::pclose(out)), 1);
  wire::FrameParser parser;
  parser.feed(text);
  wire::Header header;
  std::string_view payload;
  wire::Failure failure;
  ASSERT_TRUE(parser.next(header, payload));
  EXPECT_EQ(header.type, static_cast<uint16_t>(Type::fatal));
  ASSERT_TRUE(wire::decode(payload, failure));
  EXPECT_EQ(failure.operation, "setresuid");
  EXPECT_EQ(failure.number, EPERM);
  EXPECT_FALSE(parser.next(header, payload));
}

TEST(Watchdog, KillsTheBiggestAndSaysSo) {
  Client client({.arguments = {"--tree-memory", "100000000"}});
  EXPECT_EQ(client.hello.tree_memory, 100'000'000u);
  const char* const kEat = "python3 -c 'b=[]\nwhile True: b.append(bytearray(1000000))'";
  auto result = client.exec({.argv = {"python3", "-c", "b=[]\nwhile True: b.append(bytearray(1000000))"}});
  EXPECT_EQ(result.end, End::signalled);
  EXPECT_EQ(result.code, 9);
  EXPECT_TRUE(result.out_of_memory);
  result = client.bash(std::string(kEat) + "; echo code $?");  // a child of the command
  EXPECT_TRUE(result.out.bytes.ends_with("code 137\n")) << result.out.bytes;
  EXPECT_TRUE(result.out_of_memory);
  client.open_shell();
  const auto answer = client.run(kEat);
  EXPECT_EQ(answer.code, 137);
  EXPECT_TRUE(answer.out_of_memory);
  EXPECT_FALSE(answer.restarted);
  EXPECT_FALSE(client.bash("true").out_of_memory);
}

TEST(CommandLine, MistakesAreToldOnStderr) {
  for (const char* arguments :
       {"", "nonsense", "serve --nonsense", "serve --uid", "serve --uid x", "serve --rlimit nofile",
        "serve --rlimit x=1", "serve --rlimit nofile=9:5", "serve --oom-score-adj 1001"}) {
    const std::string command = std::string(AWM_BIN_DIR "/awm-helper ") + arguments + " 2>&1 </dev/null";
    FILE* out = ::popen(command.c_str(), "r");
    ASSERT_NE(out, nullptr);
    char text[4096];
    const std::size_t size = std::fread(text, 1, sizeof text - 1, out);
    text[size] = '\0';
    EXPECT_EQ(WEXITSTATUS(::pclose(out)), 2) << arguments;
    EXPECT_NE(std::strstr(text, "usage"), nullptr) << text;
  }
}

}  // namespace
}  // namespace awm::helper_test
