#include "ui/table.h"

#include <algorithm>

#include "base/text.h"

namespace awm {
namespace {

std::string clean(const std::string& cell) {
  std::string out = to_valid_utf8(cell);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return out;
}

std::string fit(const std::string& cell, std::size_t width, bool last) {
  const auto length = utf8_length(cell);
  if (length > width) return cell.substr(0, utf8_offset(cell, width > 0 ? width - 1 : 0)) + "…";
  return last ? cell : cell + std::string(width - length, ' ');
}

}  // namespace

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  std::vector<std::vector<std::string>> cells;
  for (const auto& row : rows_) {
    auto& line = cells.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      line.push_back(clean(row[i]));
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], utf8_length(line.back()));
    }
  }
  const auto total = [&] {
    std::size_t sum = 2 * (widths.empty() ? 0 : widths.size() - 1);
    for (const auto w : widths) sum += w;
    return sum;
  };
  while (total() > width) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= 8) break;
    --*widest;
  }
  std::string out;
  const auto put = [&](const std::vector<std::string>& line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (i > 0) out += "  ";
      out += fit(line[i], widths[i], i + 1 == line.size());
    }
    out += '\n';
  };
  for (std::size_t r = 0; r < cells.size(); ++r) {
    put(cells[r]);
    if (r == 0) {
      std::vector<std::string> rule;
      for (const auto w : widths) {
        std::string dashes;
        for (std::size_t k = 0; k < w; ++k) dashes += "─";
        rule.push_back(dashes);
      }
      put(rule);
    }
  }
  return out;
}

}  // namespace awm
