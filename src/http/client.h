// HTTP exchanges over libcurl: one thread drives them all, connections are kept alive and shared, every wait ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "os/census.h"
#include "os/stop.h"

namespace awm {

struct HttpRequest {
  std::string method = "GET";
  std::string url;                   // http:// or https://
  std::vector<std::string> headers;  // "Name: value"
  std::string_view body;             // borrowed until send() returns; sent where the method is POST, PUT or PATCH
  Deadline deadline;                 // of the whole exchange
  Seconds connect_limit{30};         // name resolution, connection and TLS together
  Seconds quiet_limit{0};            // ends it after so long without a byte either way; 0: never
  std::size_t max_body = std::size_t{256} << 20;  // of the answer, decompressed
  bool follow_redirects = false;                  // at most 5, for GET; a key must not wander
  // Gets the body of a 2xx answer piece by piece, on the thread that called send(), and then the response's body stays
  // empty; false ends the exchange there, which is no error.
  std::function<bool(std::string_view)> on_data;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in the server's order
  std::string body;
  bool ended_by_caller = false;  // on_data returned false

  // The first header of this name (lower case), or "".
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpCounters {
  uint64_t requests = 0;             // begun since the start
  uint64_t connections = 0;          // opened since the start
  std::size_t open_connections = 0;  // now, idle ones included
  std::size_t most_open = 0;
  std::size_t in_flight = 0;
  std::size_t sessions = 0;  // open now
};

struct HttpOptions {
  std::size_t max_connections = 256;  // in all; further exchanges wait for one
  std::size_t max_connections_a_host = 64;
  std::size_t max_idle_connections = 16;
  Seconds max_idle{90};  // an idle connection older than this is not used again
};

class HttpClient;

// One owner's exchanges. Thread-safe: exchanges run side by side, each blocking its caller.
class HttpSession {
 public:
  ~HttpSession();  // closes
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  // One exchange. Any status is an answer, not an error. Errors: closed (used after close(), or closed meanwhile),
  // stopped, timed_out (deadline or quiet_limit), unavailable (no such host, nobody listens, TLS), lost (the connection
  // broke), protocol (not HTTP), exhausted (answer too large, no descriptors), invalid_input (URL, header).
  // `lost` and `timed_out` may come after the server did the work.
  Result<HttpResponse> send(const HttpRequest& request);

  // Waits until the deadline. Errors: closed, when the session or its client is closed first; stopped.
  Result<void> sleep_until(Deadline deadline) const;

  // Ends what is in flight and closes the connections that carry it; the idle ones go back to the client's pool, and
  // with the last session they are closed too. Idempotent, thread-safe; returns when nothing is in flight any more.
  void close() noexcept;
  [[nodiscard]] bool closed() const;

 private:
  friend class HttpClient;
  struct State;
  explicit HttpSession(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Made once a process. Thread-safe. Costs one thread, two descriptors of libcurl's (library_allowances() declares them)
// and one, on the ledger, for each open connection. Honours http_proxy, https_proxy and no_proxy as curl does, but
// never for this machine itself.
class HttpClient {
 public:
  // Errors: exhausted. `stop` outlives the client; once it is cancelled every exchange fails with stopped.
  static Result<std::unique_ptr<HttpClient>> create(const Scope& scope, const Stop& stop, HttpOptions options = {});
  ~HttpClient();  // closes
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // On the ledger under `scope` until it is closed. Works also after close(): then every send() fails with closed.
  [[nodiscard]] std::unique_ptr<HttpSession> open_session(const Scope& scope,
                                                          std::source_location birth = std::source_location::current());
  [[nodiscard]] HttpCounters counters() const;
  // What libcurl owns without telling: for the census.
  [[nodiscard]] std::vector<LibraryAllowance> library_allowances() const;
  // Ends everything in flight, closes every connection, joins the thread. Idempotent.
  void close() noexcept;

 private:
  friend class HttpSession;
  struct State;
  explicit HttpClient(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// "http://127.0.0.1:8080/v1": is its host this machine itself (127.0.0.0/8, ::1, localhost)?
bool is_loopback_url(std::string_view url);
// The URL without user and password, query values and fragment: for messages.
std::string url_for_people(std::string_view url);

}  // namespace awm
