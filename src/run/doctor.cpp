#include "run/doctor.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "base/json.h"
#include "base/text.h"
#include "docker/engine.h"
#include "http/client.h"
#include "llm/info.h"
#include "llm/service.h"
#include "os/file.h"
#include "os/sys.h"
#include "run/datasets.h"
#include "sandbox/local_sandbox.h"

namespace awm {
namespace {

constexpr Seconds limit{15};
constexpr uint64_t gigabyte = uint64_t{1} << 30;

std::string first_line(const std::string& path) {
  const auto text = read_file(path, 65536);
  return text ? std::string(trim(text->substr(0, text->find('\n')))) : "";
}

class Doctor {
 public:
  Doctor(const Scope& scope, Stop& stop, Spawner& spawner, const DoctorOptions& options,
         const std::function<void(const Finding&)>& tell)
      : scope_(scope.child("doctor")), stop_(stop), spawner_(spawner), options_(options), tell_(tell) {}

  std::vector<Finding> examine() {
    kernel();
    descriptors();
    memory();
    disk("disk of results", options_.output_dir.empty() ? "." : options_.output_dir, 2 * gigabyte);
    if (const auto cache = cache_folder()) disk("disk of checkouts", *cache, gigabyte);
    clock();
    program("git", {"git", "--version"}, "install it: apt-get install git");
    // One kind of sandbox is enough, unless a certain one is asked for.
    const bool docker = options_.sandbox == "local" || engine(options_.sandbox.empty() ? Health::warn : Health::fail);
    if (options_.sandbox != "docker") local(options_.sandbox.empty() && docker ? Health::warn : Health::fail);
    proxies();
    model();
    for (const auto& dataset : options_.datasets) rows(dataset);
    return std::move(findings_);
  }

 private:
  void add(Health health, std::string what, std::string found, std::string remedy = {}) {
    findings_.push_back({health, std::move(what), std::move(found), health == Health::ok ? "" : std::move(remedy)});
    if (tell_) tell_(findings_.back());
  }
  void add(Health health, std::string what, const Error& error) {
    add(health, std::move(what), error.cause.empty() ? error.message() : error.object + ": " + error.cause,
        error.remedy);
  }

  void kernel() {
    const auto release = first_line("/proc/sys/kernel/osrelease");
    if (release.empty())
      return add(Health::fail, "kernel", "/proc is not mounted", "as root: mount -t proc proc /proc");
    add(Health::ok, "kernel", release + ", " + sys::machine());
  }

  void descriptors() {
    const auto now = sys::descriptor_limit();
    if (!now) return add(Health::fail, "descriptor limit", now.error());
    constexpr uint64_t few = 64;
    constexpr uint64_t enough = 1024;
    add(now->hard < few      ? Health::fail
        : now->hard < enough ? Health::warn
                             : Health::ok,
        "descriptor limit", fmt::format("{}, can be raised to {}", now->soft, now->hard),
        "raise the hard limit: ulimit -Hn 65536, or /etc/security/limits.conf (a worker takes 4, the rest 24)");
  }

  void memory() {
    const auto text = read_file("/proc/meminfo", 65536);
    if (!text) return add(Health::warn, "memory", "unknown: /proc/meminfo cannot be read");
    for (const auto line : split_lines(*text)) {
      constexpr std::string_view key = "MemAvailable:";
      if (!line.starts_with(key)) continue;
      const auto bytes = std::strtoull(std::string(trim(line.substr(key.size()))).c_str(), nullptr, 10) * 1024;
      return add(bytes < gigabyte ? Health::warn : Health::ok, "memory", human_bytes(bytes) + " are free",
                 "tests of tasks may need more: use fewer --workers");
    }
  }

  void disk(std::string what, const std::string& folder, uint64_t wanted) {
    // A folder that is not there yet will be made where its parent is.
    std::string at = absolute_path(folder).value_or(folder);
    while (!exists(at) && at.size() > 1) at = parent_path(at);
    const auto space = sys::disk_space(at);
    if (!space) return add(Health::warn, std::move(what), space.error());
    add(space->available < wanted ? Health::warn : Health::ok, std::move(what),
        fmt::format("{} free of {} ({})", human_bytes(space->available), human_bytes(space->total), at),
        "make room: a run stops admitting samples at 256 MB");
  }

