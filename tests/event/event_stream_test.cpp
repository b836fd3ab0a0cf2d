#include "event/stream.h"

#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>

#include "base/json.h"
#include "base/text.h"
#include "os/census.h"
#include "os/log.h"
#include "os/thread.h"
#include "support/support.h"

namespace awm {
namespace {

using testing::read_text;
using testing::TestFolder;

const Scope scope("test");

Event command(const std::string& text) {
  RunAction run;
  run.command = text;
  return Action(std::move(run));
}

// What a subscriber had, for a test to wait for and to look at.
class Listener {
 public:
  EventCallback callback() {
    return [this](const EventPtr& event) {
      const std::lock_guard lock(mutex_);
      ids_.push_back(header(*event).id);
      changed_.notify_all();
    };
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ids_.size() >= count; }))
        << "has had " << ids_.size() << " of " << count;
  }
  std::vector<int64_t> ids() {
    const std::lock_guard lock(mutex_);
    return ids_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int64_t> ids_;
};

std::vector<int64_t> up_to(int64_t n) {
  std::vector<int64_t> list;
  for (int64_t i = 0; i < n; ++i) list.push_back(i);
  return list;
}

class EventStreamTest : public ::testing::Test {
 protected:
  void SetUp() override { stream_ = open(); }
  std::unique_ptr<EventStream> open(const EventStreamSettings& settings = {}) {
    auto stream = EventStream::open(scope, path(), settings);
    EXPECT_TRUE(stream) << stream.error();
    return stream ? *std::move(stream) : nullptr;
  }
  void add(int n) {
    for (int i = 0; i < n; ++i) ASSERT_TRUE(stream_->add_event(command("c" + std::to_string(i)), EventSource::agent));
  }
  void delivered() {
    const auto all = stream_->wait_delivered(Deadline::in(Seconds(60)));
    ASSERT_TRUE(all) << all.error();
  }
  [[nodiscard]] std::string path() const { return folder_ / "events.jsonl"; }

  TestFolder folder_;
  std::unique_ptr<EventStream> stream_;
};

TEST_F(EventStreamTest, AnEventGetsIdTimeAndSourceAndIsWrittenBeforeAddReturns) {
  const auto first = stream_->add_event(command("ls"), EventSource::agent);
  const auto second = stream_->add_event(Observation("x", RunObservation{}), EventSource::environment);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(header(**first).id, 0);
  EXPECT_EQ(header(**second).id, 1);
  EXPECT_EQ(header(**first).source, EventSource::agent);
  EXPECT_EQ(header(**first).timestamp.size(), std::string("2026-01-31T12:34:56.789012").size());
  EXPECT_LE(header(**first).timestamp, header(**second).timestamp);
  EXPECT_EQ(read_text(path()), event_to_json(**first) + "\n" + event_to_json(**second) + "\n");
}

TEST_F(EventStreamTest, EverySubscriberHasEveryEventInOrder) {
  std::vector<Listener> listeners(3);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream_->subscribe("s" + std::to_string(i % 2), std::to_string(i), listeners[i].callback()));
  }
  add(5000);
  delivered();
  for (Listener& listener : listeners) EXPECT_EQ(listener.ids(), up_to(5000));
}

TEST_F(EventStreamTest, ASubscriberSeesOnlyWhatComesAfterItOrFromWhereItAsked) {
  add(10);
  Listener late;
  Listener replayed;
  Listener from_the_end;
  ASSERT_TRUE(stream_->subscribe("a", "late", late.callback()));
  ASSERT_TRUE(stream_->subscribe("a", "replayed", replayed.callback(), 0));
  ASSERT_TRUE(stream_->subscribe("a", "end", from_the_end.callback(), 99));
  add(2);
  delivered();
  EXPECT_EQ(late.ids(), (std::vector<int64_t>{10, 11}));
  EXPECT_EQ(replayed.ids(), up_to(12));
  EXPECT_EQ(from_the_end.ids(), (std::vector<int64_t>{10, 11}));
}

