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

TEST(Pull, ErrorsInTheMiddleOfAGoodAnswerAreErrors) {
  struct Case {
    const char* words;
    Errc code;
  };
  for (const auto& c :
       {Case{"toomanyrequests: You have reached your pull rate limit", Errc::exhausted},
        Case{"manifest for a/b:1 not found: manifest unknown: manifest unknown", Errc::not_found},
        Case{"no matching manifest for linux/amd64 in the manifest list entries", Errc::not_found},
        Case{"pull access denied for a/b, repository does not exist or may require 'docker login'", Errc::permission},
        Case{"failed to register layer: write /x: no space left on device", Errc::exhausted},
        Case{"Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
             Errc::unavailable},
        Case{"something else", Errc::io}}) {
    const std::string progress = R"({"status":"Pulling from a/b","id":"1"})"
                                 "\r\n"
                                 R"({"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"abc"})"
                                 "\r\n" +
                                 dump_json(Json{{"errorDetail", {{"message", c.words}}}, {"error", c.words}}) + "\r\n";
    const Fake fake([&](const HttpdRequest&) { return lines(progress); });
    const auto engine = fake.connect();
    ASSERT_TRUE(engine);
    std::vector<std::string> told;
    const auto pulled = pull_image(**engine, "a/b:1",
                                   {.platform = "linux/amd64",
                                    .registry_auth = "",
                                    .progress = [&](std::string_view line) { told.emplace_back(line); }},
                                   within(10));
    ASSERT_FALSE(pulled) << c.words;
    EXPECT_EQ(pulled.error().code, c.code) << pulled.error();
    EXPECT_EQ(pulled.error().object, "a/b:1");
    EXPECT_THAT(pulled.error().cause, HasSubstr(c.words));
    EXPECT_THAT(told, ::testing::ElementsAre("1 Pulling from a/b", HasSubstr("abc Downloading 5 B of 10 B")));
  }
}

TEST(Pull, ARefusalAtOnceHasTheSameClasses) {
  const Fake fake(
      [](const HttpdRequest&) { return message(500, "toomanyrequests: You have reached your pull rate limit."); });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  const auto pulled = pull_image(**engine, "a/b:1", {}, within(10));
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, Errc::exhausted);
  EXPECT_THAT(pulled.error().remedy, HasSubstr("log in"));
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
  ASSERT_TRUE(pull_image(**engine, "host:5000/a/b",
                         {.platform = "linux/arm64", .registry_auth = "e30=", .progress = {}}, within(10)));
  EXPECT_EQ(query("fromImage"), "host:5000/a/b");
  EXPECT_EQ(query("tag"), "latest");
  EXPECT_EQ(query("platform"), "linux/arm64");
  EXPECT_EQ(seen.header("X-Registry-Auth"), "e30=");
  ASSERT_TRUE(pull_image(**engine, "a@sha256:00ff", {}, within(10)));
  EXPECT_EQ(query("fromImage"), "a@sha256:00ff");
  EXPECT_EQ(query("tag"), "-");
  EXPECT_EQ(seen.header("X-Registry-Auth"), std::nullopt);
}

TEST(EnsureImage, PullsOnceForManyThatWantItAtATime) {
  const testing::TestFolder cache;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  std::atomic<int> pulls{0};
  std::atomic<bool> there{false};
  const Fake fake([&](const HttpdRequest& request) {
    if (request.path.find("/images/create") != std::string::npos) {
      ++pulls;
      there = true;
      return lines("{\"status\":\"done\"}\n");
    }
    if (!there) return message(404, "No such image");
    return HttpdResponse{.body = R"({"Id":"sha256:1","Os":"linux","Architecture":"amd64"})"};
  });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  std::vector<Thread> threads;
  std::atomic<int> got{0};
  for (int i = 0; i < 4; ++i) {
    auto thread = Thread::start(scope, "wants", [&] {
      const auto image = ensure_image(**engine, scope, "a/b:1", {.platform = "linux/amd64"}, true, within(30));
      if (image && image->id == "sha256:1") ++got;
    });
    ASSERT_TRUE(thread);
    threads.push_back(*std::move(thread));
  }
  threads.clear();
  EXPECT_EQ(got, 4);
  EXPECT_EQ(pulls, 1);
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(EnsureImage, OfAnotherPlatformIsPulledForOursElseRefused) {
  const testing::TestFolder cache;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  const Fake fake([&](const HttpdRequest& request) {
    if (request.path.find("/images/create") != std::string::npos)
      return lines("{\"error\":\"no matching manifest for linux/amd64 in the manifest list entries\"}\n");
    return HttpdResponse{.body = R"({"Id":"sha256:1","Os":"linux","Architecture":"arm64"})"};
  });
  const auto engine = fake.connect();
  ASSERT_TRUE(engine);
  const auto refused = ensure_image(**engine, scope, "a/b:1", {.platform = "linux/amd64"}, true, within(30));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::not_found);
  EXPECT_THAT(refused.error().message(), HasSubstr("linux/arm64"));
  const auto here = ensure_image(**engine, scope, "a/b:1", {.platform = "linux/amd64"}, false, within(30));
  ASSERT_FALSE(here);
  EXPECT_EQ(here.error().code, Errc::unsupported);
  EXPECT_TRUE(ensure_image(**engine, scope, "a/b:1", {.platform = "linux/arm64"}, false, within(30)));
  EXPECT_TRUE(ensure_image(**engine, scope, "a/b:1", {}, false, within(30)));
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
