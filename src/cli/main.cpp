#include <CLI/CLI.hpp>

#include "base/ledger.h"
#include "cli/command.h"
#include "os/log.h"
#include "os/stop.h"

namespace {

int exit_code_of(const awm::Error& error) {
  switch (error.code) {
    case awm::Errc::invalid_input:
    case awm::Errc::not_found:
    case awm::Errc::already_exists:
      return awm::exit_code::usage;
    case awm::Errc::stopped:
      return awm::exit_code::interrupted;
    default:
      return awm::exit_code::failed;
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs coding agents over SWE-bench-like tasks, judges every patch at once, and leaks nothing.", "awm");
  app.set_version_flag("--version", std::string("awm ") + AWM_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  awm::CommandAction action;
  awm::add_run_command(app, action);
  awm::add_eval_command(app, action);
  awm::add_induce_command(app, action);
  awm::add_diff_command(app, action);
  awm::add_parse_log_command(app, action);
  awm::add_replay_command(app, action);
  awm::add_sweep_command(app, action);
  awm::add_fds_command(app, action);
  awm::add_doctor_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : awm::exit_code::usage;
  }
  const awm::Scope scope("process");
  auto stop = awm::Stop::create(scope);
  if (!stop) {
    awm::log_error(stop.error().message());
    return awm::exit_code::failed;
  }
  const auto code = action(awm::Program{.scope = scope, .stop = **stop});
  if (code) return *code;
  awm::log_error(code.error().message());
  return exit_code_of(code.error());
}
