// kill -9 anywhere, and nothing is lost: runs that learn are killed at a point of their work, gone on with, and give
// what an undisturbed run gives. Before and after any write to the journal, in the middle of one, and around everything
// else that makes something durable. By itself this kills a few times at each kind of point, in runs of three samples;
// with AWM_LONG=1 at every point of a run of all nine examples.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "faults/disturbed.h"

namespace awm::e2e {
namespace {

constexpr const char* journal_write = "write@run/journal.cpp";

struct Kill {
  std::string at;
  int number = 0;
  bool torn = false;  // the half of a record is written
  [[nodiscard]] Words orders() const {
    if (!torn) return {"AWM_CRASH=" + at + ":" + std::to_string(number)};
    return {"AWM_FAULT=" + at + ":" + std::to_string(number - 1) + ":1:-1",
            "AWM_CRASH=" + at + ":" + std::to_string(number + 1)};
  }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& one : orders()) all += one + " ";
    return all;
  }
};

class Killed : public Disturbed {
 protected:
  // The scripts of these teach and use a workflow, so that learning, too, is killed and gone on with.
  static Words tasks() {
    const Words some{"--induction-trigger", "1", "--max-iterations", "30", "--workers", "2", "--memory-lag", "2"};
    if (is_long()) return some;
    return plus(some, {"--instance", "example__textkit-1", "--instance", "example__logsift-2", "--instance",
                       "example__textkit-2"});
  }

  static std::vector<Kill> kills_at(const std::string& at, int reached, bool torn) {
    std::vector<Kill> kills;
    const int step = is_long() ? 1 : std::max(1, reached / 3);
    for (int number = 1; number <= reached; number += step) kills.push_back({.at = at, .number = number, .torn = torn});
    return kills;
  }

  std::string wrong(const Kill& kill, const std::string& folder, const std::string& undisturbed) {
    const std::string out = folder + "/out";
    const std::string home = folder + "/home";
    const auto words = run_words(out, tasks());
    const auto first = process(words, home, kill.orders());
    if (!first) return "it did not end: " + first.error().message();
    if (first->status == ExitStatus::signalled(9)) {
      EXPECT_TRUE(write_file(folder + "/hit", ""));
    } else if (first->status != ExitStatus::exited(0)) {
      return "not killed, it ended with " + first->status.text() + "\n" + first->output;
    }
    count_hit(folder);
    std::set<std::string> before;
    if (auto wrong = wrong_journal(out, before); !wrong.empty()) return wrong;
    if (auto wrong = wrong_rest(out, home, undisturbed, words, true); !wrong.empty()) return wrong;
    // A sample with a verdict was not worked on again.
    std::map<std::string, int> started;
    std::set<std::string> judged;
    for (const auto& record : read_lines(out + "/journal.jsonl")) {
      const auto type = string_or(record, "type", "");
      const auto id = string_or(record, "instance_id", "");
      if (type == "verdict") judged.insert(id);
      if (type == "started" && judged.contains(id)) return id + " was run again after its verdict";
    }
    return {};
  }
};

TEST_F(Killed, AndResumedGivesWhatAnUndisturbedRunGives) {
  const auto undisturbed = bench_.folder() / "undisturbed";
  const auto counted = bench_.folder() / "calls";
  const auto whole =
      process(run_words(undisturbed, tasks()), bench_.folder() / "first-home", {"AWM_FAULT_CALLS=" + counted});
  ASSERT_TRUE(whole) << whole.error();
  ASSERT_EQ(whole->status, ExitStatus::exited(0)) << whole->output;
  believe(undisturbed);
  std::vector<Kill> kills;
  int writes = 0;
  std::set<std::string> kinds;
  for (const auto& site : sites_in(counted)) {
    if (site.call == "write" && site.place.starts_with("run/journal.cpp")) writes += site.calls;
    if (site.call != "crash_point") continue;
    kinds.insert(site.place);
    for (auto& kill : kills_at(site.place, site.calls, false)) kills.push_back(std::move(kill));
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"agent", "induction", "journal", "judge", "release", "view"}));
  for (auto& kill : kills_at(journal_write, writes, false)) kills.push_back(std::move(kill));
  for (auto& kill : kills_at(journal_write, writes, true)) kills.push_back(std::move(kill));
  if (is_long()) {
    EXPECT_GE(kills.size(), 200U);
  }
  try_all<Kill>("kill -9", kills,
                [&](const Kill& kill, const std::string& folder) { return wrong(kill, folder, undisturbed); });
}

}  // namespace
}  // namespace awm::e2e
