// Patches out of a real sandbox and into another one: what an agent left is what the judge gets.
#include "swebench/patch.h"

#include "base/text.h"
#include "sandbox/local_support.h"

namespace awm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PatchTest : public testing::LocalTest {
 public:
  void SetUp() override {
    LocalTest::SetUp();
    if (IsSkipped()) return;
    host(R"(git init -q repo; cd repo
      printf 'one\ntwo\nthree\nfour\nfive\n' > a.txt; printf 'x\r\ny\r\n' > crlf.txt; printf 'no end' > bare.txt
      printf '\0\1\2\3' > b.dat; mkdir -p d/e; echo moved > d/e/old.txt; seq 40 > d/numbers; echo gone > gone.txt
      printf '#!/bin/sh\n' > run.sh; echo '*.log' > .gitignore; ln -s a.txt link
      git add -A; git commit -qm first)");
    base_ = host("git -C repo rev-parse HEAD");
  }

  std::unique_ptr<Sandbox> fresh() {
    auto some = settings();
    some.repository = *folder / "repo";
    some.base_commit = base_;
    return connect(some);
  }

  // What an agent's commands leave, as a patch.
  std::string patch_after(const std::string& commands) {
    auto sandbox = fresh();
    const auto start = find_start_head(*sandbox);
    EXPECT_TRUE(start) << start.error();
    const auto done = run(*sandbox, commands);
    EXPECT_TRUE(done.status.ok()) << done.output;
    tree_ = tree(*sandbox);
    const auto patch = extract_patch(*sandbox, *start);
    EXPECT_TRUE(patch) << patch.error();
    EXPECT_EQ(output(*sandbox, "ls -A /tmp | grep awm-patch || true"), "");
    close(*sandbox);
    return patch.value_or("");
  }

  // The tree that the patch makes of the start.
  std::string tree_with(const std::string& patch) {
    auto sandbox = fresh();
    if (!patch.empty()) {
      EXPECT_TRUE(sandbox->write_file("/tmp/p.diff", patch));
      const auto done = run(*sandbox, "git apply /tmp/p.diff");
      EXPECT_TRUE(done.status.ok()) << done.output << patch;
    }
    std::string made = tree(*sandbox);
    close(*sandbox);
    return made;
  }

  static std::string tree(Sandbox& sandbox) {
    return output(
        sandbox,
        "find . -path ./.git -prune -o ! -type d ! -type p -printf '%p %y %m %l ' -exec sh -c 'test -L \"$1\" && echo "
        "|| sha256sum <\"$1\"' "
        "- {} ';' | sort | grep -v '\\.log '");
  }

  std::string base_;
  std::string tree_;
};

TEST_F(PatchTest, NoChangeIsNoPatch) {
  EXPECT_EQ(patch_after("true"), "");
}

TEST_F(PatchTest, EveryKindOfChangeArrives) {
  const auto patch = patch_after(R"(
    sed -i s/three/THREE/ a.txt; printf 'x\r\nz\r\n' > crlf.txt; printf 'still none' > bare.txt; printf '\0\377\2' > b.dat
    git mv d/e/old.txt new.txt; rm gone.txt; chmod +x run.sh; ln -sf run.sh link; ln -s /etc/passwd out
    mkdir -p 'a dir'; printf 'q\n' > 'a dir/it'"'"'s "quoted"'; printf 'u\n' > $'\303\274.txt'; : > empty; printf '\0' > new.bin
    echo hidden > x.log; sed -i s/7/seven/ d/numbers; git mv d/numbers numbers)");
  EXPECT_THAT(
      patch, AllOf(HasSubstr("GIT binary patch"), HasSubstr("rename from d/e/old.txt"), HasSubstr("new mode 100755"),
                   HasSubstr("deleted file mode"), HasSubstr("\\ No newline at end of file"), Not(HasSubstr("x.log"))));
  EXPECT_EQ(tree_with(patch), tree_);
}

