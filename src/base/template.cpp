#include "base/template.h"

namespace awm {

Result<std::string> render_template(std::string_view text, const PromptValues& values, std::string_view what) {
  const auto wrong = [&](std::string cause) {
    return fail(Errc::internal, "render prompt", std::string(what), std::move(cause));
  };
  std::string out;
  std::size_t from = 0;
  for (;;) {
    const std::size_t open = text.find("{{", from);
    const std::string_view plain = text.substr(from, open == std::string_view::npos ? open : open - from);
    if (plain.find("}}") != std::string_view::npos) return wrong("\"}}\" ends no mark");
    out += plain;
    if (open == std::string_view::npos) return out;
    const std::size_t close = text.find("}}", open);
    if (close == std::string_view::npos) return wrong("\"{{\" begins no mark");
    const std::string_view mark = text.substr(open + 2, close - open - 2);
    const auto value = values.find(mark);
    if (value == values.end()) return wrong("there is no value for {{" + std::string(mark) + "}}");
    out += value->second;
    from = close + 2;
  }
}

Result<std::string_view> find_prompt(std::span<const PromptFile> files, std::string_view name) {
  for (const PromptFile& file : files) {
    if (file.name != name) continue;
    std::string_view text = file.text;
    if (text.ends_with('\n')) text.remove_suffix(1);
    return text;
  }
  return fail(Errc::not_found, "find prompt", std::string(name), "the program has no such prompt");
}

}  // namespace awm
