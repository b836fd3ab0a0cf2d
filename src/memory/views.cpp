#include "memory/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "memory/memory_file.h"
#include "os/file.h"

namespace awm {
namespace {

constexpr std::size_t max_told = 100;
constexpr std::size_t max_line = std::size_t{256} << 20;

// Lines that are whole JSON objects, in order; the others are told. A last line without its end is left out when it is
// no JSON.
Result<ResultsRead> read_lines(const Scope& scope, const std::string& path,
                               const std::function<Result<bool>(const Json&, const std::string& place)>& take) {
  AWM_TRY(auto reader, LineReader::open(scope, path, max_line));
  ResultsRead read;
  const auto tell = [&read](std::string why) {
    if (read.left_out.size() < max_told) read.left_out.push_back(std::move(why));
  };
  for (;;) {
    AWM_TRY(const auto line, reader.next());
    if (!line) return read;
    if (trim(*line).empty()) continue;
    const std::string place = path + ":" + std::to_string(reader.line_number());
    auto json = parse_json(*line, place);
    if (!json && !reader.ended_with_newline()) {
      read.torn = true;
      return read;
    }
    ++read.lines;
    if (!json) {
      tell(json.error().message());
      continue;
    }
    auto go_on = take(*json, place);
    if (!go_on) {
      tell(go_on.error().message());
    } else if (!*go_on) {
      return read;
    }
  }
}

std::string cut(std::string_view text, std::size_t limit) {
  return std::string(text.substr(0, utf8_offset(text, limit)));
}

// Writes a file piece by piece beside its place and puts it there whole.
class FileBeside {
 public:
  static Result<FileBeside> open(const Scope& scope, std::string path) {
    FileBeside file;
    file.path_ = std::move(path);
    AWM_CHECK(remove_tree(file.part()));
    AWM_TRY(file.file_, AppendFile::open(scope, file.part()));
    return file;
  }
  Result<void> add(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() < std::size_t{1} << 20) return {};
    return flush();
  }
  Result<void> finish() {
    AWM_CHECK(flush());
    file_.close();
    return sys::rename(part(), path_);
  }

 private:
  FileBeside() = default;
  [[nodiscard]] std::string part() const { return path_ + ".part"; }
  Result<void> flush() {
    AWM_CHECK(file_.append(buffer_));
    buffer_.clear();
    return {};
  }
  std::string path_;
  AppendFile file_;
  std::string buffer_;
};

// The predecessor reads its buffer back by CodingExperience(**data), which takes these keys and no other.
Json for_old_scripts(const Json& line) {
  Json json = Json::object();
  for (const auto* key : {"instance_id", "problem_statement", "diff_patch", "history", "test_result", "test_output",
                          "task_type", "timestamp", "model_name"}) {
    if (const Json* value = find_member(line, key); value != nullptr) json[key] = *value;
  }
  return json;
}

// Python's json.dumps for one value that stands inside a larger document.
std::string inner(const Json& json) {
  return dump_json_python(json);
}

}  // namespace

Json to_json(const Checkpoint& checkpoint) {
  return Json{{"total_processed", checkpoint.total_processed},
              {"total_success", checkpoint.total_success},
              {"start_time", checkpoint.start_time},
              {"last_checkpoint", checkpoint.last_checkpoint}};
}

Result<Checkpoint> read_checkpoint(const std::string& path) {
  AWM_TRY(const auto text, read_file(path, std::size_t{1} << 20));
  AWM_TRY(const auto json, parse_json(text, path));
  const auto processed = get_int(json, "total_processed");
  const auto success = get_int(json, "total_success");
  if (!processed || !success || *processed < 0 || *success < 0 || *success > *processed) {
    return fail(Errc::invalid_input, "read the checkpoint", path,
                "total_processed and total_success are missing or cannot be",
                "name a checkpoint.json that awm or its predecessor wrote");
  }
  return Checkpoint{*processed, *success, string_or(json, "start_time", ""), string_or(json, "last_checkpoint", "")};
}

