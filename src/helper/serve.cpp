#include "serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "archive.h"
#include "context.h"
#include "files.h"
#include "shell.h"

namespace awm::helper {

namespace {

constexpr std::size_t kReadSize = std::size_t{64} << 10;
constexpr std::size_t kOutboxLimit = std::size_t{16} << 20;  // then no request is looked at until the client has read
constexpr Micros kKillPeriod = 3 * kMillisecond;
constexpr Micros kKillLimit = 5 * kSecond;
constexpr std::size_t kMaxLeftovers = 64;
constexpr Micros kLeftoverPause = 20 * kMillisecond;
constexpr Micros kWatchPeriod = 100 * kMillisecond;
constexpr Micros kWatchPeriodNear = 10 * kMillisecond;  // above four fifths of the limit
constexpr Micros kShutdownLimit = 5 * kSecond;

const char* architecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "unknown";
#endif
}

// One request that has a process: a command, or a worker.
struct Job {
  wire::Type type = wire::Type::exec;
  uint32_t id = 0;
  pid_t pid = -1;  // -1: reaped
  pid_t session = -1;
  uint64_t mark = 0;
  Fd out;
  Fd err;
  Fd in;      // a put's archive
  Fd report;  // see start_command(), start_worker()

  // Output.
  bool stream = false;
  bool separate = false;
  HeadTail kept_out;
  HeadTail kept_err;
  uint64_t window = 0;
  uint64_t total = 0;
  bool out_ended = false;  // of the child: drain so much and no more
  std::size_t out_left = 0;
  std::size_t err_left = 0;

  // A put's upload.
  std::string upload;
  bool upload_ended = false;
  uint64_t upload_credit = wire::kUploadWindow;  // what the client may still send
  uint64_t upload_used = 0;                      // taken by the worker and not yet granted anew

  // Time.
  Micros started = 0;
  Micros ended_at = 0;
  Micros hard_at = 0;  // 0: none
  Micros quiet = 0;
  Micros last_output = 0;
  Micros grace = 0;

  // End.
  int wait_status = 0;
  uint64_t peak_rss = 0;
  bool killed = false;  // `cause` holds
  wire::End cause = wire::End::exited;
  bool killing = false;
  Micros kill_at = 0;
  Micros give_up_at = 0;
  bool survivors = false;
  bool out_of_memory = false;
  uint64_t oom_before = 0;
  bool used_sh = false;

  [[nodiscard]] bool ended() const { return pid < 0; }
  [[nodiscard]] Tree tree() const { return {.root = pid, .session = session, .mark = mark}; }
};

// Output of background jobs that outlived their command: taken slowly and thrown away, so that they neither block for
// ever nor die of SIGPIPE.
struct Leftover {
  Fd fd;
  Micros paused_until = 0;
};

struct WorkOrder {
  wire::Type type;
  std::string_view payload;
};

// Runs in a worker: reports an ArchiveResult, or a Failure, with a first byte that says which.
int work(void* context, int report) {
  const auto& order = *static_cast<const WorkOrder*>(context);
  wire::ArchiveResult result;
  wire::Failure failure;
  bool good = false;
  wire::Put put;
  wire::Get get;
  wire::Remove remove;
  if (order.type == wire::Type::put && wire::decode(order.payload, put)) {
    good = unpack(0, put.folder, put.parents, result, failure);
  } else if (order.type == wire::Type::get && wire::decode(order.payload, get)) {
    good = pack(1, get.path, get.name, result, failure);
  } else if (wire::decode(order.payload, remove)) {
    good = remove_path(remove, failure);
  }
  for (std::string* text : {&failure.object, &failure.text, &result.first_problem})
    text->resize(std::min<std::size_t>(text->size(), 1200));
  std::string said(1, good ? '\1' : '\0');
  wire::detail::Encoder encoder{said};
  if (good) {
    wire::ArchiveResult::each(std::as_const(result), encoder);
  } else {
    wire::Failure::each(std::as_const(failure), encoder);
  }
  return write_all(report, said) ? 0 : 1;
}

std::string read_report(int fd) {
  std::string said;
  char buffer[4096];
  ssize_t n = 0;
  while ((n = ::read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) said.append(buffer, static_cast<std::size_t>(n));
    if (said.size() > sizeof buffer * 2) break;
  }
  return said;
}

std::string shell_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

class Server {
 public:
  Server(int in, int out, Options options) : in_(in), out_(out) {
    context_.options = std::move(options);
    context_.rules.options = &context_.options;
  }

  int run();
  bool prepare(wire::Failure& failure);  // signals, reaping, the hello

 private:
  // The loop.
  enum class What {
    wire,
    outbox,
    signals,
    job_out,
    job_err,
    job_in,
    shell_out,
    shell_status,
    shell_in,
    shell_control,
    leftover
  };
  struct Watch {
    What what;
    uint32_t id;
  };
  void watch(int fd, short events, What what, uint32_t id);
  void dispatch(const Watch& watch);
  [[nodiscard]] int timeout() const;
  void on_time();
  void read_wire();
  bool handle_frames();
  void read_signals();
  void reap();
  void violation(const std::string& text);
  void shut_down();

