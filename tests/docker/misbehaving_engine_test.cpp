// Engines that are absent, old, new, slow, rude, or no engines at all: played by real servers on sockets.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "base/json.h"
#include "docker/containers.h"
#include "docker/images.h"
#include "httpd/server.h"
#include "os/sys.h"
#include "os/thread.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;

const Scope scope{"test/docker"};

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

HttpdResponse version(const std::string& api, const std::string& least = "1.24") {
  return {.body = dump_json(Json{
              {"Version", "99.0"}, {"ApiVersion", api}, {"MinAPIVersion", least}, {"Os", "linux"}, {"Arch", "amd64"}})};
}

// An engine whose every answer but that to /version is the test's.
class Fake {
 public:
  explicit Fake(HttpdHandler handler, HttpdResponse hello = version("1.41")) {
    auto server =
        HttpServer::start(scope, {}, [this, handler = std::move(handler), hello](const HttpdRequest& request) {
          {
            const std::lock_guard lock(mutex_);
            paths_.push_back(request.method + " " + request.path);
          }
          if (request.path == "/version") return hello;
          return handler(request);
        });
    EXPECT_TRUE(server) << server.error();
    server_ = *std::move(server);
  }
  [[nodiscard]] EngineAddress address() const {
    EngineAddress address;
    address.kind = EngineAddress::Kind::tcp;
    address.host = "127.0.0.1";
    address.port = static_cast<uint16_t>(server_->port());
    return address;
  }
  [[nodiscard]] Result<std::unique_ptr<Engine>> connect(const Stop* stop = nullptr) const {
    return Engine::connect(scope, address(), within(10), stop);
  }
  [[nodiscard]] std::string last_path() {
    const std::lock_guard lock(mutex_);
    return paths_.empty() ? "" : paths_.back();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> paths_;
  std::unique_ptr<HttpServer> server_;
};

HttpdResponse message(int status, const std::string& words) {
  return {.status = status, .body = dump_json(Json{{"message", words}})};
}

HttpdResponse lines(std::string text) {
  return {.stream = [text = std::move(text)](HttpdStream& out) { return out.write(text); }};
}

// A listener that does as the test says with each connection, byte by byte.
class RawEngine {
 public:
  // The nth connection gets the nth answer (the last one: all that follow) once its request's head has come; then it
  // ends, unless `hold`.
  RawEngine(std::string answer, bool hold) : RawEngine(std::vector<std::string>{std::move(answer)}, hold) {}
  RawEngine(std::vector<std::string> answers, bool hold) {
    auto listener = sys::listen_loopback(scope, 0);
    EXPECT_TRUE(listener) << listener.error();
    listener_ = *std::move(listener);
    auto end = sys::event_fd(scope, "end");
    EXPECT_TRUE(end);
    end_ = *std::move(end);
    auto thread =
        Thread::start(scope, "raw-engine", [this, answers = std::move(answers), hold] { serve(answers, hold); });
    EXPECT_TRUE(thread);
    thread_ = *std::move(thread);
  }
  ~RawEngine() {
    const uint64_t one = 1;
    EXPECT_EQ(::write(end_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
  }
  RawEngine(const RawEngine&) = delete;
  RawEngine& operator=(const RawEngine&) = delete;
  [[nodiscard]] EngineAddress address() const {
    EngineAddress address;
    address.kind = EngineAddress::Kind::tcp;
    address.host = "127.0.0.1";
    address.port = static_cast<uint16_t>(listener_.port);
    return address;
  }

 private:
  bool wait(int fd) {
    std::array<sys::PollFd, 2> set{sys::PollFd{.fd = fd, .want_read = true},
                                   sys::PollFd{.fd = end_.get(), .want_read = true}};
    return sys::poll(set, within(60)) && set[0].readable && !set[1].readable;
  }
  void serve(const std::vector<std::string>& answers, bool hold) {
    std::size_t connection = 0;
    while (wait(listener_.fd.get())) {
      auto one = sys::accept_one(scope, listener_.fd.get(), "raw");
      if (!one || !*one) continue;
      const int fd = (*one)->get();
      std::string head;
      char piece[4096];
      while (head.find("\r\n\r\n") == std::string::npos && wait(fd)) {
        const auto got = ::recv(fd, piece, sizeof piece, 0);
        if (got <= 0) break;
        head.append(piece, static_cast<std::size_t>(got));
      }
      std::string_view rest = answers[std::min(connection++, answers.size() - 1)];
      while (!rest.empty()) {
        const auto sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        rest.remove_prefix(static_cast<std::size_t>(sent));
      }
      if (hold) {
        while (wait(fd) && ::recv(fd, piece, sizeof piece, 0) > 0) {
        }
      }
    }
  }
  sys::Listener listener_;
  UniqueFd end_;
  Thread thread_;
};

TEST(EngineVersion, IsTheLowerOfBoth) {
  const Fake old([](const HttpdRequest&) { return message(404, "?"); }, version("1.41"));
  auto engine = old.connect();
  ASSERT_TRUE(engine) << engine.error();
  EXPECT_EQ((*engine)->version().api, "1.41");
  EXPECT_TRUE((*engine)->speaks(1, 41));
  EXPECT_FALSE((*engine)->speaks(1, 42));

  Fake newer([](const HttpdRequest&) { return HttpdResponse{.body = "[]"}; }, version("1.99", "1.44"));
  engine = newer.connect();
  ASSERT_TRUE(engine) << engine.error();
  EXPECT_EQ((*engine)->version().api, "1.51");
  ASSERT_TRUE(list_images(**engine, "", within(10)));
  EXPECT_EQ(newer.last_path(), "GET /v1.51/images/json");
}

TEST(EngineVersion, OfAnEngineThatHasForgottenOursIsTheOldestItKnows) {
  const Fake far([](const HttpdRequest&) { return message(404, "?"); }, version("2.10", "1.60"));
  const auto engine = far.connect();
  ASSERT_TRUE(engine) << engine.error();
  EXPECT_EQ((*engine)->version().api, "1.60");
}

TEST(EngineVersion, TooOldIsRefusedWithTheVersionThatIsNeeded) {
  const Fake old([](const HttpdRequest&) { return message(404, "?"); }, version("1.30", "1.12"));
  const auto engine = old.connect();
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Errc::unsupported);
  EXPECT_THAT(engine.error().message(), HasSubstr("1.30"));
  EXPECT_THAT(engine.error().remedy, HasSubstr("19.03"));
}

TEST(EngineConnect, NotInstalled) {
  const testing::TestFolder folder;
  EngineAddress address;
  address.path = folder / "docker.sock";
  const auto engine = Engine::connect(scope, address, within(10));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Errc::unavailable);
  EXPECT_THAT(engine.error().message(), HasSubstr("not installed, or not running"));
  EXPECT_THAT(engine.error().remedy, HasSubstr("--sandbox local"));
}

TEST(EngineConnect, NotRunning) {
  const testing::TestFolder folder;
  EngineAddress address;
  address.path = folder / "docker.sock";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::snprintf(name.sun_path, sizeof name.sun_path, "%s", address.path.c_str());
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  ::close(fd);
  const auto engine = Engine::connect(scope, address, within(10));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Errc::unavailable);
  EXPECT_THAT(engine.error().cause, HasSubstr("not running"));

