#include "docker/sweep.h"

#include <chrono>

#include "base/text.h"
#include "os/owner.h"
#include "os/sys.h"

namespace awm {
namespace {

int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

LeftoverVerdict judge(const ContainerSummary& container, const ContainerLabels& labels, const OwnerMark& ourselves) {
  // Of one boot and process namespace it is certain; that another boot has ended is not: the engine may be shared.
  if (!labels.boot_id.empty() && labels.boot_id == ourselves.boot_id &&
      labels.pid_namespace == ourselves.pid_namespace) {
    const OwnerMark owner{.host = ourselves.host,
                          .boot_id = labels.boot_id,
                          .pid_namespace = labels.pid_namespace,
                          .pid = static_cast<int>(labels.pid),
                          .start_ticks = labels.pid_start_time};
    return is_gone(owner, ourselves) ? LeftoverVerdict::owner_is_gone : LeftoverVerdict::alive;
  }
  if (labels.lease_until > 0 && labels.lease_until < now_s()) return LeftoverVerdict::lease_is_over;
  // A container of ours runs as long as its owner holds it; one that does not run and is not just being made has none.
  if (container.state != "running" && container.state != "paused" && container.created > 0 &&
      container.created + 3600 < now_s()) {
    return LeftoverVerdict::never_started;
  }
  return LeftoverVerdict::unknown;
}

}  // namespace

std::string_view to_string(LeftoverVerdict verdict) {
  switch (verdict) {
    case LeftoverVerdict::alive:
      return "its run lives";
    case LeftoverVerdict::owner_is_gone:
      return "its run is gone";
    case LeftoverVerdict::lease_is_over:
      return "its lease is over";
    case LeftoverVerdict::never_started:
      return "it does not run, and nobody holds it";
    case LeftoverVerdict::unknown:
      break;
  }
  return "of another host, boot or namespace, and within its lease";
}

ContainerLabels labels_of_this_process(std::string run_id, std::string sample_id, Seconds lease) {
  const auto own = own_mark().value_or(OwnerMark{.host = "", .boot_id = "", .pid_namespace = "", .pid = sys::pid()});
  return {.run_id = std::move(run_id),
          .sample_id = std::move(sample_id),
          .boot_id = own.boot_id,
          .pid = own.pid,
          .pid_start_time = own.start_ticks,
          .pid_namespace = own.pid_namespace,
          .lease_until = now_s() + static_cast<int64_t>(lease.count())};
}

bool Leftover::removable(bool other_hosts) const {
  switch (verdict) {
    case LeftoverVerdict::owner_is_gone:
      return true;
    case LeftoverVerdict::lease_is_over:
    case LeftoverVerdict::never_started:
      return other_hosts;
    default:
      return false;
  }
}

Result<std::vector<Leftover>> list_docker_leftovers(const Engine& engine, Deadline deadline) {
  AWM_TRY(const auto ourselves, own_mark());
  AWM_TRY(auto containers, list_containers(engine, {std::string(label_prefix) + "boot"}, deadline));
  std::vector<Leftover> list;
  for (auto& container : containers) {
    auto labels = ContainerLabels::from(container.labels);
    if (!labels) continue;
    const auto verdict = judge(container, *labels, ourselves);
    list.push_back({.container = std::move(container), .labels = *std::move(labels), .verdict = verdict});
  }
  return list;
}

Result<DockerSweep> sweep_docker_leftovers(const Engine& engine, const DockerSweepOptions& options, Deadline deadline) {
  AWM_TRY(auto found, list_docker_leftovers(engine, deadline));
  const int64_t newest = now_s() - static_cast<int64_t>(options.older_than.count());
  DockerSweep sweep;
  for (auto& one : found) {
    const bool meant = (options.run.empty() || one.labels.run_id == options.run) &&
                       one.container.name.starts_with(options.name_prefix) &&
                       (options.older_than.count() <= 0 || one.container.created <= newest);
    if (!meant || !one.removable(options.other_hosts)) {
      sweep.kept.push_back(std::move(one));
      continue;
    }
    if (!options.dry_run) {
      if (auto gone = remove_container(engine, one.container.id, deadline); !gone) {
        sweep.problems.push_back(std::move(gone).error());
        continue;
      }
    }
    sweep.removed.push_back(std::move(one));
  }
  return sweep;
}

}  // namespace awm
