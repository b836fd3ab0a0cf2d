// bubblewrap's arguments for one local sandbox: what of the host is shown, what is hidden, in which order.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/local_sandbox.h"

namespace awm {

struct LocalMounts {
  std::string testbed;  // shown writable at /testbed
  std::string history;  // shown read-only at history_inside; "" : none
  std::string scratch;  // folder with tmp, var-tmp, shm and home in it
  std::string helper;   // shown at helper_inside
  std::string passwd;   // files to show as /etc/passwd and /etc/group
  std::string group;
  std::vector<std::string> hidden_paths;  // besides $HOME, /root, /home, /run, /tmp and /var/tmp
  std::vector<LocalBind> binds;
  bool network = false;
  bool as_root = false;  // else in a user namespace of bubblewrap's own
};

inline constexpr const char* helper_inside = "/.awm/helper";
inline constexpr const char* home_inside = "/home/awm";

// Everything between "bwrap" and the command. Reads the host's folders. Errors: invalid_input or not_found, naming the
// bind.
Result<std::vector<std::string>> bubblewrap_arguments(const LocalMounts& mounts);

// Sockets of the host with a name in its file system: lines of /proc/net/unix.
std::vector<std::string> named_sockets(std::string_view proc_net_unix);

}  // namespace awm
