#include "memory/induction.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"

namespace awm {
namespace {

namespace limits = workflow_limits;
using Parsed = std::expected<MemoryChange, Refusal>;

std::unexpected<Refusal> refuse(std::string reason) {
  return std::unexpected(Refusal{std::move(reason)});
}

std::string quoted(std::string_view text) {
  auto shown = std::string(text.substr(0, utf8_offset(text, 80)));
  if (shown.size() < text.size()) shown += "…";
  return "\"" + shown + "\"";
}

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return is_upper(c) || is_lower(c);
}
bool is_word(char c) {
  return is_letter(c) || is_digit(c) || c == '_';
}

// A line without the marks of Markdown around it.
std::string_view bare(std::string_view line) {
  line = trim(line);
  while (!line.empty() && (line.front() == '*' || line.front() == '`')) line = trim(line.substr(1));
  while (!line.empty() && (line.back() == '*' || line.back() == '`')) line = trim(line.substr(0, line.size() - 1));
  return line;
}

// The value behind "KEY:", in any case; bold marks around key or value are none of it. nullopt: the line has another
// key.
std::optional<std::string_view> value_of(std::string_view line, std::string_view key) {
  line = bare(line);
  if (line.size() <= key.size() || to_lower_ascii(line.substr(0, key.size())) != to_lower_ascii(key))
    return std::nullopt;
  line.remove_prefix(key.size());
  while (!line.empty() && (line.front() == '*' || line.front() == ' ')) line.remove_prefix(1);
  if (!line.starts_with(':')) return std::nullopt;
  return bare(line.substr(1));
}

// Cuts at commas and semicolons outside brackets, quotes and code.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  bool code = false;
  const auto flush = [&] {
    if (const auto trimmed = trim(part); !trimmed.empty()) parts.emplace_back(trimmed);
    part.clear();
  };
  for (const char c : text) {
    if (c == '`') code = !code;
    if (!code && (c == '(' || c == '[' || c == '{')) ++depth;
    if (!code && (c == ')' || c == ']' || c == '}')) depth = std::max(depth - 1, 0);
    if (!code && depth == 0 && (c == ',' || c == ';')) {
      flush();
    } else {
      part += c;
    }
  }
  flush();
  return parts;
}

struct StepHead {
  std::size_t number = 0;
  std::string_view type;
  std::string_view rest;
};

// "2. [Locate] reason": nullopt when the line does not start a step.
std::optional<StepHead> step_head(std::string_view line) {
  line = trim(line);
  while (line.starts_with('*')) line.remove_prefix(1);
  std::size_t at = 0;
  StepHead head;
  while (at < line.size() && at < 4 && is_digit(line[at]))
    head.number = head.number * 10 + static_cast<std::size_t>(line[at++] - '0');
  if (at == 0 || at >= line.size() || (line[at] != '.' && line[at] != ')')) return std::nullopt;
  line = trim(line.substr(at + 1));
  while (line.starts_with('*')) line.remove_prefix(1);
  if (!line.starts_with('[')) return std::nullopt;
  const auto close = line.find(']');
  if (close == std::string_view::npos) return std::nullopt;
  head.type = trim(line.substr(1, close - 1));
  line = line.substr(close + 1);
  while (line.starts_with('*') || line.starts_with(':')) line.remove_prefix(1);
  head.rest = trim(line);
  return head;
}

std::size_t indent_of(std::string_view line) {
  std::size_t n = 0;
  while (n < line.size() && (line[n] == ' ' || line[n] == '\t')) ++n;
  return n;
}

bool is_fence(std::string_view line) {
  line = trim(line);
  return line.starts_with("```") || line == "---";
}

// An action over several lines: those after the first lose the indentation that all of them share.
std::string action_text(std::string_view first, const std::vector<std::string_view>& more) {
  std::size_t shared = std::string_view::npos;
  for (const auto line : more) {
    if (!trim(line).empty()) shared = std::min(shared, indent_of(line));
  }
  std::string text(first);
  for (const auto line : more) {
    if (!text.empty()) text += '\n';
    if (!trim(line).empty()) text += line.substr(shared);
  }
  return std::string(trim(text));
}

