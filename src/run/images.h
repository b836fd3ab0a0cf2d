// The images of a run: there already, or pulled once however many wait; the next ones fetched ahead; and those that
// this run brought and needs least removed where the disk's budget asks for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/ledger.h"
#include "base/result.h"
#include "docker/images.h"
#include "os/cancel.h"
#include "os/stop.h"

namespace awm {

struct ImagesSettings {
  // Bytes on disk that images pulled here may take; layers that they share count once. What is in use may take more.
  uint64_t budget = UINT64_MAX;
  bool keep = false;  // none is removed, whatever the budget
  std::size_t ahead =
      2;  // so many different images that come next are fetched before they are asked for; one at a time
  PullRetries retries;
  // The value of X-Registry-Auth for a name; empty function, or "": as nobody.
  std::function<Result<std::string>(const std::string& name, Cancel& cancel)> login;
  std::function<void(std::string_view line)> say;  // an event; any thread
  // What is being pulled now, a line each; "" : nothing. Any thread.
  std::function<void(std::string_view text)> status;
};

// Thread-safe. A thread a pull, each with at most two descriptors.
class Images {
 public:
  // `engine` and `stop` outlive it, and all leases.
  Images(const Engine& engine, const Stop& stop, const Scope& scope, ImagesSettings settings);
  ~Images() { close(); }
  Images(const Images&) = delete;
  Images& operator=(const Images&) = delete;

  // What will be needed, a name a position, in the order in which they begin ("" : nothing). Once, before all else.
  void expect(std::vector<std::string> names, const std::string& platform);
  // A position begins: from here to its end its image is in use, also between two sandboxes. At its end images may have
  // to be removed, which takes its time.
  void begun(std::size_t position);
  void finished(std::size_t position);

  // The image, pulled where it is not there; it stays until the lease is dropped. One that is there is used as it is.
  // A pull goes on as long as somebody waits for it: `cancel` and `deadline` end this wait alone. Errors: those of
  // find_image and pull_image; closed (cancelled, or all is closed), stopped, timed_out.
  Result<HeldImage> hold(const std::string& name, const std::string& platform, Cancel& cancel, Deadline deadline);

  // Bytes on disk of the images that this run pulled and that are there still.
  [[nodiscard]] uint64_t used() const;

  // Ends every pull and joins every thread; leases stay good. Idempotent.
  void close() noexcept;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace awm
