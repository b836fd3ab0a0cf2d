#include "event/store.h"

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "event/stream.h"
#include "os/sys.h"
#include "support/faults.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::read_text;
using testing::TestFolder;

const Scope scope("test");

class EventStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<EventStream> open() {
    auto stream = EventStream::open(scope, path());
    EXPECT_TRUE(stream) << stream.error();
    return stream ? *std::move(stream) : nullptr;
  }
  void fill(int n) {
    const auto stream = open();
    for (int i = 0; i < n; ++i) add(*stream, "command " + std::to_string(i));
    ASSERT_TRUE(stream->close());
  }
  static void add(EventStream& stream, const std::string& command) {
    RunAction run;
    run.command = command;
    ASSERT_TRUE(stream.add_event(Action(run), EventSource::agent));
  }
  static std::vector<int64_t> ids(const Result<std::vector<Event>>& events) {
    EXPECT_TRUE(events) << events.error();
    std::vector<int64_t> list;
    if (events) {
      for (const Event& event : *events) list.push_back(header(event).id);
    }
    return list;
  }
  [[nodiscard]] std::string path() const { return folder_ / "events.jsonl"; }
  TestFolder folder_;
};

TEST_F(EventStoreTest, IdsGoOnAfterAReopening) {
  fill(3);
  const auto stream = open();
  EXPECT_EQ(stream->next_id(), 3);
  add(*stream, "one more");
  EXPECT_EQ(header(*stream->get_event(3)).id, 3);
  EXPECT_EQ(get_if<RunAction>(*stream->get_event(1))->command, "command 1");
}

TEST_F(EventStoreTest, ATornLastLineIsCutOffWhereverItIsTorn) {
  fill(3);
  const std::string whole = read_text(path());
  const std::size_t third = whole.rfind("{\"id\":2");
  for (std::size_t size = third; size < whole.size(); size += 7) {
    testing::write_text(path(), whole.substr(0, size));
    const auto stream = open();
    ASSERT_EQ(stream->next_id(), 2) << size;
    add(*stream, "again");
    ASSERT_TRUE(stream->close());
    const std::string now = read_text(path());
    EXPECT_EQ(now.substr(0, third), whole.substr(0, third));
    EXPECT_TRUE(now.ends_with("}\n"));
    EXPECT_EQ(ids(search_events_file(path())), (std::vector<int64_t>{0, 1, 2}));
  }
}

TEST_F(EventStoreTest, ATailOfZerosOrRubbishWithALineEndIsCutOffToo) {
  fill(2);
  const std::string whole = read_text(path());
  for (const std::string& tail : {std::string(4096, '\0'), std::string("rubbish\n"), std::string("{\"a\":1}\n\n")}) {
    testing::write_text(path(), whole + tail);
    const auto stream = open();
    EXPECT_EQ(stream->next_id(), 2);
    ASSERT_TRUE(stream->close());
    EXPECT_EQ(read_text(path()), whole);
  }
}

TEST_F(EventStoreTest, AMalformedLineInTheMiddleIsLeftOutBySearchAndNamedByGet) {
  fill(4);
  std::string whole = read_text(path());
  whole[whole.find("{\"id\":2")] = '!';
  testing::write_text(path(), whole);
  const auto stream = open();
  EXPECT_EQ(stream->next_id(), 4);
  EXPECT_EQ(ids(stream->search({})), (std::vector<int64_t>{0, 1, 3}));
  EXPECT_EQ(ids(stream->search({.reverse = true})), (std::vector<int64_t>{3, 1, 0}));
  const auto third = stream->get_event(2);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().object, path() + ":3");
}

TEST_F(EventStoreTest, AnEmptyFileAndAMissingOneAreNewStreams) {
  EXPECT_EQ(open()->next_id(), 0);
  testing::write_text(path(), "");
  EXPECT_EQ(open()->next_id(), 0);
  testing::write_text(path(), "{\"id\":0,\"acti");
  EXPECT_EQ(open()->next_id(), 0);
}

TEST_F(EventStoreTest, ASecondWriterIsRefused) {
  const auto first = open();
  const auto second = EventStream::open(scope, path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::exhausted);
  EXPECT_EQ(second.error().object, path());
}

TEST_F(EventStoreTest, AFolderThatIsNotThereIsAnError) {
  const auto stream = EventStream::open(scope, folder_ / "nowhere/events.jsonl");
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, Errc::not_found);
}

