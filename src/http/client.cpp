#include "http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "base/text.h"
#include "os/sys.h"
#include "os/thread.h"
#include "os/unique_fd.h"

namespace awm {
namespace {

constexpr std::size_t max_header_bytes = std::size_t{256} << 10;
constexpr Seconds longest_sleep{10};

// A request on its way. Its caller waits in send(), so that what the caller lent stays valid until `done`.
struct Transfer {
  const HttpRequest* request = nullptr;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  char curl_words[CURL_ERROR_SIZE] = {};

  // Of the driving thread alone, until done.
  HttpResponse response;
  std::size_t received = 0;
  std::size_t header_bytes = 0;
  std::optional<Error> own_error;  // set by a callback that ends the transfer
  Clock::time_point last_activity;
  curl_off_t uploaded = 0;
  bool in_multi = false;

  // Under the client's mutex.
  std::condition_variable changed;
  std::string pending;  // for on_data
  bool cancel = false;
  bool ended_by_caller = false;
  bool done = false;
  std::optional<Error> error;
};

bool takes_body(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

std::string_view host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  auto rest = url.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  if (rest.starts_with('[')) return rest.substr(0, std::min(rest.find(']') + 1, rest.size()));
  return rest.substr(0, rest.find(':'));
}

// A key in a header or URL never shows; the words of libcurl hold hosts and numbers only.
Error exchange_error(Errc code, const HttpRequest& request, std::string cause, std::string remedy = {}) {
  return Error{.code = code,
               .operation = request.method,
               .object = url_for_people(request.url),
               .cause = std::move(cause),
               .remedy = std::move(remedy)};
}

Error error_of(CURLcode code, const Transfer& transfer) {
  const HttpRequest& request = *transfer.request;
  std::string words = transfer.curl_words[0] != '\0' ? transfer.curl_words : curl_easy_strerror(code);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return exchange_error(Errc::timed_out, request, std::move(words));
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return exchange_error(Errc::unavailable, request, std::move(words), "check the address and the network");
    case CURLE_COULDNT_CONNECT:
      return exchange_error(Errc::unavailable, request, std::move(words), "check that the server runs there");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return exchange_error(Errc::unavailable, request, std::move(words),
                            "check the certificate; SSL_CERT_FILE names other authorities");
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_PROXY:
      return exchange_error(Errc::lost, request, std::move(words));
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return exchange_error(Errc::protocol, request, std::move(words));
    case CURLE_UNSUPPORTED_PROTOCOL:
      // libcurl's name for an answer that does not begin as HTTP does, too.
      if (contains(words, "HTTP/0.9")) {
        return exchange_error(Errc::protocol, request, "what came is not HTTP",
                              "check that the address and its port are a web server's, and http or https as it wants");
      }
      [[fallthrough]];
    case CURLE_URL_MALFORMAT:
      return exchange_error(Errc::invalid_input, request, std::move(words), "an URL begins with http:// or https://");
    case CURLE_OUT_OF_MEMORY:
      return exchange_error(Errc::exhausted, request, std::move(words));
    default:
      return exchange_error(Errc::io, request, std::move(words));
  }
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return {};
}

bool is_loopback_url(std::string_view url) {
  const std::string host = to_lower_ascii(host_of(url));
  if (host == "localhost" || host == "[::1]" || host.ends_with(".localhost")) return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string url_for_people(std::string_view url) {
  std::string shown(url.substr(0, url.find_first_of("?#")));
  if (const auto user = user_info_of(url); !user.empty())
    shown.erase(static_cast<std::size_t>(user.data() - url.data()), user.size() + 1);
  return shown;
}

struct HttpSession::State {
  std::shared_ptr<HttpClient::State> client;
  Ledger::Token token;
  // Under the client's mutex.
  bool closed = false;
  std::set<Transfer*> transfers;
};

struct HttpClient::State {
  State(const Scope& own_scope, const Stop& the_stop, const HttpOptions& the_options)
      : scope(own_scope), stop(the_stop), options(the_options) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (auto file = sys::environment("SSL_CERT_FILE"); file && !file->empty()) authorities = *std::move(file);
  }
  ~State() {
    if (multi != nullptr) curl_multi_cleanup(multi);
    curl_global_cleanup();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  CURLM* make_multi() const {
    CURLM* made = curl_multi_init();
    if (made == nullptr) return nullptr;
    curl_multi_setopt(made, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options.max_connections));
    curl_multi_setopt(made, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(options.max_connections_a_host));
    curl_multi_setopt(made, CURLMOPT_MAXCONNECTS, static_cast<long>(options.max_idle_connections));
    // HTTP/1.1 only: an exchange that is ended takes its own connection with it and nobody else's.
    curl_multi_setopt(made, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return made;
  }

  void run();
  void begin(Transfer& transfer);
  std::optional<Error> set_up(Transfer& transfer);
  void finish(Transfer& transfer, std::optional<Error> error);
  void finish_all(const std::function<Error(const Transfer&)>& error);
  void take_finished();
  // Ends what is late; the nearest time at which something will be.
  Deadline check_deadlines();
  void drop_idle_connections();
  // Under the mutex. libcurl's own way of being woken is not there when it could not have the descriptors for it, and
  // says so to nobody.
  void wake() const {
    if (ended) return;
    constexpr uint64_t one = 1;
    (void)sys::write_all(wake_fd.get(), std::string_view(reinterpret_cast<const char*>(&one), sizeof one));
  }

  static size_t on_header(char* data, size_t size, size_t count, void* transfer);
  static size_t on_body(char* data, size_t size, size_t count, void* transfer);
  static curl_socket_t open_socket(void* transfer, curlsocktype purpose, curl_sockaddr* address);
  static int close_socket(void* client, curl_socket_t socket);

  const Scope scope;
  const Stop& stop;
  const HttpOptions options;
  std::string authorities;

  UniqueFd wake_fd;        // an event: the driving thread has something to look at
  CURLM* multi = nullptr;  // of the driving thread

  std::mutex mutex;
  bool closing = false;
  bool ended = false;  // the driving thread takes nothing any more
  std::vector<Transfer*> arrived;
  bool drop_idle = false;
  std::condition_variable quiet;  // a transfer is done, a session closed, or the end or the stop has come
  bool stop_seen = false;
  HttpCounters counters;
  std::map<curl_socket_t, UniqueFd> sockets;

  std::vector<Transfer*> active;  // of the driving thread

  std::mutex join_mutex;
  Thread thread;
};

size_t HttpClient::State::on_header(char* data, size_t size, size_t count, void* pointer) {
  auto& transfer = *static_cast<Transfer*>(pointer);
  const std::size_t bytes = size * count;
  std::string_view line(data, bytes);
  transfer.last_activity = Clock::now();
  transfer.header_bytes += bytes;
  if (transfer.header_bytes > max_header_bytes) {
    transfer.own_error = exchange_error(Errc::protocol, *transfer.request, "the answer's headers are too large");
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    // A further answer on the same exchange: after 100 Continue, a redirect, a proxy's own.
    transfer.response.headers.clear();
    transfer.response.body.clear();
    const auto space = line.find(' ');
    int status = 0;
    for (std::size_t i = space + 1; space != std::string_view::npos && i < line.size() && i < space + 4; ++i) {
      if (line[i] < '0' || line[i] > '9') break;
      status = status * 10 + (line[i] - '0');
    }
    transfer.response.status = status;
    return bytes;
  }
  if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    transfer.response.headers.emplace_back(to_lower_ascii(trim(line.substr(0, colon))),
                                           std::string(trim(line.substr(colon + 1))));
  }
  return bytes;
}

size_t HttpClient::State::on_body(char* data, size_t size, size_t count, void* pointer) {
  auto& transfer = *static_cast<Transfer*>(pointer);
  const std::size_t bytes = size * count;
  transfer.last_activity = Clock::now();
  transfer.received += bytes;
  if (transfer.received > transfer.request->max_body) {
    transfer.own_error = exchange_error(Errc::exhausted, *transfer.request,
                                        "the answer is larger than " + human_bytes(transfer.request->max_body));
    return 0;
  }
  const int status = transfer.response.status;
  if (!transfer.request->on_data || status < 200 || status >= 300) {
    transfer.response.body.append(data, bytes);
    return bytes;
  }
  auto* client = static_cast<State*>(nullptr);
  curl_easy_getinfo(transfer.easy, CURLINFO_PRIVATE, &client);
  const std::lock_guard lock(client->mutex);
  transfer.pending.append(data, bytes);
  transfer.changed.notify_all();
  return bytes;
}

curl_socket_t HttpClient::State::open_socket(void* pointer, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(pointer);
  auto* client = static_cast<State*>(nullptr);
  curl_easy_getinfo(transfer.easy, CURLINFO_PRIVATE, &client);
  auto made =
      sys::socket(client->scope, address->family, address->socktype, address->protocol, host_of(transfer.request->url));
  if (!made) {
    transfer.own_error = std::move(made).error();
    return CURL_SOCKET_BAD;
  }
  const curl_socket_t number = made->get();
  const std::lock_guard lock(client->mutex);
  client->sockets[number] = std::move(*made);
  auto& counters = client->counters;
  ++counters.connections;
  counters.open_connections = client->sockets.size();
  counters.most_open = std::max(counters.most_open, counters.open_connections);
  return number;
}

int HttpClient::State::close_socket(void* pointer, curl_socket_t socket) {
  auto& client = *static_cast<State*>(pointer);
  UniqueFd closed;
  const std::lock_guard lock(client.mutex);
  const auto found = client.sockets.find(socket);
  if (found == client.sockets.end()) return 1;
  closed = std::move(found->second);
  client.sockets.erase(found);
  client.counters.open_connections = client.sockets.size();
  return 0;
}

std::optional<Error> HttpClient::State::set_up(Transfer& transfer) {
  const HttpRequest& request = *transfer.request;
  for (const auto& header : request.headers) {
    if (header.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return exchange_error(Errc::invalid_input, request, "a line break stands in a header");
    }
    auto* longer = curl_slist_append(transfer.headers, header.c_str());
    if (longer == nullptr) return exchange_error(Errc::exhausted, request, "out of memory");
    transfer.headers = longer;
  }
  // Without this a larger body waits a second for a "100 Continue" that many servers never send.
  transfer.headers = curl_slist_append(transfer.headers, "Expect:");
  transfer.easy = curl_easy_init();
  if (transfer.easy == nullptr) return exchange_error(Errc::exhausted, request, "libcurl gives no handle");
  CURL* easy = transfer.easy;
  const auto set = [easy](CURLoption option, auto value) { curl_easy_setopt(easy, option, value); };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, static_cast<char*>(transfer.curl_words));
  set(CURLOPT_HEADERFUNCTION, &State::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(CURLOPT_WRITEFUNCTION, &State::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_OPENSOCKETFUNCTION, &State::open_socket);
  set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(&transfer));
  set(CURLOPT_CLOSESOCKETFUNCTION, &State::close_socket);
  set(CURLOPT_CLOSESOCKETDATA, static_cast<void*>(this));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_ACCEPT_ENCODING, "");
  set(CURLOPT_USERAGENT, "awm");
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_MAXAGE_CONN, static_cast<long>(options.max_idle.count()));
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max(1.0, request.connect_limit.count() * 1000)));
#if LIBCURL_VERSION_NUM >= 0x075700
  // Ending an exchange must not wait for a name server: the resolver's thread ends by itself.
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  if (!authorities.empty()) set(CURLOPT_CAINFO, authorities.c_str());
  if (is_loopback_url(request.url)) set(CURLOPT_PROXY, "");
  if (takes_body(request.method)) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
    if (request.method != "POST") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else {
    set(CURLOPT_HTTPGET, 1L);
    if (request.method != "GET") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    if (request.follow_redirects) {
      set(CURLOPT_FOLLOWLOCATION, 1L);
      set(CURLOPT_MAXREDIRS, 5L);
    }
  }
  set(CURLOPT_HTTPHEADER, transfer.headers);
  return std::nullopt;
}

