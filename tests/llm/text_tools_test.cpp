// Tools told in words: what a model is told, and what is read from its answers.
#include "llm/text_tools.h"

#include <gmock/gmock.h>

#include "base/json.h"
#include "base/text.h"
#include "support.h"

namespace awm::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const ToolSpec bash{
    "execute_bash", "Runs a command.",
    R"({"type":"object","properties":{"command":{"type":"string","description":"What to run."},"is_input":{"type":"string","enum":["true","false"]}},"required":["command"]})"};
const ToolSpec editor{
    "str_replace_editor", "Edits files.",
    R"({"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace"]},"path":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"view_range":{"type":"array","items":{"type":"integer"}},"all":{"type":"boolean"},"more":{"type":"object"},"ratio":{"type":"number"}},"required":["command","path"]})"};
const ToolSpec finish{"finish", "Ends the task.", ""};
const std::vector<ToolSpec> all_tools{bash, finish, editor};

std::vector<std::string> shown(const std::vector<Message>& messages) {
  std::vector<std::string> list;
  list.reserve(messages.size());
  for (const auto& message : messages) list.push_back(std::string(to_string(message.role)) + ": " + message.content);
  return list;
}

// --- what a model is told

TEST(TextTools, AToolIsDescribedWithItsParameters) {
  const std::string text = describe_tools(all_tools);
  EXPECT_THAT(text, HasSubstr("### execute_bash\nRuns a command.\nParameters:\n- command (string, required): What to "
                              "run.\n- is_input (string, optional)\n  One of: `true`, `false`\n"));
  EXPECT_THAT(text, HasSubstr("### finish\nEnds the task.\nIt takes no parameters.\n"));
  EXPECT_THAT(text, HasSubstr("- insert_line (integer, optional)\n- view_range (array, optional)\n"));
  EXPECT_LT(text.find("### execute_bash"), text.find("### finish"));
  EXPECT_LT(text.find("### finish"), text.find("### str_replace_editor"));
}

TEST(TextTools, WithoutToolsNothingIsSaid) {
  EXPECT_EQ(describe_tools({}), "");
  EXPECT_EQ(tool_instructions({}), "");
  const std::vector<Message> messages{{.role = Role::system, .content = "s"}, {.role = Role::user, .content = "u"}};
  EXPECT_EQ(shown(messages_without_calls(messages, {})), (std::vector<std::string>{"system: s", "user: u"}));
}

TEST(TextTools, TheExampleIsMadeOfTheFirstTool) {
  const auto instructions = [](const ToolSpec& tool) { return tool_instructions(std::vector<ToolSpec>{tool}); };
  EXPECT_THAT(instructions(bash), HasSubstr("\n<function=execute_bash>\n<parameter=command>\nfirst line\nsecond "
                                            "line\n</parameter>\n</function>\n"));
  EXPECT_THAT(instructions(finish), AllOf(HasSubstr("\n<function=finish>\n</function>\n"), Not(HasSubstr("execute_"))));
  EXPECT_THAT(instructions(editor), HasSubstr("<function=str_replace_editor>\n<parameter=command>view</parameter>\n"));
  EXPECT_THAT(tool_instructions(all_tools),
              AllOf(HasSubstr("<function=execute_bash>"), Not(HasSubstr("<function=str_replace_editor>"))));
  // What is shown can be read.
  for (const auto& tool : all_tools) {
    Message answer{.role = Role::assistant, .content = instructions(tool)};
    ASSERT_TRUE(take_call_from_text(answer, all_tools, ""));
    EXPECT_EQ(answer.tool_calls.front().name, tool.name);
  }
}

// --- calls as text

struct CallText {
  const char* name;
  ToolCall call;
  const char* text;
};
class CallTextTest : public ::testing::TestWithParam<CallText> {};

TEST_P(CallTextTest, IsWrittenAndReadAgain) {
  const auto& c = GetParam();
  EXPECT_EQ(call_as_text(c.call), c.text);
  Message answer{.role = Role::assistant, .content = "I look.\n\n" + std::string(c.text)};
  ASSERT_TRUE(take_call_from_text(answer, all_tools, "seed"));
  EXPECT_EQ(answer.content, "I look.");
  ASSERT_EQ(answer.tool_calls.size(), 1U);
  EXPECT_EQ(answer.tool_calls[0].name, c.call.name);
  EXPECT_EQ(*parse_json(answer.tool_calls[0].arguments, "read"), *parse_json(c.call.arguments, "given"));
}

