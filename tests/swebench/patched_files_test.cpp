#include "swebench/patch.h"
#include "swebench/review.h"
#include "swebench_support.h"

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> names(std::string_view patch) {
  std::vector<std::string> text;
  for (const auto& file : patched_files(patch)) text.push_back(file.old_name + " > " + file.new_name);
  return text;
}

TEST(PatchedFilesTest, NamesEveryKindOfChange) {
  EXPECT_THAT(names("diff --git a/x.py b/x.py\nindex 1..2 100644\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"),
              ElementsAre("x.py > x.py"));
  EXPECT_THAT(names("diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+b\n"),
              ElementsAre(" > n"));
  EXPECT_THAT(names("diff --git a/d b/d\ndeleted file mode 100644\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n"),
              ElementsAre("d > "));
  EXPECT_THAT(names("diff --git a/o b/n\nsimilarity index 100%\nrename from o\nrename to n\n"), ElementsAre("o > n"));
  EXPECT_THAT(names("diff --git a/m b/m\nold mode 100644\nnew mode 100755\n"), ElementsAre("m > m"));
  EXPECT_THAT(names("diff --git a/e b/e\nnew file mode 100644\nindex 0..e\n"), ElementsAre(" > e"));
  EXPECT_THAT(names("diff --git a/b.png b/b.png\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKabc\n\n"),
              ElementsAre("b.png > b.png"));
}

TEST(PatchedFilesTest, ReadsNamesWithSpacesQuotesAndBytes) {
  EXPECT_THAT(names("diff --git a/a b.py b/a b.py\n--- a/a b.py\t\n+++ b/a b.py\t\n@@ -1 +1 @@\n-a\n+b\n"),
              ElementsAre("a b.py > a b.py"));
  EXPECT_THAT(names("diff --git \"a/\\303\\274\\\"x\\n\" \"b/\\303\\274\\\"x\\n\"\nold mode 100644\nnew mode 100755\n"),
              ElementsAre("\303\274\"x\n > \303\274\"x\n"));
  EXPECT_THAT(names("diff --git a/x b/b/y b/x b/b/y\nnew mode 100755\n"), ElementsAre("x b/b/y > x b/b/y"));
  EXPECT_THAT(names("--- a/x.py\r\n+++ b/x.py\r\n@@ -1 +1 @@\r\n-a\r\n+b\r\n"), ElementsAre("x.py > x.py"));
}

TEST(PatchedFilesTest, LinesWithinAHunkAreNoHeaders) {
  EXPECT_THAT(names("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n---- a/no\n-diff --git a/no b/no\n+++ b/no2\n+y\n c\n--- "
                    "a/z\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n"),
              ElementsAre("x > x", "z > z"));
}

TEST(PatchedFilesTest, WhatIsNoPatchHasNoFiles) {
  EXPECT_THAT(names(""), IsEmpty());
  EXPECT_THAT(names("hello\nworld\n"), IsEmpty());
  EXPECT_THAT(names("diff --git \n+++ \n@@ -\n"), IsEmpty());
}

TEST(ReviewTest, FlagsWhatAPersonShouldLookAt) {
  Row row = testing::sample_row();
  row.test_patch =
      "diff --git a/tests/test_a.py b/tests/test_a.py\n--- a/tests/test_a.py\n+++ b/tests/test_a.py\n@@ -1 +1 "
      "@@\n-a\n+b\n";
  const std::string script =
      ": '>>>>> Start Test Output'\n./tests/runtests.py --verbosity 2 tests/test_a.py\n: '>>>>> End Test Output'\n";
  const auto flags = [&](std::string_view name, std::string_view mode = "100644") {
    return review_patch(
        row,
        "diff --git a/" + std::string(name) + " b/" + std::string(name) + "\nnew file mode " + std::string(mode) + "\n",
        script);
  };
  EXPECT_THAT(flags("src/a.py"), IsEmpty());
  EXPECT_THAT(flags("src/contest.py"), IsEmpty());
  EXPECT_THAT(flags("tests/test_a.py"), ElementsAre("edits_eval_files"));
  EXPECT_THAT(flags("tests/test_b.py"), ElementsAre("edits_tests"));
  EXPECT_THAT(flags("lib/foo.test.ts"), ElementsAre("edits_tests"));
  EXPECT_THAT(flags("tests/conftest.py"), ElementsAre("edits_conftest"));
  EXPECT_THAT(flags("sitecustomize.py"), ElementsAre("edits_conftest"));
  EXPECT_THAT(flags("tests/runtests.py"), ElementsAre("edits_runner"));
  EXPECT_THAT(flags("setup.cfg"), ElementsAre("edits_runner"));
  EXPECT_THAT(flags("a/../../etc/x"), ElementsAre("leaves_tree"));
  EXPECT_THAT(flags("link", "120000"), ElementsAre("adds_link"));
  EXPECT_THAT(flags("sub", "160000"), ElementsAre("adds_submodule"));
}

}  // namespace
}  // namespace awm
