// Notices an agent that goes round in circles. The patterns are those of OpenHands 0.62's StuckDetector.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "event/event.h"

namespace awm {

// Fed with each step in order. Remembers the last few steps only.
class StuckDetector {
 public:
  // Something the agent did, and what came of it. A command that is waited for (an empty command to one that still
  // runs) does not count: waiting is no circle. Commands are equal when command and exit code are.
  void add_step(const Action& action, const Observation& observation);
  // A reply without a tool call.
  void add_message(const std::string& text);

  // Why it looks stuck; nullopt when it does not:
  //   four times the same action with the same observation; three times the same action ending in errors; three times
  //   the same message with nothing between; two steps taking turns, three times.
  [[nodiscard]] std::optional<std::string> stuck() const;

 private:
  struct Step {
    std::string action;
    std::string observation;
    bool is_error = false;
    bool is_message = false;
  };
  void push(Step step);
  std::deque<Step> steps_;  // the last 6
};

}  // namespace awm
