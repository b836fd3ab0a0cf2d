#include "memory/compression.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"
#include "memory/tokens.h"

namespace awm {
namespace {

constexpr std::array<std::string_view, 5> phase_names = {"understanding", "locating", "fixing", "testing", "debugging"};

std::string cut(std::string_view text, std::size_t limit) {
  const auto offset = utf8_offset(text, limit);
  auto out = std::string(text.substr(0, offset));
  if (offset < text.size()) out += "…";
  return out;
}

// One line, control characters gone.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : to_valid_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    const char plain = byte < 0x20 || byte == 0x7F ? ' ' : c;
    if (plain == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += plain;
  }
  return std::string(trim(out));
}

bool looks_like_a_test(std::string_view command) {
  for (const std::string_view word :
       {"pytest", "runtests", "unittest", "manage.py test", "tox", "ctest", "make test", "make check", "npm test",
        "cargo test", "go test", "prove", "run-tests", "run_tests", "./test", "test_", "reproduc"}) {
    if (contains(command, word)) return true;
  }
  return false;
}

std::string merged(const std::string& a, const std::string& b, std::string_view between, std::size_t limit) {
  if (a.empty() || a == b) return b;
  if (b.empty()) return a;
  return cut(a + std::string(between) + b, limit);
}

void append(Phase& into, const Phase& next) {
  into.action_summary = merged(into.action_summary, next.action_summary, " → ", phase_limits::action * 8);
  into.key_reasoning = merged(into.key_reasoning, next.key_reasoning, " | ", phase_limits::reasoning * 8);
  for (const auto& file : next.files_involved) {
    if (into.files_involved.size() >= phase_limits::files) break;
    if (std::ranges::find(into.files_involved, file) == into.files_involved.end()) into.files_involved.push_back(file);
  }
  into.outcome = next.outcome;
}

}  // namespace

std::string steps_text(std::span<const ExperienceStep> steps) {
  // The middle of very many steps is left out: a prompt stays bounded whatever the history.
  constexpr std::size_t most = 40;
  std::string text;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps.size() > most && i == most / 2) {
      const std::size_t skipped = steps.size() - most;
      text += "(" + std::to_string(skipped) + " steps left out)\n\n";
      i += skipped;
    }
    const auto& step = steps[i];
    text += "Step " + std::to_string(step.step_id) + " [" + one_line(step.action_type) + "]\n";
    if (!trim(step.thought).empty() && step.action_type != "think")
      text += "Thought: " + cut(to_valid_utf8(trim(step.thought)), 800) + "\n";
    text += "Action: " + cut(to_valid_utf8(trim(step.action)), 500) + "\n";
    if (!trim(step.observation).empty()) text += "Result: " + cut(to_valid_utf8(trim(step.observation)), 600) + "\n";
    text += "\n";
  }
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::optional<Phase> parse_phase(std::string_view answer) {
  if (answer.size() > std::size_t{16} * 1024 || !is_valid_utf8(answer)) return std::nullopt;
  std::map<std::string, std::string> values;
  std::string* field = nullptr;
  for (auto line : split_lines(answer)) {
    line = trim(line);
    while (line.starts_with('*') || line.starts_with('`')) line = trim(line.substr(1));
    const auto colon = line.find(':');
    auto key = colon == std::string_view::npos ? std::string() : to_lower_ascii(trim(line.substr(0, colon)));
    while (key.ends_with('*')) key.pop_back();
    const bool known = key == "phase" || key == "action" || key == "reasoning" || key == "files" || key == "outcome";
    if (known) {
      if (values.contains(key)) return std::nullopt;
      auto value = trim(line.substr(colon + 1));
      while (value.starts_with('*')) value = trim(value.substr(1));
      field = &(values[key] = std::string(value));
    } else if (field != nullptr && !line.empty() && !line.starts_with("```")) {
      *field += " " + std::string(line);
    }
  }
  if (!values.contains("phase") || !values.contains("action") || !values.contains("reasoning")) return std::nullopt;
  Phase phase;
  phase.phase = to_lower_ascii(one_line(values["phase"]));
  while (phase.phase.ends_with('.') || phase.phase.ends_with('*')) phase.phase.pop_back();
  if (std::ranges::find(phase_names, phase.phase) == phase_names.end()) return std::nullopt;
  phase.action_summary = cut(one_line(values["action"]), phase_limits::action);
  phase.key_reasoning = cut(one_line(values["reasoning"]), phase_limits::reasoning);
  if (phase.action_summary.empty()) return std::nullopt;
  for (const auto& part : split(values["files"], ',')) {
    auto file = cut(one_line(part), phase_limits::file);
    if (file.empty() || to_lower_ascii(file) == "none" || phase.files_involved.size() >= phase_limits::files) continue;
    if (std::ranges::find(phase.files_involved, file) == phase.files_involved.end())
      phase.files_involved.push_back(std::move(file));
  }
  const auto outcome = to_lower_ascii(one_line(values["outcome"]));
  phase.outcome = outcome.starts_with("success")                                ? "success"
                  : outcome.starts_with("fail") || outcome.starts_with("error") ? "failure"
                                                                                : "ongoing";
  return phase;
}

