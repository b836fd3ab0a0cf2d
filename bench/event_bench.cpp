// Events a second through a stream: written to its file, and had by three subscribers. The reference is OpenHands
// 0.62's EventStream with three subscribers: 5,500 events/s, 12 descriptors, 4 threads on two cores.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "event/stream.h"
#include "os/census.h"
#include "os/file.h"

namespace {

awm::Event action_event() {
  awm::RunAction run;
  run.command = "python -m pytest -x tests/test_models.py -k 'delete and not cascade' 2>&1 | tail -40";
  run.thought = "Let me run the tests that touch deletion to see what breaks.";
  return awm::Action(std::move(run));
}

awm::Event observation_event() {
  awm::RunObservation run;
  run.command = "python -m pytest -x tests/test_models.py -k 'delete and not cascade' 2>&1 | tail -40";
  run.metadata.exit_code = 1;
  run.metadata.working_dir = "/testbed";
  std::string content;
  for (int i = 0; i < 8; ++i) content += "tests/test_models.py::test_delete_" + std::to_string(i) + " PASSED\n";
  return awm::Observation(std::move(content), std::move(run));
}

template <class T>
T must(awm::Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::abort();
}
void must(const awm::Result<void>& result) {
  if (result) return;
  std::fprintf(stderr, "%s\n", result.error().message().c_str());
  std::abort();
}

// state.range(0): subscribers; state.range(1): threads' worth of events is one producer's in every case.
void persisted_and_delivered(benchmark::State& state) {
  const awm::Scope scope("bench");
  const auto folder = must(awm::TempFolder::create(scope, "awm-event-bench-"));
  const auto before = awm::take_census();
  auto stream = must(awm::EventStream::open(scope, folder.path() + "/events.jsonl"));
  const int subscribers = static_cast<int>(state.range(0));
  std::atomic<int64_t> delivered{0};
  for (int i = 0; i < subscribers; ++i) {
    must(stream->subscribe("subscriber" + std::to_string(i), "count", [&delivered](const awm::EventPtr& event) {
      delivered.fetch_add(awm::header(*event).id >= 0 ? 1 : 0, std::memory_order_relaxed);
    }));
  }
  const awm::Event action = action_event();
  const awm::Event observation = observation_event();
  int64_t added = 0;
  for (auto _ : state) {
    for (int i = 0; i < 5'000; ++i) {
      (void)must(stream->add_event(action, awm::EventSource::agent));
      (void)must(stream->add_event(observation, awm::EventSource::environment));
    }
    added += 10'000;
    must(stream->wait_delivered(awm::Deadline::in(awm::Seconds(60))));
  }
  if (delivered.load() != added * subscribers) std::abort();
  const auto now = awm::take_census();
  state.counters["events/s"] = benchmark::Counter(static_cast<double>(added), benchmark::Counter::kIsRate);
  state.counters["descriptors"] = static_cast<double>(now.descriptors.size() - before.descriptors.size());
  state.counters["threads"] = static_cast<double>(now.threads.size() - before.threads.size());
  must(stream->close());
}
BENCHMARK(persisted_and_delivered)->Arg(0)->Arg(1)->Arg(3)->UseRealTime()->Unit(benchmark::kMillisecond);

void serialise(benchmark::State& state) {
  const awm::Event event = observation_event();
  for (auto _ : state) benchmark::DoNotOptimize(awm::event_to_json(event));
}
BENCHMARK(serialise);

void parse(benchmark::State& state) {
  const std::string text = awm::event_to_json(observation_event());
  for (auto _ : state) benchmark::DoNotOptimize(awm::event_from_text(text));
}
BENCHMARK(parse);

}  // namespace

BENCHMARK_MAIN();
