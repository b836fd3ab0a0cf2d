// What one sample owns: a sandbox, an event stream, a registry of models; and the order in which they are given back.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "event/event.h"
#include "event/stream.h"
#include "os/exit_hooks.h"
#include "runtime/editor.h"
#include "sandbox/sandbox.h"

namespace awm {

class LlmRegistry;

struct RuntimeSettings {
  std::string working_folder = "/testbed";
  Seconds soft_timeout{10};              // a shell command without news for this long answers with exit code -1
  Seconds hard_timeout{0};               // of a shell command that names none; 0: none
  std::size_t max_output_chars = 30000;  // of a command's output as it is kept and shown; the middle is cut
};

// What a runtime is made of; any part may be absent (null) where a caller needs none: tests, judges.
struct RuntimeParts {
  std::unique_ptr<Sandbox> sandbox;
  std::unique_ptr<EventStream> stream;
  std::unique_ptr<LlmRegistry> registry;

  RuntimeParts();
  RuntimeParts(RuntimeParts&&) noexcept;
  RuntimeParts& operator=(RuntimeParts&&) noexcept;
  ~RuntimeParts();
};

// One thread uses it; close() may come from any.
class Runtime {
 public:
  // Registers an exit hook (when `hooks` is given) that closes it should the program end early.
  Runtime(RuntimeParts parts, RuntimeSettings settings, const Scope& scope, ExitHooks* hooks = nullptr);
  ~Runtime();  // closes

  // Connects the sandbox. After an error the rest is still there; close() gives all of it back, as after a success.
  Result<void> connect(Deadline deadline);

  // Does what the action asks and says what came of it. Both are recorded in the stream (an action without id first;
  // the observation with the action's id as cause and its tool call). What goes wrong inside the sandbox is an
  // observation (also an error one); an Error says that the sandbox itself failed: lost, closed, stopped; or that the
  // stream could not be written.
  //   run           in the persistent shell: soft and hard time-outs, input and C-c, C-d, C-z to what still runs; with
  //                 is_static in a fresh bash. A finished command says its exit code, an unfinished one -1
  //   read, edit    the editor's view, create, str_replace, insert, undo_edit; write: whole files
  //   think, finish, message, recall, change_agent_state, system, null: recorded; answered by their own observation
  //   others        an error observation: not done here
  Result<Observation> run_action(Action action);

  // Into the stream, as it is. No stream: the event itself comes back, without an id.
  Result<Event> record(Event event, EventSource source);

  // Gives everything back: no further exit hook, sandbox, registry, stream; each even when one before it failed. Says
  // what could not be given back. Never throws; later calls return the first report. Half connected or whole.
  ReleaseReport close() noexcept;

  [[nodiscard]] Sandbox* sandbox() { return parts_.sandbox.get(); }
  [[nodiscard]] EventStream* stream() { return parts_.stream.get(); }
  [[nodiscard]] LlmRegistry* registry() { return parts_.registry.get(); }
  [[nodiscard]] const RuntimeSettings& settings() const { return settings_; }
  [[nodiscard]] Editor& editor() { return editor_; }

 private:
  ReleaseReport release() noexcept;
  Result<Observation> perform(const Action& action);
  Result<Observation> run_in_shell(const RunAction& run, std::optional<double> timeout);
  Result<Observation> run_fresh(const RunAction& run, std::optional<double> timeout);

  RuntimeParts parts_;
  RuntimeSettings settings_;
  Editor editor_;
  bool command_unfinished_ = false;  // in the shell
  ExitHooks::Hook hook_;
  std::mutex close_mutex_;
  std::optional<ReleaseReport> report_;
};

// The middle cut out as OpenHands does it: halves of `max_chars` code points around "[... Observation truncated due to
// length ...]". `omitted` bytes were already missing at byte offset `omitted_at`; then the cut is there in any case.
std::string cut_output(std::string_view text, std::size_t max_chars, uint64_t omitted = 0, uint64_t omitted_at = 0);

}  // namespace awm
