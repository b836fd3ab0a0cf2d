// What the table says, and the corners of single parsers that a reader would not guess.
#include "logparse/parsers.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "support/support.h"

namespace awm {
namespace {

Result<StatusMap> parse(std::string_view parser, std::string log, LogContext context = {}) {
  const LogParser* found = find_log_parser(parser);
  EXPECT_NE(found, nullptr) << parser;
  return found->parse(decode_log(std::move(log)), context);
}

std::string json(std::string_view parser, std::string log, LogContext context = {}) {
  const auto statuses = parse(parser, std::move(log), context);
  return statuses ? to_json(*statuses) : "refused: " + statuses.error().message();
}

TEST(LogParsers, TheTableHasTheRegistrysNames) {
  const auto names = log_parser_names();
  EXPECT_EQ(names.size(), 57U);
  EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), 57U);
  for (const std::string_view name : names) {
    const LogParser* parser = find_log_parser(name);
    ASSERT_NE(parser, nullptr);
    EXPECT_EQ(parser->name, name);
  }
  EXPECT_EQ(find_log_parser("parse_log"), nullptr);
}

TEST(LogParsers, AnUnknownNameGetsNearOnes) {
  const auto parser = require_log_parser("parse_log_pytset");
  ASSERT_FALSE(parser);
  EXPECT_EQ(parser.error().code, Errc::not_found);
  EXPECT_NE(parser.error().remedy.find("parse_log_pytest"), std::string::npos) << parser.error();
  const auto without_prefix = require_log_parser("django");
  ASSERT_FALSE(without_prefix);
  EXPECT_NE(without_prefix.error().remedy.find("parse_log_django"), std::string::npos) << without_prefix.error();
  const auto far = require_log_parser("completely different and long");
  ASSERT_FALSE(far);
  EXPECT_NE(far.error().remedy.find("--list"), std::string::npos) << far.error();
}

TEST(LogParsers, EveryClassicRepositoryHasItsParser) {
  EXPECT_EQ(default_log_parser("django/django"), "parse_log_django");
  EXPECT_EQ(default_log_parser("sphinx-doc/sphinx"), "parse_log_sphinx");
  EXPECT_EQ(default_log_parser("psf/requests"), "parse_log_requests");
  EXPECT_EQ(default_log_parser("tokio-rs/axum"), "parse_log_cargo");
  EXPECT_EQ(default_log_parser("nobody/nothing"), "");
}

TEST(LogParsers, ReadNothingInAnEmptyLog) {
  for (const std::string_view name : log_parser_names()) {
    const auto statuses = parse(name, "", {.version = "10.2", .instance_id = "immutable-js__immutable-js-2006"});
    if (name == "parse_log_jekyll") {
      EXPECT_FALSE(statuses) << "the instance is none of its own";
      continue;
    }
    ASSERT_TRUE(statuses) << name << ": " << statuses.error();
    EXPECT_TRUE(statuses->empty()) << name;
  }
}

TEST(DecodeLog, ReadsBytesAsPythonReadsATextFile) {
  EXPECT_EQ(decode_log("a\r\nb\rc\r\r\nd\n"), "a\nb\nc\n\nd\n");
  EXPECT_EQ(decode_log("\xff"
                       "a\xe2\x82"
                       "b\xed\xa0\x80"),
            "\ufffd"
            "a\ufffd"
            "b\ufffd\ufffd\ufffd");
  EXPECT_EQ(decode_log("é\r"), "é\n");
  EXPECT_EQ(decode_log(""), "");
}

TEST(Pytest, TheLinesFirstWordIsTheStatusAndTheSecondTheTest) {
  EXPECT_EQ(json("parse_log_pytest",
                 "PASSED a.py::b\nPASSEDX c\nSKIPPED [2] a.py:3: why\nFAILED - d - e\n xFAILED f\nERROR\n"),
            "{\n  \"a.py::b\": \"PASSED\",\n  \"c\": \"PASSEDX\",\n  \"d\": \"FAILED\"\n}");
}

