// A run's images: the real engine, and a registry of ours that counts what it is asked for.
#include "run/images.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>

#include "base/text.h"
#include "docker/docker_support.h"
#include "docker/registry.h"
#include "os/file.h"
#include "os/spawn.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm {
namespace {

using testing::docker_engine;
using ::testing::HasSubstr;
using testing::Registry;
using testing::tar_of_file;
using testing::TestFolder;
using Fault = Registry::Fault;

const Scope scope{"test/images"};
constexpr const char* platform = "linux/amd64";
constexpr uint64_t image_size = 8000;  // of each that put() makes

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

class ImagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    if (docker_engine()->address().kind != EngineAddress::Kind::unix_socket)
      GTEST_SKIP() << "an engine elsewhere does not see our registry";
    ::setenv("XDG_CACHE_HOME", cache_.path().c_str(), 1);
    stop_ = *Stop::create(scope);
    auto engine = Engine::connect(scope, docker_engine()->address(), within(20), stop_.get());
    ASSERT_TRUE(engine) << engine.error();
    engine_ = *std::move(engine);
  }
  void TearDown() override {
    if (!engine_) return;
    if (images_) images_->close();
    EXPECT_TRUE(Ledger::process().entries(scope.path() + "/images").empty());
    for (const auto& name : made_) {
      const auto gone = remove_image(*docker_engine(), name, within(60));
      EXPECT_TRUE(gone) << gone.error();
    }
    EXPECT_EQ(from_registry(), 0U);
    ::unsetenv("XDG_CACHE_HOME");
  }
  // What the engine has from our registry, by tag or by digest.
  std::size_t from_registry() {
    const auto list = list_images(*docker_engine(), registry_.host() + "/awm/*", within(60));
    EXPECT_TRUE(list) << list.error();
    return list ? list->size() : 0;
  }

  // A pull that has ended makes room behind it.
  static bool goes(const std::string& name) {
    return testing::eventually([&] { return !is_there(name); });
  }
  // In the registry: "awm/NAME:1", of image_size bytes that no other has.
  std::string put(const std::string& name) {
    made_.push_back(registry_.put("awm/" + name + ":1", {tar_of_file("unique", sys::random_hex(image_size / 2))}));
    return made_.back();
  }
  static bool is_there(const std::string& name) {
    const auto found = inspect_image(*docker_engine(), name, within(60));
    EXPECT_TRUE(found) << found.error();
    return found && found->has_value();
  }
  Images& open(ImagesSettings settings = {}) {
    settings.retries = {.tries = 2, .first_wait = Seconds(0.01)};
    settings.say = [this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      said_ += std::string(line) + "\n";
    };
    images_ = std::make_unique<Images>(*engine_, *stop_, scope, std::move(settings));
    return *images_;
  }
  std::string said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }
  Result<HeldImage> hold(const std::string& name) { return images_->hold(name, platform, cancel_, within(120)); }
  // Held once and given back at once.
  void touch(const std::string& name) {
    const auto held = hold(name);
    EXPECT_TRUE(held) << held.error();
  }
  // A sample of one position from its beginning to its end.
  void work_at(std::size_t position, const std::string& name) {
    images_->begun(position);
    touch(name);
    images_->finished(position);
  }

  TestFolder cache_;
  Registry registry_;
  std::vector<std::string> made_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<Engine> engine_;
  Cancel cancel_;
  std::mutex mutex_;
  std::string said_;
  std::unique_ptr<Images> images_;
};

TEST_F(ImagesTest, AreNotPulledWhereTheyAreThere) {
  const auto name = put("there");
  ASSERT_TRUE(pull_image(*engine_, name, {.platform = platform}, within(60)));
  open({.budget = 1});
  const auto held = hold(name);
  ASSERT_TRUE(held) << held.error();
  EXPECT_EQ(held->info.architecture, "amd64");
  EXPECT_EQ(registry_.layers(), 1);
  EXPECT_EQ(images_->used(), 0U);
}

