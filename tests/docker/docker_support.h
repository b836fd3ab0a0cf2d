// The Docker engine that tests use, and the image that they run in.
#pragma once

#include <functional>
#include <string>

#include "docker/containers.h"
#include "docker/engine.h"
#include "docker/images.h"
#include "support/support.h"

namespace awm::testing {

// $AWM_TEST_DOCKER_HOST, else $DOCKER_HOST or the usual socket; null when nobody answers there. Found once a program.
const Engine* docker_engine();
std::string why_no_docker();

// Name of an image of this machine's own Debian files (scripts/test_image.sh), imported where it is missing. In an
// engine that is not the tests' own it is removed when the program ends.
const std::string& docker_test_image();
// The same with a C++ compiler and googletest: for the example tasks.
const std::string& docker_build_image();
// An image made of nothing but these files ("name" → content; mode 0755), named awm-test-NAME; removed with the
// program.
std::string docker_made_image(const std::string& name, const std::vector<std::pair<std::string, std::string>>& files);

// The archive of docker_test_image(), made where it is missing; "" with a failure noted when it cannot be.
std::string docker_test_archive();
// A file in pieces, for import_image.
std::function<Result<std::string>()> pieces_of(const std::string& path);

// "unix:///…" as an address.
EngineAddress address_of(const std::string& host);

}  // namespace awm::testing

// Skips where there is no engine; where the tests are run for good (CI) that is a failure.
#define REQUIRE_DOCKER()                                                                                               \
  do {                                                                                                                 \
    if (::awm::testing::docker_engine() == nullptr) {                                                                  \
      if (std::getenv("CI") != nullptr) FAIL() << "CI must have a Docker engine: " << ::awm::testing::why_no_docker(); \
      GTEST_SKIP() << "no Docker engine: " << ::awm::testing::why_no_docker();                                         \
    }                                                                                                                  \
  } while (false)
