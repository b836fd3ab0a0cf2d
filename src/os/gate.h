// How a system call is made: asked of os/fault.h first, repeated when a signal interrupts it. For the .cpp files of
// this room only.
#pragma once

#include <cerrno>
#include <cstddef>
#include <source_location>

#include "os/fault.h"

namespace awm {

// What `call()` returns: -1 with errno set is its failure, as system calls have it.
template <class Call>
auto kernel(const char* name, const std::source_location& at, const Call& call) -> decltype(call()) {
  for (;;) {
    const int failed = fault::check(name, at);
    if (failed > 0) {
      errno = failed;
    } else if (const auto result = call(); result >= 0) {
      return result;
    }
    if (errno != EINTR) return -1;
  }
}

// The same of a call that moves at most `size` bytes: `call(n)` moves at most n.
template <class Call>
auto kernel_some(const char* name, const std::source_location& at, std::size_t size, const Call& call)
    -> decltype(call(size)) {
  for (;;) {
    const int failed = fault::check(name, at);
    if (failed > 0) {
      errno = failed;
    } else if (const auto result = call(failed == fault::short_count && size > 1 ? size / 2 : size); result >= 0) {
      return result;
    }
    if (errno != EINTR) return -1;
  }
}

}  // namespace awm
