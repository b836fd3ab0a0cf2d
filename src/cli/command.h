// One file a command: each adds itself to the program and says what to run.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"

namespace CLI {
class App;
}

namespace awm {

class Stop;
class Spawner;
class Scope;

// What main made for every command. Borrowed.
struct Program {
  const Scope& scope;
  Stop& stop;
};

// Exit codes, documented in docs/cli.md.
namespace exit_code {
inline constexpr int ok = 0;
inline constexpr int failed = 1;         // the work could not be done: an error was told
inline constexpr int usage = 2;          // the command line or an input file is wrong
inline constexpr int sample_errors = 3;  // the run ended, and some samples ended in errors (not failures)
inline constexpr int leaked = 4;         // with --strict-resources: something was not given back
inline constexpr int interrupted = 130;  // stopped by a signal; the run can be resumed
}  // namespace exit_code

// A command's action, set when its subcommand was parsed. Returns the exit code. An error is told by main(), and its
// code says which exit code it makes: usage for what the person gave, interrupted for a stop, failed for the rest.
using CommandAction = std::function<Result<int>(const Program&)>;

void add_run_command(CLI::App& app, CommandAction& action);
void add_eval_command(CLI::App& app, CommandAction& action);
void add_diff_command(CLI::App& app, CommandAction& action);
void add_doctor_command(CLI::App& app, CommandAction& action);
void add_fds_command(CLI::App& app, CommandAction& action);
void add_induce_command(CLI::App& app, CommandAction& action);
void add_parse_log_command(CLI::App& app, CommandAction& action);
void add_replay_command(CLI::App& app, CommandAction& action);
void add_sweep_command(CLI::App& app, CommandAction& action);

}  // namespace awm
