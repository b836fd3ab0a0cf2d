#include "sandbox/helper_client.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "os/sys.h"

namespace awm {
namespace {

// How long an answer may be late before the helper counts as gone: it answers at once, or when the limits that it was
// given pass.
constexpr Seconds answer_grace{60};
constexpr uint32_t exec_window = 1U << 20;

Error to_error(const wire::Failure& failure, std::string_view object) {
  Error error =
      os_error(failure.operation, failure.object.empty() ? std::string(object) : failure.object, failure.number);
  if (!failure.text.empty()) error.cause = failure.text;
  error.remedy.clear();
  return error;
}

Deadline limit_of(uint32_t hard_ms, uint32_t more_ms = 0) {
  if (hard_ms == 0) return Deadline::never();
  return Deadline::in(Milliseconds(hard_ms) + Milliseconds(more_ms) +
                      std::chrono::duration_cast<Milliseconds>(answer_grace));
}

}  // namespace

// A request in flight. Guarded by the client's mutex.
struct HelperClient::Call {
  uint32_t id = 0;
  std::string pending;  // data frames not taken yet
  uint64_t window = 0;  // bytes of data that the helper still takes (put)
  bool done = false;
  wire::Type type{};    // of the final frame
  std::string payload;  // of the final frame
};

HelperClient::HelperClient(std::unique_ptr<ByteStream> stream, const Stop* stop,
                           std::function<std::string()> describe_end)
    : stream_(std::move(stream)), stop_(stop), describe_end_(std::move(describe_end)) {}

HelperClient::~HelperClient() {
  close();
}

void HelperClient::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
  }
  stream_->shutdown();
  changed_.notify_all();
}

std::unexpected<Error> HelperClient::dead() const {
  if (closed_) return fail(Errc::closed, "use", "the sandbox", "it is closed");
  return std::unexpected(*ended_);
}

void HelperClient::end(Error error) {
  if (!ended_) ended_ = std::move(error);
  changed_.notify_all();
}

uint32_t HelperClient::next_id() {
  const std::lock_guard lock(mutex_);
  do {
    if (++last_id_ == 0) ++last_id_;
  } while (calls_.contains(last_id_));
  return last_id_;
}

void HelperClient::forget(uint32_t id) {
  const std::lock_guard lock(mutex_);
  calls_.erase(id);
}

// Reads (and, where asked, waits for room to write) once. Called with the lock by one at a time; gives it away while it
// waits.
Result<void> HelperClient::pump(std::unique_lock<std::mutex>& lock, Deadline deadline, bool to_write) {
  reading_ = true;
  std::string bytes;
  bool at_end = false;
  std::optional<Error> failed;
  bool stopped = false;
  bool late = false;
  lock.unlock();
  {
    std::array<sys::PollFd, 2> set{sys::PollFd{.fd = stream_->fd(), .want_read = true, .want_write = to_write},
                                   sys::PollFd{.fd = stop_ != nullptr ? stop_->cancel_fd() : -1, .want_read = true}};
    Result<int> ready = 1;
    if (stream_->has_buffered()) {
      set[0].readable = true;
    } else {
      ready = sys::poll(set, deadline);
    }
    if (!ready) {
      failed = std::move(ready).error();
    } else if (*ready == 0) {
      late = true;
    } else if (set[1].readable) {
      stopped = true;
    } else if (set[0].readable) {
      std::array<char, std::size_t{128} << 10> piece;
      auto got = stream_->read_some(piece);
      if (!got) {
        failed = std::move(got).error();
      } else if (*got) {
        at_end = **got == 0;
        bytes.assign(piece.data(), **got);
      }
    }
  }
  // Asked for outside the lock: it looks at processes and files.
  std::string known;
  if ((at_end || failed) && describe_end_) known = describe_end_();
  lock.lock();
  reading_ = false;
  changed_.notify_all();
  if (failed || at_end) {
    std::string cause = known.empty() ? "its helper ended" : known;
    if (failed && known.empty()) cause = failed->message();
    end(Error{.code = Errc::lost, .operation = "use", .object = "the sandbox", .cause = std::move(cause)});
    return {};
  }
  if (stopped) return std::unexpected(stopped_error("use", "the sandbox"));
  if (late) return fail(Errc::timed_out, "use", "the sandbox", "its helper did not answer in time");
  if (!bytes.empty()) {
    parser_.feed(bytes);
    wire::Header header;
    std::string_view payload;
    while (parser_.next(header, payload)) dispatch(header, payload);
    if (parser_.broken()) {
      end(Error{
          .code = Errc::lost, .operation = "use", .object = "the sandbox", .cause = "its helper broke the protocol"});
    }
  }
  return {};
}

