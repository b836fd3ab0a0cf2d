// The prompt files as the build put them into the program (CMakeLists.txt writes the source).
#pragma once

#include <span>
#include <string_view>

namespace awm {

struct PromptFile {
  std::string_view name;
  std::string_view text;
};
std::span<const PromptFile> prompt_files();  // sorted by name

}  // namespace awm
