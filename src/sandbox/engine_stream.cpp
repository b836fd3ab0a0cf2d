#include "sandbox/engine_stream.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "os/sys.h"

namespace awm {
namespace {

constexpr std::size_t header_size = 8;
constexpr std::size_t keep_errors = 4096;

class AttachedStream final : public EngineByteStream {
 public:
  explicit AttachedStream(EngineStream attached)
      : socket_(std::move(attached.socket)), raw_(std::move(attached.already_read)) {}

  [[nodiscard]] int fd() const override { return socket_.get(); }
  [[nodiscard]] bool has_buffered() const override {
    return left_ > 0 ? at_ < raw_.size() : raw_.size() - at_ >= header_size;
  }

  Result<std::optional<std::size_t>> read_some(std::span<char> to) override {
    for (;;) {
      if (left_ == 0 && raw_.size() - at_ >= header_size) {
        AWM_CHECK(read_header());
        continue;
      }
      if (left_ > 0 && at_ < raw_.size()) {
        const auto piece = std::min<std::size_t>({left_, raw_.size() - at_, is_output_ ? to.size() : SIZE_MAX});
        if (is_output_) {
          std::memcpy(to.data(), raw_.data() + at_, piece);
        } else {
          keep_error(std::string_view(raw_).substr(at_, piece));
        }
        at_ += piece;
        left_ -= piece;
        if (is_output_) return piece;
        continue;
      }
      // Within a piece of output, straight to where it is wanted.
      if (left_ > 0 && is_output_) {
        AWM_TRY(const auto got, sys::recv_some(socket_.get(), to.data(), std::min<std::size_t>(left_, to.size())));
        if (got) left_ -= *got;
        return got;
      }
      raw_.erase(0, at_);
      at_ = 0;
      std::array<char, std::size_t{64} << 10> piece;
      AWM_TRY(const auto got, sys::recv_some(socket_.get(), piece.data(), piece.size()));
      if (!got) return std::nullopt;
      if (*got == 0) return std::optional<std::size_t>(0);
      raw_.append(piece.data(), *got);
    }
  }

  Result<std::optional<std::size_t>> write_some(std::string_view bytes) override {
    return sys::send_some(socket_.get(), bytes);
  }
  void shutdown() noexcept override {
    if (socket_) sys::shutdown(socket_.get());
  }
  [[nodiscard]] std::string error_tail() const override {
    const std::lock_guard lock(mutex_);
    return errors_;
  }

 private:
  Result<void> read_header() {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(raw_[at_ + i]); };
    if (byte(0) > 2 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
      return fail(Errc::protocol, "read from", "the container", "the engine's stream has lost its framing");
    }
    is_output_ = byte(0) != 2;
    left_ = (std::size_t{byte(4)} << 24) | (std::size_t{byte(5)} << 16) | (std::size_t{byte(6)} << 8) | byte(7);
    at_ += header_size;
    return {};
  }

  void keep_error(std::string_view text) {
    const std::lock_guard lock(mutex_);
    errors_ += text;
    if (errors_.size() > keep_errors) errors_.erase(0, errors_.size() - keep_errors);
  }

  UniqueFd socket_;
  std::string raw_;  // as it came; the first at_ bytes are used
  std::size_t at_ = 0;
  std::size_t left_ = 0;  // of the piece whose header was read
  bool is_output_ = false;
  mutable std::mutex mutex_;
  std::string errors_;
};

}  // namespace

std::unique_ptr<EngineByteStream> make_engine_stream(EngineStream attached) {
  return std::make_unique<AttachedStream>(std::move(attached));
}

}  // namespace awm
