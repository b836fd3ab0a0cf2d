// What a run keeps when things go wrong: releases that fail, kill -9 anywhere, signals.
#include <csignal>
#include <cstdlib>
#include <functional>
#include <set>

#include "held_model.h"
#include "os/sys.h"
#include "support/faults.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Json> records_of(const Outcome& outcome, std::string_view type) {
  std::vector<Json> found;
  for (const auto& record : outcome.journal) {
    if (string_or(record, "type", "") == type) found.push_back(record);
  }
  return found;
}

// Processes and sandboxes of runs that are no more: nothing of theirs may be left once the next run has begun.
std::string leftovers_under(const std::string& home) {
  std::string left;
  const auto live = join_path(home, ".cache/awm/local/live");
  if (const auto names = sys::list_folder(live)) {
    for (const auto& name : *names) left += name + " ";
  }
  return left;
}

TEST(Lifecycle, AVerdictStandsThoughItsSandboxCannotBeGivenBack) {
  Bench bench;
  bench.serve();
  bench.set("AWM_FAULT", "rmdir@cgroup.cpp:2:100000:16");
  const auto outcome = bench.run({"--instance", "example__logsift-2", "--memory", "off"});
  EXPECT_EQ(verdict(outcome, "example__logsift-2"), "PASS") << outcome.output;
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  bench.set("AWM_FAULT", "");
  // Without cgroups that awm may make there is nothing whose release fails here.
  const auto releases = records_of(outcome, "release");
  if (releases.empty()) GTEST_SKIP() << "no cgroup is made for sandboxes on this machine";
  EXPECT_THAT(string_or(releases[0], "release_error", ""), HasSubstr("remove folder"));
  EXPECT_THAT(string_or(outcome.results.at("example__logsift-2"), "release_error", ""), HasSubstr("remove folder"));
  const auto verdicts = records_of(outcome, "verdict");
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_EQ(string_or(verdicts[0], "verdict", ""), "passed");
}

TEST(Journal, ThatTakesNoMoreIsWrittenToASecondPlaceAndNothingIsLost) {
  Bench bench;
  bench.serve();
  const std::vector<std::string> tasks{"--instance",         "example__logsift-2", "--instance",
                                       "example__textkit-1", "--memory",           "off"};
  const auto undisturbed = bench.run(tasks);
  ASSERT_TRUE(make_folders(bench.folder() / "second"));
  auto more = tasks;
  more.insert(more.end(), {"--journal-fallback", bench.folder() / "second"});
  bench.set("AWM_FAULT",
            "write@journal.cpp:3:100000:28");  // the header, started and patch are written; then the disk is full
  const auto full = bench.run(more);
  bench.set("AWM_FAULT", "");
  EXPECT_EQ(full.status, ExitStatus::exited(1)) << full.output;
  EXPECT_EQ(verdict(full, "example__textkit-1"), "PASS") << full.output;  // what was live was finished
  EXPECT_EQ(full.results.size(), 1U);                                     // and nothing was begun behind it
  EXPECT_TRUE(records_of(full, "verdict").empty());
  EXPECT_THAT(full.output, HasSubstr("did not take its last records"));
  const auto names = sys::list_folder(bench.folder() / "second");
  ASSERT_TRUE(names);
  ASSERT_EQ(names->size(), 1U);
  const auto second = bench.folder() / ("second/" + names->front());
  EXPECT_THAT(full.output, HasSubstr(second));
  // As it says: joined, and gone on with.
  const auto joined = bench.process({"/bin/sh", "-c", "cat '" + second + "' >> '" + full.folder + "/journal.jsonl'"});
  EXPECT_TRUE(joined.status.ok());
  const auto resumed = bench.process({program(), "run", "--resume-from", full.folder});
  EXPECT_EQ(resumed.status, ExitStatus::exited(0)) << resumed.output;
  const auto diff = bench.process({program(), "diff", undisturbed.folder, full.folder});
  EXPECT_EQ(diff.status, ExitStatus::exited(0)) << diff.output;
}

