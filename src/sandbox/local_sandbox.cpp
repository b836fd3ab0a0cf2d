#include "sandbox/local_sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>

#include "base/text.h"
#include "os/file.h"
#include "os/log.h"
#include "os/owner.h"
#include "os/sys.h"
#include "sandbox/cgroup.h"
#include "sandbox/checkout.h"
#include "sandbox/helper_sandbox.h"
#include "sandbox/local_mounts.h"

namespace awm {
namespace {

constexpr uint64_t mebibyte = uint64_t{1} << 20;
constexpr uint64_t default_memory = 8192 * mebibyte;
constexpr uint64_t least_memory = 64 * mebibyte;
constexpr uint64_t default_pids = 1024;
constexpr uint64_t default_open_files = 65536;
constexpr uint64_t soft_open_files = 4096;
// The helper takes as long as its processes take to die; then it is killed.
constexpr Seconds end_grace{10};
constexpr std::string_view state_prefix = "sandbox-";

uint64_t machine_memory() {
  const auto text = read_file("/proc/meminfo", 1 << 16);
  if (!text) return 0;
  for (const auto line : split_lines(*text)) {
    constexpr std::string_view key = "MemTotal:";
    if (!line.starts_with(key)) continue;
    const auto number = trim(line.substr(key.size()));
    uint64_t kilobytes = 0;
    std::from_chars(number.data(), number.data() + number.size(), kilobytes);
    return kilobytes * 1024;
  }
  return 0;
}

// What a folder or group may be called.
std::string tame(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 80)) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    out += good ? c : '_';
  }
  return out.empty() ? "unnamed" : out;
}

Result<std::string> cache_of(const LocalSandboxSettings& settings) {
  if (!settings.cache_folder.empty()) return absolute_path(settings.cache_folder);
  AWM_TRY(const auto folder, cache_folder());
  return join_path(folder, "local");
}

Result<std::string> helper_of(const LocalSandboxSettings& settings) {
  const auto self = sys::self_path();
  if (self.empty()) {
    return fail(Errc::unavailable, "start", "the sandbox", "/proc is not mounted", "as root: mount -t proc proc /proc");
  }
  auto path = settings.helper.empty() ? join_path(parent_path(self), "awm-helper") : settings.helper;
  if (exists(path)) return path;
  return fail(Errc::unavailable, "start", "the sandbox", "there is no " + path,
              "awm-helper belongs beside awm: build or install it again");
}

Result<std::string> bubblewrap_of(const LocalSandboxSettings& settings) {
  const auto missing = [](const std::string& name) {
    return fail(Errc::unavailable, "start", "the sandbox", name + " (bubblewrap) is not installed",
                "install it: apt-get install bubblewrap");
  };
  std::string name = settings.bubblewrap.empty() ? "bwrap" : settings.bubblewrap;
  if (name.find('/') != std::string::npos) {
    if (exists(name)) return name;
    return missing(name);
  }
  const auto path = sys::environment("PATH").value_or("");
  for (const auto& folder : split(path + ":/usr/local/bin:/usr/bin:/bin", ':')) {
    if (folder.empty()) continue;
    auto candidate = join_path(folder, name);
    const auto info = sys::stat(candidate);
    if (info && info->type == sys::FileInfo::Type::file && (info->mode & 0111) != 0) return candidate;
  }
  return missing(name);
}

// Root, and the user that commands run as is one that root can become: not so in a user namespace that maps root alone.
bool has_own_uid() {
  if (sys::effective_uid() != 0) return false;
  for (const auto* path : {"/proc/self/uid_map", "/proc/self/gid_map"}) {
    const auto text = read_file(path, 1 << 16);
    if (!text) return false;
    bool mapped = false;
    for (const auto line : split_lines(*text)) {
      std::vector<uint64_t> numbers;
      for (const auto& word : split(line, ' ')) {
        uint64_t number = 0;
        if (!word.empty() && std::from_chars(word.data(), word.data() + word.size(), number).ec == std::errc{})
          numbers.push_back(number);
      }
      mapped = mapped ||
               (numbers.size() == 3 && local_sandbox_uid >= numbers[0] && local_sandbox_uid - numbers[0] < numbers[2]);
    }
    if (!mapped) return false;
  }
  return true;
}

// The host's, with the sandbox's own user besides.
std::string with_own_line(const std::string& path, const std::string& line) {
  std::string text = read_file(path, 16 << 20).value_or("");
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  return text + line;
}

