// Tests that leave something behind on purpose: main() must notice. Never run as a whole.
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/ledger.h"
#include "support/support.h"

namespace {

TEST(Leaves, Nothing) {
  const awm::testing::TestFolder folder;
  EXPECT_EQ(awm::testing::read_text(folder.write("a/b", "text")), "text");
  pthread_t thread{};
  ASSERT_EQ(pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr), 0);
  pthread_join(thread, nullptr);
}

TEST(Leaves, descriptor) {
  const awm::testing::TestFolder folder;
  EXPECT_GE(::open((folder / "leftovers-seed").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600), 0);
}

TEST(Leaves, thread) {
  pthread_t thread{};
  ASSERT_EQ(pthread_create(
                &thread, nullptr,
                [](void*) -> void* {
                  pthread_setname_np(pthread_self(), "seeded-thread");
                  for (;;) ::pause();
                },
                nullptr),
            0);
}

TEST(Leaves, child) {
  if (::fork() == 0) ::_exit(0);
}

TEST(Leaves, ledger) {
  static auto token = awm::Ledger::process().add(awm::ResourceKind::temp_folder, 0, "seeded-entry", awm::Scope("test"));
  EXPECT_TRUE(token.held());
}

}  // namespace
