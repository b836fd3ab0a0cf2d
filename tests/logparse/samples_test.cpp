// One sample log or more for each parser, in its runner's format, read as the reference read it: samples/expected.jsonl
// is what fuzz_against_reference.py --write-expected got from SWE-bench 5.0.2.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/json.h"
#include "base/text.h"
#include "logparse/parsers.h"
#include "support/support.h"

namespace awm {
namespace {

const std::string folder = std::string(AWM_SOURCE_DIR) + "/tests/logparse/samples/";

// The map as the samples' JSON has it, in order.
Json to_ordered_json(const StatusMap& statuses) {
  Json json = Json::object();
  for (const auto& [test, status] : statuses) json[test] = status;
  return json;
}

void expect_all_read(const std::function<std::string(std::string)>& change) {
  const std::string rows = testing::read_text(folder + "expected.jsonl");
  std::set<std::string> seen;
  for (const std::string_view line : split_lines(rows)) {
    const auto row = parse_json(line, "expected.jsonl");
    ASSERT_TRUE(row) << row.error();
    const std::string name = string_or(*row, "parser", "");
    const std::string file = string_or(*row, "file", "");
    const std::string version = string_or(*row, "version", "");
    const std::string instance = string_or(*row, "instance_id", "");
    SCOPED_TRACE(name);
    SCOPED_TRACE(file);
    seen.insert(name);
    const LogParser* parser = find_log_parser(name);
    ASSERT_NE(parser, nullptr);
    const auto statuses = parser->parse(decode_log(change(testing::read_text(folder + file))),
                                        LogContext{.version = version, .instance_id = instance});
    if (find_member(*row, "raises") != nullptr) {
      EXPECT_FALSE(statuses);
      continue;
    }
    ASSERT_TRUE(statuses) << statuses.error();
    EXPECT_EQ(to_ordered_json(*statuses).dump(1), find_member(*row, "statuses")->dump(1));
  }
  EXPECT_EQ(seen.size(), 44U) << "a row for every distinct parser";
}

TEST(Samples, ReadAsTheReferenceReadThem) {
  expect_all_read([](std::string text) { return text; });
}

TEST(Samples, LineEndsOfWindowsChangeNothing) {
  expect_all_read([](const std::string& text) { return replace_all(text, "\n", "\r\n"); });
}

}  // namespace
}  // namespace awm
