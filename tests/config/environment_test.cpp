#include "base/json.h"
#include "config/config_support.h"

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ConfigEnvironmentTest, EveryKeyOfTheModelHasAVariable) {
  const auto settings = resolved(ConfigFile(), {},
                                 {{"LLM_MODEL", "m"},
                                  {"LLM_BASE_URL", "http://127.0.0.1:1/v1"},
                                  {"LLM_API_KEY", "k-1234"},
                                  {"LLM_NUM_RETRIES", "2"},
                                  {"LLM_TEMPERATURE", "0.75"},
                                  {"LLM_NATIVE_TOOL_CALLING", "false"},
                                  {"LLM_COMPLETION_KWARGS", "{'stop': ['x']}"}});
  EXPECT_EQ(settings.llm.model, "m");
  EXPECT_EQ(settings.llm.base_url, "http://127.0.0.1:1/v1");
  EXPECT_THAT(settings.llm.api_keys, ElementsAre("k-1234"));
  EXPECT_EQ(settings.llm.num_retries, 2);
  EXPECT_EQ(settings.llm.temperature, 0.75);
  EXPECT_EQ(origin(settings, "llm.completion_kwargs").where, "LLM_COMPLETION_KWARGS");
  EXPECT_THAT(settings.warnings, IsEmpty());
}

TEST(ConfigEnvironmentTest, AnEmptyVariableSaysNothing) {
  const auto settings = resolved(sample(), {}, {{"LLM_MODEL", ""}, {"LLM_API_KEY", ""}});
  EXPECT_EQ(settings.llm.model, "openai/gpt-4o");
  EXPECT_THAT(settings.llm.api_keys, ElementsAre("sk-SECRET-0003"));
}

TEST(ConfigEnvironmentTest, AWrongValueNamesItsVariable) {
  EXPECT_EQ(refused(ConfigFile(), {}, {{"LLM_NUM_RETRIES", "many"}}),
            "read environment variable LLM_NUM_RETRIES: expected an integer (correct it, or unset it)");
  EXPECT_EQ(refused(ConfigFile(), {}, {{"MAX_ITERATIONS", "0"}}),
            "read environment variable MAX_ITERATIONS: must be 1 or more (correct it, or unset it)");
  EXPECT_EQ(refused(ConfigFile(), {}, {{"SANDBOX_RUNTIME_STARTUP_ENV_VARS", "A=b"}}),
            "read environment variable SANDBOX_RUNTIME_STARTUP_ENV_VARS: expected a table of strings (correct it, or "
            "unset it)");
}

TEST(ConfigEnvironmentTest, AWordThatIsNeitherTrueNorFalseIsFalseAndTold) {
  EXPECT_THAT(resolved(ConfigFile(), {}, {{"LLM_CACHING_PROMPT", "yes"}}).warnings,
              ElementsAre("environment variable LLM_CACHING_PROMPT: only true and 1 mean true: it is read as false"));
}

TEST(ConfigEnvironmentTest, AMistypedVariableIsTold) {
  EXPECT_THAT(resolved(ConfigFile(), {}, {{"LLM_MODLE", "x"}, {"LLM_HOME_OF_SOMETHING_ELSE", "y"}}).warnings,
              ElementsAre("environment variable LLM_MODLE is not used; did you mean LLM_MODEL?"));
}

TEST(ConfigEnvironmentTest, VariablesOfARunGoBeforeTheFile) {
  const auto settings = resolved(sample(), {},
                                 {
                                     {"MAX_ITERATIONS", "7"},
                                     {"MAX_BUDGET_PER_TASK", "1"},
                                     {"DEFAULT_AGENT", "BashAgent"},
                                     {"SANDBOX_TIMEOUT", "45"},
                                     {"SANDBOX_RUNTIME_STARTUP_ENV_VARS", "{'A': 'b'}"},
                                 });
  EXPECT_EQ(settings.run.max_iterations, 7);
  EXPECT_EQ(settings.run.max_budget_per_task, 1);
  EXPECT_EQ(settings.run.agent_class, "BashAgent");
  EXPECT_EQ(settings.run.command_timeout, 45);
  EXPECT_THAT(settings.sandbox.environment, ElementsAre("A=b", "PYTHONPATH=/testbed", "CI=true"));
}

TEST(ConfigEnvironmentTest, TheProcesssOwnIsRead) {
  const auto environment = process_environment();
  EXPECT_TRUE(environment.contains("PATH"));
}

}  // namespace
}  // namespace awm
