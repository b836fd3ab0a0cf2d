// Others die or are full while a run is at work: the model's server, the helper in a sandbox, the disk of the results.
// What happens when the Docker engine or its containers go is in e2e/docker_engine_test.cpp.
#include <csignal>
#include <cstdlib>
#include <map>

#include "e2e/held_model.h"
#include "faults/live_run.h"
#include "os/sys.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;

std::string status_field(const std::string& pid, const std::string& name) {
  const auto text = read_file("/proc/" + pid + "/status").value_or("");
  const auto at = text.find("\n" + name + ":");
  if (at == std::string::npos) return "";
  const auto start = text.find_first_not_of(" \t", at + name.size() + 2);
  return text.substr(start, text.find('\n', start) - start);
}

// The helpers that serve below this process.
std::vector<int> helpers_of(int owner) {
  std::vector<int> found;
  for (const auto& pid : sys::list_folder("/proc").value_or(std::vector<std::string>{})) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto command = read_file("/proc/" + pid + "/cmdline").value_or("");
    if (command.find(std::string("\0serve\0", 7)) == std::string::npos) continue;
    // bubblewrap has the helper's command line as well: the helper is who was not started with its own.
    if (command.starts_with("bwrap") || command.find("bwrap", 0) < command.find('\0')) continue;
    for (std::string above = pid; !above.empty() && above != "0"; above = status_field(above, "PPid")) {
      if (above != std::to_string(owner)) continue;
      found.push_back(std::atoi(pid.c_str()));
      break;
    }
  }
  return found;
}

TEST(TheModelsServer, ThatGoesAwayForAWhileIsWaitedFor) {
  Bench bench;
  const Samples samples(bench, 0, 2);
  auto model = std::make_unique<HeldModel>(samples.patch());
  const int port = model->port();
  const auto config =
      bench.folder().write("config.toml", "[llm]\nnum_retries = 100\nretry_min_wait = 1\nretry_max_wait = 1\n");
  const auto place = bench.folder() / "run";
  LiveRun run(bench, run_of(bench, samples, *model, place,
                            {"--sandbox", "local", "--workers", "2", "--config", config, "--strict-resources"}));
  EXPECT_TRUE(model->wait_for(2));
  model.reset();  // the answers that are due are given; then nobody is there
  EXPECT_TRUE(testing::eventually([&] { return run.said().find("try 3 of 100") != std::string::npos; },
                                  std::chrono::minutes(2)))
      << run.said();
  HeldModel back(samples.patch(), port);
  back.release();
  const auto outcome = run.finish(place);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto* id : {"held-0", "held-1"}) EXPECT_EQ(verdict(outcome, id), "PASS") << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
}

TEST(TheHelper, ThatIsKilledCostsAFreshTryAndNoOtherSample) {
  Bench bench;
  const Samples samples(bench, 0, 2);
  HeldModel model(samples.patch());
  const auto place = bench.folder() / "run";
  LiveRun run(bench, run_of(bench, samples, model, place,
                            {"--sandbox", "local", "--workers", "2", "--no-prewarm", "--strict-resources"}));
  EXPECT_TRUE(model.wait_for(2));
  const auto helpers = helpers_of(run.pid());
  ASSERT_EQ(helpers.size(), 2U) << run.said();
  EXPECT_EQ(::kill(helpers.front(), SIGKILL), 0);
  model.release();
  const auto outcome = run.finish(place);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto* id : {"held-0", "held-1"}) EXPECT_EQ(verdict(outcome, id), "PASS") << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
}

