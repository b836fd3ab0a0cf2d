#include "base/error.h"

#include <cerrno>
#include <memory>
#include <set>

#include "base/result.h"
#include "support/support.h"

namespace awm {
namespace {

TEST(ErrorTest, AMessageIsOneLine) {
  const Error error{.code = Errc::not_found,
                    .operation = "open",
                    .object = "a\nb",
                    .cause = "No such file\r\nor directory",
                    .remedy = "make it"};
  EXPECT_EQ(error.message(), "open a b: No such file  or directory (make it)");
}

TEST(ErrorTest, EmptyPartsLeaveNoMarks) {
  EXPECT_EQ(Error{}.message(), "");
  EXPECT_EQ((Error{.operation = "read"}).message(), "read");
  EXPECT_EQ((Error{.cause = "why"}).message(), "why");
  EXPECT_EQ((Error{.object = "x", .cause = "why"}).message(), "x: why");
}

TEST(ErrorTest, AWiderUndertakingGoesInFront) {
  Error error = os_error("open", "/x", ENOENT).within("read the settings");
  EXPECT_EQ(error.message(), "read the settings: open /x: No such file or directory");
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_EQ(error.os_errno, ENOENT);
}

TEST(ErrorTest, TheClassFollowsFromErrno) {
  const auto code = [](int number) { return os_error("x", "y", number).code; };
  EXPECT_EQ(code(ENOENT), Errc::not_found);
  EXPECT_EQ(code(EACCES), Errc::permission);
  EXPECT_EQ(code(EROFS), Errc::permission);
  EXPECT_EQ(code(EEXIST), Errc::already_exists);
  for (const int number : {EMFILE, ENFILE, ENOSPC, ENOMEM, EAGAIN, EDQUOT})
    EXPECT_EQ(code(number), Errc::exhausted) << number;
  EXPECT_EQ(code(ECONNREFUSED), Errc::unavailable);
  EXPECT_EQ(code(EPIPE), Errc::lost);
  EXPECT_EQ(code(EIO), Errc::io);
  EXPECT_EQ(code(12345), Errc::io);
}

TEST(ErrorTest, WhatAPersonCanDoIsSaid) {
  EXPECT_THAT(os_error("open", "x", EMFILE).message(), ::testing::HasSubstr("ulimit -n"));
  EXPECT_THAT(os_error("write", "x", ENOSPC).message(), ::testing::HasSubstr("disk space"));
  EXPECT_EQ(os_error("write", "x", ENOSPC, "mine").remedy, "mine");
}

TEST(ErrorTest, EveryClassHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) names.insert(to_string(static_cast<Errc>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Errc::internal) + 1);
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Errc::invalid_input, "halve", std::to_string(n), "it is odd");
  return n / 2;
}

Result<int> quarter(int n) {
  AWM_TRY(const int once, half(n));
  AWM_TRY(const int twice, half(once));
  return twice;
}

Result<void> both_even(int a, int b) {
  AWM_CHECK(half(a));
  AWM_CHECK(half(b));
  return {};
}

TEST(ResultTest, TheFirstErrorIsReturned) {
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(6).error().object, "3");
  EXPECT_TRUE(both_even(2, 4));
  EXPECT_EQ(both_even(2, 5).error().message(), "halve 5: it is odd");
}

TEST(ResultTest, ValuesAreMovedAndNotCopied) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  const auto use = [&]() -> Result<int> {
    AWM_TRY(const auto owned, make());
    return *owned;
  };
  EXPECT_EQ(use(), 7);
}

}  // namespace
}  // namespace awm
