// The learning half of a run: passes in the order of their commits, an induction when enough have come, and the same
// again without a model when a run is gone on with.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "llm/llm.h"
#include "memory/learn.h"
#include "os/stop.h"
#include "run/learned.h"
#include "run/sample.h"

namespace awm {

struct LearnerSettings {
  bool learns = false;  // else the memory stays as it is
  int trigger = 10;     // new passes per induction
  std::size_t max_workflows = 50;
  bool classify_by_model = false;  // task types; else by rules
  std::string folder;              // where the rendered prompts and the answers go; made when first needed
};

// One thread: the one that commits.
class Learner {
 public:
  // `llm` may be null where nothing is learned, and outlives it.
  Learner(LearnerSettings settings, std::shared_ptr<const WorkflowMemory> at_start, Llm* llm);

  struct Step {
    LearnedPtr learned;  // from here on
    std::optional<Json>
        record;  // what the commit record must carry to do this step again; unset when nothing was learned
    LearnCost cost;
    std::vector<std::string> notes;  // lines for people
  };
  // Takes a sample's result in. Errors: the model could not be asked for a reason that a person must mend, or the run
  // was stopped: the sample must not be committed, and nothing changed here.
  Result<Step> take(const SampleResult& result);

  // The same for a sample that was committed by an earlier part of the run. `experience` is asked for only where the
  // sample passed and was not yet part of an induction. Errors: invalid_input where the record does not fit.
  Result<void> replay(const Json& commit_record, const std::function<Result<Experience>()>& experience);

  // The newest, and up to `lag` - 1 before it, oldest first.
  [[nodiscard]] std::deque<LearnedPtr> history(std::size_t lag) const;
  [[nodiscard]] const LearnedPtr& now() const { return history_.back(); }
  [[nodiscard]] const LearnCost& cost() const { return cost_; }  // of this part of the run
  [[nodiscard]] std::size_t inductions() const { return inductions_; }

 private:
  LearnedPtr after(const SampleResult& result, std::shared_ptr<const WorkflowMemory> memory) const;
  void push(LearnedPtr learned);
  void save(const std::string& instance_id, const LearnOutcome& outcome);

  const LearnerSettings settings_;
  Llm* const llm_;
  std::deque<LearnedPtr> history_;   // bounded
  std::vector<Experience> waiting_;  // passes since the last induction
  LearnCost cost_;
  std::size_t inductions_ = 0;
};

}  // namespace awm
