#include "llm/registry.h"

namespace awm {

const LlmRegistry::Entry* LlmRegistry::entry(const std::string& service) const {
  for (const auto& one : entries_) {
    if (one->service == service) return one.get();
  }
  return nullptr;
}

Result<Llm*> LlmRegistry::add(const std::string& service, const LlmConfig& config, std::unique_ptr<Llm> llm) {
  return get_or_make(service, config, [&](const LlmConfig&) -> Result<std::unique_ptr<Llm>> { return std::move(llm); });
}

Result<Llm*> LlmRegistry::get_or_make(const std::string& service, const LlmConfig& config, const Make& make) {
  const auto refused = [&] {
    return fail(Errc::already_exists, "register", "model service \"" + service + "\"",
                "it has another configuration already",
                "name the service otherwise, or give it the same configuration");
  };
  const auto look = [&]() -> Result<Llm*> {  // under the mutex
    if (closed_) return fail(Errc::closed, "register", "model service \"" + service + "\"", "the registry is closed");
    const Entry* known = entry(service);
    if (known == nullptr) return nullptr;
    if (!same_service(known->config, config)) return refused();
    return known->llm.get();
  };
  {
    const std::lock_guard lock(mutex_);
    AWM_TRY(Llm * known, look());
    if (known != nullptr) return known;
  }
  AWM_TRY(auto llm, make(config));
  if (llm == nullptr)
    return fail(Errc::invalid_input, "register", "model service \"" + service + "\"", "no model was given");
  Llm* const made = llm.get();
  {
    const std::lock_guard lock(mutex_);
    AWM_TRY(Llm * known, look());  // somebody else may have been faster
    if (known != nullptr) return known;
    entries_.push_back(std::make_unique<Entry>(Entry{service, config, std::move(llm)}));
    if (active_.empty()) active_ = service;
  }
  tell({service, made});
  return made;
}

Llm* LlmRegistry::find(const std::string& service) const {
  const std::lock_guard lock(mutex_);
  const Entry* known = entry(service);
  return known != nullptr ? known->llm.get() : nullptr;
}

Llm* LlmRegistry::active() const {
  const std::lock_guard lock(mutex_);
  const Entry* known = entry(active_);
  return known != nullptr ? known->llm.get() : nullptr;
}

Result<void> LlmRegistry::set_active(const std::string& service) {
  Notice notice{service, nullptr};
  {
    const std::lock_guard lock(mutex_);
    const Entry* known = entry(service);
    if (known == nullptr)
      return fail(Errc::not_found, "use", "model service \"" + service + "\"", "there is no such service");
    active_ = service;
    notice.llm = known->llm.get();
  }
  tell(notice);
  return {};
}

std::vector<std::string> LlmRegistry::services() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& one : entries_) names.push_back(one->service);
  return names;
}

LlmTotals LlmRegistry::totals() const {
  const std::lock_guard lock(mutex_);
  LlmTotals all;
  for (const auto& one : entries_) {
    const LlmTotals totals = one->llm->totals();
    all.calls += totals.calls;
    all.retries += totals.retries;
    all.cost += totals.cost;
    all.usage += totals.usage;
  }
  return all;
}

void LlmRegistry::tell(const Notice& notice) {
  std::shared_ptr<Subscriber> subscriber;
  {
    const std::lock_guard lock(mutex_);
    subscriber = subscriber_;
  }
  if (!subscriber || !*subscriber) return;
  try {
    (*subscriber)(notice);
  } catch (...) {
    // A subscriber that fails harms nobody else.
  }
}

void LlmRegistry::subscribe(Subscriber subscriber) {
  Notice notice;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    subscriber_ = std::make_shared<Subscriber>(std::move(subscriber));
    if (const Entry* known = entry(active_)) notice = {known->service, known->llm.get()};
  }
  if (notice.llm != nullptr) tell(notice);
}

void LlmRegistry::close() noexcept {
  std::vector<Llm*> all;
  std::shared_ptr<Subscriber> subscriber;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    subscriber = std::move(subscriber_);
    all.reserve(entries_.size());
    for (const auto& one : entries_) all.push_back(one->llm.get());
  }
  for (Llm* llm : all) llm->close();
}

}  // namespace awm
