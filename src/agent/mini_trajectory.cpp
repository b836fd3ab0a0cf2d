#include "agent/mini_trajectory.h"

#include <chrono>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

namespace awm {
namespace {

constexpr std::size_t longest_raw_output = 200'000;  // code points kept of one output

double now() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

Json response_of(const Completion& answer) {
  auto json = parse_json(answer.raw, "response");
  return json ? *std::move(json) : Json();
}

}  // namespace

struct MiniTrajectory::State {
  Json messages = Json::array();
  std::string exit_status;
  std::string submission;
};

MiniTrajectory::MiniTrajectory() : state_(std::make_unique<State>()) {}
MiniTrajectory::~MiniTrajectory() = default;

void MiniTrajectory::add_text(Role role, std::string_view content) {
  Json message = Json::object();
  message["role"] = std::string(to_string(role));
  message["content"] = std::string(content);
  state_->messages.push_back(std::move(message));
}

void MiniTrajectory::add_answer(const Completion& answer, const std::vector<ToolCall>& calls,
                                const std::vector<MiniAction>& actions) {
  Json message = Json::object();
  message["content"] = answer.message.content.empty() ? Json() : Json(answer.message.content);
  message["role"] = "assistant";
  Json tool_calls = Json::array();
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Json call = Json::object();
    call["index"] = i;
    call["function"] = Json{{"arguments", calls[i].arguments}, {"name", calls[i].name}};
    call["id"] = calls[i].id;
    call["type"] = "function";
    tool_calls.push_back(std::move(call));
  }
  message["tool_calls"] = std::move(tool_calls);
  Json extra = Json::object();
  extra["actions"] = Json::array();
  for (const MiniAction& action : actions) {
    extra["actions"].push_back(Json{{"command", action.command}, {"tool_call_id", action.tool_call_id}});
  }
  extra["response"] = response_of(answer);
  extra["cost"] = answer.cost;
  extra["timestamp"] = now();
  message["extra"] = std::move(extra);
  state_->messages.push_back(std::move(message));
}

void MiniTrajectory::add_output(const MiniAction& action, const MiniOutput& output, std::string_view content) {
  Json message = Json::object();
  message["content"] = std::string(content);
  Json extra = Json::object();
  extra["raw_output"] = truncate_middle(output.output, longest_raw_output, "\n[... left out of this file ...]\n");
  extra["returncode"] = output.returncode;
  extra["timestamp"] = now();
  extra["exception_info"] = output.exception_info;
  message["extra"] = std::move(extra);
  message["tool_call_id"] = action.tool_call_id;
  message["role"] = "tool";
  state_->messages.push_back(std::move(message));
}

void MiniTrajectory::add_format_error(const Completion& answer, std::string_view content) {
  Json message = Json::object();
  message["role"] = "user";
  message["content"] = std::string(content);
  message["extra"] = Json{{"interrupt_type", "FormatError"}, {"cost", answer.cost}, {"response", response_of(answer)}};
  state_->messages.push_back(std::move(message));
}

void MiniTrajectory::add_exit(std::string_view status, std::string_view submission, std::string_view content) {
  state_->exit_status = status;
  state_->submission = to_valid_utf8(submission);
  Json message = Json::object();
  message["role"] = "exit";
  message["content"] = to_valid_utf8(content);
  message["extra"] = Json{{"exit_status", state_->exit_status}, {"submission", state_->submission}};
  state_->messages.push_back(std::move(message));
}

Result<void> MiniTrajectory::save(const std::string& path, const Info& info) const {
  Json environment = Json::object();
  environment["cwd"] = info.working_folder;
  environment["env"] = Json::object();
  for (const std::string& entry : info.environment) {
    const std::size_t equals = entry.find('=');
    environment["env"][entry.substr(0, equals)] = equals == std::string::npos ? "" : entry.substr(equals + 1);
  }
  environment["timeout"] = info.timeout;
  environment["interpreter"] = Json::array({"bash", "-c"});

  Json config = Json::object();
  config["agent"] = Json{{"system_template", info.system_template},
                         {"instance_template", info.instance_template},
                         {"step_limit", info.step_limit},
                         {"cost_limit", info.cost_limit}};
  config["agent_type"] = "awm.BashAgent";
  config["model"] = Json{{"model_name", info.model}};
  config["model_type"] = "awm.Llm";
  config["environment"] = std::move(environment);
  config["environment_type"] = "awm.Sandbox." + info.sandbox;

  Json document = Json::object();
  document["info"] = Json{{"model_stats", Json{{"instance_cost", info.cost}, {"api_calls", info.calls}}},
                          {"config", std::move(config)},
                          {"mini_version", "2.4.6"},
                          {"exit_status", state_->exit_status},
                          {"submission", state_->submission}};
  document["messages"] = state_->messages;
  document["trajectory_format"] = "mini-swe-agent-1.1";
  document["instance_id"] = info.instance_id;
  return write_file(path, dump_json(document, 2) + "\n");
}

}  // namespace awm
