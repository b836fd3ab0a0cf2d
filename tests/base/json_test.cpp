#include "base/json.h"

#include <cmath>

#include "support/support.h"

namespace awm {
namespace {

std::string refusal(std::string_view text, int depth = max_json_depth) {
  const auto json = parse_json(text, "rows.jsonl:7", depth);
  if (json) {
    ADD_FAILURE() << "accepted: " << text.substr(0, 80);
    return {};
  }
  EXPECT_EQ(json.error().code, Errc::invalid_input);
  EXPECT_EQ(json.error().object, "rows.jsonl:7");
  return json.error().cause;
}

TEST(JsonTest, KeepsTheOrderOfKeys) {
  const auto json = parse_json(R"({"z": 1, "a": {"y": 2, "b": 3}})", "x");
  ASSERT_TRUE(json) << json.error();
  EXPECT_EQ(dump_json(*json), R"({"z":1,"a":{"y":2,"b":3}})");
}

TEST(JsonTest, SaysWhereItIsWrong) {
  EXPECT_THAT(refusal("{\"a\": 1,\n  \"b\": }"), ::testing::StartsWith("not valid JSON at line 2, column 8: "));
  EXPECT_THAT(refusal(""), ::testing::HasSubstr("empty"));
  EXPECT_THAT(refusal(" \n "), ::testing::HasSubstr("empty"));
  EXPECT_THAT(refusal("{\"a\": \"half"), ::testing::StartsWith("not valid JSON at column "));
}

TEST(JsonTest, OneDocumentAndNoMore) {
  refusal("{} {}");
  refusal("{}x");
  refusal("[1,]");
  refusal("nul");
  refusal("{'a': 1}");
  refusal("[NaN]");
  refusal("// comment\n1");
  EXPECT_TRUE(parse_json(" [1] \n\t ", "x"));
}

TEST(JsonTest, BytesThatAreNotUtf8AreRefused) {
  refusal("[\"\xff\"]");
  refusal("[\"\xed\xa0\x80\"]");
  refusal("[\"a\nb\"]");
  refusal("[\"\\ud800\"]");
  refusal(std::string_view("[\"\0\"]", 5));
}

TEST(JsonTest, NumbersBeyondADoubleAreRefused) {
  refusal("[1e999]");
  EXPECT_TRUE(parse_json("[1e308, 18446744073709551615, -9223372036854775808]", "x"));
}

TEST(JsonTest, DepthIsBoundedBeforeTheParserRecurses) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_TRUE(parse_json(nested(max_json_depth), "x"));
  EXPECT_EQ(refusal(nested(max_json_depth + 1)), "nested deeper than 128 levels");
  EXPECT_EQ(refusal(nested(3), 2), "nested deeper than 2 levels");
  EXPECT_EQ(refusal(std::string(10'000'000, '[')), "nested deeper than 128 levels");
  EXPECT_TRUE(parse_json("[\"" + std::string(1000, '[') + "\", \"\\\"" + std::string(1000, '{') + "\"]", "x"));
  EXPECT_FALSE(parse_json(std::string(1000, ']') + std::string(100000, '['), "x"));
}

TEST(JsonTest, WritesValidUtf8WhateverItHolds) {
  EXPECT_EQ(dump_json(Json("a\xff"
                           "b")),
            "\"a\xef\xbf\xbd"
            "b\"");
  EXPECT_EQ(dump_json_python(Json({{"k\xff", "\xed\xa0\x80"}})).find('\xff'), std::string::npos);
  EXPECT_EQ(dump_json(Json("\x01\x1f\x7f\"\\/")), "\"\\u0001\\u001f\x7f\\\"\\\\/\"");
}

// Expected texts from CPython 3.11's json.dumps(…, ensure_ascii=False).
TEST(JsonTest, WritesLinesAsPythonDoes) {
  const auto json = parse_json(R"({"a": [1, -2.5, true, null, "ü\n"], "b": {}, "c": []})", "x");
  ASSERT_TRUE(json);
  EXPECT_EQ(dump_json_python(*json), R"({"a": [1, -2.5, true, null, "ü\n"], "b": {}, "c": []})");
  EXPECT_EQ(dump_json(*json, 2),
            "{\n  \"a\": [\n    1,\n    -2.5,\n    true,\n    null,\n    \"ü\\n\"\n  ],\n  \"b\": {},\n  \"c\": []\n}");
}

TEST(JsonTest, WritesNumbersAsPythonDoes) {
  const auto text = [](double value) { return dump_json_python(Json(value)); };
  EXPECT_EQ(text(0.1), "0.1");
  EXPECT_EQ(text(1.0), "1.0");
  EXPECT_EQ(text(-0.0), "-0.0");
  EXPECT_EQ(text(1e15), "1000000000000000.0");
  EXPECT_EQ(text(1234567890123456.0), "1234567890123456.0");
  EXPECT_EQ(text(1e16), "1e+16");
  EXPECT_EQ(text(1.5e300), "1.5e+300");
  EXPECT_EQ(text(0.0001), "0.0001");
  EXPECT_EQ(text(0.00001), "1e-05");
  EXPECT_EQ(text(1.25e-7), "1.25e-07");
  EXPECT_EQ(text(5e-324), "5e-324");
  EXPECT_EQ(text(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(text(9007199254740993.0), "9007199254740992.0");
  EXPECT_EQ(text(1766500000.123456), "1766500000.123456");
  EXPECT_EQ(dump_json_python(Json(UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(dump_json_python(Json(INT64_MIN)), "-9223372036854775808");
  // What JSON cannot say is null, for a reader that is not Python.
  EXPECT_EQ(text(NAN), "null");
  EXPECT_EQ(text(INFINITY), "null");
}

TEST(JsonTest, TypedReadsNeverThrow) {
  const auto json =
      *parse_json(R"({"s": "x", "i": 5, "n": 1.5, "b": true, "z": null, "u": 18446744073709551615})", "x");
  EXPECT_EQ(get_string(json, "s"), "x");
  EXPECT_EQ(get_int(json, "i"), 5);
  EXPECT_EQ(get_number(json, "i"), 5.0);
  EXPECT_EQ(get_number(json, "n"), 1.5);
  EXPECT_EQ(get_bool(json, "b"), true);
  EXPECT_FALSE(get_int(json, "u"));
  EXPECT_FALSE(get_int(json, "n"));
  EXPECT_FALSE(get_bool(json, "i"));
  EXPECT_EQ(string_or(json, "i", "f"), "f");
  EXPECT_EQ(string_or(json, "z", "f"), "f");
  EXPECT_EQ(find_member(json, "absent"), nullptr);
  for (const auto& other : {Json(nullptr), Json(5), Json("s"), Json::array({1})}) {
    EXPECT_FALSE(get_string(other, "s"));
    EXPECT_FALSE(get_int(other, "s"));
    EXPECT_FALSE(get_number(other, "s"));
    EXPECT_FALSE(get_bool(other, "s"));
    EXPECT_EQ(find_member(other, "s"), nullptr);
  }
}

TEST(JsonTest, AnyPrefixOfADocumentIsReadOrRefused) {
  const std::string text = R"({"a": [1, 2.5e3, {"b": "\u00e4\\"}], "c": [true, null]})";
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(parse_json(text.substr(0, n), "x")) << n;
}

}  // namespace
}  // namespace awm
