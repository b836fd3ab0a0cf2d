// What a run will need of this machine, looked at before it: each point with what was found and what helps.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "os/spawn.h"
#include "os/stop.h"

namespace awm {

enum class Health { ok, warn, fail };
std::string_view to_string(Health health);

struct Finding {
  Health health = Health::ok;
  std::string what;    // "Docker engine"
  std::string found;   // "20.10.24, API 1.41, overlay2"
  std::string remedy;  // "" where there is nothing to do
};

struct DoctorOptions {
  SettingsFlags settings;             // the model to ask for
  std::string sandbox;                // "docker" or "local": the other is not looked at; "" both, and one is enough
  std::vector<std::string> datasets;  // to read: files, folders, names
  std::string output_dir;             // whose disk is looked at; "" : the working directory
};

// Looks at everything, at most some fifteen seconds a point, fetching a data set by name apart; `tell` gets each
// finding as soon as it is there. Changes nothing on the machine but the cache of such rows; one sandbox is made and
// given back. What cannot be looked at is a finding, not an error.
std::vector<Finding> examine(const Scope& scope, Stop& stop, Spawner& spawner, const DoctorOptions& options,
                             const std::function<void(const Finding&)>& tell);

}  // namespace awm
