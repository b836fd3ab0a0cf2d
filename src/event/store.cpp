#include "event/store.h"

#include <algorithm>
#include <cstring>
#include <shared_mutex>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {

bool EventFilter::matches(const Event& event) const {
  const EventHeader& h = header(event);
  if (source != EventSource::none && h.source != source) return false;
  if (!start_date.empty() && !h.timestamp.empty() && h.timestamp < start_date) return false;
  if (!end_date.empty() && !h.timestamp.empty() && h.timestamp > end_date) return false;
  if (exclude_hidden && is_hidden(event)) return false;
  const auto named_in = [&](const std::vector<std::string>& names) {
    const std::string_view kind = kind_of(event);
    const std::string_view side = std::holds_alternative<Action>(event) ? "action:" : "observation:";
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return name == kind || (name.starts_with(side) && name.substr(side.size()) == kind);
    });
  };
  if (!kinds.empty() && !named_in(kinds)) return false;
  if (named_in(exclude_kinds)) return false;
  if (!text.empty()) {
    const std::string where = to_lower_ascii(event_to_json(event));
    // As it stands in the JSON, or as people type it: there a line break is one character, here two.
    const std::string typed = dump_json(Json(text));
    if (!contains(where, to_lower_ascii(text)) &&
        !contains(where, to_lower_ascii(std::string_view(typed).substr(1, typed.size() - 2)))) {
      return false;
    }
  }
  return true;
}

namespace {
constexpr std::size_t piece_bytes = std::size_t{1} << 20;  // read at a time, unless one event is larger
constexpr int64_t piece_events = 256;
}  // namespace

struct EventStore::State {
  UniqueFd fd;
  std::string path;
  uint64_t cut = 0;
  bool broken = false;                 // the file may end in half a line; cut before the next append
  mutable std::shared_mutex fd_mutex;  // a reader must not meet the number of a descriptor that is closed under it
  mutable std::mutex mutex;
  std::vector<uint64_t> starts;  // of each event
  uint64_t end = 0;              // of the last one

  Error named(Error error) const {
    error.object = path;
    return error;
  }

  Result<std::string> bytes(uint64_t from, uint64_t to) const {
    const std::shared_lock open(fd_mutex);
    if (!fd) return fail(Errc::closed, "read", path, "the event store is closed");
    std::string out(to - from, '\0');
    std::size_t have = 0;
    while (have < out.size()) {
      auto n = sys::pread(fd.get(), out.data() + have, out.size() - have, from + have);
      if (!n) return std::unexpected(named(std::move(n).error()));
      if (*n == 0) return fail(Errc::io, "read", path, "the file is shorter than it was");
      have += *n;
    }
    return out;
  }

  // Finds the lines. What follows the last line feed is left out: it is not an event.
  Result<void> index() {
    std::string buffer(piece_bytes, '\0');
    uint64_t at = 0;
    uint64_t line_start = 0;
    for (;;) {
      auto n = sys::pread(fd.get(), buffer.data(), buffer.size(), at);
      if (!n) return std::unexpected(named(std::move(n).error()));
      if (*n == 0) break;
      const char* const base = buffer.data();
      for (const char* p = base; p < base + *n;) {
        const auto* found = static_cast<const char*>(std::memchr(p, '\n', static_cast<std::size_t>(base + *n - p)));
        if (found == nullptr) break;
        starts.push_back(line_start);
        line_start = at + static_cast<uint64_t>(found - base) + 1;
        p = found + 1;
      }
      at += *n;
    }
    end = line_start;
    cut = at - line_start;
    return {};
  }

  [[nodiscard]] uint64_t end_of(std::size_t i) const { return i + 1 < starts.size() ? starts[i + 1] : end; }

  // After a crash the last lines may be half written or zeros.
  Result<void> drop_broken_tail() {
    while (!starts.empty()) {
      const uint64_t from = starts.back();
      if (end - from <= EventStore::max_event_bytes) {
        AWM_TRY(const std::string line, bytes(from, end));
        if (event_from_text(line, path)) break;
      }
      cut += end - from;
      end = from;
      starts.pop_back();
    }
    return {};
  }

  Result<void> read(int64_t first, int64_t last, const std::function<bool(int64_t, std::optional<Event>)>& take) const {
    first = std::max<int64_t>(first, 0);
    std::vector<uint64_t> edges;
    while (first < last) {
      edges.clear();
      {
        const std::lock_guard lock(mutex);
        last = std::min(last, static_cast<int64_t>(starts.size()));
        if (first >= last) break;
        const uint64_t from = starts[static_cast<std::size_t>(first)];
        edges.push_back(from);
        for (int64_t id = first; id < std::min(last, first + piece_events); ++id) {
          const uint64_t to = end_of(static_cast<std::size_t>(id));
          if (to - from > piece_bytes && edges.size() > 1) break;
          edges.push_back(to);
        }
      }
      AWM_TRY(const std::string piece, bytes(edges.front(), edges.back()));
      for (std::size_t i = 0; i + 1 < edges.size(); ++i, ++first) {
        std::string_view line(piece);
        line = line.substr(edges[i] - edges[0], edges[i + 1] - edges[i]);
        line.remove_suffix(1);
        auto event = event_from_text(line, path + ":" + std::to_string(first + 1));
        if (!take(first, event ? std::optional<Event>(*std::move(event)) : std::nullopt)) return {};
      }
    }
    return {};
  }