TEST_F(EventStreamTest, WhatIsDeliveredIsInTheFile) {
  std::atomic<int> missing{0};
  ASSERT_TRUE(stream_->subscribe("a", "a", [&](const EventPtr& event) {
    if (!stream_->get_event(header(*event).id)) ++missing;
  }));
  add(200);
  delivered();
  EXPECT_EQ(missing, 0);
}

TEST_F(EventStreamTest, SubscribersAreKnownByTwoNames) {
  Listener one;
  Listener two;
  ASSERT_TRUE(stream_->subscribe("a", "1", one.callback()));
  ASSERT_TRUE(stream_->subscribe("a", "2", two.callback()));
  ASSERT_TRUE(stream_->subscribe("b", "1", two.callback()));
  const auto again = stream_->subscribe("a", "1", two.callback());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::already_exists);
  EXPECT_EQ(stream_->subscribers().size(), 3U);
  for (const auto& [subscriber, callback] : {std::pair("a", "3"), std::pair("c", "1")}) {
    const auto gone = stream_->unsubscribe(subscriber, callback);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Errc::not_found);
  }
  ASSERT_TRUE(stream_->unsubscribe("a", "1"));
  add(3);
  delivered();
  EXPECT_TRUE(one.ids().empty());
  EXPECT_EQ(two.ids().size(), 6U);
  ASSERT_TRUE(stream_->subscribe("a", "1", one.callback()));
}

TEST_F(EventStreamTest, AThrowingSubscriberHarmsNoOther) {
  Listener good;
  set_log_level(LogLevel::error);
  ASSERT_TRUE(stream_->subscribe("a", "bad", [](const EventPtr&) { throw std::runtime_error("no"); }));
  ASSERT_TRUE(stream_->subscribe("a", "worse", [](const EventPtr&) { throw 3; }));
  ASSERT_TRUE(stream_->subscribe("b", "good", good.callback()));
  add(100);
  delivered();
  set_log_level(LogLevel::info);
  EXPECT_EQ(good.ids(), up_to(100));
  const auto status = stream_->subscribers();
  EXPECT_EQ(status[0].failures, 100);
  EXPECT_EQ(status[0].last_failure, "no");
  EXPECT_EQ(status[1].failures, 100);
  EXPECT_EQ(status[2].failures, 0);
}

// The first subscriber is kept in its first event until the others have had all of theirs.
TEST_F(EventStreamTest, ABlockedSubscriberHoldsUpNobody) {
  for (const int events : {1, 2, 1000}) {
    stream_.reset();
    testing::remove_all(path());
    stream_ = open();
    std::latch release(1);
    Listener blocked;
    std::vector<Listener> others(2);
    ASSERT_TRUE(stream_->subscribe("a", "blocked", [&](const EventPtr& event) {
      release.wait();
      blocked.callback()(event);
    }));
    ASSERT_TRUE(stream_->subscribe("b", "0", others[0].callback()));
    ASSERT_TRUE(stream_->subscribe("c", "1", others[1].callback()));
    add(events);
    for (Listener& other : others) other.wait_for(static_cast<std::size_t>(events));
    EXPECT_TRUE(blocked.ids().empty());
    release.count_down();
    delivered();
    EXPECT_EQ(blocked.ids(), up_to(events));
    for (Listener& other : others) EXPECT_EQ(other.ids(), up_to(events));
  }
}

TEST_F(EventStreamTest, ASubscriberThatWasQuickForLongMayStillBlock) {
  std::latch release(1);
  Listener late;
  Listener other;
  ASSERT_TRUE(stream_->subscribe("a", "late", [&](const EventPtr& event) {
    if (header(*event).id == 500) release.wait();
    late.callback()(event);
  }));
  ASSERT_TRUE(stream_->subscribe("b", "other", other.callback()));
  add(500);
  delivered();
  add(1);                                                        // in this one it stays
  while (stream_->subscribers()[0].own_thread == false) add(1);  // whoever adds notices
  add(100);
  const auto all = static_cast<std::size_t>(stream_->next_id());
  other.wait_for(all);
  EXPECT_EQ(late.ids(), up_to(500));
  release.count_down();
  delivered();
  EXPECT_EQ(late.ids(), up_to(static_cast<int64_t>(all)));
}

