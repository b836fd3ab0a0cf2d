// One sample's workshop: commands run here and nowhere else. A helper inside (src/helper) does the work; it ends with
// the stream.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/exit_status.h"
#include "base/result.h"

namespace awm {

struct ExecOptions {
  std::string folder = "/testbed";
  std::vector<std::string> environment;        // "NAME=value", added to the sandbox's own
  Seconds hard_limit{0};                       // from the command's start, not from queueing; 0: none
  Seconds quiet_limit{0};                      // kill after this long without output; 0: never
  std::size_t keep = std::size_t{100} * 1024;  // bytes of output kept, half head and half tail; the middle is counted
  std::string input;                           // stdin; empty: /dev/null
  bool with_env_setup =
      true;  // argv must be {"bash", "-c", text}; the sandbox's environment set-up is sourced before text
  // Where set, every byte of output is handed over as it comes, in order, with flow control (nothing is kept or
  // omitted), from the calling thread. Returning false cancels the command.
  std::function<bool(std::string_view)> on_output;
};

struct ExecResult {
  ExitStatus status;
  std::string output;  // stdout and stderr as they came; bytes: callers make them valid UTF-8
  uint64_t omitted_bytes = 0;
  uint64_t omitted_at = 0;  // offset in output at which the omitted bytes were
  Seconds duration{0};
};

struct ShellOptions {
  Seconds soft_quiet_limit{10};  // answer when there was no news for this long; the command goes on. 0: never
  Seconds hard_limit{0};         // then it is interrupted, later killed; 0: none
  std::size_t keep = std::size_t{100} * 1024;
};

struct ShellResult {
  bool finished =
      true;  // false: still running after a soft limit; go on with shell_continue, shell_input or shell_interrupt
  ExitStatus status;       // meaningful when finished
  bool restarted = false;  // the shell itself ended; a new one was started and its state (directory, variables) is lost
  std::string output;      // since the last answer; bytes
  uint64_t omitted_bytes = 0;
  uint64_t omitted_at = 0;
  std::string folder;  // the shell's working directory after the command
  Seconds duration{0};
};

struct SandboxFileInfo {
  enum class Type { file, folder, link, other } type = Type::other;
  uint64_t size = 0;
  unsigned mode = 0;
  int64_t modified_s = 0;
};

struct FolderEntry {
  std::string name;
  SandboxFileInfo info;
};

// What is inside, told by the helper when it started.
struct SandboxFacts {
  std::string architecture;  // "x86_64"
  std::string kind;          // "local" or "docker"
  uint32_t uid = 0;
  bool has_bash = false;
  bool has_git = false;
  std::string shell;         // path of bash, or of sh where bash is missing
  std::string memory_limit;  // which rung of the ladder holds, for people: "cgroup v1, 4 GB"
  std::string pids_limit;
  std::string network;             // "off", "host"
  std::vector<std::string> notes;  // what was asked for and the kernel refused: a limit that could not be raised
};

// What could not be given back. Empty problems: all was.
struct ReleaseReport {
  std::vector<Error> problems;
  [[nodiscard]] bool clean() const { return problems.empty(); }
};

class Sandbox {
 public:
  virtual ~Sandbox() = default;  // one still open is closed here, and reported as a bug on the log

  // Makes it ready: repository at its commit in /testbed, helper answering. Holds at most one descriptor from here to
  // close(). One that is connected stays as it is: whoever made it ready ahead has done the work. Errors: unavailable
  // (with the remedy), not_found (repository, commit), stopped, exhausted, closed. After an error the sandbox is closed
  // all the same. One caller at a time.
  virtual Result<void> connect(Deadline deadline) = 0;
  [[nodiscard]] virtual const SandboxFacts& facts() const = 0;

  // Runs argv in a fresh process, in a group of its own. Thread-safe; calls run side by side. Error only when the
  // sandbox itself failed (lost, closed, stopped): a command that fails, or that could not be started (127/126 with the
  // reason in output), is a result.
  virtual Result<ExecResult> exec(std::span<const std::string> argv, const ExecOptions& options) = 0;

  // Runs text in the one persistent shell. While a command is unfinished only continue, input and interrupt are taken
  // (else invalid_input).
  virtual Result<ShellResult> shell_run(std::string_view text, const ShellOptions& options) = 0;
  virtual Result<ShellResult> shell_continue(const ShellOptions& options) = 0;  // waits on for news or the end
  virtual Result<ShellResult> shell_input(std::string_view bytes, const ShellOptions& options) = 0;
  virtual Result<ShellResult> shell_interrupt(const ShellOptions& options) = 0;  // ^C

  // Native file operations; paths are absolute, inside. Errors: not_found, permission, invalid_input (is a folder),
  // exhausted (over limit).
  virtual Result<std::string> read_file(const std::string& path, std::size_t limit = std::size_t{16} << 20) = 0;
  virtual Result<void> write_file(const std::string& path, std::string_view content,
                                  unsigned mode = 0644) = 0;  // parents made
  virtual Result<SandboxFileInfo> stat(const std::string& path) = 0;
  virtual Result<std::vector<FolderEntry>> list(const std::string& path) = 0;
  virtual Result<void> remove(const std::string& path) = 0;  // a whole tree; not_found is fine
  // Tar archives of any size, in pieces. put: `next` gives pieces, empty at the end. get: `take` gets them.
  virtual Result<void> put_archive(const std::string& folder, const std::function<Result<std::string>()>& next) = 0;
  virtual Result<void> get_archive(const std::string& path,
                                   const std::function<Result<void>(std::string_view)>& take) = 0;

  // Gives everything back, once; later calls return the first report. Never throws; idempotent, thread-safe: a call in
  // flight on another thread ends with Errc::closed, connect() too.
  virtual ReleaseReport close() noexcept = 0;
};

// {"bash", "-c", text}
std::vector<std::string> bash(std::string_view text);

}  // namespace awm
