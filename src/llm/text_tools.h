// Tools told in words, for models whose servers know no tool calls (native_tool_calling = false).
//
// The form is the one that OpenHands teaches such models, and that some were trained with (read from 0.62,
// llm/fn_call_converter): <function=NAME>, one <parameter=NAME>VALUE</parameter> for each, </function>; what a tool
// said comes back from the user, headed "EXECUTION RESULT of [NAME]:".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llm/message.h"

namespace awm {

inline constexpr std::string_view text_tools_stop = "</function";  // a call's end; what follows is not wanted

// The tools with their parameters, as a model reads them; "" without tools.
std::string describe_tools(std::span<const ToolSpec> tools);

// What goes behind the system prompt: the tools, the form of a call, an example made of the first tool; "" without
// tools.
std::string tool_instructions(std::span<const ToolSpec> tools);

// A call in that form. Arguments that are no JSON object become one parameter, "malformed_arguments".
std::string call_as_text(const ToolCall& call);

// The conversation for a server that knows no tools: instructions in the system prompt (made, where there is none),
// calls as text, one a message and each before its result, results as the user's words. The order of everything else
// stays.
std::vector<Message> messages_without_calls(std::span<const Message> messages, std::span<const ToolSpec> tools);

// Turns the first call that stands in the answer's text into a tool call; the words before it stay, what follows is
// dropped. Its end may be missing (that is where the server stopped), and the tags may be as sloppy as models write
// them. Values become what the tool's schema says where they can be read so, else they stay text: whether the call is
// a good one is for the tool to say. Ids are the same for the same `seed` and call. False: there is no call in it.
bool take_call_from_text(Message& answer, std::span<const ToolSpec> tools, std::string_view seed);

}  // namespace awm
