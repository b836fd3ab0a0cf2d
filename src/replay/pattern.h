// A regular expression (PCRE2 syntax, UTF-8) to look for in a prompt.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace awm {

class Pattern {
 public:
  // Errors: invalid_input with PCRE2's words and the offset.
  static Result<Pattern> compile(std::string_view expression);
  // Is it anywhere in the text? False as well when matching takes more than 10 million steps. Thread-safe.
  [[nodiscard]] bool found_in(std::string_view text) const;
  [[nodiscard]] const std::string& expression() const { return expression_; }

 private:
  Pattern() = default;
  std::string expression_;
  std::shared_ptr<const void> code_;
};

}  // namespace awm
