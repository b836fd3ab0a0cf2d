#include "replay/server.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "replay/stream.h"

namespace awm {
namespace {

constexpr std::string_view garbage = "<html><head><title>Welcome</title></head><body>\xff\xfe It works!</body></html>";

HttpdResponse json_response(int status, const Json& body) {
  return {.status = status, .body = dump_json(body)};
}

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), seconds).ptr;
  return {text.data(), end};
}

HttpdResponse with_fault(const Fault& fault, const Json& completion) {
  HttpdResponse response = json_response(200, completion);
  switch (fault.kind) {
    case FaultKind::disconnect:
      response.cut_after = response.body.size() / 2;
      break;
    case FaultKind::drip:
      response.piece = fault.piece;
      response.piece_pause = fault.delay;
      break;
    case FaultKind::garbage:
      response.content_type = "text/html";
      response.body = garbage;
      break;
    case FaultKind::truncated:
      response.body.resize(response.body.size() / 2);
      break;
    case FaultKind::empty: {
      Json hollow = completion;
      hollow["choices"] = Json::array();
      response.body = dump_json(hollow);
      break;
    }
    case FaultKind::stream_error:
      response.status = 500;
      response.body = dump_json(error_body("The server had an error (a fault on demand).", "server_error", ""));
      break;
    default:
      break;
  }
  return response;
}

HttpdResponse stream_response(std::vector<std::string> events, std::optional<Fault> fault) {
  HttpdResponse response{.content_type = "text/event-stream"};
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.stream = [events = std::move(events), fault = std::move(fault)](HttpdStream& out) {
    const auto kind = fault ? std::optional(fault->kind) : std::nullopt;
    const bool half = kind == FaultKind::disconnect || kind == FaultKind::truncated || kind == FaultKind::stream_error;
    if (kind == FaultKind::garbage) return out.write("data: " + std::string(garbage) + "\n\ndata: [DONE]\n\n");
    if (kind == FaultKind::empty) return out.write(events.back());
    const std::size_t count = half ? std::max<std::size_t>(events.size() / 2, 1) : events.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (kind != FaultKind::drip) {
        if (!out.write(events[i])) return false;
        continue;
      }
      for (std::string_view rest = events[i]; !rest.empty();) {
        const auto piece = rest.substr(0, fault->piece);
        if (!out.write(piece) || !out.pause(fault->delay)) return false;
        rest.remove_prefix(piece.size());
      }
    }
    if (kind == FaultKind::stream_error) {
      const Json error = error_body("The server had an error (a fault on demand).", "server_error", "");
      return out.write("data: " + dump_json(error) + "\n\n");
    }
    return kind != FaultKind::disconnect;
  };
  return response;
}

}  // namespace

struct ReplayServer::State {
  ReplayBook book;
  ReplayServerOptions options;
  std::unique_ptr<HttpServer> http;

  State(ReplayBook a_book, ReplayServerOptions some_options)
      : book(std::move(a_book)), options(std::move(some_options)) {}

  HttpdResponse handle(const HttpdRequest& request);
  HttpdResponse complete(const HttpdRequest& request);
  [[nodiscard]] Json stats() const;
};

HttpdResponse ReplayServer::State::handle(const HttpdRequest& request) {
  std::string_view path = request.path;
  if (path.starts_with("/v1/")) path.remove_prefix(3);
  if (path == "/awm/stats") return json_response(200, stats());
  const bool known = path == "/chat/completions" || path == "/models";
  if (!known) {
    return json_response(404, error_body("There is no " + request.method + " " + request.path +
                                             " here; this server has POST /v1/chat/completions, GET /v1/models and "
                                             "GET /awm/stats.",
                                         "invalid_request_error", "unknown_url"));
  }
  if (!options.key.empty() && request.header("Authorization") != "Bearer " + options.key) {
    return json_response(401, error_body("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"));
  }
  if (request.method != (path == "/models" ? "GET" : "POST")) {
    return json_response(405, error_body("Not allowed method for " + request.path + ": " + request.method + ".",
                                         "invalid_request_error", ""));
  }
  return path == "/models" ? json_response(200, book.models()) : complete(request);
}

HttpdResponse ReplayServer::State::complete(const HttpdRequest& request) {
  const ReplayAnswer answer = book.answer(request.body, request.header("x-awm-purpose").value_or(""),
                                          request.header("x-awm-sample").value_or(""));
  HttpdResponse response;
  if (answer.status != 200) {
    response = json_response(answer.status, answer.body);
    if (answer.fault && answer.fault->retry_after) {
      response.headers.emplace_back("Retry-After", seconds_text(*answer.fault->retry_after));
    }
  } else if (answer.fault && answer.fault->kind == FaultKind::hang_up) {
    response.hang_up = true;
  } else if (answer.fault && answer.fault->kind == FaultKind::reset) {
    response.hang_up = true;
    response.reset = true;
  } else if (answer.fault && answer.fault->kind == FaultKind::silence) {
    response.delay = std::chrono::hours(24);
    response.hang_up = true;
  } else if (answer.stream) {
    response = stream_response(completion_events(answer.body, answer.stream_usage), answer.fault);
  } else {
    response = answer.fault ? with_fault(*answer.fault, answer.body) : json_response(200, answer.body);
  }
  if (!answer.conversation.empty()) {
    response.headers.emplace_back("x-awm-replay", answer.conversation + "#" + std::to_string(answer.step));
  }
  return response;
}

Json ReplayServer::State::stats() const {
  const auto now = book.counters();
  Json conversations = Json::object();
  for (const auto& [name, one] : now.conversations) {
    conversations[name] =
        Json::object({{"requests", one.requests}, {"furthest_step", one.furthest}, {"steps", one.steps}});
  }
  return Json::object({{"requests", now.requests},
                       {"matched", now.matched},
                       {"unmatched", now.unmatched},
                       {"refused", now.refused},
                       {"faults", now.faults},
                       {"completions", now.completions},
                       {"conversations", std::move(conversations)}});
}

ReplayServer::ReplayServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<ReplayServer>> ReplayServer::start(const Scope& scope, ReplayBook book,
                                                          const ReplayServerOptions& options) {
  auto state = std::make_unique<State>(std::move(book), options);
  State* raw = state.get();
  AWM_TRY(state->http, HttpServer::start(scope, {.port = options.port},
                                         [raw](const HttpdRequest& request) { return raw->handle(request); }));
  return std::unique_ptr<ReplayServer>(new ReplayServer(std::move(state)));
}

ReplayServer::~ReplayServer() {
  close();
}

std::string ReplayServer::url() const {
  return state_->http->url() + "/v1";
}

int ReplayServer::port() const {
  return state_->http->port();
}

ReplayCounters ReplayServer::counters() const {
  return state_->book.counters();
}

void ReplayServer::close() noexcept {
  state_->http->close();
}

}  // namespace awm
