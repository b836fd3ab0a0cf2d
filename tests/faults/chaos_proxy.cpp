#include "faults/chaos_proxy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>

#include "support/support.h"

namespace awm::testing {
namespace {

using Clock = std::chrono::steady_clock;

const Scope& scope() {
  static const Scope the_scope("test/chaos");
  return the_scope;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

sockaddr_un at_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  EXPECT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(&address.sun_path[0], path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

// `call` with the place as a socket's address.
template <class Call>
int with_address(const ChaosPlace& place, const Call& call) {
  if (place.path.empty()) {
    const auto address = loopback(place.port);
    return call(reinterpret_cast<const sockaddr*>(&address), socklen_t{sizeof address});
  }
  const auto address = at_path(place.path);
  return call(reinterpret_cast<const sockaddr*>(&address), socklen_t{sizeof address});
}

UniqueFd new_socket(const ChaosPlace& place, std::string_view name) {
  return {::socket(place.path.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), scope(), name};
}

}  // namespace

struct ChaosProxy::Pair {
  struct Way {
    std::string waiting;      // read, and not written yet
    uint64_t passed = 0;      // bytes written
    bool ended = false;       // its reader has seen the end
    bool end_told = false;    // and its writer was told
    Clock::time_point ready;  // what is waiting is held until then
  };
  std::array<UniqueFd, 2> side;  // client, server
  std::array<Way, 2> way;        // from the client, from the server
  Chaos kind = Chaos::none;
  int direction = 0;  // of the way to which it happens
  uint64_t offset = 0;
  bool happened = false;
  bool stalls = false;
  bool over = false;
  std::mt19937_64 random;
};

ChaosProxy::ChaosProxy(ChaosPlan plan, ChaosPlace server, const std::string& own_path)
    : plan_(std::move(plan)), server_(std::move(server)), own_path_(own_path) {
  const ChaosPlace own{.port = 0, .path = own_path};
  listener_ = new_socket(own, "chaos: listener");
  if (!own_path.empty()) ::unlink(own_path.c_str());
  EXPECT_EQ(with_address(own, [&](const auto* at, auto size) { return ::bind(listener_.get(), at, size); }), 0)
      << std::strerror(errno);
  EXPECT_EQ(::listen(listener_.get(), 64), 0);
  ::fcntl(listener_.get(), F_SETFL, O_NONBLOCK);
  if (own_path.empty()) {
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
    port_ = ntohs(bound.sin_port);
  }
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), scope(), "chaos: wake");
  auto thread = Thread::start(scope(), "chaos", [this] { work(); });
  EXPECT_TRUE(thread) << thread.error();
  if (thread) thread_ = std::move(*thread);
}

void ChaosProxy::wake() {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void ChaosProxy::calm() {
  calm_.store(true);
  wake();
}

ChaosProxy::~ChaosProxy() {
  ends_.store(true);
  wake();
  thread_.join();
  if (!own_path_.empty()) ::unlink(own_path_.c_str());
}

void ChaosProxy::accept() {
  for (;;) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK), scope(),
                    "chaos: client");
    if (!client) return;
    UniqueFd server = new_socket(server_, "chaos: server");
    if (with_address(server_, [&](const auto* at, auto size) { return ::connect(server.get(), at, size); }) != 0)
      continue;
    ::fcntl(server.get(), F_SETFL, O_NONBLOCK);
    auto pair = std::make_unique<Pair>();
    const auto number = connections_.fetch_add(1);
    std::seed_seq seed{plan_.seed, plan_.seed >> 32, static_cast<uint64_t>(number)};
    pair->random.seed(seed);
    auto& random = pair->random;
    if (!calm_.load() && !plan_.kinds.empty() && random() % plan_.one_in == 0) {
      pair->kind = plan_.kinds[random() % plan_.kinds.size()];
      pair->direction = static_cast<int>(random() % 2);
      pair->offset = random() % (uint64_t{1} << (random() % 20)) % plan_.at_most;
      if (pair->kind <= Chaos::split) {
        pair->happened = true;
        done_.at(static_cast<std::size_t>(pair->kind)).fetch_add(1);
      }
    }
    pair->side = {std::move(client), std::move(server)};
    pairs_.push_back(std::move(pair));
  }
}

// The byte is reached.
void ChaosProxy::happen(Pair& pair) {
  pair.happened = true;
  done_.at(static_cast<std::size_t>(pair.kind)).fetch_add(1);
  auto& way = pair.way.at(static_cast<std::size_t>(pair.direction));
  switch (pair.kind) {
    case Chaos::truncate:
      pair.over = true;
      return;
    case Chaos::reset: {
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      for (auto& side : pair.side) ::setsockopt(side.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      pair.over = true;
      return;
    }
    case Chaos::stall:
      pair.stalls = true;
      return;
    case Chaos::duplicate:
      way.waiting.insert(0, way.waiting.substr(0, 1 + pair.random() % 100));
      return;
    case Chaos::corrupt:
      way.waiting[0] = static_cast<char>(static_cast<unsigned char>(way.waiting[0]) ^ (1U << (pair.random() % 8)));
      return;
    case Chaos::none:
    case Chaos::delay:
    case Chaos::split:
      return;
  }
}

// Writes what is waiting, as far as it may.
void ChaosProxy::flush(Pair& pair, int direction) {
  auto& way = pair.way.at(static_cast<std::size_t>(direction));
  const int to = pair.side.at(static_cast<std::size_t>(1 - direction)).get();
  while (!way.waiting.empty() && !pair.stalls && !pair.over) {
    if (pair.kind == Chaos::delay && Clock::now() < way.ready) return;
    std::size_t size = way.waiting.size();
    const bool here = !pair.happened && direction == pair.direction;
    if (here && way.passed + size > pair.offset) {
      size = static_cast<std::size_t>(pair.offset - way.passed);
      if (size == 0) {
        happen(pair);
        continue;
      }
    }
    if (pair.kind == Chaos::split) size = std::min<std::size_t>(size, 1 + pair.random() % 7);
    const ssize_t n = ::send(to, way.waiting.data(), size, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno != EAGAIN && errno != EINTR) pair.over = true;
      return;
    }
    way.passed += static_cast<uint64_t>(n);
    way.waiting.erase(0, static_cast<std::size_t>(n));
    // One small piece a turn, so that its reader may see it alone.
    if (pair.kind == Chaos::split) break;
  }
  if (way.waiting.empty() && way.ended && !way.end_told && !pair.stalls) {
    way.end_told = true;
    ::shutdown(to, SHUT_WR);
  }
}

