#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "run/run.h"
#include "ui/table.h"

namespace awm {
namespace {

std::string cost_text(double cost, bool known) {
  if (!known && cost == 0) return "-";
  return fmt::format("${:.4f}", cost);
}

std::string verdict_word(const SampleResult& result) {
  switch (result.verdict) {
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

}  // namespace

std::string summary_text(const RunSummary& summary, std::size_t columns) {
  std::size_t passed = 0;
  std::size_t failed = 0;
  std::size_t errors = 0;
  std::size_t skipped = 0;
  std::size_t release_errors = 0;
  double cost = 0;
  bool cost_known = false;
  std::map<std::string, std::size_t> reasons;
  Table table({"task", "verdict", "why", "steps", "agent", "judge", "cost"});
  for (const auto& result : summary.results) {
    std::string why = result.reason;
    if (result.verdict == SampleVerdict::passed || result.verdict == SampleVerdict::failed) {
      if (!result.message.empty()) why = why.empty() ? result.message : why + ": " + result.message;
    } else if (!result.message.empty()) {
      why += ": " + result.message;
    }
    table.add({result.instance_id, verdict_word(result), why,
               result.iterations > 0 ? std::to_string(result.iterations) : "-",
               result.agent_seconds > 0 ? human_seconds(result.agent_seconds) : "-",
               result.judge_seconds > 0 ? human_seconds(result.judge_seconds) : "-",
               cost_text(result.cost, result.cost_known)});
    passed += result.verdict == SampleVerdict::passed ? 1 : 0;
    failed += result.verdict == SampleVerdict::failed ? 1 : 0;
    skipped += result.verdict == SampleVerdict::skipped ? 1 : 0;
    errors += result.verdict == SampleVerdict::error || result.verdict == SampleVerdict::interrupted ? 1 : 0;
    release_errors += result.release_errors.size();
    cost += result.cost;
    cost_known = cost_known || result.cost_known;
    if (!result.reason.empty()) ++reasons[result.reason];
  }
  std::string text = "\n";
  if (summary.results.size() <= 60) text += table.text(columns) + "\n";
  const auto judged = passed + failed;
  text += fmt::format("{} of {} tasks done: {} passed, {} failed, {} errors", passed + failed + errors + skipped,
                      summary.tasks, passed, failed, errors);
  if (skipped > 0) text += fmt::format(", {} patches not judged", skipped);
  if (judged > 0)
    text += fmt::format("; {:.1f} % of the judged passed",
                        100.0 * static_cast<double>(passed) / static_cast<double>(judged));
  text += "\n";
  if (!reasons.empty()) {
    text += "why:";
    std::string separator = " ";
    for (const auto& [reason, count] : reasons) {
      text += fmt::format("{}{} {}", separator, count, reason);
      separator = ", ";
    }
    text += "\n";
  }
  text += fmt::format("{} in all", human_seconds(summary.seconds));
  if (cost_known || cost > 0) text += fmt::format(", ${:.4f}", cost);
  if (release_errors > 0) text += fmt::format(", {} release errors (the verdicts stand)", release_errors);
  text += summary.leaks > 0 ? fmt::format(", {} RESOURCES LEAKED (see the warnings above)", summary.leaks)
                            : ", nothing leaked";
  text += fmt::format("\nresults: {}\n", summary.output_dir);
  if (summary.gave_up) text += "stopped early: " + summary.gave_up->message() + "\n";
  if (summary.stopped || summary.gave_up || passed + failed + skipped < summary.tasks) {
    if (errors > 0) {
      text +=
          fmt::format("go on, trying the errors again: awm run --resume-from {} --retry-errors\n", summary.output_dir);
    } else {
      text += fmt::format("go on: awm run --resume-from {}\n", summary.output_dir);
    }
  }
  return text;
}

int exit_code_of(const RunSummary& summary) {
  if (summary.stopped) return 130;
  if (summary.gave_up) return 1;
  for (const auto& result : summary.results) {
    if (result.verdict == SampleVerdict::error || result.verdict == SampleVerdict::interrupted) return 3;
  }
  return 0;
}

}  // namespace awm