class LocalSandbox final : public HelperSandbox {
 public:
  LocalSandbox(LocalSandboxSettings settings, Spawner& spawner, const Stop& stop, const Scope& scope)
      : settings_(std::move(settings)), spawner_(spawner), stop_(stop), scope_(scope) {
    facts_.kind = "local";
  }
  LocalSandbox(const LocalSandbox&) = delete;
  LocalSandbox& operator=(const LocalSandbox&) = delete;

  ~LocalSandbox() override {
    if (!state_.empty() || child_.running())
      log_warning("the sandbox " + settings_.name + " was dropped without being closed");
    (void)close();
  }

  Result<void> connect(Deadline deadline) override {
    {
      const std::lock_guard lock(close_mutex_);
      if (closed_) return fail(Errc::closed, "start", "the sandbox", "it is closed");
      if (started_) return {};
      started_ = true;
      auto made = start(deadline);
      if (made) return {};
      // Half-made, it is given back like a whole one.
      auto error = std::move(made).error();
      if (cancel_.requested()) error = cancelled_error("start", "the sandbox");
      if (error.code == Errc::lost || error.code == Errc::timed_out) {
        if (auto said = end_of_story(); !said.empty() && error.cause.find(said) == std::string::npos)
          error.cause += ": " + said;
      }
      release();
      return std::unexpected(std::move(error));
    }
  }

  ReleaseReport close() noexcept override {
    // First of all, so that calls in flight on other threads end, a connect too.
    cancel_.request();
    end_client();
    const std::lock_guard lock(close_mutex_);
    release();
    return report_;
  }

 protected:
  uint64_t memory_kills() override { return cgroup_.kills(); }

 private:
  Result<void> start(Deadline deadline) {
    AWM_TRY(const auto bubblewrap, bubblewrap_of(settings_));
    AWM_TRY(const auto helper, helper_of(settings_));
    AWM_TRY(const auto cache, cache_of(settings_));
    const bool as_root = has_own_uid();
    Checkout checkout;
    if (!settings_.repository.empty()) {
      const CheckoutRequest request{.repository = settings_.repository,
                                    .base_commit = settings_.base_commit,
                                    .cache_folder = cache,
                                    .uid = local_sandbox_uid,
                                    .gid = local_sandbox_uid,
                                    .give_away = as_root};
      AWM_TRY(checkout, prepare_checkout(request, spawner_, stop_, scope_.child("checkout"), deadline, &cancel_));
    }
    AWM_CHECK(make_state(cache));
    AWM_CHECK(make_groups());

    LocalMounts mounts;
    mounts.scratch = join_path(state_, "scratch");
    mounts.testbed = checkout.tree.empty() ? join_path(mounts.scratch, "empty") : join_path(state_, "testbed");
    mounts.history = checkout.history;
    mounts.helper = helper;
    mounts.passwd = join_path(state_, "passwd");
    mounts.group = join_path(state_, "group");
    mounts.hidden_paths = settings_.hidden_paths;
    mounts.hidden_paths.push_back(cache);
    mounts.binds = settings_.binds;
    mounts.network = settings_.network;
    mounts.as_root = as_root;
    AWM_TRY(auto arguments, bubblewrap_arguments(mounts));

    SpawnOptions options;
    options.argv = {helper, "launch"};
    const auto add = [&](std::initializer_list<std::string> words) { options.argv.insert(options.argv.end(), words); };
    for (const auto& file : cgroup_.procs_files()) add({"--cgroup", file});
    add({"--scratch", mounts.scratch, std::to_string(memory_ / 2)});
    if (as_root) add({"--owner", std::to_string(local_sandbox_uid), std::to_string(local_sandbox_uid)});
    if (!as_root) add({"--user-namespace"});
    if (!checkout.tree.empty()) add({"--tree", checkout.tree, mounts.testbed});
    if (!settings_.use_overlay) add({"--copy"});
    add({"--", bubblewrap});
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    add({"--chdir", "/", "--clearenv"});
    for (const auto& entry : base_environment()) {
      const auto equals = entry.find('=');
      add({"--setenv", entry.substr(0, equals), entry.substr(equals + 1)});
    }
    add({helper_inside, "serve", "--no-new-privs", "--drop-caps", "--rlimit", "core=0", "--rlimit",
         fmt::format("nofile={}:{}", std::min(soft_open_files, open_files_), open_files_)});
    const auto id = std::to_string(local_sandbox_uid);
    if (as_root) add({"--uid", id, "--gid", id});
    if (!cgroup_.limits_pids()) add({"--rlimit", fmt::format("nproc={}", pids_)});
    if (!cgroup_.limits_memory()) add({"--tree-memory", std::to_string(memory_)});

    AWM_TRY(auto sockets, sys::socket_pair(scope_, "the sandbox's stream"));
    AWM_CHECK(sys::set_nonblocking(sockets.first.get(), true));
    {
      AWM_TRY(const auto log, sys::open(scope_, log_path(), sys::Open::append));
      options.stdin_fd = sockets.second.get();
      options.stdout_fd = sockets.second.get();
      options.stderr_fd = log.get();
      // Neither our variables nor our folder are the launcher's business.
      options.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"};
      options.folder = "/";
      AWM_TRY(child_, spawner_.spawn(scope_, options));
      sockets.second.reset();
    }
    AWM_CHECK(start_client(
        make_socket_stream(std::move(sockets.first)), &stop_, [this] { return end_of_story(); }, settings_.env_setup,
        settings_.environment, deadline));
    return {};
  }