  // Requests.
  void handle(const wire::Header& header, std::string_view payload);
  template <class Message>
  bool parse(std::string_view payload, Message& message);
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] bool is_in_flight(uint32_t id) const;
  void setup(uint32_t id, const wire::Setup& request);
  void exec(uint32_t id, wire::Exec& request);
  void worker(wire::Type type, uint32_t id, std::string_view payload, uint32_t window);
  void shell_request(const wire::Header& header, std::string_view payload);
  void cancel(uint32_t id);
  void usage(uint32_t id);
  template <class Request, class Result>
  void answer_file(const wire::Header& header, std::string_view payload, wire::Type type,
                   bool (*operation)(const Request&, Result&, wire::Failure&));
  template <class Request>
  void answer_file(const wire::Header& header, std::string_view payload,
                   bool (*operation)(const Request&, wire::Failure&));

  // Jobs.
  void pump(Job& job, bool err);
  void drain(Job& job);
  void begin_kill(Job& job, wire::End cause);
  void kill_round(Job& job, Micros at);
  bool finish_if_done(Job& job);  // true: the job is gone
  void finish_exec(Job& job);
  void finish_worker(Job& job);
  void grant(Job& job);
  void feed_upload(Job& job);
  void keep_leftover(Fd fd);
  Shell* shell_of_mark(uint64_t mark);

  void watch_memory(Micros at);

  int in_;
  int out_;
  Context context_;
  wire::FrameParser parser_;
  std::map<uint32_t, std::unique_ptr<Job>> jobs_;
  std::map<uint32_t, std::unique_ptr<Shell>> shells_;
  std::map<uint32_t, Leftover> leftovers_;
  uint32_t next_leftover_ = 0;
  Fd signals_;
  std::vector<pollfd> polled_;
  std::vector<Watch> watches_;
  bool done_ = false;
  int exit_code_ = 0;
  bool first_process_ = false;  // pid 1 of a process namespace
  uint64_t memory_kills_ = 0;
  Micros watch_at_ = 0;
  std::string hello_path_;
};

bool Server::prepare(wire::Failure& failure) {
  first_process_ = ::getpid() == 1;
  context_.rules.die_with_parent = !first_process_;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, signal);
  signals_ = Fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) {
    failure = {errno, "signalfd", "", std::strerror(errno)};
    return false;
  }
  if (!set_nonblocking(out_, true)) {
    failure = {errno, "fcntl", "stdout", std::strerror(errno)};
    return false;
  }

  wire::Hello hello;
  Environment& environment = context_.setup.environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) environment.set(*entry);
  if (environment.find("PATH") == nullptr)
    environment.set("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  hello.user = std::to_string(::getuid());
  std::string home = "/";
  if (const auto users = slurp(AT_FDCWD, "/etc/passwd", std::size_t{1} << 20)) {
    std::string_view rest = *users;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      std::vector<std::string_view> fields;
      for (std::size_t colon = 0; (colon = line.find(':')) != std::string_view::npos; line.remove_prefix(colon + 1))
        fields.push_back(line.substr(0, colon));
      if (fields.size() < 6 || parse_number(fields[2]) != uint64_t{::getuid()}) continue;
      hello.user = fields[0];
      home = fields[5];
      break;
    }
  }
  if (environment.find("HOME") == nullptr) environment.set("HOME=" + home);
  const std::string path = environment.value("PATH");
  int number = 0;
  context_.bash = find_program("bash", path, "/", &number);
  context_.sh = find_program("sh", path, "/", &number);
  hello.architecture = architecture();
  hello.pid = static_cast<uint32_t>(::getpid());
  hello.uid = ::getuid();
  hello.gid = ::getgid();
  utsname names{};
  if (::uname(&names) == 0) hello.host = names.nodename;
  hello.home = environment.value("HOME");
  hello.bash = context_.bash;
  hello.sh = context_.sh;
  hello.git = find_program("git", path, "/", &number);
  hello.dropped =
      context_.options.uid || context_.options.gid || context_.options.drop_caps || context_.options.no_new_privs;
  hello.tree_memory = context_.options.tree_memory;
  for (const ResourceLimit& limit : context_.options.limits) {
    rlimit current{};
    if (::getrlimit(static_cast<__rlimit_resource>(limit.resource), &current) != 0 || limit.hard <= current.rlim_max ||
        ::geteuid() == 0)
      continue;
    hello.notes.push_back("limit " + limit.name + ": the host allows " + std::to_string(current.rlim_max) + " at most");
  }
  if (::access("/proc/self/stat", R_OK) != 0)
    hello.notes.emplace_back("/proc is not there: process trees cannot be followed");
  context_.oom.open();
  context_.outbox.send(wire::Type::hello, 0, hello);
  return true;
}

int Server::run() {
  while (!done_) {
    if (!context_.outbox.flush(out_)) break;
    if (handle_frames()) continue;
    polled_.clear();
    watches_.clear();
    const Micros at = now();
    watch(signals_.get(), POLLIN, What::signals, 0);
    if (context_.outbox.size() < kOutboxLimit) watch(in_, POLLIN, What::wire, 0);
    if (context_.outbox.size() > 0) watch(out_, POLLOUT, What::outbox, 0);
    for (const auto& [id, job] : jobs_) {
      const bool open = !job->ended() && (!job->stream || job->window > 0);
      if (open && job->out) watch(job->out.get(), POLLIN, What::job_out, id);
      if (open && job->err) watch(job->err.get(), POLLIN, What::job_err, id);
      if (job->in && !job->upload.empty()) watch(job->in.get(), POLLOUT, What::job_in, id);
    }
    for (const auto& [id, shell] : shells_) {
      watch(shell->output_fd(at), POLLIN, What::shell_out, id);
      watch(shell->status_fd(), POLLIN, What::shell_status, id);
      watch(shell->input_fd(), POLLOUT, What::shell_in, id);
      watch(shell->control_fd(), POLLOUT, What::shell_control, id);
    }
    for (const auto& [id, leftover] : leftovers_) {
      if (leftover.paused_until <= at) watch(leftover.fd.get(), POLLIN, What::leftover, id);
    }
    const int ready = ::poll(polled_.data(), polled_.size(), timeout());
    if (ready < 0 && errno != EINTR && errno != EAGAIN) {
      exit_code_ = 1;
      break;
    }
    if (ready > 0) {
      // Signals come last: what a command wrote before its end is then mostly read already, and what not is drained.
      for (std::size_t i = watches_.size(); i-- > 0 && !done_;) {
        if (polled_[i].revents != 0) dispatch(watches_[i]);
      }
    }
    on_time();
    for (auto it = shells_.begin(); it != shells_.end();) it = it->second->closed() ? shells_.erase(it) : std::next(it);
  }
  shut_down();
  return exit_code_;
}

