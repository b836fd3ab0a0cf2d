#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "os/log.h"
#include "os/signals.h"
#include "replay/serve.h"

namespace awm {

void add_replay_command(CLI::App& app, CommandAction& action) {
  CLI::App* replay = app.add_subcommand("replay", "a scripted or recorded OpenAI-compatible model server");
  replay->require_subcommand(1);
  CLI::App* serve = replay->add_subcommand("serve", "answer from scripts and recorded runs, on 127.0.0.1");
  serve->footer(
      "Prints one line, \"listening on http://127.0.0.1:PORT/v1\", and serves until SIGINT or SIGTERM.\n"
      "Faults: --fault 'step=3,kind=429,times=2,retry_after=1'. Kinds: an error status, context, refused, quota,\n"
      "disconnect, hangup, reset, drip, garbage, truncated, empty, stream_error, silence. See docs/replay.md.");
  const auto options = std::make_shared<ReplayServeOptions>();
  serve->add_option("--script", options->scripts, "script, or folder of scripts (*.json); may be repeated")
      ->type_name("FILE|DIR");
  serve
      ->add_option("--trajectory", options->trajectories,
                   "recorded run of mini-swe-agent, or folder of them (*.traj.json)")
      ->type_name("FILE|DIR");
  serve->add_option("--dataset", options->datasets, "SWE-bench rows that tell a conversation's problem statement")
      ->type_name("FILE");
  serve->add_option("--port", options->port, "port to listen on; 0 takes a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  serve->add_option("--fault", options->faults, "do something wrong on demand; may be repeated")
      ->type_name("SPEC")
      ->allow_extra_args(false);
  serve->add_option("--model", options->models, "serve only this model, others get 404; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  serve->add_option("--key", options->key, "the one good key; any is good without it")->type_name("KEY");
  serve->add_option("--context-window", options->context_window, "refuse prompts of more tokens (estimated); 0: none")
      ->check(CLI::NonNegativeNumber)
      ->type_name("TOKENS");
  serve->callback([options, &action] {
    action = [options](const Program& program) -> Result<int> {
      AWM_TRY(const auto handlers, SignalHandlers::install(program.stop));
      return replay_serve(*options, program.stop, program.scope);
    };
  });
}

}  // namespace awm
