// What a sample costs outside its sandbox and its model: BashAgent over a sandbox of memory whose commands take no
// time, and a server of this machine that answers at once. Journal, event stream, trajectories, prompts, patch and
// views are the real ones, on the disk of $TMPDIR. The figures hold the bare exchanges with the server as well
// (llm_bench says what one takes), so they are upper bounds.
//   sample_bench [SAMPLES]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/json.h"
#include "httpd/server.h"
#include "must.h"
#include "run/sample.h"
#include "runtime/fake_sandbox.h"

namespace awm {
namespace {

std::string answer_to(const HttpdRequest& request, int steps) {
  std::size_t answered = 0;
  constexpr std::string_view tool = "\"role\":\"tool\"";
  for (auto at = request.body.find(tool); at != std::string::npos; at = request.body.find(tool, at + 1)) ++answered;
  const bool last = static_cast<int>(answered) + 1 >= steps;
  const Json call{{"id", fmt::format("call_{}", answered)},
                  {"type", "function"},
                  {"function",
                   {{"name", "bash"},
                    {"arguments", last ? R"({"command":"echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff"})"
                                       : R"({"command":"sed -n 1,200p module/file.py"})"}}}};
  return dump_json(Json{
      {"id", "1"},
      {"object", "chat.completion"},
      {"model", "m"},
      {"choices", Json::array({{{"index", 0},
                                {"message", {{"role", "assistant"}, {"content", "I look."}, {"tool_calls", {call}}}},
                                {"finish_reason", "tool_calls"}}})},
      {"usage", {{"prompt_tokens", 1000}, {"completion_tokens", 20}}}});
}

Result<std::unique_ptr<Sandbox>> quick_sandbox() {
  auto sandbox = std::make_unique<testing::FakeSandbox>();
  sandbox->command = [](const std::string& command, const ExecOptions&) -> Result<ExecResult> {
    ExecResult result{.status = ExitStatus::exited(0)};
    if (command.find("COMPLETE_TASK") != std::string::npos) {
      result.output = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\ndiff --git a/a b/a\n";
    } else if (command.find("rev-parse") != std::string::npos || command == "HEAD") {
      result.output = std::string(40, 'a') + "\n";
    } else {
      result.output = std::string(3000, 'x');
    }
    return result;
  };
  return sandbox;
}

double measure(int samples, int steps) {
  const Scope scope("bench");
  const auto folder = must(TempFolder::create(scope, "awm-sample-bench-"));
  const auto server = must(HttpServer::start(scope, {}, [&](const HttpdRequest& request) {
    HttpdResponse response;
    response.body = answer_to(request, steps);
    return response;
  }));
  const auto stop = must(Stop::create(scope));
  const auto http = must(HttpClient::create(scope, *stop));
  const LlmConfig llm{.model = "openai/m", .api_keys = {"k"}, .base_url = server->url() + "/v1"};
  const auto journal = must(Journal::create(scope, folder.path(), Json::object()));
  ExitHooks hooks;
  RunServices services{
      .http = http.get(), .llm = &llm, .stop = stop.get(), .exit_hooks = &hooks, .journal = journal.get()};
  services.make_sandbox = [](const Row&, std::string_view, const Scope&) { return quick_sandbox(); };
  SampleSettings settings{.output_dir = folder.path(), .run_id = "bench", .model_name = "m", .skip_evaluation = true};
  settings.rollout.agent_class = "BashAgent";
  std::vector<double> times;
  for (int i = 0; i < samples + 3; ++i) {
    Row row;
    row.instance_id = fmt::format("sample-{}", i);
    row.repo = "example/textkit";
    row.problem_statement = std::string(2000, 'p');
    row.base_commit = std::string(40, 'a');
    const SampleTask task{.row = &row};
    const auto began = Clock::now();
    const auto result = run_sample(services, settings, task, scope);
    const double took = Seconds(Clock::now() - began).count() * 1000;
    if (result.verdict != SampleVerdict::skipped || result.iterations != steps || result.patch.empty()) {
      fmt::print(stderr, "a sample ended with {} after {} steps: {}\n", to_string(result.verdict), result.iterations,
                 result.message);
      std::exit(1);
    }
    if (i >= 3) times.push_back(took);
  }
  std::ranges::sort(times);
  fmt::print("{:3} steps: p50 {:.2f} ms, p90 {:.2f} ms a sample ({})\n", steps, times[times.size() / 2],
             times[times.size() * 9 / 10], samples);
  journal->close();
  return times[times.size() / 2];
}

}  // namespace
}  // namespace awm

int main(int argc, char** argv) {
  const int samples = argc > 1 ? std::atoi(argv[1]) : 200;
  if (samples < 1) return 2;
  constexpr int few = 1;
  constexpr int many = 41;
  const double one = awm::measure(samples, few);
  const double more = awm::measure(samples, many);
  fmt::print("a sample without its steps {:.2f} ms, a further step {:.3f} ms\n", one - (more - one) / (many - few),
             (more - one) / (many - few));
  return 0;
}
