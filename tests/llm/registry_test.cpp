#include "llm/registry.h"

#include <gmock/gmock.h>

#include "os/thread.h"
#include "support.h"

namespace awm::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RegistryTest : public LlmTest {
 protected:
  Result<Llm*> get(const std::string& service, const LlmConfig& config) {
    return registry_.get_or_make(service, config, [this](const LlmConfig& wanted) {
      ++made_;
      return make_llm(wanted, *http_, *stop_, scope_.child("llm"));
    });
  }
  LlmRegistry registry_;
  std::atomic<int> made_ = 0;
};

TEST_F(RegistryTest, OneLlmAService) {
  const auto first = get("agent", config_);
  ASSERT_TRUE(first) << first.error();
  const auto again = get("agent", config_);
  ASSERT_TRUE(again);
  EXPECT_EQ(*first, *again);
  EXPECT_EQ(made_, 1);
  const auto other = get("condenser", config_);
  ASSERT_TRUE(other);
  EXPECT_NE(*other, *first);
  EXPECT_THAT(registry_.services(), ElementsAre("agent", "condenser"));
  EXPECT_EQ(registry_.find("agent"), *first);
  EXPECT_EQ(registry_.find("nobody"), nullptr);
}

TEST_F(RegistryTest, AddGivesTheOneThatIsThere) {
  const auto first = registry_.add("agent", config_, llm());
  ASSERT_TRUE(first);
  const auto again = registry_.add("agent", config_, llm());
  ASSERT_TRUE(again);
  EXPECT_EQ(*first, *again);
  // The one that came too late is gone, with its session.
  EXPECT_EQ(http_->counters().sessions, 1U);
  EXPECT_EQ(registry_.add("x", config_, nullptr).error().code, Errc::invalid_input);
}

TEST_F(RegistryTest, AnotherConfigurationOfTheSameServiceIsRefused) {
  ASSERT_TRUE(get("agent", config_));
  LlmConfig other = config_;
  other.temperature = 0.7;
  const auto refused = get("agent", other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::already_exists);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("register model service \"agent\": it has another configuration already"));
  EXPECT_EQ(made_, 1);
  // What is for messages alone makes no difference.
  other = config_;
  other.name = "llm.same";
  other.shared = make_llm_shared();
  EXPECT_TRUE(get("agent", other));
}