  address.kind = EngineAddress::Kind::tcp;
  address.host = "127.0.0.1";
  auto closed = sys::listen_loopback(scope, 0);
  ASSERT_TRUE(closed);
  address.port = static_cast<uint16_t>(closed->port);
  closed->fd.reset();
  const auto tcp = Engine::connect(scope, address, within(10));
  ASSERT_FALSE(tcp);
  EXPECT_EQ(tcp.error().code, Errc::unavailable);
}

TEST(EngineConnect, NoAnswer) {
  const RawEngine silent("", true);
  const auto engine = Engine::connect(scope, silent.address(), Deadline::in(Seconds(0.2)));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Errc::unavailable);
  EXPECT_THAT(engine.error().message(), HasSubstr("did not answer in time"));
}

TEST(EngineConnect, AStopEndsTheWait) {
  const RawEngine silent("", true);
  auto stop = Stop::create(scope);
  ASSERT_TRUE(stop);
  (*stop)->request(StopLevel::cancel);
  const auto engine = Engine::connect(scope, silent.address(), within(60), stop->get());
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Errc::stopped);
}

TEST(EngineConnect, WhatIsNoEngineIsSaidSo) {
  for (const char* answer : {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                             "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                             "HTTP/1.1 abc\r\n\r\n", "\r\n\r\n"}) {
    const RawEngine other(answer, false);
    const auto engine = Engine::connect(scope, other.address(), within(10));
    ASSERT_FALSE(engine) << answer;
    EXPECT_FALSE(engine.error().remedy.empty()) << engine.error();
    EXPECT_TRUE(engine.error().code == Errc::protocol || engine.error().code == Errc::unavailable)
        << answer << engine.error();
  }
  const RawEngine tls("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", false);
  EXPECT_THAT(Engine::connect(scope, tls.address(), within(10)).error().cause, HasSubstr("TLS"));
}

TEST(EngineAnswer, CutOffAnywhereIsNoAnswer) {
  const std::string whole =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "12\r\n{\"ApiVersion\":\"1.4\r\n"
      "3\r\n1\"}\r\n0\r\n\r\n";
  {
    const RawEngine answers(whole, false);
    const auto engine = Engine::connect(scope, answers.address(), within(10));
    ASSERT_TRUE(engine) << engine.error();
    EXPECT_EQ((*engine)->version().api, "1.41");
  }
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const RawEngine answers(whole.substr(0, length), false);
    const auto engine = Engine::connect(scope, answers.address(), within(10));
    ASSERT_FALSE(engine) << length;
    EXPECT_EQ(engine.error().code, Errc::unavailable) << length << " " << engine.error();
  }
}

