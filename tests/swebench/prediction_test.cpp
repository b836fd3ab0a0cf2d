#include "swebench/prediction.h"

#include "swebench_support.h"

namespace awm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TestFolder;

Result<std::vector<Prediction>> read(const TestFolder& folder, std::string_view name, std::string_view content) {
  return read_predictions(folder.write(name, content));
}

std::string error_of(std::string_view name, std::string_view content) {
  const TestFolder folder;
  const auto predictions = read(folder, name, content);
  return predictions ? "no error" : predictions.error().message();
}

TEST(PredictionTest, ReadsTheFormsThatHarnessesTake) {
  const TestFolder folder;
  const std::string one = R"({"instance_id": "a-1", "model_name_or_path": "m/x", "model_patch": "diff\r\n"})";
  const std::string two = R"({"instance_id": "a-2", "model_name_or_path": "m/x", "model_patch": null})";
  for (const auto& [name, content] :
       std::vector<std::pair<std::string, std::string>>{{"p.jsonl", one + "\n" + two + "\n"},
                                                        {"p.json", "[" + one + ", " + two + "]"},
                                                        {"o.json", "{\"a-1\": " + one + ", \"a-2\": " + two + "}"}}) {
    const auto predictions = read(folder, name, content);
    ASSERT_TRUE(predictions) << predictions.error();
    ASSERT_EQ(predictions->size(), 2U) << name;
    EXPECT_EQ((*predictions)[0].instance_id, "a-1");
    EXPECT_EQ((*predictions)[0].model, "m/x");
    EXPECT_EQ((*predictions)[0].patch, "diff\r\n");
    EXPECT_EQ((*predictions)[1].patch, std::nullopt);
  }
  const auto keyed = read(folder, "k.json", R"({"a-9": {"model_patch": "", "model_name_or_path": null}})");
  ASSERT_TRUE(keyed) << keyed.error();
  EXPECT_EQ(keyed->front().instance_id, "a-9");
  EXPECT_EQ(keyed->front().patch, "");
}

TEST(PredictionTest, ReadsOpenHandsOutput) {
  const TestFolder folder;
  const auto predictions = read(
      folder, "output.jsonl",
      R"({"instance_id": "a-1", "test_result": {"git_patch": "warning: x\ndiff --git a/f b/f\n@@ -1 +1 @@\n-a\n+b"}, "metadata": {"llm_config": {"model": "openrouter/k2"}}, "history": []})"
      "\n"
      R"({"instance_id": "a-2", "test_result": {}})"
      "\n"
      R"({"instance_id": "a-3", "test_result": {"git_patch": "nothing"}})"
      "\n");
  ASSERT_TRUE(predictions) << predictions.error();
  EXPECT_EQ((*predictions)[0].patch, "diff --git a/f b/f\n@@ -1 +1 @@\n-a\n+b\n");
  EXPECT_EQ((*predictions)[0].model, "openrouter/k2");
  EXPECT_EQ((*predictions)[1].patch, std::nullopt);
  EXPECT_EQ((*predictions)[2].patch, "");
}

TEST(PredictionTest, BadOnesAreNamed) {
  EXPECT_THAT(error_of("p.jsonl", R"({"instance_id": "a-1", "model_patch": ["x"]})"),
              AllOf(HasSubstr("p.jsonl:1, a-1, model_patch"), HasSubstr("string or null, not array")));
  EXPECT_THAT(error_of("p.jsonl", R"({"instance_id": "a-1", "model_name_or_path": "m"})"),
              HasSubstr("a-1, model_patch: it is missing"));
  EXPECT_THAT(error_of("p.jsonl", R"({"model_patch": "x"})"), HasSubstr("p.jsonl:1, instance_id: it is missing"));
  EXPECT_THAT(error_of("p.jsonl", R"({"instance_id": 4, "model_patch": "x"})"),
              HasSubstr("instance_id: must be a string, not number"));
  EXPECT_THAT(
      error_of("p.jsonl",
               "{\"instance_id\": \"a\", \"model_patch\": \"x\"}\n{\"instance_id\": \"a\", \"model_patch\": \"y\"}\n"),
      AllOf(HasSubstr("p.jsonl:2, a"), HasSubstr("there twice"), HasSubstr("p.jsonl:1")));
  EXPECT_THAT(error_of("p.jsonl", "7\n"), HasSubstr("a prediction must be an object, not number"));
  EXPECT_THAT(error_of("p.jsonl", R"({"instance_id": "a-1", "model_patch": "x)"), HasSubstr("broken off"));
  EXPECT_THAT(error_of("p.jsonl", R"({"instance_id": "a-1", "model_patch": "\ud800"})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of("p.jsonl", R"({"instance_id": "a-1", "test_result": {"git_patch": 1}})"),
              HasSubstr("test_result.git_patch: must be a string or null"));
  EXPECT_THAT(error_of("p.json", "[]"), HasSubstr("no prediction is in it"));
  EXPECT_THAT(error_of("p.txt", "x"), HasSubstr("neither in .jsonl nor in .json"));
}

TEST(PredictionTest, AVeryLargePatchIsTaken) {
  const TestFolder folder;
  const std::string patch(std::size_t{50} << 20, 'x');
  const auto predictions = read(folder, "p.jsonl", R"({"instance_id": "a-1", "model_patch": ")" + patch + "\"}\n");
  ASSERT_TRUE(predictions) << predictions.error();
  EXPECT_EQ(predictions->front().patch->size(), patch.size());
}

}  // namespace
}  // namespace awm
