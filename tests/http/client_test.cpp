// The HTTP client against a real server that behaves and misbehaves.
#include "http/client.h"

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "httpd/server.h"
#include "os/census.h"
#include "os/sys.h"
#include "os/thread.h"
#include "support/faults.h"

namespace awm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

const Scope scope{"test/http"};

HttpdResponse text(std::string body, int status = 200) {
  HttpdResponse response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

// A server's handler waits here until the test lets it go on, or the server closes.
class Gate {
 public:
  void wait_for_arrivals(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= n; });
  }
  void arrive() {
    const std::lock_guard lock(mutex_);
    ++arrived_;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
};

// Begins an answer and never goes on with it.
HttpdResponse silence(Gate& gate, std::string first = "") {
  HttpdResponse response;
  response.content_type = "text/plain";
  response.stream = [&gate, first = std::move(first)](HttpdStream& out) {
    if (!first.empty()) out.write(first);
    gate.arrive();
    while (out.pause(1h)) {
    }
    return false;
  };
  return response;
}

class HttpClientTest : public ::testing::Test {
 protected:
  HttpClientTest() {
    auto stop = Stop::create(scope);
    EXPECT_TRUE(stop);
    stop_ = *std::move(stop);
    make_client({});
  }
  void make_client(HttpOptions options) {
    session_.reset();
    client_.reset();
    auto client = HttpClient::create(scope, *stop_, options);
    ASSERT_TRUE(client) << client.error();
    client_ = *std::move(client);
    session_ = client_->open_session(scope.child("session"));
  }
  void serve(HttpdHandler handler, HttpdOptions options = {}) {
    auto server = HttpServer::start(scope, options, std::move(handler));
    ASSERT_TRUE(server) << server.error();
    server_ = *std::move(server);
  }
  [[nodiscard]] HttpRequest get(const std::string& path = "/") const {
    HttpRequest request;
    request.url = server_->url() + path;
    return request;
  }
  Result<HttpResponse> send(const HttpRequest& request) { return session_->send(request); }

  Gate gate_;  // the server's threads use it to their end
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<HttpSession> session_;
};

TEST_F(HttpClientTest, SendsMethodHeadersAndBodyAndReadsTheAnswer) {
  HttpdRequest seen;
  serve([&](const HttpdRequest& request) {
    seen = request;
    auto response = text("made", 201);
    response.headers.emplace_back("X-Thing", "  a: b ");
    return response;
  });
  const std::string body(3'000'000, 'x');
  HttpRequest request = get("/v1/things?a=1");
  request.method = "POST";
  request.headers = {"X-One: 1", "Content-Type: application/json"};
  request.body = body;
  const auto answer = send(request);
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "made");
  EXPECT_EQ(answer->header("x-thing"), "a: b");
  EXPECT_EQ(answer->header("absent"), "");
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/v1/things");
  EXPECT_EQ(seen.body, body);
  EXPECT_EQ(seen.header("x-one"), "1");
  EXPECT_EQ(seen.header("content-type"), "application/json");
  EXPECT_EQ(seen.header("expect"), std::nullopt);
  EXPECT_EQ(seen.header("user-agent"), "awm");
}

TEST_F(HttpClientTest, KeepsConnectionsAliveAndSharesThemAmongSessions) {
  serve([](const HttpdRequest&) { return text("x"); });
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(get()));
  const auto other = client_->open_session(scope.child("other"));
  ASSERT_TRUE(other->send(get()));
  EXPECT_EQ(server_->counters().connections, 1U);
  const auto counters = client_->counters();
  EXPECT_EQ(counters.requests, 6U);
  EXPECT_EQ(counters.connections, 1U);
  EXPECT_EQ(counters.open_connections, 1U);
  EXPECT_EQ(counters.sessions, 2U);
  EXPECT_EQ(counters.in_flight, 0U);
}

TEST_F(HttpClientTest, EveryConnectionIsOnTheLedger) {
  serve([](const HttpdRequest&) { return text("x"); });
  const auto before = Ledger::process().count(ResourceKind::descriptor, scope.path());
  ASSERT_TRUE(send(get()));
  // The server's end of it is on the ledger too.
  EXPECT_EQ(Ledger::process().count(ResourceKind::descriptor, scope.path()), before + 2);
}

