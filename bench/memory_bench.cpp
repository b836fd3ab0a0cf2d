// Tokens, prompt sections, and learning done again on resume.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "memory/learn.h"
#include "memory/prompt_section.h"
#include "memory/tokens.h"
#include "os/file.h"

namespace awm {
namespace {

// Text as prompts have it: this project's own sources and pages.
const std::string& ordinary_text() {
  static const std::string text = [] {
    std::string all;
    for (const auto* name : {"src/memory/induction.cpp", "src/memory/tokens.cpp", "src/memory/learn.cpp",
                             "docs/memory.md", "docs/cli.md", "docs/replay.md"}) {
      all += read_file(std::string(AWM_SOURCE_DIR) + "/" + name).value_or("");
    }
    return all;
  }();
  return text;
}

void tokens_ordinary(benchmark::State& state) {
  const auto& text = ordinary_text();
  for (auto _ : state) benchmark::DoNotOptimize(count_tokens(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(tokens_ordinary);

void tokens_one_letter(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range(0)), 'a');
  for (auto _ : state) benchmark::DoNotOptimize(count_tokens(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(tokens_one_letter)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

WorkflowText workflow(int number) {
  WorkflowText text{.name = "Way " + std::to_string(number), .description = std::string(300, 'd')};
  for (int i = 0; i < 5; ++i) {
    text.scenarios.push_back("a kind of problem, number " + std::to_string(i));
    text.steps.push_back(
        {"Step", "why this step is done, in some words that fill a line of usual length",
         "do {{something}} with {{target_file}} and look at {{what_comes}} before the next step is done"});
  }
  return text;
}

MemoryChange added(int number) {
  return {.kind = MemoryChange::Kind::added,
          .target = "Way " + std::to_string(number),
          .text = workflow(number),
          .sources = {"owner__repository-" + std::to_string(number)},
          .model = "m",
          .date = "2026-01-01T00:00:00"};
}

std::shared_ptr<const WorkflowMemory> fifty() {
  auto memory = WorkflowMemory::empty();
  for (int i = 0; i < 50; ++i) memory = apply(*memory, added(i), 50).value().memory;
  return memory;
}

void section_of_fifty(benchmark::State& state) {
  const auto memory = fifty();
  const std::string base(4000, 'b');
  for (auto _ : state) benchmark::DoNotOptimize(workflow_section(*memory, 50'000, base));
}
BENCHMARK(section_of_fifty)->Unit(benchmark::kMicrosecond);

// One record with a new workflow, at a memory that is full: what a resume does for each induction.
void replay_of_one_induction(benchmark::State& state) {
  auto memory = fifty();
  int number = 1000;
  for (auto _ : state) {
    state.PauseTiming();
    const auto change = added(++number);
    const auto after = apply(*memory, change, 50).value().memory;
    const Json record{{"changes", Json::array({to_json(change)})}, {"hash", after->hash()}};
    state.ResumeTiming();
    memory = replay_learning(*memory, record, 50).value();
  }
}
BENCHMARK(replay_of_one_induction)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace awm

BENCHMARK_MAIN();
