// What a command in the local sandbox must not reach, spoil or outlive.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstring>
#include <thread>

#include "local_support.h"

namespace awm::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LocalHostileTest : public LocalTest {};

// A listening socket of the host's; name as in the file system, or abstract where it begins with '@'.
class HostSocket {
 public:
  explicit HostSocket(std::string name)
      : name_(std::move(name)), fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (name_.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size), 0) << std::strerror(errno);
    EXPECT_EQ(::listen(fd_, 4), 0);
    if (name_.front() != '@') {
      EXPECT_TRUE(sys::chmod(name_, 0777));
    }
  }
  HostSocket(const HostSocket&) = delete;
  HostSocket& operator=(const HostSocket&) = delete;
  ~HostSocket() { ::close(fd_); }

 private:
  std::string name_;
  int fd_;
};

std::string connect_by_python(const std::string& address) {
  return "python3 -c 'import socket; s=socket.socket(socket.AF_UNIX); s.connect(" + address +
         "); print(\"reached\")' 2>&1";
}

TEST_F(LocalHostileTest, CommandsHaveNoRightsAndCannotGainAny) {
  auto sandbox = connect(settings());
  EXPECT_EQ(output(*sandbox, "id -u; id -G; whoami"), "64231\n64231\nawm");
  EXPECT_EQ(output(*sandbox, "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status | sort -u -k2 | cut -f2"),
            "0000000000000000");
  EXPECT_EQ(output(*sandbox, "grep NoNewPrivs /proc/self/status | cut -f2"), "1");
  for (const auto* attempt :
       {"mount -o remount,rw / /", "mount -t tmpfs none /mnt", "touch /etc/x /usr/x /x /run/x /dev/x /home/x",
        "chroot / true", "echo awm > /proc/sys/kernel/domainname", "test -w /proc/sys/kernel/core_pattern",
        "test -w /proc/sysrq-trigger", "su -c true", "mknod /tmp/sda b 8 0", "umount /proc", "umount /etc/passwd",
        "hostname other", "chown 0 /testbed", "kill -9 1; false"}) {
    EXPECT_NE(run(*sandbox, attempt).status, ExitStatus::exited(0)) << attempt;
  }
  EXPECT_TRUE(run(*sandbox, "true").status.ok());
  close(*sandbox);
}

// In a user namespace of its own a command has every right, over nothing of the host's.
TEST_F(LocalHostileTest, AUserNamespaceInsideOpensNothing) {
  auto sandbox = connect(settings());
  const auto result =
      run(*sandbox,
          "unshare -Ur sh -c 'mount -o remount,rw,bind /etc && touch /etc/awm-was-here;"
          " mount -o remount,rw,bind /usr && touch /usr/awm-was-here; echo x > /proc/sys/kernel/hostname' 2>&1");
  EXPECT_FALSE(exists("/etc/awm-was-here"));
  EXPECT_FALSE(exists("/usr/awm-was-here")) << result.output;
  close(*sandbox);
}

TEST_F(LocalHostileTest, SecretsOfTheHostAreNotThere) {
  auto sandbox = connect(settings());
  EXPECT_NE(run(*sandbox, "cat /etc/shadow").status, ExitStatus::exited(0));
  EXPECT_NE(run(*sandbox, "cat /etc/gshadow").status, ExitStatus::exited(0));
  EXPECT_EQ(output(*sandbox, "ls -A /root /run /tmp; ls -A /home; ls -A ~; ls -A /sys/fs/cgroup 2>/dev/null || true"),
            "/root:\n\n/run:\n\n/tmp:\nawm");
  EXPECT_THAT(output(*sandbox, "env"), Not(HasSubstr("SECRET")));
  EXPECT_THAT(output(*sandbox, "cat /proc/*/environ | tr '\\0' '\\n'"), Not(HasSubstr("AWM_TEST")));
  close(*sandbox);
}