void HelperClient::dispatch(const wire::Header& header, std::string_view payload) {
  const auto type = static_cast<wire::Type>(header.type);
  if (type == wire::Type::fatal) {
    wire::Failure failure;
    Error error{.code = Errc::lost, .operation = "use", .object = "the sandbox", .cause = "its helper gave up"};
    if (wire::decode(payload, failure)) error.cause = to_error(failure, "").message();
    end(std::move(error));
    return;
  }
  const auto it = calls_.find(header.id);
  if (it == calls_.end()) return;  // of a caller that did not wait
  Call& call = *it->second;
  if (type == wire::Type::data) {
    call.pending += payload;
    // More than the window: a helper that does not keep the protocol must not fill our memory.
    if (call.pending.size() > exec_window + wire::kMaxData) {
      end(Error{.code = Errc::lost,
                .operation = "use",
                .object = "the sandbox",
                .cause = "its helper sent more than was asked for"});
    }
    return;
  }
  if (type == wire::Type::window) {
    wire::Window window;
    if (wire::decode(payload, window)) call.window += window.add;
    return;
  }
  call.done = true;
  call.type = type;
  call.payload = payload;
}

// Sends whole frames; the answers of others are read meanwhile, so that neither side waits for the other.
Result<void> HelperClient::send(std::string_view bytes, Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !writing_ || closed_ || ended_; });
  if (closed_ || ended_) return dead();
  writing_ = true;
  Result<void> result;
  while (!bytes.empty()) {
    if (closed_ || ended_) {
      result = dead();
      break;
    }
    auto sent = stream_->write_some(bytes);
    if (!sent) {
      end(Error{.code = Errc::lost, .operation = "use", .object = "the sandbox", .cause = sent.error().message()});
      result = dead();
      break;
    }
    if (*sent) {
      bytes.remove_prefix(**sent);
      continue;
    }
    if (!reading_) {
      result = pump(lock, deadline, true);
    } else {
      lock.unlock();
      std::array<sys::PollFd, 2> set{sys::PollFd{.fd = stream_->fd(), .want_write = true},
                                     sys::PollFd{.fd = stop_ != nullptr ? stop_->cancel_fd() : -1, .want_read = true}};
      const auto ready = sys::poll(set, deadline);
      lock.lock();
      if (!ready) {
        result = std::unexpected(ready.error());
      } else if (*ready == 0) {
        result = fail(Errc::timed_out, "use", "the sandbox", "its helper does not read");
      } else if (set[1].readable) {
        result = std::unexpected(stopped_error("use", "the sandbox"));
      }
    }
    if (!result) {
      // Half a frame is out: nothing can follow it.
      end(result.error());
      break;
    }
  }
  writing_ = false;
  changed_.notify_all();
  return result;
}

Result<void> HelperClient::wait_for(Call& call, Deadline deadline, const std::function<bool()>& done) {
  std::unique_lock lock(mutex_);
  while (!done()) {
    if (closed_ || ended_) return dead();
    if (reading_) {
      if (deadline.is_never()) {
        changed_.wait(lock);
      } else if (changed_.wait_until(lock, deadline.when()) == std::cv_status::timeout && !done()) {
        return fail(Errc::timed_out, "use", "the sandbox", "its helper did not answer in time");
      }
      continue;
    }
    AWM_CHECK(pump(lock, deadline, false));
  }
  (void)call;
  return {};
}

Result<std::shared_ptr<HelperClient::Call>> HelperClient::begin(const std::string& frame, uint32_t id) {
  auto call = std::make_shared<Call>();
  call->id = id;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || ended_) return dead();
    calls_.emplace(id, call);
  }
  if (auto sent = send(frame, Deadline::in(answer_grace)); !sent) {
    forget(id);
    return std::unexpected(std::move(sent).error());
  }
  return call;
}

template <class Message>
Result<std::shared_ptr<HelperClient::Call>> HelperClient::request(wire::Type type, const Message& message) {
  const auto id = next_id();
  std::string frame;
  if (!wire::append_message(frame, type, id, message)) {
    return fail(Errc::invalid_input, "use", "the sandbox", "the request is larger than 8 MB",
                "hand large inputs over in files");
  }
  return begin(frame, id);
}

template <class Answer>
Result<Answer> HelperClient::answer_of(const Call& call, wire::Type answer_type, std::string_view object) {
  if (call.type == wire::Type::error) {
    wire::Failure failure;
    if (wire::decode(call.payload, failure)) return std::unexpected(to_error(failure, object));
  } else if (call.type == answer_type) {
    Answer answer;
    if constexpr (std::is_same_v<Answer, std::monostate>) {
      return answer;
    } else {
      if (wire::decode(call.payload, answer)) return answer;
    }
  }
  return fail(Errc::lost, "use", "the sandbox", "its helper answered what was not asked");
}

