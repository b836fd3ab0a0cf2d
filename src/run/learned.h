// What a run has learned up to a commit: what the prompt of a later sample depends on. A value that never changes.
#pragma once

#include <memory>

#include "memory/prompt_section.h"
#include "memory/workflow.h"

namespace awm {

struct Learned {
  std::shared_ptr<const WorkflowMemory> memory = WorkflowMemory::empty();
  TokenScale scale;  // of the server's token counts to ours, from the commits so far
};
using LearnedPtr = std::shared_ptr<const Learned>;

}  // namespace awm
