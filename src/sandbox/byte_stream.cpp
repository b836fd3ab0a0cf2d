#include "sandbox/byte_stream.h"

#include <utility>

#include "os/sys.h"

namespace awm {
namespace {

class SocketStream final : public ByteStream {
 public:
  explicit SocketStream(UniqueFd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] int fd() const override { return socket_.get(); }
  Result<std::optional<std::size_t>> read_some(std::span<char> to) override {
    return sys::recv_some(socket_.get(), to.data(), to.size());
  }
  Result<std::optional<std::size_t>> write_some(std::string_view bytes) override {
    return sys::send_some(socket_.get(), bytes);
  }
  void shutdown() noexcept override {
    if (socket_) sys::shutdown(socket_.get());
  }

 private:
  UniqueFd socket_;
};

}  // namespace

std::unique_ptr<ByteStream> make_socket_stream(UniqueFd socket) {
  return std::make_unique<SocketStream>(std::move(socket));
}

}  // namespace awm
