#include "memory/experience.h"

#include <array>

#include "base/json.h"
#include "base/text.h"
#include "event/store.h"

namespace awm {
namespace {

constexpr std::size_t max_observation = 1000;
constexpr std::size_t max_action = 500;

std::string cut(std::string_view text, std::size_t limit) {
  return std::string(text.substr(0, utf8_offset(text, limit)));
}

// The action as a step; nullopt for what is none.
std::optional<ExperienceStep> step_of(const Action& action) {
  ExperienceStep step;
  if (const auto* run = get_if<RunAction>(action)) {
    step.action_type = "run_command";
    step.action = run->command;
    step.command = run->command;
    step.thought = run->thought;
  } else if (const auto* python = get_if<RunIpythonAction>(action)) {
    step.action_type = "run_ipython";
    step.action = python->code;
    step.thought = python->thought;
  } else if (const auto* read = get_if<ReadAction>(action)) {
    step.action_type = "read_file";
    step.action = "view " + read->path;
    step.file_path = read->path;
    step.thought = read->thought;
  } else if (const auto* write = get_if<WriteAction>(action)) {
    step.action_type = "write_file";
    step.action = "write " + write->path + "\n" + write->content;
    step.file_path = write->path;
    step.thought = write->thought;
  } else if (const auto* edit = get_if<EditAction>(action)) {
    step.action_type = edit->command == "create" ? "write_file" : "edit_file";
    step.action = edit->command + " " + edit->path;
    if (edit->old_str) step.action += "\n- " + *edit->old_str;
    if (edit->new_str) step.action += "\n+ " + *edit->new_str;
    if (edit->file_text) step.action += "\n" + *edit->file_text;
    step.file_path = edit->path;
    step.thought = edit->thought;
  } else if (const auto* think = get_if<ThinkAction>(action)) {
    step.action_type = "think";
    step.action = think->thought;
    step.thought = think->thought;
  } else if (const auto* finish = get_if<FinishAction>(action)) {
    step.action_type = "finish";
    step.action = finish->final_thought;
    step.thought = finish->thought;
  } else if (const auto* message = get_if<MessageAction>(action)) {
    step.action_type = "message";
    step.action = message->content;
  } else if (const auto* other = get_if<OtherAction>(action)) {
    if (!other->kind.starts_with("browse")) return std::nullopt;
    step.action_type = "browse";
    step.action = other->message;
  } else {
    return std::nullopt;
  }
  step.action = cut(step.action, max_action);
  return step;
}

struct TaskType {
  std::string_view name;
  std::array<std::string_view, 9> words;
};

// Written in the order of precedence when counts are equal.
constexpr std::array<TaskType, 6> task_types{{
    {"bug_fix", {"bug", "error", "fail", "crash", "incorrect", "wrong", "exception", "regression", "traceback"}},
    {"performance", {"slow", "performance", "optimi", "speed", "memory usage", "latency", "efficien", "n+1", "faster"}},
    {"refactor",
     {"refactor", "clean up", "cleanup", "simplify", "reorganiz", "restructure", "deprecat", "rename", "duplicat"}},
    {"test",
     {"add test", "test coverage", "unit test", "missing test", "test case for", "flaky", "test suite", "testing of",
      "test for"}},
    {"docs",
     {"documentation", "docstring", "docs", "readme", "typo", "changelog", "example in the", "tutorial", "spelling"}},
    {"feature",
     {"add support", "feature", "allow", "new option", "implement", "would be nice", "enhancement", "introduce",
      "extend"}},
}};

}  // namespace

void ExperienceBuilder::add(const Event& event) {
  const auto& head = header(event);
  if (const auto* action = std::get_if<Action>(&event)) {
    if (head.source != EventSource::agent) return;
    if (auto step = step_of(*action)) {
      step->step_id = static_cast<int>(steps_.size()) + 1;
      steps_.push_back(*std::move(step));
      ids_.push_back(head.id);
    }
    return;
  }
  if (!head.cause) return;
  // The answer to a recent action: nearly always the last one.
  for (std::size_t i = ids_.size(); i-- > 0;) {
    if (ids_[i] == *head.cause) {
      steps_[i].observation = cut(std::get<Observation>(event).content, max_observation);
      return;
    }
    if (ids_[i] < *head.cause) return;
  }
}

Result<std::vector<ExperienceStep>> experience_steps(const std::string& events_jsonl) {
  AWM_TRY(const auto events, search_events_file(events_jsonl));
  ExperienceBuilder builder;
  for (const auto& event : events) builder.add(event);
  return builder.take();
}

std::string task_type_of(std::string_view problem_statement) {
  const auto text = to_lower_ascii(problem_statement);
  std::string_view best = "general";
  int best_count = 0;
  for (const auto& type : task_types) {
    int count = 0;
    for (const auto word : type.words) {
      for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size())) ++count;
    }
    if (count > best_count) {
      best_count = count;
      best = type.name;
    }
  }
  return std::string(best);
}

Json to_json(const Experience& experience) {
  Json history = Json::array();
  for (const auto& step : experience.history) {
    Json item{{"step_id", step.step_id},
              {"observation", step.observation},
              {"thought", step.thought},
              {"action", step.action},
              {"action_type", step.action_type}};
    if (step.file_path) item["file_path"] = *step.file_path;
    if (step.command) item["command"] = *step.command;
    history.push_back(std::move(item));
  }
  return Json{{"instance_id", experience.instance_id}, {"problem_statement", experience.problem_statement},
              {"diff_patch", experience.diff_patch},   {"history", std::move(history)},
              {"test_result", experience.test_result}, {"test_output", experience.test_output},
              {"task_type", experience.task_type},     {"timestamp", experience.timestamp},
              {"model_name", experience.model_name}};
}

}  // namespace awm
