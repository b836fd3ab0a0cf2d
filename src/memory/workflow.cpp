#include "memory/workflow.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "memory/tokens.h"

namespace awm {
namespace {

Json text_json(const WorkflowText& text) {
  Json steps = Json::array();
  for (const auto& step : text.steps) {
    steps.push_back(
        Json{{"step_type", step.step_type}, {"reasoning", step.reasoning}, {"action_template", step.action_template}});
  }
  return Json{{"name", text.name},
              {"description", text.description},
              {"applicable_scenarios", text.scenarios},
              {"steps", std::move(steps)}};
}

Result<WorkflowText> text_from_json(const Json& json, std::string_view what) {
  const auto broken = [&](std::string cause) {
    return fail(Errc::invalid_input, "read", std::string(what), std::move(cause));
  };
  WorkflowText text;
  auto name = get_string(json, "name");
  if (!name) return broken("a workflow without a name");
  text.name = *std::move(name);
  text.description = string_or(json, "description", "");
  const Json* scenarios = find_member(json, "applicable_scenarios");
  const Json* steps = find_member(json, "steps");
  if (scenarios == nullptr || !scenarios->is_array() || steps == nullptr || !steps->is_array()) {
    return broken("workflow " + text.name + " has no list of scenarios or steps");
  }
  for (const auto& scenario : *scenarios) {
    if (!scenario.is_string()) return broken("a scenario of workflow " + text.name + " is no text");
    text.scenarios.push_back(scenario.get<std::string>());
  }
  for (const auto& step : *steps) {
    auto type = get_string(step, "step_type");
    auto reasoning = get_string(step, "reasoning");
    auto action = get_string(step, "action_template");
    if (!type || !reasoning || !action) return broken("a step of workflow " + text.name + " is not whole");
    text.steps.push_back({*std::move(type), *std::move(reasoning), *std::move(action)});
  }
  return text;
}

// The order in which workflows are given up: the first one goes first.
struct Weight {
  int64_t support;
  int64_t touched;
  std::size_t place;
  friend auto operator<=>(const Weight&, const Weight&) = default;
};

ChangedMemory limited_but(const WorkflowMemory::Workflows& workflows, int64_t revision, std::size_t max_workflows,
                          std::string_view kept_key) {
  max_workflows = std::max<std::size_t>(max_workflows, 1);
  ChangedMemory changed;
  if (workflows.size() <= max_workflows) {
    changed.memory = std::make_shared<const WorkflowMemory>(workflows, revision);
    return changed;
  }
  std::vector<Weight> weights;
  weights.reserve(workflows.size());
  for (std::size_t i = 0; i < workflows.size(); ++i) {
    if (workflows[i]->key != kept_key) weights.push_back({workflows[i]->support, workflows[i]->touched, i});
  }
  std::ranges::sort(weights);
  weights.resize(workflows.size() - max_workflows);
  std::set<std::size_t> gone;
  for (const auto& weight : weights) {
    gone.insert(weight.place);
    changed.dropped.push_back(
        {workflows[weight.place]->text.name, "limit of " + std::to_string(max_workflows) + " workflows: taught by " +
                                                 std::to_string(weight.support) + " samples, last at revision " +
                                                 std::to_string(weight.touched)});
  }
  WorkflowMemory::Workflows left;
  left.reserve(max_workflows);
  for (std::size_t i = 0; i < workflows.size(); ++i) {
    if (!gone.contains(i)) left.push_back(workflows[i]);
  }
  changed.memory = std::make_shared<const WorkflowMemory>(std::move(left), revision);
  return changed;
}

std::string_view kind_name(MemoryChange::Kind kind) {
  switch (kind) {
    case MemoryChange::Kind::none:
      return "none";
    case MemoryChange::Kind::added:
      return "added";
    case MemoryChange::Kind::reinforced:
      return "reinforced";
    case MemoryChange::Kind::improved:
      return "improved";
  }
  return "none";
}

}  // namespace

std::string workflow_prompt_text(const WorkflowText& text) {
  std::string out = "### " + text.name;
  if (!text.description.empty()) out += "\nDescription: " + text.description;
  if (!text.scenarios.empty()) out += "\nWhen to use: " + join(text.scenarios, ", ");
  out += "\nSteps:";
  std::size_t number = 0;
  for (const auto& step : text.steps) {
    out += "\n" + std::to_string(++number) + ". [" + step.step_type + "]";
    if (!step.reasoning.empty()) out += " " + step.reasoning;
    out += "\n   Action: " + replace_all(step.action_template, "\n", "\n   ");
  }
  return out;
}

std::string folded_name(std::string_view name) {
  std::string folded;
  bool space = false;
  for (const char c : to_lower_ascii(name)) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '*' || c == '`' || c == '"') {
      space = !folded.empty();
      continue;
    }
    if (space) folded += ' ';
    space = false;
    folded += c;
  }
  for (const std::string_view mark : {" (updated)", " (improved)"}) {
    if (folded.ends_with(mark)) folded.resize(folded.size() - mark.size());
  }
  return folded;
}

