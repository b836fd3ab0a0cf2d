#include "os/signals.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

namespace awm {
namespace {

std::atomic<Stop*> active_stop{nullptr};
std::atomic<int> first_signal{0};

constexpr std::array handled{SIGINT, SIGTERM, SIGHUP, SIGPIPE};
std::array<struct sigaction, handled.size()> former{};

extern "C" void awm_on_signal(int number) {
  Stop* stop = active_stop.load(std::memory_order_acquire);
  if (stop == nullptr) return;
  int none = 0;
  first_signal.compare_exchange_strong(none, number);
  const bool again = stop->level() != StopLevel::none && number != SIGHUP;
  stop->request(again || number == SIGTERM ? StopLevel::cancel : StopLevel::drain);
}

}  // namespace

Result<std::unique_ptr<SignalHandlers>> SignalHandlers::install(Stop& stop) {
  Stop* none = nullptr;
  if (!active_stop.compare_exchange_strong(none, &stop)) {
    return fail(Errc::internal, "install", "signal handlers", "they are installed already");
  }
  first_signal.store(0);
  for (std::size_t i = 0; i < handled.size(); ++i) {
    struct sigaction action{};
    action.sa_handler = handled[i] == SIGPIPE ? SIG_IGN : awm_on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    ::sigaction(handled[i], &action, &former[i]);
  }
  return std::unique_ptr<SignalHandlers>(new SignalHandlers);
}

SignalHandlers::~SignalHandlers() {
  for (std::size_t i = 0; i < handled.size(); ++i) ::sigaction(handled[i], &former[i], nullptr);
  active_stop.store(nullptr, std::memory_order_release);
}

int SignalHandlers::received() {
  return first_signal.load();
}

}  // namespace awm
