#include "docker/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "docker/answers.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

// name[:tag] or name@digest → the two parts; a registry's port is no tag.
std::pair<std::string, std::string> split_reference(const std::string& ref) {
  if (ref.find('@') != std::string::npos) return {ref, ""};
  const auto colon = ref.rfind(':');
  if (colon == std::string::npos || ref.find('/', colon) != std::string::npos) return {ref, "latest"};
  return {ref.substr(0, colon), ref.substr(colon + 1)};
}

// --- what the engine says of a registry's answers
// The words are those of Docker 19.03 to 28 and of containerd, which newer engines pull with.
struct Trouble {
  Errc code = Errc::io;
  bool again = false;  // another try may not meet it
  std::string_view remedy;
};

struct KnownTrouble {
  std::string_view words;  // in lower case
  Trouble trouble;
};

constexpr Trouble rate_limit{Errc::exhausted, true, "the registry's rate limit is reached: wait, or docker login"};
constexpr Trouble no_space{Errc::exhausted, false, "free space where the engine keeps its data (docker system df)"};
constexpr Trouble no_login{Errc::permission, false,
                           "docker login to its registry, if it is private; else check its name"};
constexpr Trouble no_image{Errc::not_found, false, "check the image's name, and whether it exists for this platform"};
constexpr Trouble wrong_bytes{Errc::protocol, true,
                              "the registry, or a mirror or proxy before it, gives other bytes than it names: pull "
                              "from another, or load the image by hand (docker load)"};
constexpr Trouble half{Errc::lost, true, "the connection to the registry broke off: check the engine's network"};
constexpr Trouble sick_registry{Errc::unavailable, true, "the registry itself has trouble: try again later"};
constexpr Trouble unreachable{
    Errc::unavailable, true,
    "the engine cannot reach the registry: check its network and proxy, or load the image by hand (docker load)"};
constexpr Trouble untrusted{Errc::unavailable, false,
                            "give the engine the registry's certificate (/etc/docker/certs.d), or name the registry "
                            "in its insecure-registries"};
constexpr Trouble strange_format{Errc::unsupported, false,
                                 "update the engine: it does not know the format of this image"};

// The first that fits counts: what says most comes first.
constexpr std::array known_troubles{
    KnownTrouble{"no space left", no_space},
    KnownTrouble{"toomanyrequests", rate_limit},
    KnownTrouble{"too many requests", rate_limit},
    KnownTrouble{"rate limit", rate_limit},
    KnownTrouble{"no matching manifest", no_image},
    KnownTrouble{"the specified platform", no_image},
    KnownTrouble{"verification failed for digest", wrong_bytes},
    KnownTrouble{"unexpected commit digest", wrong_bytes},
    KnownTrouble{"x509:", untrusted},
    KnownTrouble{"gave http response to https client", untrusted},
    KnownTrouble{"unsupported media type", strange_format},
    KnownTrouble{"mediatype", strange_format},
    KnownTrouble{"manifest.v1+", strange_format},
    KnownTrouble{"manifest unknown", no_image},
    KnownTrouble{"name unknown", no_image},
    KnownTrouble{"unauthorized", no_login},
    KnownTrouble{"no basic auth credentials", no_login},
    KnownTrouble{"authentication required", no_login},
    KnownTrouble{"incorrect username or password", no_login},
    KnownTrouble{"denied", no_login},
    KnownTrouble{"forbidden", no_login},
    KnownTrouble{"dial tcp", unreachable},
    KnownTrouble{"no such host", unreachable},
    KnownTrouble{"connection refused", unreachable},
    KnownTrouble{"network is unreachable", unreachable},
    KnownTrouble{"canceled while waiting", unreachable},
    KnownTrouble{"timeout", unreachable},
    KnownTrouble{"unexpected eof", half},
    KnownTrouble{"connection reset", half},
    KnownTrouble{"broken pipe", half},
    KnownTrouble{"from byte range request", half},  // a registry that does not know how to go on
    KnownTrouble{"http status: 5", sick_registry},
    KnownTrouble{"500 internal", sick_registry},
    KnownTrouble{"502 bad", sick_registry},
    KnownTrouble{"503 service", sick_registry},
    KnownTrouble{"504 gateway", sick_registry},
    KnownTrouble{"internal server error", sick_registry},
    KnownTrouble{"not found", no_image},
};

