#include <cstdlib>

#include "docker/docker_support.h"
#include "sandbox/docker_sandbox.h"
#include "sandbox_suite.h"

namespace awm::testing {
namespace {

SandboxKind docker_kind() {
  return {.name = "Docker",
          .unavailable = []() -> std::string {
            if (docker_engine() != nullptr) return "";
            if (std::getenv("CI") != nullptr) ADD_FAILURE() << "CI must have a Docker engine: " << why_no_docker();
            return why_no_docker();
          },
          .make =
              [](const SandboxParts& parts, const SandboxWish& wish) {
                DockerSandboxSettings settings;
                settings.image = docker_test_image();
                settings.platform = "";
                settings.helper_folder = AWM_BIN_DIR;
                settings.cache_folder = parts.folder / "cache";
                settings.env_setup = wish.env_setup;
                settings.environment = wish.environment;
                settings.memory = wish.memory_bytes;
                settings.pids = static_cast<int64_t>(wish.pids);
                settings.name = "suite";
                settings.labels = labels_of_this_process("suite", "suite");
                return make_docker_sandbox(settings, *docker_engine(), parts.spawner, parts.stop, parts.scope);
              }};
}

INSTANTIATE_TEST_SUITE_P(Kinds, SandboxSuite, ::testing::Values(docker_kind()), kind_name);

}  // namespace
}  // namespace awm::testing
