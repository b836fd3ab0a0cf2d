// Ranges of code points beyond ASCII, sorted, first and last in.
#pragma once

#include <cstdint>
#include <span>

namespace awm::python {

struct CodeRange {
  uint32_t first;
  uint32_t last;
};

std::span<const CodeRange> digit_ranges();       // str.isdecimal()
std::span<const CodeRange> alnum_ranges();       // str.isalnum()
std::span<const CodeRange> name_start_ranges();  // XML names as expat takes them
std::span<const CodeRange> name_ranges();

}  // namespace awm::python
