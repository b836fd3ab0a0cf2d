// The persistent shell: what it keeps, and every way to fool, break or lose it.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "client.h"

namespace awm::helper_test {
namespace {

using wire::End;
using wire::ShellAnswer;
using wire::Type;

class Shell : public testing::Test {
 protected:
  void SetUp() override { client.open_shell(); }
  // Still the same shell, and a good one.
  void expect_well() {
    const ShellAnswer answer = client.run("echo well $KEPT");
    EXPECT_TRUE(answer.finished);
    EXPECT_FALSE(answer.restarted);
    EXPECT_EQ(answer.code, 0);
    EXPECT_TRUE(answer.out.bytes.ends_with("well yes\n")) << answer.out.bytes;  // `set -x` and the like show
  }
  void expect_restarted(const ShellAnswer& answer, End end, int code) {
    EXPECT_TRUE(answer.finished);
    EXPECT_TRUE(answer.restarted);
    EXPECT_EQ(answer.end, end);
    EXPECT_EQ(answer.code, code);
    EXPECT_EQ(answer.folder, "/");
    EXPECT_EQ(client.run("echo well $KEPT").out.bytes, "well\n");
  }
  Client client;
};

TEST_F(Shell, KeepsFolderVariablesFunctionsAndAliases) {
  ShellAnswer answer = client.run("cd /usr/bin; X=5; f() { echo function $X; }; alias greet='echo alias'");
  EXPECT_EQ(answer.folder, "/usr/bin");
  EXPECT_EQ(answer.out.bytes, "");
  answer = client.run("f; greet; pwd");
  EXPECT_EQ(answer.out.bytes, "function 5\nalias\n/usr/bin\n");
}

TEST_F(Shell, KeepsTheLastExitCodeLikeAPrompt) {
  for (const int code : {0, 1, 2, 42, 127, 255}) {
    EXPECT_EQ(client.run("(exit " + std::to_string(code) + ")").code, code);
    EXPECT_EQ(client.run("echo $?").out.bytes, std::to_string(code) + "\n");
  }
  EXPECT_EQ(client.run("kill -9 $BASHPID & wait $!").code, 137);
}

TEST_F(Shell, AProgramThatASignalEndsIsNoTroubleWithATerminal) {
  ShellAnswer answer = client.run("bash -c 'kill -INT $$'");
  EXPECT_EQ(answer.out.bytes, "");
  EXPECT_EQ(answer.code, 130);
  answer = client.run("bash -c 'kill -SEGV $$'");
  EXPECT_EQ(answer.out.bytes.find("tcsetattr"), std::string::npos) << answer.out.bytes;
  EXPECT_EQ(answer.code, 139);
  EXPECT_EQ(client.run("tty; test -t 2; echo $?").out.bytes, "not a tty\n1\n");
}

TEST_F(Shell, MixesStdoutAndStderrInOrder) {
  EXPECT_EQ(client.run("echo 1; echo 2 >&2; echo 3; ls /nosuch").out.bytes,
            "1\n2\n3\nls: cannot access '/nosuch': No such file or directory\n");
}

TEST_F(Shell, HasNoJobControlHistoryOrPrompt) {
  EXPECT_EQ(
      client.run("echo \"wow!!\"; echo $- | tr -dc mH; echo \"[$PS1$PROMPT_COMMAND]\"; set -o history && echo on").code,
      0);
  EXPECT_EQ(client.run("echo \"wow!!\"").out.bytes, "wow!!\n");
}

TEST_F(Shell, ControlDescriptorsAreNotTheCommands) {
  EXPECT_EQ(client.run("ls /proc/self/fd; ls /proc/self/fd | wc -l").out.bytes, "0\n1\n2\n3\n4\n");
  EXPECT_EQ(client.run("env | grep -i awm").out.bytes, "");
  EXPECT_EQ(client.run("set -a; X=1; env | grep -i awm").out.bytes, "");
}

struct Hostile {
  const char* name;
  const char* text;
  int code;         // -1: any
  const char* out;  // null: any
};

class ShellHostile : public Shell, public testing::WithParamInterface<Hostile> {};

// Each ends like any command, and leaves a shell that goes on as it was.
TEST_P(ShellHostile, EndsAndTheShellGoesOn) {
  client.run("KEPT=yes");
  const ShellAnswer answer = client.run(GetParam().text);
  EXPECT_TRUE(answer.finished);
  EXPECT_FALSE(answer.restarted);
  if (GetParam().code >= 0) {
    EXPECT_EQ(answer.code, GetParam().code) << answer.out.bytes;
  }
  if (GetParam().out != nullptr) {
    EXPECT_EQ(answer.out.bytes, GetParam().out);
  }
  expect_well();
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ShellHostile,
    testing::Values(
        Hostile{"open_double_quote", "echo \"open", 2, nullptr}, Hostile{"open_single_quote", "echo 'open", 2, nullptr},
        Hostile{"open_backquote", "echo `ls", 2, nullptr}, Hostile{"open_substitution", "echo $(ls", 1, nullptr},
        Hostile{"if_without_fi", "if true; then echo x", 2, nullptr}, Hostile{"open_brace", "{ echo x", 2, nullptr},
        Hostile{"open_parenthesis", "( echo x", 2, nullptr}, Hostile{"case_without_esac", "case x in", 2, nullptr},
        Hostile{"stray_fi", "fi", 2, nullptr}, Hostile{"stray_brace", "}", 2, nullptr},
        Hostile{"syntax_error", "echo a; )( ; echo b", 2, nullptr},
        Hostile{"unfinished_heredoc", "cat <<EOF\nline", 0, nullptr},
        Hostile{"heredoc", "cat <<'EOF'\na $x `b`\nEOF", 0, "a $x `b`\n"},
        Hostile{"trailing_backslash", "echo a \\", 0, "a \\\n"}, Hostile{"comment", "# nothing", 0, ""},
        Hostile{"empty", "", 0, ""}, Hostile{"blank", " \n\t\n", 0, ""},
        Hostile{"many_lines", "\n\necho 1\n\n\necho 2\n\n", 0, "1\n2\n"},
        Hostile{"shadowed_eval", "eval() { echo shadow; }", 0, ""},
        Hostile{"shadowed_printf", "printf() { echo shadow; }", 0, ""},
        Hostile{"shadowed_read", "read() { echo shadow; }; mapfile() { :; }; unset_() { :; }", 0, ""},
        Hostile{"shadowed_builtin", "builtin() { echo shadow; }", 0, ""},
        Hostile{"shadowed_command", "command() { :; }; exec() { :; }; test() { :; }", 0, ""},
        Hostile{"aliases", "alias builtin=false eval=false printf=false echo2=false unset=false mapfile=false", 0, ""},
        Hostile{"exec_file", "exec >/dev/null; echo lost", 0, ""}, Hostile{"exec_closed", "exec >&- 2>&- <&-", 0, ""},
        Hostile{"exec_stdin", "exec </dev/null", 0, ""}, Hostile{"set_u", "set -u; echo $NOSUCH", 1, nullptr},
        Hostile{"unset_error", "echo ${NOSUCH?gone}; echo not reached", 1, nullptr},
        Hostile{"set_x", "set -x; true", 0, "++ true\n"}, Hostile{"set_v", "set -v; true", 0, nullptr},
        Hostile{"set_f_ifs", "set -f; IFS=0123456789", 0, ""}, Hostile{"posix", "set -o posix; true", 0, ""},
        Hostile{"noclobber", "set -C", 0, ""}, Hostile{"noexec", "set -n; true", 0, ""},
        Hostile{"readonly_ifs", "readonly IFS", 0, ""},
        Hostile{"prompt_command", "PROMPT_COMMAND='echo prompt'; PS1='$ '", 0, ""},
        Hostile{"debug_trap", "trap 'echo debug >&2' DEBUG", 0, nullptr},
        Hostile{"err_trap", "trap 'echo err' ERR", 0, ""}, Hostile{"return_trap", "trap : RETURN; set -T", 0, ""},
        Hostile{"return", "return 3", -1, nullptr}, Hostile{"break", "break", -1, nullptr},
        Hostile{"fake_status", "echo '1 0'; printf '2 0\\n' >&203; true", 0, nullptr},
        Hostile{"background_noise", "(for i in 1 2 3; do echo noise; done) & wait", 0, nullptr},
        Hostile{"stdin_not_eaten", "true; read -t 0.01 x; cat </dev/null", 0, ""},
        Hostile{"background_reader", "cat & ", 0, nullptr}, Hostile{"binary", "printf '\\0\\1\\377'", 0, nullptr},
        Hostile{"disown", "sleep 1000 & disown", 0, nullptr},
        Hostile{"locale", "export LC_ALL=C; printf '\\xff'", 0, "\xff"},
        Hostile{"ulimit", "ulimit -n 256; ulimit -f 0", 0, ""},
        Hostile{"cd_gone", "mkdir /tmp/awm-gone-$$ && cd /tmp/awm-gone-$$ && rmdir /tmp/awm-gone-$$", 0, ""},
        Hostile{"path_gone", "PATH=; unset PATH", 0, ""},
        Hostile{"ignored_int", "trap '' INT TERM HUP QUIT PIPE", 0, ""},
        Hostile{"nonblocking",
                "python3 -c 'import fcntl,os; [fcntl.fcntl(f, fcntl.F_SETFL, fcntl.fcntl(f, fcntl.F_GETFL) | "
                "os.O_NONBLOCK) for f in (0, 1)]'",
                0, ""}),
    [](const auto& test) { return test.param.name; });

TEST_F(Shell, ANonblockingStdoutIsMendedForTheNextCommand) {
  client.run(
      "python3 -c 'import fcntl,os; fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK)'");
  wire::ShellRun request{.shell = 1, .text = "head -c 3000000 /dev/zero"};
  const ShellAnswer answer = client.run(request);
  EXPECT_EQ(answer.code, 0);
  EXPECT_EQ(answer.out.omitted, 3'000'000u - 100 * 1024);
}

// ---- the shell itself ends ----

TEST_F(Shell, ExitIsTold) {
  expect_restarted(client.run("KEPT=yes; cd /usr; echo bye; exit 7"), End::exited, 7);
}
TEST_F(Shell, ExecIsTold) {
  expect_restarted(client.run("exec bash -c 'exit 9'"), End::exited, 9);
}
TEST_F(Shell, SetEIsTold) {
  expect_restarted(client.run("set -e; (exit 4); echo not reached"), End::exited, 4);
}
TEST_F(Shell, KillIsTold) {
  expect_restarted(client.run("kill -9 $$"), End::signalled, 9);
}
TEST_F(Shell, KillByAChildIsTold) {
  expect_restarted(client.run("bash -c 'kill -SEGV $PPID; sleep 1000' "), End::signalled, 11);
}
TEST_F(Shell, OutputBeforeItsEndIsKept) {
  EXPECT_TRUE(client.run("seq 1 1000; exit 1").out.bytes.starts_with("1\n2\n"));
}

TEST_F(Shell, SetEThatHoldsGoesOn) {
  EXPECT_EQ(client.run("set -e; true").code, 0);
  EXPECT_FALSE(client.run("echo a; false || true").restarted);
  EXPECT_TRUE(client.run("false").restarted);
}

TEST_F(Shell, ItsEndBehindASoftLimitIsToldLater) {
  ShellAnswer answer = client.run("read x; exit $x", 50);
  EXPECT_FALSE(answer.finished);
  answer = client.input("6\n");
  expect_restarted(answer, End::exited, 6);
}

TEST_F(Shell, ABackgroundSubshellThatHoldsItsDescriptorsDoesNotHideItsEnd) {
  expect_restarted(client.run("(while :; do command sleep 0.05; done) & exit 3"), End::exited, 3);
}

TEST_F(Shell, EndsBetweenTwoCommands) {
  const std::string pid = client.run("echo $$").out.bytes;
  const std::string number = pid.substr(0, pid.size() - 1);
  client.exec(Client::bash_exec("kill -9 " + number + "; while [ -d /proc/" + number + " ]; do sleep 0.01; done"));
  const ShellAnswer answer = client.run("echo well");
  EXPECT_EQ(answer.out.bytes, "well\n");
  EXPECT_TRUE(answer.restarted);
}

// The status cannot come any more, since its way was taken away for good: that is noticed.
class ShellMuted : public Shell, public testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(ShellMuted, CostsTheShellNotTheClient) {
  const ShellAnswer answer = client.run(std::string(GetParam().second) + "; echo done");
  EXPECT_TRUE(answer.restarted);
  EXPECT_TRUE(answer.out.bytes.starts_with("done\n")) << answer.out.bytes;
  EXPECT_EQ(client.run("echo well").out.bytes, "well\n");
}

// bash, which was stopped, finds the command and the line for its status in the pipe together and reads both.
TEST_F(Shell, AReadThatWaitsIsNotTakenForALostStatus) {
  std::string pid = client.run("KEPT=yes; echo $$").out.bytes;
  pid.pop_back();
  client.exec(
      Client::bash_exec("kill -STOP " + pid + "; until grep -q '^State:.T' /proc/" + pid + "/status; do :; done"));
  wire::ShellRun request{.shell = 1, .text = "read x; echo got $x"};
  request.soft_quiet_ms = 3'500;  // the search for lost ones takes two seconds and a half
  const uint32_t id = client.send(Type::shell_run, request);
  client.exec(Client::bash_exec("kill -CONT " + pid));
  EXPECT_FALSE(client.wait_for<ShellAnswer>(id, Type::shell_answer).finished);
  EXPECT_EQ(client.input("it\n").out.bytes, "got it\n");
  expect_well();
}

INSTANTIATE_TEST_SUITE_P(Cases, ShellMuted,
                         testing::Values(std::pair{"functions", "builtin() { :; }; unset() { :; }"},
                                         std::pair{"descriptors",
                                                   "for i in {3..255}; do eval \"exec $i>&-\"; done 2>/dev/null"},
                                         std::pair{"limit", "ulimit -n 32"}),
                         [](const auto& test) { return test.param.first; });

// ---- output ----

TEST_F(Shell, ABackgroundJobHoldingStdoutDoesNotDelayTheCommand) {
  EXPECT_TRUE(client.run("sleep 1000 & echo started").out.bytes.ends_with("started\n"));  // behind bash's "[1] 3"
  EXPECT_EQ(client.run("echo next").out.bytes, "next\n");
}

TEST_F(Shell, ABackgroundFloodIsBounded) {
  ShellAnswer answer = client.run("yes & echo $! > /dev/null; echo started");
  EXPECT_TRUE(answer.finished);
  EXPECT_LE(answer.out.bytes.size(), 100u * 1024);
  answer = client.run("kill %1; wait; true");
  EXPECT_TRUE(answer.finished);
  EXPECT_LE(answer.earlier.size(), 8u * 1024);
  EXPECT_EQ(client.run("echo next").out.bytes, "next\n");
}

TEST_F(Shell, WhatABackgroundJobSaidBetweenCommandsIsToldApart) {
  client.run("(read x < <(while [ ! -e /tmp/awm-go-$$ ]; do command sleep 0.01; done; echo go); echo late) &");
  // The job speaks while no command runs: an exec opens its gate and waits until it has ended.
  const std::string pid = client.run("echo $$").out.bytes.substr(0, 10);
  const std::string number = pid.substr(0, pid.find('\n'));
  client.exec(Client::bash_exec("touch /tmp/awm-go-" + number + "; while pgrep -P " + number +
                                " >/dev/null; do sleep 0.01; done; rm /tmp/awm-go-" + number));
  const ShellAnswer answer = client.run("echo now");
  EXPECT_EQ(answer.earlier, "late\n");
  EXPECT_EQ(answer.out.bytes, "now\n");
}

TEST_F(Shell, AHugeOutputIsCutInTheMiddle) {
  wire::ShellRun request{.shell = 1, .text = "seq 1 1000000"};
  request.keep = 2000;
  const ShellAnswer answer = client.run(request);
  EXPECT_EQ(answer.out.bytes.size(), 2000u);
  EXPECT_EQ(answer.out.omitted, 6'888'896u - 2000);
  EXPECT_EQ(answer.out.omitted_at, 1000u);
  EXPECT_TRUE(answer.out.bytes.ends_with("\n1000000\n"));
}

TEST_F(Shell, AHugeTextIsTakenWhole) {
  std::string text = "cat <<'EOF' | md5sum; echo end\n";
  for (int i = 0; i < 40'000; ++i) text += "line with 'quotes\" and $dollars `too` " + std::to_string(i) + "\n";
  text += "EOF\n";
  ASSERT_GT(text.size(), 1'500'000u);
  const ShellAnswer answer = client.run(text);
  EXPECT_EQ(answer.code, 0);
  EXPECT_TRUE(answer.out.bytes.ends_with("-\nend\n")) << answer.out.bytes.substr(0, 200);
  const wire::Exec same{.argv = {"md5sum"},
                        .input = text.substr(text.find('\n') + 1, text.size() - text.find('\n') - 1 - 4)};
  EXPECT_EQ(client.exec(same).out.bytes + "end\n", answer.out.bytes);
}

TEST_F(Shell, RefusesANulByte) {
  EXPECT_EQ(
      client.failure(client.send(Type::shell_run, wire::ShellRun{.shell = 1, .text = std::string("echo a\0b", 8)}))
          .number,
      EINVAL);
  EXPECT_EQ(client.run("echo well").out.bytes, "well\n");
}

// ---- going on with a command: soft limits, input, interrupts ----

TEST_F(Shell, ASoftLimitAnswersAndTheCommandGoesOn) {
  ShellAnswer answer = client.run("echo one; read x; echo two; exit_later() { return 5; }; exit_later", 60);
  EXPECT_FALSE(answer.finished);
  EXPECT_EQ(answer.out.bytes, "one\n");
  EXPECT_EQ(client.failure(client.send(Type::shell_run, wire::ShellRun{.shell = 1, .text = "echo no"})).number, EBUSY);
  answer = client.wait_shell(60);
  EXPECT_FALSE(answer.finished);
  EXPECT_EQ(answer.out.bytes, "");
  answer = client.input("\n");
  EXPECT_TRUE(answer.finished);
  EXPECT_EQ(answer.code, 5);
  EXPECT_EQ(answer.out.bytes, "two\n");
}

TEST_F(Shell, ATotalLimitAnswersInTheMidstOfOutput) {
  wire::ShellRun request{.shell = 1, .text = "while :; do echo x; command sleep 0.005; done"};
  request.soft_total_ms = 100;
  request.soft_quiet_ms = 20'000;
  EXPECT_FALSE(client.run(request).finished);
  EXPECT_EQ(client.interrupt().code, 130);
}

TEST_F(Shell, InputReachesTheCommandAndItsEndToo) {
  EXPECT_FALSE(client.run("cat; echo after", 50).finished);
  ShellAnswer answer = client.input("hello\n", false, 50);
  EXPECT_FALSE(answer.finished);
  EXPECT_EQ(answer.out.bytes, "hello\n");
  answer = client.input("last", true);
  EXPECT_TRUE(answer.finished);
  EXPECT_EQ(answer.out.bytes, "lastafter\n");
  // The next command's stdin is open again.
  EXPECT_FALSE(client.run("read x; echo got $x", 50).finished);
  EXPECT_EQ(client.input("more\n").out.bytes, "got more\n");
}

TEST_F(Shell, InputThatNobodyTookIsNotTheNextCommands) {
  EXPECT_FALSE(client.run("read x; echo got $x", 50).finished);
  EXPECT_EQ(client.input("one\ntwo\nthree\n").out.bytes, "got one\n");
  EXPECT_FALSE(client.run("read y; echo got $y", 50).finished);
  EXPECT_EQ(client.input("four\n").out.bytes, "got four\n");
}

TEST_F(Shell, MegabytesOfInputAreFed) {
  EXPECT_FALSE(client.run("wc -c", 50).finished);
  EXPECT_EQ(client.input(std::string(3'000'000, 'x'), true).out.bytes, "3000000\n");
}

TEST_F(Shell, NoInputMeansDevNull) {
  wire::ShellRun request{.shell = 1, .text = "cat; echo end"};
  request.no_input = true;
  EXPECT_EQ(client.run(request).out.bytes, "end\n");
}

TEST_F(Shell, NothingRunningIsIdle) {
  EXPECT_TRUE(client.wait_shell().idle);
  EXPECT_TRUE(client.input("x").idle);
  EXPECT_TRUE(client.interrupt().idle);
  EXPECT_EQ(client.run("echo well").out.bytes, "well\n");
}

class ShellInterrupt : public Shell, public testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(ShellInterrupt, EndsTheCommandNotTheShell) {
  client.run("KEPT=yes");
  ShellAnswer answer = client.run(std::string("echo ready; ") + GetParam().second, 80);
  EXPECT_FALSE(answer.finished);
  EXPECT_TRUE(answer.out.bytes.starts_with("ready\n"));
  answer = client.interrupt();
  EXPECT_TRUE(answer.finished);
  EXPECT_EQ(answer.code, 130);
  expect_well();
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ShellInterrupt,
    testing::Values(std::pair{"program", "sleep 1000"}, std::pair{"busy_loop", "while :; do :; done"},
                    std::pair{"loop_of_programs", "while :; do sleep 0.01; done"},
                    std::pair{"pipeline", "sleep 1000 | sleep 1000"}, std::pair{"reading", "read x"},
                    std::pair{"waiting", "sleep 1000 & wait"}, std::pair{"substitution", "x=$(sleep 1000)"},
                    std::pair{"function", "f() { sleep 1000; }; f"}, std::pair{"subshell", "(sleep 1000; sleep 1000)"},
                    std::pair{"nested_shell", "bash -c 'sleep 1000; sleep 1000'"},
                    std::pair{"stopped", "bash -c 'kill -STOP $$'"}),
    [](const auto& test) { return test.param.first; });

TEST_F(Shell, AnInterruptLeavesOlderBackgroundJobsAlone) {
  client.run(
      "python3 -c 'import signal,time; signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(1000)' & job=$!");
  // Its start lies at least one tick of the kernel's clock before the next command's.
  client.exec(Client::bash_exec("sleep 0.05"));
  EXPECT_FALSE(client.run("sleep 1000", 50).finished);
  EXPECT_EQ(client.interrupt().code, 130);
  EXPECT_EQ(client.run("kill -0 $job && echo alive").out.bytes, "alive\n");
}

TEST_F(Shell, CancelAnswersAtOnceAndTheCommandGoesOn) {
  const uint32_t id =
      client.send(Type::shell_run, wire::ShellRun{.shell = 1, .text = "echo begun; read x; echo got $x"});
  client.exec({.argv = {"true"}});
  client.send_frame(Type::cancel, id);
  EXPECT_FALSE(client.wait_for<ShellAnswer>(id, Type::shell_answer).finished);
  EXPECT_TRUE(client.input("it\n").out.bytes.ends_with("got it\n"));
}

TEST_F(Shell, AnEndNobodyAskedForIsShownBeforeTheNextCommand) {
  EXPECT_FALSE(client
                   .run("echo first; until [ -e /tmp/awm-gate-$$ ]; do command sleep 0.01; done; rm /tmp/awm-gate-$$; "
                        "echo second",
                        50)
                   .finished);
  EXPECT_EQ(client
                .bash("p=$(pgrep -x bash -P 1 | head -1); touch /tmp/awm-gate-$p; while [ -e /tmp/awm-gate-$p ]; do "
                      "sleep 0.01; done")
                .code,
            0);
  ShellAnswer answer = client.wait_shell();
  EXPECT_TRUE(answer.finished);
  EXPECT_EQ(answer.out.bytes, "second\n");
}

// ---- hard deadline ----

TEST_F(Shell, AHardDeadlineInterrupts) {
  client.run("KEPT=yes");
  const ShellAnswer answer = client.run("echo before; sleep 1000", 0, 100);
  EXPECT_EQ(answer.end, End::hard_timeout);
  EXPECT_EQ(answer.code, 130);
  EXPECT_FALSE(answer.restarted);
  EXPECT_EQ(answer.out.bytes, "before\n");
  expect_well();
}

TEST_F(Shell, AHardDeadlineKillsWhatIgnoresTheInterrupt) {
  client.run("KEPT=yes");
  const ShellAnswer answer = client.run("bash -c \"trap '' INT TERM; while :; do sleep 1000; done\"", 0, 100);
  EXPECT_EQ(answer.end, End::hard_timeout);
  EXPECT_FALSE(answer.restarted);
  expect_well();
}

TEST_F(Shell, AHardDeadlineKillsTheShellWhereNothingElseHelps) {
  expect_restarted(client.run("trap '' INT; while :; do :; done", 0, 100), End::hard_timeout, 9);
  expect_restarted(client.run("trap '' INT; kill -STOP $$; while :; do :; done", 0, 100), End::hard_timeout, 9);
}

TEST_F(Shell, AHardDeadlineHoldsBehindASoftOne) {
  EXPECT_FALSE(client.run("sleep 1000", 50, 200).finished);
  EXPECT_EQ(client.wait_shell().end, End::hard_timeout);
}

// ---- opening and closing ----

TEST(ShellOpen, SourcesThePreludeAndShowsWhatItPrints) {
  Client client;
  client.expect_ok(client.send(
      Type::setup,
      wire::Setup{.prelude = "echo preparing; export P=prelude; cd /usr; f() { echo f; }", .environment = {"E=env"}}));
  ShellAnswer answer = client.open_shell();
  EXPECT_EQ(answer.out.bytes, "preparing\n");
  EXPECT_EQ(answer.folder, "/usr");
  EXPECT_EQ(client.run("echo $P $E; f; ls /proc/self/fd | wc -l").out.bytes, "prelude env\nf\n4\n");
  // After a restart, too.
  client.run("exit");
  EXPECT_EQ(client.run("echo $P $E").out.bytes, "prelude env\n");
}

TEST(ShellOpen, APreludeThatLeavesIsTold) {
  Client client;
  client.expect_ok(client.send(Type::setup, wire::Setup{.prelude = "echo no good; exit 3", .environment = {}}));
  const auto failure = client.failure(client.send(Type::shell_open, wire::ShellOpen{.shell = 1}));
  EXPECT_EQ(failure.number, ECHILD);
  EXPECT_NE(failure.text.find("exit code 3"), std::string::npos) << failure.text;
  EXPECT_NE(failure.text.find("no good"), std::string::npos) << failure.text;
}

TEST(ShellOpen, APreludeThatHangsIsTold) {
  Client client;
  client.expect_ok(client.send(Type::setup, wire::Setup{.prelude = "sleep 1000", .environment = {}}));
  wire::ShellOpen request{.shell = 1};
  request.hard_ms = 100;
  EXPECT_EQ(client.failure(client.send(Type::shell_open, request)).number, ETIMEDOUT);
  std::string left = "?";
  for (int i = 0; i < 300 && !left.empty(); ++i) left = client.bash("pgrep sleep").out.bytes;
  EXPECT_EQ(left, "");
}

TEST(ShellOpen, AMissingFolderIsTold) {
  Client client;
  const auto failure = client.failure(client.send(Type::shell_open, wire::ShellOpen{.shell = 1, .folder = "/no/such"}));
  EXPECT_EQ(failure.number, ENOENT);
  EXPECT_EQ(failure.object, "/no/such");
}

TEST(ShellOpen, SeveralStandSideBySide) {
  Client client;
  client.open_shell(1, "/usr");
  client.open_shell(2, "/tmp");
  EXPECT_EQ(client.failure(client.send(Type::shell_open, wire::ShellOpen{.shell = 2})).number, EEXIST);
  EXPECT_FALSE(client.run("read x", 50).finished);
  EXPECT_EQ(client.run("pwd", 0, 0, 2).out.bytes, "/tmp\n");
  EXPECT_EQ(client.input("\n").folder, "/usr");
}

TEST(ShellClose, KillsAllOfIt) {
  Client client;
  client.open_shell();
  client.run("setsid sleep 4242 & sleep 4242 & (trap '' TERM; setsid bash -c 'sleep 4242 & exit') &");
  client.expect_ok(client.send(Type::shell_close, wire::ShellClose{1}));
  EXPECT_EQ(client.bash("pgrep -x sleep").out.bytes, "");
  EXPECT_EQ(client.failure(client.send(Type::shell_run, wire::ShellRun{.shell = 1, .text = "true"})).number, ENOENT);
  client.open_shell();
  EXPECT_EQ(client.run("echo anew").out.bytes, "anew\n");
}

// ---- sh, where bash is missing ----

TEST(ShellSh, DoesTheSameAndSaysSo) {
  std::string folder = "/tmp/awm-helper-sh-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::filesystem::create_symlink("/bin/dash", folder + "/sh");
  for (const char* program : {"cat", "sleep"})
    std::filesystem::create_symlink(std::string("/bin/") + program, folder + "/" + program);
  {
    Client client({.environment = {"PATH=" + folder}});
    client.expect_ok(client.send(Type::setup, wire::Setup{.prelude = "P=prelude", .environment = {}}));
    EXPECT_TRUE(client.open_shell().used_sh);
    ShellAnswer answer = client.run("cd /usr; X=5; echo out; echo err >&2; false");
    EXPECT_TRUE(answer.used_sh);
    EXPECT_EQ(answer.out.bytes, "out\nerr\n");
    EXPECT_EQ(answer.code, 1);
    EXPECT_EQ(answer.folder, "/usr");
    EXPECT_EQ(client.run("echo $? $X $P").out.bytes, "1 5 prelude\n");
    EXPECT_EQ(client.run("echo 'open").code, 2);
    EXPECT_EQ(client.run("cat <<EOF\nunfinished").out.bytes, "unfinished");
    EXPECT_TRUE(client.run("exit 3").restarted);
    EXPECT_FALSE(client.run("read x; echo got $x", 50).finished);
    EXPECT_EQ(client.input("it\n").out.bytes, "got it\n");
    EXPECT_FALSE(client.run("sleep 1000", 50).finished);
    EXPECT_EQ(client.interrupt().code, 130);
    EXPECT_EQ(client.run("echo well").out.bytes, "well\n");
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace awm::helper_test
