// What is between awm and the model spoils the connection: late, in pieces, cut, reset, silent, twice, with other bits.
//
// Bytes that come late or in pieces change nothing at all. A connection that is cut, reset or silent costs time, or the
// sample, and never gives a verdict that an undisturbed run does not give. Where bytes are others, the agent may do
// something else; then the patch is judged again by itself, with the same verdict.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "faults/chaos_proxy.h"
#include "faults/disturbed.h"

namespace awm::e2e {
namespace {

using testing::Chaos;
using testing::chaos_points;
using testing::ChaosPoint;
using testing::ChaosProxy;

class ChaosTest : public Disturbed {
 protected:
  void SetUp() override {
    config_ = bench_.folder().write("config.toml",
                                    "[llm]\nnum_retries = 4\nretry_min_wait = 0\nretry_max_wait = 0\ntimeout = 2\n");
    undisturbed_ = bench_.folder() / "undisturbed";
    const auto first = process(words_for(undisturbed_, bench_.server().url()), bench_.folder() / "home");
    ASSERT_TRUE(first) << first.error();
    ASSERT_EQ(first->status, ExitStatus::exited(0)) << first->output;
    believe(undisturbed_);
  }

  Words words_for(const std::string& out, const std::string& url) {
    auto words = run_words(out, plus(two_samples, {"--memory", "off", "--config", config_}));
    for (auto& word : words) {
      if (word == bench_.server().url()) word = url;
    }
    return words;
  }

  [[nodiscard]] static std::string url_of(const ChaosProxy& proxy) {
    return "http://127.0.0.1:" + std::to_string(proxy.port()) + "/v1";
  }

  // What is wrong when the patches that the run left are judged by themselves.
  std::string wrong_verdicts(const Outcome& outcome, const std::string& folder) {
    std::string predictions;
    std::map<std::string, std::string> said;
    for (const auto& [id, line] : outcome.results) {
      const auto one = verdict(outcome, id);
      if (one.starts_with("ERROR") || one.starts_with("SKIPPED")) continue;
      said[id] = one.starts_with("PASS") ? "PASS" : "FAIL";
      const auto patch = read_file(outcome.folder + "/samples/" + id + "/patch.diff");
      if (!patch) return "a verdict without a patch of " + id;
      predictions +=
          dump_json(Json{{"instance_id", id}, {"model_patch", *patch}, {"model_name_or_path", "chaos"}}) + "\n";
    }
    bool as_undisturbed = true;
    for (const auto& [id, one] : said) as_undisturbed = as_undisturbed && (one == "PASS") == (truth_[id] == "passed");
    if (as_undisturbed) return {};
    const auto path = folder + "/predictions.jsonl";
    if (!write_new_file(path, predictions)) return "cannot write " + path;
    const auto judged =
        process({program(), "eval", source("examples/tasks.jsonl"), "-p", path, "--sandbox", "local", "--repos",
                 bench_.folder() / "repos", "--run-id", "chaos", "--output-dir", folder + "/judged"},
                folder + "/home");
    if (!judged) return judged.error().message();
    for (const auto& [id, one] : said) {
      const auto report =
          read_file(folder + "/judged/logs/run_evaluation/chaos/chaos/" + id + "/report.json").value_or("");
      const bool resolved = report.find("\"resolved\": true") != std::string::npos;
      if (report.empty() && one == "FAIL") continue;  // an empty patch is not run
      if (resolved != (one == "PASS")) return id + " was " + one + ", and judged by itself is not\n" + judged->output;
    }
    return {};
  }

  std::string config_;
  std::string undisturbed_;
  testing::ChaosTally tally_;
};

TEST_F(ChaosTest, LateAndInPiecesNothingChanges) {
  try_all<ChaosPoint>("late or split",
                      chaos_points({.kinds = {Chaos::delay, Chaos::split}, .one_in = 1}, is_long() ? 100 : 6),
                      [&](const ChaosPoint& point, const std::string& folder) -> std::string {
                        ChaosProxy proxy(point.plan, {.port = bench_.server().port(), .path = {}});
                        const auto out = folder + "/out";
                        const auto output = process(words_for(out, url_of(proxy)), folder + "/home");
                        if (tally_.add(proxy)) count_hit();
                        if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
                        if (!output->status.ok()) return "it is seen\n" + output->output;
                        const auto diff = process({program(), "diff", undisturbed_, out}, folder + "/home");
                        if (!diff || !diff->status.ok()) return "it differs: " + (diff ? diff->output : "");
                        return {};
                      });
  tally_.print();
}

TEST_F(ChaosTest, CutResetOrSilentNoVerdictIsFalse) {
  try_all<ChaosPoint>("cut",
                      chaos_points({.kinds = {Chaos::truncate, Chaos::reset, Chaos::stall, Chaos::split}, .one_in = 2},
                                   is_long() ? 250 : 10),
                      [&](const ChaosPoint& point, const std::string& folder) -> std::string {
                        ChaosProxy proxy(point.plan, {.port = bench_.server().port(), .path = {}});
                        const auto out = folder + "/out";
                        const auto words = words_for(out, url_of(proxy));
                        const auto output = process(words, folder + "/home");
                        if (tally_.add(proxy)) count_hit();
                        if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
                        const auto outcome = Bench::read(*output, out);
                        for (const auto& [id, line] : outcome.results) {
                          const auto said = verdict(outcome, id);
                          if (!said.starts_with("ERROR") && (said == "PASS") != (truth_[id] == "passed"))
                            return "a false verdict of " + id + ": " + said + "\n" + output->output;
                        }
                        proxy.calm();
                        return wrong_rest(out, folder + "/home", undisturbed_, words);
                      });
  tally_.print();
}

TEST_F(ChaosTest, WithOtherBytesEveryVerdictIsThatOfItsPatch) {
  try_all<ChaosPoint>("corrupt",
                      chaos_points({.kinds = {Chaos::corrupt, Chaos::duplicate}, .one_in = 2}, is_long() ? 150 : 8),
                      [&](const ChaosPoint& point, const std::string& folder) -> std::string {
                        ChaosProxy proxy(point.plan, {.port = bench_.server().port(), .path = {}});
                        const auto out = folder + "/out";
                        const auto output = process(words_for(out, url_of(proxy)), folder + "/home");
                        if (tally_.add(proxy)) count_hit();
                        if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
                        if (output->output.find("nothing leaked") == std::string::npos && output->status.ok())
                          return "it does not say that nothing leaked\n" + output->output;
                        return wrong_verdicts(Bench::read(*output, out), folder);
                      });
  tally_.print();
}

}  // namespace
}  // namespace awm::e2e
