#include "runtime/runtime.h"

#include <latch>

#include "base/text.h"
#include "llm/registry.h"
#include "llm/support.h"
#include "os/thread.h"
#include "runtime/fake_sandbox.h"
#include "support/faults.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::FakeSandbox;
using ::testing::HasSubstr;
using testing::TestFolder;

const Scope scope("test");

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override { make({}); }
  void make(RuntimeSettings settings, ExitHooks* hooks = nullptr) {
    runtime_.reset();
    testing::remove_all(folder_ / "events.jsonl");
    RuntimeParts parts;
    auto sandbox = std::make_unique<FakeSandbox>();
    sandbox_ = sandbox.get();
    parts.sandbox = std::move(sandbox);
    auto stream = EventStream::open(scope, folder_ / "events.jsonl");
    ASSERT_TRUE(stream) << stream.error();
    parts.stream = *std::move(stream);
    runtime_ = std::make_unique<Runtime>(std::move(parts), std::move(settings), scope, hooks);
  }
  Observation act(Action action) {
    auto observation = runtime_->run_action(std::move(action));
    EXPECT_TRUE(observation) << observation.error();
    return observation ? *std::move(observation) : Observation{};
  }
  Observation run(const std::string& command, bool is_input = false) {
    RunAction action;
    action.command = command;
    action.is_input = is_input;
    return act(action);
  }
  static const RunMetadata& end_of(const Observation& observation) {
    static const RunMetadata none;
    const auto* run = get_if<RunObservation>(observation);
    EXPECT_NE(run, nullptr) << kind_of(observation);
    return run != nullptr ? run->metadata : none;
  }

  TestFolder folder_;
  FakeSandbox* sandbox_ = nullptr;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(RuntimeTest, ActionAndObservationAreRecordedAndBelongTogether) {
  const auto call = std::make_shared<const ToolCallMetadata>(
      ToolCallMetadata{.function_name = "execute_bash", .tool_call_id = "c7", .model_response = {}});
  RunAction run;
  run.command = "ls";
  Action action(run);
  action.tool_call = call;
  sandbox_->shell = [](const std::string&, const ShellOptions&) {
    return ShellResult{.status = ExitStatus::exited(3), .output = "out\n", .folder = "/testbed/src"};
  };
  const Observation observation = act(action);
  EXPECT_EQ(observation.cause, 0);
  EXPECT_EQ(observation.id, 1);
  EXPECT_EQ(end_of(observation).exit_code, 3);
  EXPECT_EQ(end_of(observation).working_dir, "/testbed/src");
  EXPECT_EQ(agent_text(observation),
            "out\n\n[The command completed with exit code 3.]\n[Current working directory: /testbed/src]\n"
            "[Command finished with exit code 3]");
  const auto events = runtime_->stream()->search({});
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2U);
  EXPECT_EQ(header((*events)[0]).source, EventSource::agent);
  EXPECT_EQ(header((*events)[1]).source, EventSource::environment);
  EXPECT_EQ(header((*events)[1]).cause, 0);
  EXPECT_EQ(header((*events)[1]).tool_call->tool_call_id, "c7");
}

