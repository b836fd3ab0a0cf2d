// What the Llms of one configuration know together.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "llm/llm.h"

namespace awm {

// Thread-safe.
class LlmShared {
 public:
  // `info_again`: for how long it is remembered that nobody knew the model.
  explicit LlmShared(Seconds info_again) : info_again_(info_again) {}

  // A key to call with, and when it may be used: the one that is free soonest, of several the one with the fewest calls
  // under way. Keys in `passed_over` and keys given up are left out; nullopt when none is left.
  struct Choice {
    std::size_t index = 0;
    Clock::time_point free_at;
  };
  std::optional<Choice> choose(const std::vector<std::string>& keys, const std::set<std::size_t>& passed_over);
  void begin_call(const std::string& key);
  void end_call(const std::string& key, bool answered);
  // How many calls with this key have been answered: one that grows is a key that works for others.
  [[nodiscard]] uint64_t answers(const std::string& key) const;
  // Not before then: the server said that this key has had enough.
  void block(const std::string& key, Clock::time_point until);
  // Of no use any more in this process: refused, or out of money.
  void give_up(const std::string& key);
  [[nodiscard]] std::size_t usable(const std::vector<std::string>& keys) const;

  // Parameters that the model has refused. True when it is news.
  bool refuse_parameter(const std::string& name);
  [[nodiscard]] std::set<std::string> refused_parameters() const;

  // What is remembered, or what `ask` finds; one asks, others wait meanwhile. What is not `settled` (the server could
  // not be asked, or does not tell) is asked for again when `info_again` is over.
  struct Found {
    ModelInfo info;
    bool settled = false;
  };
  ModelInfo info(const std::function<Found()>& ask);

 private:
  struct KeyState {
    Clock::time_point blocked_until;
    std::size_t calls = 0;
    uint64_t last_use = 0;
    uint64_t answers = 0;
    bool given_up = false;
  };
  mutable std::mutex mutex_;
  std::map<std::string, KeyState> keys_;
  uint64_t uses_ = 0;
  std::set<std::string> refused_;
  std::mutex info_mutex_;
  std::optional<ModelInfo> info_;
  Deadline info_until_;
  const Seconds info_again_;
};

}  // namespace awm
