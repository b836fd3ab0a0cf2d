#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/model_flags.h"
#include "cli/progress_view.h"
#include "os/exit_hooks.h"
#include "os/log.h"
#include "os/signals.h"
#include "os/spawn.h"
#include "os/sys.h"
#include "run/run.h"

namespace awm {
namespace {

ProgressStyle style_of(const RunOptions& options) {
  constexpr int standard_error = 2;
  if (options.quiet) return ProgressStyle::quiet;
  if (options.plain) return ProgressStyle::plain;
  return sys::is_terminal(standard_error) ? ProgressStyle::live : ProgressStyle::lines;
}

Result<int> run_action(const Program& program, const RunOptions& options, const std::vector<std::string>& given) {
  if (options.quiet) set_log_level(LogLevel::warning);
  AWM_TRY(const auto handlers, SignalHandlers::install(program.stop));
  AWM_TRY(const auto spawner, Spawner::create(program.scope));
  ExitHooks hooks;
  auto progress = make_progress_view(style_of(options), program.scope);
  const RunEnvironment environment{.scope = program.scope,
                                   .stop = program.stop,
                                   .spawner = *spawner,
                                   .exit_hooks = hooks,
                                   .progress = progress.get()};
  auto summary = run(environment, options, given);
  progress->ended();
  hooks.run_all();
  if (!summary) return std::unexpected(std::move(summary).error());
  constexpr int standard_output = 1;
  const std::size_t columns =
      sys::is_terminal(standard_output) ? static_cast<std::size_t>(sys::terminal_columns(standard_output)) : 160;
  print_out(summary_text(*summary, columns));
  return exit_code_of(*summary);
}

}  // namespace

void add_run_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("run", "Run an agent over tasks and judge every patch at once");
  auto options = std::make_shared<RunOptions>();
  RunOptions& o = *options;
  const auto group = [command](const char* name) { return command->add_option_group(name); };

