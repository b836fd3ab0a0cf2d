// The items of a data file, one at a time: lines of .jsonl, members of a .json list or object.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

struct JsonItem {
  std::string origin;    // "file.jsonl:17", or "file.json:3 (item 2)"
  std::string_view key;  // of an object's member; "" else
  const Json* value;
};

// Calls `take` with each item in order; its error ends the reading and is returned. Blank lines are passed over, a byte
// order mark as well. A .json file that is one object is one item when `is_item` says so of it by its keys, else its
// members are the items. Memory: the file's text for .json, a line for .jsonl, and one parsed item.
// Errors: not_found, permission; invalid_input for another ending than .jsonl and .json, broken JSON (file and line),
// a key twice; exhausted for a line over `max_line` bytes or a .json over 1 GiB.
Result<void> for_each_item(const std::string& path, const std::function<bool(std::string_view key)>& is_item,
                           const std::function<Result<void>(const JsonItem&)>& take,
                           std::size_t max_line = std::size_t{256} << 20);

}  // namespace awm