  Result<std::vector<Event>> search(const EventQuery& query) const {
    std::vector<Event> found;
    int64_t size = 0;
    {
      const std::lock_guard lock(mutex);
      size = static_cast<int64_t>(starts.size());
    }
    const int64_t first = std::max<int64_t>(query.start_id, 0);
    const int64_t last = query.end_id && *query.end_id < size - 1 ? *query.end_id + 1 : size;
    const std::size_t limit = query.limit.value_or(SIZE_MAX);
    if (limit == 0) return found;
    if (!query.reverse) {
      AWM_CHECK(read(first, last, [&](int64_t, std::optional<Event> event) {
        if (event && query.filter.matches(*event)) found.push_back(*std::move(event));
        return found.size() < limit;
      }));
      return found;
    }
    for (int64_t top = last; top > first && found.size() < limit;) {
      const int64_t bottom = std::max(first, top - 64);
      std::vector<Event> block;
      AWM_CHECK(read(bottom, top, [&](int64_t, std::optional<Event> event) {
        if (event && query.filter.matches(*event)) block.push_back(*std::move(event));
        return true;
      }));
      for (auto it = block.rbegin(); it != block.rend() && found.size() < limit; ++it) found.push_back(std::move(*it));
      top = bottom;
    }
    return found;
  }
};

EventStore::EventStore(EventStore&&) noexcept = default;
EventStore& EventStore::operator=(EventStore&&) noexcept = default;
EventStore::~EventStore() = default;

Result<EventStore> EventStore::open(const Scope& scope, const std::string& path) {
  EventStore store;
  store.state_ = std::make_unique<State>();
  State& s = *store.state_;
  s.path = path;
  AWM_TRY(s.fd, sys::open(scope, path, sys::Open::append_read));
  if (auto locked = sys::try_lock(s.fd.get()); !locked) {
    Error error = s.named(std::move(locked).error());
    if (error.code == Errc::exhausted) {
      error.cause = "another event stream writes it";
      error.remedy = "end the other run, or choose another output folder";
    }
    return std::unexpected(std::move(error));
  }
  AWM_CHECK(s.index());
  AWM_CHECK(s.drop_broken_tail());
  if (s.cut > 0) {
    if (auto done = sys::ftruncate(s.fd.get(), s.end); !done) return std::unexpected(s.named(std::move(done).error()));
  }
  return store;
}

Result<void> EventStore::append(std::string_view lines, const std::vector<std::size_t>& ends) {
  if (!is_open()) return fail(Errc::closed, "append event to", path(), "the event store is closed");
  State& s = *state_;
  if (s.broken) {
    if (auto done = sys::ftruncate(s.fd.get(), s.end); !done) return std::unexpected(s.named(std::move(done).error()));
    s.broken = false;
  }
  if (auto done = sys::write_all(s.fd.get(), lines); !done) {
    s.broken = !sys::ftruncate(s.fd.get(), s.end);
    return std::unexpected(s.named(std::move(done).error()));
  }
  const std::lock_guard lock(s.mutex);
  const uint64_t base = s.end;
  uint64_t from = base;
  for (const std::size_t to : ends) {
    s.starts.push_back(from);
    from = base + to;
  }
  s.end = from;
  return {};
}

Result<void> EventStore::sync() {
  if (!is_open()) return fail(Errc::closed, "sync", path(), "the event store is closed");
  if (auto done = sys::fdatasync(state_->fd.get()); !done)
    return std::unexpected(state_->named(std::move(done).error()));
  return {};
}

void EventStore::close() noexcept {
  if (!state_) return;
  const std::unique_lock alone(state_->fd_mutex);
  state_->fd.reset();
}

int64_t EventStore::size() const {
  if (!state_) return 0;
  const std::lock_guard lock(state_->mutex);
  return static_cast<int64_t>(state_->starts.size());
}

uint64_t EventStore::cut_bytes() const {
  return state_ ? state_->cut : 0;
}

const std::string& EventStore::path() const {
  static const std::string none;
  return state_ ? state_->path : none;
}

bool EventStore::is_open() const {
  if (!state_) return false;
  const std::shared_lock open(state_->fd_mutex);
  return static_cast<bool>(state_->fd);
}

