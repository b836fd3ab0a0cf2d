#include "cli/progress_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/deadline.h"
#include "base/text.h"
#include "os/census.h"
#include "os/log.h"
#include "os/sys.h"
#include "os/thread.h"
#include "run/run.h"

namespace awm {
namespace {

constexpr auto redraw_period = std::chrono::milliseconds(250);
constexpr std::size_t max_rows = 16;

double seconds_since(Clock::time_point when) {
  return Seconds(Clock::now() - when).count();
}

std::string verdict_word(const SampleResult& result) {
  return result.verdict == SampleVerdict::passed ? "PASS" : "FAIL";
}

class View : public ProgressListener {
 public:
  View(ProgressStyle style, const Scope& scope) : style_(style), scope_(scope.child("progress")) {}
  ~View() override { View::ended(); }
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  void started(const RunStart& start) override {
    std::unique_lock lock(mutex_);
    start_ = start;
    began_ = Clock::now();
    done_ = start.earlier;
    passed_ = start.earlier_passed;
    if (style_ == ProgressStyle::quiet) return;
    if (style_ != ProgressStyle::plain) {
      std::string line = fmt::format("{} tasks, {} at a time, into {}", start.tasks, start.workers, start.output_dir);
      if (start.earlier > 0) line += fmt::format("; {} are done already", start.earlier);
      log_info(line);
    }
    if (style_ != ProgressStyle::live) return;
    lock.unlock();
    // Without a thread there is no live view, and nothing else is lost.
    if (auto thread = Thread::start(scope_, "progress", [this] { redraw(); })) thread_ = *std::move(thread);
  }

  void sample(std::size_t number, const std::string& instance_id, SamplePhase phase, int iterations) override {
    const std::lock_guard lock(mutex_);
    const auto [it, fresh] = live_.try_emplace(number, Live{.instance_id = instance_id, .began = Clock::now()});
    Live& live = it->second;
    if (live.phase != phase || fresh) {
      live.phase = phase;
      live.phase_began = Clock::now();
    }
    live.iterations = iterations;
    if (!fresh) return;
    if (style_ == ProgressStyle::lines) log_info(fmt::format("[{}/{}] {}: started", number, start_.tasks, instance_id));
    if (style_ == ProgressStyle::plain)
      log_info(fmt::format("[{}/{}] Processing: {}", number, start_.tasks, instance_id));
  }

  void waiting(std::string_view text) override {
    const std::lock_guard lock(mutex_);
    waiting_ = text;
  }

  void learning(const std::string& instance_id) override {
    const std::lock_guard lock(mutex_);
    learning_ = instance_id;
  }

  void committed(const SampleResult& result, const CommitNews& news) override {
    const std::lock_guard lock(mutex_);
    live_.erase(news.number);
    learning_.clear();
    ++done_;
    ++done_here_;
    passed_ += result.verdict == SampleVerdict::passed ? 1 : 0;
    failed_ += result.verdict == SampleVerdict::failed ? 1 : 0;
    errors_ += result.verdict == SampleVerdict::error ? 1 : 0;
    cost_ += result.cost;
    tokens_ += result.usage.prompt_tokens + result.usage.completion_tokens;
    workflows_ = news.workflows;
    learning_cost_ = news.learning_cost;
    if (result.verdict == SampleVerdict::error && (style_ == ProgressStyle::plain || style_ == ProgressStyle::quiet)) {
      log_warning(fmt::format("{}: {}", result.instance_id, line_of(result)));
    }
    if (style_ == ProgressStyle::plain) {
      log_info(fmt::format("Result: {} - Success rate: {}/{} ({:.1f}%)", verdict_word(result), passed_, done_,
                           100.0 * static_cast<double>(passed_) / static_cast<double>(done_)));
    } else if (style_ != ProgressStyle::quiet) {
      log_info(fmt::format("[{}/{}] {}: {}", news.number, news.tasks, result.instance_id, line_of(result)));
    }
  }

  void note(std::string_view line) override {
    if (style_ == ProgressStyle::lines || style_ == ProgressStyle::live) log_info(line);
  }

  void ended() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
    if (style_ == ProgressStyle::live) set_log_footer({});
  }

 private:
  struct Live {
    std::string instance_id;
    SamplePhase phase = SamplePhase::connecting;
    int iterations = 0;
    Clock::time_point began{};
    Clock::time_point phase_began{};
  };

  void redraw() {
    std::unique_lock lock(mutex_);
    while (!ending_) {
      const auto lines = picture();
      lock.unlock();
      set_log_footer(lines);
      lock.lock();
      changed_.wait_for(lock, redraw_period, [this] { return ending_; });
    }
  }

  // With the lock held.
  std::vector<std::string> picture() const {
    const double elapsed = seconds_since(began_);
    std::vector<std::string> lines{std::string(60, '-')};
    std::size_t shown = 0;
    for (const auto& [number, live] : live_) {
      if (++shown > max_rows) {
        lines.push_back(fmt::format("  … and {} more", live_.size() - max_rows));
        break;
      }
      std::string line = fmt::format("  {:<36} {:<10} {:>8}", live.instance_id, to_string(live.phase),
                                     human_seconds(seconds_since(live.phase_began)));
      if (live.iterations > 0) line += fmt::format("  step {}", live.iterations);
      lines.push_back(std::move(line));
    }
    for (const auto line : split_lines(waiting_)) lines.push_back("  " + std::string(line));
    if (!learning_.empty()) lines.push_back("  learning from " + learning_);
    const std::size_t judged = passed_ + failed_;
    std::string sums = fmt::format("{}/{} done: {} passed", done_, start_.tasks, passed_);
    sums += fmt::format(", {} failed, {} errors", failed_, errors_);
    if (judged > 0)
      sums += fmt::format(" ({:.1f} %)", 100.0 * static_cast<double>(passed_) / static_cast<double>(judged));
    sums += fmt::format(", {} workflows", workflows_);
    lines.push_back(std::move(sums));
    std::string rest = fmt::format("{} elapsed", human_seconds(elapsed));
    if (done_here_ > 0 && elapsed > 0) {
      const double rate = static_cast<double>(done_here_) / elapsed;
      const auto left = static_cast<double>(start_.tasks - std::min(done_, start_.tasks));
      rest += fmt::format(", {:.1f} a minute, about {} left", rate * 60, human_seconds(left / rate));
    }
    rest += fmt::format("; {} tokens", tokens_);
    if (cost_ + learning_cost_ > 0) rest += fmt::format(", ${:.4f} agent, ${:.4f} learning", cost_, learning_cost_);
    rest += fmt::format("; {} descriptors, {}", Ledger::process().count(ResourceKind::descriptor),
                        human_bytes(sys::resident_bytes()));
    lines.push_back(std::move(rest));
    return lines;
  }

  const ProgressStyle style_;
  const Scope scope_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  RunStart start_;
  Clock::time_point began_ = Clock::now();
  std::map<std::size_t, Live> live_;
  std::string waiting_;
  std::string learning_;
  std::size_t done_ = 0;
  std::size_t done_here_ = 0;
  std::size_t passed_ = 0;
  std::size_t failed_ = 0;
  std::size_t errors_ = 0;
  std::size_t workflows_ = 0;
  double cost_ = 0;
  double learning_cost_ = 0;
  int64_t tokens_ = 0;
  bool ending_ = false;
  Thread thread_;
};

}  // namespace

std::unique_ptr<ProgressListener> make_progress_view(ProgressStyle style, const Scope& scope) {
  return std::make_unique<View>(style, scope);
}

}  // namespace awm
