#include "memory/tokens.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <queue>
#include <string>

#include "base/text.h"
#include "memory/tokens_data.h"

namespace awm {
namespace {

struct CodePointRange {
  uint32_t first;
  uint32_t last;
};
#include "memory/data/unicode_classes.inc"

// --- the vocabulary --------------------------------------------------------------------------------------------------

constexpr uint32_t no_token = UINT32_MAX;
constexpr std::size_t longest_token = 128;

uint64_t hash_bytes(const char* data, std::size_t size) {
  uint64_t hash = size * 0x9E3779B97F4A7C15ULL;
  while (size > 0) {
    uint64_t word = 0;
    const std::size_t n = std::min<std::size_t>(size, 8);
    std::memcpy(&word, data, n);
    hash = (hash ^ word) * 0xD6E8FEB86659FD93ULL;
    hash ^= hash >> 32;
    data += n;
    size -= n;
  }
  return hash;
}

class Vocabulary {
 public:
  static const Vocabulary& get() {
    static const Vocabulary vocabulary;
    return vocabulary;
  }

  [[nodiscard]] uint32_t find(const char* data, std::size_t size) const {
    if (size == 2) return pairs_[pair_index(data)];
    if (size > longest_token) return no_token;
    const uint64_t hash = hash_bytes(data, size);
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot slot = slots_[at];
      if (slot.id == no_token) return no_token;
      if (slot.tag != tag_of(hash)) continue;
      const std::string_view token = bytes(slot.id);
      if (token.size() == size && std::memcmp(token.data(), data, size) == 0) return slot.id;
    }
  }

  [[nodiscard]] std::size_t size() const { return tokens_.size(); }
  [[nodiscard]] std::string_view bytes(uint32_t id) const {
    const Token token = tokens_[id];
    return {data_ + token.offset, token.size};
  }

 private:
  struct Token {
    uint32_t offset;
    uint32_t size;
  };
  struct Slot {
    uint32_t id = no_token;
    uint32_t tag = 0;
  };
  static constexpr std::size_t mask = (std::size_t{1} << 18) - 1;
  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
  static std::size_t pair_index(const char* data) {
    return std::size_t{static_cast<unsigned char>(data[0])} << 8 | static_cast<unsigned char>(data[1]);
  }

  Vocabulary() : slots_(mask + 1), pairs_(65536, no_token) {
    const auto blob = cl100k_base_data();
    data_ = reinterpret_cast<const char*>(blob.data());
    tokens_.reserve(100'256);
    for (std::size_t at = 0; at < blob.size();) {
      const std::size_t size = blob[at];
      const auto id = static_cast<uint32_t>(tokens_.size());
      tokens_.push_back({static_cast<uint32_t>(at + 1), static_cast<uint32_t>(size)});
      const char* data = data_ + at + 1;
      if (size == 2) {
        pairs_[pair_index(data)] = id;
      } else {
        const uint64_t hash = hash_bytes(data, size);
        std::size_t slot = hash & mask;
        while (slots_[slot].id != no_token) slot = (slot + 1) & mask;
        slots_[slot] = {id, tag_of(hash)};
      }
      at += 1 + size;
    }
  }

  const char* data_ = nullptr;
  std::vector<Token> tokens_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> pairs_;
};

// --- merging bytes to tokens -----------------------------------------------------------------------------------------
// The pair with the lowest rank is merged first, of equals the leftmost, until no two neighbours are a token.

// For short pieces: look over all of them each time.
template <class Take>
void merge_short(const Vocabulary& vocabulary, std::string_view piece, const Take& take) {
  struct Part {
    uint32_t start;
    uint32_t rank;  // of this part with the next one
  };
  std::array<Part, 130> parts;
  auto count = static_cast<uint32_t>(piece.size());
  const auto rank_at = [&](uint32_t i) {
    if (i + 2 > count) return no_token;
    return vocabulary.find(piece.data() + parts[i].start, parts[i + 2].start - parts[i].start);
  };
  for (uint32_t i = 0; i <= count; ++i) parts[i].start = i;
  for (uint32_t i = 0; i < count; ++i) parts[i].rank = rank_at(i);
  for (;;) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; ++i) {
      if (parts[i].rank < parts[best].rank) best = i;
    }
    if (parts[best].rank == no_token) break;
    std::copy(parts.begin() + best + 2, parts.begin() + count + 1, parts.begin() + best + 1);
    --count;
    parts[best].rank = rank_at(best);
    if (best > 0) parts[best - 1].rank = rank_at(best - 1);
  }
  for (uint32_t i = 0; i < count; ++i) {
    take(vocabulary.find(piece.data() + parts[i].start, parts[i + 1].start - parts[i].start));
  }
}