TEST_F(ImagesTest, ArePulledOnceHoweverManyWait) {
  const auto name = put("wanted");
  registry_.hold_layers(true);
  open();
  constexpr int many = 8;
  std::atomic<int> begun{0};
  std::atomic<int> got{0};
  std::vector<Thread> threads;
  for (int i = 0; i < many; ++i) {
    auto thread = Thread::start(scope, "wants", [&] {
      ++begun;
      const auto held = hold(name);
      if (held && !held->info.id.empty()) ++got;
    });
    ASSERT_TRUE(thread);
    threads.push_back(*std::move(thread));
  }
  EXPECT_TRUE(testing::eventually([&] { return begun == many && registry_.layers() == 1; }));
  EXPECT_EQ(got, 0);
  registry_.hold_layers(false);
  threads.clear();
  EXPECT_EQ(got, many);
  EXPECT_EQ(registry_.layers(), 1);
  EXPECT_EQ(registry_.manifests(), 1);
  EXPECT_EQ(images_->used(), image_size);
  EXPECT_EQ(from_registry(), 1U);
  EXPECT_THAT(said(), HasSubstr("pulling image " + name + "\nimage " + name + ": pulled, "));
}

TEST_F(ImagesTest, ArePulledOnceByManyProcesses) {
  const auto name = put("shared");
  registry_.hold_layers(true);
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(spawner) << spawner.error();
  const std::vector<std::string> environment{"DOCKER_HOST=" + engine_->address().text(),
                                             "XDG_CACHE_HOME=" + cache_.path()};
  constexpr int many = 3;
  std::atomic<int> good{0};
  std::vector<Thread> threads;
  std::vector<std::string> files;
  for (int i = 0; i < many; ++i) {
    files.push_back(cache_ / ("lines-" + std::to_string(i)));
    auto thread = Thread::start(scope, "process", [&, file = files.back()] {
      const auto done = run_process(
          **spawner, scope,
          {.argv = {std::string(AWM_BIN_DIR) + "/image_holder", name, file}, .environment = environment, .folder = ""},
          within(120));
      if (done && done->status.ok()) ++good;
    });
    ASSERT_TRUE(thread);
    threads.push_back(*std::move(thread));
  }
  const auto count = [&](std::string_view what) {
    int sum = 0;
    for (const auto& file : files) sum += exists(file) && contains(testing::read_text(file), what) ? 1 : 0;
    return sum;
  };
  EXPECT_TRUE(testing::eventually([&] { return count("by another process") == many - 1 && registry_.layers() == 1; }));
  registry_.hold_layers(false);
  threads.clear();
  EXPECT_EQ(good, many);
  EXPECT_EQ(registry_.layers(), 1);
  EXPECT_EQ(count(": pulled, "), 1);
}

TEST_F(ImagesTest, NeededLeastSoonAreRemovedForTheBudget) {
  const auto a = put("a");
  const auto b = put("b");
  const auto c = put("c");
  const auto d = put("d");
  open({.budget = 2 * image_size + image_size / 2, .ahead = 0});
  images_->expect({a, b, c, d, a}, platform);
  work_at(0, a);
  work_at(1, b);
  EXPECT_TRUE(is_there(a) && is_there(b));
  images_->begun(2);
  auto held = hold(c);
  ASSERT_TRUE(held) << held.error();
  EXPECT_TRUE(is_there(a)) << "it is needed once more";
  EXPECT_TRUE(goes(b));
  work_at(3, d);
  EXPECT_TRUE(goes(a)) << "all others are in use";
  EXPECT_TRUE(is_there(c) && is_there(d));
  work_at(4, a);
  EXPECT_TRUE(is_there(a) && is_there(c));
  EXPECT_EQ(registry_.layers("awm/a"), 2);
  EXPECT_THAT(said(), HasSubstr("image " + b + ": removed"));
}

