#include "run/sandboxes.h"

#include "base/text.h"
#include "os/log.h"
#include "sandbox/local_sandbox.h"

namespace awm {
namespace {

// The row's own prelude first, then the run's.
std::string prelude_of(const RunPlan& plan, const Row& row) {
  std::string prelude = row.environment_setup;
  if (!prelude.empty() && !prelude.ends_with('\n')) prelude += '\n';
  return prelude + plan.env_setup;
}

class LocalSandboxes : public Sandboxes {
 public:
  LocalSandboxes(const RunPlan& plan, Spawner& spawner, const Stop& stop)
      : plan_(plan), spawner_(spawner), stop_(stop) {}

  Result<void> open(const Scope& scope) {
    AWM_CHECK(check_local_sandbox(spawner_, stop_, scope.child("check")));
    for (const auto& swept : sweep_local_leftovers()) log_info("removed what a killed run left: " + swept);
    return {};
  }

  Result<std::unique_ptr<Sandbox>> make(const Row& row, std::string_view purpose, const Scope& scope) override {
    LocalSandboxSettings settings;
    AWM_TRY(settings.repository, repository_of(plan_, row));
    settings.base_commit = row.base_commit;
    settings.env_setup = prelude_of(plan_, row);
    settings.environment = plan_.settings.sandbox.environment;
    settings.hidden_paths.push_back(plan_.options.output_dir);
    for (const auto& bind : plan_.settings.sandbox.binds) {
      settings.binds.push_back({.source = bind.source, .target = bind.target, .writable = bind.writable});
    }
    settings.network = plan_.settings.sandbox.network.value_or(false);
    settings.memory_bytes = static_cast<uint64_t>(plan_.settings.sandbox.memory_bytes.value_or(0));
    settings.pids = static_cast<uint64_t>(plan_.settings.sandbox.pids.value_or(0));
    settings.name = row.instance_id + "-" + std::string(purpose);
    return make_local_sandbox(std::move(settings), spawner_, stop_, scope);
  }

 private:
  const RunPlan& plan_;
  Spawner& spawner_;
  const Stop& stop_;
};

}  // namespace

Result<std::unique_ptr<Sandboxes>> Sandboxes::open(const Scope& scope, const RunPlan& plan, Spawner& spawner,
                                                   const Stop& stop) {
  auto local = std::make_unique<LocalSandboxes>(plan, spawner, stop);
  AWM_CHECK(local->open(scope));
  return local;
}

}  // namespace awm
