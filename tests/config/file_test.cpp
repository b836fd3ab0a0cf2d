#include "config/file.h"
#include "base/json.h"
#include "base/text.h"
#include "config/config_support.h"
#include "config/toml.h"

namespace awm {
namespace {

TEST(ConfigFileTest, ReadsAFileOfEverySection) {
  const auto file = sample();
  EXPECT_EQ(file.llm_sections(), (std::vector<std::string>{"llm", "llm.kimi-k2", "llm.gpt-3.5-for-eval", "llm.local"}));
  EXPECT_EQ(file.data().find("llm.gpt-3.5-for-eval", "temperature")->value, Json(0.5));
  EXPECT_EQ(file.data().find("llm", "num_retries")->line, 18);
  EXPECT_EQ(file.data().find("agent.CustomAgent", "classpath")->value, Json("my_package.my_module.MyCustomAgent"));
  EXPECT_EQ(file.data().find("condenser.summary", "max_size")->value, Json(50));
}

TEST(ConfigFileTest, ListsWhatIsNotUsedOnce) {
  const auto notes = sample().notes();
  ASSERT_EQ(notes.size(), 1U) << join(notes, "\n");
  EXPECT_THAT(notes.front(), ::testing::StartsWith(
                                 "config.toml: accepted, and not used by awm: [agent] enable_browsing, enable_editor"));
  EXPECT_THAT(notes.front(), ::testing::HasSubstr("[agent.CustomAgent] classpath, depth_of_thought"));
  EXPECT_THAT(notes.front(), ::testing::HasSubstr("[core] workspace_base, cache_dir, debug"));
  EXPECT_THAT(notes.front(), ::testing::HasSubstr("[sandbox] user_id"));
  EXPECT_THAT(notes.front(), ::testing::Not(::testing::HasSubstr("num_retries")));
}

TEST(ConfigFileTest, WarnsOfSectionsThatOpenHandsWarnsOf) {
  EXPECT_EQ(sample().warnings(),
            std::vector<std::string>{"config.toml:106: section [eval] is not known, and passed over"});
  EXPECT_EQ(
      parsed("[lmm]\nmodel = \"x\"\n").warnings(),
      std::vector<std::string>{"config.toml:1: section [lmm] is not known, and passed over; did you mean \"llm\"?"});
  EXPECT_EQ(parsed("[LLM]\nmodel = \"x\"\n").warnings().size(), 1U);
}

TEST(ConfigFileTest, TakesKeysOfOtherVersionsOfOpenHands) {
  const auto file = parsed(
      "[core]\ne2b_api_key = \"e2b-1234\"\n[llm]\nembedding_model = \"local\"\n[agent]\nmemory_enabled = true\n");
  EXPECT_EQ(file.notes(),
            std::vector<std::string>{
                "config.toml: of other versions of OpenHands than 0.62, and not used by awm: [agent] memory_enabled; "
                "[core] e2b_api_key; [llm] embedding_model"});
}

TEST(ConfigFileTest, SaysWhatItConverts) {
  const auto file = parsed("[llm]\nnum_retries = \"3\"\ntemperature = \"0.5\"\ncaching_prompt = \"no\"\n");
  EXPECT_EQ(file.data().find("llm", "num_retries")->value, Json(3));
  EXPECT_EQ(file.data().find("llm", "caching_prompt")->value, Json(false));
  EXPECT_EQ(file.notes(),
            (std::vector<std::string>{"config.toml:2: [llm] num_retries: the string is read as an integer",
                                      "config.toml:3: [llm] temperature: the string is read as a number",
                                      "config.toml:4: [llm] caching_prompt: the string is read as false"}));
}

TEST(ConfigFileTest, KnowsEverySecretAndNothingElse) {
  auto secrets = sample().secrets();
  std::ranges::sort(secrets);
  EXPECT_EQ(secrets, (std::vector<std::string>{"AKIA-SECRET-0004", "SECRET-0006", "SECRET-0007", "jwt-SECRET-0001",
                                               "sk-SECRET-0003", "sk-or-SECRET-0005", "tvly-SECRET-0002"}));
}

TEST(ConfigFileTest, TakesCrlfAByteOrderMarkAndAnEmptyFile) {
  EXPECT_EQ(parsed("\xef\xbb\xbf[llm]\r\nmodel = \"x\"\r\n").data().find("llm", "model")->value, Json("x"));
  EXPECT_TRUE(parsed("").llm_sections().empty());
  EXPECT_TRUE(parsed("# nothing\n").notes().empty());
}

TEST(ConfigFileTest, ADottedNameIsOneName) {
  const auto file = parsed(
      "[llm.a.b.c]\nmodel = \"x\"\n[llm.\"d.e\"]\nmodel = \"y\"\n[llm.f]\nmodel = \"z\"\n[llm.f.completion_kwargs]\na "
      "= 1\n");
  EXPECT_EQ(file.llm_sections(), (std::vector<std::string>{"llm", "llm.a.b.c", "llm.d.e", "llm.f"}));
  EXPECT_EQ(file.data().find("llm.f", "completion_kwargs")->value, Json({{"a", 1}}));
}

TEST(ConfigFileTest, IsFoundInTheWorkingDirectoryOrByName) {
  const testing::TestFolder folder;
  const auto path = folder.write("other.toml", "[llm]\nmodel = \"m\"\n");
  const auto file = ConfigFile::load(path);
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(file->name(), path);
  const auto none = ConfigFile::load(folder / "absent.toml");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(none.error().message(), "open " + (folder / "absent.toml") + ": No such file or directory (see --config)");
}

TEST(ConfigFileTest, AFolderOrAHugeFileIsAnError) {
  const testing::TestFolder folder;
  EXPECT_FALSE(ConfigFile::load(folder.path()));
  const auto path = folder.write("huge.toml", std::string(5U << 20, '#'));
  const auto huge = ConfigFile::load(path);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code, Errc::exhausted);
}

TEST(ConfigFileTest, HostileTextEndsInAnError) {
  EXPECT_FALSE(ConfigFile::parse("[llm]\nx = " + std::string(100000, '['), "config.toml"));
  EXPECT_FALSE(ConfigFile::parse("[llm]\nx = " + std::string(100000, '{'), "config.toml"));
  std::string deep = "[llm";
  for (int i = 0; i < 2000; ++i) deep += ".a";
  (void)ConfigFile::parse(deep + "]\nmodel = \"x\"\n", "config.toml");
  EXPECT_THAT(refused("[llm]\n\"a\\u001b[31mb\" = 1\n"), ::testing::HasSubstr("\"a?[31mb\""));
}

// Any one byte lost, doubled or changed: read or refused, and no refusal shows a value.
TEST(ConfigFileTest, NoErrorShowsASecret) {
  const auto text = testing::read_text(sample_path());
  int refusals = 0;
  const auto look = [&](const std::string& changed) {
    const auto file = ConfigFile::parse(changed, "config.toml");
    if (file) return;
    ++refusals;
    ASSERT_EQ(file.error().message().find("SECRET"), std::string::npos) << file.error().message();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    look(text.substr(0, i) + text.substr(i + 1));
    look(text.substr(0, i) + "\"" + text.substr(i));
    if (i % 7 == 0) look(text.substr(0, i));
  }
  EXPECT_GT(refusals, 1000);
}

}  // namespace
}  // namespace awm
