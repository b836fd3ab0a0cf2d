#include "runtime/editor.h"

#include <algorithm>

#include "base/text.h"

namespace awm {
namespace {

constexpr std::string_view clipped_file =
    "<response clipped><NOTE>Due to the max output limit, only part of this file has been shown to you. You should "
    "retry "
    "this tool after you have searched inside the file with `grep -n` in order to find the line numbers of what you "
    "are "
    "looking for.</NOTE>";
constexpr std::string_view clipped_folder =
    "<response clipped><NOTE>Due to the max output limit, only part of this directory has been shown to you. You "
    "should "
    "use `ls -la` instead to view large directories incrementally.</NOTE>";
constexpr std::string_view review =
    "Review the changes and make sure they are as expected. Edit the file again if necessary.";
constexpr std::string_view review_insert =
    "Review the changes and make sure they are as expected (correct indentation, no duplicate lines, etc). Edit the "
    "file "
    "again if necessary.";
constexpr std::size_t binary_probe = 8192;  // a NUL byte in these first bytes: not a text

EditorResult refused(std::string why) {
  return {.ok = false, .text = "ERROR:\n" + std::move(why), .old_content = {}, .new_content = {}};
}

EditorResult bad_parameter(std::string_view name, const std::string& value, const std::string& hint) {
  return refused("Invalid `" + std::string(name) + "` parameter: " + value + ". " + hint);
}

EditorResult missing_parameter(const std::string& command, std::string_view name) {
  return refused("Parameter `" + std::string(name) + "` is required for command: " + command + ".");
}

// What a tool tells its model, against what ends the sample.
bool is_tool_failure(const Error& error) {
  switch (error.code) {
    case Errc::not_found:
    case Errc::permission:
    case Errc::invalid_input:
    case Errc::already_exists:
    case Errc::exhausted:
    case Errc::io:
    case Errc::unsupported:
      return true;
    default:
      return false;
  }
}

// "[3, 8]", as Python shows a list.
std::string list_text(const std::vector<int64_t>& numbers) {
  std::string text = "[";
  for (const int64_t n : numbers) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

std::string within_limit(std::string text, std::string_view notice) {
  const std::size_t cut = utf8_offset(text, Editor::max_view_chars);
  if (cut >= text.size()) return text;
  text.resize(cut);
  return text + std::string(notice);
}

// `cat -n`: numbers of six places, a tab, the line.
std::string numbered(const std::string& content, const std::string& of, int64_t first) {
  const std::string shown = within_limit(to_valid_utf8(content), clipped_file);
  std::string out = "Here's the result of running `cat -n` on " + of + ":\n";
  std::size_t from = 0;
  for (;; ++first) {
    const std::size_t end = shown.find('\n', from);
    const std::string number = std::to_string(first);
    out.append(number.size() < 6 ? 6 - number.size() : 0, ' ');
    out += number;
    out += '\t';
    out += shown.substr(from, end == std::string::npos ? std::string::npos : end - from);
    out += '\n';
    if (end == std::string::npos) return out;
    from = end + 1;
  }
}

// A file's text with one kind of line end: "\r\n" throughout becomes "\n", and is put back when it is written. A file
// of mixed ends stays as it is.
struct Text {
  std::string content;
  bool crlf = false;

  explicit Text(std::string bytes) : content(std::move(bytes)) {
    bool any = false;
    for (std::size_t at = content.find('\n'); at != std::string::npos; at = content.find('\n', at + 1)) {
      if (at == 0 || content[at - 1] != '\r') return;
      any = true;
    }
    if (!any) return;
    crlf = true;
    content = replace_all(std::move(content), "\r\n", "\n");
  }
  [[nodiscard]] std::string bytes(const std::string& edited) const {
    return crlf ? replace_all(replace_all(edited, "\r\n", "\n"), "\n", "\r\n") : edited;
  }
};

int64_t count_lines(std::string_view content) {
  const auto ends = std::count(content.begin(), content.end(), '\n');
  return ends + (!content.empty() && content.back() != '\n' ? 1 : 0);
}

// Lines first…last (from 1, both in), without the last one's end.
std::string lines_of(std::string_view content, int64_t first, int64_t last) {
  std::size_t from = 0;
  for (int64_t line = 1; line < first; ++line) {
    const std::size_t end = content.find('\n', from);
    if (end == std::string_view::npos) return "";
    from = end + 1;
  }
  std::size_t to = from;
  for (int64_t line = first; line <= last && to < content.size(); ++line) {
    const std::size_t end = content.find('\n', to);
    to = end == std::string_view::npos ? content.size() : end + 1;
  }
  std::string_view lines = content.substr(from, to - from);
  if (lines.ends_with('\n')) lines.remove_suffix(1);
  return std::string(lines);
}

// Where `part` stands, from left to right, not overlapping.
std::vector<std::size_t> places_of(std::string_view content, std::string_view part) {
  std::vector<std::size_t> places;
  if (part.empty()) return places;
  for (std::size_t at = content.find(part); at != std::string_view::npos; at = content.find(part, at + part.size())) {
    places.push_back(at);
  }
  return places;
}

int64_t line_at(std::string_view content, std::size_t offset) {
  return std::count(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(offset), '\n') + 1;
}

std::string megabytes(uint64_t bytes) {
  const uint64_t tenths = (bytes * 10 + (1U << 19)) >> 20;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + "MB";
}

// One slash between names, none at the end, no ".": what a model writes, made comparable.
std::string tidy(std::string_view path) {
  std::string out;
  for (const std::string& name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    out += "/" + name;
  }
  return out.empty() ? "/" : out;
}

struct FileBytes {
  Text text{""};
  unsigned mode = 0644;
};

}  // namespace

Editor::Editor(std::string working_folder, std::size_t history_bytes)
    : working_folder_(std::move(working_folder)), history_limit_(history_bytes) {}

namespace {

// The file as text, or the tool's refusal as the error of the inner result.
Result<std::expected<FileBytes, EditorResult>> read_text(Sandbox& sandbox, const std::string& path) {
  const auto refuse = [&](std::string why) {
    return std::expected<FileBytes, EditorResult>(
        std::unexpected(refused("File validation failed for " + path + ": " + std::move(why))));
  };
  FileBytes file;
  if (auto info = sandbox.stat(path)) {
    if (info->size > Editor::max_file_bytes) {
      return refuse("File is too large (" + megabytes(info->size) + "). Maximum allowed size is " +
                    std::to_string(Editor::max_file_bytes >> 20) + "MB.");
    }
    if (info->type == SandboxFileInfo::Type::other) {
      return refuse("It is neither a file nor a directory and cannot be read or edited by this tool.");
    }
    if (info->type == SandboxFileInfo::Type::file) file.mode = info->mode & 07777U;
  } else if (!is_tool_failure(info.error())) {
    return std::unexpected(std::move(info).error());
  }
  auto bytes = sandbox.read_file(path, Editor::max_file_bytes);
  if (!bytes) {
    if (!is_tool_failure(bytes.error())) return std::unexpected(std::move(bytes).error());
    return std::expected<FileBytes, EditorResult>(
        std::unexpected(refused("Ran into " + bytes.error().cause + " while trying to read " + path)));
  }
  if (std::string_view(*bytes).substr(0, binary_probe).find('\0') != std::string_view::npos) {
    return refuse("File appears to be binary and this file type cannot be read or edited by this tool.");
  }
  file.text = Text(*std::move(bytes));
  return file;
}

Result<std::optional<EditorResult>> write_text(Sandbox& sandbox, const std::string& path, std::string_view content,
                                               unsigned mode) {
  auto written = sandbox.write_file(path, content, mode);
  if (written) return std::nullopt;
  if (!is_tool_failure(written.error())) return std::unexpected(std::move(written).error());
  return refused("Ran into " + written.error().cause + " while trying to write to " + path);
}

}  // namespace

#define AWM_TRY_TEXT(declaration, ...)         \
  AWM_TRY(auto read_, __VA_ARGS__);            \
  if (!read_) return std::move(read_).error(); \
  declaration = *std::move(read_)

#define AWM_CHECK_WRITE(...)                   \
  do {                                         \
    AWM_TRY(auto refused_, __VA_ARGS__);       \
    if (refused_) return *std::move(refused_); \
  } while (false)

Result<EditorResult> Editor::run(Sandbox& sandbox, const EditorCommand& given) {
  EditorCommand command = given;
  if (command.path.find('\0') != std::string::npos || command.path.empty()) {
    return bad_parameter("path", to_valid_utf8(command.path),
                         "The path should be an absolute path, starting with `/`.");
  }
  if (!command.path.starts_with('/')) {
    std::string hint = "The path should be an absolute path, starting with `/`.";
    const std::string meant = tidy(working_folder_ + "/" + command.path);
    if (auto info = sandbox.stat(meant)) {
      hint += " Maybe you meant " + meant + "?";
    } else if (!is_tool_failure(info.error())) {
      return std::unexpected(std::move(info).error());
    }
    return bad_parameter("path", command.path, hint);
  }
  command.path = tidy(command.path);
  const std::string& path = command.path;
  static const std::vector<std::string> known = {"view", "create", "str_replace", "insert", "undo_edit"};
  if (std::find(known.begin(), known.end(), command.command) == known.end()) {
    return refused("Unrecognized command " + command.command +
                   ". The allowed commands for the str_replace_editor tool are: " + join(known, ", "));
  }

  bool there = true;
  bool is_folder = false;
  if (auto info = sandbox.stat(path)) {
    is_folder = info->type == SandboxFileInfo::Type::folder;
    if (info->type == SandboxFileInfo::Type::link) {  // only its target says what it is
      auto entries = sandbox.list(path);
      if (!entries && !is_tool_failure(entries.error())) return std::unexpected(std::move(entries).error());
      is_folder = entries.has_value();
    }
  } else if (info.error().code == Errc::not_found) {
    there = false;
  } else if (!is_tool_failure(info.error())) {
    return std::unexpected(std::move(info).error());
  } else {
    return refused("Ran into " + info.error().cause + " while trying to read " + path);
  }

  if (command.command == "create") {
    if (there && is_folder) {
      return bad_parameter(
          "path", path, "The path " + path + " is a directory and only the `view` command can be used on directories.");
    }
    if (there) {
      return bad_parameter("path", path,
                           "File already exists at: " + path + ". Cannot overwrite files using command `create`.");
    }
    return create(sandbox, command);
  }
  if (!there) {
    return bad_parameter("path", path, "The path " + path + " does not exist. Please provide a valid path.");
  }
  if (command.command == "view") return view(sandbox, command, is_folder);
  if (is_folder) {
    return bad_parameter(
        "path", path, "The path " + path + " is a directory and only the `view` command can be used on directories.");
  }
  if (command.command == "str_replace") return replace(sandbox, command);
  if (command.command == "insert") return insert(sandbox, command);
  return undo(sandbox, command);
}

Result<EditorResult> Editor::view_folder(Sandbox& sandbox, const std::string& path) {
  const std::string base = path == "/" ? "" : path;
  AWM_TRY(auto entries, sandbox.list(path));
  std::vector<std::string> shown = {path + (path == "/" ? "" : "/")};
  int hidden = 0;
  for (const FolderEntry& entry : entries) {
    if (entry.name.starts_with('.')) {
      ++hidden;
      continue;
    }
    const std::string child = base + "/" + entry.name;
    bool is_folder = entry.info.type == SandboxFileInfo::Type::folder;
    if (is_folder || entry.info.type == SandboxFileInfo::Type::link) {
      auto below = sandbox.list(child);
      if (!below && !is_tool_failure(below.error())) return std::unexpected(std::move(below).error());
      is_folder = is_folder || below.has_value();
      if (below) {
        for (const FolderEntry& inner : *below) {
          if (inner.name.starts_with('.')) continue;
          shown.push_back(child + "/" + inner.name + (inner.info.type == SandboxFileInfo::Type::folder ? "/" : ""));
        }
      }
    }
    shown.push_back(child + (is_folder ? "/" : ""));
  }
  std::sort(shown.begin() + 1, shown.end());
  std::string text = "Here's the files and directories up to 2 levels deep in " + path + ", excluding hidden items:\n" +
                     within_limit(to_valid_utf8(join(shown, "\n")), clipped_folder);
  if (hidden > 0) {
    text += "\n\n" + std::to_string(hidden) +
            " hidden files/directories in this directory are excluded. You can use 'ls -la " + path + "' to see them.";
  }
  return EditorResult{.text = std::move(text), .old_content = {}, .new_content = {}};
}

Result<EditorResult> Editor::view(Sandbox& sandbox, const EditorCommand& command, bool is_folder) {
  const std::string& path = command.path;
  const bool ranged = command.view_range && !command.view_range->empty();
  const std::string range_text = ranged ? list_text(*command.view_range) : "";
  if (is_folder) {
    if (ranged) {
      return bad_parameter("view_range", range_text,
                           "The `view_range` parameter is not allowed when `path` points to a directory.");
    }
    auto shown = view_folder(sandbox, path);
    if (!shown && is_tool_failure(shown.error())) {
      return refused("Ran into " + shown.error().cause + " while trying to read " + path);
    }
    return shown;
  }
  AWM_TRY_TEXT(const FileBytes file, read_text(sandbox, path));
  const std::string& content = file.text.content;
  if (!ranged) return EditorResult{.text = numbered(content, path, 1), .old_content = {}, .new_content = {}};

  if (command.view_range->size() != 2) {
    return bad_parameter("view_range", range_text, "It should be a list of two integers.");
  }
  const int64_t lines = count_lines(content);
  const int64_t first = (*command.view_range)[0];
  int64_t last = (*command.view_range)[1];
  if (first < 1 || first > lines) {
    return bad_parameter("view_range", range_text,
                         "Its first element `" + std::to_string(first) +
                             "` should be within the range of lines of the file: " + list_text({1, lines}) + ".");
  }
  std::string note;
  if (last == -1) {
    last = lines;
  } else if (last > lines) {
    const std::string n = std::to_string(lines);
    note = "NOTE: We only show up to " + n + " since there're only " + n + " lines in this file.\n";
    last = lines;
  }
  if (last < first) {
    return bad_parameter("view_range", range_text,
                         "Its second element `" + std::to_string(last) +
                             "` should be greater than or equal to the first element `" + std::to_string(first) + "`.");
  }
  return EditorResult{
      .text = note + numbered(lines_of(content, first, last), path, first), .old_content = {}, .new_content = {}};
}

Result<EditorResult> Editor::create(Sandbox& sandbox, const EditorCommand& command) {
  if (!command.file_text) return missing_parameter("create", "file_text");
  AWM_CHECK_WRITE(write_text(sandbox, command.path, *command.file_text, 0644));
  remember(command.path, *command.file_text);
  return EditorResult{.text = "File created successfully at: " + command.path,
                      .existed = false,
                      .old_content = {},
                      .new_content = command.file_text};
}

Result<EditorResult> Editor::replace(Sandbox& sandbox, const EditorCommand& command) {
  const std::string& path = command.path;
  if (!command.old_str) return missing_parameter("str_replace", "old_str");
  if (command.new_str && *command.new_str == *command.old_str) {
    return bad_parameter("new_str", *command.new_str,
                         "No replacement was performed. `new_str` and `old_str` must be different.");
  }
  AWM_TRY_TEXT(const FileBytes file, read_text(sandbox, path));
  const std::string& content = file.text.content;
  std::string old_text = *command.old_str;
  std::string new_text = command.new_str.value_or("");
  if (file.text.crlf) {
    old_text = replace_all(std::move(old_text), "\r\n", "\n");
    new_text = replace_all(std::move(new_text), "\r\n", "\n");
  }

  std::vector<std::size_t> places = places_of(content, old_text);
  if (places.empty() && !old_text.empty()) {
    // Models add white space in front or behind that is not in the file.
    old_text = std::string(trim(old_text));
    new_text = std::string(trim(new_text));
    places = places_of(content, old_text);
  }
  if (old_text.empty()) {
    if (!content.empty()) {
      return refused("No replacement was performed, old_str is empty. Please give the text to replace.");
    }
    places = {0};
  }
  if (places.empty()) {
    return refused("No replacement was performed, old_str `" + old_text + "` did not appear verbatim in " + path + ".");
  }
  if (places.size() > 1) {
    std::vector<int64_t> lines;
    for (const std::size_t place : places) {
      const int64_t line = line_at(content, place);
      if (lines.empty() || lines.back() != line) lines.push_back(line);
      if (lines.size() > 1000) break;
    }
    return refused("No replacement was performed. Multiple occurrences of old_str `" + old_text + "` in lines " +
                   list_text(lines) + ". Please ensure it is unique.");
  }

  const std::string edited = content.substr(0, places[0]) + new_text + content.substr(places[0] + old_text.size());
  AWM_CHECK_WRITE(write_text(sandbox, path, file.text.bytes(edited), file.mode));
  remember(path, file.text.bytes(content));
  const int64_t line = line_at(content, places[0]);
  const int64_t before = std::max<int64_t>(0, line - snippet_context);
  const int64_t last = line + snippet_context + std::count(new_text.begin(), new_text.end(), '\n');
  std::string text = "The file " + path + " has been edited. " +
                     numbered(lines_of(edited, before + 1, last), "a snippet of " + path, before + 1) +
                     std::string(review);
  return EditorResult{.text = std::move(text), .old_content = content, .new_content = edited};
}

Result<EditorResult> Editor::insert(Sandbox& sandbox, const EditorCommand& command) {
  const std::string& path = command.path;
  if (!command.insert_line) return missing_parameter("insert", "insert_line");
  if (!command.new_str) return missing_parameter("insert", "new_str");
  AWM_TRY_TEXT(const FileBytes file, read_text(sandbox, path));
  const std::string& content = file.text.content;
  const int64_t lines = count_lines(content);
  const int64_t after = *command.insert_line;
  if (after < 0 || after > lines) {
    return bad_parameter("insert_line", std::to_string(after),
                         "It should be within the range of allowed values: " + list_text({0, lines}));
  }
  std::string added = file.text.crlf ? replace_all(*command.new_str, "\r\n", "\n") : *command.new_str;
  const int64_t added_lines = std::count(added.begin(), added.end(), '\n') + 1;
  added += '\n';
  std::size_t at = 0;
  for (int64_t line = 0; line < after; ++line) {
    const std::size_t end = content.find('\n', at);
    at = end == std::string::npos ? content.size() : end + 1;
  }
  // Behind a last line without an end, the new text still begins on a line of its own.
  const bool unended = at > 0 && content[at - 1] != '\n';
  const std::string edited = content.substr(0, at) + (unended ? "\n" : "") + added + content.substr(at);
  AWM_CHECK_WRITE(write_text(sandbox, path, file.text.bytes(edited), file.mode));
  remember(path, file.text.bytes(content));
  const int64_t before = std::max<int64_t>(0, after - snippet_context);
  const int64_t last = std::min(lines + added_lines, after + snippet_context + added_lines);
  std::string text = "The file " + path + " has been edited. " +
                     numbered(lines_of(edited, before + 1, last), "a snippet of the edited file", before + 1) +
                     std::string(review_insert);
  return EditorResult{.text = std::move(text), .old_content = content, .new_content = edited};
}

Result<EditorResult> Editor::undo(Sandbox& sandbox, const EditorCommand& command) {
  const std::string& path = command.path;
  AWM_TRY_TEXT(const FileBytes file, read_text(sandbox, path));
  const auto versions = history_.find(path);
  if (versions == history_.end() || versions->second.empty()) {
    return refused("No edit history found for " + path + ".");
  }
  const std::string& earlier = versions->second.back().content;
  AWM_CHECK_WRITE(write_text(sandbox, path, earlier, file.mode));
  const Text text(earlier);
  history_bytes_ -= earlier.size();
  EditorResult result{.text = "Last edit to " + path + " undone successfully. " + numbered(text.content, path, 1),
                      .old_content = file.text.content,
                      .new_content = text.content};
  versions->second.pop_back();
  return result;
}

void Editor::remember(const std::string& path, std::string content) {
  history_bytes_ += content.size();
  auto& versions = history_[path];
  versions.push_back({.content = std::move(content), .serial = ++serial_});
  if (versions.size() > max_versions) {
    history_bytes_ -= versions.front().content.size();
    versions.pop_front();
  }
  while (history_bytes_ > history_limit_) {
    auto oldest = history_.end();
    for (auto it = history_.begin(); it != history_.end(); ++it) {
      if (it->second.empty()) continue;
      if (oldest == history_.end() || it->second.front().serial < oldest->second.front().serial) oldest = it;
    }
    if (oldest == history_.end()) break;
    history_bytes_ -= oldest->second.front().content.size();
    oldest->second.pop_front();
  }
}

}  // namespace awm
