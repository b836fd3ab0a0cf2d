#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>
#include <set>

#include "base/deadline.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/command.h"
#include "os/descriptors.h"
#include "os/file.h"
#include "os/log.h"
#include "os/signals.h"
#include "os/stop.h"
#include "os/sys.h"
#include "run/journal.h"
#include "ui/table.h"

namespace awm {
namespace {

struct FdsOptions {
  std::string who;  // a pid or a name
  std::string run;  // an output folder
  double watch = 0;
  bool json = false;
  bool all = false;
};

std::size_t columns() {
  constexpr int standard_output = 1;
  return sys::is_terminal(standard_output) ? static_cast<std::size_t>(sys::terminal_columns(standard_output)) : 160;
}

class Fds {
 public:
  Fds(const Program& program, const FdsOptions& options) : program_(program), options_(options) {}

  Result<int> go() {
    AWM_TRY(process_, find());
    AWM_TRY(const auto first, descriptors_of(process_.pid));
    show(first);
    if (options_.watch <= 0) return exit_code::ok;
    return watch(first);
  }

 private:
  Result<ProcessInfo> find() {
    std::vector<ProcessInfo> found;
    std::string asked;
    if (!options_.run.empty()) {
      const auto journal = journal_path(options_.run);
      if (!exists(journal)) {
        return fail(Errc::not_found, "look at", options_.run, "there is no journal.jsonl in it",
                    "name the output folder of a run");
      }
      asked = "a process that works on " + options_.run;
      AWM_TRY(found, processes_with_file(journal));
    } else {
      int pid = 0;
      const auto* const end = options_.who.data() + options_.who.size();
      if (const auto parsed = std::from_chars(options_.who.data(), end, pid);
          parsed.ec == std::errc{} && parsed.ptr == end && pid > 0) {
        return ProcessInfo{.pid = pid};
      }
      asked = "a process called " + options_.who;
      AWM_TRY(found, processes_named(options_.who));
    }
    if (found.empty()) return fail(Errc::not_found, "find", asked, "there is none");
    if (found.size() > 1) {
      std::string list;
      constexpr std::size_t shown = 60;
      for (const auto& one : found)
        list += fmt::format("\n  {}  {}", one.pid, truncate_middle(to_valid_utf8(one.command), shown, " … "));
      return fail(Errc::invalid_input, "choose", asked, fmt::format("there are {}:{}", found.size(), list),
                  "name one by its number");
    }
    return std::move(found.front());
  }

  [[nodiscard]] std::string who() const {
    return process_.name.empty() ? fmt::format("process {}", process_.pid)
                                 : fmt::format("process {} ({})", process_.pid, process_.name);
  }

  void show(const std::vector<DescriptorInfo>& list) const {
    if (options_.json) {
      print_out(dump_json(to_json(list, {})) + "\n");
      return;
    }
    if (options_.all) {
      Table table({"fd", "kind", "what"});
      for (const auto& info : list)
        table.add({std::to_string(info.number), std::string(to_string(info.kind)), info.target});
      print_out(table.text(columns()));
    } else {
      std::vector<std::pair<std::pair<DescriptorKind, std::string>, std::size_t>> rows;
      for (const auto& one : count_by_kin(list)) rows.emplace_back(one);
      std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.second > b.second; });
      Table table({"number", "kind", "what"});
      for (const auto& [kin, count] : rows)
        table.add({std::to_string(count), std::string(to_string(kin.first)), kin.second});
      print_out(table.text(columns()));
    }
    print_out(fmt::format("{} descriptors of {}\n", list.size(), who()));
  }

  [[nodiscard]] Json to_json(const std::vector<DescriptorInfo>& list, const DescriptorCounts& grown) const {
    Json json{{"pid", process_.pid}, {"time", iso_time()}, {"count", list.size()}, {"descriptors", Json::array()}};
    for (const auto& info : list)
      json["descriptors"].push_back({{"fd", info.number}, {"kind", to_string(info.kind)}, {"target", info.target}});
    if (!grown.empty()) {
      json["grown"] = Json::array();
      for (const auto& [kin, count] : grown)
        json["grown"].push_back({{"kind", to_string(kin.first)}, {"what", kin.second}, {"by", count}});
    }
    return json;
  }