void Server::watch(int fd, short events, What what, uint32_t id) {
  if (fd < 0) return;
  polled_.push_back({fd, events, 0});
  watches_.push_back({what, id});
}

void Server::dispatch(const Watch& watch) {
  const auto job = [&]() -> Job* {
    const auto at = jobs_.find(watch.id);
    return at == jobs_.end() ? nullptr : at->second.get();
  };
  const auto shell = [&]() -> Shell* {
    const auto at = shells_.find(watch.id);
    return at == shells_.end() ? nullptr : at->second.get();
  };
  switch (watch.what) {
    case What::wire:
      return read_wire();
    case What::outbox:
      return;  // flushed before each wait
    case What::signals:
      return read_signals();
    case What::job_out:
    case What::job_err:
      if (Job* j = job()) pump(*j, watch.what == What::job_err);
      return;
    case What::job_in:
      if (Job* j = job()) feed_upload(*j);
      return;
    case What::shell_out:
      if (Shell* s = shell()) s->on_output();
      return;
    case What::shell_status:
      if (Shell* s = shell()) s->on_status();
      return;
    case What::shell_in:
      if (Shell* s = shell()) s->on_input();
      return;
    case What::shell_control:
      if (Shell* s = shell()) s->on_control();
      return;
    case What::leftover: {
      const auto at = leftovers_.find(watch.id);
      if (at == leftovers_.end()) return;
      static char thrown_away[kReadSize];
      const ssize_t n = ::read(at->second.fd.get(), thrown_away, sizeof thrown_away);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        leftovers_.erase(at);
      } else {
        at->second.paused_until = now() + kLeftoverPause;
      }
      return;
    }
  }
}

int Server::timeout() const {
  Micros next = INT64_MAX;
  const auto by = [&next](Micros at) { next = std::min(next, at); };
  for (const auto& [id, job] : jobs_) {
    if (job->killing) by(job->kill_at);
    if (job->ended() || job->killed) continue;
    if (job->hard_at > 0) by(job->hard_at);
    if (job->quiet > 0 && (!job->stream || job->window > 0)) by(job->last_output + job->quiet);
  }
  for (const auto& [id, shell] : shells_) by(shell->next_deadline());
  for (const auto& [id, leftover] : leftovers_) {
    if (leftover.paused_until > 0) by(leftover.paused_until);
  }
  if (context_.options.tree_memory > 0) by(watch_at_);
  if (next == INT64_MAX) return -1;
  const Micros left = next - now();
  if (left <= 0) return 0;
  return static_cast<int>(std::min<Micros>((left + kMillisecond - 1) / kMillisecond, 3'600'000));
}

void Server::on_time() {
  const Micros at = now();
  std::vector<uint32_t> ids;
  ids.reserve(jobs_.size());
  for (const auto& [id, job] : jobs_) ids.push_back(id);
  for (const uint32_t id : ids) {
    Job& job = *jobs_.at(id);
    if (!job.ended() && !job.killed) {
      if (job.hard_at > 0 && at >= job.hard_at) {
        begin_kill(job, wire::End::hard_timeout);
      } else if (job.quiet > 0 && (!job.stream || job.window > 0) && at >= job.last_output + job.quiet) {
        begin_kill(job, wire::End::quiet_timeout);
      }
    }
    if (job.killing && at >= job.kill_at) kill_round(job, at);
    finish_if_done(job);
  }
  for (auto& [id, leftover] : leftovers_) {
    if (at >= leftover.paused_until) leftover.paused_until = 0;
  }
  for (auto& [id, shell] : shells_) {
    if (shell->next_deadline() <= at) shell->on_time(at);
  }
  if (context_.options.tree_memory > 0 && at >= watch_at_) watch_memory(at);
}

void Server::violation(const std::string& text) {
  context_.outbox.send(wire::Type::fatal, 0, wire::Failure{EPROTO, "frame", "", text});
  exit_code_ = 3;
  done_ = true;
}

void Server::read_wire() {
  static char buffer[std::size_t{256} << 10];
  const ssize_t n = ::read(in_, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    done_ = true;
    return;
  }
  parser_.feed(std::string_view(buffer, static_cast<std::size_t>(n)));
}

// Handles what has come, as long as the answers find room. True: something was done, and more may be there.
bool Server::handle_frames() {
  wire::Header header;
  std::string_view payload;
  bool any = false;
  while (!done_ && context_.outbox.size() < kOutboxLimit && parser_.next(header, payload)) {
    handle(header, payload);
    any = true;
  }
  if (!done_ && parser_.broken()) violation("a frame longer than " + std::to_string(wire::kMaxPayload) + " bytes");
  return any;
}

