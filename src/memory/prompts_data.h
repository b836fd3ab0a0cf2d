// The prompt files under prompts/ as the build put them into the program.
#pragma once

#include <span>

#include "base/template.h"

namespace awm {

std::span<const PromptFile> memory_prompt_files();  // sorted by name

}  // namespace awm