// `argv` where a memory file system is mounted at "small", in a mount namespace of the script's own, and `then`.
std::vector<std::string> on_a_small_disk(const std::string& options, const std::vector<std::string>& argv,
                                         const std::string& then) {
  std::vector<std::string> words{"unshare",
                                 "-m",
                                 "sh",
                                 "-c",
                                 "mkdir -p small && mount -t tmpfs -o " + options +
                                     " tmpfs small || exit 77; \"$@\"; code=$?; " + then + "exit $code",
                                 "sh"};
  if (sys::effective_uid() != 0) words.insert(words.begin() + 1, "-r");
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

// Somebody else fills the disk while two samples are to be judged. Without a place for their logs they are not judged;
// what the agent did is kept, and is not done again.
TEST(TheDiskOfTheResults, ThatIsFullStopsTheRunAndLosesNoVerdict) {
  Bench bench;
  const Samples samples(bench, 4, 0);
  HeldModel model(samples.patch());
  const auto place = bench.folder() / "small/run";
  ASSERT_TRUE(make_folders(bench.folder() / "second"));
  const auto hold = bench.folder().write("hold", "");
  bench.set("AWM_HOLD", "judge:" + hold);
  auto argv = run_of(
      bench, samples, model, place,
      {"--sandbox", "local", "--workers", "2", "--memory-lag", "4", "--journal-fallback", bench.folder() / "second"});
  argv.front() += "-faults";
  // As a person would: room is made, what lies in the second place is joined, and the run goes on.
  LiveRun run(bench, on_a_small_disk("size=400m", argv,
                                     "rm small/fill; for f in second/*; do cat \"$f\" >> small/run/journal.jsonl; done;"
                                     " echo \"first $code\";" +
                                         program() +
                                         " run --resume-from small/run --retry-errors --strict-resources; code=$?;"
                                         " cp -r small/run done;"));
  // Both have passed the agent when the second line is there.
  const bool live = testing::eventually([&] { return read_file(hold + ".reached").value_or("").size() == 2; },
                                        std::chrono::minutes(2));
  if (!live && run.said().find("mount:") != std::string::npos)
    GTEST_SKIP() << "nothing may be mounted here: " << run.said();
  ASSERT_TRUE(live) << run.said();
  const auto filled = bench.process({"/bin/sh", "-c", "cat /dev/zero > \"$1\"", "sh",
                                     "/proc/" + std::to_string(run.pid()) + "/root" + (bench.folder() / "small/fill")});
  EXPECT_THAT(filled.output, HasSubstr("No space left on device"));
  ASSERT_TRUE(sys::unlink(hold));
  const auto outcome = run.finish(bench.folder() / "done");
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("did not take its last records"));
  EXPECT_THAT(outcome.output, ::testing::Not(HasSubstr("first 0\n")));
  EXPECT_EQ(outcome.results.size(), 4U);
  for (const auto& [id, line] : outcome.results) EXPECT_EQ(verdict(outcome, id), "PASS") << id;
  std::map<std::string, std::vector<std::string>> records;
  for (const auto& record : outcome.journal)
    records[string_or(record, "instance_id", "")].push_back(string_or(record, "type", ""));
  using ::testing::ElementsAre;
  for (const auto* live_then : {"free-0", "free-1"})
    EXPECT_THAT(records[live_then], ElementsAre("started", "patch", "error", "commit", "verdict", "commit"))
        << live_then;
  // No other was begun until there was room again.
  for (const auto* later : {"free-2", "free-3"})
    EXPECT_THAT(records[later], ElementsAre("started", "patch", "verdict", "commit")) << later;
}

TEST(TheDiskOfTheResults, ThatIsReadOnlyIsToldBeforeAnythingIsAsked) {
  Bench bench;
  const Samples samples(bench, 1, 0);
  HeldModel model(samples.patch());
  const auto argv = run_of(bench, samples, model, bench.folder() / "small/run", {"--sandbox", "local"});
  const auto output = bench.process(on_a_small_disk("ro,size=1m", argv, ""));
  if (output.status == ExitStatus::exited(77)) GTEST_SKIP() << "nothing may be mounted here: " << output.output;
  EXPECT_EQ(output.status, ExitStatus::exited(1)) << output.output;
  EXPECT_THAT(output.output, HasSubstr("Read-only file system"));
}

}  // namespace
}  // namespace awm::e2e
