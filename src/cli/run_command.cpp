#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "os/exit_hooks.h"
#include "os/log.h"
#include "os/signals.h"
#include "os/spawn.h"
#include "os/sys.h"
#include "run/run.h"

namespace awm {
namespace {

int run_action(const Program& program, const RunOptions& options, const std::vector<std::string>& given) {
  if (options.quiet) set_log_level(LogLevel::warning);
  auto handlers = SignalHandlers::install(program.stop);
  if (!handlers) {
    log_error(handlers.error().message());
    return exit_code::failed;
  }
  auto spawner = Spawner::create(program.scope);
  if (!spawner) {
    log_error(spawner.error().message());
    return exit_code::failed;
  }
  ExitHooks hooks;
  const RunEnvironment environment{.scope = program.scope,
                                   .stop = program.stop,
                                   .spawner = **spawner,
                                   .exit_hooks = hooks,
                                   .say = [](std::string_view line) { log_info(line); }};
  auto summary = run(environment, options, given);
  hooks.run_all();
  if (!summary) {
    log_error(summary.error().message());
    return summary.error().code == Errc::invalid_input || summary.error().code == Errc::not_found ||
                   summary.error().code == Errc::already_exists
               ? exit_code::usage
               : exit_code::failed;
  }
  constexpr int standard_output = 1;
  print_out(summary_text(*summary, sys::is_terminal(standard_output)
                                       ? static_cast<std::size_t>(sys::terminal_columns(standard_output))
                                       : 160));
  return exit_code_of(*summary);
}

}  // namespace

void add_run_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("run", "Run an agent over tasks and judge every patch at once");
  auto options = std::make_shared<RunOptions>();
  command->add_option("--dataset", options->datasets, "SWE-bench rows: .jsonl or .json files, or folders of them");
  command->add_option("--repo-filter", options->repo_filter, "only rows whose repository contains this text");
  command->add_option("--instance", options->instances, "only these instance ids");
  command->add_option("--limit", options->limit, "at most this many tasks; 0: all")->check(CLI::NonNegativeNumber);
  command->add_option("--shuffle", options->shuffle_seed, "work in an order drawn with this seed");

  command->add_option("--config", options->config_file,
                      "OpenHands' config.toml (default: ./config.toml where there is one)");
  command->add_option("--llm-config", options->llm_config, "section of it, as llm.NAME (default: [llm])");
  command->add_option("--model", options->model, "model, with LiteLLM's prefix: openrouter/…, openai/…, hosted_vllm/…");
  command->add_option("--base-url", options->base_url, "the server, where the prefix does not say");
  command
      ->add_option("--api-key-env", options->api_key_env,
                   "environment variables that hold keys, each with its own rate limit")
      ->delimiter(',');

  command->add_option("--agent-class", options->agent_class, "CodeActAgent or BashAgent")->capture_default_str();
  command->add_option("--max-iterations", options->max_iterations, "answers of the model a sample may use")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--max-budget-per-task", options->max_budget_per_task, "US dollars a sample may cost; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--command-timeout", options->command_timeout,
                   "seconds for one command of the agent; 0: the agent's own")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--predictions", options->predictions,
                      "judge these patches instead of running an agent (.jsonl, .json, preds.json, output.jsonl)");
  command->add_flag("--gold", options->gold, "judge the rows' own patches instead of running an agent");

  command->add_option("--sandbox", options->sandbox, "where commands run: local (bubblewrap)")->capture_default_str();
  command->add_option("--repos", options->repos, "folder of repositories, as OWNER__NAME");
  command->add_option("--repo", options->repo, "one repository, as OWNER/NAME=PATH; may be repeated");
  command->add_option("--env-setup", options->env_setup, "shell prelude for every shell and test run");

  command->add_flag("--skip-evaluation", options->skip_evaluation, "make patches, do not judge them");
  command->add_option("--eval-timeout", options->eval_timeout, "seconds for one test run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();

  command->add_option("--output-dir", options->output_dir, "where everything goes (default: runs/TIME)");
  command->add_option("--run-id", options->run_id, "the run's name in reports (default: the time)");
  command->add_option("--resume-from", options->resume_from, "go on with the run in this folder");
  command->add_flag("--retry-errors", options->retry_errors, "on resume, run samples again that ended in errors");
  command->add_flag("--force", options->force, "on resume, go on though settings differ");
  command->add_flag("--quiet", options->quiet, "only warnings and the summary");

  command->callback([command, options, &action] {
    std::vector<std::string> given;
    for (const CLI::Option* option : command->get_options()) {
      if (option->count() > 0) given.push_back(option->get_single_name());
    }
    action = [options, given](const Program& program) { return run_action(program, *options, given); };
  });
}

}  // namespace awm