TEST_F(ImagesTest, OfALiveSampleStayBetweenItsSandboxes) {
  const auto a = put("live");
  const auto b = put("next");
  open({.budget = 1, .ahead = 0});
  images_->expect({a, b}, platform);
  images_->begun(0);
  touch(a);  // the agent's
  images_->begun(1);
  touch(b);
  EXPECT_TRUE(is_there(a));
  touch(a);  // the judge's
  EXPECT_EQ(registry_.layers("awm/live"), 1);
  images_->finished(0);
  EXPECT_FALSE(is_there(a));
  EXPECT_TRUE(is_there(b));
}

TEST_F(ImagesTest, ThatWereThereBeforeAreNeverRemoved) {
  const auto old = put("old");
  ASSERT_TRUE(pull_image(*engine_, old, {.platform = platform}, within(60)));
  const auto a = put("new-a");
  const auto b = put("new-b");
  open({.budget = 0, .ahead = 0});
  images_->expect({old, a, b}, platform);
  work_at(0, old);
  work_at(1, a);
  work_at(2, b);
  EXPECT_TRUE(is_there(old));
  EXPECT_TRUE(goes(a));
}

TEST_F(ImagesTest, AContainerOfSomebodyElseKeepsItsImage) {
  const auto a = put("borrowed");
  const auto b = put("other");
  open({.budget = 0, .ahead = 0});
  auto held = hold(a);
  ASSERT_TRUE(held) << held.error();
  ContainerSpec spec;
  spec.image = a;
  spec.entrypoint = {"never-started"};
  spec.labels = {{"somebody", "else"}};
  auto container = UniqueContainer::create(*docker_engine(), scope, spec, within(60));
  ASSERT_TRUE(container) << container.error();
  held->lease.reset();
  touch(b);
  EXPECT_TRUE(is_there(a));
  EXPECT_TRUE(container->remove(within(60)));
}

TEST_F(ImagesTest, AllStayWhereTheyAreToBeKept) {
  const auto a = put("kept-a");
  const auto b = put("kept-b");
  open({.budget = 0, .keep = true, .ahead = 0});
  touch(a);
  touch(b);
  EXPECT_TRUE(is_there(a) && is_there(b));
}

TEST_F(ImagesTest, SharedLayersCountOnce) {
  const auto base = tar_of_file("base", sys::random_hex(image_size / 2));
  for (const auto* name : {"one", "two"})
    made_.push_back(registry_.put("awm/" + std::string(name) + ":1", {base, tar_of_file(name, sys::random_hex(500))}));
  open({.ahead = 0});
  for (const auto& name : made_) touch(name);
  EXPECT_EQ(images_->used(), image_size + 2 * 1000);
}

TEST_F(ImagesTest, ThatComeNextAreFetchedAhead) {
  const auto a = put("first");
  const auto b = put("second");
  const auto c = put("third");
  const auto d = put("fourth");
  open({.ahead = 2});
  images_->expect({a, a, b, b, c, d}, platform);
  EXPECT_TRUE(testing::eventually([&] { return is_there(a) && is_there(b); }));
  EXPECT_EQ(registry_.manifests("awm/third"), 0);
  images_->begun(0);
  images_->begun(1);
  EXPECT_TRUE(testing::eventually([&] { return is_there(c); }));
  touch(a);
  images_->close();
  EXPECT_EQ(registry_.layers("awm/first"), 1);
  EXPECT_EQ(registry_.manifests("awm/fourth"), 0);
  EXPECT_THAT(said(), HasSubstr("pulling image " + b + " ahead"));
}

TEST_F(ImagesTest, AreFetchedAheadWhereThereIsRoom) {
  const auto a = put("now");
  const auto b = put("later");
  open({.budget = image_size + image_size / 2, .ahead = 2});
  images_->expect({a, b}, platform);
  EXPECT_TRUE(testing::eventually([&] { return is_there(a); }));
  images_->begun(0);
  touch(a);
  EXPECT_EQ(registry_.manifests("awm/later"), 0);
  EXPECT_TRUE(is_there(a));
  images_->finished(0);
  EXPECT_TRUE(testing::eventually([&] { return is_there(b); }));
  EXPECT_FALSE(is_there(a));
}