TEST_F(HttpClientTest, WhatTheLibraryOwnsIsWithinWhatIsDeclared) {
  client_->close();
  const Census before = take_census();
  std::vector<CensusItem> inherited = before.descriptors;
  inherited.insert(inherited.end(), before.threads.begin(), before.threads.end());
  make_client({});
  serve([](const HttpdRequest&) { return text("x"); });
  HttpRequest by_name = get();
  by_name.url.replace(by_name.url.find("127.0.0.1"), 9, "localhost");
  ASSERT_TRUE(send(by_name));
  const auto unknown = [&](const std::vector<LibraryAllowance>& allowances) {
    return compare_with_ledger(take_census(), nullptr, Ledger::process(), allowances, inherited).unknown;
  };
  EXPECT_TRUE(testing::eventually([&] { return unknown(client_->library_allowances()).empty(); }));
  // Without them, what libcurl owns is there to be seen.
  EXPECT_FALSE(unknown({}).empty());
}

TEST_F(HttpClientTest, TheLastSessionTakesTheIdleConnectionsWithIt) {
  serve([](const HttpdRequest&) { return text("x"); });
  ASSERT_TRUE(send(get()));
  EXPECT_EQ(client_->counters().open_connections, 1U);
  session_->close();
  EXPECT_TRUE(testing::eventually([&] { return client_->counters().open_connections == 0; }));
  // The client goes on for others.
  session_ = client_->open_session(scope);
  ASSERT_TRUE(send(get()));
  EXPECT_EQ(client_->counters().connections, 2U);
}

TEST_F(HttpClientTest, AnyStatusIsAnAnswer) {
  serve([](const HttpdRequest& request) {
    const int status = std::stoi(request.path.substr(1));
    return text(status == 204 ? "" : "said", status);
  });
  for (const int status : {200, 204, 301, 400, 401, 404, 429, 500, 503}) {
    const auto answer = send(get("/" + std::to_string(status)));
    ASSERT_TRUE(answer) << answer.error();
    EXPECT_EQ(answer->status, status);
  }
}

TEST_F(HttpClientTest, RedirectsAreFollowedOnlyWhenAskedTo) {
  serve([](const HttpdRequest& request) {
    if (request.path == "/there") return text("arrived");
    auto response = text("", 302);
    response.headers.emplace_back("Location", request.path == "/loop" ? "/loop" : "/there");
    return response;
  });
  HttpRequest request = get("/here");
  EXPECT_EQ(send(request)->status, 302);
  request.follow_redirects = true;
  const auto followed = send(request);
  ASSERT_TRUE(followed) << followed.error();
  EXPECT_EQ(followed->body, "arrived");
  HttpRequest loop = get("/loop");
  loop.follow_redirects = true;
  EXPECT_EQ(send(loop).error().code, Errc::protocol);
}

TEST_F(HttpClientTest, GivesThePiecesOfAStreamAsTheyCome) {
  std::atomic<int> taken = 0;
  serve([&](const HttpdRequest&) {
    HttpdResponse response;
    response.stream = [&](HttpdStream& out) {
      for (int i = 0; i < 3; ++i) {
        if (!out.write("piece" + std::to_string(i))) return false;
        // The next piece is sent when this one has arrived: nothing was held back.
        while (taken.load() <= i) {
          if (!out.pause(1ms)) return false;
        }
      }
      return true;
    };
    return response;
  });
  std::string all;
  HttpRequest request = get();
  request.on_data = [&](std::string_view bytes) {
    all += bytes;
    ++taken;
    return true;
  };
  const auto answer = send(request);
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(all, "piece0piece1piece2");
  EXPECT_EQ(answer->body, "");
  EXPECT_EQ(taken.load(), 3);
}

TEST_F(HttpClientTest, TheBodyOfARefusalIsNotGivenInPieces) {
  serve([](const HttpdRequest&) { return text("too many", 429); });
  HttpRequest request = get();
  request.on_data = [](std::string_view) {
    ADD_FAILURE() << "a refusal is no stream";
    return true;
  };
  EXPECT_EQ(send(request)->body, "too many");
}

