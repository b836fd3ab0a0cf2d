#include "sandbox/checkout.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "os/file.h"
#include "os/owner.h"
#include "os/sys.h"

namespace awm {
namespace {

// History is packed in pieces of so many first-parent commits, counted from the root, so that the tasks of one
// repository share all but their last piece: a whole pack for each would be the repository's size again.
constexpr std::size_t piece_length = 4096;
constexpr const char* branch = "main";

bool is_object_name(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

class Git {
 public:
  Git(Spawner& spawner, const Stop& stop, const Scope& scope, Deadline deadline, Cancel* cancel)
      : spawner_(spawner), stop_(stop), scope_(scope), deadline_(deadline), cancel_(cancel) {}

  std::string git_dir;
  std::vector<std::string> extra_environment;

  Result<ProcessOutput> try_run(const std::vector<std::string>& arguments, std::string_view input = {},
                                std::size_t keep = std::size_t{64} << 20) {
    SpawnOptions options;
    options.argv = {"git", "--git-dir=" + git_dir};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.environment = {"PATH=" + sys::environment("PATH").value_or("/usr/local/bin:/usr/bin:/bin"),
                           "HOME=/nonexistent",
                           "LC_ALL=C",
                           "GIT_CONFIG_NOSYSTEM=1",
                           "GIT_CONFIG_GLOBAL=/dev/null",
                           "GIT_TERMINAL_PROMPT=0",
                           "GIT_NO_REPLACE_OBJECTS=1",
                           "GIT_CONFIG_COUNT=2",
                           "GIT_CONFIG_KEY_0=safe.directory",
                           "GIT_CONFIG_VALUE_0=*",
                           "GIT_CONFIG_KEY_1=core.fsmonitor",
                           "GIT_CONFIG_VALUE_1=false"};
    options.environment.insert(options.environment.end(), extra_environment.begin(), extra_environment.end());
    auto done = run_process(spawner_, scope_, options, deadline_, &stop_, input, keep, cancel_);
    if (!done && done.error().code == Errc::not_found) {
      return fail(Errc::unavailable, "run", "git", "it is not installed", "install it: apt-get install git");
    }
    if (done && done->status.ok() && done->untaken_bytes > 0) {
      return fail(
          Errc::io, "git " + arguments.front(), git_dir,
          "it ended before it had read the last " + std::to_string(done->untaken_bytes) + " bytes of its input");
    }
    return done;
  }

  Result<std::string> run(const std::vector<std::string>& arguments, std::string_view input = {}) {
    AWM_TRY(auto done, try_run(arguments, input));
    if (!done.status.ok()) {
      const auto said = trim(done.output);
      return fail(Errc::io, "git " + arguments.front(), git_dir,
                  (said.empty() ? done.status.text() : std::string(said.substr(0, 2000))));
    }
    return std::move(done.output);
  }

 private:
  Spawner& spawner_;
  const Stop& stop_;
  const Scope& scope_;
  Deadline deadline_;
  Cancel* cancel_;
};

// The folder with objects and refs: PATH itself when bare, PATH/.git, or what a .git file (worktree, submodule) points
// to.
Result<std::string> find_git_dir(const std::string& repository) {
  const auto looks_like_one = [](const std::string& path) {
    return exists(join_path(path, "HEAD")) && is_folder(join_path(path, "objects"));
  };
  if (!is_folder(repository)) {
    return fail(Errc::not_found, "use the repository", repository, "there is no such folder", "git clone it there");
  }
  auto inner = join_path(repository, ".git");
  if (looks_like_one(inner)) return inner;
  if (exists(inner) && !is_folder(inner)) {
    AWM_TRY(const auto text, read_file(inner, 1 << 16));
    constexpr std::string_view key = "gitdir: ";
    if (text.starts_with(key)) {
      std::string target(trim(std::string_view(text).substr(key.size())));
      if (!target.starts_with('/')) target = join_path(repository, target);
      if (exists(join_path(target, "HEAD"))) return target;
    }
  }
  if (looks_like_one(repository)) return repository;
  return fail(Errc::not_found, "use the repository", repository, "it is no git repository",
              "git clone the task's repository there, bare or not");
}

// A path for git's lists of them, whatever characters it has: C-style quotes, as git(1) says of
// GIT_ALTERNATE_OBJECT_DIRECTORIES.
std::string quoted_entry(const std::string& path) {
  std::string out = "\"";
  for (const char c : path) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class Builder {
 public:
  Builder(const CheckoutRequest& request, Git& git, const Stop& stop, const Scope& scope, Deadline deadline,
          const Cancel* cancel)
      : request_(request),
        git_(git),
        stop_(stop),
        scope_(scope),
        deadline_(deadline),
        cancel_(cancel),
        cache_(request.cache_folder) {}

  Result<Checkout> get() {
    std::string commit = request_.base_commit;
    if (is_object_name(commit)) {
      if (auto found = existing(commit)) return *std::move(found);
    }
    AWM_TRY(git_.git_dir, find_git_dir(request_.repository));
    AWM_CHECK(look_at_source());
    AWM_TRY(commit, resolve(commit));
    for (const auto* part : {"checkouts", "packs", "locks", "building"})
      AWM_CHECK(make_folders(join_path(cache_, part)));
    AWM_TRY(const auto lock, take_lock(key_of(commit)));
    if (auto found = existing(commit)) return *std::move(found);
    AWM_CHECK(build(commit));
    if (auto found = existing(commit)) return *std::move(found);
    return fail(Errc::internal, "prepare", entry_of(commit), "it is not there after it was made");
  }

 private:
  // A source that lacks something on purpose is told apart from whole ones: an entry never changes.
  Result<void> look_at_source() {
    AWM_TRY(const auto names, sys::list_folder(join_path(common_dir(), "objects/pack")));
    partial_ =
        std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.ends_with(".promisor"); });
    auto shallow = read_file(join_path(common_dir(), "shallow"), 64 << 20);
    if (!shallow && shallow.error().code != Errc::not_found) return std::unexpected(std::move(shallow).error());
    if (shallow) shallow_ = *std::move(shallow);
    if (partial_) suffix_ += "-partial";
    if (!shallow_.empty()) suffix_ += "-shallow-" + sha256_hex(shallow_).substr(0, 16);
    return {};
  }

  [[nodiscard]] std::string key_of(const std::string& commit) const {
    return commit + (request_.give_away ? "-" + std::to_string(request_.uid) : "") + suffix_;
  }
  [[nodiscard]] std::string entry_of(const std::string& commit) const {
    return join_path(join_path(cache_, "checkouts"), key_of(commit));
  }

  [[nodiscard]] std::optional<Checkout> existing(const std::string& commit) const {
    const auto entry = entry_of(commit);
    if (!is_folder(join_path(entry, "tree/.git"))) return std::nullopt;
    return Checkout{.commit = commit, .tree = join_path(entry, "tree"), .history = join_path(entry, "history")};
  }

  Result<std::string> resolve(const std::string& name) {
    AWM_TRY(const auto done,
            git_.try_run({"rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"}));
    std::string commit(trim(done.output));
    if (!done.status.ok() || !is_object_name(commit)) {
      const auto said = trim(done.output);
      return fail(Errc::not_found, "find commit", name + " in " + request_.repository,
                  said.empty() ? "the repository has no such commit" : std::string(said.substr(0, 500)),
                  "fetch it: git -C " + shell_quote(request_.repository) + " fetch origin " + shell_quote(name));
    }
    return commit;
  }

  Result<UniqueFd> take_lock(const std::string& name) {
    const auto path = join_path(join_path(cache_, "locks"), name);
    AWM_TRY(auto file, sys::open(scope_, path, sys::Open::append));
    for (;;) {
      auto locked = sys::try_lock(file.get());
      if (locked) return file;
      if (locked.error().code != Errc::exhausted) return std::unexpected(std::move(locked).error());
      if (deadline_.passed()) {
        return fail(Errc::timed_out, "wait for", path, "another process is preparing this checkout and does not end");
      }
      if (cancel_ != nullptr && cancel_->requested()) return std::unexpected(cancelled_error("wait for", path));
      AWM_CHECK(stop_.sleep_until(sooner(deadline_, Deadline::in(Milliseconds(20)))));
    }
  }

  // Runs a pack-objects over the source; the pack's name. git makes its temporary files beside the objects it knows as
  // its own and renames them: that has to be here, since the source may lie on another file system or be read-only.
  Result<std::string> pack(const std::vector<std::string>& words, std::string_view revisions) {
    const auto own = join_path(build_, "objects");
    AWM_CHECK(make_folders(join_path(own, "pack")));
    git_.extra_environment = {"GIT_OBJECT_DIRECTORY=" + own,
                              "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quoted_entry(join_path(common_dir(), "objects"))};
    auto said = git_.run(words, revisions);
    git_.extra_environment.clear();
    if (!said) return said;
    std::string name(trim(*said));
    if (!is_object_name(name)) {
      return fail(Errc::io, "git pack-objects", git_.git_dir,
                  "it said \"" + name.substr(0, 500) + "\" for a pack's name");
    }
    return name;
  }

  // One piece of history as a pack in the cache: what `commit` reaches and `before` ("" : nothing) does not. Its path
  // less ".pack".
  Result<std::string> piece(const std::string& commit, const std::string& before) {
    auto base = join_path(join_path(cache_, "packs"), commit + (before.empty() ? "" : "-" + before) + suffix_);
    if (exists(base + ".pack")) return base;
    AWM_TRY(const auto lock, take_lock("pack-" + commit + suffix_));
    if (exists(base + ".pack")) return base;
    // Made in a folder of its own and moved: the index first, so that a pack that is there has one.
    const auto work = join_path(build_, "pack");
    AWM_CHECK(remove_tree(work));
    AWM_CHECK(sys::mkdir(work));
    std::vector<std::string> words{"pack-objects", "--revs", "--quiet", "--delta-base-offset"};
    // A partial clone lacks large files on purpose; what the commit itself needs is missed at its check-out.
    if (partial_) words.emplace_back("--missing=allow-any");
    words.push_back(join_path(work, "piece"));
    std::string revisions = commit + "\n";
    if (!before.empty()) revisions += "^" + before + "\n";
    AWM_TRY(const auto name, pack(words, revisions));
    for (const auto* end : {".idx", ".pack"}) {
      const auto made = join_path(work, "piece-" + name + end);
      AWM_CHECK(sys::chmod(made, 0444));
      AWM_CHECK(sys::rename(made, base + end));
    }
    return base;
  }

  Result<void> build(const std::string& commit) {
    static std::atomic<unsigned> number{0};
    AWM_TRY(const auto own, own_mark());
    build_ = join_path(join_path(cache_, "building"), commit + "-" + std::to_string(own.pid) + "-" +
                                                          std::to_string(++number) + "-" + sys::random_hex(4));
    AWM_CHECK(sys::mkdir(build_));
    auto made = build_in(commit, own);
    auto gone = remove_owned_folder(build_);
    if (!made) return made;
    return gone;
  }

  Result<void> build_in(const std::string& commit, const OwnerMark& own) {
    AWM_CHECK(write_owner_file(build_, own));
    const auto entry = join_path(build_, "entry");
    const auto tree = join_path(entry, "tree");
    const auto history = join_path(entry, "history");
    for (const auto* part : {"pack", "info"}) {
      AWM_CHECK(make_folders(join_path(history, part)));
      AWM_CHECK(sys::chmod(join_path(history, part), 0755));
    }
    AWM_CHECK(sys::chmod(history, 0755));
    AWM_CHECK(make_folders(tree));
    AWM_CHECK(link_history(commit, history));
    AWM_TRY(const auto tags, tags_in(commit, history));
    AWM_CHECK(lay_out_git(commit, tags, tree));
    AWM_CHECK(check_out(tree, history));
    AWM_CHECK(settle_abbreviation(commit, tree, history));
    if (request_.give_away) AWM_CHECK(give_away(tree));
    if (auto moved = sys::rename(entry, entry_of(commit)); !moved && !existing(commit)) return moved;
    return {};
  }

  // Worktrees keep objects and refs in the repository that they belong to.
  [[nodiscard]] std::string common_dir() const {
    const auto file = join_path(git_.git_dir, "commondir");
    if (const auto text = read_file(file, 1 << 16)) {
      std::string target(trim(*text));
      return target.starts_with('/') ? target : join_path(git_.git_dir, target);
    }
    return git_.git_dir;
  }

  Result<void> link_history(const std::string& commit, const std::string& history) {
    AWM_TRY(const auto chain_text, git_.run({"rev-list", "--first-parent", "--reverse", commit}));
    const auto chain = split_lines(chain_text);
    std::vector<std::string> ends;
    for (std::size_t i = piece_length; i < chain.size(); i += piece_length) ends.emplace_back(chain[i - 1]);
    if (ends.empty() || ends.back() != commit) ends.push_back(commit);
    std::string before;
    int count = 0;
    for (const auto& end : ends) {
      AWM_TRY(const auto base, piece(end, before));
      // git knows a pack by the end of its name, whatever stands in it.
      AWM_CHECK(add_pack(base, history, "piece-" + std::to_string(++count)));
      before = end;
    }
    return {};
  }

  static Result<void> add_pack(const std::string& base, const std::string& history, const std::string& name) {
    for (const auto* end : {".idx", ".pack"}) {
      AWM_CHECK(sys::hard_link(base + end, join_path(history, "pack/pack-" + name + end)));
    }
    return {};
  }

  // Tags of the history stay: versions are computed from them. Annotated ones are objects of their own.
  Result<std::string> tags_in(const std::string& commit, const std::string& history) {
    AWM_TRY(const auto listed, git_.run({"for-each-ref", "--merged=" + commit,
                                         "--format=%(objectname) %(objecttype) %(refname)", "refs/tags"}));
    std::string refs;
    std::string objects;
    for (const auto line : split_lines(listed)) {
      const auto fields = split(line, ' ');
      if (fields.size() != 3 || !is_object_name(fields[0])) continue;
      refs += fields[0] + " " + fields[2] + "\n";
      if (fields[1] == "tag") objects += fields[0] + "\n";
    }
    if (objects.empty()) return refs;
    objects += "^" + commit + "\n";
    AWM_TRY(const auto name, pack({"pack-objects", "--revs", "--quiet", join_path(history, "pack/pack")}, objects));
    for (const auto* end : {".idx", ".pack"}) {
      AWM_CHECK(sys::chmod(join_path(history, "pack/pack-" + name + end), 0444));
    }
    return refs;
  }

  Result<void> lay_out_git(const std::string& commit, const std::string& tags, const std::string& tree) {
    const auto git = join_path(tree, ".git");
    for (const auto* folder : {"objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks"}) {
      AWM_CHECK(make_folders(join_path(git, folder)));
    }
    const auto put = [&](std::string_view name, std::string_view text) {
      return write_new_file(join_path(git, name), text);
    };
    AWM_CHECK(put("HEAD", std::string("ref: refs/heads/") + branch + "\n"));
    AWM_CHECK(put(std::string("refs/heads/") + branch, commit + "\n"));
    if (!tags.empty()) AWM_CHECK(put("packed-refs", "# pack-refs with:\n" + tags));
    // A shallow source ends somewhere; git must know where, or calls the repository broken.
    if (!shallow_.empty()) AWM_CHECK(put("shallow", shallow_));
    AWM_CHECK(put("objects/info/alternates", std::string(history_inside) + "\n"));
    // Times and sizes alone tell the index what has changed: inode and device numbers are others in each sandbox.
    AWM_CHECK(
        put("config", "[core]\n\trepositoryformatversion = " + std::string(commit.size() == 64 ? "1" : "0") +
                          "\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\tcheckStat = minimal\n" +
                          (commit.size() == 64 ? "[extensions]\n\tobjectFormat = sha256\n" : "") +
                          "[user]\n\tname = awm\n\temail = awm@localhost\n"));
    return {};
  }

  Result<void> check_out(const std::string& tree, const std::string& history) {
    git_.git_dir = join_path(tree, ".git");
    git_.extra_environment = {"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quoted_entry(history), "GIT_WORK_TREE=" + tree};
    auto done = git_.run({"-c", "core.hooksPath=/dev/null", "read-tree", "-m", "-u", "HEAD"});
    if (!done && partial_) {
      done.error().cause += " (the repository is a partial clone)";
      done.error().remedy = "clone it whole";
    }
    AWM_CHECK(done);
    return {};
  }

  // Pieces may hold an object twice, which makes git take the repository for larger than it is. Where that could change
  // how many digits it shows, the number that belongs to this history is set.
  Result<void> settle_abbreviation(const std::string& commit, const std::string& tree, const std::string& history) {
    uint64_t in_packs = 0;
    AWM_TRY(const auto names, sys::list_folder(join_path(history, "pack")));
    for (const auto& name : names) {
      if (!name.ends_with(".idx")) continue;
      AWM_TRY(const auto count, objects_in(join_path(join_path(history, "pack"), name)));
      in_packs += count;
    }
    if (default_abbreviation(in_packs) == default_abbreviation(in_packs / 4 * 3)) return {};
    std::vector<std::string> words{"rev-list", "--objects", "--no-object-names"};
    if (partial_) words.emplace_back("--missing=allow-any");
    words.insert(words.end(), {commit, "--tags"});
    AWM_TRY(const auto listed, git_.run(words));
    const auto exact = static_cast<uint64_t>(std::count(listed.begin(), listed.end(), '\n'));
    if (default_abbreviation(exact) == default_abbreviation(in_packs)) return {};
    AWM_TRY(auto config, AppendFile::open(scope_, join_path(tree, ".git/config")));
    return config.append("[core]\n\tabbrev = " + std::to_string(default_abbreviation(exact)) + "\n");
  }

  // The last entry of an index's fan-out table (gitformat-pack(5)): behind the 8 bytes of its head, 255 others before
  // it.
  Result<uint64_t> objects_in(const std::string& index) {
    AWM_TRY(const auto file, sys::open(scope_, index, sys::Open::read));
    std::array<unsigned char, 4> bytes{};
    for (std::size_t have = 0; have < bytes.size();) {
      AWM_TRY(const auto got, sys::pread(file.get(), bytes.data() + have, bytes.size() - have, 8 + 255 * 4 + have));
      if (got == 0) return fail(Errc::protocol, "read", index, "it is shorter than an index of git's");
      have += got;
    }
    uint64_t count = 0;
    for (const auto byte : bytes) count = count << 8U | byte;
    return count;
  }

  // To the user that commands run as.
  Result<void> give_away(const std::string& path) {
    AWM_CHECK(sys::chown(path, request_.uid, request_.gid));
    AWM_TRY(const auto info, sys::lstat(path));
    if (info.type != sys::FileInfo::Type::folder) return {};
    AWM_TRY(const auto names, sys::list_folder(path));
    for (const auto& name : names) AWM_CHECK(give_away(join_path(path, name)));
    return {};
  }

  const CheckoutRequest& request_;
  Git& git_;
  const Stop& stop_;
  const Scope& scope_;
  Deadline deadline_;
  const Cancel* cancel_;
  std::string cache_;
  std::string build_;
  std::string suffix_;
  std::string shallow_;
  bool partial_ = false;
};

}  // namespace

int default_abbreviation(uint64_t objects) {
  // git's object-name.c: an estimate of where names stay unique, at least 7.
  const int bits = objects == 0 ? 0 : static_cast<int>(std::bit_width(objects));
  return std::max(7, (bits + 1) / 2);
}

Result<Checkout> prepare_checkout(const CheckoutRequest& request, Spawner& spawner, const Stop& stop,
                                  const Scope& scope, Deadline deadline, Cancel* cancel) {
  Git git(spawner, stop, scope, deadline, cancel);
  Builder builder(request, git, stop, scope, deadline, cancel);
  return builder.get();
}

void sweep_checkouts(const std::string& cache_folder, const OwnerMark& own, bool dry_run, Swept& swept) {
  sweep_abandoned(join_path(cache_folder, "building"), "", own, dry_run, swept);
}

}  // namespace awm
