#include <CLI/CLI.hpp>
#include <memory>

#include "base/text.h"
#include "cli/command.h"
#include "os/log.h"
#include "os/signals.h"
#include "os/spawn.h"
#include "os/sys.h"
#include "run/eval.h"

namespace awm {
namespace {

Result<int> eval_action(const Program& program, const EvalOptions& options) {
  if (options.run.quiet) set_log_level(LogLevel::warning);
  AWM_TRY(const auto handlers, SignalHandlers::install(program.stop));
  EvalEnvironment environment{
      .scope = program.scope, .stop = program.stop, .say = [](std::string_view line) { log_info(line); }};
  std::unique_ptr<Spawner> spawner;
  if (options.regrade.empty()) {
    AWM_TRY(spawner, Spawner::create(program.scope));
    environment.spawner = spawner.get();
  }
  AWM_TRY(const auto summaries, evaluate(environment, options));
  bool errors = false;
  bool stopped = false;
  for (const auto& summary : summaries) {
    print_out(eval_text(summary));
    stopped = stopped || summary.stopped;
    errors = errors || !summary.problems.empty();
    for (const auto& result : summary.results) errors = errors || !result.error_class.empty();
  }
  return stopped ? exit_code::interrupted : errors ? exit_code::sample_errors : exit_code::ok;
}

}  // namespace

void add_eval_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("eval", "judge predictions by the tasks' own tests, with SWE-bench's reports");
  command->footer(
      "Logs go to logs/run_evaluation/RUN/MODEL/ID below --output-dir, the report to MODEL.RUN.json. Given again with\n"
      "the same --run-id, what was judged of the same patch and row is not judged again. See docs/judging.md.");
  const auto options = std::make_shared<EvalOptions>();
  RunOptions& run = options->run;
  run.workers = 4;
  command
      ->add_option("DATASET,-d,--dataset,--dataset_name", run.datasets,
                   "SWE-bench rows: .jsonl, .json, folders of them, or by name: lite, verified, …, OWNER/NAME")
      ->type_name("FILE|DIR|NAME");
  command->add_option("-s,--split", run.split, "split of a data set by name")->capture_default_str();
  command
      ->add_option("-p,--predictions,--predictions_path", run.predictions,
                   "patches: .jsonl, .json, preds.json, OpenHands' output.jsonl; \"gold\" as --gold")
      ->type_name("FILE");
  command->add_flag("--gold", options->gold,
                    "judge the rows' own patches: what fails is the host's or the row's fault");
  command->add_option("-i,--instance,--instance_ids", run.instances, "only these instances");
  command->add_option("--repo-filter", run.repo_filter, "only rows whose repository contains this");
  command->add_option("--limit", run.limit, "at most so many rows; 0: all")->check(CLI::NonNegativeNumber);
  command->add_option("-j,--workers,--max_workers", run.workers, "judgements side by side")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-t,--timeout", run.eval_timeout, "seconds that a row's tests may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--run-id,--run_id", run.run_id, "the run's name in folders and reports (default: the time)");
  command->add_option("--output-dir", run.output_dir, "where logs/ goes (default: here)");
  command->add_option("--report-dir,--report_dir", options->report_dir,
                      "where the run report goes (default: --output-dir)");
  command->add_option("--regrade", options->regrade, "grade this run's saved logs again; judge nothing")
      ->type_name("RUN");
  const std::map<std::string, LogFormat> formats{{"v2", LogFormat::v2}, {"v1", LogFormat::v1}};
  command->add_option("--log-format", options->log_format, "of logs to regrade: v2, or v1 of 2024 without markers")
      ->transform(CLI::CheckedTransformer(formats));
  command->add_option("--infra-retries", options->infra_retries, "fresh tries after what is not the patch's fault")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--repeat", options->repeat, "judge each so often; differing verdicts are called flaky")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--known-bad", options->known_bad, "known_bad.json of a run of gold patches, or a list of ids")
      ->type_name("FILE");
  command->add_option("--sandbox", run.sandbox, "docker, or local (bubblewrap)")->capture_default_str();
  command->add_option("--image", run.image, "docker: the image for all rows");
  command->add_option("--image-template", run.image_template, "docker: image by {instance_id}, {repo}, …");
  command->add_option("--platform", run.platform, "docker: platform of the images");
  command->add_option("--image-budget", run.image_budget, "docker: disk for images pulled here: a size, auto or none")
      ->type_name("SIZE")
      ->capture_default_str();
  command->add_flag("--keep-images", run.keep_images, "docker: remove no image that was pulled here");
  command->add_option("--prefetch-images", run.prefetch_images, "docker: pull so many that come next ahead")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--repos", run.repos, "folder of repositories, as OWNER__NAME");
  command->add_option("--repo", run.repo, "one repository, as OWNER/NAME=PATH; may be repeated");
  command->add_option("--env-setup", run.env_setup, "file with a shell prelude for the tests");
  command->add_option("--config", run.config_file,
                      "OpenHands' config.toml (default: ./config.toml where there is one)");
  command->add_flag("--quiet", run.quiet, "only warnings and the summary");
  command->callback([options, &action] {
    if (options->run.predictions == "gold") {
      options->gold = true;
      options->run.predictions.clear();
    }
    action = [options](const Program& program) { return eval_action(program, *options); };
  });
}

}  // namespace awm
