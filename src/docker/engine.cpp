#include "docker/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/json.h"
#include "base/text.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::string_view newest_api = "1.51";  // what this client was written after
constexpr std::string_view oldest_api = "1.40";
constexpr std::size_t max_head = std::size_t{64} << 10;
constexpr std::size_t max_body = std::size_t{256} << 20;

// "1.41" → 1041, for comparing.
int api_number(std::string_view text) {
  int major = 0;
  int minor = 0;
  const char* const end = std::to_address(text.end());
  const auto [after, error] = std::from_chars(std::to_address(text.begin()), end, major);
  if (error == std::errc() && after != end && *after == '.') std::from_chars(after + 1, end, minor);
  return major * 1000 + minor;
}

std::string_view status_class_remedy(int status) {
  switch (status) {
    case 401:
    case 403:
      return "log in to the registry, or check the rights of this user";
    case 429:
      return "the registry's rate limit is reached: wait, or log in";
    case 500:
      return "see the engine's own log (journalctl -u docker)";
    default:
      return "";
  }
}

}  // namespace

std::string EngineAddress::text() const {
  return kind == Kind::unix_socket ? "unix://" + path : fmt::format("tcp://{}:{}", host, port);
}

Result<EngineAddress> engine_address_from_environment() {
  const auto value = sys::environment("DOCKER_HOST");
  EngineAddress address;
  if (!value || value->empty()) return address;
  if (value->starts_with("unix://")) {
    address.path = value->substr(7);
    if (address.path.empty())
      return fail(Errc::invalid_input, "read", "DOCKER_HOST=" + *value, "it names no socket",
                  "write unix:///var/run/docker.sock");
    return address;
  }
  if (value->starts_with("tcp://")) {
    if (const auto tls = sys::environment("DOCKER_TLS_VERIFY"); tls && !tls->empty()) {
      return fail(Errc::unsupported, "use", "DOCKER_HOST=" + *value,
                  "DOCKER_TLS_VERIFY asks for TLS, which awm does not speak to an engine yet",
                  "forward the socket: ssh -L /tmp/docker.sock:/var/run/docker.sock HOST, then "
                  "DOCKER_HOST=unix:///tmp/docker.sock");
    }
    std::string_view rest = std::string_view(*value).substr(6);
    while (rest.ends_with('/')) rest.remove_suffix(1);
    const auto colon = rest.rfind(':');
    address.kind = EngineAddress::Kind::tcp;
    address.port = 2375;
    std::string_view host = rest.substr(0, colon);
    if (colon != std::string_view::npos) {
      const auto digits = rest.substr(colon + 1);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
      if (error != std::errc() || end != digits.data() + digits.size() || address.port == 0) {
        return fail(Errc::invalid_input, "read", "DOCKER_HOST=" + *value, "the port is no number from 1 to 65535");
      }
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    address.host = host;
    if (address.host.empty()) return fail(Errc::invalid_input, "read", "DOCKER_HOST=" + *value, "it names no host");
    return address;
  }
  return fail(Errc::unsupported, "use", "DOCKER_HOST=" + *value, "only unix:// and tcp:// are understood",
              "forward the engine's socket to this machine and name it with unix://");
}

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", u);
    }
  }
  return out;
}

// One exchange on one connection.
class EngineCall {
 public:
  EngineCall(const Engine& engine, std::string_view method, std::string_view path, Deadline deadline,
             const EngineCallOptions& options = {})
      : engine_(engine),
        stop_(options.even_when_stopped ? nullptr : engine.stop_),
        cancel_(options.even_when_stopped || options.even_when_cancelled ? nullptr : engine.cancel_),
        what_(std::string(method) + " " + std::string(path.substr(0, path.find('?')))),
        method_(method),
        path_(path),
        deadline_(deadline),
        on_header_(options.on_header) {
    for (const auto& [name, value] : options.headers) headers_ += fmt::format("{}: {}\r\n", name, value);
  }

