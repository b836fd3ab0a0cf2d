// Experience: what an agent did at one task, as the steps that learning reads, and the line of results.jsonl that its
// users' scripts read.
//
// Fields, action types and limits are those of the predecessor's data model (xesws/CAWM_Online_workflow 722e0e6).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "event/event.h"

namespace awm {

struct ExperienceStep {
  int step_id = 0;          // from 1
  std::string observation;  // what came of it; at most 1,000 characters
  std::string thought;
  std::string action;  // at most 500 characters
  std::string
      action_type;  // run_command, run_ipython, read_file, write_file, edit_file, browse, finish, message, think
  std::optional<std::string> file_path;
  std::optional<std::string> command;
};

struct Experience {
  std::string instance_id;
  std::string problem_statement;
  std::string diff_patch;
  std::vector<ExperienceStep> history;
  std::string test_result;  // "PASS", "FAIL"; "ERROR" where no verdict was reached, "SKIPPED" where none was asked for
  std::string test_output;  // a few words on how it was judged
  std::string task_type;    // bug_fix, feature, refactor, test, docs, performance, general
  std::string timestamp;    // ISO
  std::string model_name;
};

// Collects an agent's steps while events pass by; the system's own events and the user's are no steps.
class ExperienceBuilder {
 public:
  void add(const Event& event);
  [[nodiscard]] std::vector<ExperienceStep> take() { return std::move(steps_); }

 private:
  std::vector<ExperienceStep> steps_;
  std::vector<int64_t> ids_;  // of the actions behind steps_
};

// The steps in a sample's events.jsonl.
Result<std::vector<ExperienceStep>> experience_steps(const std::string& events_jsonl);

// By counting words of each kind in the problem statement; general when none is seen.
std::string task_type_of(std::string_view problem_statement);

// One object, keys as the predecessor wrote them.
Json to_json(const Experience& experience);

}  // namespace awm