// The lines of a "## Workflow:" block, its head line included.
std::expected<WorkflowText, Refusal> parse_block(std::span<const std::string_view> lines) {
  WorkflowText text;
  std::size_t at = 0;
  text.name = std::string(bare(lines[at].substr(lines[at].find(':') + 1)));
  ++at;
  if (text.name.empty()) return refuse("the workflow has no name after \"## Workflow:\".");

  std::string* field = nullptr;  // what a continuing line goes on with
  std::string scenarios;
  bool described = false;
  bool in_steps = false;
  for (; at < lines.size() && !in_steps; ++at) {
    const auto line = lines[at];
    if (const auto description = value_of(line, "Description")) {
      if (described) return refuse("it has two lines \"Description:\".");
      described = true;
      text.description = std::string(*description);
      field = &text.description;
    } else if (const auto list = value_of(line, "Applicable scenarios")) {
      if (!scenarios.empty()) return refuse("it has two lines \"Applicable scenarios:\".");
      scenarios = std::string(*list);
      field = &scenarios;
    } else if (value_of(line, "Steps")) {
      in_steps = true;
    } else if (step_head(line)) {
      return refuse("a step comes before the line \"Steps:\".");
    } else if (const auto more = trim(line); !more.empty() && !is_fence(line)) {
      if (field == nullptr) return refuse("the line " + quoted(more) + " belongs to nothing.");
      // Scenarios may come as a list below their line.
      const bool item = field == &scenarios && (more.starts_with("- ") || more.starts_with("* "));
      if (!field->empty()) *field += item ? ", " : " ";
      *field += item ? trim(more.substr(2)) : more;
    }
  }
  if (!in_steps) return refuse("the workflow has no line \"Steps:\".");
  text.scenarios = split_list(scenarios);

  while (at < lines.size()) {
    if (trim(lines[at]).empty() || is_fence(lines[at])) {
      ++at;
      continue;
    }
    const auto number = std::to_string(text.steps.size() + 1);
    const auto head = step_head(lines[at]);
    if (!head)
      return refuse(fmt::format("where step {0} should start (\"{0}. [Type] reason\") there is {1}.", number,
                                quoted(trim(lines[at]))));
    if (head->number != text.steps.size() + 1) return refuse("the steps are not numbered 1, 2, 3, …");
    if (text.steps.size() == limits::max_steps) return refuse("it has more than eight steps.");
    WorkflowStep step;
    step.step_type = std::string(head->type);
    step.reasoning = std::string(head->rest);
    ++at;
    std::optional<std::string_view> action;
    std::vector<std::string_view> more;
    bool gap = false;
    for (; at < lines.size(); ++at) {
      const auto line = lines[at];
      if (step_head(line)) break;
      if (!action) {
        if (const auto value = value_of(line, "Action")) {
          action = value;
        } else if (!trim(line).empty()) {
          step.reasoning += (step.reasoning.empty() ? "" : " ") + std::string(trim(line));
        }
        continue;
      }
      if (trim(line).empty()) {
        gap = true;
        more.push_back(line);
        continue;
      }
      if (gap && indent_of(line) == 0) {
        if (is_fence(line)) break;
        return refuse("after the last step there is more text: " + quoted(trim(line)) + ".");
      }
      if (is_fence(line) && indent_of(line) == 0) break;
      more.push_back(line);
    }
    if (step.step_type.empty()) return refuse("step " + number + " has no type between its brackets.");
    if (!action) return refuse("step " + number + " has no line \"Action:\".");
    step.action_template = action_text(*action, more);
    if (step.action_template.empty()) return refuse("step " + number + " has an empty action.");
    const auto reason = to_lower_ascii(step.reasoning);
    if (reason.empty() || reason == "reasoning" || reason == "reason" || reason == to_lower_ascii(step.step_type)) {
      return refuse("step " + number +
                    " does not say why it is done: the reason stands behind its type, in words of its own.");
    }
    text.steps.push_back(std::move(step));
  }
  return text;
}

