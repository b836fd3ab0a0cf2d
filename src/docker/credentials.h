// Who one is to a registry, as Docker's own configuration says: for the header X-Registry-Auth of a pull.
//
// Source: the docker command's documentation of config.json (auths, credHelpers, credsStore) and of the protocol of
// docker-credential-NAME; the Engine API's of AuthConfig.
#pragma once

#include <string>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "os/cancel.h"
#include "os/spawn.h"
#include "os/stop.h"

namespace awm {

// Where Docker's configuration lies: $DOCKER_CONFIG/config.json, else ~/.docker/config.json. "" : neither is set.
std::string docker_config_path();

// What runs a helper program, and ends it.
struct CredentialHelpers {
  Spawner& spawner;
  const Stop& stop;
  Scope scope;
  Cancel* cancel = nullptr;
  Seconds limit{30};  // of one answer
};

// The header's value for the registry of an image's name, or "" where nobody logged in to it. Read anew each time, so
// that a login counts at once. Of a registry's entries its own helper (credHelpers) comes first, then the common one
// (credsStore), then what stands in auths. The value is a secret: it goes to the engine and nowhere else, and no error
// holds any of it. Errors: invalid_input (the configuration cannot be read), not_found (no such helper program),
// timed_out, protocol (the helper failed, or answered what it must not), stopped, closed.
Result<std::string> registry_auth(const std::string& ref, const std::string& config_path,
                                  const CredentialHelpers& helpers);

}  // namespace awm
