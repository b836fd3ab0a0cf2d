// awm-example URL FOLDER: awm's parts without its loop. Asks the model server at URL for its models and for one answer,
// runs a command in a local sandbox, keeps both in FOLDER/events.jsonl, and shows that everything was given back.
#include <cstdio>
#include <string>

#include "base/ledger.h"
#include "base/text.h"
#include "event/stream.h"
#include "http/client.h"
#include "llm/provider.h"
#include "llm/registry.h"
#include "os/spawn.h"
#include "os/stop.h"
#include "runtime/runtime.h"
#include "sandbox/local_sandbox.h"

namespace {

using namespace awm;

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
}

// The models that a server names: a session of one's own on the shared client.
Result<void> list_models(HttpClient& http, const std::string& url, const Scope& scope) {
  const auto session = http.open_session(scope);
  AWM_TRY(const auto answer, session->send({.url = url + "/models", .deadline = Deadline::in(Seconds(10))}));
  say("GET /models: " + std::to_string(answer.status) + ", " + std::to_string(answer.body.size()) + " bytes");
  session->close();
  return {};
}

// A sandbox, a stream and a registry in the hands of one owner: the runtime gives them back in the right order.
Result<void> work(HttpClient& http, Spawner& spawner, const Stop& stop, const std::string& url,
                  const std::string& folder, const Scope& scope) {
  RuntimeParts parts;
  AWM_TRY(parts.sandbox, make_local_sandbox({.helper = AWM_HELPER}, spawner, stop, scope.child("sandbox")));
  AWM_TRY(parts.stream, EventStream::open(scope.child("stream"), folder + "/events.jsonl"));
  parts.registry = std::make_unique<LlmRegistry>();
  const LlmConfig config{.model = "openai/example", .api_keys = {"any"}, .base_url = url};
  AWM_TRY(auto llm, make_llm(config, http, stop, scope.child("llm")));
  AWM_TRY(Llm* const model, parts.registry->add("agent", config, std::move(llm)));
  AWM_CHECK(parts.stream->subscribe("example", "print",
                                    [](const EventPtr& event) { say("event " + std::to_string(header(*event).id)); }));

  Runtime runtime(std::move(parts), {.working_folder = "/testbed"}, scope);
  AWM_CHECK(runtime.connect(Deadline::in(Seconds(60))));
  const std::vector<Message> prompt{{.role = Role::user, .content = "Say a shell command that greets."}};
  const auto answer = model->complete({.messages = prompt, .tools = {}});
  if (!answer) return std::unexpected(answer.error().error);
  say("the model says: " + answer->message.content);
  AWM_TRY(const auto seen, runtime.run_action(Action(RunAction{.command = answer->message.content})));
  say("the sandbox says: " + std::string(trim(seen.content)));
  AWM_CHECK(runtime.stream()->wait_delivered(Deadline::in(Seconds(10))));

  const ReleaseReport report = runtime.close();
  for (const auto& problem : report.problems) say("not given back: " + problem.message());
  return {};
}

Result<void> run(const std::string& url, const std::string& folder, const Scope& scope) {
  AWM_TRY(const auto stop, Stop::create(scope));
  AWM_TRY(const auto spawner, Spawner::create(scope));
  AWM_TRY(const auto http, HttpClient::create(scope, *stop));
  AWM_CHECK(list_models(*http, url, scope.child("models")));
  return work(*http, *spawner, *stop, url, folder, scope.child("work"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s URL FOLDER\n", argv[0]);
    return 2;
  }
  const Scope scope("example");
  if (const auto done = run(argv[1], argv[2], scope); !done) {
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return 1;
  }
  const auto left = Ledger::process().entries(scope.path());
  for (const auto& entry : left) say("leaked: " + entry.name + ", born at " + entry.birthplace);
  if (left.empty()) say("nothing leaked");
  return left.empty() ? 0 : 1;
}
