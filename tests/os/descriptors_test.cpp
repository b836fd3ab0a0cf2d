#include "os/descriptors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "os/file.h"
#include "os/spawn.h"
#include "os/sys.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;

const Scope scope{"test"};

DescriptorInfo info_of(int fd) {
  const auto list = descriptors_of(sys::pid());
  EXPECT_TRUE(list) << list.error();
  for (const auto& info : *list) {
    if (info.number == fd) return info;
  }
  ADD_FAILURE() << "descriptor " << fd << " is not listed";
  return {};
}

TEST(Descriptors, AreNamedByWhatTheyAre) {
  const testing::TestFolder folder;
  const auto path = folder.write("a.txt", "a");
  const auto file = sys::open(scope, path, sys::Open::read);
  ASSERT_TRUE(file);
  EXPECT_EQ(info_of(file->get()).kind, DescriptorKind::file);
  EXPECT_EQ(info_of(file->get()).target, *sys::realpath(path));
  ASSERT_TRUE(sys::unlink(path));
  EXPECT_EQ(info_of(file->get()).kind, DescriptorKind::deleted_file);

  const auto dir = sys::open(scope, folder.path(), sys::Open::folder);
  ASSERT_TRUE(dir);
  EXPECT_EQ(info_of(dir->get()).kind, DescriptorKind::folder);
  const auto null = sys::open(scope, "/dev/null", sys::Open::read);
  ASSERT_TRUE(null);
  EXPECT_EQ(info_of(null->get()).kind, DescriptorKind::device);
  const auto pipe = sys::pipe(scope, "p");
  ASSERT_TRUE(pipe);
  EXPECT_EQ(info_of(pipe->first.get()).kind, DescriptorKind::pipe);
  const auto pair = sys::socket_pair(scope, "s");
  ASSERT_TRUE(pair);
  EXPECT_EQ(info_of(pair->first.get()).kind, DescriptorKind::unix_socket);
  EXPECT_EQ(info_of(pair->first.get()).target, "unnamed");
  const auto event = sys::event_fd(scope, "e");
  ASSERT_TRUE(event);
  EXPECT_EQ(info_of(event->get()).kind, DescriptorKind::event);
  EXPECT_EQ(info_of(event->get()).target, "eventfd");
}

TEST(Descriptors, SayToWhomAConnectionLeads) {
  const auto listener = sys::listen_loopback(scope, 0);
  ASSERT_TRUE(listener);
  const auto here = "127.0.0.1:" + std::to_string(listener->port);
  EXPECT_EQ(info_of(listener->fd.get()).kind, DescriptorKind::tcp);
  EXPECT_EQ(info_of(listener->fd.get()).target, here + " listening");
  const auto client = sys::connect_loopback(scope, listener->port);
  ASSERT_TRUE(client);
  EXPECT_THAT(info_of(client->get()).target, ::testing::EndsWith(" > " + here + " established"));
}

TEST(Descriptors, OfNoProcessAreAnError) {
  const auto none = descriptors_of(999999999);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(none.error().message(), "look at process 999999999: there is no such process");
}

TEST(Descriptors, OfAnotherUserAreRefusedWithTheRemedy) {
  if (testing::is_root()) GTEST_SKIP() << "root may look at everything";
  const auto other = descriptors_of(1);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::permission);
  EXPECT_THAT(other.error().remedy, HasSubstr("root"));
}

TEST(Descriptors, OfAKindAreCountedTogether) {
  const auto kin = [](std::string target) { return kin_of({.target = std::move(target)}); };
  EXPECT_EQ(kin("/tmp/session-12/events/340.json"), "/tmp/session-#/events/#.json");
  EXPECT_EQ(kin("/tmp/9f86d081884c7d65/feed/face.txt"), "/tmp/#/feed/face.txt");
  EXPECT_EQ(kin("127.0.0.1:4000 > 127.0.0.1:80 established"), "#.#.#.#:# > #.#.#.#:# established");
  EXPECT_EQ(kin("/tmp/a1b"), "/tmp/a#b");
  const auto counts = count_by_kin({{.number = 3, .kind = DescriptorKind::file, .target = "/x/1"},
                                    {.number = 4, .kind = DescriptorKind::file, .target = "/x/22"},
                                    {.number = 5, .kind = DescriptorKind::pipe, .target = "/x/3"}});
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts.at({DescriptorKind::file, "/x/#"}), 2U);
}

TEST(Processes, AreFoundByNameScriptAndOpenFile) {
  const testing::TestFolder folder;
  const auto script = folder.write("leaky_script.sh", "exec 7<\"$1\"; read line\n");
  const auto held = folder.write("held", "x");
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(spawner);
  const auto input = sys::pipe(scope, "input");
  ASSERT_TRUE(input);
  auto child = (*spawner)->spawn(scope, {.argv = {"/bin/sh", script, held},
                                         .environment = {"PATH=/usr/bin:/bin"},
                                         .folder = "",
                                         .stdin_fd = input->first.get()});
  ASSERT_TRUE(child) << child.error();
  EXPECT_TRUE(testing::eventually([&] {
    const auto with = processes_with_file(held);
    return with && with->size() == 1 && with->front().pid == child->pid();
  }));
  const auto named = processes_named("leaky_script.sh");
  ASSERT_TRUE(named);
  ASSERT_EQ(named->size(), 1U);
  EXPECT_EQ(named->front().pid, child->pid());
  EXPECT_THAT(named->front().command, HasSubstr("leaky_script.sh"));
  const auto list = descriptors_of(child->pid());
  ASSERT_TRUE(list);
  EXPECT_THAT(*list, ::testing::Contains(::testing::Field(&DescriptorInfo::target, *sys::realpath(held))));
  child->kill();
  EXPECT_TRUE(processes_named("no program of this name")->empty());
}

}  // namespace
}  // namespace awm
