// What descriptors any process of this machine holds, as /proc tells (proc(5)): for people who look for a leak, in awm
// or in another program.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace awm {

enum class DescriptorKind {
  file,
  deleted_file,
  folder,
  device,
  pipe,
  tcp,
  udp,
  unix_socket,
  socket,
  event,
  memory,
  other
};
std::string_view to_string(DescriptorKind kind);

struct DescriptorInfo {
  int number = 0;
  DescriptorKind kind = DescriptorKind::other;
  // A path; "127.0.0.1:4000 > 10.0.0.1:443 established"; a unix socket's path; "eventfd"; as the kernel says it else.
  std::string target;
  std::string identity;  // the same for the same open thing under one number: it is told from one opened anew
};

// Errors: not_found (no such process), permission (another user's), unavailable (no /proc). One that ends while it is
// looked at gives what was seen.
Result<std::vector<DescriptorInfo>> descriptors_of(int pid);

// The target with what differs between its kin made equal: runs of digits and of hexadecimal digits become '#'.
std::string kin_of(const DescriptorInfo& info);

// How many there are of each kin: (kind, kin) → count.
using DescriptorCounts = std::map<std::pair<DescriptorKind, std::string>, std::size_t>;
DescriptorCounts count_by_kin(const std::vector<DescriptorInfo>& list);

struct ProcessInfo {
  int pid = 0;
  std::string name;     // as the kernel has it, at most 15 bytes
  std::string command;  // its arguments, joined by spaces
};

// Processes with this name, or that run a program or a script of this file name. Not this process. Those that end
// meanwhile are left out.
Result<std::vector<ProcessInfo>> processes_named(std::string_view name);
// Processes that have this file open, as far as this user may look.
Result<std::vector<ProcessInfo>> processes_with_file(const std::string& path);

}  // namespace awm
