#include <cstdlib>

#include "docker/engine.h"
#include "support/support.h"

namespace awm {
namespace {

using ::testing::HasSubstr;

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) before_ = old;
    if (value != nullptr) {
      ::setenv(name, value, 1);
    } else {
      ::unsetenv(name);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

Result<EngineAddress> read(const char* host, const char* tls = nullptr) {
  const Variable variable("DOCKER_HOST", host);
  const Variable verify("DOCKER_TLS_VERIFY", tls);
  return engine_address_from_environment();
}

TEST(EngineAddress, IsTheUsualSocketWhereNothingIsSaid) {
  for (const char* nothing : {static_cast<const char*>(nullptr), ""}) {
    const auto address = read(nothing);
    ASSERT_TRUE(address) << address.error();
    EXPECT_EQ(address->text(), "unix:///var/run/docker.sock");
  }
}

TEST(EngineAddress, ReadsSocketsAndHosts) {
  EXPECT_EQ(read("unix:///run/user/1000/docker.sock")->path, "/run/user/1000/docker.sock");
  const auto tcp = read("tcp://build-host:2376/");
  ASSERT_TRUE(tcp) << tcp.error();
  EXPECT_EQ(tcp->host, "build-host");
  EXPECT_EQ(tcp->port, 2376);
  EXPECT_EQ(read("tcp://10.0.0.1")->port, 2375);
  const auto six = read("tcp://[::1]:2375");
  ASSERT_TRUE(six) << six.error();
  EXPECT_EQ(six->host, "::1");
}

TEST(EngineAddress, RefusesWhatItDoesNotUnderstandAndSaysWhatHelps) {
  for (const char* bad : {"tcp://", "tcp://host:0", "tcp://host:99999", "tcp://host:x", "unix://"}) {
    const auto address = read(bad);
    ASSERT_FALSE(address) << bad;
    EXPECT_EQ(address.error().code, Errc::invalid_input) << bad;
    EXPECT_THAT(address.error().object, HasSubstr(bad));
  }
  for (const char* later : {"ssh://me@host", "npipe:////./pipe/docker_engine", "fd://", "/var/run/docker.sock"}) {
    const auto address = read(later);
    ASSERT_FALSE(address) << later;
    EXPECT_EQ(address.error().code, Errc::unsupported) << later;
    EXPECT_FALSE(address.error().remedy.empty());
  }
  const auto tls = read("tcp://host:2376", "1");
  ASSERT_FALSE(tls);
  EXPECT_EQ(tls.error().code, Errc::unsupported);
  EXPECT_THAT(tls.error().cause, HasSubstr("TLS"));
}

TEST(UrlEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(url_encode("a-z_0.9~"), "a-z_0.9~");
  EXPECT_EQ(url_encode("a/b:c d\"{}\xc3\xa9"), "a%2Fb%3Ac%20d%22%7B%7D%C3%A9");
}

}  // namespace
}  // namespace awm
