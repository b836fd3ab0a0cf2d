// What only containers do; what every sandbox does is in the shared suite.
#include "sandbox/docker_sandbox.h"

#include <sys/socket.h>

#include <atomic>
#include <cstdlib>

#include "docker/docker_support.h"
#include "os/file.h"
#include "os/thread.h"
#include "sandbox/image_name.h"

namespace awm {
namespace {

using testing::docker_engine;
using testing::docker_test_image;
using ::testing::HasSubstr;
using testing::TestFolder;

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

ExecOptions in(std::string folder) {
  ExecOptions options;
  options.folder = std::move(folder);
  options.hard_limit = Seconds(60);
  return options;
}

class DockerSandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    auto spawner = Spawner::create(scope_);
    ASSERT_TRUE(spawner) << spawner.error();
    spawner_ = *std::move(spawner);
    auto stop = Stop::create(scope_);
    ASSERT_TRUE(stop) << stop.error();
    stop_ = *std::move(stop);
  }
  void TearDown() override {
    if (docker_engine() == nullptr) return;
    const auto left = list_containers(*docker_engine(), {"dev.awm.run=" + run_}, within(60));
    ASSERT_TRUE(left) << left.error();
    EXPECT_TRUE(left->empty()) << left->size() << " containers are left";
  }

  DockerSandboxSettings settings() {
    DockerSandboxSettings s;
    s.image = docker_test_image();
    s.platform = "";
    s.helper_folder = AWM_BIN_DIR;
    s.cache_folder = cache_.path();
    s.labels = labels_of_this_process(run_, "sample");
    s.name = "docker-test";
    return s;
  }

  std::unique_ptr<Sandbox> make(const DockerSandboxSettings& s) {
    auto made = make_docker_sandbox(s, *docker_engine(), *spawner_, *stop_, scope_);
    EXPECT_TRUE(made) << made.error();
    return made ? *std::move(made) : nullptr;
  }
  std::unique_ptr<Sandbox> connected(const DockerSandboxSettings& s) {
    auto made = make(s);
    if (!made) return nullptr;
    if (auto done = made->connect(within(120)); !done) {
      ADD_FAILURE() << done.error();
      return nullptr;
    }
    return made;
  }
  Error error_of_connect(const DockerSandboxSettings& s) {
    auto made = make(s);
    auto done = made->connect(within(120));
    EXPECT_FALSE(done);
    EXPECT_TRUE(made->close().clean());
    return done ? Error{} : done.error();
  }

  static std::string run(Sandbox& sandbox, std::string_view text, const std::string& folder = "/testbed") {
    const auto done = sandbox.exec(bash(text), in(folder));
    if (!done) return done.error().message();
    return done->output + (done->status.ok() ? "" : "[" + done->status.text() + "]");
  }

  // The containers of this test that the engine knows.
  std::vector<ContainerSummary> containers() {
    return list_containers(*docker_engine(), {"dev.awm.run=" + run_}, within(60))
        .value_or(std::vector<ContainerSummary>{});
  }

  // Two commits, a tag on the first, one more commit that a task on the second must not see.
  struct Repository {
    std::string path;
    std::string base;
    std::string future;
  };
  Repository make_repository(const TestFolder& folder) {
    const std::string script =
        "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b "
        "GIT_CONFIG_GLOBAL=/dev/null\n"
        "mkdir -p repo && cd repo && git init -q -b trunk . && echo one >file && mkdir d && echo x >d/x && chmod 755 "
        "d/x\n"
        "git add . && git commit -q -m one && git tag -a v1 -m v1 && echo two >file && git commit -q -a -m two && git "
        "rev-parse HEAD\n"
        "echo three >file && git commit -q -a -m three && git tag v3 && git rev-parse HEAD\n";
    (void)folder.write("script", script);
    EXPECT_EQ(std::system(("cd '" + folder.path() + "' && sh script >out 2>err").c_str()), 0)
        << testing::read_text(folder / "err");
    const auto lines = testing::read_text(folder / "out");
    return {.path = folder / "repo", .base = lines.substr(0, 40), .future = lines.substr(41, 40)};
  }

  Scope scope_{"test/docker-sandbox"};
  TestFolder cache_;
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<Stop> stop_;
  std::string run_ = "test-" + sys::random_hex(4);
};

