#include "httpd/server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "os/census.h"
#include "os/thread.h"
#include "raw_client.h"
#include "support/faults.h"

namespace awm {
namespace {

using test::RawAnswer;
using test::RawClient;
using ::testing::HasSubstr;

const Scope scope{"test/httpd"};

std::unique_ptr<HttpServer> serve(HttpdHandler handler, HttpdOptions options = {}) {
  auto server = HttpServer::start(scope, options, std::move(handler));
  EXPECT_TRUE(server) << server.error().message();
  return server ? std::move(*server) : nullptr;
}

HttpdResponse text(std::string body) {
  return {.content_type = "text/plain", .body = std::move(body)};
}

std::vector<Thread> many(int n, const std::function<void(int)>& body) {
  std::vector<Thread> threads;
  for (int i = 0; i < n; ++i) {
    auto thread = Thread::start(scope, "client", [&body, i] { body(i); });
    EXPECT_TRUE(thread);
    if (thread) threads.push_back(std::move(*thread));
  }
  return threads;
}

TEST(HttpServer, HandsMethodPathQueryHeadersAndBodyToTheHandler) {
  HttpdRequest seen;
  const auto server = serve([&](const HttpdRequest& request) {
    seen = request;
    return text("hello");
  });
  RawClient client(server->port());
  const auto answer = client.post("/v1/x%20y?a=1&b=two", "the body", {{"X-Awm-Purpose", "agent"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.headers.at("content-type"), "text/plain");
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/v1/x y");
  EXPECT_EQ(seen.body, "the body");
  EXPECT_EQ(seen.header("x-awm-purpose"), "agent");
  EXPECT_EQ(seen.header("X-Other"), std::nullopt);
  ASSERT_EQ(seen.query.size(), 2U);
  EXPECT_EQ(seen.query[1].second, "two");
}

TEST(HttpServer, ServesManyRequestsOnOneConnection) {
  const auto server = serve([](const HttpdRequest& request) { return text(request.body); });
  RawClient client(server->port());
  for (int i = 0; i < 300; ++i) EXPECT_EQ(client.post("/", std::to_string(i)).body, std::to_string(i));
  EXPECT_EQ(server->counters().connections, 1U);
  EXPECT_EQ(server->counters().requests, 300U);
}

TEST(HttpServer, TakesALargeBodyAndRefusesALargerOne) {
  const auto server = serve([](const HttpdRequest& request) { return text(std::to_string(request.body.size())); },
                            {.max_body = std::size_t{4} << 20});
  RawClient client(server->port());
  EXPECT_EQ(client.post("/", std::string(std::size_t{4} << 20, 'x')).body, "4194304");
  EXPECT_EQ(RawClient(server->port()).post("/", std::string((std::size_t{4} << 20) + 1, 'x')).status, 413);
}

TEST(HttpServer, AnswersWhatIsNotHttpWith400AndStaysUp) {
  const auto server = serve([](const HttpdRequest&) { return text("ok"); });
  RawClient rude(server->port());
  ASSERT_TRUE(rude.connect());
  ASSERT_TRUE(rude.send("\x01\x02 nonsense\r\n\r\n"));
  EXPECT_EQ(rude.receive().status, 400);
  EXPECT_EQ(RawClient(server->port()).get("/").body, "ok");
}

TEST(HttpServer, StreamsPiecesAsChunks) {
  const auto server = serve([](const HttpdRequest&) {
    return HttpdResponse{.content_type = "text/event-stream", .stream = [](HttpdStream& out) {
                           for (const auto* piece : {"data: 1\n\n", "data: 2\n\n", "data: [DONE]\n\n"}) {
                             if (!out.write(piece)) return false;
                           }
                           return true;
                         }};
  });
  RawClient client(server->port());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.get("/");
    EXPECT_EQ(answer.body, "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n");
    EXPECT_EQ(answer.chunks, 3);
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.headers.at("content-type"), "text/event-stream");
  }
  EXPECT_EQ(server->counters().connections, 1U);
}

TEST(HttpServer, BreaksAStreamHalfWay) {
  const auto server = serve([](const HttpdRequest&) {
    return HttpdResponse{.stream = [](HttpdStream& out) {
      out.write("half");
      return false;
    }};
  });
  RawClient client(server->port());
  const auto answer = client.get("/");
  EXPECT_EQ(answer.body, "half");
  EXPECT_FALSE(answer.complete);
  EXPECT_FALSE(client.connected());
}

TEST(HttpServer, BreaksABodyHalfWay) {
  const auto server = serve([](const HttpdRequest&) { return HttpdResponse{.body = "0123456789", .cut_after = 4}; });
  const auto answer = RawClient(server->port()).get("/");
  EXPECT_EQ(answer.headers.at("content-length"), "10");
  EXPECT_EQ(answer.body, "0123");
  EXPECT_FALSE(answer.complete);
}

TEST(HttpServer, HangsUpWithoutAByteOrWithAReset) {
  std::atomic<bool> reset{false};
  const auto server = serve([&](const HttpdRequest&) { return HttpdResponse{.hang_up = true, .reset = reset}; });
  const auto quiet = RawClient(server->port()).get("/");
  EXPECT_FALSE(quiet.any_byte);
  EXPECT_FALSE(quiet.reset);
  reset = true;
  const auto rude = RawClient(server->port()).get("/");
  EXPECT_FALSE(rude.any_byte);
  EXPECT_TRUE(rude.reset);
}

TEST(HttpServer, DripsABodyOfKnownLength) {
  const auto server = serve([](const HttpdRequest&) {
    return HttpdResponse{.body = "0123456789", .piece = 3, .piece_pause = Milliseconds(1)};
  });
  const auto answer = RawClient(server->port()).get("/");
  EXPECT_EQ(answer.body, "0123456789");
  EXPECT_TRUE(answer.complete);
}

TEST(HttpServer, AHandlerThatThrowsIsA500) {
  const auto server = serve([](const HttpdRequest&) -> HttpdResponse { throw std::runtime_error("a bug"); });
  RawClient client(server->port());
  EXPECT_EQ(client.get("/").status, 500);
  EXPECT_EQ(client.get("/").status, 500);
}

TEST(HttpServer, AnswersConnectionsSideBySide) {
  std::mutex mutex;
  std::condition_variable all_here;
  int here = 0;
  const auto server = serve([&](const HttpdRequest& request) {
    std::unique_lock lock(mutex);
    ++here;
    all_here.notify_all();
    // Answers only once all eight are in the handler: one after the other would never end.
    EXPECT_TRUE(all_here.wait_for(lock, std::chrono::seconds(20), [&] { return here == 8; }));
    return text(request.body);
  });
  std::atomic<int> right{0};
  const std::function<void(int)> one = [&](int i) {
    right += RawClient(server->port()).post("/", std::to_string(i)).body == std::to_string(i) ? 1 : 0;
  };
  many(8, one).clear();
  EXPECT_EQ(right, 8);
  EXPECT_EQ(server->counters().most_live, 8U);
}

TEST(HttpServer, FurtherConnectionsWaitTheirTurn) {
  const auto server = serve([](const HttpdRequest& request) { return text(request.body); }, {.max_connections = 2});
  std::atomic<int> right{0};
  const std::function<void(int)> one = [&](int i) {
    RawClient client(server->port());
    right += client.post("/", std::to_string(i)).body == std::to_string(i) ? 1 : 0;
  };
  many(16, one).clear();
  EXPECT_EQ(right, 16);
  EXPECT_LE(server->counters().most_live, 2U);
}

TEST(HttpServer, ClosingBreaksWhatIsInFlightAndGivesEverythingBack) {
  std::mutex mutex;
  std::condition_variable inside;
  bool in = false;
  bool paused_to_the_end = true;
  auto server = serve([&](const HttpdRequest&) {
    return HttpdResponse{.stream = [&](HttpdStream& out) {
      out.write("first");
      {
        const std::lock_guard lock(mutex);
        in = true;
      }
      inside.notify_all();
      paused_to_the_end = out.pause(std::chrono::hours(1));
      return true;
    }};
  });
  RawClient idle(server->port());
  ASSERT_TRUE(idle.connect());
  RawClient client(server->port());
  ASSERT_TRUE(client.connect());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(inside.wait_for(lock, std::chrono::seconds(20), [&] { return in; }));
  }
  server->close();
  server->close();
  EXPECT_FALSE(paused_to_the_end);
  EXPECT_FALSE(client.receive().complete);
  EXPECT_EQ(Ledger::process().entries("test/httpd").size(), 0U);
  EXPECT_FALSE(RawClient(server->port()).get("/").any_byte);
}

TEST(HttpServer, AClientThatLeavesEndsAPause) {
  const auto server = serve(
      [&](const HttpdRequest& request) {
        HttpdResponse answer = text("ok");
        if (request.path == "/late") answer.delay = std::chrono::hours(1);
        return answer;
      },
      {.max_connections = 1});
  {
    RawClient client(server->port());
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.send("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
  }
  // One connection is allowed: this one is served only because the first has ended.
  EXPECT_EQ(RawClient(server->port()).get("/").body, "ok");
}

TEST(HttpServer, FinishedConnectionsLeaveNothingBehind) {
  const auto server = serve([](const HttpdRequest&) { return text("ok"); }, {.max_connections = 1});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(RawClient(server->port()).get("/").body, "ok");
  EXPECT_EQ(server->counters().connections, 100U);
  // Listener, wake event, at most one connection that has just ended.
  EXPECT_LE(Ledger::process().count(ResourceKind::descriptor, "test/httpd"), 3U);
  EXPECT_LE(Ledger::process().count(ResourceKind::thread, "test/httpd"), 2U);
}

TEST(HttpServer, APortThatIsTakenIsNamed) {
  const auto server = serve([](const HttpdRequest&) { return text("ok"); });
  const auto second = HttpServer::start(scope, {.port = server->port()}, [](const HttpdRequest&) { return text(""); });
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message(), HasSubstr("127.0.0.1:" + std::to_string(server->port())));
  EXPECT_EQ(HttpServer::start(scope, {.port = 70000}, {}).error().code, Errc::invalid_input);
}

TEST(HttpServer, OutOfDescriptorsTheConnectionWaitsInsteadOfBeingLost) {
  const testing::FaultScope faults;
  const auto server = serve([](const HttpdRequest&) { return text("ok"); });
  fault::inject("accept", "httpd/server.cpp", 0, 3, EMFILE);
  EXPECT_EQ(RawClient(server->port()).get("/").body, "ok");
  EXPECT_EQ(server->counters().connections, 1U);
}

TEST(HttpServer, AStartThatFailsLeavesNothing) {
  for (const auto* call : {"listen", "eventfd"}) {
    const int failed = testing::fail_each_call(call, "httpd/server.cpp", EMFILE, [&](int n) {
      const auto server = HttpServer::start(scope, {}, [](const HttpdRequest&) { return text("ok"); });
      EXPECT_EQ(server.has_value(), n < 0);
      if (!server) {
        EXPECT_EQ(server.error().code, Errc::exhausted) << server.error().message();
        EXPECT_EQ(Ledger::process().entries("test/httpd").size(), 0U);
      }
    });
    EXPECT_EQ(failed, 1) << call;
  }
}

TEST(HttpServer, BrokenSocketsEndTheirConnectionAlone) {
  const auto server = serve([](const HttpdRequest& request) { return text(request.body); });
  for (const auto* call : {"recv", "send"}) {
    const int failed = testing::fail_each_call(call, "httpd/server.cpp", ECONNRESET, [&](int n) {
      RawClient client(server->port());
      const auto answer = client.post("/", "the body");
      if (n < 0) {
        EXPECT_EQ(answer.body, "the body");
      }
      client.hang_up();
      fault::clear();
      EXPECT_EQ(RawClient(server->port()).post("/", "another").body, "another");
    });
    EXPECT_GT(failed, 0) << call;
  }
}

}  // namespace
}  // namespace awm
