// What the engine's answers have in common, for the files of this room.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

// What is no JSON is the engine's fault, not the caller's: protocol.
Result<Json> parse_answer(std::string_view body, std::string_view what);
// An engine's refusal, said of what we wanted; other errors stay as they are.
Error about(Error error, std::string operation, std::string object, std::string remedy = {});
// The strings of an object or of a list; what is none is left out. Null: empty.
std::map<std::string, std::string> string_map(const Json* json);
std::vector<std::string> string_list(const Json* json);

}  // namespace awm
