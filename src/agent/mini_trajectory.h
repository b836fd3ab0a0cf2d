// What BashAgent did, in mini-swe-agent's format "mini-swe-agent-1.1": ID.traj.json. Read from
// mini-swe-agent 2.2.7-2.4.6 (agents/default.py, models/utils/actions_toolcall.py) and from recorded runs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "llm/message.h"

namespace awm {

struct MiniAction {
  std::string command;
  std::string tool_call_id;
};

struct MiniOutput {
  std::string output;  // valid UTF-8
  int returncode = 0;
  std::string exception_info;  // "" none
};

class MiniTrajectory {
 public:
  MiniTrajectory();
  ~MiniTrajectory();
  MiniTrajectory(const MiniTrajectory&) = delete;
  MiniTrajectory& operator=(const MiniTrajectory&) = delete;

  void add_text(Role role, std::string_view content);
  void add_answer(const Completion& answer, const std::vector<ToolCall>& calls, const std::vector<MiniAction>& actions);
  void add_output(const MiniAction& action, const MiniOutput& output, std::string_view content);
  // An answer that could not be carried out: what the model is told stands in its place, and keeps the answer.
  void add_format_error(const Completion& answer, std::string_view content);
  void add_exit(std::string_view status, std::string_view submission, std::string_view content);

  struct Info {
    double cost = 0;
    int calls = 0;
    std::string model;
    std::string system_template;
    std::string instance_template;
    int step_limit = 0;
    double cost_limit = 0;
    std::string working_folder;
    std::vector<std::string> environment;  // "NAME=value"
    double timeout = 0;
    std::string sandbox;  // "local", "docker"
    std::string instance_id;
  };
  // Writes the file (replaced whole). Errors: those of write_file.
  Result<void> save(const std::string& path, const Info& info) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace awm
