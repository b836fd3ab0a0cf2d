// Sandboxes in the making that nobody wants any more: an engine that never answers holds them, in a pull or before it.
#include "run/prewarm.h"

#include <atomic>
#include <cstdlib>

#include "base/json.h"
#include "base/text.h"
#include "httpd/server.h"
#include "run/images.h"
#include "sandbox/docker_sandbox.h"
#include "support/support.h"

namespace awm {
namespace {

const Scope scope{"test/prewarm"};

// Answers all but one call, for which it has no end.
class StuckEngine {
 public:
  explicit StuckEngine(std::string stuck_at) : stuck_at_(std::move(stuck_at)) {
    auto server = HttpServer::start(scope, {}, [this](const HttpdRequest& request) { return answer(request); });
    EXPECT_TRUE(server) << server.error();
    server_ = *std::move(server);
    EngineAddress address;
    address.kind = EngineAddress::Kind::tcp;
    address.host = "127.0.0.1";
    address.port = static_cast<uint16_t>(server_->port());
    auto engine = Engine::connect(scope, address, Deadline::in(Seconds(20)));
    EXPECT_TRUE(engine) << engine.error();
    engine_ = *std::move(engine);
  }
  [[nodiscard]] const Engine& engine() const { return *engine_; }
  [[nodiscard]] int stuck() const { return stuck_; }

 private:
  HttpdResponse answer(const HttpdRequest& request) {
    if (request.path == "/version")
      return {.body = R"({"Version":"99","ApiVersion":"1.41","Os":"linux","Arch":"amd64"})"};
    if (contains(request.path, stuck_at_)) {
      ++stuck_;
      return {.body = "{}", .delay = std::chrono::hours(1)};
    }
    return {.status = 404, .body = R"({"message":"no such thing"})"};
  }

  const std::string stuck_at_;
  std::atomic<int> stuck_{0};
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Engine> engine_;
};

class PrewarmerTest : public ::testing::TestWithParam<const char*> {
 protected:
  PrewarmerTest() : engine_(GetParam()) {
    ::setenv("XDG_CACHE_HOME", cache_.path().c_str(), 1);
    stop_ = *Stop::create(scope);
    images_ = std::make_unique<Images>(engine_.engine(), *stop_, scope, ImagesSettings{});
    spawner_ = *Spawner::create(scope);
  }
  ~PrewarmerTest() override { ::unsetenv("XDG_CACHE_HOME"); }
  Result<std::unique_ptr<Sandbox>> make(std::size_t position) {
    DockerSandboxSettings settings;
    settings.image = "somebody/image:" + std::to_string(position);
    settings.hold_image = [this, image = settings.image](Cancel& cancel, Deadline deadline) {
      return images_->hold(image, "linux/amd64", cancel, deadline);
    };
    return make_docker_sandbox(settings, engine_.engine(), *spawner_, *stop_, scope);
  }

  testing::TestFolder cache_;
  StuckEngine engine_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<Images> images_;
};

TEST_P(PrewarmerTest, ClosesWhatIsInTheMaking) {
  Prewarmer prewarmer(scope, [this](std::size_t position) { return make(position); }, Seconds(3600), 4);
  for (std::size_t position = 0; position < 3; ++position) prewarmer.prepare(position);
  ASSERT_TRUE(testing::eventually([&] { return engine_.stuck() == 3; }));
  EXPECT_TRUE(prewarmer.close().clean());
  prewarmer.prepare(3);
  EXPECT_EQ(prewarmer.take(3), nullptr);
  EXPECT_TRUE(prewarmer.close().clean());
  EXPECT_EQ(Ledger::process().entries(scope.path() + "/prewarm").size(), 0U);
}

TEST_P(PrewarmerTest, ForgetsWhatIsInTheMaking) {
  Prewarmer prewarmer(scope, [this](std::size_t position) { return make(position); }, Seconds(3600), 4);
  prewarmer.prepare(0);
  ASSERT_TRUE(testing::eventually([&] { return engine_.stuck() == 1; }));
  prewarmer.forget(0);
  prewarmer.prepare(0);
  EXPECT_EQ(engine_.stuck(), 1);
  EXPECT_EQ(prewarmer.take(0), nullptr);
}

INSTANTIATE_TEST_SUITE_P(At, PrewarmerTest, ::testing::Values("/images/create", "/json"),
                         [](const auto& one) { return std::string(one.param) == "/json" ? "TheLook" : "ThePull"; });

}  // namespace
}  // namespace awm
