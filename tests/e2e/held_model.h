// A model that a test holds until as many samples are live as it wants, and samples for it: copies of one example task.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "httpd/server.h"
#include "rows.h"

namespace awm::e2e {

inline constexpr std::string_view quick = "Be quick.";

// Answers every conversation with the task's own patch and then the submission; the first answers wait for the test,
// except those of tasks that say "Be quick.".
class HeldModel {
 public:
  explicit HeldModel(std::string patch, int port = 0) : patch_(std::move(patch)) {
    auto server = HttpServer::start(scope(), {.port = port}, [this](const auto& request) { return answer(request); });
    EXPECT_TRUE(server) << server.error();
    server_ = *std::move(server);
  }
  HeldModel(const HeldModel&) = delete;
  HeldModel& operator=(const HeldModel&) = delete;
  ~HeldModel() { release(); }
  [[nodiscard]] std::string url() const { return server_->url() + "/v1"; }
  [[nodiscard]] int port() const { return server_->port(); }
  // False when so many samples did not come to wait in two minutes.
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(2), [&] { return waiting_ >= count; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  HttpdResponse answer(const HttpdRequest& request) {
    HttpdResponse response;
    if (request.method != "POST") {
      response.body = R"({"object":"list","data":[]})";
      return response;
    }
    const bool first = request.body.find(R"("role":"tool")") == std::string::npos;
    if (first && request.body.find(quick) == std::string::npos) {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return released_; });
    }
    const std::string command = first ? "git apply - <<'END_OF_PATCH'\n" + patch_ + "END_OF_PATCH\n"
                                      : "git add -A && echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff --cached";
    const Json call{{"id", first ? "call_1" : "call_2"},
                    {"type", "function"},
                    {"function", {{"name", "bash"}, {"arguments", dump_json(Json{{"command", command}})}}}};
    const Json message{{"role", "assistant"}, {"content", "I go on."}, {"tool_calls", Json::array({call})}};
    const Json choice{{"index", 0}, {"message", message}, {"finish_reason", "tool_calls"}};
    response.body = dump_json(Json{{"id", "1"},
                                   {"object", "chat.completion"},
                                   {"model", "held"},
                                   {"choices", Json::array({choice})},
                                   {"usage", {{"prompt_tokens", 100}, {"completion_tokens", 10}}}});
    return response;
  }

  const std::string patch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t waiting_ = 0;
  bool released_ = false;
  std::unique_ptr<HttpServer> server_;  // last: its threads use the rest
};

// `held` rows of one example under names of their own, and `free` ones before them that are not held.
class Samples {
 public:
  Samples(const Bench& bench, std::size_t free, std::size_t held) : row_(example_row("example__logsift-2")) {
    std::string text;
    for (std::size_t i = 0; i < free + held; ++i) {
      Json row = row_;
      row["instance_id"] = (i < free ? "free-" : "held-") + std::to_string(i);
      if (i < free) row["problem_statement"] = string_or(row, "problem_statement", "") + "\n" + std::string(quick);
      text += dump_json(row) + "\n";
    }
    file_ = bench.folder().write("samples.jsonl", text);
  }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::string patch() const { return string_or(row_, "patch", ""); }

 private:
  Json row_;
  std::string file_;
};

// What the process held at its last commit, when nothing was live.
struct Held {
  int64_t descriptors = 0;
  int64_t threads = 0;
  int64_t children = 0;
  int64_t leaks = 0;  // of all commits
  // A connection to the model, or a thread of libcurl's, may be on its way out just then; what samples leave is theirs
  // times many.
  [[nodiscard]] bool no_more_than(const Held& few) const {
    return descriptors <= few.descriptors + 2 && threads <= few.threads + 1 && children <= few.children && leaks == 0;
  }
  friend void PrintTo(const Held& held, std::ostream* out) {
    *out << held.descriptors << " descriptors, " << held.threads << " threads, " << held.children << " children, "
         << held.leaks << " leaks";
  }
};

inline Held held_at_the_end(const Outcome& outcome) {
  Held held;
  for (const auto& record : outcome.journal) {
    if (string_or(record, "type", "") != "commit") continue;
    held.descriptors = get_int(record, "descriptors").value_or(-1);
    held.threads = get_int(record, "threads").value_or(-1);
    held.children = get_int(record, "children").value_or(-1);
    held.leaks += get_int(record, "leaks").value_or(1000);
  }
  return held;
}

// `argv` under ulimit -n.
inline std::vector<std::string> with_descriptors(int limit, const std::vector<std::string>& argv) {
  std::vector<std::string> all{"/bin/sh", "-c", "ulimit -n " + std::to_string(limit) + " && exec \"$@\"", "sh"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

// awm run of these samples with this model.
inline std::vector<std::string> run_of(const Bench& bench, const Samples& samples, const HeldModel& model,
                                       const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> argv{
      program(),   "run",     "--dataset",    samples.file(), "--repos",   bench.folder() / "repos", "--agent-class",
      "BashAgent", "--model", "openai/held",  "--base-url",   model.url(), "--api-key-env",          "AWM_REPLAY_KEY",
      "--memory",  "off",     "--output-dir", folder};
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

}  // namespace awm::e2e
