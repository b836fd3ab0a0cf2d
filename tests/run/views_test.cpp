#include "run/views.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "run/sample.h"
#include "support/support.h"

namespace awm {
namespace {

const Scope scope("test");

class ViewsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const auto* id : {"a", "b", "c"}) {
      ASSERT_TRUE(make_folders(sample_folder(folder(), id)));
      ASSERT_TRUE(write_file(join_path(sample_folder(folder(), id), "result.json"), std::string(id) + "\n"));
    }
  }
  std::unique_ptr<Views> open(uint64_t bytes, const std::vector<std::string>& committed) {
    auto views = Views::open(scope, folder(), bytes, committed);
    EXPECT_TRUE(views) << views.error().message();
    return *std::move(views);
  }
  [[nodiscard]] std::string folder() const { return folder_.path(); }
  std::string results() { return read_file(join_path(folder(), "results.jsonl")).value_or("none"); }
  awm::testing::TestFolder folder_;
};

TEST_F(ViewsTest, GoOnBehindWhatIsCommitted) {
  uint64_t bytes = 0;
  {
    const auto views = open(0, {});
    bytes = views->add("a").value_or(0);
    ASSERT_TRUE(views->add("b"));  // and its commit was lost
    views->close();
  }
  ASSERT_EQ(bytes, 2u);
  const auto views = open(bytes, {"a"});
  EXPECT_EQ(views->add("c").value_or(0), 4u);
  EXPECT_EQ(results(), "a\nc\n");
}

TEST_F(ViewsTest, AreMadeAnewWhereSomebodyChangedThem) {
  ASSERT_TRUE(write_file(join_path(folder(), "results.jsonl"), "an edited line, longer than before"));
  const auto views = open(4, {"a", "b"});
  EXPECT_EQ(results(), "a\nb\n");
}

TEST_F(ViewsTest, ALineThatCannotBeHadIsToldAndMakesTheFileAnewOnResume) {
  const auto views = open(0, {});
  EXPECT_TRUE(views->add("a"));
  EXPECT_FALSE(views->add("gone"));
  EXPECT_EQ(views->add("b").value_or(99), 0u);
  EXPECT_EQ(results(), "a\nb\n");
}

}  // namespace
}  // namespace awm