TEST_F(EventStreamTest, ASlowSubscriberLagsBehindTheMemoryAndStillHasAll) {
  stream_ = nullptr;
  stream_ = open({.slow_callback = Milliseconds(1), .keep_events = 16, .keep_bytes = 4096});
  std::latch release(1);
  Listener slow;
  Listener quick;
  ASSERT_TRUE(stream_->subscribe("a", "slow", [&](const EventPtr& event) {
    release.wait();
    EXPECT_EQ(get_if<RunAction>(*event)->command, "c" + std::to_string(header(*event).id));
    slow.callback()(event);
  }));
  ASSERT_TRUE(stream_->subscribe("b", "quick", quick.callback()));
  add(3000);
  quick.wait_for(3000);
  release.count_down();
  delivered();
  EXPECT_EQ(slow.ids(), up_to(3000));
  EXPECT_EQ(quick.ids(), up_to(3000));
}

TEST_F(EventStreamTest, WaitingHasAnEndAndNamesWhoIsBehind) {
  std::latch release(1);
  ASSERT_TRUE(stream_->subscribe("ui", "screen", [&](const EventPtr&) { release.wait(); }));
  add(1);
  const auto waited = stream_->wait_delivered(Deadline::in(Seconds(0.005)));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::timed_out);
  EXPECT_TRUE(contains(waited.error().cause, "ui/screen has had 0 of 1"));
  release.count_down();
  delivered();
}

TEST_F(EventStreamTest, ManyThreadsAddAndEveryIdIsUsedOnce) {
  constexpr int threads = 8;
  constexpr int each = 400;
  Listener listener;
  ASSERT_TRUE(stream_->subscribe("a", "a", listener.callback()));
  {
    std::vector<Thread> adders;
    std::latch start(threads);
    for (int t = 0; t < threads; ++t) {
      auto thread = Thread::start(scope, "adder", [&, t] {
        start.arrive_and_wait();
        for (int i = 0; i < each; ++i) {
          const auto added =
              stream_->add_event(command(std::to_string(t) + " " + std::to_string(i)), EventSource::user);
          EXPECT_TRUE(added) << added.error();
        }
      });
      ASSERT_TRUE(thread) << thread.error();
      adders.push_back(*std::move(thread));
    }
  }
  delivered();
  EXPECT_EQ(listener.ids(), up_to(threads * each));
  std::vector<int> seen(threads, 0);
  int64_t id = 0;
  ASSERT_TRUE(stream_->replay(0, [&](const Event& event) {
    EXPECT_EQ(header(event).id, id++);
    const auto parts = split(get_if<RunAction>(event)->command, ' ');
    EXPECT_EQ(parts[1], std::to_string(seen[std::stoul(parts[0])]++)) << "one thread's events keep their order";
    return true;
  }));
  EXPECT_EQ(id, threads * each);
}

TEST_F(EventStreamTest, SubscribersComeAndGoWhileEventsFlow) {
  std::atomic<bool> done{false};
  std::atomic<int64_t> had{0};
  Listener steady;
  ASSERT_TRUE(stream_->subscribe("steady", "1", steady.callback()));
  auto changer = Thread::start(scope, "changer", [&] {
    for (int i = 0; !done; ++i) {
      const std::string name = std::to_string(i % 3);
      auto own = std::make_unique<std::vector<int64_t>>();
      std::vector<int64_t>* const ids = own.get();
      EXPECT_TRUE(stream_->subscribe("guest", name, [ids](const EventPtr& e) { ids->push_back(header(*e).id); }));
      (void)stream_->search({.start_id = stream_->next_id() - 3});
      EXPECT_TRUE(stream_->unsubscribe("guest", name));
      for (std::size_t k = 1; k < own->size(); ++k) EXPECT_EQ((*own)[k], (*own)[k - 1] + 1);
      had += static_cast<int64_t>(own->size());
    }
  });
  ASSERT_TRUE(changer);
  add(3000);
  done = true;
  changer->join();
  delivered();
  EXPECT_EQ(steady.ids(), up_to(3000));
}

