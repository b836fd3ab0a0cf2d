// The book of everything owned: kind, scope, birthplace, from birth to release. What is left under a scope at its end
// is a leak, by name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace awm {

enum class ResourceKind {
  descriptor,
  thread,
  child,
  container,
  network,
  volume,
  temp_folder,
  mount,
  cgroup,
  exit_hook,
  lock_file,
  connection
};
std::string_view to_string(ResourceKind kind);

// A place in the tree of owners: "run/sample/django__django-11179/sandbox". A cheap value; thread-safe to copy.
class Scope {
 public:
  explicit Scope(std::string_view root) : path_(std::make_shared<const std::string>(root)) {}
  [[nodiscard]] Scope child(std::string_view name) const { return Scope(*path_ + "/" + std::string(name)); }
  [[nodiscard]] const std::string& path() const { return *path_; }

 private:
  std::shared_ptr<const std::string> path_;
};

// One owned thing, as the ledger shows it.
struct LedgerEntry {
  uint64_t serial = 0;
  ResourceKind kind{};
  int64_t id = 0;    // descriptor number, pid, tid; 0 where the name says it
  std::string name;  // path, container id, purpose
  std::string scope;
  std::string birthplace;  // "src/os/spawn.cpp:88"
  int64_t born_ms = 0;     // steady clock
};

// Thread-safe. There is one for the process, as there is one descriptor table; tests may make their own.
class Ledger {
 public:
  // Keeps one entry in the book; released when the token dies or by release(). Movable, not copyable.
  class Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept : ledger_(other.ledger_), serial_(other.serial_) { other.ledger_ = nullptr; }
    Token& operator=(Token&& other) noexcept;
    ~Token() { release(); }
    void release() noexcept;
    [[nodiscard]] bool held() const { return ledger_ != nullptr; }
    // Moves the entry under another owner, for things handed on.
    void rescope(const Scope& scope);

   private:
    friend class Ledger;
    Token(Ledger* ledger, uint64_t serial) : ledger_(ledger), serial_(serial) {}
    Ledger* ledger_ = nullptr;
    uint64_t serial_ = 0;
  };

  Ledger() = default;
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // The process's own; never destroyed, so that late releases are safe.
  static Ledger& process();

  [[nodiscard]] Token add(ResourceKind kind, int64_t id, std::string name, const Scope& scope,
                          std::source_location birth = std::source_location::current());

  // What is owned at `scope` and below ("" : everything), oldest first.
  [[nodiscard]] std::vector<LedgerEntry> entries(std::string_view scope = {}) const;
  [[nodiscard]] std::size_t count(ResourceKind kind, std::string_view scope = {}) const;
  // Is this id of this kind owned by anyone?
  [[nodiscard]] bool owns(ResourceKind kind, int64_t id) const;

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, LedgerEntry> entries_;
  uint64_t next_ = 1;
};

}  // namespace awm
