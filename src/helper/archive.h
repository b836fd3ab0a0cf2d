// Tar streams: POSIX ustar and pax, GNU long names read as well. Straight-line code that may block: it runs in a
// worker.
#pragma once

#include <string>

#include "wire.h"

namespace awm::helper {

// Unpacks what `in` brings under `folder`, as wire::Put says. False: `failure` names member and reason; result counts
// what was done.
[[nodiscard]] bool unpack(int in, const std::string& folder, bool make_folder, wire::ArchiveResult& result,
                          wire::Failure& failure);

// Packs `path` to `out`, as wire::Get says.
[[nodiscard]] bool pack(int out, const std::string& path, const std::string& name, wire::ArchiveResult& result,
                        wire::Failure& failure);

}  // namespace awm::helper
