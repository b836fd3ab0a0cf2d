#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "run/run.h"
#include "ui/table.h"

namespace awm {
namespace {

constexpr std::size_t max_table_rows = 60;
constexpr std::size_t curve_points = 10;

std::string cost_text(double cost, bool known) {
  if (!known && cost == 0) return "-";
  return fmt::format("${:.4f}", cost);
}

std::string verdict_word(SampleVerdict verdict) {
  switch (verdict) {
    case SampleVerdict::passed:
      return "PASS";
    case SampleVerdict::failed:
      return "FAIL";
    case SampleVerdict::error:
      return "ERROR";
    case SampleVerdict::skipped:
      return "patch";
    case SampleVerdict::interrupted:
      return "stopped";
  }
  return "?";
}

// The reasons under the names that reports of the field use.
std::string_view class_of(const SampleResult& result) {
  if (result.verdict == SampleVerdict::passed || result.verdict == SampleVerdict::skipped) return "";
  if (result.reason == "empty_patch") return "empty patch";
  if (result.reason == "patch_failed") return "patch failed";
  if (result.reason == "time_out") return "time-out";
  if (result.reason == "tests_failed") return "tests failed";
  return result.reason;
}

struct Sums {
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t errors = 0;
  std::size_t skipped = 0;
  std::size_t release_errors = 0;
  std::size_t with_workflows = 0;
  std::size_t passed_with_workflows = 0;
  double cost = 0;
  bool cost_known = false;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  std::map<std::string_view, std::size_t> classes;
};

Sums sums_of(const RunSummary& summary) {
  Sums sums;
  for (const auto& result : summary.results) {
    sums.passed += result.verdict == SampleVerdict::passed ? 1 : 0;
    sums.failed += result.verdict == SampleVerdict::failed ? 1 : 0;
    sums.skipped += result.verdict == SampleVerdict::skipped ? 1 : 0;
    sums.errors += result.verdict == SampleVerdict::error || result.verdict == SampleVerdict::interrupted ? 1 : 0;
    sums.release_errors += result.release_errors.size();
    if (result.workflows_shown > 0) {
      ++sums.with_workflows;
      sums.passed_with_workflows += result.verdict == SampleVerdict::passed ? 1 : 0;
    }
    sums.cost += result.cost;
    sums.cost_known = sums.cost_known || result.cost_known;
    sums.prompt_tokens += result.usage.prompt_tokens;
    sums.completion_tokens += result.usage.completion_tokens;
    if (const auto name = class_of(result); !name.empty()) ++sums.classes[name];
  }
  return sums;
}

std::string table_of(const RunSummary& summary, std::size_t columns) {
  Table table({"task", "verdict", "why", "workflows", "steps", "agent", "judge", "cost"});
  for (const auto& result : summary.results) {
    std::string why(class_of(result));
    if (!result.message.empty()) why += (why.empty() ? "" : ": ") + result.message;
    table.add({result.instance_id, verdict_word(result.verdict), why,
               result.workflows_shown > 0 ? std::to_string(result.workflows_shown) : "-",
               result.iterations > 0 ? std::to_string(result.iterations) : "-",
               result.agent_seconds > 0 ? human_seconds(result.agent_seconds) : "-",
               result.judge_seconds > 0 ? human_seconds(result.judge_seconds) : "-",
               cost_text(result.cost, result.cost_known)});
  }
  return table.text(columns);
}

// Success so far and workflows known, at some ten points of the run.
std::string curve_of(const RunSummary& summary) {
  const auto& results = summary.results;
  const bool learned = !summary.workflows_over_time.empty() && summary.workflows_over_time.back().second > 0;
  if (!learned || results.size() < 2) return {};
  Table table({"tasks done", "passed so far", "workflows known"});
  std::size_t passed = 0;
  std::size_t judged = 0;
  const std::size_t step = std::max<std::size_t>(1, results.size() / curve_points);
  for (std::size_t i = 0; i < results.size(); ++i) {
    passed += results[i].verdict == SampleVerdict::passed ? 1 : 0;
    judged += results[i].verdict == SampleVerdict::passed || results[i].verdict == SampleVerdict::failed ? 1 : 0;
    if ((i + 1) % step != 0 && i + 1 != results.size()) continue;
    std::size_t known = 0;
    for (const auto& [commits, count] : summary.workflows_over_time) {
      if (commits <= i + 1) known = count;
    }
    const double share = judged > 0 ? 100.0 * static_cast<double>(passed) / static_cast<double>(judged) : 0;
    table.add({std::to_string(i + 1), fmt::format("{:.1f} %", share), std::to_string(known)});
  }
  return table.text();
}

}  // namespace

std::string line_of(const SampleResult& result) {
  std::string text = verdict_word(result.verdict);
  if (result.verdict == SampleVerdict::skipped) text = "patch made";
  if (const auto name = class_of(result); !name.empty()) text += " (" + std::string(name) + ")";
  if (!result.message.empty()) text += " " + result.message;
  if (result.iterations > 0) {
    text += fmt::format("; {} steps, agent {}", result.iterations, human_seconds(result.agent_seconds));
  }
  if (result.judge_seconds > 0) text += fmt::format(", judge {}", human_seconds(result.judge_seconds));
  if (result.workflows_shown > 0) text += fmt::format(", {} workflows shown", result.workflows_shown);
  if (result.workflows_left_out > 0) text += fmt::format(", {} left out for want of room", result.workflows_left_out);
  if (result.cost_known) text += fmt::format(", ${:.4f}", result.cost);
  return text;
}

std::string summary_text(const RunSummary& summary, std::size_t columns) {
  const Sums sums = sums_of(summary);
  std::string text = "\n";
  if (summary.results.size() <= max_table_rows) text += table_of(summary, columns) + "\n";
  if (const auto curve = curve_of(summary); !curve.empty()) text += curve + "\n";

  const std::size_t done = sums.passed + sums.failed + sums.errors + sums.skipped;
  const std::size_t judged = sums.passed + sums.failed;
  text += fmt::format("{} of {} tasks done: {} passed, {} failed, {} errors", done, summary.tasks, sums.passed,
                      sums.failed, sums.errors);
  if (sums.skipped > 0) text += fmt::format(", {} patches not judged", sums.skipped);
  if (judged > 0) {
    const double share = 100.0 * static_cast<double>(sums.passed) / static_cast<double>(judged);
    text += fmt::format("; {:.1f} % of the judged passed", share);
  }
  text += "\n";
  if (!sums.classes.empty()) {
    text += "why:";
    std::string_view separator = " ";
    for (const auto& [name, count] : sums.classes) {
      text += fmt::format("{}{} {}", separator, count, name);
      separator = ", ";
    }
    text += "\n";
  }
  if (summary.workflows > 0 || summary.inductions > 0) {
    text += fmt::format("learned: {} workflows known after {} inductions", summary.workflows, summary.inductions);
    if (sums.with_workflows > 0) {
      text += fmt::format("; {} tasks saw some in their prompt, and {} of them passed", sums.with_workflows,
                          sums.passed_with_workflows);
    }
    text += "\n";
  }
  text += fmt::format("{} in all", human_seconds(summary.seconds));
  if (sums.prompt_tokens + sums.completion_tokens > 0) {
    text += fmt::format(", {} tokens in, {} out", sums.prompt_tokens, sums.completion_tokens);
  }
  if (sums.cost_known || sums.cost > 0) text += fmt::format(", ${:.4f} for the agent", sums.cost);
  if (summary.learning_calls > 0) {
    text += fmt::format(", {} calls (${:.4f}) for learning", summary.learning_calls, summary.learning_cost);
  }
  if (sums.release_errors > 0) text += fmt::format(", {} release errors (the verdicts stand)", sums.release_errors);
  text += summary.leaks > 0 ? fmt::format(", {} RESOURCES LEAKED (see the warnings above)", summary.leaks)
                            : ", nothing leaked";
  text += fmt::format("\nresults: {}\n", summary.output_dir);
  if (summary.gave_up) text += "stopped early: " + summary.gave_up->message() + "\n";
  if (!summary.journal_elsewhere.empty()) {
    const auto journal = join_path(summary.output_dir, "journal.jsonl");
    text += fmt::format("before going on, join what the journal did not take: cat {} >> {}\n",
                        shell_quote(summary.journal_elsewhere), shell_quote(journal));
  }
  if (summary.stopped || summary.gave_up || sums.errors > 0 || done < summary.tasks) {
    text += fmt::format("go on{}: awm run --resume-from {}{}\n", sums.errors > 0 ? ", trying the errors again" : "",
                        summary.output_dir, sums.errors > 0 ? " --retry-errors" : "");
  }
  return text;
}

int exit_code_of(const RunSummary& summary) {
  if (summary.stopped) return 130;
  if (summary.gave_up || !summary.journal_elsewhere.empty()) return 1;
  for (const auto& result : summary.results) {
    if (result.verdict == SampleVerdict::error || result.verdict == SampleVerdict::interrupted) return 3;
  }
  if (summary.strict_resources && summary.leaks > 0) return 4;
  return 0;
}

}  // namespace awm
