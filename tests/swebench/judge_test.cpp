// Judging in a real sandbox: verdicts, what lies in the folder, and what is an error and no verdict.
#include "swebench/judge.h"

#include "base/text.h"
#include "os/file.h"
#include "os/sys.h"
#include "runtime/fake_sandbox.h"
#include "sandbox/local_support.h"
#include "support/faults.h"
#include "swebench_support.h"

namespace awm {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string script(std::string_view tests) {
  return "#!/bin/bash\nset -uxo pipefail\nsource /opt/miniconda3/bin/activate\nconda activate testbed\ncd "
         "/testbed\npython -m pip install -e .\n"
         ": '>>>>> Start Test Output'\n" +
         std::string(tests) + "\n: '>>>>> End Test Output'\ngit checkout HEAD t.sh\n";
}

constexpr std::string_view gold =
    "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";

class JudgeTest : public testing::LocalTest {
 public:
  void SetUp() override {
    LocalTest::SetUp();
    if (IsSkipped()) return;
    host(R"(git init -q repo; cd repo
      printf 'one\ntwo\nthree\n' > a.txt; seq 30 > long.txt; mkdir tests; echo x > tests/conftest.py; printf 'c\r\nd\r\n' > crlf.txt
      cat > t.sh <<'END'
echo PASSED t::always
if grep -q TWO a.txt; then echo PASSED t::two; else echo FAILED t::two - not yet; exit 1; fi
END
      git add -A; git commit -qm first)");
    row_ = testing::sample_row();
    row_.base_commit = host("git -C repo rev-parse HEAD");
    row_.fail_to_pass = {"t::two"};
    row_.pass_to_pass = {"t::always"};
    row_.eval_script = script("bash t.sh");
    judge_settings_.log_folder = *folder / "logs/id";
    judge_settings_.timeout = Seconds(60);
    judge_settings_.model_name = "model";
  }

  std::unique_ptr<Sandbox> fresh() {
    auto some = settings();
    some.repository = *folder / "repo";
    some.base_commit = row_.base_commit;
    return connect(some);
  }

  Result<Judgement> judge(std::string_view patch) {
    auto sandbox = fresh();
    auto judged = judge_patch(*sandbox, row_, patch, judge_settings_);
    close(*sandbox);
    return judged;
  }
  JudgeVerdict verdict(std::string_view patch) {
    const auto judged = judge(patch);
    EXPECT_TRUE(judged) << judged.error();
    return judged ? judged->verdict : JudgeVerdict::empty_patch;
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    return read_file(join_path(judge_settings_.log_folder, name)).value_or("(absent)");
  }
  [[nodiscard]] Json json(std::string_view name) const { return parse_json(text(name), name).value_or(Json()); }

