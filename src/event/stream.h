// One sample's events: ordered, kept in a file, told to subscribers. Subscribers are cursors in this log, not queues:
// one thread delivers to all; a callback that takes long keeps that thread for itself, and another takes over for the
// rest.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "event/event.h"
#include "event/store.h"

namespace awm {

using EventPtr = std::shared_ptr<const Event>;
using EventCallback = std::function<void(const EventPtr&)>;

struct EventStreamSettings {
  // A callback that takes longer than this goes to a thread of its own, from then on.
  Milliseconds slow_callback{20};
  // Events kept in memory for cursors that lag; a cursor further behind reads the file.
  std::size_t keep_events = 8192;
  std::size_t keep_bytes = std::size_t{4} << 20;
};

// Thread-safe. Descriptors: one (the file). Threads: none without subscribers, one with them, and one more for each
// subscriber found slow.
class EventStream {
 public:
  // Opens or continues `path` (events.jsonl): ids go on where they ended. Errors: those of EventStore::open.
  static Result<std::unique_ptr<EventStream>> open(const Scope& scope, const std::string& path,
                                                   const EventStreamSettings& settings = {});
  ~EventStream();  // closes; from a callback this is a bug, and ends the program

  // Gives the event its id, timestamp and source, hides secrets, writes it, and then tells the subscribers. Returns
  // when it is written: it survives our own death from here, a power failure from close() on. From a callback too.
  // Errors: closed; invalid_input (it has an id already: it came from a stream; or is larger than
  // EventStore::max_event_bytes); exhausted, io (not written: the event is not in the stream, and its id is not used).
  Result<EventPtr> add_event(Event event, EventSource source);

  // Events from `start_id` on (next_id() or less: older ones are replayed; by default only what is new) go to
  // `callback`, in order, one at a time. An exception from it is logged and counted, and harms nobody.
  // Errors: already_exists (this pair of ids), closed, exhausted (no thread).
  Result<void> subscribe(std::string_view subscriber_id, std::string_view callback_id, EventCallback callback,
                         std::optional<int64_t> start_id = std::nullopt);
  // Returns when the callback is not running and will not be called again; from any of this stream's callbacks at once
  // (it gets no further event, but may be in its last). What it holds is destroyed then.
  // Errors: not_found.
  Result<void> unsubscribe(std::string_view subscriber_id, std::string_view callback_id);

  // Values that must never be seen: each becomes <secret_hidden> in later events. Also hidden ("***") is what the log
  // hides. Secrets of fewer than 4 bytes are not.
  void set_secrets(std::map<std::string, std::string> secrets);
  void update_secrets(const std::map<std::string, std::string>& secrets);

  [[nodiscard]] int64_t next_id() const;
  Result<Event> get_event(int64_t id) const;
  Result<std::vector<Event>> search(const EventQuery& query) const;
  // All events from start_id on, read from the file, in order, through `take`; false ends it.
  Result<void> replay(int64_t start_id, const std::function<bool(const Event&)>& take) const;

  // Waits until every subscriber has had every event added before this call; timed_out names who has not. From a
  // callback: an error (invalid_input).
  Result<void> wait_delivered(Deadline deadline);

  struct SubscriberStatus {
    std::string subscriber_id;
    std::string callback_id;
    int64_t next_id = 0;   // the next event it gets
    int64_t failures = 0;  // exceptions so far
    std::string last_failure;
    bool own_thread = false;
  };
  [[nodiscard]] std::vector<SubscriberStatus> subscribers() const;

  // No more events; those added are still delivered, except to subscribers on threads of their own, which get none
  // after the one they are in. Then joins every thread, releases every subscriber, syncs and closes the file.
  // Idempotent: later calls return the first outcome. From a callback: marks only (no more events), and returns; the
  // owner's close() or destructor does the rest. A callback must return: this waits for it.
  Result<void> close() noexcept;
  [[nodiscard]] bool closed() const;

  [[nodiscard]] const std::string& path() const;

 private:
  class Impl;
  explicit EventStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace awm
