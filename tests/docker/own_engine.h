// A Docker engine that a test may stop, kill and start again: its own dockerd and containerd in a folder of the test's
// (scripts/dockerd.sh). Needs root and both programs.
#pragma once

#include <memory>
#include <string>

#include "docker/docker_support.h"

namespace awm::testing {

class OwnEngine {
 public:
  // `live_restore`: containers outlive the engine, as many servers have it.
  explicit OwnEngine(bool live_restore = false);
  OwnEngine(const OwnEngine&) = delete;
  OwnEngine& operator=(const OwnEngine&) = delete;
  ~OwnEngine();
  // False where it cannot be had here.
  [[nodiscard]] bool is_there() const { return engine_ != nullptr; }
  [[nodiscard]] const Engine& engine() const { return *engine_; }
  [[nodiscard]] std::string address() const { return "unix://" + socket(); }

  // An image of a shell and little else; its name. Quick.
  std::string import_small_image();
  // The image that other tests use; its name.
  std::string import_test_image();

  // Ends dockerd and containerd as a crash would; their containers' streams end with them.
  void kill() const;
  // Politely, as `systemctl stop docker` does; its containerd runs on where containers outlive it.
  void shut_down();
  // Whoever watches them, whether or not the engine is there.
  [[nodiscard]] std::size_t containers_alive() const;
  // After kill() or shut_down(): the same engine, with what it had on disk.
  void start_again();

 private:
  [[nodiscard]] std::string socket() const { return folder_ / "e/docker.sock"; }
  [[nodiscard]] int script(const std::string& what) const;
  void start();

  TestFolder folder_;
  bool live_restore_ = false;
  bool started_ = false;
  std::unique_ptr<Engine> engine_;
};

}  // namespace awm::testing

#define REQUIRE_OWN_ENGINE(own)                                                                    \
  do {                                                                                             \
    if (!(own).is_there()) {                                                                       \
      if (std::getenv("CI") != nullptr) FAIL() << "CI must be able to start an engine of its own"; \
      GTEST_SKIP() << "needs root, dockerd and containerd, for an engine of the test's own";       \
    }                                                                                              \
  } while (false)
