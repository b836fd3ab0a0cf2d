#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/json.h"
#include "cli/command.h"
#include "cli/model_flags.h"
#include "os/log.h"
#include "os/signals.h"
#include "run/doctor.h"

namespace awm {
namespace {

Result<int> doctor(const Program& program, const DoctorOptions& options, bool json) {
  AWM_TRY(const auto handlers, SignalHandlers::install(program.stop));
  AWM_TRY(const auto spawner, Spawner::create(program.scope));
  const auto findings = examine(program.scope, program.stop, *spawner, options, [&](const Finding& finding) {
    if (json) return;
    std::string line = fmt::format("{:4}  {}: {}\n", to_string(finding.health), finding.what, finding.found);
    if (!finding.remedy.empty()) line += fmt::format("      -> {}\n", finding.remedy);
    print_out(line);
  });
  if (json) {
    Json list = Json::array();
    for (const auto& one : findings) {
      list.push_back(
          {{"health", to_string(one.health)}, {"what", one.what}, {"found", one.found}, {"remedy", one.remedy}});
    }
    print_out(dump_json(list, 2) + "\n");
  }
  const bool well =
      std::none_of(findings.begin(), findings.end(), [](const Finding& one) { return one.health == Health::fail; });
  return well ? exit_code::ok : exit_code::failed;
}

}  // namespace

void add_doctor_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("doctor", "Look at what a run needs of this machine, and say what helps");
  command->footer(
      "Each line is ok, warn or fail, with the remedy below it. Exit code 1 when one fails. No model is paid for: the "
      "key\n"
      "is tried on the server's list of models.");
  struct Options {
    DoctorOptions doctor;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  SettingsFlags& flags = options->doctor.settings;
  add_model_flags(*command, {.config_file = flags.config_file,
                             .llm_config = flags.llm_config,
                             .model = flags.model,
                             .base_url = flags.base_url,
                             .api_key_env = flags.api_key_env});
  command
      ->add_option("--sandbox", options->doctor.sandbox, "docker or local: the kind that is needed (default: either)")
      ->check(CLI::IsMember({"docker", "local"}))
      ->type_name("KIND");
  command->add_option("--dataset", options->doctor.datasets, "rows to read")->type_name("FILE");
  command->add_option("--output-dir", options->doctor.output_dir, "where results will go")->type_name("DIR");
  command->add_flag("--json", options->json, "a JSON list");
  command->callback([options, &action] {
    action = [options](const Program& program) { return doctor(program, options->doctor, options->json); };
  });
}

}  // namespace awm
