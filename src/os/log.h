// Plain lines to a person: one line an event, on standard error, and into run.log where a run has one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace awm {

enum class LogLevel { debug, info, warning, error };

// Process-wide and thread-safe; lines are whole. Below `level` nothing is written to standard error.
void set_log_level(LogLevel level);
void log(LogLevel level, std::string_view line);
// Registers a secret: wherever it appears in a later line it becomes "***". For keys of any length over 3.
void log_hide_secret(std::string_view secret);
// The text with every registered secret replaced.
std::string hide_secrets(std::string_view text);
// The registered secrets, longest first, for who masks many texts and keeps a copy; the version counts registrations.
std::vector<std::string> log_secrets();
uint64_t log_secrets_version();

inline void log_info(std::string_view line) {
  log(LogLevel::info, line);
}
inline void log_warning(std::string_view line) {
  log(LogLevel::warning, line);
}
inline void log_error(std::string_view line) {
  log(LogLevel::error, line);
}
inline void log_debug(std::string_view line) {
  log(LogLevel::debug, line);
}

// Lines that stay at the bottom of a terminal on standard error: lines that are logged appear above them. Each line is
// cut to the terminal's width. An empty list takes them away. Only for a terminal; thread-safe.
void set_log_footer(const std::vector<std::string>& lines);

// Bytes to standard output, whole; for results.
void print_out(std::string_view text);

}  // namespace awm
