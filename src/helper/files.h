// File operations of the protocol. Each fills `failure` and returns false when it fails. None blocks on pipes or
// devices.
#pragma once

#include <string>

#include "wire.h"

namespace awm::helper {

[[nodiscard]] bool read_file(const wire::Read& request, wire::ReadResult& result, wire::Failure& failure);
[[nodiscard]] bool write_file(const wire::Write& request, wire::Failure& failure);
[[nodiscard]] bool stat_file(const wire::Stat& request, wire::FileInfo& result, wire::Failure& failure);
[[nodiscard]] bool list_folder(const wire::List& request, wire::ListResult& result, wire::Failure& failure);
[[nodiscard]] bool make_folder(const wire::Mkdir& request, wire::Failure& failure);
[[nodiscard]] bool rename_file(const wire::Rename& request, wire::Failure& failure);

// May take long with a big tree, however deep: runs in a worker.
[[nodiscard]] bool remove_path(const wire::Remove& request, wire::Failure& failure);

// Makes `path` and its missing parents. False: errno.
[[nodiscard]] bool make_folders(const std::string& path, unsigned mode);

}  // namespace awm::helper
