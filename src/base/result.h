// Expected failures are values: Result<T> is a T or an Error.
#pragma once

#include <expected>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace awm {

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string operation, std::string object,
                                                 std::string cause, std::string remedy = {}) {
  return std::unexpected<Error>(Error{.code = code,
                                      .operation = std::move(operation),
                                      .object = std::move(object),
                                      .cause = std::move(cause),
                                      .remedy = std::move(remedy)});
}

}  // namespace awm

#define AWM_CONCAT_(a, b) a##b
#define AWM_CONCAT(a, b) AWM_CONCAT_(a, b)

// AWM_TRY(auto x, f()): declares x from the value of f(), or returns its error from the enclosing function.
#define AWM_TRY(declaration, ...) AWM_TRY_(AWM_CONCAT(awm_try_, __LINE__), declaration, __VA_ARGS__)
#define AWM_TRY_(name, declaration, ...)                      \
  auto name = (__VA_ARGS__);                                  \
  if (!name) return std::unexpected(std::move(name).error()); \
  declaration = std::move(*name)

// AWM_CHECK(f()): returns f()'s error from the enclosing function, if it has one; its value is dropped.
#define AWM_CHECK(...)                                                                                       \
  do {                                                                                                       \
    if (auto awm_check_ = (__VA_ARGS__); !awm_check_) return std::unexpected(std::move(awm_check_).error()); \
  } while (false)
