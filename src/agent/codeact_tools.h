// CodeActAgent's tools: how a model is told of them, and what its calls mean. Names, arguments and defaults are those
// of OpenHands 0.62's CodeActAgent.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "base/result.h"
#include "event/event.h"
#include "llm/message.h"

namespace awm {

struct ToolTexts {
  std::string soft_timeout;      // seconds, as text
  std::string max_output_chars;  // as text
  std::string working_folder;
};

// execute_bash, str_replace_editor, think, finish. Error: a prompt could not be rendered (a bug).
Result<std::vector<ToolSpec>> codeact_tools(const ToolTexts& texts);

// The tools as OpenAI's "tools" array, as JSON text: for events and prompt.json.
std::string tools_json(const std::vector<ToolSpec>& tools);

// The action that a call asks for; else the words that tell the model what is wrong with it: unknown tool, arguments
// that are no JSON object, missing or mistyped arguments. Taken with good will: numbers and flags as strings, a missing
// security_risk.
std::expected<Action, std::string> action_of_call(const ToolCall& call);

// A call as it may be sent back to a server: an id where it has none (`fallback_id`), arguments that are a JSON object.
ToolCall presentable_call(ToolCall call, const std::string& fallback_id);

}  // namespace awm