void HttpClient::State::begin(Transfer& transfer) {
  active.push_back(&transfer);
  transfer.last_activity = Clock::now();
  if (auto error = set_up(transfer)) {
    finish(transfer, std::move(error));
    return;
  }
  if (const auto added = curl_multi_add_handle(multi, transfer.easy); added != CURLM_OK) {
    finish(transfer, exchange_error(Errc::internal, *transfer.request, curl_multi_strerror(added)));
    return;
  }
  transfer.in_multi = true;
}

void HttpClient::State::finish(Transfer& transfer, std::optional<Error> error) {
  std::erase(active, &transfer);
  if (transfer.in_multi) curl_multi_remove_handle(multi, transfer.easy);
  transfer.in_multi = false;
  if (transfer.easy != nullptr) curl_easy_cleanup(transfer.easy);
  transfer.easy = nullptr;
  curl_slist_free_all(transfer.headers);
  transfer.headers = nullptr;
  // The caller may be gone with the transfer as soon as the mutex is free.
  const std::lock_guard lock(mutex);
  transfer.error = std::move(error);
  transfer.done = true;
  --counters.in_flight;
  transfer.changed.notify_all();
  quiet.notify_all();
}

void HttpClient::State::finish_all(const std::function<Error(const Transfer&)>& error) {
  while (!active.empty()) finish(*active.back(), error(*active.back()));
}

