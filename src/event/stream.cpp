#include "event/stream.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <list>
#include <mutex>
#include <utility>

#include "base/text.h"
#include "os/log.h"
#include "os/thread.h"

namespace awm {
namespace {

constexpr std::size_t batch_events = 64;  // handed to one subscriber before the next gets its turn
constexpr Milliseconds batch_time{1};     // and no longer than this
constexpr int64_t calls_until_trusted =
    16;  // quick calls before a subscriber is called without a second thread at hand
constexpr std::chrono::microseconds nap{100};  // after work: events gather meanwhile, and nobody is woken for each
constexpr Milliseconds backpressure{100};      // the longest that an event waits for subscribers to catch up

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

// What the stream was told to hide, and what the log hides: a copy, made anew when either changes.
class SecretMask final : public TextMask {
 public:
  explicit SecretMask(const std::map<std::string, std::string>& secrets) : log_version_(log_secrets_version()) {
    for (const auto& [name, value] : secrets) {
      if (value.size() >= shortest) secrets_.emplace_back(value, "<secret_hidden>");
    }
    // A secret that contains another is replaced first.
    std::stable_sort(secrets_.begin(), secrets_.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    for (std::string& value : log_secrets()) secrets_.emplace_back(std::move(value), "***");
  }

  [[nodiscard]] bool empty() const { return secrets_.empty(); }
  [[nodiscard]] bool current() const { return log_version_ == log_secrets_version(); }

  bool apply(std::string& text) const override {
    if (text.size() < shortest) return false;
    bool changed = false;
    for (const auto& [secret, replacement] : secrets_) {
      if (text.find(secret) == std::string::npos) continue;
      text = replace_all(std::move(text), secret, replacement);
      changed = true;
    }
    return changed;
  }

 private:
  static constexpr std::size_t shortest = 4;
  uint64_t log_version_;
  std::vector<std::pair<std::string, std::string>> secrets_;
};

// The time of an event, formatted whole once a second.
class Timestamps {
 public:
  std::string_view now() {
    using namespace std::chrono;
    const auto when = system_clock::now();
    const int64_t micros = duration_cast<microseconds>(when.time_since_epoch()).count();
    if (text_.empty() || micros / 1'000'000 != second_) {
      second_ = micros / 1'000'000;
      text_ = iso_time(when);
    } else {
      int64_t rest = micros % 1'000'000;
      for (std::size_t i = text_.size(); i > text_.size() - 6; rest /= 10)
        text_[--i] = static_cast<char>('0' + rest % 10);
    }
    return text_;
  }

 private:
  int64_t second_ = -1;
  std::string text_;
};

struct Cursor {
  std::string subscriber_id;
  std::string callback_id;
  EventCallback callback;
  int64_t next = 0;  // guarded by the stream's mutex, as all but `removed`
  int64_t quick_calls = 0;
  int64_t failures = 0;
  std::string last_failure;
  bool busy = false;        // a worker has it in hand
  bool own_thread = false;  // only that worker serves it
  std::atomic<bool> removed{false};
};

struct Worker {
  std::shared_ptr<Cursor> dedicated;  // serves this subscriber alone
  std::shared_ptr<Cursor> current;    // in hand now
  std::atomic<int64_t> since{0};      // when the running callback began; 0: none runs
  bool retire = false;                // a second thread that is not needed any more
  bool finished = false;              // about to end: may be joined
  Thread thread;                      // last: joined before the rest goes
};

}  // namespace

class EventStream::Impl {
 public:
  Impl(const Scope& scope, EventStore store, const EventStreamSettings& settings)
      : scope_(scope.child("stream")),
        settings_(settings),
        store_(std::move(store)),
        next_id_(store_.size()),
        ring_first_(next_id_),
        mask_(std::make_shared<const SecretMask>(secrets_)) {}

  ~Impl() {
    if (in_worker()) {
      log_error("an event stream was destroyed from one of its own callbacks: " + store_.path());
      std::abort();
    }
    (void)close();
  }