INSTANTIATE_TEST_SUITE_P(
    Calls, CallTextTest,
    ::testing::Values(
        CallText{"OneParameter",
                 {"1", "execute_bash", R"({"command":"grep -n \"x\" /testbed/card.py"})"},
                 "<function=execute_bash>\n<parameter=command>grep -n \"x\" "
                 "/testbed/card.py</parameter>\n</function>"},
        CallText{"ListOfNumbers",
                 {"1", "str_replace_editor", R"({"command":"view","path":"/f.py","view_range":[1,10]})"},
                 "<function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>/f.py</"
                 "parameter>\n<parameter=view_range>[1, 10]</parameter>\n</function>"},
        CallText{
            "IndentedLines",
            {"1", "str_replace_editor",
             R"({"command":"str_replace","path":"/f.py","old_str":"def f():\n    pass","new_str":"def f():\n    # in\n    return True"})"},
            "<function=str_replace_editor>\n<parameter=command>str_replace</parameter>\n<parameter=path>/f.py</"
            "parameter>\n<parameter=old_str>\ndef f():\n    pass\n</parameter>\n<parameter=new_str>\ndef f():\n   "
            " # in\n    return True\n</parameter>\n</function>"},
        CallText{
            "NumbersAndTruth",
            {"1", "str_replace_editor", R"({"command":"view","path":"/f","insert_line":7,"all":true,"ratio":0.5})"},
            "<function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>/f</"
            "parameter>\n<parameter=insert_line>7</parameter>\n<parameter=all>true</parameter>\n<parameter=ratio>"
            "0.5</parameter>\n</function>"},
        CallText{"NestedObject",
                 {"1", "str_replace_editor",
                  R"({"command":"view","path":"/f","more":{"key1":"value1","key2":42,"nested":{"sub":["a b"]}}})"},
                 "<function=str_replace_editor>\n<parameter=command>view</parameter>\n<parameter=path>/f</"
                 "parameter>\n<parameter=more>{\"key1\": \"value1\", \"key2\": 42, \"nested\": {\"sub\": [\"a "
                 "b\"]}}</parameter>\n</function>"},
        CallText{"NoParameter", {"1", "finish", "{}"}, "<function=finish>\n</function>"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(TextTools, BrokenArgumentsAreShownAsTheyAre) {
  EXPECT_EQ(call_as_text({"1", "execute_bash", R"({"command": "l)"}),
            "<function=execute_bash>\n<parameter=malformed_arguments>{\"command\": \"l</parameter>\n</function>");
}

// --- conversations

TEST(TextTools, AConversationBecomesOneWithoutCallsAndItsInputStays) {
  const std::vector<Message> messages{
      {.role = Role::system, .content = "be brief"},
      {.role = Role::user, .content = "fix it"},
      {.role = Role::assistant, .content = "Looking.", .tool_calls = {{"c1", "execute_bash", R"({"command":"ls"})"}}},
      {.role = Role::tool, .content = "a.py", .tool_call_id = "c1", .tool_name = "execute_bash"},
      {.role = Role::assistant, .content = "", .tool_calls = {{"c2", "finish", ""}}},
      {.role = Role::tool, .content = "done", .tool_call_id = "c2"}};
  const auto told = messages_without_calls(messages, all_tools);
  EXPECT_EQ(shown(told),
            (std::vector<std::string>{"system: be brief" + tool_instructions(all_tools), "user: fix it",
                                      "assistant: Looking.\n\n<function=execute_bash>\n<parameter=command>ls</"
                                      "parameter>\n</function>",
                                      "user: EXECUTION RESULT of [execute_bash]:\na.py",
                                      "assistant: <function=finish>\n</function>",
                                      "user: EXECUTION RESULT of [finish]:\ndone"}));
  for (const auto& message : told) EXPECT_TRUE(message.tool_calls.empty());
  EXPECT_EQ(messages[2].tool_calls.size(), 1U);
  EXPECT_EQ(messages[0].content, "be brief");
  // And each answer of it is read back.
  Message again = told[2];
  ASSERT_TRUE(take_call_from_text(again, all_tools, ""));
  EXPECT_EQ(again.content, "Looking.");
  EXPECT_EQ(again.tool_calls[0].arguments, messages[2].tool_calls[0].arguments);
}

TEST(TextTools, WithoutASystemPromptThereIsOne) {
  const std::vector<Message> messages{{.role = Role::user, .content = "u"}};
  const auto told = messages_without_calls(messages, all_tools);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].role, Role::system);
  EXPECT_THAT(told[0].content, StartsWith("## Functions"));
  EXPECT_EQ(told[1].content, "u");
}

TEST(TextTools, SeveralCallsOfOneAnswerGoOneByOneEachWithItsResult) {
  const std::vector<Message> messages{
      {.role = Role::assistant, .content = "Two things.", .tool_calls = {{"c1", "one", "{}"}, {"c2", "two", "{}"}}},
      {.role = Role::tool, .content = "result 2", .tool_call_id = "c2"},
      {.role = Role::tool, .content = "result 1", .tool_call_id = "c1"},
      {.role = Role::assistant, .content = "Again.", .tool_calls = {{"c3", "three", "{}"}}},
      {.role = Role::tool, .content = "result 3", .tool_call_id = "c3"}};
  EXPECT_EQ(shown(messages_without_calls(messages, {})),
            (std::vector<std::string>{
                "assistant: Two things.\n\n<function=one>\n</function>", "user: EXECUTION RESULT of [one]:\nresult 1",
                "assistant: <function=two>\n</function>", "user: EXECUTION RESULT of [two]:\nresult 2",
                "assistant: Again.\n\n<function=three>\n</function>", "user: EXECUTION RESULT of [three]:\nresult 3"}));
}

TEST(TextTools, ACallWithoutResultAndAResultWithoutCallAreKept) {
  const std::vector<Message> messages{
      {.role = Role::assistant, .content = "", .tool_calls = {{"c1", "one", "{}"}, {"c2", "two", "{}"}}},
      {.role = Role::tool, .content = "result 1", .tool_call_id = "c1"},
      {.role = Role::tool, .content = "stray", .tool_call_id = "c9", .tool_name = "nine"}};
  EXPECT_EQ(
      shown(messages_without_calls(messages, {})),
      (std::vector<std::string>{"assistant: <function=one>\n</function>", "user: EXECUTION RESULT of [one]:\nresult 1",
                                "assistant: <function=two>\n</function>", "user: EXECUTION RESULT of [nine]:\nstray"}));
}

TEST(TextTools, ReasoningAndFurtherFieldsStayWithTheAnswer) {
  const std::vector<Message> messages{{.role = Role::assistant,
                                       .content = "x",
                                       .tool_calls = {{"c1", "one", "{}"}},
                                       .reasoning = "hm",
                                       .provider_fields = R"({"a":1})"}};
  const auto told = messages_without_calls(messages, {});
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].reasoning, "hm");
  EXPECT_EQ(told[0].provider_fields, R"({"a":1})");
}

