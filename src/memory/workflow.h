// What was learned: workflows, and the memory that holds them. Values that never change once made: sharing is a
// pointer.
//
// Names and keys of memory.json are the predecessor's (xesws/CAWM_Online_workflow 722e0e6).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

struct WorkflowStep {
  std::string step_type;  // "Locate"
  std::string reasoning;
  std::string action_template;  // with {{placeholders}} for what differs from task to task
  friend bool operator==(const WorkflowStep&, const WorkflowStep&) = default;
};

// What a workflow says; everything else is where it came from.
struct WorkflowText {
  std::string name;
  std::string description;
  std::vector<std::string> scenarios;
  std::vector<WorkflowStep> steps;
  friend bool operator==(const WorkflowText&, const WorkflowText&) = default;
};

// An earlier text of a workflow, replaced by an improvement.
struct WorkflowVersion {
  int version = 1;
  std::string date;  // ISO, when it became this version; "" unknown
  std::string model;
  WorkflowText text;
};

struct Workflow {
  WorkflowText text;
  std::string key;                   // folded_name(text.name)
  int version = 1;                   // grows by one with each improvement
  std::string created_at;            // ISO; "" unknown (the predecessor kept none)
  std::string updated_at;            // ISO, of this version
  std::string model;                 // that wrote this version
  std::string origin;                // "learned", or the file it was read from
  int64_t support = 0;               // samples that taught, reinforced or improved it, in all
  int64_t reinforced = 0;            // of these, how often it was confirmed as it was
  int64_t touched = 0;               // the memory's revision when it was last taught
  std::vector<std::string> sources;  // their ids, oldest first; the last max_sources of them
  std::vector<std::shared_ptr<const WorkflowVersion>> earlier;  // oldest first; the last max_versions of them

  // What memory.json keeps; the journal has all of them.
  static constexpr std::size_t max_sources = 32;
  static constexpr std::size_t max_versions = 8;

  int64_t prompt_tokens = 0;  // of workflow_prompt_text() and the empty line behind it
  std::string digest;         // SHA-256 of all but dates and origin
};

// Fills in key, prompt_tokens and digest, and cuts sources and earlier to their bounds. The only way into a memory.
std::shared_ptr<const Workflow> make_workflow(Workflow workflow);

// "### NAME", description, scenarios, numbered steps: as a prompt shows it. No line end at the end.
std::string workflow_prompt_text(const WorkflowText& text);

// Names are the same when they differ in case, white space or a trailing "(updated)" only.
std::string folded_name(std::string_view name);

// An immutable set of workflows in the order of their creation, oldest first. Copies share. Thread-safe to read.
class WorkflowMemory {
 public:
  using Workflows = std::vector<std::shared_ptr<const Workflow>>;

  WorkflowMemory() = default;
  // All made by make_workflow(), names different. `revision` counts the changes since the empty memory.
  WorkflowMemory(Workflows workflows, int64_t revision);

  static std::shared_ptr<const WorkflowMemory> empty();

  [[nodiscard]] const Workflows& workflows() const { return workflows_; }
  [[nodiscard]] std::size_t size() const { return workflows_.size(); }
  [[nodiscard]] int64_t revision() const { return revision_; }
  // By folded name; null when there is none.
  [[nodiscard]] std::shared_ptr<const Workflow> find(std::string_view name) const;
  // SHA-256 over names, texts, versions, sources, models and counts; dates and the file read from are left out, so two
  // runs that learned the same have the same hash. Hex.
  [[nodiscard]] const std::string& hash() const { return hash_; }

 private:
  Workflows workflows_;
  int64_t revision_ = 0;
  std::string hash_;
};

// --- changes ---------------------------------------------------------------------------------------------------------
// A change as data: what the journal keeps and a resumed run does again without asking a model.
struct MemoryChange {
  enum class Kind { none, added, reinforced, improved } kind = Kind::none;
  std::string target;                // the workflow's name, as the memory has it (added: as it will)
  std::optional<WorkflowText> text;  // added, improved
  std::vector<std::string> sources;  // samples that taught it
  std::string model;
  std::string date;  // ISO
};

struct DroppedWorkflow {
  std::string name;
  std::string why;  // "limit of 50: taught by 1 sample, last at revision 3"
};

struct ChangedMemory {
  std::shared_ptr<const WorkflowMemory> memory;
  std::vector<DroppedWorkflow> dropped;
};

// The memory after the change. Where it holds more than `max_workflows` (at least 1), the one taught by the fewest
// samples goes; of equals the one taught longest ago, of those the oldest. The one just taught stays. Deterministic.
// Errors: not_found (no such target), already_exists (a second one of this name), invalid_input.
Result<ChangedMemory> apply(const WorkflowMemory& before, const MemoryChange& change, std::size_t max_workflows);

// Drops by the same rule until `max_workflows` are left.
ChangedMemory limited(const WorkflowMemory& memory, std::size_t max_workflows);

Json to_json(const MemoryChange& change);
// Errors: invalid_input naming `what`.
Result<MemoryChange> memory_change_from_json(const Json& json, std::string_view what);

}  // namespace awm
