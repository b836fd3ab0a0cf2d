#include "memory/memory_file.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

namespace awm {
namespace {

// Beyond these a "workflow" is something else.
constexpr std::size_t max_name = 200;
constexpr std::size_t max_text = 8000;
constexpr std::size_t max_steps = 50;
constexpr std::size_t max_scenarios = 100;
constexpr std::size_t max_told = 20;  // lines of one kind; the rest is counted

// Text that may stand in a prompt: control characters become spaces, line ends only where `lines`.
std::string plain(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool keep = (byte >= 0x20 && byte != 0x7F) || (lines && (c == '\n' || c == '\t'));
    if (keep) {
      out += c;
    } else if (c != '\r') {
      out += ' ';
    }
  }
  return std::string(trim(out));
}

std::string excerpt(std::string_view text) {
  return std::string(text.substr(0, utf8_offset(text, 60)));
}

// Letters and digits only: names that differ in nothing else are one name to a reader.
std::string bare_name(std::string_view name) {
  std::string bare;
  for (const char c : folded_name(name)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80) bare += c;
  }
  return bare;
}

class Reader {
 public:
  explicit Reader(LoadedMemory& loaded) : loaded_(loaded) {}

  void workflow(const Json& json, std::size_t number, std::string_view what) {
    const std::string place = "workflow " + std::to_string(number);
    auto name = get_string(json, "name");
    if (!name || trim(*name).empty()) return leave_out(place + " has no name");
    Workflow workflow;
    workflow.text.name = plain(*name, false);
    const std::string shown = place + " (" + excerpt(workflow.text.name) + ")";
    if (utf8_length(workflow.text.name) > max_name) return leave_out(shown + ": its name is too long");
    if (!keys_.insert(folded_name(workflow.text.name)).second) {
      return leave_out(shown + ": there is one of this name already");
    }
    workflow.text.description = plain(string_or(json, "description", ""), true);
    if (const Json* scenarios = find_member(json, "applicable_scenarios");
        scenarios != nullptr && scenarios->is_array()) {
      for (const auto& scenario : *scenarios) {
        if (scenario.is_string()) workflow.text.scenarios.push_back(plain(scenario.get<std::string>(), false));
      }
    }
    const Json* steps = find_member(json, "steps");
    if (steps == nullptr || !steps->is_array() || steps->empty()) return leave_out(shown + " has no steps");
    std::size_t size = workflow.text.description.size();
    for (const auto& item : *steps) {
      WorkflowStep step{plain(string_or(item, "step_type", ""), false), plain(string_or(item, "reasoning", ""), true),
                        plain(string_or(item, "action_template", ""), true)};
      if (step.step_type.empty() && step.action_template.empty()) continue;
      size += step.reasoning.size() + step.action_template.size();
      workflow.text.steps.push_back(std::move(step));
    }
    if (workflow.text.steps.empty()) return leave_out(shown + " has no step with a type and an action");
    if (size > max_text * 4 || workflow.text.steps.size() > max_steps ||
        workflow.text.scenarios.size() > max_scenarios) {
      return leave_out(shown + " is too large to be a workflow");
    }
    if (const Json* sources = find_member(json, "source_experiences"); sources != nullptr && sources->is_array()) {
      for (const auto& source : *sources) {
        if (source.is_string()) workflow.sources.push_back(plain(source.get<std::string>(), false));
      }
    }
    workflow.created_at = string_or(json, "created_at", "");
    workflow.updated_at = workflow.created_at;
    workflow.origin = std::string(what);
    workflow.support = static_cast<int64_t>(workflow.sources.size());
    find_defects(workflow);
    workflows_.push_back(std::move(workflow));
  }

