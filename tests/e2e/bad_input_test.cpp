// What a person can give that is wrong, through the real program: the words, the exit code, and that nothing is begun,
// asked or lost.
#include "held_model.h"
#include "os/sys.h"

namespace awm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string task = "example__textkit-1";

// Ends before anything is begun: exit code 2, these words, no output folder, no request.
void expect_refused(Bench& bench, const Outcome& outcome, const std::vector<std::string>& words) {
  EXPECT_EQ(outcome.status, ExitStatus::exited(2)) << outcome.output;
  for (const auto& one : words) EXPECT_THAT(outcome.output, HasSubstr(one));
  EXPECT_FALSE(exists(outcome.folder)) << outcome.output;
  EXPECT_EQ(bench.server().counters().requests, 0U);
}

TEST(BadConfig, IsNamedWithFileAndLineBeforeAnythingBegins) {
  Bench bench;
  bench.serve();
  const auto mistyped = bench.folder().write("mistyped.toml", "[llm]\nmodle = \"x\"\n");
  expect_refused(bench, bench.run({"--config", mistyped}),
                 {mistyped + ":2: [llm] does not know the key \"modle\"; did you mean \"model\"?"});
  const auto broken = bench.folder().write("broken.toml", "[llm\nmodel = \"x\"\n");
  expect_refused(bench, bench.run({"--config", broken}), {broken + ":1:5: not valid TOML: "});
  expect_refused(bench, bench.run({"--config", bench.folder() / "none.toml"}),
                 {bench.folder() / "none.toml: No such file or directory (see --config)"});
}

TEST(BadRows, AreNamedWithFileLineSampleAndKeyBeforeAnythingBegins) {
  Bench bench;
  bench.serve();
  const auto good = dump_json(example_row(task)) + "\n";
  const auto without = [&](const char* key) {
    auto row = example_row("example__logsift-1");
    row.erase(key);
    return dump_json(row) + "\n";
  };
  const struct {
    std::string rows;
    std::vector<std::string> words;
  } cases[] = {
      {good + "{\"instance_id\": x}\n" + good, {"rows.jsonl:2: not valid JSON at column 17: "}},
      {good + good.substr(0, 700),
       {"rows.jsonl:2: the last line is broken off", "(the file was not written to its end"}},
      {good + good,
       {"rows.jsonl:2, " + task + ": the row is there twice; the first is at ", "rows.jsonl:1 (leave one"}},
      {good + without("base_commit"), {"rows.jsonl:2, example__logsift-1, base_commit: it is missing"}},
      {good + without("problem_statement"),
       {"rows.jsonl:2, example__logsift-1, problem_statement: it is empty, and the agent has nothing else to go by"}},
      {good + without("FAIL_TO_PASS"),
       {"rows.jsonl:2, example__logsift-1, FAIL_TO_PASS, PASS_TO_PASS: they are missing"}},
      {"", {"rows.jsonl: no row is in it"}},
  };
  for (const auto& [rows, words] : cases) {
    const auto file = bench.folder().write("rows.jsonl", rows);
    expect_refused(bench, bench.run_on(file, bench.model_flags({})), words);
  }
  expect_refused(bench, bench.run_on(bench.folder() / "none.jsonl", bench.model_flags({})),
                 {"none.jsonl: there is no such file or folder (name a .jsonl or .json file with SWE-bench rows)"});
  expect_refused(bench, bench.run({"--instance", "example__textkit-11"}),
                 {"choose example__textkit-11: no row has this instance id (did you mean example__textkit-1?)"});
}

