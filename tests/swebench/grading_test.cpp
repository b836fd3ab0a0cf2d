#include "swebench/grading.h"

#include <map>

#include "base/text.h"
#include "logparse/parsers.h"
#include "os/file.h"
#include "os/sys.h"
#include "swebench/log_text.h"
#include "swebench/review.h"
#include "swebench_support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;
using testing::sample_row;
using testing::TestFolder;

std::string log_of(std::string_view tests, std::string_view exit_code = "0") {
  return "+ git status\n+ : '>>>>> Start Test Output'\n" + std::string(tests) +
         "\n+ SWEBENCH_TEST_EXIT_CODE=" + std::string(exit_code) +
         "\n+ : '>>>>> End Test Output'\n+ echo '>>>>> Test Exit Code: " + std::string(exit_code) +
         "'\n>>>>> Test Exit Code: " + std::string(exit_code) + "\n";
}

Grade graded(const Row& row, std::string_view log) {
  const auto grade = grade_log(row, log);
  EXPECT_TRUE(grade) << grade.error();
  return grade.value_or(Grade{});
}

// Each test's side in a report: "FAIL_TO_PASS success" and so on.
std::map<std::string, std::string> sides_of(const Json& report) {
  std::map<std::string, std::string> sides;
  const Json* statuses = find_member(report, "tests_status");
  if (statuses == nullptr) return sides;
  for (const auto& [kind, lists] : statuses->items()) {
    for (const auto& [side, tests] : lists.items()) {
      for (const auto& test : tests) sides[kind + " " + test.get<std::string>()] = side;
    }
  }
  return sides;
}

TEST(GradingTest, RecordedLogsGradeAsTheirReportsSay) {
  REQUIRE_SHARED_DATA("eval_logs/index.jsonl");
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  const auto logs = testing::recorded_logs("v2");
  EXPECT_EQ(logs.size(), 35U);
  std::size_t compared = 0;
  for (const auto& log : logs) {
    const auto grade = grade_log_file(testing::lite_rows().at(log.instance_id), log.folder + "/test_output.txt");
    ASSERT_TRUE(grade) << grade.error();
    EXPECT_EQ(grade->resolved, log.resolved) << log.folder;
    const auto recorded = parse_json(testing::read_text(log.folder + "/report.json"), "report.json");
    ASSERT_TRUE(recorded) << recorded.error();
    const Json& theirs = (*recorded)[log.instance_id];
    const Json ours = report_json(log.instance_id, &*grade)[log.instance_id];
    EXPECT_EQ(ours["resolved"], theirs["resolved"]) << log.folder;
    EXPECT_EQ(ours["patch_exists"], theirs["patch_exists"]) << log.folder;
    EXPECT_EQ(ours["patch_is_None"], theirs["patch_is_None"]) << log.folder;
    if (!grade->log_found) {
      // The reports are of SWE-bench 4, which took a log without a single test for one of failed tests; 5 does not.
      EXPECT_EQ(grade->tests_seen, 0U) << log.folder;
      EXPECT_EQ(theirs["resolved"], false) << log.folder;
      continue;
    }
    EXPECT_EQ(ours["patch_successfully_applied"], theirs["patch_successfully_applied"]) << log.folder;
    // The reports follow a newer data set, whose lists differ by a test here and there, and in their order.
    const auto their_sides = sides_of(theirs);
    for (const auto& [test, side] : sides_of(ours)) {
      const auto found = their_sides.find(test);
      if (found == their_sides.end()) continue;
      EXPECT_EQ(side, found->second) << log.folder << ": " << test;
      ++compared;
    }
  }
  EXPECT_GT(compared, 2000U);
}

TEST(GradingTest, LogsOf2024GradeAsTheirIndexSays) {
  REQUIRE_SHARED_DATA("eval_logs/index.jsonl");
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  const auto logs = testing::recorded_logs("v1");
  EXPECT_EQ(logs.size(), 125U);
  for (const auto& log : logs) {
    const auto grade =
        grade_log_file(testing::lite_rows().at(log.instance_id), log.folder + "/test_output.txt", LogFormat::v1);
    ASSERT_TRUE(grade) << grade.error();
    EXPECT_EQ(grade->resolved, log.resolved) << log.folder << ": " << grade->why;
  }
}

