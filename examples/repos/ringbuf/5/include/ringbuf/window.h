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

  // The mean of the squared distances from the mean.
  double variance() const {
    if (ring_.empty()) return 0;
    double sum = 0;
    double squares = 0;
    for (double value : ring_) {
      sum += value;
      squares += value * value;
    }
    const double n = static_cast<double>(count());
    return squares / n - (sum / n) * (sum / n);
  }

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
