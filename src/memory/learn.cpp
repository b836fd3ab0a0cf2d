#include "memory/learn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/template.h"
#include "base/text.h"
#include "memory/compression.h"
#include "memory/induction.h"
#include "memory/prompts_data.h"
#include "memory/tokens.h"

namespace awm {
namespace {

constexpr std::size_t max_shown_together = 8;  // experiences in one prompt
constexpr std::size_t problem_chars = 6000;
constexpr std::size_t patch_chars = 6000;
constexpr std::size_t names_tokens = 20'000;  // for workflows shown by name only

constexpr std::array<std::string_view, 7> task_types = {"bug_fix", "feature",     "refactor", "test",
                                                        "docs",    "performance", "general"};

bool is_task_type(std::string_view word) {
  return std::ranges::find(task_types, word) != task_types.end();
}

// Text of others between our marks: it cannot close them.
std::string fenced(std::string_view text) {
  auto safe = to_valid_utf8(text);
  for (const std::string_view mark : {"task", "steps", "experience", "workflows"}) {
    safe = replace_all(std::move(safe), "</" + std::string(mark), "< /" + std::string(mark));
  }
  return safe;
}

std::string prompt(std::string_view name, const PromptValues& values) {
  const auto text = find_prompt(memory_prompt_files(), name);
  auto rendered = render_template(text.value_or(""), values, name);
  // A mark without a value is a bug that the tests of the prompts find.
  return rendered ? *std::move(rendered) : std::string();
}

bool is_hopeless(LlmFailure failure) {
  return failure == LlmFailure::authentication || failure == LlmFailure::no_such_model ||
         failure == LlmFailure::out_of_credit || failure == LlmFailure::stopped;
}

std::string ids_text(std::span<const Experience> experiences) {
  std::string text;
  for (const auto& experience : experiences) text += (text.empty() ? "" : ", ") + experience.instance_id;
  return text;
}

// One learn() in progress.
class Learning {
 public:
  Learning(std::shared_ptr<const WorkflowMemory> before, Llm& llm, const LearnSettings& settings, std::string now)
      : before_(std::move(before)), memory_(before_), llm_(llm), settings_(settings), now_(std::move(now)) {}

  LearnOutcome go(std::span<const Experience> passes) {
    Json samples = Json::array();
    Json types = Json::object();
    std::vector<std::pair<std::string, std::vector<Experience>>> groups;
    for (const auto& pass : passes) {
      if (pass.test_result != "PASS") {
        outcome_.notes.push_back(pass.instance_id + " did not pass: nothing is learned from it");
        continue;
      }
      auto type = task_type(pass);
      if (outcome_.gave_up) return give_up();
      samples.push_back(pass.instance_id);
      types[pass.instance_id] = type;
      const auto it = std::ranges::find(groups, type, [](const auto& group) -> const auto& { return group.first; });
      auto& group = it == groups.end() ? groups.emplace_back(std::move(type), std::vector<Experience>()) : *it;
      group.second.push_back(pass);
    }
    for (const auto& [type, experiences] : groups) {
      const std::span<const Experience> all(experiences);
      for (std::size_t first = 0; first < all.size(); first += max_shown_together) {
        induce(type, all.subspan(first, std::min(max_shown_together, all.size() - first)));
        if (outcome_.gave_up) return give_up();
      }
    }
    outcome_.memory = memory_;
    outcome_.journal_record = Json{{"type", "induction"},
                                   {"samples", std::move(samples)},
                                   {"task_types", std::move(types)},
                                   {"date", now_},
                                   {"changes", std::move(changes_)},
                                   {"dropped", std::move(dropped_)},
                                   {"refused", std::move(refused_)},
                                   {"revision", memory_->revision()},
                                   {"workflows", memory_->size()},
                                   {"hash", memory_->hash()},
                                   {"cost", to_json(outcome_.cost)}};
    return std::move(outcome_);
  }

 private:
  LearnOutcome give_up() {
    outcome_.memory = before_;
    return std::move(outcome_);
  }