TEST_F(RuntimeTest, ACommandWithoutNewsCanBeContinuedAnsweredAndInterrupted) {
  int calls = 0;
  sandbox_->shell = [&](const std::string&, const ShellOptions&) {
    ++calls;
    if (calls < 5) return ShellResult{.finished = false, .output = "part " + std::to_string(calls)};
    return ShellResult{.status = ExitStatus::signalled(2), .output = "end", .folder = "/testbed"};
  };
  const Observation first = run("./ask");
  EXPECT_EQ(end_of(first).exit_code, -1);
  EXPECT_EQ(first.content, "part 1");
  EXPECT_THAT(end_of(first).suffix, HasSubstr("[The command has no new output after 10 seconds. You may wait longer"));
  EXPECT_EQ(end_of(first).prefix, "");

  const Observation refused = run("ls");
  EXPECT_EQ(end_of(refused).exit_code, -1);
  EXPECT_THAT(end_of(refused).suffix, HasSubstr("Your command \"ls\" is NOT executed."));

  EXPECT_EQ(run("").content, "part 2");
  EXPECT_EQ(run("yes", true).content, "part 3");
  EXPECT_EQ(end_of(run("C-d", true)).prefix, "[Below is the output of the previous command.]\n");
  const Observation ended = run("C-c", true);
  EXPECT_EQ(end_of(ended).exit_code, 130);
  EXPECT_EQ(end_of(ended).suffix, "\n[The command completed with exit code 130. CTRL+C was sent.]");
  EXPECT_THAT(sandbox_->log,
              ElementsAre("run ./ask", "continue", "input yes\n", std::string("input \x04"), "interrupt"));
}

TEST_F(RuntimeTest, NothingRunsToBeContinued) {
  EXPECT_EQ(run("").content, "ERROR: No previous running command to retrieve logs from.");
  EXPECT_EQ(run("y", true).content, "ERROR: No previous running command to interact with.");
  EXPECT_EQ(run("C-c").content, "ERROR: No previous running command to interact with.");
  EXPECT_TRUE(sandbox_->log.empty());
}

TEST_F(RuntimeTest, TimeLimitsReachTheShell) {
  make({.soft_timeout = Seconds(7), .hard_timeout = Seconds(90)});
  (void)run("a");
  RunAction blocking;
  blocking.command = "b";
  blocking.blocking = true;
  Action action(blocking);
  action.timeout = 30;
  (void)act(action);
  ASSERT_EQ(sandbox_->shell_options.size(), 2U);
  EXPECT_EQ(sandbox_->shell_options[0].soft_quiet_limit, Seconds(7));
  EXPECT_EQ(sandbox_->shell_options[0].hard_limit, Seconds(90));
  EXPECT_EQ(sandbox_->shell_options[1].soft_quiet_limit, Seconds(0));
  EXPECT_EQ(sandbox_->shell_options[1].hard_limit, Seconds(30));
}

TEST_F(RuntimeTest, EndsOfOtherKindsAreTold) {
  sandbox_->shell = [](const std::string&, const ShellOptions&) {
    return ShellResult{.status = ExitStatus::timed_out(), .folder = "/testbed"};
  };
  RunAction slow;
  slow.command = "sleep 9";
  Action action(slow);
  action.timeout = 2.5;
  Observation ended = act(action);
  EXPECT_EQ(end_of(ended).exit_code, 124);
  EXPECT_EQ(end_of(ended).suffix, "\n[The command timed out after 2.5 seconds and was ended.]");

  sandbox_->shell = [](const std::string&, const ShellOptions&) {
    return ShellResult{.status = ExitStatus::exited(5), .restarted = true, .folder = "/testbed"};
  };
  ended = run("exit 5");
  EXPECT_EQ(end_of(ended).exit_code, 5);
  EXPECT_THAT(end_of(ended).suffix, HasSubstr("The shell itself ended with this command."));

  sandbox_->shell = [](const std::string&, const ShellOptions&) {
    return ShellResult{.status = ExitStatus::out_of_memory()};
  };
  EXPECT_THAT(end_of(run("eat")).suffix, HasSubstr("out of memory"));
}

TEST_F(RuntimeTest, LongOutputIsCutInTheMiddle) {
  make({.max_output_chars = 10});
  sandbox_->shell = [](const std::string&, const ShellOptions&) {
    return ShellResult{.status = ExitStatus::exited(0), .output = "abcdefghijklmnop\xff"};
  };
  EXPECT_EQ(run("x").content, "abcde\n[... Observation truncated due to length ...]\nmnop\xef\xbf\xbd");
  sandbox_->shell = [](const std::string&, const ShellOptions&) {
    return ShellResult{
        .status = ExitStatus::exited(0), .output = "headtail", .omitted_bytes = 1'000'000, .omitted_at = 4};
  };
  EXPECT_EQ(run("x").content, "head\n[... Observation truncated due to length ...]\ntail");
}