  Result<void> open(const Scope& scope) {
    auto fd = engine_.address_.kind == EngineAddress::Kind::unix_socket
                  ? sys::connect_unix(scope, engine_.address_.path, deadline_)
                  : sys::connect_tcp(scope, engine_.address_.host, engine_.address_.port, deadline_);
    if (!fd) return std::unexpected(explain_connect(std::move(fd).error()));
    fd_ = *std::move(fd);
    if (cancel_ != nullptr) guard_ = cancel_->enlist([raw = fd_.get()] { sys::shutdown(raw); });
    return {};
  }

  Result<void> send_head(std::string_view extra_headers) {
    const std::string version = engine_.version_.api.empty() ? "" : "/v" + engine_.version_.api;
    return send(fmt::format("{} {}{} HTTP/1.1\r\nHost: docker\r\nUser-Agent: awm\r\n{}{}\r\n", method_, version, path_,
                            headers_, extra_headers));
  }

  Result<void> send(std::string_view bytes) {
    while (!bytes.empty()) {
      auto sent = sys::send_some(fd_.get(), bytes);
      if (!sent) return std::unexpected(lost(std::move(sent).error()));
      if (*sent) {
        bytes.remove_prefix(**sent);
        continue;
      }
      AWM_CHECK(wait(true));
    }
    return {};
  }

