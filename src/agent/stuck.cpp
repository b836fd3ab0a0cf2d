#include "agent/stuck.h"

#include <algorithm>

#include "base/text.h"

namespace awm {
namespace {

constexpr std::size_t remembered = 6;

// All that an action says, without what every event has of its own.
std::string essence(const Action& action) {
  Action bare(action.body);
  bare.timeout = action.timeout;
  return sha256_hex(event_to_json(bare));
}

std::string essence(const Observation& observation) {
  if (const auto* run = get_if<RunObservation>(observation)) {
    return sha256_hex(run->command) + " " + std::to_string(run->metadata.exit_code);
  }
  return sha256_hex(event_to_json(Observation(observation.content, observation.body)));
}

}  // namespace

void StuckDetector::push(Step step) {
  steps_.push_back(std::move(step));
  if (steps_.size() > remembered) steps_.pop_front();
}

void StuckDetector::add_step(const Action& action, const Observation& observation) {
  const auto* asked = get_if<RunAction>(action);
  const auto* answered = get_if<RunObservation>(observation);
  if (asked != nullptr && answered != nullptr && trim(asked->command).empty() && answered->metadata.exit_code == -1) {
    return;
  }
  push({.action = essence(action),
        .observation = essence(observation),
        .is_error = get_if<ErrorObservation>(observation) != nullptr,
        .is_message = false});
}

void StuckDetector::add_message(const std::string& text) {
  push({.action = sha256_hex(text), .observation = {}, .is_error = false, .is_message = true});
}

std::optional<std::string> StuckDetector::stuck() const {
  const std::size_t n = steps_.size();
  const auto last = [&](std::size_t i) -> const Step& { return steps_[n - 1 - i]; };
  // The last `count` steps satisfy `holds`.
  const auto all = [&](std::size_t count, auto&& holds) {
    if (n < count) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (!holds(last(i))) return false;
    }
    return true;
  };
  if (all(3, [&](const Step& s) { return s.is_message && s.action == last(0).action; })) {
    return "said the same three times";
  }
  if (all(3, [&](const Step& s) { return s.is_error && !s.is_message && s.action == last(0).action; })) {
    return "did the same three times, each time with an error";
  }
  const auto same = [](const Step& a, const Step& b) {
    return !a.is_message && !b.is_message && a.action == b.action && a.observation == b.observation;
  };
  if (all(4, [&](const Step& s) { return same(s, last(0)); })) return "did the same four times, with the same result";
  if (n >= 6 && same(last(0), last(2)) && same(last(0), last(4)) && same(last(1), last(3)) && same(last(1), last(5))) {
    return "took turns between the same two steps three times";
  }
  return std::nullopt;
}

}  // namespace awm
