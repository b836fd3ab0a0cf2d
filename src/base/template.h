// Texts with {{marks}}, for prompts that live in files of their own.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace awm {

// A prompt file as the build put it into the program.
struct PromptFile {
  std::string_view name;
  std::string_view text;
};

using PromptValues = std::map<std::string, std::string, std::less<>>;

// Puts a value in place of each {{mark}}. Values are taken as they are: marks inside them are text. Errors (internal):
// a mark without a value, "{{" or "}}" that is part of no mark. `what` names the text in them.
Result<std::string> render_template(std::string_view text, const PromptValues& values, std::string_view what);

// The text of the file of this name, without its last line feed. Error: not_found.
Result<std::string_view> find_prompt(std::span<const PromptFile> files, std::string_view name);

}  // namespace awm