template <class Answer, class Message>
Result<Answer> HelperClient::ask(wire::Type type, const Message& message, wire::Type answer_type, Deadline deadline,
                                 std::string_view object) {
  AWM_TRY(const auto call, request(type, message));
  auto waited = wait_for(*call, deadline, [&] { return call->done; });
  forget(call->id);
  if (!waited) return std::unexpected(std::move(waited).error());
  return answer_of<Answer>(*call, answer_type, object);
}

Result<wire::Hello> HelperClient::handshake(Deadline deadline) {
  auto call = std::make_shared<Call>();
  {
    const std::lock_guard lock(mutex_);
    calls_.emplace(0, call);
  }
  auto waited = wait_for(*call, deadline, [&] { return call->done; });
  forget(0);
  if (!waited) return std::unexpected(std::move(waited).error());
  wire::Hello hello;
  if (call->type != wire::Type::hello || !wire::decode(call->payload, hello) || hello.magic != wire::kMagic) {
    return fail(Errc::protocol, "start", "the sandbox", "what answers in it is not awm-helper");
  }
  if (hello.version != wire::kVersion) {
    return fail(Errc::protocol, "start", "the sandbox",
                "its awm-helper speaks protocol " + std::to_string(hello.version) + ", awm speaks " +
                    std::to_string(wire::kVersion),
                "use the awm-helper of the same build");
  }
  return hello;
}

Result<void> HelperClient::setup(const std::string& prelude, const std::vector<std::string>& environment,
                                 Deadline deadline) {
  const wire::Setup message{.prelude = prelude, .environment = environment};
  AWM_CHECK(ask<std::monostate>(wire::Type::setup, message, wire::Type::ok, deadline, "the environment set-up"));
  return {};
}

Result<wire::ExecResult> HelperClient::exec(wire::Exec message,
                                            const std::function<bool(std::string_view)>& on_output) {
  message.stream = static_cast<bool>(on_output);
  message.window = exec_window;
  const auto deadline = limit_of(message.hard_ms, message.grace_ms);
  AWM_TRY(const auto call, request(wire::Type::exec, message));
  Result<void> result;
  bool cancelled = false;
  while (result) {
    std::string piece;
    result = wait_for(*call, deadline, [&] { return call->done || !call->pending.empty(); });
    if (!result) break;
    bool done = false;
    {
      const std::lock_guard lock(mutex_);
      piece.swap(call->pending);
      done = call->done;
    }
    if (!piece.empty() && !cancelled && on_output && !on_output(piece)) {
      cancelled = true;
      std::string frame;
      wire::append_frame(frame, wire::Type::cancel, call->id);
      result = send(frame, Deadline::in(answer_grace));
    }
    if (done) break;
    if (!piece.empty() && result) {
      std::string frame;
      if (wire::append_message(frame, wire::Type::window, call->id,
                               wire::Window{.add = static_cast<uint32_t>(piece.size())})) {
        result = send(frame, Deadline::in(answer_grace));
      }
    }
  }
  forget(call->id);
  if (!result) return std::unexpected(std::move(result).error());
  return answer_of<wire::ExecResult>(*call, wire::Type::exec_result, message.argv.empty() ? "" : message.argv.front());
}

Result<wire::ShellAnswer> HelperClient::shell_open(const wire::ShellOpen& message) {
  return ask<wire::ShellAnswer>(wire::Type::shell_open, message, wire::Type::shell_answer, limit_of(message.hard_ms),
                                "the shell");
}
Result<wire::ShellAnswer> HelperClient::shell_run(const wire::ShellRun& message) {
  return ask<wire::ShellAnswer>(wire::Type::shell_run, message, wire::Type::shell_answer, Deadline::never(),
                                "the shell");
}
Result<wire::ShellAnswer> HelperClient::shell_wait(const wire::ShellWait& message) {
  return ask<wire::ShellAnswer>(wire::Type::shell_wait, message, wire::Type::shell_answer, Deadline::never(),
                                "the shell");
}
Result<wire::ShellAnswer> HelperClient::shell_input(const wire::ShellInput& message) {
  return ask<wire::ShellAnswer>(wire::Type::shell_input, message, wire::Type::shell_answer, Deadline::never(),
                                "the shell");
}
Result<wire::ShellAnswer> HelperClient::shell_interrupt(const wire::ShellInterrupt& message) {
  return ask<wire::ShellAnswer>(wire::Type::shell_interrupt, message, wire::Type::shell_answer, Deadline::never(),
                                "the shell");
}

