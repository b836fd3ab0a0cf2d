#include "run/loop.h"

#include <atomic>
#include <map>
#include <set>

#include "run/learned.h"
#include "support/support.h"

namespace awm {
namespace {

const Scope scope("test/loop");

// Snapshots are told apart by their address: number n is the memory after n commits.
class LoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto stop = Stop::create(scope);
    ASSERT_TRUE(stop) << stop.error();
    stop_ = *std::move(stop);
    made_.push_back(std::make_shared<const Learned>());
  }

  LoopHooks hooks() {
    return LoopHooks{.work =
                         [this](std::size_t position, const LearnedPtr& memory, std::size_t) {
                           const std::lock_guard lock(mutex_);
                           seen_[position] = memory;
                           return LoopStep::done;
                         },
                     .commit = [this](std::size_t position) -> Result<LearnedPtr> {
                       const std::lock_guard lock(mutex_);
                       commits_.push_back(position);
                       made_.push_back(std::make_shared<const Learned>());
                       return made_.back();
                     },
                     .admit = [](std::size_t) { return Admission::go; }};
  }

  // Which snapshot a position saw.
  std::size_t saw(std::size_t position) {
    for (std::size_t n = 0; n < made_.size(); ++n) {
      if (made_[n] == seen_.at(position)) return n;
    }
    return SIZE_MAX;
  }

  std::mutex mutex_;
  std::unique_ptr<Stop> stop_;
  std::vector<LearnedPtr> made_;
  std::map<std::size_t, LearnedPtr> seen_;
  std::vector<std::size_t> commits_;
};

TEST_F(LoopTest, WhatAPositionSeesDependsOnTheLagAlone) {
  for (const std::size_t lag : {1, 3, 8}) {
    for (const std::size_t workers : {1, 2, 8}) {
      made_.resize(1);
      seen_.clear();
      commits_.clear();
      Loop loop(scope, *stop_, {.workers = workers, .lag = lag}, hooks(), {made_[0]});
      const auto outcome = loop.run(50);
      ASSERT_TRUE(outcome) << outcome.error();
      EXPECT_EQ(outcome->committed, 50U);
      EXPECT_FALSE(outcome->stopped);
      for (std::size_t p = 0; p < 50; ++p) {
        EXPECT_EQ(commits_[p], p);
        EXPECT_EQ(saw(p), p + 1 > lag ? p + 1 - lag : 0) << "position " << p << ", lag " << lag;
      }
    }
  }
}

TEST_F(LoopTest, AResumedLoopSeesTheMemoryFromBeforeItsStart) {
  std::deque<LearnedPtr> history;
  for (int i = 0; i < 3; ++i) {
    made_.push_back(std::make_shared<const Learned>());
    history.push_back(made_.back());
  }
  Loop loop(scope, *stop_, {.workers = 2, .lag = 3}, hooks(), history);
  ASSERT_TRUE(loop.run(5));
  // made_[3] is the newest at the start; position 0 sees the one two commits before it.
  EXPECT_EQ(saw(0), 1U);
  EXPECT_EQ(saw(1), 2U);
  EXPECT_EQ(saw(2), 3U);
  EXPECT_EQ(saw(3), 4U);
}

TEST_F(LoopTest, AtMostLagPositionsAreBegunAndNotCommitted) {
  std::atomic<std::size_t> begun{0};
  std::atomic<std::size_t> committed{0};
  std::atomic<std::size_t> most{0};
  auto mine = hooks();
  mine.work = [&](std::size_t, const LearnedPtr&, std::size_t) {
    const std::size_t live = ++begun - committed.load();
    std::size_t before = most.load();
    while (before < live && !most.compare_exchange_weak(before, live)) {
    }
    return LoopStep::done;
  };
  mine.commit = [&](std::size_t) -> Result<LearnedPtr> {
    ++committed;
    return nullptr;
  };
  Loop loop(scope, *stop_, {.workers = 8, .lag = 4}, mine, {});
  ASSERT_TRUE(loop.run(300));
  EXPECT_LE(most.load(), 4U + 1U);  // the count of commits may lag behind by the one in hand
}

TEST_F(LoopTest, ADrainLetsLiveOnesFinishAndCommitsThem) {
  auto mine = hooks();
  mine.work = [&](std::size_t position, const LearnedPtr&, std::size_t) {
    if (position == 4) stop_->request(StopLevel::drain);
    return LoopStep::done;
  };
  Loop loop(scope, *stop_, {.workers = 2, .lag = 2}, mine, {});
  const auto outcome = loop.run(100);
  ASSERT_TRUE(outcome) << outcome.error();
  EXPECT_TRUE(outcome->stopped);
  EXPECT_GE(outcome->committed, 5U);
  EXPECT_LE(outcome->committed, 6U);
}

TEST_F(LoopTest, AnAbandonedPositionEndsTheCommitsThere) {
  auto mine = hooks();
  mine.work = [&](std::size_t position, const LearnedPtr&, std::size_t) {
    return position == 3 ? LoopStep::abandoned : LoopStep::done;
  };
  Loop loop(scope, *stop_, {.workers = 4, .lag = 8}, mine, {});
  const auto outcome = loop.run(20);
  ASSERT_TRUE(outcome) << outcome.error();
  EXPECT_TRUE(outcome->stopped);
  EXPECT_EQ(outcome->committed, 3U);
}

TEST_F(LoopTest, AFailedCommitEndsTheRunAndIsTold) {
  auto mine = hooks();
  mine.commit = [&](std::size_t position) -> Result<LearnedPtr> {
    if (position == 2) return fail(Errc::io, "write", "the journal", "disk full");
    return nullptr;
  };
  Loop loop(scope, *stop_, {.workers = 2, .lag = 2}, mine, {});
  const auto outcome = loop.run(20);
  ASSERT_TRUE(outcome) << outcome.error();
  EXPECT_EQ(outcome->committed, 2U);
  ASSERT_TRUE(outcome->problem);
  EXPECT_EQ(outcome->problem->object, "the journal");
}

TEST_F(LoopTest, NobodyBeginsUnlessAdmitted) {
  auto mine = hooks();
  mine.admit = [](std::size_t) { return Admission::end; };
  Loop loop(scope, *stop_, {.workers = 2, .lag = 2}, mine, {});
  const auto outcome = loop.run(20);
  ASSERT_TRUE(outcome) << outcome.error();
  EXPECT_EQ(outcome->committed, 0U);
  EXPECT_TRUE(seen_.empty());
}

TEST_F(LoopTest, NoPositionsIsNoWork) {
  Loop loop(scope, *stop_, {.workers = 2, .lag = 2}, hooks(), {});
  const auto outcome = loop.run(0);
  ASSERT_TRUE(outcome) << outcome.error();
  EXPECT_FALSE(outcome->stopped);
}

}  // namespace
}  // namespace awm
