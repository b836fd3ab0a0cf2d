#include "os/census.h"

#include <gtest/gtest.h>

#include "os/sys.h"

namespace awm {
namespace {

const Scope scope{"test"};

bool names(const std::vector<CensusItem>& items, int fd) {
  for (const auto& item : items) {
    if (item.kind == ResourceKind::descriptor && item.id == fd) return true;
  }
  return false;
}

TEST(Census, CallsUnknownWhatTheLedgerNeverHad) {
  auto pipe = sys::pipe(scope, "p");
  ASSERT_TRUE(pipe);
  const Census before = take_census();
  Ledger empty;
  const Census now = take_census(empty);
  const auto lost = compare_with_ledger(now, &before, empty, {}, {});
  EXPECT_TRUE(names(lost.unknown, pipe->first.get()));
  EXPECT_FALSE(names(compare_with_ledger(now, &before, Ledger::process(), {}, {}).unknown, pipe->first.get()));
}

TEST(Census, DoesNotCallLostWhatIsGivenBackWhileItCompares) {
  auto pipe = sys::pipe(scope, "p");
  ASSERT_TRUE(pipe);
  const int fd = pipe->first.get();
  const Census before = take_census();
  const Census now = take_census();
  pipe->first.reset();  // between the look at the kernel and the comparison
  const auto difference = compare_with_ledger(now, &before, Ledger::process(), {}, {});
  EXPECT_FALSE(names(difference.unknown, fd));
}

TEST(Census, KnowsWhatWasThereBeforeAndWhatALibraryMayHold) {
  auto pipe = sys::pipe(scope, "p");
  ASSERT_TRUE(pipe);
  Ledger empty;
  const Census now = take_census(empty);
  EXPECT_TRUE(compare_with_ledger(now, &now, empty, {}, now.descriptors).unknown.size() <
              compare_with_ledger(now, &now, empty, {}, {}).unknown.size());
  const std::vector<LibraryAllowance> pipes{{ResourceKind::descriptor, "pipe:", 1000, "a library"}};
  EXPECT_FALSE(names(compare_with_ledger(now, &now, empty, pipes, {}).unknown, pipe->first.get()));
}

}  // namespace
}  // namespace awm
