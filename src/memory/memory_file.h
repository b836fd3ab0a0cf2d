// memory.json, both ways: ours, and the predecessor's own.
//
// The objects under "workflows" have exactly the predecessor's seven keys, because its scripts refuse others; what we
// know besides (versions, counts, models) is under "awm".
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "memory/workflow.h"

namespace awm {

inline constexpr uint64_t max_memory_file = uint64_t{256} << 20;  // bytes

struct LoadedMemory {
  std::shared_ptr<const WorkflowMemory> memory;
  std::vector<std::string> left_out;  // workflows that could not be used, and why: one line each
  std::vector<std::string> defects;   // of the rest: "all 215 steps have the word \"Reasoning\" as their reason", …
  bool ours = false;                  // has our own part
};

// Reads memory.json of either kind, or a bare list of workflows. At most `max_workflows` are kept, by apply()'s rule.
// Errors naming `what`: invalid_input (no JSON, no such shape, no usable workflow in a file that has some),
// exhausted (too large).
Result<LoadedMemory> parse_memory(std::string_view text, std::string_view what, std::size_t max_workflows);
Result<LoadedMemory> read_memory_file(const std::string& path, std::size_t max_workflows);

// The view. Its size is bounded by the number of workflows. `last_updated` is ISO.
Json memory_view(const WorkflowMemory& memory, const std::string& last_updated);
// Replaced whole: readers see the old or the new one.
Result<void> write_memory_file(const std::string& path, const WorkflowMemory& memory, const std::string& last_updated);

}  // namespace awm