TEST_F(DockerSandboxTest, HoldsItsImageFromBeforeTheContainerUntilItIsRemoved) {
  auto s = settings();
  const auto info = inspect_image(*docker_engine(), s.image, within(60));
  ASSERT_TRUE(info && *info) << info.error();
  int asked = 0;
  std::weak_ptr<const void> lease;
  s.hold_image = [&](Cancel&, Deadline) -> Result<HeldImage> {
    // Gone again when it is to be used, the first time.
    HeldImage held{.info = **info, .lease = nullptr};
    if (++asked == 1) held.info.id = "sha256:" + std::string(64, '0');
    held.lease = std::make_shared<std::size_t>(0);
    lease = held.lease;
    return held;
  };
  const auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(asked, 2);
  EXPECT_FALSE(lease.expired());
  EXPECT_TRUE(sandbox->close().clean());
  EXPECT_TRUE(lease.expired());
  s.hold_image = [](Cancel&, Deadline) -> Result<HeldImage> {
    return fail(Errc::exhausted, "pull image", "x", "toomanyrequests");
  };
  EXPECT_EQ(error_of_connect(s).code, Errc::exhausted);
}

TEST_F(DockerSandboxTest, RunsCommandsAndTellsWhatIsInside) {
  auto sandbox = connected(settings());
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(run(*sandbox, "echo hello; id -u; pwd"), "hello\n0\n/testbed\n");
  EXPECT_EQ(run(*sandbox, "exit 7"), "[exited 7]");
  const auto shell = sandbox->shell_run("cd /tmp; X=5", {});
  ASSERT_TRUE(shell) << shell.error();
  EXPECT_EQ(sandbox->shell_run("echo $X $PWD", {})->output, "5 /tmp\n");
  const auto& facts = sandbox->facts();
  EXPECT_EQ(facts.kind, "docker");
  EXPECT_EQ(facts.architecture, sys::machine());
  EXPECT_EQ(facts.network, "off");
  EXPECT_TRUE(facts.has_bash);
  EXPECT_TRUE(facts.has_git);
  EXPECT_EQ(Ledger::process().count(ResourceKind::descriptor, scope_.child("stream").path()), 1U);
  EXPECT_TRUE(sandbox->close().clean());
  EXPECT_TRUE(sandbox->close().clean());
  EXPECT_EQ(sandbox->exec(bash("true"), {}).error().code, Errc::closed);
}

TEST_F(DockerSandboxTest, HoldsOneDescriptorAndNoThread) {
  const auto before = testing::open_descriptors();
  auto sandbox = connected(settings());
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(run(*sandbox, "echo x"), "x\n");
  EXPECT_EQ(testing::open_descriptors().size(), before.size() + 1);
  EXPECT_TRUE(sandbox->close().clean());
  sandbox.reset();
  EXPECT_EQ(testing::open_descriptors(), before);
}