  // Reads the status line and the headers.
  Result<void> read_head() {
    std::size_t end = std::string::npos;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (buffer_.size() > max_head) return malformed("the answer's head is too long");
      AWM_TRY(const bool more, fill());
      if (!more)
        return malformed(buffer_.empty() ? "the engine closed the connection without an answer"
                                         : "the answer ends in its head");
    }
    const std::string head = buffer_.substr(0, end);
    buffer_.erase(0, end + 4);
    const auto lines = split_lines(head);
    if (lines.empty() || !lines[0].starts_with("HTTP/1.") || lines[0].size() < 12)
      return malformed("what answers there speaks no HTTP");
    std::from_chars(lines[0].data() + 9, lines[0].data() + 12, status_);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const auto colon = lines[i].find(':');
      if (colon == std::string_view::npos) continue;
      const auto name = to_lower_ascii(lines[i].substr(0, colon));
      const auto value = trim(lines[i].substr(colon + 1));
      if (on_header_) on_header_(name, value);
      if (name == "content-length") {
        uint64_t length = 0;
        std::from_chars(value.data(), value.data() + value.size(), length);
        length_ = length;
      } else if (name == "transfer-encoding" && to_lower_ascii(value) == "chunked") {
        chunked_ = true;
      }
    }
    return {};
  }

  // Hands the body over in pieces.
  Result<void> read_body(const std::function<Result<void>(std::string_view)>& take) {
    if (status_ == 204 || status_ == 304 || method_ == "HEAD") return {};
    if (chunked_) return read_chunks(take);
    uint64_t left = length_.value_or(UINT64_MAX);
    while (left > 0) {
      if (buffer_.empty()) {
        AWM_TRY(const bool more, fill());
        if (!more) {
          if (length_ || cancelled()) return malformed("the answer ends before its length");
          return {};
        }
      }
      const auto piece = std::min<uint64_t>(left, buffer_.size());
      AWM_CHECK(take(std::string_view(buffer_).substr(0, piece)));
      buffer_.erase(0, piece);
      left -= piece;
    }
    return {};
  }

  Result<std::string> read_whole_body() {
    std::string body;
    AWM_CHECK(read_body([&](std::string_view piece) -> Result<void> {
      if (body.size() + piece.size() > max_body) return malformed("the answer is too long");
      body += piece;
      return {};
    }));
    return body;
  }

  // The engine's own words for a status of 400 and above.
  [[nodiscard]] Error refused(std::string_view body) const {
    std::string words(trim(body));
    if (auto json = parse_json(body, "the engine's answer")) words = string_or(*json, "message", words);
    if (words.empty()) words = "status " + std::to_string(status_);
    Errc code = Errc::io;
    if (status_ == 404) code = Errc::not_found;
    if (status_ == 409) code = Errc::already_exists;
    if (status_ == 400) code = Errc::invalid_input;
    if (status_ == 401 || status_ == 403) code = Errc::permission;
    if (status_ == 429 || contains(words, "toomanyrequests")) code = Errc::exhausted;
    std::string remedy(status_class_remedy(status_));
    if (contains(words, "no space left on device")) {
      code = Errc::exhausted;
      remedy = "free space where the engine keeps its data (docker system df)";
    }
    return Error{.code = code,
                 .operation = "engine",
                 .object = what_,
                 .cause = to_valid_utf8(words),
                 .remedy = std::move(remedy),
                 .http_status = status_};
  }

  [[nodiscard]] int status() const { return status_; }
  EngineStream take_stream() {
    guard_.reset();
    return EngineStream{.socket = std::move(fd_), .already_read = std::move(buffer_)};
  }

 private:
  [[nodiscard]] Error explain_connect(Error error) const {
    const auto where = engine_.address_.text();
    error.operation = "reach the Docker engine at";
    error.object = where;
    if (error.os_errno == ENOENT) {
      error.code = Errc::unavailable;
      error.cause = "there is no such socket: Docker is not installed, or not running";
      error.remedy =
          "install it (apt-get install docker.io) and start it (systemctl start docker), set DOCKER_HOST, or use "
          "--sandbox local";
    } else if (error.os_errno == ECONNREFUSED) {
      error.code = Errc::unavailable;
      error.cause = "nobody listens: the engine is not running";
      error.remedy = "start it (systemctl start docker), or use --sandbox local";
    } else if (error.os_errno == EACCES || error.os_errno == EPERM) {
      error.code = Errc::permission;
      error.cause = "this user may not use the engine's socket";
      error.remedy = "add this user to the group docker (usermod -aG docker USER, then log in again), or run as root";
    } else if (error.code != Errc::exhausted && error.code != Errc::timed_out) {
      error.code = Errc::unavailable;
      if (error.remedy.empty()) error.remedy = "check DOCKER_HOST, and whether the engine runs there";
    }
    return error;
  }

  [[nodiscard]] bool cancelled() const { return cancel_ != nullptr && cancel_->requested(); }

  [[nodiscard]] Error lost(Error error) const {
    if (cancelled()) return cancelled_error("engine", what_);
    if (error.code == Errc::timed_out || error.code == Errc::stopped) return error;
    error.code = Errc::lost;
    error.operation = "engine";
    error.object = what_;
    error.remedy = "see whether the engine was restarted (journalctl -u docker)";
    return error;
  }

  std::unexpected<Error> malformed(std::string cause) const {
    if (cancelled()) return std::unexpected(cancelled_error("engine", what_));
    return fail(Errc::lost, "engine", what_, std::move(cause),
                "see whether the engine was restarted (journalctl -u docker)");
  }

  Result<void> wait(bool to_write) {
    std::array<sys::PollFd, 2> set{sys::PollFd{.fd = fd_.get(), .want_read = !to_write, .want_write = to_write},
                                   sys::PollFd{.fd = stop_ != nullptr ? stop_->cancel_fd() : -1, .want_read = true}};
    AWM_TRY(const int ready, sys::poll(set, deadline_));
    if (ready == 0)
      return fail(Errc::timed_out, "engine", what_, "the engine did not answer in time",
                  "see whether it hangs (docker info)");
    if (set[1].readable) return std::unexpected(stopped_error("engine", what_));
    return {};
  }

  // More bytes into the buffer; false at the end of the connection.
  Result<bool> fill() {
    std::array<char, 65536> piece;
    for (;;) {
      auto got = sys::recv_some(fd_.get(), piece.data(), piece.size());
      if (!got) return std::unexpected(lost(std::move(got).error()));
      if (*got) {
        buffer_.append(piece.data(), **got);
        return **got > 0;
      }
      AWM_CHECK(wait(false));
    }
  }

  Result<void> read_chunks(const std::function<Result<void>(std::string_view)>& take) {
    for (;;) {
      std::size_t end = std::string::npos;
      while ((end = buffer_.find("\r\n")) == std::string::npos) {
        if (buffer_.size() > max_head) return malformed("a chunk's head is too long");
        AWM_TRY(const bool more, fill());
        if (!more) return malformed("the answer ends in the middle");
      }
      uint64_t left = 0;
      const auto [stop, error] = std::from_chars(buffer_.data(), buffer_.data() + end, left, 16);
      if (error != std::errc()) return malformed("a chunk's size is no number");
      buffer_.erase(0, end + 2);
      const bool last = left == 0;
      while (left > 0) {
        if (buffer_.empty()) {
          AWM_TRY(const bool more, fill());
          if (!more) return malformed("the answer ends in the middle");
        }
        const auto piece = std::min<uint64_t>(left, buffer_.size());
        AWM_CHECK(take(std::string_view(buffer_).substr(0, piece)));
        buffer_.erase(0, piece);
        left -= piece;
      }
      while (buffer_.size() < 2) {
        AWM_TRY(const bool more, fill());
        if (!more) return malformed("the answer ends in the middle");
      }
      buffer_.erase(0, 2);
      if (last) return {};
    }
  }

  const Engine& engine_;
  const Stop* stop_;
  Cancel* cancel_;
  std::string what_;
  std::string headers_;
  std::string method_;
  std::string path_;
  Deadline deadline_;
  std::function<void(std::string_view, std::string_view)> on_header_;
  UniqueFd fd_;
  Cancel::Guard guard_;  // ends before the descriptor
  std::string buffer_;
  int status_ = 0;
  std::optional<uint64_t> length_;
  bool chunked_ = false;
};