// --- what a workflow must be -----------------------------------------------------------------------------------------

using Objection = std::optional<std::string>;

bool has_control(std::string_view text, bool lines) {
  return std::ranges::any_of(text, [lines](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && !(lines && (c == '\n' || c == '\t'))) || byte == 0x7F;
  });
}

Objection check_placeholders(std::string_view text, std::string_view where) {
  for (std::size_t at = 0;;) {
    const auto open = text.find("{{", at);
    if (open == std::string_view::npos) return std::nullopt;
    const auto close = text.find("}}", open);
    const auto inside =
        close == std::string_view::npos ? std::string_view() : trim(text.substr(open + 2, close - open - 2));
    if (inside.empty() || inside.size() > 64 || inside.find('\n') != std::string_view::npos) {
      return std::string(where) + " has a placeholder that is not closed or empty.";
    }
    at = close + 2;
  }
}

Objection check_size(const WorkflowText& text) {
  const auto long_for = [](std::string_view part, std::size_t limit) { return utf8_length(part) > limit; };
  if (long_for(text.name, limits::name)) return "its name has more than 100 characters.";
  if (text.description.empty()) return "it has no line \"Description:\".";
  if (long_for(text.description, limits::description)) return "its description has more than 1,000 characters.";
  if (text.scenarios.empty()) return "it has no line \"Applicable scenarios:\".";
  if (text.scenarios.size() > limits::scenarios) return "it has more than eight scenarios: say one kind of problem.";
  std::set<std::string> seen;
  for (const auto& scenario : text.scenarios) {
    if (long_for(scenario, limits::scenario))
      return "the scenario " + quoted(scenario) + " has more than 200 characters.";
    if (!seen.insert(folded_name(scenario)).second) return "the scenario " + quoted(scenario) + " is there twice.";
  }
  if (text.steps.size() < limits::min_steps) return "it has fewer than three steps.";
  if (text.steps.size() > limits::max_steps) return "it has more than eight steps.";
  std::size_t number = 0;
  for (const auto& step : text.steps) {
    const auto place = "step " + std::to_string(++number);
    if (long_for(step.step_type, limits::step_type)) return "the type of " + place + " has more than 40 characters.";
    if (long_for(step.reasoning, limits::reasoning)) return "the reason of " + place + " has more than 600 characters.";
    if (long_for(step.action_template, limits::action))
      return "the action of " + place + " has more than 1,500 characters.";
    if (has_control(step.step_type, false) || has_control(step.reasoning, false) ||
        has_control(step.action_template, true)) {
      return place + " holds control characters.";
    }
    if (auto objection = check_placeholders(step.action_template, place)) return objection;
  }
  if (has_control(text.name, false) || has_control(text.description, false) ||
      std::ranges::any_of(text.scenarios, [](const auto& s) { return has_control(s, false); })) {
    return "its name, description or scenarios hold control characters.";
  }
  if (utf8_length(workflow_prompt_text(text)) > limits::workflow) return "it has more than 8,000 characters in all.";
  return std::nullopt;
}

// owner__repository-123, as data sets name their tasks; "" none.
std::string_view find_task_id(std::string_view text) {
  for (auto at = text.find("__"); at != std::string_view::npos; at = text.find("__", at + 2)) {
    const auto part = [](char c) { return is_word(c) || c == '-' || c == '.'; };
    std::size_t from = at;
    std::size_t to = at + 2;
    while (from > 0 && part(text[from - 1])) --from;
    while (to < text.size() && part(text[to])) ++to;
    const auto word = text.substr(from, to - from);
    std::size_t digits = word.size();
    while (digits > 0 && is_digit(word[digits - 1])) --digits;
    const bool numbered = digits < word.size() && digits > 0 && word[digits - 1] == '-';
    if (numbered && from < at && is_letter(text[at - 1]) && is_letter(word[at - from + 2])) return word;
  }
  return {};
}