  static std::vector<std::string> base_environment() {
    return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", std::string("HOME=") + home_inside,
            "USER=awm", "LOGNAME=awm", "SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=dumb", "PAGER=cat",
            // The repository may belong to another number than the one that commands see.
            "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"};
  }

  [[nodiscard]] std::string log_path() const { return join_path(state_, "launch.log"); }

  // What launcher and bubblewrap had to say, and how they ended.
  std::string end_of_story() {
    std::string story;
    if (cgroup_.kills() > 0) story = "the kernel killed something in it for memory";
    const auto text = awm::read_file(log_path(), mebibyte);
    if (text) {
      std::string_view said = trim(*text);
      if (said.size() > 2000) said.remove_prefix(said.size() - 2000);
      if (!said.empty()) story += (story.empty() ? "" : "; ") + std::string(said);
    }
    if (story.find("bwrap:") != std::string::npos && story.find("ermission denied") != std::string::npos &&
        exists("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")) {
      story +=
          "; as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give bwrap an AppArmor profile with "
          "\"userns,\"";
    }
    return story;
  }

  // The folder that holds what belongs to this sandbox outside of it; the owner's mark first, so that it is found
  // again.
  Result<void> make_state(const std::string& cache) {
    const auto all = join_path(cache, "live");
    AWM_CHECK(make_folders(all));
    AWM_TRY(const auto own, own_mark());
    const auto path =
        join_path(all, fmt::format("{}{}-{}-{}", state_prefix, own.pid, tame(settings_.name), sys::random_hex(6)));
    AWM_CHECK(sys::mkdir(path, 0755));
    state_ = path;
    state_token_ = Ledger::process().add(ResourceKind::temp_folder, 0, path, scope_);
    group_name_ = new_cgroup_name();
    AWM_CHECK(write_owner_file(path, own));
    for (const auto* part : {"scratch", "testbed"}) AWM_CHECK(sys::mkdir(join_path(path, part), 0755));
    const auto id = std::to_string(local_sandbox_uid);
    AWM_CHECK(write_new_file(
        join_path(path, "passwd"),
        with_own_line("/etc/passwd", fmt::format("awm:x:{}:{}:awm:{}:/bin/bash\n", id, id, home_inside))));
    AWM_CHECK(write_new_file(join_path(path, "group"), with_own_line("/etc/group", fmt::format("awm:x:{}:\n", id))));
    for (const auto* file : {"passwd", "group"}) AWM_CHECK(sys::chmod(join_path(path, file), 0644));
    return {};
  }

  Result<void> make_groups() {
    const auto machine = machine_memory();
    memory_ = settings_.memory_bytes;
    if (memory_ == 0) memory_ = machine == 0 ? default_memory : std::min(default_memory, machine / 2);
    memory_ = std::max(memory_, least_memory);
    pids_ = settings_.pids == 0 ? default_pids : std::max<uint64_t>(settings_.pids, 8);
    open_files_ = settings_.open_files == 0 ? default_open_files : std::max<uint64_t>(settings_.open_files, 256);
    // Launcher and helper count as well.
    if (settings_.use_cgroups)
      cgroup_ = Cgroup::create(cgroup_places(), group_name_, {.memory_bytes = memory_, .pids = pids_ + 2}, scope_);
    const std::string rung = fmt::format("cgroup v{}, ", cgroup_.version());
    facts_.memory_limit = (cgroup_.limits_memory() ? rung : std::string("watchdog, ")) + human_bytes(memory_);
    facts_.pids_limit = (cgroup_.limits_pids() ? rung : std::string("rlimit, ")) + std::to_string(pids_);
    facts_.network = settings_.network ? "host" : "off";
    return {};
  }

  // Gives all back that there is; called with close_mutex_.
  void release() noexcept {
    if (closed_) return;
    closed_ = true;
    const auto note = [this](Result<void> done) {
      if (!done) report_.problems.push_back(std::move(done).error());
    };
    end_client();
    if (child_.running()) {
      // The helper has seen its stream end: it kills all inside and ends, bubblewrap after it.
      if (auto ended = child_.wait(Deadline::in(end_grace)); !ended) {
        log_debug("the sandbox " + settings_.name + " did not end by itself: " + ended.error().message());
        kill_inside();
        child_.kill();
      }
    }
    cgroup_.kill_all();
    note(cgroup_.close());
    if (!state_.empty()) {
      auto gone = remove_owned_folder(state_);
      if (gone) {
        state_.clear();
        state_token_.release();
      } else {
        // It stays on disk, for the next sweep; it is ours no more.
        state_.clear();
        state_token_.release();
        note(std::move(gone));
      }
    }
  }

  // Process 1 inside is the child of bubblewrap's; the kernel takes everything inside down with it.
  void kill_inside() noexcept {
    const auto children = awm::read_file(fmt::format("/proc/{0}/task/{0}/children", child_.pid()), 4096);
    if (!children) return;
    for (const auto& word : split(*children, ' ')) {
      int pid = 0;
      std::from_chars(word.data(), word.data() + word.size(), pid);
      if (pid > 1) (void)sys::kill(pid, 9);
    }
  }

  LocalSandboxSettings settings_;
  Spawner& spawner_;
  const Stop& stop_;
  Scope scope_;
  uint64_t memory_ = 0;
  uint64_t pids_ = 0;
  uint64_t open_files_ = 0;
  std::string group_name_;
  Cgroup cgroup_;
  std::string state_;
  Ledger::Token state_token_;
  Child child_;
  Cancel cancel_;  // by close()
  std::mutex close_mutex_;
  bool started_ = false;
  bool closed_ = false;
  ReleaseReport report_;
};

}  // namespace

