// For measurements: the value, or the end of the program with the error's words.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "base/result.h"

namespace awm {

inline void must(const Result<void>& result) {
  if (result) return;
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) must(Result<void>(std::unexpected(std::move(result).error())));
  return *std::move(result);
}

}  // namespace awm