void HttpClient::State::take_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto found = std::ranges::find(active, message->easy_handle, [](const Transfer* t) { return t->easy; });
    if (found == active.end()) continue;
    Transfer& transfer = **found;
    std::optional<Error> error;
    if (code != CURLE_OK) error = transfer.own_error ? std::move(transfer.own_error) : error_of(code, transfer);
    finish(transfer, std::move(error));
  }
}

Deadline HttpClient::State::check_deadlines() {
  Deadline nearest;
  std::vector<std::pair<Transfer*, Error>> late;
  for (Transfer* transfer : active) {
    const HttpRequest& request = *transfer->request;
    if (request.deadline.passed()) {
      late.emplace_back(transfer, exchange_error(Errc::timed_out, request,
                                                 transfer->response.status == 0
                                                     ? "no answer within the time allowed"
                                                     : "the answer was not complete within the time allowed"));
      continue;
    }
    nearest = sooner(nearest, request.deadline);
    if (request.quiet_limit.count() <= 0) continue;
    const auto limit = std::chrono::duration_cast<Clock::duration>(request.quiet_limit);
    auto quiet_at = Deadline::at(transfer->last_activity + limit);
    if (quiet_at.passed()) {
      curl_off_t uploaded = 0;
      curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
      if (uploaded == transfer->uploaded) {
        late.emplace_back(transfer, exchange_error(Errc::timed_out, request,
                                                   "nothing came for " + human_seconds(request.quiet_limit.count())));
        continue;
      }
      transfer->uploaded = uploaded;
      transfer->last_activity = Clock::now();
      quiet_at = Deadline::in(limit);
    }
    nearest = sooner(nearest, quiet_at);
  }
  for (auto& [transfer, error] : late) finish(*transfer, std::move(error));
  return nearest;
}