void Server::read_signals() {
  signalfd_siginfo info{};
  bool children = false;
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) {
      children = true;
    } else if (!first_process_ || info.ssi_pid == 0) {
      done_ = true;  // from outside; as pid 1, what a command sends is ignored
    }
  }
  if (children) reap();
}

void Server::reap() {
  int status = 0;
  rusage usage{};
  pid_t pid = 0;
  while ((pid = uninterrupted([&] { return ::wait4(-1, &status, WNOHANG, &usage); })) > 0) {
    for (auto& [id, shell] : shells_) {
      if (shell->pid() == pid) {
        shell->on_child(status);
        break;
      }
    }
    for (auto& [id, job] : jobs_) {
      if (job->pid != pid) continue;
      job->pid = -1;
      job->wait_status = status;
      job->peak_rss = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
      job->ended_at = now();
      job->out_ended = true;
      // Others may hold the pipe and write on: what is there now is the command's, no more.
      job->out_left = job->out ? bytes_waiting(job->out.get()) : 0;
      job->err_left = job->err ? bytes_waiting(job->err.get()) : 0;
      if (job->killed) {  // what is left of its tree has no grace any more
        job->killing = true;
        job->kill_at = job->ended_at;
        job->give_up_at = job->ended_at + kKillLimit;
      }
      drain(*job);
      finish_if_done(*job);
      break;
    }
  }
}

// ---- requests ----

template <class Message>
bool Server::parse(std::string_view payload, Message& message) {
  if (wire::decode(payload, message)) return true;
  violation("a payload that does not fit its type");
  return false;
}

std::size_t Server::in_flight() const {
  std::size_t count = jobs_.size();
  for (const auto& [number, shell] : shells_) count += shell->waited_for() ? 1 : 0;
  return count;
}

bool Server::is_in_flight(uint32_t id) const {
  return jobs_.contains(id);
}

void Server::handle(const wire::Header& header, std::string_view payload) {
  using wire::Type;
  const uint32_t id = header.id;
  const auto type = static_cast<Type>(header.type);
  const auto job = jobs_.find(id);
  switch (type) {  // frames within a request, and those without an answer
    case Type::data:
      if (payload.size() > wire::kMaxData)
        return violation("a data frame longer than " + std::to_string(wire::kMaxData) + " bytes");
      if (job == jobs_.end() || job->second->type != Type::put) return;
      if (payload.size() > job->second->upload_credit) return violation("more data than the window allows");
      if (job->second->upload_ended) return violation("data behind the end");
      job->second->upload_credit -= payload.size();
      if (job->second->in) {
        job->second->upload += payload;
        feed_upload(*job->second);
      }
      return;
    case Type::end:
      if (job == jobs_.end() || job->second->type != Type::put) return;
      job->second->upload_ended = true;
      return feed_upload(*job->second);
    case Type::window: {
      wire::Window window;
      if (!parse(payload, window) || job == jobs_.end() || !job->second->stream) return;
      if (job->second->window == 0) job->second->last_output = now();
      job->second->window += window.add;
      drain(*job->second);
      finish_if_done(*job->second);
      return;
    }
    case Type::cancel:
      return cancel(id);
    case Type::shutdown:
      done_ = true;
      return;
    default:
      break;
  }
  if (id == 0) return violation("a request with id 0");
  if (is_in_flight(id)) return violation("request id " + std::to_string(id) + " is in use");
  if (in_flight() >= wire::kMaxInFlight) {
    return context_.outbox.fail(id, EAGAIN, "frame", "",
                                "too many requests in flight: " + std::to_string(wire::kMaxInFlight) + " at most");
  }
  switch (type) {
    case Type::setup: {
      wire::Setup request;
      if (parse(payload, request)) setup(id, request);
      return;
    }
    case Type::exec: {
      wire::Exec request;
      if (parse(payload, request)) exec(id, request);
      return;
    }
    case Type::shell_open:
    case Type::shell_run:
    case Type::shell_wait:
    case Type::shell_input:
    case Type::shell_interrupt:
    case Type::shell_close:
      return shell_request(header, payload);
    case Type::signal: {
      wire::Signal request;
      if (!parse(payload, request)) return;
      const auto target = jobs_.find(request.target);
      if (request.signal < 1 || request.signal > 64)
        return context_.outbox.fail(id, EINVAL, "kill", std::to_string(request.signal), "no such signal");
      if (target == jobs_.end() || target->second->type != Type::exec ||
          signal_tree(target->second->tree(), request.signal) == 0) {
        return context_.outbox.fail(id, ESRCH, "kill", std::to_string(request.target), "no such command is running");
      }
      return context_.outbox.send_empty(Type::ok, id);
    }
    case Type::read:
      return answer_file(header, payload, Type::read_result, read_file);
    case Type::write:
      return answer_file(header, payload, write_file);
    case Type::stat:
      return answer_file(header, payload, Type::stat_result, stat_file);
    case Type::list:
      return answer_file(header, payload, Type::list_result, list_folder);
    case Type::mkdir:
      return answer_file(header, payload, make_folder);
    case Type::rename:
      return answer_file(header, payload, rename_file);
    case Type::remove: {
      wire::Remove request;
      if (!parse(payload, request)) return;
      if (request.recursive) return worker(type, id, payload, 0);
      return answer_file(header, payload, remove_path);
    }
    case Type::put: {
      wire::Put request;
      if (parse(payload, request)) worker(type, id, payload, 0);
      return;
    }
    case Type::get: {
      wire::Get request;
      if (parse(payload, request)) worker(type, id, payload, request.window);
      return;
    }
    case Type::usage:
      return usage(id);
    default:
      return context_.outbox.fail(id, EOPNOTSUPP, "frame", std::to_string(header.type),
                                  "a request that this helper does not know");
  }
}