  // Our own part about the workflows read so far, by name.
  void ours(const Json& part) {
    const Json* list = find_member(part, "workflows");
    if (list == nullptr || !list->is_array()) return;
    std::map<std::string, Workflow*> by_key;
    for (auto& workflow : workflows_) by_key[folded_name(workflow.text.name)] = &workflow;
    for (const auto& item : *list) {
      const auto it = by_key.find(folded_name(string_or(item, "name", "")));
      if (it == by_key.end()) continue;
      Workflow& workflow = *it->second;
      workflow.version = static_cast<int>(std::clamp<int64_t>(get_int(item, "version").value_or(1), 1, 1'000'000));
      workflow.updated_at = string_or(item, "updated_at", workflow.created_at);
      workflow.model = string_or(item, "model", "");
      workflow.origin = string_or(item, "origin", workflow.origin);
      const auto count = [&](std::string_view key, int64_t fallback) {
        return std::max<int64_t>(get_int(item, key).value_or(fallback), 0);
      };
      workflow.support = count("support", workflow.support);
      workflow.reinforced = count("reinforced", 0);
      workflow.touched = count("touched", 0);
      const Json* earlier = find_member(item, "earlier");
      if (earlier == nullptr || !earlier->is_array()) continue;
      for (const auto& old : *earlier) {
        const Json* text = find_member(old, "workflow");
        if (text == nullptr) continue;
        auto change = memory_change_from_json(Json{{"kind", "added"}, {"workflow", *text}}, "an earlier version");
        if (!change || !change->text) {
          loaded_.defects.push_back("an earlier version of " + excerpt(workflow.text.name) + " cannot be read");
          continue;
        }
        workflow.earlier.push_back(std::make_shared<const WorkflowVersion>(
            WorkflowVersion{static_cast<int>(get_int(old, "version").value_or(1)), string_or(old, "date", ""),
                            string_or(old, "model", ""), *std::move(change->text)}));
      }
    }
  }

  WorkflowMemory::Workflows finish() {
    summarise();
    WorkflowMemory::Workflows made;
    made.reserve(workflows_.size());
    for (auto& workflow : workflows_) made.push_back(make_workflow(std::move(workflow)));
    return made;
  }

 private:
  void leave_out(std::string why) {
    if (++left_out_ <= max_told) loaded_.left_out.push_back(std::move(why));
  }

  void find_defects(Workflow& workflow) {
    bool placeholder = false;
    for (auto& step : workflow.text.steps) {
      ++steps_;
      // What its parser left of a reason that it could not read.
      if (to_lower_ascii(step.reasoning) == "reasoning") {
        step.reasoning.clear();
        ++lost_reasons_;
      } else if (step.reasoning.empty()) {
        ++no_reasons_;
      }
      const auto open = step.action_template.find("{{");
      placeholder =
          placeholder || (open != std::string::npos && step.action_template.find("}}", open) != std::string::npos);
    }
    if (!placeholder) ++no_placeholder_;
    if (workflow.sources.empty()) ++no_sources_;
    if (workflow.created_at.empty()) ++no_date_;
    if (workflow.text.steps.size() < 3 || workflow.text.steps.size() > 8) ++odd_steps_;
    const auto letters = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0; };
    if (std::ranges::none_of(workflow.text.description, letters)) {
      loaded_.defects.push_back("workflow " + excerpt(workflow.text.name) + " has no description");
      workflow.text.description.clear();
    }
    const auto [it, fresh] = bare_.emplace(bare_name(workflow.text.name), workflow.text.name);
    if (!fresh) {
      loaded_.defects.push_back("two workflows of nearly one name: " + excerpt(it->second) + " and " +
                                excerpt(workflow.text.name));
    }
    if (workflow.text.name.find("(Updated)") != std::string::npos) {
      loaded_.defects.push_back("workflow " + excerpt(workflow.text.name) + " carries a mark in its name");
    }
  }

  void summarise() {
    if (left_out_ > max_told) loaded_.left_out.push_back("and " + std::to_string(left_out_ - max_told) + " more");
    const auto of = [](std::size_t part, std::size_t all, std::string_view noun) {
      return (part == all ? "all " + std::to_string(all) : std::to_string(part) + " of " + std::to_string(all)) + " " +
             std::string(noun);
    };
    const auto say = [&](std::size_t part, std::size_t all, std::string_view noun, std::string_view words) {
      if (part > 0) loaded_.defects.push_back(of(part, all, noun) + " " + std::string(words));
    };
    say(lost_reasons_, steps_, "steps", "have the word \"Reasoning\" as their reason: it was lost in parsing");
    say(no_reasons_, steps_, "steps", "have no reason");
    say(no_placeholder_, workflows_.size(), "workflows", "have no placeholder");
    say(no_sources_, workflows_.size(), "workflows", "do not name the samples they came from");
    say(no_date_, workflows_.size(), "workflows", "have no date");
    say(odd_steps_, workflows_.size(), "workflows", "have fewer than three or more than eight steps");
  }

  LoadedMemory& loaded_;
  std::vector<Workflow> workflows_;
  std::set<std::string> keys_;
  std::map<std::string, std::string> bare_;
  std::size_t left_out_ = 0;
  std::size_t steps_ = 0;
  std::size_t lost_reasons_ = 0;
  std::size_t no_reasons_ = 0;
  std::size_t no_placeholder_ = 0;
  std::size_t no_sources_ = 0;
  std::size_t no_date_ = 0;
  std::size_t odd_steps_ = 0;
};

}  // namespace