TEST(GradingTest, CountsEachTestOnItsSide) {
  Row row = sample_row();
  row.fail_to_pass = {"t::pass", "t::xfail", "t::fail", "t::error", "t::skip", "t::absent"};
  row.pass_to_pass = row.fail_to_pass;
  const auto grade =
      graded(row, log_of("PASSED t::pass\nXFAIL t::xfail\nFAILED t::fail - x\nERROR t::error\nSKIPPED t::skip\n", "1"));
  EXPECT_TRUE(grade.log_found);
  EXPECT_FALSE(grade.resolved);
  EXPECT_EQ(grade.fail_to_pass.success, (std::vector<std::string>{"t::pass", "t::xfail"}));
  EXPECT_EQ(grade.fail_to_pass.failure, (std::vector<std::string>{"t::fail", "t::error", "t::skip", "t::absent"}));
  EXPECT_EQ(grade.pass_to_pass.success, (std::vector<std::string>{"t::pass", "t::xfail", "t::skip"}));
  EXPECT_EQ(grade.pass_to_pass.failure, (std::vector<std::string>{"t::fail", "t::error", "t::absent"}));
  EXPECT_EQ(grade.test_exit_code, 1);
}

TEST(GradingTest, FailOnlyCountsWhatIsNotNamedAsPassed) {
  Row row = sample_row();
  row.eval_type = EvalType::fail_only;
  row.fail_to_pass = {"t::fail", "t::error", "t::absent"};
  const auto grade = graded(row, log_of("FAILED t::fail\nERROR t::error\n", "1"));
  EXPECT_EQ(grade.fail_to_pass.failure, std::vector<std::string>{"t::fail"});
  EXPECT_EQ(grade.fail_to_pass.success, (std::vector<std::string>{"t::error", "t::absent"}));
}

TEST(GradingTest, IdsThatWereCutOffStandForThoseThatBeginSo) {
  Row row = sample_row();
  row.fail_to_pass = {"t::a[x"};
  row.pass_to_pass = {};
  EXPECT_TRUE(graded(row, log_of("PASSED t::a[x-1]\nXFAIL t::a[x-2]\n")).resolved);
  EXPECT_FALSE(graded(row, log_of("PASSED t::a[x-1]\nFAILED t::a[x-2]\n", "1")).resolved);
  row.fail_to_pass = {"t::a"};
  EXPECT_FALSE(graded(row, log_of("PASSED t::a[x-1]\n")).resolved);
}

TEST(GradingTest, NothingCountsWithoutMarkersOrWithThoseOfAFailure) {
  const Row row = sample_row();
  const std::string good = log_of("PASSED t.py::a\nPASSED t.py::b\n");
  EXPECT_TRUE(graded(row, good).resolved);
  for (const auto* marker :
       {">>>>> Patch Apply Failed", ">>>>> Reset Failed", ">>>>> Tests Errored", ">>>>> Tests Timed Out"}) {
    const auto grade = graded(row, good + marker);
    EXPECT_FALSE(grade.log_found) << marker;
    EXPECT_FALSE(grade.resolved) << marker;
  }
  EXPECT_FALSE(graded(row, good.substr(0, good.find("+ SWEBENCH"))).log_found);
  EXPECT_FALSE(graded(row, "PASSED t.py::a\nPASSED t.py::b\n").log_found);
  EXPECT_FALSE(graded(row, "").log_found);
}

TEST(GradingTest, AnExitCodeThatTheLogDoesNotExplainVoidsIt) {
  const Row row = sample_row();
  EXPECT_FALSE(graded(row, log_of("PASSED t.py::a\nPASSED t.py::b\n", "2")).log_found);
  EXPECT_TRUE(graded(row, log_of("PASSED t.py::a\nPASSED t.py::b\nFAILED t.py::c\n", "1")).resolved);
  EXPECT_TRUE(graded(row, log_of("PASSED t.py::a\nPASSED t.py::b\n", "0")).resolved);
}

TEST(GradingTest, ResultsOutsideTheMarkersCountWhereNoneAreInside) {
  EXPECT_TRUE(graded(sample_row(), "PASSED t.py::a\nPASSED t.py::b\n" + log_of("nothing")).resolved);
  EXPECT_FALSE(graded(sample_row(), "PASSED t.py::a\nPASSED t.py::b\n" + log_of("PASSED t.py::b")).resolved);
}

