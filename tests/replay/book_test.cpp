#include "replay/book.h"

#include "replay/support.h"
#include "support/support.h"

namespace awm {
namespace {

using test::book_of;
using test::content;
using test::error_text;
using test::Talk;
using test::three_steps;
using ::testing::HasSubstr;

TEST(ReplayBook, WalksThroughAConversation) {
  auto book = book_of({three_steps("fix the parser", "parser")});
  Talk talk("Please  fix\n the parser.");
  const auto first = book.answer(talk.text(), "", "");
  EXPECT_EQ(content(first), "I look around.");
  EXPECT_EQ(first.conversation, "parser");
  EXPECT_EQ(first.step, 1U);
  EXPECT_EQ(first.body["object"], "chat.completion");
  EXPECT_EQ(first.body["model"], "openai/test");
  EXPECT_GT(first.body["usage"]["prompt_tokens"].get<int>(), 10);
  talk.take(first.body);
  const auto second = book.answer(talk.text(), "", "");
  EXPECT_EQ(content(second), "I edit.");
  talk.take(second.body);
  EXPECT_EQ(content(book.answer(talk.text(), "", "")), "Done.");
  talk.take(book.answer(talk.text(), "", "").body);
  EXPECT_THAT(content(book.answer(talk.text(), "", "")), HasSubstr("'parser' ends after 3 answers"));
  const auto counters = book.counters();
  EXPECT_EQ(counters.requests, 5U);
  EXPECT_EQ(counters.matched, 5U);
  EXPECT_EQ(counters.completions, 4U);
  EXPECT_EQ(counters.refused, 1U);
  EXPECT_EQ(counters.conversations.at("parser").furthest, 3U);
}

TEST(ReplayBook, ARetryGetsTheSameAnswerToTheByte) {
  auto book = book_of({three_steps("fix the parser", "parser")});
  Talk talk("fix the parser");
  talk.take(book.answer(talk.text(), "", "").body);
  const auto once = dump_json(book.answer(talk.text(), "", "").body);
  EXPECT_EQ(dump_json(book.answer(talk.text(), "", "").body), once);
  auto other_process = book_of({three_steps("fix the parser", "parser")});
  EXPECT_EQ(dump_json(other_process.answer(talk.text(), "", "").body), once);
}

TEST(ReplayBook, AShortenedContextGetsTheSameAnswer) {
  auto book = book_of({three_steps("fix the parser", "parser")});
  Talk talk("fix the parser");
  talk.take(book.answer(talk.text(), "", "").body);
  talk.take(book.answer(talk.text(), "", "").body);
  // The first answer and its result are dropped from the middle.
  talk.messages().erase(2);
  talk.messages().erase(2);
  EXPECT_EQ(content(book.answer(talk.text(), "", "")), "Done.");
}

TEST(ReplayBook, CountsAnswersWhereThereAreNoIds) {
  auto book = book_of({R"({"match": {"text": "talk"}, "steps": [
    {"content": "one", "tool_calls": [{"name": "bash", "arguments": {}}]}, {"content": "two"}, {"content": "three"}]})"});
  Talk talk("let us talk");
  for (const auto* expected : {"one", "two", "three"}) {
    const auto answer = book.answer(talk.text(), "", "");
    EXPECT_EQ(content(answer), expected);
    talk.take(answer.body);
  }
  // Behind a known id, what follows is counted from there, whatever was dropped before it.
  Talk shortened("let us talk");
  shortened.messages().push_back(talk.messages()[2]);
  shortened.messages().push_back(talk.messages()[3]);
  shortened.messages().push_back(talk.messages()[4]);
  EXPECT_EQ(content(book.answer(shortened.text(), "", "")), "three");
}

TEST(ReplayBook, IdsThatRepeatDoNotMislead) {
  const std::string call = R"("tool_calls": [{"id": "call_0", "name": "bash", "arguments": {}}])";
  auto book = book_of({R"({"match": {"text": "x"}, "steps": [{"content": "1", )" + call + R"(}, {"content": "2", )" +
                       call + R"(}, {"content": "3", )" + call + "}]}"});
  Talk talk("x");
  for (const auto* expected : {"1", "2", "3"}) {
    const auto answer = book.answer(talk.text(), "", "");
    EXPECT_EQ(content(answer), expected);
    talk.take(answer.body);
  }
}

TEST(ReplayBook, TheLongestMatchWins) {
  auto book = book_of({three_steps("fix the parser", "short"), three_steps("fix the parser of dates", "long")});
  EXPECT_EQ(book.answer(Talk("fix the parser of dates").text(), "", "").conversation, "long");
  EXPECT_EQ(book.answer(Talk("fix the parser of times").text(), "", "").conversation, "short");
}

TEST(ReplayBook, AllTextsOfAMatchMustBeThere) {
  auto book = book_of({R"({"name": "both", "match": {"text": ["alpha", "beta"]}, "steps": [{"content": "x"}]})"});
  EXPECT_EQ(book.answer(Talk("alpha and beta").text(), "", "").conversation, "both");
  EXPECT_EQ(book.answer(Talk("alpha alone").text(), "", "").status, 404);
}

TEST(ReplayBook, LooksOnlyAtTheFirstMessages) {
  auto book = book_of({three_steps("fix the parser", "parser"), three_steps("mend the lexer", "lexer")});
  Talk talk("mend the lexer");
  talk.take(book.answer(talk.text(), "", "").body, "a file says: fix the parser, and a lot more");
  EXPECT_EQ(book.answer(talk.text(), "", "").conversation, "lexer");
}

TEST(ReplayBook, TheToolsOfferedChooseBetweenAgents) {
  const auto script = [](std::string_view name, std::string_view tool) {
    return R"({"name": ")" + std::string(name) + R"(", "match": {"text": "fix it", "tool": ")" + std::string(tool) +
           R"("}, "steps": [{"content": "x"}]})";
  };
  auto book = book_of({script("codeact", "execute_bash"), script("mini", "bash")});
  EXPECT_EQ(book.answer(Talk("fix it", {"execute_bash", "finish"}).text(), "", "").conversation, "codeact");
  EXPECT_EQ(book.answer(Talk("fix it", {"bash"}).text(), "", "").conversation, "mini");
  const auto neither = book.answer(Talk("fix it", {"python"}).text(), "", "");
  EXPECT_EQ(neither.status, 404);
  EXPECT_THAT(error_text(neither), HasSubstr("the tool 'bash'"));
}

