#include "sandbox/docker_sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "base/text.h"
#include "os/file.h"
#include "os/log.h"
#include "os/sys.h"
#include "sandbox/checkout.h"
#include "sandbox/engine_stream.h"
#include "sandbox/helper_sandbox.h"
#include "sandbox/tar_writer.h"

namespace awm {
namespace {

constexpr std::string_view home = "/.awm";  // ours, inside
constexpr std::string_view testbed = "/testbed";
constexpr Seconds call_limit{120};    // of one answer of the engine
constexpr Seconds release_limit{60};  // of a container's removal
constexpr std::string_view other_architecture_remedy =
    "the engine's machine cannot run this architecture: use an image of its own, or install emulation there (binfmt, "
    "qemu-user-static)";

// git, where who owns the folder is no question and nobody's settings count.
const std::vector<std::string> git_environment{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory",
                                               "GIT_CONFIG_VALUE_0=*", "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C"};

// Removes every reference that leads past HEAD, and then the objects that only those led to. What the shell itself can
// see needs no program: each costs every sample some milliseconds.
constexpr std::string_view hide_future_script = R"sh(set -e
folder=.git
remotes=
if [ -d .git ]; then
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *'['[RrIi]*) remotes=perhaps ;; esac
  done <.git/config
else
  folder=$(git rev-parse --git-dir)
  remotes=perhaps
fi
if [ -n "$remotes" ] || [ -d "$folder/remotes" ]; then
  for remote in $(git remote); do git remote remove "$remote"; done
fi
past=$(git for-each-ref --no-merged=HEAD --format='delete %(refname)')
[ -z "$past" ] || printf '%s\n' "$past" | git update-ref --no-deref --stdin
[ ! -d "$folder/logs" ] || git reflog expire --expire=now --expire-unreachable=now --all
for file in FETCH_HEAD ORIG_HEAD; do [ ! -e "$folder/$file" ] || rm -f "$folder/$file"; done
all=$(git cat-file --batch-all-objects --unordered --batch-check='%(objecttype)' | grep -c '^commit')
if [ "$all" != "$(git rev-list --count HEAD)" ]; then
  git repack -a -d -q
  rm -f "$folder/objects/info/alternates"
  git prune --expire=now
fi
)sh";

// One part of an archive after the other; `done` when all was given.
std::function<Result<std::string>()> in_parts(std::vector<std::string> parts) {
  auto all = std::make_shared<std::vector<std::string>>(std::move(parts));
  return [all, at = std::size_t{0}]() mutable -> Result<std::string> {
    while (at < all->size() && (*all)[at].empty()) ++at;
    if (at == all->size()) return std::string();
    return std::move((*all)[at++]);
  };
}

class Archive {
 public:
  void folder(std::string name, unsigned mode = 0755, uint32_t uid = 0, uint32_t gid = 0) {
    add({.type = TarMember::Type::folder, .name = std::move(name), .link = "", .mode = mode, .uid = uid, .gid = gid},
        "");
  }
  void file(std::string name, std::string content, unsigned mode) {
    add({.type = TarMember::Type::file, .name = std::move(name), .link = "", .mode = mode}, std::move(content));
  }
  void link(std::string name, std::string target) {
    add({.type = TarMember::Type::link, .name = std::move(name), .link = std::move(target), .mode = 0777}, "");
  }
  std::function<Result<std::string>()> pieces() {
    parts_.push_back(tar_end());
    return in_parts(std::move(parts_));
  }

 private:
  void add(TarMember member, std::string content) {
    member.size = content.size();
    parts_.push_back(tar_header(member));
    parts_.push_back(std::move(content));
    parts_.push_back(tar_padding(member.size));
  }
  std::vector<std::string> parts_;
};

// Docker's words for architectures are Go's.
std::string kernel_architecture(const std::string& docker) {
  if (docker == "amd64") return "x86_64";
  if (docker == "arm64") return "aarch64";
  return docker;
}

