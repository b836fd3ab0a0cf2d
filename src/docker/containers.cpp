#include "docker/containers.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

std::string label(std::string_view name) {
  return std::string(label_prefix) + std::string(name);
}

template <class Number>
Number number_of(const std::map<std::string, std::string>& labels, std::string_view name) {
  Number value{};
  if (const auto it = labels.find(label(name)); it != labels.end()) {
    std::from_chars(it->second.data(), it->second.data() + it->second.size(), value);
  }
  return value;
}

std::map<std::string, std::string> string_map(const Json* json) {
  std::map<std::string, std::string> map;
  if (json == nullptr || !json->is_object()) return map;
  for (const auto& item : json->items()) {
    if (item.value().is_string()) map[item.key()] = item.value().get<std::string>();
  }
  return map;
}

std::vector<std::string> string_list(const Json* json) {
  std::vector<std::string> list;
  if (json == nullptr || !json->is_array()) return list;
  for (const auto& item : *json) {
    if (item.is_string()) list.push_back(item.get<std::string>());
  }
  return list;
}

// name[:tag] or name@digest → the two parts; a registry's port is no tag.
std::pair<std::string, std::string> split_reference(const std::string& ref) {
  if (ref.find('@') != std::string::npos) return {ref, ""};
  const auto colon = ref.rfind(':');
  if (colon == std::string::npos || ref.find('/', colon) != std::string::npos) return {ref, "latest"};
  return {ref.substr(0, colon), ref.substr(colon + 1)};
}

Error in_band_error(std::string operation, const std::string& object, const std::string& words) {
  Error error{.code = Errc::io, .operation = std::move(operation), .object = object, .cause = to_valid_utf8(words)};
  const auto lower = to_lower_ascii(words);
  if (contains(lower, "toomanyrequests") || contains(lower, "rate limit")) {
    error.code = Errc::exhausted;
    error.remedy = "the registry's rate limit is reached: wait, or log in";
  } else if (contains(lower, "no space left")) {
    error.code = Errc::exhausted;
    error.remedy = "free space where the engine keeps its data (docker system df)";
  } else if (contains(lower, "not found") || contains(lower, "manifest unknown") ||
             contains(lower, "no matching manifest")) {
    error.code = Errc::not_found;
    error.remedy = "check the image's name, and whether it exists for this platform";
  } else if (contains(lower, "denied") || contains(lower, "unauthorized")) {
    error.code = Errc::permission;
    error.remedy = "check the image's name, and log in to its registry where it is private";
  } else if (contains(lower, "dial tcp") || contains(lower, "no such host") || contains(lower, "timeout") ||
             contains(lower, "connection refused") || contains(lower, "connection reset") ||
             contains(lower, "canceled while waiting")) {
    error.code = Errc::unavailable;
    error.remedy =
        "the engine cannot reach the registry: check its network and proxy, or load the image by hand (docker load)";
  }
  return error;
}

// Reads a stream of JSON objects, one a line, as pull and import answer; an "error" ends it.
class ProgressReader {
 public:
  ProgressReader(std::string operation, std::string object, std::function<void(std::string_view)> progress)
      : operation_(std::move(operation)), object_(std::move(object)), progress_(std::move(progress)) {}

  Result<void> take(std::string_view piece) {
    pending_ += piece;
    std::size_t end = 0;
    while ((end = pending_.find('\n')) != std::string::npos) {
      const std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      AWM_CHECK(take_line(line));
    }
    if (pending_.size() > (std::size_t{1} << 20))
      return fail(Errc::protocol, operation_, object_, "a line of its progress is too long");
    return {};
  }
  Result<void> finish() { return take_line(pending_); }
  [[nodiscard]] const std::string& last_status() const { return last_status_; }