  Result<EventPtr> add(Event event, EventSource source);
  Result<void> subscribe(std::string_view subscriber_id, std::string_view callback_id, EventCallback callback,
                         std::optional<int64_t> start_id);
  Result<void> unsubscribe(std::string_view subscriber_id, std::string_view callback_id);
  void set_secrets(std::map<std::string, std::string> secrets);
  void update_secrets(const std::map<std::string, std::string>& secrets);
  Result<void> wait_delivered(Deadline deadline);
  std::vector<SubscriberStatus> subscribers() const;
  Result<void> close();

  [[nodiscard]] int64_t next_id() const {
    const std::lock_guard lock(mutex_);
    return next_id_;
  }
  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closing_;
  }
  [[nodiscard]] const EventStore& store() const { return store_; }

 private:
  using Lock = std::unique_lock<std::mutex>;

  // An event on its way into the file. The first thread to come writes for all that wait.
  struct Ticket {
    Event* event = nullptr;
    std::string rest;
    bool done = false;
    Result<EventPtr> result = EventPtr();
  };

  [[nodiscard]] bool in_worker() const {
    const std::lock_guard lock(mutex_);
    return in_worker_locked();
  }
  [[nodiscard]] bool in_worker_locked() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const auto& w) { return w->thread.is_current(); });
  }
  [[nodiscard]] bool lags() const;
  void wait_for_room(Lock& lock);
  void commit(Lock& lock);
  void publish(const EventPtr& event, std::size_t bytes);
  void trim();

  Result<Worker*> start_worker(std::shared_ptr<Cursor> dedicated);
  void run(Worker& me);
  void stand_by(Worker& me, Lock& lock);
  std::shared_ptr<Cursor> next_cursor();
  void serve(Worker& me, const std::shared_ptr<Cursor>& cursor, Lock& lock);
  std::vector<EventPtr> events_for(const Cursor& cursor, Lock& lock);
  void relieve();
  void dismiss_standby(Lock& lock);
  void reap(Lock& lock);
  [[nodiscard]] Clock::duration patience() const { return settings_.slow_callback; }

  const Scope scope_;
  const EventStreamSettings settings_;
  EventStore store_;

  mutable std::mutex mutex_;
  std::condition_variable work_;      // workers wait for events, or for the end
  std::condition_variable progress_;  // others wait for workers
  std::condition_variable commit_;    // those who add wait for the one who writes
  int64_t next_id_;
  std::deque<std::pair<EventPtr, std::size_t>> ring_;  // the latest events, as far back as a cursor needs them
  int64_t ring_first_;
  std::size_t ring_bytes_ = 0;
  std::vector<Ticket*> queue_;
  bool writing_ = false;
  std::string lines_;  // these three belong to the one who writes
  std::vector<std::size_t> ends_;
  Timestamps timestamps_;

  std::vector<std::shared_ptr<Cursor>> cursors_;
  std::list<std::unique_ptr<Worker>> workers_;
  Worker* deliverer_ = nullptr;  // serves all cursors without a thread of their own
  Worker* standby_ = nullptr;    // takes over when the deliverer is kept
  int sleepers_ = 0;             // workers that a new event must wake
  bool thread_failure_told_ = false;

  std::map<std::string, std::string> secrets_;
  std::shared_ptr<const SecretMask> mask_;

  std::mutex close_mutex_;  // one closes, others wait
  bool closing_ = false;
  bool closed_ = false;
  Result<void> close_result_;
};

// --- writing
// -------------------------------------------------------------------------------------------------------------

