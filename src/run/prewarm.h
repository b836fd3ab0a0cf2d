// Sandboxes made ready ahead of their samples, so that no worker waits for one: begun while the sample before is
// judged.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/deadline.h"
#include "os/thread.h"
#include "sandbox/sandbox.h"

namespace awm {

// Thread-safe. Each sandbox in the making has a thread; at most `most` are in the making or waiting.
class Prewarmer {
 public:
  // `make` makes the sandbox of a position, not connected. `connect_limit`: for one to be ready.
  using Make = std::function<Result<std::unique_ptr<Sandbox>>(std::size_t position)>;
  Prewarmer(const Scope& scope, Make make, Seconds connect_limit, std::size_t most);
  ~Prewarmer() { close(); }

  // Begins to make the position's sandbox ready, unless that is done already or there are enough.
  void prepare(std::size_t position);

  // The position's sandbox, connected: waits while it is in the making. Null when none was prepared, or it could not be
  // made ready: then it is closed, and the caller's own try tells why.
  std::unique_ptr<Sandbox> take(std::size_t position);

  // The position has begun and asks for no more: what was prepared for it is given back, and nothing is prepared later.
  // What is still in the making (an image that is being pulled) is broken off.
  void forget(std::size_t position);

  // Closes what nobody took, what is still in the making too. Idempotent. Returns what could not be given back.
  ReleaseReport close() noexcept;

 private:
  struct Item {
    Thread thread;
    std::unique_ptr<Sandbox> sandbox;  // set once, under the lock, before it is connected
    bool given_up = false;             // under the lock: not to be connected any more
    bool ready = false;                // read when the thread has been joined
  };
  void work(Item& item, std::size_t position) noexcept;
  std::unique_ptr<Item> begin(std::size_t position);
  ReleaseReport give_up(Item& item) noexcept;

  const Scope scope_;
  const Make make_;
  const Seconds connect_limit_;
  const std::size_t most_;
  std::mutex mutex_;
  std::map<std::size_t, std::unique_ptr<Item>> items_;
  std::size_t begun_ = 0;  // positions below have begun: they begin in order
  bool closed_ = false;
};

}  // namespace awm