 private:
  Result<void> take_line(std::string_view line) {
    if (trim(line).empty()) return {};
    const auto json = parse_json(trim(line), "the engine's progress");
    if (!json) return {};
    if (const auto words = get_string(*json, "error"))
      return std::unexpected(in_band_error(operation_, object_, *words));
    const auto status = string_or(*json, "status", "");
    const auto id = string_or(*json, "id", "");
    if (status.empty()) return {};
    last_status_ = status;
    if (!progress_) return {};
    if (status == "Downloading" || status == "Extracting") {
      const Json* detail = find_member(*json, "progressDetail");
      const auto current = detail != nullptr ? get_int(*detail, "current").value_or(0) : 0;
      const auto total = detail != nullptr ? get_int(*detail, "total").value_or(0) : 0;
      // One line a tenth, not one a packet.
      auto& tenth = tenths_[id + status];
      const auto now = total > 0 ? current * 10 / total : 0;
      if (now <= tenth) return {};
      tenth = now;
      progress_(fmt::format("{} {} {} of {}", id, status, human_bytes(static_cast<uint64_t>(current)),
                            human_bytes(static_cast<uint64_t>(total))));
    } else {
      progress_(id.empty() ? status : id + " " + status);
    }
    return {};
  }

  std::string operation_;
  std::string object_;
  std::function<void(std::string_view)> progress_;
  std::string pending_;
  std::string last_status_;
  std::map<std::string, int64_t> tenths_;
};

// What is no JSON is the engine's fault, not the caller's.
Result<Json> parse_answer(std::string_view body, std::string_view what) {
  auto json = parse_json(body, what);
  if (!json) json.error().code = Errc::protocol;
  return json;
}

// An engine's refusal, said of what we wanted.
Error about(Error error, std::string operation, std::string object, std::string remedy = {}) {
  if (error.http_status == 0) return error;
  error.operation = std::move(operation);
  error.object = std::move(object);
  if (!remedy.empty()) error.remedy = std::move(remedy);
  return error;
}

std::string short_id(const std::string& id) {
  return id.substr(0, 12);
}

}  // namespace

std::map<std::string, std::string> ContainerLabels::map() const {
  return {{label("run"), run_id},
          {label("sample"), sample_id},
          {label("boot"), boot_id},
          {label("pid"), std::to_string(pid)},
          {label("pid-start"), std::to_string(pid_start_time)},
          {label("pid-namespace"), pid_namespace},
          {label("lease-until"), std::to_string(lease_until)}};
}

std::optional<ContainerLabels> ContainerLabels::from(const std::map<std::string, std::string>& labels) {
  const auto run = labels.find(label("run"));
  const auto boot = labels.find(label("boot"));
  if (run == labels.end() || boot == labels.end()) return std::nullopt;
  ContainerLabels out;
  out.run_id = run->second;
  out.boot_id = boot->second;
  if (const auto sample = labels.find(label("sample")); sample != labels.end()) out.sample_id = sample->second;
  if (const auto space = labels.find(label("pid-namespace")); space != labels.end()) out.pid_namespace = space->second;
  out.pid = number_of<int64_t>(labels, "pid");
  out.pid_start_time = number_of<uint64_t>(labels, "pid-start");
  out.lease_until = number_of<int64_t>(labels, "lease-until");
  return out;
}

Result<std::optional<ImageInfo>> inspect_image(const Engine& engine, const std::string& ref, Deadline deadline) {
  // The name is a path of its own in the engine's router: slashes and colons stay.
  AWM_TRY(const auto reply, engine.call("GET", "/images/" + ref + "/json", "", deadline, {.accept = {404}}));
  if (reply.status == 404) return std::nullopt;
  AWM_TRY(const auto json, parse_answer(reply.body, "the engine's answer on image " + ref));
  ImageInfo info;
  info.id = string_or(json, "Id", "");
  info.architecture = string_or(json, "Architecture", "");
  info.os = string_or(json, "Os", "");
  info.size = static_cast<uint64_t>(get_int(json, "Size").value_or(0));
  if (const Json* config = find_member(json, "Config")) {
    info.user = string_or(*config, "User", "");
    info.folder = string_or(*config, "WorkingDir", "");
    info.environment = string_list(find_member(*config, "Env"));
  }
  return std::optional(std::move(info));
}