// A path that names one place in one repository; "" none. Placeholders, /dev and /tmp are not such.
std::string_view find_concrete_path(std::string_view text) {
  const auto part = [](char c) {
    return is_word(c) || c == '/' || c == '.' || c == '-' || c == '~' || c == '{' || c == '}' || c == '\\' ||
           (static_cast<unsigned char>(c) >= 0x80);
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!part(text[at])) continue;
    std::size_t end = at;
    while (end < text.size() && part(text[end])) ++end;
    auto word = text.substr(at, end - at);
    at = end;
    while (!word.empty() && (word.back() == '.' || word.back() == '}')) word.remove_suffix(1);
    if (word.find('/') == std::string_view::npos || word.find("{{") != std::string_view::npos) continue;
    // Behind "//": a web address, or a comment.
    if (word.find("//") != std::string_view::npos) continue;
    for (const std::string_view open : {"/dev/", "/tmp/", "/bin/", "/usr/bin/"}) {
      if (word.starts_with(open)) word = {};
    }
    if (word.empty()) continue;
    const auto slash = word.rfind('/');
    const auto last = word.substr(slash + 1);
    const auto dot = last.rfind('.');
    const bool file = dot != std::string_view::npos && dot > 0 && last.size() - dot - 1 >= 1 &&
                      last.size() - dot - 1 <= 5 && std::ranges::all_of(last.substr(dot + 1), is_word);
    const auto slashes = std::ranges::count(word, '/');
    const bool absolute = word.starts_with('/') && slashes >= 2 && is_letter(word[1]);
    const bool deep =
        slashes >= 2 && !word.starts_with('/') && !word.starts_with("./") && word.find("./") == std::string_view::npos;
    if (file || absolute || deep) return word;
  }
  return {};
}

// Last components of the files that a patch touches.
std::set<std::string> patched_files(std::string_view patch) {
  std::set<std::string> names;
  for (const auto line : split_lines(patch)) {
    if (!line.starts_with("+++ ") && !line.starts_with("--- ")) continue;
    auto path = trim(line.substr(4));
    if (const auto tab = path.find('\t'); tab != std::string_view::npos) path = path.substr(0, tab);
    if (path == "/dev/null") continue;
    const auto name = path.substr(path.rfind('/') + 1);
    // Short and common names say nothing of one repository.
    if (name.size() >= 6 && name.find('.') != std::string_view::npos && name != "__init__.py") names.emplace(name);
  }
  return names;
}

bool contains_word(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool starts = at == 0 || !(is_word(text[at - 1]) || text[at - 1] == '-');
    const auto end = at + word.size();
    const bool ends = end >= text.size() || !is_word(text[end]);
    if (starts && ends) return true;
  }
  return false;
}

Objection check_concrete(const WorkflowText& text, std::span<const Experience> shown) {
  const auto whole = workflow_prompt_text(text);
  for (const auto& experience : shown) {
    if (contains_word(whole, experience.instance_id))
      return "it names the task " + experience.instance_id + ": a workflow serves other tasks too.";
  }
  if (const auto id = find_task_id(whole); !id.empty())
    return "it names a task, " + quoted(id) + ": a workflow serves other tasks too.";
  std::set<std::string> files;
  for (const auto& experience : shown) files.merge(patched_files(experience.diff_patch));
  std::size_t number = 0;
  for (const auto& step : text.steps) {
    const auto place = "step " + std::to_string(++number);
    for (const std::string_view part : {std::string_view(step.action_template), std::string_view(step.reasoning)}) {
      if (const auto path = find_concrete_path(part); !path.empty()) {
        return place + " names a path, " + quoted(path) + ", where a placeholder such as {{target_file}} belongs.";
      }
      for (const auto& file : files) {
        if (contains_word(part, file))
          return place + " names a file of this one task, " + quoted(file) +
                 ", where a placeholder such as {{target_file}} belongs.";
      }
    }
  }
  for (const auto& part : {text.description, join(text.scenarios, "\n")}) {
    if (const auto path = find_concrete_path(part); path.starts_with('/'))
      return "its description or scenarios name a path, " + quoted(path) + ".";
  }
  return std::nullopt;
}