TEST_F(DockerSandboxTest, WhereTheEngineSeesNoneOfOurFilesTheyAreUploaded) {
  const TestFolder folder;
  const auto repository = make_repository(folder);
  auto s = settings();
  s.repository = repository.path;
  s.base_commit = repository.base;
  for (const bool show : {true, false}) {
    s.show_own_files = show;
    auto sandbox = connected(s);
    ASSERT_TRUE(sandbox);
    EXPECT_EQ(run(*sandbox, "grep -c ' /.awm/' /proc/self/mountinfo; git log --format=%s -1; git fsck 2>&1"),
              show ? "2\ntwo\n" : "0\ntwo\n");
    EXPECT_TRUE(sandbox->close().clean());
  }
  // Readable for us alone, so that the container's user cannot run it in place: uploaded instead.
  const TestFolder bin;
  (void)bin.write("awm-helper", testing::read_text(std::string(AWM_BIN_DIR) + "/awm-helper"));
  ASSERT_TRUE(sys::chmod(bin / "awm-helper", 0600));
  s.show_own_files = true;
  s.helper_folder = bin.path();
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(run(*sandbox, "grep -c ' /.awm/' /proc/self/mountinfo; true"), "0\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, ConnectedOnOneThreadIsUsedOnAnother) {
  auto sandbox = make(settings());
  auto thread = Thread::start(scope_, "prewarm", [&] { EXPECT_TRUE(sandbox->connect(within(120))); });
  ASSERT_TRUE(thread);
  thread->join();
  EXPECT_EQ(run(*sandbox, "echo x"), "x\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, ClosedWhileItConnectsLeavesNothing) {
  auto sandbox = make(settings());
  Result<void> done;
  auto thread = Thread::start(scope_, "prewarm", [&] { done = sandbox->connect(within(120)); });
  ASSERT_TRUE(thread);
  ASSERT_TRUE(testing::eventually([&] { return !containers().empty(); }));
  EXPECT_TRUE(sandbox->close().clean());
  thread->join();
  EXPECT_TRUE(done || done.error().code == Errc::closed) << done.error();
  EXPECT_TRUE(testing::eventually([&] { return containers().empty(); }));
}

TEST_F(DockerSandboxTest, AStopEndsTheCommandAndTheReleaseIsDoneAllTheSame) {
  auto sandbox = connected(settings());
  ASSERT_TRUE(sandbox);
  Result<ExecResult> result = fail(Errc::internal, "", "", "");
  auto thread = Thread::start(scope_, "command", [&] { result = sandbox->exec(bash("sleep 1000"), in("/")); });
  ASSERT_TRUE(thread);
  stop_->request(StopLevel::cancel);
  thread->join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::stopped);
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, AnotherUserWorksWhereItMayWrite) {
  auto s = settings();
  s.user = "1000";
  auto error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::permission) << error;
  EXPECT_THAT(error.message(), HasSubstr("user 1000 cannot write in /testbed"));
  EXPECT_THAT(error.object, HasSubstr(s.image));

  const TestFolder folder;
  const auto repository = make_repository(folder);
  s.repository = repository.path;
  s.base_commit = repository.base;
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(run(*sandbox, "id -u; cat file; echo more >>file && git diff --stat | tail -1; stat -c %u . file .git"),
            "1000\ntwo\n 1 file changed, 1 insertion(+)\n1000\n1000\n1000\n");
  EXPECT_EQ(sandbox->facts().uid, 1000U);
  EXPECT_TRUE(sandbox->close().clean());

  s.user = "nobody-here";
  error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::invalid_input) << error;
  EXPECT_THAT(error.message(), HasSubstr("nobody-here"));
}

TEST_F(DockerSandboxTest, ARepositoryComesWithItsHistoryAndNoFuture) {
  const TestFolder folder;
  const auto repository = make_repository(folder);
  auto s = settings();
  s.repository = repository.path;
  s.base_commit = repository.base;
  for (int round = 0; round < 2; ++round) {  // made, then found made
    auto sandbox = connected(s);
    ASSERT_TRUE(sandbox);
    EXPECT_EQ(run(*sandbox,
                  "cat file; stat -c %a d/x; git status --porcelain; git log --topo-order --format=%s; git describe; "
                  "git rev-parse HEAD"),
              "two\n755\ntwo\none\nv1-1-g" + repository.base.substr(0, 7) + "\n" + repository.base + "\n");
    EXPECT_THAT(run(*sandbox, "git cat-file -t " + repository.future), HasSubstr("could not get object info"));
    EXPECT_EQ(run(*sandbox, "git tag; git fsck 2>&1; git branch --format='%(refname)'"), "v1\nrefs/heads/main\n");
    EXPECT_TRUE(sandbox->close().clean());
  }
  s.base_commit = std::string(40, '1');
  auto error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::not_found) << error;
  s.repository = folder / "nowhere";
  EXPECT_EQ(error_of_connect(s).code, Errc::not_found);
  s.repository = cache_.path();
  error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_THAT(error.message(), HasSubstr("no git repository"));
  EXPECT_TRUE(containers().empty());
}

// Commits the container's state as an image, as published images are: /testbed with a commit of its own above base, and
// perhaps more than it should have.
class PublishedImage {
 public:
  PublishedImage(const Engine& engine, const std::string& container, std::string name)
      : engine_(engine), name_(std::move(name)) {
    const auto done =
        engine_.call("POST", "/commit?container=" + container + "&repo=" + name_ + "&tag=latest", "{}", within(120));
    EXPECT_TRUE(done) << done.error();
  }
  PublishedImage(const PublishedImage&) = delete;
  PublishedImage& operator=(const PublishedImage&) = delete;
  ~PublishedImage() { EXPECT_TRUE(remove_image(engine_, name_, within(60))); }
  [[nodiscard]] std::string name() const { return name_ + ":latest"; }

