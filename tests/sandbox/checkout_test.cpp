// The task's repository inside: the files at the commit, its whole history, and nothing later.
#include "sandbox/checkout.h"

#include "base/text.h"
#include "local_support.h"

namespace awm::testing {
namespace {

class CheckoutTest : public LocalTest {
 public:
  void SetUp() override {
    LocalTest::SetUp();
    if (IsSkipped()) return;
    // base is the second of three commits; the third, a branch and a tag are the future.
    host(R"(git init -q repo; cd repo
      echo one > a.txt; mkdir -p sub/deep; printf '#!/bin/sh\necho hi\n' > sub/run.sh; chmod +x sub/run.sh; ln -s a.txt link
      printf '\0\1\2' > bin.dat; git add -A; git commit -qm first; git tag v1 -m 'first one'; git tag light
      echo two > a.txt; git commit -qam second
      git checkout -qb side; echo side > side.txt; git add -A; git commit -qm 'a side branch'; git tag -a side-tag -m side
      git checkout -q trunk; echo three > a.txt; git commit -qam 'the future fix'; git tag v2)");
    base = host("git -C repo rev-parse trunk~1");
    future = host("git -C repo rev-parse trunk");
  }
  [[nodiscard]] LocalSandboxSettings with_repository() const {
    auto some = settings();
    some.repository = *folder / "repo";
    some.base_commit = base;
    return some;
  }
  std::string base;
  std::string future;
};

TEST_F(CheckoutTest, FilesAndHeadAreAtTheBaseCommitAndNothingIsChanged) {
  auto sandbox = connect(with_repository());
  EXPECT_EQ(output(*sandbox, "git rev-parse HEAD"), base);
  EXPECT_EQ(output(*sandbox, "git status --porcelain"), "");
  EXPECT_EQ(output(*sandbox, "git diff-index HEAD"), "");
  EXPECT_EQ(output(*sandbox, "cat a.txt; ./sub/run.sh; readlink link; od -An -tx1 bin.dat"),
            "two\nhi\na.txt\n 00 01 02");
  EXPECT_EQ(output(*sandbox, "git log --format=%s"), "second\nfirst");
  EXPECT_EQ(output(*sandbox, "git describe"), "v1-1-g" + base.substr(0, 7));
  EXPECT_EQ(output(*sandbox, "git fsck --full --strict 2>&1 | grep -v '^notice' || true"), "");
  close(*sandbox);
}

TEST_F(CheckoutTest, NoFutureCommitIsToBeFound) {
  auto sandbox = connect(with_repository());
  EXPECT_EQ(output(*sandbox, "git for-each-ref --format='%(refname)'"),
            "refs/heads/main\nrefs/tags/light\nrefs/tags/v1");
  EXPECT_EQ(output(*sandbox, "git remote; git reflog; git stash list"), "");
  EXPECT_EQ(output(*sandbox, "git rev-list --all --count"), "2");
  EXPECT_NE(run(*sandbox, "git cat-file -e " + future).status, ExitStatus::exited(0));
  // Every object that is there at all, reachable or not.
  EXPECT_EQ(output(*sandbox, "git cat-file --batch-all-objects --batch-check | grep -c commit"), "2");
  EXPECT_EQ(output(*sandbox,
                   "git grep -l 'three\\|side' $(git cat-file --batch-all-objects --batch-check |"
                   " sed -n 's/ tree .*//p') | wc -l"),
            "0");
  EXPECT_NE(run(*sandbox, "ls -d " + folder->path() + "/repo").status, ExitStatus::exited(0));
  close(*sandbox);
}

TEST_F(CheckoutTest, WorkInOneSandboxIsNotSeenInTheNext) {
  auto first = connect(with_repository());
  output(*first,
         "echo changed > a.txt; rm -r sub; mkdir sub; echo new > sub/new; git add -A; git commit -qm mine; git gc -q");
  EXPECT_EQ(output(*first, "git log --format=%s | head -1; ls sub"), "mine\nnew");
  close(*first);
  auto second = connect(with_repository());
  EXPECT_EQ(output(*second, "git rev-parse HEAD; git status --porcelain; cat a.txt"), base + "\ntwo");
  close(*second);
}

TEST_F(CheckoutTest, TwoAtOnceShareACheckoutAndNothingElse) {
  auto first = connect(with_repository());
  auto second = connect(with_repository());
  output(*first, "echo mine > a.txt; echo x > /tmp/x; echo y > ~/y");
  EXPECT_EQ(output(*second, "cat a.txt; ls /tmp ~"), "two\n/home/awm:\n\n/tmp:");
  close(*first);
  close(*second);
}

TEST_F(CheckoutTest, ABareRepositoryWorktreeAndAShallowCloneServeAsWell) {
  host(
      "git clone -q --bare repo bare.git; git -C repo worktree add -q ../tree side;"
      "git clone -q --depth 1 --no-local file://$PWD/repo -b trunk shallow 2>/dev/null");
  auto some = with_repository();
  for (const auto* name : {"bare.git", "tree"}) {
    some.repository = *folder / name;
    some.cache_folder = *folder / (std::string("cache-") + name);
    auto sandbox = connect(some);
    EXPECT_EQ(output(*sandbox, "git rev-parse HEAD; git rev-list --count HEAD; git status --porcelain"), base + "\n2")
        << name;
    close(*sandbox);
  }
  some.repository = *folder / "shallow";
  some.base_commit = future;
  auto sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "git rev-parse HEAD; git rev-list --count HEAD; cat a.txt"), future + "\n1\nthree");
  close(*sandbox);
  // What the shallow clone lacks does not spoil the whole one's entry.
  some.repository = *folder / "repo";
  auto whole = connect(some);
  EXPECT_EQ(output(*whole, "git rev-list --count HEAD"), "3");
  close(*whole);
}

