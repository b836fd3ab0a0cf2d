// The file editor that models know as str_replace_editor: view, create, str_replace, insert, undo_edit, over a
// sandbox's own file operations. Behaviour and messages follow openhands-aci's editor (0.3), which models were trained
// on.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace awm {

struct EditorCommand {
  std::string command;  // view, create, str_replace, insert, undo_edit
  std::string path;     // absolute, inside
  std::optional<std::string> file_text;
  std::optional<std::string> old_str;
  std::optional<std::string> new_str;
  std::optional<int64_t> insert_line;
  std::optional<std::vector<int64_t>> view_range;
};

struct EditorResult {
  bool ok = true;
  std::string text;  // for the model; "ERROR:\n…" when not ok
  bool existed = true;
  std::optional<std::string> old_content;  // of a file that was changed
  std::optional<std::string> new_content;
};

// One sample's editor: it remembers the last 10 versions of each file it changed, within `history_bytes` in all (the
// oldest are forgotten first). Not thread-safe.
class Editor {
 public:
  static constexpr std::size_t max_view_chars = 16000;
  static constexpr uint64_t max_file_bytes = uint64_t{10} << 20;
  static constexpr int snippet_context = 4;  // lines shown around an edit
  static constexpr std::size_t max_versions = 10;

  explicit Editor(std::string working_folder = "/testbed", std::size_t history_bytes = std::size_t{64} << 20);

  // An Error only when the sandbox itself failed (lost, closed, stopped).
  Result<EditorResult> run(Sandbox& sandbox, const EditorCommand& command);

 private:
  struct Version {
    std::string content;
    uint64_t serial = 0;
  };
  Result<EditorResult> view(Sandbox& sandbox, const EditorCommand& command, bool is_folder);
  Result<EditorResult> view_folder(Sandbox& sandbox, const std::string& path);
  Result<EditorResult> create(Sandbox& sandbox, const EditorCommand& command);
  Result<EditorResult> replace(Sandbox& sandbox, const EditorCommand& command);
  Result<EditorResult> insert(Sandbox& sandbox, const EditorCommand& command);
  Result<EditorResult> undo(Sandbox& sandbox, const EditorCommand& command);
  void remember(const std::string& path, std::string content);

  std::string working_folder_;
  std::size_t history_limit_;
  std::size_t history_bytes_ = 0;
  uint64_t serial_ = 0;
  std::map<std::string, std::deque<Version>> history_;
};

}  // namespace awm