Result<EventPtr> EventStream::Impl::add(Event event, EventSource source) {
  EventHeader& h = header(event);
  if (h.id >= 0) {
    return fail(Errc::invalid_input, "add event to", store_.path(),
                "the event has the id " + std::to_string(h.id) + " already: it came from a stream",
                "add a new event; a callback must not add the event that it is given");
  }
  h.source = source;
  h.timestamp.clear();
  std::shared_ptr<const SecretMask> mask;
  {
    const std::lock_guard lock(mutex_);
    if (!mask_->current()) mask_ = std::make_shared<const SecretMask>(secrets_);
    mask = mask_;
  }
  if (!mask->empty()) (void)mask_event(event, *mask);
  Ticket ticket;
  ticket.event = &event;
  ticket.rest.reserve(512);
  append_event_rest(event, ticket.rest);
  if (ticket.rest.size() > EventStore::max_event_bytes - 256) {
    return fail(
        Errc::invalid_input, "add event to", store_.path(),
        "the event has " + human_bytes(ticket.rest.size()) + ", more than " + human_bytes(EventStore::max_event_bytes));
  }

  Lock lock(mutex_);
  wait_for_room(lock);
  if (closing_) return fail(Errc::closed, "add event to", store_.path(), "the event stream is closed");
  queue_.push_back(&ticket);
  while (!ticket.done) {
    if (writing_) {
      commit_.wait(lock);
    } else {
      commit(lock);
    }
  }
  relieve();
  return std::move(ticket.result);
}

void EventStream::Impl::commit(Lock& lock) {
  writing_ = true;
  std::vector<Ticket*> batch;
  batch.swap(queue_);
  const int64_t first = next_id_;
  lock.unlock();

  lines_.clear();
  ends_.clear();
  int64_t id = first;
  for (Ticket* ticket : batch) {
    EventHeader& h = header(*ticket->event);
    h.id = id++;
    h.timestamp = timestamps_.now();
    lines_ += "{\"id\":";
    lines_ += std::to_string(h.id);
    lines_ += ",\"timestamp\":\"";
    lines_ += h.timestamp;
    lines_ += "\",";
    lines_ += ticket->rest;
    lines_ += '\n';
    ends_.push_back(lines_.size());
  }
  const Result<void> written = store_.append(lines_, ends_);
  if (lines_.capacity() > (std::size_t{1} << 20)) lines_ = {};
  for (Ticket* ticket : batch) {
    if (written) {
      ticket->result = std::make_shared<const Event>(std::move(*ticket->event));
    } else {
      ticket->result = std::unexpected(written.error());
    }
  }

  lock.lock();
  if (written) {
    for (const Ticket* ticket : batch) publish(*ticket->result, ticket->rest.size());
    if (sleepers_ > 0) work_.notify_all();
  }
  for (Ticket* ticket : batch) ticket->done = true;
  writing_ = false;
  commit_.notify_all();
}

void EventStream::Impl::publish(const EventPtr& event, std::size_t bytes) {
  ++next_id_;
  ring_.emplace_back(event, bytes);
  ring_bytes_ += bytes;
  trim();
}

// Forgets what every cursor has had, and beyond the limits what only the slow ones lack: those read it from the file.
void EventStream::Impl::trim() {
  int64_t needed = next_id_;
  for (const auto& cursor : cursors_) needed = std::min(needed, cursor->next);
  while (!ring_.empty() &&
         (ring_first_ < needed || ring_.size() > settings_.keep_events || ring_bytes_ > settings_.keep_bytes)) {
    ring_bytes_ -= ring_.front().second;
    ring_.pop_front();
    ++ring_first_;
  }
  if (ring_.empty()) ring_first_ = next_id_;
}

// Whether the next event would push another out of memory that the delivering thread has still to deliver.
bool EventStream::Impl::lags() const {
  if (ring_.size() < settings_.keep_events && ring_bytes_ < settings_.keep_bytes) return false;
  return std::any_of(cursors_.begin(), cursors_.end(), [&](const auto& cursor) {
    return !cursor->own_thread && !cursor->removed && cursor->next <= ring_first_;
  });
}

void EventStream::Impl::wait_for_room(Lock& lock) {
  if (!lags() || in_worker_locked()) return;
  const auto until = Clock::now() + backpressure;
  while (!closing_ && lags() && Clock::now() < until) {
    progress_.wait_for(lock, patience());
    relieve();
  }
}

