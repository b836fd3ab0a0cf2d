#include "http/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace awm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Fed in pieces of `piece` bytes; "TYPE|DATA" each.
std::vector<std::string> events_of(std::string_view bytes, std::size_t piece, bool finish = true) {
  SseParser parser;
  std::vector<std::string> events;
  const auto take = [&](const SseEvent& event) {
    events.push_back(event.type + "|" + event.data);
    return true;
  };
  for (std::size_t at = 0; at < bytes.size(); at += piece) EXPECT_TRUE(parser.feed(bytes.substr(at, piece), take));
  if (finish) parser.finish(take);
  return events;
}

class SseParserTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(SseParserTest, CutsEventsAtEmptyLines) {
  EXPECT_THAT(events_of("data: one\n\ndata: two\ndata: lines\n\n", GetParam()), ElementsAre("|one", "|two\nlines"));
}

TEST_P(SseParserTest, TakesAllThreeLineEnds) {
  EXPECT_THAT(events_of("data: a\r\n\r\ndata: b\r\rdata: c\n\n", GetParam()), ElementsAre("|a", "|b", "|c"));
}

TEST_P(SseParserTest, PassesOverCommentsAndUnknownFields) {
  EXPECT_THAT(events_of(": OPENROUTER PROCESSING\n\nid: 7\nretry: 10\ndata: x\nother: y\n\n: bye\n\n", GetParam()),
              ElementsAre("|x"));
}

TEST_P(SseParserTest, ReadsTypesAndFieldsWithoutSpaceOrColon) {
  EXPECT_THAT(events_of("event: error\ndata:{\"a\":1}\n\nevent:x\ndata\n\ndata:  two spaces\n\n", GetParam()),
              ElementsAre("error|{\"a\":1}", "x|", "| two spaces"));
}

TEST_P(SseParserTest, PassesOverAByteOrderMark) {
  EXPECT_THAT(events_of("\xEF\xBB\xBF"
                        "data: x\n\n",
                        GetParam()),
              ElementsAre("|x"));
}

TEST_P(SseParserTest, GivesALastEventWithoutItsEmptyLineAtTheEndOnly) {
  EXPECT_THAT(events_of("data: x\n\ndata: last", GetParam()), ElementsAre("|x", "|last"));
  EXPECT_THAT(events_of("data: x\n\ndata: last\n", GetParam()), ElementsAre("|x", "|last"));
  EXPECT_THAT(events_of("data: last\n", GetParam(), false), IsEmpty());
}

TEST_P(SseParserTest, AnEventWithoutDataIsNone) {
  EXPECT_THAT(events_of("event: ping\n\n\n\n", GetParam()), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Pieces, SseParserTest, ::testing::Values(1, 2, 3, 7, 1000));

TEST(SseParser, EndsWhereTheTakerSaysSo) {
  SseParser parser;
  int taken = 0;
  EXPECT_FALSE(parser.feed("data: 1\n\ndata: 2\n\n", [&](const SseEvent&) { return ++taken < 1; }));
  EXPECT_FALSE(parser.feed("data: 3\n\n", [&](const SseEvent&) { return ++taken < 9; }));
  EXPECT_EQ(taken, 1);
}

TEST(SseParser, RefusesAnEventThatOutgrowsItsBound) {
  const auto take = [](const SseEvent&) { return true; };
  SseParser one_line(10);
  EXPECT_FALSE(one_line.feed("data: 0123456789012", take));
  EXPECT_TRUE(one_line.too_large());
  SseParser many_lines(10);
  bool more = true;
  for (int i = 0; i < 5; ++i) more = more && many_lines.feed("data: 0123\n", take);
  EXPECT_FALSE(more);
  EXPECT_TRUE(many_lines.too_large());
}

}  // namespace
}  // namespace awm
