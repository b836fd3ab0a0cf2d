// The scripted model behind HTTP: POST /v1/chat/completions, GET /v1/models, GET /awm/stats; paths also without /v1.
#pragma once

#include <memory>
#include <string>

#include "base/ledger.h"
#include "base/result.h"
#include "httpd/server.h"
#include "replay/book.h"

namespace awm {

struct ReplayServerOptions {
  int port = 0;     // 0: the kernel chooses
  std::string key;  // when set, requests without "Authorization: Bearer KEY" get 401
};

class ReplayServer {
 public:
  // Serves until close(). Errors as HttpServer::start.
  static Result<std::unique_ptr<ReplayServer>> start(const Scope& scope, ReplayBook book,
                                                     const ReplayServerOptions& options);
  ~ReplayServer();

  [[nodiscard]] std::string url() const;  // "http://127.0.0.1:PORT/v1": what a client takes as its base URL
  [[nodiscard]] int port() const;
  [[nodiscard]] ReplayCounters counters() const;
  void close() noexcept;  // idempotent

 private:
  struct State;
  explicit ReplayServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace awm
