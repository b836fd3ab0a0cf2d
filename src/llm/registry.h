// The models of one sample by the service they do: "agent", "condenser", …
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/llm.h"
#include "llm/provider.h"

namespace awm {

// Thread-safe. Owns its Llms; pointers to them hold until close().
class LlmRegistry {
 public:
  struct Notice {
    std::string service;
    Llm* llm = nullptr;
  };
  using Subscriber = std::function<void(const Notice&)>;
  using Make = std::function<Result<std::unique_ptr<Llm>>(const LlmConfig&)>;

  LlmRegistry() = default;
  ~LlmRegistry() { close(); }
  LlmRegistry(const LlmRegistry&) = delete;
  LlmRegistry& operator=(const LlmRegistry&) = delete;

  // Takes an Llm for a service; the first one is the active one. With the same configuration again, the one that is
  // there is returned and `llm` is dropped. Errors: already_exists when the service has another configuration; closed.
  Result<Llm*> add(const std::string& service, const LlmConfig& config, std::unique_ptr<Llm> llm);
  // As add(), made only where the service is not there yet. Also make's errors.
  Result<Llm*> get_or_make(const std::string& service, const LlmConfig& config, const Make& make);

  [[nodiscard]] Llm* find(const std::string& service) const;  // null: none
  [[nodiscard]] Llm* active() const;                          // null: none yet
  // Errors: not_found.
  Result<void> set_active(const std::string& service);
  [[nodiscard]] std::vector<std::string> services() const;  // in the order they came
  [[nodiscard]] LlmTotals totals() const;                   // of all

  // Is told of the active one at once, and then of each that comes or becomes active; on the thread that caused it,
  // never under the registry's lock. One that throws is passed over. A new subscriber takes the place of the last.
  void subscribe(Subscriber subscriber);

  // Closes every Llm, once; the subscriber is let go. Idempotent.
  void close() noexcept;

 private:
  struct Entry {
    std::string service;
    LlmConfig config;
    std::unique_ptr<Llm> llm;
  };
  void tell(const Notice& notice);
  const Entry* entry(const std::string& service) const;  // under the mutex

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::string active_;
  std::shared_ptr<Subscriber> subscriber_;
  bool closed_ = false;
};

}  // namespace awm