TEST(EngineAnswer, CarriesTheEnginesWordsItsClassAndTheObject) {
  struct Case {
    int status;
    const char* words;
    Errc code;
  };
  for (const auto& c :
       {Case{404, "No such container: x", Errc::not_found}, Case{409, "name is in use", Errc::already_exists},
        Case{400, "Range of CPUs is from 0.01 to 2.00", Errc::invalid_input},
        Case{403, "authorization denied by plugin", Errc::permission}, Case{500, "something broke", Errc::io},
        Case{500, "write /x: no space left on device", Errc::exhausted},
        Case{503, "engine is shutting down", Errc::io}}) {
    const Fake fake([&](const HttpdRequest&) { return message(c.status, c.words); });
    const auto engine = fake.connect();
    ASSERT_TRUE(engine);
    const auto made = create_container(**engine, {.image = "some/image:1"}, within(10));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, c.code) << made.error();
    EXPECT_EQ(made.error().http_status, c.status);
    EXPECT_THAT(made.error().cause, HasSubstr(c.words));
    EXPECT_THAT(made.error().object, HasSubstr("some/image:1"));
  }
}

TEST(EngineAnswer, ThatIsNoJsonIsAProtocolError) {
  const Fake fake([](const HttpdRequest&) { return HttpdResponse{.body = "<html>"}; });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  EXPECT_EQ(inspect_container(**engine, "x", within(10)).error().code, Errc::protocol);
  EXPECT_EQ(list_containers(**engine, {}, within(10)).error().code, Errc::protocol);
  EXPECT_EQ(inspect_image(**engine, "x", within(10)).error().code, Errc::protocol);
}

