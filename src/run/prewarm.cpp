#include "run/prewarm.h"

#include <algorithm>

namespace awm {

Prewarmer::Prewarmer(const Scope& scope, Make make, Seconds connect_limit, std::size_t most)
    : scope_(scope.child("prewarm")), make_(std::move(make)), connect_limit_(connect_limit), most_(most) {}

void Prewarmer::work(Item& item, std::size_t position) noexcept {
  auto made = make_(position);
  if (!made) return;
  Sandbox* const sandbox = made->get();
  {
    const std::lock_guard lock(mutex_);
    item.sandbox = *std::move(made);
    if (item.given_up) return;
  }
  // Whoever gives it up from now on closes it, and that ends the connect.
  item.ready = sandbox->connect(Deadline::in(connect_limit_)).has_value();
}

void Prewarmer::prepare(std::size_t position) {
  const std::lock_guard lock(mutex_);
  if (closed_ || position < begun_ || items_.size() >= most_ || items_.contains(position)) return;
  auto item = std::make_unique<Item>();
  Item* const raw = item.get();
  // Without a thread there is nothing ready ahead, and nothing lost.
  auto thread = Thread::start(scope_, "prewarm", [this, raw, position] { work(*raw, position); });
  if (!thread) return;
  item->thread = *std::move(thread);
  items_.emplace(position, std::move(item));
}

// The position begins: what was prepared for it, or null.
std::unique_ptr<Prewarmer::Item> Prewarmer::begin(std::size_t position) {
  const std::lock_guard lock(mutex_);
  begun_ = std::max(begun_, position + 1);
  const auto it = items_.find(position);
  if (it == items_.end()) return nullptr;
  auto item = std::move(it->second);
  items_.erase(it);
  return item;
}

// Closes it, in the making or ready, and waits for its thread.
ReleaseReport Prewarmer::give_up(Item& item) noexcept {
  Sandbox* sandbox = nullptr;
  {
    const std::lock_guard lock(mutex_);
    item.given_up = true;
    sandbox = item.sandbox.get();
  }
  if (sandbox != nullptr) (void)sandbox->close();
  item.thread.join();
  return item.sandbox ? item.sandbox->close() : ReleaseReport{};
}

std::unique_ptr<Sandbox> Prewarmer::take(std::size_t position) {
  const auto item = begin(position);
  if (!item) return nullptr;
  item->thread.join();
  if (!item->ready) {
    if (item->sandbox) (void)item->sandbox->close();
    return nullptr;
  }
  return std::move(item->sandbox);
}

void Prewarmer::forget(std::size_t position) {
  if (const auto item = begin(position)) (void)give_up(*item);
}

ReleaseReport Prewarmer::close() noexcept {
  std::map<std::size_t, std::unique_ptr<Item>> items;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    items.swap(items_);
  }
  ReleaseReport report;
  for (auto& [position, item] : items) {
    auto one = give_up(*item);
    for (auto& problem : one.problems) report.problems.push_back(std::move(problem));
  }
  return report;
}

}  // namespace awm
