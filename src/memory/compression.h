// An experience made small enough to learn from: its history as phases.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "memory/experience.h"

namespace awm {

struct Phase {
  std::string phase;  // understanding, locating, fixing, testing, debugging
  std::string action_summary;
  std::string key_reasoning;
  std::vector<std::string> files_involved;
  std::string outcome;  // success, failure, ongoing
};

struct CompressedExperience {
  std::string instance_id;
  std::vector<Phase> phases;
  std::size_t original_steps = 0;
};

// Texts of one phase, in characters.
namespace phase_limits {
inline constexpr std::size_t action = 400;
inline constexpr std::size_t reasoning = 800;
inline constexpr std::size_t files = 12;
inline constexpr std::size_t file = 200;
}  // namespace phase_limits

// Steps as a prompt shows them, each in a few bounded lines.
std::string steps_text(std::span<const ExperienceStep> steps);

// The five lines of an answer to prompts/compression.txt; nullopt when it is not that. Over-long texts are cut.
std::optional<Phase> parse_phase(std::string_view answer);

// What is said of steps without a model: the phase by the kinds of actions, the actions by name.
Phase phase_by_rules(std::span<const ExperienceStep> steps);

// Asks for the phase of steps first…last (from 1); nullopt: by rules.
using AskPhase =
    std::function<std::optional<Phase>(std::span<const ExperienceStep> steps, std::size_t first, std::size_t last)>;

// Chunks of `chunk_steps` (longer ones, when there would be more than `max_chunks`), a phase each; neighbours of one
// phase merged; then shortened, evenly, until phases_text() has at most `max_tokens`.
CompressedExperience compress(const Experience& experience, std::size_t chunk_steps, std::size_t max_chunks,
                              std::size_t max_tokens, const AskPhase& ask);
std::string phases_text(const std::vector<Phase>& phases);

}  // namespace awm