std::string answer_of(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(EngineUpload, ARefusalInItsMiddleIsHeard) {
  // What an engine does with an archive for a container that is gone: it answers, reads no more, and ends the
  // connection.
  const RawEngine raw({answer_of("200 OK", R"({"ApiVersion":"1.41"})"),
                       answer_of("404 Not Found", R"({"message":"No such container: gone"})")},
                      false);
  const auto engine = Engine::connect(scope, raw.address(), within(10));
  ASSERT_TRUE(engine) << engine.error();
  int pieces = 0;
  const auto sent = put_container_archive(**engine, "gone", "/", within(20), [&]() -> Result<std::string> {
    ++pieces;
    return std::string(std::size_t{1} << 20, 'x');  // never ends by itself
  });
  ASSERT_FALSE(sent);
  EXPECT_TRUE(sent.error().code == Errc::not_found || sent.error().code == Errc::lost) << sent.error();
}

TEST(EngineUpload, WhatCannotBeReadHereEndsIt) {
  const RawEngine raw({answer_of("200 OK", R"({"ApiVersion":"1.41"})"), ""}, true);
  const auto engine = Engine::connect(scope, raw.address(), within(10));
  ASSERT_TRUE(engine) << engine.error();
  const auto sent = put_container_archive(**engine, "x", "/", within(20), [&]() -> Result<std::string> {
    return fail(Errc::io, "read", "the disk", "broke");
  });
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().object, "the disk");
}

TEST(EngineUpgrade, TakesWhatCameWithTheHead) {
  const RawEngine raw({answer_of("200 OK", R"({"ApiVersion":"1.41"})"),
                       "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly bytes"},
                      true);
  const auto engine = Engine::connect(scope, raw.address(), within(10));
  ASSERT_TRUE(engine) << engine.error();
  auto stream = attach_container(**engine, scope, "x", within(20));
  ASSERT_TRUE(stream) << stream.error();
  std::string all = stream->already_read;
  std::array<char, 64> piece;
  while (all.size() < 11) {
    std::array<sys::PollFd, 1> set{sys::PollFd{.fd = stream->socket.get(), .want_read = true}};
    ASSERT_TRUE(sys::poll(set, within(20)));
    const auto got = sys::recv_some(stream->socket.get(), piece.data(), piece.size());
    ASSERT_TRUE(got && *got && **got > 0);
    all.append(piece.data(), **got);
  }
  EXPECT_EQ(all, "early bytes");
}

PullOptions once() {
  PullOptions options{.platform = "linux/amd64"};
  options.retries.tries = 1;
  return options;
}

TEST(Pull, ErrorsInTheMiddleOfAGoodAnswerAreErrors) {
  struct Case {
    const char* words;
    Errc code;
    const char* remedy;
  };
  for (const auto& c :
       {Case{"toomanyrequests: You have reached your pull rate limit", Errc::exhausted, "wait"},
        Case{"manifest for a/b:1 not found: manifest unknown: manifest unknown", Errc::not_found, "name"},
        Case{"no matching manifest for linux/amd64 in the manifest list entries", Errc::not_found, "platform"},
        Case{"pull access denied for a/b, repository does not exist or may require 'docker login': denied: requested "
             "access to the resource is denied",
             Errc::permission, "docker login"},
        Case{"unauthorized: authentication required", Errc::permission, "docker login"},
        Case{"filesystem layer verification failed for digest sha256:00", Errc::protocol, "mirror"},
        Case{"failed commit on ref \"layer-sha256:00\": unexpected commit digest sha256:11, expected sha256:00",
             Errc::protocol, "mirror"},
        Case{"unexpected EOF", Errc::lost, "broke off"},
        Case{"httpReadSeeker: failed open: unexpected status code https://x/v2/y: 503 Service Unavailable",
             Errc::unavailable, "later"},
        Case{"Get \"https://a:1/v2/\": x509: certificate signed by unknown authority", Errc::unavailable, "certs.d"},
        Case{"mediaType in manifest should be 'x' not 'y'", Errc::unsupported, "update"},
        Case{"failed to register layer: write /x: no space left on device", Errc::exhausted, "docker system df"},
        Case{"Get \"https://registry/v2/\": dial tcp: lookup registry: no such host", Errc::unavailable, "proxy"},
        Case{"something else", Errc::io, ""}}) {
    const std::string progress = R"({"status":"Pulling from a/b","id":"1"})"
                                 "\r\n"
                                 R"({"status":"Pulling fs layer","id":"abc"})"
                                 "\r\n"
                                 R"({"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"abc"})"
                                 "\r\n" +
                                 dump_json(Json{{"errorDetail", {{"message", c.words}}}, {"error", c.words}}) + "\r\n";
    const Fake fake([&](const HttpdRequest&) { return lines(progress); });
    const auto engine = fake.connect();
    ASSERT_TRUE(engine);
    auto options = once();
    std::vector<double> parts;
    options.progress = [&](const PullProgress& told) { parts.push_back(told.part); };
    const auto pulled = pull_image(**engine, "a/b:1", options, within(10));
    ASSERT_FALSE(pulled) << c.words;
    EXPECT_EQ(pulled.error().code, c.code) << pulled.error();
    EXPECT_EQ(pulled.error().object, "a/b:1");
    EXPECT_THAT(pulled.error().cause, HasSubstr(c.words));
    EXPECT_THAT(pulled.error().remedy, HasSubstr(c.remedy));
    EXPECT_THAT(parts, ::testing::ElementsAre(0, 0, ::testing::DoubleEq(0.35)));
  }
}

