// What containers cost: a command's round trip, side by side with `docker exec` through the engine's API; containers a
// minute; samples of eleven trivial steps a minute, eight at a time; from a prewarmed sandbox to its first command.
//
//   docker_bench IMAGE [HELPER_FOLDER]     the engine is DOCKER_HOST's; run it on an idle machine
//
// References, as measured on two cores: docker exec per command 63-68 ms; create+start+remove alone 384 a minute;
// mini-swe-agent 2.4.6 with eleven steps 119 samples a minute; its `docker run` 214 ms.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "must.h"
#include "os/sys.h"
#include "os/thread.h"
#include "sandbox/docker_sandbox.h"

namespace {

using awm::Clock;
using awm::Deadline;
using awm::Seconds;

const awm::Scope scope{"bench"};

double seconds_of(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return Seconds(Clock::now() - start).count();
}

void row(const char* what, int times, const std::function<void()>& body) {
  std::vector<double> ms;
  for (int i = 0; i < times; ++i) ms.push_back(seconds_of(body) * 1000);
  std::sort(ms.begin(), ms.end());
  std::printf("%-58s p50 %8.2f ms   p90 %8.2f ms   min %8.2f ms   n %d\n", what, ms[ms.size() / 2],
              ms[ms.size() * 9 / 10], ms[0], times);
  std::fflush(stdout);
}

// `jobs` jobs by `workers` threads; how many a minute.
double a_minute(int jobs, int workers, const std::function<void(int)>& job) {
  std::atomic<int> next{0};
  const double took = seconds_of([&] {
    std::vector<awm::Thread> threads;
    for (int i = 0; i < workers; ++i) {
      threads.push_back(must(awm::Thread::start(scope, "worker", [&] {
        for (int n = next++; n < jobs; n = next++) job(n);
      })));
    }
  });
  return 60.0 * jobs / took;
}

// A command by the engine's own exec: create, start with the connection upgraded, read to the end, inspect.
void docker_exec(const awm::Engine& engine, const std::string& container) {
  const awm::Json body{{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", {"bash", "-c", "true"}}};
  const auto made =
      must(engine.call("POST", "/containers/" + container + "/exec", awm::dump_json(body), Deadline::in(Seconds(60))));
  const auto id = awm::string_or(must(awm::parse_json(made.body, "exec")), "Id", "");
  auto stream = must(
      engine.upgrade(scope, "/exec/" + id + "/start", R"({"Detach":false,"Tty":false})", Deadline::in(Seconds(60))));
  char piece[4096];
  for (;;) {
    awm::sys::PollFd set[1]{{.fd = stream.socket.get(), .want_read = true}};
    (void)must(awm::sys::poll(set, Deadline::in(Seconds(60))));
    const auto got = must(awm::sys::recv_some(stream.socket.get(), piece, sizeof piece));
    if (got && *got == 0) break;
  }
  (void)must(engine.call("GET", "/exec/" + id + "/json", "", Deadline::in(Seconds(60))));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: docker_bench IMAGE [HELPER_FOLDER]\n");
    return 2;
  }
  const auto stop = must(awm::Stop::create(scope));
  const auto spawner = must(awm::Spawner::create(scope));
  const auto engine = must(
      awm::Engine::connect(scope, must(awm::engine_address_from_environment()), Deadline::in(Seconds(10)), stop.get()));
  awm::DockerSandboxSettings settings;
  settings.image = argv[1];
  settings.platform = "";
  settings.name = "bench";
  if (argc > 2) settings.helper_folder = argv[2];
  settings.labels = awm::labels_of_this_process("bench", "bench");
  std::printf("engine %s, API %s, %d cores\n", engine->version().engine.c_str(), engine->version().api.c_str(),
              awm::sys::cpu_count());

  const auto make = [&] {
    auto made = must(awm::make_docker_sandbox(settings, *engine, *spawner, *stop, scope));
    must(made->connect(Deadline::in(Seconds(120))));
    return made;
  };
  const auto release = [](awm::Sandbox& sandbox) {
    for (const auto& problem : sandbox.close().problems)
      std::fprintf(stderr, "docker_bench: %s\n", problem.message().c_str());
  };

  {
    auto sandbox = make();
    awm::ExecOptions options;
    options.folder = "/";
    (void)must(sandbox->shell_run("true", {}));
    row("persistent shell, a builtin", 2000, [&] { (void)must(sandbox->shell_run("true", {})); });
    row("persistent shell, an external program", 500, [&] { (void)must(sandbox->shell_run("/bin/true", {})); });
    row("fresh bash -c true", 500, [&] { (void)must(sandbox->exec(awm::bash("true"), options)); });
    const auto containers = must(awm::list_containers(*engine, {"dev.awm.run=bench"}, Deadline::in(Seconds(60))));
    if (!containers.empty()) {
      row("docker exec bash -c true, by the API", 40, [&] { docker_exec(*engine, containers.front().id); });
    }
    release(*sandbox);
  }

  row("connect: image looked at, container made, helper answers", 20, [&] {
    auto sandbox = make();
    release(*sandbox);
  });

  {
    std::vector<std::unique_ptr<awm::Sandbox>> ready;
    for (int i = 0; i < 8; ++i) ready.push_back(make());
    std::size_t next = 0;
    row("prewarmed: to the end of its shell's first command", 8,
        [&] { (void)must(ready[next++]->shell_run("pwd", {})); });
    for (auto& sandbox : ready) release(*sandbox);
  }

  for (const char* network : {"none", ""}) {
    settings.network = network;
    awm::ContainerSpec spec;
    spec.image = settings.image;
    spec.entrypoint = {"true"};
    spec.network = network;
    const char* words = *network != '\0' ? "network none" : "default network";
    std::printf("%-58s %6.0f a minute\n", (std::string("create, start, remove alone, 8 at a time, ") + words).c_str(),
                a_minute(64, 8, [&](int) {
                  auto container = must(awm::UniqueContainer::create(*engine, scope, spec, Deadline::in(Seconds(120))));
                  must(awm::start_container(*engine, container.id(), Deadline::in(Seconds(120))));
                  must(container.remove(Deadline::in(Seconds(120))));
                }));
    std::fflush(stdout);
    std::printf("%-58s %6.0f a minute\n", (std::string("samples of 11 trivial steps, 8 at a time, ") + words).c_str(),
                a_minute(64, 8, [&](int) {
                  auto sandbox = make();
                  for (int step = 0; step < 11; ++step)
                    (void)must(sandbox->shell_run("echo step " + std::to_string(step), {}));
                  release(*sandbox);
                }));
    std::fflush(stdout);
  }
  return 0;
}