TEST(Workers, AndTheSandboxMadeAheadChangeNothing) {
  Bench bench;
  bench.serve();
  const std::vector<std::string> common{"--induction-trigger", "1", "--max-iterations", "30", "--memory-lag", "4"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return bench.run(more);
  };
  const auto one = with({"--workers", "1", "--no-prewarm"});
  const auto four = with({"--workers", "4"});
  EXPECT_EQ(four.status, ExitStatus::exited(0)) << four.output;
  EXPECT_THAT(four.output, HasSubstr("nothing leaked"));
  const auto diff = bench.process({program(), "diff", one.folder, four.folder});
  EXPECT_EQ(diff.status, ExitStatus::exited(0)) << diff.output;
  EXPECT_THAT(diff.output, HasSubstr("9 samples compared, 0 differences"));
}

TEST(ManySamples, UnderALowLimitHoldWhatAFewDid) {
  Bench bench;
  constexpr int limit = 64;
  std::vector<Held> held;
  for (const std::size_t count : {8, 40}) {
    const Samples samples(bench, count, 0);
    HeldModel model(samples.patch());
    const auto place = bench.folder() / ("flat-" + std::to_string(count));
    const auto argv =
        run_of(bench, samples, model, place, {"--sandbox", "local", "--workers", "8", "--strict-resources"});
    const auto outcome = Bench::read(bench.process(with_descriptors(limit, argv)), place);
    EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
    EXPECT_EQ(outcome.results.size(), count);
    held.push_back(held_at_the_end(outcome));
  }
  EXPECT_EQ(held[0].leaks, 0);
  EXPECT_TRUE(held[1].no_more_than(held[0])) << ::testing::PrintToString(held);
}

// A run of two samples whose first waits for the model, and what it came to after this signal.
Outcome signalled(Bench& bench, int signal, const std::function<void(HeldModel&, Child&)>& meanwhile) {
  const Samples samples(bench, 0, 2);
  HeldModel model(samples.patch());
  const auto place = bench.folder() / "run";
  auto child = bench.spawner().spawn(scope(), {.argv = run_of(bench, samples, model, place, {"--sandbox", "local"}),
                                               .environment = bench.environment(),
                                               .folder = bench.folder().path()});
  EXPECT_TRUE(child) << child.error();
  EXPECT_TRUE(model.wait_for(1));
  EXPECT_TRUE(child->signal(signal));
  meanwhile(model, *child);
  ProcessOutput output;
  output.status = child->wait(Deadline::in(Seconds{60})).value_or(ExitStatus::exited(99));
  model.release();
  EXPECT_EQ(leftovers_under(bench.folder() / "home"), "");
  auto outcome = Bench::read(output, place);
  // Gone on with, both are done.
  const auto again =
      Bench::read(bench.process({program(), "run", "--resume-from", place, "--base-url", model.url()}), place);
  EXPECT_EQ(again.status, ExitStatus::exited(0)) << again.output;
  EXPECT_EQ(verdict(again, "held-0"), "PASS");
  EXPECT_EQ(verdict(again, "held-1"), "PASS");
  return outcome;
}

// Whether the signal was sent to the process and not delivered yet (proc(5): ShdPnd, a hexadecimal mask).
bool is_pending(int pid, int signal) {
  const auto status = read_file("/proc/" + std::to_string(pid) + "/status", std::size_t{1} << 16);
  EXPECT_TRUE(status) << status.error();
  const auto at = status ? status->find("ShdPnd:\t") : std::string::npos;
  if (at == std::string::npos) return false;
  return (std::strtoull(status->c_str() + at + 8, nullptr, 16) >> (signal - 1) & 1) != 0;
}

TEST(Signals, OnceLetsWhatIsLiveFinish) {
  Bench bench;
  const auto outcome = signalled(bench, SIGINT, [](HeldModel& model, Child&) { model.release(); });
  EXPECT_EQ(outcome.status, ExitStatus::exited(130));
  EXPECT_EQ(verdict(outcome, "held-0"), "PASS");
  EXPECT_EQ(outcome.results.size(), 1U);
}

TEST(Signals, TwiceEndEveryWait) {
  Bench bench;
  const auto outcome = signalled(bench, SIGINT, [](HeldModel&, Child& child) {
    // Two of a kind that both wait to be delivered are one.
    EXPECT_TRUE(testing::eventually([&] { return !is_pending(child.pid(), SIGINT); }));
    EXPECT_TRUE(child.signal(SIGINT));
  });
  EXPECT_EQ(outcome.status, ExitStatus::exited(130));
  EXPECT_TRUE(outcome.results.empty());
  const auto errors = records_of(outcome, "error");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(string_or(errors[0], "verdict", ""), "interrupted");
}

