// The part of an agent's prompt that carries what was learned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "memory/workflow.h"

namespace awm {

inline constexpr int64_t default_truncation = 50'000;
inline constexpr int64_t truncation_reserve = 200;

// The value of --truncation: "" (given bare) and "true" are 50,000, "false" is none, else a number of tokens from 1.
// Error: invalid_input.
Result<std::optional<int64_t>> parse_truncation(std::string_view value);

// Corrects our count by what a server counted for the same prompts: other models cut texts differently. A plain value;
// who adds to it in the order of the tasks keeps results free of timing.
struct TokenScale {
  int64_t counted = 0;   // by us
  int64_t reported = 0;  // by the server
  void add(int64_t our_count, int64_t server_count);
  // The server's count to expect for `tokens` of ours, rounded up. Ours until 1,000 tokens were compared; the factor
  // stays within 0.5 and 3.
  [[nodiscard]] int64_t expected(int64_t tokens) const;
};

struct PromptSection {
  std::string text;  // "" when no workflow is shown
  std::size_t shown = 0;
  std::size_t left_out = 0;
  int64_t tokens = 0;  // of the text, corrected
};

// Workflows oldest first, whole ones only, up to `limit` tokens less those of `base_prompt` and 200; without a limit
// all. It ends with the first that does not fit. The text says that they are guidance, and how many were left out.
PromptSection workflow_section(const WorkflowMemory& memory, std::optional<int64_t> limit, std::string_view base_prompt,
                               const TokenScale& scale = {});

}  // namespace awm
