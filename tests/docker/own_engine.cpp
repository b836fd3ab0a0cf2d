#include "docker/own_engine.h"

#include <csignal>
#include <cstdlib>
#include <utility>

#include "os/file.h"
#include "os/sys.h"

namespace awm::testing {
namespace {

const Scope scope{"test/own-engine"};

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

}  // namespace

OwnEngine::OwnEngine(bool live_restore) : live_restore_(live_restore) {
  if (is_root() && std::system("command -v dockerd containerd >/dev/null 2>&1") == 0) start();
}

OwnEngine::~OwnEngine() {
  engine_.reset();
  if (started_) {
    EXPECT_EQ(script("stop"), 0);
  }
}

int OwnEngine::script(const std::string& what) const {
  return std::system((std::string(live_restore_ ? "AWM_DOCKERD_LIVE_RESTORE=true " : "") +
                      "'" AWM_SOURCE_DIR "/scripts/dockerd.sh' " + what + " '" + (folder_ / "e") + "' >/dev/null 2>'" +
                      (folder_ / "log") + "' </dev/null")
                         .c_str());
}

void OwnEngine::start() {
  started_ = true;
  if (script("start") != 0) {
    ADD_FAILURE() << read_text(folder_ / "log");
    return;
  }
  auto engine = Engine::connect(scope, address_of(address()), within(20));
  ASSERT_TRUE(engine) << engine.error();
  engine_ = *std::move(engine);
}

std::string OwnEngine::import_small_image() {
  const std::string image = "awm-test-small:1";
  (void)folder_.write("root/testbed/file", "text\n");
  (void)folder_.write("root/tmp/.keep", "");
  const auto put =
      "cd '" + (folder_ / "root") +
      "' && for f in /bin/dash $(ldd /bin/dash | grep -o '/[^ ]*'); do mkdir -p .$(dirname $f) && cp -L $f .$f; done"
      " && cp bin/dash bin/sh && tar -cf ../image.tar .";
  EXPECT_EQ(std::system(put.c_str()), 0);
  const auto made = import_image(*engine_, image, within(60), pieces_of(folder_ / "image.tar"));
  EXPECT_TRUE(made) << made.error();
  return image;
}

std::string OwnEngine::import_test_image() {
  const std::string image = "awm-test-whole:1";
  const auto made = import_image(*engine_, image, within(300), pieces_of(docker_test_archive()));
  EXPECT_TRUE(made) << made.error();
  return image;
}

void OwnEngine::kill() const {
  EXPECT_EQ(std::system(("kill -9 $(cat '" + (folder_ / "e/docker.pid") + "') && kill -9 $(cat '" +
                         (folder_ / "e/containerd.pid") + "')")
                            .c_str()),
            0);
  // Dead is who listens no more.
  EXPECT_TRUE(eventually([&] { return !sys::connect_unix(scope, socket(), within(5)); }));
}

void OwnEngine::shut_down() {
  const auto pid = std::atoi(read_text(folder_ / "e/docker.pid").c_str());
  EXPECT_EQ(::kill(pid, SIGTERM), 0);
  EXPECT_TRUE(eventually([&] { return !path_exists(folder_ / "e/docker.pid"); }, std::chrono::seconds(60)));
  if (live_restore_) return;
  EXPECT_EQ(std::system(("kill $(cat '" + (folder_ / "e/containerd.pid") + "')").c_str()), 0);
}

std::size_t OwnEngine::containers_alive() const {
  std::size_t shims = 0;
  for (const auto& pid : sys::list_folder("/proc").value_or(std::vector<std::string>{})) {
    const auto command = read_file("/proc/" + pid + "/cmdline").value_or("");
    if (command.find("containerd-shim") != std::string::npos && command.find(folder_ / "e/") != std::string::npos)
      ++shims;
  }
  return shims;
}

void OwnEngine::start_again() {
  engine_.reset();
  start();
}

}  // namespace awm::testing
