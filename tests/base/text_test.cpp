#include "base/text.h"

#include "support/support.h"

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TextTest, TruncatesInTheMiddleByCodePoints) {
  EXPECT_EQ(truncate_middle("abcdefghij", 10, "…"), "abcdefghij");
  EXPECT_EQ(truncate_middle("abcdefghij", 4, "…"), "ab…ij");
  EXPECT_EQ(truncate_middle("abcdefghij", 5, "|"), "ab|hij");
  EXPECT_EQ(truncate_middle("äöüßéè", 4, "|"), "äö|éè");
  EXPECT_EQ(truncate_middle("äöü", 3, "|"), "äöü");
  EXPECT_EQ(truncate_middle("abc", 0, "|"), "|");
}

TEST(TextTest, TrimsAsciiWhiteSpace) {
  EXPECT_EQ(trim(" \t\r\n\v\f a b \n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\xc2\xa0x"), "\xc2\xa0x");
}

TEST(TextTest, SplitsAndJoins) {
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_EQ(join({"a", "", "b"}, ", "), "a, , b");
  EXPECT_EQ(join({}, ", "), "");
}

TEST(TextTest, SplitsLines) {
  EXPECT_THAT(split_lines("a\r\nb\n\nc"), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split_lines("a\n"), ElementsAre("a"));
  EXPECT_THAT(split_lines("\n"), ElementsAre(""));
  EXPECT_THAT(split_lines(""), IsEmpty());
  EXPECT_THAT(split_lines("a\rb\r"), ElementsAre("a\rb\r"));
}

TEST(TextTest, ReplacesWithoutMeetingItsOwnWork) {
  EXPECT_EQ(replace_all("aaa", "a", "aa"), "aaaaaa");
  EXPECT_EQ(replace_all("abab", "ab", ""), "");
  EXPECT_EQ(replace_all("abc", "", "x"), "abc");
}

TEST(TextTest, LowersAsciiAlone) {
  EXPECT_EQ(to_lower_ascii("ABZ-Ä"), "abz-Ä");
}

TEST(TextTest, SaysSizesAndTimesForPeople) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(9949), "9.9 kB");
  EXPECT_EQ(human_bytes(9960), "10 kB");
  EXPECT_EQ(human_bytes(999'499), "999 kB");
  EXPECT_EQ(human_bytes(999'500), "1.0 MB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "18446744 TB");
  EXPECT_EQ(human_seconds(0), "0 ms");
  EXPECT_EQ(human_seconds(0.9994), "999 ms");
  EXPECT_EQ(human_seconds(0.9996), "1.0 s");
  EXPECT_EQ(human_seconds(59.94), "59.9 s");
  EXPECT_EQ(human_seconds(59.96), "1 min 0 s");
  EXPECT_EQ(human_seconds(3599.6), "1 h 0 min");
  EXPECT_EQ(human_seconds(7322), "2 h 2 min");
}

TEST(TextTest, FindsTheNearestWordOrNone) {
  const std::vector<std::string> known{"model", "api_key", "base_url", "num_retries"};
  EXPECT_EQ(nearest_word("modle", known), "model");
  EXPECT_EQ(nearest_word("apikey", known), "api_key");
  EXPECT_EQ(nearest_word("num_retry", known), "num_retries");
  EXPECT_EQ(nearest_word("flavour", known), "");
  EXPECT_EQ(nearest_word("model", known), "model");
  EXPECT_EQ(nearest_word("x", {}), "");
}

TEST(TextTest, AHugeWordIsNearNothingAndCostsNothing) {
  const std::vector<std::string> known(100, std::string(50, 'a'));
  EXPECT_EQ(nearest_word(std::string(10'000'000, 'a'), known), "");
}

TEST(TextTest, QuotedWordsAreOneWordToAShell) {
  EXPECT_EQ(shell_quote(""), "''");
  EXPECT_EQ(shell_quote("a b"), "'a b'");
  EXPECT_EQ(shell_quote("it's"), R"('it'\''s')");
}

// FIPS 180-4 and NIST's examples; lengths on both sides of every padding limit from Python's hashlib.
TEST(TextTest, Sha256) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const std::pair<std::size_t, const char*> lengths[] = {
      {55, "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"},
      {56, "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"},
      {57, "ae14a2563ccf969d99aca69ce6bb74981f734bbf9f655f73b8f06db68cab5217"},
      {63, "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"},
      {64, "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"},
      {65, "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9"},
      {119, "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c"},
      {120, "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98"},
      {127, "70156a14adbabf98cff3a71c7084b417abf057a8efd27329ca36b7202c87d81f"},
      {128, "24da1b81d0b16df6428eee73c69fcb2a93c76bc6df706f0c6670fe6bfe800464"},
      {129, "0ec9eb33e74510bcdd1f2ea55206e82f21649c5c2becbf2b433eb475b34c01bd"},
  };
  for (const auto& [length, hash] : lengths) EXPECT_EQ(sha256_hex(std::string(length, 'x')), hash) << length;
  EXPECT_EQ(sha256_hex(std::string_view("\0\xff\x80", 3)),
            "f742b965f156c10374bc23aea96e3a8aff8facd6fc079defeaa30219ad86f211");
}

TEST(UserInfo, IsWhatStandsBeforeTheHost) {
  EXPECT_EQ(user_info_of("https://me:s3cret@host/v1"), "me:s3cret");
  EXPECT_EQ(user_info_of("me:s3@cret@proxy:3128"), "me:s3@cret");
  for (const auto* none :
       {"", "https://host/v1", "https://host/a@b", "https://host?a@b", "host:80/a@b", "https://host#a@b"})
    EXPECT_EQ(user_info_of(none), "") << none;
}

}  // namespace
}  // namespace awm