TEST_F(LocalHostileTest, WhatWasToBeHiddenIsHidden) {
  // Below a folder that stays visible, so that hiding is what is seen.
  const std::string visible = "/var/lib/awm-test-" + std::to_string(sys::pid());
  if (!sys::mkdir(visible)) GTEST_SKIP() << "needs to write below /var/lib: run as root";
  host("mkdir -p " + visible + "/out/deep; echo secret > " + visible + "/out/deep/key; echo secret > " + visible +
       "/key; echo open > " + visible + "/open; chmod -R a+rX " + visible);
  auto some = settings();
  some.hidden_paths = {visible + "/out", visible + "/key"};
  auto sandbox = connect(some);
  EXPECT_EQ(
      output(*sandbox, "cat " + visible + "/open; cat " + visible + "/key 2>/dev/null; ls -A " + visible + "/out"),
      "open");
  close(*sandbox);
  // A place made for a bind beside it shows nothing of it again.
  some.binds = {{.source = "/usr/share", .target = visible + "/new/place"}};
  sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "cat " + visible + "/open; cat " + visible + "/key 2>/dev/null; ls -A " + visible +
                                 "/out; ls " + visible),
            "open\nkey\nnew\nopen\nout");
  EXPECT_TRUE(
      run(*sandbox, "test -d " + visible + "/new/place/doc || test -d " + visible + "/new/place/man").status.ok());
  close(*sandbox);
  host("rm -r " + visible);
}

TEST_F(LocalHostileTest, BindsAreShownAfterHomeIsHiddenAndAreReadOnlyUnlessAskedFor) {
  host("mkdir -p given/inner writable; echo hello > given/inner/file; chmod 0777 writable");
  auto some = settings();
  // The sandbox's own /tmp lies over a home in it.
  auto home = sys::environment("HOME").value_or("/root");
  if (home.starts_with("/tmp")) home = "/root";
  const std::string tools = home + "/tools";
  some.binds = {{.source = *folder / "given", .target = tools + "/given"},
                {.source = *folder / "given/inner/file", .target = "/opt/one/two/file"},
                {.source = *folder / "writable", .target = "/srv/awm/writable", .writable = true}};
  auto sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "cat " + tools + "/given/inner/file /opt/one/two/file"), "hello\nhello");
  EXPECT_NE(run(*sandbox, "echo x > " + tools + "/given/inner/file").status, ExitStatus::exited(0));
  EXPECT_NE(run(*sandbox, "touch " + tools + "/x").status, ExitStatus::exited(0));
  output(*sandbox, "echo out > /srv/awm/writable/x");
  EXPECT_EQ(host("cat writable/x"), "out");
  // The host's own entries beside a place that was made are still there.
  EXPECT_EQ(output(*sandbox, "ls /opt | grep -vx one || true"), host("ls /opt 2>/dev/null || true"));
  close(*sandbox);
}

TEST_F(LocalHostileTest, ABindThatIsWrongIsNamed) {
  auto some = settings();
  some.binds = {{.source = *folder / "nothing"}};
  auto sandbox = make(some);
  auto connected = sandbox->connect(Deadline::in(Seconds(30)));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::not_found);
  EXPECT_THAT(connected.error().message(), HasSubstr(*folder / "nothing"));
  some.binds = {{.source = "/usr", .target = "/testbed"}};
  sandbox = make(some);
  connected = sandbox->connect(Deadline::in(Seconds(30)));
  ASSERT_FALSE(connected);
  EXPECT_THAT(connected.error().message(), HasSubstr("/testbed"));
  some.binds = {{.source = "usr"}};
  EXPECT_FALSE(make_local_sandbox(some, *spawner, *stop, scope));
}

