#include "base/json.h"
#include "base/text.h"
#include "event/event.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::read_text;

class Redact final : public TextMask {
 public:
  explicit Redact(std::string secret) : secret_(std::move(secret)) {}
  bool apply(std::string& text) const override {
    if (!contains(text, secret_)) return false;
    text = replace_all(text, secret_, "<secret_hidden>");
    return true;
  }

 private:
  std::string secret_;
};

std::string compact(std::string_view text) {
  auto json = parse_json(text, "test");
  EXPECT_TRUE(json) << json.error();
  return json ? dump_json(*json) : "";
}

// Forty-two events of all kinds, written by OpenHands 0.62's own event_to_dict and json.dumps.
std::vector<std::string> openhands_events() {
  std::vector<std::string> lines;
  const std::string text = read_text(std::string(AWM_SOURCE_DIR) + "/tests/event/data/openhands_0_62_events.jsonl");
  for (const auto line : split_lines(text)) lines.emplace_back(line);
  return lines;
}

TEST(EventJson, OpenHandsOwnEventsAreWrittenAsTheyWereRead) {
  const auto lines = openhands_events();
  ASSERT_EQ(lines.size(), 42U);
  for (const auto& line : lines) {
    const auto event = event_from_text(line);
    ASSERT_TRUE(event) << event.error() << line;
    EXPECT_EQ(event_to_json(*event), compact(line));
    EXPECT_EQ(header(*event).original, nullptr) << "our fields should say all of it: " << line;
  }
}

TEST(EventJson, FieldsAreReadWithTheirMeaning) {
  const auto lines = openhands_events();
  const auto run = event_from_text(lines[0]);
  ASSERT_TRUE(run);
  EXPECT_EQ(header(*run).id, 0);
  EXPECT_EQ(header(*run).source, EventSource::agent);
  EXPECT_EQ(header(*run).timestamp, "2026-01-31T12:34:56.000000");
  ASSERT_TRUE(header(*run).tool_call);
  EXPECT_EQ(header(*run).tool_call->tool_call_id, "call_1");
  EXPECT_EQ(header(*run).tool_call->total_calls_in_response, 2);
  const auto* body = get_if<RunAction>(*run);
  ASSERT_NE(body, nullptr);
  EXPECT_EQ(body->command, "ls -la \"é\t\"");
  EXPECT_TRUE(body->blocking);
  EXPECT_EQ(body->security_risk, SecurityRisk::low);
  EXPECT_EQ(std::get<Action>(*run).timeout, 120.0);

  const auto view = event_from_text(lines[4]);
  ASSERT_NE(get_if<ReadAction>(*view), nullptr);
  EXPECT_EQ(get_if<ReadAction>(*view)->view_range, (std::vector<int64_t>{1, 20}));

  const auto output = event_from_text(lines[27]);
  ASSERT_NE(get_if<RunObservation>(*output), nullptr);
  EXPECT_EQ(get_if<RunObservation>(*output)->metadata.exit_code, 0);
  EXPECT_EQ(get_if<RunObservation>(*output)->metadata.working_dir, "/testbed");
  EXPECT_EQ(header(*output).cause, 26);
  EXPECT_EQ(std::get<Observation>(*output).content, "out\n");
}

