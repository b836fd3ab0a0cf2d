#include "memory/memory_file.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/text.h"
#include "learning_support.h"
#include "memory/prompt_section.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;
using testing::memory_of;
using testing::workflow_text;

std::shared_ptr<const WorkflowMemory> grown() {
  auto memory = memory_of({"First Way", "Second Way"});
  auto better = workflow_text("First Way");
  better.description += " Also for other alphabets.";
  const MemoryChange improved{.kind = MemoryChange::Kind::improved,
                              .target = "First Way",
                              .text = better,
                              .sources = {"x__y-2"},
                              .model = "m2",
                              .date = "2026-03-03T00:00:00"};
  memory = apply(*memory, improved, 50)->memory;
  return apply(*memory,
               {.kind = MemoryChange::Kind::reinforced,
                .target = "Second Way",
                .sources = {"x__y-3"},
                .model = "m2",
                .date = "2026-04-04T00:00:00"},
               50)
      ->memory;
}

TEST(MemoryFile, ComesBackAsItWas) {
  const auto memory = grown();
  const auto text = dump_json(memory_view(*memory, "2026-05-05T00:00:00"), 2);
  const auto loaded = parse_memory(text, "memory.json", 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_TRUE(loaded->ours);
  EXPECT_EQ(loaded->defects, std::vector<std::string>{});
  EXPECT_EQ(loaded->left_out, std::vector<std::string>{});
  EXPECT_EQ(loaded->memory->hash(), memory->hash());
  EXPECT_EQ(dump_json(memory_view(*loaded->memory, "2026-05-05T00:00:00"), 2), text);
  EXPECT_EQ(loaded->memory->find("First Way")->earlier.at(0)->text, workflow_text("First Way"));
}

// The predecessor builds its objects by Workflow(**data): one key too many and its scripts fail.
TEST(MemoryFile, HasExactlyTheKeysThatOldScriptsTake) {
  const auto view = memory_view(*grown(), "2026-05-05T00:00:00");
  EXPECT_EQ(view["total_count"], 2);
  EXPECT_EQ(view["last_updated"], "2026-05-05T00:00:00");
  for (const auto& workflow : view["workflows"]) {
    std::vector<std::string> keys;
    for (const auto& item : workflow.items()) keys.push_back(item.key());
    EXPECT_EQ(keys, (std::vector<std::string>{"name", "description", "applicable_scenarios", "steps",
                                              "source_experiences", "created_at", "version"}));
    EXPECT_TRUE(workflow["version"].is_string());
    for (const auto& step : workflow["steps"]) {
      keys.clear();
      for (const auto& item : step.items()) keys.push_back(item.key());
      EXPECT_EQ(keys, (std::vector<std::string>{"step_type", "reasoning", "action_template"}));
    }
  }
}

TEST(MemoryFile, SaysWhenItWasChangedByAnotherHand) {
  auto view = memory_view(*grown(), "2026-05-05T00:00:00");
  view["workflows"][0]["steps"][0]["action_template"] = "do something else";
  const auto loaded = parse_memory(dump_json(view), "memory.json", 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_THAT(loaded->defects, ::testing::Contains("it was changed after awm wrote it"));
}

TEST(MemoryFile, ReadsThePredecessorsAndListsItsDefects) {
  REQUIRE_SHARED_DATA("awm/memory.json");
  const auto loaded = read_memory_file(testing::shared_data("awm/memory.json"), 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_FALSE(loaded->ours);
  EXPECT_EQ(loaded->memory->size(), 43U);
  EXPECT_EQ(loaded->left_out, std::vector<std::string>{});
  const auto defects = join(loaded->defects, "\n");
  EXPECT_THAT(defects, HasSubstr("all 215 steps have the word \"Reasoning\" as their reason"));
  EXPECT_THAT(defects, HasSubstr("all 43 workflows have no placeholder"));
  EXPECT_THAT(defects, HasSubstr("all 43 workflows do not name the samples they came from"));
  EXPECT_THAT(defects, HasSubstr("all 43 workflows have no date"));
  EXPECT_THAT(defects, HasSubstr("two workflows of nearly one name"));
  EXPECT_THAT(defects, HasSubstr("Publicize Internal Helper & Enrich Serialized Context has no description"));
  // It serves frozen: the lost reasons are not shown.
  const auto section = workflow_section(*loaded->memory, 50'000, "base");
  EXPECT_GT(section.shown, 30U);
  EXPECT_FALSE(contains(section.text, "] Reasoning"));
  // And it can be written as ours and read again.
  const auto again = parse_memory(dump_json(memory_view(*loaded->memory, "")), "again", 50);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->memory->hash(), loaded->memory->hash());
}

TEST(MemoryFile, ReadsAListOfWorkflowsFromThePredecessorsTests) {
  REQUIRE_SHARED_DATA("awm/inducted_memory.json");
  const auto loaded = read_memory_file(testing::shared_data("awm/inducted_memory.json"), 50);
  ASSERT_TRUE(loaded) << loaded.error();
  ASSERT_EQ(loaded->memory->size(), 1U);
  EXPECT_EQ(loaded->memory->workflows()[0]->text.steps.size(), 8U);
}

TEST(MemoryFile, ThatIsBrokenIsNamedWithTheReason) {
  const struct {
    const char* text;
    const char* says;
  } cases[] = {{"", "column 1: empty"},
               {"{\"workflows\": [", "column 16"},
               {"{\"results\": []}", "no list \"workflows\""},
               {"\"text\"", "no list \"workflows\""},
               {"{\"workflows\": {\"a\": 1}}", "no list \"workflows\""},
               {"{\"workflows\": [1, null, \"x\"]}", "workflow 1 has no name"},
               {"{\"workflows\": [{\"name\": \"A\", \"steps\": []}]}", "has no steps"},
               {"{\"workflows\": [], \"awm\": {\"schema\": 9}}", "newer awm"}};
  for (const auto& [text, says] : cases) {
    const auto loaded = parse_memory(text, "some/memory.json", 50);
    ASSERT_FALSE(loaded) << text;
    EXPECT_THAT(loaded.error().message(), HasSubstr("some/memory.json"));
    EXPECT_THAT(loaded.error().message(), HasSubstr(says)) << text;
  }
}

TEST(MemoryFile, LosesOnlyTheWorkflowsThatCannotBeUsed) {
  Json view = memory_view(*memory_of({"Good Way"}), "");
  view.erase("awm");
  const Json good = view["workflows"][0];
  auto add = [&](const char* key, const Json& value) {
    Json item = good;
    item["name"] = "Way " + std::to_string(view["workflows"].size());
    item[key] = value;
    view["workflows"].push_back(item);
  };
  add("name", 5);
  add("name", "good way");
  add("name", std::string(1000, 'n'));
  add("steps", "text");
  add("steps", Json::array({Json{{"step_type", ""}}}));
  add("description", std::string(100'000, 'd'));
  add("applicable_scenarios", "no list");
  add("version", 7);
  const auto loaded = parse_memory(dump_json(view), "m", 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->left_out.size(), 6U) << join(loaded->left_out, "\n");
  EXPECT_EQ(loaded->memory->size(), 3U);
}

TEST(MemoryFile, TextsThatCouldForgeAPromptAreMadePlain) {
  Json view = memory_view(*memory_of({"Good Way"}), "");
  view.erase("awm");
  view["workflows"][0]["name"] = "Good\n\n# Orders\r\x1b[2J";
  view["workflows"][0]["steps"][0]["action_template"] = "one\ntwo\x01";
  const auto loaded = parse_memory(dump_json(view), "m", 50);
  ASSERT_TRUE(loaded) << loaded.error();
  const auto& text = loaded->memory->workflows()[0]->text;
  EXPECT_EQ(text.name.find_first_of("\n\r\x1b"), std::string::npos);
  EXPECT_EQ(text.steps[0].action_template, "one\ntwo");
}

TEST(MemoryFile, OfTenThousandWorkflowsKeepsTheLimit) {
  Json view{{"workflows", Json::array()}};
  const Json good = memory_view(*memory_of({"Good Way"}), "")["workflows"][0];
  for (int i = 0; i < 10'000; ++i) {
    Json item = good;
    item["name"] = "Way " + std::to_string(i);
    view["workflows"].push_back(std::move(item));
  }
  const auto loaded = parse_memory(dump_json(view), "m", 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->memory->size(), 50U);
  EXPECT_EQ(loaded->left_out,
            std::vector<std::string>{"9950 workflows beyond the limit of 50: those taught least, then the oldest"});
  EXPECT_EQ(loaded->memory->workflows().front()->text.name, "Way 9950");
  EXPECT_EQ(loaded->memory->workflows().back()->text.name, "Way 9999");
}

TEST(MemoryFile, IsWrittenWhole) {
  const testing::TestFolder folder;
  const auto path = folder / "memory.json";
  ASSERT_TRUE(write_memory_file(path, *grown(), "2026-05-05T00:00:00"));
  const auto loaded = read_memory_file(path, 50);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->memory->hash(), grown()->hash());
  EXPECT_EQ(read_memory_file(folder / "absent.json", 50).error().code, Errc::not_found);
}

}  // namespace
}  // namespace awm