// git's own way is to make temporary files in the source and rename them into place.
TEST_F(CheckoutTest, ASourceOnAnotherFileSystemServesAndIsNotWrittenTo) {
  if (host("[ -w /dev/shm ] && stat -c %d . /dev/shm | sort -u | wc -l || true") != "2")
    GTEST_SKIP() << "/dev/shm and the temporary folder are one file system here";
  struct Elsewhere {
    std::string path;
    ~Elsewhere() { (void)remove_tree(path); }
  };
  const Elsewhere elsewhere{host("mktemp -d /dev/shm/awm-test-XXXXXX")};
  const auto source = elsewhere.path + "/a:b \"repo\"";
  host("mv repo " + shell_quote(source) + "; chmod -R a-w " + shell_quote(source + "/.git/objects"));
  auto some = with_repository();
  some.repository = source;
  auto sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "git rev-parse HEAD; git describe; git status --porcelain"),
            base + "\nv1-1-g" + base.substr(0, 7));
  close(*sandbox);
  host("chmod -R u+w " + shell_quote(source));
  EXPECT_EQ(host("find " + shell_quote(source + "/.git/objects") + " -name 'tmp_*'"), "");
}

TEST_F(CheckoutTest, TheCheckoutIsMadeOnce) {
  auto first = connect(with_repository());
  close(*first);
  // From the cache alone: the repository itself is not asked any more.
  host("mv repo elsewhere");
  auto second = connect(with_repository());
  EXPECT_EQ(output(*second, "git rev-parse HEAD; cat a.txt"), base + "\ntwo");
  close(*second);
  EXPECT_EQ(host("ls cache/checkouts | wc -l; find cache/building cache/live -mindepth 1"), "1");
}

TEST_F(CheckoutTest, WhatIsMissingIsNamedWithARemedy) {
  auto some = with_repository();
  some.base_commit = std::string(40, '1');
  auto sandbox = make(some);
  auto connected = sandbox->connect(Deadline::in(Seconds(60)));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::not_found);
  EXPECT_THAT(connected.error().message(), ::testing::HasSubstr("no such commit"));
  EXPECT_THAT(connected.error().message(), ::testing::HasSubstr("fetch"));
  close(*sandbox);

  some = with_repository();
  some.repository = *folder / "nowhere";
  some.base_commit = "trunk";
  sandbox = make(some);
  connected = sandbox->connect(Deadline::in(Seconds(60)));
  ASSERT_FALSE(connected);
  EXPECT_THAT(connected.error().message(), ::testing::HasSubstr(*folder / "nowhere"));
  close(*sandbox);

  host("mkdir plain");
  some.repository = *folder / "plain";
  sandbox = make(some);
  connected = sandbox->connect(Deadline::in(Seconds(60)));
  ASSERT_FALSE(connected);
  EXPECT_THAT(connected.error().message(), ::testing::HasSubstr("no git repository"));
  close(*sandbox);
}

