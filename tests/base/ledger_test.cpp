#include "base/ledger.h"

#include <set>
#include <thread>

#include "support/support.h"

namespace awm {
namespace {

TEST(LedgerTest, AnEntryLivesAsLongAsItsToken) {
  Ledger ledger;
  const Scope scope("run");
  {
    const auto token = ledger.add(ResourceKind::descriptor, 7, "journal", scope.child("sample").child("x"));
    EXPECT_TRUE(ledger.owns(ResourceKind::descriptor, 7));
    EXPECT_FALSE(ledger.owns(ResourceKind::thread, 7));
    const auto entries = ledger.entries();
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries.front().scope, "run/sample/x");
    EXPECT_EQ(entries.front().name, "journal");
    EXPECT_THAT(entries.front().birthplace, ::testing::MatchesRegex(".*ledger_test\\.cpp:[0-9]+"));
  }
  EXPECT_TRUE(ledger.entries().empty());
}

TEST(LedgerTest, AMovedTokenIsOneToken) {
  Ledger ledger;
  const Scope scope("run");
  auto a = ledger.add(ResourceKind::thread, 1, "a", scope);
  auto b = std::move(a);
  EXPECT_FALSE(a.held());  // NOLINT(bugprone-use-after-move): what a moved-from token says
  EXPECT_TRUE(b.held());
  a = ledger.add(ResourceKind::thread, 2, "b", scope);
  b = std::move(a);
  ASSERT_EQ(ledger.entries().size(), 1U);
  EXPECT_EQ(ledger.entries().front().id, 2);
  auto& same = b;
  b = std::move(same);
  EXPECT_TRUE(b.held());
  b.release();
  b.release();
  EXPECT_TRUE(ledger.entries().empty());
}

TEST(LedgerTest, AScopeIsATreeAndNotAPrefixOfNames) {
  Ledger ledger;
  const auto a = ledger.add(ResourceKind::child, 1, "a", Scope("run/sample/a"));
  const auto ab = ledger.add(ResourceKind::child, 2, "ab", Scope("run/sample/ab"));
  const auto deep = ledger.add(ResourceKind::thread, 3, "deep", Scope("run/sample/a/sandbox"));
  EXPECT_EQ(ledger.entries("run/sample/a").size(), 2U);
  EXPECT_EQ(ledger.count(ResourceKind::child, "run/sample/a"), 1U);
  EXPECT_EQ(ledger.count(ResourceKind::child), 2U);
  EXPECT_EQ(ledger.entries("run/sample").size(), 3U);
  EXPECT_TRUE(ledger.entries("run/sampl").empty());
}

TEST(LedgerTest, EntriesComeOldestFirst) {
  Ledger ledger;
  std::vector<Ledger::Token> tokens;
  for (int i = 0; i < 20; ++i) tokens.push_back(ledger.add(ResourceKind::mount, 100 - i, "", Scope("x")));
  const auto entries = ledger.entries();
  for (std::size_t i = 1; i < entries.size(); ++i) EXPECT_LT(entries[i - 1].serial, entries[i].serial);
  EXPECT_EQ(entries.front().id, 100);
}

TEST(LedgerTest, AThingHandedOnChangesItsOwner) {
  Ledger ledger;
  auto token = ledger.add(ResourceKind::temp_folder, 0, "/tmp/x", Scope("a"));
  token.rescope(Scope("b/c"));
  EXPECT_TRUE(ledger.entries("a").empty());
  EXPECT_EQ(ledger.entries("b").size(), 1U);
  token.release();
  token.rescope(Scope("a"));
  EXPECT_TRUE(ledger.entries().empty());
}

TEST(LedgerTest, ManyThreadsKeepOneBook) {
  Ledger ledger;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&ledger, t] {
      for (int i = 0; i < 2000; ++i) {
        auto token = ledger.add(ResourceKind::connection, i, "c", Scope("t" + std::to_string(t)));
        token.rescope(Scope("other"));
        (void)ledger.count(ResourceKind::connection);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(ledger.entries().empty());
}

TEST(LedgerTest, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(ResourceKind::connection); ++i)
    names.insert(to_string(static_cast<ResourceKind>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ResourceKind::connection) + 1);
}

}  // namespace
}  // namespace awm
