#include "swebench/patch.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <set>

#include "base/text.h"
#include "os/sys.h"
#include "swebench/steps.h"

namespace awm {
namespace {

constexpr std::string_view work_tree = "/testbed";

// Git reads no settings but a repository's own.
std::vector<std::string> plain_environment() {
  return {"GIT_CONFIG_NOSYSTEM=1",    "GIT_CONFIG_GLOBAL=/dev/null",
          "HOME=/nonexistent",        "XDG_CONFIG_HOME=/nonexistent",
          "GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0",
          "GIT_TERMINAL_PROMPT=0",    "LC_ALL=C"};
}

// A git folder of its own in the sandbox's /tmp that borrows the repository's objects; removed at the end.
class PrivateGit {
 public:
  PrivateGit(Sandbox& sandbox, const StartHead& start)
      : sandbox_(sandbox), start_(start), folder_("/tmp/.awm-patch-" + sys::random_hex(8)) {}
  PrivateGit(const PrivateGit&) = delete;
  PrivateGit& operator=(const PrivateGit&) = delete;
  ~PrivateGit() { (void)sandbox_.remove(folder_); }

  Result<void> make() {
    std::vector<std::string> init{"git", "init", "-q", "--bare", "--template="};
    constexpr std::size_t sha256_length = 64;
    if (start_.commit.size() == sha256_length) init.emplace_back("--object-format=sha256");
    init.push_back(folder_);
    AWM_CHECK(run_checked(sandbox_, {.argv = init, .environment = plain_environment(), .folder = "/tmp"}));
    // An agent's .gitattributes must not decide what counts as text in a diff.
    return sandbox_.write_file(folder_ + "/info/attributes", "* !diff\n");
  }

