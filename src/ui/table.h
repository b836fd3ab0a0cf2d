// A table of text for people: columns aligned by display width, cut to the terminal.
#pragma once

#include <string>
#include <vector>

namespace awm {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Lines ending in '\n', each at most `width` columns; the widest column gives way. Control characters become spaces.
  [[nodiscard]] std::string text(std::size_t width = 120) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace awm
