// Small text tools that several rooms need.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace awm {

// Bytes → valid UTF-8: each maximal ill-formed part becomes one U+FFFD, as Python's decode(errors="replace") does
// (Unicode 15, §3.9).
std::string to_valid_utf8(std::string_view bytes);
[[nodiscard]] bool is_valid_utf8(std::string_view bytes);
// Number of code points in valid UTF-8: Python's len().
std::size_t utf8_length(std::string_view text);
// The byte offset at which code point `n` starts; text.size() when there are fewer.
std::size_t utf8_offset(std::string_view text, std::size_t n);

// Keeps the first and last half of `limit` code points and puts `note` between them; text within the limit is returned
// as it is.
std::string truncate_middle(std::string_view text, std::size_t limit, std::string_view note);

std::string_view trim(std::string_view text);  // ASCII white space
std::vector<std::string> split(std::string_view text, char separator);
// Lines without their ends; "\r\n" counts as one end. A last line without an end is a line.
std::vector<std::string_view> split_lines(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string replace_all(std::string text, std::string_view from, std::string_view to);
std::string to_lower_ascii(std::string_view text);
bool contains(std::string_view text, std::string_view part);

// For messages: "1.5 MB", "3 min 20 s", and the nearest of `known` to a mistyped word ("" when none is near).
std::string human_bytes(uint64_t bytes);
std::string human_seconds(double seconds);
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

// Quotes one word for a POSIX shell. For messages and for scripts whose every word is quoted; data never becomes code.
std::string shell_quote(std::string_view word);
// The part of a URL before its host, without the '@': "user:password" of "https://user:password@host/v1", also where
// the scheme is left out. Empty where there is none. A view of `url`.
std::string_view user_info_of(std::string_view url);

// Lower-case hex of the SHA-256 (FIPS 180-4) of the bytes: names of caches, hashes of rows and patches.
std::string sha256_hex(std::string_view bytes);

}  // namespace awm