TEST_F(EventStreamTest, ACallbackMayAddEvents) {
  Listener listener;
  ASSERT_TRUE(stream_->subscribe("a", "echo", [&](const EventPtr& event) {
    if (header(*event).id < 500) {
      const auto added = stream_->add_event(Observation("echo", RunObservation{}), EventSource::environment);
      EXPECT_TRUE(added) << added.error();
    }
    const auto again = stream_->add_event(*event, EventSource::agent);
    ASSERT_FALSE(again) << "an event that came from a stream";
    EXPECT_EQ(again.error().code, Errc::invalid_input);
  }));
  ASSERT_TRUE(stream_->subscribe("b", "all", listener.callback()));
  add(1);
  listener.wait_for(501);
  delivered();
  EXPECT_EQ(listener.ids(), up_to(501));
}

TEST_F(EventStreamTest, ACallbackMayUnsubscribeItselfAndOthers) {
  std::atomic<int> own{0};
  std::atomic<int> other{0};
  std::latch changed(1);  // one that unsubscribed is not waited for
  ASSERT_TRUE(stream_->subscribe("a", "self", [&](const EventPtr&) {
    ++own;
    EXPECT_TRUE(stream_->unsubscribe("a", "self"));
    EXPECT_TRUE(stream_->unsubscribe("b", "other"));
    EXPECT_TRUE(stream_->subscribe("c", "new", [](const EventPtr&) {}));
    changed.count_down();
  }));
  ASSERT_TRUE(stream_->subscribe("b", "other", [&](const EventPtr&) { ++other; }));
  add(50);
  changed.wait();
  delivered();
  EXPECT_EQ(own, 1);
  EXPECT_LE(other, 50);
  EXPECT_EQ(stream_->subscribers().size(), 1U);
}

TEST_F(EventStreamTest, UnsubscribingWaitsForTheRunningCallback) {
  std::latch inside(1);
  std::latch release(1);
  std::atomic<bool> ended{false};
  ASSERT_TRUE(stream_->subscribe("a", "a", [&](const EventPtr&) {
    inside.count_down();
    release.wait();
    ended = true;
  }));
  add(1);
  inside.wait();
  auto helper = Thread::start(scope, "releaser", [&] { release.count_down(); });
  ASSERT_TRUE(helper);
  ASSERT_TRUE(stream_->unsubscribe("a", "a"));
  EXPECT_TRUE(ended);
}

TEST_F(EventStreamTest, CloseDeliversWhatWasAddedAndIsIdempotent) {
  std::vector<Listener> listeners(3);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream_->subscribe("s", std::to_string(i), listeners[i].callback()));
  }
  add(2000);
  ASSERT_TRUE(stream_->close());
  for (Listener& listener : listeners) EXPECT_EQ(listener.ids(), up_to(2000));
  ASSERT_TRUE(stream_->close());
  EXPECT_TRUE(stream_->closed());
  EXPECT_TRUE(stream_->subscribers().empty());
}

TEST_F(EventStreamTest, AClosedStreamRefusesEverything) {
  ASSERT_TRUE(stream_->close());
  const auto added = stream_->add_event(command("x"), EventSource::agent);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::closed);
  const auto subscribed = stream_->subscribe("a", "a", [](const EventPtr&) {});
  ASSERT_FALSE(subscribed);
  EXPECT_EQ(subscribed.error().code, Errc::closed);
  const auto searched = stream_->search({});
  ASSERT_FALSE(searched);
  EXPECT_EQ(searched.error().code, Errc::closed);
}

