#include "os/log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <string>

#include "os/thread.h"
#include "support/support.h"

namespace awm::test {
namespace {

TEST(Log, AStuckTerminalDoesNotHoldUpWhoHidesSecrets) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const int before = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  ASSERT_GE(before, 0);
  ASSERT_EQ(::dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
  const std::string line(300'000, 'x');  // more than the pipe takes
  auto writer = Thread::start(Scope("test/log"), "writer", [&] { log_error(line); });
  pollfd wait{.fd = ends[0], .events = POLLIN, .revents = 0};
  const bool writing = ::poll(&wait, 1, -1) == 1;

  // The writer cannot go on before something is read below.
  log_hide_secret("a-key-of-the-log-test");
  const std::string hidden = hide_secrets("Bearer a-key-of-the-log-test");
  const auto version = log_secrets_version();

  std::string written;
  std::array<char, 65536> buffer;
  while (writing && !written.ends_with('\n')) {
    const auto n = ::read(ends[0], buffer.data(), buffer.size());
    if (n <= 0) break;
    written.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::dup2(before, STDERR_FILENO);
  if (writer) writer->join();
  for (const int fd : {before, ends[0], ends[1]}) ::close(fd);
  ASSERT_TRUE(writer) << writer.error();
  EXPECT_TRUE(writing);
  EXPECT_EQ(hidden, "Bearer ***");
  EXPECT_GE(version, 1U);
  EXPECT_EQ(written, "error: " + line + "\n");
}

}  // namespace
}  // namespace awm::test
