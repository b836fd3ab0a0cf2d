#include "run/sandboxes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "config/schema.h"
#include "docker/credentials.h"
#include "os/file.h"
#include "os/log.h"
#include "run/images.h"
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

  void expect(const std::vector<const Row*>& /*rows*/) override {}
  void finished(const Row& /*row*/) override {}

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
  DockerSandboxes(const RunPlan& plan, Spawner& spawner, const Stop& stop, SandboxNews news)
      : plan_(plan), spawner_(spawner), stop_(stop), news_(std::move(news)) {}

  Result<void> open(const Scope& scope) {
    AWM_CHECK(asked_budget());
    AWM_TRY(const auto address, engine_address_from_environment());
    AWM_TRY(engine_, Engine::connect(scope.child("engine"), address, Deadline::in(engine_limit), &stop_));
    const Scope logins = scope.child("login");
    images_ = std::make_unique<Images>(
        *engine_, stop_, scope,
        ImagesSettings{.budget = image_budget(),
                       .keep = plan_.options.keep_images,
                       .ahead = static_cast<std::size_t>(std::max(plan_.options.prefetch_images, 0)),
                       .login =
                           [this, logins](const std::string& name, Cancel& cancel) {
                             return registry_auth(
                                 name, docker_config_path(),
                                 {.spawner = spawner_, .stop = stop_, .scope = logins, .cancel = &cancel});
                           },
                       .say = news_.say,
                       .status = news_.status});
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

  void expect(const std::vector<const Row*>& rows) override {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      positions_.emplace(rows[i]->instance_id, i);
      names.push_back(image_name(*rows[i]).value_or(""));  // what is wrong with it is told when it is made
    }
    images_->expect(std::move(names), platform());
  }

  void finished(const Row& row) override {
    if (const auto at = positions_.find(row.instance_id); at != positions_.end()) images_->finished(at->second);
  }

  Result<std::unique_ptr<Sandbox>> make(const Row& row, std::string_view purpose, const Scope& scope) override {
    DockerSandboxSettings settings;
    AWM_TRY(settings.image, image_name(row));
    settings.platform = platform();
    settings.hold_image = [this, image = settings.image](Cancel& cancel, Deadline deadline) {
      return images_->hold(image, platform(), cancel, deadline);
    };
    if (const auto at = positions_.find(row.instance_id); at != positions_.end()) images_->begun(at->second);
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
  static constexpr uint64_t least_reserve = uint64_t{10} << 30;

  [[nodiscard]] Result<std::string> image_name(const Row& row) const {
    return image_of({.instance_id = row.instance_id, .repo = row.repo, .version = row.version, .image = row.image},
                    {.image = plan_.options.image, .template_text = plan_.options.image_template});
  }
  [[nodiscard]] std::string platform() const {
    return plan_.options.platform.empty() ? DockerSandboxSettings().platform : plan_.options.platform;
  }

  // nullopt: "auto".
  [[nodiscard]] Result<std::optional<uint64_t>> asked_budget() const {
    const auto& text = plan_.options.image_budget;
    if (text == "auto") return std::nullopt;
    if (text == "none") return UINT64_MAX;
    if (const auto size = parse_size(text)) return static_cast<uint64_t>(*size);
    return fail(Errc::invalid_input, "use", "--image-budget " + text, "it is no size",
                "write a size (100G), auto or none");
  }

  // "auto": what is free where the engine keeps its data, but for a reserve; no limit where that disk is not ours to
  // see.
  [[nodiscard]] uint64_t image_budget() const {
    if (const auto asked = asked_budget(); asked && *asked) return **asked;
    if (engine_->address().kind != EngineAddress::Kind::unix_socket) return UINT64_MAX;
    const auto reply = engine_->call("GET", "/info", "", Deadline::in(engine_limit));
    if (!reply) return UINT64_MAX;
    const auto info = parse_json(reply->body, "the engine's description of itself");
    const auto root = info ? string_or(*info, "DockerRootDir", "") : "";
    const auto disk = root.empty() ? std::unexpected(Error{}) : sys::disk_space(root);
    if (!disk) return UINT64_MAX;
    const uint64_t reserve = std::max(least_reserve, disk->total / 20);
    return disk->available > reserve ? disk->available - reserve : 0;
  }

  const RunPlan& plan_;
  Spawner& spawner_;
  const Stop& stop_;
  const SandboxNews news_;
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::size_t> positions_;  // of rows, by their ids
  std::unique_ptr<Images> images_;                // ends before the engine
};

}  // namespace

Result<std::unique_ptr<Sandboxes>> Sandboxes::open(const Scope& scope, const RunPlan& plan, Spawner& spawner,
                                                   const Stop& stop, SandboxNews news) {
  const auto opened = [&](auto sandboxes) -> Result<std::unique_ptr<Sandboxes>> {
    AWM_CHECK(sandboxes->open(scope));
    return sandboxes;
  };
  if (plan.options.sandbox == "local") return opened(std::make_unique<LocalSandboxes>(plan, spawner, stop));
  return opened(std::make_unique<DockerSandboxes>(plan, spawner, stop, std::move(news)));
}

}  // namespace awm
