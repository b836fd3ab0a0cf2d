#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "config/config_support.h"
#include "os/log.h"

namespace awm {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ResolveTest, WithoutAnythingAllIsDefaultAndNoModelIsNamed) {
  const auto settings = resolved(ConfigFile());
  EXPECT_EQ(settings.llm_section, "llm");
  EXPECT_EQ(settings.llm.model, "");
  EXPECT_EQ(settings.llm.num_retries, 5);
  EXPECT_THAT(settings.warnings, IsEmpty());
  const auto missing = require_model(settings);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(),
            "choose a model: none is named, and there is no config.toml here (give --model, or --llm-config llm.NAME, "
            "or set LLM_MODEL)");
}

TEST(ResolveTest, ANamedSectionInheritsAndSaysWhat) {
  const auto settings = resolved(sample(), {.llm_config = "llm.kimi-k2"});
  EXPECT_EQ(settings.llm_section, "llm.kimi-k2");
  EXPECT_EQ(settings.llm.model, "openrouter/moonshotai/kimi-k2-0905");
  EXPECT_EQ(settings.llm.temperature, 0.0);
  EXPECT_EQ(settings.llm.num_retries, 8);
  EXPECT_EQ(settings.llm.api_keys, std::vector<std::string>{"sk-or-SECRET-0005"});
  EXPECT_THAT(settings.notes,
              Contains("config.toml: [llm.kimi-k2] inherits from [llm]: caching_prompt, drop_params, num_retries, "
                       "retry_max_wait, retry_min_wait, retry_multiplier, safety_settings"));
}

TEST(ResolveTest, SectionsTakeFromTheBaseWhatTheyDoNotSay) {
  const auto file = parsed(R"([core]
workspace_base = "./workspace"
[llm]
model = "openai/base"
api_key = "base-api-key"
num_retries = 3
[llm.custom1]
model = "openai/one"
api_key = "one-api-key"
[llm.custom2]
model = "openai/two"
api_key = "two-api-key"
num_retries = 5
[llm.draft_editor]
)");
  const auto told = [&](const char* section) {
    const auto llm = resolved(file, {.llm_config = section}).llm;
    return llm.model + " " + join(llm.api_keys, ",") + " " + std::to_string(llm.num_retries);
  };
  EXPECT_EQ(told("llm"), "openai/base base-api-key 3");
  EXPECT_EQ(told("custom1"), "openai/one one-api-key 3");
  EXPECT_EQ(told("custom2"), "openai/two two-api-key 5");
  EXPECT_EQ(told("draft_editor"), "openai/base base-api-key 3");
  EXPECT_THAT(refused(file, {.llm_config = "custom3"}), HasSubstr("no such section"));
}

TEST(ResolveTest, ASectionWithoutABaseHasTheDefaults) {
  const auto file = parsed("[llm.custom_only]\nmodel = \"openai/only\"\napi_key = \"only-api-key\"\n");
  const auto llm = resolved(file, {.llm_config = "custom_only"}).llm;
  EXPECT_EQ(llm.model, "openai/only");
  EXPECT_THAT(llm.api_keys, ElementsAre("only-api-key"));
  EXPECT_EQ(llm.num_retries, 5);
  EXPECT_EQ(llm.temperature, 0.0);
  EXPECT_EQ(llm.reasoning_effort, "");
  EXPECT_EQ(llm.top_k, std::nullopt);
}

TEST(ResolveTest, ToolsInWordsAreTakenFromTheFile) {
  const auto file =
      parsed("[llm]\nnative_tool_calling = false\ndisable_stop_word = true\nreasoning_effort = \"medium\"\n");
  const auto llm = resolved(file).llm;
  EXPECT_EQ(llm.native_tool_calling, false);
  EXPECT_TRUE(llm.disable_stop_word);
  EXPECT_EQ(llm.reasoning_effort, "medium");
  EXPECT_FALSE(resolved(parsed("[llm]\n")).llm.native_tool_calling);
}