TEST_F(RuntimeTest, CuttingCountsCharactersAndNeverSplitsThem) {
  std::string accents;
  for (int i = 0; i < 20; ++i) accents += "é";
  const std::string cut = cut_output(accents, 10);
  EXPECT_TRUE(is_valid_utf8(cut));
  EXPECT_EQ(cut, "ééééé\n[... Observation truncated due to length ...]\nééééé");
  EXPECT_EQ(cut_output(accents, 20), accents);
  EXPECT_EQ(cut_output("ab", 10, 5, 99), "ab\n[... Observation truncated due to length ...]\n");
}

TEST_F(RuntimeTest, AStaticCommandRunsInAFreshProcess) {
  sandbox_->command = [](const std::string& command, const ExecOptions&) {
    return ExecResult{.status = ExitStatus::exited(1), .output = "ran " + command};
  };
  RunAction run;
  run.command = "git status";
  run.is_static = true;
  run.cwd = "/elsewhere";
  Action action(run);
  action.timeout = 60;
  const Observation observation = act(action);
  EXPECT_EQ(observation.content, "ran git status");
  EXPECT_EQ(end_of(observation).exit_code, 1);
  ASSERT_EQ(sandbox_->exec_options.size(), 1U);
  EXPECT_EQ(sandbox_->exec_options[0].folder, "/elsewhere");
  EXPECT_EQ(sandbox_->exec_options[0].hard_limit, Seconds(60));
}

TEST_F(RuntimeTest, FilesAreViewedEditedAndWritten) {
  sandbox_->files["/testbed/a"].content = "one\ntwo\n";
  ReadAction view;
  view.path = "/testbed/a";
  view.impl_source = "oh_aci";
  view.view_range = {{2, 2}};
  EXPECT_THAT(act(view).content, EndsWith("     2\ttwo\n"));
  ReadAction older;
  older.path = "/testbed/a";
  older.start = 1;
  EXPECT_THAT(act(older).content, EndsWith("on /testbed/a:\n     2\ttwo\n"));
  EditAction edit;
  edit.path = "/testbed/a";
  edit.command = "str_replace";
  edit.old_str = "one";
  edit.new_str = "1";
  const Observation edited = act(edit);
  ASSERT_NE(get_if<EditObservation>(edited), nullptr);
  EXPECT_EQ(get_if<EditObservation>(edited)->new_content, "1\ntwo\n");
  EXPECT_TRUE(get_if<EditObservation>(edited)->prev_exist);
  edit.old_str = "nowhere";
  EXPECT_NE(get_if<ErrorObservation>(act(edit)), nullptr);
  WriteAction write;
  write.path = "/testbed/b";
  write.content = "new";
  EXPECT_NE(get_if<WriteObservation>(act(write)), nullptr);
  EXPECT_EQ(sandbox_->files["/testbed/b"].content, "new");
  sandbox_->unwritable.insert("/testbed/b");
  EXPECT_NE(get_if<ErrorObservation>(act(write)), nullptr);
}

TEST_F(RuntimeTest, OtherActionsHaveTheirOwnAnswers) {
  EXPECT_EQ(kind_of(act(ThinkAction{"hm"})), "think");
  EXPECT_EQ(kind_of(act(FinishAction{})), "null");
  EXPECT_EQ(kind_of(act(MessageAction{})), "null");
  EXPECT_EQ(kind_of(act(ChangeAgentStateAction{.agent_state = "paused", .thought = {}})), "agent_state_changed");
  EXPECT_EQ(act(RunIpythonAction{}).content, "The action \"run_ipython\" is not available here.");
  EXPECT_EQ(kind_of(act(OtherAction{.kind = "browse", .message = {}})), "error");
}