template <class Request, class Result>
void Server::answer_file(const wire::Header& header, std::string_view payload, wire::Type type,
                         bool (*operation)(const Request&, Result&, wire::Failure&)) {
  Request request;
  Result result;
  wire::Failure failure;
  if (!parse(payload, request)) return;
  if (!operation(request, result, failure)) return context_.outbox.fail(header.id, failure);
  context_.outbox.send(type, header.id, result);
}

template <class Request>
void Server::answer_file(const wire::Header& header, std::string_view payload,
                         bool (*operation)(const Request&, wire::Failure&)) {
  Request request;
  wire::Failure failure;
  if (!parse(payload, request)) return;
  if (!operation(request, failure)) return context_.outbox.fail(header.id, failure);
  context_.outbox.send_empty(wire::Type::ok, header.id);
}

void Server::setup(uint32_t id, const wire::Setup& request) {
  Setup next;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) next.environment.set(*entry);
  for (const char* name : {"PATH", "HOME"}) {
    const std::string* entry = context_.setup.environment.find(name);
    if (entry != nullptr && next.environment.find(name) == nullptr) next.environment.set(*entry);
  }
  next.environment.set_all(request.environment);
  if (!request.prelude.empty()) {
    next.prelude = memory_file("awm-env-setup", request.prelude + "\n", true);
    if (!next.prelude) return context_.outbox.fail(id, errno, "memfd_create", "prelude", std::strerror(errno));
  }
  context_.setup = std::move(next);
  context_.outbox.send_empty(wire::Type::ok, id);
}

void Server::exec(uint32_t id, wire::Exec& request) {
  if (request.argv.empty()) return context_.outbox.fail(id, EINVAL, "exec", "", "argv is empty");
  for (const auto* list : {&request.argv, &request.environment}) {
    for (const std::string& text : *list) {
      if (text.find('\0') != std::string::npos)
        return context_.outbox.fail(id, EINVAL, "exec", text.c_str(), "a NUL byte in an argument or variable");
    }
  }
  auto job = std::make_unique<Job>();
  job->id = id;
  Environment environment = context_.setup.environment;
  environment.set_all(request.environment);

  wire::ExecResult refused;
  refused.end = wire::End::not_started;
  const auto refuse = [&](int number, const char* operation, const std::string& object) {
    refused.code = number;
    refused.failure = {number, operation, object.substr(0, 4096), std::strerror(number)};
    context_.outbox.send(wire::Type::exec_result, id, refused);
  };

  Command command;
  const std::string path = environment.value("PATH");
  int number = 0;
  std::string name = request.argv[0];
  std::string base_name = name.substr(name.find_last_of('/') + 1);
  command.program = find_program(name, path, request.folder, &number);
  const bool missing =
      command.program.empty() || (name.find('/') != std::string::npos && ::access(name.c_str(), F_OK) != 0);
  if (missing && request.sh_instead && base_name == "bash" && !context_.sh.empty()) {
    command.program = context_.sh;
    request.argv[0] = base_name = "sh";
    job->used_sh = refused.used_sh = true;
  }
  if (command.program.empty()) return refuse(number, "execve", name);

  Fd bash_entry;
  Fd prelude;
  if (request.with_setup) {
    if (request.argv.size() < 3 || request.argv[1] != "-c" || (base_name != "bash" && base_name != "sh")) {
      return context_.outbox.fail(id, EINVAL, "exec", "", "with_setup needs bash -c or sh -c");
    }
    if (context_.setup.prelude) {
      // Each gets a file of its own: the offset of a shared one would be everybody's.
      char link[64];
      std::snprintf(link, sizeof link, "/proc/self/fd/%d", context_.setup.prelude.get());
      prelude = Fd(open_file(link, O_RDONLY | O_CLOEXEC));
      if (!prelude) return refuse(errno, "open", "prelude");
      const int at = base_name == "sh" ? 9 : high_descriptor_base(context_.options);
      command.others.emplace_back(prelude.get(), at);
      const std::string source = ". /proc/self/fd/" + std::to_string(at) + "\nexec " + std::to_string(at) + "<&-\n";
      if (base_name == "sh") {
        request.argv[2] = source + request.argv[2];
      } else {
        // bash reads BASH_ENV before the text, and the text's line numbers and messages stay as they are.
        const std::string* own = environment.find("BASH_ENV");
        std::string entry = own == nullptr ? "unset BASH_ENV\n"
                                           : "export BASH_ENV=" + shell_quoted(environment.value("BASH_ENV")) +
                                                 "\n[ ! -r \"$BASH_ENV\" ] || . \"$BASH_ENV\"\n";
        entry += "exec " + std::to_string(at + 1) + "<&-\n" + source;
        bash_entry = memory_file("awm-bash-entry", entry, true);
        if (!bash_entry) return refuse(errno, "memfd_create", "prelude");
        command.others.emplace_back(bash_entry.get(), at + 1);
        environment.set("BASH_ENV=/proc/self/fd/" + std::to_string(at + 1));
      }
    }
  }

  Pipe out;
  Pipe err;
  Fd in = request.input.empty() ? Fd(open_file("/dev/null", O_RDONLY | O_CLOEXEC))
                                : memory_file("awm-input", request.input, false);
  if (!in) return refuse(errno, "open", "stdin");
  if (!make_pipe(out) || (request.separate && !make_pipe(err))) return refuse(errno, "pipe", "");
  set_nonblocking(out.read.get(), true);
  if (err.read) set_nonblocking(err.read.get(), true);

  job->mark = command.mark = context_.new_mark();
  job->oom_before = context_.oom.read();
  job->stream = request.stream;
  job->separate = request.separate;
  job->window = request.stream ? request.window : 0;
  const std::size_t keep = request.stream ? 0 : std::min(request.keep, wire::kMaxKeep);
  job->kept_out.restart(keep);
  job->kept_err.restart(keep);
  job->grace = request.grace_ms * kMillisecond;
  job->quiet = request.quiet_ms * kMillisecond;
  command.argv = std::move(request.argv);
  command.environment = environment.entries();
  command.folder = request.folder;
  command.in = in.get();
  command.out = out.write.get();
  command.err = request.separate ? err.write.get() : out.write.get();
  job->started = job->last_output = now();
  if (request.hard_ms > 0) job->hard_at = job->started + request.hard_ms * kMillisecond;
  job->pid = job->session = start_command(command, context_.rules, &job->report);
  if (job->pid < 0) return refuse(errno, "fork", command.program);
  job->out = std::move(out.read);
  job->err = std::move(err.read);
  jobs_.emplace(id, std::move(job));
}

