// Requests as agents make them, and small scripts.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "replay/book.h"

namespace awm::test {

inline Json parse(std::string_view text) {
  auto json = parse_json(text, "test");
  EXPECT_TRUE(json) << json.error().message() << "\n" << text;
  return json ? *json : Json();
}

inline Json tools(const std::vector<std::string>& names) {
  Json list = Json::array();
  for (const auto& name : names) list.push_back(parse(R"({"type":"function","function":{"name":")" + name + R"("}})"));
  return list;
}

// A conversation under way: sends, takes the answer in, answers its tool calls.
class Talk {
 public:
  explicit Talk(std::string_view task, std::vector<std::string> tool_names = {"bash"}) {
    body_["model"] = "openai/test";
    body_["messages"] = Json::array({Json::object({{"role", "system"}, {"content", "You are a helpful assistant."}}),
                                     Json::object({{"role", "user"}, {"content", "Solve:\n" + std::string(task)}})});
    if (!tool_names.empty()) body_["tools"] = tools(tool_names);
  }
  Json& body() { return body_; }
  Json& messages() { return body_["messages"]; }
  [[nodiscard]] std::string text() const { return dump_json(body_); }
  // Appends the answer's message and a result for each of its calls.
  void take(const Json& completion, std::string_view result = "<returncode>0</returncode>") {
    const Json& message = completion["choices"][0]["message"];
    messages().push_back(message);
    if (!message.contains("tool_calls") || message["tool_calls"].is_null()) {
      messages().push_back(Json::object({{"role", "user"}, {"content", "Go on."}}));
      return;
    }
    for (const auto& call : message["tool_calls"]) {
      messages().push_back(Json::object({{"role", "tool"}, {"tool_call_id", call["id"]}, {"content", result}}));
    }
  }

 private:
  Json body_ = Json::object();
};

// A folder with the files given, gone with the test.
class Files {
 public:
  explicit Files(const std::map<std::string, std::string>& files) {
    auto folder = TempFolder::create(Scope("test/files"), "awm-replay-test");
    EXPECT_TRUE(folder);
    folder_ = std::move(*folder);
    for (const auto& [name, text] : files) {
      EXPECT_TRUE(make_folders(parent_path(path(name))));
      EXPECT_TRUE(write_file(path(name), text));
    }
  }
  [[nodiscard]] std::string path(std::string_view name = {}) const {
    return name.empty() ? folder_.path() : join_path(folder_.path(), name);
  }

 private:
  TempFolder folder_;
};

inline ReplayBook book_of(const std::vector<std::string>& scripts, ReplaySettings settings = {}) {
  std::map<std::string, std::string> named;
  for (std::size_t i = 0; i < scripts.size(); ++i) named["script" + std::to_string(i) + ".json"] = scripts[i];
  const Files files(named);
  auto conversations = read_scripts(files.path(), {});
  EXPECT_TRUE(conversations) << conversations.error().message();
  auto book = ReplayBook::create(conversations ? *conversations : std::vector<ScriptedTalk>(), std::move(settings));
  EXPECT_TRUE(book) << book.error().message();
  return std::move(*book);
}

inline std::string error_text(const ReplayAnswer& answer) {
  return string_or(answer.body["error"], "message", "?");
}
inline std::string content(const ReplayAnswer& answer) {
  return answer.status == 200 ? string_or(answer.body["choices"][0]["message"], "content", "")
                              : std::to_string(answer.status) + ": " + error_text(answer);
}

// Three answers: look, edit, finish.
inline std::string three_steps(std::string_view text, std::string_view name, std::string_view more = "") {
  return R"({"name": ")" + std::string(name) + R"(", "match": {"text": ")" + std::string(text) + R"("}, )" +
         std::string(more) + R"( "steps": [
    {"content": "I look around.", "tool_calls": [{"name": "bash", "arguments": {"command": "ls"}}]},
    {"content": "I edit.", "tool_calls": [{"name": "bash", "arguments": {"command": {"$lines": ["a", "b"]}}},
                                          {"name": "bash", "arguments": {"command": "true"}}]},
    {"content": "Done."}]})";
}

}  // namespace awm::test
