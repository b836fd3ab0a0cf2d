#include "sandbox/tar_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::size_t block = 512;
constexpr std::size_t max_name = 100;
constexpr std::size_t max_piece = std::size_t{256} << 10;

void put(std::string& header, std::size_t at, std::string_view text) {
  header.replace(at, text.size(), text);
}

std::string plain_header(std::string_view name, std::string_view link, char type, const TarMember& member,
                         uint64_t size) {
  std::string header(block, '\0');
  put(header, 0, name.substr(0, max_name));
  put(header, 100, fmt::format("{:07o}", member.mode & 07777U));
  put(header, 108, fmt::format("{:07o}", member.uid & 07777777U));
  put(header, 116, fmt::format("{:07o}", member.gid & 07777777U));
  if (size < (uint64_t{1} << 33)) {
    put(header, 124, fmt::format("{:011o}", size));
  } else {
    header[124] = static_cast<char>(0x80);
    for (std::size_t i = 0; i < 8; ++i) header[135 - i] = static_cast<char>((size >> (8 * i)) & 0xff);
  }
  put(header, 136, fmt::format("{:011o}", std::max<int64_t>(0, member.modified_s)));
  put(header, 148, "        ");
  header[156] = type;
  put(header, 157, link.substr(0, max_name));
  put(header, 257, "ustar");
  put(header, 263, "00");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(header, 148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  return header;
}

// GNU: a member of type L or K whose content is the next member's name or link.
std::string long_name(char type, const std::string& text) {
  const TarMember none{.type = TarMember::Type::file, .name = "", .link = ""};
  const uint64_t size = text.size() + 1;
  return plain_header("././@LongLink", "", type, none, size) + text + '\0' + tar_padding(size);
}

// One folder after the other, each file in pieces.
class FolderArchive {
 public:
  FolderArchive(const Scope& scope, std::string folder, std::string prefix, uint32_t uid, uint32_t gid)
      : scope_(scope), folder_(std::move(folder)), prefix_(std::move(prefix)), uid_(uid), gid_(gid) {
    pending_.emplace_back();
  }

  Result<std::string> next() {
    std::string piece;
    while (piece.size() < max_piece) {
      if (left_ > 0) {
        const auto before = piece.size();
        piece.resize(before + std::min<uint64_t>(left_, max_piece));
        AWM_TRY(const auto got, sys::read(file_.get(), piece.data() + before, piece.size() - before));
        if (got == 0) return fail(Errc::io, "read", folder_, "a file became shorter while it was read");
        piece.resize(before + got);
        left_ -= got;
        if (left_ == 0) {
          file_.reset();
          piece += tar_padding(size_);
        }
      } else if (!pending_.empty()) {
        AWM_CHECK(begin(piece));
      } else {
        if (!ended_) piece += tar_end();
        ended_ = true;
        break;
      }
    }
    return piece;
  }

 private:
  Result<void> begin(std::string& piece) {
    const auto relative = std::move(pending_.back());
    pending_.pop_back();
    const auto path = relative.empty() ? folder_ : join_path(folder_, relative);
    AWM_TRY(const auto info, sys::lstat(path));
    TarMember member{.type = TarMember::Type::file,
                     .name = relative.empty()  ? prefix_
                             : prefix_.empty() ? relative
                                               : prefix_ + "/" + relative,
                     .link = "",
                     .mode = info.mode,
                     .uid = uid_,
                     .gid = gid_,
                     .size = 0,
                     .modified_s = info.modified_ns / 1'000'000'000};
    switch (info.type) {
      case sys::FileInfo::Type::folder: {
        member.type = TarMember::Type::folder;
        AWM_TRY(auto names, sys::list_folder(path));
        // The last is taken first.
        std::sort(names.begin(), names.end(), std::greater<>());
        for (const auto& name : names) pending_.push_back(relative.empty() ? name : join_path(relative, name));
        if (!member.name.empty()) piece += tar_header(member);
        return {};
      }
      case sys::FileInfo::Type::link: {
        member.type = TarMember::Type::link;
        AWM_TRY(member.link, sys::readlink(path));
        piece += tar_header(member);
        return {};
      }
      case sys::FileInfo::Type::file: {
        AWM_TRY(file_, sys::open(scope_, path, sys::Open::read));
        AWM_TRY(const auto opened, sys::fstat(file_.get()));
        member.size = size_ = left_ = opened.size;
        if (left_ == 0) file_.reset();
        piece += tar_header(member);
        return {};
      }
      case sys::FileInfo::Type::socket:
      case sys::FileInfo::Type::other:
        break;
    }
    return {};
  }

  Scope scope_;
  std::string folder_;
  std::string prefix_;
  uint32_t uid_;
  uint32_t gid_;
  std::vector<std::string> pending_;  // relative paths, the next one last
  UniqueFd file_;
  uint64_t left_ = 0;
  uint64_t size_ = 0;
  bool ended_ = false;
};

}  // namespace

std::string tar_header(const TarMember& member) {
  std::string name = member.name;
  if (member.type == TarMember::Type::folder && !name.ends_with('/')) name += '/';
  std::string header;
  if (name.size() > max_name) header += long_name('L', name);
  if (member.link.size() > max_name) header += long_name('K', member.link);
  const char type = member.type == TarMember::Type::file ? '0' : member.type == TarMember::Type::folder ? '5' : '2';
  return header + plain_header(name, member.link, type, member, member.type == TarMember::Type::file ? member.size : 0);
}

std::string tar_padding(uint64_t size) {
  return std::string((block - size % block) % block, '\0');
}

std::string tar_end() {
  return std::string(2 * block, '\0');
}

std::function<Result<std::string>()> tar_of_folder(const Scope& scope, std::string folder, std::string prefix,
                                                   uint32_t uid, uint32_t gid) {
  auto archive = std::make_shared<FolderArchive>(scope, std::move(folder), std::move(prefix), uid, gid);
  return [archive] { return archive->next(); };
}

}  // namespace awm
