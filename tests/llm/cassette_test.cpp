// Exchanges recorded from real servers (../shared/data/llm_api): what was answered then is answered again, by a real
// server of ours, and must be read for what it is; what was asked then must be what we ask.
#include <dirent.h>

#include <algorithm>

#include "base/text.h"
#include "support.h"
#include "yaml.h"

namespace awm::test {
namespace {

struct Exchange {
  std::string file;
  std::size_t number = 0;
  int status = 0;
  Json request;  // the body
  std::string content_type;
  std::string content_encoding;
  std::string answer;  // the body, as it came
};

std::string header_of(const Json& headers, std::string_view name) {
  for (const auto& [key, values] : headers.items()) {
    if (to_lower_ascii(key) != name) continue;
    return values.is_array() ? values.front().get<std::string>() : values.get<std::string>();
  }
  return {};
}

std::vector<std::string> cassettes(const std::string& folder) {
  std::vector<std::string> names;
  DIR* listing = ::opendir(folder.c_str());
  while (const dirent* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".yaml")) names.push_back(name);
  }
  ::closedir(listing);
  std::ranges::sort(names);
  return names;
}

std::vector<Exchange> chat_exchanges() {
  const std::string folder = testing::shared_data("llm_api");
  std::vector<Exchange> all;
  for (const auto& name : cassettes(folder)) {
    const Json cassette = YamlReader::read(testing::read_text(folder + "/" + name));
    std::size_t number = 0;
    for (const auto& one : cassette.at("interactions")) {
      const Json& request = one.at("request");
      const Json& response = one.at("response");
      ++number;
      if (request.at("uri").get<std::string>().find("/chat/completions") == std::string::npos) continue;
      Exchange exchange{.file = name, .number = number - 1, .status = response.at("status").at("code").get<int>()};
      exchange.request = request.contains("parsed_body") ? request["parsed_body"]
                                                         : *parse_json(request.at("body").get<std::string>(), name);
      exchange.content_type = header_of(response.at("headers"), "content-type");
      exchange.content_encoding = header_of(response.at("headers"), "content-encoding");
      exchange.answer = response.contains("parsed_body") ? dump_json(response["parsed_body"])
                                                         : response.at("body").at("string").get<std::string>();
      // Where the recorder unpacked it, the header stayed.
      if (!exchange.answer.starts_with("\x1F\x8B")) exchange.content_encoding.clear();
      all.push_back(std::move(exchange));
    }
  }
  return all;
}

std::string text_of(const Json& message) {
  const auto* content = find_member(message, "content");
  if (content == nullptr || content->is_null()) return {};
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  for (const auto& part : *content) text += string_or(part, "text", "");
  return text;
}

bool is_text(const Json& request) {
  for (const auto& message : request.at("messages")) {
    const auto* content = find_member(message, "content");
    if (content == nullptr || !content->is_array()) continue;
    for (const auto& part : *content) {
      if (string_or(part, "type", "text") != "text") return false;
    }
  }
  return true;
}

