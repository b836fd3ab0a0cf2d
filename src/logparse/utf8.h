// Code points as UTF-8.
#pragma once

#include <cstdint>
#include <string>

namespace awm::logparse {

// Appends `code`, at most 0x10FFFF, in UTF-8 (Unicode 15, table 3-6). A lone surrogate is written as if it were a code
// point, as Python's "surrogatepass" does.
void append_utf8(std::string& out, uint32_t code);

}  // namespace awm::logparse
