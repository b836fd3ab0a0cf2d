#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/command.h"
#include "logparse/parsers.h"
#include "os/file.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr uint64_t largest_log = uint64_t{4} << 30;

struct ParseLogOptions {
  std::string parser;
  std::string version;
  std::string instance;
  std::string file;
  bool list = false;
};

Result<std::string> read_standard_input() {
  constexpr int standard_input = 0;
  constexpr std::size_t step = std::size_t{1} << 20;
  std::string text;
  for (std::size_t size = 0;;) {
    text.resize(size + step);
    AWM_TRY(const std::size_t count, sys::read(standard_input, text.data() + size, step));
    size += count;
    text.resize(size);
    if (count == 0) return text;
    if (size > largest_log) return fail(Errc::exhausted, "read", "standard input", "a log of more than 4 GiB");
  }
}

Result<int> parse_log(const ParseLogOptions& options) {
  if (options.list) {
    std::string names;
    for (const std::string_view name : log_parser_names()) names.append(name).append("\n");
    print_out(names);
    return exit_code::ok;
  }
  if (options.parser.empty()) {
    return fail(Errc::invalid_input, "read", "a log", "no parser is named", "add --parser NAME; --list names them all");
  }
  AWM_TRY(const auto* parser, require_log_parser(options.parser));
  auto bytes =
      options.file.empty() || options.file == "-" ? read_standard_input() : read_file(options.file, largest_log);
  if (!bytes) {
    log_error(bytes.error().message());
    return exit_code::usage;
  }
  const std::string log = decode_log(*std::move(bytes));
  const auto statuses = parser->parse(log, LogContext{.version = options.version, .instance_id = options.instance});
  if (!statuses) {
    log_error(statuses.error().message());
    return exit_code::failed;  // as the reference's parser raises
  }
  print_out(to_json(*statuses) + "\n");
  return exit_code::ok;
}

}  // namespace

void add_parse_log_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("parse-log", "a test log read by a named parser");
  command->footer(
      "Prints a JSON object: test name -> status, in order of first appearance. The whole input is the log: markers "
      "are\n"
      "not looked for. Exit code 1 where SWE-bench's own parser raises on the same input (docs/log-parsers.md).");
  const auto options = std::make_shared<ParseLogOptions>();
  command->add_option("--parser", options->parser, "the parser, as rows name it: parse_log_django, ...")
      ->type_name("NAME");
  command
      ->add_option("--version", options->version, "the row's version: parse_log_lighthouse and parse_log_next ask it")
      ->type_name("V");
  command
      ->add_option("--instance", options->instance,
                   "the row's instance id: parse_log_jekyll and parse_log_immutable_js ask it")
      ->type_name("ID");
  command->add_flag("--list", options->list, "print the parsers' names, one a line");
  command->add_option("FILE", options->file, "the log (default: standard input)")->type_name("FILE");
  command->callback([options, &action] { action = [options](const Program&) { return parse_log(*options); }; });
}

}  // namespace awm
