#include "memory/induction.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "learning_support.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::block;
using ::testing::HasSubstr;
using testing::improve_answer;
using testing::memory_of;
using testing::new_answer;
using testing::pass;
using testing::workflow_text;
using Kind = MemoryChange::Kind;

const std::vector<Experience> one = {pass("textkit__textkit-7")};

std::string refusal(std::string_view answer, const WorkflowMemory& memory = *memory_of({"Known Way"}),
                    std::span<const Experience> shown = one) {
  const auto read = read_induction_answer(answer, memory, shown);
  return read ? "accepted" : read.error().reason;
}

std::string refusal_of(const WorkflowText& text) {
  return refusal(new_answer(text));
}

TEST(InductionAnswer, OfEachKindIsRead) {
  const auto memory = memory_of({"Known Way"});
  auto fresh = read_induction_answer(new_answer(workflow_text("Fresh Way")), *memory, one);
  ASSERT_TRUE(fresh) << fresh.error().reason;
  EXPECT_EQ(fresh->kind, Kind::added);
  EXPECT_EQ(fresh->target, "Fresh Way");
  EXPECT_EQ(fresh->text, workflow_text("Fresh Way"));
  EXPECT_EQ(fresh->sources, std::vector<std::string>{"textkit__textkit-7"});

  const auto confirmed = read_induction_answer("ACTION: REINFORCE\nTARGET: known way\n", *memory, one);
  ASSERT_TRUE(confirmed) << confirmed.error().reason;
  EXPECT_EQ(confirmed->kind, Kind::reinforced);
  EXPECT_EQ(confirmed->target, "Known Way");
  EXPECT_FALSE(confirmed->text);

  auto better = workflow_text("Known Way");
  better.steps.push_back({"Test", "The suite shows what else changed", "run {{test_command}}"});
  const auto improved = read_induction_answer(improve_answer(better), *memory, one);
  ASSERT_TRUE(improved) << improved.error().reason;
  EXPECT_EQ(improved->kind, Kind::improved);
  EXPECT_EQ(improved->text, better);
}

TEST(InductionAnswer, MayCarryMarksOfMarkdown) {
  auto answer = new_answer(workflow_text("Fresh Way"));
  answer = replace_all(answer, "ACTION: NEW", "**ACTION:** NEW");
  answer = replace_all(answer, "Description:", "**Description:**");
  const auto read = read_induction_answer("```\n" + answer + "```\n", *memory_of({}), one);
  ASSERT_TRUE(read) << read.error().reason;
  EXPECT_EQ(read->text, workflow_text("Fresh Way"));
}

TEST(InductionAnswer, MayListScenariosAndSpreadActionsOverLines) {
  const auto read = parse_induction_answer(
      "ACTION: NEW\n\n## Workflow: Fresh Way\nDescription: first\n  second\nApplicable scenarios:\n- one (a, b)\n- `x, "
      "y` fails\nSteps:\n"
      "1. [A] why a\n   Action: cat > {{script}} <<'EOF'\n     print(1)\n\n       print(2)\n     EOF\n"
      "2. [B]\n   why b\n   Action: b\n3. [C] why c\n   Action:\n     c\n");
  ASSERT_TRUE(read) << read.error().reason;
  EXPECT_EQ(read->text->description, "first second");
  EXPECT_EQ(read->text->scenarios, (std::vector<std::string>{"one (a, b)", "`x, y` fails"}));
  EXPECT_EQ(read->text->steps[0].action_template, "cat > {{script}} <<'EOF'\nprint(1)\n\n  print(2)\nEOF");
  EXPECT_EQ(read->text->steps[1].reasoning, "why b");
  EXPECT_EQ(read->text->steps[2].action_template, "c");
}

