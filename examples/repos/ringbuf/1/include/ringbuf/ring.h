// A ring buffer of fixed capacity: when it is full, the oldest element gives way.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <vector>

namespace ringbuf {

template <class T>
class Ring {
 public:
  explicit Ring(std::size_t capacity) : slots_(capacity) {
    if (capacity == 0) throw std::invalid_argument("a ring needs room for one element");
  }

  std::size_t capacity() const { return slots_.size(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == capacity(); }

  // Adds an element; the oldest one gives way when there is no room.
  void push(const T& value) {
    slots_[(head_ + size_) % capacity()] = value;
    if (size_ < capacity()) ++size_;
  }

  // Takes the oldest element. Throws std::out_of_range when there is none.
  T pop() {
    if (empty()) throw std::out_of_range("pop from an empty ring");
    T value = slots_[head_];
    head_ = (head_ + 1) % capacity();
    --size_;
    return value;
  }

  // The element i places behind the oldest.
  const T& operator[](std::size_t i) const { return slots_[(head_ + i) % capacity()]; }
  const T& oldest() const { return at(0); }
  const T& newest() const { return at(size_ - 1); }

  // As operator[], and throws std::out_of_range where there is no such element.
  const T& at(std::size_t i) const {
    if (i >= size_) throw std::out_of_range("no such element in the ring");
    return (*this)[i];
  }

 private:
  std::vector<T> slots_;
  std::size_t head_ = 0;  // of the oldest element
  std::size_t size_ = 0;
};

}  // namespace ringbuf
