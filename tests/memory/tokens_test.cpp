#include "memory/tokens.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/text.h"
#include "support/support.h"

namespace awm {
namespace {

std::string text_of(const std::vector<uint32_t>& ids) {
  std::string text;
  for (const auto id : ids) text += token_bytes(id);
  return text;
}

TEST(Tokens, AreTiktokensOwn) {
  // Texts and ids written by tiktoken itself: fuzz_tokens.py write:…
  const auto lines = testing::read_text(std::string(AWM_SOURCE_DIR) + "/tests/memory/data/tokens.jsonl");
  int texts = 0;
  for (const auto line : split_lines(lines)) {
    const auto json = parse_json(line, "tokens.jsonl");
    ASSERT_TRUE(json) << json.error();
    const auto text = get_string(*json, "text").value();
    EXPECT_EQ(encode_tokens(text), (*json)["ids"].get<std::vector<uint32_t>>()) << line;
    EXPECT_EQ(count_tokens(text), (*json)["ids"].size());
    ++texts;
  }
  EXPECT_GE(texts, 250);
}

TEST(Tokens, NothingHasNone) {
  EXPECT_EQ(count_tokens(""), 0U);
  EXPECT_EQ(token_bytes(100'256), "");
  EXPECT_EQ(token_bytes(0), "!");
}

TEST(Tokens, NamesOfSpecialTokensAreText) {
  EXPECT_GT(count_tokens("<|endoftext|>"), 1U);
}

TEST(Tokens, EveryByteIsKept) {
  std::string all;
  for (uint32_t point = 1; point < 0x3000; ++point) {
    if (point < 0x80) {
      all += static_cast<char>(point);
    } else if (point < 0x800) {
      all += {static_cast<char>(0xC0 | (point >> 6)), static_cast<char>(0x80 | (point & 0x3F))};
    } else {
      all += {static_cast<char>(0xE0 | (point >> 12)), static_cast<char>(0x80 | ((point >> 6) & 0x3F)),
              static_cast<char>(0x80 | (point & 0x3F))};
    }
  }
  EXPECT_EQ(text_of(encode_tokens(all)), all);
}

TEST(Tokens, BytesThatAreNoTextCountAsReplacements) {
  const std::string broken = "ab\xFF\xC3(\xE4\xB8 end";
  EXPECT_EQ(encode_tokens(broken), encode_tokens(to_valid_utf8(broken)));
}

TEST(Tokens, OneLongWordIsCut) {
  // Also seen to take well under a second each; a quadratic way would take hours.
  EXPECT_EQ(count_tokens(std::string(1'000'000, 'a')), 125'000U);
  EXPECT_EQ(count_tokens(std::string(1'000'000, '=')), 15'625U);
  EXPECT_EQ(count_tokens(std::string(1'000'000, ' ')), 7'813U);
  EXPECT_EQ(count_tokens(std::string(1'000'000, '1')), 333'334U);
}

// The two ways of merging give the same where they meet: at pieces of 128 bytes.
TEST(Tokens, AreTheSameOnBothSidesOfTheLongestToken) {
  for (const std::size_t size : {126, 127, 128, 129, 130, 200}) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + (i * i + i / 3) % 26);
    const auto ids = encode_tokens(text);
    EXPECT_EQ(text_of(ids), text);
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto joined = std::string(token_bytes(ids[i])) + std::string(token_bytes(ids[i + 1]));
      const auto whole = encode_tokens(joined);
      EXPECT_NE(whole.size(), 1U) << joined << " is one token and was left in two";
    }
  }
}

}  // namespace
}  // namespace awm