TEST_F(ImagesTest, AskedForWhileTheyAreFetchedAheadAreNotPulledTwice) {
  const auto a = put("ahead");
  registry_.hold_layers(true);
  open({.ahead = 1});
  images_->expect({a}, platform);
  EXPECT_TRUE(testing::eventually([&] { return registry_.layers() == 1; }));
  Result<HeldImage> held;
  auto thread = Thread::start(scope, "wants", [&] { held = hold(a); });
  ASSERT_TRUE(thread);
  registry_.hold_layers(false);
  thread->join();
  EXPECT_TRUE(held) << held.error();
  EXPECT_EQ(registry_.layers(), 1);
}

TEST_F(ImagesTest, ThatCannotBeFetchedAheadAreToldWhenTheyAreAskedFor) {
  const auto missing = registry_.host() + "/awm/missing:1";
  const auto a = put("behind");
  open({.ahead = 2});
  images_->expect({missing, a}, platform);
  EXPECT_TRUE(testing::eventually([&] { return is_there(a); }));
  const auto held = hold(missing);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, Errc::not_found) << held.error();
  // Who tries again may be luckier.
  made_.push_back(registry_.put("awm/missing:1", {tar_of_file("x", "found")}));
  touch(missing);
}

TEST_F(ImagesTest, AWaitEndsWithItsCancelAndAPullWithItsLastWait) {
  const auto name = put("silent");
  registry_.fail(Fault::silent);
  open();
  std::array<Cancel, 2> cancels;
  std::array<Result<HeldImage>, 2> held;
  std::array<std::atomic<bool>, 2> ended{};
  std::array<Thread, 2> threads;
  for (std::size_t i = 0; i < 2; ++i) {
    auto thread = Thread::start(scope, "wants", [&, i] {
      held[i] = images_->hold(name, platform, cancels[i], within(3600));
      ended[i] = true;
    });
    ASSERT_TRUE(thread);
    threads[i] = *std::move(thread);
  }
  EXPECT_TRUE(testing::eventually([&] { return registry_.manifests() == 1; }));
  cancels[0].request();
  threads[0].join();
  ASSERT_FALSE(held[0]);
  EXPECT_EQ(held[0].error().code, Errc::closed) << held[0].error();
  EXPECT_FALSE(ended[1]);
  cancels[1].request();
  threads[1].join();
  EXPECT_EQ(held[1].error().code, Errc::closed) << held[1].error();
  // Nobody waits: the next who asks is not tied to what was given up.
  registry_.fail(Fault::none);
  touch(name);
}

TEST_F(ImagesTest, WaitsEndWithTheStop) {
  const auto name = put("stopped");
  registry_.fail(Fault::silent_layer);
  open();
  Result<HeldImage> held;
  auto thread = Thread::start(scope, "wants", [&] { held = images_->hold(name, platform, cancel_, within(3600)); });
  ASSERT_TRUE(thread);
  EXPECT_TRUE(testing::eventually([&] { return registry_.layers() == 1; }));
  stop_->request(StopLevel::cancel);
  thread->join();
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, Errc::stopped) << held.error();
}

TEST_F(ImagesTest, CloseEndsWhatIsFetchedAhead) {
  const auto a = put("a");
  registry_.fail(Fault::silent);
  open({.ahead = 1});
  images_->expect({a}, platform);
  EXPECT_TRUE(testing::eventually([&] { return registry_.manifests() == 1; }));
  images_->close();
  EXPECT_FALSE(is_there(a));
  const auto late = hold(a);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::closed) << late.error();
}