TEST(ResolveTest, ASectionIsNamedInAnyOfItsForms) {
  for (const auto* name : {"kimi-k2", "llm.kimi-k2", "[llm.kimi-k2]", " llm.kimi-k2 "}) {
    EXPECT_EQ(resolved(sample(), {.llm_config = name}).llm_section, "llm.kimi-k2") << name;
  }
  EXPECT_EQ(resolved(sample(), {.llm_config = "llm"}).llm_section, "llm");
  EXPECT_EQ(resolved(sample(), {.llm_config = "llm.gpt-3.5-for-eval"}).llm.model, "gpt-3.5-turbo");
}

TEST(ResolveTest, ASectionThatIsNotThereListsThoseThatAre) {
  EXPECT_EQ(
      refused(sample(), {.llm_config = "llm.kimi-k"}),
      "take the model of --llm-config [llm.kimi-k]: no such section in config.toml; there are [llm], [llm.kimi-k2], "
      "[llm.gpt-3.5-for-eval], [llm.local]; did you mean \"llm.kimi-k2\"?");
  EXPECT_EQ(refused(ConfigFile(), {.llm_config = "kimi"}),
            "take the model of --llm-config [llm.kimi]: there is no config.toml here (name the file with --config)");
}

TEST(ResolveTest, FlagsGoBeforeTheEnvironmentBeforeTheSectionBeforeItsBase) {
  const auto file = parsed("[llm]\nmodel = \"base\"\n[llm.x]\nmodel = \"section\"\n[llm.y]\ntemperature = 1\n");
  const Environment environment{{"LLM_MODEL", "environment"}};
  const auto model = [&](const SettingsFlags& flags, const Environment& given) {
    const auto settings = resolved(file, flags, given);
    const auto from = origin(settings, "llm.model");
    return settings.llm.model + " " + from.where;
  };
  EXPECT_EQ(model({.llm_config = "y"}, {}), "base config.toml:2 [llm]");
  EXPECT_EQ(model({.llm_config = "x"}, {}), "section config.toml:4 [llm.x]");
  EXPECT_EQ(model({.llm_config = "x"}, environment), "environment LLM_MODEL");
  EXPECT_EQ(model({.llm_config = "x", .model = "flag"}, environment), "flag --model");
  EXPECT_EQ(resolved(ConfigFile(), {}, {}).origins.front().where, "default");
}

TEST(ResolveTest, AVariableThatGoesBeforeANamedSectionIsWarnedOf) {
  const auto file = parsed("[llm.x]\nmodel = \"section\"\n");
  EXPECT_THAT(resolved(file, {.llm_config = "x"}, {{"LLM_MODEL", "other"}}).warnings,
              ElementsAre("LLM_MODEL goes before model of config.toml:2 [llm.x]"));
  EXPECT_THAT(resolved(file, {.llm_config = "x"}, {{"LLM_MODEL", "section"}}).warnings, IsEmpty());
  EXPECT_THAT(resolved(parsed("[llm]\nmodel = \"base\"\n"), {}, {{"LLM_MODEL", "other"}}).warnings, IsEmpty());
}

TEST(ResolveTest, AnEmptyKeyOfASectionHidesTheInheritedOne) {
  EXPECT_THAT(resolved(sample(), {.llm_config = "local"}).llm.api_keys, IsEmpty());
  EXPECT_THAT(resolved(sample(), {.llm_config = "gpt-3.5-for-eval"}).llm.api_keys, ElementsAre("sk-SECRET-0003"));
}

TEST(ResolveTest, AnAgentsOwnSectionChoosesItsModel) {
  EXPECT_EQ(resolved(sample(), {.agent_class = "BashAgent"}).llm_section, "llm.gpt-3.5-for-eval");
  EXPECT_EQ(resolved(sample(), {.agent_class = "CodeActAgent"}).llm_section, "llm");
  EXPECT_EQ(resolved(sample(), {.llm_config = "kimi-k2", .agent_class = "BashAgent"}).llm_section, "llm.kimi-k2");
  EXPECT_EQ(refused(sample(), {.agent_class = "RepoExplorerAgent"}),
            "take the llm_config of config.toml:56 [agent.RepoExplorerAgent] [llm.gpt3]: no such section in "
            "config.toml; there are [llm], "
            "[llm.kimi-k2], [llm.gpt-3.5-for-eval], [llm.local]");
}