Objection check_name(std::string_view name) {
  std::size_t letters = 0;
  for (const char c : name) letters += is_letter(c) || static_cast<unsigned char>(c) >= 0x80 ? 1 : 0;
  if (letters < 3) return "its name, " + quoted(name) + ", is not made of words.";
  if (name.find("{{") != std::string_view::npos) return "its name holds a placeholder.";
  if (name.find('[') != std::string_view::npos || name.find('#') != std::string_view::npos)
    return "its name holds marks: give plain words.";
  const auto path_like = [&] { return "its name, " + quoted(name) + ", looks like a path: say the way in words."; };
  if (name.find('\\') != std::string_view::npos || name.find("..") != std::string_view::npos) return path_like();
  if (name.front() == '.' || name.front() == '~' || name.front() == '-' || name.front() == '/') return path_like();
  // A stroke between two short words ("I/O", "and/or") is none of a path.
  for (const auto& word : split(name, ' ')) {
    const auto slash = word.find('/');
    if (slash == std::string::npos || word == "/") continue;
    const auto short_word = [](std::string_view part) {
      return !part.empty() && part.size() <= 3 && std::ranges::all_of(part, is_letter);
    };
    if (!short_word(std::string_view(word).substr(0, slash)) || !short_word(std::string_view(word).substr(slash + 1)))
      return path_like();
  }
  // A file's name: one word with a short ending.
  if (name.find(' ') == std::string_view::npos) {
    const auto dot = name.rfind('.');
    if (dot != std::string_view::npos && name.size() - dot <= 6) return path_like();
  }
  return std::nullopt;
}

// Words that carry meaning, by their first six letters, so that forms of one word are one.
std::set<std::string> meaning_words(std::string_view text) {
  static const std::set<std::string, std::less<>> common = {
      "about", "after", "again",  "also",    "another", "because", "been",    "before",  "between", "both",
      "case",  "cases", "code",   "could",   "does",    "each",    "error",   "every",   "file",    "files",
      "from",  "have",  "into",   "issue",   "like",    "make",    "more",    "need",    "only",    "other",
      "over",  "same",  "should", "some",    "such",    "task",    "than",    "that",    "their",   "them",
      "then",  "there", "these",  "they",    "this",    "those",   "through", "under",   "unless",  "used",
      "uses",  "using", "value",  "values",  "very",    "what",    "when",    "where",   "which",   "while",
      "will",  "with",  "within", "without", "would",   "wrong",   "your",    "problem", "problems"};
  std::set<std::string> words;
  std::string word;
  const auto flush = [&] {
    if (word.size() >= 4 && !common.contains(word)) words.insert(word.substr(0, 6));
    word.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool inside = is_letter(c) || static_cast<unsigned char>(c) >= 0x80;
    // camelCase is two words.
    if (!inside || (is_upper(c) && i > 0 && is_lower(text[i - 1]))) flush();
    if (inside) word += is_upper(c) ? static_cast<char>(c + 32) : c;
  }
  flush();
  return words;
}

double share_kept(const std::set<std::string>& of, const std::set<std::string>& in) {
  if (of.empty()) return 1;
  const auto kept = std::ranges::count_if(of, [&](const auto& word) { return in.contains(word); });
  return static_cast<double>(kept) / static_cast<double>(of.size());
}

std::string said_text(const WorkflowText& text) {
  return text.name + " " + text.description + " " + join(text.scenarios, " ");
}