TEST(ImagesOfASlowEngine, CloseDoesNotWaitForARemoval) {
  const TestFolder cache;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  std::mutex mutex;
  std::set<std::string> there;
  std::atomic<int> removals{0};
  auto server = HttpServer::start(scope, {}, [&](const HttpdRequest& request) -> HttpdResponse {
    if (request.path == "/version")
      return {.body = R"({"Version":"99","ApiVersion":"1.41","Os":"linux","Arch":"amd64"})"};
    if (request.method == "DELETE") {
      ++removals;
      return {.body = "[]", .delay = std::chrono::hours(1)};
    }
    const std::lock_guard lock(mutex);
    if (request.method == "POST") {
      there.insert(request.query.front().second);
      return {.body = "{}"};
    }
    if (request.path.ends_with("/history")) return {.body = R"([{"Created":1,"CreatedBy":"x","Size":9}])"};
    for (const auto& name : there) {
      if (contains(request.path, name)) return {.body = R"({"Id":"sha256:1","Os":"linux","Architecture":"amd64"})"};
    }
    return {.status = 404, .body = R"({"message":"no such image"})"};
  });
  ASSERT_TRUE(server) << server.error();
  EngineAddress address;
  address.kind = EngineAddress::Kind::tcp;
  address.host = "127.0.0.1";
  address.port = static_cast<uint16_t>((*server)->port());
  const auto engine = Engine::connect(scope, address, within(20));
  ASSERT_TRUE(engine) << engine.error();
  const auto stop = *Stop::create(scope);
  Images images(**engine, *stop, scope, {.budget = 0, .ahead = 0});
  Cancel cancel;
  EXPECT_TRUE(images.hold("somebody/first:1", platform, cancel, within(60)));
  Result<HeldImage> second;
  auto thread = Thread::start(scope, "wants", [&] {
    second = images.hold("somebody/second:1", platform, cancel, within(3600));  // which needs the room of the first
  });
  ASSERT_TRUE(thread);
  EXPECT_TRUE(testing::eventually([&] { return removals == 1; }));
  images.close();
  thread->join();
  // Had the first pull made the room behind itself, the second did not have to wait for it.
  EXPECT_TRUE(second || second.error().code == Errc::closed) << second.error();
  ::unsetenv("XDG_CACHE_HOME");
}

TEST_F(ImagesTest, OfAnotherPlatformAreAnErrorAndStaySomebodys) {
  made_.push_back(registry_.put("awm/arm:1", {tar_of_file("x", "arm")}, "arm64"));
  const auto& name = made_.back();
  ASSERT_TRUE(pull_image(*engine_, name, {.platform = "linux/arm64"}, within(60)));
  open({.ahead = 0});
  const auto held = hold(name);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, Errc::unsupported) << held.error();
  EXPECT_TRUE(is_there(name));
  // Pulled by us, and of no use.
  ASSERT_TRUE(remove_image(*engine_, name, within(60)));
  const auto pulled = hold(name);
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, Errc::unsupported) << pulled.error();
  EXPECT_FALSE(is_there(name));
}

TEST_F(ImagesTest, AreAskedForAsWhoIsLoggedIn) {
  const auto name = put("private");
  registry_.want(Registry::Login::basic, "user", "word");
  std::atomic<bool> known{false};
  open({.ahead = 0, .login = [&](const std::string& of, Cancel&) -> Result<std::string> {
          EXPECT_EQ(of, name);
          if (!known) return awm::fail(Errc::not_found, "read the login of registry", "x", "no such helper");
          return "eyJ1c2VybmFtZSI6InVzZXIiLCJwYXNzd29yZCI6IndvcmQifQ==";  // {"username":"user","password":"word"}
        }});
  const auto held = hold(name);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, Errc::permission) << held.error();
  EXPECT_THAT(held.error().cause, HasSubstr("no such helper"));
  known = true;
  touch(name);
}

TEST_F(ImagesTest, TellHowAPullGoesOn) {
  const auto name = put("told");
  std::mutex mutex;
  std::vector<std::string> told;
  registry_.fail(Fault::half_layer, 1);
  open({.ahead = 0, .status = [&](std::string_view text) {
          const std::lock_guard lock(mutex);
          told.emplace_back(text);
        }});
  touch(name);
  images_->close();
  ASSERT_GE(told.size(), 2U);
  EXPECT_THAT(told.front(), HasSubstr("pulling image " + name + " "));
  EXPECT_THAT(told.front(), HasSubstr(" %, "));
  EXPECT_EQ(told.back(), "");
  EXPECT_THAT(said(), HasSubstr("; again in "));
}

}  // namespace
}  // namespace awm
