#include "os/exit_hooks.h"

#include <utility>

namespace awm {

ExitHooks::Hook::Hook(Hook&& other) noexcept
    : hooks_(std::exchange(other.hooks_, nullptr)), id_(other.id_), token_(std::move(other.token_)) {}

ExitHooks::Hook& ExitHooks::Hook::operator=(Hook&& other) noexcept {
  if (this != &other) {
    unregister();
    hooks_ = std::exchange(other.hooks_, nullptr);
    id_ = other.id_;
    token_ = std::move(other.token_);
  }
  return *this;
}

void ExitHooks::Hook::unregister() noexcept {
  if (hooks_ == nullptr) return;
  auto* hooks = std::exchange(hooks_, nullptr);
  {
    const std::lock_guard lock(hooks->mutex_);
    hooks->entries_.remove_if([this](const Entry& entry) { return entry.id == id_; });
  }
  token_.release();
}

ExitHooks::Hook ExitHooks::add(const Scope& scope, std::string_view name, std::function<void()> action,
                               std::source_location birth) {
  Hook hook;
  hook.hooks_ = this;
  {
    const std::lock_guard lock(mutex_);
    hook.id_ = next_++;
    entries_.push_back({hook.id_, std::string(name), std::move(action)});
  }
  hook.token_ =
      Ledger::process().add(ResourceKind::exit_hook, static_cast<int64_t>(hook.id_), std::string(name), scope, birth);
  return hook;
}

std::size_t ExitHooks::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void ExitHooks::run_all() noexcept {
  for (;;) {
    std::function<void()> action;
    {
      const std::lock_guard lock(mutex_);
      if (entries_.empty()) return;
      action = std::move(entries_.back().action);
      entries_.pop_back();
    }
    action();
  }
}

}  // namespace awm
