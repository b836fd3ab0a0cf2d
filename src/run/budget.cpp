#include "run/budget.h"

#include <fmt/format.h>

#include "os/limits.h"
#include "os/log.h"

namespace awm {
namespace {

// Descriptors that a run holds besides its samples: standard streams, journal, results, stop, spawner, HTTP, a reader
// now and then.
constexpr uint64_t base_descriptors = 24;
// Of one worker at its most: two of a live sample (stream to the sandbox, events), a connection to the model, a sandbox
// made ready ahead.
constexpr uint64_t descriptors_per_worker = 4;

}  // namespace

Result<WorkerBudget> fit_workers(int workers, std::string_view what) {
  AWM_TRY(const auto budget, ensure_sufficient_file_descriptors(base_descriptors + descriptors_per_worker *
                                                                                       static_cast<uint64_t>(workers)));
  if (budget.sufficient) {
    if (budget.soft_now != budget.soft_before) log_info(budget.told);
    return WorkerBudget{.workers = workers, .descriptor_limit = budget.soft_now};
  }
  const uint64_t room = budget.soft_now > base_descriptors ? budget.soft_now - base_descriptors : 0;
  const int fitting = static_cast<int>(room / descriptors_per_worker);
  if (fitting < 1) return fail(Errc::exhausted, std::string(what), "", budget.told, "raise the limit: ulimit -n 1024");
  log_warning(fmt::format("{}; {} workers fit, instead of {}", budget.told, fitting, workers));
  return WorkerBudget{.workers = fitting, .descriptor_limit = budget.soft_now};
}

}  // namespace awm
