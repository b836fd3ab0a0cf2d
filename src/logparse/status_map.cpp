#include "logparse/status_map.h"

#include <functional>

namespace awm {
namespace {

uint32_t hash_of(std::string_view text) {
  const uint64_t hash = std::hash<std::string_view>()(text);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

constexpr std::size_t first_slots = 64;

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto escape = [&](unsigned code) {
    out += "\\u";
    for (const unsigned shift : {12U, 8U, 4U, 0U}) out += digits[code >> shift & 0xfU];
  };
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || c == 0x7f) {
      escape(c);
    } else if (c == 0xed && i + 2 < text.size() && static_cast<unsigned char>(text[i + 1]) >= 0xa0) {
      escape(0xd000U | (static_cast<unsigned char>(text[i + 1]) & 0x3fU) << 6U |
             (static_cast<unsigned char>(text[i + 2]) & 0x3fU));
      i += 2;
    } else {
      out += text[i];
    }
  }
  out += '"';
}

}  // namespace

std::size_t StatusMap::slot_of(std::string_view test, uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash & mask;
  while (slots_[i].entry != 0 && (slots_[i].hash != hash || entries_[slots_[i].entry - 1].test != test)) {
    i = (i + 1) & mask;
  }
  return i;
}

void StatusMap::grow() {
  std::vector<Slot> old(slots_.empty() ? first_slots : slots_.size() * 2);
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.entry == 0) continue;
    std::size_t i = slot.hash & mask;
    while (slots_[i].entry != 0) i = (i + 1) & mask;
    slots_[i] = slot;
  }
}

void StatusMap::set(std::string_view test, std::string_view status) {
  if (slots_.size() < (entries_.size() + 1) * 2) grow();
  const uint32_t hash = hash_of(test);
  Slot& slot = slots_[slot_of(test, hash)];
  if (slot.entry != 0) {
    entries_[slot.entry - 1].status.assign(status);
    return;
  }
  entries_.push_back(Entry{.test = std::string(test), .status = std::string(status)});
  slot = Slot{.hash = hash, .entry = static_cast<uint32_t>(entries_.size())};
}

const std::string* StatusMap::find(std::string_view test) const {
  if (slots_.empty()) return nullptr;
  const Slot& slot = slots_[slot_of(test, hash_of(test))];
  return slot.entry == 0 ? nullptr : &entries_[slot.entry - 1].status;
}

std::string to_json(const StatusMap& statuses) {
  std::string out = "{";
  for (const auto& [test, status] : statuses) {
    out += out.size() == 1 ? "\n  " : ",\n  ";
    append_json_string(out, test);
    out += ": ";
    append_json_string(out, status);
  }
  out += statuses.empty() ? "}" : "\n}";
  return out;
}

}  // namespace awm
