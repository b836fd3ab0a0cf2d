// Names the JSON type without the weight of its header: for headers. Sources include base/json.h.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace awm {
using Json = nlohmann::ordered_json;  // key order is kept: files are compared by eye and by old scripts
}
