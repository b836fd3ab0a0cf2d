// Experiences, workflows and answers for tests.
#pragma once

#include <string>
#include <vector>

#include "memory/experience.h"
#include "memory/workflow.h"

namespace awm::testing {

inline Experience pass(const std::string& id, std::size_t steps = 3) {
  Experience experience;
  experience.instance_id = id;
  experience.problem_statement = "slugify() raises an error for a title with an accent: this is a bug.";
  experience.diff_patch = "--- a/textkit/slugs.py\n+++ b/textkit/slugs.py\n@@ -1 +1 @@\n-a\n+b\n";
  for (std::size_t i = 1; i <= steps; ++i) {
    ExperienceStep step;
    step.step_id = static_cast<int>(i);
    step.action_type = "run_command";
    step.command = "grep -n slugify textkit/slugs.py";
    step.action = *step.command;
    step.thought = "Look at it.";
    step.observation = "def slugify(title):";
    experience.history.push_back(step);
  }
  experience.test_result = "PASS";
  experience.timestamp = "2026-01-01T00:00:00";
  experience.model_name = "scripted";
  return experience;
}

inline WorkflowText workflow_text(const std::string& name) {
  return {
      name,
      "A function treats accented letters wrongly; normalise its input before the letters are filtered.",
      {"accented letters are lost", "text normalisation differs between functions"},
      {{"Reproduce", "A failing script shows later that the change works", "write {{script}} that calls {{function}}"},
       {"Locate", "The filter must be seen before it is changed", "search for {{function}} in the sources"},
       {"Fix", "Normalising first keeps the letters", "edit {{target_file}} so that {{function}} normalises"}}};
}

// A workflow as the answer to the induction prompt has it.
inline std::string block(const WorkflowText& text) {
  std::string out = "## Workflow: " + text.name + "\nDescription: " + text.description + "\nApplicable scenarios: ";
  for (std::size_t i = 0; i < text.scenarios.size(); ++i) out += (i == 0 ? "" : ", ") + text.scenarios[i];
  out += "\nSteps:\n";
  for (std::size_t i = 0; i < text.steps.size(); ++i) {
    const auto& step = text.steps[i];
    out += std::to_string(i + 1) + ". [" + step.step_type + "] " + step.reasoning +
           "\n   Action: " + step.action_template + "\n";
  }
  return out;
}

inline std::string new_answer(const WorkflowText& text) {
  return "ACTION: NEW\nTARGET: new\n\n" + block(text);
}
inline std::string improve_answer(const WorkflowText& text) {
  return "ACTION: IMPROVE\nTARGET: " + text.name + "\n\n" + block(text);
}

// `names`, each learned from one sample, in this order.
inline std::shared_ptr<const WorkflowMemory> memory_of(const std::vector<std::string>& names) {
  auto memory = WorkflowMemory::empty();
  int number = 0;
  for (const auto& name : names) {
    const MemoryChange change{.kind = MemoryChange::Kind::added,
                              .target = name,
                              .text = workflow_text(name),
                              .sources = {"seed__seed-" + std::to_string(++number)},
                              .model = "m",
                              .date = "2026-01-01T00:00:00"};
    memory = apply(*memory, change, 1000).value().memory;
  }
  return memory;
}

}  // namespace awm::testing