TEST_F(LocalHostileTest, SocketsOfTheHostDoNotAnswer) {
  const std::string name = "awm-test-" + std::to_string(sys::pid());
  const std::string place = "/var/lib/" + name;
  const bool named = sys::mkdir(place).has_value();
  const HostSocket abstract("@" + name);
  std::unique_ptr<HostSocket> in_folder;
  if (named) in_folder = std::make_unique<HostSocket>(place + "/docker.sock");
  // The same attempt from outside is answered: the test can see an open door.
  EXPECT_EQ(host(connect_by_python("\"\\0" + name + "\"")), "reached");
  auto sandbox = connect(settings());
  EXPECT_THAT(run(*sandbox, connect_by_python("\"\\0" + name + "\"")).output, HasSubstr("ConnectionRefused"));
  EXPECT_NE(run(*sandbox, "test -S /run/docker.sock || test -S /var/run/docker.sock").status, ExitStatus::exited(0));
  if (named) {
    EXPECT_EQ(host(connect_by_python("\"" + place + "/docker.sock\"")), "reached");
    EXPECT_THAT(run(*sandbox, connect_by_python("\"" + place + "/docker.sock\"")).output, Not(HasSubstr("reached")));
    host("rm -r " + place);
  }
  close(*sandbox);
}

TEST_F(LocalHostileTest, TheNetworkIsAnOwnLoopbackAlone) {
  auto sandbox = connect(settings());
  EXPECT_EQ(output(*sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"), "lo");
  EXPECT_EQ(output(*sandbox,
                   "python3 -c 'import socket; s=socket.create_server((\"127.0.0.1\",0));"
                   " c=socket.create_connection(s.getsockname()); print(\"up\")'"),
            "up");
  const auto listener = sys::listen_loopback(scope, 0);
  ASSERT_TRUE(listener);
  const auto attempt = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\"," +
                       std::to_string(listener->port) + ")); print(\"reached\")' 2>&1";
  EXPECT_THAT(run(*sandbox, attempt).output, HasSubstr("ConnectionRefused"));
  EXPECT_EQ(sandbox->facts().network, "off");
  close(*sandbox);
  auto some = settings();
  some.network = true;
  auto online = connect(some);
  EXPECT_EQ(output(*online, attempt), "reached");
  EXPECT_EQ(online->facts().network, "host");
  close(*online);
}

TEST_F(LocalHostileTest, ProcessesOfTheHostAreNotThere) {
  auto sandbox = connect(settings());
  const auto self = std::to_string(sys::pid());
  EXPECT_EQ(output(*sandbox, "cat /proc/1/comm"), "helper");
  EXPECT_NE(run(*sandbox, "ls /proc/" + self + "/").status, ExitStatus::exited(0));
  EXPECT_NE(run(*sandbox, "kill -0 " + self).status, ExitStatus::exited(0));
  // Process 1 can be neither traced nor read, though it is of the same user.
  EXPECT_NE(run(*sandbox, "cat /proc/1/environ").status, ExitStatus::exited(0));
  EXPECT_NE(run(*sandbox, "ls -l /proc/1/fd").status, ExitStatus::exited(0));
  EXPECT_NE(run(*sandbox,
                "python3 -c 'import ctypes,sys; l=ctypes.CDLL(None,use_errno=True); sys.exit(0 if "
                "l.ptrace(16,1,0,0)==0 else 1)'")
                .status,
            ExitStatus::exited(0));
  close(*sandbox);
}

TEST_F(LocalHostileTest, KillingEverythingLeavesTheSandboxAlive) {
  auto sandbox = connect(settings());
  // kill(2) spares its caller: the first reaches all others, the second the shell as well.
  EXPECT_EQ(output(*sandbox, "kill -9 -1 2>/dev/null; echo spared"), "spared");
  EXPECT_EQ(run(*sandbox, "python3 -c 'import os; os.kill(-1, 9)'; echo not reached").status, ExitStatus::signalled(9));
  ShellOptions options;
  options.hard_limit = Seconds(30);
  const auto result = sandbox->shell_run("python3 -c 'import os; os.kill(-1, 9)'", options);
  ASSERT_TRUE(result) << result.error();
  EXPECT_TRUE(result->restarted);
  EXPECT_EQ(output(*sandbox, "echo alive"), "alive");
  close(*sandbox);
}

TEST_F(LocalHostileTest, AForkBombEndsWithItsDeadlineAndTheHostGoesOn) {
  for (const bool cgroups : {true, false}) {
    auto some = settings();
    some.pids = 60;
    some.use_cgroups = cgroups;
    auto sandbox = connect(some);
    const auto result = run(*sandbox, "bomb() { bomb | bomb & }; bomb; sleep 60", Seconds(1));
    EXPECT_EQ(result.status.kind(), ExitStatus::Kind::timed_out) << sandbox->facts().pids_limit;
    // All of it is gone, and forking goes on until the limit is met again, not further.
    const auto count = output(*sandbox,
                              "exec python3 -c '\nimport os,time\nn=0\ntry:\n  while n < 1000:\n    if os.fork()==0: "
                              "time.sleep(60)\n    n+=1\n"
                              "except OSError: pass\nprint(n,flush=True)\nos._exit(0)'");
    EXPECT_GE(std::stoi(count), 40) << sandbox->facts().pids_limit;
    EXPECT_LE(std::stoi(count), 60) << sandbox->facts().pids_limit;
    close(*sandbox);
  }
}

TEST_F(LocalHostileTest, MemoryIsBoundedAndTheKillIsTold) {
  for (const bool cgroups : {true, false}) {
    auto some = settings();
    some.memory_bytes = uint64_t{256} << 20;
    some.use_cgroups = cgroups;
    auto sandbox = connect(some);
    const auto result = run(*sandbox, "exec python3 -c 'b=[]\nwhile True: b.append(bytearray(1<<20))'", Seconds(60));
    EXPECT_EQ(result.status.kind(), ExitStatus::Kind::out_of_memory)
        << sandbox->facts().memory_limit << ": " << result.status.text();
    EXPECT_EQ(output(*sandbox, "echo alive"), "alive");
    // Killed by somebody else, it is no such thing.
    EXPECT_EQ(run(*sandbox, "kill -9 $$").status, ExitStatus::signalled(9));
    close(*sandbox);
  }
}

TEST_F(LocalHostileTest, AFullDiskIsTheSandboxsOwn) {
  auto some = settings();
  some.memory_bytes = uint64_t{256} << 20;
  auto sandbox = connect(some);
  for (const auto* place : {"/tmp", "/testbed", "~", "/dev/shm", "/var/tmp"}) {
    const auto result =
        run(*sandbox, std::string("head -c 300M /dev/zero > ") + place + "/fill; rm -f " + place + "/fill");
    EXPECT_THAT(result.output, HasSubstr("No space left")) << place;
  }
  EXPECT_EQ(output(*sandbox, "echo alive > /tmp/x; cat /tmp/x"), "alive");
  close(*sandbox);
}

TEST_F(LocalHostileTest, WhatDaemonisesDoesNotOutliveTheSandbox) {
  const std::string sign = "awm-daemon-" + sys::random_hex(8);
  auto sandbox = connect(settings());
  output(*sandbox, "setsid nohup bash -c 'exec -a " + sign +
                       " sleep 1000' >/dev/null 2>&1 & (setsid bash -c 'trap \"\" TERM HUP INT; exec -a " + sign +
                       " sleep 1000' &) >/dev/null 2>&1; disown -a");
  EXPECT_TRUE(eventually([&] { return host("ps -eo args | grep -c '^" + sign + "' || true") == "2"; }));
  close(*sandbox);
  EXPECT_EQ(host("ps -eo args | grep -c '^" + sign + "' || true"), "0");
}

TEST_F(LocalHostileTest, DescriptorsAreLimited) {
  auto some = settings();
  some.open_files = 300;
  auto sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "ulimit -Hn; ulimit -Sn; ulimit -c"), "300\n300\n0");
  EXPECT_NE(run(*sandbox, "ulimit -n 301").status, ExitStatus::exited(0));
  close(*sandbox);
}

TEST_F(LocalHostileTest, CommandsAreTheFirstToGoWhenMemoryIsShort) {
  auto sandbox = connect(settings());
  EXPECT_EQ(output(*sandbox, "cat /proc/self/oom_score_adj"), "1000");
  EXPECT_NE(output(*sandbox, "cat /proc/1/oom_score_adj"), "1000");
  close(*sandbox);
}

}  // namespace
}  // namespace awm::testing