std::string container_name(std::string_view wanted) {
  std::string name;
  for (const char c : wanted) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    name += plain ? c : '-';
  }
  if (name.size() > 100) name.resize(100);
  return "awm-" + (name.empty() ? "" : name + "-") + sys::random_hex(6);
}

std::string limit_text(uint64_t bytes) {
  return bytes == 0 ? "none" : "cgroup of the engine, " + human_bytes(bytes);
}

class DockerSandbox final : public HelperSandbox {
 public:
  DockerSandbox(DockerSandboxSettings settings, const Engine& engine, Spawner& spawner, const Stop& stop,
                const Scope& scope)
      : settings_(std::move(settings)), engine_(engine.with(cancel_)), spawner_(spawner), stop_(stop), scope_(scope) {
    facts_.kind = "docker";
  }

  ~DockerSandbox() override {
    bool open = false;
    {
      const std::lock_guard lock(mutex_);
      open = !closed_ && container_;
    }
    if (open) log_warning("a sandbox was not closed by its owner: " + settings_.name);
    (void)close();
  }

  Result<void> connect(Deadline deadline) override {
    if (connected_ && !is_closed()) return {};
    auto done = connect_all(deadline);
    if (done) {
      connected_ = true;
      return done;
    }
    auto error = std::move(done).error();
    // Who closed it meanwhile need not hear what broke by that.
    if (is_closed())
      error = Error{.code = Errc::closed, .operation = "connect", .object = "the sandbox", .cause = "it was closed"};
    for (const auto& problem : close().problems) log_warning(problem.message());
    return std::unexpected(std::move(error));
  }

  ReleaseReport close() noexcept override {
    std::shared_ptr<const void> lease;
    UniqueContainer container;
    {
      std::unique_lock lock(mutex_);
      if (closed_) {
        released_.wait(lock, [&] { return report_.has_value(); });
        return *report_;
      }
      closed_ = true;
      container = std::move(container_);
      lease = std::move(lease_);
    }
    cancel_.request();
    end_client();
    ReleaseReport report;
    if (container) {
      if (auto gone = container.remove(Deadline::in(release_limit)); !gone) {
        report.problems.push_back(std::move(gone).error());
      }
    }
    lease.reset();
    const std::lock_guard lock(mutex_);
    report_ = std::move(report);
    released_.notify_all();
    return *report_;
  }

 private:
  [[nodiscard]] Deadline soon() const { return sooner(deadline_, Deadline::in(call_limit)); }

  bool is_closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

  [[nodiscard]] std::unexpected<Error> no_good(Errc code, std::string cause, std::string remedy) const {
    return fail(code, "use image", settings_.image, std::move(cause), std::move(remedy));
  }

  Result<void> connect_all(Deadline deadline) {
    deadline_ = deadline;
    // What needs no container comes before one is made.
    std::optional<Checkout> checkout;
    if (!settings_.repository.empty()) {
      std::string cache = settings_.cache_folder;
      if (cache.empty()) {
        AWM_TRY(cache, cache_folder());
      }
      const CheckoutRequest request{
          .repository = settings_.repository, .base_commit = settings_.base_commit, .cache_folder = cache};
      AWM_TRY(checkout, prepare_checkout(request, spawner_, stop_, scope_, deadline, &cancel_));
    }
    AWM_TRY(auto image, hold_image());
    AWM_TRY(auto helper, helper_for(image));
    // An engine behind a socket sees our files, most often; trying costs less than an upload.
    shown_ = settings_.show_own_files && engine_.address().kind == EngineAddress::Kind::unix_socket;
    auto begun = begin(image, helper, checkout);
    if (!begun && settings_.hold_image && is_of_a_missing_image(begun.error())) {
      // Somebody removed it between our look and the container's making.
      AWM_TRY(image, hold_image());
      AWM_TRY(helper, helper_for(image));
      begun = begin(image, helper, checkout);
    }
    if (!begun && shown_ && is_of_what_was_shown(begun.error())) {
      shown_ = false;
      AWM_CHECK(give_up_container());
      begun = begin(image, helper, checkout);
    }
    if (!begun) return std::unexpected(std::move(begun).error());
    const auto& id = *begun;
    AWM_CHECK(lend_git(id, image));
    if (checkout) AWM_CHECK(bring_repository(id, *checkout));
    if (!checkout && settings_.base_commit.empty()) AWM_CHECK(stand_for_testbed(id, image));
    AWM_CHECK(check_testbed());
    if (!checkout) AWM_CHECK(check_commit());
    facts_.network = settings_.network == "none" ? "off"
                     : settings_.network.empty() ? "engine's default"
                                                 : settings_.network;
    facts_.memory_limit = limit_text(settings_.memory);
    facts_.pids_limit = settings_.pids > 0 ? fmt::format("cgroup of the engine, {}", settings_.pids) : "none";
    return {};
  }