Objection check_improvement(const WorkflowText& before, const WorkflowText& after) {
  if (folded_name(before.name) != folded_name(after.name)) {
    return "an improved workflow keeps its name, " + quoted(before.name) + ", and this one is called " +
           quoted(after.name) + ".";
  }
  if (before.description == after.description && before.scenarios == after.scenarios && before.steps == after.steps) {
    return "nothing is improved: the workflow says what it said before. That is REINFORCE.";
  }
  // A scenario may be said in other words, or be part of a wider one.
  const auto scenarios = meaning_words(join(after.scenarios, " "));
  const auto said = meaning_words(said_text(after));
  for (const auto& scenario : before.scenarios) {
    const auto words = meaning_words(scenario);
    if (share_kept(words, scenarios) < 0.5 && share_kept(words, said) < 0.8) {
      return "it drops what the workflow was for: " + quoted(scenario) + ".";
    }
  }
  if (share_kept(meaning_words(before.description), meaning_words(after.description)) < 0.25) {
    return "it drops what the workflow was for: of its description hardly anything is left.";
  }
  // Each thing added must have something to do with what was there: else it is another workflow.
  const auto then = meaning_words(workflow_prompt_text(before));
  std::size_t foreign = 0;
  std::string example;
  for (const auto& scenario : after.scenarios) {
    const auto words = meaning_words(scenario);
    if (words.empty() || std::ranges::find(before.scenarios, scenario) != before.scenarios.end()) continue;
    if (share_kept(words, then) == 0) {
      ++foreign;
      example = scenario;
    }
  }
  if (foreign >= 2) {
    return "it mixes problems that have nothing to do with each other, such as " + quoted(example) +
           ": another kind of problem is another workflow (NEW).";
  }
  const auto actions = [](const WorkflowText& text) {
    std::string all;
    for (const auto& step : text.steps) all += join({step.step_type, step.reasoning, step.action_template, ""}, " ");
    return meaning_words(all);
  };
  if (share_kept(actions(before), actions(after)) < 0.2)
    return "of the workflow's steps hardly anything is left: another way is another workflow (NEW).";
  return std::nullopt;
}

// Share of the letters that are Latin's.
double latin_share(std::string_view text) {
  std::size_t latin = 0;
  std::size_t others = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // Accented letters are Latin's too.
    if (is_letter(text[i]) || (byte >= 0xC3 && byte <= 0xC9)) {
      ++latin;
    } else if (byte >= 0xCE && byte <= 0xEF) {
      // Greek and beyond, but no punctuation, arrows or dashes (U+2000–U+2BFF).
      if (byte != 0xE2) ++others;
    }
  }
  return latin + others == 0 ? 1 : static_cast<double>(latin) / static_cast<double>(latin + others);
}

}  // namespace

