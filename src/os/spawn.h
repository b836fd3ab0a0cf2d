// Child processes. One long-lived thread spawns them all, for a parent-death signal follows the thread that forked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/exit_status.h"
#include "base/result.h"
#include "os/stop.h"
#include "os/unique_fd.h"

namespace awm {

class Cancel;

struct SpawnOptions {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH where it has no '/'
  std::vector<std::string> environment;  // "NAME=value"; the child gets exactly these
  std::string folder;                    // "" : ours
  int stdin_fd = -1;                     // borrowed; -1 : /dev/null
  int stdout_fd = -1;                    // borrowed; -1 : /dev/null
  int stderr_fd = -1;                    // borrowed; -1 : as stdout
  bool new_session = true;               // setsid, so that a terminal's ^C reaches only us
  bool die_with_parent = true;           // SIGKILL when this process ends, however it ends
};

// A running child. Its owner waits for it; one destroyed while running is killed and reaped, and that is logged as a
// bug.
class Child {
 public:
  Child() = default;
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;
  ~Child();
  [[nodiscard]] int pid() const { return pid_; }  // 0 when reaped or empty
  [[nodiscard]] bool running() const { return pid_ > 0; }
  // Waits for its end and reaps it; timed_out when the deadline passes first, stopped when `stop` is given and
  // cancelled.
  Result<ExitStatus> wait(Deadline deadline, const Stop* stop = nullptr);
  // Sends a signal to it; true when it was still there.
  bool signal(int number);
  // SIGKILL and reap; nothing when already reaped.
  void kill() noexcept;

 private:
  friend class Spawner;
  Child(int pid, Ledger::Token token) : pid_(pid), token_(std::move(token)) {}
  int pid_ = 0;
  Ledger::Token token_;
};

// Made once by main. Thread-safe.
class Spawner {
 public:
  static Result<std::unique_ptr<Spawner>> create(const Scope& scope);
  ~Spawner();
  // Starts a child. Errors: not_found/permission naming the program, exhausted; a failed exec is told here, not by an
  // exit code.
  Result<Child> spawn(const Scope& scope, const SpawnOptions& options,
                      std::source_location birth = std::source_location::current());

 private:
  struct State;
  explicit Spawner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct ProcessOutput {
  ExitStatus status;
  std::string output;          // stdout and stderr as they came; bytes
  uint64_t omitted_bytes = 0;  // past `keep`, counted and dropped
  uint64_t untaken_bytes = 0;  // of the input, that the program did not take
};

// Runs a program of the host (git, bwrap --version) to its end, stdin empty unless `input` is given. For our own set-up
// work, never for a task's commands. `cancel`, where given, ends it and what it started (closed).
Result<ProcessOutput> run_process(Spawner& spawner, const Scope& scope, SpawnOptions options, Deadline deadline,
                                  const Stop* stop = nullptr, std::string_view input = {},
                                  std::size_t keep = std::size_t{16} << 20, Cancel* cancel = nullptr);

}  // namespace awm
