#include "llm/llm.h"

namespace awm {

std::string_view to_string(LlmFailure kind) {
  switch (kind) {
    case LlmFailure::authentication:
      return "authentication";
    case LlmFailure::rate_limit:
      return "rate_limit";
    case LlmFailure::context_window:
      return "context_window";
    case LlmFailure::content_refused:
      return "content_refused";
    case LlmFailure::bad_request:
      return "bad_request";
    case LlmFailure::no_such_model:
      return "no_such_model";
    case LlmFailure::out_of_credit:
      return "out_of_credit";
    case LlmFailure::server:
      return "server";
    case LlmFailure::network:
      return "network";
    case LlmFailure::malformed:
      return "malformed";
    case LlmFailure::stopped:
      return "stopped";
  }
  return "server";
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::system:
      return "system";
    case Role::user:
      return "user";
    case Role::assistant:
      return "assistant";
    case Role::tool:
      return "tool";
  }
  return "user";
}

}  // namespace awm
