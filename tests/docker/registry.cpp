#include "docker/registry.h"

#include <fmt/format.h>

#include <functional>

#include "base/json.h"
#include "base/text.h"
#include "support/support.h"

namespace awm::testing {
namespace {

const Scope scope{"test/registry"};
constexpr std::string_view image_media = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view list_media = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view config_media = "application/vnd.docker.container.image.v1+json";
constexpr std::string_view layer_media = "application/vnd.docker.image.rootfs.diff.tar.gzip";
constexpr std::string_view good_token = "a-token-of-the-test";

std::string base64(std::string_view bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    unsigned held = 0;
    for (std::size_t i = at; i < at + 3; ++i)
      held = (held << 8U) | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
    for (unsigned i = 0; i < 4; ++i) text += at + i > bytes.size() ? '=' : letters[(held >> (18U - 6U * i)) & 0x3fU];
  }
  return text;
}

// The same large layer is put again and again.
std::string digest_of(const std::string& content) {
  static std::map<std::pair<std::size_t, std::size_t>, std::string> known;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  auto& digest = known[{content.size(), std::hash<std::string>{}(content)}];
  if (digest.empty()) digest = "sha256:" + sha256_hex(content);
  return digest;
}

HttpdResponse refusal(int status, std::string_view code, std::string_view words) {
  return {.status = status,
          .body = dump_json(Json{{"errors", Json::array({Json{{"code", code}, {"message", words}}})}})};
}

}  // namespace

Registry::Registry() {
  auto server = HttpServer::start(scope, {}, [this](const HttpdRequest& request) { return answer(request); });
  EXPECT_TRUE(server) << server.error();
  if (server) server_ = *std::move(server);
}

Registry::~Registry() {
  hold_layers(false);
}

void Registry::hold_layers(bool held) {
  const std::lock_guard lock(mutex_);
  held_ = held;
  released_.notify_all();
}

std::string Registry::host() const {
  return "127.0.0.1:" + std::to_string(server_->port());
}

std::string Registry::keep(std::string media, std::string content, bool layer) {
  auto digest = digest_of(content);
  blobs_[digest] = {.media = std::move(media), .content = std::move(content), .layer = layer};
  return digest;
}

std::string Registry::put_manifest(const std::vector<std::string>& layers, const std::string& architecture) {
  Json config{{"architecture", architecture}, {"os", "linux"}, {"config", Json::object()}};
  config["rootfs"] = Json{{"type", "layers"}, {"diff_ids", Json::array()}};
  config["history"] = Json::array();
  Json manifest{{"schemaVersion", 2}, {"mediaType", image_media}, {"layers", Json::array()}};
  for (const auto& layer : layers) {
    const auto digest = keep(std::string(layer_media), layer, true);
    config["rootfs"]["diff_ids"].push_back(digest);
    config["history"].push_back(Json{{"created", "2026-01-01T00:00:00Z"}, {"created_by", "layer " + digest}});
    manifest["layers"].push_back(Json{{"mediaType", layer_media}, {"size", layer.size()}, {"digest", digest}});
  }
  const auto text = dump_json(config);
  manifest["config"] =
      Json{{"mediaType", config_media}, {"size", text.size()}, {"digest", keep(std::string(config_media), text)}};
  return keep(std::string(image_media), dump_json(manifest));
}

std::string Registry::put(const std::string& name, const std::vector<std::string>& layers,
                          const std::string& architecture) {
  const std::lock_guard lock(mutex_);
  tags_[name] = put_manifest(layers, architecture);
  return host() + "/" + name;
}

std::string Registry::put_list(const std::string& name, const std::map<std::string, std::string>& layers) {
  const std::lock_guard lock(mutex_);
  Json list{{"schemaVersion", 2}, {"mediaType", list_media}, {"manifests", Json::array()}};
  for (const auto& [architecture, layer] : layers) {
    const auto digest = put_manifest({layer}, architecture);
    list["manifests"].push_back(Json{{"mediaType", image_media},
                                     {"size", blobs_.at(digest).content.size()},
                                     {"digest", digest},
                                     {"platform", Json{{"architecture", architecture}, {"os", "linux"}}}});
  }
  tags_[name] = keep(std::string(list_media), dump_json(list));
  return host() + "/" + name;
}

void Registry::fail(Fault fault, int times) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  times_ = times;
}

void Registry::want(Login login, std::string user, std::string password) {
  const std::lock_guard lock(mutex_);
  login_ = login;
  user_ = std::move(user);
  password_ = std::move(password);
}

int Registry::manifests(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  int sum = 0;
  for (const auto& [of, counts] : asked_) sum += name.empty() || of == name ? counts.first : 0;
  return sum;
}

