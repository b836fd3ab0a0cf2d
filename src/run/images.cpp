#include "run/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/text.h"
#include "os/log.h"
#include "os/thread.h"

namespace awm {
namespace {

constexpr Seconds look_limit{60};      // one look at an image
constexpr Seconds removal_limit{300};  // large images take their time
constexpr Seconds pull_limit{24.0 * 3600};
constexpr auto stuck_period = std::chrono::minutes(1);  // an image that somebody's container uses is left alone so long
constexpr Seconds say_period{30};                       // how a pull goes on, for who reads lines
constexpr Milliseconds slice{100};
constexpr Milliseconds status_period{200};
constexpr std::size_t none = SIZE_MAX;
constexpr std::size_t far_enough = 256;  // positions looked at for what comes next

}  // namespace

class Images::State : public std::enable_shared_from_this<Images::State> {
 public:
  State(const Engine& engine, const Stop& stop, const Scope& scope, ImagesSettings settings)
      : engine_(engine), stop_(stop), scope_(scope.child("images")), settings_(std::move(settings)) {}

  void expect(std::vector<std::string> names, const std::string& platform) {
    {
      const std::lock_guard lock(mutex_);
      names_ = std::move(names);
      platform_ = platform;
      begun_.assign(names_.size(), false);
      finished_.assign(names_.size(), false);
      for (std::size_t i = 0; i < names_.size(); ++i) {
        if (!names_[i].empty()) entries_[names_[i]].positions.push_back(i);
      }
    }
    fetch_ahead();
  }

  void begun(std::size_t position) {
    {
      const std::lock_guard lock(mutex_);
      if (position >= begun_.size() || begun_[position]) return;
      begun_[position] = true;
      if (!finished_[position] && !names_[position].empty()) ++entries_[names_[position]].live;
    }
    fetch_ahead();
  }

  void finished(std::size_t position) {
    {
      const std::lock_guard lock(mutex_);
      if (position >= finished_.size() || finished_[position]) return;
      finished_[position] = true;
      if (begun_[position] && !names_[position].empty()) --entries_[names_[position]].live;
      begun_[position] = true;
    }
    // What was in use may have gone over the budget.
    if (!stop_.cancelled()) (void)make_room(0, 0);
    fetch_ahead();
  }

  Result<HeldImage> hold(const std::string& name, const std::string& platform, Cancel& cancel, Deadline deadline) {
    join_ended();
    const Waiter waiter{.name = name, .cancel = cancel, .deadline = deadline};
    std::unique_lock lock(mutex_);
    if (closed_) return fail(Errc::closed, "use image", name, "the run's images are closed");
    Entry& entry = entries_[name];
    ++entry.users;
    // From here on it is not removed; and it is given back with the lease, taken or not.
    std::shared_ptr<const void> lease(nullptr, [state = shared_from_this(), &entry](const void*) {
      const std::lock_guard of_entry(state->mutex_);
      --entry.users;
      entry.tried_ahead = false;
    });
    lock.unlock();
    auto info = wait_for(entry, waiter, platform);
    if (!info) return std::unexpected(std::move(info).error());
    return HeldImage{.info = *std::move(info), .lease = std::move(lease)};
  }

  [[nodiscard]] uint64_t used() const {
    const std::lock_guard lock(mutex_);
    return used_now();
  }

