#include "ringbuf/ring.h"

#include <gtest/gtest.h>

using ringbuf::Ring;

TEST(Ring, IsEmptyAtFirst) {
  Ring<int> ring(3);
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.capacity(), 3u);
  EXPECT_THROW(ring.pop(), std::out_of_range);
}

TEST(Ring, GivesBackInOrder) {
  Ring<int> ring(3);
  ring.push(1);
  ring.push(2);
  EXPECT_EQ(ring.pop(), 1);
  EXPECT_EQ(ring.pop(), 2);
  EXPECT_TRUE(ring.empty());
}

TEST(Ring, NeedsRoom) { EXPECT_THROW(Ring<int>(0), std::invalid_argument); }