void Server::worker(wire::Type type, uint32_t id, std::string_view payload, uint32_t window) {
  auto job = std::make_unique<Job>();
  job->type = type;
  job->id = id;
  job->mark = context_.new_mark();
  Pipe in;
  Pipe out;
  if ((type == wire::Type::put && !make_pipe(in)) || (type == wire::Type::get && !make_pipe(out))) {
    return context_.outbox.fail(id, errno, "pipe", "", std::strerror(errno));
  }
  if (in.write) set_nonblocking(in.write.get(), true);
  if (out.read) set_nonblocking(out.read.get(), true);
  WorkOrder order{type, payload};
  job->started = job->last_output = now();
  job->pid = job->session =
      start_worker(work, &order, in.read.get(), out.write.get(), job->mark, context_.rules, &job->report);
  if (job->pid < 0) return context_.outbox.fail(id, errno, "fork", "", std::strerror(errno));
  job->in = std::move(in.write);
  job->out = std::move(out.read);
  job->stream = type == wire::Type::get;
  job->window = window;
  jobs_.emplace(id, std::move(job));
}

void Server::shell_request(const wire::Header& header, std::string_view payload) {
  using wire::Type;
  const uint32_t id = header.id;
  const auto find = [&](uint32_t number) -> Shell* {
    const auto at = shells_.find(number);
    if (at != shells_.end() && !at->second->closed()) return at->second.get();
    context_.outbox.fail(id, ENOENT, "shell", std::to_string(number), "no such shell is open");
    return nullptr;
  };
  switch (static_cast<Type>(header.type)) {
    case Type::shell_open: {
      wire::ShellOpen request;
      if (!parse(payload, request)) return;
      if (shells_.contains(request.shell))
        return context_.outbox.fail(id, EEXIST, "shell", std::to_string(request.shell), "this shell is open already");
      if (shells_.size() >= wire::kMaxShells) return context_.outbox.fail(id, EAGAIN, "shell", "", "too many shells");
      for (const std::string& text : request.environment) {
        if (text.find('\0') != std::string::npos)
          return context_.outbox.fail(id, EINVAL, "shell", "", "a NUL byte in a variable");
      }
      auto shell = std::make_unique<Shell>(context_, request.shell);
      shell->open(id, request);
      shells_.emplace(request.shell, std::move(shell));
      return;
    }
    case Type::shell_run: {
      wire::ShellRun request;
      if (!parse(payload, request)) return;
      if (Shell* shell = find(request.shell)) shell->run(id, request);
      return;
    }
    case Type::shell_wait: {
      wire::ShellWait request;
      if (!parse(payload, request)) return;
      if (Shell* shell = find(request.shell)) shell->wait(id, request);
      return;
    }
    case Type::shell_input: {
      wire::ShellInput request;
      if (!parse(payload, request)) return;
      if (Shell* shell = find(request.wait.shell)) shell->input(id, request);
      return;
    }
    case Type::shell_interrupt: {
      wire::ShellInterrupt request;
      if (!parse(payload, request)) return;
      if (Shell* shell = find(request.wait.shell)) shell->interrupt(id, request);
      return;
    }
    default: {
      wire::ShellClose request;
      if (!parse(payload, request)) return;
      if (Shell* shell = find(request.shell)) shell->close(id);
      return;
    }
  }
}

void Server::cancel(uint32_t id) {
  const auto job = jobs_.find(id);
  if (job != jobs_.end()) {
    begin_kill(*job->second, wire::End::cancelled);
    finish_if_done(*job->second);
    return;
  }
  for (auto& [number, shell] : shells_) {
    if (shell->cancel(id)) return;
  }
}

void Server::usage(uint32_t id) {
  wire::UsageResult result;
  for (const Process& process : all_processes()) {
    if (!process.alive()) continue;
    ++result.processes;
    result.memory += own_memory(process.pid);
  }
  result.kills = memory_kills_;
  context_.outbox.send(wire::Type::usage_result, id, result);
}

// ---- jobs ----

