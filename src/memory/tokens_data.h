// data/cl100k_base.bin as the build put it into the program.
#pragma once

#include <span>

namespace awm {
std::span<const unsigned char> cl100k_base_data();
}
