#include "docker/sweep.h"

#include <charconv>
#include <chrono>
#include <optional>

#include "base/text.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

// Field 22 of /proc/PID/stat (proc(5)); nullopt when there is no such process, or only what is left of it.
std::optional<uint64_t> start_time_of(int64_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 65536);
  if (!text) return std::nullopt;
  const auto name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const auto fields = split(trim(std::string_view(*text).substr(name_end + 1)), ' ');
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
  uint64_t ticks = 0;
  std::from_chars(fields[19].data(), fields[19].data() + fields[19].size(), ticks);
  return ticks;
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", 4096);
  return text ? std::string(trim(*text)) : "";
}

std::string pid_namespace() {
  return sys::readlink("/proc/self/ns/pid").value_or("");
}

int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

LeftoverVerdict judge(const ContainerSummary& container, const ContainerLabels& labels,
                      const ContainerLabels& ourselves) {
  const bool comparable =
      !labels.boot_id.empty() && labels.boot_id == ourselves.boot_id && labels.pid_namespace == ourselves.pid_namespace;
  if (comparable) {
    const auto started = start_time_of(labels.pid);
    return started && *started == labels.pid_start_time ? LeftoverVerdict::alive : LeftoverVerdict::owner_is_gone;
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
  const int pid = sys::pid();
  return {.run_id = std::move(run_id),
          .sample_id = std::move(sample_id),
          .boot_id = boot_id(),
          .pid = pid,
          .pid_start_time = start_time_of(pid).value_or(0),
          .pid_namespace = pid_namespace(),
          .lease_until = now_s() + static_cast<int64_t>(lease.count())};
}

Result<std::vector<Leftover>> list_docker_leftovers(const Engine& engine, Deadline deadline) {
  const auto ourselves = labels_of_this_process("", "");
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

Result<DockerSweep> sweep_docker_leftovers(const Engine& engine, bool dry_run, Deadline deadline) {
  AWM_TRY(auto found, list_docker_leftovers(engine, deadline));
  DockerSweep sweep;
  for (auto& one : found) {
    if (!one.removable()) {
      sweep.kept.push_back(std::move(one));
      continue;
    }
    if (!dry_run) {
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
