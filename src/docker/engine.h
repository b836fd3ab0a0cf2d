// The Docker Engine API over a socket of our own: unix or TCP, one connection a call, closed at its end.
//
// Source: Docker Engine API v1.41 to v1.51 reference (docs.docker.com/reference/api/engine). Never the docker command
// line.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/deadline.h"
#include "base/json_fwd.h"
#include "base/ledger.h"
#include "base/result.h"
#include "os/cancel.h"
#include "os/stop.h"
#include "os/unique_fd.h"

namespace awm {

// Where the engine listens.
struct EngineAddress {
  enum class Kind { unix_socket, tcp } kind = Kind::unix_socket;
  std::string path = "/var/run/docker.sock";  // unix_socket
  std::string host;                           // tcp
  uint16_t port = 0;                          // tcp
  [[nodiscard]] std::string text() const;     // "unix:///var/run/docker.sock"
};

// From $DOCKER_HOST: unix://PATH, tcp://HOST:PORT; absent: the default socket. Errors: unsupported for ssh://, npipe://
// and TLS (DOCKER_TLS_VERIFY), saying so; invalid_input.
Result<EngineAddress> engine_address_from_environment();

struct EngineVersion {
  std::string engine;        // "20.10.24"
  std::string api;           // what both sides speak, "1.41"
  std::string os;            // "linux"
  std::string architecture;  // "amd64"
};

struct EngineCallOptions {
  std::vector<int> accept;                                   // statuses of 400 and above that are answers, not errors
  std::vector<std::pair<std::string, std::string>> headers;  // X-Registry-Auth and the like
  bool even_when_stopped = false;                            // for giving back: neither stop nor cancel ends it
  bool even_when_cancelled = false;                          // a cancel does not end it
  std::function<void()> on_head{};                           // called once a good answer has begun
  // Called for each of the answer's headers, refusals too; names in lower case.
  std::function<void(std::string_view name, std::string_view value)> on_header{};
};

struct EngineReply {
  int status = 0;
  std::string body;
};

// An upgraded connection: bytes go both ways, raw.
struct EngineStream {
  UniqueFd socket;
  std::string already_read;  // bytes that came with the answer's head, to be taken first
};

// Thread-safe: calls share nothing but the address. No descriptor between calls.
class Engine {
 public:
  // Asks for the version and settles on an API version both know (ours is the ceiling; an engine newer than we know is
  // spoken to in ours). Errors: unavailable (not installed, not running, not answering, each with its remedy),
  // permission (the docker group).
  static Result<std::unique_ptr<Engine>> connect(const Scope& scope, EngineAddress address, Deadline deadline,
                                                 const Stop* stop = nullptr);

  // The same engine for one owner, whose calls `cancel` ends with Errc::closed. Borrowed; outlives it.
  [[nodiscard]] Engine with(Cancel& cancel) const;
  [[nodiscard]] bool cancelled() const { return cancel_ != nullptr && cancel_->requested(); }

  [[nodiscard]] const EngineVersion& version() const { return version_; }
  [[nodiscard]] const EngineAddress& address() const { return address_; }
  [[nodiscard]] const Stop* stop() const { return stop_; }
  // Is the API version that both sides settled on at least this?
  [[nodiscard]] bool speaks(int major, int minor) const;

  // One call; `path` without the version ("/containers/json?all=1"), `body` JSON text or "". A status of 400 and above
  // is an Error with the engine's own message (not_found 404, already_exists 409, exhausted where its disk is full, …),
  // except those in `accept`. Other errors: unavailable, permission (nobody to reach), timed_out (no answer), stopped,
  // lost (the connection ended: the engine was restarted).
  Result<EngineReply> call(std::string_view method, std::string_view path, std::string_view body, Deadline deadline,
                           const EngineCallOptions& options = {}) const;
  // As call, but the answer's body is handed over in pieces as it comes (pull progress, logs, archives). Returning an
  // error ends it.
  Result<int> stream(std::string_view method, std::string_view path, std::string_view body, Deadline deadline,
                     const std::function<Result<void>(std::string_view)>& take,
                     const EngineCallOptions& options = {}) const;
  // Sends a body in pieces (chunked), for archives: `next` gives them, empty at the end. An engine that refuses before
  // it has read all is heard.
  Result<EngineReply> upload(std::string_view method, std::string_view path, std::string_view content_type,
                             Deadline deadline, const std::function<Result<std::string>()>& next) const;
  // POST with Connection: Upgrade; the connection is the caller's from then on: one descriptor.
  Result<EngineStream> upgrade(const Scope& scope, std::string_view path, std::string_view body,
                               Deadline deadline) const;

 private:
  Engine(const Scope& scope, EngineAddress address, const Stop* stop)
      : scope_(scope), address_(std::move(address)), stop_(stop) {}
  friend class EngineCall;
  Scope scope_;
  EngineAddress address_;
  const Stop* stop_;
  Cancel* cancel_ = nullptr;
  EngineVersion version_;
};

// One path segment or query value, percent-encoded (RFC 3986, unreserved characters stay).
std::string url_encode(std::string_view text);

}  // namespace awm
