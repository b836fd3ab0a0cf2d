// Harbor task folders as rows, and what their rewards mean.
#include "run/harbor.h"

#include <cstdlib>

#include "os/file.h"
#include "run/datasets.h"
#include "support/support.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HarborTest : public ::testing::Test {
 public:
  // A task of this name; its folder.
  std::string task(const std::string& name, const std::string& toml, const std::string& dockerfile = "") {
    folder_.write(name + "/task.toml", toml);
    folder_.write(name + "/instruction.md", "Make a.txt say two.\n");
    folder_.write(name + "/tests/test.sh", "#!/bin/bash\necho 1 > /logs/verifier/reward.txt\n");
    if (!dockerfile.empty()) folder_.write(name + "/environment/Dockerfile", dockerfile);
    return folder_ / name;
  }
  static std::string error(const std::string& folder) {
    const auto row = read_harbor_task(folder);
    return row ? "no error" : row.error().message();
  }
  Result<Datasets> read(const std::string& path) {
    auto stop = Stop::create(scope_);
    EXPECT_TRUE(stop) << stop.error();
    return read_datasets(scope_, **stop, {.datasets = {path}, .revisions = {}});
  }

  const Scope scope_{"test/harbor"};
  testing::TestFolder folder_;
};

TEST_F(HarborTest, ATaskIsARow) {
  ::setenv("AWM_TEST_HARBOR", "from here", 1);
  const auto folder = task("fix-git", R"(
schema_version = "1.1"
[task]
name = "terminal-bench/fix-git"
[verifier]
timeout_sec = 900.0
[verifier.env]
KEY = "${AWM_TEST_HARBOR}"
OTHER = "${AWM_TEST_NOT_THERE:-else}"
[agent]
timeout_sec = 900.0
[environment]
docker_image = "alexgshaw/fix-git:20260403"
cpus = 1
memory_mb = 2048
gpus = 0
allow_internet = true
mcp_servers = []
[environment.env]
NAME = "it's"
[solution.env]
)");
  const auto row = read_harbor_task(folder);
  ::unsetenv("AWM_TEST_HARBOR");
  ASSERT_TRUE(row) << row.error();
  EXPECT_EQ(row->instance_id, "fix-git");
  EXPECT_EQ(row->repo, "terminal-bench/fix-git");
  EXPECT_EQ(row->problem_statement, "Make a.txt say two.\n");
  EXPECT_EQ(row->image, "alexgshaw/fix-git:20260403");
  EXPECT_EQ(row->base_commit, "");
  EXPECT_EQ(row->test_timeout, 900);
  EXPECT_THAT(row->test_environment, ElementsAre("KEY=from here", "OTHER=else"));
  EXPECT_EQ(row->environment_setup, "export NAME='it'\\''s'\n");
  EXPECT_TRUE(is_task_folder(*row));

  const auto plain = read_harbor_task(task("plain", ""));
  ASSERT_TRUE(plain) << plain.error();
  EXPECT_EQ(plain->repo, "harbor/plain");
  EXPECT_EQ(plain->test_timeout, 600);
  EXPECT_EQ(plain->image, "");
}

TEST_F(HarborTest, AFolderOfTasksIsADataSetInOrderOfTheirNames) {
  task("tasks/b", "[environment]\ndocker_image = \"b\"\n");
  task("tasks/a", "[environment]\ndocker_image = \"a\"\n");
  folder_.write("tasks/dataset.toml", "x = 1\n");
  const auto all = read(folder_ / "tasks");
  ASSERT_TRUE(all) << all.error();
  ASSERT_EQ(all->rows.size(), 2U);
  EXPECT_EQ(all->rows[0].instance_id, "a");
  EXPECT_EQ(all->rows[1].image, "b");
  const auto one = read(folder_ / "tasks/b");
  ASSERT_TRUE(one) << one.error();
  ASSERT_EQ(one->rows.size(), 1U);
  // What it is judged by is part of what it is.
  const auto before = hash_of(one->rows[0]);
  folder_.write("tasks/b/tests/more/data.txt", "x");
  const auto after = read(folder_ / "tasks/b");
  ASSERT_TRUE(after) << after.error();
  EXPECT_NE(hash_of(after->rows[0]), before);
}

