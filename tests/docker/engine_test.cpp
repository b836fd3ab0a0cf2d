// Against the real engine.
#include "docker/docker_support.h"
#include "os/thread.h"

namespace awm {
namespace {

using testing::docker_engine;
using ::testing::HasSubstr;

const Scope scope{"test/docker"};

Deadline within(int seconds) {
  return Deadline::in(Seconds(seconds));
}

TEST(Engine, SaysWhatItIs) {
  REQUIRE_DOCKER();
  const auto& version = docker_engine()->version();
  EXPECT_EQ(version.os, "linux");
  EXPECT_FALSE(version.engine.empty());
  EXPECT_TRUE(docker_engine()->speaks(1, 40)) << version.api;
}

TEST(Engine, HoldsNoDescriptorBetweenCalls) {
  REQUIRE_DOCKER();
  const auto before = testing::open_descriptors();
  for (int i = 0; i < 3; ++i) {
    const auto list = list_containers(*docker_engine(), {"dev.awm.nothing-has-this"}, within(20));
    ASSERT_TRUE(list) << list.error();
    EXPECT_TRUE(list->empty());
  }
  EXPECT_EQ(testing::open_descriptors(), before);
}

TEST(Engine, RefusesInItsOwnWords) {
  REQUIRE_DOCKER();
  const auto state = inspect_container(*docker_engine(), "awm-no-such-container", within(20));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, Errc::not_found);
  EXPECT_EQ(state.error().http_status, 404);
  EXPECT_THAT(state.error().message(), HasSubstr("No such container: awm-no-such-container"));
  const auto made =
      create_container(*docker_engine(), {.image = "awm-no-such-image:1", .entrypoint = {"x"}}, within(20));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::not_found);
  EXPECT_THAT(made.error().object, HasSubstr("awm-no-such-image:1"));
}

TEST(Engine, AnswersManyThreadsAtOnce) {
  REQUIRE_DOCKER();
  std::atomic<int> good{0};
  std::vector<Thread> threads;
  for (int i = 0; i < 8; ++i) {
    auto thread = Thread::start(scope, "asks", [&] {
      for (int n = 0; n < 5; ++n) {
        if (inspect_image(*docker_engine(), "awm-no-such-image:1", within(20))) ++good;
      }
    });
    ASSERT_TRUE(thread);
    threads.push_back(*std::move(thread));
  }
  threads.clear();
  EXPECT_EQ(good, 40);
}

TEST(Image, MissingIsNoErrorToLookFor) {
  REQUIRE_DOCKER();
  const auto image = inspect_image(*docker_engine(), "awm-no-such-image:1", within(20));
  ASSERT_TRUE(image) << image.error();
  EXPECT_FALSE(*image);
  EXPECT_TRUE(remove_image(*docker_engine(), "awm-no-such-image:1", within(20)));
}

TEST(Image, IsImportedListedInspectedAndRemoved) {
  REQUIRE_DOCKER();
  const auto name = testing::docker_made_image("listed", {{"a/file", "text"}});
  const auto image = inspect_image(*docker_engine(), name, within(20));
  ASSERT_TRUE(image) << image.error();
  ASSERT_TRUE(*image);
  EXPECT_EQ((*image)->os, "linux");
  EXPECT_EQ((*image)->architecture, docker_engine()->version().architecture);
  const auto list = list_images(*docker_engine(), "awm-test-listed", within(20));
  ASSERT_TRUE(list) << list.error();
  ASSERT_EQ(list->size(), 1U);
  EXPECT_THAT(list->front().tags, ::testing::ElementsAre(name));
  EXPECT_GT(list->front().size, 0U);
  EXPECT_EQ(list->front().id, (*image)->id);
  ASSERT_TRUE(remove_image(*docker_engine(), name, within(20)));
  EXPECT_FALSE(*inspect_image(*docker_engine(), name, within(20)));
}

TEST(Image, APullThatCannotBeIsAnErrorOfTheImage) {
  REQUIRE_DOCKER();
  // Port 9 of this very machine: nobody listens, nothing leaves the host.
  const auto pulled = pull_image(*docker_engine(), "127.0.0.1:9/nobody/nothing:1", {}, within(60));
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, Errc::unavailable) << pulled.error();
  EXPECT_EQ(pulled.error().object, "127.0.0.1:9/nobody/nothing:1");
  EXPECT_FALSE(pulled.error().remedy.empty());
}

}  // namespace
}  // namespace awm
