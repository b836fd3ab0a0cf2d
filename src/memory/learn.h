// Learning from what passed: classification, compression, induction, one answer of the model at a time, and a memory
// that changes by one recorded step. Pure apart from the model calls.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "llm/llm.h"
#include "memory/experience.h"
#include "memory/workflow.h"

namespace awm {

struct LearnSettings {
  std::size_t max_workflows = 50;
  std::size_t compressed_tokens = 20'000;  // of one experience, at most
  std::size_t verbatim_tokens = 6'000;     // a history within this is shown as it is: no compression calls
  std::size_t known_tokens = 60'000;       // for the workflows so far in the induction prompt: whole ones, then names
  std::size_t chunk_steps = 10;
  std::size_t max_chunks = 50;     // longer histories get longer chunks
  bool classify_by_model = false;  // task types by asking the model; else, and where it fails, by rules
};

// What learning cost, kept apart from the agent's.
struct LearnCost {
  int64_t calls = 0;
  Usage usage;
  double cost = 0;  // US dollars, of the calls whose price is known
  int64_t calls_without_price = 0;
  LearnCost& operator+=(const LearnCost& other);
};
Json to_json(const LearnCost& cost);
LearnCost learn_cost_from_json(const Json& json);

// One call as it was made, for the files that show rendered prompts.
struct LearnExchange {
  std::string purpose;      // "classification", "compression", "induction"
  std::string instance_id;  // of the first experience concerned
  std::string name;         // "induction-1", "compression-3": unique within an outcome
  std::vector<Message> prompt;
  std::string answer;   // "" when the call failed
  std::string problem;  // why the answer was refused, or the call's error; "" none
};
// A readable text of it, for a file.
std::string to_text(const LearnExchange& exchange);

struct LearnOutcome {
  std::shared_ptr<const WorkflowMemory> memory;  // `before` itself where nothing changed
  // For the journal; null when it gave up: {"type": "induction", "samples": [...], "changes":
  // [...], "dropped": [...], "refused": [...], "hash": of the memory after it, "cost": {...}}. Its size does not depend
  // on the size of the memory.
  Json journal_record;
  LearnCost cost;
  std::vector<LearnExchange> exchanges;
  std::vector<std::string>
      taught_nothing;              // ids of samples whose answers were refused, or that could not be asked about
  std::vector<std::string> notes;  // for people, a line each: what was learned, refused, dropped
  // The model could not be asked for a reason that a person must mend (key, credit, model), or the run was stopped:
  // this outcome must not be committed; learn again on resume.
  std::optional<LlmError> gave_up;
};

// Learns from passes, in their order: those of one task type together, types in the order of their first appearance.
// One induction call a type (a second when the answer is refused). Never throws. The same `before`, passes, answers and
// `now` give the same outcome. An experience whose test_result is not "PASS" is left out and noted.
// A call that fails for good in another way than `gave_up` costs only what it would have taught: refused, and said so.
LearnOutcome learn(const std::shared_ptr<const WorkflowMemory>& before, std::span<const Experience> new_passes,
                   Llm& llm, const LearnSettings& settings, const std::string& now);

// What a run that is resumed does instead: the record's changes again, without a model. Errors: invalid_input where the
// record is broken, does not fit `before`, or leads to another memory than it says.
Result<std::shared_ptr<const WorkflowMemory>> replay_learning(const WorkflowMemory& before, const Json& journal_record,
                                                              std::size_t max_workflows);

}  // namespace awm
