#include "privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "util.h"

namespace awm::helper {

const char* const kServeUsage =
    "awm-helper serve [--uid N] [--gid N] [--no-new-privs] [--drop-caps] [--rlimit NAME=SOFT[:HARD]]...\n"
    "                 [--tree-memory BYTES] [--oom-score-adj N]\n"
    "  Serves one client over standard input and output; ends, with all commands, when the input ends.\n"
    "  NAME: as core cpu data fsize memlock nofile nproc rss stack; a limit is a number or \"unlimited\".\n";

namespace {

struct NamedResource {
  std::string_view name;
  int resource;
};

constexpr NamedResource kResources[] = {
    {"as", RLIMIT_AS},       {"core", RLIMIT_CORE},       {"cpu", RLIMIT_CPU},       {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},     {"stack", RLIMIT_STACK},
};

constexpr gid_t kOwnSavedGroup = 65533;  // nobody's on common systems

std::optional<rlim_t> parse_limit(std::string_view text) {
  if (text == "unlimited") return RLIM_INFINITY;
  const auto number = parse_number(text);
  if (!number) return std::nullopt;
  return static_cast<rlim_t>(*number);
}

std::optional<ResourceLimit> parse_resource(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(equals + 1);
  const std::size_t colon = value.find(':');
  const auto soft = parse_limit(value.substr(0, colon));
  const auto hard = colon == std::string_view::npos ? soft : parse_limit(value.substr(colon + 1));
  if (!soft || !hard || *soft > *hard) return std::nullopt;
  for (const NamedResource& known : kResources) {
    if (known.name == name) return ResourceLimit{known.resource, std::string(name), *soft, *hard};
  }
  return std::nullopt;
}

bool fail(wire::Failure& failure, const char* operation, std::string object) {
  const int number = errno;
  failure = {number, operation, std::move(object),
             std::string("giving up privileges failed: ") + std::strerror(number)};
  return false;
}

bool capabilities_empty() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  for (const auto& half : data) {
    if (half.effective != 0 || half.permitted != 0 || half.inheritable != 0) return false;
  }
  return true;
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv, int from, std::string* problem) {
  Options options;
  for (int i = from; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--no-new-privs") {
      options.no_new_privs = true;
      continue;
    }
    if (name == "--drop-caps") {
      options.drop_caps = true;
      continue;
    }
    const bool known = name == "--uid" || name == "--gid" || name == "--rlimit" || name == "--tree-memory" ||
                       name == "--oom-score-adj";
    if (!known || i + 1 >= argc) {
      *problem = known ? std::string(name) + " needs a value" : "unknown option " + std::string(name);
      return std::nullopt;
    }
    const std::string_view value = argv[++i];
    const auto number = parse_number(value);
    bool good = number.has_value();
    if (name == "--uid" && good && *number < UINT32_MAX) {
      options.uid = static_cast<uid_t>(*number);
    } else if (name == "--gid" && good && *number < UINT32_MAX) {
      options.gid = static_cast<gid_t>(*number);
    } else if (name == "--tree-memory" && good) {
      options.tree_memory = *number;
    } else if (name == "--oom-score-adj" && good && *number <= 1000) {
      options.command_oom_score = static_cast<int>(*number);
    } else if (name == "--rlimit") {
      auto limit = parse_resource(value);
      good = limit.has_value();
      if (good) options.limits.push_back(std::move(*limit));
    } else {
      good = false;
    }
    if (!good) {
      *problem = std::string(name) + ": bad value \"" + std::string(value) + "\"";
      return std::nullopt;
    }
  }
  return options;
}

bool drop_privileges(const Options& options, wire::Failure& failure) {
  // The bounding set first: it needs a capability that the change of identity takes away.
  if (options.drop_caps) {
    for (unsigned long cap = 0; cap < 64; ++cap) {
      const int held = ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
      if (held < 0) break;  // past the last one this kernel knows
      if (held == 0) continue;
      // Without CAP_SETPCAP (an ordinary user) nothing can be dropped; no_new_privs and empty sets then make the
      // bounding set idle.
      if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 &&
          !(errno == EPERM && options.no_new_privs && ::geteuid() != 0)) {
        return fail(failure, "prctl(PR_CAPBSET_DROP)", std::to_string(cap));
      }
    }
  }
  const bool new_uid = options.uid && (::getuid() != *options.uid || ::geteuid() != *options.uid);
  const bool new_gid = options.gid && (::getgid() != *options.gid || ::getegid() != *options.gid);
  if (new_uid || new_gid) {
    if (::setgroups(0, nullptr) != 0) {
      // A user namespace made by an ordinary user refuses this; then there is nothing to give up as long as no foreign
      // group is held.
      const int count = ::getgroups(0, nullptr);
      if (!(errno == EPERM && count == 0)) return fail(failure, "setgroups", "");
    }
  }
  // A saved group of its own, where permitted: prlimit(2) asks for nothing but equal ids, and a command that lowers the
  // helper's limits would lame it. Commands do not inherit it: exec sets the saved group to the effective one.
  const gid_t gid = options.gid.value_or(::getegid());
  if (::setresgid(gid, gid, kOwnSavedGroup) != 0 && options.gid && ::setresgid(gid, gid, gid) != 0) {
    return fail(failure, "setresgid", std::to_string(gid));
  }
  if (options.uid && ::setresuid(*options.uid, *options.uid, *options.uid) != 0)
    return fail(failure, "setresuid", std::to_string(*options.uid));
  if (options.drop_caps) {
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);  // EINVAL before Linux 4.3, which has no ambient set
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capset, &header, data) != 0) return fail(failure, "capset", "");
  }
  if (options.no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(failure, "prctl(PR_SET_NO_NEW_PRIVS)", "");

  errno = EPERM;
  uid_t r = 0, e = 0, s = 0;
  if (options.uid && (::getresuid(&r, &e, &s) != 0 || r != *options.uid || e != *options.uid || s != *options.uid))
    return fail(failure, "check of uid", "");
  gid_t rg = 0, eg = 0, sg = 0;
  if (options.gid &&
      (::getresgid(&rg, &eg, &sg) != 0 || rg != gid || eg != gid || (sg != gid && sg != kOwnSavedGroup))) {
    return fail(failure, "check of gid", "");
  }
  if (options.drop_caps && !capabilities_empty()) return fail(failure, "check of capabilities", "");
  if (options.no_new_privs && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
    return fail(failure, "check of no_new_privs", "");
  return true;
}

void protect_from_same_uid(bool on) {
  ::prctl(PR_SET_DUMPABLE, on ? 0 : 1, 0, 0, 0);
}

const ResourceLimit* apply_limits(const std::vector<ResourceLimit>& limits) {
  const ResourceLimit* refused = nullptr;
  for (const ResourceLimit& limit : limits) {
    rlimit current{};
    const auto resource = static_cast<__rlimit_resource>(limit.resource);
    rlimit wanted{limit.soft, limit.hard};
    if (::setrlimit(resource, &wanted) == 0) continue;
    if (refused == nullptr) refused = &limit;
    if (::getrlimit(resource, &current) != 0) continue;
    wanted.rlim_max =
        std::min(limit.hard, current.rlim_max);  // a hard limit that the host set is raised only where permitted
    wanted.rlim_cur = std::min(limit.soft, wanted.rlim_max);
    ::setrlimit(resource, &wanted);
  }
  return refused;
}

}  // namespace awm::helper
