// A cancel ends its owner's waits: each enlisted action runs once, or not at all.
#include "os/cancel.h"

#include "os/spawn.h"
#include "os/thread.h"
#include "support/support.h"

namespace awm {
namespace {

const Scope scope{"test/cancel"};

TEST(Cancel, RunsWhatIsEnlistedOnce) {
  Cancel cancel;
  int first = 0;
  int second = 0;
  int late = 0;
  const auto guard = cancel.enlist([&] { ++first; });
  {
    const auto gone = cancel.enlist([&] { ++second; });
  }
  EXPECT_FALSE(cancel.requested());
  cancel.request();
  cancel.request();
  EXPECT_TRUE(cancel.requested());
  const auto after = cancel.enlist([&] { ++late; });
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
  EXPECT_EQ(late, 1);
}

TEST(Cancel, GuardsCanBeMoved) {
  Cancel cancel;
  int runs = 0;
  Cancel::Guard kept;
  {
    auto guard = cancel.enlist([&] { ++runs; });
    kept = std::move(guard);
  }
  cancel.request();
  EXPECT_EQ(runs, 1);
  kept.reset();
}

TEST(Cancel, EndsAProcessAndWhatItStarted) {
  auto spawner = Spawner::create(scope);
  ASSERT_TRUE(spawner) << spawner.error();
  const testing::TestFolder folder;
  Cancel cancel;
  Result<ProcessOutput> done;
  auto thread = Thread::start(scope, "run", [&] {
    done = run_process(**spawner, scope,
                       {.argv = {"sh", "-c", "(sleep 3600; true) & echo here > began; wait"},
                        .environment = {"PATH=/usr/bin:/bin"},
                        .folder = folder.path()},
                       Deadline::never(), nullptr, {}, 1000, &cancel);
  });
  ASSERT_TRUE(thread) << thread.error();
  EXPECT_TRUE(testing::eventually([&] { return testing::path_exists(folder / "began"); }));
  cancel.request();
  // The pipe's end is held by the grandchild: this returns because that was ended, too.
  thread->join();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::closed) << done.error();
  EXPECT_EQ(Ledger::process().count(ResourceKind::child, scope.path()), 0U);
}

}  // namespace
}  // namespace awm
