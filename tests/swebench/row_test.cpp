#include "swebench/row.h"

#include <algorithm>

#include "swebench/eval_script.h"
#include "swebench_support.h"

namespace awm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::sample_row_json;
using testing::TestFolder;

std::string lines(const std::vector<Json>& rows) {
  std::string text;
  for (const auto& row : rows) text += dump_json(row) + "\n";
  return text;
}

Json with(std::string_view key, const Json& value) {
  Json row = sample_row_json();
  row[std::string(key)] = value;
  return row;
}

Json numbered(int number) {
  return with("instance_id", "owner__name-" + std::to_string(number));
}

class RowTest : public ::testing::Test {
 protected:
  std::string error_of(std::string_view name, std::string_view content) {
    const auto rows = read_rows({folder_.write(name, content)});
    if (rows) return "no error";
    EXPECT_EQ(rows.error().code, Errc::invalid_input) << rows.error();
    return rows.error().message();
  }
  std::string error_of(const Json& row) { return error_of("rows.jsonl", lines({numbered(2), row})); }

  TestFolder folder_;
};

TEST_F(RowTest, ReadsClassicAndLaterColumns) {
  Json row = sample_row_json();
  row["patch"] = "diff";
  row["test_patch"] = nullptr;
  row["eval_type"] = "fail_only";
  row["image_assets"] = R"({"test_patch": [{"path": "a.png", "url": "http://x/a.png"}]})";
  row["eval_script"] = "#!/bin/bash\n";
  row["log_parser"] = "parse_log_pytest";
  row["image"] = "swebench/x:latest";
  row["environment_setup"] = "export A=1\n";
  row["something_else"] = Json::array({1, 2});
  const auto rows = read_rows({folder_.write("rows.jsonl", lines({row}))});
  ASSERT_TRUE(rows) << rows.error();
  ASSERT_EQ(rows->size(), 1U);
  const Row& read = rows->front();
  EXPECT_EQ(read.instance_id, "owner__name-1");
  EXPECT_EQ(read.fail_to_pass, std::vector<std::string>{"t.py::a"});
  EXPECT_EQ(read.pass_to_pass, std::vector<std::string>{"t.py::b"});
  EXPECT_TRUE(read.has_tests);
  EXPECT_EQ(read.patch, "diff");
  EXPECT_EQ(read.test_patch, "");
  EXPECT_EQ(read.eval_type, EvalType::fail_only);
  EXPECT_THAT(read.image_assets, HasSubstr("a.png"));
  EXPECT_EQ(read.environment_setup, "export A=1\n");
  EXPECT_THAT(read.origin, HasSubstr("rows.jsonl:1"));
}

TEST_F(RowTest, TakesListsObjectsSingleRowsAndFolders) {
  const std::string two = "[" + dump_json(numbered(1)) + ",\n " + dump_json(numbered(2)) + "]";
  const std::string object = "{\"x\": " + dump_json(numbered(3), 2) + ", \"y\": " + dump_json(numbered(4)) + "}\n";
  folder_.write("data/a.json", two);
  folder_.write("data/b.json", object);
  folder_.write("data/c.json", "\xef\xbb\xbf" + dump_json(numbered(5)));
  folder_.write("data/d.jsonl", "\xef\xbb\xbf\n" + dump_json(numbered(6)) + "\r\n\n" + dump_json(numbered(7)));
  folder_.write("data/README.md", "not data");
  const auto rows = read_rows({folder_ / "data"});
  ASSERT_TRUE(rows) << rows.error();
  ASSERT_EQ(rows->size(), 7U);
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ((*rows)[static_cast<std::size_t>(i)].instance_id, "owner__name-" + std::to_string(i + 1));
  }
}

TEST_F(RowTest, ReadsSweBenchLite) {
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  EXPECT_EQ(testing::lite_rows().size(), 300U);
  for (const auto& [id, row] : testing::lite_rows()) {
    EXPECT_FALSE(row.fail_to_pass.empty()) << id;
    const auto judgeable = check_judgeable(row);
    EXPECT_TRUE(judgeable) << judgeable.error();
  }
}

