// A client of awm-helper for its tests: starts the real program over a socketpair, speaks the protocol straight, and
// never waits longer than a deadline.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "helper/wire.h"

namespace awm::helper_test {

struct Frame {
  wire::Type type{};
  uint16_t flags = 0;
  uint32_t id = 0;
  std::string payload;
};

struct StartOptions {
  std::vector<std::string> arguments;    // behind "serve"
  bool first_process = true;             // pid 1 of process and mount namespaces of its own, as in a sandbox
  std::vector<std::string> environment;  // instead of PATH and HOME alone
};

// May this machine and user make process namespaces? Tests that need pid 1 skip without.
bool can_be_first_process();

class Client {
 public:
  explicit Client(const StartOptions& options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();  // ends the stream and waits for the helper; kills it when it does not end in time, which fails the test

  wire::Hello hello;

  // Sends a request; its id.
  template <class Message>
  uint32_t send(wire::Type type, const Message& message) {
    const uint32_t id = ++last_id_;
    std::string bytes;
    if (!wire::append_message(bytes, type, id, message)) return 0;
    send_raw(bytes);
    return id;
  }
  void send_frame(wire::Type type, uint32_t id, std::string_view bytes = {});
  void send_raw(std::string_view bytes);
  void grant(uint32_t id, uint32_t bytes);

  // The next frame for this id that is not data or window (those are put aside). Fails the test and gives an `error`
  // frame after the deadline, or when the stream ends.
  Frame wait(uint32_t id);
  // The next frame of any kind; false at the end of the stream or after the deadline.
  bool next(Frame& frame, std::chrono::milliseconds limit = kLimit);
  bool at_end();  // nothing but the end of the stream comes

  template <class Result>
  Result wait_for(uint32_t id, wire::Type type) {
    Result result{};
    const Frame frame = wait(id);
    if (frame.type != type || !wire::decode(frame.payload, result)) unexpected(frame);
    return result;
  }

  // Whole requests.
  wire::ExecResult exec(const wire::Exec& request) {
    return wait_for<wire::ExecResult>(send(wire::Type::exec, request), wire::Type::exec_result);
  }
  wire::ExecResult bash(const std::string& text) { return exec(bash_exec(text)); }
  static wire::Exec bash_exec(const std::string& text);
  wire::ShellAnswer open_shell(uint32_t number = 1, const std::string& folder = "/");
  wire::ShellAnswer run(const std::string& text, uint32_t soft_quiet_ms = 0, uint32_t hard_ms = 0, uint32_t number = 1);
  wire::ShellAnswer run(const wire::ShellRun& request);
  wire::ShellAnswer wait_shell(uint32_t soft_quiet_ms = 0);
  wire::ShellAnswer input(const std::string& bytes, bool end = false, uint32_t soft_quiet_ms = 0);
  // Shell 1, again until the command has ended: a shell may swallow an interrupt, as at a terminal, where the program
  // it waits for ends by itself at that moment.
  wire::ShellAnswer interrupt();
  wire::Failure failure(uint32_t id) { return wait_for<wire::Failure>(id, wire::Type::error); }
  void expect_ok(uint32_t id);

  std::map<uint32_t, std::string> out;  // data that came, by request
  std::map<uint32_t, std::string> err;

  void end_stream();  // closes our side
  int wait_exit();    // the helper's exit code, 128 + n when signalled; fails the test after the deadline
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int fd() const { return fd_; }

  static constexpr std::chrono::milliseconds kLimit{15'000};

 private:
  void unexpected(const Frame& frame);

  int fd_ = -1;
  pid_t pid_ = -1;
  uint32_t last_id_ = 0;
  wire::FrameParser parser_;
  std::map<uint32_t, Frame> early_;  // answers that came while another was waited for
};

// Processes on this machine whose command line holds `text`.
int processes_with(const std::string& text);
// Waits, driven by their ends, until there are none; false after the deadline.
bool wait_until_none(const std::string& text);

}  // namespace awm::helper_test
