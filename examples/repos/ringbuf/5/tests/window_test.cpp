#include "ringbuf/window.h"

#include <gtest/gtest.h>

using ringbuf::Window;

TEST(Window, OfNothingIsZero) {
  Window window(3);
  EXPECT_EQ(window.mean(), 0);
  EXPECT_EQ(window.greatest(), 0);
}

TEST(Window, HasItsFigures) {
  Window window(3);
  window.add(1);
  window.add(5);
  EXPECT_EQ(window.mean(), 3);
  EXPECT_EQ(window.least(), 1);
  EXPECT_EQ(window.greatest(), 5);
}

TEST(Window, GrowsWithoutLoss) {
  Window window(2);
  window.add(1);
  window.add(2);
  window.resize(3);
  window.add(3);
  EXPECT_EQ(window.count(), 3u);
  EXPECT_EQ(window.mean(), 2);
}

TEST(Window, TellsHowFarValuesScatter) {
  Window window(4);
  EXPECT_EQ(window.variance(), 0);
  window.add(1);
  window.add(5);
  EXPECT_DOUBLE_EQ(window.variance(), 4);
}