TEST_F(RowTest, BrokenRowsAreNamed) {
  const std::string good = dump_json(numbered(1));
  EXPECT_THAT(error_of("r.jsonl", good + "\n" + good.substr(0, 40)),
              AllOf(HasSubstr("r.jsonl:2"), HasSubstr("broken off")));
  EXPECT_THAT(error_of("r.jsonl", "\n\n{\"instance_id\": 1,}\n"),
              AllOf(HasSubstr("r.jsonl:3"), HasSubstr("not valid JSON")));
  EXPECT_THAT(error_of("r.jsonl", "[1]\n"), AllOf(HasSubstr("r.jsonl:1"), HasSubstr("must be an object, not array")));
  EXPECT_THAT(error_of("r.jsonl", good + "\n" + good + "\n"),
              AllOf(HasSubstr("r.jsonl:2, owner__name-1"), HasSubstr("twice"), HasSubstr("r.jsonl:1")));
  EXPECT_THAT(error_of("r.json", "[" + good + ",\n" + good.substr(0, 40)),
              AllOf(HasSubstr("r.json:2"), HasSubstr("broken off")));
  EXPECT_THAT(error_of("r.json", "[" + good + "\n" + good + "]"),
              HasSubstr("r.json:2: not valid JSON: a comma is missing"));
  EXPECT_THAT(error_of("r.json", "[" + good + ",]"), HasSubstr("a value is missing"));
  EXPECT_THAT(error_of("r.json", "[" + good + "] x"), HasSubstr("more stands behind its end"));
  EXPECT_THAT(error_of("r.json", "{\"a\": " + good + ", \"a\": {}}"), HasSubstr("the key a stands twice"));
  EXPECT_THAT(error_of("r.json", "{\"a\" " + good + "}"), HasSubstr("a colon is missing"));
  EXPECT_THAT(error_of("r.json", "{a: 1}"), HasSubstr("a key in double quotes is missing"));
  EXPECT_THAT(error_of("r.json", "[" + std::string(200, '[') + std::string(200, ']') + "]"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(error_of("r.json", ""), HasSubstr("it is empty"));
  EXPECT_THAT(error_of("r.json", "7"), HasSubstr("neither a list nor an object"));
  EXPECT_THAT(error_of("r.jsonl", "\n"), HasSubstr("no row is in it"));
  EXPECT_THAT(error_of("r.csv", "a,b\n"), HasSubstr("ends neither in .jsonl nor in .json"));
}

TEST_F(RowTest, WrongTypesAreNamedWithSampleAndKey) {
  EXPECT_THAT(error_of(with("version", 3.1)),
              HasSubstr("rows.jsonl:2, owner__name-1, version: must be a string, not number"));
  EXPECT_THAT(error_of(with("FAIL_TO_PASS", "[\"a\"")), AllOf(HasSubstr("FAIL_TO_PASS: its text is no JSON list")));
  EXPECT_THAT(error_of(with("FAIL_TO_PASS", R"({"a": 1})")), HasSubstr("must be a list of test names, not object"));
  EXPECT_THAT(error_of(with("PASS_TO_PASS", Json::array({"a", 1}))),
              HasSubstr("each test name must be a string, not number"));
  EXPECT_THAT(error_of(with("eval_type", "both")),
              HasSubstr("eval_type: must be pass_and_fail or fail_only, not both"));
  EXPECT_THAT(error_of(with("image_assets", "[1]")), HasSubstr("image_assets: must be an object, not array"));
  EXPECT_THAT(error_of(with("instance_id", 7)), HasSubstr("rows.jsonl:2, instance_id: must be a string"));
  EXPECT_THAT(error_of(with("repo", "django")), HasSubstr("repo: must be of the form owner/name"));
}

TEST_F(RowTest, ValuesThatCouldDoHarmAreRefused) {
  for (const auto* id : {"../x", "a/b", ".hidden", "a b", "-x", "a\nb"}) {
    EXPECT_THAT(error_of(with("instance_id", id)), HasSubstr("no name for a folder")) << id;
  }
  for (const auto* commit : {"-f", "abc; rm -rf /", "$(id)", "a b"}) {
    EXPECT_THAT(error_of(with("base_commit", commit)), HasSubstr("base_commit: must be the name of a commit"))
        << commit;
  }
  EXPECT_THAT(error_of(with("repo", "../x")), HasSubstr("owner/name"));
}

TEST_F(RowTest, WhatEveryRowNeedsIsMissed) {
  for (const auto* key : {"instance_id", "repo", "base_commit"}) {
    Json row = sample_row_json();
    row.erase(key);
    EXPECT_THAT(error_of(row), AllOf(HasSubstr(key), HasSubstr("it is missing"))) << key;
    EXPECT_THAT(error_of(with(key, nullptr)), HasSubstr("it is missing")) << key;
    EXPECT_THAT(error_of(with(key, "")), HasSubstr("it is empty")) << key;
  }
}

TEST_F(RowTest, WhatJudgingNeedsIsMissedBeforeAnythingRuns) {
  const auto error = [](const Row& row) {
    const auto checked = check_judgeable(row);
    return checked ? "no error" : checked.error().message();
  };
  Row row = testing::sample_row();
  EXPECT_EQ(error(row), "no error");
  row.has_tests = false;
  EXPECT_THAT(error(row), HasSubstr("rows.jsonl:1, owner__name-1, FAIL_TO_PASS"));
  row = testing::sample_row();
  row.log_parser = "parse_log_djnago";
  EXPECT_THAT(error(row), AllOf(HasSubstr("there is no parser 'parse_log_djnago'"), HasSubstr("parse_log_django")));
  row = testing::sample_row();
  row.log_parser = "";
  EXPECT_THAT(error(row), HasSubstr("none belongs to owner/name"));
  row = testing::sample_row();
  row.eval_script = "";
  EXPECT_THAT(error(row), HasSubstr("how owner/name is tested is not known"));
  row.repo = "django/djagno";
  EXPECT_THAT(error(row), HasSubstr("did you mean django/django?"));
  row.repo = "django/django";
  row.version = "9.9";
  EXPECT_THAT(error(row),
              AllOf(HasSubstr("how django/django 9.9 is tested is not known"), HasSubstr("known versions are 1.4, ")));
  row.version = "3.0";
  EXPECT_THAT(error(row), HasSubstr("test_patch: it is missing"));
}

TEST_F(RowTest, AbsentFilesAreSaid) {
  const auto rows = read_rows({folder_ / "none.jsonl"});
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, Errc::not_found);
  folder_.write("empty/x.txt", "");
  const auto none = read_rows({folder_ / "empty"});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message(), HasSubstr("no .jsonl and no .json file is in it"));
}