TEST_F(EventStoreTest, SearchFiltersByKindSourceRangeTextAndHiddenness) {
  const auto stream = open();
  RunAction run;
  run.command = "Find ME";
  ASSERT_TRUE(stream->add_event(Action(run), EventSource::agent));
  ASSERT_TRUE(stream->add_event(Observation("two\nlines \"quoted\"", RunObservation{}), EventSource::environment));
  run.hidden = true;
  run.command = "hidden";
  ASSERT_TRUE(stream->add_event(Action(run), EventSource::user));
  ASSERT_TRUE(stream->add_event(Action(NullAction{}), EventSource::user));
  ASSERT_TRUE(stream->add_event(Action(ThinkAction{"find me too"}), EventSource::agent));

  EXPECT_THAT(ids(stream->search({.filter = {.kinds = {"run"}}})), ElementsAre(0, 1, 2));
  EXPECT_THAT(ids(stream->search({.filter = {.kinds = {"action:run", "null"}}})), ElementsAre(0, 2, 3));
  EXPECT_THAT(ids(stream->search({.filter = {.exclude_kinds = {"observation:run", "null"}}})), ElementsAre(0, 2, 4));
  EXPECT_THAT(ids(stream->search({.filter = {.source = EventSource::user}})), ElementsAre(2, 3));
  EXPECT_THAT(ids(stream->search({.filter = {.text = "FIND me"}})), ElementsAre(0, 4));
  EXPECT_THAT(ids(stream->search({.filter = {.text = "two\nlines \"q"}})), ElementsAre(1));
  EXPECT_THAT(ids(stream->search({.filter = {.text = "nowhere"}})), IsEmpty());
  EXPECT_THAT(ids(stream->search({.filter = {.exclude_hidden = true}})), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(ids(stream->search({.start_id = 1, .end_id = 3})), ElementsAre(1, 2, 3));
  EXPECT_THAT(ids(stream->search({.start_id = 1, .end_id = 3, .reverse = true})), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids(stream->search({.start_id = -5, .end_id = 99})), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(ids(stream->search({.start_id = 9})), IsEmpty());
  const std::string middle = header(*stream->get_event(2)).timestamp;
  for (const int64_t id : ids(stream->search({.filter = {.start_date = middle}}))) EXPECT_GE(id, 2);
  for (const int64_t id : ids(stream->search({.filter = {.end_date = middle}}))) EXPECT_LE(id, 2);
  EXPECT_THAT(ids(stream->search({.filter = {.start_date = "2999"}})), IsEmpty());
}

TEST_F(EventStoreTest, LimitsCountMatchesInBothDirections) {
  fill(300);
  const auto stream = open();
  EXPECT_THAT(ids(stream->search({.limit = 2})), ElementsAre(0, 1));
  EXPECT_THAT(ids(stream->search({.reverse = true, .limit = 3})), ElementsAre(299, 298, 297));
  EXPECT_THAT(ids(stream->search({.start_id = 10, .limit = 2, .filter = {.text = "command 2"}})), ElementsAre(20, 21));
  EXPECT_THAT(ids(stream->search({.reverse = true, .limit = 2, .filter = {.text = "command 10"}})),
              ElementsAre(109, 108));
  EXPECT_THAT(ids(stream->search({.limit = 0})), IsEmpty());
  EXPECT_EQ(ids(stream->search({.limit = 1000})).size(), 300U);
  EXPECT_EQ(ids(stream->search({.reverse = true})).size(), 300U);
}

TEST_F(EventStoreTest, ReplayGivesEveryEventInOrderFromAnyPlaceAndEndsWhenTold) {
  fill(1000);
  const auto stream = open();
  int64_t expected = 400;
  ASSERT_TRUE(stream->replay(400, [&](const Event& event) {
    EXPECT_EQ(header(event).id, expected++);
    return expected < 900;
  }));
  EXPECT_EQ(expected, 900);
}

TEST_F(EventStoreTest, EventsOfManySizesComeBackWhole) {
  std::vector<std::string> contents;
  {
    const auto stream = open();
    for (const std::size_t size : {0UL, 1UL, 1000UL, 1UL << 20, (1UL << 20) + 1, 5UL << 20, 3UL}) {
      contents.push_back(std::string(size, 'x') + "\n\"é");
      ASSERT_TRUE(stream->add_event(Observation(contents.back(), ErrorObservation{}), EventSource::environment));
    }
  }
  const auto events = search_events_file(path());
  ASSERT_TRUE(events) << events.error();
  ASSERT_EQ(events->size(), contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    EXPECT_EQ(std::get<Observation>((*events)[i]).content, contents[i]);
  }
}

TEST_F(EventStoreTest, AnEventThatIsTooLargeIsRefusedAndTheStreamGoesOn) {
  const auto stream = open();
  const auto added = stream->add_event(Observation(std::string(EventStore::max_event_bytes, 'x'), ErrorObservation{}),
                                       EventSource::agent);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::invalid_input);
  add(*stream, "next");
  EXPECT_EQ(stream->next_id(), 1);
}

TEST_F(EventStoreTest, OpenHandsLayoutIsExported) {
  fill(60);
  const auto count = export_openhands_session(path(), folder_ / "out", "s1");
  ASSERT_TRUE(count) << count.error();
  EXPECT_EQ(*count, 60);
  const std::string session = folder_ / "out/sessions/s1";
  const auto first = parse_json(read_text(session + "/events/0.json"), "0.json");
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)["args"]["command"], "command 0");
  EXPECT_TRUE(testing::path_exists(session + "/events/59.json"));
  EXPECT_FALSE(testing::path_exists(session + "/events/60.json"));
  const auto page = parse_json(read_text(session + "/event_cache/25-50.json"), "page");
  ASSERT_TRUE(page);
  ASSERT_EQ(page->size(), 25U);
  EXPECT_EQ((*page)[0]["id"], 25);
  EXPECT_EQ((*page)[24]["id"], 49);
  EXPECT_FALSE(testing::path_exists(session + "/event_cache/50-75.json")) << "a page that is not full is no page";
  EXPECT_FALSE(export_openhands_session(path(), folder_ / "out", "../evil"));
}