std::vector<Message> messages_of(const Json& request) {
  std::vector<Message> messages;
  for (const auto& one : request.at("messages")) {
    Message message{.content = text_of(one)};
    const auto role = string_or(one, "role", "");
    message.role = role == "assistant" ? Role::assistant
                   : role == "tool"    ? Role::tool
                   : role == "user"    ? Role::user
                                       : Role::system;
    message.tool_call_id = string_or(one, "tool_call_id", "");
    if (const auto* calls = find_member(one, "tool_calls"); calls != nullptr && calls->is_array()) {
      for (const auto& call : *calls) {
        message.tool_calls.push_back({.id = string_or(call, "id", ""),
                                      .name = string_or(call.at("function"), "name", ""),
                                      .arguments = string_or(call.at("function"), "arguments", "")});
      }
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

std::vector<ToolSpec> tools_of(const Json& request) {
  std::vector<ToolSpec> tools;
  if (const auto* list = find_member(request, "tools"); list != nullptr && list->is_array()) {
    for (const auto& one : *list) {
      const auto& function = one.at("function");
      tools.push_back({.name = string_or(function, "name", ""),
                       .description = string_or(function, "description", ""),
                       .parameters = dump_json(function.value("parameters", Json::object()))});
    }
  }
  return tools;
}

// Roles that mean the same, and forms of an absent text, made one.
Json common_messages(const Json& request) {
  Json common = Json::array();
  for (const auto& one : request.at("messages")) {
    auto role = string_or(one, "role", "");
    if (role == "developer") role = "system";
    Json message{{"role", role}, {"content", text_of(one)}};
    if (const auto* calls = find_member(one, "tool_calls"); calls != nullptr && calls->is_array() && !calls->empty()) {
      message["tool_calls"] = Json::array();
      for (const auto& call : *calls) {
        const auto& function = call.at("function");
        message["tool_calls"].push_back({string_or(call, "id", ""), string_or(call, "type", ""),
                                         string_or(function, "name", ""), string_or(function, "arguments", "")});
      }
    }
    if (const auto id = get_string(one, "tool_call_id")) message["tool_call_id"] = *id;
    common.push_back(std::move(message));
  }
  return common;
}

// Key order is nothing that servers look at.
nlohmann::json sorted(const Json& json) {
  return nlohmann::json::parse(dump_json(json));
}

nlohmann::json common_tools(const Json& request) {
  auto common = nlohmann::json::array();
  if (const auto* list = find_member(request, "tools"); list != nullptr && list->is_array()) {
    for (const auto& one : *list) {
      const auto& function = one.at("function");
      common.push_back({string_or(one, "type", ""), string_or(function, "name", ""),
                        string_or(function, "description", ""), sorted(function.value("parameters", Json::object()))});
    }
  }
  return common;
}

// What the answer holds, by the shortest way: {content, calls [[id, name, arguments]], finish_reason, prompt,
// completion}.
struct Expected {
  std::string content;
  std::vector<std::array<std::string, 3>> calls;
  std::string finish_reason;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

Expected expected_of(const std::string& answer, bool stream) {
  Expected expected;
  std::vector<Json> pieces;
  if (stream) {
    for (const auto line : split_lines(answer)) {
      if (line.starts_with("data: {")) pieces.push_back(*parse_json(line.substr(6), "a piece"));
    }
  } else {
    pieces.push_back(*parse_json(answer, "the answer"));
  }
  for (const auto& piece : pieces) {
    if (const auto* usage = find_member(piece, "usage"); usage != nullptr && usage->is_object()) {
      expected.prompt_tokens = get_int(*usage, "prompt_tokens").value_or(0);
      expected.completion_tokens = get_int(*usage, "completion_tokens").value_or(0);
    }
    if (!piece.contains("choices") || piece["choices"].empty()) continue;
    const Json& choice = piece["choices"][0];
    if (const auto reason = get_string(choice, "finish_reason")) expected.finish_reason = *reason;
    const Json& message = stream ? choice.at("delta") : choice.at("message");
    expected.content += string_or(message, "content", "");
    if (!message.contains("tool_calls") || message["tool_calls"].is_null()) continue;
    for (const auto& call : message["tool_calls"]) {
      const auto at = static_cast<std::size_t>(stream ? get_int(call, "index").value_or(0)
                                                      : static_cast<int64_t>(expected.calls.size()));
      if (expected.calls.size() <= at) expected.calls.resize(at + 1);
      auto& one = expected.calls[at];
      one[0] += string_or(call, "id", "");
      one[1] += string_or(call.at("function"), "name", "");
      one[2] += string_or(call.at("function"), "arguments", "");
    }
  }
  return expected;
}

LlmFailure expected_failure(const Exchange& exchange) {
  if (exchange.status == 401) return LlmFailure::authentication;
  if (exchange.status == 404) return LlmFailure::no_such_model;
  return exchange.file.find("tool_use_failed") != std::string::npos ? LlmFailure::malformed : LlmFailure::bad_request;
}

class CassetteTest : public LlmTest {};

TEST_F(CassetteTest, WhatWasRecordedIsAskedAndReadAgain) {
  REQUIRE_SHARED_DATA("llm_api/index.jsonl");
  int answers = 0;
  int streams = 0;
  int calls = 0;
  int refusals = 0;
  int packed = 0;
  for (const auto& exchange : chat_exchanges()) {
    SCOPED_TRACE(exchange.file + " #" + std::to_string(exchange.number));
    const bool stream = exchange.request.contains("stream") && exchange.request["stream"] == true;
    FakeModel server;
    HttpdResponse response = json_response(exchange.answer, exchange.status);
    response.content_type = exchange.content_type;
    if (!exchange.content_encoding.empty()) {
      response.headers.emplace_back("Content-Encoding", exchange.content_encoding);
      ++packed;
    }
    server.then(response);
    LlmConfig config = config_;
    config.shared = make_llm_shared();
    config.base_url = server.url();
    config.stream = stream;
    config.num_retries = 1;
    config.max_message_chars = 0;
    const auto model = llm(config);
    const auto messages = messages_of(exchange.request);
    const auto tools = tools_of(exchange.request);
    const auto answer = ask(*model, messages, tools);

    const Json sent = server.body();
    if (is_text(exchange.request)) {
      EXPECT_EQ(common_messages(sent), common_messages(exchange.request));
    }
    EXPECT_EQ(common_tools(sent), common_tools(exchange.request));
    EXPECT_EQ(sent.value("stream", false), stream);

    if (exchange.status != 200) {
      ASSERT_FALSE(answer);
      EXPECT_EQ(to_string(answer.error().kind), to_string(expected_failure(exchange))) << answer.error().error;
      EXPECT_EQ(answer.error().error.http_status, exchange.status);
      ++refusals;
      continue;
    }
    ASSERT_TRUE(answer) << answer.error().error;
    ++answers;
    streams += stream ? 1 : 0;
    EXPECT_TRUE(parse_json(answer->raw, "raw")) << answer->raw.substr(0, 200);
    if (!exchange.content_encoding.empty()) continue;
    const Expected expected = expected_of(exchange.answer, stream);
    EXPECT_EQ(answer->message.content, expected.content);
    EXPECT_EQ(answer->finish_reason, expected.finish_reason);
    EXPECT_EQ(answer->usage.prompt_tokens, expected.prompt_tokens);
    EXPECT_EQ(answer->usage.completion_tokens, expected.completion_tokens);
    EXPECT_EQ(answer->usage.reported, expected.prompt_tokens > 0);
    ASSERT_EQ(answer->message.tool_calls.size(), expected.calls.size());
    for (std::size_t i = 0; i < expected.calls.size(); ++i) {
      const auto& call = answer->message.tool_calls[i];
      EXPECT_FALSE(call.id.empty());
      if (!expected.calls[i][0].empty()) {
        EXPECT_EQ(call.id, expected.calls[i][0]);
      }
      EXPECT_EQ(call.name, expected.calls[i][1]);
      EXPECT_EQ(call.arguments, expected.calls[i][2]);
      ++calls;
    }
    // What came is sent back as it is.
    std::vector<Message> next = messages;
    next.push_back(answer->message);
    (void)ask(*model, next, tools);
    const Json back = server.body(1).at("messages").back();
    EXPECT_EQ(text_of(back), expected.content);
    if (!expected.calls.empty()) {
      EXPECT_EQ(back.at("tool_calls").size(), expected.calls.size());
    }
  }
  EXPECT_GE(answers, 55);
  EXPECT_GE(streams, 25);
  EXPECT_GE(calls, 25);
  EXPECT_GE(refusals, 14);
  EXPECT_GE(packed, 5);
}

}  // namespace
}  // namespace awm::test
