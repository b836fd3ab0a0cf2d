#include "os/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace awm {
namespace {
const Scope& file_scope() {
  static const Scope scope("process/file");
  return scope;
}
}  // namespace

Result<std::string> read_file(const std::string& path, uint64_t limit) {
  AWM_TRY(const auto fd, sys::open(file_scope(), path, sys::Open::read));
  AWM_TRY(const auto info, sys::fstat(fd.get()));
  if (info.type == sys::FileInfo::Type::folder) return fail(Errc::invalid_input, "read", path, "is a folder");
  if (info.size > limit) {
    return fail(Errc::exhausted, "read", path,
                "has " + std::to_string(info.size) + " bytes, more than the " + std::to_string(limit) + " allowed");
  }
  std::string content;
  content.resize(info.size);
  std::size_t have = 0;
  for (;;) {
    if (have == content.size()) content.resize(content.size() + std::max<std::size_t>(4096, content.size() / 2));
    auto got = sys::read(fd.get(), content.data() + have, content.size() - have);
    if (!got) {
      got.error().object = path;
      return std::unexpected(std::move(got).error());
    }
    have += *got;
    if (have > limit)
      return fail(Errc::exhausted, "read", path, "has more than the " + std::to_string(limit) + " bytes allowed");
    if (*got == 0) break;
  }
  content.resize(have);
  return content;
}

Result<void> write_file(const std::string& path, std::string_view content, bool durable, unsigned mode) {
  const std::string beside = path + ".tmp-" + std::to_string(sys::pid()) + "-" + sys::random_hex(4);
  const auto run = [&]() -> Result<void> {
    AWM_TRY(auto fd, sys::open(file_scope(), beside, sys::Open::write_new, mode));
    AWM_CHECK(sys::write_all(fd.get(), content));
    if (durable) AWM_CHECK(sys::fsync(fd.get()));
    fd.reset();
    AWM_CHECK(sys::rename(beside, path));
    if (durable) {
      AWM_TRY(const auto folder, sys::open(file_scope(), parent_path(path), sys::Open::folder));
      AWM_CHECK(sys::fsync(folder.get()));
    }
    return {};
  };
  auto done = run();
  if (!done) {
    (void)sys::unlink(beside);
    if (done.error().object.starts_with("descriptor ")) done.error().object = path;
  }
  return done;
}

Result<void> write_new_file(const std::string& path, std::string_view content, unsigned mode) {
  AWM_TRY(const auto fd, sys::open(file_scope(), path, sys::Open::write_truncate, mode));
  auto done = sys::write_all(fd.get(), content);
  if (!done) done.error().object = path;
  return done;
}

Result<void> make_folders(const std::string& path) {
  if (path.empty() || is_folder(path)) return {};
  const auto parent = parent_path(path);
  if (parent != path && parent != ".") AWM_CHECK(make_folders(parent));
  if (auto made = sys::mkdir(path); !made && !(made.error().os_errno == EEXIST && is_folder(path))) return made;
  return {};
}

Result<void> remove_tree(const std::string& path) {
  const auto info = sys::lstat(path);
  if (!info) {
    if (info.error().code == Errc::not_found) return {};
    return std::unexpected(info.error());
  }
  if (info->type != sys::FileInfo::Type::folder) {
    auto gone = sys::unlink(path);
    if (!gone && gone.error().code == Errc::not_found) return {};
    return gone;
  }
  std::optional<Error> first;
  // A folder without permissions (overlay's work folder, a test's doing) is opened up first; it is ours to remove.
  if ((info->mode & 0700U) != 0700U) (void)sys::chmod(path, info->mode | 0700U);
  const auto names = sys::list_folder(path);
  if (!names) {
    first = names.error();
  } else {
    for (const auto& name : *names) {
      if (auto gone = remove_tree(join_path(path, name)); !gone && !first) first = gone.error();
    }
  }
  if (auto gone = sys::rmdir(path); !gone && gone.error().code != Errc::not_found && !first) first = gone.error();
  if (first) return std::unexpected(*std::move(first));
  return {};
}

bool exists(const std::string& path) {
  const auto info = sys::lstat(path);
  return info || (info.error().code != Errc::not_found && info.error().code != Errc::permission);
}

bool is_folder(const std::string& path) {
  const auto info = sys::stat(path);
  return info && info->type == sys::FileInfo::Type::folder;
}

std::string join_path(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && !path.ends_with('/')) path += '/';
  path += name;
  return path;
}