  [[nodiscard]] std::vector<std::string> command(std::vector<std::string> arguments) const {
    std::vector<std::string> argv{"git",
                                  "-c",
                                  "core.bare=false",
                                  "-c",
                                  std::string("core.fileMode=") + (start_.file_modes ? "true" : "false"),
                                  "-c",
                                  "core.autocrlf=false",
                                  "-c",
                                  "core.safecrlf=false",
                                  "-c",
                                  "core.hooksPath=/dev/null",
                                  "-c",
                                  "advice.addEmbeddedRepo=false",
                                  "-c",
                                  "gc.auto=0"};
    argv.insert(argv.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
    return argv;
  }

  [[nodiscard]] std::vector<std::string> environment() const {
    auto variables = plain_environment();
    variables.push_back("GIT_DIR=" + folder_);
    variables.push_back("GIT_WORK_TREE=" + std::string(work_tree));
    variables.push_back("GIT_ALTERNATE_OBJECT_DIRECTORIES=" + start_.objects);
    return variables;
  }

  Result<StepResult> run(std::vector<std::string> arguments) {
    return run_step(sandbox_, {.argv = command(std::move(arguments)), .environment = environment()});
  }

 private:
  Sandbox& sandbox_;
  const StartHead& start_;
  std::string folder_;
};

// What git says, trimmed.
Result<std::string> answer(Sandbox& sandbox, std::vector<std::string> arguments) {
  std::vector<std::string> argv{"git", "--git-dir=/testbed/.git"};
  argv.insert(argv.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
  AWM_TRY(const auto done, run_step(sandbox, {.argv = argv, .environment = plain_environment()}));
  if (done.exit_code != 0) {
    return fail(Errc::not_found, "ask", std::string(work_tree),
                "it is no git repository with a commit: " + last_words(done.output));
  }
  return std::string(trim(done.output));
}

// Whether all that `git add` complains of are things that no patch can carry.
bool only_left_out(const std::string& output) {
  bool some = false;
  for (const auto line : split_lines(output)) {
    if (!line.starts_with("error: ") && !line.starts_with("fatal: ")) continue;
    const bool expected = line.ends_with("does not have a commit checked out") || line.ends_with("Permission denied") ||
                          line.starts_with("error: unable to index file") || line == "fatal: adding files failed";
    if (!expected) return false;
    some = true;
  }
  return some;
}

// Takes a diff's bytes as they come, up to a bound.
Result<std::string> stream_diff(Sandbox& sandbox, const PrivateGit& git, const StartHead& start) {
  std::string patch;
  bool too_long = false;
  ExecOptions options;
  options.environment = git.environment();
  constexpr double limit = 600;
  options.hard_limit = Seconds(limit);
  options.with_env_setup = false;
  options.on_output = [&](std::string_view bytes) {
    too_long = patch.size() + bytes.size() > max_patch_bytes;
    if (!too_long) patch += bytes;
    return !too_long;
  };
  const auto argv =
      git.command({"diff", "--cached", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/",
                   "--dst-prefix=b/", "--diff-algorithm=myers", "--find-renames", "--submodule=short", start.commit});
  AWM_TRY(const auto result, sandbox.exec(argv, options));
  if (too_long) {
    return fail(Errc::exhausted, "take", "the patch",
                fmt::format("it is larger than {}", human_bytes(max_patch_bytes)));
  }
  if (auto failure = step_failure(result.status, "git diff", patch)) return fail(*std::move(failure));
  if (!result.status.ok()) {
    return fail(Errc::io, "take", "the patch", fmt::format("git diff {}: {}", result.status.text(), last_words(patch)));
  }
  return patch;
}

// "a/some name" in git's C-style quotes, else as it stands.
std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      name += text[i];
      continue;
    }
    const char c = text[++i];
    constexpr std::string_view letters = "abtnvfr";
    constexpr std::string_view meanings = "\a\b\t\n\v\f\r";
    if (const auto at = letters.find(c); at != std::string_view::npos) {
      name += meanings[at];
    } else if (c >= '0' && c <= '3' && i + 2 < text.size()) {
      name += static_cast<char>((c - '0') * 64 + (text[i + 1] - '0') * 8 + (text[i + 2] - '0'));
      i += 2;
    } else {
      name += c;
    }
  }
  return name;
}

// The name in a "--- a/x" or "+++ b/x" line; a tab and a time may follow in what is not git's.
std::string header_name(std::string_view text) {
  if (!text.starts_with('"')) text = text.substr(0, text.find('\t'));
  while (text.ends_with('\r')) text.remove_suffix(1);
  std::string name = unquoted(text);
  if (name == "/dev/null") return "";
  if (name.starts_with("a/") || name.starts_with("b/")) name.erase(0, 2);
  return name;
}

// Both names of "diff --git X Y". Unquoted names with spaces are told apart by being the same behind a/ and b/.
std::optional<PatchedFile> git_names(std::string_view text) {
  while (text.ends_with('\r')) text.remove_suffix(1);
  if (text.starts_with('"')) {
    std::size_t end = 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (end + 1 >= text.size()) return std::nullopt;
    return PatchedFile{header_name(text.substr(0, end + 1)), header_name(text.substr(std::min(end + 2, text.size())))};
  }
  if (text.ends_with('"')) {
    const auto at = text.find(" \"");
    if (at == std::string_view::npos) return std::nullopt;
    return PatchedFile{header_name(text.substr(0, at)), header_name(text.substr(at + 1))};
  }
  for (auto at = text.find(" b/"); at != std::string_view::npos; at = text.find(" b/", at + 1)) {
    PatchedFile names{header_name(text.substr(0, at)), header_name(text.substr(at + 1))};
    if (names.old_name == names.new_name) return names;
  }
  const auto at = text.find(" b/");
  if (at == std::string_view::npos) return std::nullopt;
  return PatchedFile{header_name(text.substr(0, at)), header_name(text.substr(at + 1))};
}

// The number behind `sign` in "@@ -12,3 +14 @@": lines of that side; 1 where none is said.
std::size_t hunk_lines(std::string_view header, char sign) {
  const auto at = header.find(sign, 2);
  if (at == std::string_view::npos) return 0;
  std::size_t i = at + 1;
  while (i < header.size() && header[i] >= '0' && header[i] <= '9') ++i;
  if (i == header.size() || header[i] != ',') return 1;
  std::size_t count = 0;
  constexpr std::size_t enough = 1'000'000'000;
  for (++i; i < header.size() && header[i] >= '0' && header[i] <= '9' && count < enough; ++i) {
    count = count * 10 + static_cast<std::size_t>(header[i] - '0');
  }
  return count;
}

}  // namespace

