#include "os/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace awm {

UniqueFd::UniqueFd(int fd, const Scope& scope, std::string_view name, std::source_location birth) : fd_(fd) {
  if (fd >= 0) token_ = Ledger::process().add(ResourceKind::descriptor, fd, std::string(name), scope, birth);
}

UniqueFd::UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)), token_(std::move(other.token_)) {}

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    token_ = std::move(other.token_);
  }
  return *this;
}

void UniqueFd::reset() noexcept {
  if (fd_ < 0) return;
  // Off the book first: once closed, the number may be somebody else's at once.
  const int fd = std::exchange(fd_, -1);
  token_.release();
#ifdef AWM_DEBUG
  if (::fcntl(fd, F_GETFD) < 0) {
    std::fprintf(stderr, "awm: descriptor %d was closed behind its owner's back\n", fd);
    std::abort();
  }
#endif
  ::close(fd);
}

}  // namespace awm