TEST(EventJson, WhatWeDoNotKnowComesBackUnharmed) {
  const std::vector<std::string> strange = {
      R"({"action":"teleport","args":{"to":["Mars",1.5,null],"deep":{"a":{"b":[]}}},"message":"beam"})",
      R"({"id":7,"source":"agent","observation":"hologram","content":"x","extras":{"k":true},"later":"field"})",
      R"({"id":3,"action":"run","args":{"command":"ls","translated_ipython_code":"old","keep_prompt":true}})",
      R"({"args":{"command":"ls"},"action":"run","id":3})",
      R"({"action":"run","args":{"command":17}})",
      R"({"action":"run","args":null,"source":"martian"})",
      R"({"observation":"run","content":null,"extras":{"exit_code":0,"command_id":4,"command":"ls"}})",
      R"({"observation":"run","content":"a","extras":{"metadata":"text"},"success":"yes"})",
      R"({"id":1.5,"action":"message","args":{"content":"x","security_risk":9},"timeout":30})",
      R"({"action":"think","args":{"thought":"1e400 \u0000 \ud83d\ude00"},"tool_call_metadata":[1]})",
      R"({"action":"read","args":{"path":"/a","view_range":[1,"2"]}})",
  };
  for (const auto& text : strange) {
    const auto event = event_from_text(text);
    ASSERT_TRUE(event) << event.error() << text;
    EXPECT_EQ(event_to_json(*event), compact(text));
  }
}

TEST(EventJson, AnEventFromAnOlderVersionGetsItsPlaceInAStream) {
  auto event = event_from_text(R"({"action":"run","args":{"command":"ls","keep_prompt":true}})");
  ASSERT_TRUE(event);
  header(*event).id = 4;
  header(*event).timestamp = "2026-01-01T00:00:00.000000";
  header(*event).source = EventSource::user;
  const auto json = parse_json(event_to_json(*event), "test");
  ASSERT_TRUE(json);
  EXPECT_EQ(get_int(*json, "id"), 4);
  EXPECT_EQ(get_string(*json, "source"), "user");
  EXPECT_EQ(get_bool((*json)["args"], "keep_prompt"), true);
}

TEST(EventJson, WhatIsNoEventIsRefusedByName) {
  for (const std::string text : {"[]", "3", "{}", R"({"id":1})", R"({"action":3})", R"({"observation":null})"}) {
    const auto event = event_from_text(text, "events.jsonl:3");
    ASSERT_FALSE(event) << text;
    EXPECT_EQ(event.error().code, Errc::invalid_input);
    EXPECT_EQ(event.error().object, "events.jsonl:3");
  }
  EXPECT_FALSE(event_from_text(R"({"action":"run")"));
  EXPECT_FALSE(event_from_text(std::string(200, '[') + std::string(200, ']')));
}

TEST(EventJson, AnyBytesBecomeValidJson) {
  std::string all;
  for (int round = 0; round < 3; ++round) {
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  }
  for (std::size_t from = 0; from < 40; ++from) {
    for (std::size_t size : {0UL, 1UL, 7UL, 8UL, 9UL, 33UL, 300UL}) {
      RunAction run;
      run.command = all.substr(from, size);
      const std::string text = event_to_json(Action(std::move(run)));
      ASSERT_TRUE(is_valid_utf8(text));
      const auto json = parse_json(text, "test");
      ASSERT_TRUE(json) << json.error();
      EXPECT_EQ((*json)["args"]["command"].get<std::string>(), to_valid_utf8(all.substr(from, size)));
      EXPECT_EQ(text, dump_json(*json));
    }
  }
}

TEST(EventJson, SecretsAreMaskedWhereverTheyStand) {
  const std::string secret = "sk-12345\"67";
  RunAction run;
  run.command = "curl -H 'Authorization: " + secret + "'";
  Action action(run);
  action.tool_call = std::make_shared<const ToolCallMetadata>(
      ToolCallMetadata{.function_name = "execute_bash",
                       .tool_call_id = "c1",
                       .model_response = std::make_shared<const std::string>(
                           dump_json(Json{{"choices", Json::array({Json{{"args", {secret, "x " + secret}}}})}}))});
  SystemAction system;
  system.content = secret;
  system.tools.text = dump_json(Json::array({Json{{"description", "use " + secret}}}));
  OtherAction other{.kind = "call_tool_mcp", .message = secret, .args = {dump_json(Json{{"list", {1, secret}}})}};
  RunObservation output;
  output.metadata.suffix = secret;
  EditObservation edit;
  edit.old_content = "before " + secret;
  auto old =
      event_from_text(dump_json(Json{{"action", "run"}, {"args", {{"command", secret}, {"keep_prompt", {secret}}}}}));
  ASSERT_TRUE(old);
  std::vector<Event> events = {
      action, Action(system), Action(other), Observation(secret, output), Observation("", edit), *old};
  for (Event& event : events) {
    EXPECT_TRUE(mask_event(event, Redact(secret)));
    const std::string text = event_to_json(event);
    EXPECT_FALSE(contains(text, "12345")) << text;
    EXPECT_TRUE(contains(text, "<secret_hidden>")) << text;
    EXPECT_TRUE(parse_json(text, "test"));
    EXPECT_FALSE(mask_event(event, Redact(secret)));
  }
}

