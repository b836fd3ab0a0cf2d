#include "sandbox/helper_sandbox.h"

#include <cerrno>
#include <limits>

namespace awm {
namespace {

constexpr uint32_t shell_number = 1;

uint32_t to_ms(Seconds seconds) {
  if (seconds.count() <= 0) return 0;
  const double ms = seconds.count() * 1000;
  if (ms >= static_cast<double>(std::numeric_limits<uint32_t>::max())) return std::numeric_limits<uint32_t>::max();
  return std::max<uint32_t>(1, static_cast<uint32_t>(ms));
}

ExitStatus status_of(wire::End end, int32_t code, bool out_of_memory) {
  switch (end) {
    case wire::End::exited:
      return ExitStatus::exited(code);
    case wire::End::signalled:
      return out_of_memory ? ExitStatus::out_of_memory() : ExitStatus::signalled(code);
    case wire::End::hard_timeout:
      return ExitStatus::timed_out();
    case wire::End::quiet_timeout:
      return ExitStatus::went_quiet();
    case wire::End::cancelled:
      return ExitStatus::signalled(9);
    case wire::End::not_started:
      return ExitStatus::exited(code == ENOENT ? 127 : 126);
  }
  return ExitStatus::lost();
}

SandboxFileInfo info_of(const wire::FileInfo& info) {
  SandboxFileInfo out{.size = info.size, .mode = info.mode, .modified_s = info.modified_s};
  switch (info.type) {
    case wire::FileType::file:
      out.type = SandboxFileInfo::Type::file;
      break;
    case wire::FileType::folder:
      out.type = SandboxFileInfo::Type::folder;
      break;
    case wire::FileType::link:
      out.type = SandboxFileInfo::Type::link;
      break;
    case wire::FileType::other:
      out.type = SandboxFileInfo::Type::other;
      break;
  }
  return out;
}

wire::ShellWait wait_of(const ShellOptions& options) {
  return {.shell = shell_number,
          .soft_quiet_ms = to_ms(options.soft_quiet_limit),
          .soft_total_ms = 0,
          .hard_ms = to_ms(options.hard_limit),
          .keep = static_cast<uint32_t>(std::min<std::size_t>(options.keep, wire::kMaxKeep))};
}

}  // namespace

std::vector<std::string> bash(std::string_view text) {
  return {"bash", "-c", std::string(text)};
}

Result<void> HelperSandbox::start_client(std::unique_ptr<ByteStream> stream, const Stop* stop,
                                         std::function<std::string()> describe_end, const std::string& env_setup,
                                         const std::vector<std::string>& environment, Deadline deadline) {
  auto made = std::make_shared<HelperClient>(std::move(stream), stop, std::move(describe_end));
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return fail(Errc::closed, "start", "the sandbox", "it is closed");
    client_ = made;
  }
  AWM_TRY(const auto hello, made->handshake(deadline));
  facts_.architecture = hello.architecture;
  facts_.uid = hello.uid;
  facts_.notes = hello.notes;
  facts_.has_bash = !hello.bash.empty();
  facts_.has_git = !hello.git.empty();
  facts_.shell = facts_.has_bash ? hello.bash : hello.sh;
  return made->setup(env_setup, environment, deadline);
}

Result<void> HelperSandbox::set_up(const std::string& env_setup, const std::vector<std::string>& environment,
                                   Deadline deadline) {
  AWM_TRY(const auto helper, client());
  return helper->setup(env_setup, environment, deadline);
}

void HelperSandbox::end_client() noexcept {
  std::shared_ptr<HelperClient> ending;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    ending = std::move(client_);
    client_ = nullptr;
  }
  if (ending) ending->close();
}

Result<std::shared_ptr<HelperClient>> HelperSandbox::client() {
  const std::lock_guard lock(mutex_);
  if (ended_) return fail(Errc::closed, "use", "the sandbox", "it is closed");
  if (!client_) return fail(Errc::closed, "use", "the sandbox", "it is not connected");
  return client_;
}

Result<ExecResult> HelperSandbox::exec(std::span<const std::string> argv, const ExecOptions& options) {
  AWM_TRY(const auto helper, client());
  wire::Exec message;
  message.argv.assign(argv.begin(), argv.end());
  message.folder = options.folder;
  message.environment = options.environment;
  message.input = options.input;
  message.hard_ms = to_ms(options.hard_limit);
  message.quiet_ms = to_ms(options.quiet_limit);
  message.keep = static_cast<uint32_t>(std::min<std::size_t>(options.keep, wire::kMaxKeep));
  const bool is_shell_text =
      argv.size() >= 3 && (argv[0] == "bash" || argv[0] == "sh" || argv[0].ends_with("/bash")) && argv[1] == "-c";
  message.with_setup = options.with_env_setup && is_shell_text;
  message.sh_instead = is_shell_text;
  const auto kills_before = memory_kills();
  AWM_TRY(auto answer, helper->exec(std::move(message), options.on_output));
  ExecResult result;
  const bool killed = answer.end == wire::End::signalled && answer.code == 9;
  result.status = status_of(answer.end, answer.code, killed && (answer.out_of_memory || memory_kills() > kills_before));
  result.output = std::move(answer.out.bytes);
  if (answer.end == wire::End::not_started) {
    result.output = answer.failure.operation + " " + answer.failure.object + ": " + answer.failure.text + "\n";
    if (options.on_output) options.on_output(result.output);
  }
  result.omitted_bytes = answer.out.omitted;
  result.omitted_at = answer.out.omitted_at;
  result.duration = Seconds(static_cast<double>(answer.micros) / 1e6);
  return result;
}

