// A model whose server knows no tool calls: told of the tools in words, its calls read from what it writes, from the
// first step to the verdict.
#include "llm/text_tools.h"
#include "run_awm.h"

namespace awm::e2e {
namespace {

using ::testing::HasSubstr;

// "$lines" and lists of lines become text.
Json whole(const Json& value) {
  if (value.is_object() && value.contains("$lines")) return whole(value.at("$lines"));
  if (value.is_array() && !value.empty() && value.front().is_string()) {
    std::vector<std::string> lines;
    for (const auto& line : value) lines.push_back(line.get<std::string>());
    return join(lines, "\n");
  }
  return value;
}

// The script of an example as a model without tool calls would play it.
Json in_words(const std::string& id) {
  auto script = parse_json(testing::read_text(source("examples/scripts/" + id + ".codeact.json")), id);
  EXPECT_TRUE(script) << script.error();
  if (!script) return {};
  script->at("match").erase("tool");
  script->erase("require");
  for (auto& step : script->at("steps")) {
    std::string said = step.contains("content") ? whole(step.at("content")).get<std::string>() : std::string();
    for (const auto& call : step.value("tool_calls", Json::array())) {
      Json arguments = Json::object();
      for (const auto& [name, value] : call.at("arguments").items()) {
        arguments[name] = value.is_object() ? whole(value) : value;
      }
      said += "\n\n" + call_as_text({.id = {}, .name = call.at("name"), .arguments = dump_json(arguments)});
      // Where the words that stop a model are heeded, the end of a call never comes.
      if (step.at("tool_calls").size() == 1) said.resize(said.size() - std::string_view("</function>").size());
    }
    step.erase("tool_calls");
    step.erase("require");
    step["content"] = said;
  }
  return *script;
}

TEST(ToolsInWords, AnAgentWorksAndIsJudged) {
  Bench bench;
  Json scripts = Json::array();
  for (const auto* id : {"example__textkit-1", "example__ringbuf-1"}) scripts.push_back(in_words(id));
  testing::write_text(bench.folder() / "scripts.json", dump_json(scripts));
  testing::write_text(bench.folder() / "words.toml", "[llm]\nnative_tool_calling = false\n");
  ReplayServeOptions options;
  options.scripts = {bench.folder() / "scripts.json"};
  bench.serve(options);
  const auto outcome = bench.run({"--config", bench.folder() / "words.toml", "--max-iterations", "30", "--memory",
                                  "off", "--instance", "example__textkit-1", "--instance", "example__ringbuf-1"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  for (const auto* id : {"example__textkit-1", "example__ringbuf-1"}) {
    EXPECT_EQ(verdict(outcome, id), "PASS") << outcome.output;
  }
  EXPECT_THAT(outcome.output, HasSubstr("nothing leaked"));
  const auto counters = bench.server().counters();
  EXPECT_EQ(counters.unmatched, 0U);
  EXPECT_EQ(counters.refused, 0U);
  for (const auto& [name, one] : counters.conversations) EXPECT_EQ(one.furthest, one.steps) << name;
}

}  // namespace
}  // namespace awm::e2e