// `status`: the engine's own, 0 in the middle of its answer. Words say more: it answers 500 to most.
Trouble trouble_of(std::string_view words, int status) {
  const auto lower = to_lower_ascii(words);
  for (const auto& known : known_troubles) {
    if (contains(lower, known.words)) return known.trouble;
  }
  if (lower.ends_with(": eof") || lower == "eof") return half;
  switch (status) {
    case 401:
    case 403:
      return no_login;
    case 404:
      return no_image;
    case 429:
      return rate_limit;
    case 502:
    case 503:
    case 504:
      return sick_registry;
    default:
      return {};
  }
}

Error error_of(const Trouble& trouble, std::string operation, const std::string& object, std::string_view words,
               int status) {
  return Error{.code = trouble.code,
               .operation = std::move(operation),
               .object = object,
               .cause = to_valid_utf8(words),
               .remedy = std::string(trouble.remedy),
               .http_status = status};
}

// "30", "1.5s", "413.79µs", "200ms" at the beginning of the text.
std::optional<Seconds> span_at(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr double sane = 1e9;  // and no infinity, nor what is no number
  if (error != std::errc() || !(number >= 0 && number <= sane)) return std::nullopt;
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.starts_with("ms")) return Seconds(number / 1e3);
  if (unit.starts_with("us") || unit.starts_with("\u00b5s") || unit.starts_with("\u03bcs"))
    return Seconds(number / 1e6);
  if (unit.starts_with("ns")) return Seconds(number / 1e9);
  if (unit.starts_with('m')) return Seconds(number * 60);
  if (unit.starts_with('h')) return Seconds(number * 3600);
  return Seconds(number);
}

// "toomanyrequests: retry-after: 1.5s, allowed: 44000/minute" → 1.5 s.
std::optional<Seconds> asked_wait(std::string_view words) {
  constexpr std::string_view name = "retry-after";
  const auto lower = to_lower_ascii(words);
  const auto at = lower.find(name);
  if (at == std::string::npos) return std::nullopt;
  auto rest = std::string_view(lower).substr(at + name.size());
  while (!rest.empty() && (rest.front() == ':' || rest.front() == '"' || rest.front() == ' ')) rest.remove_prefix(1);
  return span_at(rest);
}

// --- an answer of JSON objects, one a line, as pull and import have it; an "error" ends it
class ProgressReader {
 public:
  ProgressReader(std::string operation, std::string object, std::function<void(const PullProgress&)> progress)
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
  // What the error in the answer was, where it came from there.
  [[nodiscard]] const std::optional<Trouble>& trouble() const { return trouble_; }

 private:
  struct Layer {
    double fetched = 0;  // parts, from 0 to 1
    double unpacked = 0;
    uint64_t bytes = 0;  // fetched
    uint64_t total = 0;  // 0: not known yet
  };

  Result<void> take_line(std::string_view line) {
    if (trim(line).empty()) return {};
    const auto json = parse_json(trim(line), "the engine's progress");
    if (!json) return {};
    if (const auto words = get_string(*json, "error")) {
      trouble_ = trouble_of(*words, 0);
      return std::unexpected(error_of(*trouble_, operation_, object_, *words, 0));
    }
    const auto status = string_or(*json, "status", "");
    if (status.empty()) return {};
    last_status_ = status;
    if (!progress_) return {};
    note(string_or(*json, "id", ""), status, find_member(*json, "progressDetail"));
    progress_(sum());
    return {};
  }

  void note(const std::string& id, std::string_view status, const Json* detail) {
    const auto number = [&](std::string_view key) {
      return detail == nullptr ? 0.0 : static_cast<double>(std::max<int64_t>(get_int(*detail, key).value_or(0), 0));
    };
    if (status == "Pulling fs layer" || status == "Waiting") {
      layers_.try_emplace(id);
    } else if (status == "Downloading") {
      Layer& layer = layers_[id];
      layer.bytes = static_cast<uint64_t>(number("current"));
      if (number("total") > 0) {
        layer.total = static_cast<uint64_t>(number("total"));
        layer.fetched = std::min(number("current") / number("total"), 1.0);
      }
    } else if (status == "Verifying Checksum" || status == "Download complete") {
      Layer& layer = layers_[id];
      layer.total = std::max<uint64_t>(layer.total, 1);  // too small for its size to be told
      layer.bytes = std::max(layer.bytes, layer.total);
      layer.fetched = 1;
    } else if (status == "Extracting") {
      Layer& layer = layers_[id];
      layer.fetched = 1;
      if (number("total") > 0) layer.unpacked = std::min(number("current") / number("total"), 1.0);
    } else if (status == "Pull complete") {
      Layer& layer = layers_[id];
      layer.fetched = layer.unpacked = 1;
    } else if (status == "Already exists") {
      layers_.erase(id);
    }
  }

