#include "os/thread.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "os/fault.h"

namespace awm {

struct Thread::State {
  pthread_t handle{};
  std::function<void()> body;
  std::string name;
  Scope scope{"process"};
  std::source_location birth;
  std::atomic<int> tid{0};
};

namespace {
extern "C" void* awm_thread_main(void* argument) {
  auto* run = static_cast<std::function<void()>*>(argument);
  (*run)();
  return nullptr;
}
}  // namespace

Result<Thread> Thread::start(const Scope& scope, std::string_view name, std::function<void()> body,
                             std::source_location birth) {
  auto state = std::make_unique<State>();
  state->name = std::string(name.substr(0, 15));
  state->scope = scope;
  state->birth = birth;
  State* raw = state.get();
  state->body = [raw, body = std::move(body)] {
    const int tid = static_cast<int>(::syscall(SYS_gettid));
    const auto token = Ledger::process().add(ResourceKind::thread, tid, raw->name, raw->scope, raw->birth);
    pthread_setname_np(pthread_self(), raw->name.c_str());
    raw->tid.store(tid, std::memory_order_release);
    raw->tid.notify_all();
    body();
  };
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = fault::check("pthread_create", birth);
  if (failed <= 0) failed = pthread_create(&state->handle, nullptr, awm_thread_main, &state->body);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0)
    return std::unexpected(
        os_error("start thread", std::string(name), failed, "raise the process limit (ulimit -u) or lower --workers"));
  // Known to the ledger before the caller goes on: a census must not meet a thread it has not heard of.
  raw->tid.wait(0, std::memory_order_acquire);
  return Thread(std::move(state));
}

Thread::Thread(std::unique_ptr<State> state) : state_(std::move(state)) {}
Thread::Thread() = default;
Thread::Thread(Thread&&) noexcept = default;
Thread& Thread::operator=(Thread&& other) noexcept {
  if (this != &other) {
    join();
    state_ = std::move(other.state_);
  }
  return *this;
}
Thread::~Thread() {
  join();
}

void Thread::join() {
  if (!state_) return;
  pthread_join(state_->handle, nullptr);
  state_.reset();
}

bool Thread::is_current() const {
  return state_ && pthread_equal(state_->handle, pthread_self()) != 0;
}

}  // namespace awm