  // The image, which stays until close().
  Result<ImageInfo> hold_image() {
    if (!settings_.hold_image) {
      AWM_TRY(auto found, find_image(engine_, settings_.image, settings_.platform, soon()));
      if (found) return *std::move(found);
      return no_good(Errc::not_found, "the engine does not have it", "docker pull " + settings_.image);
    }
    const auto asked = Clock::now();
    AWM_TRY(auto held, settings_.hold_image(cancel_, Deadline::in(settings_.image_limit)));
    if (!deadline_.is_never()) deadline_ = Deadline::at(deadline_.when() + (Clock::now() - asked));
    const std::lock_guard lock(mutex_);
    if (closed_) return fail(Errc::closed, "connect", "the sandbox", "it was closed");
    lease_ = std::move(held.lease);
    return std::move(held.info);
  }

  static bool is_of_a_missing_image(const Error& error) {
    return error.http_status == 404 && contains(to_lower_ascii(error.cause), "no such image");
  }

  // Could it be that the engine does not see our files, or may not run them, or sees others?
  static bool is_of_what_was_shown(const Error& error) {
    return error.http_status >= 400 || error.code == Errc::lost || error.code == Errc::protocol ||
           error.code == Errc::unsupported;
  }

  Result<void> give_up_container() {
    UniqueContainer container;
    {
      const std::lock_guard lock(mutex_);
      container = std::move(container_);
    }
    return container.remove(soon());
  }

  // A container with the helper running in it; its id.
  Result<std::string> begin(const ImageInfo& image, const std::string& helper,
                            const std::optional<Checkout>& checkout) {
    AWM_TRY(auto id, create(image, helper, checkout));
    AWM_CHECK(start(id));
    return id;
  }

  // Path of the program for the image's architecture, not for ours.
  Result<std::string> helper_for(const ImageInfo& image) {
    const auto wanted =
        kernel_architecture(image.architecture.empty() ? engine_.version().architecture : image.architecture);
    const auto folder = settings_.helper_folder.empty() ? parent_path(sys::self_path()) : settings_.helper_folder;
    auto path = join_path(folder, "awm-helper-" + wanted);
    if (!exists(path) && wanted == sys::machine()) path = join_path(folder, "awm-helper");
    auto there = sys::realpath(path);
    if (there) return there;
    if (wanted != sys::machine()) {
      return no_good(Errc::unsupported, "it is of architecture " + wanted + ", for which there is no " + path,
                     "build awm with a cross compiler for " + wanted + " (g++-" + replace_all(wanted, "_", "-") +
                         "-linux-gnu), or name another platform or image");
    }
    return std::unexpected(std::move(there).error());
  }