  // Kin of which there are more than at the start.
  static DescriptorCounts grown_since(const DescriptorCounts& start, const DescriptorCounts& now) {
    DescriptorCounts grown;
    for (const auto& [kin, count] : now) {
      const auto before = start.find(kin);
      const std::size_t then = before == start.end() ? 0 : before->second;
      if (count > then) grown[kin] = count - then;
    }
    return grown;
  }

  Result<int> watch(const std::vector<DescriptorInfo>& first) {
    AWM_TRY(const auto handlers, SignalHandlers::install(program_.stop));
    const auto start = count_by_kin(first);
    std::set<std::string> before = identities(first);
    DescriptorCounts grown;
    std::size_t count = first.size();
    while (!program_.stop.draining()) {
      sys::PollFd stop{.fd = program_.stop.drain_fd(), .want_read = true};
      AWM_CHECK(sys::poll(std::span(&stop, 1), Deadline::in(Seconds(options_.watch))));
      if (program_.stop.draining()) break;
      const auto now = descriptors_of(process_.pid);
      if (!now) {
        if (now.error().code != Errc::not_found) return std::unexpected(now.error());
        if (!options_.json) print_out(who() + " has ended\n");
        break;
      }
      count = now->size();
      grown = grown_since(start, count_by_kin(*now));
      const auto here = identities(*now);
      if (options_.json) {
        print_out(dump_json(to_json(*now, grown)) + "\n");
      } else {
        tell_change(before, here);
      }
      before = here;
    }
    if (!options_.json) {
      if (grown.empty()) print_out(fmt::format("nothing has grown: {} at the start, {} now\n", first.size(), count));
      for (const auto& [kin, by] : grown)
        print_out(fmt::format("grown by {}: {} {}\n", by, to_string(kin.first), kin.second));
    }
    return exit_code::ok;
  }

  static std::set<std::string> identities(const std::vector<DescriptorInfo>& list) {
    std::set<std::string> all;
    for (const auto& info : list) all.insert(fmt::format("{} {}", to_string(info.kind), info.identity));
    return all;
  }

  static void tell_change(const std::set<std::string>& before, const std::set<std::string>& now) {
    std::string text = fmt::format("{} {} descriptors", iso_time().substr(11, 8), now.size());
    std::size_t opened = 0;
    std::size_t closed = 0;
    for (const auto& one : now) opened += before.contains(one) ? 0 : 1;
    for (const auto& one : before) closed += now.contains(one) ? 0 : 1;
    if (opened + closed > 0) text += fmt::format(", {} opened, {} closed", opened, closed);
    print_out(text + "\n");
  }

  const Program& program_;
  const FdsOptions& options_;
  ProcessInfo process_;
};

}  // namespace

void add_fds_command(CLI::App& app, CommandAction& action) {
  CLI::App* command = app.add_subcommand("fds", "Show what descriptors a process holds, and which of them grow");
  command->footer(
      "Works on any program whose process this user may look at. Kin are counted together: numbers in a name become "
      "#.\n"
      "With --watch a line each time, and at the end (Ctrl-C, or its own) what has grown.");
  const auto options = std::make_shared<FdsOptions>();
  auto* who = command->add_option("PID|NAME", options->who, "the process: its number, its name or its script's");
  auto* run = command->add_option("--run", options->run, "the awm that works on this output folder")->type_name("DIR");
  who->excludes(run);
  command->add_option("--watch", options->watch, "look again every so many seconds")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  command->add_flag("--all", options->all, "each descriptor in a line");
  command->add_flag("--json", options->json, "a JSON object a look");
  command->callback([options, &action] {
    action = [options](const Program& program) -> Result<int> {
      if (options->who.empty() && options->run.empty()) {
        return fail(Errc::invalid_input, "look at", "a process", "none is named", "give its PID or NAME, or --run DIR");
      }
      return Fds(program, *options).go();
    };
  });
}

}  // namespace awm
