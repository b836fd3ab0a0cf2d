#include "httpd/server.h"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <mutex>

#include "base/text.h"
#include "os/log.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm {
namespace {

constexpr Seconds stall_limit{60};  // a client that neither reads nor sends in the middle of a request

// One connection as cpp-httplib wants to see it, over a socket that stays ours.
class Connection final : public httplib::Stream, public HttpdStream {
 public:
  Connection(int fd, const std::atomic<bool>& closing, std::size_t max_request)
      : fd_(fd), closing_(closing), max_request_(max_request) {}

  // True when the next request has begun to arrive.
  bool wait_for_request(Deadline deadline) {
    taken_ = 0;
    if (begin_ < end_) return true;
    return !broken_ && wait_readable(deadline) && fill();
  }
  void break_off(bool reset) {
    broken_ = true;
    if (reset) sys::reset_on_close(fd_);
  }
  [[nodiscard]] bool broken() const { return broken_; }

  // httplib::Stream
  [[nodiscard]] bool is_readable() const override { return begin_ < end_; }
  [[nodiscard]] bool is_writable() const override { return !broken_ && !closing_.load(std::memory_order_relaxed); }
  ssize_t read(char* to, size_t size) override {
    // Bounds what one request may make httplib collect; its own limits are on the parts, not on their number.
    if (taken_ > max_request_) return -1;
    if (begin_ == end_ && (!wait_readable(Deadline::in(stall_limit)) || !fill())) return broken_ ? -1 : 0;
    const std::size_t n = std::min(size, end_ - begin_);
    std::copy_n(buffer_.data() + begin_, n, to);
    begin_ += n;
    taken_ += n;
    return static_cast<ssize_t>(n);
  }
  ssize_t write(const char* bytes, size_t size) override {
    return send_all({bytes, size}) ? static_cast<ssize_t>(size) : -1;
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip = "127.0.0.1";
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip = "127.0.0.1";
    port = 0;
  }
  // httplib compares it with FD_SETSIZE, a limit of select(), which is not used here.
  [[nodiscard]] socket_t socket() const override { return 0; }

  // HttpdStream, chunk framing aside: see Chunked.
  bool write(std::string_view bytes) override { return send_all(bytes); }
  bool pause(Clock::duration span) override {
    std::array<sys::PollFd, 1> set{sys::PollFd{.fd = fd_, .want_read = true}};
    // Readable in the middle of an answer means that the client went away (or broke the protocol).
    const auto ready = sys::poll(set, Deadline::in(span));
    return ready && *ready == 0 && is_writable();
  }

 private:
  bool wait_readable(Deadline deadline) {
    std::array<sys::PollFd, 1> set{sys::PollFd{.fd = fd_, .want_read = true}};
    const auto ready = sys::poll(set, deadline);
    return ready && *ready > 0 && !closing_.load(std::memory_order_relaxed);
  }
  bool fill() {
    const auto got = sys::recv_some(fd_, buffer_.data(), buffer_.size());
    if (!got || !*got || **got == 0) return false;
    begin_ = 0;
    end_ = **got;
    return true;
  }
  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!is_writable()) return false;
      const auto sent = sys::send_some(fd_, bytes);
      if (!sent) {
        broken_ = true;
        return false;
      }
      if (*sent) {
        bytes.remove_prefix(**sent);
        continue;
      }
      std::array<sys::PollFd, 1> set{sys::PollFd{.fd = fd_, .want_write = true}};
      const auto ready = sys::poll(set, Deadline::in(stall_limit));
      if (!ready || *ready == 0) {
        broken_ = true;
        return false;
      }
    }
    return true;
  }

  int fd_;
  const std::atomic<bool>& closing_;
  std::size_t max_request_;
  std::array<char, 16384> buffer_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t taken_ = 0;
  bool broken_ = false;
};

// Pieces that httplib wraps as chunks.
class Chunked final : public HttpdStream {
 public:
  Chunked(httplib::DataSink& sink, Connection& connection) : sink_(sink), connection_(connection) {}
  bool write(std::string_view bytes) override {
    // An empty chunk would end the body.
    return bytes.empty() || (sink_.write(bytes.data(), bytes.size()) && connection_.is_writable());
  }
  bool pause(Clock::duration span) override { return connection_.pause(span); }

 private:
  httplib::DataSink& sink_;
  Connection& connection_;
};

