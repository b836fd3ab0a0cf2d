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
using testing::ChaosPlan;
using testing::ChaosProxy;

struct ChaosPoint {
  ChaosPlan plan;
  [[nodiscard]] std::string text() const {
    std::string text = "seed " + std::to_string(plan.seed) + ":";
    for (const auto kind : plan.kinds)
      text += std::string(" ") + testing::chaos_names.at(static_cast<std::size_t>(kind));
    return text;
  }
};

std::vector<ChaosPoint> points(const std::vector<Chaos>& kinds, unsigned one_in, uint64_t seeds) {
  std::vector<ChaosPoint> points;
  for (uint64_t seed = 1; seed <= seeds; ++seed)
    points.push_back({.plan = {.seed = seed, .kinds = kinds, .one_in = one_in}});
  return points;
}

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

  void count(const ChaosProxy& proxy) {
    const std::lock_guard lock(done_mutex_);
    bool any = false;
    for (std::size_t kind = 0; kind < done_.size(); ++kind) {
      done_.at(kind) += proxy.done(static_cast<Chaos>(kind));
      any = any || proxy.done(static_cast<Chaos>(kind)) > 0;
    }
    connections_ += proxy.connections();
    if (any) count_hit();
  }

  void tell() {
    std::printf("  %zu connections, of them", connections_);
    for (std::size_t kind = 1; kind < done_.size(); ++kind)
      std::printf(" %s %zu%s", testing::chaos_names.at(kind), done_.at(kind), kind + 1 < done_.size() ? "," : "\n");
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
  std::mutex done_mutex_;
  std::array<std::size_t, testing::chaos_names.size()> done_{};
  std::size_t connections_ = 0;
};

TEST_F(ChaosTest, LateAndInPiecesNothingChanges) {
  try_all<ChaosPoint>("late or split", points({Chaos::delay, Chaos::split}, 1, is_long() ? 100 : 6),
                      [&](const ChaosPoint& point, const std::string& folder) -> std::string {
                        ChaosProxy proxy(point.plan, {.port = bench_.server().port(), .path = {}});
                        const auto out = folder + "/out";
                        const auto output = process(words_for(out, url_of(proxy)), folder + "/home");
                        count(proxy);
                        if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
                        if (!output->status.ok()) return "it is seen\n" + output->output;
                        const auto diff = process({program(), "diff", undisturbed_, out}, folder + "/home");
                        if (!diff || !diff->status.ok()) return "it differs: " + (diff ? diff->output : "");
                        return {};
                      });
  tell();
}

TEST_F(ChaosTest, CutResetOrSilentNoVerdictIsFalse) {
  try_all<ChaosPoint>("cut",
                      points({Chaos::truncate, Chaos::reset, Chaos::stall, Chaos::split}, 2, is_long() ? 250 : 10),
                      [&](const ChaosPoint& point, const std::string& folder) -> std::string {
                        ChaosProxy proxy(point.plan, {.port = bench_.server().port(), .path = {}});
                        const auto out = folder + "/out";
                        const auto words = words_for(out, url_of(proxy));
                        const auto output = process(words, folder + "/home");
                        count(proxy);
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
  tell();
}

TEST_F(ChaosTest, WithOtherBytesEveryVerdictIsThatOfItsPatch) {
  try_all<ChaosPoint>("corrupt", points({Chaos::corrupt, Chaos::duplicate}, 2, is_long() ? 150 : 8),
                      [&](const ChaosPoint& point, const std::string& folder) -> std::string {
                        ChaosProxy proxy(point.plan, {.port = bench_.server().port(), .path = {}});
                        const auto out = folder + "/out";
                        const auto output = process(words_for(out, url_of(proxy)), folder + "/home");
                        count(proxy);
                        if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
                        if (output->output.find("nothing leaked") == std::string::npos && output->status.ok())
                          return "it does not say that nothing leaked\n" + output->output;
                        return wrong_verdicts(Bench::read(*output, out), folder);
                      });
  tell();
}

}  // namespace
}  // namespace awm::e2e
