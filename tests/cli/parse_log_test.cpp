// awm parse-log, as people type it.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "base/text.h"
#include "support/support.h"

namespace awm {
namespace {

struct Said {
  int code;
  std::string text;  // both outputs
};

Said awm(const std::string& arguments) {
  const std::string command = shell_quote(std::string(AWM_BIN_DIR) + "/awm") + " parse-log " + arguments + " 2>&1";
  Said said{.code = -1, .text = {}};
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return said;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) said.text.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  said.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return said;
}

TEST(ParseLog, ListsThe57NamesOneALine) {
  const Said said = awm("--list");
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(split_lines(said.text).size(), 57U);
  EXPECT_TRUE(said.text.starts_with("parse_log_pytest\n"));
}

TEST(ParseLog, PrintsTheMapInOrderFromAFileOrFromStandardInput) {
  const testing::TestFolder folder;
  const std::string log = shell_quote(folder.write("log", "ok 2 b\r\nnot ok 1 a\xff\r\nok 2 b\r\n"));
  const std::string map = "{\n  \"b\": \"PASSED\",\n  \"a\ufffd\": \"FAILED\"\n}\n";
  for (const std::string& input : {log, "< " + log, "- < " + log}) {
    const Said said = awm("--parser parse_log_tap " + input);
    EXPECT_EQ(said.code, 0);
    EXPECT_EQ(said.text, map) << input;
  }
}

TEST(ParseLog, HandsVersionAndInstanceOn) {
  const testing::TestFolder folder;
  const std::string log = shell_quote(folder.write("log", "PASS a (5ms)\na ..\n"));
  EXPECT_EQ(awm("--parser parse_log_lighthouse --version 5.0 " + log).text, "{\n  \"a\": \"PASSED\"\n}\n");
  EXPECT_EQ(awm("--parser parse_log_jekyll --instance jekyll__jekyll-8761 " + log).text, "{\n  \"a\": \"PASSED\"\n}\n");
  EXPECT_EQ(awm("--parser parse_log_jekyll " + log).code, 1) << "the reference raises";
}

TEST(ParseLog, SaysWhatIsWrong) {
  const Said unknown = awm("--parser parse_log_pytset /dev/null");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.text, ::testing::HasSubstr("did you mean parse_log_pytest"));
  const Said missing = awm("--parser parse_log_tap /nowhere/log");
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.text, ::testing::HasSubstr("/nowhere/log"));
  const Said nothing = awm("/dev/null");
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.text, ::testing::HasSubstr("--parser"));
}

}  // namespace
}  // namespace awm
