// What a person can get wrong, with the message that each gives: the list in docs/errors.md is this one.
#include "base/text.h"
#include "config/config_support.h"

namespace awm {
namespace {

struct BadInput {
  const char* name;
  const char* text;
  const char* message;
};

void PrintTo(const BadInput& bad, std::ostream* out) {
  *out << bad.name;
}

class BadConfigTest : public ::testing::TestWithParam<BadInput> {};

TEST_P(BadConfigTest, IsRefusedWithThisMessage) {
  // Where TOML itself is broken the last words are the library's, and differ between its versions.
  const std::string_view message = GetParam().message;
  if (message.ends_with(": ")) {
    EXPECT_THAT(refused(GetParam().text), ::testing::StartsWith(std::string(message)));
  } else {
    EXPECT_EQ(refused(GetParam().text), message);
  }
}

TEST_P(BadConfigTest, IsListedInTheDocumentation) {
  const auto docs = testing::read_text(AWM_SOURCE_DIR "/docs/errors.md");
  EXPECT_TRUE(contains(docs, GetParam().message)) << GetParam().message;
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadConfigTest,
    ::testing::Values(
        BadInput{"MistypedKey", "[llm]\nmodle = \"gpt-4o\"\n",
                 "read config.toml:2: [llm] does not know the key \"modle\"; did you mean \"model\"? (docs/config.md "
                 "lists the keys)"},
        BadInput{"MistypedKeyOfANamedSection", "[llm.kimi]\nmodel = \"x\"\n\napi_kye = \"sk-secret\"\n",
                 "read config.toml:4: [llm.kimi] does not know the key \"api_kye\"; did you mean \"api_key\"? "
                 "(docs/config.md lists the keys)"},
        BadInput{"UnknownKey", "[sandbox]\nflavour = 1\n",
                 "read config.toml:2: [sandbox] does not know the key \"flavour\" (docs/config.md lists the keys)"},
        BadInput{"KeyOfAnotherSection", "[core]\ntemperature = 0.5\n",
                 "read config.toml:2: [core] does not know the key \"temperature\"; it belongs in [llm] "
                 "(docs/config.md lists the keys)"},
        BadInput{"OurKeyOneLevelTooHigh", "[awm]\nbind = [\"/opt\"]\n",
                 "read config.toml:2: [awm] does not know \"bind\"; it belongs in [awm.sandbox] (docs/config.md lists "
                 "the keys)"},
        BadInput{"MistypedSectionOfOurs", "[awm.sandbx]\npids = 5\n",
                 "read config.toml:1: [awm] does not know \"sandbx\"; did you mean \"sandbox\"? (docs/config.md lists "
                 "the keys)"},
        BadInput{
            "KeyBeforeAnySection", "model = \"gpt-4o\"\n[llm]\n",
            "read config.toml:1: \"model\" stands in no section; it belongs in [llm] (docs/config.md lists the keys)"},
        BadInput{"StringForAnInteger", "[llm]\nnum_retries = \"five\"\n",
                 "read config.toml:2: [llm] num_retries: expected an integer, found a string (docs/config.md lists the "
                 "keys)"},
        BadInput{"FractionForAnInteger", "[llm]\nnum_retries = 2.5\n",
                 "read config.toml:2: [llm] num_retries: expected an integer, found a number (docs/config.md lists the "
                 "keys)"},
        BadInput{
            "NumberForAString", "[llm]\nmodel = 4\n",
            "read config.toml:2: [llm] model: expected a string, found an integer (docs/config.md lists the keys)"},
        BadInput{
            "ListForANumber", "[llm]\ntemperature = [0.1]\n",
            "read config.toml:2: [llm] temperature: expected a number, found a list (docs/config.md lists the keys)"},
        BadInput{"NotANumber", "[llm]\ntemperature = nan\n",
                 "read config.toml:2: [llm] temperature: expected a finite number (docs/config.md lists the keys)"},
        BadInput{"WordForABoolean", "[llm]\nnative_tool_calling = \"maybe\"\n",
                 "read config.toml:2: [llm] native_tool_calling: expected true or false, found a string "
                 "(docs/config.md lists the keys)"},
        BadInput{"StringForOurBoolean", "[awm.sandbox]\nnetwork = \"yes\"\n",
                 "read config.toml:2: [awm.sandbox] network: expected true or false, found a string (docs/config.md "
                 "lists the keys)"},
        BadInput{"OutOfRange", "[llm]\nnum_retries = -1\n",
                 "read config.toml:2: [llm] num_retries: must be 0 or more (docs/config.md lists the keys)"},
        BadInput{"SizeWithoutAUnitThatExists", "[awm.sandbox]\nmemory = \"4 gigs\"\n",
                 "read config.toml:2: [awm.sandbox] memory: expected a size such as \"4G\" or \"512M\", or a number of "
                 "bytes (docs/config.md lists the keys)"},
        BadInput{"ListWithAnotherValueInIt", "[awm.sandbox]\nbind = [\"/opt\", 5]\n",
                 "read config.toml:2: [awm.sandbox] bind: expected a list of strings, found another value in it "
                 "(docs/config.md lists the keys)"},
        BadInput{"TableForASection", "[awm]\nrun = 5\n",
                 "read config.toml:2: [awm] run: expected a table, found an integer (docs/config.md lists the keys)"},
        BadInput{"SeveralMistakes", "[llm]\nmodle = \"x\"\nnum_retries = \"many\"\n[awm.run]\nrepo = \"/srv\"\n",
                 "read config.toml: 3 mistakes: line 2: [llm] does not know the key \"modle\"; did you mean "
                 "\"model\"?; line 3: [llm] num_retries: expected an "
                 "integer, found a string; line 5: [awm.run] does not know the key \"repo\"; did you mean \"repos\"? "
                 "(docs/config.md lists the keys)"},
        BadInput{"MissingQuotes", "[llm]\nmodel = gpt-4o\n", "read config.toml:2:9: not valid TOML: "},
        BadInput{"UnclosedString", "[llm]\nmodel = \"gpt-4o\n", "read config.toml:2:16: not valid TOML: "},
        BadInput{"UnclosedSection", "[llm\nmodel = \"x\"\n", "read config.toml:1:5: not valid TOML: "},
        BadInput{"PythonsNone", "[llm]\nnative_tool_calling = None\n", "read config.toml:2:23: not valid TOML: "},
        BadInput{"PythonsTrue", "[llm]\ncaching_prompt = True\n", "read config.toml:2:18: not valid TOML: "},
        BadInput{"KeyTwice", "[llm]\nmodel = \"a\"\nmodel = \"b\"\n", "read config.toml:3:9: not valid TOML: "},
        BadInput{"SectionTwice", "[llm]\nmodel = \"a\"\n[core]\n[llm]\n", "read config.toml:4:1: not valid TOML: "},
        BadInput{"NotUtf8", "[llm]\nmodel = \"a\xff\"\n", "read config.toml:2:10: not valid TOML: "},
        BadInput{"NotTomlAtAll", "{\"llm\": {\"model\": \"x\"}}", "read config.toml:1:1: not valid TOML: "}),
    [](const auto& bad) { return std::string(bad.param.name); });

}  // namespace
}  // namespace awm