TEST_F(HttpClientTest, ATakerMayEndTheExchange) {
  Gate& gate = gate_;
  serve([&](const HttpdRequest&) { return silence(gate, "enough"); });
  HttpRequest request = get();
  request.on_data = [](std::string_view) { return false; };
  const auto answer = send(request);
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_TRUE(answer->ended_by_caller);
  EXPECT_TRUE(testing::eventually([&] { return client_->counters().open_connections == 0; }));
}

TEST_F(HttpClientTest, TheDeadlineEndsAnExchangeThatIsSilent) {
  Gate& gate = gate_;
  serve([&](const HttpdRequest&) { return silence(gate, "half"); });
  HttpRequest request = get();
  request.deadline = Deadline::in(50ms);
  const auto answer = send(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::timed_out);
  EXPECT_THAT(answer.error().message(), HasSubstr(server_->url()));
}

TEST_F(HttpClientTest, TheDeadlineEndsADripToo) {
  serve([](const HttpdRequest&) {
    auto response = text(std::string(100'000, 'x'));
    response.piece = 1;
    response.piece_pause = 1ms;
    return response;
  });
  HttpRequest request = get();
  request.deadline = Deadline::in(100ms);
  request.quiet_limit = Seconds(60);
  EXPECT_EQ(send(request).error().code, Errc::timed_out);
}

TEST_F(HttpClientTest, QuietEndsAnExchangeWithoutADeadline) {
  Gate& gate = gate_;
  serve([&](const HttpdRequest&) { return silence(gate, "half"); });
  HttpRequest request = get();
  request.quiet_limit = Seconds(0.05);
  const auto answer = send(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::timed_out);
  EXPECT_THAT(answer.error().cause, HasSubstr("nothing came for"));
}

TEST_F(HttpClientTest, ClosingTheSessionEndsWhatIsInFlight) {
  Gate& gate = gate_;
  serve([&](const HttpdRequest&) { return silence(gate); });
  std::optional<Result<HttpResponse>> answer;
  auto caller = Thread::start(scope, "caller", [&] { answer = send(get()); });
  ASSERT_TRUE(caller);
  gate.wait_for_arrivals(1);
  session_->close();
  caller->join();
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().code, Errc::closed);
  EXPECT_TRUE(testing::eventually([&] { return client_->counters().open_connections == 0; }));
  EXPECT_TRUE(session_->closed());
  session_->close();
}

TEST_F(HttpClientTest, ClosingOneSessionLeavesTheOthersAlone) {
  Gate& gate = gate_;
  std::atomic<bool> go = false;
  serve([&](const HttpdRequest& request) {
    if (request.path == "/never") return silence(gate);
    HttpdResponse response;
    response.stream = [&](HttpdStream& out) {
      gate.arrive();
      while (!go.load()) {
        if (!out.pause(1ms)) return false;
      }
      return out.write("whole");
    };
    return response;
  });
  const auto other = client_->open_session(scope.child("other"));
  std::optional<Result<HttpResponse>> cut;
  std::optional<Result<HttpResponse>> whole;
  auto first = Thread::start(scope, "first", [&] { cut = send(get("/never")); });
  auto second = Thread::start(scope, "second", [&] { whole = other->send(get("/whole")); });
  gate.wait_for_arrivals(2);
  session_->close();
  first->join();
  go = true;
  second->join();
  EXPECT_EQ(cut->error().code, Errc::closed);
  ASSERT_TRUE(*whole) << whole->error();
  EXPECT_EQ((*whole)->body, "whole");
}

TEST_F(HttpClientTest, UseAfterCloseIsAnError) {
  serve([](const HttpdRequest&) { return text("x"); });
  session_->close();
  EXPECT_EQ(send(get()).error().code, Errc::closed);
  EXPECT_EQ(session_->sleep_until(Deadline::in(1h)).error().code, Errc::closed);
  auto late = client_->open_session(scope);
  client_->close();
  EXPECT_EQ(late->send(get()).error().code, Errc::closed);
  EXPECT_EQ(client_->open_session(scope)->send(get()).error().code, Errc::closed);
  EXPECT_EQ(server_->counters().requests, 0U);
}

TEST_F(HttpClientTest, ClosingTheClientEndsEverything) {
  Gate& gate = gate_;
  serve([&](const HttpdRequest&) { return silence(gate); });
  std::vector<Thread> callers;
  std::atomic<int> closed = 0;
  for (int i = 0; i < 4; ++i) {
    auto caller = Thread::start(scope, "caller", [&] {
      if (auto answer = send(get()); !answer && answer.error().code == Errc::closed) ++closed;
    });
    ASSERT_TRUE(caller);
    callers.push_back(std::move(*caller));
  }
  gate.wait_for_arrivals(4);
  client_->close();
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(closed.load(), 4);
  EXPECT_EQ(client_->counters().open_connections, 0U);
  client_->close();
}

TEST_F(HttpClientTest, TheStopEndsExchangesAndSleeps) {
  Gate& gate = gate_;
  serve([&](const HttpdRequest&) { return silence(gate); });
  std::optional<Result<HttpResponse>> answer;
  std::optional<Result<void>> slept;
  auto caller = Thread::start(scope, "caller", [&] { answer = send(get()); });
  auto sleeper = Thread::start(scope, "sleeper", [&] { slept = session_->sleep_until(Deadline::in(1h)); });
  gate.wait_for_arrivals(1);
  stop_->request(StopLevel::cancel);
  caller->join();
  sleeper->join();
  EXPECT_EQ(answer->error().code, Errc::stopped);
  EXPECT_EQ(slept->error().code, Errc::stopped);
  EXPECT_EQ(send(get()).error().code, Errc::stopped);
}

TEST_F(HttpClientTest, DrainingEndsNothing) {
  serve([](const HttpdRequest&) { return text("x"); });
  stop_->request(StopLevel::drain);
  EXPECT_TRUE(send(get()));
}

TEST_F(HttpClientTest, NobodyListening) {
  serve([](const HttpdRequest&) { return text("x"); });
  const HttpRequest request = get("/v1/models");
  server_->close();
  const auto answer = send(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::unavailable);
  EXPECT_THAT(answer.error().message(), AllOf(HasSubstr("GET http://127.0.0.1:"), HasSubstr("/v1/models"),
                                              HasSubstr("check that the server runs there")));
}

struct Break {
  const char* name;
  HttpdResponse response;
};

HttpdResponse broken(std::optional<std::size_t> cut_after, bool hang_up, bool reset) {
  auto response = text(std::string(1000, 'x'));
  response.cut_after = cut_after;
  response.hang_up = hang_up;
  response.reset = reset;
  return response;
}

TEST_F(HttpClientTest, ABrokenConnectionIsLost) {
  HttpdResponse now;
  serve([&](const HttpdRequest&) { return now; });
  for (const auto& one : {Break{"cut", broken(10, false, false)}, Break{"cut and reset", broken(10, false, true)},
                          Break{"hung up", broken({}, true, false)}, Break{"reset", broken({}, true, true)}}) {
    now = one.response;
    const auto answer = send(get());
    ASSERT_FALSE(answer) << one.name;
    EXPECT_EQ(answer.error().code, Errc::lost) << one.name << ": " << answer.error();
  }
  now = text("well again");
  EXPECT_EQ(send(get())->body, "well again");
}

TEST_F(HttpClientTest, AnAnswerThatIsNoHttpIsTold) {
  auto listener = sys::listen_loopback(scope, 0);
  ASSERT_TRUE(listener);
  auto server = Thread::start(scope, "no-http", [&] {
    std::array<sys::PollFd, 1> set{sys::PollFd{.fd = listener->fd.get(), .want_read = true}};
    ASSERT_TRUE(sys::poll(set, Deadline::in(20s)));
    auto connection = sys::accept_one(scope, listener->fd.get(), "caller");
    ASSERT_TRUE(connection && *connection);
    std::array<char, 4096> request{};
    set[0].fd = (*connection)->get();
    ASSERT_TRUE(sys::poll(set, Deadline::in(20s)));
    ASSERT_TRUE(sys::recv_some((*connection)->get(), request.data(), request.size()));
    ASSERT_TRUE(sys::send_some((*connection)->get(), "SSH-2.0-OpenSSH_9.2\r\nwho are you?\r\n"));
    set[0].fd = (*connection)->get();
    ASSERT_TRUE(sys::poll(set, Deadline::in(20s)));  // until the client hangs up
  });
  ASSERT_TRUE(server);
  HttpRequest request;
  request.url = "http://127.0.0.1:" + std::to_string(listener->port) + "/";
  const auto answer = send(request);
  server->join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::protocol) << answer.error();
}

