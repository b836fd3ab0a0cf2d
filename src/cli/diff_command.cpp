#include <CLI/CLI.hpp>
#include <memory>

#include "base/text.h"
#include "cli/command.h"
#include "os/log.h"
#include "run/diff.h"

namespace awm {
namespace {

// A value of a run, below its first line: what agents and servers wrote must not steer a terminal.
std::string shown(const std::string& value) {
  if (value.empty()) return "(none)";
  std::string text = to_valid_utf8(value);
  for (char& c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F) c = ' ';
  }
  return replace_all(text, "\n", "\n     ");
}

}  // namespace

void add_diff_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("diff", "compare two runs: verdicts, patches, memory, journals");
  command->footer(
      "Prints a line for each difference; times, costs, resource counts and what commands printed may differ and are "
      "left\n"
      "out (docs/cli.md). Exit code: 0 no difference, 1 some, 2 a folder could not be read.");
  struct Folders {
    std::string a;
    std::string b;
  };
  const auto folders = std::make_shared<Folders>();
  command->add_option("RUN_A", folders->a, "output folder of a run")->required();
  command->add_option("RUN_B", folders->b, "output folder of another")->required();
  command->callback([folders, &action] {
    action = [folders](const Program& program) -> Result<int> {
      const auto diff = diff_runs(program.scope, folders->a, folders->b);
      if (!diff) {
        log_error(diff.error().message());
        return exit_code::usage;  // 1 says that they differ
      }
      for (const auto& one : diff->differences) {
        print_out(shown(one.where) + "\n  A: " + shown(one.a) + "\n  B: " + shown(one.b) + "\n");
      }
      print_out(std::to_string(diff->samples) + " samples compared, " + std::to_string(diff->differences.size()) +
                " differences\n");
      return diff->differences.empty() ? exit_code::ok : exit_code::failed;
    };
  });
}

}  // namespace awm