 private:
  const Engine& engine_;
  std::string name_;
};

TEST_F(DockerSandboxTest, APublishedImagesOwnCommitStaysAndTheFutureGoes) {
  const TestFolder folder;
  const auto repository = make_repository(folder);
  auto s = settings();
  s.repository = repository.path;
  s.base_commit = repository.future;
  s.show_own_files = false;  // so that the history is in the image
  auto builder = connected(s);
  ASSERT_TRUE(builder);
  EXPECT_EQ(
      run(*builder,
          "git branch -q upstream && git tag later && git remote add origin /nowhere && git update-ref "
          "refs/remotes/origin/main HEAD &&"
          "git update-ref refs/remotes/gone/main HEAD && git symbolic-ref refs/remotes/gone/HEAD "
          "refs/remotes/gone/main && "
          "git reset -q --hard " +
              repository.base +
              " && echo built >built && git add built && git -c user.name=a -c user.email=a@b commit -q -m SWE-bench"),
      "");
  const PublishedImage image(*docker_engine(), containers().front().id, "awm-test-published");
  EXPECT_TRUE(builder->close().clean());

  s.repository.clear();
  s.image = image.name();
  s.base_commit = repository.base;
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(run(*sandbox, "git log --topo-order --format=%s --all; cat built; git remote; git status --porcelain"),
            "SWE-bench\ntwo\none\nbuilt\n");
  EXPECT_THAT(run(*sandbox, "git cat-file -t " + repository.future), HasSubstr("could not get object info"));
  EXPECT_EQ(run(*sandbox, "git cat-file --batch-all-objects --batch-check | grep -c commit"), "3\n");
  EXPECT_TRUE(sandbox->close().clean());

  // The judge takes the image as it is.
  auto judge = connected(as_reference_judge(s));
  ASSERT_TRUE(judge);
  EXPECT_EQ(run(*judge, "git cat-file -t " + repository.future + "; git rev-parse --abbrev-ref HEAD"),
            "commit\nmain\n");
  EXPECT_TRUE(judge->close().clean());

  s.base_commit = std::string(40, 'e');
  const auto error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_THAT(error.message(), HasSubstr("does not have commit"));
}

TEST_F(DockerSandboxTest, TheJudgeIsTheReferences) {
  auto s = settings();
  s.user = "1000";
  s.pids = 20;
  s.memory = uint64_t{64} << 20;
  auto judge = connected(as_reference_judge(s));
  ASSERT_TRUE(judge);
  EXPECT_EQ(run(*judge, "id -un; pwd; echo out; echo err >&2; echo out"), "root\n/testbed\nout\nerr\nout\n");
  EXPECT_EQ(run(*judge, "unshare --mount echo may-mount"), "may-mount\n");
  EXPECT_EQ(run(*judge, "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; true"), "max\n");
  EXPECT_TRUE(judge->close().clean());
}