Result<void> pull_image(const Engine& engine, const std::string& ref, const PullOptions& options, Deadline deadline) {
  const auto [name, tag] = split_reference(ref);
  std::string path = "/images/create?fromImage=" + url_encode(name);
  if (!tag.empty()) path += "&tag=" + url_encode(tag);
  if (!options.platform.empty()) path += "&platform=" + url_encode(options.platform);
  EngineCallOptions call;
  if (!options.registry_auth.empty()) call.headers.emplace_back("X-Registry-Auth", options.registry_auth);
  ProgressReader reader("pull image", ref, options.progress);
  auto done =
      engine.stream("POST", path, "", deadline, [&](std::string_view piece) { return reader.take(piece); }, call);
  if (!done) {
    if (done.error().http_status != 0) {
      auto error = in_band_error("pull image", ref, done.error().cause);
      error.http_status = done.error().http_status;
      return std::unexpected(std::move(error));
    }
    return std::unexpected(std::move(done).error());
  }
  return reader.finish();
}

namespace {

// "linux/amd64" against what an image says of itself; an image that says nothing fits.
bool fits(const ImageInfo& image, const std::string& platform) {
  const auto parts = split(platform, '/');
  if (platform.empty()) return true;
  if (!image.os.empty() && parts[0] != image.os) return false;
  return parts.size() < 2 || image.architecture.empty() || parts[1] == image.architecture;
}

// Held while an image is pulled, by one of this machine's processes and threads at a time.
Result<UniqueFd> pull_lock(const Engine& engine, const Scope& scope, const std::string& ref, Deadline deadline) {
  AWM_TRY(const auto cache, cache_folder());
  const auto folder = join_path(cache, "pulls");
  AWM_CHECK(make_folders(folder));
  const auto path = join_path(folder, sha256_hex(engine.address().text() + "\n" + ref).substr(0, 32));
  AWM_TRY(auto file, sys::open(scope, path, sys::Open::append));
  for (;;) {
    auto locked = sys::try_lock(file.get());
    if (locked) return file;
    if (locked.error().code != Errc::exhausted) return std::unexpected(std::move(locked).error());
    if (deadline.passed()) {
      return fail(Errc::timed_out, "wait for image", ref, "another process has been pulling it all the time");
    }
    if (engine.cancelled()) return std::unexpected(cancelled_error("wait for image", ref));
    const auto soon = sooner(deadline, Deadline::in(Seconds(0.1)));
    if (engine.stop() != nullptr) {
      AWM_CHECK(engine.stop()->sleep_until(soon));
    } else {
      AWM_CHECK(sys::poll({}, soon));
    }
  }
}

}  // namespace

Result<ImageInfo> ensure_image(const Engine& engine, const Scope& scope, const std::string& ref,
                               const PullOptions& options, bool pull, Deadline deadline) {
  const auto soon = [&] { return sooner(deadline, Deadline::in(Seconds(60))); };
  AWM_TRY(auto found, inspect_image(engine, ref, soon()));
  if (found && fits(*found, options.platform)) return *std::move(found);
  const auto other_platform = [&](const ImageInfo& image) {
    return fmt::format("it is of {}/{}, and {} is asked for", image.os, image.architecture, options.platform);
  };
  if (!pull) {
    if (found)
      return fail(Errc::unsupported, "use image", ref, other_platform(*found), "name another platform or image");
    return fail(Errc::not_found, "use image", ref, "the engine does not have it, and pulling is off",
                "docker pull " + ref);
  }
  AWM_TRY(const auto lock, pull_lock(engine, scope, ref, deadline));
  AWM_TRY(found, inspect_image(engine, ref, soon()));
  if (found && fits(*found, options.platform)) return *std::move(found);
  auto pulled = pull_image(engine, ref, options, deadline);
  if (!pulled) {
    if (found) return std::unexpected(std::move(pulled).error().within(other_platform(*found) + ", so it was pulled"));
    return std::unexpected(std::move(pulled).error());
  }
  AWM_TRY(found, inspect_image(engine, ref, soon()));
  if (!found) return fail(Errc::protocol, "pull image", ref, "the engine says it was pulled, and does not have it");
  if (!fits(*found, options.platform)) {
    return fail(Errc::unsupported, "use image", ref, other_platform(*found), "name another platform or image");
  }
  return *std::move(found);
}

