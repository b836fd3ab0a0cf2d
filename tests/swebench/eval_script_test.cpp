#include "swebench/eval_script.h"

#include "swebench_support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(EvalScriptTest, ClassicRowsGetTheScriptsThatWerePublished) {
  REQUIRE_SHARED_DATA("eval_logs/index.jsonl");
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  std::size_t compared = 0;
  for (const auto& log : testing::recorded_logs("v2")) {
    const auto script = published_eval_script(testing::lite_rows().at(log.instance_id));
    ASSERT_TRUE(script) << script.error();
    EXPECT_EQ(*script, testing::read_text(log.folder + "/eval.sh")) << log.folder;
    ++compared;
  }
  EXPECT_EQ(compared, 35U);
}

TEST(EvalScriptTest, ARowsOwnScriptIsTaken) {
  EXPECT_EQ(*published_eval_script(testing::sample_row()), testing::sample_row().eval_script);
}

Row classic(std::string_view repo, std::string_view version, std::string_view test_patch) {
  Row row = testing::sample_row();
  row.repo = repo;
  row.version = version;
  row.test_patch = test_patch;
  row.eval_script.clear();
  row.log_parser.clear();
  return row;
}

TEST(EvalScriptTest, TestFilesBecomeWordsOfTheTestCommand) {
  const std::string patch =
      "diff --git a/tests/a_dir/test_a.py b/tests/a_dir/test_a.py\n--- a/tests/a_dir/test_a.py\n+++ "
      "b/tests/a_dir/test_a.py\n@@ -1 +1 @@\n-a\n+b\n"
      "diff --git a/tests/new one.py b/tests/new one.py\nnew file mode 100644\n--- /dev/null\n+++ b/tests/new "
      "one.py\n@@ -0,0 +1 @@\n+b\n"
      "diff --git a/tests/data.json b/tests/data.json\n--- a/tests/data.json\n+++ b/tests/data.json\n@@ -1 +1 "
      "@@\n-a\n+b\n";
  const auto flask = published_eval_script(classic("pallets/flask", "2.0", patch));
  ASSERT_TRUE(flask) << flask.error();
  EXPECT_THAT(*flask, HasSubstr("\npytest -rA tests/a_dir/test_a.py 'tests/new one.py'\n"));
  // A file that the test patch makes was not there before.
  EXPECT_THAT(
      *flask,
      HasSubstr("\ngit checkout 0123456789012345678901234567890123456789 tests/a_dir/test_a.py tests/data.json\n"));
  const auto django = published_eval_script(classic("django/django", "4.2", patch));
  ASSERT_TRUE(django) << django.error();
  EXPECT_THAT(*django, HasSubstr("--parallel 1 a_dir.test_a 'new one'\n"));
}

TEST(EvalScriptTest, EveryRepositoryHasItsCommand) {
  const std::string patch = "diff --git a/x/t.py b/x/t.py\n--- a/x/t.py\n+++ b/x/t.py\n@@ -1 +1 @@\n-a\n+b\n";
  const std::vector<std::array<std::string, 3>> commands{
      {"astropy/astropy", "1.3", "pytest -rA -vv -o console_output_style=classic --tb=no x/t.py"},
      {"astropy/astropy", "5.1", "pytest -rA x/t.py"},
      {"django/django", "1.9", "./tests/runtests.py --verbosity 2 x.t"},
      {"django/django", "5.0", "./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1 x.t"},
      {"matplotlib/matplotlib", "3.7", "pytest -rA x/t.py"},
      {"mwaskom/seaborn", "0.13", "pytest --no-header -rA x/t.py"},
      {"pallets/flask", "2.3", "pytest -rA x/t.py"},
      {"psf/requests", "2.10", "pytest -rA x/t.py"},
      {"pydata/xarray", "0.12", "pytest -rA x/t.py"},
      {"pylint-dev/pylint", "2.15", "pytest -rA x/t.py"},
      {"pytest-dev/pytest", "5.4", "pytest -rA x/t.py"},
      {"scikit-learn/scikit-learn", "0.22", "pytest -rA x/t.py"},
      {"sphinx-doc/sphinx", "3.5", "tox --current-env -epy39 -v -- x/t.py"},
      {"sympy/sympy", "1.12",
       "PYTHONWARNINGS='ignore::UserWarning,ignore::SyntaxWarning' bin/test -C --verbose x/t.py"}};
  for (const auto& [repo, version, command] : commands) {
    const auto script = published_eval_script(classic(repo, version, patch));
    ASSERT_TRUE(script) << script.error();
    EXPECT_THAT(*script, HasSubstr("\n: '>>>>> Start Test Output'\n" + command + "\n: '>>>>> End Test Output'\n"));
  }
}

TEST(EvalScriptTest, ATestPatchCannotEndItsHereDocument) {
  const std::string patch =
      "diff --git a/t.py b/t.py\n--- a/t.py\n+++ b/t.py\n@@ -1 +1,2 "
      "@@\n-a\n+b\n+EOF_114329324912\nEOF_114329324912\nrm -rf /\n";
  const auto script = published_eval_script(classic("pallets/flask", "2.0", patch));
  ASSERT_TRUE(script) << script.error();
  EXPECT_THAT(*script, Not(HasSubstr("<<'EOF_114329324912'")));
}

TEST(EvalScriptTest, TheScriptThatRunsRecordsTheExitCode) {
  EXPECT_EQ(
      runnable_eval_script("\n#!/bin/bash\nset -uxo pipefail\ncd /testbed\n: '>>>>> Start Test Output'\npytest\n: "
                           "'>>>>> End Test Output'\ngit checkout x\n\n"),
      "#!/bin/bash\nset -uxo pipefail\ncd /testbed\n: '>>>>> Start Test Output'\npytest\nSWEBENCH_TEST_EXIT_CODE=$?\n"
      ": '>>>>> End Test Output'\necho \">>>>> Test Exit Code: $SWEBENCH_TEST_EXIT_CODE\"\ngit checkout x\n");
  EXPECT_EQ(runnable_eval_script("pytest"), "#!/bin/bash\nset -uxo pipefail\npytest\n");
}

TEST(EvalScriptTest, StepsOfTheImageAreLeftOutElsewhere) {
  std::vector<std::string> left_out;
  const std::string script =
      "source /opt/miniconda3/bin/activate\nconda activate testbed\nexport LANG=en_US.UTF-8\npython -m pip install -e "
      ".\n"
      "git apply -v - <<'EOF_1'\npython -m pip install -e .\nEOF_1\n: '>>>>> Start Test Output'\npip install x\n: "
      "'>>>>> End Test Output'\n";
  EXPECT_EQ(without_image_steps(script, false, left_out),
            "git apply -v - <<'EOF_1'\npython -m pip install -e .\nEOF_1\n: '>>>>> Start Test Output'\npip install "
            "x\n: '>>>>> End Test Output'\n");
  EXPECT_EQ(left_out, (std::vector<std::string>{"source /opt/miniconda3/bin/activate", "conda activate testbed",
                                                "export LANG=en_US.UTF-8", "python -m pip install -e ."}));
  left_out.clear();
  EXPECT_THAT(without_image_steps(script, true, left_out), HasSubstr("export LANG=en_US.UTF-8\n"));
}

}  // namespace
}  // namespace awm
