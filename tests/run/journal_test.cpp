#include "run/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "base/json.h"
#include "base/text.h"
#include "support/faults.h"

namespace awm {
namespace {

const Scope scope("test");

class JournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TempFolder::create(scope, "awm-journal-");
    ASSERT_TRUE(made) << made.error().message();
    folder_ = *std::move(made);
  }
  void TearDown() override { fault::clear(); }
  std::unique_ptr<Journal> create() {
    auto journal = Journal::create(scope, folder(), Json{{"run_id", "r"}});
    EXPECT_TRUE(journal) << journal.error().message();
    return *std::move(journal);
  }
  std::unique_ptr<Journal> open() {
    auto journal = Journal::open(scope, folder());
    EXPECT_TRUE(journal) << journal.error().message();
    return journal ? *std::move(journal) : nullptr;
  }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }
  std::string text() { return read_file(journal_path(folder())).value_or(""); }
  TempFolder folder_;
};

Json record(const char* type, const char* id) {
  return Json{{"type", type}, {"instance_id", id}};
}

TEST_F(JournalTest, RemembersWhereEachSampleStands) {
  {
    const auto journal = create();
    ASSERT_TRUE(journal->append(record("started", "a")));
    ASSERT_TRUE(journal->append(record("patch", "a")));
    ASSERT_TRUE(journal->append(record("verdict", "a")));
    ASSERT_TRUE(journal->append(record("started", "b")));
    ASSERT_TRUE(journal->append(record("patch", "b")));
    ASSERT_TRUE(journal->append(record("started", "c")));
    ASSERT_TRUE(journal->append(record("error", "c")));
  }
  const auto journal = open();
  EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::judged);
  EXPECT_EQ(journal->sample("b")->stage, SampleState::Stage::patched);
  EXPECT_EQ(journal->sample("c")->stage, SampleState::Stage::errored);
  EXPECT_FALSE(journal->sample("d"));
}

TEST_F(JournalTest, AReleaseErrorStandsBesideTheVerdict) {
  const auto journal = create();
  ASSERT_TRUE(journal->append(record("started", "a")));
  ASSERT_TRUE(journal->append(record("verdict", "a")));
  Json release = record("release", "a");
  release["release_error"] = "could not remove it";
  ASSERT_TRUE(journal->append(release));
  EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::judged);
  EXPECT_EQ(journal->sample("a")->release_errors, std::vector<std::string>{"could not remove it"});
}

TEST_F(JournalTest, KeepsWhatADiskDoesNotTakeAndWritesItWhenItDoes) {
  const auto journal = create();
  journal->keep_what_fails(folder(), "r");
  fault::inject("write", "journal.cpp", 0, 2, ENOSPC);
  EXPECT_TRUE(journal->append(record("verdict", "a")));
  ASSERT_TRUE(journal->trouble());
  EXPECT_EQ(journal->trouble()->os_errno, ENOSPC);
  EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::judged);
  EXPECT_TRUE(journal->append(record("verdict", "b")));
  EXPECT_EQ(split_lines(text()).size(), 1U);  // the header
  EXPECT_TRUE(journal->append(record("verdict", "c")));
  EXPECT_FALSE(journal->trouble());
  EXPECT_EQ(journal->close(), "");
  const auto again = open();
  for (const auto* id : {"a", "b", "c"}) EXPECT_EQ(again->sample(id)->stage, SampleState::Stage::judged) << id;
}

TEST_F(JournalTest, WritesWhatItKeptToASecondPlace) {
  const auto journal = create();
  ASSERT_TRUE(make_folders(join_path(folder(), "second")));
  journal->keep_what_fails(join_path(folder(), "second"), "r");
  fault::inject("write", "journal.cpp", 0, 1000, EIO);
  EXPECT_TRUE(journal->append(record("verdict", "a")));
  EXPECT_TRUE(journal->append(record("commit", "a")));
  const auto second = journal->close();
  EXPECT_EQ(second, join_path(folder(), "second/journal-r.jsonl"));
  EXPECT_EQ(journal->close(), second);
  fault::clear();
  // Joined by hand, nothing is lost.
  const auto rest = read_file(second);
  ASSERT_TRUE(rest);
  ASSERT_TRUE(write_file(journal_path(folder()), text() + *rest));
  const auto again = open();
  EXPECT_TRUE(again->sample("a")->committed);
}

TEST_F(JournalTest, LaterSettingsReplaceThoseOfTheHeader) {
  {
    const auto journal = create();
    ASSERT_TRUE(journal->append(Json{{"type", "settings"}, {"model_name", "m"}, {"settings", {{"workers", 2}}}}));
    ASSERT_TRUE(journal->append(record("verdict", "a")));
    ASSERT_TRUE(journal->append(Json{{"type", "settings"}, {"settings", {{"workers", 3}}}}));
  }
  const auto journal = open();
  const auto& header = journal->header();
  EXPECT_EQ(header["type"], "header");
  EXPECT_EQ(header["run_id"], "r");
  EXPECT_EQ(header["model_name"], "m");
  EXPECT_EQ(header["settings"]["workers"], 3);
  EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::judged);
}