Result<std::vector<ImageSummary>> list_images(const Engine& engine, const std::string& pattern, Deadline deadline) {
  std::string path = "/images/json";
  if (!pattern.empty()) path += "?filters=" + url_encode(dump_json(Json{{"reference", Json::array({pattern})}}));
  AWM_TRY(const auto reply, engine.call("GET", path, "", deadline));
  AWM_TRY(const auto json, parse_answer(reply.body, "the engine's list of images"));
  if (!json.is_array()) return fail(Errc::protocol, "list", "images", "the engine's answer is no list");
  std::vector<ImageSummary> list;
  for (const auto& item : json) {
    list.push_back({.id = string_or(item, "Id", ""),
                    .tags = string_list(find_member(item, "RepoTags")),
                    .size = static_cast<uint64_t>(get_int(item, "Size").value_or(0)),
                    .created = get_int(item, "Created").value_or(0)});
  }
  return list;
}

Result<std::string> import_image(const Engine& engine, const std::string& ref, Deadline deadline,
                                 const std::function<Result<std::string>()>& next) {
  const auto [name, tag] = split_reference(ref);
  const std::string path = "/images/create?fromSrc=-&repo=" + url_encode(name) + "&tag=" + url_encode(tag);
  auto reply = engine.upload("POST", path, "application/x-tar", deadline, next);
  if (!reply) return std::unexpected(about(std::move(reply).error(), "import image", ref));
  ProgressReader reader("import image", ref, {});
  AWM_CHECK(reader.take(reply->body));
  AWM_CHECK(reader.finish());
  return reader.last_status();
}

Result<void> remove_image(const Engine& engine, const std::string& ref, Deadline deadline) {
  AWM_CHECK(engine.call("DELETE", "/images/" + ref, "", deadline, {.accept = {404}}));
  return {};
}

Result<std::string> create_container(const Engine& engine, const ContainerSpec& spec, Deadline deadline) {
  Json host = Json::object();
  host["LogConfig"] = Json{{"Type", "none"}};
  host["AutoRemove"] = spec.auto_remove;
  if (!spec.network.empty()) host["NetworkMode"] = spec.network;
  if (!spec.add_capabilities.empty()) host["CapAdd"] = spec.add_capabilities;
  if (!spec.drop_capabilities.empty()) host["CapDrop"] = spec.drop_capabilities;
  for (const auto& [there, inside] : spec.shown) {
    host["Mounts"].push_back(Json{{"Type", "bind"}, {"Source", there}, {"Target", inside}, {"ReadOnly", true}});
  }
  if (spec.memory > 0) {
    host["Memory"] = spec.memory;
    host["MemorySwap"] = spec.memory;  // no swap besides
  }
  if (spec.cpus > 0) host["NanoCpus"] = static_cast<int64_t>(std::llround(spec.cpus * 1e9));
  if (spec.pids > 0) host["PidsLimit"] = spec.pids;
  if (spec.no_new_privileges) host["SecurityOpt"] = Json::array({"no-new-privileges"});
  if (spec.read_only) host["ReadonlyRootfs"] = true;
  if (!spec.tmpfs.empty()) host["Tmpfs"] = spec.tmpfs;
  Json body{
      {"Image", spec.image},         {"Entrypoint", spec.entrypoint}, {"Cmd", Json::array()}, {"AttachStdin", true},
      {"AttachStdout", true},        {"AttachStderr", true},          {"Tty", false},         {"OpenStdin", true},
      {"StdinOnce", spec.stdin_once}};
  if (!spec.environment.empty()) body["Env"] = spec.environment;
  if (!spec.user.empty()) body["User"] = spec.user;
  if (!spec.folder.empty()) body["WorkingDir"] = spec.folder;
  for (const auto& path : spec.volumes) body["Volumes"][path] = Json::object();
  body["Healthcheck"] = Json{{"Test", Json::array({"NONE"})}};  // an image's own would run commands beside ours
  body["Labels"] = Json::object();
  for (const auto& [key, value] : spec.labels) body["Labels"][key] = value;
  body["HostConfig"] = std::move(host);
  std::string path = "/containers/create";
  char separator = '?';
  if (!spec.name.empty()) {
    path += separator + ("name=" + url_encode(spec.name));
    separator = '&';
  }
  // Engines before 1.41 know no platform here; the image's own was checked.
  if (!spec.platform.empty() && engine.speaks(1, 41)) path += separator + ("platform=" + url_encode(spec.platform));
  // Who broke it off would not know what is made all the same.
  auto reply = engine.call("POST", path, dump_json(body), deadline, {.even_when_cancelled = true});
  if (!reply) return std::unexpected(about(std::move(reply).error(), "create a container of", spec.image));
  AWM_TRY(const auto json, parse_answer(reply->body, "the engine's answer to a container's creation"));
  auto id = string_or(json, "Id", "");
  if (id.empty()) return fail(Errc::protocol, "create a container of", spec.image, "the engine gave no id");
  return id;
}