TEST(ReplayBook, CallsThatAreNotTheAgentsAreToldApart) {
  auto book =
      book_of({three_steps("fix the parser of dates, please", "agent"),
               R"({"name": "sort", "purpose": "classification", "match": {"text": "Which kind of task is this?"},
                           "steps": [{"content": "bug_fix"}]})",
               R"({"name": "sum", "purpose": "compression", "match": {"default": true},
                           "steps": [{"content": "a summary"}]})"});
  const std::string task = "fix the parser of dates, please";
  // By the header.
  EXPECT_EQ(book.answer(Talk(task, {}).text(), "compression", "").conversation, "sum");
  // By the words of the prompt, though the agent's text is there too, and longer.
  EXPECT_EQ(book.answer(Talk("Which kind of task is this?\n" + task, {}).text(), "", "").conversation, "sort");
  EXPECT_EQ(book.answer(Talk("Which kind of task is this?\n" + task).text(), "agent", "").conversation, "agent");
  // One that offers no tools is not the agent's.
  const auto no_tools = book.answer(Talk(task, {}).text(), "", "");
  EXPECT_EQ(no_tools.status, 404);
  EXPECT_THAT(error_text(no_tools), HasSubstr("'agent' are there, but it is for purpose 'agent' and calls tools"));
  EXPECT_EQ(book.answer(Talk(task).text(), "induction", "").status, 404);
}

TEST(ReplayBook, AnUnmatchedRequestHearsWhatWasLookedFor) {
  auto book = book_of({three_steps("fix the parser", "parser"), three_steps("mend the lexer", "lexer")});
  const auto answer = book.answer(Talk("paint the fence").text(), "", "");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(error_text(answer), HasSubstr("2 conversations (parser, lexer)"));
  EXPECT_THAT(error_text(answer), HasSubstr("paint the fence"));
  EXPECT_THAT(error_text(answer), HasSubstr("tools offered: bash"));
  EXPECT_EQ(answer.body["error"]["code"], "no_script");
  EXPECT_EQ(book.counters().unmatched, 1U);
}