  Result<std::string> create(const ImageInfo& image, const std::string& helper,
                             const std::optional<Checkout>& checkout) {
    ContainerSpec spec;
    spec.image = image.id.empty() ? settings_.image : image.id;  // a tag that moves meanwhile changes nothing
    spec.name = container_name(settings_.name);
    spec.entrypoint = {std::string(home) + "/helper", "serve"};
    spec.user = settings_.user;
    spec.folder = "/";
    spec.auto_remove = true;  // a killed awm leaves nothing to sweep
    spec.labels = settings_.labels.map();
    spec.network = settings_.network;
    spec.add_capabilities = settings_.add_capabilities;
    spec.drop_capabilities = settings_.drop_capabilities;
    spec.memory = settings_.memory;
    spec.cpus = settings_.cpus;
    spec.pids = settings_.pids;
    spec.no_new_privileges = settings_.no_new_privileges;
    spec.tmpfs = settings_.tmpfs;
    if (settings_.read_only) {
      // Files can be brought only into what can be written: volumes of the container's own.
      spec.read_only = true;
      spec.volumes = {std::string(home), std::string(testbed)};
      if (!spec.tmpfs.contains("/tmp")) spec.volumes.emplace_back("/tmp");
    }
    if (shown_) {
      spec.shown.emplace_back(helper, std::string(home) + "/helper");
      if (checkout) {
        AWM_TRY(const auto history, sys::realpath(checkout->history));
        spec.shown.emplace_back(history, history_inside);
      }
    }
    auto made = UniqueContainer::create(engine_, scope_, spec, soon());
    if (!made) return std::unexpected(about_image(std::move(made).error()));
    std::string id = made->id();
    {
      const std::lock_guard lock(mutex_);
      if (!closed_) container_ = *std::move(made);
    }
    if (is_closed()) return fail(Errc::closed, "connect", "the sandbox", "it was closed");

    if (shown_) return id;
    AWM_TRY(auto program, awm::read_file(helper, uint64_t{64} << 20));
    Archive archive;
    const auto base = base_in_archives();
    if (!base.empty()) archive.folder(base);
    archive.file(base + "helper", std::move(program), 0755);
    AWM_CHECK(put_container_archive(engine_, id, archive_target(), soon(), archive.pieces()));
    return id;
  }

  // Into a read-only container the engine brings files only below a mount; elsewhere our folder is made by the archive.
  [[nodiscard]] std::string archive_target() const { return settings_.read_only ? std::string(home) : "/"; }
  [[nodiscard]] std::string base_in_archives() const {
    return settings_.read_only ? "" : std::string(home.substr(1)) + "/";
  }

  // The engine's refusals, with the image's name and what helps.
  Error about_image(Error error) const {
    if (error.http_status == 0) return error;
    error.operation = "use image";
    error.object = settings_.image;
    const auto lower = to_lower_ascii(error.cause);
    if (contains(lower, "exec format error") || contains(lower, "does not match the specified platform")) {
      error.code = Errc::unsupported;
      error.remedy = other_architecture_remedy;
    } else if (contains(lower, "unable to find user") || contains(lower, "no matching entries in passwd")) {
      error.code = Errc::invalid_input;
      error.remedy = "name a user that the image has, or a number";
    } else if (contains(lower, "network") && contains(lower, "not found")) {
      error.code = Errc::unavailable;
      error.remedy = "name another network (none, bridge, host), or make this one (docker network create)";
    }
    return error;
  }

  Result<void> start(const std::string& id) {
    AWM_TRY(auto attached, attach_container(engine_, scope_.child("stream"), id, soon()));
    auto stream = make_engine_stream(std::move(attached));
    const auto* errors = stream.get();
    if (auto started = start_container(engine_, id, soon()); !started) {
      return std::unexpected(about_image(std::move(started).error()));
    }
    auto greeted = start_client(
        std::move(stream), &stop_, [this, id, errors] { return describe_end(id, *errors); }, settings_.env_setup,
        settings_.environment, soon());
    if (!greeted) {
      if (contains(greeted.error().cause, "exec format error")) {
        return no_good(Errc::unsupported, greeted.error().cause, std::string(other_architecture_remedy));
      }
      return greeted;
    }
    if (facts_.shell.empty()) {
      return no_good(Errc::unsupported, "it has neither bash nor sh, so that no command can be run in it",
                     "use an image with a shell");
    }
    return {};
  }

