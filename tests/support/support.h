// What many tests need: a folder of their own, shared data or a skip, words for errors, waiting without sleeping.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/exit_status.h"

namespace awm {

// For `ASSERT_TRUE(result) << result.error();` and for gtest's own messages.
inline std::ostream& operator<<(std::ostream& out, const Error& error) {
  return out << to_string(error.code) << ": " << error.message();
}
inline std::ostream& operator<<(std::ostream& out, const ExitStatus& status) {
  return out << status.text();
}

}  // namespace awm

namespace awm::testing {

// A folder for one test below $TMPDIR, removed at its end; when the test failed it is kept, and a line says where it is
// and how to run that one test again. $AWM_KEEP keeps it always.
class TestFolder {
 public:
  TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder();
  [[nodiscard]] const std::string& path() const { return path_; }
  // path()/name; nothing is made.
  [[nodiscard]] std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Writes path()/name, its folders made, and returns the whole path.
  std::string write(std::string_view name, std::string_view content) const;

 private:
  std::string path_;
};

// The shell line that runs the current test alone.
std::string rerun_line();

// A file's whole content, and a whole file from content; the test fails where that is not possible.
std::string read_text(const std::string& path);
void write_text(const std::string& path, std::string_view content);
[[nodiscard]] bool path_exists(const std::string& path);  // also a link that leads nowhere
void remove_all(const std::string& path);                 // rm -rf, also through folders without permissions

// Path of `name` in the public data beside the project (../shared/data, or $AWM_SHARED_DATA); "" when it is not there.
std::string shared_data(std::string_view name = {});

// Looks again and again until `holds` does, at most `limit`: for what the kernel or another process does in its own
// time.
bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit = std::chrono::seconds(20));

// Numbers of this process's open descriptors, sorted, without the one that looks.
std::vector<int> open_descriptors();

// Runs as an ordinary user where the tests are run by root: permissions bind only then. True when it is root.
bool is_root();

}  // namespace awm::testing

// Skips the current test when this part of the shared data is absent: REQUIRE_SHARED_DATA("swebench/lite.jsonl");
#define REQUIRE_SHARED_DATA(name)                                                                           \
  do {                                                                                                      \
    if (::awm::testing::shared_data(name).empty()) {                                                        \
      GTEST_SKIP() << "needs the public data at ../shared/data/" << (name) << " beside the project's root"; \
    }                                                                                                       \
  } while (false)
