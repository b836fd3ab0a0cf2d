// Harbor tasks through the real program, in containers: an image that works in /app, where its repository is.
#include "docker/docker_support.h"
#include "held_model.h"

namespace awm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string patch = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n";
const std::string useless = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+three\n";

class HarborTasks : public ::testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    bench_ = std::make_unique<Bench>();
    bench_->set("DOCKER_HOST", testing::docker_engine()->address().text());
    image_ = image("app",
                   "mkdir -p app; cd app; git init -q; echo one > a.txt; git add -A; "
                   "git -c user.name=a -c user.email=a@b commit -qm first");
  }

  // The tests' image with what this makes in it, working in /app.
  std::string image(const std::string& name, const std::string& make) {
    const auto archive = testing::docker_test_archive();
    const auto tar = bench_->folder() / (name + ".tar");
    const auto made = bench_->process({"/bin/sh", "-ec",
                                       "rm -rf root; mkdir root; cd root; (" + make + "); cp '" + archive + "' '" +
                                           tar + "'; tar --delete -f '" + tar + "' ./testbed; tar -rf '" + tar +
                                           "' --owner=0 --group=0 app"});
    EXPECT_TRUE(made.status.ok()) << made.output;
    const std::string reference = "awm-test-harbor-" + name + ":latest";
    const auto imported = testing::docker_engine()->upload(
        "POST",
        "/images/create?fromSrc=-&repo=awm-test-harbor-" + name + "&tag=latest&changes=" + url_encode("WORKDIR /app"),
        "application/x-tar", Deadline::in(Seconds{300}), testing::pieces_of(tar));
    EXPECT_TRUE(imported) << imported.error();
    images_.push_back(reference);
    return reference;
  }
  void TearDown() override {
    for (const auto& one : images_) {
      EXPECT_TRUE(remove_image(*testing::docker_engine(), one, Deadline::in(Seconds{60})));
    }
  }

  void task(const std::string& name, const std::string& test, const std::string& toml = "") {
    const auto& folder = bench_->folder();
    folder.write("tasks/" + name + "/task.toml", "[environment]\ndocker_image = \"" + image_ + "\"\n" + toml);
    folder.write("tasks/" + name + "/instruction.md", "Make a.txt say two. Be quick.\n");
    folder.write("tasks/" + name + "/tests/test.sh", "#!/bin/bash\n" + test);
    folder.write("tasks/" + name + "/tests/expected", "two\n");
    folder.write("tasks/" + name + "/solution/solve.sh", "#!/bin/bash\nsed -i s/one/two/ \"$PWD/a.txt\"\n");
  }
  ProcessOutput eval(std::vector<std::string> more) {
    std::vector<std::string> argv{program(), "eval",         bench_->folder() / "tasks", "--run-id",
                                  "r",       "--output-dir", bench_->folder() / "out",   "--infra-retries",
                                  "0"};
    argv.insert(argv.end(), more.begin(), more.end());
    return bench_->process(std::move(argv));
  }
  Json report(const std::string& model) {
    const auto path = bench_->folder() / ("out/" + model + ".r.json");
    return parse_json(testing::read_text(path), path).value_or(Json());
  }
  void predict(const std::vector<std::pair<std::string, std::string>>& patches) {
    std::string text;
    for (const auto& [id, one] : patches)
      text += dump_json(Json{{"instance_id", id}, {"model_name_or_path", "m"}, {"model_patch", one}}) + "\n";
    bench_->folder().write("preds.jsonl", text);
  }

  std::unique_ptr<Bench> bench_;
  std::string image_;
  std::vector<std::string> images_;
  const std::string judge_ =
      "[ \"$(pwd -P)\" = /app ] && [ \"$WORD\" = said ] || exit 3\n"
      "cmp a.txt /tests/expected && echo 1 > /logs/verifier/reward.txt || echo 0 > /logs/verifier/reward.txt\n";
  const std::string words_ = "[verifier.env]\nWORD = \"said\"\n";
};