TEST(Pytest, OptionsThatArePathsLoseTheirFolders) {
  EXPECT_EQ(json("parse_log_pytest_options", "PASSED t[/a/b/c]\nPASSED u[//a/b]\nPASSED v[/a/*]\nPASSED w[x]y]z\n"),
            "{\n  \"t[/c]\": \"PASSED\",\n  \"u[//a/b]\": \"PASSED\",\n  \"v[/a/*]\": \"PASSED\",\n  \"w[x]y]\": "
            "\"PASSED\"\n}");
}

TEST(Pytest, SecondVersionReadsColoursAndStatusesAtTheEnd) {
  EXPECT_EQ(json("parse_log_pytest_v2", "\x1b[32mPASSED\x1b[0m a b  c\n\x1b[31mFAILED\x1b[0m d - e - f\ng h PASSED\n"),
            "{\n  \"a b c\": \"PASSED\",\n  \"d\": \"FAILED\",\n  \"g h\": \"PASSED\"\n}");
}

TEST(Django, ReadsUnittestToo) {
  EXPECT_EQ(json("parse_log_django",
                 "test_a (t.T.test_a) ... ok\ntest_b (t.T.test_b) ... FAIL\ntest_c (t.T.test_c) ... skipped 'x'\n"),
            "{\n  \"test_a (t.T.test_a)\": \"PASSED\",\n  \"test_b (t.T.test_b)\": \"FAILED\",\n  \"test_c "
            "(t.T.test_c)\": \"SKIPPED\"\n}");
}

TEST(Django, RefusesAHeadingWithoutATestWhereTheReferenceRaises) {
  const auto statuses = parse("parse_log_django", "FAIL:\n");
  ASSERT_FALSE(statuses);
  EXPECT_EQ(statuses.error().code, Errc::invalid_input);
}

TEST(Lighthouse, AsksTheVersion) {
  EXPECT_FALSE(parse("parse_log_lighthouse", ""));
  EXPECT_FALSE(parse("parse_log_lighthouse", "", {.version = "x", .instance_id = ""}));
  EXPECT_EQ(json("parse_log_lighthouse", "PASS a (5ms)\n", {.version = "5.0", .instance_id = ""}),
            "{\n  \"a\": \"PASSED\"\n}");
}

TEST(Jekyll, AsksTheInstance) {
  EXPECT_FALSE(parse("parse_log_jekyll", "", {.version = "", .instance_id = "jekyll"}));
  EXPECT_FALSE(parse("parse_log_jekyll", "", {.version = "", .instance_id = "jekyll__jekyll-1"}));
  EXPECT_EQ(json("parse_log_jekyll", "a ..\n", {.version = "", .instance_id = "jekyll__jekyll-8761"}),
            "{\n  \"a\": \"PASSED\"\n}");
}

TEST(Prism, TitlesOutOfJsonKeepLoneSurrogates) {
  EXPECT_EQ(json("parse_log_prismjs",
                 "./node_modules/.bin/mocha tests/run.js --reporter json {\"failures\": [{\"fullTitle\": "
                 "\"\\ud800\"}], \"passes\": "
                 "[{\"fullTitle\": \"\\ud83d\\ude00\"}, {\"fullTitle\": 1.0}, {\"fullTitle\": true}]}"),
            "{\n  \"\\ud800\": \"FAILED\",\n  \"😀\": \"PASSED\",\n  \"1.0\": \"PASSED\"\n}");
  EXPECT_FALSE(parse("parse_log_prismjs", "./node_modules/.bin/mocha tests/run.js --reporter json {\"failures\": []}"));
}

TEST(Doctest, RefusesWhatIsNotWellFormed) {
  EXPECT_EQ(json("parse_log_doctest", "<doctest><TestCase name=\"a\"><SubCase name=\"b\"/></TestCase></doctest>"),
            "{\n  \"a > b\": \"PASSED\"\n}");
  EXPECT_FALSE(parse("parse_log_doctest", "<doctest><TestCase name=\"a\"></doctest>"));
  EXPECT_FALSE(parse("parse_log_doctest", "<doctest>"));
}

}  // namespace
}  // namespace awm
