// Reads texts from standard input, one JSON string a line, and prints the ids of each one's tokens: for the scripts
// that compare with others' tokenizers (fuzz_tokens.mjs, fuzz_tokens.py).
#include <iostream>
#include <string>

#include "base/json.h"
#include "memory/tokens.h"

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto text = awm::parse_json(line, "standard input");
    if (!text || !text->is_string()) {
      std::cout << "not a JSON string\n";
      continue;
    }
    for (const auto id : awm::encode_tokens(text->get_ref<const std::string&>())) std::cout << id << ' ';
    std::cout << '\n';
  }
}