// An option in a row's base_commit is a name that does not exist, nothing else.
TEST_F(CheckoutTest, ACommitThatLooksLikeAnOptionIsNone) {
  auto some = with_repository();
  some.base_commit = "--exec=/bin/true";
  auto sandbox = make(some);
  const auto connected = sandbox->connect(Deadline::in(Seconds(60)));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::not_found);
  close(*sandbox);
}

TEST_F(CheckoutTest, CopiedWhereNoOverlayCanBeMade) {
  auto some = with_repository();
  some.use_overlay = false;
  auto sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "git rev-parse HEAD; git status --porcelain; cat a.txt; readlink link; ./sub/run.sh"),
            base + "\ntwo\na.txt\nhi");
  output(*sandbox, "echo changed > a.txt; git commit -qam mine");
  close(*sandbox);
  auto next = connect(some);
  EXPECT_EQ(output(*next, "git status --porcelain; cat a.txt"), "two");
  close(*next);
}

// Names as long as git shows them in the whole history: patches are compared byte by byte.
TEST_F(CheckoutTest, ADiffIsTheSameAsInTheRepositoryItself) {
  auto sandbox = connect(with_repository());
  const std::string change =
      "echo more >> a.txt; git rm -q bin.dat; echo new > new.txt; git add -A; git diff --binary --cached HEAD";
  const auto inside = output(*sandbox, change);
  EXPECT_EQ(inside, host("git clone -q repo whole; cd whole; git checkout -q " + base + "; " + change));
  close(*sandbox);
}

// Longer than one piece of history, and with contents that come again in the second: counted twice, the objects would
// pass the number at which git shows one digit more.
TEST_F(CheckoutTest, ALongHistoryComesInPiecesAndCountsOnce) {
  host(R"(git init -q --bare long.git; awk 'BEGIN { for (i = 1; i <= 5480; ++i) {
      text = "content " (i % 4096) "\n"
      printf "commit refs/heads/trunk\ncommitter a <a@b> %d +0000\ndata 4\ncom\n", 1700000000 + i
      printf "M 100644 inline file\ndata %d\n%s\n", length(text), text } }' | git -C long.git fast-import --quiet
    git -C long.git tag last trunk)");
  auto some = with_repository();
  some.repository = *folder / "long.git";
  some.base_commit = "trunk";
  auto sandbox = connect(some);
  const std::string change = "echo more >> file; git diff";
  EXPECT_EQ(output(*sandbox, "git rev-list --count HEAD; ls /.awm/history/pack/*.pack | wc -l"), "5480\n2");
  EXPECT_EQ(output(*sandbox, "git config core.abbrev"), "7");
  const auto inside = output(*sandbox, change);
  EXPECT_EQ(inside, host("git clone -q long.git whole; cd whole; " + change));
  EXPECT_THAT(inside, ::testing::ContainsRegex("index [0-9a-f]{7}\\.\\.[0-9a-f]{7} "));
  close(*sandbox);
  // A later commit takes the first piece over.
  host("git -C repo rev-parse trunk >/dev/null; stat -c %i cache/packs/*.pack | sort > before");
  host(
      "t=$(git -C long.git rev-parse trunk^{tree}); git -C long.git update-ref refs/heads/trunk"
      " $(git -C long.git commit-tree -p trunk -m next $t)");
  sandbox = connect(some);
  EXPECT_EQ(output(*sandbox, "git rev-list --count HEAD; git fsck --full 2>&1 | grep -v '^notice' || true"), "5481");
  EXPECT_EQ(host("stat -c %i cache/packs/*.pack | sort | comm -13 before - | wc -l"), "1");
  close(*sandbox);
}

TEST(DefaultAbbreviation, IsGits) {
  EXPECT_EQ(default_abbreviation(0), 7);
  EXPECT_EQ(default_abbreviation(16383), 7);
  EXPECT_EQ(default_abbreviation(16384), 8);
  EXPECT_EQ(default_abbreviation(262143), 9);
  EXPECT_EQ(default_abbreviation(262144), 10);
  EXPECT_EQ(default_abbreviation(343601), 10);
  EXPECT_EQ(default_abbreviation(1048576), 11);
}

}  // namespace
}  // namespace awm::testing