// --- subscribers
// ---------------------------------------------------------------------------------------------------------

Result<void> EventStream::Impl::subscribe(std::string_view subscriber_id, std::string_view callback_id,
                                          EventCallback callback, std::optional<int64_t> start_id) {
  Lock lock(mutex_);
  const std::string name = std::string(subscriber_id) + "/" + std::string(callback_id);
  if (closing_) return fail(Errc::closed, "subscribe", name, "the event stream is closed");
  if (!callback) return fail(Errc::invalid_input, "subscribe", name, "no callback is given");
  auto place = cursors_.end();
  for (auto it = cursors_.begin(); it != cursors_.end(); ++it) {
    if ((*it)->subscriber_id == subscriber_id && (*it)->callback_id == callback_id) {
      return fail(Errc::already_exists, "subscribe", name, "this subscriber has a callback of this id already",
                  "unsubscribe it first, or choose another callback id");
    }
    if (place == cursors_.end() && (*it)->subscriber_id > subscriber_id) place = it;
  }
  auto cursor = std::make_shared<Cursor>();
  cursor->subscriber_id = subscriber_id;
  cursor->callback_id = callback_id;
  cursor->callback = std::move(callback);
  cursor->next = std::clamp<int64_t>(start_id.value_or(next_id_), 0, next_id_);
  if (deliverer_ == nullptr) {
    AWM_TRY(deliverer_, start_worker(nullptr));
  }
  cursors_.insert(place, std::move(cursor));
  work_.notify_all();
  if (!in_worker_locked()) reap(lock);
  return {};
}

Result<void> EventStream::Impl::unsubscribe(std::string_view subscriber_id, std::string_view callback_id) {
  Lock lock(mutex_);
  const auto found = std::find_if(cursors_.begin(), cursors_.end(), [&](const auto& c) {
    return c->subscriber_id == subscriber_id && c->callback_id == callback_id;
  });
  if (found == cursors_.end()) {
    return fail(Errc::not_found, "unsubscribe", std::string(subscriber_id) + "/" + std::string(callback_id),
                "there is no such subscriber");
  }
  std::shared_ptr<Cursor> cursor = *found;
  cursors_.erase(found);
  cursor->removed = true;
  trim();
  work_.notify_all();
  progress_.notify_all();
  if (in_worker_locked()) return {};
  while (cursor->busy) {
    progress_.wait_for(lock, patience());
    relieve();
  }
  while (cursors_.empty() && deliverer_ != nullptr) progress_.wait_for(lock, patience());  // no subscriber, no thread
  reap(lock);
  lock.unlock();
  cursor.reset();  // the callback's belongings end outside the lock
  return {};
}

void EventStream::Impl::set_secrets(std::map<std::string, std::string> secrets) {
  const std::lock_guard lock(mutex_);
  secrets_ = std::move(secrets);
  mask_ = std::make_shared<const SecretMask>(secrets_);
}

void EventStream::Impl::update_secrets(const std::map<std::string, std::string>& secrets) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, value] : secrets) secrets_.insert_or_assign(name, value);
  mask_ = std::make_shared<const SecretMask>(secrets_);
}

Result<void> EventStream::Impl::wait_delivered(Deadline deadline) {
  Lock lock(mutex_);
  if (in_worker_locked()) {
    return fail(Errc::invalid_input, "wait for the subscribers of", store_.path(), "called from one of them");
  }
  const int64_t target = next_id_;
  for (;;) {
    const auto behind = std::find_if(cursors_.begin(), cursors_.end(), [&](const auto& c) { return c->next < target; });
    if (behind == cursors_.end()) break;
    if (closed_) return fail(Errc::closed, "wait for the subscribers of", store_.path(), "the event stream is closed");
    if (deadline.passed()) {
      return fail(Errc::timed_out, "wait for the subscribers of", store_.path(),
                  (*behind)->subscriber_id + "/" + (*behind)->callback_id + " has had " +
                      std::to_string((*behind)->next) + " of " + std::to_string(target) + " events");
    }
    progress_.wait_for(lock, std::min<Clock::duration>(patience(), deadline.left()));
    relieve();
  }
  reap(lock);
  return {};
}

