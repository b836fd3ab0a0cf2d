#include "run/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/json.h"
#include "base/text.h"
#include "llm/retry.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr int tries_in_all = 5;
constexpr int tries_unanswered = 3;  // who has no network does not wait long for the cache
constexpr Seconds longest_own_wait{64};
constexpr Seconds longest_wait{300};  // a server that asks for more is not waited for
constexpr Seconds worth_telling{3};
constexpr Seconds exchange_limit{180};
constexpr Seconds quiet_limit{30};
constexpr int most_redirects = 5;
constexpr std::size_t most_words = 300;

bool is_ok(int status) {
  return status >= 200 && status < 300;
}

std::string origin_of(const std::string& url) {
  const auto host = url.find("://") + 3;
  return url.substr(0, url.find('/', host));
}

// "huggingface.co" of "https://user@huggingface.co:443/base".
std::string host_of(const std::string& url) {
  std::string authority = origin_of(url);
  authority.erase(0, authority.find("://") + 3);
  if (const auto at = authority.rfind('@'); at != std::string::npos) authority.erase(0, at + 1);
  if (!authority.starts_with('[')) authority = authority.substr(0, authority.find(':'));
  return authority;
}

bool is_address(const std::string& host) {
  return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos;
}

Result<std::string> address_from(const std::string& variable, const std::string& fallback) {
  std::string url(trim(sys::environment(variable).value_or("")));
  if (url.empty()) return fallback;
  while (url.ends_with('/')) url.pop_back();
  const bool plain = std::all_of(url.begin(), url.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
  const bool web = url.starts_with("https://") || url.starts_with("http://");
  if (!plain || !web || host_of(url).empty() || url.find_first_of("?#") != std::string::npos) {
    return fail(Errc::invalid_input, "read environment variable", variable,
                "it is no address of a web server: " + url_for_people(url), "such as https://huggingface.co");
  }
  return url;
}

bool is_true(const std::string& variable) {
  const auto word = to_lower_ascii(trim(sys::environment(variable).value_or("")));
  return word == "1" || word == "true" || word == "yes" || word == "on";
}

std::string encoded(std::string_view text) {
  constexpr std::string_view kept = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  std::string url;
  for (const char c : text) {
    if (kept.find(c) != std::string_view::npos) {
      url += c;
    } else {
      url += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return url;
}

// The server's own words: {"error": "…"}, or a text that is no page.
std::string words_of(const HttpResponse& response) {
  std::string words;
  if (const auto json = parse_json(response.body, "answer")) {
    words = string_or(*json, "error", string_or(*json, "message", ""));
  } else if (!contains(response.body, "<")) {
    words = trim(response.body);
  }
  words = to_valid_utf8(words);
  if (words.size() > most_words) words = words.substr(0, utf8_offset(words, most_words)) + "…";
  return words.empty() ? "" : ": " + words;
}

std::string_view error_code_of(const HttpResponse& response) {
  return response.header("x-error-code");
}

bool worth_another_try(const HttpResponse& response) {
  if (error_code_of(response) == "TooBigContentError") return false;
  return response.status == 408 || response.status == 429 || (response.status >= 500 && response.status != 501);
}

}  // namespace

Result<HubSettings> hub_settings_from_environment() {
  HubSettings settings;
  AWM_TRY(settings.hub, address_from("HF_ENDPOINT", "https://huggingface.co"));
  const auto host = host_of(settings.hub);
  std::string rows = settings.hub;
  if (!is_address(host) && !is_loopback_url(settings.hub)) rows.replace(rows.find(host), 0, "datasets-server.");
  AWM_TRY(settings.rows, address_from("HF_DATASETS_SERVER", rows));
  settings.token = trim(sys::environment("HF_TOKEN").value_or(""));
  log_hide_secret(settings.token);
  const bool plain =
      std::all_of(settings.token.begin(), settings.token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) {
    return fail(Errc::invalid_input, "read environment variable", "HF_TOKEN",
                "the token has white space or other characters inside that none has", "check what it was copied from");
  }
  settings.offline = is_true("HF_HUB_OFFLINE") || is_true("HF_DATASETS_OFFLINE");
  return settings;
}

Result<std::unique_ptr<Hub>> Hub::open(const Scope& scope, const Stop& stop, HubSettings settings) {
  std::unique_ptr<Hub> hub(new Hub(stop, std::move(settings)));
  AWM_TRY(hub->client_, HttpClient::create(scope, stop));
  hub->session_ = hub->client_->open_session(scope);
  AWM_TRY(hub->done_, sys::event_fd(scope, "end of the watch"));
  AWM_TRY(hub->watcher_, Thread::start(scope, "hub-watch", [&stop, hub = hub.get()] {
            // Where it cannot be woken, it looks by itself; a poll that fails watches no longer, and exchanges still
            // have their limits.
            while (!hub->ends_.load() && !stop.draining()) {
              std::array<sys::PollFd, 2> set{sys::PollFd{.fd = stop.drain_fd(), .want_read = true},
                                             sys::PollFd{.fd = hub->done_.get(), .want_read = true}};
              if (!sys::poll(set, Deadline::in(Seconds{1}))) break;
            }
            if (stop.draining()) hub->session_->close();
          }));
  return hub;
}

Hub::~Hub() {
  if (watcher_.joinable()) {
    ends_.store(true);
    constexpr std::string_view one("\1\0\0\0\0\0\0\0", 8);
    (void)sys::write_all(done_.get(), one);
    watcher_.join();
  }
}

Result<void> Hub::wait(Deadline deadline, const std::string& name) const {
  while (!deadline.passed() && !stop_.draining()) {
    sys::PollFd drain{.fd = stop_.drain_fd(), .want_read = true};
    AWM_CHECK(sys::poll(std::span(&drain, 1), deadline));
  }
  if (stop_.draining()) return std::unexpected(stopped_error("fetch", name));
  return {};
}

Result<HttpResponse> Hub::ask(const std::string& url, const std::string& name) {
  HttpRequest request{.url = url, .headers = {"Accept: application/json", "User-Agent: awm/" AWM_VERSION}};
  request.quiet_limit = quiet_limit;
  if (!settings_.token.empty() && (url.starts_with("https://") || is_loopback_url(url)))
    request.headers.push_back("Authorization: Bearer " + settings_.token);
  for (int tries = 1;; ++tries) {
    request.deadline = Deadline::in(exchange_limit);
    auto response = session_->send(request);
    if (stop_.draining()) return std::unexpected(stopped_error("fetch", name));
    Error problem{.code = Errc::unavailable, .operation = "fetch", .object = name};
    std::optional<Seconds> asked;
    int most_tries = tries_in_all;
    if (!response) {
      const Errc code = response.error().code;
      if (code != Errc::unavailable && code != Errc::timed_out && code != Errc::lost) return response;
      if (code != Errc::lost) most_tries = tries_unanswered;
      problem.cause = fmt::format("{} does not answer: {}", url_for_people(origin_of(url)), response.error().cause);
      problem.remedy = "check the network; HF_ENDPOINT names another address, HF_DATASETS_SERVER that of the rows";
    } else if (!worth_another_try(*response)) {
      return response;
    } else {
      const bool limited = response->status == 429;
      problem.http_status = response->status;
      problem.cause = fmt::format("{} {} (HTTP {}){}", url_for_people(origin_of(url)),
                                  limited ? "wants fewer requests" : "failed", response->status, words_of(*response));
      asked = retry_after_of(response->headers, limited ? response->body : "");
      problem.remedy = !limited                  ? "try again in some minutes"
                       : settings_.token.empty() ? "wait some minutes, or export HF_TOKEN=…: a token may ask more often"
                                                 : "wait some minutes";
    }
    if (asked && *asked > longest_wait) {
      problem.cause += "; it asks to wait " + human_seconds(asked->count());
      return std::unexpected(std::move(problem));
    }
    if (tries >= most_tries) {
      problem.cause += fmt::format("; after {} tries", tries);
      return std::unexpected(std::move(problem));
    }
    constexpr double byte_values = 256;
    const double jitter = std::stoi(sys::random_hex(1), nullptr, 16) / byte_values;
    const RetryPolicy patience{.tries = tries_in_all,
                               .min_wait = settings_.first_wait,
                               .max_wait = longest_own_wait,
                               .multiplier = settings_.first_wait.count()};
    const auto span = wait_before_retry(patience, tries, asked, jitter);
    const auto line = fmt::format("{}: {}; asked again in {}", name, problem.cause, human_seconds(span.count()));
    if (span >= worth_telling) {
      log_info(line);
    } else {
      log_debug(line);
    }
    AWM_CHECK(wait(Deadline::in(span), name));
  }
}

Error Hub::refusal(const HttpResponse& response, const std::string& name) const {
  Error error{.code = Errc::protocol, .operation = "fetch", .object = name, .http_status = response.status};
  const bool token = !settings_.token.empty();
  const std::string said = fmt::format(" (HTTP {}){}", response.status, words_of(response));
  const std::string page = url_for_people(settings_.hub) + "/datasets/" + name;
  switch (response.status) {
    case 401:
      error.code = token ? Errc::permission : Errc::not_found;
      error.cause = token ? "the token of HF_TOKEN is refused" + said
                          : "the Hub has no such data set, or shows it to its members only" + said;
      error.remedy = token ? "check the token at " + url_for_people(settings_.hub) + "/settings/tokens"
                           : "check the name; for a private or gated one export HF_TOKEN=…";
      break;
    case 403:
      error.code = Errc::permission;
      error.cause = "the Hub refuses it" + said;
      error.remedy = token ? "ask for access at " + page : "ask for access at " + page + " and export HF_TOKEN=…";
      break;
    case 404:
      error.code = Errc::not_found;
      error.cause = "the Hub has no such data set, or not in this form" + said;
      error.remedy = token ? "check the name" : "check the name; for a private or gated one export HF_TOKEN=…";
      break;
    case 422:
      error.code = Errc::invalid_input;
      error.cause = "the server takes the request for wrong" + said;
      break;
    case 501:
      error.code = Errc::unsupported;
      error.cause = "the server has no rows of this data set" + said;
      error.remedy = "download its files from " + page + " and name a .jsonl of its rows";
      break;
    default:
      error.cause = "the server's answer makes no sense" + said;
      error.remedy = "check HF_ENDPOINT and HF_DATASETS_SERVER";
      break;
  }
  return error;
}

namespace {

Result<Json> json_of(const HttpResponse& response, const std::string& name) {
  auto json = parse_json(response.body, name);
  if (json && json->is_object()) return json;
  return fail(Errc::protocol, "fetch", name,
              "the server's answer is " + std::string(json ? "no JSON object" : "no JSON: " + json.error().cause),
              "check HF_ENDPOINT and HF_DATASETS_SERVER");
}

std::unexpected<Error> senseless(const std::string& name, std::string what) {
  return fail(Errc::protocol, "fetch", name, "the server's answer makes no sense: " + std::move(what),
              "check HF_ENDPOINT and HF_DATASETS_SERVER");
}

}  // namespace

Result<HubDataset> Hub::find(const std::string& name) {
  std::string url = settings_.hub + "/api/datasets/" + encoded(name);
  for (int redirects = 0;; ++redirects) {
    AWM_TRY(const auto response, ask(url, name));
    if (is_ok(response.status)) {
      AWM_TRY(const Json json, json_of(response, name));
      return HubDataset{.id = string_or(json, "id", name), .revision = string_or(json, "sha", "")};
    }
    // A data set that was renamed. The token stays with the Hub.
    const bool moved =
        response.status == 301 || response.status == 302 || response.status == 307 || response.status == 308;
    if (!moved) return std::unexpected(refusal(response, name));
    const std::string to(response.header("location"));
    const std::string origin = origin_of(url);
    if (to.starts_with('/') && !to.starts_with("//")) {
      url = origin + to;
    } else if (to.starts_with(origin + "/")) {
      url = to;
    } else {
      return senseless(name, "it names another server: " + url_for_people(to));
    }
    if (redirects == most_redirects) return senseless(name, "it leads in a circle");
  }
}

Result<std::vector<HubSplit>> Hub::splits(const std::string& name) {
  AWM_TRY(const auto response, ask(settings_.rows + "/splits?dataset=" + encoded(name), name));
  if (!is_ok(response.status)) return std::unexpected(refusal(response, name));
  AWM_TRY(const Json json, json_of(response, name));
  const Json* list = find_member(json, "splits");
  if (list == nullptr || !list->is_array()) return senseless(name, "it has no list of splits");
  std::vector<HubSplit> splits;
  for (const auto& one : *list) {
    auto config = get_string(one, "config");
    auto split = get_string(one, "split");
    if (!config || !split) return senseless(name, "a split has no name");
    splits.push_back({.config = *std::move(config), .split = *std::move(split)});
  }
  const Json* pending = find_member(json, "pending");
  if (splits.empty() && pending != nullptr && pending->is_array() && !pending->empty()) {
    return fail(Errc::unavailable, "fetch", name, "the server of rows is still preparing this data set",
                "try again in some minutes");
  }
  return splits;
}

Result<HubPage> Hub::rows(const std::string& name, const HubSplit& split, int64_t offset, int64_t length) {
  AWM_TRY(const auto response,
          ask(fmt::format("{}/rows?dataset={}&config={}&split={}&offset={}&length={}", settings_.rows, encoded(name),
                          encoded(split.config), encoded(split.split), offset, length),
              name));
  HubPage page;
  if (error_code_of(response) == "TooBigContentError") {
    page.too_big = true;
    return page;
  }
  if (!is_ok(response.status)) return std::unexpected(refusal(response, name));
  AWM_TRY(const Json json, json_of(response, name));
  page.revision = response.header("x-revision");
  const auto total = get_int(json, "num_rows_total");
  const Json* rows = find_member(json, "rows");
  if (!total || *total < 0) return senseless(name, "it does not say how many rows there are");
  if (rows == nullptr || !rows->is_array()) return senseless(name, "it has no list of rows");
  if (static_cast<int64_t>(rows->size()) > length) return senseless(name, "it has more rows than were asked for");
  if (get_bool(json, "partial").value_or(false)) {
    return fail(Errc::unsupported, "fetch", name, "the server has only a part of its rows",
                fmt::format("download its files from {}/datasets/{} and name a .jsonl of its rows",
                            url_for_people(settings_.hub), name));
  }
  page.total = *total;
  for (const auto& one : *rows) {
    const auto expected = offset + static_cast<int64_t>(page.rows.size());
    const Json* row = find_member(one, "row");
    if (get_int(one, "row_idx") != expected || row == nullptr || !row->is_object())
      return senseless(name, fmt::format("row {} is not where it belongs", expected));
    const Json* cut = find_member(one, "truncated_cells");
    if (cut == nullptr || !cut->is_array())
      return senseless(name, fmt::format("it does not say whether cells of row {} are cut", expected));
    if (!cut->empty()) {
      for (const auto& cell : *cut) page.cut.push_back(cell.is_string() ? cell.get<std::string>() : dump_json(cell));
      break;
    }
    page.rows.push_back(dump_json(*row));
  }
  return page;
}

}  // namespace awm