  // --- asking ------------------------------------------------------------------------------------------------------
  // The text of the answer. A hopeless failure ends the learning; another is the caller's.
  std::expected<Completion, LlmError> ask(std::string_view purpose, const std::string& instance_id,
                                          const std::vector<Message>& messages) {
    CompletionRequest request;
    request.messages = messages;
    request.purpose = std::string(purpose);
    request.sample_id = instance_id;
    auto result = llm_.complete(request);
    ++calls_;
    LearnExchange exchange{.purpose = request.purpose,
                           .instance_id = instance_id,
                           .name = fmt::format("{:03}-{}", calls_, purpose),
                           .prompt = messages,
                           .answer = {},
                           .problem = {}};
    ++outcome_.cost.calls;
    if (result) {
      exchange.answer = to_valid_utf8(result->message.content);
      outcome_.cost.usage += result->usage;
      outcome_.cost.cost += result->cost;
      if (!result->cost_known) ++outcome_.cost.calls_without_price;
    } else {
      exchange.problem = result.error().error.message();
      if (is_hopeless(result.error().kind)) outcome_.gave_up = result.error();
    }
    outcome_.exchanges.push_back(std::move(exchange));
    return result;
  }

  std::expected<Completion, LlmError> ask(std::string_view purpose, const std::string& instance_id, std::string text) {
    return ask(purpose, instance_id, std::vector<Message>{Message{.role = Role::user, .content = std::move(text)}});
  }

  void objected(std::string reason) { outcome_.exchanges.back().problem = std::move(reason); }

  // --- task types --------------------------------------------------------------------------------------------------
  std::string task_type(const Experience& experience) {
    auto by_rules =
        is_task_type(experience.task_type) ? experience.task_type : task_type_of(experience.problem_statement);
    if (!settings_.classify_by_model) return by_rules;
    const auto answer =
        ask("classification", experience.instance_id,
            prompt("classification",
                   {{"problem", fenced(truncate_middle(experience.problem_statement, problem_chars, "\n(…)\n"))}}));
    if (!answer) return by_rules;
    // One of the words, with nothing around it but marks.
    std::string word;
    for (const char c : answer->message.content.substr(0, 200)) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      if ((lower >= 'a' && lower <= 'z') || lower == '_') word += lower;
    }
    if (answer->message.content.size() <= 200 && is_task_type(word)) return word;
    objected("not one of the seven words: " + by_rules + " by rules");
    return by_rules;
  }

  // --- experiences as text -----------------------------------------------------------------------------------------
  // "" when the model could not be asked at all.
  std::string history_text(const Experience& experience) {
    auto verbatim = steps_text(experience.history);
    constexpr std::size_t shown_whole = 40;
    if (experience.history.size() <= shown_whole && count_tokens(verbatim) <= settings_.verbatim_tokens)
      return verbatim;
    const auto problem = fenced(truncate_middle(experience.problem_statement, problem_chars / 3, "\n(…)\n"));
    const AskPhase ask_phase = [&](std::span<const ExperienceStep> steps, std::size_t first,
                                   std::size_t last) -> std::optional<Phase> {
      if (outcome_.gave_up) return std::nullopt;
      const auto answer = ask("compression", experience.instance_id,
                              prompt("compression", {{"first", std::to_string(first)},
                                                     {"last", std::to_string(last)},
                                                     {"total", std::to_string(experience.history.size())},
                                                     {"problem", problem},
                                                     {"steps", fenced(steps_text(steps))}}));
      if (!answer) return std::nullopt;
      auto phase = parse_phase(answer->message.content);
      if (!phase) objected("not the five lines asked for: summarised by rules");
      return phase;
    };
    const auto compressed =
        compress(experience, settings_.chunk_steps, settings_.max_chunks, settings_.compressed_tokens, ask_phase);
    return phases_text(compressed.phases);
  }

  struct Shown {
    std::string problem;
    std::string history;
    std::string patch;
  };

  [[nodiscard]] static std::string experience_text(const Experience& experience, const Shown& shown, bool with_id,
                                                   std::string_view type) {
    std::string text = "<experience>\n";
    if (with_id) text += "Id: " + experience.instance_id + "\n";
    text += "Kind of task: " + std::string(type) + "\n\nThe task:\n" + shown.problem + "\n\nHow it was solved:\n" +
            shown.history + "\n\nThe patch that passed the tests:\n" + shown.patch + "\n</experience>";
    return text;
  }

  // The collection: whole workflows within the budget, then names, then a number.
  [[nodiscard]] std::string known_text(std::size_t tokens) const {
    if (memory_->size() == 0) return "(none yet)";
    std::string text;
    std::size_t used = 0;
    std::size_t at = 0;
    const auto& workflows = memory_->workflows();
    for (; at < workflows.size(); ++at) {
      used += static_cast<std::size_t>(workflows[at]->prompt_tokens);
      if (used > tokens) break;
      text += (text.empty() ? "" : "\n\n") + workflow_prompt_text(workflows[at]->text);
    }
    if (at == workflows.size()) return text;
    text += (text.empty() ? "" : "\n\n") + std::string("Others, by their names:");
    used = 0;
    for (; at < workflows.size(); ++at) {
      std::string line = "\n- " + workflows[at]->text.name;
      used += count_tokens(line);
      if (used > names_tokens) break;
      text += line;
    }
    if (at < workflows.size()) text += "\n- and " + std::to_string(workflows.size() - at) + " more";
    return text;
  }