TEST(ReplayBook, TheDefaultTakesWhatNothingElseMatches) {
  auto book = book_of({three_steps("fix the parser", "parser"),
                       R"({"name": "any", "match": {"default": true}, "steps": [{"content": "hm"}]})"});
  EXPECT_EQ(book.answer(Talk("paint the fence").text(), "", "").conversation, "any");
  EXPECT_EQ(book.answer(Talk("fix the parser").text(), "", "").conversation, "parser");
}

TEST(ReplayBook, ContentInPartsIsText) {
  auto book = book_of({three_steps("fix the parser", "parser")});
  Talk talk("");
  talk.messages()[1]["content"] =
      test::parse(R"([{"type": "text", "text": "fix the "}, {"type": "text", "text": "parser"}])");
  EXPECT_EQ(book.answer(talk.text(), "", "").conversation, "parser");
}

TEST(ReplayBook, DemandsWhatThePromptMustContain) {
  auto book = book_of({R"({"name": "strict", "match": {"text": "go"}, "require": [{"text": "bash", "in": "tools"}],
    "steps": [
      {"content": "one", "tool_calls": [{"name": "bash", "arguments": {}}], "require": ["helpful assistant", {"text": "secret", "absent": true}]},
      {"content": "two", "require": [{"regex": "exit code \\d+", "in": "last"}, {"text": "one", "in": "any"}]}]})"});
  Talk talk("go");
  const auto first = book.answer(talk.text(), "", "");
  ASSERT_EQ(content(first), "one");
  Talk good = talk;
  good.take(first.body, "failed with exit code 3");
  EXPECT_EQ(content(book.answer(good.text(), "", "")), "two");
  Talk bad = talk;
  bad.take(first.body, "all fine");
  const auto answer = book.answer(bad.text(), "", "");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(error_text(answer),
              HasSubstr("'strict' demands at step 2: a match of /exit code \\d+/ in the last messages."));
  EXPECT_THAT(error_text(book.answer(Talk("go, secret").text(), "", "")),
              HasSubstr("without 'secret' in the messages"));
  EXPECT_THAT(error_text(book.answer(Talk("go", {"python"}).text(), "", "")), HasSubstr("'bash' among the tools"));
}

TEST(ReplayBook, FaultsComeSoOftenAndThenTheAnswer) {
  auto book =
      book_of({three_steps("fix the parser", "parser")},
              {.faults = {*parse_fault("step=2,kind=429,times=2,retry_after=1"), *parse_fault("step=2,kind=500")}});
  Talk talk("fix the parser");
  const auto first = book.answer(talk.text(), "", "");
  ASSERT_EQ(first.status, 200);
  talk.take(first.body);
  const auto limited = book.answer(talk.text(), "", "");
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.fault->retry_after, 1);
  EXPECT_EQ(limited.body["error"]["code"], "rate_limit_exceeded");
  EXPECT_EQ(book.answer(talk.text(), "", "").status, 429);
  EXPECT_EQ(book.answer(talk.text(), "", "").status, 500);
  EXPECT_EQ(content(book.answer(talk.text(), "", "")), "I edit.");
  EXPECT_EQ(book.counters().faults, 3U);
}