// --- answers as models write them

Json read(const std::string& text, std::string* words = nullptr) {
  Message answer{.role = Role::assistant, .content = text};
  if (!take_call_from_text(answer, all_tools, "seed")) return Json();
  if (words != nullptr) *words = answer.content;
  return Json{{answer.tool_calls.front().name, *parse_json(answer.tool_calls.front().arguments, "arguments")}};
}

TEST(TextTools, ACallWhoseEndIsMissingIsRead) {
  const Json wanted{{"execute_bash", {{"command", "ls"}}}};
  for (const char* end : {"</function>", "</function", "</", "<", "", "\n", "\n</function>\nUSER: go on"}) {
    EXPECT_EQ(read(std::string("<function=execute_bash>\n<parameter=command>ls</parameter>\n") + end), wanted) << end;
  }
  EXPECT_EQ(read("<function=execute_bash><parameter=command>\nls\n</parameter></function>"), wanted);
  EXPECT_EQ(read("<function=execute_bash>\n<parameter=command>ls\n"), wanted) << "cut off by the output's limit";
}

TEST(TextTools, SloppyTagsAreRead) {
  EXPECT_EQ(read("<function=str_replace_editor>\n<parameter=command=str_replace</parameter>\n<parameter=path>/a.py</"
                 "parameter>\n<parameter=old_str>foo</parameter>\n<parameter=new_str>bar</parameter>\n</function>"),
            (Json{{"str_replace_editor",
                   {{"command", "str_replace"}, {"path", "/a.py"}, {"old_str", "foo"}, {"new_str", "bar"}}}}));
  EXPECT_EQ(read("<function= execute_bash >\n<parameter= command >ls</parameter></function>"),
            (Json{{"execute_bash", {{"command", "ls"}}}}));
}

