// What must still be given back when the program ends early: owned objects, unregistered when released.
#pragma once

#include <functional>
#include <list>
#include <mutex>

#include "base/ledger.h"

namespace awm {

// Made once by main. Thread-safe. Runs what is left, newest first, each once, in run_all().
class ExitHooks {
 public:
  class Hook {
   public:
    Hook() = default;
    Hook(Hook&&) noexcept;
    Hook& operator=(Hook&&) noexcept;
    ~Hook() { unregister(); }
    void unregister() noexcept;

   private:
    friend class ExitHooks;
    ExitHooks* hooks_ = nullptr;
    uint64_t id_ = 0;
    Ledger::Token token_;
  };

  [[nodiscard]] Hook add(const Scope& scope, std::string_view name, std::function<void()> action,
                         std::source_location birth = std::source_location::current());
  [[nodiscard]] std::size_t size() const;
  void run_all() noexcept;

 private:
  struct Entry {
    uint64_t id = 0;
    std::string name;
    std::function<void()> action;
  };
  mutable std::mutex mutex_;
  std::list<Entry> entries_;
  uint64_t next_ = 1;
};

}  // namespace awm
