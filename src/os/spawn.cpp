#include "os/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>

#include "os/cancel.h"
#include "os/gate.h"
#include "os/log.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm {
namespace {

struct Request {
  const SpawnOptions* options = nullptr;
  const char* path = nullptr;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::source_location at;  // who asked for it
  int null_fd = -1;
  int pid = 0;
  int failed_errno = 0;
  const char* failed_step = "";
  bool done = false;
};

// What the child does between fork and exec: only async-signal-safe calls on memory prepared before.
[[noreturn]] void child_main(const Request& request, int error_fd, int parent_pid) {
  const SpawnOptions& options = *request.options;
  const auto die = [&](char step) {
    const int number = errno;
    std::array<int, 2> told{number, step};
    (void)!::write(error_fd, told.data(), sizeof told);
    ::_exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  if (options.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent_pid) ::_exit(127);  // it died before the line above
  }
  if (options.new_session) ::setsid();
  const int in = options.stdin_fd >= 0 ? options.stdin_fd : request.null_fd;
  const int out = options.stdout_fd >= 0 ? options.stdout_fd : request.null_fd;
  const int err = options.stderr_fd >= 0 ? options.stderr_fd : out;
  // Above the three standard numbers first, so that no dup2 overwrites a source.
  const int in_high = ::fcntl(in, F_DUPFD_CLOEXEC, 10);
  const int out_high = ::fcntl(out, F_DUPFD_CLOEXEC, 10);
  const int err_high = ::fcntl(err, F_DUPFD_CLOEXEC, 10);
  if (in_high < 0 || out_high < 0 || err_high < 0) die('d');
  if (::dup2(in_high, 0) < 0 || ::dup2(out_high, 1) < 0 || ::dup2(err_high, 2) < 0) die('d');
  if (!options.folder.empty() && ::chdir(options.folder.c_str()) < 0) die('c');
  // Whatever a library left without close-on-exec stays here. Only the error pipe is needed, and it closes itself.
  ::syscall(SYS_close_range, 3U, static_cast<unsigned>(error_fd - 1), 0U);
  ::syscall(SYS_close_range, static_cast<unsigned>(error_fd + 1), ~0U, 0U);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(request.path, request.argv.data(), request.environment.data());
  die('e');
  ::_exit(127);
}

void start_child(Request& request) {
  std::array<int, 2> error_pipe{};
  if (kernel("pipe", request.at, [&] { return ::pipe2(error_pipe.data(), O_CLOEXEC); }) < 0) {
    request.failed_errno = errno;
    request.failed_step = "make a pipe for";
    return;
  }
  request.null_fd = kernel("open", request.at, [] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); });
  const int parent = ::getpid();
  const pid_t pid = request.null_fd < 0 ? -1 : kernel("fork", request.at, [] { return ::fork(); });
  if (pid == 0) child_main(request, error_pipe[1], parent);
  const int fork_errno = errno;
  ::close(error_pipe[1]);
  if (request.null_fd >= 0) ::close(request.null_fd);
  if (pid < 0) {
    ::close(error_pipe[0]);
    request.failed_errno = fork_errno;
    request.failed_step = "start";
    return;
  }
  std::array<int, 2> told{};
  ssize_t n = 0;
  do {
    n = ::read(error_pipe[0], told.data(), sizeof told);
  } while (n < 0 && errno == EINTR);
  ::close(error_pipe[0]);
  if (n == static_cast<ssize_t>(sizeof told)) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    request.failed_errno = told[0];
    request.failed_step = told[1] == 'c'   ? "change to the folder of"
                          : told[1] == 'd' ? "connect the descriptors of"
                                           : "start";
    return;
  }
  request.pid = pid;
}

// PATH look-up before the fork: execvp is not async-signal-safe.
std::string find_program(const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) return name;
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  if (const auto ours = sys::environment("PATH")) path = *ours;
  for (const auto& entry : environment) {
    if (entry.starts_with("PATH=")) path = entry.substr(5);
  }
  std::size_t start = 0;
  while (start <= path.size()) {
    auto end = path.find(':', start);
    if (end == std::string::npos) end = path.size();
    const std::string candidate = path.substr(start, end - start) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    start = end + 1;
  }
  return {};
}

}  // namespace

struct Spawner::State {
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable done;
  std::deque<Request*> queue;
  bool ending = false;
  Thread thread;
};

Result<std::unique_ptr<Spawner>> Spawner::create(const Scope& scope) {
  auto state = std::make_unique<State>();
  State* raw = state.get();
  AWM_TRY(state->thread, Thread::start(scope, "awm-spawner", [raw] {
            std::unique_lock lock(raw->mutex);
            for (;;) {
              raw->work.wait(lock, [&] { return raw->ending || !raw->queue.empty(); });
              if (raw->queue.empty()) return;
              Request* request = raw->queue.front();
              raw->queue.pop_front();
              lock.unlock();
              start_child(*request);
              lock.lock();
              request->done = true;
              raw->done.notify_all();
            }
          }));
  return std::unique_ptr<Spawner>(new Spawner(std::move(state)));
}

Spawner::Spawner(std::unique_ptr<State> state) : state_(std::move(state)) {}

Spawner::~Spawner() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->work.notify_all();
  state_->thread.join();
}