Parsed parse_induction_answer(std::string_view answer) {
  if (answer.size() > limits::answer) return refuse("the answer is longer than 64 kB.");
  if (trim(answer).empty()) return refuse("the answer is empty.");
  if (!is_valid_utf8(answer)) return refuse("the answer is not valid UTF-8.");
  const auto lines = split_lines(answer);
  MemoryChange change;
  std::optional<std::string_view> action;
  std::optional<std::string_view> target;
  std::optional<std::string_view> sources;
  std::optional<std::size_t> block;
  const auto is_block = [](std::string_view line) {
    line = bare(line);
    while (line.starts_with('#')) line.remove_prefix(1);
    line = trim(line);
    return to_lower_ascii(line.substr(0, 9)) == "workflow:";
  };
  const auto is_action_word = [](std::string_view value) {
    const auto word = to_lower_ascii(value);
    return word == "new" || word == "reinforce" || word == "improve";
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = lines[i];
    if (trim(line).starts_with('#') && is_block(line)) {
      if (block) return refuse("it has two blocks \"## Workflow:\": give one.");
      block = i;
      continue;
    }
    // Inside the block "Action:" belongs to a step, unless it says what only the answer's first line says.
    const auto value = value_of(line, "ACTION");
    if (value && (!block || is_action_word(*value))) {
      if (action) return refuse("it has two lines \"ACTION:\": decide for one.");
      action = value;
    }
    if (block) continue;
    if (const auto name = value_of(line, "TARGET")) {
      if (target) return refuse("it has two lines \"TARGET:\": decide for one.");
      target = name;
    }
    if (const auto list = value_of(line, "SOURCES")) {
      if (sources) return refuse("it has two lines \"SOURCES:\".");
      sources = list;
    }
  }
  if (!action) return refuse("it has no line \"ACTION: NEW\", \"ACTION: REINFORCE\" or \"ACTION: IMPROVE\".");
  const auto word = to_lower_ascii(*action);
  if (word == "new") {
    change.kind = MemoryChange::Kind::added;
  } else if (word == "reinforce") {
    change.kind = MemoryChange::Kind::reinforced;
  } else if (word == "improve") {
    change.kind = MemoryChange::Kind::improved;
  } else {
    return refuse("ACTION is " + quoted(*action) + ", and must be NEW, REINFORCE or IMPROVE.");
  }
  if (sources) change.sources = split_list(*sources);
  if (change.kind == MemoryChange::Kind::reinforced) {
    if (block) return refuse("REINFORCE takes no workflow: give IMPROVE, or the lines ACTION and TARGET only.");
    if (!target || target->empty()) return refuse("it has no line \"TARGET:\" that names the workflow.");
    change.target = std::string(*target);
    return change;
  }
  if (!block) return refuse("it has no block \"## Workflow: NAME\".");
  auto text = parse_block(std::span(lines).subspan(*block));
  if (!text) return std::unexpected(std::move(text).error());
  if (change.kind == MemoryChange::Kind::improved) {
    if (!target || target->empty()) return refuse("it has no line \"TARGET:\" that names the workflow to improve.");
    change.target = std::string(*target);
  } else {
    // The target of NEW is the word, or repeats the name.
    if (target && !target->empty() && to_lower_ascii(*target) != "new" &&
        folded_name(*target) != folded_name(text->name)) {
      return refuse("ACTION is NEW, and TARGET names " + quoted(*target) + ": for NEW the target is \"new\".");
    }
    change.target = text->name;
  }
  change.text = *std::move(text);
  return change;
}

Parsed read_induction_answer(std::string_view answer, const WorkflowMemory& memory, std::span<const Experience> shown) {
  auto parsed = parse_induction_answer(answer);
  if (!parsed) return parsed;
  MemoryChange& change = *parsed;
  const auto known = memory.find(change.target);
  if (change.kind == MemoryChange::Kind::added) {
    if (known)
      return refuse("there is a workflow " + quoted(known->text.name) +
                    " already: give another name, or REINFORCE or IMPROVE that one.");
  } else if (!known) {
    return refuse("there is no workflow " + quoted(change.target) + " in the collection.");
  } else {
    change.target = known->text.name;
  }
  if (change.text) {
    if (auto objection = check_size(*change.text)) return refuse(*std::move(objection));
    if (change.kind == MemoryChange::Kind::improved) {
      if (auto objection = check_improvement(known->text, *change.text)) return refuse(*std::move(objection));
      change.text->name = known->text.name;
    } else if (auto objection = check_name(change.text->name)) {
      return refuse(*std::move(objection));
    }
    if (auto objection = check_concrete(*change.text, shown)) return refuse(*std::move(objection));
    std::string problems;
    for (const auto& experience : shown) problems += experience.problem_statement;
    if (latin_share(problems) >= 0.8 && latin_share(workflow_prompt_text(*change.text)) < 0.6) {
      return refuse("the workflow is not written in English.");
    }
  }
  if (shown.size() == 1) {
    change.sources = {shown.front().instance_id};
    return parsed;
  }
  if (change.sources.empty())
    return refuse("it has no line \"SOURCES:\" with the ids of the tasks that it comes from.");
  std::vector<std::string> named;
  for (const auto& source : change.sources) {
    const auto is_source = [&](const Experience& experience) { return experience.instance_id == source; };
    if (std::ranges::none_of(shown, is_source))
      return refuse("SOURCES names " + quoted(source) + ", which is none of the tasks shown.");
    if (std::ranges::find(named, source) == named.end()) named.push_back(source);
  }
  change.sources = std::move(named);
  return parsed;
}

}  // namespace awm