std::shared_ptr<const Workflow> make_workflow(Workflow workflow) {
  const auto keep_last = [](auto& list, std::size_t limit) {
    if (list.size() > limit) list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(limit));
  };
  keep_last(workflow.sources, Workflow::max_sources);
  keep_last(workflow.earlier, Workflow::max_versions);
  workflow.key = folded_name(workflow.text.name);
  // 0 means not counted yet: a text that stays keeps its count.
  if (workflow.prompt_tokens == 0) {
    workflow.prompt_tokens = static_cast<int64_t>(count_tokens(workflow_prompt_text(workflow.text) + "\n\n"));
  }
  Json json{{"text", text_json(workflow.text)}, {"version", workflow.version},       {"model", workflow.model},
            {"support", workflow.support},      {"reinforced", workflow.reinforced}, {"touched", workflow.touched},
            {"sources", workflow.sources}};
  for (const auto& earlier : workflow.earlier) {
    json["earlier"].push_back(
        Json{{"version", earlier->version}, {"model", earlier->model}, {"text", text_json(earlier->text)}});
  }
  workflow.digest = sha256_hex(dump_json(json));
  return std::make_shared<const Workflow>(std::move(workflow));
}

WorkflowMemory::WorkflowMemory(Workflows workflows, int64_t revision)
    : workflows_(std::move(workflows)), revision_(revision) {
  std::string all = std::to_string(revision_);
  for (const auto& workflow : workflows_) all += "\n" + workflow->digest;
  hash_ = sha256_hex(all);
}

std::shared_ptr<const WorkflowMemory> WorkflowMemory::empty() {
  return std::make_shared<const WorkflowMemory>(Workflows{}, 0);
}

std::shared_ptr<const Workflow> WorkflowMemory::find(std::string_view name) const {
  const auto key = folded_name(name);
  const auto it = std::ranges::find(workflows_, key, [](const auto& workflow) -> const auto& { return workflow->key; });
  return it == workflows_.end() ? nullptr : *it;
}

Result<ChangedMemory> apply(const WorkflowMemory& before, const MemoryChange& change, std::size_t max_workflows) {
  const auto refuse = [&](Errc code, std::string cause) {
    return fail(code, "change the memory", "workflow " + change.target, std::move(cause));
  };
  if (change.kind == MemoryChange::Kind::none) {
    return ChangedMemory{std::make_shared<const WorkflowMemory>(before), {}};
  }
  const int64_t revision = before.revision() + 1;
  auto workflows = before.workflows();
  const auto key = folded_name(change.target);
  const auto at = std::ranges::find(workflows, key, [](const auto& workflow) -> const auto& { return workflow->key; });
  const bool needs_text = change.kind != MemoryChange::Kind::reinforced;
  if (needs_text && (!change.text || change.text->steps.empty() || folded_name(change.text->name) != key)) {
    return refuse(Errc::invalid_input, "its text is missing or another's");
  }
  Workflow workflow;
  if (change.kind == MemoryChange::Kind::added) {
    if (at != workflows.end()) return refuse(Errc::already_exists, "there is one of this name");
    workflow.text = *change.text;
    workflow.created_at = workflow.updated_at = change.date;
    workflow.model = change.model;
    workflow.origin = "learned";
  } else {
    if (at == workflows.end()) return refuse(Errc::not_found, "there is no such workflow");
    workflow = **at;
    if (change.kind == MemoryChange::Kind::improved) {
      workflow.earlier.push_back(std::make_shared<const WorkflowVersion>(
          WorkflowVersion{workflow.version, workflow.updated_at, workflow.model, std::move(workflow.text)}));
      workflow.text = *change.text;
      workflow.prompt_tokens = 0;
      ++workflow.version;
      workflow.updated_at = change.date;
      workflow.model = change.model;
    } else {
      ++workflow.reinforced;
    }
  }
  workflow.support += static_cast<int64_t>(change.sources.size());
  workflow.touched = revision;
  workflow.sources.insert(workflow.sources.end(), change.sources.begin(), change.sources.end());
  if (at == workflows.end()) {
    workflows.push_back(make_workflow(std::move(workflow)));
  } else {
    *at = make_workflow(std::move(workflow));
  }
  return limited_but(workflows, revision, max_workflows, key);
}

ChangedMemory limited(const WorkflowMemory& memory, std::size_t max_workflows) {
  return limited_but(memory.workflows(), memory.revision(), max_workflows, {});
}

Json to_json(const MemoryChange& change) {
  Json json{{"kind", kind_name(change.kind)}, {"target", change.target}, {"sources", change.sources}};
  if (change.text) json["workflow"] = text_json(*change.text);
  json["model"] = change.model;
  json["date"] = change.date;
  return json;
}

Result<MemoryChange> memory_change_from_json(const Json& json, std::string_view what) {
  MemoryChange change;
  const auto name = string_or(json, "kind", "");
  bool known = false;
  for (const auto kind : {MemoryChange::Kind::none, MemoryChange::Kind::added, MemoryChange::Kind::reinforced,
                          MemoryChange::Kind::improved}) {
    if (name != kind_name(kind)) continue;
    change.kind = kind;
    known = true;
  }
  if (!known) {
    return fail(Errc::invalid_input, "read", std::string(what), "\"" + name + "\" is no kind of change to a memory");
  }
  change.target = string_or(json, "target", "");
  change.model = string_or(json, "model", "");
  change.date = string_or(json, "date", "");
  if (const Json* sources = find_member(json, "sources"); sources != nullptr && sources->is_array()) {
    for (const auto& source : *sources) {
      if (source.is_string()) change.sources.push_back(source.get<std::string>());
    }
  }
  if (const Json* text = find_member(json, "workflow"); text != nullptr) {
    AWM_TRY(change.text, text_from_json(*text, what));
  }
  return change;
}

}  // namespace awm
