// The prompts: our own, one file each under src/agent/prompts/, built into the program, rendered with {{placeholders}}.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace awm {

using PromptValues = std::map<std::string, std::string, std::less<>>;

// The text of prompts/NAME.txt without its last line feed. Error: not_found.
Result<std::string> prompt_template(std::string_view name);

// Puts a value in place of each {{mark}}. Values are taken as they are: marks inside them are text. Errors (internal):
// a mark without a value, "{{" or "}}" that is part of no mark. `what` names the text in them.
Result<std::string> render_template(std::string_view text, const PromptValues& values, std::string_view what);

// Both in one.
Result<std::string> render_prompt(std::string_view name, const PromptValues& values = {});

// All names, sorted.
std::vector<std::string> prompt_names();

}  // namespace awm
