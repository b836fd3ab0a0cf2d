// Rows for runs that go wrong: the examples', changed.
#pragma once

#include <string>
#include <vector>

#include "run_awm.h"

namespace awm::e2e {

// Few tries, no waiting.
inline std::string quick_config(std::string_view more = "") {
  return "[llm]\nnum_retries = 3\nretry_min_wait = 0\nretry_max_wait = 0\nretry_multiplier = 1\n" + std::string(more);
}

inline Json example_row(const std::string& id) {
  for (auto& row : read_lines(source("examples/tasks.jsonl"))) {
    if (string_or(row, "instance_id", "") == id) return std::move(row);
  }
  ADD_FAILURE() << "no example " << id;
  return Json::object();
}

// A file with these, a line each; its path.
inline std::string write_rows(const std::string& path, const std::vector<Json>& rows) {
  std::string text;
  for (const auto& row : rows) text += dump_json(row) + "\n";
  testing::write_text(path, text);
  return path;
}

// The row's eval script with `command` run before its tests, between the markers.
inline std::string with_tests(const Json& row, const std::string& command) {
  auto script = string_or(row, "eval_script", "");
  const auto at = script.find(">>>>> Start Test Output");
  const auto end = at == std::string::npos ? at : script.find('\n', at);
  EXPECT_NE(end, std::string::npos) << script;
  if (end != std::string::npos) script.insert(end + 1, command + "\n");
  return script;
}

}  // namespace awm::e2e