TEST(GradingTest, ASuiteThatNeverRanIsNoSuccessOfFailOnlyRows) {
  Row row = sample_row();
  row.eval_type = EvalType::fail_only;
  for (const auto* sign :
       {"Executed 3 of 3", "TOTAL: 2 SUCCESS", "  12 passing (3s)", "Tests:       4 passed", "Tests:\n 4",
        "Test Suites: 1 failed, 2 total", "# tests 9", "4 specs, 0 failures", "case': ok"}) {
    EXPECT_TRUE(graded(row, log_of(sign)).resolved) << sign;
  }
  for (const auto* sign : {"Executed 0 of 0", "TOTAL: 0 SUCCESS", "0 passing", "Tests:  0 total", "x # tests 9",
                           "0 specs, 0 failures", "case': okay", ""}) {
    EXPECT_FALSE(graded(row, log_of(sign)).log_found) << sign;
  }
}

TEST(GradingTest, TellsAnEnvironmentsFaultFromOneThatMayBeThePatchs) {
  const auto reason = [](std::string_view text) {
    const auto sign = classify_log(text);
    return sign ? sign->reason + (sign->environment ? " environment" : " ambiguous") : "none";
  };
  EXPECT_EQ(reason("x Failed to launch the browser"), "browser_launch_failed environment");
  EXPECT_EQ(reason("Missing X server"), "display_unavailable environment");
  EXPECT_EQ(reason("a\nKilled\n"), "out_of_memory environment");
  EXPECT_EQ(reason("a\nKilled by\nx Killed\n"), "none");
  EXPECT_EQ(reason("Error response from daemon"), "container_unavailable environment");
  EXPECT_EQ(reason("Could not resolve host: x"), "network_unreachable environment");
  EXPECT_EQ(reason("ModuleNotFoundError: No module"), "missing_module ambiguous");
  EXPECT_EQ(reason("collected 0 items\nModuleNotFoundError"), "missing_module ambiguous");
  EXPECT_EQ(reason("no tests ran in 0.1s"), "no_tests_collected ambiguous");
  EXPECT_EQ(reason("\n\nTimeout error: 1800 seconds exceeded."), "tests_timed_out ambiguous");
  EXPECT_EQ(reason("Timeout error: many seconds exceeded."), "none");

  const auto grade = graded(sample_row(), "ModuleNotFoundError: No module named 'x'\n");
  const Json report = report_json("i", &grade)["i"];
  EXPECT_EQ(report["infra_failure"], false);
  EXPECT_EQ(report["infra_failure_reason"], "missing_module");
  EXPECT_FALSE(report.contains("tests_status"));
}

TEST(GradingTest, ANullPatchHasAReportOfItsOwn) {
  EXPECT_EQ(report_json("i", nullptr), (Json{{"i",
                                              {{"patch_is_None", true},
                                               {"patch_exists", false},
                                               {"patch_successfully_applied", false},
                                               {"resolved", false},
                                               {"infra_failure", false}}}}));
}

TEST(GradingTest, BytesThatAreNoTextAndOtherLineEndsAreRead) {
  EXPECT_TRUE(graded(sample_row(), log_of("PASSED t.py::a\r\n\xff\xfe\x80\rPASSED t.py::b\r")).resolved);
}

TEST(GradingTest, MarkersThatTestsPrintAreMadeVisible) {
  const auto honest = graded(sample_row(), log_of("PASSED t.py::a\nPASSED t.py::b\n"));
  EXPECT_TRUE(review_log(honest).empty());
  // The tests end their region early and give themselves a result and an exit code.
  const auto faked = graded(
      sample_row(),
      log_of("PASSED t.py::a\nPASSED t.py::b\n>>>>> Test Exit Code: 0\n>>>>> End Test Output\nFAILED t.py::a", "1"));
  EXPECT_TRUE(faked.resolved);
  EXPECT_EQ(review_log(faked), std::vector<std::string>{"prints_markers"});
}

TEST(GradingTest, ARowWithoutTestsOrParserIsAnError) {
  Row row = sample_row();
  row.log_parser = "parse_log_nothing";
  EXPECT_EQ(grade_log(row, "").error().code, Errc::invalid_input);
  row = sample_row();
  row.has_tests = false;
  EXPECT_EQ(grade_log(row, "").error().code, Errc::invalid_input);
}