// For long ones: a heap of pairs over a list of parts.
template <class Take>
void merge_long(const Vocabulary& vocabulary, std::string_view piece, const Take& take) {
  struct Pair {
    uint32_t rank;
    uint32_t start;
    uint32_t end;
    bool operator>(const Pair& other) const { return rank != other.rank ? rank > other.rank : start > other.start; }
  };
  const auto count = static_cast<uint32_t>(piece.size());
  std::vector<uint32_t> next(count + 1);      // where the part that starts here ends; 0: no part starts here
  std::vector<uint32_t> previous(count + 1);  // where the part before it starts
  std::vector<Pair> pairs;
  const auto pair_of = [&](uint32_t start, uint32_t end) {
    return Pair{vocabulary.find(piece.data() + start, end - start), start, end};
  };
  for (uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i + 1] = i;
    if (i + 2 > count) continue;
    if (const Pair pair = pair_of(i, i + 2); pair.rank != no_token) pairs.push_back(pair);
  }
  std::priority_queue<Pair, std::vector<Pair>, std::greater<>> heap(std::greater<>{}, std::move(pairs));
  while (!heap.empty()) {
    const Pair pair = heap.top();
    heap.pop();
    // Gone by when either part was merged with another meanwhile.
    const uint32_t middle = next[pair.start];
    if (middle == 0 || middle >= count || next[middle] != pair.end) continue;
    next[pair.start] = pair.end;
    next[middle] = 0;
    if (pair.end < count) {
      previous[pair.end] = pair.start;
      const Pair right = pair_of(pair.start, next[pair.end]);
      if (right.rank != no_token) heap.push(right);
    }
    if (pair.start > 0) {
      const Pair left = pair_of(previous[pair.start], pair.end);
      if (left.rank != no_token) heap.push(left);
    }
  }
  for (uint32_t at = 0; at < count; at = next[at]) take(vocabulary.find(piece.data() + at, next[at] - at));
}

template <class Take>
void encode_piece(const Vocabulary& vocabulary, std::string_view piece, const Take& take) {
  if (const uint32_t whole = vocabulary.find(piece.data(), piece.size()); whole != no_token) {
    take(whole);
  } else if (piece.size() <= longest_token) {
    merge_short(vocabulary, piece, take);
  } else {
    // Offsets are 32 bits wide; no text here comes near.
    merge_long(vocabulary, piece, take);
  }
}

// --- cutting text into pieces ----------------------------------------------------------------------------------------
// By hand what tiktoken's pattern says:
//   '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|
//   ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s

enum class Class : uint8_t { letter, number, space, line_end, other, none };

Class wide_class(uint32_t point) {
  const auto within = [point](const auto& ranges) {
    const auto it = std::ranges::lower_bound(ranges, point, {}, &CodePointRange::last);
    return it != std::end(ranges) && it->first <= point;
  };
  switch (point) {
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return Class::space;
    default:
      break;
  }
  if (point >= 0x2000 && point <= 0x200A) return Class::space;
  if (within(letters)) return Class::letter;
  if (within(numbers)) return Class::number;
  return Class::other;
}

constexpr auto ascii_classes = [] {
  std::array<Class, 128> classes{};
  for (std::size_t c = 0; c < 128; ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      classes[c] = Class::letter;
    } else if (c >= '0' && c <= '9') {
      classes[c] = Class::number;
    } else if (c == '\r' || c == '\n') {
      classes[c] = Class::line_end;
    } else if (c == ' ' || (c >= 9 && c <= 13)) {
      classes[c] = Class::space;
    } else {
      classes[c] = Class::other;
    }
  }
  return classes;
}();

// Over valid UTF-8.
class Cutter {
 public:
  explicit Cutter(std::string_view text) : text_(text) {}

  // The piece at the front of what is left; "" at the end.
  std::string_view next() {
    const std::size_t start = at_;
    if (start < text_.size()) at_ = end_of_piece(start);
    return text_.substr(start, at_ - start);
  }