TEST(BadRepositories, NoneIsRefusedAndSomeAreTold) {
  Bench bench;
  bench.serve();
  auto foreign = example_row("example__logsift-1");
  foreign["repo"] = "nobody/nothing";
  const auto none = write_rows(bench.folder() / "none.jsonl", {foreign});
  expect_refused(bench, bench.run_on(none, bench.model_flags({})),
                 {"find the repository nobody/nothing: there is no " + bench.folder().path() +
                  "/repos/nobody__nothing (git clone it there"});
  const auto some = write_rows(bench.folder() / "some.jsonl", {foreign, example_row(task)});
  const auto outcome = bench.run_on(some, {"--gold"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(3)) << outcome.output;
  EXPECT_THAT(outcome.output,
              HasSubstr("1 repositories are missing, and their tasks will end in errors: nobody/nothing"));
  EXPECT_EQ(verdict(outcome, task), "PASS") << outcome.output;
}

TEST(BadMemory, IsRefusedOrCutDownAndSaid) {
  Bench bench;
  bench.serve();
  const std::vector<std::string> what{"--instance", task, "--memory", "frozen", "--memory-from"};
  const auto with = [&](const std::string& file) {
    auto all = what;
    all.push_back(file);
    return bench.run(all);
  };
  expect_refused(bench, with(bench.folder().write("broken.json", "{\"workflows\": [\n")),
                 {"broken.json: not valid JSON at line 2, column 1"});
  expect_refused(
      bench, with(bench.folder().write("elsewhere.json", "{\"hello\": 1}")),
      {"elsewhere.json: it has no list \"workflows\" (name a memory.json that awm or its predecessor wrote)"});
  expect_refused(bench, with(bench.folder() / "none.json"), {"none.json: No such file or directory"});

  const Json step{{"step_type", "Fix"}, {"reasoning", "it is so"}, {"action_template", "edit {{file}}"}};
  Json many{{"workflows", Json::array()}};
  for (int i = 0; i < 10'000; ++i) {
    many["workflows"].push_back(Json{{"name", "Way Number " + std::to_string(i)},
                                     {"description", "to go"},
                                     {"applicable_scenarios", Json::array({"always"})},
                                     {"steps", Json::array({step, step, step})}});
  }
  const auto big = bench.folder().write("big.json", dump_json(many));
  const auto outcome = with(big);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("left out: 9950 workflows beyond the limit of 50"), HasSubstr("50 workflows shown")));
  // No room for one: none is shown, and that is said.
  const auto narrow = bench.run({"--instance", task, "--memory", "frozen", "--memory-from", big, "--truncation", "50"});
  EXPECT_EQ(narrow.status, ExitStatus::exited(0)) << narrow.output;
  EXPECT_THAT(narrow.output, AllOf(HasSubstr(", 50 left out for want of room"), Not(HasSubstr("workflows shown"))));
}

TEST(OutputFolder, WithFilesOfThePredecessorIsLeftAlone) {
  Bench bench;
  bench.serve();
  const auto folder = bench.folder() / "out1";
  const auto theirs = bench.folder().write("out1/checkpoint.json", "{\"total_processed\": 1}");
  const auto outcome = bench.run({});
  EXPECT_EQ(outcome.status, ExitStatus::exited(2)) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr(folder + ": it holds the checkpoint.json of another program's run"));
  EXPECT_EQ(testing::read_text(theirs), "{\"total_processed\": 1}");
  const auto resumed = bench.process({program(), "run", "--resume-from", theirs});
  EXPECT_EQ(resumed.status, ExitStatus::exited(2)) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr(folder + ": there is no journal.jsonl in it"));
}

TEST(OutputFolder, OfARunThatIsAtWorkIsRefusedAndTheRunGoesOn) {
  Bench bench;
  const Samples samples(bench, 0, 1);
  HeldModel model(samples.patch());
  const auto folder = bench.folder() / "one";
  const auto argv = run_of(bench, samples, model, folder, {"--sandbox", "local", "--skip-evaluation"});
  auto child = bench.spawner().spawn(
      scope(), {.argv = argv, .environment = bench.environment(), .folder = bench.folder().path()});
  ASSERT_TRUE(child) << child.error();
  ASSERT_TRUE(model.wait_for(1));
  const auto second = bench.process(argv);
  EXPECT_EQ(second.status, ExitStatus::exited(2)) << second.output;
  EXPECT_THAT(second.output, HasSubstr("the folder holds another run (go on with it by --resume-from " + folder));
  const auto resumed = bench.process({program(), "run", "--resume-from", folder});
  EXPECT_EQ(resumed.status, ExitStatus::exited(1)) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("another awm is writing this run (wait for it, or stop it)"));
  model.release();
  const auto ended = child->wait(Deadline::in(Seconds{60}));
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(*ended, ExitStatus::exited(0));
  EXPECT_EQ(read_lines(join_path(folder, "results.jsonl")).size(), 1U);
}