  // A layer whose size is not known yet counts as much as the mean of the others, and for no trifle: small ones are
  // there first, and would make much of little.
  PullProgress sum() {
    constexpr double of_fetching = 0.7;  // the rest is unpacking
    double known = 0;
    double count = 0;
    PullProgress now{.part = last_part_};
    for (const auto& [id, layer] : layers_) {
      now.bytes += layer.bytes;
      if (layer.total == 0) continue;
      known += static_cast<double>(layer.total);
      ++count;
    }
    constexpr double no_trifle = 32.0 * 1024 * 1024;
    const double mean = std::max(count > 0 ? known / count : 0, no_trifle);
    double done = 0;
    double all = 0;
    for (const auto& [id, layer] : layers_) {
      const double weight = layer.total > 0 ? static_cast<double>(layer.total) : mean;
      all += weight;
      done += weight * (of_fetching * layer.fetched + (1 - of_fetching) * layer.unpacked);
    }
    if (all > 0) now.part = last_part_ = std::max(last_part_, done / all);
    return now;
  }

  std::string operation_;
  std::string object_;
  std::function<void(const PullProgress&)> progress_;
  std::string pending_;
  std::string last_status_;
  std::optional<Trouble> trouble_;
  std::map<std::string, Layer> layers_;
  double last_part_ = 0;
};

// Until then, or until the engine's stop or cancel.
Result<void> wait_until(const Engine& engine, Deadline then, const std::string& ref) {
  while (!then.passed()) {
    if (engine.cancelled()) return std::unexpected(cancelled_error("pull image", ref));
    const auto soon = sooner(then, Deadline::in(Seconds(0.1)));
    if (engine.stop() != nullptr) {
      AWM_CHECK(engine.stop()->sleep_until(soon));
    } else {
      AWM_CHECK(sys::poll({}, soon));
    }
  }
  return {};
}

struct PullTry {
  Result<void> done;
  bool again = false;
  std::optional<Seconds> asked;  // how long the registry wants to be left alone
};

PullTry try_pull(const Engine& engine, const std::string& ref, const PullOptions& options, Deadline deadline) {
  const auto [name, tag] = split_reference(ref);
  std::string path = "/images/create?fromImage=" + url_encode(name);
  if (!tag.empty()) path += "&tag=" + url_encode(tag);
  if (!options.platform.empty()) path += "&platform=" + url_encode(options.platform);
  PullTry attempt;
  EngineCallOptions call;
  if (!options.registry_auth.empty()) call.headers.emplace_back("X-Registry-Auth", options.registry_auth);
  call.on_header = [&](std::string_view header, std::string_view value) {
    if (header == "retry-after") attempt.asked = span_at(value);
  };
  ProgressReader reader("pull image", ref, options.progress);
  auto done =
      engine.stream("POST", path, "", deadline, [&](std::string_view piece) { return reader.take(piece); }, call);
  if (done) {
    attempt.done = reader.finish();
  } else if (done.error().http_status != 0) {
    const auto& words = done.error().cause;
    const auto trouble = trouble_of(words, done.error().http_status);
    attempt.again = trouble.again;
    attempt.done = std::unexpected(error_of(trouble, "pull image", ref, words, done.error().http_status));
  } else {
    attempt.done = std::unexpected(std::move(done).error());
  }
  if (reader.trouble()) attempt.again = reader.trouble()->again;
  if (!attempt.done && !attempt.asked) attempt.asked = asked_wait(attempt.done.error().cause);
  return attempt;
}

// Somewhere in the second half of what is due, so that many who were refused together do not come back together.
Seconds wait_after(const PullRetries& retries, int tries) {
  double wait = retries.first_wait.count();
  for (int i = 1; i < tries && wait < retries.longest_wait.count(); ++i) wait *= 2;
  wait = std::min(wait, retries.longest_wait.count());
  constexpr double most = 65535;
  return Seconds(wait *
                 (0.5 + 0.5 * static_cast<double>(std::strtoul(sys::random_hex(2).c_str(), nullptr, 16)) / most));
}

}  // namespace

