// What every sandbox with a helper in it has in common: commands, shell, files, archives over one HelperClient. How the
// helper gets there, and how all is given back, is the derived class's.
#pragma once

#include <memory>
#include <mutex>

#include "sandbox/helper_client.h"
#include "sandbox/sandbox.h"

namespace awm {

class HelperSandbox : public Sandbox {
 public:
  [[nodiscard]] const SandboxFacts& facts() const override { return facts_; }
  Result<ExecResult> exec(std::span<const std::string> argv, const ExecOptions& options) override;
  Result<ShellResult> shell_run(std::string_view text, const ShellOptions& options) override;
  Result<ShellResult> shell_continue(const ShellOptions& options) override;
  Result<ShellResult> shell_input(std::string_view bytes, const ShellOptions& options) override;
  Result<ShellResult> shell_interrupt(const ShellOptions& options) override;
  Result<std::string> read_file(const std::string& path, std::size_t limit) override;
  Result<void> write_file(const std::string& path, std::string_view content, unsigned mode) override;
  Result<SandboxFileInfo> stat(const std::string& path) override;
  Result<std::vector<FolderEntry>> list(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> put_archive(const std::string& folder, const std::function<Result<std::string>()>& next) override;
  Result<void> get_archive(const std::string& path, const std::function<Result<void>(std::string_view)>& take) override;

 protected:
  // Takes the stream over, greets the helper, fills in the facts that it knows, and hands the set-up over.
  Result<void> start_client(std::unique_ptr<ByteStream> stream, const Stop* stop,
                            std::function<std::string()> describe_end, const std::string& env_setup,
                            const std::vector<std::string>& environment, Deadline deadline);
  // Hands another set-up over, in place of the first.
  Result<void> set_up(const std::string& env_setup, const std::vector<std::string>& environment, Deadline deadline);
  // Ends the client; calls in flight return Errc::closed.
  void end_client() noexcept;
  // How often the kernel has killed something of this sandbox for memory, where that is known outside; else 0.
  virtual uint64_t memory_kills() { return 0; }

  SandboxFacts facts_;
  std::string working_folder_ = "/testbed";  // of the shell at its start

 private:
  Result<std::shared_ptr<HelperClient>> client();
  Result<void> open_shell();
  ShellResult to_result(wire::ShellAnswer answer, uint64_t kills_before);

  std::mutex mutex_;
  std::shared_ptr<HelperClient> client_;
  bool ended_ = false;
  bool shell_open_ = false;
};

}  // namespace awm
