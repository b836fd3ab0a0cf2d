#include "os/cancel.h"

#include <utility>

namespace awm {

void Cancel::request() noexcept {
  const std::lock_guard lock(mutex_);
  if (requested_) return;
  requested_ = true;
  for (const auto& [id, action] : actions_) action();
}

bool Cancel::requested() const {
  const std::lock_guard lock(mutex_);
  return requested_;
}

Cancel::Guard Cancel::enlist(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  if (requested_) {
    action();
    return {};
  }
  const uint64_t id = next_++;
  actions_.emplace(id, std::move(action));
  return {this, id};
}

Cancel::Guard::Guard(Guard&& other) noexcept : cancel_(std::exchange(other.cancel_, nullptr)), id_(other.id_) {}

Cancel::Guard& Cancel::Guard::operator=(Guard&& other) noexcept {
  if (this != &other) {
    reset();
    cancel_ = std::exchange(other.cancel_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void Cancel::Guard::reset() noexcept {
  if (cancel_ == nullptr) return;
  const std::lock_guard lock(cancel_->mutex_);
  cancel_->actions_.erase(id_);
  cancel_ = nullptr;
}

Error cancelled_error(std::string operation, std::string object) {
  return Error{.code = Errc::closed,
               .operation = std::move(operation),
               .object = std::move(object),
               .cause = "it was closed meanwhile"};
}

}  // namespace awm