TEST(Pull, ARefusalAtOnceHasTheSameClasses) {
  const Fake fake(
      [](const HttpdRequest&) { return message(500, "toomanyrequests: You have reached your pull rate limit."); });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  const auto pulled = pull_image(**engine, "a/b:1", once(), within(10));
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, Errc::exhausted);
  EXPECT_EQ(pulled.error().http_status, 500);
  EXPECT_THAT(pulled.error().remedy, HasSubstr("docker login"));
}

TEST(Pull, WaitsAsLongAsItIsAskedAndNoLongerThanItMay) {
  struct Case {
    const char* words;
    const char* header;
    double wait;
  };
  for (const auto& c :
       {Case{"toomanyrequests: retry-after: 20ms, allowed: 44000/minute", "", 0.02},
        Case{"toomanyrequests: retry-after: 413.79\u00b5s, allowed: 44000/minute", "", 0.00041379},
        Case{"toomanyrequests", "0.03", 0.03}, Case{"toomanyrequests", "Wed, 21 Oct 2026 07:28:00 GMT", 0},
        Case{"toomanyrequests: retry-after: nan", "", 0}, Case{"toomanyrequests: retry-after", "", 0},
        Case{"toomanyrequests: retry-after: inf", "", 0}, Case{"toomanyrequests: retry-after: 1e300h", "", 0},
        Case{"toomanyrequests: Retry-After: -5", "", 0}}) {
    std::atomic<int> asked{0};
    const Fake fake([&](const HttpdRequest&) {
      if (++asked > 1) return lines("{\"status\":\"done\"}\n");
      auto no = message(429, c.words);
      if (*c.header != '\0') no.headers.emplace_back("Retry-After", c.header);
      return no;
    });
    const auto engine = fake.connect();
    ASSERT_TRUE(engine);
    auto options = once();
    options.retries = {.tries = 2, .first_wait = Seconds(0)};
    std::vector<double> waits;
    options.will_retry = [&](const Error&, Seconds wait) { waits.push_back(wait.count()); };
    const auto pulled = pull_image(**engine, "a/b:1", options, within(30));
    EXPECT_TRUE(pulled) << pulled.error();
    EXPECT_THAT(waits, ::testing::ElementsAre(::testing::DoubleNear(c.wait, 1e-9)));
  }
  const Fake fake([](const HttpdRequest&) { return message(429, "toomanyrequests: retry-after: 6h"); });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  auto options = once();
  options.retries.tries = 5;
  options.will_retry = [](const Error&, Seconds) { ADD_FAILURE() << "six hours are too long"; };
  const auto pulled = pull_image(**engine, "a/b:1", options, within(30));
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().cause, HasSubstr("it asks to wait 6 h"));
}

TEST(Pull, ARetryEndsWithItsCancel) {
  const Fake fake([](const HttpdRequest&) { return message(429, "toomanyrequests: retry-after: 300s"); });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  Cancel cancel;
  auto options = once();
  options.retries.tries = 5;
  options.will_retry = [&](const Error&, Seconds) { cancel.request(); };
  const auto pulled = pull_image((*engine)->with(cancel), "a/b:1", options, within(3600));
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, Errc::closed) << pulled.error();
}