TEST(ResolveTest, SeveralKeysByTheNamesOfVariables) {
  const Environment environment{{"A", "key-a\n"}, {"B", " key-b "}, {"LLM_API_KEY", "other"}};
  EXPECT_THAT(resolved(sample(), {.api_key_env = {"A", "B"}}, environment).llm.api_keys, ElementsAre("key-a", "key-b"));
  EXPECT_THAT(resolved(sample(), {.api_key_env = {"A,B"}}, environment).llm.api_keys, ElementsAre("key-a", "key-b"));
  EXPECT_THAT(resolved(sample(), {}, environment).llm.api_keys, ElementsAre("other"));
  EXPECT_EQ(
      refused(sample(), {.api_key_env = {"A", "C"}}, environment),
      "find the key of --api-key-env C: this environment variable is not set, or empty (export C=…, or name another)");
}

TEST(ResolveTest, OurSectionNamesVariablesOfKeys) {
  const auto file = parsed(
      "[llm]\napi_key = \"plain\"\n[llm.x]\nmodel = \"m\"\n[awm.llm]\napi_key_env = [\"A\"]\n[awm.llm.x]\napi_key_env "
      "= [\"B\", \"A\"]\n");
  const Environment environment{{"A", "key-a"}, {"B", "key-b"}};
  EXPECT_THAT(resolved(file, {}, environment).llm.api_keys, ElementsAre("key-a"));
  EXPECT_THAT(resolved(file, {.llm_config = "x"}, environment).llm.api_keys, ElementsAre("key-b", "key-a"));
  EXPECT_EQ(refused(file, {}, {}),
            "find the key named at config.toml:6 [awm.llm] A: this environment variable is not set, or empty (export "
            "A=…, or name another)");
}

TEST(ResolveTest, AKeyWithALineBreakInsideIsRefusedWithoutShowingIt) {
  const auto message = refused(ConfigFile(), {.api_key_env = {"A"}}, {{"A", "sk-SECRET\r\nX: y"}});
  EXPECT_EQ(message,
            "read environment variable A: the key has white space or control characters inside (check what it was "
            "copied from)");
}

TEST(ResolveTest, AnotherModelOfTheFileKnowsNothingOfFlagsAndEnvironment) {
  const Environment environment{{"LLM_MODEL", "environment"}, {"LLM_API_KEY", "environment-key"}};
  const auto other = resolve_llm(sample(), "local", environment);
  ASSERT_TRUE(other) << other.error();
  EXPECT_EQ(other->model, "hosted_vllm/qwen");
  EXPECT_EQ(other->base_url, "http://127.0.0.1:8000/v1");
  EXPECT_EQ(other->num_retries, 8);
  EXPECT_THAT(other->api_keys, IsEmpty());
  EXPECT_EQ(resolve_llm(sample(), "absent", environment).error().code, Errc::not_found);
}

TEST(ResolveTest, TakesOptionsOfARunFromTheFile) {
  const auto settings = resolved(sample());
  EXPECT_EQ(settings.run.agent_class, "CodeActAgent");
  EXPECT_EQ(settings.run.max_iterations, 60);
  EXPECT_EQ(settings.run.max_budget_per_task, 2.5);
  EXPECT_EQ(settings.run.command_timeout, 90);
  EXPECT_EQ(settings.run.eval_timeout, 900);
  EXPECT_EQ(settings.run.repos, "/srv/repos");
  EXPECT_FALSE(settings.run.env_setup);
  EXPECT_EQ(settings.sandbox.network, false);
  EXPECT_EQ(settings.sandbox.memory_bytes, int64_t{4} << 30);
  EXPECT_EQ(settings.sandbox.pids, 512);
  EXPECT_THAT(settings.sandbox.binds,
              ElementsAre(BindMount{"/opt/python", "/opt/python", false},
                          BindMount{"/home/me/wheels", "/wheels", false}, BindMount{"/var/cache/pip", "/cache", true}));
  EXPECT_THAT(settings.sandbox.environment,
              ElementsAre("PIP_INDEX_URL=https://pypi.example/simple", "PYTHONPATH=/testbed", "CI=true"));
}

TEST(ResolveTest, OurOwnTimeoutGoesBeforeOpenHands) {
  EXPECT_EQ(resolved(parsed("[sandbox]\ntimeout = 90\n[awm.run]\ncommand_timeout = 30.5\n")).run.command_timeout, 30.5);
}

