// The client of awm-helper (src/helper): requests side by side over one stream, no thread of its own.
//
// Whoever waits for an answer first reads the stream for all (leader); the others sleep until their answer was put down
// or the leader leaves. Protocol: src/helper/wire.h, docs/helper-protocol.md.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/result.h"
#include "helper/wire.h"
#include "os/stop.h"
#include "sandbox/byte_stream.h"
#include "sandbox/sandbox.h"

namespace awm {

// Thread-safe. Errors of every call: lost (the helper or its stream went away, `describe_end` says why), closed,
// stopped, timed_out.
class HelperClient {
 public:
  // `describe_end` is asked once, when the stream ended unexpectedly: what is known of the end, for people (""
  // nothing).
  HelperClient(std::unique_ptr<ByteStream> stream, const Stop* stop, std::function<std::string()> describe_end);
  ~HelperClient();

  // Waits for the helper's first frame and checks its version. Errors also: protocol.
  Result<wire::Hello> handshake(Deadline deadline);
  Result<void> setup(const std::string& prelude, const std::vector<std::string>& environment, Deadline deadline);

  // The wire's result; the caller says what it means. `on_output` as in ExecOptions (then request.stream is set here).
  Result<wire::ExecResult> exec(wire::Exec request, const std::function<bool(std::string_view)>& on_output);
  Result<wire::ShellAnswer> shell_open(const wire::ShellOpen& request);
  Result<wire::ShellAnswer> shell_run(const wire::ShellRun& request);
  Result<wire::ShellAnswer> shell_wait(const wire::ShellWait& request);
  Result<wire::ShellAnswer> shell_input(const wire::ShellInput& request);
  Result<wire::ShellAnswer> shell_interrupt(const wire::ShellInterrupt& request);

  Result<std::string> read_file(const std::string& path, std::size_t limit);
  Result<void> write_file(const std::string& path, std::string_view content, unsigned mode);
  Result<wire::FileInfo> stat(const std::string& path);
  Result<wire::ListResult> list(const std::string& path);
  Result<void> remove(const std::string& path);
  Result<wire::ArchiveResult> put(const std::string& folder, const std::function<Result<std::string>()>& next);
  Result<wire::ArchiveResult> get(const std::string& path, const std::function<Result<void>(std::string_view)>& take);

  // Calls in flight end with Errc::closed, later ones too. The helper kills everything inside. Idempotent; from any
  // thread.
  void close() noexcept;

 private:
  struct Call;
  Result<std::shared_ptr<Call>> begin(const std::string& frame, uint32_t id);
  Result<void> wait_for(Call& call, Deadline deadline, const std::function<bool()>& done);
  Result<void> send(std::string_view bytes, Deadline deadline);
  Result<void> pump(std::unique_lock<std::mutex>& lock, Deadline deadline, bool to_write);
  void dispatch(const wire::Header& header, std::string_view payload);
  void end(Error error);
  void forget(uint32_t id);
  uint32_t next_id();
  std::unexpected<Error> dead() const;
  template <class Message>
  Result<std::shared_ptr<Call>> request(wire::Type type, const Message& message);
  template <class Answer, class Message>
  Result<Answer> ask(wire::Type type, const Message& message, wire::Type answer_type, Deadline deadline,
                     std::string_view object);
  template <class Answer>
  Result<Answer> answer_of(const Call& call, wire::Type answer_type, std::string_view object);

  std::unique_ptr<ByteStream> stream_;
  const Stop* stop_;
  std::function<std::string()> describe_end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint32_t, std::shared_ptr<Call>> calls_;
  wire::FrameParser parser_;
  uint32_t last_id_ = 0;
  bool reading_ = false;  // somebody is the leader
  bool writing_ = false;  // somebody is in the middle of a frame
  bool closed_ = false;
  std::optional<Error> ended_;
};

}  // namespace awm