TEST_F(HttpClientTest, AnAnswerLargerThanAllowedIsRefused) {
  serve([](const HttpdRequest&) { return text(std::string(100'000, 'x')); });
  HttpRequest request = get();
  request.max_body = 50'000;
  const auto answer = send(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::exhausted);
}

TEST_F(HttpClientTest, BadRequestsAreRefusedBeforeTheyAreSent) {
  serve([](const HttpdRequest&) { return text("x"); });
  for (const auto* url :
       {"", "nonsense", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://127.0.0.1:99999/"}) {
    HttpRequest request;
    request.url = url;
    const auto answer = send(request);
    ASSERT_FALSE(answer) << url;
    EXPECT_THAT(answer.error().code, ::testing::AnyOf(Errc::invalid_input, Errc::unavailable))
        << url << " " << answer.error();
  }
  HttpRequest split = get();
  split.headers = {"X-One: 1\r\nX-Two: 2"};
  EXPECT_EQ(send(split).error().code, Errc::invalid_input);
  EXPECT_EQ(server_->counters().requests, 0U);
}

TEST_F(HttpClientTest, ManyAtOnceShareACappedPool) {
  make_client({.max_connections = 4, .max_connections_a_host = 3});
  serve([](const HttpdRequest& request) { return text(request.path); });
  std::vector<Thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 16; ++i) {
    auto thread = Thread::start(scope, "caller", [&, i] {
      for (int j = 0; j < 10; ++j) {
        const std::string path = "/" + std::to_string(i) + "/" + std::to_string(j);
        if (auto answer = send(get(path)); answer && answer->body == path) ++right;
      }
    });
    ASSERT_TRUE(thread);
    threads.push_back(std::move(*thread));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right.load(), 160);
  EXPECT_LE(client_->counters().most_open, 3U);
  EXPECT_LE(server_->counters().most_live, 3U);
}

TEST_F(HttpClientTest, SessionsComeAndGoWhileOthersWork) {
  serve([](const HttpdRequest&) { return text("x"); });
  std::vector<Thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) {
    auto thread = Thread::start(scope, "owner", [&] {
      for (int j = 0; j < 25; ++j) {
        const auto mine = client_->open_session(scope);
        if (!mine->send(get())) ++wrong;
      }
    });
    ASSERT_TRUE(thread);
    threads.push_back(std::move(*thread));
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(client_->counters().sessions, 1U);
  EXPECT_EQ(Ledger::process().count(ResourceKind::connection, scope.path()), 1U);
}

TEST_F(HttpClientTest, NoSocketLeftIsToldAndPasses) {
  serve([](const HttpdRequest&) { return text("x"); });
  {
    const testing::FaultScope faults;
    fault::inject("socket", "client.cpp", 0, 2, EMFILE);
    const auto answer = send(get());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::exhausted) << answer.error();
  }
  EXPECT_TRUE(send(get()));
}

TEST(HttpUrls, KnowThisMachine) {
  for (const auto* url : {"http://127.0.0.1:80/v1", "http://localhost/", "https://LOCALHOST:1", "http://[::1]:8080/x",
                          "http://127.9.9.9", "http://me:pw@127.0.0.1/"}) {
    EXPECT_TRUE(is_loopback_url(url)) << url;
  }
  for (const auto* url : {"http://127.0.0.1.example.org/", "https://api.openai.com/v1", "http://localhost.example.org",
                          "http://10.0.0.1", "127.0.0.1", "http://127.0.0.1@example.org/"}) {
    EXPECT_FALSE(is_loopback_url(url)) << url;
  }
}

TEST(HttpUrls, ShowNoSecrets) {
  EXPECT_EQ(url_for_people("https://me:secret@host:1/v1/x?key=secret#part"), "https://host:1/v1/x");
  EXPECT_EQ(url_for_people("https://host"), "https://host");
  EXPECT_EQ(url_for_people("nonsense?key=1"), "nonsense");
}

}  // namespace
}  // namespace awm
