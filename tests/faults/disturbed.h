// Runs of the real program that something disturbs, two at a time, and what must hold for each of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "e2e/run_awm.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm::e2e {

using Words = std::vector<std::string>;

inline Words plus(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// ./test --long
inline bool is_long() {
  return sys::environment("AWM_LONG").has_value();
}

inline const Words two_samples{"--instance",         "example__textkit-1", "--instance",
                               "example__logsift-2", "--workers",          "1"};

struct Site {
  std::string call;
  std::string place;  // file.cpp#line; the name of a crash point
  int calls = 0;
};

class Disturbed : public ::testing::Test {
 protected:
  Disturbed() { bench_.serve(); }

  // The program that is run whole, in a home of its own; its cache is empty at first.
  Result<ProcessOutput> process(Words argv, const std::string& home, const Words& orders = {}) {
    const bool faulty =
        std::any_of(orders.begin(), orders.end(), [](std::string_view one) { return one.starts_with("AWM_"); });
    if (faulty && argv.front() == program()) argv.front() += "-faults";
    AWM_CHECK(make_folders(home));
    SpawnOptions options{.argv = std::move(argv), .environment = environment(home, orders), .folder = home};
    return run_process(bench_.spawner(), scope(), std::move(options), Deadline::in(patience_));
  }

  // The variables of such a process: the bench's, and over them these.
  [[nodiscard]] Words environment(const std::string& home, const Words& orders) const {
    Words environment = bench_.environment();
    const auto more = plus(orders, {"HOME=" + home});
    std::erase_if(environment, [&](const std::string& one) {
      return std::any_of(more.begin(), more.end(),
                         [&](const std::string& other) { return other.starts_with(one.substr(0, one.find('=') + 1)); });
    });
    return plus(std::move(environment), more);
  }

  [[nodiscard]] Words run_words(const std::string& out, const Words& more) const {
    const Words first{program(),
                      "run",
                      "--dataset",
                      source("examples/tasks.jsonl"),
                      "--repos",
                      bench_.folder() / "repos",
                      "--sandbox",
                      "local",
                      "--output-dir",
                      out,
                      "--strict-resources",
                      "--plain"};
    return plus(first, bench_.model_flags(more));
  }

  static std::vector<Site> sites_in(const std::string& path) {
    std::vector<Site> sites;
    const auto text = read_file(path);
    EXPECT_TRUE(text) << text.error();
    if (!text) return sites;
    for (const auto line : split_lines(*text)) {
      const std::string one(line);
      char call[32] = {};
      char place[512] = {};
      int calls = 0;
      if (std::sscanf(one.c_str(), "%d %31s %511s", &calls, &call[0], &place[0]) == 3) {
        std::string file = place;
        // As the rules compare: from the room on, whatever stands before it in this build.
        if (const auto src = file.rfind("src/"); src != std::string::npos) file.erase(0, src + 4);
        sites.push_back({.call = call, .place = file, .calls = calls});
      }
    }
    EXPECT_GT(sites.size(), 3U);
    return sites;
  }

  // Tries all points, two at a time, and prints how many; `attempt` tells what was wrong, "" for nothing.
  template <class Point>
  void try_all(const std::string& scenario, const std::vector<Point>& points,
               const std::function<std::string(const Point&, const std::string& folder)>& attempt) {
    std::mutex mutex;
    std::size_t next = 0;
    std::size_t wrong = 0;
    const auto work = [&] {
      for (;;) {
        std::size_t mine = 0;
        {
          const std::lock_guard lock(mutex);
          if (next == points.size() || wrong > 25) return;
          mine = next++;
        }
        const auto folder = bench_.folder() / (scenario + "-" + std::to_string(mine));
        EXPECT_TRUE(make_folders(folder));
        const auto said = attempt(points[mine], folder);
        if (said.empty()) {
          EXPECT_TRUE(remove_tree(folder));
          continue;
        }
        const std::lock_guard lock(mutex);
        ++wrong;
        ADD_FAILURE() << scenario << ", " << points[mine].text() << ": " << said;
      }
    };
    {
      std::vector<Thread> threads;
      for (int i = 0; i < 2; ++i) {
        auto thread = Thread::start(scope(), "a worker", work);
        ASSERT_TRUE(thread) << thread.error();
        threads.push_back(std::move(*thread));
      }
    }
    std::printf("%s: %zu points tried, %zu of them hit, %zu wrong\n", scenario.c_str(), next, hits_, wrong);
    // What depends on the moment (how often a poll returns) may be less in the run that is disturbed.
    if (next >= 20) {
      EXPECT_GE(hits_ * 10, next * 8);
    }
    hits_ = 0;
  }

  // The point of a run was reached, in what it left in `folder`.
  void count_hit(const std::string& folder) {
    if (sys::lstat(folder + "/hit")) count_hit();
  }
  void count_hit() {
    const std::lock_guard lock(hits_mutex_);
    ++hits_;
  }

  // What is wrong with a run of awm that ended so.
  static std::string wrong_end(const Result<ProcessOutput>& output) {
    if (!output) return "it did not end: " + output.error().message();
    if (output->status.kind() != ExitStatus::Kind::exited)
      return "it ended with " + output->status.text() + "\n" + output->output;
    if (output->status == ExitStatus::exited(4)) return "it did not give everything back\n" + output->output;
    return {};
  }

  // The journal's lines are whole, and what was judged is what an undisturbed run is judged.
  [[nodiscard]] std::string wrong_journal(const std::string& out, std::set<std::string>& judged) const {
    const auto text = read_file(out + "/journal.jsonl");
    if (!text) return {};
    const bool torn = !text->empty() && text->back() != '\n';  // as kill -9 may leave it; never read as a record
    const auto whole = torn ? std::string_view(*text).substr(0, text->rfind('\n') + 1) : std::string_view(*text);
    for (const auto line : split_lines(whole)) {
      const auto record = parse_json(line, "journal");
      if (!record) return "the journal has a broken line: " + std::string(line);
      if (string_or(*record, "type", "") != "verdict") continue;
      const auto id = string_or(*record, "instance_id", "");
      const auto said = string_or(*record, "verdict", "");
      if (const auto truth = truth_.find(id); truth == truth_.end() || truth->second != said)
        return "a false verdict of " + id + ": " + said + ", " + string_or(*record, "message", "");
      judged.insert(id);
    }
    return {};
  }

  // Of what awm diff prints. A sample that is tried again is committed later, and an agent that is told of an error may
  // take other steps to the same patch; where neither can be (`strict`), every difference matters.
  // Where a sample ended in an error (`erred`), those behind it did not see what its pass would have taught.
  [[nodiscard]] std::string difference_that_matters(const std::string& printed, bool strict, bool erred) const {
    std::set<std::string> steps{"actions", "completion_tokens", "prompt_tokens", "cached_tokens", "iterations", "cost"};
    if (patch_may_differ_) steps.insert("patch");
    if (erred) {
      steps.insert({"first_prompt_tokens", "first_prompt_tokens_counted", "learned", "memory_revision",
                    "workflows_shown", "workflows_left_out"});
    }
    for (const auto line : split_lines(printed)) {
      if (line.starts_with("run: ") && (strict || line != "run: order of the commits")) return printed;
      if (!line.starts_with("sample ")) continue;
      const std::string field(line.substr(line.rfind(' ') + 1));
      // Tests that print how long they took print more digits, or fewer.
      if (strict && field == "prompt_tokens") continue;
      if (strict || !steps.contains(field)) return printed;
    }
    return {};
  }

  // After a disturbed run in `out`: the rest is done by an undisturbed one, and all of it is as in `undisturbed`.
  std::string wrong_rest(const std::string& out, const std::string& home, const std::string& undisturbed,
                         const Words& words, bool strict = false) {
    std::set<std::string> before;
    if (auto wrong = wrong_journal(out, before); !wrong.empty()) return wrong;
    // Refused before there was a journal: the same command serves.
    const auto journal = read_file(out + "/journal.jsonl").value_or("");
    const bool begun = journal.find('\n') != std::string::npos;
    const bool erred = journal.find(R"("type":"error")") != std::string::npos;
    const auto rest = process(
        begun ? Words{program(), "run", "--resume-from", out, "--retry-errors", "--strict-resources"} : words, home);
    if (auto wrong = wrong_end(rest); !wrong.empty()) return "resumed: " + wrong;
    if (rest->status != ExitStatus::exited(0))
      return "resumed, it ended with " + rest->status.text() + "\n" + rest->output;
    std::set<std::string> after;
    if (auto wrong = wrong_journal(out, after); !wrong.empty()) return "resumed: " + wrong;
    if (!std::includes(after.begin(), after.end(), before.begin(), before.end())) return "a verdict was lost";
    const auto diff = process({program(), "diff", undisturbed, out}, home);
    if (!diff) return diff.error().message();
    if (auto wrong = difference_that_matters(diff->output, strict, erred); !wrong.empty())
      return "resumed, it differs: " + wrong;
    const auto live = sys::list_folder(home + "/.cache/awm/local/live");
    if (live && !live->empty()) return "left in the cache: live/" + live->front();
    return {};
  }

  // What an undisturbed run ended with, by which the disturbed ones are measured.
  void believe(const std::string& out) {
    for (const auto& record : read_lines(out + "/journal.jsonl")) {
      if (string_or(record, "type", "") == "verdict")
        truth_[string_or(record, "instance_id", "")] = string_or(record, "verdict", "");
    }
    EXPECT_FALSE(truth_.empty());
  }

  std::map<std::string, std::string> truth_;
  // How long one process may take.
  Seconds patience_{90};
  // The agent's own tools fail, and it is told: what it does then is its own.
  bool patch_may_differ_ = false;
  Bench bench_;
  std::mutex hits_mutex_;
  std::size_t hits_ = 0;
};

}  // namespace awm::e2e
