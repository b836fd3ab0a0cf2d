#include "memory/views.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/text.h"
#include "learning_support.h"
#include "memory/memory_file.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;
using testing::memory_of;
using testing::pass;

const Scope scope("test");

std::string lines_of(const std::vector<Experience>& experiences) {
  std::string text;
  for (const auto& experience : experiences) text += dump_json(to_json(experience)) + "\n";
  return text;
}

std::vector<Experience> some() {
  auto docs = pass("d__d-1");
  docs.task_type = "docs";
  auto failed = pass("f__f-1");
  failed.test_result = "FAIL";
  auto bug = pass("a__a-1");
  bug.task_type = "bug_fix";
  auto second = pass("b__b-1");
  second.task_type = "bug_fix";
  return {bug, failed, docs, second};
}

TEST(Results, ComeBackAsTheyWere) {
  const testing::TestFolder folder;
  const auto path = folder.write("results.jsonl", lines_of(some()));
  std::vector<Experience> read;
  const auto result = read_results(scope, path, [&](Experience experience) {
    read.push_back(std::move(experience));
    return true;
  });
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(result->lines, 4);
  EXPECT_TRUE(result->left_out.empty());
  EXPECT_EQ(lines_of(read), lines_of(some()));
}

TEST(Results, OfThePredecessorHaveNullsAndAreRead) {
  const testing::TestFolder folder;
  const auto path = folder.write(
      "results.jsonl",
      R"({"instance_id": "a__a-1", "problem_statement": "p", "diff_patch": "", "history": [{"step_id": 0, "observation": "o", "thought": "", "action": "a", "action_type": "search", "file_path": null, "command": null}], "test_result": "FAIL", "test_output": null, "task_type": null, "timestamp": "2025-12-01T17:41:09.944292", "model_name": ""})"
      "\n");
  std::vector<Experience> read;
  ASSERT_TRUE(read_results(scope, path, [&](Experience experience) {
    read.push_back(std::move(experience));
    return true;
  }));
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].task_type, "");
  EXPECT_EQ(read[0].history.at(0).action_type, "search");
  EXPECT_FALSE(read[0].history.at(0).file_path);
}

TEST(Results, LoseOnlyBrokenLines) {
  const testing::TestFolder folder;
  const auto good = dump_json(to_json(pass("a__a-1")));
  const auto path = folder.write(
      "results.jsonl",
      good +
          "\n{broken\n\n[]\n{\"instance_id\":\"x\"}\n{\"instance_id\":\"y\",\"test_result\":\"PASS\",\"history\":5}\n" +
          good + "\n" + dump_json(to_json(pass("b__b-1"))) + "\n" + good.substr(0, 50));
  std::vector<std::string> ids;
  const auto result = read_results(scope, path, [&](const Experience& experience) {
    ids.push_back(experience.instance_id);
    return true;
  });
  ASSERT_TRUE(result) << result.error();
  EXPECT_EQ(ids, (std::vector<std::string>{"a__a-1", "b__b-1"}));
  EXPECT_TRUE(result->torn);
  ASSERT_EQ(result->left_out.size(), 5U) << join(result->left_out, "\n");
  EXPECT_THAT(result->left_out[0], HasSubstr("results.jsonl:2"));
  EXPECT_THAT(result->left_out[2], HasSubstr("no test_result"));
  EXPECT_THAT(result->left_out[3], HasSubstr("history is no list"));
  EXPECT_THAT(result->left_out[4], HasSubstr("results.jsonl:7"));
}

TEST(Results, MayBeLeftInTheMiddle) {
  const testing::TestFolder folder;
  const auto path = folder.write("results.jsonl", lines_of(some()));
  int taken = 0;
  ASSERT_TRUE(read_results(scope, path, [&](const Experience&) { return ++taken < 2; }));
  EXPECT_EQ(taken, 2);
  EXPECT_EQ(read_results(scope, folder / "absent", [](const Experience&) { return true; }).error().code,
            Errc::not_found);
}