std::vector<EventStream::SubscriberStatus> EventStream::Impl::subscribers() const {
  const std::lock_guard lock(mutex_);
  std::vector<SubscriberStatus> list;
  list.reserve(cursors_.size());
  for (const auto& c : cursors_) {
    list.push_back({.subscriber_id = c->subscriber_id,
                    .callback_id = c->callback_id,
                    .next_id = c->next,
                    .failures = c->failures,
                    .last_failure = c->last_failure,
                    .own_thread = c->own_thread});
  }
  return list;
}

// --- delivering
// ----------------------------------------------------------------------------------------------------------

// The lock is held: the new thread begins only when its entry is complete.
Result<Worker*> EventStream::Impl::start_worker(std::shared_ptr<Cursor> dedicated) {
  workers_.push_back(std::make_unique<Worker>());
  Worker* const worker = workers_.back().get();
  worker->dedicated = std::move(dedicated);
  auto thread = Thread::start(scope_, "events", [this, worker] { run(*worker); });
  if (!thread) {
    workers_.pop_back();
    if (!thread_failure_told_) log_warning("a subscriber of events may delay others: " + thread.error().message());
    thread_failure_told_ = true;
    return std::unexpected(std::move(thread).error());
  }
  worker->thread = *std::move(thread);
  return worker;
}

void EventStream::Impl::run(Worker& me) {
  Lock lock(mutex_);
  bool worked = false;
  const auto rest = [&] {
    if (std::exchange(worked, false)) {
      work_.wait_for(lock, nap);
    } else {
      ++sleepers_;
      work_.wait(lock);
      --sleepers_;
    }
  };
  while (!me.retire) {
    if (me.dedicated) {
      const auto cursor = me.dedicated;
      if (cursor->removed || closing_) break;
      if (cursor->next >= next_id_) {
        rest();
      } else {
        serve(me, cursor, lock);
        worked = true;
      }
    } else if (deliverer_ != &me) {
      stand_by(me, lock);
    } else if (const auto cursor = next_cursor()) {
      serve(me, cursor, lock);
      worked = true;
    } else {
      dismiss_standby(lock);
      const bool any = std::any_of(cursors_.begin(), cursors_.end(), [](const auto& c) { return !c->own_thread; });
      if (next_cursor() != nullptr) continue;  // came while the lock was open
      if (closing_ || !any) break;
      rest();
    }
  }
  if (deliverer_ == &me) deliverer_ = nullptr;
  if (standby_ == &me) standby_ = nullptr;
  me.dedicated.reset();
  me.finished = true;
  progress_.notify_all();
}

void EventStream::Impl::stand_by(Worker& me, Lock& lock) {
  work_.wait_for(lock, patience());
  if (!me.retire && deliverer_ != &me) relieve();
}

// The one furthest behind; of equals the one that has shown itself quick.
std::shared_ptr<Cursor> EventStream::Impl::next_cursor() {
  std::shared_ptr<Cursor> best;
  for (const auto& c : cursors_) {
    if (c->own_thread || c->busy || c->removed || c->next >= next_id_) continue;
    if (!best || c->next < best->next || (c->next == best->next && c->quick_calls > best->quick_calls)) best = c;
  }
  return best;
}