std::string parent_path(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

std::string file_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

Result<std::string> absolute_path(std::string_view path) {
  std::string whole(path);
  if (whole == "~" || whole.starts_with("~/")) {
    if (const auto home = sys::environment("HOME")) whole = *home + whole.substr(1);
  }
  if (!whole.starts_with('/')) {
    AWM_TRY(const auto here, sys::current_folder());
    whole = join_path(here, whole);
  }
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start <= whole.size()) {
    auto end = whole.find('/', start);
    if (end == std::string::npos) end = whole.size();
    const auto part = whole.substr(start, end - start);
    start = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.push_back(part);
    }
  }
  std::string out;
  for (const auto& part : parts) out += "/" + part;
  return out.empty() ? "/" : out;
}

Result<std::string> cache_folder() {
  std::string folder;
  if (const auto xdg = sys::environment("XDG_CACHE_HOME"); xdg && xdg->starts_with('/')) {
    folder = *xdg + "/awm";
  } else if (const auto home = sys::environment("HOME"); home && home->starts_with('/')) {
    folder = *home + "/.cache/awm";
  } else {
    folder = temp_root() + "/awm-cache-" + std::to_string(sys::effective_uid());
  }
  AWM_CHECK(make_folders(folder));
  return folder;
}

std::string temp_root() {
  if (const auto folder = sys::environment("TMPDIR"); folder && folder->starts_with('/')) return *folder;
  return "/tmp";
}

Result<LineReader> LineReader::open(const Scope& scope, const std::string& path, std::size_t max_line) {
  LineReader reader;
  AWM_TRY(reader.fd_, sys::open(scope, path, sys::Open::read));
  AWM_TRY(const auto info, sys::fstat(reader.fd_.get()));
  if (info.type == sys::FileInfo::Type::folder) return fail(Errc::invalid_input, "read", path, "is a folder");
  reader.path_ = path;
  reader.max_line_ = max_line;
  return reader;
}

Result<std::optional<std::string_view>> LineReader::next() {
  std::size_t searched = start_;
  for (;;) {
    if (const auto end = buffer_.find('\n', searched); end != std::string::npos) {
      const auto line = std::string_view(buffer_).substr(start_, end - start_);
      offset_ += line.size() + 1;
      start_ = end + 1;
      ++line_;
      newline_ = true;
      if (line.size() > max_line_) break;
      return line;
    }
    if (buffer_.size() - start_ > max_line_) break;
    if (eof_) {
      if (start_ == buffer_.size()) return std::nullopt;
      const auto line = std::string_view(buffer_).substr(start_);
      offset_ += line.size();
      start_ = buffer_.size();
      ++line_;
      newline_ = false;
      return line;
    }
    buffer_.erase(0, start_);
    start_ = 0;
    searched = buffer_.size();
    constexpr std::size_t piece = std::size_t{256} << 10;
    buffer_.resize(searched + piece);
    auto got = sys::read(fd_.get(), buffer_.data() + searched, piece);
    if (!got) {
      buffer_.resize(searched);
      got.error().object = path_;
      return std::unexpected(std::move(got).error());
    }
    buffer_.resize(searched + *got);
    if (*got == 0) eof_ = true;
  }
  return fail(Errc::exhausted, "read", path_ + ":" + std::to_string(line_ + (newline_ ? 0 : 1)),
              "the line is longer than " + std::to_string(max_line_) + " bytes");
}

Result<AppendFile> AppendFile::open(const Scope& scope, const std::string& path, unsigned mode) {
  AppendFile file;
  AWM_TRY(file.fd_, sys::open(scope, path, sys::Open::append, mode));
  file.path_ = path;
  return file;
}

Result<void> AppendFile::append(std::string_view bytes, sys::Where at) {
  if (!fd_) return fail(Errc::closed, "append to", path_, "the file is closed");
  auto done = sys::write_all(fd_.get(), bytes, at);
  if (!done) done.error().object = path_;
  return done;
}

Result<void> AppendFile::sync(sys::Where at) {
  if (!fd_) return fail(Errc::closed, "sync", path_, "the file is closed");
  auto done = sys::fdatasync(fd_.get(), at);
  if (!done) done.error().object = path_;
  return done;
}

Result<TempFolder> TempFolder::create(const Scope& scope, std::string_view prefix, const std::string& root,
                                      std::source_location birth) {
  TempFolder folder;
  AWM_TRY(folder.path_, sys::make_temp_folder(join_path(root, std::string(prefix) + "XXXXXX")));
  folder.token_ = Ledger::process().add(ResourceKind::temp_folder, 0, folder.path_, scope, birth);
  return folder;
}

TempFolder& TempFolder::operator=(TempFolder&& other) noexcept {
  if (this != &other) {
    (void)close();
    path_ = std::exchange(other.path_, {});
    token_ = std::move(other.token_);
  }
  return *this;
}

Result<void> TempFolder::close() noexcept {
  if (!token_.held()) return {};
  auto gone = remove_tree(path_);
  token_.release();
  return gone;
}

}  // namespace awm