Result<std::unique_ptr<Sandbox>> make_local_sandbox(LocalSandboxSettings settings, Spawner& spawner, const Stop& stop,
                                                    const Scope& scope) {
  for (const auto& path : settings.hidden_paths) {
    if (!path.starts_with('/')) return fail(Errc::invalid_input, "hide", path, "its path is not absolute");
  }
  for (const auto& bind : settings.binds) {
    if (!bind.source.starts_with('/') || (!bind.target.empty() && !bind.target.starts_with('/')))
      return fail(Errc::invalid_input, "use", "bind " + bind.source + ":" + bind.target, "its paths are not absolute");
  }
  return std::make_unique<LocalSandbox>(std::move(settings), spawner, stop, scope);
}

Result<SandboxFacts> check_local_sandbox(Spawner& spawner, const Stop& stop, const Scope& scope,
                                         const LocalSandboxSettings& settings) {
  LocalSandboxSettings trial = settings;
  trial.repository.clear();
  trial.env_setup.clear();
  trial.name = "check";
  AWM_TRY(const auto sandbox, make_local_sandbox(trial, spawner, stop, scope.child("check")));
  auto connected = sandbox->connect(Deadline::in(Seconds(30)));
  SandboxFacts facts = sandbox->facts();
  const auto report = sandbox->close();
  if (!connected) {
    auto error = std::move(connected).error();
    if (error.code == Errc::lost || error.code == Errc::timed_out || error.code == Errc::permission) {
      error.code = Errc::unavailable;
      error.operation = "start";
      error.object = "a local sandbox";
    }
    return std::unexpected(std::move(error));
  }
  if (!report.clean()) return std::unexpected(report.problems.front());
  return facts;
}

Swept sweep_local_leftovers(const std::string& cache_folder, bool dry_run) {
  Swept swept;
  LocalSandboxSettings settings;
  settings.cache_folder = cache_folder;
  const auto cache = cache_of(settings);
  const auto own = own_mark();
  if (!own) swept.problems.push_back(own.error());
  if (!cache) swept.problems.push_back(cache.error());
  if (!own) return swept;
  // Groups first: what still runs in them uses the folders.
  sweep_cgroups(cgroup_places(), *own, dry_run, swept);
  if (!cache) return swept;
  sweep_abandoned(join_path(*cache, "live"), state_prefix, *own, dry_run, swept);
  sweep_checkouts(*cache, *own, dry_run, swept);
  return swept;
}

}  // namespace awm
