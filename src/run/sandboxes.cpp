#include "run/sandboxes.h"

#include "base/text.h"
#include "os/log.h"
#include "sandbox/docker_sandbox.h"
#include "sandbox/image_name.h"
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
    const auto swept = sweep_local_leftovers();
    for (const auto& path : swept.removed) log_info("removed what a killed run left: " + path);
    for (const auto& problem : swept.problems) log_warning("what killed runs left: " + problem.message());
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

class DockerSandboxes : public Sandboxes {
 public:
  DockerSandboxes(const RunPlan& plan, Spawner& spawner, const Stop& stop)
      : plan_(plan), spawner_(spawner), stop_(stop) {}

  Result<void> open(const Scope& scope) {
    AWM_TRY(const auto address, engine_address_from_environment());
    AWM_TRY(engine_, Engine::connect(scope.child("engine"), address, Deadline::in(engine_limit), &stop_));
    // The sweep is a second net: without it the run goes on.
    auto swept = sweep_docker_leftovers(*engine_, {}, Deadline::in(sweep_limit));
    if (!swept) log_warning("the sweep of left-over containers failed: " + swept.error().message());
    if (!swept) return {};
    for (const auto& one : swept->removed) {
      log_info("removed what a killed run left: container " + one.container.name + " of run " + one.labels.run_id);
    }
    for (const auto& problem : swept->problems) log_warning(problem.message());
    return {};
  }

  Result<std::unique_ptr<Sandbox>> make(const Row& row, std::string_view purpose, const Scope& scope) override {
    DockerSandboxSettings settings;
    AWM_TRY(settings.image,
            image_of({.instance_id = row.instance_id, .repo = row.repo, .version = row.version, .image = row.image},
                     {.image = plan_.options.image, .template_text = plan_.options.image_template}));
    if (!plan_.options.platform.empty()) settings.platform = plan_.options.platform;
    settings.progress = [image = settings.image](std::string_view line) { log_info(image + ": " + std::string(line)); };
    if (plan_.options.repos.empty() && plan_.repositories.empty()) {
      settings.base_commit = row.base_commit;
    } else {
      AWM_TRY(settings.repository, repository_of(plan_, row));
      settings.base_commit = row.base_commit;
    }
    settings.env_setup = prelude_of(plan_, row);
    settings.environment = plan_.settings.sandbox.environment;
    settings.name = row.instance_id + "-" + std::string(purpose);
    settings.labels = labels_of_this_process(plan_.options.run_id, row.instance_id);
    if (purpose == "judge") {
      settings = as_reference_judge(std::move(settings));
    } else {
      settings.memory = static_cast<uint64_t>(plan_.settings.sandbox.memory_bytes.value_or(0));
      settings.pids = plan_.settings.sandbox.pids.value_or(0);
      if (plan_.settings.sandbox.network.value_or(false)) settings.network = "";
    }
    return make_docker_sandbox(settings, *engine_, spawner_, stop_, scope);
  }

 private:
  static constexpr Seconds engine_limit{20};
  static constexpr Seconds sweep_limit{60};
  const RunPlan& plan_;
  Spawner& spawner_;
  const Stop& stop_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

Result<std::unique_ptr<Sandboxes>> Sandboxes::open(const Scope& scope, const RunPlan& plan, Spawner& spawner,
                                                   const Stop& stop) {
  const auto opened = [&](auto sandboxes) -> Result<std::unique_ptr<Sandboxes>> {
    AWM_CHECK(sandboxes->open(scope));
    return sandboxes;
  };
  if (plan.options.sandbox == "local") return opened(std::make_unique<LocalSandboxes>(plan, spawner, stop));
  return opened(std::make_unique<DockerSandboxes>(plan, spawner, stop));
}

}  // namespace awm