// libcurl closes idle connections on no other occasion.
void HttpClient::State::drop_idle_connections() {
  CURLM* fresh = make_multi();
  if (fresh != nullptr) curl_multi_cleanup(std::exchange(multi, fresh));
}

void HttpClient::State::run() {
  bool stopped = false;
  for (;;) {
    std::vector<Transfer*> fresh;
    bool end = false;
    bool drop = false;
    std::vector<Transfer*> cancelled;
    {
      const std::lock_guard lock(mutex);
      fresh = std::exchange(arrived, {});
      end = closing;
      ended = closing;
      drop = std::exchange(drop_idle, false) && counters.sessions == 0;
      for (Transfer* transfer : active) {
        if (transfer->cancel) cancelled.push_back(transfer);
      }
      // One that is cancelled before it began is not begun.
      for (Transfer* transfer : fresh) {
        if (transfer->cancel) cancelled.push_back(transfer);
      }
      std::erase_if(fresh, [](const Transfer* transfer) { return transfer->cancel; });
    }
    if (!stopped && stop.cancelled()) {
      stopped = true;
      const std::lock_guard lock(mutex);
      stop_seen = true;
      quiet.notify_all();
    }
    for (Transfer* transfer : cancelled) {
      finish(*transfer, exchange_error(Errc::closed, *transfer->request, "its session was closed"));
    }
    if (end || stopped) {
      active.insert(active.end(), fresh.begin(), fresh.end());
      finish_all([&](const Transfer& transfer) {
        return end ? exchange_error(Errc::closed, *transfer.request, "the HTTP client was closed")
                   : stopped_error(transfer.request->method, url_for_people(transfer.request->url));
      });
      if (end) break;
    } else {
      for (Transfer* transfer : fresh) begin(*transfer);
    }
    if (drop && active.empty()) drop_idle_connections();

    int running = 0;
    curl_multi_perform(multi, &running);
    take_finished();
    const Deadline nearest = check_deadlines();

    curl_waitfd extra[2] = {{.fd = wake_fd.get(), .events = CURL_WAIT_POLLIN, .revents = 0},
                            {.fd = stop.cancel_fd(), .events = CURL_WAIT_POLLIN, .revents = 0}};
    // Where nobody could wake it, it looks by itself.
    const int wait = sooner(nearest, Deadline::in(longest_sleep)).poll_ms();
    int ready = 0;
    curl_multi_poll(multi, &extra[0], stopped ? 1 : 2, wait, &ready);
    if (extra[0].revents != 0) {
      uint64_t count = 0;
      (void)sys::read(wake_fd.get(), &count, sizeof count);
    }
  }
  curl_multi_cleanup(std::exchange(multi, nullptr));
}