Result<LoadedMemory> parse_memory(std::string_view text, std::string_view what, std::size_t max_workflows) {
  AWM_TRY(const auto json, parse_json(text, what));
  const Json* list = json.is_array() ? &json : find_member(json, "workflows");
  if (list == nullptr || !list->is_array()) {
    return fail(Errc::invalid_input, "read the memory", std::string(what), "it has no list \"workflows\"",
                "name a memory.json that awm or its predecessor wrote");
  }
  LoadedMemory loaded;
  Reader reader(loaded);
  std::size_t number = 0;
  for (const auto& item : *list) reader.workflow(item, ++number, what);
  int64_t revision = 0;
  const Json* ours = find_member(json, "awm");
  std::string hash;
  if (ours != nullptr && ours->is_object()) {
    if (get_int(*ours, "schema").value_or(0) != 1) {
      return fail(Errc::unsupported, "read the memory", std::string(what), "it was written by a newer awm");
    }
    loaded.ours = true;
    revision = std::max<int64_t>(get_int(*ours, "revision").value_or(0), 0);
    hash = string_or(*ours, "hash", "");
    reader.ours(*ours);
  }
  auto workflows = reader.finish();
  if (workflows.empty() && !list->empty()) {
    return fail(Errc::invalid_input, "read the memory", std::string(what),
                "none of its " + std::to_string(list->size()) + " workflows can be used: " + loaded.left_out.front());
  }
  const WorkflowMemory whole(std::move(workflows), revision);
  if (loaded.ours && hash != whole.hash()) loaded.defects.emplace_back("it was changed after awm wrote it");
  auto kept = limited(whole, max_workflows);
  if (const auto dropped = kept.dropped.size(); dropped > max_told) {
    loaded.left_out.push_back(std::to_string(dropped) + " workflows beyond the limit of " +
                              std::to_string(max_workflows) + ": those taught least, then the oldest");
  } else {
    for (const auto& gone : kept.dropped) loaded.left_out.push_back(excerpt(gone.name) + ": " + gone.why);
  }
  loaded.memory = std::move(kept.memory);
  return loaded;
}

Result<LoadedMemory> read_memory_file(const std::string& path, std::size_t max_workflows) {
  AWM_TRY(const auto text, read_file(path, max_memory_file));
  return parse_memory(text, path, max_workflows);
}

Json memory_view(const WorkflowMemory& memory, const std::string& last_updated) {
  Json workflows = Json::array();
  Json details = Json::array();
  const auto body = [](const WorkflowText& text) {
    MemoryChange change{.kind = MemoryChange::Kind::added, .target = text.name, .text = text};
    return to_json(change)["workflow"];
  };
  for (const auto& workflow : memory.workflows()) {
    Json item = body(workflow->text);
    item["source_experiences"] = workflow->sources;
    item["created_at"] = workflow->created_at.empty() ? Json(nullptr) : Json(workflow->created_at);
    item["version"] = std::to_string(workflow->version) + ".0";
    workflows.push_back(std::move(item));
    Json detail{{"name", workflow->text.name},        {"version", workflow->version},
                {"updated_at", workflow->updated_at}, {"model", workflow->model},
                {"origin", workflow->origin},         {"support", workflow->support},
                {"reinforced", workflow->reinforced}, {"touched", workflow->touched}};
    if (!workflow->earlier.empty()) {
      Json earlier = Json::array();
      for (const auto& old : workflow->earlier) {
        earlier.push_back(
            Json{{"version", old->version}, {"date", old->date}, {"model", old->model}, {"workflow", body(old->text)}});
      }
      detail["earlier"] = std::move(earlier);
    }
    details.push_back(std::move(detail));
  }
  const auto total = workflows.size();
  return Json{{"workflows", std::move(workflows)},
              {"last_updated", last_updated},
              {"total_count", total},
              {"awm", Json{{"schema", 1},
                           {"revision", memory.revision()},
                           {"hash", memory.hash()},
                           {"workflows", std::move(details)}}}};
}

Result<void> write_memory_file(const std::string& path, const WorkflowMemory& memory, const std::string& last_updated) {
  return write_file(path, dump_json(memory_view(memory, last_updated), 2) + "\n");
}

}  // namespace awm