std::vector<Row> ten_rows() {
  std::vector<Row> rows;
  for (int i = 0; i < 10; ++i) {
    Row row = testing::sample_row();
    row.instance_id = "owner__name-" + std::to_string(i);
    if (i % 2 == 1) row.repo = "other/name";
    rows.push_back(row);
  }
  return rows;
}

std::vector<std::string> ids(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(row.instance_id);
  return names;
}

TEST(RowFilterTest, ChoosesByRepositoryIdAndNumber) {
  EXPECT_EQ(filter_rows(ten_rows(), {.repo = "other"})->size(), 5U);
  EXPECT_EQ(ids(*filter_rows(ten_rows(), {.instances = {"owner__name-7", "owner__name-2"}})),
            (std::vector<std::string>{"owner__name-2", "owner__name-7"}));
  EXPECT_EQ(ids(*filter_rows(ten_rows(), {.repo = "other", .limit = 2})),
            (std::vector<std::string>{"owner__name-1", "owner__name-3"}));
  EXPECT_EQ(filter_rows(ten_rows(), {.limit = 20})->size(), 10U);
  const auto unknown = filter_rows(ten_rows(), {.instances = {"owner__name-11"}});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message(),
              AllOf(HasSubstr("no row has this instance id"), HasSubstr("did you mean owner__name-1?")));
}

TEST(RowFilterTest, AShuffleDependsOnSeedAndIdsAlone) {
  const auto shuffled = ids(*filter_rows(ten_rows(), {.shuffle_seed = 7}));
  EXPECT_NE(shuffled, ids(ten_rows()));
  EXPECT_NE(shuffled, ids(*filter_rows(ten_rows(), {.shuffle_seed = 8})));
  auto other_order = ten_rows();
  std::reverse(other_order.begin(), other_order.end());
  EXPECT_EQ(ids(*filter_rows(std::move(other_order), {.shuffle_seed = 7})), shuffled);
  // The documented key, worked out beside: sha256("7:owner__name-N") sorted.
  EXPECT_EQ(shuffled, (std::vector<std::string>{"owner__name-4", "owner__name-8", "owner__name-3", "owner__name-7",
                                                "owner__name-5", "owner__name-9", "owner__name-0", "owner__name-6",
                                                "owner__name-1", "owner__name-2"}));
  auto fewer = ten_rows();
  fewer.erase(fewer.begin() + 4);
  auto expected = shuffled;
  std::erase(expected, "owner__name-4");
  EXPECT_EQ(ids(*filter_rows(std::move(fewer), {.shuffle_seed = 7})), expected);
}

TEST(RowHashTest, SeesEveryFieldAndNotThePlace) {
  const Row row = testing::sample_row();
  const auto hash = hash_of(row);
  Row moved = row;
  moved.origin = "elsewhere.jsonl:9";
  EXPECT_EQ(hash_of(moved), hash);
  Row changed = row;
  changed.fail_to_pass = {"t.py::", "a"};
  EXPECT_NE(hash_of(changed), hash);
  changed = row;
  std::swap(changed.fail_to_pass, changed.pass_to_pass);
  EXPECT_NE(hash_of(changed), hash);
  changed = row;
  changed.eval_type = EvalType::fail_only;
  EXPECT_NE(hash_of(changed), hash);
  auto rows = ten_rows();
  const auto all = hash_of(rows);
  std::swap(rows[0], rows[1]);
  EXPECT_NE(hash_of(rows), all);
}

}  // namespace
}  // namespace awm