HttpSession::HttpSession(std::shared_ptr<State> state) : state_(std::move(state)) {}

HttpSession::~HttpSession() {
  close();
}

Result<HttpResponse> HttpSession::send(const HttpRequest& request) {
  const std::shared_ptr<State> state = state_;
  auto& client = *state->client;
  Transfer transfer;
  transfer.request = &request;

  std::unique_lock lock(client.mutex);
  if (state->closed || client.closing) {
    return std::unexpected(exchange_error(Errc::closed, request,
                                          state->closed ? "this HTTP session is closed" : "the HTTP client is closed"));
  }
  if (client.stop.cancelled()) return std::unexpected(stopped_error(request.method, url_for_people(request.url)));
  ++client.counters.requests;
  ++client.counters.in_flight;
  state->transfers.insert(&transfer);
  client.arrived.push_back(&transfer);
  client.wake();
  while (true) {
    transfer.changed.wait(lock, [&] { return transfer.done || !transfer.pending.empty(); });
    if (transfer.pending.empty() || transfer.ended_by_caller) {
      if (transfer.done) break;
      transfer.pending.clear();
      continue;
    }
    const std::string data = std::exchange(transfer.pending, {});
    lock.unlock();
    const bool more = request.on_data(data);
    lock.lock();
    if (!more) {
      transfer.ended_by_caller = true;
      transfer.cancel = true;
      if (!transfer.done) client.wake();
    }
  }
  state->transfers.erase(&transfer);
  lock.unlock();
  if (transfer.error && !transfer.ended_by_caller) return std::unexpected(std::move(*transfer.error));
  transfer.response.ended_by_caller = transfer.ended_by_caller;
  return std::move(transfer.response);
}

