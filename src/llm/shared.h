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
  // A key to call with, and when it may be used: the one that is free soonest, of several the one with the fewest calls
  // under way. Keys in `passed_over` and keys given up are left out; nullopt when none is left.
  struct Choice {
    std::size_t index = 0;
    Clock::time_point free_at;
  };
  std::optional<Choice> choose(const std::vector<std::string>& keys, const std::set<std::size_t>& passed_over);
  void begin_call(const std::string& key);
  void end_call(const std::string& key);
  // Not before then: the server said that this key has had enough.
  void block(const std::string& key, Clock::time_point until);
  // Of no use any more in this process: refused, or out of money.
  void give_up(const std::string& key);
  [[nodiscard]] std::size_t usable(const std::vector<std::string>& keys) const;

  // Parameters that the model has refused. True when it is news.
  bool refuse_parameter(const std::string& name);
  [[nodiscard]] std::set<std::string> refused_parameters() const;

  // What is remembered, or what `ask` finds; asked once, others wait meanwhile. An answer with source "unknown" from a
  // server that could not be asked is remembered too.
  ModelInfo info(const std::function<ModelInfo()>& ask);

 private:
  struct KeyState {
    Clock::time_point blocked_until;
    std::size_t calls = 0;
    uint64_t last_use = 0;
    bool given_up = false;
  };
  mutable std::mutex mutex_;
  std::map<std::string, KeyState> keys_;
  uint64_t uses_ = 0;
  std::set<std::string> refused_;
  std::mutex info_mutex_;
  std::optional<ModelInfo> info_;
};

}  // namespace awm
