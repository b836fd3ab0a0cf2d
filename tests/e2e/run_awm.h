// The real program against a scripted model, in folders of the test's own.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/spawn.h"
#include "replay/serve.h"
#include "support/support.h"

namespace awm::e2e {

inline const Scope& scope() {
  static const Scope root("test/e2e");
  return root;
}

inline std::string source(std::string_view name) {
  return std::string(AWM_SOURCE_DIR) + "/" + std::string(name);
}
inline std::string program() {
  return std::string(AWM_BIN_DIR) + "/awm";
}

struct Outcome {
  ExitStatus status;
  std::string output;                   // what a person saw, both streams
  std::map<std::string, Json> results;  // lines of results.jsonl by instance
  std::vector<Json> journal;
  std::string folder;  // the run's output folder
};

// "PASS", "FAIL tests_failed", "ERROR api": verdict and reason of a line of results.jsonl.
inline std::string verdict(const Outcome& outcome, const std::string& id) {
  const auto line = outcome.results.find(id);
  if (line == outcome.results.end()) return "no result";
  const auto reason = string_or(line->second, "reason", "");
  return string_or(line->second, "test_result", "?") + (reason.empty() ? "" : " " + reason);
}

inline std::vector<Json> read_lines(const std::string& path) {
  std::vector<Json> lines;
  const auto text = read_file(path);
  if (!text) return lines;
  for (const auto line : split_lines(*text)) {
    auto json = parse_json(line, path);
    EXPECT_TRUE(json) << json.error();
    if (json) lines.push_back(std::move(*json));
  }
  return lines;
}

class Bench {
 public:
  Bench() {
    auto spawner = Spawner::create(scope());
    EXPECT_TRUE(spawner) << spawner.error();
    if (spawner) spawner_ = std::move(*spawner);
    EXPECT_TRUE(make_folders(folder_ / "home"));
    const auto made = process({source("examples/make_repos.sh"), folder_ / "repos"});
    EXPECT_TRUE(made.status.ok()) << made.output;
  }

  // A model that answers as told; the examples' scripts where none are named.
  ReplayServer& serve(ReplayServeOptions options = {}) {
    if (options.scripts.empty()) options.scripts = {source("examples/scripts")};
    auto server = start_replay(options, scope());
    EXPECT_TRUE(server) << server.error();
    server_ = std::move(*server);
    return *server_;
  }

  ProcessOutput process(std::vector<std::string> argv, Seconds limit = Seconds{240}) {
    if (argv.front() == program() && faulty()) argv.front() += "-faults";
    SpawnOptions options{.argv = std::move(argv), .environment = environment_, .folder = folder_.path()};
    auto output = run_process(*spawner_, scope(), std::move(options), Deadline::in(limit));
    EXPECT_TRUE(output) << output.error();
    return output ? std::move(*output) : ProcessOutput{};
  }

  // With orders of tests/support/faults.h in the environment, it is the program that follows them.
  [[nodiscard]] bool faulty() const {
    return std::any_of(environment_.begin(), environment_.end(), [](std::string_view one) {
      return one.starts_with("AWM_FAULT") || one.starts_with("AWM_CRASH=") || one.starts_with("AWM_HOLD=");
    });
  }

  // An environment variable of the programs from now on; "" takes it away.
  void set(const std::string& name, const std::string& value) {
    std::erase_if(environment_, [&](const std::string& one) { return one.starts_with(name + "="); });
    if (!value.empty()) environment_.push_back(name + "=" + value);
  }

  // awm run on a data set with `more` options, without a model.
  Outcome run_on(const std::string& dataset, std::vector<std::string> more) {
    const std::string out = folder_ / ("out" + std::to_string(++runs_));
    std::vector<std::string> argv{program(), "run",     "--dataset",       dataset,        "--sandbox",
                                  "local",   "--repos", folder_ / "repos", "--output-dir", out};
    argv.insert(argv.end(), more.begin(), more.end());
    return read(process(std::move(argv)), out);
  }

  // The options that name the server as the model, and `more`.
  [[nodiscard]] std::vector<std::string> model_flags(std::vector<std::string> more) const {
    more.insert(more.begin(),
                {"--model", "openai/scripted", "--base-url", server_->url(), "--api-key-env", "AWM_REPLAY_KEY"});
    return more;
  }

  // awm run on the examples with `more` options, its model the server; results read back.
  Outcome run(std::vector<std::string> more, bool with_model = true) {
    const std::string out = folder_ / ("out" + std::to_string(++runs_));
    const bool elsewhere = std::find(more.begin(), more.end(), "--sandbox") != more.end();
    std::vector<std::string> argv{
        program(),         "run",          "--dataset", source("examples/tasks.jsonl"), "--repos",
        folder_ / "repos", "--output-dir", out};
    if (!elsewhere) argv.insert(argv.end(), {"--sandbox", "local"});
    if (with_model) more = model_flags(std::move(more));
    argv.insert(argv.end(), more.begin(), more.end());
    return read(process(std::move(argv)), out);
  }

  static Outcome read(ProcessOutput output, const std::string& folder) {
    Outcome outcome{
        .status = output.status, .output = std::move(output.output), .results = {}, .journal = {}, .folder = folder};
    for (auto& line : read_lines(join_path(folder, "results.jsonl"))) {
      const auto id = string_or(line, "instance_id", "");
      outcome.results[id] = std::move(line);
    }
    outcome.journal = read_lines(join_path(folder, "journal.jsonl"));
    return outcome;
  }

  [[nodiscard]] const testing::TestFolder& folder() const { return folder_; }
  [[nodiscard]] ReplayServer& server() { return *server_; }
  Spawner& spawner() { return *spawner_; }
  [[nodiscard]] const std::vector<std::string>& environment() const { return environment_; }

 private:
  testing::TestFolder folder_;
  std::vector<std::string> environment_{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + (folder_ / "home"),
                                        "LANG=C.UTF-8", "AWM_REPLAY_KEY=sk-scripted-0123456789"};
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<ReplayServer> server_;
  int runs_ = 0;
};

}  // namespace awm::e2e
