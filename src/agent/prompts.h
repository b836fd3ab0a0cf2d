// The prompts: our own, one file each under src/agent/prompts/, built into the program, rendered with {{placeholders}}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/template.h"

namespace awm {

// The text of prompts/NAME.txt without its last line feed. Error: not_found.
Result<std::string> prompt_template(std::string_view name);

// The template NAME with its marks filled in.
Result<std::string> render_prompt(std::string_view name, const PromptValues& values = {});

// All names, sorted.
std::vector<std::string> prompt_names();

}  // namespace awm
