#include <gtest/gtest.h>

#include "base/template.h"
#include "memory/prompts_data.h"

namespace awm {
namespace {

// Every prompt renders with the values its caller has: a mark without a value, or a stray brace, is seen here.
TEST(MemoryPrompts, RenderWithTheirValues) {
  const PromptValues all = {
      {"problem", "P"},     {"first", "1"},  {"last", "9"},        {"total", "9"},
      {"steps", "S"},       {"format", "F"}, {"sources_rule", ""}, {"workflows", "{{not a mark}}"},
      {"experiences", "E"}, {"reason", "R"}, {"left_out", ""}};
  for (const auto& file : memory_prompt_files()) {
    ASSERT_TRUE(find_prompt(memory_prompt_files(), file.name));
    // Shown to the model as it is, with the marks that it shall write.
    if (file.name == "induction_format") continue;
    const auto rendered = render_template(file.text, all, file.name);
    EXPECT_TRUE(rendered) << file.name << ": " << rendered.error().message();
  }
  EXPECT_FALSE(find_prompt(memory_prompt_files(), "nothing"));
}

}  // namespace
}  // namespace awm