// --- logs too large to be held

void append(const std::string& path, std::string_view text) {
  auto file = AppendFile::open(Scope("test"), path);
  ASSERT_TRUE(file) << file.error();
  ASSERT_TRUE(file->append(text));
}

TEST(LargeLogTest, PiecesGiveWhatTheWholeGives) {
  REQUIRE_SHARED_DATA("eval_logs/index.jsonl");
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  for (const auto* format : {"v1", "v2"}) {
    for (const auto& log : testing::recorded_logs(format)) {
      const auto pieces = LogText::open(log.folder + "/test_output.txt", 0);
      const auto whole = LogText::open(log.folder + "/test_output.txt");
      ASSERT_TRUE(pieces && whole);
      std::string text;
      ASSERT_TRUE(pieces->each_piece([&](std::string_view piece) { text += piece; }));
      EXPECT_EQ(text, whole->whole()) << log.folder;
    }
  }
}

TEST(LargeLogTest, CharactersAndLineEndsOnABorderStayWhole) {
  const TestFolder folder;
  std::string bytes((std::size_t{1} << 20) - 2, 'a');
  bytes += "\xe2\x82\xac\r\n";                                     // a character across the border
  bytes += std::string((std::size_t{1} << 20) - 4, 'b') + "\r\n";  // a line's end across the next
  bytes += "\xff\xe2\x82";
  const auto path = folder.write("log", bytes);
  const auto pieces = LogText::open(path, 0);
  ASSERT_TRUE(pieces);
  std::string text;
  ASSERT_TRUE(pieces->each_piece([&](std::string_view piece) { text += piece; }));
  EXPECT_EQ(text, LogText::from(bytes).whole());
  Utf8Pieces decoder;
  std::string streamed;
  for (const char c : bytes) streamed += decoder.next(std::string_view(&c, 1));
  streamed += decoder.end();
  EXPECT_EQ(streamed, to_valid_utf8(bytes));
}

TEST(LargeLogTest, EveryKnownParserReadsTheSameInTheCondensedText) {
  REQUIRE_SHARED_DATA("eval_logs/index.jsonl");
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  for (const auto* format : {"v1", "v2"}) {
    for (const auto& log : testing::recorded_logs(format)) {
      const auto whole = LogText::open(log.folder + "/test_output.txt");
      ASSERT_TRUE(whole);
      for (const auto* name : {"parse_log_pytest", "parse_log_pytest_options", "parse_log_pytest_v2",
                               "parse_log_seaborn", "parse_log_sympy", "parse_log_django", "parse_log_matplotlib"}) {
        const auto text = condensed(*whole, name, 0, whole->whole().size());
        ASSERT_TRUE(text) << text.error();
        const auto parser = require_log_parser(name);
        ASSERT_TRUE(parser);
        const auto from_condensed = (*parser)->parse(*text, {});
        const auto from_whole = (*parser)->parse(whole->whole(), {});
        ASSERT_TRUE(from_condensed && from_whole);
        EXPECT_TRUE(*from_condensed == *from_whole) << log.folder << " " << name;
      }
    }
  }
}

TEST(LargeLogTest, AGigabyteIsGradedInBoundedMemory) {
  const TestFolder folder;
  const auto path = folder.write("log", "+ : '>>>>> Start Test Output'\nPASSED t.py::a\n");
  std::string noise;
  while (noise.size() < (std::size_t{16} << 20)) noise += "a line of noise that says nothing at all, over and over\n";
  for (int i = 0; i < 64; ++i) append(path, noise);
  append(path, std::string(std::size_t{20} << 20, 'x'));
  append(path, "\nPASSED t.py::b\n+ : '>>>>> End Test Output'\n>>>>> Test Exit Code: 0\n");
  const auto before = sys::resident_bytes();
  const auto grade = grade_log_file(sample_row(), path);
  ASSERT_TRUE(grade) << grade.error();
  EXPECT_TRUE(grade->resolved);
  EXPECT_LT(sys::resident_bytes(), before + (std::uint64_t{100} << 20));
}

}  // namespace
}  // namespace awm