Result<StartHead> find_start_head(Sandbox& sandbox) {
  StartHead start;
  AWM_TRY(const auto said, answer(sandbox, {"rev-parse", "HEAD^{commit}", "--git-path", "objects"}));
  const auto line_end = said.find('\n');
  start.commit = said.substr(0, line_end);
  start.objects = line_end == std::string::npos ? "objects" : said.substr(line_end + 1);
  if (!start.objects.starts_with('/')) start.objects = std::string(work_tree) + "/" + start.objects;
  std::vector<std::string> argv{"git", "--git-dir=/testbed/.git", "config", "--bool", "core.fileMode"};
  AWM_TRY(const auto mode, run_step(sandbox, {.argv = argv, .environment = plain_environment()}));
  start.file_modes = trim(mode.output) != "false";
  return start;
}

Result<std::string> extract_patch(Sandbox& sandbox, const StartHead& start) {
  PrivateGit git(sandbox, start);
  AWM_CHECK(git.make());
  AWM_TRY(const auto read, git.run({"read-tree", start.commit}));
  if (read.exit_code != 0) {
    return fail(Errc::not_found, "take", "the patch",
                "the repository that it is a difference to is gone: " + last_words(read.output));
  }
  // What cannot be read, or is a repository without a commit, stays out; the rest goes in.
  AWM_TRY(const auto added, git.run({"add", "-A", "--ignore-errors", "--", "."}));
  if (added.exit_code != 0 && !only_left_out(added.output)) {
    return fail(Errc::io, "take", "the patch", "git add: " + last_words(added.output));
  }
  return stream_diff(sandbox, git, start);
}

std::vector<PatchedFile> patched_files(std::string_view patch) {
  std::vector<PatchedFile> files;
  std::set<std::pair<std::string, std::string>> known;
  std::optional<PatchedFile> current;
  bool in_git_header = false;
  std::size_t old_left = 0;
  std::size_t new_left = 0;
  const auto flush = [&] {
    if (current && known.emplace(current->old_name, current->new_name).second) files.push_back(*current);
    current.reset();
  };
  std::string_view rest = patch;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (old_left > 0 || new_left > 0) {
      const char c = line.empty() ? ' ' : line.front();
      if (c == '-' || c == ' ' || c == '\r') old_left -= old_left > 0 ? 1 : 0;
      if (c == '+' || c == ' ' || c == '\r') new_left -= new_left > 0 ? 1 : 0;
      if (c == '-' || c == '+' || c == ' ' || c == '\\' || c == '\r') continue;
      old_left = new_left = 0;  // no line of a hunk: it was broken off
    }
    if (line.starts_with("diff --git ")) {
      flush();
      current = git_names(line.substr(11));
      in_git_header = true;
    } else if (line.starts_with("@@ -")) {
      in_git_header = false;
      old_left = hunk_lines(line, '-');
      new_left = hunk_lines(line, '+');
    } else if (in_git_header && current && (line.starts_with("rename from ") || line.starts_with("copy from "))) {
      current->old_name = unquoted(line.substr(line.find("from ") + 5));
    } else if (in_git_header && current && (line.starts_with("rename to ") || line.starts_with("copy to "))) {
      current->new_name = unquoted(line.substr(line.find(" to ") + 4));
    } else if (in_git_header && current && line.starts_with("new file mode ")) {
      current->old_name.clear();
    } else if (in_git_header && current && line.starts_with("deleted file mode ")) {
      current->new_name.clear();
    } else if (line.starts_with("--- ")) {
      if (!in_git_header) {
        flush();
        current.emplace();
      }
      if (current) current->old_name = header_name(line.substr(4));
    } else if (line.starts_with("+++ ") && current) {
      current->new_name = header_name(line.substr(4));
      in_git_header = false;
    }
  }
  flush();
  return files;
}

}  // namespace awm