TEST_F(RuntimeTest, AFailingSandboxIsAnErrorAndTheActionStaysRecorded) {
  sandbox_->failure = Error{.code = Errc::lost, .operation = "run", .object = "sandbox", .cause = "the helper is gone"};
  RunAction run;
  run.command = "ls";
  const auto observation = runtime_->run_action(run);
  ASSERT_FALSE(observation);
  EXPECT_EQ(observation.error().code, Errc::lost);
  EXPECT_EQ(runtime_->stream()->next_id(), 1);
}

TEST_F(RuntimeTest, CloseGivesEverythingBackOnce) {
  ASSERT_TRUE(runtime_->connect(Deadline::never()));
  EXPECT_TRUE(runtime_->close().clean());
  EXPECT_TRUE(runtime_->close().clean());
  EXPECT_EQ(sandbox_->closes, 1);
  EXPECT_TRUE(runtime_->stream()->closed());
  RunAction run;
  run.command = "ls";
  const auto late = runtime_->run_action(run);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::closed);
}

TEST_F(RuntimeTest, AFailedReleaseIsToldAndTheRestIsReleased) {
  sandbox_->close_problems = {Error{.code = Errc::io, .operation = "unmount", .object = "/x", .cause = "busy"}};
  const ReleaseReport report = runtime_->close();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_EQ(report.problems[0].object, "/x");
  EXPECT_TRUE(runtime_->stream()->closed());
  EXPECT_EQ(runtime_->close().problems.size(), 1U) << "later calls return the first report";
}

TEST_F(RuntimeTest, HalfConnectedItClosesLikeAWholeOne) {
  sandbox_->connect_failure =
      Error{.code = Errc::unavailable, .operation = "start", .object = "bwrap", .cause = "not there"};
  const auto connected = runtime_->connect(Deadline::never());
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Errc::unavailable);
  EXPECT_TRUE(runtime_->close().clean());
  EXPECT_EQ(sandbox_->closes, 1);
  EXPECT_TRUE(runtime_->stream()->closed());
}

TEST_F(RuntimeTest, TheDestructorCloses) {
  testing::FakeSandbox* const sandbox = sandbox_;
  int closes = 0;
  sandbox->close_problems = {};
  runtime_->close();
  closes = sandbox->closes;
  runtime_.reset();
  EXPECT_EQ(closes, 1);
  EXPECT_TRUE(Ledger::process().entries("test").empty());
}

TEST_F(RuntimeTest, ItsExitHookIsGoneAfterClosing) {
  ExitHooks hooks;
  make({}, &hooks);
  EXPECT_EQ(hooks.size(), 1U);
  (void)runtime_->close();
  EXPECT_EQ(hooks.size(), 0U);
}

TEST_F(RuntimeTest, ItsExitHookClosesItWhenTheProgramEndsEarly) {
  ExitHooks hooks;
  make({}, &hooks);
  hooks.run_all();
  EXPECT_EQ(sandbox_->closes, 1);
  EXPECT_TRUE(runtime_->stream()->closed());
  EXPECT_TRUE(runtime_->close().clean());
  EXPECT_EQ(sandbox_->closes, 1);
}

