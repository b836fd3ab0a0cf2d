#include "os/limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "os/sys.h"

namespace awm {

Result<DescriptorBudget> ensure_sufficient_file_descriptors(uint64_t needed) {
  AWM_TRY(auto limit, sys::descriptor_limit());
  DescriptorBudget budget{.needed = needed, .soft_before = limit.soft, .soft_now = limit.soft, .hard = limit.hard};
  if (limit.soft < needed) {
    const sys::Limit wanted{.soft = std::min(needed, limit.hard), .hard = limit.hard};
    if (wanted.soft > limit.soft && sys::set_descriptor_limit(wanted)) budget.soft_now = wanted.soft;
  }
  budget.sufficient = budget.soft_now >= needed;
  if (budget.soft_now != budget.soft_before) {
    budget.told =
        fmt::format("descriptor limit raised from {} to {} ({} needed)", budget.soft_before, budget.soft_now, needed);
  } else if (budget.sufficient) {
    budget.told = fmt::format("descriptor limit {} is enough ({} needed)", budget.soft_now, needed);
  }
  if (!budget.sufficient) {
    budget.told = fmt::format(
        "descriptor limit {} is too low: {} needed, and the hard limit is {} (raise it with ulimit -Hn, or lower "
        "--workers)",
        budget.soft_now, needed, budget.hard);
  }
  return budget;
}

}  // namespace awm
