#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "docker/sweep.h"
#include "os/log.h"
#include "sandbox/local_sandbox.h"

namespace awm {
namespace {

constexpr Seconds engine_limit{20};
constexpr Seconds sweep_limit{600};

struct SweepOptions {
  std::string sandbox;  // "" both
  double older_than_hours = 0;
  DockerSweepOptions docker;
};

class Sweep {
 public:
  Sweep(const Program& program, const SweepOptions& options) : program_(program), options_(options) {}

  Result<int> go() {
    const auto& docker = options_.docker;
    const bool chosen = !docker.run.empty() || !docker.name_prefix.empty() || docker.older_than.count() > 0;
    if (options_.sandbox != "docker") {
      if (chosen) {
        if (options_.sandbox == "local")
          return fail(Errc::invalid_input, "sweep", "local sandboxes",
                      "--run, --name-prefix and --older-than choose among containers", "leave them out");
      } else {
        sweep_local();
      }
    }
    if (options_.sandbox != "local") AWM_CHECK(sweep_docker());
    print_out(fmt::format("{} {}, {} kept{}\n", removed_, docker.dry_run ? "would be removed" : "removed", kept_,
                          problems_ > 0 ? fmt::format(", {} could not be removed", problems_) : ""));
    return problems_ > 0 ? exit_code::failed : exit_code::ok;
  }

 private:
  [[nodiscard]] std::string_view done() const { return options_.docker.dry_run ? "would remove" : "removed"; }

  void sweep_local() {
    const auto swept = sweep_local_leftovers({}, options_.docker.dry_run);
    for (const auto& path : swept.removed) print_out(fmt::format("{} {}\n", done(), path));
    for (const auto& problem : swept.problems) log_warning(problem.message());
    removed_ += swept.removed.size();
    problems_ += swept.problems.size();
  }

  Result<void> sweep_docker() {
    AWM_TRY(const auto address, engine_address_from_environment());
    auto engine = Engine::connect(program_.scope.child("engine"), address, Deadline::in(engine_limit), &program_.stop);
    if (!engine) {
      if (options_.sandbox == "docker") return std::unexpected(std::move(engine).error());
      // Without an engine there are no containers to look for.
      log_info("containers are not looked for: " + engine.error().message());
      return {};
    }
    AWM_TRY(const auto swept, sweep_docker_leftovers(**engine, options_.docker, Deadline::in(sweep_limit)));
    for (const auto& one : swept.removed) {
      print_out(fmt::format("{} container {} ({}) of run {}, sample {}: {}\n", done(), one.container.name,
                            one.container.state, one.labels.run_id, one.labels.sample_id, to_string(one.verdict)));
    }
    for (const auto& one : swept.kept) {
      print_out(fmt::format("kept container {} ({}) of run {}, sample {}: {}\n", one.container.name,
                            one.container.state, one.labels.run_id, one.labels.sample_id,
                            one.removable(options_.docker.other_hosts) ? "not asked for" : to_string(one.verdict)));
    }
    for (const auto& problem : swept.problems) log_warning(problem.message());
    removed_ += swept.removed.size();
    kept_ += swept.kept.size();
    problems_ += swept.problems.size();
    return {};
  }

  const Program& program_;
  const SweepOptions& options_;
  std::size_t removed_ = 0;
  std::size_t kept_ = 0;
  std::size_t problems_ = 0;
};

}  // namespace

void add_sweep_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("sweep", "Remove what killed runs left behind");
  command->footer(
      "Removes containers, folders, cgroups and processes of runs that are no more. What a living awm holds, and what "
      "is "
      "not\n"
      "awm's, is never touched. See docs/cli.md.");
  const auto options = std::make_shared<SweepOptions>();
  SweepOptions& o = *options;
  command->add_flag("--dry-run", o.docker.dry_run, "list, remove nothing");
  command->add_option("--sandbox", o.sandbox, "docker or local (default: both)")
      ->check(CLI::IsMember({"docker", "local"}))
      ->type_name("KIND");
  command->add_option("--run", o.docker.run, "only containers of this run")->type_name("ID");
  command->add_option("--name-prefix", o.docker.name_prefix, "only containers whose name begins so")->type_name("TEXT");
  command->add_option("--older-than", o.older_than_hours, "only containers made so many hours ago")
      ->check(CLI::NonNegativeNumber)
      ->type_name("HOURS");
  command->add_flag("--all-hosts", o.docker.other_hosts, "also of other hosts, once their lease is over");
  command->callback([options, &action] {
    constexpr double hour = 3600;
    options->docker.older_than = Seconds(options->older_than_hours * hour);
    action = [options](const Program& program) { return Sweep(program, *options).go(); };
  });
}

}  // namespace awm
