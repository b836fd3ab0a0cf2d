#include "base/ledger.h"

#include <chrono>
#include <new>

namespace awm {

std::string_view to_string(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::descriptor:
      return "descriptor";
    case ResourceKind::thread:
      return "thread";
    case ResourceKind::child:
      return "child";
    case ResourceKind::container:
      return "container";
    case ResourceKind::network:
      return "network";
    case ResourceKind::volume:
      return "volume";
    case ResourceKind::temp_folder:
      return "temp_folder";
    case ResourceKind::mount:
      return "mount";
    case ResourceKind::cgroup:
      return "cgroup";
    case ResourceKind::exit_hook:
      return "exit_hook";
    case ResourceKind::lock_file:
      return "lock_file";
    case ResourceKind::connection:
      return "connection";
  }
  return "unknown";
}

Ledger::Token& Ledger::Token::operator=(Token&& other) noexcept {
  if (this != &other) {
    release();
    ledger_ = other.ledger_;
    serial_ = other.serial_;
    other.ledger_ = nullptr;
  }
  return *this;
}

void Ledger::Token::release() noexcept {
  if (ledger_ == nullptr) return;
  const std::lock_guard lock(ledger_->mutex_);
  ledger_->entries_.erase(serial_);
  ledger_ = nullptr;
}

void Ledger::Token::rescope(const Scope& scope) {
  if (ledger_ == nullptr) return;
  const std::lock_guard lock(ledger_->mutex_);
  if (const auto it = ledger_->entries_.find(serial_); it != ledger_->entries_.end()) it->second.scope = scope.path();
}

Ledger& Ledger::process() {
  alignas(Ledger) static unsigned char storage[sizeof(Ledger)];
  static Ledger* const ledger = new (storage) Ledger;
  return *ledger;
}

Ledger::Token Ledger::add(ResourceKind kind, int64_t id, std::string name, const Scope& scope,
                          std::source_location birth) {
  LedgerEntry entry{.kind = kind,
                    .id = id,
                    .name = std::move(name),
                    .scope = scope.path(),
                    .birthplace = std::string(birth.file_name()) + ":" + std::to_string(birth.line())};
  entry.born_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
  const std::lock_guard lock(mutex_);
  entry.serial = next_++;
  const auto serial = entry.serial;
  entries_.emplace(serial, std::move(entry));
  return Token(this, serial);
}

namespace {
bool is_under(const std::string& path, std::string_view scope) {
  return scope.empty() || (path.starts_with(scope) &&
                           (path.size() == scope.size() || scope.ends_with('/') || path[scope.size()] == '/'));
}
}  // namespace

std::vector<LedgerEntry> Ledger::entries(std::string_view scope) const {
  std::vector<LedgerEntry> found;
  const std::lock_guard lock(mutex_);
  for (const auto& [serial, entry] : entries_) {
    if (is_under(entry.scope, scope)) found.push_back(entry);
  }
  return found;
}

std::size_t Ledger::count(ResourceKind kind, std::string_view scope) const {
  std::size_t n = 0;
  const std::lock_guard lock(mutex_);
  for (const auto& [serial, entry] : entries_) n += entry.kind == kind && is_under(entry.scope, scope) ? 1 : 0;
  return n;
}

bool Ledger::owns(ResourceKind kind, int64_t id) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [serial, entry] : entries_) {
    if (entry.kind == kind && entry.id == id) return true;
  }
  return false;
}

}  // namespace awm