  Row row_;
  JudgeSettings judge_settings_;
};

TEST_F(JudgeTest, TheGoldPatchPassesAndTheFolderTellsHow) {
  const auto judged = judge(gold);
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_EQ(judged->verdict, JudgeVerdict::passed);
  EXPECT_THAT(judged->flags, IsEmpty());
  EXPECT_EQ(text("patch.diff"), gold);
  EXPECT_EQ(json("report.json")[row_.instance_id]["resolved"], true);
  EXPECT_EQ(
      text("eval.sh"),
      "#!/bin/bash\nset -uxo pipefail\ncd /testbed\n: '>>>>> Start Test Output'\nbash "
      "t.sh\nSWEBENCH_TEST_EXIT_CODE=$?\n"
      ": '>>>>> End Test Output'\necho \">>>>> Test Exit Code: $SWEBENCH_TEST_EXIT_CODE\"\ngit checkout HEAD t.sh\n");
  const auto log = text("test_output.txt");
  EXPECT_EQ(log.substr(0, log.find("Updated")),
            "+ cd /testbed\n+ : '>>>>> Start Test Output'\n+ bash t.sh\nPASSED t::always\nPASSED t::two\n+ "
            "SWEBENCH_TEST_EXIT_CODE=0\n"
            "+ : '>>>>> End Test Output'\n+ echo '>>>>> Test Exit Code: 0'\n>>>>> Test Exit Code: 0\n+ git checkout "
            "HEAD t.sh\n");
  EXPECT_THAT(text("run_instance.log"),
              AllOf(HasSubstr(">>>>> Applied Patch"), HasSubstr("+TWO"), HasSubstr("resolved: true")));
  const Json awm = json("awm.json");
  EXPECT_EQ(awm["verdict"], "passed");
  EXPECT_EQ(awm["patch_sha256"], sha256_hex(gold));
  EXPECT_EQ(awm["row_sha256"], hash_of(row_));
  EXPECT_EQ(awm["sandbox"]["kind"], "local");
  EXPECT_EQ(awm["left_out_lines"], Json::array({"source /opt/miniconda3/bin/activate", "conda activate testbed",
                                                "python -m pip install -e ."}));
  EXPECT_EQ(awm["test_exit_code"], 0);
}

TEST_F(JudgeTest, AUselessPatchFailsTheTests) {
  const auto judged =
      judge("diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_EQ(judged->verdict, JudgeVerdict::tests_failed);
  EXPECT_THAT(judged->summary, HasSubstr("1 of 1 FAIL_TO_PASS tests failed: t::two"));
  EXPECT_EQ(json("report.json")[row_.instance_id]["resolved"], false);
  EXPECT_EQ(json("awm.json")["test_exit_code"], 1);
}

TEST_F(JudgeTest, AnEarlierTrysFilesAreReplaced) {
  EXPECT_EQ(verdict(gold), JudgeVerdict::passed);
  EXPECT_EQ(verdict("--- a/none\n+++ b/none\n@@ -1 +1 @@\n-x\n+y\n"), JudgeVerdict::patch_failed);
  EXPECT_EQ(text("report.json"), "(absent)");
  EXPECT_EQ(text("test_output.txt"), "(absent)");
  EXPECT_THAT(text("run_instance.log"), AllOf(HasSubstr(">>>>> Patch Apply Failed"), Not(HasSubstr("resolved: true"))));
  EXPECT_EQ(json("awm.json")["verdict"], "patch_failed");
  EXPECT_EQ(verdict(""), JudgeVerdict::empty_patch);
  EXPECT_EQ(text("patch.diff"), "");
}

TEST_F(JudgeTest, PatchesApplyAsTheLadderAllows) {
  const std::string head = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n";
  // A context line that is not there: only patch's fuzz takes it.
  EXPECT_EQ(verdict(head + "@@ -1,3 +1,3 @@\n uno\n-two\n+TWO\n three\n"), JudgeVerdict::passed);
  EXPECT_THAT(text("run_instance.log"), HasSubstr("Failed to apply patch to container: git apply --verbose --reject"));
  // Lines counted wrongly at the hunk's head.
  EXPECT_EQ(verdict(head + "@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three"), JudgeVerdict::passed);
  // Without git's lines, and with Windows' line ends, which patch takes off.
  EXPECT_EQ(verdict("--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n"), JudgeVerdict::passed);
  EXPECT_EQ(verdict(replace_all(std::string(gold), "\n", "\r\n")), JudgeVerdict::passed);
  // Applied already: nothing of it is left to do.
  EXPECT_EQ(
      verdict("diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-TOO\n+two\n three\n"),
      JudgeVerdict::tests_failed);
  EXPECT_THAT(text("run_instance.log"), HasSubstr("verified already applied"));
  // Text around it, as a chat leaves it.
  EXPECT_EQ(verdict("Here is the patch:\n" + std::string(gold) + "That is all.\n"), JudgeVerdict::passed);
}

TEST_F(JudgeTest, RenamesModesBinariesLinksAndOddNamesApply) {
  EXPECT_EQ(verdict(std::string(gold) +
                    "diff --git a/long.txt b/a dir/it's.txt\nsimilarity index 100%\nrename from long.txt\nrename to a "
                    "dir/it's.txt\n"
                    "diff --git a/t.sh b/t.sh\nold mode 100644\nnew mode 100755\n"
                    "diff --git \"a/\\303\\274.bin\" \"b/\\303\\274.bin\"\nnew file mode 100644\n"
                    "index 0000000000000000000000000000000000000000..f76dd238ade08917e6712764a16a22005a50573d\nGIT "
                    "binary patch\nliteral 1\nIcmZPo000310RR91\n\nliteral 0\nHcmV?d00001\n\n"
                    "diff --git a/passwd b/passwd\nnew file mode 120000\n--- /dev/null\n+++ b/passwd\n@@ -0,0 +1 "
                    "@@\n+/etc/passwd\n\\ No newline at end of file\n"),
            JudgeVerdict::passed);
  EXPECT_THAT(json("awm.json")["flags"].get<std::vector<std::string>>(), Contains("adds_link"));
}

TEST_F(JudgeTest, PatchesThatLeaveTheTreeDoNotApply) {
  const auto adding = [](const std::string& path) { return "--- /dev/null\n+++ b/" + path + "\n@@ -0,0 +1 @@\n+x\n"; };
  EXPECT_EQ(verdict(adding("../out.txt")), JudgeVerdict::patch_failed);
  EXPECT_EQ(verdict(adding("x/../../out.txt")), JudgeVerdict::patch_failed);
  // Taken as a path of the tree, by both programs.
  row_.eval_script = script("ls -d /tmp/out.txt; bash t.sh");
  EXPECT_EQ(verdict(adding("/tmp/out.txt")), JudgeVerdict::tests_failed);
  EXPECT_THAT(text("test_output.txt"), HasSubstr("cannot access '/tmp/out.txt'"));
  // git refuses it, patch does not: as in the reference, but seen.
  const auto hook = judge(adding(".git/hooks/post-checkout"));
  ASSERT_TRUE(hook) << hook.error();
  EXPECT_THAT(hook->flags, Contains("edits_git"));
  // Through a link that the patch itself makes.
  EXPECT_EQ(verdict("diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/tmp\n\\ No "
                    "newline at end of file\n"
                    "diff --git a/l/out.txt b/l/out.txt\nnew file mode 100644\n--- /dev/null\n+++ b/l/out.txt\n@@ -0,0 "
                    "+1 @@\n+x\n"),
            JudgeVerdict::patch_failed);
}

TEST_F(JudgeTest, AFiftyMegabytePatchIsJudged) {
  std::string patch =
      std::string(gold) +
      "diff --git a/big.txt b/big.txt\nnew file mode 100644\n--- /dev/null\n+++ b/big.txt\n@@ -0,0 +1,500000 @@\n";
  for (int i = 0; i < 500000; ++i) patch += "+" + std::string(99, static_cast<char>('a' + i % 26)) + "\n";
  EXPECT_GT(patch.size(), std::size_t{50'000'000});
  EXPECT_EQ(verdict(patch), JudgeVerdict::passed);
}

TEST_F(JudgeTest, TestsThatHangTimeOut) {
  row_.eval_script = script("echo PASSED t::two; trap '' TERM INT; sleep 1000 & wait");
  judge_settings_.timeout = Seconds(1);
  EXPECT_EQ(verdict(gold), JudgeVerdict::timed_out);
  EXPECT_TRUE(text("test_output.txt").ends_with("\n\nTimeout error: 1 seconds exceeded.")) << text("test_output.txt");
  EXPECT_EQ(text("report.json"), "(absent)");
  EXPECT_EQ(json("awm.json")["eval_ended"], "timed out");
}

TEST_F(JudgeTest, AScriptThatKillsItsShellHasNoResults) {
  row_.eval_script = script("bash t.sh; kill -9 $$");
  const auto judged = judge(gold);
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_EQ(judged->verdict, JudgeVerdict::tests_failed);
  EXPECT_FALSE(judged->grade.log_found);
  EXPECT_EQ(json("report.json")[row_.instance_id]["patch_successfully_applied"], false);
}

TEST_F(JudgeTest, BytesThatAreNoTextBecomeReplacementCharacters) {
  row_.eval_script = script(R"(printf 'a\xff\xe2\x82\n\x1b[31mred\x1b[0m\n'; bash t.sh)");
  EXPECT_EQ(verdict(gold), JudgeVerdict::passed);
  EXPECT_THAT(text("test_output.txt"), HasSubstr("a\xef\xbf\xbd\xef\xbf\xbd\n\x1b[31mred"));
}

TEST_F(JudgeTest, AHugeLogIsKeptWholeInBoundedMemory) {
  row_.eval_script = script("yes 'noise, and more noise, over and over' | head -c 150000000; bash t.sh");
  [[maybe_unused]] const auto before = sys::resident_bytes();
  EXPECT_EQ(verdict(gold), JudgeVerdict::passed);
  EXPECT_GT(json("awm.json")["log_bytes"], 150000000);
#ifndef __SANITIZE_ADDRESS__  // what that sanitizer keeps aside for a while would count as ours
  EXPECT_LT(sys::resident_bytes(), before + (uint64_t{64} << 20));
#endif
}

TEST_F(JudgeTest, FakedResultsAndEditedTestsAreMadeVisible) {
  const std::string patch = std::string(gold) +
                            "diff --git a/tests/conftest.py b/tests/conftest.py\n--- a/tests/conftest.py\n+++ "
                            "b/tests/conftest.py\n@@ -1 +1 @@\n-x\n+y\n";
  row_.eval_script = script("bash t.sh; echo '>>>>> End Test Output'");
  const auto judged = judge(patch);
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_EQ(judged->verdict, JudgeVerdict::passed);
  EXPECT_THAT(judged->flags, ElementsAre("edits_conftest", "prints_markers"));
  EXPECT_EQ(json("awm.json")["flags"], Json::array({"edits_conftest", "prints_markers"}));
}

TEST_F(JudgeTest, EnvironmentSetUpReachesTheTests) {
  row_.eval_script = script("bash t.sh; echo \"setting is $SETTING\"");
  auto some = settings();
  some.repository = *folder / "repo";
  some.base_commit = row_.base_commit;
  some.env_setup = "export SETTING=made\n";
  auto sandbox = connect(some);
  const auto judged = judge_patch(*sandbox, row_, gold, judge_settings_);
  close(*sandbox);
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_THAT(text("test_output.txt"), HasSubstr("setting is made\n"));
}

TEST_F(JudgeTest, AssetsAreRefusedOrStagedBeforeTheTests) {
  row_.image_assets = R"({"test_patch": [{"path": "tests/img/x 1.png", "url": "http://x/x.png"}]})";
  row_.eval_script = script("bash t.sh; cat 'tests/img/x 1.png'");
  const auto refused = judge(gold);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported) << refused.error();
}

// --- errors, never verdicts

TEST_F(JudgeTest, NoRepositoryIsAnError) {
  auto some = settings();
  auto sandbox = connect(some);
  const auto judged = judge_patch(*sandbox, row_, gold, judge_settings_);
  close(*sandbox);
  ASSERT_FALSE(judged);
  EXPECT_EQ(judged.error().code, Errc::not_found) << judged.error();
  EXPECT_EQ(json("awm.json")["verdict"], "error");
  EXPECT_EQ(text("report.json"), "(absent)");
}

TEST_F(JudgeTest, AClosedSandboxIsAnError) {
  auto sandbox = fresh();
  close(*sandbox);
  const auto judged = judge_patch(*sandbox, row_, gold, judge_settings_);
  ASSERT_FALSE(judged);
  EXPECT_EQ(judged.error().code, Errc::closed) << judged.error();
}

TEST_F(JudgeTest, ARowThatCannotBeJudgedIsAnError) {
  row_.log_parser = "parse_log_pytset";
  const auto judged = judge(gold);
  ASSERT_FALSE(judged);
  EXPECT_EQ(judged.error().code, Errc::invalid_input);
  EXPECT_THAT(judged.error().message(), HasSubstr("parse_log_pytest"));
}

TEST_F(JudgeTest, AFullDiskOfOursIsAnError) {
  row_.eval_script = script("bash t.sh; seq 100000");
  for (int skip = 0; skip < 12; ++skip) {
    auto sandbox = fresh();
    fault::clear();
    fault::inject("write", "file.cpp", skip, 1, ENOSPC);
    const auto judged = judge_patch(*sandbox, row_, gold, judge_settings_);
    fault::clear();
    close(*sandbox);
    if (judged) {
      // It fell on run_instance.log, which is for people, or came too late.
      EXPECT_EQ(judged->verdict, JudgeVerdict::passed) << skip;
    } else {
      EXPECT_EQ(judged.error().os_errno, ENOSPC) << skip << ": " << judged.error();
    }
  }
}

// A sandbox whose commands end as a test says.
class FakeJudgeTest : public ::testing::Test {
 public:
  FakeJudgeTest() { settings_.log_folder = folder_ / "logs"; }