Phase phase_by_rules(std::span<const ExperienceStep> steps) {
  std::size_t edits = 0;
  std::size_t tests = 0;
  std::size_t searches = 0;
  std::map<std::string, std::size_t> kinds;
  Phase phase;
  std::vector<std::string> thoughts;
  for (const auto& step : steps) {
    ++kinds[one_line(step.action_type)];
    if (step.action_type == "edit_file") ++edits;
    if (step.command && looks_like_a_test(*step.command)) ++tests;
    if (step.command && (contains(*step.command, "grep") || contains(*step.command, "find "))) ++searches;
    if (step.file_path) {
      auto file = cut(one_line(*step.file_path), phase_limits::file);
      if (phase.files_involved.size() < phase_limits::files &&
          std::ranges::find(phase.files_involved, file) == phase.files_involved.end()) {
        phase.files_involved.push_back(std::move(file));
      }
    }
    if (!trim(step.thought).empty()) thoughts.push_back(cut(one_line(step.thought), 160));
  }
  if (edits > 0 && edits >= tests) {
    phase.phase = "fixing";
  } else if (tests > 0) {
    phase.phase = "testing";
  } else if (searches > 0) {
    phase.phase = "locating";
  } else {
    phase.phase = "understanding";
  }
  std::vector<std::string> counts;
  counts.reserve(kinds.size());
  for (const auto& [kind, count] : kinds)
    counts.push_back(std::to_string(count) + " × " + (kind.empty() ? "other" : kind));
  phase.action_summary = cut(join(counts, ", "), phase_limits::action);
  phase.key_reasoning = cut(join(thoughts, " "), phase_limits::reasoning);
  phase.outcome = "ongoing";
  return phase;
}

CompressedExperience compress(const Experience& experience, std::size_t chunk_steps, std::size_t max_chunks,
                              std::size_t max_tokens, const AskPhase& ask) {
  CompressedExperience compressed;
  compressed.instance_id = experience.instance_id;
  compressed.original_steps = experience.history.size();
  const std::span<const ExperienceStep> steps(experience.history);
  chunk_steps = std::max<std::size_t>(chunk_steps, 1);
  max_chunks = std::max<std::size_t>(max_chunks, 1);
  if (steps.size() > chunk_steps * max_chunks) chunk_steps = (steps.size() + max_chunks - 1) / max_chunks;
  for (std::size_t first = 0; first < steps.size(); first += chunk_steps) {
    const auto chunk = steps.subspan(first, std::min(chunk_steps, steps.size() - first));
    auto phase = ask ? ask(chunk, first + 1, first + chunk.size()) : std::nullopt;
    if (!phase) phase = phase_by_rules(chunk);
    if (!compressed.phases.empty() && compressed.phases.back().phase == phase->phase) {
      append(compressed.phases.back(), *phase);
    } else {
      compressed.phases.push_back(*std::move(phase));
    }
  }
  // Shorter texts first; when even bare phases are too many, the middle ones go.
  for (std::size_t limit = phase_limits::reasoning * 4;
       limit >= 50 && count_tokens(phases_text(compressed.phases)) > max_tokens; limit /= 2) {
    for (auto& phase : compressed.phases) {
      phase.key_reasoning = cut(phase.key_reasoning, limit);
      phase.action_summary = cut(phase.action_summary, limit);
    }
  }
  while (compressed.phases.size() > 2 && count_tokens(phases_text(compressed.phases)) > max_tokens) {
    compressed.phases.erase(compressed.phases.begin() + static_cast<std::ptrdiff_t>(compressed.phases.size() / 2));
  }
  return compressed;
}

std::string phases_text(const std::vector<Phase>& phases) {
  std::string text;
  for (const auto& phase : phases) {
    if (!text.empty()) text += "\n\n";
    text += "[" + phase.phase + "] " + phase.action_summary;
    if (!phase.key_reasoning.empty()) text += "\nWhy: " + phase.key_reasoning;
    if (!phase.files_involved.empty()) text += "\nFiles: " + join(phase.files_involved, ", ");
    text += "\nOutcome: " + phase.outcome;
  }
  return text;
}

}  // namespace awm
