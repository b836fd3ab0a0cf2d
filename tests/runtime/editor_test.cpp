#include "runtime/editor.h"

#include "base/text.h"
#include "runtime/fake_sandbox.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string lines(int from, int to) {
  std::string text;
  for (int i = from; i <= to; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

class EditorTest : public ::testing::Test {
 protected:
  EditorResult run(EditorCommand command) {
    auto result = editor_.run(sandbox_, command);
    EXPECT_TRUE(result) << result.error();
    return result ? *std::move(result) : EditorResult{};
  }
  EditorResult view(const std::string& path, std::optional<std::vector<int64_t>> range = {}) {
    return run({.command = "view", .path = path, .view_range = std::move(range)});
  }
  EditorResult create(const std::string& path, std::optional<std::string> text) {
    return run({.command = "create", .path = path, .file_text = std::move(text)});
  }
  EditorResult replace(const std::string& path, std::optional<std::string> old_text,
                       std::optional<std::string> new_text) {
    return run(
        {.command = "str_replace", .path = path, .old_str = std::move(old_text), .new_str = std::move(new_text)});
  }
  EditorResult insert(const std::string& path, std::optional<int64_t> line, std::optional<std::string> text) {
    return run({.command = "insert", .path = path, .new_str = std::move(text), .insert_line = line});
  }
  EditorResult undo(const std::string& path) { return run({.command = "undo_edit", .path = path}); }
  std::string& file(const std::string& path) { return sandbox_.files[path].content; }

  testing::FakeSandbox sandbox_;
  Editor editor_;
};

// --- view ------------------------------------------------------------------------------------------------------------

TEST_F(EditorTest, ViewShowsAFileAsCatNDoes) {
  file("/testbed/a.py") = "import os\n\n\tprint(1)\n";
  EXPECT_EQ(view("/testbed/a.py").text,
            "Here's the result of running `cat -n` on /testbed/a.py:\n"
            "     1\timport os\n     2\t\n     3\t\tprint(1)\n     4\t\n");
}

TEST_F(EditorTest, ViewOfFilesAtTheEdges) {
  file("/e") = "";
  file("/n") = "no end";
  EXPECT_EQ(view("/e").text, "Here's the result of running `cat -n` on /e:\n     1\t\n");
  EXPECT_EQ(view("/n").text, "Here's the result of running `cat -n` on /n:\n     1\tno end\n");
}

TEST_F(EditorTest, ViewOfARangeShowsThoseLines) {
  file("/f") = lines(1, 20);
  EXPECT_EQ(view("/f", {{3, 5}}).text,
            "Here's the result of running `cat -n` on /f:\n     3\tline 3\n     4\tline 4\n     5\tline 5\n");
  EXPECT_EQ(view("/f", {{20, 20}}).text, "Here's the result of running `cat -n` on /f:\n    20\tline 20\n");
  EXPECT_THAT(view("/f", {{19, -1}}).text, EndsWith("    19\tline 19\n    20\tline 20\n"));
  EXPECT_THAT(view("/f", {{19, 99}}).text,
              StartsWith("NOTE: We only show up to 20 since there're only 20 lines in this file.\nHere's the result"));
  EXPECT_THAT(view("/f", std::vector<int64_t>{}).text, HasSubstr("     1\tline 1"));
}

TEST_F(EditorTest, ViewRefusesRangesThatAreNone) {
  file("/f") = lines(1, 20);
  file("/e") = "";
  const auto wrong = [&](const std::string& path, std::vector<int64_t> range) {
    const EditorResult result = view(path, std::move(range));
    EXPECT_FALSE(result.ok);
    return result.text;
  };
  EXPECT_EQ(wrong("/f", {1}), "ERROR:\nInvalid `view_range` parameter: [1]. It should be a list of two integers.");
  EXPECT_EQ(wrong("/f", {1, 2, 3}),
            "ERROR:\nInvalid `view_range` parameter: [1, 2, 3]. It should be a list of two integers.");
  EXPECT_EQ(wrong("/f", {0, 5}),
            "ERROR:\nInvalid `view_range` parameter: [0, 5]. Its first element `0` should be within the range of lines "
            "of the file: [1, 20].");
  EXPECT_THAT(wrong("/f", {21, 22}), HasSubstr("Its first element `21` should be within"));
  EXPECT_THAT(wrong("/e", {1, 1}), HasSubstr("[1, 0]"));
  EXPECT_EQ(wrong("/f", {5, 3}),
            "ERROR:\nInvalid `view_range` parameter: [5, 3]. Its second element `3` should be greater than or equal to "
            "the first element `5`.");
  EXPECT_THAT(wrong("/f", {5, -2}), HasSubstr("Its second element `-2`"));
}

TEST_F(EditorTest, ALongViewIsCutAndSaysSo) {
  file("/f") = std::string(15'990, 'x') + "\n" + std::string(100, 'y');
  const std::string text = view("/f").text;
  EXPECT_THAT(text, HasSubstr("     2\tyyyyyyyyy<response clipped><NOTE>Due to the max output limit"));
  EXPECT_THAT(text, Not(HasSubstr("yyyyyyyyyy")));
  file("/g") = "";
  for (int i = 0; i < 15'999; ++i) file("/g") += "é";
  EXPECT_THAT(view("/g").text, Not(HasSubstr("clipped"))) << "characters are counted, not bytes";
  file("/g") += "éé";
  EXPECT_THAT(view("/g").text, HasSubstr("é<response clipped>"));
}

TEST_F(EditorTest, ViewOfAFolderGoesTwoLevelsDeepWithoutHiddenThings) {
  for (const char* path : {"/repo/b.py", "/repo/a/x.py", "/repo/a/sub/deep.py", "/repo/a/.hidden", "/repo/.git/config",
                           "/repo/.env", "/repo/c/y"}) {
    file(path) = "1";
  }
  EXPECT_EQ(view("/repo").text,
            "Here's the files and directories up to 2 levels deep in /repo, excluding hidden items:\n"
            "/repo/\n/repo/a/\n/repo/a/sub/\n/repo/a/x.py\n/repo/b.py\n/repo/c/\n/repo/c/y\n\n"
            "2 hidden files/directories in this directory are excluded. You can use 'ls -la /repo' to see them.");
  EXPECT_EQ(view("/repo/").text, view("/repo").text);
  EXPECT_EQ(view("/repo/c").text,
            "Here's the files and directories up to 2 levels deep in /repo/c, excluding hidden items:\n"
            "/repo/c/\n/repo/c/y");
  EXPECT_THAT(view("/repo", {{1, 2}}).text,
              HasSubstr("The `view_range` parameter is not allowed when `path` points to a directory."));
  EXPECT_THAT(view("/").text, HasSubstr("\n/repo/\n"));
}

TEST_F(EditorTest, AHugeFolderIsCut) {
  for (int i = 0; i < 3000; ++i) file("/repo/file_" + std::to_string(i)) = "";
  EXPECT_THAT(view("/repo").text, HasSubstr("only part of this directory has been shown"));
}

// --- paths -----------------------------------------------------------------------------------------------------------

TEST_F(EditorTest, ARelativePathIsRefusedWithASuggestionWhereThereIsOne) {
  file("/testbed/src/a.py") = "x";
  EXPECT_EQ(view("src/a.py").text,
            "ERROR:\nInvalid `path` parameter: src/a.py. The path should be an absolute path, starting with `/`. Maybe "
            "you meant /testbed/src/a.py?");
  EXPECT_EQ(view("b.py").text,
            "ERROR:\nInvalid `path` parameter: b.py. The path should be an absolute path, starting with `/`.");
  EXPECT_FALSE(view("").ok);
  EXPECT_FALSE(view(std::string("/a\0b", 4)).ok);
}

TEST_F(EditorTest, PathsThatAreThereOrNotThere) {
  file("/d/f") = "x";
  for (const char* command : {"view", "str_replace", "insert", "undo_edit"}) {
    EXPECT_EQ(run({.command = command, .path = "/none"}).text,
              "ERROR:\nInvalid `path` parameter: /none. The path /none does not exist. Please provide a valid path.");
  }
  for (const char* command : {"str_replace", "insert", "undo_edit", "create"}) {
    EXPECT_EQ(
        run({.command = command, .path = "/d"}).text,
        "ERROR:\nInvalid `path` parameter: /d. The path /d is a directory and only the `view` command can be used "
        "on directories.");
  }
  EXPECT_EQ(
      create("/d/f", "y").text,
      "ERROR:\nInvalid `path` parameter: /d/f. File already exists at: /d/f. Cannot overwrite files using command "
      "`create`.");
  EXPECT_EQ(file("/d/f"), "x");
  EXPECT_EQ(view("/d//./f/").text, view("/d/f").text);
}

TEST_F(EditorTest, AnUnknownCommandNamesTheKnownOnes) {
  file("/f") = "x";
  EXPECT_EQ(
      run({.command = "delete", .path = "/f"}).text,
      "ERROR:\nUnrecognized command delete. The allowed commands for the str_replace_editor tool are: view, create, "
      "str_replace, insert, undo_edit");
}

TEST_F(EditorTest, WhatATextEditorCannotRead) {
  file("/b") = std::string("ELF\0\1", 5);
  file("/big") = std::string((10U << 20) + 1, 'x');
  for (const char* command : {"view", "str_replace", "insert", "undo_edit"}) {
    const auto on = [&](const char* path) {
      return run({.command = command, .path = path, .old_str = "a", .new_str = "b", .insert_line = 0}).text;
    };
    EXPECT_EQ(on("/b"),
              "ERROR:\nFile validation failed for /b: File appears to be binary and this file type cannot be read or "
              "edited by this tool.");
    EXPECT_EQ(on("/big"),
              "ERROR:\nFile validation failed for /big: File is too large (10.0MB). Maximum allowed size is 10MB.");
  }
}

// --- create
// ------------------------------------------------------------------------------------------------------------

TEST_F(EditorTest, CreateWritesTheText) {
  const EditorResult made = create("/new/deep/f.py", "a\r\nb\xff");
  EXPECT_EQ(made.text, "File created successfully at: /new/deep/f.py");
  EXPECT_FALSE(made.existed);
  EXPECT_EQ(made.new_content, "a\r\nb\xff");
  EXPECT_EQ(file("/new/deep/f.py"), "a\r\nb\xff");
  EXPECT_EQ(create("/x", std::nullopt).text, "ERROR:\nParameter `file_text` is required for command: create.");
  EXPECT_TRUE(create("/empty", "").ok);
  sandbox_.unwritable.insert("/locked");
  EXPECT_EQ(create("/locked", "x").text, "ERROR:\nRan into permission denied while trying to write to /locked");
}

// --- str_replace
// -------------------------------------------------------------------------------------------------------

TEST_F(EditorTest, ReplaceShowsFourLinesAround) {
  file("/f") = lines(1, 20);
  const EditorResult result = replace("/f", "line 10\n", "ten\nand more\n");
  EXPECT_EQ(result.text,
            "The file /f has been edited. Here's the result of running `cat -n` on a snippet of /f:\n"
            "     7\tline 7\n     8\tline 8\n     9\tline 9\n    10\tten\n    11\tand more\n    12\tline 11\n"
            "    13\tline 12\n    14\tline 13\n    15\tline 14\n    16\tline 15\n"
            "Review the changes and make sure they are as expected. Edit the file again if necessary.");
  EXPECT_EQ(file("/f"), lines(1, 9) + "ten\nand more\n" + lines(11, 20));
  EXPECT_EQ(result.old_content, lines(1, 20));
  EXPECT_EQ(result.new_content, file("/f"));
}

TEST_F(EditorTest, ReplaceAtTheEdgesOfAFile) {
  file("/f") = "first\nsecond";
  EXPECT_THAT(replace("/f", "first", "1st").text, HasSubstr("     1\t1st\n     2\tsecond\n"));
  EXPECT_TRUE(replace("/f", "second", "2nd\n").ok);
  EXPECT_EQ(file("/f"), "1st\n2nd\n");
  EXPECT_TRUE(replace("/f", "1st\n2nd\n", std::nullopt).ok);
  EXPECT_EQ(file("/f"), "");
  EXPECT_TRUE(replace("/f", "", "new").ok) << "an empty file holds the empty text once";
  EXPECT_EQ(file("/f"), "new");
}

TEST_F(EditorTest, ReplaceWithoutNewTextRemoves) {
  file("/f") = "a b c";
  EXPECT_TRUE(replace("/f", " b", std::nullopt).ok);
  EXPECT_EQ(file("/f"), "a c");
}

TEST_F(EditorTest, ReplaceNamesTheLinesOfSeveralMatches) {
  file("/f") = "x = 1\ny = 2\nx = 1\nx = 1; x = 1\n";
  EXPECT_EQ(replace("/f", "x = 1", "z").text,
            "ERROR:\nNo replacement was performed. Multiple occurrences of old_str `x = 1` in lines [1, 3, 4]. Please "
            "ensure it is unique.");
  EXPECT_EQ(replace("/f", "x = 1\ny", "z\ny").ok, true);
  file("/o") = "aaa";
  EXPECT_TRUE(replace("/o", "aa", "b").ok) << "matches do not overlap";
}

TEST_F(EditorTest, ReplaceTriesWithoutWhiteSpaceAround) {
  file("/f") = "def f():\n    return 1\n";
  EXPECT_TRUE(replace("/f", "\n\n    return 1  \n\n", "  return 2\n").ok);
  EXPECT_EQ(file("/f"), "def f():\n    return 2\n");
  EXPECT_EQ(replace("/f", "  nothing like it ", "x").text,
            "ERROR:\nNo replacement was performed, old_str `nothing like it` did not appear verbatim in /f.");
  EXPECT_THAT(replace("/f", "\t\t", "x").text, HasSubstr("old_str is empty"));
}

TEST_F(EditorTest, ReplaceRefusesWhatMakesNoSense) {
  file("/f") = "abc";
  EXPECT_EQ(replace("/f", std::nullopt, "x").text, "ERROR:\nParameter `old_str` is required for command: str_replace.");
  EXPECT_EQ(replace("/f", "abc", "abc").text,
            "ERROR:\nInvalid `new_str` parameter: abc. No replacement was performed. `new_str` and `old_str` must be "
            "different.");
  EXPECT_FALSE(replace("/f", "", "x").ok);
  EXPECT_EQ(file("/f"), "abc");
  sandbox_.unwritable.insert("/f");
  EXPECT_FALSE(replace("/f", "abc", "x").ok);
}

TEST_F(EditorTest, CharactersThatMeanSomethingElsewhereAreOnlyText) {
  file("/f") = "a.*b(c)[d]\\1$ {{x}} %s\n";
  EXPECT_TRUE(replace("/f", ".*b(c)[d]\\1$", "\\0 & $1 {{y}}").ok);
  EXPECT_EQ(file("/f"), "a\\0 & $1 {{y}} {{x}} %s\n");
}

TEST_F(EditorTest, LineEndsAndForeignBytesStayAsTheyAre) {
  file("/w") = "one\r\ntwo\r\nthree\r\n";
  EXPECT_THAT(view("/w").text, Not(HasSubstr("\r")));
  EXPECT_TRUE(replace("/w", "one\ntwo\n", "1\n2\n").ok);
  EXPECT_EQ(file("/w"), "1\r\n2\r\nthree\r\n");
  EXPECT_TRUE(insert("/w", 1, "new").ok);
  EXPECT_EQ(file("/w"), "1\r\nnew\r\n2\r\nthree\r\n");
  EXPECT_TRUE(undo("/w").ok);
  EXPECT_EQ(file("/w"), "1\r\n2\r\nthree\r\n");

  file("/m") = "one\r\ntwo\nthree\r\n";
  EXPECT_TRUE(replace("/m", "two\nthree", "2\n3").ok);
  EXPECT_EQ(file("/m"), "one\r\n2\n3\r\n");

  file("/l") = "caf\xe9 = 1\nb = 2\n";
  EXPECT_THAT(replace("/l", "b = 2", "b = 3").text, HasSubstr("caf\xef\xbf\xbd = 1"));
  EXPECT_EQ(file("/l"), "caf\xe9 = 1\nb = 3\n");
}

TEST_F(EditorTest, AFilesModeStays) {
  sandbox_.files["/run.sh"] = {"echo 1\n", 0755};
  EXPECT_TRUE(replace("/run.sh", "1", "2").ok);
  EXPECT_EQ(sandbox_.files["/run.sh"].mode, 0755U);
}

// --- insert
// ------------------------------------------------------------------------------------------------------------

TEST_F(EditorTest, InsertPutsTextBehindALine) {
  file("/f") = lines(1, 10);
  EXPECT_EQ(
      insert("/f", 5, "new a\nnew b").text,
      "The file /f has been edited. Here's the result of running `cat -n` on a snippet of the edited file:\n"
      "     2\tline 2\n     3\tline 3\n     4\tline 4\n     5\tline 5\n     6\tnew a\n     7\tnew b\n     8\tline 6\n"
      "     9\tline 7\n    10\tline 8\n    11\tline 9\n"
      "Review the changes and make sure they are as expected (correct indentation, no duplicate lines, etc). Edit "
      "the file again if necessary.");
  EXPECT_EQ(file("/f"), lines(1, 5) + "new a\nnew b\n" + lines(6, 10));
}

TEST_F(EditorTest, InsertAtTheTopTheEndAndIntoNothing) {
  file("/f") = "a\nb";
  EXPECT_TRUE(insert("/f", 0, "top").ok);
  EXPECT_EQ(file("/f"), "top\na\nb");
  EXPECT_TRUE(insert("/f", 3, "end").ok);
  EXPECT_EQ(file("/f"), "top\na\nb\nend\n");
  EXPECT_TRUE(insert("/f", 4, "more\n").ok);
  EXPECT_EQ(file("/f"), "top\na\nb\nend\nmore\n\n");
  file("/e") = "";
  EXPECT_TRUE(insert("/e", 0, "x").ok);
  EXPECT_EQ(file("/e"), "x\n");
}

TEST_F(EditorTest, InsertRefusesLinesThatAreNotThere) {
  file("/f") = lines(1, 3);
  EXPECT_EQ(insert("/f", 4, "x").text,
            "ERROR:\nInvalid `insert_line` parameter: 4. It should be within the range of allowed values: [0, 3]");
  EXPECT_THAT(insert("/f", -1, "x").text, HasSubstr("Invalid `insert_line` parameter: -1."));
  EXPECT_EQ(insert("/f", std::nullopt, "x").text, "ERROR:\nParameter `insert_line` is required for command: insert.");
  EXPECT_EQ(insert("/f", 1, std::nullopt).text, "ERROR:\nParameter `new_str` is required for command: insert.");
  EXPECT_EQ(file("/f"), lines(1, 3));
}

// --- undo
// --------------------------------------------------------------------------------------------------------------

TEST_F(EditorTest, UndoTakesBackEditByEdit) {
  file("/f") = "0\n";
  EXPECT_EQ(undo("/f").text, "ERROR:\nNo edit history found for /f.");
  EXPECT_TRUE(replace("/f", "0", "1").ok);
  EXPECT_TRUE(insert("/f", 1, "2").ok);
  EXPECT_EQ(undo("/f").text,
            "Last edit to /f undone successfully. Here's the result of running `cat -n` on /f:\n     1\t1\n     2\t\n");
  EXPECT_TRUE(undo("/f").ok);
  EXPECT_EQ(file("/f"), "0\n");
  EXPECT_FALSE(undo("/f").ok);
}

TEST_F(EditorTest, TenVersionsAreKept) {
  file("/f") = "0";
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(replace("/f", std::to_string(i), std::to_string(i + 1)).ok);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(undo("/f").ok) << i;
  EXPECT_EQ(file("/f"), "5");
  EXPECT_FALSE(undo("/f").ok);
}

TEST_F(EditorTest, HistoriesOfFilesAreApartAndBounded) {
  Editor small("/testbed", 10);
  file("/a") = "aaaaaa";
  file("/b") = "bbbbbb";
  ASSERT_TRUE(small.run(sandbox_, {.command = "str_replace", .path = "/a", .old_str = "aaaaaa", .new_str = "1"})->ok);
  ASSERT_TRUE(small.run(sandbox_, {.command = "str_replace", .path = "/b", .old_str = "bbbbbb", .new_str = "2"})->ok);
  EXPECT_FALSE(small.run(sandbox_, {.command = "undo_edit", .path = "/a"})->ok) << "the oldest is forgotten first";
  EXPECT_TRUE(small.run(sandbox_, {.command = "undo_edit", .path = "/b"})->ok);
  EXPECT_EQ(file("/b"), "bbbbbb");
  EXPECT_EQ(file("/a"), "1");
}

TEST_F(EditorTest, ALostSandboxIsAnErrorAndNoAnswer) {
  file("/f") = "x";
  for (const Errc code : {Errc::lost, Errc::closed, Errc::stopped}) {
    sandbox_.failure = Error{.code = code, .operation = "stat", .object = "sandbox", .cause = "gone"};
    for (const char* command : {"view", "create", "str_replace", "insert", "undo_edit"}) {
      const auto result = editor_.run(sandbox_, {.command = command, .path = "/f"});
      ASSERT_FALSE(result) << command;
      EXPECT_EQ(result.error().code, code);
    }
  }
}

}  // namespace
}  // namespace awm