  Result<Judgement> judge(const std::function<Result<ExecResult>(const std::string&)>& answer) {
    sandbox_.command = [answer](const std::string& command, const ExecOptions&) { return answer(command); };
    return judge_patch(sandbox_, testing::sample_row(), gold, settings_);
  }
  static Result<ExecResult> ended(ExitStatus status, std::string output = {}) {
    return ExecResult{.status = status, .output = std::move(output)};
  }

  testing::TestFolder folder_;
  testing::FakeSandbox sandbox_;
  JudgeSettings settings_;
};

TEST_F(FakeJudgeTest, EveryStepThatTheSandboxFailsIsAnError) {
  const std::vector<std::pair<ExitStatus, Errc>> ends{{ExitStatus::lost(), Errc::lost},
                                                      {ExitStatus::out_of_memory(), Errc::exhausted},
                                                      {ExitStatus::timed_out(), Errc::timed_out},
                                                      {ExitStatus::signalled(9), Errc::io},
                                                      {ExitStatus::exited(127), Errc::unavailable}};
  for (const auto* step : {"HEAD", "/tmp/patch.diff"}) {
    for (const auto& [status, code] : ends) {
      const auto judged =
          judge([&](const std::string& command) { return ended(command == step ? status : ExitStatus::exited(0)); });
      ASSERT_FALSE(judged) << step << " " << status;
      EXPECT_EQ(judged.error().code, code) << step << ": " << judged.error();
    }
  }
}

TEST_F(FakeJudgeTest, TestsThatMemoryOrALostSandboxEndedAreNotFailed) {
  for (const auto& [status, code] : std::vector<std::pair<ExitStatus, Errc>>{
           {ExitStatus::lost(), Errc::lost}, {ExitStatus::out_of_memory(), Errc::exhausted}}) {
    const auto judged = judge([&](const std::string& command) {
      return ended(command.starts_with("exec /bin/bash") ? status : ExitStatus::exited(0));
    });
    ASSERT_FALSE(judged);
    EXPECT_EQ(judged.error().code, code);
  }
}

TEST_F(FakeJudgeTest, ACleanUpThatFailsIsAnErrorUnlessAConflictIsWhy) {
  std::string unmerged;
  const auto answer = [&](const std::string& command) {
    if (command == "/tmp/patch.diff" || command == ".") return ended(ExitStatus::exited(1), "no");
    if (command == "--unmerged") return ended(ExitStatus::exited(0), unmerged);
    return ended(ExitStatus::exited(0));
  };
  const auto failed = judge(answer);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message(), HasSubstr("clean up /testbed: git checkout: no"));
  unmerged = "100644 0123 1\ta.txt\n";
  const auto conflict = judge(answer);
  ASSERT_TRUE(conflict) << conflict.error();
  EXPECT_EQ(conflict->verdict, JudgeVerdict::patch_failed);
}

TEST_F(FakeJudgeTest, AFullSandboxIsNoFailedPatch) {
  sandbox_.unwritable = {"/testbed/.awm-probe"};
  const auto judged = judge([&](const std::string& command) {
    return command == "/tmp/patch.diff"
               ? ended(ExitStatus::exited(1), "error: unable to write file: No space left on device")
               : ended(ExitStatus::exited(0));
  });
  ASSERT_FALSE(judged);
  EXPECT_EQ(judged.error().os_errno, ENOSPC);
  EXPECT_THAT(judged.error().message(), HasSubstr("the sandbox's disk is full"));
  // Words of a patch alone do not make it so.
  sandbox_.unwritable.clear();
  const auto faked = judge([&](const std::string& command) {
    return command == "/tmp/patch.diff" ? ended(ExitStatus::exited(1), "No space left on device")
                                        : ended(ExitStatus::exited(0));
  });
  ASSERT_TRUE(faked) << faked.error();
  EXPECT_EQ(faked->verdict, JudgeVerdict::patch_failed);
}

}  // namespace
}  // namespace awm
