// Many samples side by side, one order: which may begin, what memory each sees, and in what order they are committed.
// What a sample is, the loop does not know.
//
// Law 12: with lag L, position p begins once p - L + 1 positions are committed, and sees the memory as it was just
// then, however far the commits have come meanwhile. So a run's outcome depends on L, and never on the number of
// workers or on who was faster.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/ledger.h"
#include "base/result.h"
#include "os/stop.h"
#include "os/unique_fd.h"

namespace awm {

// What was learned up to a commit: shared by many samples, changed by none.
struct Learned;
using LearnedPtr = std::shared_ptr<const Learned>;

struct LoopSettings {
  std::size_t workers = 1;  // threads; at least 1
  std::size_t lag = 1;      // at most so many positions are begun and not committed; at least 1
};

// What a worker's sample came to, as far as the loop is concerned.
enum class LoopStep {
  done,       // commit it
  abandoned,  // interrupted: neither it nor what follows is committed; no further one begins
};

enum class Admission {
  go,    // another may begin
  wait,  // not now: something is short; asked again in a second
  end,   // no further one begins; live ones finish
};

struct LoopHooks {
  // On a worker's thread (0 … workers - 1), positions in order of their beginning.
  std::function<LoopStep(std::size_t position, const LearnedPtr& memory, std::size_t worker)> work;
  // On the caller's thread, positions in order, one at a time. Returns the memory from here on. An error ends the run
  // as `end` does, and the position does not count as committed.
  std::function<Result<LearnedPtr>(std::size_t position)> commit;
  // On any thread, one at a time: before each sample begins, and every second while the answer is wait. `live`: samples
  // that are worked on.
  std::function<Admission(std::size_t live)> admit;
};

struct LoopOutcome {
  std::size_t committed = 0;
  bool stopped = false;          // the stop, or an abandoned position, ended it before the last
  std::optional<Error> problem;  // a commit's error
};

class Loop {
 public:
  // `history`: the memory now and up to lag - 1 before it, oldest first; the last is what the newest commit left.
  // Positions are counted from 0 in this loop; earlier commits of a resumed run are in the history alone.
  Loop(const Scope& scope, const Stop& stop, LoopSettings settings, LoopHooks hooks, std::deque<LearnedPtr> history);

  // Works `count` positions out; returns when every worker has ended. Errors: exhausted (no threads, no descriptors).
  Result<LoopOutcome> run(std::size_t count);

  // The position that begins next, when there is one and nothing keeps it from beginning but a worker: what may be
  // prepared. Thread-safe.
  [[nodiscard]] std::optional<std::size_t> next() const;

 private:
  void worker(std::size_t number);
  [[nodiscard]] bool may_begin() const;
  Admission ask(std::unique_lock<std::mutex>& lock);
  void tell() const;
  Result<void> supervise();
  bool commit_ready(std::unique_lock<std::mutex>& lock);

  enum class State { waiting, live, done, abandoned };

  const Scope scope_;
  const Stop& stop_;
  const LoopSettings settings_;
  const LoopHooks hooks_;

  std::mutex asking_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  UniqueFd progress_;  // readable when a worker has something to tell
  std::deque<LearnedPtr> history_;
  std::vector<State> states_;
  std::size_t next_ = 0;
  std::size_t committed_ = 0;
  std::size_t live_ = 0;
  bool admitted_ = false;
  bool ending_ = false;
  bool commits_end_ = false;
  std::optional<Error> problem_;
};

}  // namespace awm
