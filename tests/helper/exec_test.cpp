#include <gtest/gtest.h>

#include "client.h"

namespace awm::helper_test {
namespace {

using wire::End;

TEST(Exec, GivesOutputAndExitCode) {
  Client client;
  const auto result = client.bash("echo out; echo err >&2; exit 3");
  EXPECT_EQ(result.end, End::exited);
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out.bytes, "out\nerr\n");
}

}  // namespace
}  // namespace awm::helper_test