 private:
  struct Char {
    Class kind = Class::none;
    std::size_t end = 0;  // offset behind it
  };

  [[nodiscard]] Char at(std::size_t offset) const {
    if (offset >= text_.size()) return {Class::none, offset};
    const auto byte = static_cast<unsigned char>(text_[offset]);
    if (byte < 0x80) return {ascii_classes[byte], offset + 1};
    const auto tail = [&](std::size_t i) { return static_cast<unsigned char>(text_[offset + i]) & 0x3FU; };
    if (byte < 0xE0) return {wide_class((byte & 0x1FU) << 6 | tail(1)), offset + 2};
    if (byte < 0xF0) return {wide_class((byte & 0x0FU) << 12 | tail(1) << 6 | tail(2)), offset + 3};
    return {wide_class((byte & 0x07U) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)), offset + 4};
  }
  // Behind the run of this class that starts at `offset`.
  [[nodiscard]] std::size_t run_end(std::size_t offset, Class kind) const {
    for (Char c = at(offset); c.kind == kind; c = at(offset)) offset = c.end;
    return offset;
  }

  // Behind the contraction at `offset`, an apostrophe; `offset` when there is none. Case folds by Unicode: U+017F is an
  // s.
  [[nodiscard]] std::size_t contraction_end(std::size_t offset) const {
    const std::string_view rest = text_.substr(offset + 1, 2);
    if (rest.empty()) return offset;
    const auto lower = [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); };
    const char first = lower(rest[0]);
    if (first == 's' || first == 'd' || first == 'm' || first == 't') return offset + 2;
    if (rest.size() < 2) return offset;
    if (rest == "\xC5\xBF") return offset + 3;
    const char second = lower(rest[1]);
    const bool known =
        (first == 'l' && second == 'l') || (first == 'v' && second == 'e') || (first == 'r' && second == 'e');
    return known ? offset + 3 : offset;
  }

  [[nodiscard]] std::size_t end_of_piece(std::size_t start) const {
    const Char first = at(start);
    if (first.kind == Class::letter) return run_end(first.end, Class::letter);
    if (text_[start] == '\'') {
      if (const std::size_t end = contraction_end(start); end > start) return end;
    }
    if (first.kind == Class::number) {
      std::size_t end = first.end;
      for (int more = 0; more < 2; ++more) {
        const Char c = at(end);
        if (c.kind != Class::number) break;
        end = c.end;
      }
      return end;
    }
    const Char second = at(first.end);
    if (first.kind != Class::line_end && second.kind == Class::letter) return run_end(second.end, Class::letter);
    if (first.kind == Class::other || (text_[start] == ' ' && second.kind == Class::other)) {
      const std::size_t end = run_end(first.kind == Class::other ? first.end : second.end, Class::other);
      return run_end(end, Class::line_end);
    }
    return end_of_space(start);
  }

  // A run of white space: whole at the end of the text, else up to its last line end, else without its last character.
  [[nodiscard]] std::size_t end_of_space(std::size_t start) const {
    std::size_t end = start;
    std::size_t behind_line_end = start;
    std::size_t last = start;
    for (Char c = at(end); c.kind == Class::space || c.kind == Class::line_end; c = at(end)) {
      last = end;
      end = c.end;
      if (c.kind == Class::line_end) behind_line_end = end;
    }
    if (end == text_.size()) return end;
    if (behind_line_end > start) return behind_line_end;
    return last > start ? last : end;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

template <class Take>
void encode(std::string_view text, const Take& take) {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = to_valid_utf8(text);
    text = repaired;
  }
  const auto& vocabulary = Vocabulary::get();
  Cutter cutter(text);
  for (auto piece = cutter.next(); !piece.empty(); piece = cutter.next()) encode_piece(vocabulary, piece, take);
}

}  // namespace

std::size_t count_tokens(std::string_view text) {
  std::size_t count = 0;
  encode(text, [&count](uint32_t) { ++count; });
  return count;
}

std::vector<uint32_t> encode_tokens(std::string_view text) {
  std::vector<uint32_t> ids;
  encode(text, [&ids](uint32_t id) { ids.push_back(id); });
  return ids;
}

std::string_view token_bytes(uint32_t id) {
  const auto& vocabulary = Vocabulary::get();
  return id < vocabulary.size() ? vocabulary.bytes(id) : std::string_view();
}

}  // namespace awm