std::vector<EventPtr> EventStream::Impl::events_for(const Cursor& cursor, Lock& lock) {
  std::vector<EventPtr> events;
  if (cursor.next >= ring_first_) {
    const auto from = static_cast<std::size_t>(cursor.next - ring_first_);
    const std::size_t to = std::min(ring_.size(), from + batch_events);
    events.reserve(to - from);
    for (std::size_t i = from; i < to; ++i) events.push_back(ring_[i].first);
    return events;
  }
  const int64_t first = cursor.next;
  const int64_t last = std::min(ring_first_, first + static_cast<int64_t>(batch_events));
  lock.unlock();
  const auto read = store_.read(first, last, [&](int64_t, std::optional<Event> event) {
    // What cannot be read is passed over; its place keeps the count right.
    events.push_back(event ? std::make_shared<const Event>(*std::move(event)) : EventPtr());
    return true;
  });
  lock.lock();
  if (!read && events.empty()) {
    log_warning(read.error().message());
    events.resize(static_cast<std::size_t>(last - first));
  }
  return events;
}

void EventStream::Impl::serve(Worker& me, const std::shared_ptr<Cursor>& cursor, Lock& lock) {
  cursor->busy = true;
  me.current = cursor;
  // Not known to be quick, and others wait: a second thread stands by, for the time of this batch.
  const auto attached =
      std::count_if(cursors_.begin(), cursors_.end(), [](const auto& c) { return !c->own_thread && !c->removed; });
  if (!me.dedicated && standby_ == nullptr && attached > 1 && cursor->quick_calls < calls_until_trusted) {
    if (auto second = start_worker(nullptr)) standby_ = *second;
  }
  const std::vector<EventPtr> events = events_for(*cursor, lock);
  lock.unlock();

  const int64_t batch_began = now_ns();
  const int64_t slow = std::chrono::nanoseconds(patience()).count();
  int64_t had = 0;
  int64_t failures = 0;
  int64_t longest = 0;
  std::string failure;
  for (const EventPtr& event : events) {
    if (cursor->removed.load(std::memory_order_relaxed)) break;
    ++had;
    if (!event) continue;
    const int64_t began = now_ns();
    me.since.store(began, std::memory_order_relaxed);
    try {
      cursor->callback(event);
    } catch (const std::exception& e) {
      ++failures;
      failure = e.what();
    } catch (...) {
      ++failures;
      failure = "an exception that is no std::exception";
    }
    me.since.store(0, std::memory_order_relaxed);
    const int64_t ended = now_ns();
    longest = std::max(longest, ended - began);
    if (ended - batch_began > std::chrono::nanoseconds(batch_time).count()) break;
  }

  lock.lock();
  if (failures > 0) {
    if (cursor->failures == 0) {
      log_warning("subscriber " + cursor->subscriber_id + "/" + cursor->callback_id + " of " + store_.path() +
                  " failed at an event: " + failure);
    }
    cursor->failures += failures;
    cursor->last_failure = failure;
  }
  cursor->next += had;
  cursor->quick_calls = longest < slow / 4 ? cursor->quick_calls + had : 0;
  cursor->busy = false;
  me.current.reset();
  if (longest > slow && !me.dedicated && !cursor->removed) {
    // At the end no thread is worth starting any more: it just gets no further events.
    if (closing_ || start_worker(cursor)) cursor->own_thread = true;
  }
  trim();
  progress_.notify_all();
}

// Called by whoever comes by: when a callback keeps the delivering thread, that thread stays with its subscriber, and
// another delivers to the rest.
void EventStream::Impl::relieve() {
  if (deliverer_ == nullptr || deliverer_->current == nullptr) return;
  const int64_t since = deliverer_->since.load(std::memory_order_relaxed);
  if (since == 0 || now_ns() - since <= std::chrono::nanoseconds(patience()).count()) return;
  Worker* successor = standby_;
  if (successor == nullptr) {
    auto started = start_worker(nullptr);
    if (!started) return;
    successor = *started;
  }
  Worker* const kept = deliverer_;
  kept->dedicated = kept->current;
  kept->current->own_thread = true;
  deliverer_ = successor;
  standby_ = nullptr;
  work_.notify_all();
}

void EventStream::Impl::dismiss_standby(Lock& lock) {
  if (standby_ == nullptr) return;
  standby_->retire = true;
  standby_ = nullptr;
  work_.notify_all();
  reap(lock);
}

