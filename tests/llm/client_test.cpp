// An Llm against a real HTTP server: what is sent, what is read, what is tried again.
#include <gmock/gmock.h>

#include "llm/registry.h"
#include "os/log.h"
#include "os/thread.h"
#include "support.h"

namespace awm::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ClientTest : public LlmTest {};

TEST_F(ClientTest, AnswersWithTextUsageAndWhatTheServerSaid) {
  server_.then(json_response(chat_answer("hi there")));
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().error;
  EXPECT_EQ(answer->message.content, "hi there");
  EXPECT_EQ(answer->message.role, Role::assistant);
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_EQ(answer->id, "chatcmpl-1");
  EXPECT_EQ(answer->model, "served");
  EXPECT_TRUE(answer->usage.reported);
  EXPECT_EQ(answer->usage.prompt_tokens, 10);
  EXPECT_EQ(answer->usage.completion_tokens, 5);
  EXPECT_EQ(answer->attempts, 1);
  EXPECT_FALSE(answer->cost_known);
  EXPECT_EQ(answer->raw, chat_answer("hi there"));
}

}  // namespace
}  // namespace awm::test
