#include "llm/shared.h"

#include <tuple>

#include "llm/provider.h"

namespace awm {

std::shared_ptr<LlmShared> make_llm_shared(Seconds info_again) {
  return std::make_shared<LlmShared>(info_again);
}

std::optional<LlmShared::Choice> LlmShared::choose(const std::vector<std::string>& keys,
                                                   const std::set<std::size_t>& passed_over) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  std::optional<std::size_t> best;
  std::tuple<Clock::time_point, std::size_t, uint64_t> best_rank;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const KeyState& state = keys_[keys[i]];
    if (state.given_up || passed_over.contains(i)) continue;
    const std::tuple rank{std::max(state.blocked_until, now), state.calls, state.last_use};
    if (best && rank >= best_rank) continue;
    best = i;
    best_rank = rank;
  }
  if (!best) return std::nullopt;
  return Choice{.index = *best, .free_at = keys_[keys[*best]].blocked_until};
}

void LlmShared::begin_call(const std::string& key) {
  const std::lock_guard lock(mutex_);
  auto& state = keys_[key];
  ++state.calls;
  state.last_use = ++uses_;
}

void LlmShared::end_call(const std::string& key, bool answered) {
  const std::lock_guard lock(mutex_);
  auto& state = keys_[key];
  --state.calls;
  if (answered) ++state.answers;
}

uint64_t LlmShared::answers(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  return found == keys_.end() ? 0 : found->second.answers;
}

void LlmShared::block(const std::string& key, Clock::time_point until) {
  const std::lock_guard lock(mutex_);
  auto& state = keys_[key];
  state.blocked_until = std::max(state.blocked_until, until);
}

void LlmShared::give_up(const std::string& key) {
  const std::lock_guard lock(mutex_);
  keys_[key].given_up = true;
}

std::size_t LlmShared::usable(const std::vector<std::string>& keys) const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& key : keys) {
    const auto found = keys_.find(key);
    if (found == keys_.end() || !found->second.given_up) ++count;
  }
  return count;
}

bool LlmShared::refuse_parameter(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return refused_.insert(name).second;
}

std::set<std::string> LlmShared::refused_parameters() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

ModelInfo LlmShared::info(const std::function<Found()>& ask) {
  const std::lock_guard lock(info_mutex_);
  if (!info_ || info_until_.passed()) {
    Found found = ask();
    info_ = std::move(found.info);
    info_until_ = found.settled ? Deadline::never() : Deadline::in(info_again_);
  }
  return *info_;
}

}  // namespace awm