TEST_F(HarborTasks, AreJudgedByTheirRewardAndTheirSolutionIsGold) {
  task("makes-two", judge_, words_);
  task("in-json", "echo '{\"reward\": 1.0}' > /logs/verifier/reward.json\n");
  const auto gold = eval({"--gold"});
  EXPECT_EQ(gold.status, ExitStatus::exited(0)) << gold.output;
  EXPECT_EQ(report("gold")["resolved_ids"], Json({"in-json", "makes-two"})) << gold.output;
  const auto folder = bench_->folder() / "out/logs/run_evaluation/r/gold/makes-two/";
  EXPECT_THAT(testing::read_text(folder + "patch.diff"), HasSubstr("-one\n+two\n"));
  EXPECT_EQ(testing::read_text(folder + "reward.txt"), "1\n");

  predict({{"makes-two", useless}, {"in-json", useless}});
  auto judged = eval({"-p", bench_->folder() / "preds.jsonl"});
  EXPECT_EQ(judged.status, ExitStatus::exited(0)) << judged.output;
  EXPECT_EQ(report("m")["resolved_ids"], Json::array({"in-json"}));
  EXPECT_EQ(report("m")["unresolved_ids"], Json::array({"makes-two"}));
  EXPECT_THAT(judged.output, HasSubstr("makes-two: NOT resolved: reward 0"));
  const auto again = eval({"-p", bench_->folder() / "preds.jsonl", "--regrade", "r"});
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  EXPECT_EQ(report("m")["resolved_ids"], Json::array({"in-json"}));
  predict({{"makes-two", patch}, {"in-json", useless}});
  judged = eval({"-p", bench_->folder() / "preds.jsonl"});
  EXPECT_EQ(report("m")["resolved_ids"], Json({"in-json", "makes-two"})) << judged.output;
}

TEST_F(HarborTasks, ThatLeaveNoRewardAreErrorsAndHaveTheirOwnTimeLimit) {
  task("no-reward", "echo broke; exit 1\n");
  task("hangs", "sleep 1000\n", "[verifier]\ntimeout_sec = 1\n");
  const auto output = eval({"--gold"});
  EXPECT_EQ(output.status, ExitStatus::exited(3)) << output.output;
  EXPECT_THAT(output.output,
              AllOf(HasSubstr("no-reward: ERROR: read the reward in /logs/verifier: the tests left neither"),
                    HasSubstr("hangs: timed_out: the tests took longer than 1")));
}

TEST_F(HarborTasks, AreWorkedOnByAgents) {
  task("makes-two", judge_, words_);
  HeldModel model(patch);
  const auto out = bench_->folder() / "run";
  const auto outcome =
      Bench::read(bench_->process({program(), "run", "--dataset", bench_->folder() / "tasks/makes-two", "--agent-class",
                                   "BashAgent", "--model", "openai/held", "--base-url", model.url(), "--api-key-env",
                                   "AWM_REPLAY_KEY", "--memory", "off", "--output-dir", out}),
                  out);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(verdict(outcome, "makes-two"), "PASS") << outcome.output;
}

TEST_F(HarborTasks, WhoseFilesAreNoRepositoryAreRefused) {
  image_ = image("bare", "mkdir app; echo one > app/a.txt");
  task("bare", judge_, words_);
  const auto output = eval({"--gold"});
  EXPECT_EQ(output.status, ExitStatus::exited(3)) << output.output;
  EXPECT_THAT(output.output, HasSubstr("no git repository"));
}

// Needs no engine: what is wrong is told before one is looked for.
TEST(HarborMistakes, AreToldBeforeAnythingIsBegun) {
  Bench bench;
  const auto& folder = bench.folder();
  folder.write("tasks/one/task.toml", "");
  folder.write("tasks/one/instruction.md", "Make a.txt say two.\n");
  folder.write("tasks/one/tests/test.sh", "true\n");
  folder.write("tasks/one/environment/Dockerfile", "FROM ubuntu\nRUN apt-get update\n");
  const auto said = [&](const std::vector<std::string>& more) {
    std::vector<std::string> argv{program(), "eval", folder / "tasks", "--gold"};
    argv.insert(argv.end(), more.begin(), more.end());
    return bench.process(argv).output;
  };
  EXPECT_THAT(said({}), AllOf(HasSubstr("its task.toml names no docker_image, and awm builds none"),
                              HasSubstr("docker build -t one " + folder.path() + "/tasks/one/environment"),
                              HasSubstr("--image-template '{instance_id}'")));
  EXPECT_THAT(said({"--sandbox", "local"}), HasSubstr("the Harbor task one runs in its image (use --sandbox docker)"));
  EXPECT_THAT(said({"--repos", folder / "repos"}), HasSubstr("has its repository in its image (leave them out)"));
  const auto gold = bench.process({program(), "run", "--gold", "--dataset", folder / "tasks", "--image", "x"});
  EXPECT_THAT(gold.output, HasSubstr("has a solution that is run, and no patch (use awm eval --gold)"));
  folder.write("tasks/one/task.toml", "[environment]\nworkdir = \"/app\"\n");
  EXPECT_THAT(said({}), HasSubstr("task.toml:2: [environment] workdir: awm does not do this"));
}

}  // namespace
}  // namespace awm::e2e
