#include "local_support.h"
#include "sandbox/local_sandbox.h"
#include "sandbox_suite.h"

namespace awm::testing {
namespace {

SandboxKind local_kind(std::string name, bool use_cgroups) {
  return {.name = std::move(name),
          .unavailable = why_not_local,
          .make = [use_cgroups](const SandboxParts& parts, const SandboxWish& wish) {
            LocalSandboxSettings settings;
            settings.cache_folder = parts.folder / "cache";
            settings.env_setup = wish.env_setup;
            settings.environment = wish.environment;
            settings.memory_bytes = wish.memory_bytes;
            settings.pids = wish.pids;
            settings.name = "suite";
            settings.use_cgroups = use_cgroups;
            return make_local_sandbox(settings, parts.spawner, parts.stop, parts.scope);
          }};
}

INSTANTIATE_TEST_SUITE_P(Kinds, SandboxSuite,
                         ::testing::Values(local_kind("Local", true), local_kind("LocalWithoutCgroups", false)),
                         kind_name);

}  // namespace
}  // namespace awm::testing
