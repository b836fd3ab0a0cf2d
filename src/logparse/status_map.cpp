#include "logparse/status_map.h"

#include <functional>

namespace awm {
namespace {

uint32_t hash_of(std::string_view text) {
  const uint64_t hash = std::hash<std::string_view>()(text);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

constexpr std::size_t first_slots = 64;

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

}  // namespace awm
