// Where tests make the kernel fail. The program as it is shipped holds the versions in fault.cpp, which do nothing;
// tests, and the program that tests run whole (awm-faults), are linked with those of tests/support/faults.cpp instead,
// from the same objects otherwise.
#pragma once

#include <source_location>
#include <string_view>

namespace awm::fault {

// Of check(): let the call pass, but for half of the bytes that it is to read or write.
inline constexpr int short_count = -1;

// The errno with which system call `call` ("fdatasync") made from `at` is to fail instead of being made; short_count; 0
// to make it as it is. Thread-safe.
[[nodiscard]] int check(const char* call, const std::source_location& at) noexcept;

// A place where a test may have this process die as by kill -9, or hold it. Thread-safe.
void crash_point(std::string_view name) noexcept;

}  // namespace awm::fault