Result<void> start_container(const Engine& engine, const std::string& id, Deadline deadline) {
  auto reply = engine.call("POST", "/containers/" + id + "/start", "", deadline);
  if (!reply) return std::unexpected(about(std::move(reply).error(), "start container", short_id(id)));
  return {};
}

Result<EngineStream> attach_container(const Engine& engine, const Scope& scope, const std::string& id,
                                      Deadline deadline) {
  auto stream = engine.upgrade(scope, "/containers/" + id + "/attach?stream=1&stdin=1&stdout=1&stderr=1", "", deadline);
  if (!stream) return std::unexpected(about(std::move(stream).error(), "attach to container", short_id(id)));
  return stream;
}

Result<ContainerState> inspect_container(const Engine& engine, const std::string& id, Deadline deadline) {
  auto reply = engine.call("GET", "/containers/" + id + "/json", "", deadline);
  if (!reply) return std::unexpected(about(std::move(reply).error(), "look at container", short_id(id)));
  AWM_TRY(const auto json, parse_answer(reply->body, "the engine's answer on container " + id));
  ContainerState out;
  if (const Json* state = find_member(json, "State")) {
    out.status = string_or(*state, "Status", "");
    out.exit_code = static_cast<int>(get_int(*state, "ExitCode").value_or(0));
    out.oom_killed = get_bool(*state, "OOMKilled").value_or(false);
    out.error = string_or(*state, "Error", "");
    out.pid = get_int(*state, "Pid").value_or(0);
  }
  return out;
}

Result<void> put_container_archive(const Engine& engine, const std::string& id, const std::string& folder,
                                   Deadline deadline, const std::function<Result<std::string>()>& next) {
  auto reply = engine.upload("PUT", "/containers/" + id + "/archive?path=" + url_encode(folder), "application/x-tar",
                             deadline, next);
  if (!reply) {
    return std::unexpected(about(std::move(reply).error(), "put files into container", short_id(id) + ":" + folder));
  }
  return {};
}

Result<void> remove_container(const Engine& engine, const std::string& id, Deadline deadline) {
  EngineCallOptions options{.accept = {404, 409}, .headers = {}, .even_when_stopped = true};
  auto reply = engine.call("DELETE", "/containers/" + id + "?force=1&v=1", "", deadline, options);
  // 409: it is being removed, by the engine itself or by somebody else.
  if (reply && reply->status == 409) {
    reply = engine.call("POST", "/containers/" + id + "/wait?condition=removed", "", deadline, options);
  }
  if (!reply) return std::unexpected(about(std::move(reply).error(), "remove container", short_id(id)));
  return {};
}

namespace {

std::optional<EngineEvent> read_event(std::string_view line) {
  const auto json = parse_json(line, "an event");
  if (!json) return std::nullopt;
  EngineEvent event{.action = string_or(*json, "Action", ""), .id = "", .attributes = {}};
  if (const Json* actor = find_member(*json, "Actor")) {
    event.id = string_or(*actor, "ID", "");
    event.attributes = string_map(find_member(*actor, "Attributes"));
  }
  return event;
}

}  // namespace