TEST_F(RegistryTest, EverySettingThatIsSentTellsConfigurationsApart) {
  const std::vector<std::function<void(LlmConfig&)>> changes{[](LlmConfig& c) { c.model = "m"; },
                                                             [](LlmConfig& c) { c.api_keys = {"k"}; },
                                                             [](LlmConfig& c) { c.base_url = "u"; },
                                                             [](LlmConfig& c) { c.temperature.reset(); },
                                                             [](LlmConfig& c) { c.top_p = 0.1; },
                                                             [](LlmConfig& c) { c.seed = 1; },
                                                             [](LlmConfig& c) { c.completion_kwargs = "{}"; },
                                                             [](LlmConfig& c) { c.num_retries = 9; },
                                                             [](LlmConfig& c) { c.timeout = 9; },
                                                             [](LlmConfig& c) { c.stream = true; },
                                                             [](LlmConfig& c) { c.max_output_tokens = 9; },
                                                             [](LlmConfig& c) { c.input_cost_per_token = 1; },
                                                             [](LlmConfig& c) { c.drop_params = false; },
                                                             [](LlmConfig& c) { c.reasoning_effort = "x"; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    LlmConfig other = config_;
    changes[i](other);
    EXPECT_FALSE(same_service(config_, other)) << i;
  }
  EXPECT_TRUE(same_service(config_, LlmConfig(config_)));
}

TEST_F(RegistryTest, AFailedMakeLeavesNothing) {
  LlmConfig nowhere{.model = "nobody-serves-this"};
  EXPECT_EQ(get("agent", nowhere).error().code, Errc::invalid_input);
  EXPECT_THAT(registry_.services(), ElementsAre());
  EXPECT_TRUE(get("agent", config_));
}

TEST_F(RegistryTest, ASubscriberIsToldOfTheActiveOneAtOnceAndOfEachThatComes) {
  std::vector<std::string> told;
  const auto subscriber = [&](const LlmRegistry::Notice& notice) {
    EXPECT_EQ(notice.llm, registry_.find(notice.service));
    told.push_back(notice.service);
  };
  registry_.subscribe(subscriber);
  EXPECT_THAT(told, ElementsAre());  // none is active yet
  ASSERT_TRUE(get("agent", config_));
  EXPECT_THAT(told, ElementsAre("agent"));
  ASSERT_TRUE(get("agent", config_));  // no news
  ASSERT_TRUE(get("condenser", config_));
  EXPECT_THAT(told, ElementsAre("agent", "condenser"));
  EXPECT_EQ(registry_.active(), registry_.find("agent"));

  told.clear();
  registry_.subscribe(subscriber);
  EXPECT_THAT(told, ElementsAre("agent"));
  ASSERT_TRUE(registry_.set_active("condenser"));
  EXPECT_THAT(told, ElementsAre("agent", "condenser"));
  EXPECT_EQ(registry_.active(), registry_.find("condenser"));
  EXPECT_EQ(registry_.set_active("nobody").error().code, Errc::not_found);
}

TEST_F(RegistryTest, ASubscriberThatThrowsHarmsNobody) {
  registry_.subscribe([](const LlmRegistry::Notice&) { throw std::runtime_error("no"); });
  EXPECT_TRUE(get("agent", config_));
  EXPECT_NE(registry_.active(), nullptr);
}

TEST_F(RegistryTest, ASubscriberMayAskTheRegistry) {
  registry_.subscribe([&](const LlmRegistry::Notice& notice) {
    if (notice.service == "agent") {
      EXPECT_TRUE(get("condenser", config_));
    }
  });
  EXPECT_TRUE(get("agent", config_));
  EXPECT_THAT(registry_.services(), ElementsAre("agent", "condenser"));
}

TEST_F(RegistryTest, CloseClosesAll) {
  server_.then(json_response(chat_answer("ok")));
  Llm* const agent = *get("agent", config_);
  Llm* const condenser = *get("condenser", config_);
  ASSERT_TRUE(ask(*agent, {{.content = "x"}}));
  ASSERT_TRUE(ask(*condenser, {{.content = "x"}}));
  EXPECT_EQ(registry_.totals().calls, 2);
  EXPECT_EQ(registry_.totals().usage.prompt_tokens, 20);
  registry_.close();
  registry_.close();
  EXPECT_EQ(ask(*agent, {{.content = "x"}}).error().error.code, Errc::closed);
  EXPECT_EQ(ask(*condenser, {{.content = "x"}}).error().error.code, Errc::closed);
  EXPECT_EQ(get("late", config_).error().code, Errc::closed);
  EXPECT_EQ(http_->counters().sessions, 0U);
  EXPECT_EQ(registry_.totals().calls, 2);  // what was spent is still told
}

TEST_F(RegistryTest, ACallBesideTheAgentsHasAServiceOfItsOwn) {
  server_.then(json_response(chat_answer("Hello!")));
  ASSERT_TRUE(get("agent", config_));
  const auto beside = get("title", config_);
  ASSERT_TRUE(beside);
  const auto answer = (*beside)->complete(
      {.messages = std::vector<Message>{{.role = Role::user, .content = "name it"}}, .tools = {}, .purpose = "title"});
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "Hello!");
  EXPECT_EQ(server_.body().at("messages").size(), 1U);
  EXPECT_EQ(registry_.active(), registry_.find("agent")) << "the agent's stays the active one";
  EXPECT_EQ(registry_.active()->totals().calls, 0);
  EXPECT_EQ(registry_.totals().calls, 1);
  ASSERT_TRUE(get("title", config_));
  EXPECT_EQ(made_, 2);
}

TEST_F(RegistryTest, ASubscriberTakesThePlaceOfTheLast) {
  int first = 0;
  int second = 0;
  registry_.subscribe([&](const LlmRegistry::Notice&) { ++first; });
  ASSERT_TRUE(get("agent", config_));
  registry_.subscribe([&](const LlmRegistry::Notice&) { ++second; });
  ASSERT_TRUE(get("condenser", config_));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
  registry_.close();
  registry_.subscribe([&](const LlmRegistry::Notice&) { ++second; });
  EXPECT_EQ(second, 2) << "a closed one tells nobody";
}

TEST_F(RegistryTest, RegistriesShareNothing) {
  ASSERT_TRUE(get("agent", config_));
  LlmRegistry other;
  EXPECT_EQ(other.find("agent"), nullptr);
  EXPECT_EQ(other.active(), nullptr);
  other.close();
  EXPECT_NE(registry_.active(), nullptr);
  EXPECT_TRUE(get("condenser", config_));
}

TEST_F(RegistryTest, ManyThreadsGetTheSameOne) {
  std::vector<Thread> threads;
  std::array<Llm*, 8> got{};
  for (std::size_t i = 0; i < got.size(); ++i) {
    auto thread = Thread::start(scope_, "asker", [&, i] { got[i] = get("agent", config_).value_or(nullptr); });
    ASSERT_TRUE(thread);
    threads.push_back(std::move(*thread));
  }
  for (auto& thread : threads) thread.join();
  for (const auto* one : got) EXPECT_EQ(one, registry_.active());
  EXPECT_EQ(http_->counters().sessions, 1U);
}

}  // namespace
}  // namespace awm::test
