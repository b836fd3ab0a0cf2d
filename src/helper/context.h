// What the server's parts share: what commands are started with, and the way back to the client.
#pragma once

#include <cstdint>
#include <string>

#include "child.h"
#include "privileges.h"
#include "processes.h"
#include "util.h"
#include "wire.h"

namespace awm::helper {

// Text and rules for starting commands; replaced by setup.
struct Setup {
  Environment environment;  // the helper's own, and what setup added
  Fd prelude;               // sealed memory file; none: no prelude
  Fd bash_entry;            // sealed memory file that BASH_ENV names: sources the prelude, then wipes its own traces
};

class Outbox {
 public:
  template <class Message>
  void send(wire::Type type, uint32_t id, const Message& message) {
    if (!wire::append_message(bytes_, type, id, message)) {
      fail(id, EMSGSIZE, "frame", "", "the answer is longer than a frame may be");
    }
  }
  void send_empty(wire::Type type, uint32_t id) { wire::append_frame(bytes_, type, id); }
  void send_data(uint32_t id, wire::Stream stream, std::string_view bytes) {
    wire::append_frame(bytes_, wire::Type::data, id, bytes, static_cast<uint16_t>(stream));
  }
  void fail(uint32_t id, int number, std::string operation, std::string object, std::string text) {
    if (text.size() > 4096) text.resize(4096);
    if (object.size() > 8192) object.resize(8192);
    const wire::Failure failure{number, std::move(operation), std::move(object), std::move(text)};
    if (!wire::append_message(bytes_, wire::Type::error, id, failure)) wire::append_frame(bytes_, wire::Type::ok, id);
  }
  void fail(uint32_t id, const wire::Failure& failure) {
    fail(id, failure.number, failure.operation, failure.object, failure.text);
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size() - sent_; }
  // Writes what the descriptor takes now. False: nobody is there any more.
  [[nodiscard]] bool flush(int fd);

 private:
  std::string bytes_;
  std::size_t sent_ = 0;
};

// Counts what the kernel killed for memory in this sandbox's cgroup, where it can be read from inside.
class OomCounter {
 public:
  void open();
  [[nodiscard]] uint64_t read() const;  // 0: unknown

 private:
  Fd file_;
};

struct Context {
  Options options;
  ChildRules rules;
  Setup setup;
  Outbox outbox;
  OomCounter oom;
  std::string bash;  // paths; empty: missing
  std::string sh;
  uint64_t last_mark = kFirstMark;
  uint64_t new_mark() { return ++last_mark; }
};

}  // namespace awm::helper