std::string registry_of(const std::string& ref) {
  const auto slash = ref.find('/');
  const auto host = ref.substr(0, slash);
  const bool names_one = slash != std::string::npos && (contains(host, ".") || contains(host, ":") ||
                                                        host == "localhost" || host != to_lower_ascii(host));
  return !names_one || host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host;
}

bool is_of_platform(const ImageInfo& image, const std::string& platform) {
  const auto parts = split(platform, '/');
  if (platform.empty()) return true;
  if (!image.os.empty() && parts[0] != image.os) return false;
  return parts.size() < 2 || image.architecture.empty() || parts[1] == image.architecture;
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

Result<std::optional<ImageInfo>> find_image(const Engine& engine, const std::string& ref, const std::string& platform,
                                            Deadline deadline) {
  AWM_TRY(auto found, inspect_image(engine, ref, deadline));
  if (found && !is_of_platform(*found, platform)) {
    return fail(Errc::unsupported, "use image", ref,
                fmt::format("it is there, of {}/{}, and {} is asked for", found->os, found->architecture, platform),
                fmt::format("docker pull --platform {} {} takes its name over; or name another image or --platform",
                            platform, ref));
  }
  return found;
}

Result<std::vector<ImageLayer>> image_layers(const Engine& engine, const std::string& ref, Deadline deadline) {
  AWM_TRY(const auto reply, engine.call("GET", "/images/" + ref + "/history", "", deadline));
  AWM_TRY(const auto json, parse_answer(reply.body, "the engine's history of image " + ref));
  if (!json.is_array()) return fail(Errc::protocol, "read", "the history of image " + ref, "it is no list");
  std::vector<ImageLayer> layers;
  std::string key;
  for (auto step = json.rbegin(); step != json.rend(); ++step) {
    const auto size = static_cast<uint64_t>(std::max<int64_t>(get_int(*step, "Size").value_or(0), 0));
    key = sha256_hex(fmt::format("{}\n{}\n{}\n{}", key, get_int(*step, "Created").value_or(0),
                                 string_or(*step, "CreatedBy", ""), size));
    layers.push_back({.key = key, .size = size});
  }
  return layers;
}

Result<UniqueFd> lock_image(const Engine& engine, const Scope& scope, const std::string& ref, Deadline deadline,
                            const std::function<void()>& waiting) {
  AWM_TRY(const auto cache, cache_folder());
  const auto folder = join_path(cache, "pulls");
  AWM_CHECK(make_folders(folder));
  const auto path = join_path(folder, sha256_hex(engine.address().text() + "\n" + ref).substr(0, 32));
  AWM_TRY(auto file, sys::open(scope, path, sys::Open::append));
  for (bool first = true;; first = false) {
    auto locked = sys::try_lock(file.get());
    if (locked) return file;
    if (locked.error().code != Errc::exhausted) return std::unexpected(std::move(locked).error());
    if (deadline.passed()) {
      return fail(Errc::timed_out, "wait for image", ref, "another process has been pulling it all the time");
    }
    if (first && waiting) waiting();
    AWM_CHECK(wait_until(engine, sooner(deadline, Deadline::in(Seconds(0.1))), ref));
  }
}

Result<void> pull_image(const Engine& engine, const std::string& ref, const PullOptions& options, Deadline deadline) {
  const PullRetries& retries = options.retries;
  for (int tries = 1;; ++tries) {
    auto attempt = try_pull(engine, ref, options, deadline);
    if (attempt.done) return {};
    Error& error = attempt.done.error();
    const auto give_up = [&](std::string_view why) {
      if (!why.empty()) error.cause += fmt::format(" ({})", why);
      return std::unexpected(std::move(error));
    };
    if (!attempt.again) return give_up("");
    if (tries >= retries.tries) return give_up(tries > 1 ? fmt::format("{} tries", tries) : "");
    const auto asked = attempt.asked.value_or(Seconds(0));
    if (asked > retries.longest_asked) return give_up("it asks to wait " + human_seconds(asked.count()));
    const auto wait = std::max(wait_after(retries, tries), asked);
    if (const auto then = Deadline::in(wait); then < deadline) {
      if (options.will_retry) options.will_retry(error, wait);
      AWM_CHECK(wait_until(engine, then, ref));
    } else {
      return give_up("no time is left for another try");
    }
  }
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
  auto reply = engine.call("DELETE", "/images/" + ref, "", deadline, {.accept = {404}});
  if (!reply) return std::unexpected(about(std::move(reply).error(), "remove image", ref));
  return {};
}

}  // namespace awm
