// A proxy that spoils the connections through it, by a seed: for a server of TCP or of a unix socket.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "os/thread.h"
#include "os/unique_fd.h"

namespace awm::testing {

// What is done to a connection. Those up to `split` change no byte and end nothing.
enum class Chaos : uint8_t { none, delay, split, truncate, reset, stall, duplicate, corrupt };
inline constexpr std::array chaos_names{"none", "delay", "split", "truncate", "reset", "stall", "duplicate", "corrupt"};

struct ChaosPlan {
  uint64_t seed = 0;
  std::vector<Chaos> kinds;  // one of them is done to a connection that is spoilt
  unsigned one_in = 3;       // connections of which one is spoilt
  uint64_t at_most = 16384;  // it happens to a byte before this one, the first ones more often
};

// Where a server listens, or the proxy: a port of 127.0.0.1, or a unix socket where `path` is not empty.
struct ChaosPlace {
  int port = 0;
  std::string path;
};

class ChaosProxy {
 public:
  // Listens at once; at `own_path` where the server is at a path.
  ChaosProxy(ChaosPlan plan, ChaosPlace server, const std::string& own_path = {});
  ChaosProxy(const ChaosProxy&) = delete;
  ChaosProxy& operator=(const ChaosProxy&) = delete;
  ~ChaosProxy();  // ends all connections

  [[nodiscard]] int port() const { return port_; }
  // From now on connections are left alone; those that stall are ended.
  void calm();
  // Connections in all; those to which `kind` was done.
  [[nodiscard]] std::size_t connections() const { return connections_.load(); }
  [[nodiscard]] std::size_t done(Chaos kind) const { return done_.at(static_cast<std::size_t>(kind)).load(); }

 private:
  struct Pair;
  void work();
  void wake();
  void accept();
  void forward(Pair& pair, int direction);
  void flush(Pair& pair, int direction);
  void happen(Pair& pair);

  ChaosPlan plan_;
  ChaosPlace server_;
  int port_ = 0;
  std::string own_path_;
  UniqueFd listener_;
  UniqueFd wake_;
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::atomic<bool> calm_{false};
  std::atomic<bool> ends_{false};
  std::atomic<std::size_t> connections_{0};
  std::array<std::atomic<std::size_t>, chaos_names.size()> done_{};
  Thread thread_;  // last: it uses the rest
};

// What was done in all runs of a test. Thread-safe.
class ChaosTally {
 public:
  // Adds what this proxy did; true when it did anything.
  bool add(const ChaosProxy& proxy);
  void print() const;

 private:
  mutable std::mutex mutex_;
  std::size_t connections_ = 0;
  std::array<std::size_t, chaos_names.size()> done_{};
};

struct ChaosPoint {
  ChaosPlan plan;
  [[nodiscard]] std::string text() const;
};
// `plan` with each seed from 1 to `seeds`.
std::vector<ChaosPoint> chaos_points(ChaosPlan plan, uint64_t seeds);

}  // namespace awm::testing
