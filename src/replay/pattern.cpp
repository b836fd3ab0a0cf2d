#include "replay/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

namespace awm {
namespace {

const PCRE2_UCHAR8* code_units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR8>(text.empty() ? "" : text.data());
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view expression) {
  int number = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code_8* code = pcre2_compile_8(code_units(expression), expression.size(), PCRE2_UTF | PCRE2_MATCH_INVALID_UTF,
                                       &number, &offset, nullptr);
  if (code == nullptr) {
    std::array<PCRE2_UCHAR8, 256> words{};
    pcre2_get_error_message_8(number, words.data(), words.size());
    return fail(Errc::invalid_input, "compile", "regular expression '" + std::string(expression) + "'",
                std::string(reinterpret_cast<const char*>(words.data())) + " at offset " + std::to_string(offset));
  }
  Pattern pattern;
  pattern.expression_ = std::string(expression);
  pattern.code_ = std::shared_ptr<const void>(code, [code](const void*) { pcre2_code_free_8(code); });
  return pattern;
}

bool Pattern::found_in(std::string_view text) const {
  const auto* code = static_cast<const pcre2_code_8*>(code_.get());
  const std::unique_ptr<pcre2_match_data_8, void (*)(pcre2_match_data_8*)> data(pcre2_match_data_create_8(1, nullptr),
                                                                                pcre2_match_data_free_8);
  const std::unique_ptr<pcre2_match_context_8, void (*)(pcre2_match_context_8*)> context(
      pcre2_match_context_create_8(nullptr), pcre2_match_context_free_8);
  pcre2_set_match_limit_8(context.get(), 10'000'000);
  return pcre2_match_8(code, code_units(text), text.size(), 0, 0, data.get(), context.get()) >= 0;
}

}  // namespace awm
