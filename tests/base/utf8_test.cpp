#include <random>

#include "base/text.h"
#include "support/support.h"

namespace awm {
namespace {

// The right-hand sides are CPython 3.11's bytes.decode("utf-8", errors="replace"), which follows the Unicode Standard
// 15, section 3.9: each maximal subpart of an ill-formed sequence becomes one U+FFFD. The line "a f1 80 80 e1 80 c2 b
// 80 c 80 bf d" is the standard's own example.
struct Utf8Case {
  std::string_view bytes;
  std::string_view text;
};

constexpr Utf8Case cases[] = {
    {"", ""},
    {"plain", "plain"},
    {"\xc3\xa4", "\xc3\xa4"},
    {"\x80", "\xef\xbf\xbd"},
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc1\xbf", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc2", "\xef\xbf\xbd"},
    {"\xc2"
     "A",
     "\xef\xbf\xbd"
     "A"},
    {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xe0\xa0", "\xef\xbf\xbd"},
    {"\xe0\x9f\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\x9f\xbf", "\xed\x9f\xbf"},
    {"\xef\xbf\xbf", "\xef\xbf\xbf"},
    {"\xe2\x82", "\xef\xbf\xbd"},
    {"\xe2\x82"
     "A",
     "\xef\xbf\xbd"
     "A"},
    {"\xf0\x90\x80", "\xef\xbf\xbd"},
    {"\xf0\x8f\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf0\x90\x80\x80", "\xf0\x90\x80\x80"},
    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf5\x80\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"a\xf1\x80\x80\xe1\x80\xc2"
     "b\x80"
     "c\x80\xbf"
     "d",
     "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
     "b\xef\xbf\xbd"
     "c\xef\xbf\xbd\xef\xbf\xbd"
     "d"},
    {"12345678\xff"
     "12345678",
     "12345678\xef\xbf\xbd"
     "12345678"},
    {"1234567\xe2\x82\xac", "1234567\xe2\x82\xac"},
    {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98",
     "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xef\xbf\xbd"},
};

TEST(Utf8Test, EachMaximalSubpartBecomesOneReplacement) {
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(to_valid_utf8(bytes), text);
    EXPECT_EQ(is_valid_utf8(bytes), bytes == text);
  }
}

// Every sequence of up to three bytes drawn from the borders of the table in the standard: what comes out is valid, and
// what was valid is unchanged.
TEST(Utf8Test, AllShortSequencesOfBorderBytes) {
  constexpr unsigned char border[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                      0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
  std::string bytes;
  const std::function<void(int)> go = [&](int left) {
    const auto text = to_valid_utf8(bytes);
    ASSERT_TRUE(is_valid_utf8(text));
    ASSERT_EQ(to_valid_utf8(text), text);
    if (is_valid_utf8(bytes)) {
      ASSERT_EQ(text, bytes);
    }
    if (left == 0) return;
    for (const unsigned char byte : border) {
      bytes.push_back(static_cast<char>(byte));
      go(left - 1);
      bytes.pop_back();
    }
  };
  go(3);
}

TEST(Utf8Test, RandomBytesComeOutValidAndLengthsAgree) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same every time
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 4 == 0 ? random() % 128 : 0x80 + random() % 128);
    const auto text = to_valid_utf8(bytes);
    ASSERT_TRUE(is_valid_utf8(text));
    const auto length = utf8_length(text);
    ASSERT_EQ(utf8_offset(text, length), text.size());
    if (length > 0) {
      ASSERT_TRUE(is_valid_utf8(text.substr(utf8_offset(text, length / 2))));
    }
  }
}

TEST(Utf8Test, CountsCodePoints) {
  EXPECT_EQ(utf8_length(""), 0U);
  EXPECT_EQ(utf8_length("aä€😀"), 4U);
  EXPECT_EQ(utf8_offset("aä€😀", 3), 6U);
  EXPECT_EQ(utf8_offset("aä", 2), 3U);
  EXPECT_EQ(utf8_offset("aä", 99), 3U);
}

}  // namespace
}  // namespace awm
