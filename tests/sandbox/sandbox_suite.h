// One suite for every kind of sandbox: what commands, shell, files and archives do must not depend on what is around
// them.
//
// A kind adds itself in a source of its own (local_kind.cpp is one):
//   SandboxKind docker_kind() { return {.name = "docker", .unavailable = …, .make = …}; }
//   INSTANTIATE_TEST_SUITE_P(Docker, SandboxSuite, ::testing::Values(docker_kind()), kind_name);
// and is linked into the same program as sandbox_suite.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "os/spawn.h"
#include "os/stop.h"
#include "sandbox/sandbox.h"
#include "support/support.h"

namespace awm::testing {

// What a test needs of a sandbox besides the defaults.
struct SandboxWish {
  std::string env_setup;
  std::vector<std::string> environment;
  uint64_t memory_bytes = 0;  // 0: the kind's own
  uint64_t pids = 0;
};

// What a factory may use; lives as long as the test.
struct SandboxParts {
  Spawner& spawner;
  Stop& stop;
  const TestFolder& folder;
  const Scope& scope;
};

struct SandboxKind {
  std::string name;                          // "Local": part of the tests' names
  std::function<std::string()> unavailable;  // why it cannot be tested here; "" : it can
  // A sandbox, not connected, with bash, an empty and writable /testbed, and no network.
  std::function<Result<std::unique_ptr<Sandbox>>(const SandboxParts&, const SandboxWish&)> make;
};
inline void PrintTo(const SandboxKind& kind, std::ostream* out) {
  *out << kind.name;
}
inline std::string kind_name(const ::testing::TestParamInfo<SandboxKind>& info) {
  return info.param.name;
}

class SandboxSuite : public ::testing::TestWithParam<SandboxKind> {
 public:
  SandboxSuite() : scope_("test") {}

 protected:
  void SetUp() override;
  void TearDown() override;

  // The connected sandbox; made at the first call, closed and checked at the test's end.
  Sandbox& sandbox();
  // Another one, which the test closes.
  std::unique_ptr<Sandbox> make(const SandboxWish& wish = {});
  std::unique_ptr<Sandbox> connect(const SandboxWish& wish = {});

  ExecResult run(Sandbox& in, const std::string& text, Seconds hard_limit = Seconds(60));
  ExecResult run(const std::string& text, Seconds hard_limit = Seconds(60)) { return run(sandbox(), text, hard_limit); }
  // In the persistent shell, to its end.
  ShellResult shell(const std::string& text, Seconds hard_limit = Seconds(60));

  Scope scope_;
  std::unique_ptr<Stop> stop_;
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<TestFolder> folder_;
  std::unique_ptr<Sandbox> sandbox_;
};

}  // namespace awm::testing
