#include "lent.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

const char* lent_name(const char* argv0) {
  const char* slash = std::strrchr(argv0, '/');
  const char* name = slash != nullptr ? slash + 1 : argv0;
  return std::strcmp(name, "git") == 0 ? name : nullptr;
}

int run_lent(const char* name, int argc, char** argv) {
  // The helper lies in the folder that bin/ and lent/ lie in, whatever it was called by.
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0 || length == sizeof self) {
    std::fprintf(stderr, "awm-helper: %s: /proc is not there\n", name);
    return 127;
  }
  std::string base(self, static_cast<std::size_t>(length));
  base.resize(base.rfind('/'));
  const std::string loader = base + "/lent/loader";
  const std::string libraries = base + "/lent/lib";
  const std::string program = base + "/lent/" + name;
  // git finds itself, and the commands that it is made of, where it was called; it has no templates here.
  ::setenv("GIT_EXEC_PATH", (base + "/bin").c_str(), 1);
  ::setenv("GIT_TEMPLATE_DIR", "", 0);
  std::vector<const char*> words{loader.c_str(), "--library-path", libraries.c_str(), "--argv0", name, program.c_str()};
  for (int i = 1; i < argc; ++i) words.push_back(argv[i]);
  words.push_back(nullptr);
  ::execv(loader.c_str(), const_cast<char* const*>(words.data()));
  std::fprintf(stderr, "awm-helper: %s: %s: %s\n", name, loader.c_str(), std::strerror(errno));
  return 127;
}
