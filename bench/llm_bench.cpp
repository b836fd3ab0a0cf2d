// What a model call costs beside the exchange itself: 200 messages to a server of this machine that answers at once.
// Side by side in one run: the bytes alone over a socket, the same through the HTTP client, the whole call of the Llm,
// and the same streamed. The reference: litellm's overhead over the bare exchange was 28.9 ms on two cores.
//   llm_bench [ROUNDS]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "httpd/server.h"
#include "llm/chat.h"
#include "llm/provider.h"
#include "must.h"
#include "os/sys.h"

namespace awm {
namespace {

std::vector<Message> conversation() {
  std::vector<Message> messages{{.role = Role::system, .content = std::string(6000, 's')},
                                {.role = Role::user, .content = std::string(4000, 'u')}};
  for (int i = 0; messages.size() < 200; ++i) {
    const std::string id = "call_" + std::to_string(i);
    messages.push_back({.role = Role::assistant,
                        .content = "Let me look at the next file, and see how it \"handles\" this.",
                        .tool_calls = {{id, "execute_bash", R"({"command": "sed -n '1,200p' src/module/file.py"})"}}});
    std::string output;
    for (int line = 0; line < 40; ++line)
      output += fmt::format("{:5}\tdef method_{}(self, \"caf\xC3\xA9\"):  # a line as files have it\n", line, line);
    messages.push_back(
        {.role = Role::tool, .content = std::move(output), .tool_call_id = id, .tool_name = "execute_bash"});
  }
  messages.resize(200);
  return messages;
}

// One exchange over a connection that is kept, by hand.
class Bare {
 public:
  Bare(int port, const std::string& body)
      : socket_(must(sys::connect_loopback(Scope("bench"), port))),
        request_(fmt::format("POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                             "application/json\r\nContent-Length: {}\r\n\r\n{}",
                             body.size(), body)) {}
  void exchange() {
    if (auto sent = sys::write_all(socket_.get(), request_); !sent) std::exit(1);
    std::string answer;
    char part[65536];
    std::size_t whole = 0;
    while (whole == 0 || answer.size() < whole) {
      answer.append(part, must(sys::read(socket_.get(), part, sizeof part)));
      const auto head = answer.find("\r\n\r\n");
      const auto length = answer.find("Content-Length: ");
      if (whole == 0 && head != std::string::npos && length != std::string::npos) {
        whole = head + 4 + static_cast<std::size_t>(std::atoi(answer.c_str() + length + 16));
      }
    }
  }

 private:
  UniqueFd socket_;
  std::string request_;
};

double p50_ms(std::vector<double> times) {
  std::ranges::sort(times);
  return times[times.size() / 2];
}

int run(int rounds) {
  const Scope scope("bench");
  const std::string answer =
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Now the tests.","tool_calls":[{"id":"call_x","type":"function","function":{"name":"execute_bash","arguments":"{\"command\":\"pytest\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":100000,"completion_tokens":50}})";
  const std::string stream =
      "data: "
      "{\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Now the "
      "tests.\"},\"finish_reason\":\"stop\"}]}\n\n"
      "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":100000,\"completion_tokens\":50}}\n\ndata: "
      "[DONE]\n\n";
  const auto server = must(HttpServer::start(scope, {}, [&](const HttpdRequest& request) {
    HttpdResponse response;
    const bool streamed = request.body.ends_with("\"stream_options\":{\"include_usage\":true}}");
    response.body = streamed ? stream : answer;
    if (streamed) response.content_type = "text/event-stream";
    return response;
  }));
  const auto stop = must(Stop::create(scope));
  const auto http = must(HttpClient::create(scope, *stop));
  LlmConfig config{.model = "openai/m", .base_url = server->url() + "/v1"};
  config.input_cost_per_token = 1e-6;
  config.output_cost_per_token = 1e-6;
  const auto llm = must(make_llm(config, *http, *stop, scope));
  config.stream = true;
  const auto streaming = must(make_llm(config, *http, *stop, scope));

  const auto messages = conversation();
  const std::vector<ToolSpec> tools{
      {"execute_bash", std::string(2000, 'd'), R"({"type":"object","properties":{"command":{"type":"string"}}})"}};
  const CompletionRequest request{.messages = messages, .tools = tools};
  const auto endpoint = must(find_endpoint(config));
  const auto parameters = must(ChatParameters::create(config, endpoint));
  const std::string body = parameters->body(request, false, {});
  Bare bare(server->port(), body);
  const auto session = http->open_session(scope);
  HttpRequest exchange;
  exchange.method = "POST";
  exchange.url = endpoint.chat_url;
  exchange.headers = {"Content-Type: application/json"};
  exchange.body = body;

  struct Kind {
    const char* name;
    std::function<void()> once;
    std::vector<double> times;
  };
  std::vector<Kind> kinds{{"the bare exchange, over a socket", [&] { bare.exchange(); }, {}},
                          {"the same by the HTTP client", [&] { (void)must(session->send(exchange)); }, {}},
                          {"building the body alone",
                           [&] {
                             if (parameters->body(request, false, {}).empty()) std::exit(1);
                           },
                           {}},
                          {"a call of the Llm",
                           [&] {
                             if (!llm->complete(request)) std::exit(1);
                           },
                           {}},
                          {"a call of the Llm, streamed",
                           [&] {
                             if (!streaming->complete(request)) std::exit(1);
                           },
                           {}}};
  for (int i = -10; i < rounds; ++i) {
    for (auto& kind : kinds) {
      const auto began = Clock::now();
      kind.once();
      if (i >= 0) kind.times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
    }
  }
  fmt::print("{} messages, {} bytes, {} rounds; p50:\n", messages.size(), body.size(), rounds);
  for (const auto& kind : kinds) fmt::print("  {:36} {:7.3f} ms\n", kind.name, p50_ms(kind.times));
  fmt::print("  overhead of a call over the bare exchange {:.3f} ms, streamed {:.3f} ms (must be at most 1 ms)\n",
             p50_ms(kinds[3].times) - p50_ms(kinds[0].times), p50_ms(kinds[4].times) - p50_ms(kinds[0].times));
  return 0;
}

}  // namespace
}  // namespace awm

int main(int argc, char** argv) {
  return awm::run(argc > 1 ? std::max(10, std::atoi(argv[1])) : 500);
}