TEST_F(JournalTest, EveryTornTailIsCutOffAndTheRestKept) {
  std::string whole;
  {
    const auto journal = create();
    ASSERT_TRUE(journal->append(record("started", "a")));
    ASSERT_TRUE(journal->append(record("verdict", "a")));
    whole = text();
  }
  const auto last_line = whole.substr(0, whole.size() - 1).rfind('\n') + 1;
  for (std::size_t cut = last_line + 1; cut < whole.size(); ++cut) {
    ASSERT_TRUE(write_file(journal_path(folder()), whole.substr(0, cut)));
    const auto journal = open();
    ASSERT_TRUE(journal);
    EXPECT_EQ(journal->torn_bytes(), cut - last_line);
    EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::started);
    EXPECT_EQ(text(), whole.substr(0, last_line));
  }
}

// A disk or a hand changes one bit. It is noticed, or nothing is lost for it but the last record, which is told.
TEST_F(JournalTest, EveryFlippedBitIsNoticed) {
  {
    const auto journal = create();
    ASSERT_TRUE(journal->append(record("patch", "a")));
    ASSERT_TRUE(journal->append(Json{{"type", "verdict"}, {"instance_id", "a"}, {"verdict", "passed"}}));
    ASSERT_TRUE(journal->append(record("commit", "a")));
  }
  const auto whole = text();
  const auto last = whole.rfind('\n', whole.size() - 2) + 1;
  int named = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto changed = whole;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1U << bit));
      ASSERT_TRUE(write_file(journal_path(folder()), changed));
      const auto journal = Journal::open(scope, folder());
      if (!journal) {
        EXPECT_THAT(journal.error().object, ::testing::HasSubstr("journal.jsonl"));
        ++named;
        continue;
      }
      // Its last line has no end: cut off, as after a crash.
      EXPECT_EQ(at, whole.size() - 1);
      EXPECT_EQ((*journal)->torn_bytes(), whole.size() - last);
      EXPECT_FALSE((*journal)->sample("a")->committed);
      EXPECT_EQ((*journal)->sample("a")->stage, SampleState::Stage::judged);
    }
  }
  EXPECT_EQ(named, 8 * (static_cast<int>(whole.size()) - 1));
}

TEST_F(JournalTest, OfSchemaOneHasNoChecksAndIsGoneOnWith) {
  const std::string old = R"({"type":"header","schema":1,"run_id":"r"})"
                          "\n"
                          R"({"type":"started","instance_id":"a"})"
                          "\n";
  ASSERT_TRUE(write_file(journal_path(folder()), old));
  ASSERT_TRUE(open()->append(record("verdict", "a")));
  EXPECT_EQ(open()->sample("a")->stage, SampleState::Stage::judged);
}

TEST_F(JournalTest, OfALaterAwmIsRefused) {
  ASSERT_TRUE(write_file(journal_path(folder()), R"({"type":"header","schema":3,"run_id":"r"})"
                                                 "\n"));
  const auto journal = Journal::open(scope, folder());
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, Errc::unsupported);
  EXPECT_THAT(journal.error().message(), ::testing::HasSubstr("a later awm"));
}

TEST_F(JournalTest, ABrokenLineInTheMiddleIsNamed) {
  {
    const auto journal = create();
  }
  ASSERT_TRUE(write_file(journal_path(folder()), text() + "{\"type\":\n{\"type\":\"x\"}\n"));
  const auto journal = Journal::open(scope, folder());
  ASSERT_FALSE(journal);
  EXPECT_NE(journal.error().message().find("journal.jsonl:2"), std::string::npos) << journal.error().message();
}

TEST_F(JournalTest, TwoWritersAreRefused) {
  const auto journal = create();
  const auto second = Journal::open(scope, folder());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message().find("another awm"), std::string::npos);
}

TEST_F(JournalTest, AFolderWithARunIsNotStartedAnew) {
  {
    const auto journal = create();
  }
  const auto again = Journal::create(scope, folder(), Json::object());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::already_exists);
}

TEST_F(JournalTest, AFailedWriteLeavesWholeLinesOnly) {
  const auto journal = create();
  ASSERT_TRUE(journal->append(record("started", "a")));
  const auto before = text();
  for (const auto* call : {"write", "fdatasync"}) {
    fault::inject(call, "journal.cpp", 0, 1, ENOSPC);
    const auto failed = journal->append(record("verdict", "a"));
    ASSERT_FALSE(failed) << call;
    EXPECT_EQ(failed.error().os_errno, ENOSPC);
    EXPECT_EQ(text(), before) << call;
    EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::started);
  }
  EXPECT_TRUE(journal->append(record("verdict", "a")));
  EXPECT_EQ(journal->sample("a")->stage, SampleState::Stage::judged);
}

// A disk that takes half a line and cannot take it back either.
TEST_F(JournalTest, WhatAFailedWriteLeftIsCutOffBeforeTheNext) {
  {
    const auto journal = create();
    ASSERT_TRUE(journal->append(record("started", "a")));
    fault::inject("fdatasync", "journal.cpp", 0, 1, EIO);
    fault::inject("ftruncate", "journal.cpp", 0, 2, EIO);
    EXPECT_FALSE(journal->append(record("patch", "a")));
    EXPECT_FALSE(journal->append(record("patch", "a"))) << "nothing is written behind it";
    EXPECT_TRUE(journal->append(record("verdict", "a")));
  }
  EXPECT_EQ(split_lines(text()).size(), 3U);
  EXPECT_EQ(open()->sample("a")->stage, SampleState::Stage::judged);
}

}  // namespace
}  // namespace awm