  // What became of the container: asked when its stream ended without our doing.
  std::string describe_end(const std::string& id, const EngineByteStream& stream) const {
    const auto deadline = Deadline::in(Seconds(10));
    // The stream ends a little before the engine has written down why; and it removes what has ended.
    for (int look = 0; look < 40; ++look) {
      const auto events = past_events(engine_, id, deadline);
      if (!events) return "its engine went away: " + events.error().message();
      const EngineEvent* end = nullptr;
      bool killed = false;
      bool ran_out = false;  // perhaps a command alone, long ago: it counts only where nobody else killed
      for (const auto& event : *events) {
        killed = killed || event.action == "kill";
        ran_out = ran_out || event.action == "oom";
        if (event.action == "die") end = &event;
      }
      if (end != nullptr) {
        if (killed) return "its container was killed or removed from outside";
        const auto code = end->attributes.find("exitCode");
        if (code != end->attributes.end() && code->second == "137") {
          if (ran_out) {
            return "its container ran out of memory (limit: " +
                   (settings_.memory > 0 ? human_bytes(settings_.memory) : "the machine's") + ") and was killed";
          }
          return "its container's main process was killed from outside";
        }
        const auto words = to_valid_utf8(trim(stream.error_tail()));
        return "its container ended with code " + (code == end->attributes.end() ? "?" : code->second) +
               (words.empty() ? "" : ": " + words);
      }
      if (!sys::poll({}, Deadline::in(Milliseconds(50)))) break;
    }
    const auto state = inspect_container(engine_, id, deadline);
    if (state && state->status == "running") return "its engine ended the connection, though the container runs";
    return "its container ended";
  }