Result<std::vector<EngineEvent>> past_events(const Engine& engine, const std::string& id, Deadline deadline) {
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const Json filters{{"type", Json::array({"container"})}, {"container", Json::array({id})}};
  AWM_TRY(const auto reply, engine.call("GET",
                                        fmt::format("/events?since=1&until={}.{:09}&filters={}", now / 1'000'000'000,
                                                    now % 1'000'000'000, url_encode(dump_json(filters))),
                                        "", deadline));
  std::vector<EngineEvent> events;
  for (const auto line : split_lines(reply.body)) {
    if (auto event = read_event(line)) events.push_back(*std::move(event));
  }
  return events;
}

Result<void> follow_events(const Engine& engine, const std::vector<std::string>& labels, Deadline deadline,
                           const std::function<bool(const EngineEvent&)>& take, const std::function<void()>& started) {
  const Json filters{{"type", Json::array({"container"})}, {"label", labels}};
  std::string pending;
  bool enough = false;
  EngineCallOptions options;
  options.on_head = started;
  auto done = engine.stream(
      "GET", "/events?filters=" + url_encode(dump_json(filters)), "", deadline,
      [&](std::string_view piece) -> Result<void> {
        pending += piece;
        if (pending.size() > (std::size_t{1} << 20)) {
          return fail(Errc::protocol, "follow", "the engine's events", "one of them is too long");
        }
        std::size_t end = 0;
        while ((end = pending.find('\n')) != std::string::npos) {
          const auto event = read_event(std::string_view(pending).substr(0, end));
          pending.erase(0, end + 1);
          if (!event) continue;
          if (!take(*event)) {
            enough = true;
            return fail(Errc::closed, "follow", "the engine's events", "enough was seen");
          }
        }
        return {};
      },
      options);
  if (enough) return {};
  if (!done) return std::unexpected(std::move(done).error());
  return fail(Errc::lost, "follow", "the engine's events", "the engine ended them");
}

Result<std::vector<ContainerSummary>> list_containers(const Engine& engine, const std::vector<std::string>& labels,
                                                      Deadline deadline) {
  const Json filters{{"label", labels}};
  AWM_TRY(const auto reply,
          engine.call("GET", "/containers/json?all=1&filters=" + url_encode(dump_json(filters)), "", deadline));
  AWM_TRY(const auto json, parse_answer(reply.body, "the engine's list of containers"));
  std::vector<ContainerSummary> list;
  if (!json.is_array()) return fail(Errc::protocol, "list", "containers", "the engine's answer is no list");
  for (const auto& item : json) {
    ContainerSummary summary;
    summary.id = string_or(item, "Id", "");
    summary.image = string_or(item, "Image", "");
    summary.state = string_or(item, "State", "");
    summary.created = get_int(item, "Created").value_or(0);
    summary.labels = string_map(find_member(item, "Labels"));
    if (const auto names = string_list(find_member(item, "Names")); !names.empty()) {
      summary.name = names.front().starts_with('/') ? names.front().substr(1) : names.front();
    }
    list.push_back(std::move(summary));
  }
  return list;
}

Result<UniqueContainer> UniqueContainer::create(const Engine& engine, const Scope& scope, const ContainerSpec& spec,
                                                Deadline deadline, std::source_location birth) {
  UniqueContainer container;
  ContainerSpec named = spec;
  if (named.name.empty()) named.name = "awm-" + sys::random_hex(8);
  auto id = create_container(engine, named, deadline);
  if (!id) {
    // Without an answer it may have been made all the same.
    const auto code = id.error().code;
    if (code == Errc::timed_out || code == Errc::stopped || code == Errc::lost || code == Errc::protocol) {
      if (auto gone = remove_container(engine, named.name, Deadline::in(Seconds(10))); !gone) {
        log_debug(gone.error().message());  // the sweep finds it
      }
    }
    return std::unexpected(std::move(id).error());
  }
  container.id_ = *std::move(id);
  container.engine_ = &engine;
  container.token_ = Ledger::process().add(ResourceKind::container, 0, container.id_, scope, birth);
  return container;
}

UniqueContainer::UniqueContainer(UniqueContainer&& other) noexcept
    : engine_(other.engine_), id_(std::exchange(other.id_, {})), token_(std::move(other.token_)) {}

UniqueContainer& UniqueContainer::operator=(UniqueContainer&& other) noexcept {
  if (this != &other) {
    if (auto gone = remove(Deadline::in(Seconds(30))); !gone) log_warning(gone.error().message());
    engine_ = other.engine_;
    id_ = std::exchange(other.id_, {});
    token_ = std::move(other.token_);
  }
  return *this;
}

UniqueContainer::~UniqueContainer() {
  if (!*this) return;
  if (auto gone = remove(Deadline::in(Seconds(30))); !gone) log_warning(gone.error().message());
}

Result<void> UniqueContainer::remove(Deadline deadline) noexcept {
  if (!*this) return {};
  auto gone = remove_container(*engine_, std::exchange(id_, {}), deadline);
  token_.release();
  return gone;
}

}  // namespace awm
