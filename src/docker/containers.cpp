#include "docker/containers.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "docker/answers.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

std::string label(std::string_view name) {
  return std::string(label_prefix) + std::string(name);
}

// A whole decimal number and nothing else. False: the label is missing, or something else stands there.
template <class Number>
bool read_number(const std::map<std::string, std::string>& labels, std::string_view name, Number& into) {
  const auto it = labels.find(label(name));
  if (it == labels.end()) return false;
  const char* const end = it->second.data() + it->second.size();
  const auto [rest, problem] = std::from_chars(it->second.data(), end, into);
  return problem == std::errc() && rest == end;
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
  ContainerLabels out;
  for (const auto& [name, text] : {std::pair{"run", &out.run_id}, std::pair{"sample", &out.sample_id},
                                   std::pair{"boot", &out.boot_id}, std::pair{"pid-namespace", &out.pid_namespace}}) {
    const auto found = labels.find(label(name));
    if (found == labels.end()) return std::nullopt;
    *text = found->second;
  }
  if (!read_number(labels, "pid", out.pid) || !read_number(labels, "pid-start", out.pid_start_time) ||
      !read_number(labels, "lease-until", out.lease_until) || out.pid <= 0) {
    return std::nullopt;
  }
  return out;
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
