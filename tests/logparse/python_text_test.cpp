// The rules of Python's text that the parsers stand on.
#include "logparse/python_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace awm::python {
namespace {

TEST(PythonText, WhiteSpaceIsWhatStrIsspaceSays) {
  for (const std::string_view text : {"\t", "\n", "\x0b", "\x0c", "\r", "\x1c", "\x1d", "\x1e", "\x1f", " ", "\u0085",
                                      "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}) {
    EXPECT_EQ(space_at(text, 0), text.size());
    EXPECT_EQ(space_before(text, text.size()), text.size());
  }
  for (const std::string_view text : {"a", "\x1b", "\u200b", "\u180e", "\ufeff", "é", "\u2603", "\u3001"}) {
    EXPECT_EQ(space_at(text, 0), 0U);
    EXPECT_EQ(space_before(text, text.size()), 0U);
  }
}

TEST(PythonText, StripAndSplitKnowWideWhiteSpace) {
  EXPECT_EQ(strip("\u2003\x1f a b\u00a0\n"), "a b");
  EXPECT_EQ(strip("\u3000 "), "");
  EXPECT_EQ(join_words("\u3000a\u2003b\x1c"
                       "c ",
                       0),
            "a b c");
  EXPECT_EQ(join_words("a b c", 1), "b c");
  EXPECT_EQ(last_word("a b\u00a0"), "b");
  EXPECT_EQ(last_word(" \n"), "");
}

TEST(PythonText, DigitsAndWordCharactersAreThoseOfUnicode) {
  EXPECT_EQ(digit_at("\u0663", 0), 2U);
  EXPECT_EQ(digit_at("\uff11", 0), 3U);
  EXPECT_EQ(digit_at("\U0001d7d8", 0), 4U);
  EXPECT_EQ(digit_at("\u00b2", 0), 0U) << "a superscript is a digit, and no decimal one";
  EXPECT_EQ(word_char_at("\u00b2", 0), 2U);
  EXPECT_EQ(word_char_at("é", 0), 2U);
  EXPECT_EQ(word_char_at("漢", 0), 3U);
  EXPECT_EQ(word_char_at("\u0301", 0), 0U) << "a combining accent";
  EXPECT_EQ(word_char_at("_", 0), 1U);
  EXPECT_EQ(word_char_at("-", 0), 0U);
}

TEST(PythonText, SplitsAtLineFeedsAlone) {
  std::vector<std::string> lines;
  each_line(
      "a\r\nb\x0c"
      "c\n",
      [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(lines, (std::vector<std::string>{"a\r",
                                             "b\x0c"
                                             "c",
                                             ""}));
  lines.clear();
  each_line("", [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(lines, std::vector<std::string>{""});
}

TEST(PythonText, FloatsAreThoseOfFloat) {
  EXPECT_EQ(to_float(" 3.5\n"), 3.5);
  EXPECT_EQ(to_float("+1_0.2_5"), 10.25);
  EXPECT_EQ(to_float("-.5e1"), -5.0);
  EXPECT_EQ(to_float("\u0663.\uff11"), 3.1);
  EXPECT_EQ(to_float("1e999"), HUGE_VAL);
  EXPECT_EQ(to_float("-Infinity"), -HUGE_VAL);
  ASSERT_TRUE(to_float("nan"));
  EXPECT_TRUE(std::isnan(*to_float("nan")));
  for (const std::string_view text :
       {"", " ", "x", "1__0", "_1", "1_", "1 0", "0x1", "1e", "--1", ".", "1.2.3", "inf1"}) {
    EXPECT_FALSE(to_float(text)) << text;
  }
}

TEST(PythonText, ReplacesFromLeftToRight) {
  EXPECT_EQ(replace("a - - b", " - ", " "), "a - b");
  EXPECT_EQ(replace("abc", "x", "y"), "abc");
  EXPECT_EQ(before("a-b-c", "-"), "a");
  EXPECT_EQ(after("a-b-c", "-"), "b-c");
  EXPECT_EQ(after("abc", "-"), "abc");
}

}  // namespace
}  // namespace awm::python
