// What is between awm and the Docker engine spoils the connection. Late or in pieces, nothing changes; cut, reset or
// silent, it costs the sample at most, nothing is left in the engine that a sweep does not remove, and no verdict is
// false.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "docker/docker_support.h"
#include "faults/chaos_proxy.h"
#include "faults/disturbed.h"

namespace awm::e2e {
namespace {

using testing::Chaos;
using testing::chaos_points;
using testing::ChaosPoint;
using testing::ChaosProxy;

class EngineChaos : public Disturbed {
 protected:
  void SetUp() override {
    REQUIRE_DOCKER();
    address_ = testing::docker_engine()->address();
    if (address_.kind != EngineAddress::Kind::unix_socket) GTEST_SKIP() << "the engine is not on a unix socket";
    bench_.set("DOCKER_HOST", address_.text());
    undisturbed_ = bench_.folder() / "undisturbed";
    const auto first = process(words_for(undisturbed_), bench_.folder() / "home");
    ASSERT_TRUE(first) << first.error();
    ASSERT_EQ(first->status, ExitStatus::exited(0)) << first->output;
    believe(undisturbed_);
    images_ = images();
    // The engine may be given what it never answers; then awm waits for its limits.
    patience_ = Seconds{400};
  }

  [[nodiscard]] Words words_for(const std::string& out) const {
    auto words = run_words(out, {"--instance", "example__textkit-1", "--memory", "off", "--no-prewarm", "--image",
                                 testing::docker_build_image()});
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == "--sandbox") words[i + 1] = "docker";
    }
    return words;
  }

  static std::size_t containers() {
    const auto found =
        list_containers(*testing::docker_engine(), {std::string(label_prefix) + "run"}, Deadline::in(Seconds{30}));
    EXPECT_TRUE(found) << found.error();
    return found ? found->size() : 0;
  }

  std::string wrong_run(const ChaosPoint& point, const std::string& folder, bool harmless) {
    ChaosProxy proxy(point.plan, {.port = 0, .path = address_.path}, folder + "/engine.sock");
    const auto out = folder + "/out";
    const auto words = words_for(out);
    const auto output = process(words, folder + "/home", {"DOCKER_HOST=unix://" + folder + "/engine.sock"});
    if (tally_.add(proxy)) count_hit();
    if (auto wrong = wrong_end(output); !wrong.empty()) return wrong;
    if (harmless && !output->status.ok()) return "it is seen\n" + output->output;
    if (harmless && output->output.find("nothing leaked") == std::string::npos) return "it leaks\n" + output->output;
    if (!output->status.ok() && output->output.find("rror") == std::string::npos)
      return "nothing is said\n" + output->output;
    const auto outcome = Bench::read(*output, out);
    for (const auto& [id, line] : outcome.results) {
      const auto said = verdict(outcome, id);
      if (!said.starts_with("ERROR") && said != "PASS") return "a false verdict: " + said + "\n" + output->output;
    }
    return wrong_rest(out, folder + "/home", undisturbed_, words);
  }

  void tell() {
    tally_.print();
    // What a spoilt run could not remove is of a dead owner now.
    const auto before = containers();
    const auto swept = process({program(), "sweep"}, bench_.folder() / "home");
    ASSERT_TRUE(swept) << swept.error();
    EXPECT_TRUE(swept->status.ok()) << swept->output;
    EXPECT_EQ(containers(), 0U) << swept->output;
    std::printf("  %zu containers were left to the sweep\n", before);
    EXPECT_EQ(images(), images_);
  }

  static std::string images() {
    const auto all = testing::docker_engine()->call("GET", "/images/json", "", Deadline::in(Seconds{30}));
    EXPECT_TRUE(all) << all.error();
    return all ? all->body : "";
  }

  EngineAddress address_;
  std::string undisturbed_;
  std::string images_;
  testing::ChaosTally tally_;
};

TEST_F(EngineChaos, LateAndInPiecesNothingChanges) {
  try_all<ChaosPoint>(
      "engine, late or split",
      chaos_points({.kinds = {Chaos::delay, Chaos::split}, .one_in = 2, .at_most = 1024}, is_long() ? 30 : 2),
      [&](const ChaosPoint& point, const std::string& folder) { return wrong_run(point, folder, true); });
  tell();
}

TEST_F(EngineChaos, CutOrResetNoVerdictIsFalseAndNothingIsLeft) {
  try_all<ChaosPoint>(
      "engine, cut",
      chaos_points({.kinds = {Chaos::truncate, Chaos::reset}, .one_in = 6, .at_most = 1024}, is_long() ? 60 : 6),
      [&](const ChaosPoint& point, const std::string& folder) { return wrong_run(point, folder, false); });
  tell();
}

// Minutes each: an engine that falls silent is waited for.
TEST_F(EngineChaos, SilentItIsNotWaitedForForEver) {
  if (!is_long()) GTEST_SKIP() << "takes minutes: ./test --long";
  try_all<ChaosPoint>(
      "engine, silent", chaos_points({.kinds = {Chaos::stall}, .one_in = 10, .at_most = 1024}, 10),
      [&](const ChaosPoint& point, const std::string& folder) { return wrong_run(point, folder, false); });
  tell();
}

}  // namespace
}  // namespace awm::e2e