Result<void> HttpSession::sleep_until(Deadline deadline) const {
  const std::shared_ptr<State> state = state_;
  auto& client = *state->client;
  std::unique_lock lock(client.mutex);
  const auto over = [&] { return state->closed || client.closing || client.stop_seen; };
  // Far deadlines overflow inside the standard library's waits.
  while (!over() && !deadline.passed()) {
    client.quiet.wait_until(lock, std::min(deadline.when(), Clock::now() + std::chrono::hours(1)), over);
  }
  if (state->closed || client.closing) return fail(Errc::closed, "wait", "", "this HTTP session is closed");
  if (client.stop_seen) return std::unexpected(stopped_error("wait", ""));
  return {};
}

void HttpSession::close() noexcept {
  auto& client = *state_->client;
  std::unique_lock lock(client.mutex);
  const bool first = !std::exchange(state_->closed, true);
  if (first) {
    --client.counters.sessions;
    if (client.counters.sessions == 0) client.drop_idle = true;
  }
  for (Transfer* transfer : state_->transfers) transfer->cancel = true;
  client.wake();
  client.quiet.notify_all();
  client.quiet.wait(lock, [&] {
    return std::ranges::all_of(state_->transfers, [](const Transfer* transfer) { return transfer->done; });
  });
  if (first) state_->token.release();
}

bool HttpSession::closed() const {
  const std::lock_guard lock(state_->client->mutex);
  return state_->closed || state_->client->closing;
}

HttpClient::HttpClient(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpClient>> HttpClient::create(const Scope& scope, const Stop& stop, HttpOptions options) {
  auto state = std::make_shared<State>(scope, stop, options);
  AWM_TRY(state->wake_fd, sys::event_fd(scope, "to wake the HTTP client"));
  state->multi = state->make_multi();
  if (state->multi == nullptr) {
    return fail(Errc::exhausted, "start", "the HTTP client",
                "libcurl gives no handle: no memory or no descriptors left",
                "raise the limit of open files (ulimit -n)");
  }
  // The thread borrows the state: it is joined before the state can go.
  State* raw = state.get();
  AWM_TRY(state->thread, Thread::start(scope, "awm-http", [raw] { raw->run(); }));
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(state)));
}

HttpClient::~HttpClient() {
  close();
}

std::unique_ptr<HttpSession> HttpClient::open_session(const Scope& scope, std::source_location birth) {
  auto session = std::make_shared<HttpSession::State>();
  session->client = state_;
  session->token = Ledger::process().add(ResourceKind::connection, 0, "HTTP session", scope, birth);
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->counters.sessions;
  }
  return std::unique_ptr<HttpSession>(new HttpSession(std::move(session)));
}

HttpCounters HttpClient::counters() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counters;
}

std::vector<LibraryAllowance> HttpClient::library_allowances() const {
  const std::string library = std::string("libcurl ") + curl_version_info(CURLVERSION_NOW)->version;
  // The multi handle's own way of being woken, and one pair for each name being resolved on a thread of its own: a pair
  // of sockets; since 8.8 a pipe or an event.
  constexpr std::size_t resolvers = 4;
  std::vector<LibraryAllowance> allowances{
      {.kind = ResourceKind::thread, .what_prefix = "awm-http", .bound = resolvers, .library = library}};
  const bool sockets = curl_version_info(CURLVERSION_NOW)->version_num < 0x080800;
  for (const auto* what : {"socket:", "pipe:", "anon_inode:[eventfd]"}) {
    if (sockets != (std::string_view(what) == "socket:")) continue;
    allowances.push_back(
        {.kind = ResourceKind::descriptor, .what_prefix = what, .bound = 2 + 2 * resolvers, .library = library});
  }
  return allowances;
}

void HttpClient::close() noexcept {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
    state_->wake();
    state_->quiet.notify_all();
  }
  const std::lock_guard lock(state_->join_mutex);
  state_->thread.join();
}

}  // namespace awm
