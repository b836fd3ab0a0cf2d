// What a person looks with: awm doctor, awm fds, awm sweep.
#include "run_awm.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> doctor(const Bench& bench, const std::string& url, std::vector<std::string> more) {
  std::vector<std::string> argv{program(),       "doctor",        "--sandbox", "local",        "--model",
                                "openai/m",      "--base-url",    url,         "--output-dir", bench.folder() / "out",
                                "--api-key-env", "AWM_REPLAY_KEY"};
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

TEST(Doctor, SaysWhatIsWellAndTriesTheKey) {
  Bench bench;
  bench.serve({.models = {"m"}, .key = "sk-scripted-0123456789"});
  const auto url = bench.server().url();
  const auto well = bench.process(doctor(bench, url, {"--dataset", source("examples/tasks.jsonl")}));
  EXPECT_EQ(well.status, ExitStatus::exited(0)) << well.output;
  EXPECT_THAT(well.output, HasSubstr("ok    local sandbox: bubblewrap works"));
  EXPECT_THAT(well.output, HasSubstr("the server takes the key, and has the model"));
  EXPECT_THAT(well.output, HasSubstr("tasks.jsonl: 9 rows"));
  EXPECT_THAT(well.output, Not(HasSubstr("sk-scripted")));
  EXPECT_FALSE(exists(bench.folder() / "out"));

  bench.set("AWM_REPLAY_KEY", "sk-of-somebody-else");
  const auto wrong = bench.process(doctor(bench, url, {"--json"}));
  EXPECT_EQ(wrong.status, ExitStatus::exited(1)) << wrong.output;
  EXPECT_THAT(wrong.output, HasSubstr("the server refuses the key (401)"));
  EXPECT_THAT(wrong.output, Not(HasSubstr("somebody-else")));
}

TEST(Doctor, NamesWhatIsMissing) {
  Bench bench;
  const auto broken = bench.folder().write("rows.jsonl", "{\"instance_id\": \"a\"\n");
  bench.set("DOCKER_HOST", "unix://" + (bench.folder() / "no.sock"));
  const auto none = bench.process({program(), "doctor", "--sandbox", "docker", "--dataset", broken});
  EXPECT_EQ(none.status, ExitStatus::exited(1)) << none.output;
  EXPECT_THAT(none.output, HasSubstr("fail  Docker engine: "));
  EXPECT_THAT(none.output, HasSubstr("      -> "));
  EXPECT_THAT(none.output, HasSubstr("rows.jsonl:1"));
  EXPECT_THAT(none.output, HasSubstr("warn  model: none is named"));
  EXPECT_THAT(none.output, Not(HasSubstr("local sandbox")));
}

TEST(FdsCommand, ShowsAProcessAndWhatGrows) {
  Bench bench;
  const auto script =
      bench.folder().write("grower.sh",
                           "touch ready-1 ready-2; exec 5<ready-1; echo began; read line; exec 6<ready-2;"
                           " echo opened; read line\n");
  const auto input = sys::pipe(scope(), "input");
  const auto output = sys::pipe(scope(), "output");
  ASSERT_TRUE(input && output);
  auto child = bench.spawner().spawn(scope(), {.argv = {"/bin/sh", script},
                                               .environment = bench.environment(),
                                               .folder = bench.folder().path(),
                                               .stdin_fd = input->first.get(),
                                               .stdout_fd = output->second.get()});
  ASSERT_TRUE(child) << child.error();
  char text[8] = {};
  ASSERT_TRUE(sys::read(output->first.get(), text, sizeof text));
  const auto one = bench.process({program(), "fds", "grower.sh"});
  EXPECT_EQ(one.status, ExitStatus::exited(0)) << one.output;
  EXPECT_THAT(one.output, HasSubstr("/ready-#"));
  EXPECT_THAT(one.output, HasSubstr("descriptors of process " + std::to_string(child->pid())));
  const auto each = bench.process({program(), "fds", std::to_string(child->pid()), "--all"});
  EXPECT_THAT(each.output, HasSubstr("/ready-1"));
  // Watched while it opens another, and until it ends.
  auto said = sys::pipe(scope(), "said");
  ASSERT_TRUE(said);
  auto watcher =
      bench.spawner().spawn(scope(), {.argv = {program(), "fds", std::to_string(child->pid()), "--watch", "0.05"},
                                      .environment = bench.environment(),
                                      .folder = "",
                                      .stdout_fd = said->second.get()});
  ASSERT_TRUE(watcher) << watcher.error();
  said->second.reset();
  std::string seen;
  const auto read_until = [&](std::string_view wanted) {
    char piece[4096];
    while (seen.find(wanted) == std::string::npos) {
      const auto count = sys::read(said->first.get(), piece, sizeof piece);
      if (!count || *count == 0) return false;
      seen.append(piece, *count);
    }
    return true;
  };
  EXPECT_TRUE(read_until("descriptors of process")) << seen;
  EXPECT_TRUE(sys::write_all(input->second.get(), "go on\n"));
  EXPECT_TRUE(read_until("1 opened, 0 closed")) << seen;
  child->kill();
  EXPECT_TRUE(read_until("has ended")) << seen;
  EXPECT_TRUE(read_until("grown by 1: file ")) << seen;
  EXPECT_EQ(watcher->wait(Deadline::in(Seconds{20})).value_or(ExitStatus::exited(99)), ExitStatus::exited(0));
  const auto gone = bench.process({program(), "fds", "grower.sh"});
  EXPECT_EQ(gone.status, ExitStatus::exited(2)) << gone.output;
  EXPECT_THAT(gone.output, HasSubstr("find a process called grower.sh: there is none"));
  const auto nobody = bench.process({program(), "fds"});
  EXPECT_EQ(nobody.status, ExitStatus::exited(2)) << nobody.output;
}

TEST(SweepCommand, OfAMachineWithoutLeftoversRemovesNothing) {
  Bench bench;
  const auto none = bench.process({program(), "sweep", "--sandbox", "local"});
  EXPECT_EQ(none.status, ExitStatus::exited(0)) << none.output;
  EXPECT_THAT(none.output, HasSubstr("removed, 0 kept"));
  const auto wrong = bench.process({program(), "sweep", "--sandbox", "local", "--run", "x"});
  EXPECT_EQ(wrong.status, ExitStatus::exited(2)) << wrong.output;
}

}  // namespace
}  // namespace awm::e2e
