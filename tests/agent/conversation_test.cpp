#include "agent/conversation.h"

#include "base/text.h"
#include "support/support.h"

namespace awm {
namespace {

Message answer(const std::string& text) {
  return {.role = Role::assistant, .content = text};
}

TEST(ConversationTokens, AreAQuarterOfTheBytesUntilAServerCounts) {
  Conversation conversation("", std::string(4000, 'x'));
  const int64_t before = conversation.estimated_tokens();
  EXPECT_GE(before, 1000);
  EXPECT_LE(before, 1100);
  conversation.add(answer(std::string(400, 'y')));
  const int64_t after = conversation.estimated_tokens();
  EXPECT_GE(after, before + 100);
  EXPECT_LE(after, before + 200);
  // Calls count as texts do.
  Message call = answer("");
  call.tool_calls = {{"c1", "execute_bash", "{\"command\":\"" + std::string(400, 'z') + "\"}"}};
  conversation.add(call);
  EXPECT_GE(conversation.estimated_tokens(), after + 100);
}

TEST(ConversationTokens, AreTheServersCountAndWhatCameSince) {
  Conversation conversation("system", std::string(4000, 'x'));
  conversation.add(answer("short"));
  conversation.note_usage(700, 50);
  EXPECT_EQ(conversation.estimated_tokens(), 750);
  conversation.add({.role = Role::user, .content = std::string(400, 'y')});
  EXPECT_GE(conversation.estimated_tokens(), 850);
  EXPECT_LE(conversation.estimated_tokens(), 950);
  conversation.note_usage(840, 10);
  EXPECT_EQ(conversation.estimated_tokens(), 850);
}

TEST(ConversationTokens, AServerThatDoesNotCountChangesNothing) {
  Conversation conversation("system", std::string(4000, 'x'));
  const int64_t before = conversation.estimated_tokens();
  conversation.note_usage(0, 0);
  EXPECT_EQ(conversation.estimated_tokens(), before);
}

TEST(ConversationTokens, ShrinkWithTheConversation) {
  Conversation conversation("system", "task");
  for (int i = 0; i < 20; ++i) {
    conversation.add(answer("step " + std::to_string(i)));
    conversation.add({.role = Role::user, .content = std::string(4000, 'y')});
  }
  conversation.note_usage(10000, 0);
  const auto dropped = conversation.drop_middle();
  ASSERT_TRUE(dropped) << dropped.error();
  EXPECT_GT(dropped->messages, 0U);
  EXPECT_LT(conversation.estimated_tokens(), 7000);
  EXPECT_GT(conversation.estimated_tokens(), 3000);
}

}  // namespace
}  // namespace awm
