#include "replay/serve.h"

#include <array>
#include <iterator>

#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

Result<ReplayBook> read_book(const ReplayServeOptions& options) {
  if (options.scripts.empty() && options.trajectories.empty()) {
    return fail(Errc::invalid_input, "serve", "replay", "there is nothing to answer from",
                "name scripts with --script or recorded runs with --trajectory");
  }
  ReplaySettings settings{.faults = {}, .models = options.models, .context_window = options.context_window};
  for (const auto& spec : options.faults) {
    AWM_TRY(auto fault, parse_fault(spec));
    settings.faults.push_back(std::move(fault));
  }
  ProblemStatements problems;
  for (const auto& path : options.datasets) AWM_CHECK(read_problem_statements(path, problems));
  std::vector<ScriptedTalk> all;
  const auto add = [&](std::vector<ScriptedTalk> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  for (const auto& path : options.scripts) {
    AWM_TRY(auto more, read_scripts(path, problems));
    add(std::move(more));
  }
  for (const auto& path : options.trajectories) {
    AWM_TRY(auto more, read_trajectories(path, problems));
    add(std::move(more));
  }
  return ReplayBook::create(std::move(all), std::move(settings));
}

}  // namespace

Result<std::unique_ptr<ReplayServer>> start_replay(const ReplayServeOptions& options, const Scope& scope) {
  AWM_TRY(auto book, read_book(options));
  return ReplayServer::start(scope, std::move(book), {.port = options.port, .key = options.key});
}

int replay_serve(const ReplayServeOptions& options, const Stop& stop, const Scope& scope) {
  auto book = read_book(options);
  if (!book) {
    log_error(book.error().message());
    return 2;
  }
  std::size_t answers = 0;
  for (const auto& one : book->conversations()) answers += one.steps.size();
  const std::size_t conversations = book->conversations().size();
  auto server = ReplayServer::start(scope, std::move(*book), {.port = options.port, .key = options.key});
  if (!server) {
    log_error(server.error().message());
    return 1;
  }
  log_info("replay: " + std::to_string(conversations) + " conversations, " + std::to_string(answers) + " answers");
  print_out("listening on " + (*server)->url() + "\n");
  std::array<sys::PollFd, 1> set{sys::PollFd{.fd = stop.drain_fd(), .want_read = true}};
  (void)sys::poll(set, Deadline::never());
  (*server)->close();
  const auto served = (*server)->counters();
  log_info("replay: " + std::to_string(served.requests) + " requests, " + std::to_string(served.completions) +
           " answered, " + std::to_string(served.unmatched) + " unmatched, " + std::to_string(served.refused) +
           " refused, " + std::to_string(served.faults) + " faults on demand");
  return 0;
}

}  // namespace awm
