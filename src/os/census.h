// What the kernel says this process holds, compared with what the ledger says.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ledger.h"

namespace awm {

struct CensusItem {
  ResourceKind kind{};
  int64_t id = 0;
  std::string what;        // what a descriptor points to, a thread's or child's name
  std::string identity{};  // the same thing twice has the same identity: inode or start time
};

struct Census {
  std::vector<CensusItem> descriptors;
  std::vector<CensusItem> threads;
  std::vector<CensusItem> children;
  // What the ledger had just before: another thread may give a thing back between the look at the kernel and the
  // comparison.
  std::set<std::pair<ResourceKind, int64_t>> owned;
};

// Reads the ledger's list, then /proc/self. The descriptor that reads is not counted.
Census take_census(const Ledger& ledger = Ledger::process());

// Things that a library owns without telling, allowed up to a bound: {thread, "resolver", 1}.
struct LibraryAllowance {
  ResourceKind kind{};
  std::string what_prefix;  // matches CensusItem::what; "" any
  std::size_t bound = 0;
  std::string library;
};

struct ResourceDifference {
  std::vector<CensusItem> unknown;    // the kernel has it, the ledger does not, no library accounts for it
  std::vector<LedgerEntry> vanished;  // the ledger has it, the kernel does not
};

// Compares; what the ledger has before or after the look is owned, so that nothing in the making or in the giving back
// is called lost. An unknown item counts only when `previous` (may be null) showed it with the same identity.
ResourceDifference compare_with_ledger(const Census& now, const Census* previous, const Ledger& ledger,
                                       const std::vector<LibraryAllowance>& allowances,
                                       const std::vector<CensusItem>& inherited);

}  // namespace awm
