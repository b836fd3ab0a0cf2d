// Pulls by the real engine from a registry of ours, good and bad.
#include <atomic>

#include "docker/docker_support.h"
#include "docker/registry.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm {
namespace {

using testing::docker_engine;
using ::testing::HasSubstr;
using testing::Registry;
using testing::tar_of_file;
using Fault = Registry::Fault;

const Scope scope{"test/pull"};

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

// In an engine that sees this machine's loopback; nothing is left there.
class PullTest : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    if (docker_engine()->address().kind != EngineAddress::Kind::unix_socket)
      GTEST_SKIP() << "an engine elsewhere does not see our registry";
  }
  void TearDown() override {
    if (docker_engine() == nullptr) return;
    for (const auto& name : made_) {
      const auto gone = remove_image(*docker_engine(), name, within(60));
      EXPECT_TRUE(gone) << gone.error();
    }
    EXPECT_EQ(from_registry(), 0U);
  }
  // What the engine has from our registry, by tag or by digest.
  std::size_t from_registry() {
    const auto list = list_images(*docker_engine(), registry_.host() + "/awm/*", within(60));
    EXPECT_TRUE(list) << list.error();
    return list ? list->size() : 0;
  }
  // One of its own a test: other tests' layers would be there already.
  std::string put(const std::string& name) {
    made_.push_back(registry_.put(name, {tar_of_file("unique", sys::random_hex(4000))}));
    return made_.back();
  }
  Result<void> pull(const std::string& name, const std::string& auth = "") {
    PullOptions options{.platform = "linux/amd64", .registry_auth = auth};
    options.retries = {.tries = tries_, .first_wait = Seconds(0.01)};
    options.progress = [this](const PullProgress& progress) {
      EXPECT_GE(progress.part, part_);
      part_ = progress.part;
    };
    options.will_retry = [this](const Error&, Seconds) {
      ++retries_;
      part_ = 0;
    };
    return pull_image(*docker_engine(), name, options, within(120));
  }

  Registry registry_;
  std::vector<std::string> made_;
  double part_ = 0;
  int tries_ = 3;
  int retries_ = 0;
};

TEST_F(PullTest, BringsAnImageByItsName) {
  const auto name = put("awm/good:1");
  EXPECT_FALSE(*find_image(*docker_engine(), name, "linux/amd64", within(20)));
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error();
  EXPECT_EQ(part_, 1);
  EXPECT_EQ(from_registry(), 1U);
  const auto found = find_image(*docker_engine(), name, "linux/amd64", within(20));
  ASSERT_TRUE(found && *found) << found.error();
  const auto layers = image_layers(*docker_engine(), name, within(20));
  ASSERT_TRUE(layers) << layers.error();
  ASSERT_EQ(layers->size(), 1U);
  EXPECT_EQ(layers->front().size, 8000U);
  const auto other = find_image(*docker_engine(), name, "linux/arm64", within(20));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::unsupported);
  EXPECT_THAT(other.error().message(), HasSubstr("of linux/amd64, and linux/arm64 is asked for"));
}

TEST_F(PullTest, WhatARegistryRefusesHasAClassAndARemedy) {
  struct Case {
    Fault fault;
    Errc code;
    bool again;
    const char* cause;
    const char* remedy;
  };
  const auto name = put("awm/bad:1");
  tries_ = 2;
  for (const auto& c : {
           Case{Fault::unauthorized, Errc::permission, false, "", "docker login"},
           Case{Fault::missing, Errc::not_found, false, "manifest unknown", "check the image's name"},
           Case{Fault::too_many, Errc::exhausted, true, "toomanyrequests", "wait"},
           Case{Fault::server_error, Errc::unavailable, true, "503", "try again later"},
           Case{Fault::half_layer, Errc::lost, true, "", "broke off"},
           Case{Fault::other_layer, Errc::protocol, true, "verification failed", "other bytes"},
           Case{Fault::other_config, Errc::protocol, true, "verification failed", "other bytes"},
       }) {
    SCOPED_TRACE(c.cause);
    registry_.fail(c.fault);
    retries_ = 0;
    part_ = 0;
    const auto pulled = pull(name);
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, c.code) << pulled.error();
    EXPECT_EQ(pulled.error().object, name);
    EXPECT_EQ(retries_, c.again ? 1 : 0) << pulled.error();
    EXPECT_THAT(pulled.error().cause, HasSubstr(c.cause));
    EXPECT_THAT(pulled.error().remedy, HasSubstr(c.remedy));
    EXPECT_FALSE(*find_image(*docker_engine(), name, "", within(20)));
  }
}

TEST_F(PullTest, ComesThroughWhatPasses) {
  for (const auto fault : {Fault::too_many, Fault::server_error, Fault::half_layer, Fault::other_layer}) {
    const auto name = put("awm/passes-" + std::to_string(static_cast<int>(fault)) + ":1");
    registry_.fail(fault, 2);
    retries_ = 0;
    part_ = 0;
    const auto pulled = pull(name);
    EXPECT_TRUE(pulled) << pulled.error();
    EXPECT_GE(retries_, 1);  // the engine asks more than once a try
  }
}

TEST_F(PullTest, OfManyPlatformsTheOneThatIsAskedFor) {
  made_.push_back(registry_.put_list("awm/many:1", {{"amd64", tar_of_file("a", sys::random_hex(100))},
                                                    {"arm64", tar_of_file("b", sys::random_hex(100))}}));
  const auto name = made_.back();
  ASSERT_TRUE(pull_image(*docker_engine(), name, {.platform = "linux/arm64"}, within(60)));
  EXPECT_EQ((*inspect_image(*docker_engine(), name, within(20)))->architecture, "arm64");
  ASSERT_TRUE(remove_image(*docker_engine(), name, within(60)));
  ASSERT_TRUE(pull_image(*docker_engine(), name, {.platform = "linux/amd64"}, within(60)));
  EXPECT_EQ((*inspect_image(*docker_engine(), name, within(20)))->architecture, "amd64");
  const auto none = registry_.put_list("awm/other:1", {{"s390x", tar_of_file("c", "x")}});
  const auto pulled = pull(none);
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, Errc::not_found) << pulled.error();
}

TEST_F(PullTest, EndsWithItsCancelWhileTheRegistryIsSilent) {
  const auto name = put("awm/silent:1");
  for (const auto fault : {Fault::silent, Fault::silent_layer}) {
    registry_.fail(fault);
    const int before = registry_.manifests() + registry_.layers();
    Cancel cancel;
    const Engine engine = docker_engine()->with(cancel);
    Result<void> pulled;
    auto thread =
        Thread::start(scope, "pull", [&] { pulled = pull_image(engine, name, {.platform = ""}, within(3600)); });
    ASSERT_TRUE(thread) << thread.error();
    const int asked = fault == Fault::silent ? 1 : 2;
    EXPECT_TRUE(testing::eventually([&] { return registry_.manifests() + registry_.layers() >= before + asked; }));
    cancel.request();
    thread->join();
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, Errc::closed) << pulled.error();
  }
}

}  // namespace
}  // namespace awm
