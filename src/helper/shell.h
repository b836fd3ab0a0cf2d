// One persistent shell: an interactive bash on pipes, fed two short lines for each command. docs/helper-protocol.md
// tells why each part is as it is.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "context.h"

namespace awm::helper {

class Shell {
 public:
  Shell(Context& context, uint32_t number);
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  // Requests; each is answered through the outbox, at once or later.
  void open(uint32_t id, const wire::ShellOpen& request);
  void run(uint32_t id, const wire::ShellRun& request);
  void wait(uint32_t id, const wire::ShellWait& request);
  void input(uint32_t id, const wire::ShellInput& request);
  void interrupt(uint32_t id, const wire::ShellInterrupt& request);
  bool cancel(uint32_t id);  // false: not a request of this shell
  void close(uint32_t id);   // all of it is killed; then closed() becomes true

  // The loop's part.
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] uint64_t mark() const { return mark_; }
  [[nodiscard]] bool closed() const { return state_ == State::closed; }
  [[nodiscard]] bool waited_for() const { return waiter_.has_value() || close_id_ != 0; }
  [[nodiscard]] int output_fd(Micros at) const { return at >= idle_until_ ? output_.get() : -1; }
  [[nodiscard]] int status_fd() const { return status_.get(); }
  [[nodiscard]] int input_fd() const { return pending_input_.empty() && !pending_end_ ? -1 : input_.get(); }
  [[nodiscard]] int control_fd() const { return pending_control_.empty() ? -1 : control_.get(); }
  void on_output();
  void on_status();
  void on_input();
  void on_control();
  void on_child(int wait_status);  // the shell's own process ended
  void on_memory_kill() { out_of_memory_ = true; }
  [[nodiscard]] Micros next_deadline() const;  // INT64_MAX: none
  void on_time(Micros at);

 private:
  enum class State { none, starting, ready, running, closing, closed };
  enum class Stage { none, interrupted, killing_command, killing_all };

  struct Waiter {
    uint32_t id = 0;
    bool opening = false;
    Micros asked = 0;
    Micros quiet = 0;  // 0: none
    Micros total = 0;
  };

  [[nodiscard]] bool start(wire::Failure& failure);
  void feed(const std::string& line);
  void begin(const wire::ShellRun& request);
  void feed_status_line();
  void add_output(std::string_view bytes);
  void drain();
  void finish(wire::End end, int code, bool restarted);
  void answer(bool finished);
  void answer_idle(uint32_t id);
  void set_waiter(uint32_t id, const wire::ShellWait& request);
  void after_end(int wait_status);
  void restart_after_end();
  void release();
  void send_signal_to_command(int signal);
  [[nodiscard]] Tree whole() const;
  [[nodiscard]] Tree command_tree() const;
  [[nodiscard]] std::string folder() const;
  [[nodiscard]] bool status_cannot_come() const;
  [[nodiscard]] bool status_line_lost(Micros at);

  Context& context_;
  const uint32_t number_;
  wire::ShellOpen spec_;
  State state_ = State::none;
  bool is_sh_ = false;
  bool has_mapfile_ = false;

  pid_t pid_ = -1;
  pid_t session_ = -1;
  uint64_t mark_ = 0;
  Fd control_;     // the shell's own stdin: what it is to do
  Fd text_;        // memory file with the command's text
  Fd input_;       // writes to the commands' stdin; closed: they see its end
  Fd input_read_;  // the same pipe's other end, opened anew: to empty it, and to make a new writer
  Fd shell_in_;    // the description that commands hold: to clear the O_NONBLOCK that some leave behind
  Fd shell_out_;
  Fd terminal_;  // the master of a terminal that only bash's own descriptor holds; none: no devpts here
  Fd output_;
  Fd status_;
  int base_ = 200;
  std::string status_text_;
  std::string pending_control_;
  std::string pending_input_;
  bool pending_end_ = false;

  uint64_t sequence_ = 0;
  int last_code_ = 0;
  std::optional<wire::ShellRun> queued_;  // came while a new shell was starting
  std::optional<Waiter> waiter_;
  uint32_t close_id_ = 0;

  // The command that runs, or has ended without anybody having been told yet.
  bool unreported_ = false;
  bool restarted_ = false;
  bool restarted_unsaid_ = false;  // the shell ended when nobody waited
  std::optional<int> end_status_;  // it has ended, its tree is being killed still
  wire::End end_ = wire::End::exited;
  int code_ = 0;
  Micros started_ = 0;
  Micros ended_ = 0;
  uint64_t started_ticks_ = 0;
  Micros hard_at_ = 0;  // 0: none
  Micros grace_ = 0;
  Micros last_output_ = 0;
  std::size_t keep_ = 0;
  HeadTail kept_;
  HeadTail earlier_;
  bool out_of_memory_ = false;
  uint64_t oom_before_ = 0;
  Stage stage_ = Stage::none;
  Micros stage_at_ = 0;
  Micros give_up_at_ = 0;
  bool timed_out_ = false;
  int status_lines_ = 0;
  Micros lost_check_at_ = 0;
  int lost_checks_ = 0;
  Micros idle_until_ = 0;  // output of background jobs is taken slowly
  Micros start_deadline_ = 0;
};

}  // namespace awm::helper
