// The Hugging Face Hub, as far as rows of data sets are wanted: which revision is there, which splits, rows by the
// page.
//
// Sources: the dataset viewer's routes, headers and error codes (huggingface/dataset-viewer, August 2026), the Hub's
// /api/datasets/NAME, huggingface_hub's environment variables.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "os/stop.h"
#include "os/thread.h"

namespace awm {

struct HubSettings {
  std::string hub;          // "https://huggingface.co", no slash at the end
  std::string rows;         // of the dataset viewer
  std::string token;        // "" none; never told to anybody but these two, and over TLS or to this machine only
  bool offline = false;     // nothing is asked
  Seconds first_wait{0.5};  // before the second try; doubled for each further one
};

// From HF_ENDPOINT, HF_DATASETS_SERVER (ours; else the Hub's host with "datasets-server." in front, as Hugging Face's
// own libraries have it, or the Hub itself where its host is an address or this machine), HF_TOKEN, HF_HUB_OFFLINE and
// HF_DATASETS_OFFLINE. The token is hidden in the log from now on. Errors: invalid_input.
Result<HubSettings> hub_settings_from_environment();

struct HubDataset {
  std::string id;        // its name now: it may have been renamed
  std::string revision;  // "" not said
};

struct HubSplit {
  std::string config;
  std::string split;
};

// Rows one after another from the offset that was asked for, up to the first whose cells the server cut.
struct HubPage {
  std::string revision;           // "" not said
  int64_t total = 0;              // rows of the split
  std::vector<std::string> rows;  // each a JSON object
  std::vector<std::string> cut;   // names of the cells cut in the row behind these; empty: none
  bool too_big = false;           // the server refuses so many rows at once: nothing else is set
};

// Not thread-safe. One thread, two descriptors, and those of its HttpClient. An answer of 429 or 5xx, and none, are
// asked for five times in all (three where nobody listens or answers in time), after what Retry-After says and
// first_wait at least. Errors of all calls: stopped as soon as the stop is drain; unavailable (no answer, 429, 5xx, or
// asked to wait over five minutes); not_found and permission with the remedy; protocol.
class Hub {
 public:
  static Result<std::unique_ptr<Hub>> open(const Scope& scope, const Stop& stop, HubSettings settings);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  Result<HubDataset> find(const std::string& name);
  Result<std::vector<HubSplit>> splits(const std::string& name);
  Result<HubPage> rows(const std::string& name, const HubSplit& split, int64_t offset, int64_t length);

 private:
  Hub(const Stop& stop, HubSettings settings) : stop_(stop), settings_(std::move(settings)) {}
  // Any answer but those that are worth another try, and 2xx.
  Result<HttpResponse> ask(const std::string& url, const std::string& name);
  [[nodiscard]] Error refusal(const HttpResponse& response, const std::string& name) const;
  [[nodiscard]] Result<void> wait(Deadline deadline, const std::string& name) const;

  const Stop& stop_;
  HubSettings settings_;
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<HttpSession> session_;
  std::atomic<bool> ends_{false};
  UniqueFd done_;   // readable when the watcher is to end
  Thread watcher_;  // closes the session when the stop is drain: nothing that a person waits for is live yet
};

}  // namespace awm
