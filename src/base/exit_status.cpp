#include "base/exit_status.h"

#include <sys/wait.h>

namespace awm {

ExitStatus ExitStatus::from_wait(int wait_status) {
  if (WIFEXITED(wait_status)) return exited(WEXITSTATUS(wait_status));
  if (WIFSIGNALED(wait_status)) return signalled(WTERMSIG(wait_status));
  return lost();
}

int ExitStatus::shell_code() const {
  switch (kind_) {
    case Kind::exited:
      return value_;
    case Kind::signalled:
      return 128 + value_;
    case Kind::timed_out:
    case Kind::went_quiet:
      return 124;
    case Kind::out_of_memory:
      return 137;
    case Kind::lost:
      return -1;
  }
  return -1;
}

std::string ExitStatus::text() const {
  switch (kind_) {
    case Kind::exited:
      return "exited " + std::to_string(value_);
    case Kind::signalled:
      return "killed by signal " + std::to_string(value_);
    case Kind::timed_out:
      return "timed out";
    case Kind::went_quiet:
      return "stopped after a long silence";
    case Kind::out_of_memory:
      return "out of memory";
    case Kind::lost:
      return "lost with its sandbox";
  }
  return "lost";
}

}  // namespace awm