Result<std::unique_ptr<Engine>> Engine::connect(const Scope& scope, EngineAddress address, Deadline deadline,
                                                const Stop* stop) {
  std::unique_ptr<Engine> engine(new Engine(scope, std::move(address), stop));
  const auto no_engine = [&](std::string cause, std::string remedy) {
    return fail(Errc::protocol, "reach the Docker engine at", engine->address_.text(), std::move(cause),
                std::move(remedy));
  };
  auto reply = engine->call("GET", "/version", "", deadline);
  if (!reply) {
    auto& error = reply.error();
    if (contains(error.cause, "HTTPS server")) {
      return no_engine("it wants TLS, which awm does not speak to an engine yet",
                       "forward the engine's socket to this machine and name it with DOCKER_HOST=unix://PATH");
    }
    if (error.code == Errc::timed_out || error.code == Errc::lost) {
      return fail(Errc::unavailable, "reach the Docker engine at", engine->address_.text(), error.cause,
                  "see whether it hangs (docker info), and restart it (systemctl restart docker)");
    }
    return std::unexpected(std::move(error));
  }
  const auto parsed = parse_json(reply->body, "the answer of " + engine->address_.text());
  if (!parsed) return no_engine("what answers there is no Docker engine", "check DOCKER_HOST");
  const Json& json = *parsed;
  engine->version_.engine = string_or(json, "Version", "unknown");
  engine->version_.os = string_or(json, "Os", "");
  engine->version_.architecture = string_or(json, "Arch", "");
  const auto theirs = string_or(json, "ApiVersion", "");
  if (theirs.empty()) return no_engine("what answers there is no Docker engine", "check DOCKER_HOST");
  // Podman and newer engines say what they still serve; ours must lie between.
  const auto least = string_or(json, "MinAPIVersion", "1.12");
  engine->version_.api = api_number(theirs) < api_number(newest_api) ? theirs : std::string(newest_api);
  if (api_number(engine->version_.api) < api_number(oldest_api)) {
    return fail(Errc::unsupported, "use the Docker engine at", engine->address_.text(),
                fmt::format("it speaks API {} at most, and awm needs {}", theirs, oldest_api),
                "update the engine to 19.03 or later");
  }
  if (api_number(least) > api_number(engine->version_.api)) engine->version_.api = least;
  return engine;
}

Engine Engine::with(Cancel& cancel) const {
  Engine same = *this;
  same.cancel_ = &cancel;
  return same;
}

bool Engine::speaks(int major, int minor) const {
  return api_number(version_.api) >= major * 1000 + minor;
}