TEST_F(EventStoreTest, ATrajectoryIsOneJsonArray) {
  for (const int n : {0, 1, 5}) {
    testing::remove_all(path());
    fill(n);
    const auto count = export_trajectory(path(), folder_ / "trajectory.json");
    ASSERT_TRUE(count) << count.error();
    EXPECT_EQ(*count, n);
    const auto json = parse_json(read_text(folder_ / "trajectory.json"), "trajectory");
    ASSERT_TRUE(json) << json.error();
    ASSERT_TRUE(json->is_array());
    EXPECT_EQ(json->size(), static_cast<std::size_t>(n));
  }
}

TEST_F(EventStoreTest, AFailedWriteLeavesNoTraceAndNoGap) {
  const testing::FaultScope faults;
  const auto stream = open();
  add(*stream, "first");
  fault::inject("write", "event/store.cpp", 0, 1, 28 /* ENOSPC */);
  const auto failed = stream->add_event(Action(NullAction{}), EventSource::agent);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::exhausted);
  EXPECT_EQ(failed.error().object, path());
  add(*stream, "second");
  EXPECT_EQ(stream->next_id(), 2);
  ASSERT_TRUE(stream->close());
  EXPECT_EQ(ids(search_events_file(path())), (std::vector<int64_t>{0, 1}));
}

TEST_F(EventStoreTest, ALineIsTheEventAsOpenHandsWritesIt) {
  const auto stream = open();
  ASSERT_TRUE(stream->add_event(Observation("", NullObservation{}), EventSource::agent));
  auto line = parse_json(read_text(path()), "line");
  ASSERT_TRUE(line) << line.error();
  EXPECT_EQ(line->at("timestamp").get<std::string>().size(), std::string_view("2026-01-31T12:34:56.000000").size());
  line->erase("timestamp");
  EXPECT_EQ(*line,
            *parse_json(R"({"id":0,"source":"agent","message":"No observation","observation":"null","content":"",)"
                        R"("extras":{}})",
                        "expected"));
}

TEST_F(EventStoreTest, AReopenedStreamHasItsEventsAndAnotherHasNone) {
  {
    const auto stream = open();
    ASSERT_TRUE(stream->add_event(Observation("first", NullObservation{}), EventSource::agent));
    ASSERT_TRUE(stream->add_event(Observation("second", NullObservation{}), EventSource::agent));
  }
  const auto other = EventStream::open(scope, folder_ / "other.jsonl");
  ASSERT_TRUE(other);
  EXPECT_THAT(ids((*other)->search({})), IsEmpty());
  const auto events = open()->search({});
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2U);
  EXPECT_EQ(std::get<Observation>((*events)[0]).content, "first");
  EXPECT_EQ(std::get<Observation>((*events)[1]).content, "second");
}