Result<std::string> HelperClient::read_file(const std::string& path, std::size_t limit) {
  std::string content;
  for (;;) {
    const wire::Read message{.path = path, .offset = content.size()};
    AWM_TRY(auto piece, ask<wire::ReadResult>(wire::Type::read, message, wire::Type::read_result,
                                              Deadline::in(answer_grace), path));
    content += piece.bytes;
    if (content.size() > limit) {
      return fail(Errc::exhausted, "read", path, "has more than the " + std::to_string(limit) + " bytes allowed");
    }
    if (piece.end || piece.bytes.empty()) return content;
  }
}

Result<void> HelperClient::write_file(const std::string& path, std::string_view content, unsigned mode) {
  bool first = true;
  do {
    const auto piece = content.substr(0, wire::kMaxText);
    content.remove_prefix(piece.size());
    // Atomic where it is one piece; a larger file is made of several.
    const wire::Write message{.path = path,
                              .bytes = std::string(piece),
                              .mode = mode,
                              .parents = true,
                              .append = !first,
                              .atomic = first && content.empty()};
    AWM_CHECK(ask<std::monostate>(wire::Type::write, message, wire::Type::ok, Deadline::in(answer_grace), path));
    first = false;
  } while (!content.empty());
  return {};
}

Result<wire::FileInfo> HelperClient::stat(const std::string& path) {
  return ask<wire::FileInfo>(wire::Type::stat, wire::Stat{.path = path}, wire::Type::stat_result,
                             Deadline::in(answer_grace), path);
}

Result<wire::ListResult> HelperClient::list(const std::string& path) {
  return ask<wire::ListResult>(wire::Type::list, wire::List{.path = path}, wire::Type::list_result,
                               Deadline::in(answer_grace), path);
}

Result<void> HelperClient::remove(const std::string& path) {
  const wire::Remove message{.path = path, .recursive = true, .missing_ok = true};
  AWM_CHECK(ask<std::monostate>(wire::Type::remove, message, wire::Type::ok, Deadline::in(answer_grace), path));
  return {};
}

Result<wire::ArchiveResult> HelperClient::put(const std::string& folder,
                                              const std::function<Result<std::string>()>& next) {
  AWM_TRY(const auto call, request(wire::Type::put, wire::Put{.folder = folder, .parents = true}));
  uint64_t room = wire::kUploadWindow;
  const auto run_it = [&]() -> Result<void> {
    for (;;) {
      AWM_TRY(const auto piece, next());
      if (piece.empty()) break;
      std::string_view rest = piece;
      while (!rest.empty()) {
        AWM_CHECK(wait_for(*call, Deadline::in(answer_grace), [&] {
          room += std::exchange(call->window, 0);
          return call->done || room > 0;
        }));
        {
          const std::lock_guard lock(mutex_);
          if (call->done) return {};
        }
        const auto part = rest.substr(0, static_cast<std::size_t>(std::min<uint64_t>(room, wire::kMaxData)));
        std::string frame;
        wire::append_frame(frame, wire::Type::data, call->id, part);
        AWM_CHECK(send(frame, Deadline::in(answer_grace)));
        room -= part.size();
        rest.remove_prefix(part.size());
      }
    }
    std::string frame;
    wire::append_frame(frame, wire::Type::end, call->id);
    AWM_CHECK(send(frame, Deadline::in(answer_grace)));
    return wait_for(*call, Deadline::in(Seconds(600)), [&] { return call->done; });
  };
  auto done = run_it();
  forget(call->id);
  if (!done) return std::unexpected(std::move(done).error());
  return answer_of<wire::ArchiveResult>(*call, wire::Type::archive_result, folder);
}

Result<wire::ArchiveResult> HelperClient::get(const std::string& path,
                                              const std::function<Result<void>(std::string_view)>& take) {
  AWM_TRY(const auto call, request(wire::Type::get, wire::Get{.path = path, .name = "", .window = exec_window}));
  const auto run_it = [&]() -> Result<void> {
    for (;;) {
      AWM_CHECK(wait_for(*call, Deadline::in(answer_grace), [&] { return call->done || !call->pending.empty(); }));
      std::string piece;
      bool done = false;
      {
        const std::lock_guard lock(mutex_);
        piece.swap(call->pending);
        done = call->done;
      }
      if (!piece.empty()) AWM_CHECK(take(piece));
      if (done) return {};
      std::string frame;
      if (wire::append_message(frame, wire::Type::window, call->id,
                               wire::Window{.add = static_cast<uint32_t>(piece.size())})) {
        AWM_CHECK(send(frame, Deadline::in(answer_grace)));
      }
    }
  };
  auto done = run_it();
  if (!done) {
    std::string frame;
    wire::append_frame(frame, wire::Type::cancel, call->id);
    (void)send(frame, Deadline::in(Seconds(5)));
  }
  forget(call->id);
  if (!done) return std::unexpected(std::move(done).error());
  return answer_of<wire::ArchiveResult>(*call, wire::Type::archive_result, path);
}

}  // namespace awm
