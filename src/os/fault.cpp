#include "os/fault.h"

namespace awm::fault {

int check(const char*, const std::source_location&) noexcept {
  return 0;
}

void crash_point(std::string_view) noexcept {}

}  // namespace awm::fault
