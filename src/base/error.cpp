#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace awm {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid_input:
      return "invalid_input";
    case Errc::not_found:
      return "not_found";
    case Errc::already_exists:
      return "already_exists";
    case Errc::permission:
      return "permission";
    case Errc::unavailable:
      return "unavailable";
    case Errc::exhausted:
      return "exhausted";
    case Errc::timed_out:
      return "timed_out";
    case Errc::stopped:
      return "stopped";
    case Errc::closed:
      return "closed";
    case Errc::io:
      return "io";
    case Errc::protocol:
      return "protocol";
    case Errc::lost:
      return "lost";
    case Errc::unsupported:
      return "unsupported";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

std::string Error::message() const {
  std::string text = operation;
  if (!object.empty()) {
    if (!text.empty()) text += ' ';
    text += object;
  }
  if (!cause.empty()) {
    if (!text.empty()) text += ": ";
    text += cause;
  }
  if (!remedy.empty()) {
    text += " (";
    text += remedy;
    text += ')';
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return text;
}

Error Error::within(std::string_view while_doing) && {
  cause = message();
  remedy.clear();
  operation = std::string(while_doing);
  object.clear();
  return std::move(*this);
}

Error os_error(std::string operation, std::string object, int os_errno, std::string remedy) {
  Errc code = Errc::io;
  switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
      code = Errc::not_found;
      break;
    case EEXIST:
    case ENOTEMPTY:
      code = Errc::already_exists;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Errc::permission;
      break;
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EAGAIN:
      code = Errc::exhausted;
      break;
    case ETIMEDOUT:
      code = Errc::timed_out;
      break;
    case ECONNREFUSED:
      code = Errc::unavailable;
      break;
    case EPIPE:
    case ECONNRESET:
      code = Errc::lost;
      break;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
      code = Errc::invalid_input;
      break;
    case ENOSYS:
    case EOPNOTSUPP:
      code = Errc::unsupported;
      break;
    default:
      break;
  }
  if (remedy.empty()) {
    if (os_errno == EMFILE) remedy = "raise the descriptor limit (ulimit -n) or lower --workers";
    if (os_errno == ENOSPC) remedy = "free disk space, or point --output-dir and TMPDIR elsewhere";
  }
  char buffer[256];
  return Error{.code = code,
               .operation = std::move(operation),
               .object = std::move(object),
               .cause = strerror_r(os_errno, buffer, sizeof buffer),
               .remedy = std::move(remedy),
               .os_errno = os_errno};
}

}  // namespace awm