  void clock() {
    const auto now = std::chrono::system_clock::now();
    const std::chrono::sys_days early{std::chrono::year{2025} / 1 / 1};
    add(now < early ? Health::warn : Health::ok, "clock", iso_time(now).substr(0, 19) + " UTC",
        "set it: certificates of model servers seem invalid with a wrong clock");
  }

  void program(std::string what, std::vector<std::string> argv, std::string remedy) {
    SpawnOptions spawn{.argv = std::move(argv),
                       .environment = {"PATH=" + sys::environment("PATH").value_or("/usr/bin:/bin"), "LC_ALL=C"},
                       .folder = ""};
    const auto done = run_process(spawner_, scope_, std::move(spawn), Deadline::in(limit), &stop_);
    if (!done) return add(Health::fail, std::move(what), done.error().cause, std::move(remedy));
    add(done->status.ok() ? Health::ok : Health::fail, std::move(what),
        std::string(trim(done->output.substr(0, done->output.find('\n')))), std::move(remedy));
  }

  // Whether there is an engine.
  bool engine(Health without) {
    const auto address = engine_address_from_environment();
    if (!address) {
      add(without, "Docker engine", address.error());
      return false;
    }
    const auto engine = Engine::connect(scope_.child("engine"), *address, Deadline::in(limit), &stop_);
    if (!engine) {
      add(without, "Docker engine", engine.error());
      return false;
    }
    const auto& version = (*engine)->version();
    std::string found = fmt::format("{}, API {}, {}/{}", version.engine, version.api, version.os, version.architecture);
    const auto reply = (*engine)->call("GET", "/info", "", Deadline::in(limit));
    const auto info = reply ? parse_json(reply->body, "the engine's answer") : Result<Json>(Json::object());
    if (info) {
      found += ", storage " + string_or(*info, "Driver", "?") + ", cgroup v" + string_or(*info, "CgroupVersion", "1");
      found += fmt::format(", {} containers, {} images", get_int(*info, "Containers").value_or(0),
                           get_int(*info, "Images").value_or(0));
    }
    add(Health::ok, "Docker engine", found);
    if (!info) return true;
    const auto root = string_or(*info, "DockerRootDir", "");
    if (address->kind == EngineAddress::Kind::unix_socket && !root.empty() && exists(root))
      disk("disk of images", root, 20 * gigabyte);
    return true;
  }

  void local(Health without) {
    const std::pair<const char*, const char*> closed[] = {
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
        {"/proc/sys/kernel/unprivileged_userns_clone", "0"},
        {"/proc/sys/user/max_user_namespaces", "0"},
    };
    std::string shut;
    for (const auto& [path, value] : closed) {
      if (first_line(path) == value) shut += (shut.empty() ? "" : ", ") + std::string(path + 10) + " is " + value;
    }
    const auto facts = check_local_sandbox(spawner_, stop_, scope_.child("check"));
    if (!facts) {
      auto remedy = facts.error().remedy;
      if (!shut.empty()) remedy += (remedy.empty() ? "" : "; ") + shut;
      return add(without, "local sandbox", facts.error().cause, remedy);
    }
    add(Health::ok, "local sandbox",
        fmt::format("bubblewrap works; memory limit {}; pids limit {}; network {}", facts->memory_limit,
                    facts->pids_limit, facts->network));
    for (const auto& note : facts->notes) add(Health::warn, "local sandbox", note);
  }