// httplib's parser and writer, without its listener and its threads. One a connection: the handlers know theirs.
class Engine final : public httplib::Server {
 public:
  Engine(Connection& connection, const HttpdHandler& handler, std::atomic<uint64_t>& requests, std::size_t max_body)
      : connection_(connection), handler_(handler), requests_(requests) {
    // Its writers take "no listener" for "shutting down".
    svr_sock_ = 0;
    set_payload_max_length(max_body);
    const Handler any = [this](const httplib::Request& request, httplib::Response& response) {
      serve(request, response);
    };
    Get(".*", any);
    Post(".*", any);
    Put(".*", any);
    Patch(".*", any);
    Delete(".*", any);
    Options(".*", any);
    set_exception_handler([](const httplib::Request& request, httplib::Response& response, const std::exception_ptr&) {
      log_error("httpd: a handler threw while answering " + request.path);
      response.status = 500;
    });
  }

  // Serves one request; false when the connection is to end.
  bool serve_one() {
    bool closed = false;
    const bool ok = process_request(connection_, false, closed, [](httplib::Request& request) {
      // Answers go out byte by byte as the handler wrote them: no compression.
      request.headers.erase("Accept-Encoding");
    });
    return ok && !closed && !connection_.broken();
  }

 private:
  void serve(const httplib::Request& from, httplib::Response& to) {
    requests_.fetch_add(1, std::memory_order_relaxed);
    HttpdRequest request{.method = from.method, .path = from.path, .body = from.body, .headers = {}, .query = {}};
    for (const auto& [name, value] : from.headers) request.headers.emplace_back(name, value);
    for (const auto& [name, value] : from.params) request.query.emplace_back(name, value);
    auto answer = std::make_shared<HttpdResponse>(handler_(request));
    to.status = answer->status;
    for (const auto& [name, value] : answer->headers) to.set_header(name, value);
    if (answer->delay > Clock::duration{0} && !connection_.pause(answer->delay)) answer->hang_up = true;
    if (answer->hang_up) {
      connection_.break_off(answer->reset);
      return;
    }
    if (answer->stream) {
      to.set_chunked_content_provider(answer->content_type, [this, answer](size_t, httplib::DataSink& sink) {
        Chunked stream(sink, connection_);
        if (!answer->stream(stream)) {
          connection_.break_off(answer->reset);
          return false;
        }
        sink.done();
        return true;
      });
      return;
    }
    if (answer->cut_after || answer->piece > 0) {
      to.set_content_provider(
          answer->body.size(), answer->content_type,
          [this, answer](size_t, size_t, httplib::DataSink& sink) { return send_body(*answer, sink); });
      return;
    }
    to.set_content(answer->body, answer->content_type);
  }

  bool send_body(const HttpdResponse& answer, httplib::DataSink& sink) {
    std::string_view rest = answer.body;
    if (answer.cut_after) rest = rest.substr(0, *answer.cut_after);
    const std::size_t piece = answer.piece > 0 ? answer.piece : std::max<std::size_t>(rest.size(), 1);
    while (!rest.empty()) {
      const auto now = rest.substr(0, piece);
      if (!sink.write(now.data(), now.size())) return false;
      rest.remove_prefix(now.size());
      if (!rest.empty() && answer.piece_pause > Clock::duration{0} && !connection_.pause(answer.piece_pause)) {
        return false;
      }
    }
    if (!answer.cut_after) return true;
    connection_.break_off(answer.reset);
    return false;
  }

  Connection& connection_;
  const HttpdHandler& handler_;
  std::atomic<uint64_t>& requests_;
};

}  // namespace

std::optional<std::string> HttpdRequest::header(std::string_view name) const {
  const std::string wanted = to_lower_ascii(name);
  for (const auto& [key, value] : headers) {
    if (to_lower_ascii(key) == wanted) return value;
  }
  return std::nullopt;
}

struct HttpServer::State {
  struct Live {
    UniqueFd fd;
    Thread thread;
    bool done = false;  // under mutex
  };

  State(Scope a_scope, HttpdOptions an_options, HttpdHandler a_handler)
      : scope(std::move(a_scope)), options(an_options), handler(std::move(a_handler)) {}

  void accept_all();
  void serve(Live& live);
  void reap();
  void wake() noexcept {
    const uint64_t one = 1;
    (void)sys::write_all(event.get(), {reinterpret_cast<const char*>(&one), sizeof one});
  }

  const Scope scope;
  const HttpdOptions options;
  const HttpdHandler handler;
  sys::Listener listener;
  UniqueFd event;  // wakes the acceptor: a connection ended, or close()
  std::atomic<bool> closing{false};
  std::atomic<uint64_t> requests{0};