TEST(Signals, OfTerminationEndsEveryWaitAtOnce) {
  Bench bench;
  const auto outcome = signalled(bench, SIGTERM, [](HeldModel&, Child&) {});
  EXPECT_EQ(outcome.status, ExitStatus::exited(130));
  EXPECT_TRUE(outcome.results.empty());
  EXPECT_EQ(records_of(outcome, "error").size(), 1U);
}

TEST(DescriptorLimit, ThatFitsFewerWorkersIsToldAndOneThatFitsNoneIsRefused) {
  Bench bench;
  const Samples samples(bench, 2, 0);
  HeldModel model(samples.patch());
  const auto argv = [&](const std::string& name) {
    return run_of(bench, samples, model, bench.folder() / name, {"--sandbox", "local", "--workers", "8"});
  };
  const auto fewer = Bench::read(bench.process(with_descriptors(40, argv("fewer"))), bench.folder() / "fewer");
  EXPECT_EQ(fewer.status, ExitStatus::exited(0)) << fewer.output;
  EXPECT_THAT(fewer.output, HasSubstr("4 workers fit, instead of 8"));
  const auto none = bench.process(with_descriptors(25, argv("none")));
  EXPECT_EQ(none.status, ExitStatus::exited(1)) << none.output;
  EXPECT_THAT(none.output, HasSubstr("raise the limit: ulimit -n 1024"));
  EXPECT_FALSE(exists(bench.folder() / "none"));
}

TEST(Diff, TellsWhatDiffers) {
  Bench bench;
  bench.serve();
  const auto one = bench.run({"--instance", "example__logsift-2", "--memory", "off"});
  const auto other = bench.run({"--instance", "example__logsift-2", "--gold"}, false);
  const auto diff = bench.process({program(), "diff", one.folder, other.folder});
  EXPECT_EQ(diff.status, ExitStatus::exited(1)) << diff.output;
  EXPECT_THAT(diff.output, HasSubstr("sample example__logsift-2: agent_end"));
  const auto none = bench.process({program(), "diff", one.folder, bench.folder().path()});
  EXPECT_EQ(none.status, ExitStatus::exited(2)) << none.output;
  EXPECT_THAT(none.output, HasSubstr("there is no journal.jsonl in it"));
}

TEST(Resume, OfADataSetThatChangedIsRefused) {
  Bench bench;
  const auto text = read_file(source("examples/tasks.jsonl"));
  ASSERT_TRUE(text);
  const auto first_line = text->substr(0, text->find('\n') + 1);
  const auto tasks = bench.folder().write("tasks.jsonl", first_line);
  const auto run = bench.run_on(tasks, {"--gold"});
  EXPECT_EQ(run.status, ExitStatus::exited(0)) << run.output;
  bench.folder().write("tasks.jsonl", *text);
  const auto again = bench.process({program(), "run", "--resume-from", run.folder});
  EXPECT_EQ(again.status, ExitStatus::exited(2)) << again.output;
  EXPECT_THAT(again.output, HasSubstr("the data set is not the one the run began with"));
}

TEST(Resume, WithOtherSettingsIsRefusedAndTold) {
  Bench bench;
  const auto run = bench.run({"--gold", "--instance", "example__logsift-2"}, false);
  const auto again = bench.process({program(), "run", "--resume-from", run.folder, "--eval-timeout", "7"});
  EXPECT_EQ(again.status, ExitStatus::exited(2)) << again.output;
  EXPECT_THAT(again.output, HasSubstr("--eval-timeout was 1800.0, now 7.0"));
  const auto forced = bench.process({program(), "run", "--resume-from", run.folder, "--eval-timeout", "7", "--force"});
  EXPECT_EQ(forced.status, ExitStatus::exited(0)) << forced.output;
}

TEST(OutputFolder, OfAnotherRunIsRefused) {
  Bench bench;
  const auto run = bench.run({"--gold", "--instance", "example__logsift-2"}, false);
  const auto again = bench.process({program(), "run", "--dataset", source("examples/tasks.jsonl"), "--sandbox", "local",
                                    "--repos", bench.folder() / "repos", "--gold", "--output-dir", run.folder});
  EXPECT_EQ(again.status, ExitStatus::exited(2)) << again.output;
  EXPECT_THAT(again.output, HasSubstr("the folder holds another run"));
}

}  // namespace
}  // namespace awm::e2e
