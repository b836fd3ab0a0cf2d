// A program that wants an image, beside others that want it too: image_holder NAME LINES_FILE. What it has to tell goes
// into the file, a line an event. Exit code 0: it had it.
#include <cstdio>

#include "run/images.h"

int main(int argc, char** argv) {
  using namespace awm;
  if (argc != 3) return 2;
  const Scope scope("holder");
  auto stop = Stop::create(scope);
  const auto address = engine_address_from_environment();
  if (!stop || !address) return 1;
  const auto engine = Engine::connect(scope, *address, Deadline::in(Seconds(20)), stop->get());
  if (!engine) return 1;
  std::FILE* const lines = std::fopen(argv[2], "we");
  if (lines == nullptr) return 1;
  Images images(**engine, **stop, scope, {.say = [lines](std::string_view line) {
    std::fprintf(lines, "%.*s\n", static_cast<int>(line.size()), line.data());
    std::fflush(lines);
  }});
  Cancel cancel;
  const auto held = images.hold(argv[1], "linux/amd64", cancel, Deadline::in(Seconds(120)));
  if (!held) std::fprintf(lines, "%s\n", held.error().message().c_str());
  std::fclose(lines);
  images.close();
  return held ? 0 : 1;
}
