#include "memory/induce.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/json.h"
#include "memory/views.h"
#include "os/file.h"

namespace awm {
namespace {

struct RunFiles {
  std::string results;
  std::string journal;  // "" none
};

Result<RunFiles> files_of(const std::string& run) {
  RunFiles files;
  if (!is_folder(run)) {
    if (!exists(run)) return fail(Errc::not_found, "read the run", run, "there is no such folder or file");
    files.results = run;
    return files;
  }
  files.results = join_path(run, "results.jsonl");
  if (!exists(files.results)) {
    return fail(Errc::not_found, "read the run", run, "it holds no results.jsonl", "name the output folder of a run");
  }
  if (const auto journal = join_path(run, "journal.jsonl"); exists(journal)) files.journal = journal;
  return files;
}

// The last verdict of each sample that has one, as our journal says. Lines that are none are passed over: the run's own
// resume is where they are told.
Result<std::map<std::string, std::string>> verdicts_of(const Scope& scope, const std::string& journal) {
  std::map<std::string, std::string> verdicts;
  AWM_TRY(auto reader, LineReader::open(scope, journal));
  for (;;) {
    AWM_TRY(const auto line, reader.next());
    if (!line) return verdicts;
    const auto record = parse_json(*line, journal);
    if (!record || string_or(*record, "type", "") != "verdict") continue;
    const auto verdict = get_string(*record, "verdict");
    if (verdict) verdicts[string_or(*record, "instance_id", "")] = *verdict;
  }
}

}  // namespace

Result<InduceReport> induce(const Scope& scope, const std::vector<std::string>& runs,
                            std::shared_ptr<const WorkflowMemory> start, Llm& llm, const InduceSettings& settings,
                            const std::function<std::string()>& now) {
  InduceReport report;
  report.memory = std::move(start);
  std::set<std::string> learned;
  std::vector<Experience> waiting;
  const auto learn_now = [&] {
    if (waiting.empty() || report.gave_up) return;
    auto outcome = learn(report.memory, waiting, llm, settings.learn, now());
    report.cost += outcome.cost;
    report.memory = std::move(outcome.memory);
    if (settings.save) {
      for (const auto& exchange : outcome.exchanges) settings.save(exchange);
    }
    if (settings.say) {
      for (const auto& note : outcome.notes) settings.say(note);
    }
    if (outcome.gave_up) {
      report.gave_up = std::move(outcome.gave_up);
      return;
    }
    report.passes += static_cast<int64_t>(waiting.size());
    report.refused += static_cast<int64_t>(outcome.taught_nothing.size());
    if (settings.step) settings.step(*report.memory, outcome.journal_record);
    waiting.clear();
  };
  // All runs are looked for before the model is asked anything.
  std::vector<RunFiles> all;
  for (const auto& run : runs) {
    AWM_TRY(all.emplace_back(), files_of(run));
  }
  for (const auto& files : all) {
    std::map<std::string, std::string> verdicts;
    if (!files.journal.empty()) {
      AWM_TRY(verdicts, verdicts_of(scope, files.journal));
    }
    AWM_TRY(const auto read, read_results(scope, files.results, [&](Experience experience) {
              ++report.samples;
              if (experience.test_result != "PASS") return true;
              if (!files.journal.empty()) {
                const auto it = verdicts.find(experience.instance_id);
                if (it == verdicts.end() || it->second != "passed") {
                  report.left_out.push_back(files.results + ": " + experience.instance_id +
                                            " passed, and the journal knows nothing of it");
                  return true;
                }
              }
              if (!learned.insert(experience.instance_id).second) return true;
              waiting.push_back(std::move(experience));
              if (waiting.size() >= std::max<std::size_t>(settings.trigger, 1)) learn_now();
              return !report.gave_up;
            }));
    report.left_out.insert(report.left_out.end(), read.left_out.begin(), read.left_out.end());
    if (report.gave_up) break;
  }
  learn_now();
  if (learned.empty()) {
    return fail(Errc::invalid_input, "learn from", runs.empty() ? "no run" : runs.front(), "no sample passed in it");
  }
  return report;
}

}  // namespace awm
