// What went wrong, for a person: what was tried, on what, why it failed, what to do.
#pragma once

#include <string>
#include <string_view>

namespace awm {

// The class of a failure; callers branch on it, people read the words.
enum class Errc {
  invalid_input,   // what a person gave is wrong: option, config key, data row, patch
  not_found,       // no such file, image, model, section
  already_exists,  // in the way: output folder of another run, duplicate id
  permission,      // the system or a server refuses: EACCES, 401, 403
  unavailable,     // a thing we need is not there or not answering: bubblewrap, engine, server
  exhausted,       // descriptors, pids, memory, disk, money: a limit was reached
  timed_out,       // a deadline passed
  stopped,         // the run was asked to stop
  closed,          // used after close()
  io,              // the system failed: disk, pipe
  protocol,        // a peer answered what it must not: malformed answer, half a stream
  lost,            // the sandbox, helper or connection went away under us
  unsupported,     // understood, and not done here
  internal,        // a bug of ours
};

// "timed_out" and so on: stable names for journals.
std::string_view to_string(Errc code);

// An expected failure, as a value. Cheap to move; compared by nobody; never holds a secret.
struct Error {
  Errc code = Errc::internal;
  std::string operation;  // what was tried: "open", "parse", "POST"
  std::string object;     // on what: a path, "tasks.jsonl:17", an URL
  std::string cause;      // why it failed
  std::string remedy{};   // what the person can do; empty where nothing helps
  int os_errno = 0;       // errno, where the system said it; else 0
  int http_status = 0;    // status, where a server said it; else 0

  // One line: "operation object: cause (remedy)". Line breaks and other control characters become spaces.
  [[nodiscard]] std::string message() const;

  // The same error, said of a wider undertaking: `while_doing` goes in front of the cause.
  [[nodiscard]] Error within(std::string_view while_doing) &&;
};

// An error from errno: the class follows from the number (EACCES → permission, ENOSPC → exhausted, …).
Error os_error(std::string operation, std::string object, int os_errno, std::string remedy = {});

}  // namespace awm