TEST(ResolveTest, BindsThatAreWrongSayWhatIsWrong) {
  const auto refuse = [](const std::string& bind) {
    return refused(parsed("[awm.sandbox]\nbind = [\"" + bind + "\"]\n"), {}, {{"HOME", "/home/me"}});
  };
  EXPECT_EQ(refuse("opt"),
            "read config.toml:2 [awm.sandbox] bind \"opt\": its path \"opt\" is not absolute (a bind is "
            "\"SRC[:DST][:rw]\" with absolute paths)");
  EXPECT_THAT(refuse("/a:/b:/c"), HasSubstr("too many parts"));
  EXPECT_THAT(refuse("/a:/b:rx"), HasSubstr("too many parts"));
  EXPECT_THAT(refuse(""), HasSubstr("a path of it is empty"));
  EXPECT_THAT(refuse("/a:/"), HasSubstr("cover the sandbox's root"));
  EXPECT_THAT(refuse("/a:/b/.."), HasSubstr("cover the sandbox's root"));
  EXPECT_EQ(*parse_bind("/a/../b:ro", ""), (BindMount{"/b", "/b", false}));
  EXPECT_FALSE(parse_bind("~/x", ""));
}

TEST(ResolveTest, SecretsAreInNoTextMade) {
  auto settings =
      resolved(sample(), {.llm_config = "local", .base_url = "https://me:SECRET-0008@host/v1", .api_key_env = {"A"}},
               {{"A", "SECRET-0009"}});
  EXPECT_EQ(settings.llm.base_url, "https://me:SECRET-0008@host/v1");
  EXPECT_EQ(origin(settings, "llm.base_url").value, "\"https://***@host/v1\"");
  EXPECT_EQ(origin(settings, "llm.api_key").value, "\"***\"");
  EXPECT_EQ(origin(settings, "llm.completion_kwargs").value,
            R"({"extra_headers": {"X-Auth-Token": "***"}, "top_logprobs": 2})");
  std::string all = dump_json(to_json(settings)) + join(describe(settings), "\n") + join(settings.warnings, "\n");
  EXPECT_THAT(all, Not(HasSubstr("SECRET")));
  EXPECT_THAT(all, HasSubstr("hosted_vllm/qwen"));
}

TEST(ResolveTest, LoadingHidesEverySecretFromTheLog) {
  const auto settings =
      load_settings({.config_file = sample_path(), .api_key_env = {"A"}}, {{"A", "SECRET-0010"}, {"HOME", "/root"}});
  ASSERT_TRUE(settings) << settings.error();
  EXPECT_EQ(hide_secrets("a tvly-SECRET-0002 b SECRET-0010 c"), "a *** b *** c");
  EXPECT_EQ(settings->config_file, sample_path());
}

TEST(ResolveTest, APlaceholderForAKeyDoesNotBlackenTheLog) {
  const testing::TestFolder folder;
  const auto path = folder.write("config.toml", "[llm]\nmodel = \"ollama/x\"\napi_key = \"ollama\"\n");
  const auto settings = load_settings({.config_file = path}, {});
  ASSERT_TRUE(settings) << settings.error();
  EXPECT_THAT(settings->llm.api_keys, ElementsAre("ollama"));
  EXPECT_EQ(hide_secrets("model ollama/x"), "model ollama/x");
}

TEST(ResolveTest, ToldIsEachSettingAndWhereItCameFrom) {
  const auto lines = describe(
      resolved(parsed("[llm]\nmodel = \"m\"\nseed = 7\n[core]\nmax_iterations = 9\n"), {}, {{"LLM_TOP_P", "0.9"}}));
  EXPECT_THAT(lines, ElementsAre("settings: config.toml, model section [llm]", "  llm.base_url = \"\" (default)",
                                 "  llm.model = \"m\" (config.toml:2 [llm])", "  llm.seed = 7 (config.toml:3 [llm])",
                                 "  llm.top_p = 0.9 (LLM_TOP_P)", "  llm.api_key = \"\" (default)",
                                 "  core.max_iterations = 9 (config.toml:5 [core])"));
}

}  // namespace
}  // namespace awm