  mutable std::mutex mutex;
  std::list<Live> live;  // changed by the acceptor alone, under mutex
  uint64_t accepted = 0;
  std::size_t most_live = 0;

  std::mutex close_mutex;
  Thread acceptor;
};

void HttpServer::State::serve(Live& one) {
  {
    Connection connection(one.fd.get(), closing, options.max_body + (std::size_t{1} << 20));
    Engine engine(connection, handler, requests, options.max_body);
    while (connection.wait_for_request(Deadline::in(options.idle_limit)) && engine.serve_one()) {
    }
  }
  const std::lock_guard lock(mutex);
  one.fd.reset();
  one.done = true;
  wake();
}

void HttpServer::State::reap() {
  std::list<Live> ended;
  {
    const std::lock_guard lock(mutex);
    for (auto it = live.begin(); it != live.end();) {
      const auto next = std::next(it);
      if (it->done) ended.splice(ended.end(), live, it);
      it = next;
    }
  }
  // The threads are joined here, outside the lock: their last act takes it.
}

void HttpServer::State::accept_all() {
  while (!closing.load()) {
    std::size_t now = 0;
    {
      const std::lock_guard lock(mutex);
      now = live.size();
    }
    std::array<sys::PollFd, 2> set{
        sys::PollFd{.fd = event.get(), .want_read = true},
        sys::PollFd{.fd = now < options.max_connections ? listener.fd.get() : -1, .want_read = true}};
    if (!sys::poll(set, Deadline::never())) break;
    if (set[0].readable) {
      uint64_t count = 0;
      (void)sys::read(event.get(), &count, sizeof count);
      reap();
    }
    if (closing.load() || !set[1].readable) continue;
    auto accepted_one = sys::accept_one(scope, listener.fd.get(), "http connection");
    if (!accepted_one) {
      // Out of descriptors: the connection stays in the backlog until one of ours ends; do not spin meanwhile.
      std::array<sys::PollFd, 1> wait{sys::PollFd{.fd = event.get(), .want_read = true}};
      (void)sys::poll(wait, Deadline::in(Seconds{0.05}));
      continue;
    }
    if (!*accepted_one) continue;
    Live* one = nullptr;
    {
      const std::lock_guard lock(mutex);
      one = &live.emplace_back();
      one->fd = std::move(**accepted_one);
      ++accepted;
      most_live = std::max(most_live, live.size());
    }
    auto thread = Thread::start(scope, "httpd", [this, one] { serve(*one); });
    const std::lock_guard lock(mutex);
    if (thread) {
      one->thread = std::move(*thread);
    } else {
      live.pop_back();
    }
  }
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const Scope& scope, const HttpdOptions& options,
                                                      HttpdHandler handler) {
  if (options.port < 0 || options.port > 65535) {
    return fail(Errc::invalid_input, "listen on", "127.0.0.1:" + std::to_string(options.port),
                "a port is a number from 0 to 65535");
  }
  auto state = std::make_unique<State>(scope, options, std::move(handler));
  AWM_TRY(state->listener, sys::listen_loopback(scope, options.port));
  AWM_TRY(state->event, sys::event_fd(scope, "httpd: wake"));
  State* raw = state.get();
  AWM_TRY(state->acceptor, Thread::start(scope, "httpd-accept", [raw] { raw->accept_all(); }));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::~HttpServer() {
  close();
}

int HttpServer::port() const {
  return state_->listener.port;
}

std::string HttpServer::url() const {
  return "http://127.0.0.1:" + std::to_string(port());
}

HttpdCounters HttpServer::counters() const {
  const std::lock_guard lock(state_->mutex);
  std::size_t open = 0;
  for (const auto& one : state_->live) open += one.done ? 0 : 1;
  return {.connections = state_->accepted,
          .requests = state_->requests.load(),
          .live = open,
          .most_live = state_->most_live};
}

void HttpServer::close() noexcept {
  const std::lock_guard once(state_->close_mutex);
  state_->closing.store(true);
  if (state_->event) state_->wake();
  state_->acceptor.join();
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& one : state_->live) {
      if (one.fd) sys::shutdown(one.fd.get());
    }
  }
  // The acceptor is gone: nobody else changes the list. Each element's thread is joined as it goes.
  std::list<State::Live> rest;
  {
    const std::lock_guard lock(state_->mutex);
    rest.splice(rest.end(), state_->live);
  }
  rest.clear();
  state_->listener.fd.reset();
  state_->event.reset();
}

}  // namespace awm
