// JSON from outside is hostile, JSON to outside is valid UTF-8: the only doors in and out. Nothing here throws.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

inline constexpr int max_json_depth = 128;

// Parses one document. Errors: invalid_input with `what` as the object and line and column in the cause (also when
// nested deeper than `max_depth`, or followed by anything but white space).
Result<Json> parse_json(std::string_view text, std::string_view what, int max_depth = max_json_depth);

// Serialises: bytes that are not UTF-8 become U+FFFD. `indent` as Python's json.dumps(indent=N); -1 is compact like
// nlohmann's.
std::string dump_json(const Json& json, int indent = -1);
// As Python's json.dumps with default separators (", " and ": ") and ensure_ascii=False: for lines that Python users
// compare.
std::string dump_json_python(const Json& json);

// Typed reads that never throw: nullopt / fallback when the key is absent, null, of another type, or `object` is no
// object.
std::optional<std::string> get_string(const Json& object, std::string_view key);
std::optional<int64_t> get_int(const Json& object, std::string_view key);
std::optional<double> get_number(const Json& object, std::string_view key);
std::optional<bool> get_bool(const Json& object, std::string_view key);
std::string string_or(const Json& object, std::string_view key, std::string_view fallback);
// The member, or nullptr.
const Json* find_member(const Json& object, std::string_view key);

}  // namespace awm
