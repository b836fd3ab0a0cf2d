#include "os/descriptors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/text.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr uint64_t largest_table = uint64_t{64} << 20;

std::string process_path(int pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

template <class Number>
std::optional<Number> number_in(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const auto begin = line.find_first_not_of(' ', at);
    if (begin == std::string_view::npos) break;
    const auto end = std::min(line.find(' ', begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    at = end;
  }
  return words;
}

// "0100007F:1F90", words in the machine's byte order, as an address for people.
std::string address_of_hex(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::string(text);
  const auto port = number_in<unsigned>(text.substr(colon + 1), 16).value_or(0);
  const auto host = text.substr(0, colon);
  std::string bytes;
  for (std::size_t at = 0; at + 8 <= host.size(); at += 8) {
    const auto word = number_in<uint32_t>(host.substr(at, 8), 16).value_or(0);
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>((word >> (8 * i)) & 0xff);
  }
  // An IPv4 address in IPv6's clothes is shown as what it is.
  if (bytes.size() == 16 && bytes.substr(0, 12) == std::string(10, '\0') + "\xff\xff") bytes.erase(0, 12);
  std::string shown;
  if (bytes.size() == 4) {
    for (const char byte : bytes) shown += (shown.empty() ? "" : ".") + std::to_string(static_cast<uint8_t>(byte));
    return shown + ":" + std::to_string(port);
  }
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0 && i % 2 == 0) shown += ':';
    shown += digits[static_cast<uint8_t>(bytes[i]) >> 4];
    shown += digits[static_cast<uint8_t>(bytes[i]) & 15];
  }
  return "[" + shown + "]:" + std::to_string(port);
}

// Of include/net/tcp_states.h.
std::string_view tcp_state(unsigned number) {
  constexpr std::array<std::string_view, 13> names{
      "",       "established", "syn sent", "syn received", "fin wait 1", "fin wait 2", "time wait",
      "closed", "close wait",  "last ack", "listening",    "closing",    "new syn"};
  return number < names.size() ? names[number] : "";
}

struct Socket {
  DescriptorKind kind = DescriptorKind::socket;
  std::string target;
};

// Sockets of the process's network namespace by inode number.
std::map<uint64_t, Socket> sockets_of(int pid) {
  std::map<uint64_t, Socket> sockets;
  for (const std::string_view table : {"tcp", "tcp6", "udp", "udp6"}) {
    const auto text = read_file(process_path(pid, "net/" + std::string(table)), largest_table);
    if (!text) continue;
    for (const auto line : split_lines(*text)) {
      const auto words = words_of(line);
      constexpr std::size_t local = 1;
      constexpr std::size_t remote = 2;
      constexpr std::size_t state = 3;
      constexpr std::size_t inode = 9;
      if (words.size() <= inode) continue;
      const auto number = number_in<uint64_t>(words[inode]);
      if (!number || *number == 0) continue;
      const bool is_tcp = table.starts_with("tcp");
      std::string target = address_of_hex(words[local]);
      const auto status = number_in<unsigned>(words[state], 16).value_or(0);
      constexpr unsigned listening = 10;
      if (!words[remote].ends_with(":0000")) target += " > " + address_of_hex(words[remote]);
      if (is_tcp) target += " " + std::string(tcp_state(status));
      if (!is_tcp && status == listening) continue;
      sockets[*number] = {is_tcp ? DescriptorKind::tcp : DescriptorKind::udp, std::move(target)};
    }
  }
  if (const auto text = read_file(process_path(pid, "net/unix"), largest_table)) {
    for (const auto line : split_lines(*text)) {
      const auto words = words_of(line);
      constexpr std::size_t inode = 6;
      if (words.size() <= inode) continue;
      const auto number = number_in<uint64_t>(words[inode]);
      if (!number) continue;
      sockets[*number] = {DescriptorKind::unix_socket,
                          words.size() > inode + 1 ? std::string(words[inode + 1]) : "unnamed"};
    }
  }
  return sockets;
}

DescriptorKind kind_of_path(const std::string& path, const std::string& link) {
  if (path.ends_with(" (deleted)"))
    return path.starts_with("/memfd:") ? DescriptorKind::memory : DescriptorKind::deleted_file;
  if (path.starts_with("/memfd:")) return DescriptorKind::memory;
  if (path.starts_with("/dev/")) return DescriptorKind::device;
  const auto info = sys::stat(link);
  return info && info->type == sys::FileInfo::Type::folder ? DescriptorKind::folder : DescriptorKind::file;
}

std::string name_of(int pid) {
  return std::string(trim(read_file(process_path(pid, "comm"), 4096).value_or("")));
}

std::vector<std::string> arguments_of(int pid) {
  auto text = read_file(process_path(pid, "cmdline"), uint64_t{4} << 20).value_or("");
  while (text.ends_with('\0')) text.pop_back();
  return split(text, '\0');
}

Result<std::vector<int>> all_processes() {
  auto names = sys::list_folder("/proc");
  if (!names) {
    return fail(Errc::unavailable, "look at", "processes", names.error().cause, "as root: mount -t proc proc /proc");
  }
  std::vector<int> pids;
  for (const auto& name : *names) {
    if (const auto pid = number_in<int>(name)) pids.push_back(*pid);
  }
  std::sort(pids.begin(), pids.end());
  if (pids.empty()) {
    return fail(Errc::unavailable, "look at", "processes", "/proc shows none", "as root: mount -t proc proc /proc");
  }
  return pids;
}

