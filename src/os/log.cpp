#include "os/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "base/text.h"
#include "os/gate.h"
#include "os/sys.h"

namespace awm {
namespace {

struct LogState {
  std::mutex secrets_mutex;  // never held while something is written: a terminal may be stuck
  std::vector<std::string> secrets;
  std::atomic<LogLevel> level{LogLevel::info};
  std::atomic<uint64_t> secrets_version{0};
  std::mutex mutex;               // of what is written, and of the footer
  std::string footer;             // as it stands on the terminal, each line with its end
  std::size_t footer_height = 0;  // lines of it
};

LogState& state() {
  alignas(LogState) static unsigned char storage[sizeof(LogState)];
  static LogState* const the_state = new (storage) LogState;
  return *the_state;
}

void write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = kernel_some("write", std::source_location::current(), text.size(),
                               [&](std::size_t size) { return ::write(fd, text.data(), size); });
    if (n < 0) return;  // nobody is there to be told
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// Control characters in a line (terminal escapes from a tool's output) must not reach a terminal.
std::string printable(std::string_view line) {
  std::string out = to_valid_utf8(line);
  for (char& c : out) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) c = ' ';
  }
  return out;
}

// Takes the cursor to the footer's first line and clears from there on; "" without a footer.
std::string erase_footer(std::size_t height) {
  return height == 0 ? std::string() : "\r\x1b[" + std::to_string(height) + "A\x1b[J";
}

// The first `columns` code points of a line.
std::string cut_line(std::string_view line, std::size_t columns) {
  return std::string(line.substr(0, utf8_offset(line, columns)));
}

}  // namespace

void set_log_level(LogLevel level) {
  state().level.store(level);
}

void log(LogLevel level, std::string_view line) {
  if (level < state().level.load()) return;
  std::string text = hide_secrets(printable(line));
  if (level == LogLevel::warning) text.insert(0, "warning: ");
  if (level == LogLevel::error) text.insert(0, "error: ");
  text += '\n';
  const std::lock_guard lock(state().mutex);
  if (state().footer_height > 0) text = erase_footer(state().footer_height) + text + state().footer;
  write_whole(STDERR_FILENO, text);
}

void set_log_footer(const std::vector<std::string>& lines) {
  const auto columns = static_cast<std::size_t>(sys::terminal_columns(STDERR_FILENO));
  std::string footer;
  for (const auto& line : lines) footer += cut_line(printable(line), columns > 1 ? columns - 1 : 1) + "\n";
  footer = hide_secrets(footer);
  const std::lock_guard lock(state().mutex);
  if (footer == state().footer && !footer.empty()) return;
  write_whole(STDERR_FILENO, erase_footer(state().footer_height) + footer);
  state().footer = std::move(footer);
  state().footer_height = lines.size();
}

void log_hide_secret(std::string_view secret) {
  if (secret.size() < 4) return;
  const std::lock_guard lock(state().secrets_mutex);
  auto& secrets = state().secrets;
  if (std::find(secrets.begin(), secrets.end(), secret) != secrets.end()) return;
  secrets.emplace_back(secret);
  // A secret that contains another is replaced first.
  std::sort(secrets.begin(), secrets.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  state().secrets_version.fetch_add(1);
}

std::vector<std::string> log_secrets() {
  const std::lock_guard lock(state().secrets_mutex);
  return state().secrets;
}

uint64_t log_secrets_version() {
  return state().secrets_version.load();
}

std::string hide_secrets(std::string_view text) {
  std::string out(text);
  const std::lock_guard lock(state().secrets_mutex);
  for (const auto& secret : state().secrets) {
    if (out.find(secret) != std::string::npos) out = replace_all(std::move(out), secret, "***");
  }
  return out;
}

void print_out(std::string_view text) {
  const std::lock_guard lock(state().mutex);
  write_whole(STDOUT_FILENO, text);
}

}  // namespace awm
