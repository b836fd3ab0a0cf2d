// Writes tar archives: of the few files that we make ourselves, and of a folder of this machine, in pieces.
// Format: POSIX.1-1988 ustar, with GNU's long names and sizes of 8 GiB and above in base 256.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/ledger.h"
#include "base/result.h"

namespace awm {

struct TarMember {
  enum class Type { file, folder, link } type = Type::file;
  std::string name;  // relative; of a folder with or without its slash
  std::string link;  // target of a link
  unsigned mode = 0644;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  // of a file
  int64_t modified_s = 0;
};

// The header: 512 bytes, more where a name is longer than 100. A file's content follows, then tar_padding(size).
std::string tar_header(const TarMember& member);
std::string tar_padding(uint64_t size);
// What ends an archive.
std::string tar_end();

// The whole of a folder as an archive, in pieces, empty at the end: members are named PREFIX and their path below it
// ("" : relative to the folder), owned by uid and gid, with the modes and times that they have. Sockets, pipes and
// devices are left out. One descriptor while it runs. Errors come from the pieces: io, not_found (a file went away).
std::function<Result<std::string>()> tar_of_folder(const Scope& scope, std::string folder, std::string prefix,
                                                   uint32_t uid, uint32_t gid);

}  // namespace awm
