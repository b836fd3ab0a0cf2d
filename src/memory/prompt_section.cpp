#include "memory/prompt_section.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/template.h"
#include "base/text.h"
#include "memory/prompts_data.h"
#include "memory/tokens.h"

namespace awm {
namespace {

std::string left_out_note(std::size_t left_out) {
  if (left_out == 0) return {};
  return "(" + std::to_string(left_out) + (left_out == 1 ? " further workflow is" : " further workflows are") +
         " left out for want of room.)\n";
}

}  // namespace

Result<std::optional<int64_t>> parse_truncation(std::string_view value) {
  const auto word = to_lower_ascii(trim(value));
  if (word.empty() || word == "true") return default_truncation;
  if (word == "false") return std::nullopt;
  int64_t tokens = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), tokens);
  if (error != std::errc() || end != word.data() + word.size() || tokens < 1) {
    return fail(Errc::invalid_input, "read", "--truncation " + std::string(value),
                "neither true, false nor a number of tokens",
                "give true for 50,000 tokens, false for no limit, or a number from 1");
  }
  return tokens;
}

void TokenScale::add(int64_t our_count, int64_t server_count) {
  if (our_count <= 0 || server_count <= 0) return;
  counted += our_count;
  reported += server_count;
}

int64_t TokenScale::expected(int64_t tokens) const {
  if (counted < 1000) return tokens;
  const double factor = std::clamp(static_cast<double>(reported) / static_cast<double>(counted), 0.5, 3.0);
  return static_cast<int64_t>(std::ceil(static_cast<double>(tokens) * factor));
}

PromptSection workflow_section(const WorkflowMemory& memory, std::optional<int64_t> limit, std::string_view base_prompt,
                               const TokenScale& scale) {
  PromptSection section;
  if (memory.size() == 0) return section;
  const auto frame = [](std::string workflows, std::string left_out) {
    const auto text = find_prompt(memory_prompt_files(), "workflows").value_or("");
    return render_template(text, {{"workflows", std::move(workflows)}, {"left_out", std::move(left_out)}}, "workflows")
        .value_or("");
  };
  // Counts add up: a piece of the tokenizer never reaches over an empty line into the "###" behind it, nor from the end
  // of a workflow into the note.
  const auto tokens_of = [](std::string_view text) { return static_cast<int64_t>(count_tokens(text)); };
  const std::string header = frame({}, {});
  const int64_t note = tokens_of(left_out_note(memory.size()));
  int64_t ours = tokens_of(header);
  int64_t room = 0;
  if (limit) room = *limit - truncation_reserve - scale.expected(tokens_of(base_prompt));
  std::string workflows;
  for (const auto& workflow : memory.workflows()) {
    if (limit && scale.expected(ours + workflow->prompt_tokens + note) > room) break;
    ours += workflow->prompt_tokens;
    workflows += workflow_prompt_text(workflow->text) + "\n\n";
    ++section.shown;
  }
  section.left_out = memory.size() - section.shown;
  if (section.shown == 0) return section;
  const auto& last = *memory.workflows()[section.shown - 1];
  std::string end = workflow_prompt_text(last.text) + "\n\n" + left_out_note(section.left_out);
  while (end.ends_with('\n')) end.pop_back();
  section.text = frame(std::move(workflows), left_out_note(section.left_out));
  while (section.text.ends_with('\n')) section.text.pop_back();
  section.tokens = scale.expected(ours - last.prompt_tokens + tokens_of(end));
  return section;
}

}  // namespace awm
