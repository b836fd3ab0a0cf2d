// The prompt files as the build put them into the program (CMakeLists.txt writes the source).
#pragma once

#include <span>

#include "base/template.h"

namespace awm {

std::span<const PromptFile> prompt_files();  // sorted by name

}  // namespace awm