Result<void> HelperSandbox::open_shell() {
  {
    const std::lock_guard lock(mutex_);
    if (shell_open_) return {};
  }
  AWM_TRY(const auto helper, client());
  AWM_CHECK(helper->shell_open({.shell = shell_number, .folder = working_folder_, .environment = {}}));
  const std::lock_guard lock(mutex_);
  shell_open_ = true;
  return {};
}

ShellResult HelperSandbox::to_result(wire::ShellAnswer answer, uint64_t kills_before) {
  ShellResult result;
  result.finished = answer.finished;
  result.status = status_of(answer.end, answer.code, false);
  // The shell outlives a command that was killed for memory: $? is 137 then.
  if (answer.finished && answer.code == 137 && (answer.out_of_memory || memory_kills() > kills_before))
    result.status = ExitStatus::out_of_memory();
  result.restarted = answer.restarted;
  result.output = std::move(answer.earlier) + std::move(answer.out.bytes);
  result.omitted_bytes = answer.out.omitted;
  result.omitted_at = answer.out.omitted_at;
  result.folder = std::move(answer.folder);
  result.duration = Seconds(static_cast<double>(answer.micros) / 1e6);
  return result;
}

Result<ShellResult> HelperSandbox::shell_run(std::string_view text, const ShellOptions& options) {
  AWM_CHECK(open_shell());
  AWM_TRY(const auto helper, client());
  const auto kills = memory_kills();
  wire::ShellRun message;
  message.shell = shell_number;
  message.text = text;
  message.soft_quiet_ms = to_ms(options.soft_quiet_limit);
  message.hard_ms = to_ms(options.hard_limit);
  message.keep = static_cast<uint32_t>(std::min<std::size_t>(options.keep, wire::kMaxKeep));
  AWM_TRY(auto answer, helper->shell_run(message));
  return to_result(std::move(answer), kills);
}

Result<ShellResult> HelperSandbox::shell_continue(const ShellOptions& options) {
  AWM_CHECK(open_shell());
  AWM_TRY(const auto helper, client());
  const auto kills = memory_kills();
  AWM_TRY(auto answer, helper->shell_wait(wait_of(options)));
  return to_result(std::move(answer), kills);
}

Result<ShellResult> HelperSandbox::shell_input(std::string_view bytes, const ShellOptions& options) {
  AWM_CHECK(open_shell());
  AWM_TRY(const auto helper, client());
  const auto kills = memory_kills();
  AWM_TRY(auto answer, helper->shell_input({.wait = wait_of(options), .bytes = std::string(bytes)}));
  return to_result(std::move(answer), kills);
}

Result<ShellResult> HelperSandbox::shell_interrupt(const ShellOptions& options) {
  AWM_CHECK(open_shell());
  AWM_TRY(const auto helper, client());
  const auto kills = memory_kills();
  AWM_TRY(auto answer, helper->shell_interrupt({.wait = wait_of(options)}));
  return to_result(std::move(answer), kills);
}

Result<std::string> HelperSandbox::read_file(const std::string& path, std::size_t limit) {
  AWM_TRY(const auto helper, client());
  return helper->read_file(path, limit);
}

Result<void> HelperSandbox::write_file(const std::string& path, std::string_view content, unsigned mode) {
  AWM_TRY(const auto helper, client());
  return helper->write_file(path, content, mode);
}

Result<SandboxFileInfo> HelperSandbox::stat(const std::string& path) {
  AWM_TRY(const auto helper, client());
  AWM_TRY(const auto info, helper->stat(path));
  return info_of(info);
}

Result<std::vector<FolderEntry>> HelperSandbox::list(const std::string& path) {
  AWM_TRY(const auto helper, client());
  AWM_TRY(const auto listed, helper->list(path));
  std::vector<FolderEntry> entries;
  entries.reserve(listed.entries.size());
  for (const auto& entry : listed.entries) entries.push_back({.name = entry.name, .info = info_of(entry.info)});
  return entries;
}

Result<void> HelperSandbox::remove(const std::string& path) {
  AWM_TRY(const auto helper, client());
  return helper->remove(path);
}

Result<void> HelperSandbox::put_archive(const std::string& folder, const std::function<Result<std::string>()>& next) {
  AWM_TRY(const auto helper, client());
  AWM_CHECK(helper->put(folder, next));
  return {};
}

Result<void> HelperSandbox::get_archive(const std::string& path,
                                        const std::function<Result<void>(std::string_view)>& take) {
  AWM_TRY(const auto helper, client());
  AWM_CHECK(helper->get(path, take));
  return {};
}

}  // namespace awm