TEST_F(EventStreamTest, CloseFromACallbackMarksAndTheOwnerJoins) {
  Listener other;
  std::latch marked(1);
  ASSERT_TRUE(stream_->subscribe("a", "closer", [&](const EventPtr& event) {
    if (header(*event).id != 3) return;
    EXPECT_TRUE(stream_->close());
    EXPECT_TRUE(stream_->closed());
    const auto added = stream_->add_event(command("late"), EventSource::agent);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Errc::closed);
    EXPECT_FALSE(stream_->wait_delivered(Deadline::never()));
    marked.count_down();
  }));
  ASSERT_TRUE(stream_->subscribe("b", "other", other.callback()));
  add(4);
  marked.wait();
  ASSERT_TRUE(stream_->close());
  EXPECT_EQ(other.ids(), up_to(4));
  EXPECT_EQ(Ledger::process().entries("test/stream").size(), 0U);
}

TEST_F(EventStreamTest, ManyThreadsCloseAtOnce) {
  Listener listener;
  ASSERT_TRUE(stream_->subscribe("a", "a", listener.callback()));
  add(100);
  {
    std::vector<Thread> closers;
    for (int i = 0; i < 4; ++i) {
      auto thread = Thread::start(scope, "closer", [&] { EXPECT_TRUE(stream_->close()); });
      ASSERT_TRUE(thread);
      closers.push_back(*std::move(thread));
    }
  }
  EXPECT_EQ(listener.ids(), up_to(100));
}

TEST_F(EventStreamTest, CloseDoesNotWaitForASlowSubscribersBacklog) {
  std::latch release(1);
  std::atomic<int> slow{0};
  Listener quick;
  ASSERT_TRUE(stream_->subscribe("a", "slow", [&](const EventPtr&) {
    release.wait();
    ++slow;
  }));
  ASSERT_TRUE(stream_->subscribe("b", "quick", quick.callback()));
  add(100);
  quick.wait_for(100);
  auto releaser = Thread::start(scope, "releaser", [&] {
    while (!stream_->closed()) {
    }
    release.count_down();
  });
  ASSERT_TRUE(releaser);
  ASSERT_TRUE(stream_->close());
  EXPECT_EQ(slow, 1) << "the event it was in, and none after";
}

TEST_F(EventStreamTest, WhatASubscriberHoldsIsReleased) {
  const auto held = std::make_shared<int>(1);
  ASSERT_TRUE(stream_->subscribe("a", "a", [held](const EventPtr&) {}));
  ASSERT_TRUE(stream_->subscribe("a", "b", [held](const EventPtr&) {}));
  add(10);
  ASSERT_TRUE(stream_->unsubscribe("a", "a"));
  EXPECT_EQ(held.use_count(), 2);
  ASSERT_TRUE(stream_->close());
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(EventStreamTest, ItCostsOneDescriptorAndAtMostOneThread) {
  stream_.reset();
  const Census before = take_census();
  stream_ = open();
  EXPECT_EQ(take_census().descriptors.size(), before.descriptors.size() + 1);
  EXPECT_EQ(take_census().threads.size(), before.threads.size());
  std::vector<Listener> listeners(3);
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream_->subscribe("s", std::to_string(i), listeners[i].callback()));
  }
  add(500);
  delivered();
  EXPECT_TRUE(testing::eventually([&] { return take_census().threads.size() == before.threads.size() + 1; }));
  EXPECT_EQ(take_census().descriptors.size(), before.descriptors.size() + 1);
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(stream_->unsubscribe("s", std::to_string(i)));
  EXPECT_EQ(take_census().threads.size(), before.threads.size()) << "no subscriber, no thread";
  ASSERT_TRUE(stream_->close());
  EXPECT_EQ(take_census().descriptors.size(), before.descriptors.size());
}

