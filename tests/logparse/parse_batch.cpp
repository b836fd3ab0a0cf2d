// Reads logs from standard input and writes status maps, for fuzz_against_reference.py and bench/parse_logs.py: many
// logs through one process. All numbers are 4 bytes, little-endian.
//
//   request: parser, version, instance id, log, each a length and its bytes; before the log one byte: 1 when it is to
//   be
//            decoded like a file, 0 when it is text as it stands
//   answer:  the number of entries and, for each, test and status as length and bytes; or 0xffffffff and a message
//
// With --time REPEATS FILE… it parses files instead (PARSER:PATH each) and prints "bytes tests seconds" of the best
// round.
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "logparse/parsers.h"

namespace {

bool read_bytes(std::string& bytes, std::size_t size) {
  bytes.resize(size);
  return static_cast<bool>(std::cin.read(bytes.data(), static_cast<std::streamsize>(size)));
}

bool read_number(uint32_t& number) {
  std::string bytes;
  if (!read_bytes(bytes, 4)) return false;
  number = 0;
  for (std::size_t i = 4; i-- > 0;) number = number << 8U | static_cast<unsigned char>(bytes[i]);
  return true;
}

bool read_string(std::string& text) {
  uint32_t size = 0;
  return read_number(size) && read_bytes(text, size);
}

void put_number(std::string& out, std::size_t number) {
  for (int i = 0; i < 4; ++i, number >>= 8U) out += static_cast<char>(static_cast<unsigned char>(number & 0xffU));
}

void put_string(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

int answer_requests() {
  std::string name;
  std::string version;
  std::string instance;
  std::string mode;
  std::string log;
  while (read_string(name)) {
    if (!read_string(version) || !read_string(instance) || !read_bytes(mode, 1) || !read_string(log)) return 1;
    const awm::LogParser* parser = awm::find_log_parser(name);
    if (parser == nullptr) return 1;
    const std::string text = mode[0] != 0 ? awm::decode_log(log) : log;
    const auto statuses = parser->parse(text, awm::LogContext{.version = version, .instance_id = instance});
    std::string answer;
    if (!statuses) {
      put_number(answer, 0xffffffff);
      put_string(answer, statuses.error().message());
    } else {
      put_number(answer, statuses->size());
      for (const auto& [test, status] : *statuses) {
        put_string(answer, test);
        put_string(answer, status);
      }
    }
    std::cout.write(answer.data(), static_cast<std::streamsize>(answer.size())).flush();
  }
  return 0;
}

int time_files(int count, char** arguments) {
  const int rounds = std::stoi(arguments[2]);
  std::vector<std::pair<const awm::LogParser*, std::string>> logs;
  std::size_t bytes = 0;
  for (int i = 3; i < count; ++i) {
    const std::string_view argument = arguments[i];
    const std::size_t colon = argument.find(':');
    const awm::LogParser* parser = awm::find_log_parser(argument.substr(0, colon));
    std::ifstream file(std::string(argument.substr(colon + 1)), std::ios::binary);
    if (parser == nullptr || !file) return 1;
    std::string content{std::istreambuf_iterator<char>(file), {}};
    bytes += content.size();
    logs.emplace_back(parser, std::move(content));
  }
  double best = 0;
  std::size_t tests = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    tests = 0;
    for (const auto& [parser, content] : logs) {
      const auto statuses = parser->parse(awm::decode_log(content), {});
      tests += statuses ? statuses->size() : 0;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (round == 0 || took.count() < best) best = took.count();
  }
  std::cout << bytes << ' ' << tests << ' ' << best << '\n';
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::ios::sync_with_stdio(false);
  if (count > 3 && std::string_view(arguments[1]) == "--time") return time_files(count, arguments);
  return answer_requests();
}
