// Real logs of SWE-bench runs read as the reference read them.
#include <gtest/gtest.h>

#include <map>

#include "base/json.h"
#include "base/text.h"
#include "logparse/parsers.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::read_text;
using testing::shared_data;

TEST(RecordedLogs, AllParseToTheirStatusMaps) {
  REQUIRE_SHARED_DATA("eval_logs/index.jsonl");
  std::size_t logs = 0;
  std::size_t tests = 0;
  const std::string index = read_text(shared_data("eval_logs/index.jsonl"));
  for (const std::string_view line : split_lines(index)) {
    const auto row = parse_json(line, "index.jsonl");
    ASSERT_TRUE(row) << row.error();
    const std::string folder = shared_data("eval_logs/" + string_or(*row, "dir", ""));
    const LogParser* parser = find_log_parser(default_log_parser(string_or(*row, "repo", "")));
    ASSERT_NE(parser, nullptr) << folder;
    const auto expected = parse_json(read_text(folder + "/status_map.json"), "status_map.json");
    ASSERT_TRUE(expected) << expected.error();
    const std::string instance = string_or(*row, "instance_id", "");
    const auto read = parser->parse(decode_log(read_text(folder + "/test_output.txt")),
                                    LogContext{.version = "", .instance_id = instance});
    ASSERT_TRUE(read) << read.error();
    std::map<std::string, std::string> got;
    for (const auto& [test, status] : *read) got[test] = status;
    std::map<std::string, std::string> wanted;
    for (const auto& [test, status] : expected->items()) wanted[test] = status.get<std::string>();
    EXPECT_EQ(got, wanted) << folder;
    ++logs;
    tests += got.size();
  }
  EXPECT_EQ(logs, 167U);
  EXPECT_EQ(tests, 19058U);
}

}  // namespace
}  // namespace awm
