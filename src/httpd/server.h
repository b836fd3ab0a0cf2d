// A small HTTP/1.1 server on 127.0.0.1: for `awm replay`, and for tests that need a server that misbehaves on demand.
// cpp-httplib parses requests and writes answers; sockets and threads are ours, on the ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"

namespace awm {

struct HttpdRequest {
  std::string method;  // "GET"
  std::string path;    // decoded, without the query: "/v1/models"
  std::string body;    // whole, at most HttpdOptions::max_body bytes
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::pair<std::string, std::string>> query;

  // The first header of this name, upper or lower case; nullopt when it was not sent.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
};

// The way to the client while an answer is streamed. Belongs to the server; valid during the call that got it.
class HttpdStream {
 public:
  virtual ~HttpdStream() = default;
  // Sends one piece at once; false when the client is gone or the server closes: return then.
  virtual bool write(std::string_view bytes) = 0;
  // Waits; false as soon as the client hangs up or the server closes.
  virtual bool pause(Clock::duration span) = 0;
};

struct HttpdResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // When set, the body is what this writes, in chunked encoding; true ends it properly, false breaks the connection
  // there and then. Runs on the connection's thread.
  std::function<bool(HttpdStream&)> stream;
  // With a body: sent in pieces of so many bytes with so long between them; the length is announced. 0: at once.
  std::size_t piece = 0;
  Clock::duration piece_pause{0};
  // With a body: its length is announced, so many bytes are sent, then the connection breaks.
  std::optional<std::size_t> cut_after;
  // Nothing is sent at all: the connection ends instead of an answer.
  bool hang_up = false;
  // A break (`cut_after`, `hang_up`, a stream that returned false) is a TCP reset and not a polite end.
  bool reset = false;
  // Waits so long before the first byte; the client's hanging up ends the wait.
  Clock::duration delay{0};
};

// Called on the connection's thread, many at once. May throw nothing; may block, but then close() waits for it.
using HttpdHandler = std::function<HttpdResponse(const HttpdRequest&)>;

struct HttpdOptions {
  int port = 0;                                   // 0: the kernel chooses
  std::size_t max_connections = 128;              // further ones wait in the backlog; each has a thread
  std::size_t max_body = std::size_t{256} << 20;  // larger requests get 413
  Seconds idle_limit{60};                         // a connection without a request for so long is closed
};

struct HttpdCounters {
  uint64_t connections = 0;   // accepted since the start
  uint64_t requests = 0;      // handed to the handler
  std::size_t live = 0;       // connections open now
  std::size_t most_live = 0;  // at one time
};

class HttpServer {
 public:
  // Listens, and serves from a thread of its own. Errors: the port is taken (unavailable), no descriptors or threads
  // left (exhausted). Costs two descriptors and one thread, and one of each per open connection.
  static Result<std::unique_ptr<HttpServer>> start(const Scope& scope, const HttpdOptions& options,
                                                   HttpdHandler handler);
  ~HttpServer();  // closes
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] int port() const;
  [[nodiscard]] std::string url() const;  // "http://127.0.0.1:PORT", no slash at the end
  [[nodiscard]] HttpdCounters counters() const;

  // Stops listening, breaks every connection, joins every thread. Idempotent, thread-safe; not from a handler.
  void close() noexcept;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace awm