  void close() noexcept {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      for (auto& [name, entry] : entries_) {
        if (entry.pull) entry.pull->cancel.request();
      }
    }
    closing_.request();
    changed_.notify_all();
    std::vector<std::shared_ptr<Pull>> ended;
    {
      // Each pull moves itself from its entry to the ended ones.
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] {
        return std::none_of(entries_.begin(), entries_.end(),
                            [](const auto& one) { return one.second.pull != nullptr; });
      });
      ended.swap(ended_);
    }
    for (const auto& pull : ended) pull->thread.join();
  }

 private:
  // A pull, or the look that found it unnecessary, on a thread of its own.
  struct Pull {
    Cancel cancel;
    Thread thread;
    std::size_t ahead_of = none;  // the position for which it is fetched before it is asked for
    int wanted = 0;               // who waits for it
    bool given_up = false;        // nobody did any more: who comes now waits for its end and tries anew
    bool done = false;
    bool left = false;  // its thread is at its end
    std::optional<Result<ImageInfo>> result;
    bool pulling = false;  // nothing to be told before
    PullProgress progress;
    Clock::time_point began = Clock::now();
    Clock::time_point told = Clock::now();
  };

  struct Entry {
    std::vector<std::size_t> positions;  // that need it, in their order
    std::size_t at = 0;                  // those before it are finished
    int live = 0;                        // positions that began and are not finished
    int users = 0;                       // leases, and who waits for one
    bool there = false;                  // when last seen
    bool ours = false;                   // pulled here, and was not there before
    uint64_t pulls = 0;                  // that brought it
    bool stuck = false;                  // could not be removed when last tried
    Clock::time_point try_again{};       // before then it is not tried
    bool removing = false;
    bool tried_ahead = false;        // not fetched ahead again before it was used
    std::vector<ImageLayer> layers;  // of ours
    std::shared_ptr<Pull> pull;      // in flight
  };

  struct Waiter {
    const std::string& name;
    Cancel& cancel;
    Deadline deadline;
  };

  void say(const std::string& line) const {
    if (settings_.say) settings_.say(line);
  }

  // --- waiting
  // Why a wait ends before its time.
  Result<void> may_wait(const Waiter& waiter) const {
    if (waiter.cancel.requested()) return std::unexpected(cancelled_error("wait for image", waiter.name));
    if (stop_.cancelled()) return std::unexpected(stopped_error("wait for image", waiter.name));
    if (waiter.deadline.passed())
      return fail(Errc::timed_out, "wait for image", waiter.name, "it is being pulled still");
    return {};
  }

  template <class Condition>
  Result<void> wait_while(std::unique_lock<std::mutex>& lock, const Waiter& waiter, Condition condition) {
    while (condition()) {
      AWM_CHECK(may_wait(waiter));
      changed_.wait_for(lock, slice);
    }
    return {};
  }

  Result<ImageInfo> wait_for(Entry& entry, const Waiter& waiter, const std::string& platform) {
    for (;;) {
      uint64_t pulls = 0;
      {
        std::unique_lock lock(mutex_);
        AWM_CHECK(wait_while(lock, waiter, [&] { return entry.removing; }));
        pulls = entry.pulls;
      }
      // Most often it is there, and then nobody need be asked.
      AWM_TRY(auto found, find_image(engine_.with(waiter.cancel), waiter.name, platform,
                                     sooner(waiter.deadline, Deadline::in(look_limit))));
      std::unique_lock lock(mutex_);
      if (found) {
        entry.there = true;
        return *std::move(found);
      }
      if (entry.pulls != pulls) continue;  // brought meanwhile
      entry.there = false;
      if (!entry.pull) {
        entry.ours = false;  // somebody else removed it
        entry.layers.clear();
      }
      if (!entry.pull) AWM_CHECK(start(entry, waiter.name, platform, none));
      const auto pull = entry.pull;
      if (!pull->given_up) ++pull->wanted;
      const bool counted = !pull->given_up;
      auto waited = wait_while(lock, waiter, [&] { return !pull->done; });
      if (counted && --pull->wanted == 0 && !pull->done && pull->ahead_of == none) {
        pull->given_up = true;
        pull->cancel.request();
      }
      if (!waited) return std::unexpected(std::move(waited).error());
      if (closed_) return fail(Errc::closed, "use image", waiter.name, "the run's images are closed");
      if (counted && !pull->given_up) return *pull->result;
    }
  }

  // --- pulling
  // With the lock held.
  Result<void> start(Entry& entry, const std::string& name, const std::string& platform, std::size_t ahead_of) {
    if (closed_) return fail(Errc::closed, "pull image", name, "the run's images are closed");
    auto pull = std::make_shared<Pull>();
    pull->ahead_of = ahead_of;
    entry.pull = pull;
    auto thread =
        Thread::start(scope_, "pull", [this, pull, &entry, name, platform] { work(*pull, entry, name, platform); });
    if (!thread) {
      entry.pull.reset();
      return std::unexpected(std::move(thread).error());
    }
    pull->thread = *std::move(thread);
    return {};
  }

  void work(Pull& pull, Entry& entry, const std::string& name, const std::string& platform) {
    auto result = fetch(pull, entry, name, platform);
    const bool pulled = pull.pulling && result.has_value();
    {
      const std::lock_guard lock(mutex_);
      entry.there = result.has_value();
      pull.result = std::move(result);
      pull.done = true;
      if (pull.ahead_of != none) ahead_ = false;
      ended_.push_back(std::exchange(entry.pull, nullptr));
    }
    changed_.notify_all();
    tell_status(true);
    if (pulled) (void)make_room(0, 0);
    fetch_ahead();
    const std::lock_guard lock(mutex_);
    pull.left = true;
  }

  Result<ImageInfo> fetch(Pull& pull, Entry& entry, const std::string& name, const std::string& platform) {
    const Engine engine = engine_.with(pull.cancel);
    const auto deadline = Deadline::in(pull_limit);
    const auto look = [&] { return find_image(engine, name, platform, Deadline::in(look_limit)); };
    if (pull.ahead_of != none) {
      AWM_TRY(auto found, look());
      if (found) return *std::move(found);
      AWM_CHECK(room_ahead(pull, entry));
    }
    AWM_TRY(const auto lock, lock_image(engine, scope_, name, deadline,
                                        [&] { say("image " + name + " is being pulled by another process"); }));
    // Whoever pulled it meanwhile, it was not we: it is not ours to remove.
    AWM_TRY(auto found, look());
    if (found) return *std::move(found);
    if (pull.ahead_of == none) (void)make_room(expected_size(), 0);
    AWM_CHECK(bring(engine, pull, name, platform, deadline));
    {
      // Whatever comes now, it is there by us.
      const std::lock_guard of_state(mutex_);
      entry.ours = true;
      ++entry.pulls;
    }
    auto brought = look();
    if (!brought) {
      // The registry has nothing else under this name: it is of no use to us, and nobody else had it.
      if (brought.error().code == Errc::unsupported) {
        if (auto gone = remove_image(engine_.with(closing_), name, Deadline::in(removal_limit)); !gone) {
          log_warning(gone.error().message());
        } else {
          const std::lock_guard of_state(mutex_);
          entry.ours = false;
        }
      }
      return std::unexpected(std::move(brought).error());
    }
    if (!*brought)
      return fail(Errc::protocol, "pull image", name, "the engine says it was pulled, and does not have it");
    ImageInfo info = **std::move(brought);
    auto layers = image_layers(engine, name, Deadline::in(look_limit));
    if (!layers) layers = std::vector<ImageLayer>{{.key = name, .size = info.size}};
    {
      const std::lock_guard of_state(mutex_);
      entry.stuck = false;
      entry.try_again = {};
      entry.layers = *std::move(layers);
    }
    say(fmt::format("image {}: pulled, {} in {}", name, human_bytes(info.size),
                    human_seconds(Seconds(Clock::now() - pull.began).count())));
    return info;
  }

  // The pull itself, as who is logged in.
  Result<void> bring(const Engine& engine, Pull& pull, const std::string& name, const std::string& platform,
                     Deadline deadline) {
    PullOptions options{.platform = platform, .registry_auth = {}, .retries = settings_.retries};
    std::string no_login;
    if (settings_.login) {
      auto login = settings_.login(name, pull.cancel);
      if (login) {
        options.registry_auth = *std::move(login);
      } else {
        no_login = login.error().message();
        log_warning(no_login + "; pulling " + name + " without a login");
      }
    }
    options.progress = [&](const PullProgress& progress) { note(pull, name, progress); };
    options.will_retry = [&](const Error& error, Seconds wait) {
      say(fmt::format("image {}: {}; again in {}", name, error.cause, human_seconds(wait.count())));
    };
    {
      const std::lock_guard of_state(mutex_);
      pull.pulling = true;
      pull.began = pull.told = Clock::now();
    }
    say(fmt::format("pulling image {}{}", name, pull.ahead_of != none ? " ahead" : ""));
    auto pulled = pull_image(engine, name, options, deadline);
    if (pulled) return {};
    auto error = std::move(pulled).error();
    if (error.code == Errc::permission && !no_login.empty()) error.cause += "; and " + no_login;
    return std::unexpected(std::move(error));
  }

  // --- telling
  void note(Pull& pull, const std::string& name, const PullProgress& progress) {
    const auto now = Clock::now();
    bool tell = false;
    {
      const std::lock_guard lock(mutex_);
      pull.progress = progress;
      tell = now - pull.told >= say_period;
      if (tell) pull.told = now;
    }
    if (tell) say(fmt::format("image {}: {:.0f} %, {}", name, 100 * progress.part, human_bytes(progress.bytes)));
    tell_status(false);
  }

  void tell_status(bool now) {
    if (!settings_.status) return;
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      const auto time = Clock::now();
      if (!now && time - status_told_ < status_period) return;
      status_told_ = time;
      for (const auto& [name, entry] : entries_) {
        if (!entry.pull || !entry.pull->pulling) continue;
        const Pull& pull = *entry.pull;
        text +=
            fmt::format("{}pulling image {} {:.0f} %, {}{}", text.empty() ? "" : "\n", name, 100 * pull.progress.part,
                        human_bytes(pull.progress.bytes), pull.wanted > 0 ? "" : ", ahead");
      }
    }
    settings_.status(text);
  }

  // --- fetching ahead
  void fetch_ahead() {
    const std::lock_guard lock(mutex_);
    if (closed_ || settings_.ahead == 0 || stop_.draining()) return;
    while (front_ < begun_.size() && begun_[front_]) ++front_;
    if (ahead_) return;  // one at a time
    std::set<std::string_view> next;
    const std::size_t end = std::min(names_.size(), front_ + far_enough);
    for (std::size_t i = front_; i < end && next.size() < settings_.ahead; ++i) {
      const auto& name = names_[i];
      if (begun_[i] || name.empty() || !next.insert(name).second) continue;
      Entry& entry = entries_[name];
      if (entry.there || entry.pull || entry.tried_ahead || entry.removing) continue;
      entry.tried_ahead = true;
      // Without a thread it is pulled when it is asked for.
      ahead_ = start(entry, name, platform_, i).has_value();
      return;
    }
  }

  // Room for what is fetched ahead is made at the cost of what is needed later still. Without it the pull is given up,
  // unless somebody waits for it by now.
  Result<void> room_ahead(Pull& pull, Entry& entry) {
    if (make_room(expected_size(), pull.ahead_of + 1)) return {};
    const std::lock_guard lock(mutex_);
    entry.tried_ahead = pull.wanted > 0;
    if (pull.wanted > 0) return {};
    pull.given_up = true;
    return fail(Errc::exhausted, "pull image", names_[pull.ahead_of], "there is no room for it ahead of need");
  }

  // --- the budget
  // With the lock held.
  uint64_t used_now() const {
    std::map<std::string_view, uint64_t> layers;
    for (const auto& [name, entry] : entries_) {
      if (!entry.ours || entry.removing) continue;
      for (const auto& layer : entry.layers) layers[layer.key] = layer.size;
    }
    uint64_t sum = 0;
    for (const auto& [key, size] : layers) sum += size;
    return sum;
  }

  // What an image takes, by those that were pulled: mostly less than its size, for layers are shared.
  uint64_t expected_size() const {
    const std::lock_guard lock(mutex_);
    uint64_t count = 0;
    for (const auto& [name, entry] : entries_) count += entry.ours && !entry.removing ? 1 : 0;
    return count == 0 ? 0 : used_now() / count;
  }

  // With the lock held: the first position that needs it and is not finished.
  std::size_t next_need(Entry& entry) const {
    while (entry.at < entry.positions.size() && finished_[entry.positions[entry.at]]) ++entry.at;
    return entry.at < entry.positions.size() ? entry.positions[entry.at] : none;
  }

  // With the lock held.
  bool may_go(Entry& entry, std::size_t needed_from, Clock::time_point now) const {
    return entry.ours && entry.users == 0 && entry.live == 0 && !entry.pull && !entry.removing &&
           entry.try_again <= now && next_need(entry) >= needed_from;
  }

  // With the lock held: whether `more` bytes fit once all is gone that may go.
  bool can_fit(uint64_t more, std::size_t needed_from, Clock::time_point now) {
    std::map<std::string_view, uint64_t> layers;
    for (auto& [name, entry] : entries_) {
      if (!entry.ours || entry.removing || may_go(entry, needed_from, now)) continue;
      for (const auto& layer : entry.layers) layers[layer.key] = layer.size;
    }
    uint64_t sum = more;
    for (const auto& [key, size] : layers) sum += size;
    return sum <= settings_.budget;
  }

  // Removes images of ours, least soon needed first, until `more` bytes fit into the budget; none that is in use, none
  // that a position before `needed_from` needs. False where they do not fit.
  bool make_room(uint64_t more, std::size_t needed_from) {
    if (settings_.keep || settings_.budget == UINT64_MAX) return true;
    for (;;) {
      std::string name;
      Entry* victim = nullptr;
      bool told = false;
      const auto now = Clock::now();
      {
        const std::lock_guard lock(mutex_);
        const uint64_t used = used_now();
        if (used <= settings_.budget && more <= settings_.budget - used) return true;
        // What is fetched ahead costs nobody an image where that would not help.
        if (needed_from > 0 && !can_fit(more, needed_from, now)) return false;
        std::size_t farthest = 0;
        for (auto& [candidate, entry] : entries_) {
          if (!may_go(entry, needed_from, now)) continue;
          const auto need = next_need(entry);
          if ((victim != nullptr && need <= farthest)) continue;
          victim = &entry;
          farthest = need;
          name = candidate;
        }
        if (victim == nullptr || closed_) return false;
        victim->removing = true;
      }
      auto gone = remove_image(engine_.with(closing_), name, Deadline::in(removal_limit));
      {
        const std::lock_guard lock(mutex_);
        victim->removing = false;
        told = std::exchange(victim->stuck, !gone);
        victim->try_again = Clock::now() + stuck_period;
        if (gone) {
          victim->ours = victim->there = false;
          victim->layers.clear();
        }
      }
      changed_.notify_all();
      if (gone) {
        say("image " + name + ": removed, for the disk's budget");
      } else if (!told && gone.error().code != Errc::closed && gone.error().code != Errc::stopped) {
        log_warning(gone.error().message());
      }
    }
  }

  void join_ended() {
    std::vector<std::shared_ptr<Pull>> gone;
    {
      const std::lock_guard lock(mutex_);
      const auto left = std::partition(ended_.begin(), ended_.end(), [](const auto& pull) { return !pull->left; });
      gone.assign(std::make_move_iterator(left), std::make_move_iterator(ended_.end()));
      ended_.erase(left, ended_.end());
    }
    for (const auto& pull : gone) pull->thread.join();
  }

  const Engine& engine_;
  const Stop& stop_;
  const Scope scope_;
  const ImagesSettings settings_;
  Cancel closing_;  // ends removals that are waited for; the engine goes on with them

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> names_;  // by position
  std::string platform_;
  std::vector<bool> begun_;
  std::vector<bool> finished_;
  std::size_t front_ = 0;                 // positions before it have begun
  std::map<std::string, Entry> entries_;  // never erased: others hold references
  std::vector<std::shared_ptr<Pull>> ended_;
  Clock::time_point status_told_{};
  bool ahead_ = false;  // one is being fetched ahead
  bool closed_ = false;
};

Images::Images(const Engine& engine, const Stop& stop, const Scope& scope, ImagesSettings settings)
    : state_(std::make_shared<State>(engine, stop, scope, std::move(settings))) {}

void Images::expect(std::vector<std::string> names, const std::string& platform) {
  state_->expect(std::move(names), platform);
}

void Images::begun(std::size_t position) {
  state_->begun(position);
}

void Images::finished(std::size_t position) {
  state_->finished(position);
}

Result<HeldImage> Images::hold(const std::string& name, const std::string& platform, Cancel& cancel,
                               Deadline deadline) {
  return state_->hold(name, platform, cancel, deadline);
}

uint64_t Images::used() const {
  return state_->used();
}

void Images::close() noexcept {
  state_->close();
}

}  // namespace awm