Result<Experience> experience_from_json(const Json& json, std::string_view what) {
  const auto broken = [&](std::string cause) {
    return fail(Errc::invalid_input, "read the result", std::string(what), std::move(cause));
  };
  Experience experience;
  auto id = get_string(json, "instance_id");
  if (!id || trim(*id).empty()) return broken("it has no instance_id");
  experience.instance_id = *std::move(id);
  auto result = get_string(json, "test_result");
  if (!result) return broken("it has no test_result");
  experience.test_result = *std::move(result);
  experience.problem_statement = string_or(json, "problem_statement", "");
  experience.diff_patch = string_or(json, "diff_patch", "");
  experience.test_output = string_or(json, "test_output", "");
  experience.task_type = string_or(json, "task_type", "");
  experience.timestamp = string_or(json, "timestamp", "");
  experience.model_name = string_or(json, "model_name", "");
  if (const Json* history = find_member(json, "history"); history != nullptr && !history->is_null()) {
    if (!history->is_array()) return broken("its history is no list");
    for (const auto& item : *history) {
      if (!item.is_object()) return broken("a step of its history is no object");
      ExperienceStep step;
      step.step_id = static_cast<int>(std::clamp<int64_t>(
          get_int(item, "step_id").value_or(static_cast<int64_t>(experience.history.size()) + 1), 0, 1'000'000'000));
      step.observation = cut(string_or(item, "observation", ""), 1000);
      step.thought = string_or(item, "thought", "");
      step.action = cut(string_or(item, "action", ""), 500);
      step.action_type = string_or(item, "action_type", "");
      step.file_path = get_string(item, "file_path");
      step.command = get_string(item, "command");
      experience.history.push_back(std::move(step));
    }
  }
  return experience;
}

Result<ResultsRead> read_results(const Scope& scope, const std::string& path,
                                 const std::function<bool(Experience)>& take) {
  std::set<std::string> seen;
  return read_lines(scope, path, [&](const Json& json, const std::string& place) -> Result<bool> {
    AWM_TRY(auto experience, experience_from_json(json, place));
    if (!seen.insert(experience.instance_id).second) {
      return fail(Errc::already_exists, "read the result", place,
                  "there is a result of " + experience.instance_id + " already");
    }
    return take(std::move(experience));
  });
}

Result<void> write_buffer_view(const Scope& scope, const std::string& results_jsonl, const std::string& buffer_json,
                               const std::string& last_updated) {
  // Types in the order of their first pass, as the predecessor's dictionary had them.
  std::vector<std::string> types;
  int64_t passes = 0;
  const auto type_of = [](const Json& json) {
    auto type = string_or(json, "task_type", "");
    return type.empty() ? task_type_of(string_or(json, "problem_statement", "")) : type;
  };
  const auto passed = [](const Json& json) { return string_or(json, "test_result", "") == "PASS"; };
  AWM_CHECK(read_lines(scope, results_jsonl, [&](const Json& json, const std::string&) -> Result<bool> {
    if (!passed(json)) return true;
    ++passes;
    auto type = type_of(json);
    if (std::ranges::find(types, type) == types.end()) types.push_back(std::move(type));
    return true;
  }));
  AWM_TRY(auto file, FileBeside::open(scope, buffer_json));
  AWM_CHECK(file.add(fmt::format("{{\n  \"success_count\": {},\n  \"buffer\": {{", passes)));
  bool first_type = true;
  std::optional<Error> failed;
  for (const auto& type : types) {
    AWM_CHECK(file.add(std::string(first_type ? "" : ",") + "\n    " + inner(type) + ": ["));
    first_type = false;
    bool first = true;
    AWM_CHECK(read_lines(scope, results_jsonl, [&](const Json& json, const std::string&) -> Result<bool> {
      if (!passed(json) || type_of(json) != type) return true;
      auto added = file.add(std::string(first ? "" : ",") + "\n      " + inner(for_old_scripts(json)));
      first = false;
      if (!added) failed = std::move(added).error();
      return !failed;
    }));
    if (failed) return fail(*std::move(failed));
    AWM_CHECK(file.add("\n    ]"));
  }
  AWM_CHECK(file.add(fmt::format("\n  }},\n  \"last_updated\": {}\n}}\n", inner(last_updated))));
  return file.finish();
}

Result<void> write_result_view(const Scope& scope, const std::string& results_jsonl, const WorkflowMemory& memory,
                               const Json& statistics, const std::string& result_json) {
  AWM_TRY(auto file, FileBeside::open(scope, result_json));
  AWM_CHECK(file.add("{\n  \"experiences\": ["));
  bool first = true;
  std::optional<Error> failed;
  AWM_CHECK(read_lines(scope, results_jsonl, [&](const Json& json, const std::string&) -> Result<bool> {
    auto added = file.add(std::string(first ? "" : ",") + "\n    " + inner(json));
    first = false;
    if (!added) failed = std::move(added).error();
    return !failed;
  }));
  if (failed) return fail(*std::move(failed));
  AWM_CHECK(file.add("\n  ],\n  \"workflows\": ["));
  const Json view = memory_view(memory, "");
  first = true;
  for (const auto& workflow : view["workflows"]) {
    AWM_CHECK(file.add(std::string(first ? "" : ",") + "\n    " + inner(workflow)));
    first = false;
  }
  AWM_CHECK(file.add("\n  ],\n  \"statistics\": " + inner(statistics) + "\n}\n"));
  return file.finish();
}

Json statistics_view(const RunStatistics& statistics, const Json& config) {
  const double rate = statistics.total_processed > 0 ? static_cast<double>(statistics.total_success) /
                                                           static_cast<double>(statistics.total_processed)
                                                     : 0.0;
  return Json{{"total_processed", statistics.total_processed},
              {"total_success", statistics.total_success},
              {"success_rate", rate},
              {"workflows_learned", statistics.workflows_learned},
              {"buffer_size", statistics.total_success},
              {"elapsed_seconds", statistics.elapsed_seconds},
              {"config", config}};
}

}  // namespace awm
