#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/json.h"
#include "cli/command.h"
#include "cli/model_flags.h"
#include "config/config.h"
#include "http/client.h"
#include "llm/provider.h"
#include "memory/induce.h"
#include "memory/memory_file.h"
#include "os/file.h"
#include "os/log.h"
#include "os/signals.h"
#include "os/stop.h"

namespace awm {
namespace {

struct InduceOptions {
  std::vector<std::string> runs;
  std::string out = "memory.json";
  std::string memory_from;
  std::string prompts;  // "" : OUT.prompts
  int64_t trigger = 1;
  int64_t max_workflows = 50;
  bool classify = false;
  std::string config_file;
  std::string llm_config;
  std::string model;
  std::string base_url;
  std::vector<std::string> api_key_env;
};

class InduceCommand {
 public:
  InduceCommand(const Program& program, const InduceOptions& options) : program_(program), options_(options) {}

  Result<int> go() {
    AWM_TRY(const auto handlers, SignalHandlers::install(program_.stop));
    AWM_TRY(const auto out, absolute_path(options_.out));
    AWM_TRY(const auto start, memory_at_start(out));
    AWM_TRY(const auto settings, load_settings({.config_file = options_.config_file,
                                                .llm_config = options_.llm_config,
                                                .model = options_.model,
                                                .base_url = options_.base_url,
                                                .api_key_env = options_.api_key_env}));
    for (const auto& warning : settings.warnings) log_warning(warning);
    AWM_CHECK(require_model(settings));
    AWM_TRY(const auto http, HttpClient::create(program_.scope.child("http"), program_.stop));
    AWM_TRY(const auto llm, make_llm(settings.llm, *http, program_.stop, program_.scope.child("learning")));
    prompts_ = options_.prompts.empty() ? out + ".prompts" : options_.prompts;

    InduceSettings induce_settings;
    induce_settings.learn.max_workflows = static_cast<std::size_t>(options_.max_workflows);
    induce_settings.learn.classify_by_model = options_.classify;
    induce_settings.trigger = static_cast<std::size_t>(options_.trigger);
    induce_settings.say = [](std::string_view line) { log_info(line); };
    induce_settings.save = [this](const LearnExchange& exchange) { keep(exchange); };
    // After each step, so that a kill loses one step at most.
    induce_settings.step = [&](const WorkflowMemory& memory, const Json&) {
      if (auto written = write_memory_file(out, memory, iso_time()); !written) log_warning(written.error().message());
    };
    auto report = induce(program_.scope, options_.runs, start, *llm, induce_settings, [] { return iso_time(); });
    llm->close();
    if (!report) return std::unexpected(std::move(report).error());
    AWM_CHECK(write_memory_file(out, *report->memory, iso_time()));
    tell(*report, out);
    if (!report->gave_up) return exit_code::ok;
    log_error(report->gave_up->error.message());
    return report->gave_up->kind == LlmFailure::stopped ? exit_code::interrupted : exit_code::failed;
  }

 private:
  Result<std::shared_ptr<const WorkflowMemory>> memory_at_start(const std::string& out) const {
    std::string from;
    if (!options_.memory_from.empty()) {
      AWM_TRY(from, absolute_path(options_.memory_from));
    }
    if (exists(out) && from != out) {
      return fail(Errc::already_exists, "write", options_.out, "there is a file of this name",
                  "name another --out, or go on from it with --memory-from " + options_.out);
    }
    if (from.empty()) return WorkflowMemory::empty();
    AWM_TRY(auto loaded, read_memory_file(from, static_cast<std::size_t>(options_.max_workflows)));
    for (const auto& line : loaded.left_out) log_warning(options_.memory_from + ": left out: " + line);
    for (const auto& line : loaded.defects) log_warning(options_.memory_from + ": " + line);
    return std::move(loaded.memory);
  }

  void keep(const LearnExchange& exchange) {
    const auto path = join_path(prompts_, fmt::format("{:05}-{}.txt", ++kept_, exchange.purpose));
    auto written = make_folders(prompts_);
    if (written) written = write_file(path, to_text(exchange));
    if (!written) log_warning("a prompt could not be kept: " + written.error().message());
  }

  void tell(const InduceReport& report, const std::string& out) const {
    constexpr std::size_t most = 20;
    for (std::size_t i = 0; i < report.left_out.size() && i < most; ++i) log_warning("left out: " + report.left_out[i]);
    if (report.left_out.size() > most) log_warning(fmt::format("and {} more", report.left_out.size() - most));
    std::string text = fmt::format("{} samples read, {} passes learned from, {} of them taught nothing\n",
                                   report.samples, report.passes, report.refused);
    text += fmt::format("{} workflows in {}\n", report.memory->size(), out);
    text += fmt::format("{} calls, {} prompt and {} completion tokens", report.cost.calls,
                        report.cost.usage.prompt_tokens, report.cost.usage.completion_tokens);
    if (report.cost.calls > report.cost.calls_without_price) text += fmt::format(", ${:.4f}", report.cost.cost);
    if (report.cost.calls_without_price > 0) {
      text += fmt::format(" ({} calls at no known price)", report.cost.calls_without_price);
    }
    print_out(text + "\n");
  }

  const Program& program_;
  const InduceOptions& options_;
  std::string prompts_;
  int kept_ = 0;
};

}  // namespace

void add_induce_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("induce", "Learn workflows from finished runs");
  auto options = std::make_shared<InduceOptions>();
  InduceOptions& o = *options;
  command->add_option("run", o.runs, "output folders of runs, awm's or the predecessor's, or their results.jsonl")
      ->required()
      ->type_name("RUN");
  auto* model = command->add_option_group("The model");
  add_model_flags(*model, {.config_file = o.config_file,
                           .llm_config = o.llm_config,
                           .model = o.model,
                           .base_url = o.base_url,
                           .api_key_env = o.api_key_env});
  auto* learning = command->add_option_group("Learning");
  learning->add_option("--out", o.out, "the memory to write")->capture_default_str()->type_name("FILE");
  learning->add_option("--memory-from", o.memory_from, "begin with the workflows of this memory.json")
      ->type_name("FILE");
  learning->add_option("--induction-trigger", o.trigger, "passes per induction")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("N");
  learning->add_option("--max-workflows", o.max_workflows, "workflows kept")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("N");
  learning->add_flag("--classify", o.classify, "ask the model for each task's type (default: by rules)");
  learning->add_option("--prompts", o.prompts, "where prompts and answers go (default: OUT.prompts)")->type_name("DIR");
  command->callback([options, &action] {
    action = [options](const Program& program) { return InduceCommand(program, *options).go(); };
  });
}

}  // namespace awm