TEST(EventJson, WhatTheStreamAndTheKindSayIsNotMasked) {
  for (const std::string secret : {"agent", "run", "2026-01-31"}) {
    auto event = event_from_text(openhands_events()[0]);
    ASSERT_TRUE(event);
    (void)mask_event(*event, Redact(secret));
    EXPECT_EQ(header(*event).source, EventSource::agent);
    EXPECT_EQ(kind_of(*event), "run");
    EXPECT_EQ(header(*event).timestamp, "2026-01-31T12:34:56.000000");
  }
}

TEST(EventJson, ACommandsEndIsToldToTheModel) {
  RunObservation run;
  run.command = "make";
  run.metadata.exit_code = 2;
  run.metadata.working_dir = "/testbed";
  run.metadata.prefix = "[Below is the output of the previous command.]\n";
  EXPECT_EQ(agent_text(Observation("boom", run)),
            "[Below is the output of the previous command.]\nboom\n[Current working directory: /testbed]\n"
            "[Command finished with exit code 2]");
  EXPECT_EQ(agent_text(Observation("", RunObservation{})), "");
  EXPECT_EQ(agent_text(Observation("text", ErrorObservation{})), "text");
}

// The recorded completions of OpenHands' agent: each answer as an action's metadata, and each tool's text as an
// observation, goes through unchanged.
TEST(EventJson, RecordedAnswersAndTextsSurviveTheRoundTrip) {
  const std::string folder = testing::shared_data("trajectories/openhands_v0");
  if (folder.empty()) GTEST_SKIP() << "the public data beside the project is not there";
  int seen = 0;
  for (const std::string name :
       {"astropy__astropy-13033/litellm_proxy__claude-3-5-sonnet-20241022-1733339310.377825.json",
        "astropy__astropy-13236/litellm_proxy__claude-3-5-sonnet-20241022-1733343863.366972.json",
        "astropy__astropy-14309/litellm_proxy__claude-3-5-sonnet-20241022-1733339465.420445.json"}) {
    const auto json = parse_json(read_text(folder + "/" + name), name);
    ASSERT_TRUE(json) << json.error();
    const auto response = std::make_shared<const std::string>(dump_json((*json)["response"]));
    for (const Json& message : (*json)["messages"]) {
      std::string text;
      const Json* const content = find_member(message, "content");
      if (content == nullptr) continue;  // an answer of tool calls alone
      for (const Json& part : *content) text += string_or(part, "text", "");
      Observation observation(text, ErrorObservation{});
      observation.tool_call = std::make_shared<const ToolCallMetadata>(
          ToolCallMetadata{.function_name = "execute_bash", .tool_call_id = "c", .model_response = response});
      const std::string written = event_to_json(observation);
      const auto again = event_from_text(written);
      ASSERT_TRUE(again) << again.error();
      EXPECT_EQ(event_to_json(*again), written);
      EXPECT_EQ(std::get<Observation>(*again).content, text);
      EXPECT_EQ(*header(*again).tool_call->model_response, *response);
      ++seen;
    }
  }
  EXPECT_GE(seen, 80);
}

}  // namespace
}  // namespace awm