// Named by the time, to the second: of runs that begin together each has a folder of its own.
TEST(OutputFolder, IsAnOwnOneWhereNoneIsNamed) {
  Bench bench;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i) {
    auto child = bench.spawner().spawn(
        scope(), {.argv = {program(), "run", "--dataset", source("examples/tasks.jsonl"), "--sandbox", "local",
                           "--repos", bench.folder() / "repos", "--gold", "--instance", task, "--quiet"},
                  .environment = bench.environment(),
                  .folder = bench.folder().path()});
    ASSERT_TRUE(child) << child.error();
    children.push_back(*std::move(child));
  }
  for (auto& child : children) {
    const auto ended = child.wait(Deadline::in(Seconds{60}));
    ASSERT_TRUE(ended) << ended.error();
    EXPECT_EQ(*ended, ExitStatus::exited(0));
  }
  const auto folders = sys::list_folder(bench.folder() / "runs");
  ASSERT_TRUE(folders) << folders.error();
  EXPECT_EQ(folders->size(), 4U);
}

TEST(Bubblewrap, ThatIsMissingOrFailsEndsTheRunBeforeItBegins) {
  Bench bench;
  const auto argv = [&](const std::string& name) {
    return std::vector<std::string>{program(),
                                    "run",
                                    "--dataset",
                                    source("examples/tasks.jsonl"),
                                    "--sandbox",
                                    "local",
                                    "--repos",
                                    bench.folder() / "repos",
                                    "--gold",
                                    "--output-dir",
                                    bench.folder() / name};
  };
  const auto fake = bench.folder().write(
      "bin/bwrap", "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
  ASSERT_TRUE(sys::chmod(fake, 0755));
  bench.set("PATH", bench.folder() / "bin:/usr/local/bin:/usr/bin:/bin");
  const auto fails = bench.process(argv("fails"));
  EXPECT_EQ(fails.status, ExitStatus::exited(1)) << fails.output;
  EXPECT_THAT(fails.output, HasSubstr("start a local sandbox: bwrap: No permissions to create new namespace"));
  EXPECT_FALSE(exists(bench.folder() / "fails"));

  bench.set("PATH", "/usr/local/bin:/usr/bin:/bin");
  // Where it lies, there is no program any more.
  std::vector<std::string> hidden{"unshare",
                                  "-m",
                                  "sh",
                                  "-c",
                                  "for b in /usr/local/bin/bwrap /usr/bin/bwrap; do [ ! -e $b ] || mount --bind "
                                  "/dev/null $b || exit 77; done; exec \"$@\"",
                                  "sh"};
  if (sys::effective_uid() != 0) hidden.insert(hidden.begin() + 1, "-r");
  const auto whole = argv("missing");
  hidden.insert(hidden.end(), whole.begin(), whole.end());
  const auto missing = bench.process(hidden);
  if (missing.status == ExitStatus::exited(77)) GTEST_SKIP() << "nothing may be mounted here: " << missing.output;
  EXPECT_EQ(missing.status, ExitStatus::exited(1)) << missing.output;
  EXPECT_THAT(missing.output,
              HasSubstr("bwrap (bubblewrap) is not installed (install it: apt-get install bubblewrap)"));
  EXPECT_FALSE(exists(bench.folder() / "missing"));
}

Json call(const std::string& command) {
  return Json{{"content", "I go on."},
              {"tool_calls", Json::array({Json{{"name", "execute_bash"}, {"arguments", {{"command", command}}}}})}};
}

// An agent that does its worst and then its work: the work counts, and nothing of the rest is left.
TEST(HostileAgent, GetsNowhereAndItsWorkIsKept) {
  Bench bench;
  const auto row = example_row(task);
  const std::string sign = "awm-daemon-" + sys::random_hex(8);
  const auto secret = bench.folder().write("home/.netrc", "password topsecret-" + sign);
  Json steps = Json::array(
      {call("(setsid nohup bash -c 'exec -a " + sign +
            " sleep 1000' >/dev/null 2>&1 &); (trap '' TERM HUP; setsid bash -c 'exec -a " + sign +
            " sleep 1000' >/dev/null 2>&1 &); echo daemons"),
       call("cat " + secret +
            " /etc/shadow; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -i 'key=\\|token'; echo secrets"),
       call("ls /run/docker.sock /var/run/docker.sock; echo sockets"),
       call("mount -o remount,rw /; umount -l /; touch /usr/bin/x; echo mounts"),
       call("head -c 1G /dev/zero > /testbed/fill; rm -f /testbed/fill; echo disk"),
       call("printf 'bytes \\377\\376 \\033[2J\\033]0;title\\007\\n'; head -c 100M /dev/zero | tr '\\0' x"),
       call("python3 -c 'import os, time\ntry:\n  while True: os.fork()\nexcept OSError: time.sleep(1000)' >/dev/null "
            "2>&1 &"),
       call("kill -9 -1"),
       call("git apply <<'END_OF_PATCH'\n" + string_or(row, "patch", "") + "END_OF_PATCH\ngit status --short"),
       Json{{"content", ""},
            {"tool_calls", Json::array({Json{{"name", "finish"}, {"arguments", {{"message", "Done."}}}}})}}});
  const Json script{{"name", "hostile"}, {"match", {{"text", "slugify() loses every letter"}}}, {"steps", steps}};
  bench.serve({.scripts = {bench.folder().write("hostile.json", dump_json(script))}});
  const auto config = bench.folder().write("config.toml", "[awm.sandbox]\nmemory = \"512M\"\npids = 100\n");
  const auto outcome = bench.run({"--instance", task, "--memory", "off", "--config", config, "--strict-resources"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(verdict(outcome, task), "PASS") << outcome.output;
  EXPECT_EQ(bench.server().counters().conversations.at("hostile").furthest, steps.size());
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("nothing leaked"), Not(HasSubstr("\033"))));
  const auto events = testing::read_text(join_path(outcome.folder, "samples/" + task + "/events.jsonl"));
  for (const auto* kept : {"daemons\\n", "secrets\\n", "sockets\\n", "mounts\\n", "disk\\n", "No space left on device",
                           "bytes ��", "Read-only file system"}) {
    EXPECT_THAT(events, HasSubstr(kept));
  }
  for (const auto& kept_out : {std::string("topsecret-"), std::string("sk-scripted"), std::string("root:*")}) {
    EXPECT_THAT(events, Not(HasSubstr(kept_out)));
  }
  EXPECT_LT(events.size(), 1'000'000U);
  const auto left = bench.process(
      {"/bin/sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^" + sign + "'"});
  EXPECT_EQ(trim(left.output), "0");
}

// What tests print, and what a row calls them, ends in files; a terminal is steered by none of it.
TEST(HostileTests, KillAndPrintWhatTheyLike) {
  Bench bench;
  auto row = example_row(task);
  row["eval_script"] = with_tests(row,
                                  "printf '\\377\\376 \\033[31mred\\033[2J\\033]0;title\\007 \\000 bytes\\n'; "
                                  "(setsid sleep 1000 >/dev/null 2>&1 &); kill -9 -1");
  auto named = row;
  named["instance_id"] = "example__textkit-named";
  auto names = *parse_json(string_or(row, "FAIL_TO_PASS", ""), "names");
  names.push_back("test_\033[2J\033]0;title\007");
  named["FAIL_TO_PASS"] = dump_json(names);
  const auto rows = write_rows(bench.folder() / "rows.jsonl", {row, named});
  const auto outcome = bench.run_on(rows, {"--gold", "--run-id", "r", "--strict-resources"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(verdict(outcome, task), "PASS") << outcome.output;
  EXPECT_EQ(verdict(outcome, "example__textkit-named"), "FAIL tests_failed") << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("tests failed: test_"), Not(HasSubstr("\033")), Not(HasSubstr("\007"))));
  const auto log = join_path(outcome.folder, "logs/run_evaluation/r/gold/" + task + "/test_output.txt");
  EXPECT_THAT(testing::read_text(log), HasSubstr("\xef\xbf\xbd\xef\xbf\xbd \033[31mred"));
}

// Answers to learn from that nobody can learn from: asked for once more, then left; the pass stays a pass.
TEST(HostileInduction, CostsOnlyWhatItWouldHaveTaught) {
  const std::string whole =
      "ACTION: NEW\nTARGET: new\n\n## Workflow: {}\nDescription: d\nApplicable scenarios: a, b\nSteps:\n"
      "1. [A] why it is\n   Action: do {{one}}\n2. [B] why it is so\n   Action: do {{two}}\n"
      "3. [C] why it must be\n   Action: do {{three}}\n";
  const struct {
    const char* name;
    std::string first;
    std::string second;
    std::vector<std::string> words;
  } cases[] = {
      {"empty and endless", "", std::string(100'000, 'x'), {"empty", "longer than 64 kB"}},
      {"in another language",
       "动作：新建\n目标：新\n",
       "ACTION: NEW\nTARGET: new\n\n## Workflow: 先复现再修复\nDescription: 先复现问题，再修复代码\nApplicable "
       "scenarios: "
       "文字丢失, 结果错误\nSteps:\n1. [复现] 先要看到问题的样子\n   Action: 运行程序并记录结果\n2. [定位] "
       "找到出错的地方\n"
       "   Action: 阅读相关的代码\n3. [修复] 改正错误并保持其他行为\n   Action: 修改代码然后运行测试\n",
       {"no line \"ACTION: NEW\"", "not written in English"}},
      {"two actions and a path",
       "ACTION: NEW\n" + whole,
       replace_all(whole, "{}", "../../etc/passwd"),
       {"two lines \"ACTION:\"", "name"}},
  };
  for (const auto& one : cases) {
    Bench bench;
    Json induction{{"name", "induction"},
                   {"purpose", "induction"},
                   {"match", {{"default", true}}},
                   {"steps", Json::array({Json{{"content", one.first}}, Json{{"content", one.second}}})}};
    const auto mine = bench.folder().write("induction.json", dump_json(induction));
    bench.serve({.scripts = {source("examples/scripts/example__textkit-1.codeact.json"), mine}});
    const auto outcome = bench.run({"--instance", task, "--induction-trigger", "1"});
    EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << one.name << outcome.output;
    EXPECT_EQ(verdict(outcome, task), "PASS") << outcome.output;
    EXPECT_EQ(bench.server().counters().conversations.at("induction").requests, 2U) << one.name;
    EXPECT_FALSE(exists(join_path(outcome.folder, "memory.json")) &&
                 contains(testing::read_text(join_path(outcome.folder, "memory.json")), "step_type"))
        << one.name;
    std::string said;
    for (const auto& record : outcome.journal) {
      if (string_or(record, "type", "") == "commit") said += dump_json(record);
    }
    for (const auto& words : one.words)
      EXPECT_THAT(said, HasSubstr(dump_json(words).substr(1, dump_json(words).size() - 2))) << one.name;
  }
}

// docs/errors.md names a test for each kind of bad input.
TEST(ErrorsDocument, NamesTestsThatExist) {
  std::string sources;
  const auto names = [](const std::string& folder) {
    return sys::list_folder(source(folder)).value_or(std::vector<std::string>{});
  };
  for (const auto& room : names("tests")) {
    for (const auto& file : names("tests/" + room)) {
      if (file.ends_with("_test.cpp")) sources += testing::read_text(source("tests/" + room + "/" + file));
    }
  }
  std::size_t named = 0;
  const auto document = testing::read_text(source("docs/errors.md"));
  for (const auto line : split_lines(document)) {
    const auto cells = split(line, '|');
    if (cells.size() != 5 || !contains(cells[3], "`")) continue;
    for (const auto& word : split(cells[3], '`')) {
      const auto dot = word.find('.');
      if (dot == std::string::npos || contains(word, " ")) continue;
      ++named;
      EXPECT_THAT(sources, HasSubstr("(" + word.substr(0, dot) + ", " + word.substr(dot + 1) + ")")) << line;
    }
  }
  EXPECT_GT(named, 50U);
}

TEST(Workers, FiveHundredDoTheWorkOfAFew) {
  Bench bench;
  std::vector<Json> rows;
  for (int i = 0; i < 24; ++i) {
    rows.push_back(example_row("example__logsift-2"));
    rows.back()["instance_id"] = "example__logsift-2" + std::to_string(i);
  }
  const auto outcome = bench.run_on(write_rows(bench.folder() / "rows.jsonl", rows),
                                    {"--gold", "--workers", "500", "--strict-resources"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("24 of 24 tasks done: 24 passed"), HasSubstr("nothing leaked")));
}

}  // namespace
}  // namespace awm::e2e
