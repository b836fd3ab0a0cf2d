// Tokens as tiktoken's cl100k_base counts them (tiktoken 0.14, encode_ordinary: special tokens are text).
//
// Ranks: data/cl100k_base.bin; character classes: Unicode 16, as tiktoken's own regex engine has them. Origin and
// licence: data/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace awm {

// Thread-safe; the table is made at the first call (some milliseconds, about 3 MB). Time grows as n log n at worst.
// Bytes that are not UTF-8 are counted as U+FFFD would be, one for each maximal ill-formed part.
std::size_t count_tokens(std::string_view text);
std::vector<uint32_t> encode_tokens(std::string_view text);
// The bytes of one token; "" for an id that is none.
std::string_view token_bytes(uint32_t id);

}  // namespace awm