  // --- induction ---------------------------------------------------------------------------------------------------
  void induce(std::string_view type, std::span<const Experience> experiences) {
    const auto& first_id = experiences.front().instance_id;
    std::vector<Shown> shown;
    for (const auto& experience : experiences) {
      shown.push_back({fenced(truncate_middle(experience.problem_statement, problem_chars, "\n(…)\n")),
                       fenced(history_text(experience)),
                       fenced(truncate_middle(to_valid_utf8(experience.diff_patch), patch_chars, "\n(…)\n"))});
      if (outcome_.gave_up) return;
    }
    const bool many = experiences.size() > 1;
    const auto build = [&](std::size_t known_tokens, std::size_t history_chars) {
      std::string texts;
      for (std::size_t i = 0; i < experiences.size(); ++i) {
        auto part = shown[i];
        if (history_chars > 0) part.history = truncate_middle(part.history, history_chars, "\n(…)\n");
        texts += (texts.empty() ? "" : "\n\n") + experience_text(experiences[i], part, many, type);
      }
      return prompt("induction", {{"format", prompt_file("induction_format")},
                                  {"sources_rule", many ? prompt_file("induction_sources") : ""},
                                  {"workflows", fenced(known_text(known_tokens))},
                                  {"experiences", std::move(texts)}});
    };
    auto text = build(settings_.known_tokens, 0);
    auto answer = ask("induction", first_id, text);
    if (!answer && answer.error().kind == LlmFailure::context_window) {
      text = build(settings_.known_tokens / 8, 4000);
      answer = ask("induction", first_id, text);
    }
    if (!answer) return failed(experiences, answer.error().error.message(), 1);

    auto change = judge(*answer, experiences);
    if (change) return commit(*std::move(change), *answer);
    objected(change.error().reason);
    // Once more, with what was wrong.
    auto said = to_valid_utf8(answer->message.content.substr(0, workflow_limits::answer / 4));
    if (trim(said).empty()) said = "(an empty answer)";
    const std::vector<Message> again = {
        Message{.role = Role::user, .content = std::move(text)},
        Message{.role = Role::assistant, .content = std::move(said)},
        Message{.role = Role::user, .content = prompt("induction_again", {{"reason", change.error().reason}})}};
    answer = ask("induction", first_id, again);
    if (!answer) return failed(experiences, answer.error().error.message(), 2);
    auto second = judge(*answer, experiences);
    if (second) return commit(*std::move(second), *answer);
    objected(second.error().reason);
    failed(experiences, second.error().reason, 2, change.error().reason);
  }

  static std::string prompt_file(std::string_view name) {
    return std::string(find_prompt(memory_prompt_files(), name).value_or(""));
  }

  std::expected<MemoryChange, Refusal> judge(const Completion& answer, std::span<const Experience> experiences) {
    if (answer.finish_reason == "length") {
      return std::unexpected(Refusal{"the answer was cut off at the limit of its length: be brief."});
    }
    return read_induction_answer(answer.message.content, *memory_, experiences);
  }

  void commit(MemoryChange change, const Completion& answer) {
    change.model = answer.model.empty() ? llm_.model() : answer.model;
    change.date = now_;
    auto applied = apply(*memory_, change, settings_.max_workflows);
    if (!applied) {
      // The answer was judged against this very memory: this is a bug, and still no reason to lose a run.
      refused_.push_back(Json{{"samples", change.sources}, {"reason", applied.error().message()}, {"asked", 1}});
      outcome_.notes.push_back(applied.error().message());
      return;
    }
    memory_ = std::move(applied->memory);
    std::string_view verb = change.kind == MemoryChange::Kind::added        ? "new workflow"
                            : change.kind == MemoryChange::Kind::reinforced ? "workflow confirmed"
                                                                            : "workflow improved";
    outcome_.notes.push_back(fmt::format("{}: {} (from {})", verb, change.target, join(change.sources, ", ")));
    for (const auto& gone : applied->dropped) {
      dropped_.push_back(Json{{"name", gone.name}, {"why", gone.why}});
      outcome_.notes.push_back(fmt::format("workflow dropped: {} ({})", gone.name, gone.why));
    }
    changes_.push_back(to_json(change));
  }

