#include "support/faults.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "os/fault.h"

namespace awm::fault {
namespace {

struct Rule {
  std::string name;
  std::string file;
  int line = 0;  // 0: any
  int skip = 0;
  int times = 0;
  int os_errno = 0;
};

struct Site {
  std::string name;
  std::string file;
  unsigned line = 0;
  auto operator<=>(const Site&) const = default;
};

struct State {
  std::mutex mutex;
  std::vector<Rule> rules;
  std::map<Site, int> passed;
};

// Never destroyed: calls are made until the process is gone.
State& state() {
  alignas(State) static unsigned char storage[sizeof(State)];
  static State* const the_state = new (storage) State;
  return *the_state;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void append_line(const std::string& path, const std::string& line) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  (void)!::write(fd, line.data(), line.size());
  ::close(fd);
}

Rule rule_of(std::string_view name, std::string_view file, int skip, int times, int os_errno) {
  Rule rule{.name = std::string(name), .file = std::string(file), .skip = skip, .times = times, .os_errno = os_errno};
  if (const auto hash = rule.file.find('#'); hash != std::string::npos) {
    rule.line = std::atoi(rule.file.c_str() + hash + 1);
    rule.file.resize(hash);
  }
  return rule;
}

bool fits(const Rule& rule, const char* name, const std::source_location& at) {
  return rule.name == name && std::string_view(at.file_name()).ends_with(rule.file) &&
         (rule.line == 0 || at.line() == static_cast<unsigned>(rule.line));
}

void add_rules(const std::string& text) {
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find(',', start), text.size());
    const std::string one = text.substr(start, end - start);
    start = end + 1;
    const auto at = one.find('@');
    const auto colon = one.find(':', at == std::string::npos ? 0 : at);
    int skip = 0;
    int times = 1;
    int number = EIO;
    if (at == std::string::npos || colon == std::string::npos ||
        std::sscanf(one.c_str() + colon, ":%d:%d:%d", &skip, &times, &number) != 3) {
      std::fprintf(stderr, "AWM_FAULT: \"%s\" is not CALL@FILE[#LINE]:SKIP:TIMES:ERRNO\n", one.c_str());
      std::_Exit(99);
    }
    inject(one.substr(0, at), one.substr(at + 1, colon - at - 1), skip, times, number);
  }
}

struct Environment {
  Environment() { add_rules(variable("AWM_FAULT")); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    const std::string path = variable("AWM_FAULT_CALLS");
    if (path.empty()) return;
    std::string text;
    const std::lock_guard lock(state().mutex);
    for (const auto& [site, number] : state().passed) {
      text += std::to_string(number) + " " + site.name + " " + site.file;
      text += site.line > 0 ? "#" + std::to_string(site.line) + "\n" : "\n";
    }
    append_line(path, text);
  }
};
const Environment environment;

// "NAME:REST" of a variable, split; empty where it is not set.
std::pair<std::string, std::string> named_in(const char* name) {
  const std::string text = variable(name);
  const auto colon = text.find(':');
  if (colon == std::string::npos) return {};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

void inject(std::string_view name, std::string_view file, int skip, int times, int os_errno) {
  const std::lock_guard lock(state().mutex);
  state().rules.push_back(rule_of(name, file, skip, times, os_errno));
}

void clear() {
  const std::lock_guard lock(state().mutex);
  state().rules.clear();
  state().passed.clear();
}

int count(std::string_view name, std::string_view file) {
  const Rule rule = rule_of(name, file, 0, 0, 0);
  const std::lock_guard lock(state().mutex);
  int n = 0;
  for (const auto& [site, number] : state().passed) {
    if (site.name == rule.name && site.file.ends_with(rule.file) &&
        (rule.line == 0 || site.line == static_cast<unsigned>(rule.line)))
      n += number;
  }
  return n;
}

int check(const char* call, const std::source_location& at) noexcept {
  static const auto crash = named_in("AWM_CRASH");
  if (const auto sign = crash.first.find('@'); sign != std::string::npos) {
    static const Rule rule = rule_of(crash.first.substr(0, sign), crash.first.substr(sign + 1), 0, 1, 0);
    static std::atomic<int> calls{0};
    if (fits(rule, call, at) && ++calls == std::atoi(crash.second.c_str())) ::kill(::getpid(), SIGKILL);
  }
  const std::lock_guard lock(state().mutex);
  ++state().passed[{call, at.file_name(), at.line()}];
  for (auto& rule : state().rules) {
    if (rule.times == 0 || !fits(rule, call, at)) continue;
    if (rule.skip > 0) {
      --rule.skip;
      continue;
    }
    --rule.times;
    static const std::string hit = variable("AWM_FAULT_HIT");
    if (!hit.empty())
      append_line(hit, std::string(call) + " " + at.file_name() + "#" + std::to_string(at.line()) + "\n");
    return rule.os_errno;
  }
  return 0;
}

void crash_point(std::string_view name) noexcept {
  static const auto crash = named_in("AWM_CRASH");
  static const auto hold = named_in("AWM_HOLD");
  {
    const std::lock_guard lock(state().mutex);
    ++state().passed[{"crash_point", std::string(name), 0}];
  }
  if (name == hold.first) {
    append_line(hold.second + ".reached", "\n");
    while (::access(hold.second.c_str(), F_OK) == 0) ::usleep(2000);
  }
  if (name != crash.first) return;
  static std::atomic<int> calls{0};
  const int number = std::atoi(crash.second.c_str());
  if (++calls == number) ::kill(::getpid(), SIGKILL);
}

}  // namespace awm::fault
