// Rows for the tests of this room, made in place or out of the public data.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "support/support.h"
#include "swebench/row.h"

namespace awm::testing {

// A row that has what judging needs; pytest's parser.
inline Row sample_row() {
  Row row;
  row.instance_id = "owner__name-1";
  row.repo = "owner/name";
  row.base_commit = "0123456789012345678901234567890123456789";
  row.problem_statement = "It breaks.";
  row.version = "1.0";
  row.has_tests = true;
  row.fail_to_pass = {"t.py::a"};
  row.pass_to_pass = {"t.py::b"};
  row.log_parser = "parse_log_pytest";
  row.eval_script = "#!/bin/bash\nset -uxo pipefail\n: '>>>>> Start Test Output'\npytest\n: '>>>>> End Test Output'\n";
  row.origin = "rows.jsonl:1";
  return row;
}

inline Json sample_row_json() {
  return Json{{"instance_id", "owner__name-1"},
              {"repo", "owner/name"},
              {"base_commit", "0123456789012345678901234567890123456789"},
              {"problem_statement", "It breaks."},
              {"FAIL_TO_PASS", R"(["t.py::a"])"},
              {"PASS_TO_PASS", Json::array({"t.py::b"})}};
}

// The rows of SWE-bench Lite by id.
inline const std::map<std::string, Row>& lite_rows() {
  static const std::map<std::string, Row> rows = [] {
    std::map<std::string, Row> by_id;
    auto read = read_rows({shared_data("swebench/lite.jsonl")});
    if (!read) return by_id;
    for (auto& row : *read) by_id.emplace(row.instance_id, std::move(row));
    return by_id;
  }();
  return rows;
}

struct RecordedLog {
  std::string folder;
  std::string instance_id;
  std::string format;
  bool resolved = false;
};

// The recorded logs of a format ("v1", "v2") whose row is in Lite.
inline std::vector<RecordedLog> recorded_logs(std::string_view format) {
  std::vector<RecordedLog> logs;
  const std::string index = read_text(shared_data("eval_logs/index.jsonl"));
  std::size_t at = 0;
  while (at < index.size()) {
    const auto end = std::min(index.find('\n', at), index.size());
    const auto json = parse_json(std::string_view(index).substr(at, end - at), "index.jsonl");
    at = end + 1;
    if (!json || string_or(*json, "format", "") != format) continue;
    const auto id = string_or(*json, "instance_id", "");
    if (!lite_rows().contains(id)) continue;
    logs.push_back({shared_data("eval_logs/" + string_or(*json, "dir", "")), id, std::string(format),
                    get_bool(*json, "resolved").value_or(false)});
  }
  return logs;
}

}  // namespace awm::testing