int Registry::layers(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  int sum = 0;
  for (const auto& [of, counts] : asked_) sum += name.empty() || of == name ? counts.second : 0;
  return sum;
}

int Registry::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

bool Registry::fails(Fault fault) {
  if (fault_ != fault || times_ == 0) return false;
  if (times_ > 0) --times_;
  return true;
}

bool Registry::let_in(const HttpdRequest& request) const {
  const auto shown = request.header("Authorization").value_or("");
  if (login_ == Login::basic) return shown == "Basic " + base64(user_ + ":" + password_);
  if (login_ == Login::token) return shown == "Bearer " + std::string(good_token);
  return true;
}

HttpdResponse Registry::answer(const HttpdRequest& request) {
  std::unique_lock lock(mutex_);
  const int before = layers_asked_;
  auto response = answer_locked(request);
  if (layers_asked_ != before) released_.wait(lock, [this] { return !held_; });
  return response;
}

HttpdResponse Registry::answer_locked(const HttpdRequest& request) {
  if (request.path == "/token") {
    if (request.header("Authorization").value_or("") != "Basic " + base64(user_ + ":" + password_))
      return refusal(401, "UNAUTHORIZED", "incorrect username or password");
    ++tokens_;
    return {.body = dump_json(Json{{"token", good_token}, {"expires_in", 600}})};
  }
  if (!let_in(request) || fails(Fault::unauthorized)) {
    auto no = refusal(401, "UNAUTHORIZED", "authentication required");
    no.headers.emplace_back("WWW-Authenticate",
                            login_ == Login::token
                                ? fmt::format("Bearer realm=\"http://{}/token\",service=\"test\"", host())
                                : "Basic realm=\"test\"");
    return no;
  }
  if (request.path == "/v2/") return {.body = "{}"};
  // /v2/NAME/manifests/REF and /v2/NAME/blobs/DIGEST
  const auto last = request.path.rfind('/');
  const auto kind = last == std::string::npos ? last : request.path.rfind('/', last - 1);
  if (!request.path.starts_with("/v2/") || kind == std::string::npos || kind < 4) return {.status = 404};
  const auto name = request.path.substr(4, kind - 4);
  const auto what = request.path.substr(last + 1);
  const auto word = request.path.substr(kind + 1, last - kind - 1);
  if (word == "manifests") return manifest(request, name, what);
  return blob(request, name, what);
}

HttpdResponse Registry::manifest(const HttpdRequest& request, const std::string& name, const std::string& ref) {
  const bool get = request.method == "GET";  // an engine that looked with HEAD in vain may do without
  if (get) ++asked_[name].first;
  if (get && fails(Fault::too_many)) {
    auto no = refusal(429, "TOOMANYREQUESTS", "retry-after: 1ms, you have reached the test's limit");
    no.headers.emplace_back("Retry-After", "1");
    return no;
  }
  if (get && fails(Fault::server_error)) return refusal(503, "UNAVAILABLE", "under repair");
  if (get && fails(Fault::silent)) return {.body = "{}", .delay = std::chrono::hours(1)};
  const auto tag = tags_.find(name + ":" + ref);
  const auto digest = tag == tags_.end() ? ref : tag->second;
  const auto found = blobs_.find(digest);
  if (found == blobs_.end() || fails(Fault::missing)) return refusal(404, "MANIFEST_UNKNOWN", "manifest unknown");
  return {.content_type = found->second.media,
          .headers = {{"Docker-Content-Digest", digest}},
          .body = found->second.content};
}

HttpdResponse Registry::blob(const HttpdRequest& request, const std::string& name, const std::string& digest) {
  const auto found = blobs_.find(digest);
  if (found == blobs_.end()) return refusal(404, "BLOB_UNKNOWN", "blob unknown");
  HttpdResponse response{.content_type = "application/octet-stream", .body = found->second.content};
  response.headers.emplace_back("Docker-Content-Digest", digest);
  if (!found->second.layer) {
    if (request.method == "GET" && fails(Fault::other_config)) response.body.replace(0, 1, " ");
    return response;
  }
  if (request.method != "GET") return response;
  ++asked_[name].second;
  ++layers_asked_;
  if (fails(Fault::half_layer)) response.cut_after = response.body.size() / 2;
  if (fails(Fault::other_layer)) response.body[600] = static_cast<char>(response.body[600] ^ 1);
  if (fails(Fault::silent_layer)) response.delay = std::chrono::hours(1);
  return response;
}

std::string tar_of_file(std::string_view name, std::string_view content) {
  std::string head(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { head.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  head[154] = '\0';
  std::string tar = head + std::string(content);
  tar.resize((tar.size() + 511) / 512 * 512 + 1024, '\0');
  return tar;
}

}  // namespace awm::testing
