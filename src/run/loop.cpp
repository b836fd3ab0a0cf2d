#include "run/loop.h"

#include <algorithm>

#include "os/sys.h"
#include "os/thread.h"

namespace awm {

Loop::Loop(const Scope& scope, const Stop& stop, LoopSettings settings, LoopHooks hooks, std::deque<LearnedPtr> history)
    : scope_(scope.child("loop")),
      stop_(stop),
      settings_{.workers = std::max<std::size_t>(settings.workers, 1), .lag = std::max<std::size_t>(settings.lag, 1)},
      hooks_(std::move(hooks)),
      history_(std::move(history)) {
  if (history_.empty()) history_.emplace_back();
}

// With the lock held.
bool Loop::may_begin() const {
  return admitted_ && !ending_ && !stop_.draining() && next_ < states_.size() && next_ < committed_ + settings_.lag;
}

std::optional<std::size_t> Loop::next() const {
  const std::lock_guard lock(mutex_);
  if (ending_ || stop_.draining() || next_ >= states_.size()) return std::nullopt;
  return next_;
}

Admission Loop::ask(std::unique_lock<std::mutex>& lock) {
  const std::size_t live = live_;
  lock.unlock();
  Admission admission{};
  {
    const std::lock_guard one_at_a_time(asking_);
    admission = hooks_.admit(live);
  }
  lock.lock();
  admitted_ = admission == Admission::go;
  if (admission == Admission::end) ending_ = true;
  changed_.notify_all();
  return admission;
}

// Where it cannot be told, the supervisor looks again by itself.
void Loop::tell() const {
  constexpr uint64_t one = 1;
  (void)sys::write_all(progress_.get(), std::string_view(reinterpret_cast<const char*>(&one), sizeof one));
}

void Loop::worker(std::size_t number) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return may_begin() || ending_ || stop_.draining() || next_ >= states_.size(); });
    if (!may_begin()) return;
    // What the supervisor last heard may be old: a disk fills in the time of one sample.
    if (ask(lock) != Admission::go) {
      tell();
      continue;
    }
    if (!may_begin()) continue;
    const std::size_t position = next_++;
    // The newest snapshot is that after committed_ positions, this one sees that after position - lag + 1; before the
    // first there is but one.
    const std::size_t depth = std::min(committed_ + settings_.lag - 1 - position, history_.size() - 1);
    const LearnedPtr memory = history_[history_.size() - 1 - depth];
    states_[position] = State::live;
    ++live_;
    lock.unlock();
    const LoopStep step = hooks_.work(position, memory, number);
    lock.lock();
    --live_;
    states_[position] = step == LoopStep::done ? State::done : State::abandoned;
    if (step == LoopStep::abandoned) ending_ = true;
    tell();
    changed_.notify_all();
  }
}

// Commits what is next in order and done; true when it did one. The lock is let go while the hook works.
bool Loop::commit_ready(std::unique_lock<std::mutex>& lock) {
  if (commits_end_ || committed_ >= states_.size()) return false;
  if (states_[committed_] == State::abandoned) commits_end_ = true;
  if (states_[committed_] != State::done) return false;
  const std::size_t position = committed_;
  lock.unlock();
  auto memory = hooks_.commit(position);
  lock.lock();
  if (!memory) {
    problem_ = std::move(memory).error();
    commits_end_ = true;
    ending_ = true;
  } else {
    ++committed_;
    history_.push_back(*std::move(memory));
    while (history_.size() > settings_.lag) history_.pop_front();
  }
  changed_.notify_all();
  return true;
}

Result<void> Loop::supervise() {
  std::unique_lock lock(mutex_);
  for (;;) {
    while (commit_ready(lock)) {
    }
    const bool stop_known = stop_.draining();  // asked once: what comes later wakes the poll
    if (stop_known) ending_ = true;
    const bool more = !ending_ && next_ < states_.size();
    if (!more) {
      changed_.notify_all();
      if (live_ == 0) return {};
    }
    Admission admission = Admission::go;
    if (more) {
      admission = ask(lock);
      if (admission == Admission::end) continue;
    }
    // Nothing is lost between here and the poll: the event descriptor keeps what a worker tells.
    lock.unlock();
    sys::PollFd fds[2] = {{.fd = progress_.get(), .want_read = true}, {.fd = stop_.drain_fd(), .want_read = true}};
    auto ready =
        sys::poll(std::span(fds, stop_known ? 1 : 2), Deadline::in(Seconds{admission == Admission::wait ? 1 : 10}));
    if (!ready) return std::unexpected(std::move(ready).error());
    if (fds[0].readable) {
      uint64_t count = 0;
      (void)sys::read(progress_.get(), &count, sizeof count);
    }
    lock.lock();
  }
}

Result<LoopOutcome> Loop::run(std::size_t count) {
  AWM_TRY(progress_, sys::event_fd(scope_, "progress of the workers"));
  states_.assign(count, State::waiting);
  std::vector<Thread> threads;
  const std::size_t workers = std::min(settings_.workers, std::max<std::size_t>(count, 1));
  Result<void> worked;
  for (std::size_t i = 0; i < workers && worked; ++i) {
    auto thread = Thread::start(scope_, "worker-" + std::to_string(i + 1), [this, i] { worker(i); });
    if (!thread) {
      // Fewer workers than wanted still do the work.
      if (threads.empty()) worked = std::unexpected(std::move(thread).error());
      break;
    }
    threads.push_back(*std::move(thread));
  }
  if (worked) worked = supervise();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads) thread.join();
  {
    std::unique_lock lock(mutex_);
    while (commit_ready(lock)) {
    }
  }
  progress_.reset();
  if (!worked) return std::unexpected(std::move(worked).error());
  return LoopOutcome{
      .committed = committed_, .stopped = committed_ < count && !problem_, .problem = std::move(problem_)};
}

}  // namespace awm
