#include "config/schema.h"

#include <set>

#include "base/json.h"
#include "support/support.h"

namespace awm {
namespace {

TomlNode node(TomlNode::Type type, Json value) {
  return {.type = type, .line = 1, .value = std::move(value)};
}

TEST(SchemaTest, NoKeyIsListedTwiceAndEachIsFound) {
  for (const auto& section : known_sections()) {
    std::set<std::string_view> names;
    for (const auto& key : section.keys) {
      EXPECT_TRUE(names.insert(key.name).second) << section.name << " " << key.name;
      EXPECT_EQ(find_key(section, key.name), &key);
    }
    EXPECT_EQ(find_section(section.name), &section);
  }
}

// The counts of openhands-ai 0.62.0's models; `extended` holds anything.
TEST(SchemaTest, HoldsAllKeysOfOpenHands) {
  const auto count = [](std::string_view section) {
    std::size_t n = 0;
    for (const auto& key : find_section(section)->keys) n += key.use == KeyUse::old ? 0 : 1;
    return n;
  };
  EXPECT_EQ(count("llm"), 39U);
  EXPECT_EQ(count("agent"), 22U);
  EXPECT_EQ(count("sandbox"), 34U);
  EXPECT_EQ(count("security"), 2U);
  EXPECT_EQ(count("kubernetes"), 13U);
  EXPECT_EQ(count("mcp"), 3U);
  EXPECT_EQ(count("model_routing"), 2U);
}

TEST(SchemaTest, EveryKeyThatSoundsLikeASecretIsOne) {
  for (const auto& section : known_sections()) {
    for (const auto& key : section.keys) {
      const bool sounds = key.name.ends_with("api_key") || key.name.find("secret") != std::string_view::npos ||
                          key.name.find("password") != std::string_view::npos;
      if (sounds && key.name != "image_pull_secret" && key.name != "ingress_tls_secret") {
        EXPECT_TRUE(key.secret) << section.name << " " << key.name;
      }
    }
  }
}

TEST(SchemaTest, ConvertsWhatPydanticConverts) {
  const KeyRule integer{.name = "n", .kind = KeyKind::integer};
  const KeyRule number{.name = "x", .kind = KeyKind::number};
  const KeyRule boolean{.name = "b", .kind = KeyKind::boolean};
  EXPECT_EQ(check_value(integer, node(TomlNode::Type::number, 5.0), true).value, Json(5));
  EXPECT_EQ(check_value(integer, node(TomlNode::Type::text, " 5 "), true).value, Json(5));
  EXPECT_FALSE(check_value(integer, node(TomlNode::Type::boolean, true), true).value);
  EXPECT_EQ(check_value(number, node(TomlNode::Type::integer, 1), true).value, Json(1.0));
  EXPECT_EQ(check_value(number, node(TomlNode::Type::text, "1e-3"), true).value, Json(0.001));
  EXPECT_EQ(check_value(boolean, node(TomlNode::Type::text, "Off"), true).value, Json(false));
  EXPECT_EQ(check_value(boolean, node(TomlNode::Type::integer, 1), true).value, Json(true));
  EXPECT_FALSE(check_value(boolean, node(TomlNode::Type::integer, 2), true).value);
}

TEST(SchemaTest, OursAreTakenAsTheyAreTyped) {
  EXPECT_FALSE(check_value({.name = "n", .kind = KeyKind::integer}, node(TomlNode::Type::text, "5"), false).value);
  EXPECT_FALSE(check_value({.name = "b", .kind = KeyKind::boolean}, node(TomlNode::Type::text, "true"), false).value);
}

TEST(SchemaTest, TypesVariablesAsOpenHandsDoes) {
  const auto read = [](KeyKind kind, std::string_view text) {
    return check_variable({.name = "k", .kind = kind}, text).value;
  };
  EXPECT_EQ(read(KeyKind::boolean, "TRUE"), Json(true));
  EXPECT_EQ(read(KeyKind::boolean, "1"), Json(true));
  EXPECT_EQ(read(KeyKind::boolean, "yes"), Json(false));
  EXPECT_EQ(read(KeyKind::integer, " 1_000 "), Json(1000));
  EXPECT_EQ(read(KeyKind::integer, "+7"), Json(7));
  EXPECT_FALSE(read(KeyKind::integer, "7.0"));
  EXPECT_FALSE(read(KeyKind::integer, "99999999999999999999"));
  EXPECT_EQ(read(KeyKind::number, "2"), Json(2.0));
  EXPECT_FALSE(read(KeyKind::number, "inf"));
  EXPECT_EQ(read(KeyKind::text_table, "{'A': \"b\", 'C': 'd',}"), Json({{"A", "b"}, {"C", "d"}}));
  EXPECT_FALSE(read(KeyKind::text_table, "{'A': 1}"));
  EXPECT_FALSE(read(KeyKind::text_table, "['A']"));
  EXPECT_EQ(read(KeyKind::text_list, "('a', 'b')"), Json({"a", "b"}));
}

TEST(SchemaTest, ReadsPythonLiterals) {
  EXPECT_EQ(parse_python_literal(R"([1, -2.5, True, False, None, 'it\'s', "q\"", ()])"),
            Json::parse(R"([1, -2.5, true, false, null, "it's", "q\"", []])"));
  EXPECT_EQ(parse_python_literal("{'a': {'b': [1]}}"), Json::parse(R"({"a": {"b": [1]}})"));
  for (const auto* broken :
       {"", "[", "[1", "[1 2]", "{'a'}", "{'a' 1}", "{1: 2}", "'open", "import os", "f()", "[1] x", "[,]", "'\\"}) {
    EXPECT_FALSE(parse_python_literal(broken)) << broken;
  }
  EXPECT_FALSE(parse_python_literal(std::string(100000, '[')));
}

TEST(SchemaTest, ReadsSizes) {
  EXPECT_EQ(parse_size("4G"), int64_t{4} << 30);
  EXPECT_EQ(parse_size("512 MB"), int64_t{512} << 20);
  EXPECT_EQ(parse_size("1.5GiB"), int64_t{3} << 29);
  EXPECT_EQ(parse_size("100"), 100);
  EXPECT_EQ(parse_size("100b"), 100);
  EXPECT_EQ(parse_size("2t"), int64_t{2} << 40);
  for (const auto* broken : {"", "G", "-1G", "0", "4 gigs", "4GG", "1e3", "99999999999T", "0x10"}) {
    EXPECT_FALSE(parse_size(broken)) << broken;
  }
}

}  // namespace
}  // namespace awm
