// A model's answer to the induction prompt, read strictly: what it asks for, or why it cannot be used. Pure.
//
// Form of the answer: prompts/induction_format.txt (the predecessor's: ACTION, TARGET, a "## Workflow:" block).
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/experience.h"
#include "memory/workflow.h"

namespace awm {

namespace workflow_limits {
inline constexpr std::size_t answer = std::size_t{64} * 1024;  // bytes
inline constexpr std::size_t name = 100;                       // characters, here and below
inline constexpr std::size_t description = 1000;
inline constexpr std::size_t scenario = 200;
inline constexpr std::size_t scenarios = 8;
inline constexpr std::size_t step_type = 40;
inline constexpr std::size_t reasoning = 600;
inline constexpr std::size_t action = 1500;
inline constexpr std::size_t workflow = 8000;
inline constexpr std::size_t min_steps = 3;
inline constexpr std::size_t max_steps = 8;
}  // namespace workflow_limits

// The reason of a refusal: a sentence for the model, and for the journal.
struct Refusal {
  std::string reason;
};

// Reads the answer's form. Sources are the ids after SOURCES, {} where there is no such line.
std::expected<MemoryChange, Refusal> parse_induction_answer(std::string_view answer);

// Reads the answer and judges it against the memory and the experiences shown: unknown target, second workflow of one
// name, path-like name, concrete paths and ids, mixtures, improvements that drop what the workflow was for, unknown
// sources, another script than the task's. Fills in the sources; a single experience is its own source.
std::expected<MemoryChange, Refusal> read_induction_answer(std::string_view answer, const WorkflowMemory& memory,
                                                           std::span<const Experience> shown);

}  // namespace awm