void ChaosProxy::forward(Pair& pair, int direction) {
  auto& way = pair.way.at(static_cast<std::size_t>(direction));
  char buffer[16384];
  const ssize_t n = ::recv(pair.side.at(static_cast<std::size_t>(direction)).get(), &buffer[0], sizeof buffer, 0);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) pair.over = true;
    return;
  }
  if (n == 0) {
    way.ended = true;
  } else {
    if (way.waiting.empty() && pair.kind == Chaos::delay)
      way.ready = Clock::now() + std::chrono::milliseconds(1 + pair.random() % 30);
    way.waiting.append(&buffer[0], static_cast<std::size_t>(n));
  }
}

void ChaosProxy::work() {
  constexpr std::size_t full = std::size_t{1} << 18;
  std::vector<pollfd> polled;
  while (!ends_.load()) {
    polled.clear();
    polled.push_back({.fd = wake_.get(), .events = POLLIN, .revents = 0});
    polled.push_back({.fd = listener_.get(), .events = POLLIN, .revents = 0});
    int limit = -1;
    for (auto& pair : pairs_) {
      for (std::size_t i = 0; i < 2; ++i) {
        const auto& in = pair->way.at(i);
        const auto& out = pair->way.at(1 - i);
        short events = 0;
        // A stalled connection ends when its client goes away.
        if (pair->stalls) {
          events = i == 0 ? POLLRDHUP : 0;
        } else {
          if (!in.ended && in.waiting.size() < full) events |= POLLIN;
          const bool held = pair->kind == Chaos::delay && Clock::now() < out.ready;
          if (!out.waiting.empty() && held) limit = 1;
          if (!out.waiting.empty() && !held) events |= POLLOUT;
        }
        polled.push_back({.fd = pair->side.at(i).get(), .events = events, .revents = 0});
      }
    }
    if (::poll(polled.data(), polled.size(), limit) < 0 && errno != EINTR) return;
    uint64_t woken = 0;
    (void)!::read(wake_.get(), &woken, sizeof woken);
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      Pair& pair = *pairs_[p];
      for (std::size_t i = 0; i < 2; ++i) {
        const auto seen = polled[2 + 2 * p + i].revents;
        if (pair.stalls) {
          if ((seen & (POLLRDHUP | POLLHUP | POLLERR)) != 0) pair.over = true;
          continue;
        }
        auto& from = pair.way.at(i);
        // Gone both ways: nobody reads there any more, and what it said has been handed on.
        if ((seen & POLLERR) != 0 || ((seen & POLLHUP) != 0 && from.ended && from.waiting.empty())) pair.over = true;
        if ((seen & (POLLIN | POLLHUP)) != 0 && !from.ended) forward(pair, static_cast<int>(i));
      }
      for (int i = 0; i < 2; ++i) flush(pair, i);
      if (pair.way[0].end_told && pair.way[1].end_told) pair.over = true;
      if (pair.stalls && calm_.load()) pair.over = true;
    }
    std::erase_if(pairs_, [](const auto& pair) { return pair->over; });
    if ((polled[1].revents & POLLIN) != 0) accept();
  }
  pairs_.clear();
}

bool ChaosTally::add(const ChaosProxy& proxy) {
  const std::lock_guard lock(mutex_);
  connections_ += proxy.connections();
  bool any = false;
  for (std::size_t kind = 0; kind < done_.size(); ++kind) {
    const auto count = proxy.done(static_cast<Chaos>(kind));
    done_.at(kind) += count;
    any = any || count > 0;
  }
  return any;
}

void ChaosTally::print() const {
  const std::lock_guard lock(mutex_);
  std::printf("  %zu connections, of them", connections_);
  for (std::size_t kind = 1; kind < done_.size(); ++kind)
    std::printf(" %s %zu%s", chaos_names.at(kind), done_.at(kind), kind + 1 < done_.size() ? "," : "\n");
}

std::string ChaosPoint::text() const {
  std::string text = "seed " + std::to_string(plan.seed) + ":";
  for (const auto kind : plan.kinds) text += std::string(" ") + chaos_names.at(static_cast<std::size_t>(kind));
  return text;
}

std::vector<ChaosPoint> chaos_points(ChaosPlan plan, uint64_t seeds) {
  std::vector<ChaosPoint> points;
  for (plan.seed = 1; plan.seed <= seeds; ++plan.seed) points.push_back({.plan = plan});
  return points;
}

}  // namespace awm::testing
