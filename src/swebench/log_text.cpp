#include "swebench/log_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"
#include "logparse/parsers.h"
#include "logparse/python_text.h"
#include "os/file.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;
constexpr std::size_t longest_line = std::size_t{8} << 20;
constexpr std::size_t condensed_limit = std::size_t{256} << 20;

const Scope& log_scope() {
  static const Scope scope("process/log");
  return scope;
}

// How many bytes at the end belong to a character that is not all there yet.
std::size_t unfinished(std::string_view bytes) {
  for (std::size_t n = 1; n <= 3 && n <= bytes.size(); ++n) {
    const auto c = static_cast<unsigned char>(bytes[bytes.size() - n]);
    if ((c & 0xc0U) == 0x80U) continue;
    const std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return length > n ? n : 0;
  }
  return 0;
}

// --- which lines a parser reads something in
using LinePredicate = bool (*)(std::string_view line);

constexpr std::array<std::string_view, 5> statuses{"FAILED", "PASSED", "SKIPPED", "ERROR", "XFAIL"};

bool starts_with_status(std::string_view line) {
  return std::any_of(statuses.begin(), statuses.end(),
                     [&](std::string_view status) { return line.starts_with(status); });
}
// With colours and control characters taken out, a status may come to stand at the line's start or end.
bool may_have_status(std::string_view line) {
  const bool changes =
      std::any_of(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }) ||
      line.find('[') != std::string_view::npos;
  return changes || starts_with_status(line) ||
         std::any_of(statuses.begin(), statuses.end(), [&](std::string_view status) { return line.ends_with(status); });
}
bool seaborn_line(std::string_view line) {
  return line.starts_with("FAILED") || python::has(line, "PASSED");
}
bool sympy_line(std::string_view line) {
  return python::has(line, ".py:") || python::has(line, "test_");
}
bool django_line(std::string_view line) {
  const auto bare = python::strip(line);
  return python::has(line, " ... ") || python::has(line, "silenced") ||
         python::has(line, "--version is equivalent to version") || bare.starts_with("FAIL:") ||
         bare.starts_with("ERROR:") || bare.starts_with("ok");
}

struct ParserLines {
  std::string_view parser;
  LinePredicate reads;
};
constexpr std::array<ParserLines, 19> parser_lines{{{"parse_log_pytest", starts_with_status},
                                                    {"parse_log_pytest_options", starts_with_status},
                                                    {"parse_log_pytest_v2", may_have_status},
                                                    {"parse_log_astroid", starts_with_status},
                                                    {"parse_log_flask", starts_with_status},
                                                    {"parse_log_marshmallow", starts_with_status},
                                                    {"parse_log_pvlib", starts_with_status},
                                                    {"parse_log_pyvista", starts_with_status},
                                                    {"parse_log_sqlfluff", starts_with_status},
                                                    {"parse_log_xarray", starts_with_status},
                                                    {"parse_log_pydicom", starts_with_status},
                                                    {"parse_log_requests", starts_with_status},
                                                    {"parse_log_pylint", starts_with_status},
                                                    {"parse_log_astropy", may_have_status},
                                                    {"parse_log_scikit", may_have_status},
                                                    {"parse_log_sphinx", may_have_status},
                                                    {"parse_log_seaborn", seaborn_line},
                                                    {"parse_log_sympy", sympy_line},
                                                    {"parse_log_django", django_line}}};

}  // namespace

std::string Utf8Pieces::next(std::string_view bytes) {
  held_ += bytes;
  const std::size_t hold = unfinished(held_);
  std::string rest = held_.substr(held_.size() - hold);
  held_.resize(held_.size() - hold);
  std::string text = to_valid_utf8(held_);
  held_ = std::move(rest);
  return text;
}

std::string Utf8Pieces::end() {
  std::string text = to_valid_utf8(held_);
  held_.clear();
  return text;
}

Result<LogText> LogText::open(const std::string& path, uint64_t whole_limit) {
  AWM_TRY(const auto info, sys::stat(path));
  LogText log;
  if (info.size <= whole_limit) {
    AWM_TRY(auto bytes, read_file(path));
    log.text_ = decode_log(std::move(bytes));
  } else {
    log.path_ = path;
  }
  return log;
}

LogText LogText::from(std::string text) {
  LogText log;
  log.text_ = decode_log(std::move(text));
  return log;
}

Result<void> LogText::each_piece(const std::function<void(std::string_view)>& take) const {
  if (is_whole()) {
    take(text_);
    return {};
  }
  AWM_TRY(const auto file, sys::open(log_scope(), path_, sys::Open::read));
  std::string raw;      // bytes read and not decoded yet
  std::string decoded;  // text that its line's end is not there of
  for (;;) {
    const std::size_t before = raw.size();
    raw.resize(before + piece_bytes);
    AWM_TRY(const std::size_t got, sys::read(file.get(), raw.data() + before, piece_bytes));
    raw.resize(before + got);
    // A "\r" at the end may be half of a line's end.
    const std::size_t hold = got == 0 ? 0 : raw.ends_with('\r') ? 1 : unfinished(raw);
    std::string rest = raw.substr(raw.size() - hold);
    raw.resize(raw.size() - hold);
    decoded += decode_log(std::move(raw));
    raw = std::move(rest);
    if (got == 0) break;
    std::size_t end = decoded.rfind('\n');
    if (end != std::string::npos) {
      ++end;
    } else if (decoded.size() > longest_line) {
      end = decoded.size();
    } else {
      continue;
    }
    take(std::string_view(decoded).substr(0, end));
    decoded.erase(0, end);
  }
  if (!decoded.empty()) take(decoded);
  return {};
}

Result<std::string> condensed(const LogText& log, std::string_view name, uint64_t from, uint64_t to) {
  const auto* known = std::find_if(parser_lines.begin(), parser_lines.end(),
                                   [&](const ParserLines& one) { return one.parser == name; });
  const LinePredicate reads = known == parser_lines.end() ? nullptr : known->reads;
  std::string text;
  uint64_t offset = 0;
  bool left_out = false;
  bool too_much = false;
  AWM_CHECK(log.each_piece([&](std::string_view piece) {
    const uint64_t begin = offset;
    offset += piece.size();
    if (too_much || offset <= from || begin >= to) return;
    if (to < offset) piece = piece.substr(0, to - begin);
    if (from > begin) piece.remove_prefix(from - begin);
    if (reads == nullptr) {
      text += piece;
    } else {
      while (!piece.empty()) {
        const auto end = piece.find('\n');
        const std::string_view line = piece.substr(0, end);
        const bool ended = end != std::string_view::npos;
        if (reads(line)) {
          if (left_out) text += '\n';
          left_out = false;
          text += line;
          if (ended) text += '\n';
        } else {
          left_out = true;
        }
        piece.remove_prefix(ended ? end + 1 : piece.size());
      }
    }
    too_much = text.size() > condensed_limit;
  }));
  if (too_much) {
    return fail(Errc::exhausted, "read", "the test log",
                fmt::format("more than {} of it would have to be read at once", human_bytes(condensed_limit)));
  }
  return text;
}

}  // namespace awm