Result<Event> EventStore::get(int64_t id) const {
  if (!is_open()) return fail(Errc::closed, "read event of", path(), "the event store is closed");
  if (id < 0 || id >= size()) {
    return fail(Errc::not_found, "read event of", path(), "there is no event " + std::to_string(id));
  }
  uint64_t from = 0;
  uint64_t to = 0;
  {
    const std::lock_guard lock(state_->mutex);
    from = state_->starts[static_cast<std::size_t>(id)];
    to = state_->end_of(static_cast<std::size_t>(id));
  }
  AWM_TRY(const std::string line, state_->bytes(from, to));
  return event_from_text(std::string_view(line).substr(0, line.size() - 1), path() + ":" + std::to_string(id + 1));
}

Result<void> EventStore::read(int64_t first, int64_t last,
                              const std::function<bool(int64_t, std::optional<Event>)>& take) const {
  if (!is_open()) return fail(Errc::closed, "read", path(), "the event store is closed");
  return state_->read(first, last, take);
}

Result<std::vector<Event>> EventStore::search(const EventQuery& query) const {
  if (!is_open()) return fail(Errc::closed, "search", path(), "the event store is closed");
  return state_->search(query);
}

Result<EventStore> EventStore::open_to_read(const Scope& scope, const std::string& path) {
  EventStore store;
  store.state_ = std::make_unique<State>();
  store.state_->path = path;
  AWM_TRY(store.state_->fd, sys::open(scope, path, sys::Open::read));
  AWM_CHECK(store.state_->index());
  return store;
}

Result<std::vector<Event>> search_events_file(const std::string& path, const EventQuery& query) {
  AWM_TRY(const EventStore store, EventStore::open_to_read(Scope("events"), path));
  return store.search(query);
}

Result<int64_t> export_openhands_session(const std::string& events_jsonl, const std::string& folder,
                                         const std::string& sid) {
  constexpr int64_t page_size = 25;  // EventStore.cache_size of OpenHands
  if (sid.empty() || sid == "." || sid == ".." || contains(sid, "/")) {
    return fail(Errc::invalid_input, "export events to", folder, "\"" + sid + "\" cannot name a session");
  }
  AWM_TRY(const EventStore store, EventStore::open_to_read(Scope("events"), events_jsonl));
  const std::string session = join_path(join_path(folder, "sessions"), sid);
  AWM_CHECK(make_folders(join_path(session, "events")));
  AWM_CHECK(make_folders(join_path(session, "event_cache")));
  int64_t count = 0;
  std::string page;
  int64_t in_page = 0;
  Result<void> wrote;
  const auto read = store.read(0, store.size(), [&](int64_t id, std::optional<Event> event) {
    if (id % page_size == 0) {
      page.clear();
      in_page = 0;
    }
    if (!event) return true;  // its page is not full then, and OpenHands reads the single files
    header(*event).id = id;
    const auto json = parse_json(event_to_json(*event), events_jsonl);
    const std::string text = json ? dump_json_python(*json) : event_to_json(*event);
    wrote = write_new_file(join_path(join_path(session, "events"), std::to_string(id) + ".json"), text);
    page += (page.empty() ? "[" : ", ") + text;
    ++in_page;
    ++count;
    if (wrote && in_page == page_size) {
      const int64_t first = id - id % page_size;
      const std::string name = std::to_string(first) + "-" + std::to_string(first + page_size) + ".json";
      wrote = write_new_file(join_path(join_path(session, "event_cache"), name), page + "]");
    }
    return wrote.has_value();
  });
  AWM_CHECK(read);
  AWM_CHECK(wrote);
  return count;
}

Result<int64_t> export_trajectory(const std::string& events_jsonl, const std::string& trajectory_json) {
  AWM_TRY(const EventStore store, EventStore::open_to_read(Scope("events"), events_jsonl));
  const std::string beside = trajectory_json + ".tmp";
  AWM_TRY(const UniqueFd out, sys::open(Scope("events"), beside, sys::Open::write_truncate));
  int64_t count = 0;
  std::string buffer = "[";
  Result<void> wrote;
  const auto read = store.read(0, store.size(), [&](int64_t, std::optional<Event> event) {
    if (!event) return true;
    buffer += (count == 0 ? "\n" : ",\n") + event_to_json(*event);
    ++count;
    if (buffer.size() >= piece_bytes) {
      wrote = sys::write_all(out.get(), buffer);
      buffer.clear();
    }
    return wrote.has_value();
  });
  buffer += "\n]\n";
  if (read && wrote) wrote = sys::write_all(out.get(), buffer);
  if (read && wrote) wrote = sys::rename(beside, trajectory_json);
  if (!read || !wrote) (void)sys::unlink(beside);
  AWM_CHECK(read);
  AWM_CHECK(wrote);
  return count;
}

}  // namespace awm
