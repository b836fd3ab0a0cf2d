// Figures over the last elements of a stream of numbers.
#pragma once

#include <algorithm>
#include <numeric>

#include "ringbuf/ring.h"

namespace ringbuf {

class Window {
 public:
  explicit Window(std::size_t length) : ring_(length) {}

  void add(double value) { ring_.push(value); }
  std::size_t count() const { return ring_.size(); }

  // Of an empty window all are 0.
  double mean() const {
    return ring_.empty() ? 0 : std::accumulate(ring_.begin(), ring_.end(), 0.0) / static_cast<double>(count());
  }
  double least() const { return ring_.empty() ? 0 : *std::min_element(ring_.begin(), ring_.end()); }
  double greatest() const { return ring_.empty() ? 0 : *std::max_element(ring_.begin(), ring_.end()); }

  // Changes the length; keeps as many values as fit.
  void resize(std::size_t length) {
    Ring<double> shorter(length);
    for (double value : ring_) {
      if (!shorter.full()) shorter.push(value);
    }
    ring_ = shorter;
  }

 private:
  Ring<double> ring_;
};

}  // namespace ringbuf
