#include "replay/stream.h"

#include <string_view>

namespace awm {
namespace {

std::vector<std::string> pieces(std::string_view text, std::size_t size) {
  std::vector<std::string> out;
  while (!text.empty()) {
    std::size_t n = std::min(size, text.size());
    // Not into the middle of a character: before it, or behind it where it is the first.
    const auto inside = [&](std::size_t at) {
      return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    };
    while (n > 0 && inside(n)) --n;
    if (n == 0) {
      for (n = 1; inside(n);) ++n;
    }
    out.emplace_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out;
}

}  // namespace

std::vector<std::string> completion_events(const Json& completion, bool usage, std::size_t piece) {
  std::vector<std::string> events;
  Json head = Json::object();
  for (const auto* key : {"id", "created", "model", "system_fingerprint"}) {
    if (const Json* value = find_member(completion, key)) head[key] = *value;
  }
  head["object"] = "chat.completion.chunk";
  const auto send = [&](Json choices, const Json* with_usage) {
    Json chunk = head;
    chunk["choices"] = std::move(choices);
    if (with_usage != nullptr) chunk["usage"] = *with_usage;
    events.push_back("data: " + dump_json(chunk) + "\n\n");
  };
  if (const Json* choices = find_member(completion, "choices"); choices != nullptr && choices->is_array()) {
    for (const auto& choice : *choices) {
      const int64_t index = get_int(choice, "index").value_or(0);
      const auto delta = [&](Json what, const Json& finish = nullptr) {
        send(Json::array({Json::object({{"index", index}, {"delta", std::move(what)}, {"finish_reason", finish}})}),
             nullptr);
      };
      const Json* message = find_member(choice, "message");
      if (message == nullptr) continue;
      delta(Json::object({{"role", "assistant"}, {"content", ""}}));
      for (const auto* key : {"reasoning_content", "content"}) {
        for (auto& part : pieces(string_or(*message, key, ""), piece)) delta(Json::object({{key, std::move(part)}}));
      }
      if (const Json* calls = find_member(*message, "tool_calls"); calls != nullptr && calls->is_array()) {
        for (std::size_t i = 0; i < calls->size(); ++i) {
          const Json& call = (*calls)[i];
          const Json* function = find_member(call, "function");
          Json first = Json::object({{"index", i}});
          if (const Json* id = find_member(call, "id")) first["id"] = *id;
          first["type"] = "function";
          first["function"] =
              Json::object({{"name", function == nullptr ? "" : string_or(*function, "name", "")}, {"arguments", ""}});
          delta(Json::object({{"tool_calls", Json::array({std::move(first)})}}));
          for (auto& part : pieces(function == nullptr ? "" : string_or(*function, "arguments", ""), piece)) {
            delta(Json::object(
                {{"tool_calls", Json::array({Json::object(
                                    {{"index", i}, {"function", Json::object({{"arguments", std::move(part)}})}})})}}));
          }
        }
      }
      const Json* finish = find_member(choice, "finish_reason");
      delta(Json::object(), finish == nullptr ? Json(nullptr) : *finish);
    }
  }
  if (const Json* counted = find_member(completion, "usage"); usage && counted != nullptr) {
    send(Json::array(), counted);
  }
  events.emplace_back("data: [DONE]\n\n");
  return events;
}

}  // namespace awm
