// The attached main process of a container as a ByteStream: its standard output told apart from its standard error.
//
// Framing: Docker Engine API, "Attach to a container", stream format: 8 bytes (kind, 0, 0, 0, length big-endian) before
// each piece of output; input goes raw.
#pragma once

#include <memory>

#include "docker/engine.h"
#include "sandbox/byte_stream.h"

namespace awm {

class EngineByteStream : public ByteStream {
 public:
  // The last bytes, at most 4 KiB, that came on standard error: why a main process could not go on. Any thread.
  [[nodiscard]] virtual std::string error_tail() const = 0;
};

std::unique_ptr<EngineByteStream> make_engine_stream(EngineStream attached);

}  // namespace awm