// Joins threads that are ending. A retired one ends without further ado.
void EventStream::Impl::reap(Lock& lock) {
  std::list<std::unique_ptr<Worker>> done;
  for (auto it = workers_.begin(); it != workers_.end();) {
    const auto here = it++;
    if (((*here)->finished || (*here)->retire) && !(*here)->thread.is_current())
      done.splice(done.end(), workers_, here);
  }
  if (done.empty()) return;
  lock.unlock();
  done.clear();  // joins
  lock.lock();
}

Result<void> EventStream::Impl::close() {
  {
    Lock lock(mutex_);
    closing_ = true;
    work_.notify_all();
    progress_.notify_all();
    if (in_worker_locked()) return {};
  }
  const std::lock_guard only_one(close_mutex_);
  if (closed_) return close_result_;
  std::vector<std::shared_ptr<Cursor>> released;
  {
    Lock lock(mutex_);
    while (writing_ || !queue_.empty()) commit_.wait(lock);
    if (standby_ != nullptr) {
      standby_->retire = true;
      standby_ = nullptr;
    }
    while (!workers_.empty()) {
      work_.notify_all();
      reap(lock);
      if (workers_.empty()) break;
      progress_.wait_for(lock, patience());
      relieve();
    }
    released.swap(cursors_);
    ring_.clear();
    ring_bytes_ = 0;
    ring_first_ = next_id_;
  }
  released.clear();
  close_result_ = store_.sync();
  store_.close();
  const std::lock_guard lock(mutex_);
  closed_ = true;
  return close_result_;
}

// --- the face
// ------------------------------------------------------------------------------------------------------------

EventStream::EventStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventStream::~EventStream() = default;

Result<std::unique_ptr<EventStream>> EventStream::open(const Scope& scope, const std::string& path,
                                                       const EventStreamSettings& settings) {
  AWM_TRY(EventStore store, EventStore::open(scope.child("stream"), path));
  return std::unique_ptr<EventStream>(new EventStream(std::make_unique<Impl>(scope, std::move(store), settings)));
}

Result<EventPtr> EventStream::add_event(Event event, EventSource source) {
  return impl_->add(std::move(event), source);
}

Result<void> EventStream::subscribe(std::string_view subscriber_id, std::string_view callback_id,
                                    EventCallback callback, std::optional<int64_t> start_id) {
  return impl_->subscribe(subscriber_id, callback_id, std::move(callback), start_id);
}

Result<void> EventStream::unsubscribe(std::string_view subscriber_id, std::string_view callback_id) {
  return impl_->unsubscribe(subscriber_id, callback_id);
}

void EventStream::set_secrets(std::map<std::string, std::string> secrets) {
  impl_->set_secrets(std::move(secrets));
}

void EventStream::update_secrets(const std::map<std::string, std::string>& secrets) {
  impl_->update_secrets(secrets);
}

int64_t EventStream::next_id() const {
  return impl_->next_id();
}

Result<Event> EventStream::get_event(int64_t id) const {
  return impl_->store().get(id);
}

Result<std::vector<Event>> EventStream::search(const EventQuery& query) const {
  return impl_->store().search(query);
}

Result<void> EventStream::replay(int64_t start_id, const std::function<bool(const Event&)>& take) const {
  return impl_->store().read(start_id, impl_->store().size(),
                             [&](int64_t, std::optional<Event> event) { return !event || take(*event); });
}

Result<void> EventStream::wait_delivered(Deadline deadline) {
  return impl_->wait_delivered(deadline);
}

std::vector<EventStream::SubscriberStatus> EventStream::subscribers() const {
  return impl_->subscribers();
}

Result<void> EventStream::close() noexcept {
  return impl_->close();
}

bool EventStream::closed() const {
  return impl_->closed();
}

const std::string& EventStream::path() const {
  return impl_->store().path();
}

}  // namespace awm
