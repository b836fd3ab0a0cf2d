// A sandbox of files in memory and of commands that a test answers: for what must be seen exactly, and for failures
// that a real one does not have on demand.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace awm::testing {

class FakeSandbox final : public Sandbox {
 public:
  struct File {
    std::string content;
    unsigned mode = 0644;
  };
  // What the test sees and sets.
  std::map<std::string, File> files;
  std::set<std::string> unwritable;
  std::optional<Error> failure;  // every call ends with it
  std::optional<Error> connect_failure;
  std::vector<Error> close_problems;
  int connects = 0;
  int closes = 0;
  std::vector<std::string> log;  // "run ls", "continue", "input y\n", "interrupt", "exec ls"
  std::function<Result<ShellResult>(const std::string& what, const ShellOptions&)> shell =
      [](const std::string&, const ShellOptions&) { return ShellResult{.status = ExitStatus::exited(0)}; };
  std::function<Result<ExecResult>(const std::string& command, const ExecOptions&)> command =
      [](const std::string&, const ExecOptions&) { return ExecResult{.status = ExitStatus::exited(0)}; };
  std::vector<ExecOptions> exec_options;
  std::vector<ShellOptions> shell_options;

  Result<void> connect(Deadline) override {
    ++connects;
    if (connect_failure) return std::unexpected(*connect_failure);
    return {};
  }
  [[nodiscard]] const SandboxFacts& facts() const override { return facts_; }

  Result<ExecResult> exec(std::span<const std::string> argv, const ExecOptions& options) override {
    log.push_back("exec " + argv.back());
    exec_options.push_back(options);
    if (failure) return std::unexpected(*failure);
    return command(argv.back(), options);
  }
  Result<ShellResult> shell_run(std::string_view text, const ShellOptions& options) override {
    return shell_call("run " + std::string(text), options);
  }
  Result<ShellResult> shell_continue(const ShellOptions& options) override { return shell_call("continue", options); }
  Result<ShellResult> shell_input(std::string_view bytes, const ShellOptions& options) override {
    return shell_call("input " + std::string(bytes), options);
  }
  Result<ShellResult> shell_interrupt(const ShellOptions& options) override { return shell_call("interrupt", options); }

  Result<std::string> read_file(const std::string& path, std::size_t limit) override {
    if (failure) return std::unexpected(*failure);
    const auto file = files.find(path);
    if (file == files.end()) return fail(Errc::not_found, "read", path, "no such file");
    if (file->second.content.size() > limit) return fail(Errc::exhausted, "read", path, "too large");
    return file->second.content;
  }
  Result<void> write_file(const std::string& path, std::string_view content, unsigned mode) override {
    if (failure) return std::unexpected(*failure);
    if (unwritable.contains(path)) return fail(Errc::permission, "write", path, "permission denied");
    files[path] = {std::string(content), mode};
    return {};
  }
  Result<SandboxFileInfo> stat(const std::string& path) override {
    if (failure) return std::unexpected(*failure);
    SandboxFileInfo info;
    if (const auto file = files.find(path); file != files.end()) {
      info.type = SandboxFileInfo::Type::file;
      info.size = file->second.content.size();
      info.mode = file->second.mode;
      return info;
    }
    if (!is_folder(path)) return fail(Errc::not_found, "stat", path, "no such file or directory");
    info.type = SandboxFileInfo::Type::folder;
    info.mode = 0755;
    return info;
  }
  Result<std::vector<FolderEntry>> list(const std::string& path) override {
    if (failure) return std::unexpected(*failure);
    if (!is_folder(path)) return fail(Errc::not_found, "list", path, "no such directory");
    std::map<std::string, FolderEntry> entries;
    const std::string prefix = path == "/" ? "/" : path + "/";
    for (const auto& [name, file] : files) {
      if (!name.starts_with(prefix)) continue;
      const std::string rest = name.substr(prefix.size());
      const std::string first = rest.substr(0, rest.find('/'));
      auto info = stat(prefix + first);
      if (info) entries[first] = {.name = first, .info = *info};
    }
    std::vector<FolderEntry> list;
    for (auto it = entries.rbegin(); it != entries.rend(); ++it) list.push_back(it->second);  // in no helpful order
    return list;
  }
  Result<void> remove(const std::string& path) override {
    files.erase(path);
    return {};
  }
  Result<void> put_archive(const std::string&, const std::function<Result<std::string>()>&) override { return {}; }
  Result<void> get_archive(const std::string&, const std::function<Result<void>(std::string_view)>&) override {
    return {};
  }
  ReleaseReport close() noexcept override {
    ++closes;
    return {.problems = close_problems};
  }

 private:
  Result<ShellResult> shell_call(const std::string& what, const ShellOptions& options) {
    log.push_back(what);
    shell_options.push_back(options);
    if (failure) return std::unexpected(*failure);
    return shell(what, options);
  }
  [[nodiscard]] bool is_folder(const std::string& path) const {
    if (path == "/") return true;
    const auto next = files.lower_bound(path + "/");
    return next != files.end() && next->first.starts_with(path + "/");
  }

  SandboxFacts facts_{.architecture = "x86_64", .kind = "local", .has_bash = true, .has_git = true, .shell = "bash"};
};

}  // namespace awm::testing