TEST_F(HarborTest, ADockerfileThatOnlyNamesAnImageNeedsNoBuilding) {
  const auto image = [&](const std::string& dockerfile) {
    const auto row = read_harbor_task(task("t", "", dockerfile));
    return row ? row->image : row.error().message();
  };
  EXPECT_EQ(image("# a comment\nFROM swebench/sweb.eval.x86_64.x_1776_y-1:latest\n\nWORKDIR /testbed\n"),
            "swebench/sweb.eval.x86_64.x_1776_y-1:latest");
  EXPECT_EQ(image("FROM ubuntu:24.04\nRUN apt-get update\n"), "");
  EXPECT_EQ(image("FROM a AS b\n"), "");
  EXPECT_EQ(image("FROM ${BASE}\n"), "");
  EXPECT_EQ(image("FROM a\nWORKDIR /app\n"), "");
  EXPECT_EQ(image("FROM a\nFROM b\n"), "");
}

TEST_F(HarborTest, WhatIsNotDoneIsRefusedAndNotPassedOver) {
  const struct {
    std::string toml;
    std::string words;
  } cases[] = {
      {"[[steps]]\nname = \"one\"\n", "it has several steps: awm does not do this"},
      {"[environment]\nos = \"windows\"\n", "it is not for Linux"},
      {"[environment]\ngpus = 1\n", "[environment] gpus"},
      {"[environment]\nworkdir = \"/app\"\n", "[environment] workdir"},
      {"[[environment.mcp_servers]]\nname = \"x\"\n", "[environment] mcp_servers"},
      {"[environment.healthcheck]\ncommand = \"true\"\n", "[environment] healthcheck"},
      {"[agent]\nuser = \"worker\"\n", "[agent] user that is not root"},
      {"[verifier]\nenvironment_mode = \"separate\"\n", "a separate verifier"},
      {"[verifier.environment]\ndocker_image = \"x\"\n", "a verifier in an image of its own"},
      {"[[verifier.collect]]\ncommand = \"x\"\n", "[[verifier.collect]]"},
      {"[verifier]\ntimeout_sec = \"long\"\n", "task.toml:2: [verifier] timeout_sec: expected seconds"},
      {"[verifier.env]\nKEY = \"${AWM_TEST_NOT_THERE}\"\n", "this machine has no variable AWM_TEST_NOT_THERE"},
      {"[environment]\ndocker_image = 5\n", "[environment] docker_image: expected a string, found an integer"},
      {"[environment\n", "not valid TOML"},
  };
  for (const auto& [toml, words] : cases) EXPECT_THAT(error(task("t", toml)), HasSubstr(words)) << toml;
  folder_.write("t/task.toml", "");
  folder_.write("t/environment/docker-compose.yaml", "services: {}\n");
  EXPECT_THAT(error(folder_ / "t"), HasSubstr("docker-compose.yaml: awm does not do this"));
  const auto none = task("none", "");
  ASSERT_TRUE(remove_tree(none + "/tests"));
  EXPECT_THAT(error(none), HasSubstr("it has no tests/test.sh"));
  const auto empty = task("empty", "");
  folder_.write("empty/instruction.md", " \n");
  EXPECT_THAT(error(empty), HasSubstr("instruction.md: it is empty"));
}

TEST_F(HarborTest, ARewardOfOneIsResolved) {
  const struct {
    const char* file;
    const char* text;
    const char* says;
  } cases[] = {
      {"reward.txt", "1\n", "reward 1"},
      {"reward.txt", "0.5", "not: reward 0.5"},
      {"reward.txt", "0", "not: reward 0"},
      {"reward.json", R"({"reward": 1.0, "style": 0.2})", "reward 1"},
      {"reward.json", R"({"a": 1, "b": 0.25})", "not: rewards 1, 0.25"},
      {"reward.json", R"({"a": 1, "b": true})", "rewards 1, 1"},
      {"reward.json", "1", "reward 1"},
      {"reward.txt", "", "read the reward in"},
      {"reward.txt", "nan", "it is no number: nan"},
      {"reward.txt", "passed", "it is no number: passed"},
      {"reward.json", R"({"reward": "1"})", "a reward in it is no number"},
      {"reward.json", R"({"reward": 1e999})", "it is no JSON"},
      {"reward.json", "{}", "no reward is in it"},
      {"reward.json", "{", "it is no JSON"},
  };
  for (const auto& [file, text, says] : cases) {
    const testing::TestFolder folder;
    folder.write(file, text);
    const auto grade = grade_reward(folder.path());
    const std::string said = grade ? (grade->resolved ? "" : "not: ") + grade->why : grade.error().message();
    EXPECT_THAT(said, HasSubstr(says)) << file << " " << text;
    if (grade) {
      EXPECT_EQ(said, says);
    }
  }
  // The reference looks for reward.json first.
  folder_.write("reward.txt", "1");
  folder_.write("reward.json", "0");
  const auto both = grade_reward(folder_.path());
  ASSERT_TRUE(both) << both.error();
  EXPECT_FALSE(both->resolved);
}

}  // namespace
}  // namespace awm
