#include "docker/credentials.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "docker/images.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::string_view hub_key = "https://index.docker.io/v1/";  // by which the docker command knows docker.io
constexpr uint64_t max_config = uint64_t{16} << 20;
constexpr std::size_t max_answer = std::size_t{1} << 20;

constexpr std::string_view base64_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// RFC 4648 §4, with or without its padding; nullopt for anything else.
std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  unsigned held = 0;
  int bits = 0;
  for (const char c : text) {
    const auto value = base64_letters.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    held = (held << 6U) | static_cast<unsigned>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>((held >> static_cast<unsigned>(bits)) & 0xffU);
  }
  return bytes;
}

// RFC 4648 §5, padded.
std::string to_base64url(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    unsigned held = 0;
    for (std::size_t i = at; i < at + 3; ++i) {
      held = (held << 8U) | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
    }
    for (unsigned i = 0; i < 4; ++i) {
      const char letter = base64_letters[(held >> (18U - 6U * i)) & 0x3fU];
      text += at + i > bytes.size() ? '=' : letter == '+' ? '-' : letter == '/' ? '_' : letter;
    }
  }
  return text;
}

// "https://ghcr.io/v2/" → "ghcr.io"; the names of Docker's own registry are one.
std::string host_of(std::string_view key) {
  if (const auto scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  std::string host(key.substr(0, key.find('/')));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? "docker.io" : host;
}

// The member of an object of registries that is this registry's: by the name that Docker gives it, else by its host.
const Json* entry_of(const Json& config, std::string_view section, const std::string& registry) {
  const Json* all = find_member(config, section);
  if (all == nullptr || !all->is_object()) return nullptr;
  if (const Json* own = find_member(*all, registry == "docker.io" ? hub_key : registry)) return own;
  for (const auto& item : all->items()) {
    if (host_of(item.key()) == registry) return &item.value();
  }
  return nullptr;
}

std::string header_of(const Json& login) {
  return to_base64url(dump_json(login));
}

// Of an entry of auths; "" where there is nothing in it, as a helper's registries have it there.
Result<std::string> stored(const Json& entry, const std::string& registry, const std::string& path) {
  std::string user = string_or(entry, "username", "");
  std::string password = string_or(entry, "password", "");
  if (const auto encoded = string_or(entry, "auth", ""); !encoded.empty()) {
    const auto both = from_base64(encoded);
    const auto colon = both ? both->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return fail(Errc::invalid_input, "read the login of registry", registry,
                  "its entry in " + path + " is no base64 of a user and a password", "docker login " + registry);
    }
    user = both->substr(0, colon);
    password = both->substr(colon + 1);
    while (password.ends_with('\0')) password.pop_back();  // as Docker has it
  }
  Json login = Json::object();
  if (const auto token = string_or(entry, "identitytoken", ""); !token.empty()) {
    login["identitytoken"] = token;
    if (!user.empty()) login["username"] = user;
  } else if (const auto bearer = string_or(entry, "registrytoken", ""); !bearer.empty()) {
    login["registrytoken"] = bearer;
  } else if (!user.empty()) {
    login["username"] = user;
    login["password"] = password;
  } else {
    return "";
  }
  login["serveraddress"] = registry == "docker.io" ? std::string(hub_key) : registry;
  return header_of(login);
}

// Asks docker-credential-NAME; "" where it knows nobody. None of its words is told: they may be secrets.
Result<std::string> from_helper(const std::string& name, const std::string& registry,
                                const CredentialHelpers& helpers) {
  const std::string program = "docker-credential-" + name;
  const std::string operation = "read the login of registry";
  const auto by_hand = [&](std::string_view server) {
    return "echo " + std::string(server) + " | " + program + " get tells more";
  };
  if (contains(name, "/")) {
    return fail(Errc::invalid_input, operation, registry,
                "'" + to_valid_utf8(name) + "' is no credential helper's name",
                "check credsStore and credHelpers in Docker's config.json");
  }
  const std::string server = registry == "docker.io" ? std::string(hub_key) : registry;
  AWM_TRY(const auto nowhere, sys::open(helpers.scope, "/dev/null", sys::Open::append));
  SpawnOptions options{.argv = {program, "get"}, .environment = sys::environment_all(), .folder = ""};
  options.stderr_fd = nowhere.get();
  const auto done = run_process(helpers.spawner, helpers.scope, std::move(options), Deadline::in(helpers.limit),
                                &helpers.stop, server + "\n", max_answer, helpers.cancel);
  if (!done) {
    auto error = done.error();
    if (error.code == Errc::stopped || error.code == Errc::closed) return std::unexpected(std::move(error));
    error.operation = operation;
    error.object = registry;
    error.cause = program + ": " + error.cause;
    error.remedy =
        error.code == Errc::not_found ? "install it, or take it out of Docker's config.json" : by_hand(server);
    return std::unexpected(std::move(error));
  }
  if (!done->status.ok()) {
    if (contains(done->output, "credentials not found")) return "";
    return fail(Errc::protocol, operation, registry, program + " " + done->status.text(), by_hand(server));
  }
  const auto answer = parse_json(done->output, "its answer");
  const auto user = answer ? string_or(*answer, "Username", "") : "";
  const auto secret = answer ? string_or(*answer, "Secret", "") : "";
  if (secret.empty()) {
    return fail(Errc::protocol, operation, registry, program + " answered with no login", by_hand(server));
  }
  Json login{{"serveraddress", server}};
  if (user == "<token>") {
    login["identitytoken"] = secret;
  } else {
    login["username"] = user;
    login["password"] = secret;
  }
  return header_of(login);
}

}  // namespace

std::string docker_config_path() {
  if (const auto folder = sys::environment("DOCKER_CONFIG"); folder && !folder->empty()) {
    return join_path(*folder, "config.json");
  }
  const auto home = sys::environment("HOME");
  return home && !home->empty() ? join_path(*home, ".docker/config.json") : "";
}

Result<std::string> registry_auth(const std::string& ref, const std::string& config_path,
                                  const CredentialHelpers& helpers) {
  if (config_path.empty() || !exists(config_path)) return "";
  const auto registry = registry_of(ref);
  const auto unreadable = [&](std::string cause) {
    return fail(Errc::invalid_input, "read the login of registry", registry, std::move(cause),
                "mend " + config_path + ", or name another folder in DOCKER_CONFIG");
  };
  const auto text = read_file(config_path, max_config);
  if (!text) return unreadable(config_path + ": " + text.error().cause);
  if (trim(*text).empty()) return "";
  const auto config = parse_json(*text, config_path);
  // The words of the parser may show some of what it read.
  if (!config || !config->is_object()) return unreadable(config_path + " is no JSON object");
  const Json* own = entry_of(*config, "credHelpers", registry);
  const auto helper =
      own != nullptr && own->is_string() ? own->get<std::string>() : string_or(*config, "credsStore", "");
  std::optional<Error> trouble;
  if (!helper.empty()) {
    auto login = from_helper(helper, registry, helpers);
    if (login && !login->empty()) return login;
    if (!login) trouble = std::move(login).error();
    if (trouble && (trouble->code == Errc::stopped || trouble->code == Errc::closed)) {
      return std::unexpected(*std::move(trouble));
    }
  }
  if (const Json* entry = entry_of(*config, "auths", registry)) {
    AWM_TRY(auto login, stored(*entry, registry, config_path));
    if (!login.empty()) return login;
  }
  if (trouble) return std::unexpected(*std::move(trouble));
  return "";
}

}  // namespace awm