TEST(TextTools, ValuesMayHoldTheTagsThemselves) {
  const std::string code = "print('</parameter>')\n# <function=x>\nassert '=' in text";
  std::string words;
  EXPECT_EQ(read("Writing.\n<function=str_replace_editor>\n<parameter=command>create</parameter>\n"
                 "<parameter=new_str>\n" +
                     code + "\n</parameter>\n<parameter=path>/f</parameter>\n</function>",
                 &words),
            (Json{{"str_replace_editor", {{"command", "create"}, {"new_str", code}, {"path", "/f"}}}}));
  EXPECT_EQ(words, "Writing.");
}

TEST(TextTools, OnlyTheFirstCallCounts) {
  std::string words;
  EXPECT_EQ(read("First.\n<function=execute_bash>\n<parameter=command>a</parameter>\n</function>\n"
                 "<function=execute_bash>\n<parameter=command>b</parameter>\n</function>",
                 &words),
            (Json{{"execute_bash", {{"command", "a"}}}}));
  EXPECT_EQ(words, "First.");
}

TEST(TextTools, WhatATypeDoesNotFitStaysText) {
  EXPECT_EQ(read("<function=str_replace_editor>\n<parameter=insert_line>seven</parameter>\n<parameter=view_range>1-2</"
                 "parameter>\n<parameter=all>perhaps</parameter>\n<parameter=unheard_of>1</parameter>\n</function>"),
            (Json{{"str_replace_editor",
                   {{"insert_line", "seven"}, {"view_range", "1-2"}, {"all", "perhaps"}, {"unheard_of", "1"}}}}));
  EXPECT_EQ(read("<function=unheard_of>\n<parameter=x>1</parameter>\n</function>"),
            (Json{{"unheard_of", {{"x", "1"}}}}));
}

TEST(TextTools, NonsenseIsReadWithinBounds) {
  std::string text = "<function=execute_bash>\n";
  for (int i = 0; i < 20000; ++i) text += "<parameter=p" + std::to_string(i) + ">";
  const Json call = read(text);
  ASSERT_TRUE(call.contains("execute_bash"));
  EXPECT_LE(call.at("execute_bash").size(), 64U);
  EXPECT_EQ(read("<function=execute_bash>\n<parameter=a>\xFF\xFE</parameter>\n</function>"),
            (Json{{"execute_bash", {{"a", "\xEF\xBF\xBD\xEF\xBF\xBD"}}}}));
}

TEST(TextTools, WordsWithoutACallAreWords) {
  for (const char* text :
       {"", "All done.", "<function=", "<function=>\n</function>", "use <function or so", "<functio"}) {
    Message answer{.role = Role::assistant, .content = text};
    EXPECT_FALSE(take_call_from_text(answer, all_tools, "")) << text;
    EXPECT_EQ(answer.content, text);
    EXPECT_TRUE(answer.tool_calls.empty());
  }
}

TEST(TextTools, IdsAreOfTheirAnswer) {
  const auto id = [](const char* command, const char* seed) {
    Message answer{.role = Role::assistant, .content = call_as_text({"", "execute_bash", command})};
    EXPECT_TRUE(take_call_from_text(answer, all_tools, seed));
    return answer.tool_calls.front().id;
  };
  EXPECT_EQ(id(R"({"command":"a"})", "1"), id(R"({"command":"a"})", "1"));
  EXPECT_NE(id(R"({"command":"a"})", "1"), id(R"({"command":"b"})", "1"));
  EXPECT_NE(id(R"({"command":"a"})", "1"), id(R"({"command":"a"})", "2"));
}

// --- and over the wire

class TextToolsClientTest : public LlmTest {
 protected:
  TextToolsClientTest() { config_.native_tool_calling = false; }
  const std::vector<Message> conversation_{
      {.role = Role::system, .content = "s"},
      {.role = Role::user, .content = "u"},
      {.role = Role::assistant, .content = "", .tool_calls = {{"c1", "execute_bash", R"({"command":"ls"})"}}},
      {.role = Role::tool, .content = std::string(300, 'a') + std::string(300, 'b'), .tool_call_id = "c1"}};
};

