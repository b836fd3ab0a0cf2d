// A plain HTTP/1.1 client for tests: shows what came over the wire, also when it is not HTTP.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "os/sys.h"
#include "os/unique_fd.h"

namespace awm::test {

struct RawAnswer {
  bool any_byte = false;  // false: the connection ended without one
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // chunks joined
  int chunks = 0;
  bool complete = false;  // the announced length or the last chunk was reached
  bool reset = false;     // ended by a TCP reset
};

// One connection, kept alive between requests. Waits 20 s at most for anything.
class RawClient {
 public:
  explicit RawClient(int port) : port_(port) {}

  RawAnswer request(std::string_view method, std::string_view path, std::string_view body = {},
                    const std::map<std::string, std::string>& headers = {}) {
    if (!fd_ && !connect()) return {};
    std::string head = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
    if (!body.empty() || method == "POST") head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    if (!send(head + "\r\n") || !send(body)) return {};
    return receive();
  }
  RawAnswer get(std::string_view path) { return request("GET", path); }
  RawAnswer post(std::string_view path, std::string_view body, const std::map<std::string, std::string>& headers = {}) {
    return request("POST", path, body, headers);
  }

  bool connect() {
    auto fd = sys::connect_loopback(Scope("test/client"), port_);
    if (!fd) return false;
    fd_ = std::move(*fd);
    buffer_.clear();
    return true;
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = sys::send_some(fd_.get(), bytes);
      if (!sent) return false;
      if (*sent) {
        bytes.remove_prefix(**sent);
      } else {
        std::array<sys::PollFd, 1> set{sys::PollFd{.fd = fd_.get(), .want_write = true}};
        if (!sys::poll(set, Deadline::in(Seconds{20}))) return false;
      }
    }
    return true;
  }
  void hang_up() { fd_.reset(); }
  [[nodiscard]] bool connected() const { return static_cast<bool>(fd_); }

  RawAnswer receive() {
    RawAnswer answer;
    reset_seen_ = false;
    std::size_t head_end = std::string::npos;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return finish(std::move(answer), !buffer_.empty());
    }
    const std::string head = buffer_.substr(0, head_end);
    buffer_.erase(0, head_end + 4);
    answer.any_byte = true;
    answer.status = std::stoi(head.substr(9, 3));
    std::size_t at = head.find("\r\n");
    while (at != std::string::npos) {
      const std::size_t start = at + 2;
      at = head.find("\r\n", start);
      const std::string line = head.substr(start, at == std::string::npos ? std::string::npos : at - start);
      const std::size_t colon = line.find(": ");
      std::string name = line.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      answer.headers[name] = line.substr(colon + 2);
    }
    if (answer.headers.contains("transfer-encoding")) return receive_chunks(std::move(answer));
    const std::size_t length =
        answer.headers.contains("content-length") ? std::stoul(answer.headers.at("content-length")) : 0;
    while (buffer_.size() < length) {
      if (!more()) {
        answer.body = buffer_;
        return finish(std::move(answer), true);
      }
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    answer.complete = true;
    return answer;
  }

 private:
  RawAnswer receive_chunks(RawAnswer answer) {
    for (;;) {
      std::size_t line_end = std::string::npos;
      while ((line_end = buffer_.find("\r\n")) == std::string::npos) {
        if (!more()) return finish(std::move(answer), true);
      }
      const std::size_t size = std::stoul(buffer_.substr(0, line_end), nullptr, 16);
      while (buffer_.size() < line_end + 2 + size + 2) {
        if (!more()) {
          answer.body += buffer_.substr(line_end + 2);
          return finish(std::move(answer), true);
        }
      }
      answer.body += buffer_.substr(line_end + 2, size);
      buffer_.erase(0, line_end + 2 + size + 2);
      if (size == 0) {
        answer.complete = true;
        return answer;
      }
      ++answer.chunks;
    }
  }
  RawAnswer finish(RawAnswer answer, bool any_byte) {
    answer.any_byte = any_byte;
    answer.reset = reset_seen_;
    fd_.reset();
    return answer;
  }
  bool more() {
    std::array<sys::PollFd, 1> set{sys::PollFd{.fd = fd_.get(), .want_read = true}};
    const auto ready = sys::poll(set, Deadline::in(Seconds{20}));
    if (!ready || *ready == 0) return false;
    char bytes[8192];
    const auto got = sys::recv_some(fd_.get(), bytes, sizeof bytes);
    if (!got) reset_seen_ = true;
    if (!got || !*got || **got == 0) return false;
    buffer_.append(bytes, **got);
    return true;
  }

  int port_;
  UniqueFd fd_;
  std::string buffer_;
  bool reset_seen_ = false;
};

}  // namespace awm::test