TEST(Pull, SendsNameTagPlatformAndAuth) {
  HttpdRequest seen;
  const Fake fake([&](const HttpdRequest& request) {
    seen = request;
    return lines("{\"status\":\"Status: Downloaded newer image\"}\n");
  });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  const auto query = [&](std::string_view name) {
    for (const auto& [key, value] : seen.query) {
      if (key == name) return value;
    }
    return std::string("-");
  };
  ASSERT_TRUE(pull_image(**engine, "host:5000/a/b", {.platform = "linux/arm64", .registry_auth = "e30="}, within(10)));
  EXPECT_EQ(query("fromImage"), "host:5000/a/b");
  EXPECT_EQ(query("tag"), "latest");
  EXPECT_EQ(query("platform"), "linux/arm64");
  EXPECT_EQ(seen.header("X-Registry-Auth"), "e30=");
  ASSERT_TRUE(pull_image(**engine, "a@sha256:00ff", {}, within(10)));
  EXPECT_EQ(query("fromImage"), "a@sha256:00ff");
  EXPECT_EQ(query("tag"), "-");
  EXPECT_EQ(seen.header("X-Registry-Auth"), std::nullopt);
}

TEST(ImageLock, IsHeldByOneAtATimeAndNamedByEngineAndImage) {
  const testing::TestFolder cache;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  const Fake fake([](const HttpdRequest&) { return message(404, "nothing"); });
  auto engine = fake.connect();
  ASSERT_TRUE(engine);
  auto first = lock_image(**engine, scope, "a/b:1", within(20));
  ASSERT_TRUE(first) << first.error();
  EXPECT_TRUE(lock_image(**engine, scope, "a/b:2", within(20)));
  bool waited = false;
  const auto second = lock_image(**engine, scope, "a/b:1", Deadline::in(Seconds(0.01)), [&] { waited = true; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::timed_out) << second.error();
  EXPECT_TRUE(waited);
  first->reset();
  EXPECT_TRUE(lock_image(**engine, scope, "a/b:1", within(20)));
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(EngineWithACancel, EndsItsCallsAndNobodyElses) {
  std::atomic<int> waiting{0};
  const Fake fake([&](const HttpdRequest& request) {
    if (request.method == "DELETE") return HttpdResponse{.status = 204};
    ++waiting;
    return HttpdResponse{.body = "{}", .delay = std::chrono::hours(1)};
  });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine) << engine.error();
  Cancel cancel;
  const Engine ours = (*engine)->with(cancel);
  Result<EngineReply> reply;
  auto thread = Thread::start(scope, "call", [&] { reply = ours.call("GET", "/x", "", within(3600)); });
  ASSERT_TRUE(thread) << thread.error();
  EXPECT_TRUE(testing::eventually([&] { return waiting == 1; }));
  cancel.request();
  thread->join();
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Errc::closed) << reply.error();
  const auto later = ours.call("GET", "/y", "", within(3600));
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Errc::closed) << later.error();
  // What is given back, and what others ask, is not touched.
  EXPECT_TRUE(remove_container(ours, "abc", within(30)));
  EXPECT_TRUE((*engine)->call("DELETE", "/z", "", within(30)));
}

TEST(UniqueContainer, WhoseCreationHasNoAnswerIsTakenBackByName) {
  std::mutex mutex;
  std::vector<std::string> removed;
  const Fake fake([&](const HttpdRequest& request) {
    if (request.method == "POST") return HttpdResponse{.hang_up = true};
    const std::lock_guard lock(mutex);
    removed.push_back(request.method + " " + request.path);
    return HttpdResponse{.status = 204};
  });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  const auto made = UniqueContainer::create(**engine, scope, {.image = "x", .name = "awm-here"}, within(10));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::lost);
  EXPECT_THAT(removed, ::testing::ElementsAre("DELETE /v1.41/containers/awm-here"));
}

}  // namespace
}  // namespace awm