  // An image without git gets this machine's for the container's life, in a folder of our own, behind its PATH.
  Result<void> lend_git(const std::string& id, const ImageInfo& image) {
    if (facts_.has_git) return {};
    if (facts_.architecture != sys::machine()) {
      log_warning(settings_.image + " has no git, and this machine's is of another architecture");
      return {};
    }
    const auto lent = collect_git();
    if (!lent) {
      log_warning(settings_.image + " has no git, and this machine's cannot be lent: " + lent.error().message());
      return {};
    }
    Archive archive;
    const auto base = base_in_archives();
    for (const auto* folder : {"bin", "lent", "lent/lib"}) archive.folder(base + folder);
    archive.link(base + "bin/git", "../helper");
    for (const auto& [name, path] : *lent) {
      AWM_TRY(auto content, awm::read_file(path, uint64_t{64} << 20));
      archive.file(fmt::format("{}lent/{}", base, name), std::move(content), 0755);
    }
    AWM_CHECK(put_container_archive(engine_, id, archive_target(), soon(), archive.pieces()));
    auto environment = settings_.environment;
    std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const auto* list : {&image.environment, &settings_.environment}) {
      for (const auto& pair : *list) {
        if (pair.starts_with("PATH=")) path = pair.substr(5);
      }
    }
    environment.push_back("PATH=" + path + ":" + std::string(home) + "/bin");
    AWM_CHECK(set_up(settings_.env_setup, environment, soon()));
    AWM_TRY(const auto version,
            exec(std::vector<std::string>{std::string(home) + "/bin/git", "--version"}, quietly("/")));
    if (!version.status.ok()) {
      log_warning(settings_.image +
                  " has no git, and this machine's does not run in it: " + to_valid_utf8(version.output));
      return {};
    }
    facts_.has_git = true;
    return {};
  }

  // Names below /.awm/lent and where they come from: git, its loader, its libraries.
  Result<std::vector<std::pair<std::string, std::string>>> collect_git() {
    const auto run = [&](std::vector<std::string> argv) -> Result<std::string> {
      SpawnOptions options;
      options.argv = std::move(argv);
      options.environment = {"PATH=" + sys::environment("PATH").value_or("/usr/bin:/bin"), "LC_ALL=C"};
      const auto program = options.argv.front();
      AWM_TRY(auto done, run_process(spawner_, scope_, std::move(options), soon(), &stop_));
      if (!done.status.ok()) return fail(Errc::io, "run", program, done.status.text());
      return std::move(done.output);
    };
    AWM_TRY(const auto exec_path, run({"git", "--exec-path"}));
    AWM_TRY(const auto program, sys::realpath(join_path(trim(exec_path), "git")));
    AWM_TRY(const auto libraries, run({"ldd", program}));
    std::vector<std::pair<std::string, std::string>> files{{"git", program}};
    for (const auto line : split_lines(libraries)) {
      const auto words = split(trim(line), ' ');
      if (words.size() >= 3 && words[1] == "=>" && words[2].starts_with('/')) {
        files.emplace_back("lib/" + words[0], words[2]);
      } else if (!words.empty() && words[0].starts_with('/')) {
        files.emplace_back("loader", words[0]);
      }
    }
    if (std::none_of(files.begin(), files.end(), [](const auto& file) { return file.first == "loader"; })) {
      return fail(Errc::unsupported, "lend", program, "it has no loader");
    }
    return files;
  }

  static ExecOptions quietly(std::string_view folder = testbed) {
    ExecOptions options;
    options.folder = folder;
    options.environment = git_environment;
    options.with_env_setup = false;
    return options;
  }

  // Runs a command of ours in /testbed; its output, trimmed. Errors: io with its words.
  Result<std::string> inside(std::vector<std::string> argv) {
    AWM_TRY(const auto done, exec(argv, quietly()));
    std::string words = to_valid_utf8(trim(done.output));
    if (!done.status.ok()) {
      return fail(Errc::io, "run " + argv.front() + " in", settings_.image,
                  done.status.text() + (words.empty() ? "" : ": " + words));
    }
    return words;
  }

  Result<void> need_git() const {
    if (facts_.has_git) return {};
    return no_good(Errc::unsupported, "it has no git, and this machine's cannot be lent to it",
                   "use an image with git, or install git here");
  }

  // The same files, repository and history as a local sandbox shows, so that a patch is the same.
  Result<void> bring_repository(const std::string& id, const Checkout& checkout) {
    const std::string folder(testbed);
    auto there = list(folder);
    if (there) {
      for (const auto& entry : *there) AWM_CHECK(remove(folder + "/" + entry.name));
    }
    if ((facts_.uid != 0 || !there) && !settings_.read_only) {
      // Only the engine may make a folder below / for somebody else.
      Archive archive;
      archive.folder(folder.substr(1), 0755, facts_.uid, facts_.uid);
      AWM_CHECK(put_container_archive(engine_, id, "/", soon(), archive.pieces()));
    }
    AWM_CHECK(put_archive(folder, tar_of_folder(scope_, checkout.tree, "", facts_.uid, facts_.uid)));
    if (shown_) return {};
    // Behind it, where the repository looks for objects; nobody inside writes there.
    return put_container_archive(engine_, id, archive_target(), deadline_,
                                 tar_of_folder(scope_, checkout.history, base_in_archives() + "history", 0, 0));
  }

  // A task that names no commit may have its files elsewhere: where its image begins to work.
  Result<void> stand_for_testbed(const std::string& id, const ImageInfo& image) {
    if (image.folder.size() < 2 || !image.folder.starts_with('/') || settings_.read_only) return {};
    if (const auto there = stat(std::string(testbed)); there || there.error().code != Errc::not_found) return {};
    Archive archive;
    archive.link(std::string(testbed.substr(1)), image.folder);
    return put_container_archive(engine_, id, "/", soon(), archive.pieces());
  }

  Result<void> check_testbed() {
    const auto info = stat(std::string(testbed));
    if (!info || info->type != SandboxFileInfo::Type::folder) {
      return no_good(Errc::not_found, "it has no folder /testbed",
                     "give the repository with --repos or --repo, or use an image that has it there");
    }
    if (facts_.uid == 0 && !settings_.read_only) return {};
    const auto probe = std::string(testbed) + "/.awm-probe-" + sys::random_hex(4);
    if (auto written = write_file(probe, "", 0644); !written) {
      return no_good(Errc::permission,
                     fmt::format("user {} cannot write in /testbed: {}", facts_.uid, written.error().cause),
                     "run as a user that can (root), or give the repository with --repos or --repo");
    }
    return remove(probe);
  }

  // An error when there is no repository, or the commit is not in it.
  Result<void> tell_missing_commit(const std::string& base) {
    if (auto top = inside({"git", "rev-parse", "--git-dir"}); !top) {
      return no_good(Errc::not_found, "its /testbed is no git repository: " + top.error().cause,
                     "give the repository with --repos or --repo");
    }
    AWM_TRY(const auto known, exec(std::vector<std::string>{"git", "cat-file", "-e", base + "^{commit}"}, quietly()));
    if (known.status.ok()) return {};
    return no_good(Errc::not_found, "its /testbed does not have commit " + base,
                   "give the repository with --repos or --repo, or use the task's own image");
  }

  // The image's own repository: on the commit that the task begins with, and without what came later.
  Result<void> check_commit() {
    if (settings_.base_commit.empty()) return {};
    AWM_CHECK(need_git());
    const auto& base = settings_.base_commit;
    // One look tells most: commits that HEAD lacks of the task's, and those that it has above it: "0\t1".
    AWM_TRY(const auto look,
            exec(std::vector<std::string>{"git", "rev-list", "--count", "--left-right", base + "^{commit}...HEAD"},
                 quietly()));
    if (!look.status.ok()) AWM_CHECK(tell_missing_commit(base));
    // Published images have one commit of their own above it, with what their build changed: it stays.
    const auto counts = trim(look.output);
    const bool stays = look.status.ok() && counts.size() == 3 && counts.starts_with("0\t") && counts[2] <= '3';
    if (!stays) AWM_CHECK(inside({"git", "reset", "--hard", "--quiet", base}));
    if (!settings_.hide_future) return {};
    auto hidden = inside({facts_.shell, "-c", std::string(hide_future_script)});
    if (!hidden) {
      return no_good(Errc::io,
                     "what came after the task's commit cannot be removed from its repository: " + hidden.error().cause,
                     "run as the user who owns /testbed in the image");
    }
    return {};
  }

  const DockerSandboxSettings settings_;
  Cancel cancel_;  // by close(): ends what connect() waits for
  const Engine engine_;
  Spawner& spawner_;
  const Stop& stop_;
  const Scope scope_;
  Deadline deadline_;       // of connect()
  bool shown_ = false;      // our files are mounted, not uploaded
  bool connected_ = false;  // connect() is done; its caller's alone

  std::mutex mutex_;
  std::condition_variable released_;
  UniqueContainer container_;
  std::shared_ptr<const void> lease_;  // of the image
  bool closed_ = false;
  std::optional<ReleaseReport> report_;
};

}  // namespace

DockerSandboxSettings as_reference_judge(DockerSandboxSettings settings) {
  settings.user = "root";
  settings.network = "";
  settings.memory = 0;
  settings.cpus = 0;
  settings.pids = 0;
  settings.add_capabilities = {"SYS_ADMIN"};
  settings.drop_capabilities = {};
  settings.no_new_privileges = false;
  settings.read_only = false;
  settings.hide_future = false;
  return settings;
}

Result<std::unique_ptr<Sandbox>> make_docker_sandbox(const DockerSandboxSettings& settings, const Engine& engine,
                                                     Spawner& spawner, const Stop& stop, const Scope& scope) {
  if (settings.image.empty()) {
    return fail(Errc::invalid_input, "make", "a sandbox", "no image is named",
                "add --image NAME, or use the task's own");
  }
  return std::make_unique<DockerSandbox>(settings, engine, spawner, stop, scope);
}

}  // namespace awm
