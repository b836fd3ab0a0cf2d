// A program that owns containers and is killed in the middle: docker_owner IMAGE HELPER_FOLDER RUN COUNT. Prints
// "ready" once all are connected, each with a command running in it, and waits.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "os/thread.h"
#include "sandbox/docker_sandbox.h"

int main(int argc, char** argv) {
  using namespace awm;
  if (argc != 5) return 2;
  const Scope scope("owner");
  auto stop = Stop::create(scope);
  auto spawner = Spawner::create(scope);
  auto address = engine_address_from_environment();
  if (!stop || !spawner || !address) return 1;
  auto engine = Engine::connect(scope, *address, Deadline::in(Seconds(20)));
  if (!engine) return 1;
  DockerSandboxSettings settings;
  settings.image = argv[1];
  settings.platform = "";
  settings.helper_folder = argv[2];
  settings.name = "owner";
  settings.labels = labels_of_this_process(argv[3], "owned");
  std::vector<std::unique_ptr<Sandbox>> all;
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    auto made = make_docker_sandbox(settings, **engine, **spawner, **stop, scope);
    if (!made || !(*made)->connect(Deadline::in(Seconds(120)))) return 1;
    ExecOptions options;
    options.folder = "/";
    // One that ignores every polite request, and one in a session of its own.
    if (!(*made)->exec(bash("setsid sh -c 'trap \"\" TERM HUP INT; sleep 1000' >/dev/null 2>&1 & true"), options))
      return 1;
    all.push_back(*std::move(made));
  }
  std::puts("ready");
  std::fflush(stdout);
  return (*stop)->sleep_until(Deadline::in(Seconds(600))) ? 0 : 1;
}