// Reads once. After the command's end: no more than was there then.
void Server::pump(Job& job, bool err) {
  static char buffer[kReadSize];
  Fd& fd = err ? job.err : job.out;
  std::size_t& left = err ? job.err_left : job.out_left;
  std::size_t size = sizeof buffer;
  if (job.stream) size = static_cast<std::size_t>(std::min<uint64_t>(size, job.window));
  if (job.out_ended) size = std::min(size, left);
  if (!fd || size == 0) return;
  const ssize_t n = ::read(fd.get(), buffer, size);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    if (job.out_ended) left = 0;  // somebody else took it
    return;
  }
  if (n <= 0) {
    fd.reset();
    left = 0;
    return;
  }
  const std::string_view bytes(buffer, static_cast<std::size_t>(n));
  job.total += bytes.size();
  job.last_output = now();
  if (job.out_ended) left -= bytes.size();
  if (job.stream) {
    job.window -= bytes.size();
    context_.outbox.send_data(job.id, err ? wire::Stream::err : wire::Stream::out, bytes);
  } else {
    (err ? job.kept_err : job.kept_out).add(bytes);
  }
}

void Server::drain(Job& job) {
  if (!job.out_ended) return;
  while (job.out_left > 0 && (!job.stream || job.window > 0)) pump(job, false);
  while (job.err_left > 0 && (!job.stream || job.window > 0)) pump(job, true);
}

void Server::begin_kill(Job& job, wire::End cause) {
  if (job.killing) {
    if (cause == wire::End::cancelled) job.cause = cause;
    return;
  }
  const Micros at = now();
  const bool first = !job.killed;
  job.killed = true;
  job.cause = cause;
  if (first && job.grace > 0 && cause != wire::End::cancelled && !job.ended()) {
    signal_tree(job.tree(), SIGTERM);
    signal_tree(job.tree(), SIGCONT);
    job.killing = true;
    job.kill_at = at + job.grace;
    job.give_up_at = job.kill_at + kKillLimit;
    return;
  }
  job.killing = true;
  job.give_up_at = at + kKillLimit;
  kill_round(job, at);
}

void Server::kill_round(Job& job, Micros at) {
  const std::size_t left = kill_tree(job.tree());
  job.kill_at = at + kKillPeriod;
  if (left == 0 && job.ended()) {
    job.killing = false;
  } else if (at >= job.give_up_at) {
    job.survivors = true;
    job.killing = false;
    if (!job.ended()) {  // it sits in the kernel; whenever it ends, it is reaped like any orphan
      job.pid = -1;
      job.wait_status = SIGKILL;
      job.ended_at = at;
      job.out_ended = true;
    }
  }
}

bool Server::finish_if_done(Job& job) {
  if (!job.ended() || job.killing) return false;
  const bool drained = job.out_left == 0 && job.err_left == 0;
  if (!drained && job.cause != wire::End::cancelled) return false;
  const uint32_t id = job.id;
  if (job.type == wire::Type::exec) {
    finish_exec(job);
  } else {
    finish_worker(job);
  }
  jobs_.erase(id);
  return true;
}

void Server::finish_exec(Job& job) {
  wire::ExecResult result;
  const std::string said = read_report(job.report.get());
  if (!said.empty() && wire::decode(said, result.failure)) {
    result.end = wire::End::not_started;
    result.code = result.failure.number;
  } else {
    result.failure = {};
    const bool by_signal = WIFSIGNALED(job.wait_status);
    result.end = by_signal ? wire::End::signalled : wire::End::exited;
    result.code = by_signal ? WTERMSIG(job.wait_status) : WEXITSTATUS(job.wait_status);
    if (job.killed) {
      result.end = job.cause;
      if (!by_signal) result.code = 0;
    }
  }
  const auto keep = [](const HeadTail& kept) { return wire::Kept{kept.text(), kept.omitted(), kept.head_size()}; };
  if (!job.stream) {
    result.out = keep(job.kept_out);
    if (job.separate) result.err = keep(job.kept_err);
  }
  result.total = job.total;
  result.micros = static_cast<uint64_t>(job.ended_at - job.started);
  result.peak_rss = job.peak_rss;
  result.out_of_memory = job.out_of_memory || context_.oom.read() > job.oom_before;
  result.survivors = job.survivors;
  result.used_sh = job.used_sh;
  context_.outbox.send(wire::Type::exec_result, job.id, result);
  keep_leftover(std::move(job.out));
  keep_leftover(std::move(job.err));
}

void Server::finish_worker(Job& job) {
  if (job.killed) return context_.outbox.fail(job.id, ECANCELED, "archive", "", "cancelled");
  const std::string said = read_report(job.report.get());
  wire::Failure failure;
  wire::ArchiveResult result;
  const bool good = !said.empty() && said[0] == '\1' && wire::decode(std::string_view(said).substr(1), result);
  if (good && job.type == wire::Type::remove) return context_.outbox.send_empty(wire::Type::ok, job.id);
  if (good) return context_.outbox.send(wire::Type::archive_result, job.id, result);
  if (said.empty() || said[0] != '\0' || !wire::decode(std::string_view(said).substr(1), failure)) {
    failure = {EINTR, "archive", "", "the worker was killed from inside the sandbox, or by a limit"};
  }
  context_.outbox.fail(job.id, failure);
}

void Server::feed_upload(Job& job) {
  std::size_t taken = 0;
  while (taken < job.upload.size() && job.in) {
    const ssize_t n = ::write(job.in.get(), job.upload.data() + taken, job.upload.size() - taken);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) {  // the worker has ended: its report says why
      job.in.reset();
      taken = job.upload.size();
      break;
    }
    taken += static_cast<std::size_t>(n);
  }
  job.upload.erase(0, taken);
  job.upload_used += taken;
  if (job.upload_ended && job.upload.empty()) job.in.reset();
  grant(job);
}

