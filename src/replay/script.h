// Conversations a scripted model knows: read from its own JSON scripts (docs/replay.md) and from mini-swe-agent's
// trajectories.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "replay/fault.h"
#include "replay/pattern.h"

namespace awm {

// Something a prompt must, or must not, contain.
struct Requirement {
  enum class Where { anywhere, first, last, tools };  // before the first answer, after the last one, names of tools
  Where where = Where::anywhere;
  bool absent = false;             // must not be there
  std::string text;                // compared as it is, then with white space folded
  std::optional<Pattern> pattern;  // instead of text
};

struct ScriptStep {
  Json message;                  // an assistant message as OpenAI's API has it, ids of tool calls in place
  Json response;                 // the recorded response around it; null where the script is our own
  Json usage;                    // null: estimated from the text
  std::string finish_reason;     // "tool_calls", "stop", …
  std::vector<std::string> ids;  // of its tool calls
  std::vector<Requirement> require;
  std::vector<Fault> faults;
};

struct ScriptedTalk {
  std::string name;     // of the script, or the trajectory's instance
  std::string file;     // where it was read
  std::string purpose;  // "agent", or what other callers ask for: "classification", "compression", "induction"
  std::string model;    // "" : any
  std::string instance_id;
  std::vector<std::string> texts;  // folded; all must be in the first messages; none: only as the default
  bool is_default = false;         // answers what nothing else of its purpose matches
  std::string tool;                // only for requests that offer this tool; "" : any
  std::vector<Requirement> require;
  std::vector<ScriptStep> steps;
  std::map<std::string, std::size_t> step_of_id;  // ids that occur once

  [[nodiscard]] bool calls_tools() const;
  [[nodiscard]] std::size_t match_length() const;
};

// Problem statements by instance id, from SWE-bench rows (.jsonl, or a .json list): for conversations that name an
// instance. Errors name file and line.
using ProblemStatements = std::map<std::string, std::string, std::less<>>;
Result<void> read_problem_statements(const std::string& path, ProblemStatements& into);

// A script file, or every *.json of a folder in the order of names. Errors name file and key; an empty folder is one.
Result<std::vector<ScriptedTalk>> read_scripts(const std::string& path, const ProblemStatements& problems);

// A *.traj.json, or every one below a folder. The problem statement comes from `problems`, else from between the fixed
// parts of the recorded template around {{task}}, else from a tag such as <pr_description>, else it is the whole first
// user message.
Result<std::vector<ScriptedTalk>> read_trajectories(const std::string& path, const ProblemStatements& problems);

// Runs of white space become one space, none at the ends.
std::string fold_space(std::string_view text);

// A message's content: text as it is, the text parts of a list one after the other.
std::string content_text(const Json& message);

}  // namespace awm
