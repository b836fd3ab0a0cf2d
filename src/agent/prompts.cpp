#include "agent/prompts.h"

#include "agent/prompts_data.h"

namespace awm {

Result<std::string> prompt_template(std::string_view name) {
  AWM_TRY(const std::string_view text, find_prompt(prompt_files(), name));
  return std::string(text);
}

Result<std::string> render_prompt(std::string_view name, const PromptValues& values) {
  AWM_TRY(const std::string text, prompt_template(name));
  return render_template(text, values, name);
}

std::vector<std::string> prompt_names() {
  std::vector<std::string> names;
  for (const PromptFile& file : prompt_files()) names.emplace_back(file.name);
  return names;
}

}  // namespace awm
