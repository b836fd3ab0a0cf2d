// What a test log says: test name → status, in order of first appearance, as a Python dict keeps it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace awm {

// The words of SWE-bench. A log's own word is kept where a parser reads one ("PASSEDX name" is the status "PASSEDX", as
// in the reference), so a status is text and these are its usual values.
namespace test_status {
inline constexpr std::string_view failed = "FAILED";
inline constexpr std::string_view passed = "PASSED";
inline constexpr std::string_view skipped = "SKIPPED";
inline constexpr std::string_view error = "ERROR";
inline constexpr std::string_view xfail = "XFAIL";
}  // namespace test_status

class StatusMap {
 public:
  struct Entry {
    std::string test;    // valid UTF-8; a lone surrogate out of a JSON escape is its three bytes
    std::string status;  // mostly one of test_status
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  // A test seen again keeps its place and gets the new status.
  void set(std::string_view test, std::string_view status);

  // Its status, or nullptr. Valid until the next set(). Constant time.
  [[nodiscard]] const std::string* find(std::string_view test) const;
  [[nodiscard]] bool contains(std::string_view test) const { return find(test) != nullptr; }

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] auto begin() const { return entries_.begin(); }
  [[nodiscard]] auto end() const { return entries_.end(); }

  // Same tests, same statuses, same order.
  friend bool operator==(const StatusMap& left, const StatusMap& right) { return left.entries_ == right.entries_; }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t entry = 0;  // index + 1; 0: free
  };
  [[nodiscard]] std::size_t slot_of(std::string_view test, uint32_t hash) const;
  void grow();

  std::vector<Entry> entries_;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
};

// As a JSON object, a test a line, in the map's order; what is not ASCII as it is, a lone surrogate as its escape.
std::string to_json(const StatusMap& statuses);

}  // namespace awm