TEST(ReplayBook, FaultsAreCountedPerConversation) {
  auto book =
      book_of({three_steps("fix the parser", "parser"), three_steps("mend the lexer", "lexer")},
              {.faults = {*parse_fault("kind=503,step=1"), *parse_fault("kind=context,step=1,conversation=lexer")}});
  EXPECT_EQ(book.answer(Talk("fix the parser").text(), "", "").status, 503);
  EXPECT_EQ(book.answer(Talk("mend the lexer").text(), "", "").status, 503);
  EXPECT_EQ(book.answer(Talk("fix the parser").text(), "", "").status, 200);
  const auto context = book.answer(Talk("mend the lexer").text(), "", "");
  EXPECT_EQ(context.status, 400);
  EXPECT_EQ(context.body["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(error_text(context), HasSubstr("maximum context length is"));
}

TEST(ReplayBook, AScriptCanHaveFaultsOfItsOwn) {
  auto book =
      book_of({R"({"match": {"text": "x"}, "steps": [{"content": "a", "faults": [{"kind": 500, "times": 2}]}]})"});
  EXPECT_EQ(book.answer(Talk("x").text(), "", "").status, 500);
  EXPECT_EQ(book.answer(Talk("x").text(), "", "").status, 500);
  EXPECT_EQ(content(book.answer(Talk("x").text(), "", "")), "a");
}

TEST(ReplayBook, APromptBeyondTheWindowIsRefused) {
  auto book = book_of({three_steps("fix the parser", "parser")}, {.context_window = 1000});
  EXPECT_EQ(book.answer(Talk("fix the parser").text(), "", "").status, 200);
  const auto answer = book.answer(Talk("fix the parser" + std::string(5000, 'x')).text(), "", "");
  EXPECT_EQ(answer.body["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(error_text(answer), HasSubstr("maximum context length is 1000 tokens"));
}

TEST(ReplayBook, AModelThatIsNotServedIsA404) {
  auto book = book_of({three_steps("fix the parser", "parser")}, {.models = {"gpt-test"}});
  EXPECT_EQ(book.answer(Talk("fix the parser").text(), "", "").body["error"]["code"], "model_not_found");
  EXPECT_EQ(book.models()["data"][0]["id"], "gpt-test");
}

TEST(ReplayBook, RefusesWhatOpenAisApiRefuses) {
  auto book = book_of({three_steps("fix the parser", "parser")});
  EXPECT_THAT(content(book.answer("{\"messages\": [", "", "")), HasSubstr("could not parse the JSON body"));
  EXPECT_THAT(content(book.answer("[]", "", "")), HasSubstr("'messages' must be a list"));
  EXPECT_THAT(content(book.answer(R"({"messages": [{"content": "x"}]})", "", "")),
              HasSubstr("messages[0] has no role"));
  Talk talk("fix the parser");
  const auto answer = book.answer(talk.text(), "", "");
  talk.take(answer.body);
  Talk unanswered = talk;
  unanswered.messages().erase(3);
  EXPECT_THAT(content(book.answer(unanswered.text(), "", "")), HasSubstr("must be followed by tool messages"));
  Talk uncalled = talk;
  uncalled.messages().erase(2);
  EXPECT_THAT(content(book.answer(uncalled.text(), "", "")), HasSubstr("must be a response to a preceding message"));
  EXPECT_EQ(book.answer(std::string(100'000, '['), "", "").status, 400);
}

TEST(ReplayBook, TwoThatNothingTellsApartAreRefused) {
  const test::Files files({{"a.json", three_steps("same", "a")}, {"b.json", three_steps("same ", "b")}});
  const auto book = ReplayBook::create(*read_scripts(files.path(), {}), {});
  ASSERT_FALSE(book);
  EXPECT_THAT(book.error().message(), ::testing::AllOf(HasSubstr("a.json"), HasSubstr("b.json")));
}

// The eight recorded runs, walked through by a client that answers each call with something short.
TEST(ReplayBook, RecordedRunsWalkToTheirEnds) {
  REQUIRE_SHARED_DATA("trajectories/mini_swe_agent");
  ProblemStatements problems;
  ASSERT_TRUE(read_problem_statements(testing::shared_data("swebench/lite.jsonl"), problems));
  auto conversations = read_trajectories(testing::shared_data("trajectories/mini_swe_agent"), {});
  ASSERT_TRUE(conversations) << conversations.error().message();
  ASSERT_EQ(conversations->size(), 8U);
  auto book = ReplayBook::create(*conversations, {});
  ASSERT_TRUE(book);
  for (const auto& one : *conversations) {
    ASSERT_TRUE(problems.contains(one.name));
    // Read out of the recording, and the same as in the row.
    EXPECT_EQ(one.texts.front(), fold_space(problems.at(one.name)));
    Talk talk(problems.at(one.name));
    for (std::size_t step = 0; step < one.steps.size(); ++step) {
      const auto answer = book->answer(talk.text(), "", "");
      ASSERT_EQ(answer.status, 200) << error_text(answer);
      ASSERT_EQ(answer.conversation, one.name);
      EXPECT_EQ(answer.body, one.steps[step].response);
      talk.take(answer.body);
    }
    EXPECT_EQ(book->answer(talk.text(), "", "").body["error"]["code"], "end_of_script");
  }
}

}  // namespace
}  // namespace awm
