// The local sandbox: how long a command and a whole sandbox take.
//
//   sandbox_bench [REPOSITORY COMMIT]
//
// Each line is the median and the 90th percentile of many. The reference is a bash process a command, not isolated: 2.5
// ms in mini-swe-agent 2.4.6; the same started by awm is measured beside it. With a repository: the first checkout, and
// sandboxes on it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "must.h"
#include "os/census.h"
#include "os/file.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "sandbox/local_sandbox.h"

namespace {

void measure(const char* what, int times, const std::function<void()>& body) {
  std::vector<double> took;
  for (int i = 0; i < times; ++i) {
    const auto began = awm::Clock::now();
    body();
    took.push_back(std::chrono::duration<double, std::milli>(awm::Clock::now() - began).count());
  }
  std::sort(took.begin(), took.end());
  std::printf("%-58s p50 %9.3f ms   p90 %9.3f ms   (%d)\n", what, took[took.size() / 2], took[took.size() * 9 / 10],
              times);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  using awm::Deadline;
  using awm::Seconds;
  const awm::Scope scope("bench");
  const auto stop = must(awm::Stop::create(scope));
  const auto spawner = must(awm::Spawner::create(scope));
  const auto folder = must(awm::TempFolder::create(scope, "awm-sandbox-bench-"));
  awm::LocalSandboxSettings settings;
  settings.cache_folder = folder.path() + "/cache";
  settings.name = "bench";
  const auto open = [&] {
    auto sandbox = must(awm::make_local_sandbox(settings, *spawner, *stop, scope));
    must(sandbox->connect(Deadline::in(Seconds(600))));
    return sandbox;
  };
  const auto close = [](awm::Sandbox& sandbox) {
    for (const auto& problem : sandbox.close().problems) std::fprintf(stderr, "%s\n", problem.message().c_str());
  };

  measure("no sandbox: a fresh bash -c true", 300, [&] {
    awm::SpawnOptions options;
    options.argv = {"bash", "-c", "true"};
    options.environment = {"PATH=/usr/bin:/bin"};
    (void)must(awm::run_process(*spawner, scope, options, Deadline::in(Seconds(10))));
  });

  const auto before = awm::take_census();
  auto sandbox = open();
  const auto& facts = sandbox->facts();
  std::printf("limits: memory %s; pids %s; network %s\n", facts.memory_limit.c_str(), facts.pids_limit.c_str(),
              facts.network.c_str());
  awm::ShellOptions in_shell;
  in_shell.soft_quiet_limit = Seconds(0);
  (void)must(sandbox->shell_run(":", in_shell));
  measure("persistent shell: a builtin", 1000, [&] { (void)must(sandbox->shell_run(":", in_shell)); });
  measure("persistent shell: an external program", 300, [&] { (void)must(sandbox->shell_run("/bin/true", in_shell)); });
  const std::string heredoc = "cat > /tmp/x <<'EOF'\n" + std::string(100'000, 'x') + "\nEOF";
  measure("persistent shell: a heredoc of 100 KB", 100, [&] { (void)must(sandbox->shell_run(heredoc, in_shell)); });
  const auto bash_true = awm::bash("true");
  measure("a fresh bash -c true", 300, [&] { (void)must(sandbox->exec(bash_true, {})); });
  const std::vector<std::string> true_alone{"/bin/true"};
  measure("a fresh /bin/true", 300, [&] { (void)must(sandbox->exec(true_alone, {})); });
  measure("a file of 10 KB written and read", 300, [&] {
    must(sandbox->write_file("/tmp/file", std::string(10'000, 'x')));
    (void)must(sandbox->read_file("/tmp/file"));
  });
  const auto during = awm::take_census();
  std::printf("a live sandbox holds %zu descriptors, %zu threads, %zu children of ours\n",
              during.descriptors.size() - before.descriptors.size(), during.threads.size() - before.threads.size(),
              during.children.size() - before.children.size());
  close(*sandbox);
  measure("a sandbox without a repository: connect, close", 50, [&] {
    auto one = open();
    close(*one);
  });

  if (argc == 3) {
    settings.repository = argv[1];
    settings.base_commit = argv[2];
    measure("the first sandbox on the repository: connect, close", 1, [&] {
      auto one = open();
      close(*one);
    });
    measure("the next ones: connect, close", 30, [&] {
      auto one = open();
      close(*one);
    });
    auto one = open();
    measure("git status, first in a sandbox", 1, [&] { (void)must(one->exec(awm::bash("git status"), {})); });
    measure("git status", 20, [&] { (void)must(one->exec(awm::bash("git status"), {})); });
    close(*one);
    settings.use_overlay = false;
    measure("copied for want of an overlay: connect, close", 5, [&] {
      auto copied = open();
      close(*copied);
    });
  }
  return 0;
}