TEST_F(EventStreamTest, SecretsReachNeitherFileNorSubscriber) {
  stream_->set_secrets({{"token", "hunter2-hunter2"}, {"short", "ab"}, {"prefix", "hunter2"}});
  log_hide_secret("sk-from-the-log-0001");
  Listener listener;
  std::string seen;
  ASSERT_TRUE(stream_->subscribe("a", "a", [&](const EventPtr& event) { seen += event_to_json(*event); }));
  ASSERT_TRUE(stream_->add_event(command("echo hunter2-hunter2 sk-from-the-log-0001 ab"), EventSource::agent));
  stream_->update_secrets({{"later", "s3cr3t-later"}});
  ASSERT_TRUE(stream_->add_event(Observation("s3cr3t-later hunter2", RunObservation{}), EventSource::environment));
  log_hide_secret("sk-registered-later");
  ASSERT_TRUE(stream_->add_event(command("sk-registered-later"), EventSource::agent));
  delivered();
  for (const std::string& text : {seen, read_text(path())}) {
    for (const char* secret : {"hunter2", "sk-from", "s3cr3t", "sk-registered"}) {
      EXPECT_FALSE(contains(text, secret)) << secret << " in " << text;
    }
    EXPECT_TRUE(contains(text, "echo <secret_hidden> *** ab"));
  }
}

TEST_F(EventStreamTest, ACallbackMaySubscribeAnother) {
  Listener first;
  Listener second;
  Listener added;
  std::atomic<bool> once{false};
  ASSERT_TRUE(stream_->subscribe("test", "1", [&, tell = first.callback()](const EventPtr& event) {
    tell(event);
    if (!once.exchange(true)) {
      EXPECT_TRUE(stream_->subscribe("test", "3", added.callback()));
    }
    const auto again = stream_->subscribe("test", "2", [](const EventPtr&) {});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::already_exists);
  }));
  ASSERT_TRUE(stream_->subscribe("test", "2", second.callback()));
  add(1);
  delivered();
  EXPECT_EQ(first.ids(), up_to(1));
  EXPECT_EQ(second.ids(), up_to(1));
  EXPECT_TRUE(added.ids().empty()) << "it came after this event";
  add(1);
  delivered();
  EXPECT_EQ(first.ids(), up_to(2));
  EXPECT_EQ(second.ids(), up_to(2));
  EXPECT_EQ(added.ids(), (std::vector<int64_t>{1}));
}

TEST_F(EventStreamTest, NestedSecretsAreHiddenAndTheStreamsOwnFieldsStay) {
  stream_->set_secrets({{"password", "password123"}, {"year", "2026"}, {"who", "user"}, {"word", "Running"}});
  OtherAction other{.kind = "call_tool_mcp",
                    .message = "",
                    .args = {R"({"command":"login --password password123",)"
                             R"("env":{"SECRET_KEY":"password123","timestamp":"password123_2026",)"
                             R"("list":["a",["password123",7,null]]}})"}};
  ASSERT_TRUE(stream_->add_event(Action(other), EventSource::user));
  ASSERT_TRUE(stream_->add_event(command("echo user Running"), EventSource::user));
  const auto events = stream_->search({});
  ASSERT_TRUE(events);
  const auto first = parse_json(event_to_json((*events)[0]), "first");
  ASSERT_TRUE(first) << first.error();
  EXPECT_EQ(first->at("args"),
            *parse_json(R"({"command":"login --password <secret_hidden>",)"
                        R"("env":{"SECRET_KEY":"<secret_hidden>","timestamp":"<secret_hidden>_<secret_hidden>",)"
                        R"("list":["a",["<secret_hidden>",7,null]]}})",
                        "expected"));
  EXPECT_EQ(first->at("source"), "user");
  const auto second = parse_json(event_to_json((*events)[1]), "second");
  ASSERT_TRUE(second) << second.error();
  EXPECT_EQ(second->at("id"), 1);
  EXPECT_EQ(second->at("source"), "user");
  EXPECT_EQ(second->at("action"), "run");
  EXPECT_FALSE(contains(second->at("timestamp").get<std::string>(), "<secret_hidden>"));
  EXPECT_EQ(second->at("message"), "Running command: echo <secret_hidden> <secret_hidden>");
  EXPECT_EQ(second->at("args").at("command"), "echo <secret_hidden> <secret_hidden>");
}

}  // namespace
}  // namespace awm
