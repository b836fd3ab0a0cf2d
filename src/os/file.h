// Whole files, safely: read with a bound, replaced atomically, appended with a sync, folders made and removed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/sys.h"

namespace awm {

// The whole file; exhausted when it is larger than `limit` bytes.
Result<std::string> read_file(const std::string& path, uint64_t limit = uint64_t{1} << 30);
// Replaces `path`: written beside, fsynced when durable, renamed; readers see the old or the new, never half.
Result<void> write_file(const std::string& path, std::string_view content, bool durable = false, unsigned mode = 0644);
// Plain write without rename or sync: for new files nobody reads yet.
Result<void> write_new_file(const std::string& path, std::string_view content, unsigned mode = 0644);
Result<void> make_folders(const std::string& path);  // mkdir -p; existing is fine
// rm -rf that does not follow links; not_found is fine. Goes on after a failure and returns the first.
Result<void> remove_tree(const std::string& path);
// False where there is none, or none that this process may reach; true where that cannot be said (no memory, …): what
// is done with it then fails and says why, and nothing is taken for absent.
bool exists(const std::string& path);
bool is_folder(const std::string& path);
std::string join_path(std::string_view folder, std::string_view name);
std::string parent_path(std::string_view path);
std::string file_name(std::string_view path);
// Absolute, with "." and ".." folded by text alone; "~/" becomes $HOME.
Result<std::string> absolute_path(std::string_view path);
// $XDG_CACHE_HOME/awm or $HOME/.cache/awm; made when missing.
Result<std::string> cache_folder();
// $TMPDIR or /tmp.
std::string temp_root();

// Reads a file line by line with bounded memory. Lines without their end; a line over `max_line` bytes is an error
// naming its number.
class LineReader {
 public:
  static Result<LineReader> open(const Scope& scope, const std::string& path,
                                 std::size_t max_line = std::size_t{64} << 20);
  // The next line, or nullopt at the end of the file. The view holds until the next call.
  Result<std::optional<std::string_view>> next();
  [[nodiscard]] uint64_t line_number() const { return line_; }  // of the last line returned, from 1
  // False when the last line returned had no line end: perhaps torn.
  [[nodiscard]] bool ended_with_newline() const { return newline_; }
  // Byte offset just behind the last line returned.
  [[nodiscard]] uint64_t offset() const { return offset_; }

 private:
  LineReader() = default;
  UniqueFd fd_;
  std::string path_;
  std::string buffer_;
  std::size_t start_ = 0;
  std::size_t max_line_ = 0;
  uint64_t line_ = 0;
  uint64_t offset_ = 0;
  bool newline_ = true;
  bool eof_ = false;
};

// An append-only file. One descriptor. Not thread-safe.
class AppendFile {
 public:
  AppendFile() = default;
  static Result<AppendFile> open(const Scope& scope, const std::string& path, unsigned mode = 0644);
  Result<void> append(std::string_view bytes, sys::Where at = sys::Where::current());
  Result<void> sync(sys::Where at = sys::Where::current());  // fdatasync
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_open() const { return static_cast<bool>(fd_); }
  void close() noexcept { fd_.reset(); }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::string path_;
};

// A folder of our own below temp_root(), on the ledger, removed by close() or the destructor.
class TempFolder {
 public:
  TempFolder() = default;
  static Result<TempFolder> create(const Scope& scope, std::string_view prefix, const std::string& root = temp_root(),
                                   std::source_location birth = std::source_location::current());
  TempFolder(TempFolder&&) noexcept = default;
  TempFolder& operator=(TempFolder&&) noexcept;
  ~TempFolder() { (void)close(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  Result<void> close() noexcept;

 private:
  std::string path_;
  Ledger::Token token_;
};

}  // namespace awm