Result<Child> Spawner::spawn(const Scope& scope, const SpawnOptions& options, std::source_location birth) {
  if (options.argv.empty()) return fail(Errc::internal, "start", "a process", "no program named");
  const std::string program = find_program(options.argv.front(), options.environment);
  if (program.empty()) {
    return fail(Errc::not_found, "start", options.argv.front(), "no such program in PATH",
                "install it, or name it with its path");
  }
  Request request;
  request.options = &options;
  request.at = birth;
  request.path = program.c_str();
  for (const auto& word : options.argv) request.argv.push_back(const_cast<char*>(word.c_str()));
  request.argv.push_back(nullptr);
  for (const auto& entry : options.environment) request.environment.push_back(const_cast<char*>(entry.c_str()));
  request.environment.push_back(nullptr);
  {
    std::unique_lock lock(state_->mutex);
    state_->queue.push_back(&request);
    state_->work.notify_one();
    state_->done.wait(lock, [&] { return request.done; });
  }
  if (request.failed_errno != 0) return std::unexpected(os_error(request.failed_step, program, request.failed_errno));
  return Child(request.pid, Ledger::process().add(ResourceKind::child, request.pid, program, scope, birth));
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)), token_(std::move(other.token_)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    if (running()) kill();
    pid_ = std::exchange(other.pid_, 0);
    token_ = std::move(other.token_);
  }
  return *this;
}

Child::~Child() {
  if (!running()) return;
  log_warning("a running child process (" + std::to_string(pid_) + ") was dropped by its owner; it is killed");
  kill();
}

Result<ExitStatus> Child::wait(Deadline deadline, const Stop* stop) {
  if (!running()) return fail(Errc::closed, "wait for", "a child process", "it is reaped already");
  static const Scope scope("process/wait");
  UniqueFd watch;
  bool blind = false;
  for (;;) {
    auto ended = sys::try_wait(pid_);
    if (!ended) return std::unexpected(std::move(ended).error());
    if (*ended) {
      pid_ = 0;
      token_.release();
      return ExitStatus::from_wait((*ended)->wait_status);
    }
    // Kernels before 5.3 have none, filters of system calls refuse it, and there may be no descriptor left: then it is
    // looked after from time to time.
    if (!watch && !blind) {
      auto opened = sys::pidfd_open(scope, pid_);
      if (opened) watch = *std::move(opened);
      blind = !opened;
    }
    std::array<sys::PollFd, 2> set{sys::PollFd{.fd = watch ? watch.get() : -1, .want_read = true},
                                   sys::PollFd{.fd = stop != nullptr ? stop->cancel_fd() : -1, .want_read = true}};
    AWM_TRY(const int ready,
            sys::poll(set, blind ? sooner(deadline, Deadline::in(std::chrono::milliseconds(20))) : deadline));
    if (ready == 0 && deadline.passed())
      return fail(Errc::timed_out, "wait for", "process " + std::to_string(pid_), "it did not end in time");
    if (set[1].readable && !set[0].readable)
      return std::unexpected(stopped_error("wait for", "process " + std::to_string(pid_)));
  }
}

bool Child::signal(int number) {
  return running() && sys::kill(pid_, number).has_value();
}

void Child::kill() noexcept {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  token_.release();
}

Result<ProcessOutput> run_process(Spawner& spawner, const Scope& scope, SpawnOptions options, Deadline deadline,
                                  const Stop* stop, std::string_view input, std::size_t keep, Cancel* cancel) {
  const std::string program = options.argv.empty() ? "" : options.argv.front();
  AWM_TRY(auto out, sys::pipe(scope, program + " output"));
  options.stdout_fd = out.second.get();
  sys::FdPair in;
  if (!input.empty()) {
    AWM_TRY(in, sys::socket_pair(scope, program + " input"));
    options.stdin_fd = in.second.get();
  }
  options.new_session = options.new_session || cancel != nullptr;  // ended as a group
  AWM_TRY(auto child, spawner.spawn(scope, options));
  out.second.reset();
  in.second.reset();
  Cancel::Guard guard;
  if (cancel != nullptr) guard = cancel->enlist([pid = child.pid()] { (void)sys::kill(-pid, SIGKILL); });
  ProcessOutput result;
  bool ended = false;
  const auto give_up = [&](Error error) -> Result<ProcessOutput> {
    guard.reset();
    // What it started may write where somebody tidies up already.
    if (options.new_session && child.running()) (void)sys::kill(-child.pid(), SIGKILL);
    child.kill();
    return std::unexpected(std::move(error));
  };
  result.untaken_bytes = input.size();
  std::array<char, 65536> piece{};
  while (!ended) {
    std::array<sys::PollFd, 3> set{sys::PollFd{.fd = out.first.get(), .want_read = true},
                                   sys::PollFd{.fd = stop != nullptr ? stop->cancel_fd() : -1, .want_read = true},
                                   sys::PollFd{.fd = in.first ? in.first.get() : -1, .want_write = true}};
    auto ready = sys::poll(set, deadline);
    if (!ready) return give_up(std::move(ready).error());
    if (*ready == 0)
      return give_up(
          Error{.code = Errc::timed_out, .operation = "run", .object = program, .cause = "it did not end in time"});
    if (set[1].readable) return give_up(stopped_error("run", program));
    if (in.first && set[2].writable) {
      auto sent = sys::send_some(in.first.get(), input);
      if (!sent) {
        in.first.reset();  // it does not want more
      } else if (*sent) {
        input.remove_prefix(**sent);
        result.untaken_bytes = input.size();
        if (input.empty()) in.first.reset();
      }
    }
    if (set[0].readable) {
      auto got = sys::read(out.first.get(), piece.data(), piece.size());
      if (!got) return give_up(std::move(got).error());
      if (*got == 0) ended = true;
      const auto take = std::min(*got, keep - std::min(keep, result.output.size()));
      result.output.append(piece.data(), take);
      result.omitted_bytes += *got - take;
    }
  }
  guard.reset();  // before the child is reaped, and its number another's
  if (cancel != nullptr && cancel->requested()) return give_up(cancelled_error("run", program));
  auto status = child.wait(deadline, stop);
  if (!status) return give_up(std::move(status).error());
  result.status = *status;
  return result;
}

}  // namespace awm