TEST_F(DockerSandboxTest, ReadOnlyImagesAndTmpWithoutExecution) {
  auto s = settings();
  s.read_only = true;
  s.tmpfs["/tmp"] = "noexec,mode=1777";
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_THAT(run(*sandbox, "touch /x"), HasSubstr("Read-only file system"));
  EXPECT_EQ(run(*sandbox, "echo a >file; cat file; cp /bin/true /tmp/t; /tmp/t; echo $?", "/testbed"),
            "a\nbash: line 1: /tmp/t: Permission denied\n126\n");
  const auto shell = sandbox->shell_run("echo in the shell", {});
  ASSERT_TRUE(shell) << shell.error();
  EXPECT_EQ(shell->output, "in the shell\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, ImagesWithoutBashGitOrShell) {
  const auto libraries = [](std::vector<std::pair<std::string, std::string>> files) {
    for (const auto* library : {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}) {
      if (testing::path_exists(library))
        files.emplace_back(std::string(library).substr(1), testing::read_text(library));
    }
    files.emplace_back("testbed/file", "text\n");
    return files;
  };
  if (sys::machine() != "x86_64") GTEST_SKIP() << "the image is put together for x86-64";
  auto s = settings();
  s.image = testing::docker_made_image("noshell", {{"testbed/file", "text\n"}});
  auto error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::unsupported) << error;
  EXPECT_THAT(error.message(), HasSubstr("neither bash nor sh"));
  EXPECT_THAT(error.object, HasSubstr("noshell"));

  // dash under the name that everybody looks for.
  s.image = testing::docker_made_image("nobash", libraries({{"bin/sh", testing::read_text("/bin/dash")}}));
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_FALSE(sandbox->facts().has_bash);
  EXPECT_EQ(run(*sandbox, "echo $0; echo *"), "sh\nfile\n");
  EXPECT_TRUE(sandbox->facts().has_git);  // lent
  EXPECT_THAT(run(*sandbox, "git --version"), HasSubstr("git version"));
  EXPECT_TRUE(sandbox->close().clean());

  // With git lent, a repository comes, is changed, and gives a patch, in an image that has next to nothing.
  const TestFolder folder;
  const auto repository = make_repository(folder);
  s.repository = repository.path;
  s.base_commit = repository.base;
  sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  EXPECT_EQ(
      run(*sandbox, "echo three >file; git add -A; git diff --cached --stat; git stash -q; git status --porcelain"),
      " file | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, AnImageOfAnotherArchitectureIsToldAtConnect) {
  // A program for another machine: the engine says the image is its own, the kernel knows better.
  auto s = settings();
  const TestFolder bin;
  std::string elf = testing::read_text(std::string(AWM_BIN_DIR) + "/awm-helper");
  elf[18] = static_cast<char>(elf[18] == 62 ? 183 : 62);
  (void)bin.write("awm-helper", elf);
  s.helper_folder = bin.path();
  auto error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::unsupported) << error;
  EXPECT_THAT(error.message(), HasSubstr("exec format error"));

  s.platform = sys::machine() == "x86_64" ? "linux/arm64" : "linux/amd64";
  error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::unsupported) << error;
  EXPECT_THAT(error.message(), HasSubstr(s.platform));
}

TEST_F(DockerSandboxTest, WithoutItsHelperOrItsImageSaysWhich) {
  auto s = settings();
  s.helper_folder = cache_.path();
  auto error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::not_found) << error;
  EXPECT_THAT(error.message(), HasSubstr("awm-helper"));
  s = settings();
  s.image = "awm-no-such-image:1";
  error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::not_found) << error;
  EXPECT_THAT(error.message(), HasSubstr("awm-no-such-image:1"));
  s = settings();
  s.network = "awm-no-such-network";
  error = error_of_connect(s);
  EXPECT_EQ(error.code, Errc::unavailable) << error;
}

TEST_F(DockerSandboxTest, MemoryPastTheLimitIsToldAsThat) {
  auto s = settings();
  s.memory = uint64_t{64} << 20;
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  const auto done = sandbox->exec(std::vector<std::string>{"python3", "-c", "x = bytearray(300 << 20)"}, in("/"));
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(done->status, ExitStatus::out_of_memory()) << done->output;
  const auto shell = sandbox->shell_run("python3 -c 'x = bytearray(300 << 20)'", {});
  ASSERT_TRUE(shell) << shell.error();
  EXPECT_EQ(shell->status, ExitStatus::out_of_memory()) << shell->output;
  // 137 alone is not want of memory.
  const auto killed = sandbox->exec(bash("kill -9 $$"), in("/"));
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->status, ExitStatus::signalled(9));
  EXPECT_EQ(run(*sandbox, "echo lives"), "lives\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, TheNumberOfProcessesIsBounded) {
  auto s = settings();
  s.pids = 40;
  auto sandbox = connected(s);
  ASSERT_TRUE(sandbox);
  // bash would try again for seconds; this one says at once how far it came.
  const auto forks = sandbox->exec(std::vector<std::string>{"python3", "-c",
                                                            "import os, signal\n"
                                                            "n = 0\n"
                                                            "try:\n"
                                                            "  while n < 200:\n"
                                                            "    if os.fork() == 0: signal.pause()\n"
                                                            "    n += 1\n"
                                                            "except OSError as e: print(n, e.errno)\n"},
                                   in("/"));
  ASSERT_TRUE(forks) << forks.error();
  EXPECT_THAT(forks->output, ::testing::MatchesRegex("3[0-9] 11\n"));
  EXPECT_EQ(run(*sandbox, "echo lives"), "lives\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, KilledOrRemovedUnderneathIsLostAndSaysHow) {
  for (const bool removed : {false, true}) {
    auto sandbox = connected(settings());
    ASSERT_TRUE(sandbox);
    const auto id = containers().front().id;
    std::atomic<bool> began{false};
    Result<ExecResult> result = fail(Errc::internal, "", "", "");
    auto options = in("/");
    options.on_output = [&](std::string_view) { return began = true; };
    auto thread =
        Thread::start(scope_, "command", [&] { result = sandbox->exec(bash("echo began; sleep 1000"), options); });
    ASSERT_TRUE(thread);
    ASSERT_TRUE(testing::eventually([&] { return began.load(); }));
    if (removed) {
      ASSERT_TRUE(remove_container(*docker_engine(), id, within(60)));
    } else {
      ASSERT_TRUE(docker_engine()->call("POST", "/containers/" + id + "/kill", "", within(60)));
    }
    thread->join();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::lost) << result.error();
    EXPECT_THAT(result.error().cause, HasSubstr("was killed or removed from outside")) << result.error();
    EXPECT_EQ(sandbox->exec(bash("true"), in("/")).error().code, Errc::lost);
    EXPECT_EQ(sandbox->shell_run("true", {}).error().code, Errc::lost);
    EXPECT_TRUE(sandbox->close().clean());
  }
}