Result<EngineReply> Engine::call(std::string_view method, std::string_view path, std::string_view body,
                                 Deadline deadline, const EngineCallOptions& options) const {
  EngineCall call(*this, method, path, deadline, options);
  AWM_CHECK(call.open(scope_));
  std::string headers = "Connection: close\r\n";
  if (!body.empty()) headers += "Content-Type: application/json\r\n";
  if (!body.empty() || method == "POST" || method == "PUT")
    headers += fmt::format("Content-Length: {}\r\n", body.size());
  AWM_CHECK(call.send_head(headers));
  AWM_CHECK(call.send(body));
  AWM_CHECK(call.read_head());
  AWM_TRY(auto answer, call.read_whole_body());
  if (call.status() >= 400 &&
      std::find(options.accept.begin(), options.accept.end(), call.status()) == options.accept.end())
    return std::unexpected(call.refused(answer));
  return EngineReply{.status = call.status(), .body = std::move(answer)};
}

Result<int> Engine::stream(std::string_view method, std::string_view path, std::string_view body, Deadline deadline,
                           const std::function<Result<void>(std::string_view)>& take,
                           const EngineCallOptions& options) const {
  EngineCall call(*this, method, path, deadline, options);
  AWM_CHECK(call.open(scope_));
  std::string headers = "Connection: close\r\n";
  if (!body.empty()) headers += "Content-Type: application/json\r\n";
  if (!body.empty() || method == "POST") headers += fmt::format("Content-Length: {}\r\n", body.size());
  AWM_CHECK(call.send_head(headers));
  AWM_CHECK(call.send(body));
  AWM_CHECK(call.read_head());
  if (call.status() >= 400) {
    AWM_TRY(const auto words, call.read_whole_body());
    return std::unexpected(call.refused(words));
  }
  if (options.on_head) options.on_head();
  AWM_CHECK(call.read_body(take));
  return call.status();
}

Result<EngineReply> Engine::upload(std::string_view method, std::string_view path, std::string_view content_type,
                                   Deadline deadline, const std::function<Result<std::string>()>& next) const {
  EngineCall call(*this, method, path, deadline);
  AWM_CHECK(call.open(scope_));
  AWM_CHECK(call.send_head(
      fmt::format("Connection: close\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n", content_type)));
  Result<void> sent;
  for (bool more = true; more && sent;) {
    AWM_TRY(const auto piece, next());
    more = !piece.empty();
    sent = call.send(more ? fmt::format("{:x}\r\n", piece.size()) : "0\r\n\r\n");
    if (more && sent) sent = call.send(piece);
    if (more && sent) sent = call.send("\r\n");
  }
  // An engine that refuses closes without reading on; its words are there all the same.
  if (auto head = call.read_head(); !head)
    return std::unexpected(sent ? std::move(head).error() : std::move(sent).error());
  if (!sent && call.status() < 400) return std::unexpected(std::move(sent).error());
  AWM_TRY(auto answer, call.read_whole_body());
  if (call.status() >= 400) return std::unexpected(call.refused(answer));
  return EngineReply{.status = call.status(), .body = std::move(answer)};
}

Result<EngineStream> Engine::upgrade(const Scope& scope, std::string_view path, std::string_view body,
                                     Deadline deadline) const {
  EngineCall call(*this, "POST", path, deadline);
  AWM_CHECK(call.open(scope));
  std::string headers = fmt::format("Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {}\r\n", body.size());
  if (!body.empty()) headers += "Content-Type: application/json\r\n";
  AWM_CHECK(call.send_head(headers));
  AWM_CHECK(call.send(body));
  AWM_CHECK(call.read_head());
  if (call.status() >= 400) {
    AWM_TRY(const auto words, call.read_whole_body());
    return std::unexpected(call.refused(words));
  }
  // 101 is the upgrade; engines before 1.21 answered 200 and went raw all the same.
  if (call.status() != 101 && call.status() != 200) {
    return fail(Errc::protocol, "engine", "POST " + std::string(path),
                fmt::format("status {} where an upgrade was asked for", call.status()));
  }
  return call.take_stream();
}

}  // namespace awm