void Server::grant(Job& job) {
  if (!job.in || job.upload_ended || (job.upload_used < wire::kUploadWindow / 4 && job.upload_credit > 0)) return;
  context_.outbox.send(wire::Type::window, job.id, wire::Window{static_cast<uint32_t>(job.upload_used)});
  job.upload_credit += job.upload_used;
  job.upload_used = 0;
}

void Server::keep_leftover(Fd fd) {
  if (!fd) return;
  // Nobody holds the other end any more: nothing to take.
  pollfd probe{fd.get(), POLLIN, 0};
  if (::poll(&probe, 1, 0) == 1 && (probe.revents & POLLIN) == 0 && (probe.revents & POLLHUP) != 0) return;
  if (leftovers_.size() >= kMaxLeftovers) leftovers_.erase(leftovers_.begin());
  leftovers_.emplace(next_leftover_++, Leftover{std::move(fd), 0});
}

Shell* Server::shell_of_mark(uint64_t mark) {
  for (auto& [number, shell] : shells_) {
    if (shell->mark() == mark) return shell.get();
  }
  return nullptr;
}

// The watchdog: like the kernel's own, it kills the biggest process, as often as needed.
void Server::watch_memory(Micros at) {
  uint64_t sum = 0;
  uint64_t most = 0;
  pid_t biggest = -1;
  for (const Process& process : all_processes()) {
    if (!process.alive()) continue;
    const uint64_t own = own_memory(process.pid);
    sum += own;
    if (own > most) {
      most = own;
      biggest = process.pid;
    }
  }
  const uint64_t limit = context_.options.tree_memory;
  watch_at_ = at + (sum > limit / 5 * 4 ? kWatchPeriodNear : kWatchPeriod);
  if (sum <= limit || biggest <= 1) return;
  const uint64_t mark = mark_of(biggest);
  if (::kill(biggest, SIGKILL) != 0) return;
  ++memory_kills_;
  if (mark == 0) return;
  for (auto& [id, job] : jobs_) job->out_of_memory = job->out_of_memory || job->mark == mark;
  if (Shell* shell = shell_of_mark(mark)) shell->on_memory_kill();
}

void Server::shut_down() {
  // Whatever is there to be said, as long as somebody listens; never waiting.
  (void)context_.outbox.flush(out_);
  jobs_.clear();
  shells_.clear();
  leftovers_.clear();
  const Micros until = now() + kShutdownLimit;
  const Tree all{.root = ::getpid(), .with_root = false};
  while (now() < until) {
    if (first_process_) {
      ::kill(-1, SIGKILL);
    } else {
      kill_tree(all);
    }
    pid_t pid = 0;
    while ((pid = uninterrupted([] { return ::waitpid(-1, nullptr, WNOHANG); })) > 0) {
    }
    if (pid < 0 && errno == ECHILD) return;
    pollfd none{signals_.get(), POLLIN, 0};
    ::poll(&none, 1, 2);
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
  }
}

}  // namespace

bool Outbox::flush(int fd) {
  while (sent_ < bytes_.size()) {
    const ssize_t n = ::write(fd, bytes_.data() + sent_, bytes_.size() - sent_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) return false;
    sent_ += static_cast<std::size_t>(n);
  }
  if (sent_ == bytes_.size()) {
    bytes_.clear();
    if (bytes_.capacity() > (std::size_t{4} << 20)) std::string{}.swap(bytes_);
    sent_ = 0;
  } else if (sent_ > bytes_.size() / 2) {
    bytes_.erase(0, sent_);
    sent_ = 0;
  }
  return true;
}

void OomCounter::open() {
  for (const char* path : {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}) {
    file_ = Fd(open_file(path, O_RDONLY | O_CLOEXEC));
    if (file_) return;
  }
}

uint64_t OomCounter::read() const {
  if (!file_) return 0;
  char buffer[512];
  const ssize_t n = ::pread(file_.get(), buffer, sizeof buffer, 0);
  if (n <= 0) return 0;
  const std::string_view text(buffer, static_cast<std::size_t>(n));
  constexpr std::string_view kName = "oom_kill ";
  const std::size_t at = text.find(kName);
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = text.substr(at + kName.size());
  return parse_number(rest.substr(0, rest.find('\n'))).value_or(0);
}

}  // namespace awm::helper

int serve_main(int argc, char** argv) {
  using namespace awm::helper;
  namespace wire = awm::wire;
  std::string problem;
  auto options = parse_options(argc, argv, 2, &problem);
  if (!options) {
    std::fprintf(stderr, "awm-helper: serve: %s\nusage: %s", problem.c_str(), kServeUsage);
    return 2;
  }
  // The client's stream away from 0 and 1, which every child replaces; nothing below 3 is ever a descriptor of ours.
  const int null = open_file("/dev/null", O_RDWR | O_CLOEXEC);
  const int in = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  const int out = ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  if (null < 0 || in < 0 || out < 0) {
    std::fprintf(stderr, "awm-helper: serve: standard input, output or /dev/null: %s\n", std::strerror(errno));
    return 1;
  }
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  if (null > 2) ::close(null);
  // What the parent left open is nobody's business in here.
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != in && fd != out) ::close(fd);
  }
  ::umask(0);
  if (::chdir("/") != 0) return 1;

  wire::Failure failure;
  const auto refuse = [&] {
    std::string frame;
    if (wire::append_message(frame, wire::Type::fatal, 0, failure)) write_all(out, frame);
    return 1;
  };
  if (!drop_privileges(*options, failure)) return refuse();
  protect_from_same_uid(true);
  Server server(in, out, std::move(*options));
  if (!server.prepare(failure)) return refuse();
  return server.run();
}