TEST_F(DockerSandboxTest, NothingInsideCanEndTheHelper) {
  auto sandbox = connected(settings());
  ASSERT_TRUE(sandbox);
  const auto done = sandbox->exec(bash("kill -9 1; kill -9 -1; echo still here"), in("/"));
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(run(*sandbox, "echo lives"), "lives\n");
  EXPECT_TRUE(sandbox->close().clean());
}

TEST_F(DockerSandboxTest, EightSideBySide) {
  std::atomic<int> good{0};
  std::vector<Thread> threads;
  const auto s = settings();
  const auto& engine = *docker_engine();
  for (int i = 0; i < 8; ++i) {
    auto thread = Thread::start(scope_, "sample", [&, i] {
      auto made = make_docker_sandbox(s, engine, *spawner_, *stop_, scope_);
      if (!made || !(*made)->connect(within(240))) return;
      bool right = true;
      for (int n = 0; n < 5; ++n) {
        const auto word = std::to_string(i) + "-" + std::to_string(n);
        const auto done = (*made)->exec(
            bash("echo " + word + " >> /testbed/mine; tail -1 /testbed/mine; wc -l < /testbed/mine"), in("/"));
        right = right && done && done->output == word + "\n" + std::to_string(n + 1) + "\n";
      }
      if ((*made)->close().clean() && right) ++good;
    });
    ASSERT_TRUE(thread);
    threads.push_back(*std::move(thread));
  }
  threads.clear();
  EXPECT_EQ(good, 8);
}

TEST(ImageOf, FollowsTheOrderOfWhatWasSaid) {
  const ImageNamed classic{
      .instance_id = "Django__django-11179", .repo = "django/django", .version = "3.0", .image = ""};
  EXPECT_EQ(*image_of(classic), "swebench/sweb.eval.x86_64.django_1776_django-11179:latest");
  auto own = classic;
  own.image = "ghcr.io/x/y@sha256:00ff";
  EXPECT_EQ(*image_of(own), "ghcr.io/x/y@sha256:00ff");
  EXPECT_EQ(*image_of(own, {.image = "", .template_text = "localhost:5000/{repo}-{version}/{instance_id}:{id}"}),
            "localhost:5000/django__django-3.0/django__django-11179:django_1776_django-11179");
  EXPECT_EQ(*image_of(own, {.image = "mine:1", .template_text = "x"}), "mine:1");
}

TEST(ImageOf, RefusesWhatIsNoName) {
  const ImageNamed row{.instance_id = "a__b-1", .repo = "a/b", .version = "", .image = ""};
  EXPECT_THAT(image_of(row, {.image = "", .template_text = "x/{nope}"}).error().message(), HasSubstr("{nope}"));
  EXPECT_FALSE(image_of(row, {.image = "", .template_text = "x/{id"}));
  for (const auto* bad : {"a b", "a\nb", "-x", "../x", "x?y", "a//b", "/x", "x#y"}) {
    auto named = row;
    named.image = bad;
    EXPECT_FALSE(image_of(named)) << bad;
  }
}

}  // namespace
}  // namespace awm
