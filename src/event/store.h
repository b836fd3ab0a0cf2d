// The file of an event stream: events.jsonl, one event a line, appended, never rewritten. A torn last line is cut off
// at the next start. Line n (from 0) is event n.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ledger.h"
#include "base/result.h"
#include "event/event.h"
#include "os/unique_fd.h"

namespace awm {

// Which events a search wants; what is left empty does not matter. As OpenHands' EventFilter.
struct EventFilter {
  std::vector<std::string> kinds;          // "run", …; also "action:run" or "observation:run" for one side only
  std::vector<std::string> exclude_kinds;  // the same
  EventSource source = EventSource::none;
  std::string text;        // part of the event's JSON or of its strings; ASCII case does not matter
  std::string start_date;  // ISO; events before it are left out
  std::string end_date;    // ISO; events after it are left out
  bool exclude_hidden = false;

  [[nodiscard]] bool matches(const Event& event) const;
};

struct EventQuery {
  int64_t start_id = 0;
  std::optional<int64_t> end_id{};  // inclusive
  bool reverse = false;
  std::optional<std::size_t> limit{};  // matching events; 0 gives none
  EventFilter filter{};
};

// One descriptor from open() to close(). append(), sync() and close() are for one caller at a time; the reading
// functions may run beside them from any thread.
class EventStore {
 public:
  static constexpr std::size_t max_event_bytes = std::size_t{32} << 20;  // of one line

  EventStore() = default;
  EventStore(EventStore&&) noexcept;
  EventStore& operator=(EventStore&&) noexcept;
  ~EventStore();

  // Opens or makes the file and locks it against a second writer (exhausted when there is one). Last lines that are
  // torn or no JSON are cut off: cut_bytes() says how much.
  static Result<EventStore> open(const Scope& scope, const std::string& path);

  // A file that nobody writes: no lock, nothing cut, no append.
  static Result<EventStore> open_to_read(const Scope& scope, const std::string& path);

  // Writes whole lines (each ends with a line feed, `ends` are their ends within `lines`) in one call. After a failure
  // the file is as before: all or nothing, also when the disk is full.
  Result<void> append(std::string_view lines, const std::vector<std::size_t>& ends);
  Result<void> sync();  // fdatasync
  void close() noexcept;

  [[nodiscard]] int64_t size() const;  // events; the next id
  [[nodiscard]] uint64_t cut_bytes() const;
  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] bool is_open() const;

  // Errors: not_found (no such id), closed, invalid_input naming file and line (malformed), io.
  Result<Event> get(int64_t id) const;
  // Events first…last (exclusive) in order, a bounded piece of the file at a time. `take` returns false to end. A
  // malformed line is passed as nullopt: a reader leaves it out, as OpenHands leaves out what it cannot read.
  Result<void> read(int64_t first, int64_t last,
                    const std::function<bool(int64_t id, std::optional<Event>)>& take) const;
  Result<std::vector<Event>> search(const EventQuery& query) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The same over a file that nobody writes. For reports, exports, and files of others.
Result<std::vector<Event>> search_events_file(const std::string& path, const EventQuery& query = {});

// OpenHands' layout: `folder`/sessions/SID/events/N.json and, for every full page of 25, event_cache/A-B.json. Returns
// the number of events. Malformed lines are left out.
Result<int64_t> export_openhands_session(const std::string& events_jsonl, const std::string& folder,
                                         const std::string& sid);
// A trajectory file: all events of events.jsonl as one JSON array, as OpenHands' save_trajectory_path writes it.
Result<int64_t> export_trajectory(const std::string& events_jsonl, const std::string& trajectory_json);

}  // namespace awm
