#include "run/learner.h"

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/log.h"

namespace awm {
namespace {
constexpr std::size_t history_limit = 65536;  // the largest lag
}  // namespace

Learner::Learner(LearnerSettings settings, std::shared_ptr<const WorkflowMemory> at_start, Llm* llm)
    : settings_(std::move(settings)), llm_(llm) {
  Learned first;
  if (at_start) first.memory = std::move(at_start);
  history_.push_back(std::make_shared<const Learned>(std::move(first)));
}

LearnedPtr Learner::after(const SampleResult& result, std::shared_ptr<const WorkflowMemory> memory) const {
  const Learned& before = *history_.back();
  const bool counted = result.first_prompt_tokens > 0 && result.first_prompt_tokens_counted > 0;
  if (memory == before.memory && !counted) return history_.back();
  Learned next{.memory = std::move(memory), .scale = before.scale};
  if (counted) next.scale.add(result.first_prompt_tokens_counted, result.first_prompt_tokens);
  return std::make_shared<const Learned>(std::move(next));
}

void Learner::push(LearnedPtr learned) {
  history_.push_back(std::move(learned));
  if (history_.size() > history_limit) history_.pop_front();
}

Result<Learner::Step> Learner::take(const SampleResult& result) {
  Step step;
  const bool passed = result.verdict == SampleVerdict::passed && result.experience;
  if (!settings_.learns || llm_ == nullptr || !passed) {
    push(after(result, history_.back()->memory));
    step.learned = history_.back();
    return step;
  }
  waiting_.push_back(*result.experience);
  if (waiting_.size() < static_cast<std::size_t>(settings_.trigger)) {
    push(after(result, history_.back()->memory));
    step.learned = history_.back();
    return step;
  }
  const LearnSettings settings{.max_workflows = settings_.max_workflows,
                               .classify_by_model = settings_.classify_by_model};
  auto outcome = learn(history_.back()->memory, waiting_, *llm_, settings, result.timestamp);
  cost_ += outcome.cost;
  save(result.instance_id, outcome);
  if (outcome.gave_up) {
    waiting_.pop_back();
    return std::unexpected(std::move(outcome.gave_up->error));
  }
  ++inductions_;
  waiting_.clear();
  step.cost = outcome.cost;
  step.notes = std::move(outcome.notes);
  step.record = std::move(outcome.journal_record);
  push(after(result, std::move(outcome.memory)));
  step.learned = history_.back();
  return step;
}

Result<void> Learner::replay(const Json& commit_record, const std::function<Result<Experience>()>& experience) {
  const auto result = sample_result_from_json(commit_record);
  auto memory = history_.back()->memory;
  if (const Json* record = find_member(commit_record, "learned"); record != nullptr) {
    AWM_TRY(memory, replay_learning(*memory, *record, settings_.max_workflows));
    waiting_.clear();
    ++inductions_;
  } else if (settings_.learns && result.verdict == SampleVerdict::passed) {
    AWM_TRY(auto one, experience());
    waiting_.push_back(std::move(one));
  }
  push(after(result, std::move(memory)));
  return {};
}

std::deque<LearnedPtr> Learner::history(std::size_t lag) const {
  const std::size_t count = std::min(std::max<std::size_t>(lag, 1), history_.size());
  return {history_.end() - static_cast<std::ptrdiff_t>(count), history_.end()};
}

void Learner::save(const std::string& instance_id, const LearnOutcome& outcome) {
  if (outcome.exchanges.empty()) return;
  const auto folder = join_path(settings_.folder, instance_id);
  auto made = make_folders(folder);
  for (const auto& exchange : outcome.exchanges) {
    if (!made) break;
    made = write_file(join_path(folder, exchange.name + ".txt"), to_text(exchange));
  }
  if (!made) log_warning("the prompts of an induction could not be kept: " + made.error().message());
}

}  // namespace awm
