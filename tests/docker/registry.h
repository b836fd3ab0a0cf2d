// A registry of the test's own on 127.0.0.1, which engines take as it is (plain http): the distribution API's part that
// a pull uses, with all that may go wrong there.
//
// Source: the OCI distribution specification, Docker's image manifest V2 schema 2 and token authentication.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "httpd/server.h"

namespace awm::testing {

class Registry {
 public:
  enum class Fault {
    none,
    unauthorized,  // 401 to all
    missing,       // 404 to manifests
    too_many,      // 429 to manifests, with Retry-After
    server_error,  // 503 to manifests
    half_layer,    // a layer breaks off in its middle
    other_layer,   // a layer's bytes are others than its digest says
    other_config,  // an image's settings are others than their digest says
    silent,        // no answer to a manifest
    silent_layer,  // nor to a layer
  };
  enum class Login { none, basic, token };

  Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  [[nodiscard]] std::string host() const;  // "127.0.0.1:PORT"
  // Puts an image there: its layers are tar archives. Its whole name.
  std::string put(const std::string& name, const std::vector<std::string>& layers,
                  const std::string& architecture = "amd64");
  // One name for images of several architectures, with a layer each.
  std::string put_list(const std::string& name, const std::map<std::string, std::string>& layers);

  // From now on; `times` answers, then all is well again (-1: for good).
  void fail(Fault fault, int times = -1);
  // Layers are asked for and not given until it is said otherwise.
  void hold_layers(bool held);
  void want(Login login, std::string user = "", std::string password = "");

  [[nodiscard]] int manifests(const std::string& name = "") const;  // asked for with GET, answered or not
  [[nodiscard]] int layers(const std::string& name = "") const;     // a layer's GETs
  [[nodiscard]] int tokens() const;                                 // given out

 private:
  struct Blob {
    std::string media;
    std::string content;
    bool layer = false;
  };
  HttpdResponse answer(const HttpdRequest& request);
  HttpdResponse answer_locked(const HttpdRequest& request);
  HttpdResponse manifest(const HttpdRequest& request, const std::string& name, const std::string& ref);
  HttpdResponse blob(const HttpdRequest& request, const std::string& name, const std::string& digest);
  bool fails(Fault fault);  // with the lock held; uses one of the times up
  bool let_in(const HttpdRequest& request) const;
  std::string keep(std::string media, std::string content, bool layer = false);
  std::string put_manifest(const std::vector<std::string>& layers, const std::string& architecture);

  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool held_ = false;
  std::map<std::string, Blob> blobs_;                 // by digest, manifests too
  std::map<std::string, std::string> tags_;           // "name:tag" → digest of its manifest
  std::map<std::string, std::pair<int, int>> asked_;  // by name: manifests, layers
  Fault fault_ = Fault::none;
  int times_ = 0;
  Login login_ = Login::none;
  std::string user_;
  std::string password_;
  int tokens_ = 0;
  int layers_asked_ = 0;
  std::unique_ptr<HttpServer> server_;  // the last made, the first closed
};

// A tar archive of one file.
std::string tar_of_file(std::string_view name, std::string_view content);

}  // namespace awm::testing
