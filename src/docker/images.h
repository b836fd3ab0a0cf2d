// Images by the Engine API: looked at, pulled with patience, imported, removed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "docker/engine.h"

namespace awm {

struct ImageInfo {
  std::string id;
  std::string architecture;  // "amd64"
  std::string os;            // "linux"
  std::string user;          // "" : root
  std::string folder;
  std::vector<std::string> environment;
  uint64_t size = 0;  // with layers that other images share
};

// An image that is there, and stays as long as somebody has the lease. A lease may be dropped on any thread.
struct HeldImage {
  ImageInfo info;
  std::shared_ptr<const void> lease;
};

struct ImageSummary {
  std::string id;
  std::vector<std::string> tags;
  uint64_t size = 0;
  int64_t created = 0;  // seconds since the epoch
};

// One step of an image's making; images that were built on one another begin with the same keys.
struct ImageLayer {
  std::string key;
  uint64_t size = 0;  // on disk
};

struct PullProgress {
  double part = 0;     // from 0 to 1, never falling within a try; an estimate as long as layers are not begun
  uint64_t bytes = 0;  // fetched, compressed as they came
};

struct PullRetries {
  int tries = 5;  // in all
  Seconds first_wait{2};
  Seconds longest_wait{64};
  Seconds longest_asked{600};  // a registry that asks for a longer wait is not waited for
};

struct PullOptions {
  std::string platform;       // "linux/amd64"; "" : the engine's own
  std::string registry_auth;  // of the header X-Registry-Auth (docker/credentials.h); "" : as nobody
  PullRetries retries;
  std::function<void(const PullProgress&)> progress;           // often; must return soon
  std::function<void(const Error&, Seconds wait)> will_retry;  // before each wait
};

// The registry of an image's name: "docker.io" where it names none, "ghcr.io", "127.0.0.1:5000".
std::string registry_of(const std::string& ref);

// Is an image of the platform ("linux/amd64"; "" : any)? One that says nothing of itself is.
bool is_of_platform(const ImageInfo& image, const std::string& platform);

// Errors of all: those of Engine::call. `ref` is an image's name, an id, or name@digest.
Result<std::optional<ImageInfo>> inspect_image(const Engine& engine, const std::string& ref, Deadline deadline);
// The image as it is there: nullopt where it is not. Errors also: unsupported (it is of another platform: it is
// somebody's, and a pull would take its name away).
Result<std::optional<ImageInfo>> find_image(const Engine& engine, const std::string& ref, const std::string& platform,
                                            Deadline deadline);
// The layers of one that is there, the oldest first.
Result<std::vector<ImageLayer>> image_layers(const Engine& engine, const std::string& ref, Deadline deadline);

// Held while an image is pulled, by one of this machine's processes and threads at a time: a lock on a file in awm's
// cache, one descriptor. Waits for it; `waiting` is called once if it has to.
Result<UniqueFd> lock_image(const Engine& engine, const Scope& scope, const std::string& ref, Deadline deadline,
                            const std::function<void()>& waiting = {});

// Pulls, whatever is there. Tried again with growing waits where that may help: the registry's 5xx, broken networks,
// half a layer, bytes of another digest, and 429 (no sooner than it asks, in the header or in its words).
// Errors, of the registry's answer, of the last try: not_found; permission (401, 403, denied); exhausted (rate limit;
// the engine's disk); unavailable (5xx, cannot be reached); lost (half a layer); protocol (another digest); unsupported
// (a format that the engine does not know). Then those of Engine::call.
Result<void> pull_image(const Engine& engine, const std::string& ref, const PullOptions& options, Deadline deadline);

// All images with a name that matches ("awm-test", "swebench/*"); "" : all.
Result<std::vector<ImageSummary>> list_images(const Engine& engine, const std::string& pattern, Deadline deadline);
// Makes an image of a root file system's tar, as `docker import` does; returns its id.
Result<std::string> import_image(const Engine& engine, const std::string& ref, Deadline deadline,
                                 const std::function<Result<std::string>()>& next);
// Takes the name away, and the image with it where it has no other; gone already is fine. Errors also: already_exists
// (a container, running or not, uses it).
Result<void> remove_image(const Engine& engine, const std::string& ref, Deadline deadline);

}  // namespace awm
