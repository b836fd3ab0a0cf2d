// One stream of bytes to a sandbox's helper, whatever carries it: a socket pair, an upgraded connection to an engine.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "os/unique_fd.h"

namespace awm {

// One reader and one writer at a time; shutdown() from any thread.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // For polling. Readable when read_some() has something to say.
  [[nodiscard]] virtual int fd() const = 0;
  // True when read_some() has bytes that no poll will announce.
  [[nodiscard]] virtual bool has_buffered() const { return false; }
  // What is there, without waiting: 0 is the end, nullopt nothing yet.
  virtual Result<std::optional<std::size_t>> read_some(std::span<char> to) = 0;
  // What fits, without waiting; nullopt nothing fits now.
  virtual Result<std::optional<std::size_t>> write_some(std::string_view bytes) = 0;
  // Ends both directions; a poll elsewhere wakes up.
  virtual void shutdown() noexcept = 0;
};

// Over a connected stream socket.
std::unique_ptr<ByteStream> make_socket_stream(UniqueFd socket);

}  // namespace awm
