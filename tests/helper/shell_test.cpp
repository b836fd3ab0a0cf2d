#include <gtest/gtest.h>

#include "client.h"

namespace awm::helper_test {
namespace {
TEST(Shell, KeepsDirectoryAndVariables) {
  Client client;
  client.open_shell();
  auto a = client.run("cd /tmp; X=5");
  EXPECT_EQ(a.folder, "/tmp");
  EXPECT_EQ(a.code, 0);
  a = client.run("echo $X; false");
  EXPECT_EQ(a.out.bytes, "5\n");
  EXPECT_EQ(a.code, 1);
  a = client.run("echo $?");
  EXPECT_EQ(a.out.bytes, "1\n");
}
}  // namespace
}  // namespace awm::helper_test
