// Streams with three subscribers, one after another, none of them closed by its user: what is held after each hundred,
// until one cannot be made or 1,000 are done. bench/peers/streams_openhands.py does the same with OpenHands.
//   streams_bench [STREAMS]
#include <cstdio>
#include <cstdlib>

#include "event/stream.h"
#include "must.h"
#include "os/census.h"
#include "os/file.h"

int main(int argc, char** argv) {
  using namespace awm;
  const int streams = argc > 1 ? std::atoi(argv[1]) : 1000;
  const Scope scope("bench");
  const auto folder = must(TempFolder::create(scope, "awm-streams-bench-"));
  for (int i = 1; i <= streams; ++i) {
    auto opened = EventStream::open(scope, folder.path() + "/" + std::to_string(i) + ".jsonl");
    if (!opened) {
      std::printf("awm: the stream number %d could not be made: %s\n", i, opened.error().message().c_str());
      return 1;
    }
    const auto stream = *std::move(opened);
    for (const auto* who : {"agent_controller", "runtime", "main"})
      must(stream->subscribe(who, "callback", [](const EventPtr&) {}));
    for (int event = 0; event < 10; ++event) {
      RunAction run;
      run.command = "ls -la";
      (void)must(stream->add_event(Action(std::move(run)), EventSource::agent));
    }
    must(stream->wait_delivered(Deadline::in(Seconds(60))));
    if (i == 1 || i % 100 == 0) {
      const auto now = take_census();
      std::printf("awm, with stream %d still there: %zu descriptors, %zu threads\n", i, now.descriptors.size(),
                  now.threads.size());
    }
  }
  std::printf("awm: %d streams, no failure\n", streams);
  return 0;
}
