// A Hugging Face Hub of a test's own: /api/datasets/NAME, /splits and /rows as the real ones answer, and every way that
// a test wants them to go wrong. What it serves are real rows.
#pragma once

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "httpd/server.h"
#include "support/support.h"

namespace awm::testing {

class HubServer {
 public:
  // Tells or changes an answer: called with the request, the number of earlier requests for the same path, and what
  // would be answered.
  using Disturb = std::function<void(const HttpdRequest&, std::size_t, HttpdResponse&)>;

  explicit HubServer(const Scope& scope) : scope_(scope) { start(); }
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;
  ~HubServer() = default;

  void add(const std::string& name, const std::string& config, const std::string& split, std::vector<Json> rows) {
    const std::lock_guard lock(mutex_);
    sets_[name].push_back({config, split, std::move(rows)});
  }
  void rename(const std::string& from, const std::string& to) {
    const std::lock_guard lock(mutex_);
    moved_[from] = to;
  }
  // The Hub's newest commit, and the one that the rows are of ("" : they do not say).
  void at(const std::string& revision) { at(revision, revision); }
  void at(const std::string& hub, const std::string& rows) {
    const std::lock_guard lock(mutex_);
    revision_ = hub;
    rows_revision_ = rows;
  }
  void disturb(Disturb disturb) {
    const std::lock_guard lock(mutex_);
    disturb_ = std::move(disturb);
  }

  // "GET /rows offset=100 length=100": what was asked since the last call.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  // The Authorization headers of all requests.
  std::vector<std::string> authorizations() {
    const std::lock_guard lock(mutex_);
    return authorizations_;
  }
  [[nodiscard]] const std::string& url() const { return url_; }
  // Nobody listens any more.
  void close() { server_->close(); }

 private:
  struct Split {
    std::string config;
    std::string split;
    std::vector<Json> rows;
  };

  void start() {
    auto server = HttpServer::start(scope_, {}, [this](const HttpdRequest& request) { return answer(request); });
    EXPECT_TRUE(server) << server.error();
    server_ = *std::move(server);
    url_ = server_->url();
  }

  HttpdResponse answer(const HttpdRequest& request) {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::string> query(request.query.begin(), request.query.end());
    std::string line = request.method + " " + request.path;
    for (const auto* key : {"config", "split", "offset", "length"}) {
      if (query.contains(key)) line += " " + std::string(key) + "=" + query[key];
    }
    asked_.push_back(std::move(line));
    authorizations_.push_back(request.header("authorization").value_or(""));
    const std::size_t earlier = count_[request.path]++;
    HttpdResponse response = proper(request, query);
    if (disturb_) disturb_(request, earlier, response);
    return response;
  }

  HttpdResponse proper(const HttpdRequest& request, std::map<std::string, std::string>& query) {
    const std::string api = "/api/datasets/";
    if (request.path.starts_with(api)) {
      const auto name = request.path.substr(api.size());
      if (const auto moved = moved_.find(name); moved != moved_.end()) {
        HttpdResponse response;
        response.status = 307;
        response.headers = {{"Location", api + moved->second}};
        return response;
      }
      if (!sets_.contains(name)) return error(401, "", "Invalid username or password.");
      HttpdResponse response;
      response.body =
          dump_json(Json{{"_id", "621f"}, {"id", name}, {"sha", revision_}, {"private", false}, {"gated", false}});
      return response;
    }
    if (request.path != "/splits" && request.path != "/rows") return error(404, "", "Not Found");
    const auto found = sets_.find(query["dataset"]);
    if (found == sets_.end())
      return error(404, "ExternalAuthenticatedError", "The dataset does not exist, or is not accessible.");
    if (request.path == "/splits") {
      Json list = Json::array();
      for (const auto& one : found->second)
        list.push_back({{"dataset", found->first}, {"config", one.config}, {"split", one.split}});
      HttpdResponse response;
      response.body = dump_json(Json{{"splits", list}, {"pending", Json::array()}, {"failed", Json::array()}});
      return response;
    }
    const auto split = std::find_if(found->second.begin(), found->second.end(), [&](const Split& one) {
      return one.config == query["config"] && one.split == query["split"];
    });
    if (split == found->second.end()) return error(404, "ResponseNotFound", "Not found.");
    const auto number = [&](const char* key) {
      std::size_t value = 0;
      std::from_chars(query[key].data(), query[key].data() + query[key].size(), value);
      return value;
    };
    const std::size_t offset = number("offset");
    const std::size_t length = number("length");
    if (length > 100) return error(422, "InvalidParameter", "Parameter 'length' must not be greater than 100");
    Json rows = Json::array();
    for (std::size_t i = offset; i < std::min(offset + length, split->rows.size()); ++i)
      rows.push_back({{"row_idx", i}, {"row", split->rows[i]}, {"truncated_cells", Json::array()}});
    Json features = Json::array();
    if (!split->rows.empty()) {
      for (const auto& [key, value] : split->rows.front().items()) {
        features.push_back(
            {{"feature_idx", features.size()}, {"name", key}, {"type", {{"dtype", "string"}, {"_type", "Value"}}}});
      }
    }
    HttpdResponse response;
    response.body = dump_json(Json{{"features", features},
                                   {"rows", rows},
                                   {"num_rows_total", split->rows.size()},
                                   {"num_rows_per_page", 100},
                                   {"partial", false}});
    if (!rows_revision_.empty()) response.headers = {{"X-Revision", rows_revision_}};
    return response;
  }

 public:
  // As the viewer's services say what is wrong.
  static HttpdResponse error(int status, const std::string& code, const std::string& words) {
    HttpdResponse response;
    response.status = status;
    response.body = dump_json(Json{{"error", words}});
    if (!code.empty()) response.headers = {{"X-Error-Code", code}};
    return response;
  }

 private:
  const Scope& scope_;
  std::mutex mutex_;
  std::map<std::string, std::vector<Split>> sets_;
  std::map<std::string, std::string> moved_;
  std::string revision_ = "0123456789abcdef0123456789abcdef01234567";
  std::string rows_revision_ = revision_;
  Disturb disturb_;
  std::map<std::string, std::size_t> count_;
  std::vector<std::string> asked_;
  std::vector<std::string> authorizations_;
  std::string url_;
  std::unique_ptr<HttpServer> server_;  // last: its threads use the rest
};

// Changes an answer's JSON.
inline void change(HttpdResponse& response, const std::function<void(Json&)>& how) {
  auto json = parse_json(response.body, "answer");
  ASSERT_TRUE(json) << json.error();
  how(*json);
  response.body = dump_json(*json);
}

}  // namespace awm::testing