TEST_F(TextToolsClientTest, AServerWithoutToolsIsAskedAndItsAnswerIsACall) {
  server_.then(json_response(chat_answer("Now this.\n<function=execute_bash>\n<parameter=command>pwd</parameter>\n")));
  config_.max_message_chars = 100;
  const auto model = llm();
  const auto answer = ask(*model, conversation_, all_tools);
  ASSERT_TRUE(answer) << answer.error().error;
  const Json body = server_.body();
  EXPECT_FALSE(body.contains("tools"));
  EXPECT_EQ(body.at("stop"), (Json{"</function"}));
  ASSERT_EQ(body.at("messages").size(), 4U);
  EXPECT_THAT(body.at("messages")[0].at("content").get<std::string>(), HasSubstr("### execute_bash"));
  EXPECT_EQ(body.at("messages")[3].at("role"), "user");
  EXPECT_THAT(body.at("messages")[3].at("content").get<std::string>(),
              AllOf(StartsWith("EXECUTION RESULT of [execute_bash]:\n" + std::string(50, 'a') + "\n[..."),
                    EndsWith("...]\n" + std::string(50, 'b'))));
  EXPECT_EQ(answer->message.content, "Now this.");
  ASSERT_EQ(answer->message.tool_calls.size(), 1U);
  EXPECT_EQ(answer->message.tool_calls[0].arguments, R"({"command":"pwd"})");
  EXPECT_EQ(answer->finish_reason, "tool_calls");
}

TEST_F(TextToolsClientTest, WhatWasCutOffIsNoCall) {
  auto body = chat_answer("I clean up.\n<function=execute_bash>\n<parameter=command>rm -rf build/tm");
  const std::string stop = R"("finish_reason":"stop")";
  body.replace(body.find(stop), stop.size(), R"("finish_reason":"length")");
  server_.then(json_response(body));
  const auto model = llm();
  const auto answer = ask(*model, conversation_, all_tools);
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_TRUE(answer->message.tool_calls.empty());
  EXPECT_EQ(answer->finish_reason, "length");
}

TEST_F(TextToolsClientTest, WithoutToolsWhatLooksLikeACallIsText) {
  const std::string text = "Then <function=execute_bash>\n<parameter=command>pwd</parameter>\n</function> was called.";
  server_.then(json_response(chat_answer(text)));
  const auto model = llm();
  const auto answer = ask(*model, conversation_, {});
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_TRUE(answer->message.tool_calls.empty());
  EXPECT_EQ(answer->message.content, text);
}

TEST_F(TextToolsClientTest, AStreamedAnswerIsACallToo) {
  server_.then(sse_response(
      {R"({"id":"1","choices":[{"index":0,"delta":{"content":"<function=execute_bash>\n<param"},"finish_reason":null}]})",
       R"({"id":"1","choices":[{"index":0,"delta":{"content":"eter=command>pwd</parameter>\n"},"finish_reason":"stop"}]})",
       "[DONE]"}));
  config_.stream = true;
  const auto model = llm();
  const auto answer = ask(*model, conversation_, all_tools);
  ASSERT_TRUE(answer) << answer.error().error;
  ASSERT_EQ(answer->message.tool_calls.size(), 1U);
  EXPECT_EQ(answer->message.tool_calls[0].arguments, R"({"command":"pwd"})");
}

TEST_F(TextToolsClientTest, StopIsSentOnlyWhereItIsWantedAndUnderstood) {
  server_.then(json_response(chat_answer("ok")));
  const auto has_stop = [&](const std::string& model, bool disabled, const std::vector<ToolSpec>& tools) {
    config_.model = "openai/" + model;
    config_.disable_stop_word = disabled;
    const auto before = server_.posts();
    const auto one = llm();
    EXPECT_TRUE(ask(*one, conversation_, tools));
    return server_.body(before).contains("stop");
  };
  EXPECT_TRUE(has_stop("custom-model", false, all_tools));
  EXPECT_FALSE(has_stop("custom-model", true, all_tools));
  EXPECT_FALSE(has_stop("custom-model", false, {}));
  EXPECT_FALSE(has_stop("xai/grok-4-0709", false, all_tools));
  config_.native_tool_calling = true;
  EXPECT_FALSE(has_stop("custom-model", false, all_tools));
}

TEST_F(TextToolsClientTest, CacheMarksAreOnTheMessagesThatGoOut) {
  server_.then(json_response(chat_answer("ok")));
  config_.model = "litellm_proxy/claude-sonnet-4";
  const auto model = llm();
  ASSERT_TRUE(ask(*model, conversation_, all_tools));
  const Json messages = server_.body().at("messages");
  const auto marked = [&](std::size_t i) {
    return messages[i].at("content").is_array() && messages[i].at("content").back().contains("cache_control");
  };
  EXPECT_TRUE(marked(0));
  EXPECT_TRUE(marked(1));
  EXPECT_FALSE(marked(2));
  EXPECT_TRUE(marked(3));
  config_.caching_prompt = false;
  const auto plain = llm();
  ASSERT_TRUE(ask(*plain, conversation_, all_tools));
  EXPECT_TRUE(server_.body(1).at("messages")[3].at("content").is_string());
}

}  // namespace
}  // namespace awm::test
