#include "shell.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

namespace awm::helper {

namespace {

constexpr std::size_t kKeepEarlier = std::size_t{8} << 10;
constexpr std::size_t kReadSize = std::size_t{64} << 10;
constexpr Micros kIdlePause = 20 * kMillisecond;
constexpr Micros kLostCheck = 250 * kMillisecond;
constexpr int kLostChecks = 8;       // so many in a row: two seconds
constexpr int kMaxStatusLines = 16;  // to repeat per command
constexpr Micros kKillPeriod = 3 * kMillisecond;
constexpr Micros kKillLimit = 5 * kSecond;

// Opens a descriptor's file anew, so that flags of ours are not flags of those who share it.
Fd reopen(int fd, int flags) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return Fd(open_file(path, flags | O_CLOEXEC));
}

// A terminal of nobody's: nothing is read from it or written to it.
bool make_terminal(Fd& master, Fd& slave) {
  master = Fd(open_file("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  int unlocked = 0;
  if (!master || ::ioctl(master.get(), TIOCSPTLCK, &unlocked) != 0) return false;
  slave = Fd(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  return static_cast<bool>(slave);
}

std::string close_redirections(int base, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += " " + std::to_string(base + i) + ">&-";
  return text;
}

}  // namespace

// Numbers of the control descriptors in the shell, from base_ on.
namespace {
enum Control { kText = 0, kIn = 1, kOut = 2, kStatus = 3, kPrelude = 4, kControls = 5 };
}

Shell::Shell(Context& context, uint32_t number) : context_(context), number_(number), earlier_(kKeepEarlier) {}

Tree Shell::whole() const {
  return {.root = pid_, .session = session_, .mark = mark_};
}

Tree Shell::command_tree() const {
  return {.root = pid_, .session = session_, .mark = mark_, .since_ticks = started_ticks_, .with_root = false};
}

bool Shell::start(wire::Failure& failure) {
  release();
  is_sh_ = context_.bash.empty();
  const std::string& program = is_sh_ ? context_.sh : context_.bash;
  if (program.empty()) {
    failure = {ENOENT, "shell", "sh", "neither bash nor sh is in this sandbox's PATH"};
    return false;
  }
  Pipe control, in, out, status;
  const auto fail = [&](const char* what) {
    failure = {errno, what, program, std::strerror(errno)};
    release();
    return false;
  };
  if (!make_pipe(control) || !make_pipe(in) || !make_pipe(out) || !make_pipe(status)) return fail("pipe");
  text_ = memory_file("awm-command", std::string_view("\0", 1), false);
  const Fd null(open_file("/dev/null", O_RDWR | O_CLOEXEC));
  if (!text_) return fail("memfd_create");
  if (!null) return fail("open /dev/null");
  // The commands' text is read from the same open file, whose offset is set back before each.
  Environment environment = context_.setup.environment;
  environment.set_all(spec_.environment);
  for (const char* name : {"TMOUT", "PROMPT_COMMAND", "BASH_ENV", "ENV", "HISTFILE"}) environment.set(name);

  // dash takes numbers of one digit only.
  base_ = is_sh_ ? 5 : high_descriptor_base(context_.options);
  Command command;
  command.program = program;
  command.argv = is_sh_ ? std::vector<std::string>{"sh", "-i"}
                        : std::vector<std::string>{"bash", "--norc", "--noprofile", "--noediting", "-i"};
  command.environment = environment.entries();
  command.folder = spec_.folder;
  command.in = control.read.get();
  command.out = command.err = null.get();
  // An interactive bash keeps a copy of the stderr it starts with as its terminal, whose state it sets again whenever a
  // signal ends a program. Where that fails it complains, in the midst of the command's output.
  Fd terminal;
  if (!is_sh_ && make_terminal(terminal_, terminal)) command.err = terminal.get();
  command.others = {{text_.get(), base_ + kText},
                    {in.read.get(), base_ + kIn},
                    {out.write.get(), base_ + kOut},
                    {status.write.get(), base_ + kStatus}};
  const bool has_prelude = static_cast<bool>(context_.setup.prelude);
  if (has_prelude) {
    if (::lseek(context_.setup.prelude.get(), 0, SEEK_SET) != 0) return fail("lseek");
    command.others.emplace_back(context_.setup.prelude.get(), base_ + kPrelude);
  }
  mark_ = command.mark = context_.new_mark();
  Fd report;
  const pid_t pid = start_command(command, context_.rules, &report);
  if (pid < 0) return fail("fork");
  // Whether it could be started is known when the pipe of the report ends: soon, since a working exec closes it.
  set_nonblocking(report.get(), false);
  std::string said;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(report.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);) {
    if (n > 0) said.append(buffer, static_cast<std::size_t>(n));
  }
  if (!said.empty()) {
    int status_word = 0;
    uninterrupted([&] { return ::waitpid(pid, &status_word, 0); });
    if (!wire::decode(said, failure)) failure = {EIO, "execve", program, "the shell could not be started"};
    release();
    return false;
  }
  pid_ = session_ = pid;
  control_ = std::move(control.write);
  output_ = std::move(out.read);
  status_ = std::move(status.read);
  input_ = std::move(in.write);
  input_read_ = reopen(in.read.get(), O_RDONLY | O_NONBLOCK);
  shell_in_ = std::move(in.read);
  shell_out_ = std::move(out.write);
  for (const Fd* fd : {&control_, &output_, &status_, &input_}) set_nonblocking(fd->get(), true);
  state_ = State::starting;
  stage_ = Stage::none;
  sequence_ = 0;
  last_code_ = 0;
  started_ = last_output_ = now();
  started_ticks_ = ticks_now();
  start_deadline_ = spec_.hard_ms == 0 ? 0 : started_ + spec_.hard_ms * kMillisecond;

  const std::string out_number = std::to_string(base_ + kOut);
  const std::string prelude_number = std::to_string(base_ + kPrelude);
  if (is_sh_) {
    feed("PS1= PS2=\nset +m\n");
    if (has_prelude)
      feed(". /proc/self/fd/" + prelude_number + " </dev/null >&" + out_number + " 2>&1" +
           close_redirections(base_, kPrelude) + "\n");
    if (has_prelude) feed("exec " + prelude_number + "<&-\nPS1= PS2=\n");
    feed("echo 0 \"$?\" 0 0 >&" + std::to_string(base_ + kStatus) + "\n");
  } else {
    feed("PS1= PS2=; exec 2>/dev/null; set +o history +o histexpand +o monitor; unset HISTFILE\n");
    if (has_prelude) {
      feed("\\builtin . /proc/self/fd/" + prelude_number + " </dev/null >&" + out_number + " 2>&1" +
           close_redirections(base_, kPrelude) + "\n");
      feed("exec " + prelude_number + "<&-\nPS1= PS2=; unset PROMPT_COMMAND; set +o history\n");
    }
    feed("\\builtin printf '0 %s %s %s\\n' 0 \"${BASH_VERSINFO[0]}\" \"${BASH_VERSINFO[1]}\" >&" +
         std::to_string(base_ + kStatus) + "\n");
  }
  return true;
}

void Shell::release() {
  for (Fd* fd : {&control_, &text_, &input_, &input_read_, &shell_in_, &shell_out_, &terminal_, &output_, &status_})
    fd->reset();
  status_text_.clear();
  pending_control_.clear();
  pending_input_.clear();
  pending_end_ = false;
  pid_ = -1;
}

void Shell::feed(const std::string& line) {
  pending_control_ += line;
  on_control();
}

void Shell::on_control() {
  while (!pending_control_.empty() && control_) {
    const ssize_t n = ::write(control_.get(), pending_control_.data(), pending_control_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) break;  // the shell is gone: its end is reported by on_child()
    pending_control_.erase(0, static_cast<std::size_t>(n));
  }
  pending_control_.clear();
}

void Shell::open(uint32_t id, const wire::ShellOpen& request) {
  spec_ = request;
  wire::Failure failure;
  if (!start(failure)) {
    context_.outbox.fail(id, failure);
    state_ = State::closed;
    return;
  }
  keep_ = wire::kMaxKeep / 16;
  kept_.restart(keep_);
  waiter_ = Waiter{.id = id, .opening = true, .asked = started_};
}

void Shell::run(uint32_t id, const wire::ShellRun& request) {
  if (state_ == State::running || queued_ || waiter_ || state_ == State::closing) {
    return context_.outbox.fail(id, EBUSY, "shell_run", std::to_string(number_),
                                "a command is running in this shell: wait, send input or interrupt");
  }
  if (request.text.find('\0') != std::string::npos) {
    return context_.outbox.fail(id, EINVAL, "shell_run", std::to_string(number_),
                                "the command's text has a NUL byte in it");
  }
  if (unreported_) {  // ended behind a soft limit, and nobody asked: its output is shown before the new command's
    earlier_.add(kept_.text());
    restarted_unsaid_ = restarted_unsaid_ || restarted_;
    unreported_ = false;
  }
  if (state_ == State::none) {
    wire::Failure failure;
    if (!start(failure)) return context_.outbox.fail(id, failure);
  }
  waiter_ = Waiter{.id = id,
                   .asked = now(),
                   .quiet = request.soft_quiet_ms * kMillisecond,
                   .total = request.soft_total_ms * kMillisecond};
  if (state_ == State::starting) {
    queued_ = request;
    return;
  }
  begin(request);
}

void Shell::begin(const wire::ShellRun& request) {
  drain();  // what background jobs said until now is not this command's
  ++sequence_;
  std::string text = request.text;
  // The status before this command is what its $? shows, as at a prompt.
  std::string before;
  if (last_code_ != 0) {
    if (is_sh_) {
      text = "(exit " + std::to_string(last_code_) + ")\n" + text;
    } else {
      before = last_code_ == 1 ? "\\builtin test '' || " : "(\\builtin exit " + std::to_string(last_code_) + ") || ";
    }
  }
  text.push_back('\0');  // `read` and `mapfile` with a NUL as delimiter then succeed, whatever `set -e` says
  if (is_sh_) text.pop_back();
  if (::ftruncate(text_.get(), 0) != 0 || ::lseek(text_.get(), 0, SEEK_SET) != 0 || !write_all(text_.get(), text) ||
      ::lseek(text_.get(), 0, SEEK_SET) != 0) {
    const int number = errno;
    const uint32_t id = waiter_ ? waiter_->id : 0;
    waiter_.reset();
    return context_.outbox.fail(id, number, "write", "memory file", std::strerror(number));
  }
  set_nonblocking(shell_in_.get(), false);  // ssh, node and others leave O_NONBLOCK on what they share
  set_nonblocking(shell_out_.get(), false);

  const std::string sequence = std::to_string(sequence_);
  const std::string b_in = std::to_string(base_ + kIn);
  const std::string b_out = std::to_string(base_ + kOut);
  const std::string b_text = std::to_string(base_ + kText);
  const std::string places = (request.no_input ? std::string(" </dev/null") : " <&" + b_in) + " >&" + b_out + " 2>&" +
                             b_out + close_redirections(base_, kPrelude);
  std::string line;
  if (is_sh_) {
    line = "eval \"$(command cat <&" + b_text + ")\"" + places + "\n";
  } else {
    // The array (never exported, whatever `set -a` says) is indexed by the sequence number: a stale text is never run
    // again.
    const std::string element = "__awm[" + sequence + "]";
    line = "\\builtin unset __awm; ";
    line += has_mapfile_ ? "\\builtin mapfile -d '' -O " + sequence + " -u " + b_text + " __awm; "
                         : "IFS= \\builtin read -r -d '' -u " + b_text + " '" + element + "'; ";
    line += before + "\\builtin eval \"${" + element + "-}\"" + places + "\n";
  }

  state_ = State::running;
  unreported_ = true;
  restarted_ = false;
  end_ = wire::End::exited;
  code_ = 0;
  started_ = last_output_ = now();
  started_ticks_ = ticks_now();
  hard_at_ = request.hard_ms == 0 ? 0 : started_ + request.hard_ms * kMillisecond;
  grace_ = request.grace_ms * kMillisecond;
  keep_ = std::min(request.keep, wire::kMaxKeep);
  kept_.restart(keep_);
  stage_ = Stage::none;
  timed_out_ = false;
  out_of_memory_ = false;
  oom_before_ = context_.oom.read();
  status_lines_ = 0;
  lost_checks_ = 0;
  lost_check_at_ = started_ + kLostCheck;
  idle_until_ = 0;
  feed(line);
  feed_status_line();
}

void Shell::feed_status_line() {
  if (status_lines_++ >= kMaxStatusLines) return;
  const std::string sequence = std::to_string(sequence_);
  const std::string to = " >&" + std::to_string(base_ + kStatus) + "\n";
  if (is_sh_) {
    feed("echo " + sequence + " \"$?\"" + to);
  } else {
    // A function called builtin would swallow all that follows; a backslash protects from aliases only.
    feed("__awm[0]=$?; \\unset -f builtin; \\builtin printf '%s %s\\n' " + sequence + " \"${__awm[0]}\"" + to);
  }
}

void Shell::set_waiter(uint32_t id, const wire::ShellWait& request) {
  if (waiter_) {
    return context_.outbox.fail(id, EBUSY, "shell", std::to_string(number_),
                                "another request is waiting for this command already");
  }
  waiter_ = Waiter{.id = id,
                   .asked = now(),
                   .quiet = request.soft_quiet_ms * kMillisecond,
                   .total = request.soft_total_ms * kMillisecond};
  keep_ = std::min(request.keep, wire::kMaxKeep);
  if (kept_.total() == 0) kept_.restart(keep_);
  if (request.hard_ms != 0) hard_at_ = now() + request.hard_ms * kMillisecond;
  if (state_ != State::running) answer(true);
}

void Shell::wait(uint32_t id, const wire::ShellWait& request) {
  if (!unreported_) return answer_idle(id);
  set_waiter(id, request);
}

void Shell::input(uint32_t id, const wire::ShellInput& request) {
  if (!unreported_) return answer_idle(id);
  if (state_ == State::running && !waiter_) {
    if (pending_input_.size() + request.bytes.size() > wire::kMaxText) {
      return context_.outbox.fail(id, ENOBUFS, "shell_input", std::to_string(number_),
                                  "the command does not read its input");
    }
    if (!pending_end_ && input_) {
      pending_input_ += request.bytes;
      pending_end_ = request.end;
      on_input();
    }
    last_output_ = now();
  }
  set_waiter(id, request.wait);
}

void Shell::interrupt(uint32_t id, const wire::ShellInterrupt& request) {
  if (request.signal < 1 || request.signal > 64) {
    return context_.outbox.fail(id, EINVAL, "shell_interrupt", std::to_string(request.signal), "no such signal");
  }
  if (!unreported_) return answer_idle(id);
  if (state_ == State::running && !waiter_) {
    send_signal_to_command(request.signal);
    last_output_ = now();
  }
  set_waiter(id, request.wait);
}

bool Shell::cancel(uint32_t id) {
  if (!waiter_ || waiter_->id != id) return false;
  if (waiter_->opening) {
    waiter_.reset();
    context_.outbox.fail(id, ECANCELED, "shell_open", std::to_string(number_), "cancelled");
    close(0);
    return true;
  }
  if (queued_) {
    queued_.reset();
    waiter_.reset();
    context_.outbox.fail(id, ECANCELED, "shell_run", std::to_string(number_), "cancelled before it started");
    return true;
  }
  answer(state_ != State::running);
  return true;
}

void Shell::close(uint32_t id) {
  if (waiter_ && waiter_->id != 0) {
    context_.outbox.fail(waiter_->id, ECANCELED, "shell", std::to_string(number_), "the shell was closed");
    waiter_.reset();
  }
  close_id_ = id;
  queued_.reset();
  state_ = State::closing;
  stage_ = Stage::killing_all;
  stage_at_ = now();
  give_up_at_ = stage_at_ + kKillLimit;
  on_time(stage_at_);
}

void Shell::send_signal_to_command(int signal) {
  // A shell drops its own SIGINT where the program it waits for ends otherwise than by one. So it must not start
  // another behind the back of the search.
  if (signal == SIGINT && pid_ > 0) ::kill(pid_, SIGSTOP);
  signal_tree(command_tree(), signal);
  if (signal == SIGINT && pid_ > 0) {
    ::kill(pid_, SIGINT);
    feed_status_line();  // the one that is there may be what the interrupt hits
  }
  if (signal != SIGSTOP && signal != SIGTSTP) {
    signal_tree(command_tree(), SIGCONT);
    if (pid_ > 0) ::kill(pid_, SIGCONT);
  }
}

void Shell::add_output(std::string_view bytes) {
  if (state_ == State::running || (waiter_ && waiter_->opening)) {
    kept_.add(bytes);
    last_output_ = now();
  } else {
    earlier_.add(bytes);
  }
}

void Shell::on_output() {
  static char buffer[kReadSize];
  const ssize_t n = ::read(output_.get(), buffer, sizeof buffer);
  if (n > 0) add_output(std::string_view(buffer, static_cast<std::size_t>(n)));
  if (state_ != State::running && state_ != State::starting) idle_until_ = now() + kIdlePause;
}

// Takes what is there now, and no more: a background job may write without end.
void Shell::drain() {
  static char buffer[kReadSize];
  std::size_t left = bytes_waiting(output_.get());
  while (left > 0) {
    const ssize_t n = ::read(output_.get(), buffer, std::min(left, sizeof buffer));
    if (n <= 0) break;
    add_output(std::string_view(buffer, static_cast<std::size_t>(n)));
    left -= static_cast<std::size_t>(n);
  }
}

void Shell::on_input() {
  while (!pending_input_.empty() && input_) {
    const ssize_t n = ::write(input_.get(), pending_input_.data(), pending_input_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      pending_input_.clear();
      break;
    }
    pending_input_.erase(0, static_cast<std::size_t>(n));
  }
  if (pending_end_) input_.reset();  // no writer is left: readers see the end
  pending_end_ = false;
}

void Shell::on_status() {
  char buffer[512];
  const ssize_t n = ::read(status_.get(), buffer, sizeof buffer);
  if (n == 0) {
    status_.reset();  // the shell is gone; on_child() says how
    return;
  }
  if (n < 0) return;
  status_text_.append(buffer, static_cast<std::size_t>(n));
  for (std::size_t end = 0; (end = status_text_.find('\n')) != std::string::npos;) {
    std::vector<uint64_t> words;
    std::string_view line = std::string_view(status_text_).substr(0, end);
    while (!line.empty()) {
      const std::size_t blank = std::min(line.find(' '), line.size());
      words.push_back(parse_number(line.substr(0, blank)).value_or(UINT64_MAX));
      line.remove_prefix(std::min(blank + 1, line.size()));
    }
    status_text_.erase(0, end + 1);
    if (words.size() < 2 || words[0] != sequence_ || words[1] > 255) continue;
    if (state_ == State::starting && words.size() == 4) {
      has_mapfile_ = words[2] > 4 || (words[2] == 4 && words[3] >= 4);  // mapfile -d is of 4.4
      drain();
      state_ = State::ready;
      start_deadline_ = 0;
      if (waiter_ && waiter_->opening) {
        unreported_ = true;
        end_ = wire::End::exited;
        code_ = 0;
        answer(true);
      } else if (queued_) {
        const wire::ShellRun request = std::move(*queued_);
        queued_.reset();
        begin(request);
      }
    } else if (state_ == State::running && words.size() == 2) {
      last_code_ = static_cast<int>(words[1]);
      drain();
      finish(timed_out_ ? wire::End::hard_timeout : wire::End::exited, last_code_, false);
    }
  }
  if (status_text_.size() > 4096) status_text_.clear();  // nonsense from a command that found the descriptor
}

void Shell::finish(wire::End end, int code, bool restarted) {
  state_ = State::ready;
  ended_ = now();
  end_ = end;
  code_ = code;
  restarted_ = restarted;
  stage_ = Stage::none;
  hard_at_ = 0;
  out_of_memory_ = out_of_memory_ || context_.oom.read() > oom_before_;
  // Input that nobody took is not the next command's.
  pending_input_.clear();
  pending_end_ = false;
  if (!restarted && input_read_) {
    char buffer[4096];
    for (std::size_t left = bytes_waiting(input_read_.get()); left > 0;) {
      const ssize_t n = ::read(input_read_.get(), buffer, std::min(left, sizeof buffer));
      if (n <= 0) break;
      left -= static_cast<std::size_t>(n);
    }
    if (!input_) input_ = reopen(input_read_.get(), O_WRONLY | O_NONBLOCK);
  }
  if (waiter_) answer(true);
}

void Shell::answer(bool finished) {
  wire::ShellAnswer result;
  result.finished = finished;
  result.restarted = finished && (restarted_ || restarted_unsaid_);
  result.used_sh = is_sh_;
  result.end = end_;
  result.code = finished ? code_ : 0;
  result.out.bytes = kept_.text();
  result.out.omitted = kept_.omitted();
  result.out.omitted_at = kept_.head_size();
  result.earlier = earlier_.text();
  result.folder = folder();
  result.micros = static_cast<uint64_t>((finished && ended_ > started_ ? ended_ : now()) - started_);
  result.out_of_memory = out_of_memory_;
  context_.outbox.send(wire::Type::shell_answer, waiter_->id, result);
  waiter_.reset();
  kept_.restart(keep_);
  earlier_.restart(kKeepEarlier);
  if (finished) unreported_ = restarted_ = restarted_unsaid_ = false;
}

void Shell::answer_idle(uint32_t id) {
  wire::ShellAnswer result;
  result.idle = true;
  result.used_sh = is_sh_;
  drain();
  result.earlier = earlier_.text();
  earlier_.restart(kKeepEarlier);
  result.folder = folder();
  context_.outbox.send(wire::Type::shell_answer, id, result);
}

std::string Shell::folder() const {
  if (pid_ <= 0) return {};
  char path[64];
  char target[PATH_MAX];
  std::snprintf(path, sizeof path, "/proc/%d/cwd", pid_);
  const ssize_t n = ::readlink(path, target, sizeof target);
  return n > 0 ? std::string(target, static_cast<std::size_t>(n)) : std::string();
}

void Shell::on_child(int wait_status) {
  pid_ = -1;
  if (state_ == State::closing) return;  // the rest of its tree is being killed
  if (stage_ == Stage::killing_all) {
    end_status_ = wait_status;
    return;
  }
  after_end(wait_status);
}

void Shell::after_end(int wait_status) {
  const wire::End end = WIFSIGNALED(wait_status) ? wire::End::signalled : wire::End::exited;
  const int code = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  stage_ = Stage::none;
  end_status_.reset();
  drain();
  const State before = state_;
  release();
  state_ = State::none;
  if (before == State::running) {
    const Micros started = started_;
    restart_after_end();
    started_ = started;
    const State next = state_;
    finish(timed_out_ ? wire::End::hard_timeout : end, code, true);
    state_ = next;
    return;
  }
  if (before != State::starting) {  // killed from outside between two commands
    restarted_unsaid_ = true;
    return restart_after_end();
  }
  // It ended while it started: the prelude left, or it was killed.
  const HeadTail& said = waiter_ && waiter_->opening ? kept_ : earlier_;
  const std::string text = "the shell ended during its start (" +
                           std::string(end == wire::End::exited ? "exit code " : "signal ") + std::to_string(code) +
                           "): " + said.text().substr(0, 2000);
  queued_.reset();
  if (!waiter_) return;
  const uint32_t id = waiter_->id;
  const bool opening = waiter_->opening;
  waiter_.reset();
  context_.outbox.fail(id, ECHILD, "shell", std::to_string(number_), text);
  if (opening) close(0);
}

// A new shell takes the place of one that ended. Where it cannot be started, the next run tries again, and says why
// not.
void Shell::restart_after_end() {
  wire::Failure failure;
  if (start(failure)) return;
  if (failure.operation == "chdir") {  // the folder is gone
    const std::string folder = std::exchange(spec_.folder, "/");
    if (start(failure)) return;
    spec_.folder = folder;
  }
  state_ = State::none;
}

// Whether a shell that sits there will not say its status by itself. (Its control pipe does not tell alone: bash reads
// ahead, so the line for the status may be out of the pipe while `read` waits, or in it when the command is over.)
bool Shell::status_cannot_come() const {
  char path[64];
  struct stat in{};
  struct stat control{};
  // It waits for the next line, having run all: while a command runs, another file is its stdin.
  std::snprintf(path, sizeof path, "/proc/%d/fd/0", pid_);
  if (pending_control_.empty() && bytes_waiting(control_.get()) == 0 && ::stat(path, &in) == 0 &&
      ::fstat(control_.get(), &control) == 0 && in.st_dev == control.st_dev && in.st_ino == control.st_ino)
    return true;
  pollfd readers{control_.get(), 0, 0};
  if (::poll(&readers, 1, 0) == 1 && (readers.revents & POLLERR) != 0) return true;  // it closed its end
  const auto descriptors = soft_limit(pid_, "Max open files");  // too few to have the control descriptors back
  return descriptors && *descriptors <= static_cast<uint64_t>(base_) + kStatus;
}

// The shell sits there, yet no status came. A syntax error in dash, or an interrupt at a bad moment, costs it the line:
// one more helps. Where that is swallowed too, by a function or since a descriptor is gone for good, the shell is lost.
bool Shell::status_line_lost(Micros at) {
  lost_check_at_ = at + kLostCheck;
  if (!control_ || pid_ <= 0) return false;
  for (const Process& process : all_processes()) {
    if (process.pid == pid_ && process.state != 'S') return false;
  }
  if (!status_cannot_come() || !members(command_tree()).empty()) {
    lost_checks_ = 0;
    return false;
  }
  if (++lost_checks_ > kLostChecks) return true;
  feed_status_line();
  return false;
}

Micros Shell::next_deadline() const {
  Micros next = INT64_MAX;
  const auto by = [&next](Micros at) { next = std::min(next, at); };
  if (state_ == State::closed) return next;
  if (idle_until_ > 0) by(idle_until_);
  if (stage_ != Stage::none) by(stage_at_);
  if (state_ == State::running) {
    by(lost_check_at_);
    if (hard_at_ > 0 && stage_ == Stage::none) by(hard_at_);
    if (waiter_ && waiter_->quiet > 0) by(std::max(waiter_->asked, last_output_) + waiter_->quiet);
    if (waiter_ && waiter_->total > 0) by(waiter_->asked + waiter_->total);
  }
  if (state_ == State::starting && start_deadline_ > 0) by(start_deadline_);
  return next;
}

void Shell::on_time(Micros at) {
  if (idle_until_ > 0 && at >= idle_until_) idle_until_ = 0;
  if (state_ == State::starting && start_deadline_ > 0 && at >= start_deadline_) {
    start_deadline_ = 0;
    const uint32_t id = waiter_ ? waiter_->id : 0;
    waiter_.reset();
    if (id != 0)
      context_.outbox.fail(id, ETIMEDOUT, "shell", std::to_string(number_),
                           "the shell and its set-up did not get ready in time");
    return close(0);
  }
  if (stage_ != Stage::none && at >= stage_at_) {
    if (stage_ == Stage::interrupted) {
      signal_tree(command_tree(), SIGKILL);
      stage_ = Stage::killing_command;
      stage_at_ = at + std::min<Micros>(std::max<Micros>(grace_, 50 * kMillisecond), 500 * kMillisecond);
      feed_status_line();
    } else if (stage_ == Stage::killing_command) {
      stage_ = Stage::killing_all;
      give_up_at_ = at + kKillLimit;
      stage_at_ = at;
    }
    if (stage_ == Stage::killing_all) {
      const std::size_t left = kill_tree(whole());
      stage_at_ = at + kKillPeriod;
      const bool given_up = at >= give_up_at_;  // something sits in the kernel and cannot die
      if (state_ == State::closing && (given_up || (left == 0 && pid_ <= 0))) {
        release();
        state_ = State::closed;
        if (close_id_ != 0) context_.outbox.send_empty(wire::Type::ok, close_id_);
        return;
      }
      if (state_ != State::closing && (given_up || (left == 0 && end_status_)))
        return after_end(end_status_.value_or(SIGKILL));
    }
  }
  if (state_ != State::running) return;
  if (hard_at_ > 0 && at >= hard_at_ && stage_ == Stage::none) {
    hard_at_ = 0;
    timed_out_ = true;
    send_signal_to_command(SIGINT);
    stage_ = Stage::interrupted;
    stage_at_ = at + grace_;
  } else if (at >= lost_check_at_ && status_line_lost(at)) {
    stage_ = Stage::killing_all;
    give_up_at_ = at + kKillLimit;
    stage_at_ = at;
  }
  if (!waiter_) return;
  const bool quiet = waiter_->quiet > 0 && at >= std::max(waiter_->asked, last_output_) + waiter_->quiet;
  const bool total = waiter_->total > 0 && at >= waiter_->asked + waiter_->total;
  if (quiet || total) answer(false);
}

}  // namespace awm::helper