TEST_F(EventStoreTest, AnEventWithoutSourceIsNobodysAndStillFound) {
  fill(2);
  std::string text = read_text(path());
  const std::string_view said = R"("source":"agent",)";
  text.erase(text.find(said), said.size());
  testing::write_text(path(), text);
  const auto stream = open();
  EXPECT_EQ(header(*stream->get_event(0)).source, EventSource::none);
  EXPECT_THAT(ids(stream->search({.filter = {.source = EventSource::agent}})), ElementsAre(1));
  EXPECT_THAT(ids(stream->search({})), ElementsAre(0, 1));
}

TEST_F(EventStoreTest, ALimitCountsWhatAllFiltersLetThrough) {
  const auto stream = open();
  ASSERT_TRUE(stream->add_event(Action(NullAction{}), EventSource::agent));
  ASSERT_TRUE(stream->add_event(Observation("one", NullObservation{}), EventSource::agent));
  ASSERT_TRUE(stream->add_event(Action(MessageAction{.content = "hello"}), EventSource::user));
  ASSERT_TRUE(stream->add_event(Observation("two", NullObservation{}), EventSource::environment));
  ASSERT_TRUE(stream->add_event(Action(NullAction{}), EventSource::agent));
  ASSERT_TRUE(stream->add_event(Action(MessageAction{.content = "there"}), EventSource::user));
  ASSERT_TRUE(stream->add_event(Observation("hello there", NullObservation{}), EventSource::agent));
  EXPECT_THAT(ids(stream->search({.limit = 1, .filter = {.kinds = {"action:null"}}})), ElementsAre(0));
  EXPECT_THAT(ids(stream->search({.limit = 1, .filter = {.source = EventSource::user}})), ElementsAre(2));
  EXPECT_THAT(ids(stream->search({.limit = 2, .filter = {.text = "hello"}})), ElementsAre(2, 6));
  EXPECT_THAT(
      ids(stream->search({.limit = 1, .filter = {.kinds = {"observation:null"}, .source = EventSource::agent}})),
      ElementsAre(1));
  EXPECT_THAT(ids(stream->search({.reverse = true, .limit = 2, .filter = {.source = EventSource::agent}})),
              ElementsAre(6, 4));
  EXPECT_THAT(ids(stream->search({.limit = 5, .filter = {.text = "nowhere"}})), IsEmpty());
  EXPECT_THAT(ids(stream->search({.start_id = 10, .limit = 5})), IsEmpty());
}

TEST_F(EventStoreTest, RangesLongerThanOneReadComeWholeInBothDirections) {
  fill(700);  // more than is read at a time, forwards and backwards
  const auto stream = open();
  std::vector<int64_t> wanted;
  for (int64_t id = 3; id <= 655; ++id) wanted.push_back(id);
  EXPECT_EQ(ids(stream->search({.start_id = 3, .end_id = 655})), wanted);
  std::ranges::reverse(wanted);
  EXPECT_EQ(ids(stream->search({.start_id = 3, .end_id = 655, .reverse = true})), wanted);
}

TEST_F(EventStoreTest, PagesAndFilesOfAnExportLeaveOutWhatIsMissing) {
  fill(60);
  std::string text = read_text(path());
  text[text.find("{\"id\":30,")] = '!';
  testing::write_text(path(), text);
  const auto count = export_openhands_session(path(), folder_ / "out", "s1");
  ASSERT_TRUE(count) << count.error();
  EXPECT_EQ(*count, 59);
  const std::string session = folder_ / "out/sessions/s1";
  EXPECT_FALSE(testing::path_exists(session + "/events/30.json"));
  EXPECT_TRUE(testing::path_exists(session + "/events/31.json"));
  EXPECT_TRUE(testing::path_exists(session + "/event_cache/0-25.json"));
  EXPECT_FALSE(testing::path_exists(session + "/event_cache/25-50.json")) << "it is not full";
}

TEST_F(EventStoreTest, StreamsOfLargeEventsGiveTheirMemoryBack) {
  const std::string text(std::size_t{100} << 10, 'x');
  const auto round = [&] {
    const auto stream = open();
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(stream->add_event(Action(WriteAction{.path = "/f", .content = text}), EventSource::agent));
      EditObservation edit{.path = "/f", .prev_exist = true};
      edit.old_content = edit.new_content = text;
      ASSERT_TRUE(stream->add_event(Observation(text, edit), EventSource::environment));
    }
    ASSERT_TRUE(stream->close());
  };
  round();
  const uint64_t before = sys::resident_bytes();
  for (int i = 0; i < 20; ++i) round();
  ASSERT_GT(before, 0U);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep what is freed
  EXPECT_LT(sys::resident_bytes(), before + (uint64_t{20} << 20)) << "160 MB went through";
#endif
}

}  // namespace
}  // namespace awm
