// The protocol's header alone.
#include "helper/wire.h"

#include <gtest/gtest.h>

#include <random>

namespace awm::wire {
namespace {

TEST(Wire, AMessageComesBackAsItWent) {
  Exec sent;
  sent.argv = {"bash", "-c", std::string("a\0b", 3), ""};
  sent.folder = "/x";
  sent.environment = {"A=1"};
  sent.input = std::string(100'000, '\xff');
  sent.hard_ms = 0xfedcba98;
  sent.stream = true;
  std::string bytes;
  ASSERT_TRUE(append_message(bytes, Type::exec, 0x12345678, sent));
  FrameParser parser;
  parser.feed(bytes);
  Header header;
  std::string_view payload;
  ASSERT_TRUE(parser.next(header, payload));
  EXPECT_EQ(header.type, static_cast<uint16_t>(Type::exec));
  EXPECT_EQ(header.id, 0x12345678u);
  Exec got;
  ASSERT_TRUE(decode(payload, got));
  EXPECT_EQ(got.argv, sent.argv);
  EXPECT_EQ(got.input, sent.input);
  EXPECT_EQ(got.hard_ms, sent.hard_ms);
  EXPECT_TRUE(got.stream);
  EXPECT_FALSE(parser.next(header, payload));
  EXPECT_FALSE(parser.partial());
}

TEST(Wire, EveryTruncationAndAddedByteIsRefused) {
  ListResult list;
  list.entries.resize(3);
  list.entries[1].name = "name";
  list.entries[2].info.target = "target";
  std::string bytes;
  ASSERT_TRUE(append_message(bytes, Type::list_result, 1, list));
  const std::string_view payload = std::string_view(bytes).substr(kHeaderSize);
  ListResult got;
  EXPECT_TRUE(decode(payload, got));
  for (std::size_t size = 0; size < payload.size(); ++size) EXPECT_FALSE(decode(payload.substr(0, size), got)) << size;
  EXPECT_FALSE(decode(std::string(payload) + "x", got));
}

TEST(Wire, HugeCountsAndLengthsAllocateNothing) {
  wire::Setup setup;
  EXPECT_FALSE(decode(std::string("\xff\xff\xff\xff", 4), setup));
  EXPECT_FALSE(decode(std::string("\0\0\0\0\xff\xff\xff\xff", 8), setup));
  EXPECT_FALSE(decode(std::string("\0\0\0\0\xff\xff\xff\x3f", 8), setup));
  bool flag = false;
  detail::Decoder decoder{std::string_view("\2", 1)};
  decoder(flag);
  EXPECT_FALSE(decoder.good);
}

TEST(Wire, AMessageLongerThanAFrameIsNotAppended) {
  Write write;
  write.bytes.assign(kMaxPayload, 'x');
  std::string bytes = "before";
  EXPECT_FALSE(append_message(bytes, Type::write, 1, write));
  EXPECT_EQ(bytes, "before");
}

TEST(Wire, TheParserTakesAnyPieces) {
  std::string bytes;
  for (uint32_t id = 1; id <= 50; ++id)
    append_frame(bytes, Type::data, id, std::string(id * 997, static_cast<char>(id)), 2);
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    FrameParser parser;
    Header header;
    std::string_view payload;
    uint32_t next = 1;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(bytes.size() - at, random() % 5000);
      parser.feed(std::string_view(bytes).substr(at, size));
      at += size;
      while (parser.next(header, payload)) {
        ASSERT_EQ(header.id, next);
        ASSERT_EQ(header.flags, 2);
        ASSERT_EQ(payload, std::string(next * 997, static_cast<char>(next)));
        ++next;
      }
    }
    EXPECT_EQ(next, 51u);
    EXPECT_FALSE(parser.broken());
  }
}

TEST(Wire, TheParserRefusesAFrameTooLong) {
  FrameParser parser;
  std::string bytes;
  append_header(bytes, Type::data, 1, kMaxPayload + 1);
  parser.feed(bytes);
  Header header;
  std::string_view payload;
  EXPECT_FALSE(parser.next(header, payload));
  EXPECT_TRUE(parser.broken());
}

TEST(Wire, NoiseIsRefusedOrReadButNeverOverrun) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string noise(random() % 200, '\0');
    for (char& c : noise) c = static_cast<char>(random() % 4 == 0 ? random() : random() % 3);
    Exec exec;
    ListResult list;
    ShellInput input;
    Hello hello;
    (void)decode(noise, exec);
    (void)decode(noise, list);
    (void)decode(noise, input);
    (void)decode(noise, hello);
  }
}

}  // namespace
}  // namespace awm::wire