  void proxies() {
    std::string found;
    for (const auto* name :
         {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"}) {
      if (const auto value = sys::environment(name); value && !value->empty())
        found += (found.empty() ? "" : ", ") + std::string(name) + "=" + url_for_people(*value);
    }
    if (!found.empty()) add(Health::ok, "proxy", found);
  }

  void model() {
    const auto settings = load_settings(options_.settings);
    if (!settings) return add(Health::fail, "settings", settings.error().message());
    add(Health::ok, "settings",
        settings->config_file.empty() ? "no config.toml here"
                                      : fmt::format("{}, [{}]", settings->config_file, settings->llm_section));
    for (const auto& warning : settings->warnings) add(Health::warn, "settings", warning);
    if (const auto named = require_model(*settings); !named)
      return add(Health::warn, "model", named.error().cause, named.error().remedy);
    const auto endpoint = find_endpoint(settings->llm);
    if (!endpoint) return add(Health::fail, "model", endpoint.error());
    const auto& base = endpoint->service.base_url;
    const std::string who = settings->llm.model + " at " + url_for_people(base);
    if (settings->llm.api_keys.empty() && !endpoint->has(no_key) && !endpoint->loopback) {
      return add(Health::fail, "model", who + ": no key is given",
                 "set api_key in config.toml, LLM_API_KEY, or --api-key-env NAME");
    }
    const auto http = HttpClient::create(scope_.child("http"), stop_);
    if (!http) return add(Health::fail, "model", http.error());
    const auto session = (*http)->open_session(scope_);
    const std::size_t keys = std::max<std::size_t>(settings->llm.api_keys.size(), 1);
    for (std::size_t i = 0; i < keys; ++i) {
      const std::string key = settings->llm.api_keys.empty() ? "" : settings->llm.api_keys[i];
      HttpRequest request{
          .url = base + "/models", .headers = key_headers(*endpoint, key), .deadline = Deadline::in(limit)};
      const auto answer = session->send(request);
      const std::string which = keys > 1 ? fmt::format("{}, key {} of {}", who, i + 1, keys) : who;
      if (!answer) {
        add(Health::fail, "model", answer.error());
        break;
      }
      judge_answer(*answer, which, settings->llm.model, *endpoint);
    }
    session->close();
  }

  void judge_answer(const HttpResponse& answer, const std::string& which, const std::string& model,
                    const Endpoint& endpoint) {
    if (answer.status == 401 || answer.status == 403) {
      return add(Health::fail, "model", fmt::format("{}: the server refuses the key ({})", which, answer.status),
                 "check the key, and that it is this server's");
    }
    if (answer.status != 200) {
      return add(Health::warn, "model",
                 fmt::format("{}: the server is there; its list of models is not ({}), so the key is not tried", which,
                             answer.status));
    }
    const auto list = parse_json(answer.body, "the list of models");
    const Json* data = list ? find_member(*list, "data") : nullptr;
    if (data == nullptr || !data->is_array() || data->empty())
      return add(Health::ok, "model", which + ": the server answers, and takes the key");
    for (const auto& one : *data) {
      const auto id = string_or(one, "id", "");
      if (id == endpoint.service.model || id == model)
        return add(Health::ok, "model", which + ": the server takes the key, and has the model");
    }
    add(Health::warn, "model",
        fmt::format("{}: the server takes the key; {} is not among its {} models", which, endpoint.service.model,
                    data->size()),
        "check the model's name");
  }

  void rows(const std::string& path) {
    const auto name = dataset_name(path);
    if (!name) return add(Health::fail, "data set", name.error().message());
    const auto read = read_datasets(scope_, stop_, {.datasets = {*name}, .revisions = {}});
    if (!read) return add(Health::fail, "data set", read.error().message());
    add(Health::ok, "data set", fmt::format("{}: {} rows", path, read->rows.size()));
  }

  const Scope scope_;
  Stop& stop_;
  Spawner& spawner_;
  const DoctorOptions& options_;
  const std::function<void(const Finding&)>& tell_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view to_string(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warn:
      return "warn";
    case Health::fail:
      break;
  }
  return "fail";
}

std::vector<Finding> examine(const Scope& scope, Stop& stop, Spawner& spawner, const DoctorOptions& options,
                             const std::function<void(const Finding&)>& tell) {
  return Doctor(scope, stop, spawner, options, tell).examine();
}

}  // namespace awm
