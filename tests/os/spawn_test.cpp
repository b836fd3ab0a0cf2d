// Children, where the kernel or a lack of descriptors leaves no way to watch them.
#include "os/spawn.h"

#include <cerrno>

#include "support/faults.h"
#include "support/support.h"

namespace awm {
namespace {

const Scope scope{"test/spawn"};

class Unwatched : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { fault::inject("pidfd_open", "spawn.cpp", 0, 1000, GetParam()); }
  void TearDown() override { fault::clear(); }
};

TEST_P(Unwatched, AChildsEndIsSeenAllTheSame) {
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(spawner) << spawner.error();
  auto child = (*spawner)->spawn(scope, {.argv = {"/bin/sh", "-c", "exit 7"}});
  ASSERT_TRUE(child) << child.error();
  const auto status = child->wait(Deadline::in(Seconds{60}));
  ASSERT_TRUE(status) << status.error();
  EXPECT_EQ(*status, ExitStatus::exited(7));
}

TEST_P(Unwatched, AChildThatStaysIsTimedOut) {
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(spawner) << spawner.error();
  auto stays = (*spawner)->spawn(scope, {.argv = {"/bin/sh", "-c", "while :; do sleep 1000; done"}});
  ASSERT_TRUE(stays) << stays.error();
  const auto status = stays->wait(Deadline::in(Milliseconds{50}));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::timed_out);
  stays->kill();
}

INSTANTIATE_TEST_SUITE_P(For, Unwatched, ::testing::Values(ENOSYS, EPERM, EMFILE));

}  // namespace
}  // namespace awm