TEST(BufferView, HoldsWhatPassedByTaskType) {
  const testing::TestFolder folder;
  auto more = to_json(pass("m__m-1"));
  more["task_type"] = "docs";
  more["our_own_key"] = 1;
  const auto results = folder.write("results.jsonl", lines_of(some()) + dump_json(more) + "\n");
  ASSERT_TRUE(write_buffer_view(scope, results, folder / "buffer.json", "2026-05-05T00:00:00"));
  const auto json = parse_json(testing::read_text(folder / "buffer.json"), "buffer.json");
  ASSERT_TRUE(json) << json.error();
  EXPECT_EQ((*json)["success_count"], 4);
  EXPECT_FALSE((*json)["buffer"]["docs"][1].contains("our_own_key"));
  EXPECT_EQ((*json)["last_updated"], "2026-05-05T00:00:00");
  std::vector<std::string> types;
  for (const auto& item : (*json)["buffer"].items()) types.push_back(item.key());
  EXPECT_EQ(types, (std::vector<std::string>{"bug_fix", "docs"}));
  EXPECT_EQ((*json)["buffer"]["bug_fix"][1], to_json(some()[3]));
  EXPECT_FALSE(testing::path_exists(folder / "buffer.json.part"));
}

TEST(BufferView, OfNothingIsWhole) {
  const testing::TestFolder folder;
  const auto results = folder.write("results.jsonl", "");
  ASSERT_TRUE(write_buffer_view(scope, results, folder / "buffer.json", "t"));
  const auto json = parse_json(testing::read_text(folder / "buffer.json"), "buffer.json");
  ASSERT_TRUE(json) << json.error();
  EXPECT_EQ((*json)["success_count"], 0);
  EXPECT_TRUE((*json)["buffer"].is_object());
}

TEST(ResultView, HoldsExperiencesWorkflowsAndStatistics) {
  const testing::TestFolder folder;
  const auto results = folder.write("results.jsonl", lines_of(some()));
  const auto statistics =
      statistics_view({.total_processed = 4, .total_success = 3, .workflows_learned = 1, .elapsed_seconds = 2.5},
                      Json{{"agent_class", "X"}});
  ASSERT_TRUE(write_result_view(scope, results, *memory_of({"Known Way"}), statistics, folder / "result.json"));
  const auto json = parse_json(testing::read_text(folder / "result.json"), "result.json");
  ASSERT_TRUE(json) << json.error();
  EXPECT_EQ((*json)["experiences"].size(), 4U);
  EXPECT_EQ((*json)["workflows"][0]["name"], "Known Way");
  EXPECT_DOUBLE_EQ((*json)["statistics"]["success_rate"].get<double>(), 0.75);
  EXPECT_EQ((*json)["statistics"]["config"]["agent_class"], "X");
}

TEST(Checkpoint, IsReadOfBothKinds) {
  const testing::TestFolder folder;
  const Checkpoint checkpoint{100, 46, "2026-01-01T00:00:00", "2026-01-02T00:00:00"};
  const auto path = folder.write("checkpoint.json", dump_json(to_json(checkpoint), 2));
  const auto read = read_checkpoint(path);
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(to_json(*read), to_json(checkpoint));
  for (const auto* broken : {"", "{}", "{\"total_processed\": 1, \"total_success\": 2}",
                             "{\"total_processed\": \"1\", \"total_success\": 1}", "[1]"}) {
    const auto bad = read_checkpoint(folder.write("broken.json", broken));
    ASSERT_FALSE(bad) << broken;
    EXPECT_THAT(bad.error().message(), HasSubstr("broken.json"));
  }
}

TEST(Checkpoint, OfThePredecessorIsRead) {
  REQUIRE_SHARED_DATA("awm/checkpoint.json");
  const auto read = read_checkpoint(testing::shared_data("awm/checkpoint.json"));
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->total_processed, 100);
  EXPECT_EQ(read->total_success, 46);
  EXPECT_EQ(read->start_time, "2025-12-01T17:41:09.944292");
}

}  // namespace
}  // namespace awm