TEST_F(PatchTest, WhatAnAgentDoesToGitChangesNothing) {
  const std::string work = "sed -i s/three/THREE/ a.txt; printf 'n\\n' > new.txt; printf 'x\\r\\nz\\r\\n' > crlf.txt\n";
  const std::string honest = patch_after(work);
  ASSERT_THAT(honest, AllOf(HasSubstr("+THREE"), HasSubstr("b/new.txt"), HasSubstr("+z\r\n")));
  const std::vector<std::string> tricks{
      "git config core.autocrlf input; git config core.safecrlf true",
      "echo '*.txt' > /tmp/ignore; git config core.excludesFile /tmp/ignore; mkdir -p .git/info; echo '*' > "
      ".git/info/exclude",
      "mkdir -p .git/info; echo '* -diff filter=x text eol=crlf' > .git/info/attributes; git config filter.x.clean "
      "'echo stolen'; git config filter.x.required true",
      "git config diff.external 'echo nothing'; git config diff.noprefix true; git config diff.mnemonicPrefix true; "
      "git config color.ui always",
      "git config core.hooksPath /tmp/hooks; mkdir -p /tmp/hooks; printf '#!/bin/sh\\nexit 1\\n' > "
      "/tmp/hooks/pre-commit; chmod +x /tmp/hooks/pre-commit",
      "git config core.fsmonitor 'echo'; git config core.untrackedCache true",
      "touch .git/index.lock",
      "git update-index --assume-unchanged a.txt; git update-index --skip-worktree crlf.txt",
      "git config core.worktree /tmp",
      "git add -A; git -c user.name=x -c user.email=x@x commit -qm mine",
      "git add -A; git -c user.name=x -c user.email=x@x commit -qm mine; git replace HEAD~1 HEAD",
      "git config --file /tmp/g core.excludesFile /tmp/i; echo '*' > /tmp/i; export HOME=/tmp; cp /tmp/g "
      "/tmp/.gitconfig",
      "rm -f .git/index",
      "printf 'corrupt' > .git/index",
      "echo garbage > .git/config",
      "rm .git/HEAD",
  };
  for (const auto& trick : tricks) EXPECT_EQ(patch_after(work + trick), honest) << trick;
}

TEST_F(PatchTest, AttributesOfTheAgentsDoNotHideText) {
  const auto patch = patch_after("echo '*.txt -diff binary' > .gitattributes; sed -i s/three/THREE/ a.txt");
  EXPECT_THAT(patch, AllOf(HasSubstr("+THREE"), HasSubstr("b/.gitattributes")));
  EXPECT_EQ(tree_with(patch), tree_);
}

TEST_F(PatchTest, ANestedRepositoryWithoutACommitStaysOut) {
  const auto patch = patch_after("mkdir sub; git init -q sub; echo x > sub/x; echo y > y.txt; mkfifo pipe");
  EXPECT_THAT(patch, AllOf(HasSubstr("b/y.txt"), Not(HasSubstr("sub/"))));
}

TEST_F(PatchTest, ChangesOfModeCountWhereTheRepositoryTellsThem) {
  EXPECT_THAT(patch_after("chmod +x a.txt"), HasSubstr("new mode 100755"));
  auto sandbox = fresh();
  run(*sandbox, "git config core.fileMode false");
  const auto start = find_start_head(*sandbox);
  ASSERT_TRUE(start) << start.error();
  EXPECT_EQ(start->commit, base_);
  EXPECT_FALSE(start->file_modes);
  run(*sandbox, "chmod +x a.txt");
  EXPECT_EQ(extract_patch(*sandbox, *start).value_or("?"), "");
  close(*sandbox);
}

TEST_F(PatchTest, ARepositoryThatIsGoneIsAnError) {
  auto sandbox = fresh();
  const auto start = find_start_head(*sandbox);
  ASSERT_TRUE(start) << start.error();
  run(*sandbox, "rm -rf .git");
  const auto patch = extract_patch(*sandbox, *start);
  ASSERT_FALSE(patch);
  EXPECT_EQ(patch.error().code, Errc::not_found) << patch.error();
  const auto head = find_start_head(*sandbox);
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::not_found) << head.error();
  close(*sandbox);
}

TEST_F(PatchTest, AFiftyMegabytePatchArrivesWhole) {
  auto sandbox = fresh();
  const auto start = find_start_head(*sandbox);
  ASSERT_TRUE(start) << start.error();
  run(*sandbox, "head -c 25000000 /dev/urandom | base64 > big.txt; head -c 8000000 /dev/urandom > big.bin");
  const auto sums = output(*sandbox, "sha256sum big.txt big.bin");
  const auto patch = extract_patch(*sandbox, *start);
  ASSERT_TRUE(patch) << patch.error();
  EXPECT_GT(patch->size(), std::size_t{40} << 20);
  close(*sandbox);
  auto other = fresh();
  ASSERT_TRUE(other->write_file("/tmp/p.diff", *patch));
  EXPECT_EQ(output(*other, "git apply /tmp/p.diff; sha256sum big.txt big.bin"), sums);
  close(*other);
}

}  // namespace
}  // namespace awm