bool is_hexadecimal(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::string_view to_string(DescriptorKind kind) {
  switch (kind) {
    case DescriptorKind::file:
      return "file";
    case DescriptorKind::deleted_file:
      return "deleted file";
    case DescriptorKind::folder:
      return "folder";
    case DescriptorKind::device:
      return "device";
    case DescriptorKind::pipe:
      return "pipe";
    case DescriptorKind::tcp:
      return "tcp";
    case DescriptorKind::udp:
      return "udp";
    case DescriptorKind::unix_socket:
      return "unix socket";
    case DescriptorKind::socket:
      return "socket";
    case DescriptorKind::event:
      return "event";
    case DescriptorKind::memory:
      return "memory";
    case DescriptorKind::other:
      break;
  }
  return "other";
}

Result<std::vector<DescriptorInfo>> descriptors_of(int pid) {
  const auto folder = process_path(pid, "fd");
  auto names = sys::list_folder(folder);
  const auto who = "process " + std::to_string(pid);
  if (!names) {
    const auto number = names.error().os_errno;
    if (number == EACCES || number == EPERM) {
      return fail(Errc::permission, "look at", who, "it is another user's", "run this as that user, or as root");
    }
    if (!exists("/proc/self")) {
      return fail(Errc::unavailable, "look at", who, "/proc is not mounted", "as root: mount -t proc proc /proc");
    }
    return fail(Errc::not_found, "look at", who, "there is no such process");
  }
  std::vector<DescriptorInfo> list;
  bool any_socket = false;
  for (const auto& name : *names) {
    const auto number = number_in<int>(name);
    if (!number) continue;
    const auto link = join_path(folder, name);
    auto target = sys::readlink(link);
    if (!target && (target.error().os_errno == EACCES || target.error().os_errno == EPERM)) {
      return fail(Errc::permission, "look at", who, "this user may not see what its descriptors are",
                  "run this as its user, or as root");
    }
    if (!target) continue;  // closed meanwhile, or the one that lists when we look at ourselves
    DescriptorInfo info{.number = *number, .target = *std::move(target)};
    info.identity = name + " " + info.target;
    if (info.target.starts_with("socket:[")) {
      info.kind = DescriptorKind::socket;
      any_socket = true;
    } else if (info.target.starts_with("pipe:[")) {
      info.kind = DescriptorKind::pipe;
    } else if (info.target.starts_with("anon_inode:")) {
      info.kind = DescriptorKind::event;
      info.target.erase(0, info.target.find(':') + 1);
      std::erase_if(info.target, [](char c) { return c == '[' || c == ']'; });
    } else if (info.target.starts_with('/')) {
      info.kind = kind_of_path(info.target, link);
    }
    list.push_back(std::move(info));
  }
  if (any_socket) {
    const auto sockets = sockets_of(pid);
    for (auto& info : list) {
      if (info.kind != DescriptorKind::socket) continue;
      const auto inode = number_in<uint64_t>(std::string_view(info.target).substr(8, info.target.size() - 9));
      const auto found = inode ? sockets.find(*inode) : sockets.end();
      if (found == sockets.end()) continue;
      info.kind = found->second.kind;
      info.target = found->second.target;
    }
  }
  std::ranges::sort(list, {}, &DescriptorInfo::number);
  return list;
}

std::string kin_of(const DescriptorInfo& info) {
  const std::string& text = info.target;
  std::string kin;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_hexadecimal(text[at])) {
      kin += text[at++];
      continue;
    }
    std::size_t end = at;
    bool digit = false;
    for (; end < text.size() && is_hexadecimal(text[end]); ++end) digit = digit || is_digit(text[end]);
    // Letters alone, "feed" or the a of a word, are none; nor is what a word goes on behind with letters: only its
    // digits.
    constexpr std::size_t least_hexadecimal = 6;
    if (digit && end - at >= least_hexadecimal) {
      kin += '#';
      at = end;
      continue;
    }
    for (; at < end; ++at) {
      if (!is_digit(text[at])) {
        kin += text[at];
      } else if (!kin.ends_with('#')) {
        kin += '#';
      }
    }
  }
  return kin;
}

DescriptorCounts count_by_kin(const std::vector<DescriptorInfo>& list) {
  DescriptorCounts counts;
  for (const auto& info : list) ++counts[{info.kind, kin_of(info)}];
  return counts;
}

Result<std::vector<ProcessInfo>> processes_named(std::string_view name) {
  AWM_TRY(const auto pids, all_processes());
  std::vector<ProcessInfo> found;
  for (const int pid : pids) {
    if (pid == sys::pid()) continue;
    const auto arguments = arguments_of(pid);
    const auto own = name_of(pid);
    bool is_it = own == name;
    // The program, and what an interpreter was given to run.
    constexpr std::size_t looked_at = 4;
    for (std::size_t i = 0; i < arguments.size() && i < looked_at; ++i)
      is_it = is_it || file_name(arguments[i]) == name;
    if (is_it) found.push_back({.pid = pid, .name = own, .command = join(arguments, " ")});
  }
  return found;
}

Result<std::vector<ProcessInfo>> processes_with_file(const std::string& path) {
  AWM_TRY(const auto real, sys::realpath(path));
  AWM_TRY(const auto pids, all_processes());
  std::vector<ProcessInfo> found;
  for (const int pid : pids) {
    if (pid == sys::pid()) continue;
    const auto folder = process_path(pid, "fd");
    const auto names = sys::list_folder(folder);
    if (!names) continue;
    const bool has = std::any_of(names->begin(), names->end(), [&](const std::string& name) {
      return sys::readlink(join_path(folder, name)).value_or("") == real;
    });
    if (has) found.push_back({.pid = pid, .name = name_of(pid), .command = join(arguments_of(pid), " ")});
  }
  return found;
}

}  // namespace awm