  void failed(std::span<const Experience> experiences, const std::string& reason, int asked,
              const std::string& first_reason = {}) {
    if (outcome_.gave_up) return;
    Json samples = Json::array();
    for (const auto& experience : experiences) {
      samples.push_back(experience.instance_id);
      outcome_.taught_nothing.push_back(experience.instance_id);
    }
    Json record{{"samples", std::move(samples)}, {"reason", reason}, {"asked", asked}};
    if (!first_reason.empty()) record["first_reason"] = first_reason;
    refused_.push_back(std::move(record));
    outcome_.notes.push_back(fmt::format("nothing learned from {}: {}", ids_text(experiences), reason));
  }

  std::shared_ptr<const WorkflowMemory> before_;
  std::shared_ptr<const WorkflowMemory> memory_;
  Llm& llm_;
  const LearnSettings& settings_;
  std::string now_;
  LearnOutcome outcome_;
  int calls_ = 0;
  Json changes_ = Json::array();
  Json dropped_ = Json::array();
  Json refused_ = Json::array();
};

}  // namespace

LearnCost& LearnCost::operator+=(const LearnCost& other) {
  calls += other.calls;
  usage += other.usage;
  cost += other.cost;
  calls_without_price += other.calls_without_price;
  return *this;
}

Json to_json(const LearnCost& cost) {
  return Json{{"calls", cost.calls},
              {"prompt_tokens", cost.usage.prompt_tokens},
              {"completion_tokens", cost.usage.completion_tokens},
              {"cached_tokens", cost.usage.cached_tokens},
              {"reasoning_tokens", cost.usage.reasoning_tokens},
              {"cost", cost.cost},
              {"calls_without_price", cost.calls_without_price}};
}

LearnCost learn_cost_from_json(const Json& json) {
  LearnCost cost;
  cost.calls = get_int(json, "calls").value_or(0);
  cost.usage.prompt_tokens = get_int(json, "prompt_tokens").value_or(0);
  cost.usage.completion_tokens = get_int(json, "completion_tokens").value_or(0);
  cost.usage.cached_tokens = get_int(json, "cached_tokens").value_or(0);
  cost.usage.reasoning_tokens = get_int(json, "reasoning_tokens").value_or(0);
  cost.usage.reported = cost.usage.prompt_tokens > 0;
  cost.cost = get_number(json, "cost").value_or(0);
  cost.calls_without_price = get_int(json, "calls_without_price").value_or(0);
  return cost;
}

std::string to_text(const LearnExchange& exchange) {
  std::string text;
  for (const auto& message : exchange.prompt) {
    const std::string_view role = message.role == Role::assistant ? "assistant"
                                  : message.role == Role::system  ? "system"
                                                                  : "user";
    text += "===== " + std::string(role) + " =====\n" + message.content + "\n\n";
  }
  text += "===== answer =====\n" + exchange.answer + "\n";
  if (!exchange.problem.empty()) text += "\n===== refused =====\n" + exchange.problem + "\n";
  return text;
}

LearnOutcome learn(const std::shared_ptr<const WorkflowMemory>& before, std::span<const Experience> new_passes,
                   Llm& llm, const LearnSettings& settings, const std::string& now) {
  return Learning(before, llm, settings, now).go(new_passes);
}

Result<std::shared_ptr<const WorkflowMemory>> replay_learning(const WorkflowMemory& before, const Json& journal_record,
                                                              std::size_t max_workflows) {
  constexpr std::string_view what = "the journal's record of an induction";
  const Json* changes = find_member(journal_record, "changes");
  if (changes == nullptr || !changes->is_array()) {
    return fail(Errc::invalid_input, "read", std::string(what), "it has no list of changes");
  }
  auto memory = std::make_shared<const WorkflowMemory>(before);
  for (const auto& item : *changes) {
    AWM_TRY(const auto change, memory_change_from_json(item, what));
    AWM_TRY(auto changed, apply(*memory, change, max_workflows));
    memory = std::move(changed.memory);
  }
  if (const auto hash = string_or(journal_record, "hash", ""); hash != memory->hash()) {
    return fail(Errc::invalid_input, "repeat", std::string(what), "the memory that comes of it is not the one it says",
                "the memory that the run began with, or --max-workflows, is another one");
  }
  return memory;
}

}  // namespace awm