  auto* tasks = group("What to work on");
  tasks
      ->add_option("--dataset", o.datasets,
                   "SWE-bench rows: .jsonl or .json files, folders of them, or by name: lite, verified, …, OWNER/NAME")
      ->type_name("FILE|NAME");
  tasks->add_option("--split", o.split, "of a data set by name")->type_name("NAME")->capture_default_str();
  tasks->add_option("--repo-filter", o.repo_filter, "only rows whose repository contains this text")->type_name("TEXT");
  tasks->add_option("--instance", o.instances, "only these instance ids")->type_name("ID");
  tasks->add_option("--limit", o.limit, "at most this many tasks; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  tasks->add_option("--shuffle", o.shuffle_seed, "in an order drawn with this seed")->type_name("SEED");
  tasks->add_option("--shard", o.shard, "the K-th of N parts of the tasks")->type_name("K/N");

  auto* model = group("The model");
  add_model_flags(*model, {.config_file = o.config_file,
                           .llm_config = o.llm_config,
                           .model = o.model,
                           .base_url = o.base_url,
                           .api_key_env = o.api_key_env});

  auto* agent = group("The agent, or given patches");
  agent->add_option("--agent-class", o.agent_class, "CodeActAgent or BashAgent")
      ->capture_default_str()
      ->type_name("NAME");
  agent
      ->add_option("--max-iterations", o.max_iterations,
                   "answers of the model a sample may use (default: the agent's own, 100 or 250)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  agent->add_option("--max-budget-per-task", o.max_budget_per_task, "US dollars a sample may cost; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->type_name("USD");
  agent->add_option("--command-timeout", o.command_timeout, "seconds for one command of the agent; 0: the agent's own")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  agent->add_option("--predictions", o.predictions, "judge these patches (.jsonl, .json, preds.json, output.jsonl)")
      ->type_name("FILE");
  agent->add_flag("--gold", o.gold, "judge the rows' own patches");

  auto* sandbox = group("Sandbox and judge");
  sandbox->add_option("--sandbox", o.sandbox, "where commands run: docker, or local (bubblewrap)")
      ->capture_default_str()
      ->type_name("KIND");
  sandbox->add_option("--image", o.image, "docker: this image for all rows")->type_name("NAME");
  sandbox
      ->add_option("--image-template", o.image_template,
                   "docker: name of a row's image, with {instance_id}, {repo}, {version}")
      ->type_name("TEXT");
  sandbox->add_option("--platform", o.platform, "docker: platform of the images (default: linux/amd64)")
      ->type_name("OS/ARCH");
  sandbox->add_option("--image-budget", o.image_budget, "docker: disk for images that the run pulls, auto or none")
      ->capture_default_str()
      ->type_name("SIZE");
  sandbox->add_flag("--keep-images", o.keep_images, "docker: remove no image that the run pulled");
  sandbox->add_option("--prefetch-images", o.prefetch_images, "docker: pull so many that come next ahead")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->type_name("N");
  sandbox->add_option("--repos", o.repos, "folder of repositories, as OWNER__NAME")->type_name("DIR");
  sandbox->add_option("--repo", o.repo, "one repository; may be repeated")->type_name("OWNER/NAME=PATH");
  sandbox->add_option("--env-setup", o.env_setup, "shell prelude for every shell and test run")->type_name("FILE");
  sandbox->add_flag("--skip-evaluation", o.skip_evaluation, "make patches, do not judge them");
  sandbox->add_option("--eval-timeout", o.eval_timeout, "seconds for one test run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("S");
  sandbox->add_flag("--no-prewarm", o.no_prewarm, "make no sandbox ready ahead");

  auto* memory = group("Learning");
  memory->add_option("--memory", o.memory, "online: learn and use; frozen: use; off")
      ->capture_default_str()
      ->type_name("MODE");
  memory->add_option("--memory-from", o.memory_from, "begin with the workflows of this memory.json")->type_name("FILE");
  memory->add_option("--induction-trigger", o.induction_trigger, "new passes per induction")
      ->capture_default_str()
      ->type_name("N");
  memory->add_flag("--classify", o.classify, "ask the model for each task's type (default: by rules)");
  memory->add_option("--max-workflows", o.max_workflows, "workflows kept")->capture_default_str()->type_name("N");
  memory
      ->add_option("--truncation", o.truncation, "tokens of a prompt with workflows: true (50000), false, or a number")
      ->expected(0, 1)
      ->default_str("true")
      ->type_name("N");
  memory
      ->add_option("--memory-lag", o.memory_lag,
                   "a task sees the memory as so many tasks before (default: the workers)")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");

  auto* whole = group("The run");
  whole->add_option("--workers", o.workers, "samples side by side")->capture_default_str()->type_name("N");
  whole->add_option("--output-dir", o.output_dir, "where everything goes (default: runs/TIME)")->type_name("DIR");
  whole
      ->add_option("--journal-fallback", o.journal_fallback,
                   "where records go that --output-dir's disk does not take (default: the temporary folder)")
      ->type_name("DIR");
  whole->add_option("--run-id", o.run_id, "the run's name in reports (default: the time)")->type_name("NAME");
  whole->add_option("--resume-from", o.resume_from, "go on with the run in this folder, or of this checkpoint.json")
      ->type_name("DIR");
  whole->add_flag("--retry-errors", o.retry_errors, "on resume, run samples again that ended in errors");
  whole->add_flag("--force", o.force, "on resume, go on though settings differ");
  whole->add_flag("--strict-resources", o.strict_resources, "a leak is an error of the run: exit code 4");
  whole->add_flag("--plain", o.plain, "two lines a sample, as the predecessor printed them");
  whole->add_flag("--quiet", o.quiet, "only warnings and the summary");

  command->callback([command, options, &action] {
    std::vector<std::string> given;
    for (const CLI::App* part : command->get_subcommands({})) {
      for (const CLI::Option* option : part->get_options()) {
        if (option->count() > 0) given.push_back(option->get_single_name());
      }
    }
    // Given bare, it is 50,000.
    if (std::find(given.begin(), given.end(), "truncation") != given.end() && options->truncation.empty()) {
      options->truncation = "true";
    }
    action = [options, given](const Program& program) { return run_action(program, *options, given); };
  });
}

}  // namespace awm