// With a model: a real one, of a real server.
class WholeRuntimeTest : public test::LlmTest {
 protected:
  void SetUp() override {
    RuntimeParts parts;
    auto sandbox = std::make_unique<FakeSandbox>();
    sandbox_ = sandbox.get();
    parts.sandbox = std::move(sandbox);
    auto stream = EventStream::open(scope, folder_ / "events.jsonl");
    ASSERT_TRUE(stream) << stream.error();
    parts.stream = *std::move(stream);
    parts.registry = std::make_unique<LlmRegistry>();
    const auto added = parts.registry->add("agent", config_, llm());
    ASSERT_TRUE(added) << added.error();
    model_ = *added;
    runtime_ = std::make_unique<Runtime>(std::move(parts), RuntimeSettings{}, scope, &hooks_);
    server_.then(test::json_response(test::chat_answer("ok")));
  }
  void expect_all_closed() {
    EXPECT_EQ(sandbox_->closes, 1);
    EXPECT_TRUE(runtime_->stream()->closed());
    EXPECT_EQ(ask(*model_, {{.content = "x"}}).error().error.code, Errc::closed);
    EXPECT_EQ(http_->counters().sessions, 0U) << "the model's session is given back";
    EXPECT_EQ(hooks_.size(), 0U);
  }

  TestFolder folder_;
  ExitHooks hooks_;
  FakeSandbox* sandbox_ = nullptr;
  Llm* model_ = nullptr;
  std::unique_ptr<Runtime> runtime_;
};

// No part can throw into the runtime: that is the parts' contract.
static_assert(noexcept(std::declval<Sandbox&>().close()) && noexcept(std::declval<LlmRegistry&>().close()) &&
              noexcept(std::declval<EventStream&>().close()) && noexcept(std::declval<Runtime&>().close()));

TEST_F(WholeRuntimeTest, CloseReleasesSandboxModelSessionAndStream) {
  ASSERT_TRUE(runtime_->connect(Deadline::never()));
  ASSERT_TRUE(ask(*model_, {{.content = "x"}}));
  EXPECT_EQ(http_->counters().sessions, 1U);
  EXPECT_EQ(hooks_.size(), 1U);
  EXPECT_TRUE(runtime_->close().clean());
  expect_all_closed();
}

TEST_F(WholeRuntimeTest, WhateverFailsTheRestIsReleasedAndEachFailureIsTold) {
  const testing::FaultScope faults;
  sandbox_->close_problems = {Error{.code = Errc::io, .operation = "unmount", .object = "/x", .cause = "busy"}};
  ASSERT_TRUE(runtime_->record(Action(NullAction{}), EventSource::agent));
  fault::inject("fdatasync", "event/store.cpp", 0, 1, 5 /* EIO */);
  const ReleaseReport report = runtime_->close();
  ASSERT_EQ(report.problems.size(), 2U);
  EXPECT_EQ(report.problems[0].object, "/x");
  EXPECT_EQ(report.problems[1].object, folder_ / "events.jsonl");
  expect_all_closed();
}

TEST_F(WholeRuntimeTest, HalfConnectedItGivesTheModelAndTheStreamBackToo) {
  sandbox_->connect_failure =
      Error{.code = Errc::unavailable, .operation = "start", .object = "bwrap", .cause = "not there"};
  ASSERT_FALSE(runtime_->connect(Deadline::never()));
  EXPECT_TRUE(runtime_->close().clean());
  expect_all_closed();
}

TEST_F(WholeRuntimeTest, ManyThreadsCloseItAtOnce) {
  std::latch go(8);
  std::vector<Thread> threads;
  for (int i = 0; i < 8; ++i) {
    auto thread = Thread::start(scope, "closer", [&] {
      go.arrive_and_wait();
      EXPECT_TRUE(runtime_->close().clean());
    });
    ASSERT_TRUE(thread);
    threads.push_back(std::move(*thread));
  }
  for (auto& thread : threads) thread.join();
  expect_all_closed();
}

TEST_F(RuntimeTest, WithoutPartsItIsStillARuntime) {
  Runtime bare({}, {}, scope);
  EXPECT_TRUE(bare.connect(Deadline::never()));
  const auto thought = bare.run_action(ThinkAction{"hm"});
  ASSERT_TRUE(thought);
  EXPECT_EQ(thought->id, -1);
  EXPECT_FALSE(bare.run_action(RunAction{}));
  EXPECT_TRUE(bare.close().clean());
}

}  // namespace
}  // namespace awm