TEST(InductionAnswer, ThatIsNoneIsRefusedWithTheReason) {
  const auto good = new_answer(workflow_text("Fresh Way"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal(" \n\t\n"), HasSubstr("empty"));
  EXPECT_THAT(refusal(std::string(1 << 20, 'x')), HasSubstr("longer than 64 kB"));
  EXPECT_THAT(refusal(good + "\xFF"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal("I think this is a fine solution."), HasSubstr("no line \"ACTION: NEW\""));
  EXPECT_THAT(refusal("动作：新建\n目标：新\n\n## 工作流：先复现\n"), HasSubstr("no line \"ACTION: NEW\""));
  EXPECT_THAT(refusal("ACTION: DELETE\nTARGET: Known Way\n"), HasSubstr("must be NEW, REINFORCE or IMPROVE"));
  EXPECT_THAT(refusal("ACTION: NEW\n" + good), HasSubstr("two lines \"ACTION:\""));
  EXPECT_THAT(refusal("ACTION: REINFORCE\nTARGET: Known Way\n" + good), HasSubstr("two lines \"ACTION:\""));
  EXPECT_THAT(refusal(good + "\nACTION: REINFORCE\n"), HasSubstr("two lines \"ACTION:\""));
  EXPECT_THAT(refusal("ACTION: REINFORCE\nTARGET: Known Way\nTARGET: Other\n"), HasSubstr("two lines \"TARGET:\""));
  EXPECT_THAT(refusal(good + "\n" + block(workflow_text("Another Way"))), HasSubstr("two blocks"));
  EXPECT_THAT(refusal("ACTION: REINFORCE\n"), HasSubstr("no line \"TARGET:\""));
  EXPECT_THAT(refusal("ACTION: REINFORCE\nTARGET: Known Way\n\n" + block(workflow_text("Known Way"))),
              HasSubstr("REINFORCE takes no workflow"));
  EXPECT_THAT(refusal("ACTION: NEW\nTARGET: new\n"), HasSubstr("no block"));
  EXPECT_THAT(refusal(good + "\n\nI hope this helps!\n"), HasSubstr("more text"));
}

TEST(InductionAnswer, MustNameWhatIsThere) {
  EXPECT_THAT(refusal("ACTION: REINFORCE\nTARGET: Unknown Way\n"), HasSubstr("no workflow \"Unknown Way\""));
  EXPECT_THAT(refusal(improve_answer(workflow_text("Unknown Way"))), HasSubstr("no workflow \"Unknown Way\""));
  EXPECT_THAT(refusal(new_answer(workflow_text("KNOWN  way"))), HasSubstr("there is a workflow \"Known Way\" already"));
  EXPECT_THAT(refusal(new_answer(workflow_text("Known Way (Updated)"))), HasSubstr("already"));
  EXPECT_THAT(refusal("ACTION: NEW\nTARGET: Known Way\n\n" + block(workflow_text("Fresh Way"))),
              HasSubstr("for NEW the target is \"new\""));
}

TEST(InductionAnswer, EveryStepMustBeWhole) {
  auto text = workflow_text("Fresh Way");
  text.steps[1].reasoning = "";
  EXPECT_THAT(refusal_of(text), HasSubstr("step 2 does not say why"));
  text.steps[1].reasoning = "Reasoning";
  EXPECT_THAT(refusal_of(text), HasSubstr("step 2 does not say why"));
  text = workflow_text("Fresh Way");
  text.steps[2].step_type = "";
  EXPECT_THAT(refusal_of(text), HasSubstr("step 3 has no type"));
  text = workflow_text("Fresh Way");
  text.steps[0].action_template = "";
  EXPECT_THAT(refusal_of(text), HasSubstr("step 1 has an empty action"));
  EXPECT_THAT(refusal(replace_all(new_answer(workflow_text("Fresh Way")), "   Action: edit", "   Do: edit")),
              HasSubstr("step 3 has no line \"Action:\""));
  EXPECT_THAT(refusal(replace_all(new_answer(workflow_text("Fresh Way")), "3. [", "4. [")), HasSubstr("not numbered"));
  EXPECT_THAT(refusal(replace_all(new_answer(workflow_text("Fresh Way")), "Steps:\n", "")),
              HasSubstr("before the line \"Steps:\""));
}

TEST(InductionAnswer, MustKeepItsBounds) {
  auto text = workflow_text("Fresh Way");
  text.steps.pop_back();
  EXPECT_THAT(refusal_of(text), HasSubstr("fewer than three steps"));
  text = workflow_text("Fresh Way");
  while (text.steps.size() < 9) text.steps.push_back(text.steps.front());
  EXPECT_THAT(refusal_of(text), HasSubstr("more than eight steps"));
  text = workflow_text(std::string(150, 'n'));
  EXPECT_THAT(refusal_of(text), HasSubstr("name has more than 100"));
  text = workflow_text("Fresh Way");
  text.description = std::string(2000, 'd');
  EXPECT_THAT(refusal_of(text), HasSubstr("description has more than 1,000"));
  text.description = "";
  EXPECT_THAT(refusal_of(text), HasSubstr("no line \"Description:\""));
  text = workflow_text("Fresh Way");
  text.scenarios.clear();
  EXPECT_THAT(refusal_of(text), HasSubstr("no line \"Applicable scenarios:\""));
  for (int i = 0; i < 9; ++i) text.scenarios.push_back("scenario " + std::to_string(i));
  EXPECT_THAT(refusal_of(text), HasSubstr("more than eight scenarios"));
  text.scenarios = {"the same", "The  same"};
  EXPECT_THAT(refusal_of(text), HasSubstr("twice"));
  text = workflow_text("Fresh Way");
  text.steps[0].action_template = std::string(2000, 'a');
  EXPECT_THAT(refusal_of(text), HasSubstr("action of step 1 has more than 1,500"));
  text.steps[0].action_template = "write {{script";
  EXPECT_THAT(refusal_of(text), HasSubstr("placeholder that is not closed"));
  text.steps[0].action_template = "write {{ }}";
  EXPECT_THAT(refusal_of(text), HasSubstr("placeholder that is not closed or empty"));
  text.steps[0].action_template = "write \x1b[2J";
  EXPECT_THAT(refusal_of(text), HasSubstr("control characters"));
}

TEST(InductionAnswer, NamesThatArePathsOrNoWordsAreRefused) {
  for (const auto* name : {"/etc/passwd", "../../escape", "~/workflow", "django/db/models/fix", "C:\\temp\\x",
                           "a..b fix", "fix.py", "src/x.c repair", "-rf everything"}) {
    EXPECT_THAT(refusal_of(workflow_text(name)), HasSubstr("looks like a path")) << name;
  }
  EXPECT_THAT(refusal_of(workflow_text("42")), HasSubstr("not made of words"));
  EXPECT_THAT(refusal_of(workflow_text("Fix {{thing}} Here")), HasSubstr("placeholder"));
  EXPECT_THAT(refusal_of(workflow_text("[Name]")), HasSubstr("marks"));
  for (const auto* name : {"Retry I/O After Errors", "Bin-Op Symmetry Fix for Q / Expression",
                           "Add Missing __radd__ Methods (e.g. Lazy)", "Größe prüfen"}) {
    EXPECT_EQ(refusal_of(workflow_text(name)), "accepted") << name;
  }
}

TEST(InductionAnswer, ConcretePathsAndTasksAreRefused) {
  const auto with_action = [](const std::string& action) {
    auto text = workflow_text("Fresh Way");
    text.steps[1].action_template = action;
    return refusal_of(text);
  };
  for (const auto* action :
       {"edit django/db/models/query.py", "open /testbed/src", "see /workspace/django__django__3.1/README.rst",
        "run ./tests/runtests.py", "look in src/core/base"}) {
    EXPECT_THAT(with_action(action), HasSubstr("step 2 names a path")) << action;
  }
  EXPECT_THAT(with_action("edit slugs.py"), HasSubstr("names a file of this one task, \"slugs.py\""));
  EXPECT_THAT(with_action("as in textkit__textkit-7"), HasSubstr("names the task textkit__textkit-7"));
  EXPECT_THAT(with_action("as in django__django-12286"), HasSubstr("names a task, \"django__django-12286\""));
  for (const auto* action :
       {"edit {{target_file}}", "edit {{package}}/models/{{module}}.py", "write /tmp/{{script}} and run it",
        "run {{command}} >/dev/null 2>&1", "decide yes/no and/or stop", "add __init__ and pk__in lookups",
        "read https://example.org/docs/page.html", "run python -m pytest {{test_module}}", "divide a/b", "x // y"}) {
    EXPECT_EQ(with_action(action), "accepted") << action;
  }
  auto text = workflow_text("Fresh Way");
  text.description += " See /workspace/project/file.";
  EXPECT_THAT(refusal_of(text), HasSubstr("description or scenarios name a path"));
}

TEST(InductionAnswer, ThatImprovesMustServeWhatItServed) {
  const auto improve = [](const std::function<void(WorkflowText&)>& change) {
    auto text = workflow_text("Known Way");
    change(text);
    return refusal(improve_answer(text));
  };
  EXPECT_THAT(improve([](auto&) {}), HasSubstr("nothing is improved"));
  EXPECT_THAT(improve([](auto& t) {
                t.scenarios.pop_back();
                t.steps[0].reasoning += "!";
              }),
              HasSubstr("drops what the workflow was for: \"text normalisation differs"));
  EXPECT_THAT(improve([](auto& t) { t.description = "Counts words."; }), HasSubstr("drops what the workflow was for"));
  EXPECT_THAT(improve([](auto& t) {
                t.scenarios.emplace_back("sqlmigrate transaction wrapping");
                t.scenarios.emplace_back("proxy querysets crash");
              }),
              HasSubstr("mixes problems"));
  EXPECT_THAT(improve([](auto& t) {
                t.description += " More.";
                t.steps = {{"Alpha", "because nothing", "walk"},
                           {"Beta", "because never", "swim"},
                           {"Gamma", "because always", "jump"}};
              }),
              HasSubstr("steps hardly anything is left"));
  EXPECT_EQ(improve([](auto& t) { t.scenarios.emplace_back("letters of other alphabets are lost"); }), "accepted");
  EXPECT_EQ(improve([](auto& t) { t.scenarios[0] = "accented or combined letters are lost"; }), "accepted");
  EXPECT_EQ(improve([](auto& t) {
              t.steps[0].action_template = "write {{script}} that calls {{function}} and prints the result";
            }),
            "accepted");
  // Another name is another workflow.
  auto renamed = workflow_text("Known Way");
  renamed.description += " More.";
  renamed.name = "Better Way";
  EXPECT_THAT(refusal("ACTION: IMPROVE\nTARGET: Known Way\n\n" + block(renamed)), HasSubstr("keeps its name"));
}

TEST(InductionAnswer, InAnotherScriptIsRefusedWhereTheTaskIsNot) {
  WorkflowText text{"先复现再修复 Way", "函数对带重音的字母处理不当，先规范化输入。", {"重音字母丢失"}, {}};
  for (int i = 0; i < 3; ++i) text.steps.push_back({"步骤", "这样可以看到变化", "运行 {{script}} 并查看结果"});
  EXPECT_THAT(refusal_of(text), HasSubstr("not written in English"));
  auto chinese = pass("textkit__textkit-8");
  chinese.problem_statement = "函数对带重音的字母处理不当";
  const std::vector<Experience> shown = {chinese};
  EXPECT_EQ(refusal(new_answer(text), *memory_of({}), shown), "accepted");
}

TEST(InductionAnswer, OfSeveralTasksNamesItsSources) {
  const std::vector<Experience> shown = {pass("a__a-1"), pass("b__b-2"), pass("c__c-3")};
  const auto memory = memory_of({"Known Way"});
  EXPECT_THAT(refusal("ACTION: REINFORCE\nTARGET: Known Way\n", *memory, shown), HasSubstr("no line \"SOURCES:\""));
  EXPECT_THAT(refusal("ACTION: REINFORCE\nTARGET: Known Way\nSOURCES: a__a-1, z__z-9\n", *memory, shown),
              HasSubstr("\"z__z-9\", which is none"));
  const auto read =
      read_induction_answer("ACTION: REINFORCE\nTARGET: Known Way\nSOURCES: c__c-3, a__a-1, c__c-3\n", *memory, shown);
  ASSERT_TRUE(read) << read.error().reason;
  EXPECT_EQ(read->sources, (std::vector<std::string>{"c__c-3", "a__a-1"}));
}

// Whatever a model says, there is an answer to it, and what is accepted keeps the rules.
TEST(InductionAnswer, ThatIsMutilatedNeverBreaksTheReader) {
  const std::string good = improve_answer(workflow_text("Known Way"));
  const auto memory = memory_of({"Known Way"});
  uint64_t state = 1;
  const auto random = [&state](std::size_t n) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::size_t>((state >> 33) % n);
  };
  const std::vector<std::string> bits = {"\n",
                                         "ACTION: NEW\n",
                                         "## Workflow: ",
                                         "Steps:\n",
                                         "1. [",
                                         "]",
                                         "Action:",
                                         "{{",
                                         "}}",
                                         "\xFF",
                                         "\xE4\xB8",
                                         "```\n",
                                         "---\n",
                                         "**",
                                         ":",
                                         std::string(3000, '('),
                                         "4. [X] y\n   Action: z\n"};
  for (int round = 0; round < 3000; ++round) {
    auto text = random(2) == 0 ? good : new_answer(workflow_text("Fresh Way"));
    for (std::size_t n = 1 + random(4); n > 0; --n) {
      const auto at = random(text.size() + 1);
      switch (random(3)) {
        case 0:
          text.insert(at, bits[random(bits.size())]);
          break;
        case 1:
          text.erase(at, random(60));
          break;
        default:
          text.resize(at);
          break;
      }
      if (text.empty()) text = "x";
    }
    const auto read = read_induction_answer(text, *memory, one);
    if (!read) {
      EXPECT_FALSE(read.error().reason.empty());
      EXPECT_TRUE(is_valid_utf8(read.error().reason));
      EXPECT_LT(read.error().reason.size(), 1000U);
      continue;
    }
    EXPECT_TRUE(apply(*memory, *read, 50));
    if (read->text) {
      EXPECT_GE(read->text->steps.size(), 3U);
      EXPECT_LE(read->text->steps.size(), 8U);
      for (const auto& step : read->text->steps) {
        EXPECT_FALSE(step.step_type.empty() || step.reasoning.empty() || step.action_template.empty()) << text;
      }
    }
  }
}

}  // namespace
}  // namespace awm
