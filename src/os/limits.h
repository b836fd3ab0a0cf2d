// The descriptor limit: read, raised to what the run needs, told.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace awm {

struct DescriptorBudget {
  uint64_t needed = 0;
  uint64_t soft_before = 0;
  uint64_t soft_now = 0;
  uint64_t hard = 0;
  bool sufficient = false;
  std::string told;  // one line for the person
};

// Raises the soft limit toward `needed` when it is lower; never lowers it. An insufficient limit is a result, not an
// error.
Result<DescriptorBudget> ensure_sufficient_file_descriptors(uint64_t needed);

}  // namespace awm
