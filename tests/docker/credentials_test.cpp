// Docker's configuration, and helper programs of the test's own.
#include "docker/credentials.h"

#include <cstdlib>

#include "base/json.h"
#include "base/text.h"
#include "docker/docker_support.h"
#include "docker/registry.h"
#include "os/sys.h"
#include "os/thread.h"

namespace awm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Registry;
using testing::TestFolder;

const Scope scope{"test/credentials"};

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : path_(std::getenv("PATH")) {
    spawner_ = *Spawner::create(scope);
    stop_ = *Stop::create(scope);
    ::setenv("PATH", (folder_.path() + ":" + path_).c_str(), 1);
  }
  ~CredentialsTest() override { ::setenv("PATH", path_.c_str(), 1); }

  void config(const Json& json) { folder_.write("config.json", dump_json(json)); }
  // A program docker-credential-NAME, of shell text.
  void helper(const std::string& name, const std::string& script) {
    const auto path = folder_.write("docker-credential-" + name, "#!/bin/sh\n" + script);
    ASSERT_TRUE(sys::chmod(path, 0755));
  }
  Result<std::string> header(const std::string& ref, Seconds limit = Seconds(60), Cancel* cancel = nullptr) {
    return registry_auth(ref, folder_ / "config.json",
                         {.spawner = *spawner_, .stop = *stop_, .scope = scope, .cancel = cancel, .limit = limit});
  }
  // What the header says, decoded by another's decoder.
  using Login = std::map<std::string, std::string>;
  Login login(const std::string& ref) {
    const auto value = header(ref);
    EXPECT_TRUE(value) << value.error();
    if (!value || value->empty()) return {};
    const auto file = folder_.write("header", *value);
    const auto out = folder_ / "decoded";
    EXPECT_EQ(std::system(("tr -- -_ +/ <'" + file + "' | base64 -d >'" + out + "'").c_str()), 0);
    Login fields;
    const auto json = parse_json(testing::read_text(out), "the header").value_or(Json());
    for (const auto& item : json.items()) fields[item.key()] = item.value().get<std::string>();
    return fields;
  }
  Error error(const std::string& ref) {
    const auto value = header(ref);
    EXPECT_FALSE(value);
    return value ? Error{} : value.error();
  }

  const std::string path_;
  TestFolder folder_;
  std::unique_ptr<Spawner> spawner_;
  std::unique_ptr<Stop> stop_;
};

TEST(RegistryOf, IsTheNamesFirstPartWhereThatIsAHost) {
  EXPECT_EQ(registry_of("busybox"), "docker.io");
  EXPECT_EQ(registry_of("swebench/sweb.eval.x86_64.a_1776_b-1:latest"), "docker.io");
  EXPECT_EQ(registry_of("index.docker.io/a/b"), "docker.io");
  EXPECT_EQ(registry_of("ghcr.io/a/b:1"), "ghcr.io");
  EXPECT_EQ(registry_of("127.0.0.1:5000/a"), "127.0.0.1:5000");
  EXPECT_EQ(registry_of("localhost/a@sha256:00"), "localhost");
}

TEST_F(CredentialsTest, AreNobodysWhereNothingIsConfigured) {
  EXPECT_EQ(header("ghcr.io/a/b").value(), "");
  config(Json{{"auths", {{"quay.io", {{"auth", "YTpi"}}}}}});
  EXPECT_EQ(header("ghcr.io/a/b").value(), "");
  EXPECT_EQ(header("busybox").value(), "");
  EXPECT_EQ(registry_auth("busybox", "", {.spawner = *spawner_, .stop = *stop_, .scope = scope}).value(), "");
}

TEST_F(CredentialsTest, OfAuthsAreFoundByTheRegistrysName) {
  config(Json{{"auths",
               {{"https://index.docker.io/v1/", {{"auth", "dXNlcjpwYTpzc35+Pz8="}}},  // user:pa:ss~~??
                {"https://ghcr.io/v2/", {{"auth", "bm9ib2R5OngA"}}},                  // nobody:x and a zero
                {"a.b:5", {{"username", "plain"}, {"password", "open"}}},
                {"token.io", {{"auth", "dTo="}, {"identitytoken", "refresh-me"}}},
                {"empty.io", Json::object()}}}});
  EXPECT_EQ(login("busybox"),
            (Login{{"username", "user"}, {"password", "pa:ss~~??"}, {"serveraddress", "https://index.docker.io/v1/"}}));
  EXPECT_EQ(login("docker.io/a/b"), login("busybox"));
  EXPECT_EQ(login("ghcr.io/a"), (Login{{"username", "nobody"}, {"password", "x"}, {"serveraddress", "ghcr.io"}}));
  EXPECT_EQ(login("a.b:5/c"), (Login{{"username", "plain"}, {"password", "open"}, {"serveraddress", "a.b:5"}}));
  EXPECT_EQ(login("token.io/c"),
            (Login{{"username", "u"}, {"identitytoken", "refresh-me"}, {"serveraddress", "token.io"}}));
  EXPECT_EQ(header("empty.io/x").value(), "");
}

TEST_F(CredentialsTest, OfAHelperAreAskedForByTheRegistrysName) {
  helper("common", R"(read server; echo "a warning" >&2
    echo "{\"ServerURL\":\"$server\",\"Username\":\"$1 $server\",\"Secret\":\"s\"}")");
  helper("own", R"(echo '{"Username":"<token>","Secret":"refresh-me"}')");
  config(
      Json{{"credsStore", "common"}, {"credHelpers", {{"ghcr.io", "own"}}}, {"auths", {{"quay.io", Json::object()}}}});
  EXPECT_EQ(login("quay.io/a"), (Login{{"username", "get quay.io"}, {"password", "s"}, {"serveraddress", "quay.io"}}));
  EXPECT_EQ(login("busybox")["username"], "get https://index.docker.io/v1/");
  EXPECT_EQ(login("ghcr.io/a"), (Login{{"identitytoken", "refresh-me"}, {"serveraddress", "ghcr.io"}}));
}

TEST_F(CredentialsTest, WhatAHelperDoesNotKnowMayStandInAuths) {
  helper("none", "echo 'credentials not found in native keychain'; exit 1");
  config(Json{{"credsStore", "none"}, {"auths", {{"quay.io", {{"auth", "YTpi"}}}}}});
  EXPECT_EQ(login("quay.io/x")["username"], "a");
  EXPECT_EQ(header("ghcr.io/x").value(), "");
}

TEST_F(CredentialsTest, ErrorsNameTheRegistryAndHoldNoSecret) {
  const std::string secret = "hunter2";
  helper("fails", "echo '" + secret + "'; echo '" + secret + "' >&2; exit 3");
  helper("lies", "echo '{\"Username\": \"" + secret + "\"'");
  config(Json{{"credHelpers", {{"a.io", "fails"}, {"b.io", "lies"}, {"c.io", "is-not-there"}, {"d.io", "../x"}}},
              {"auths", {{"e.io", {{"auth", secret + "!"}}}}}});
  const auto fails = error("a.io/x");
  EXPECT_EQ(fails.code, Errc::protocol);
  EXPECT_THAT(fails.message(), AllOf(HasSubstr("a.io"), HasSubstr("docker-credential-fails"), HasSubstr("3")));
  const auto lies = error("b.io/x");
  EXPECT_EQ(lies.code, Errc::protocol);
  const auto missing = error("c.io/x");
  EXPECT_EQ(missing.code, Errc::not_found);
  EXPECT_THAT(missing.message(), HasSubstr("docker-credential-is-not-there"));
  EXPECT_EQ(error("d.io/x").code, Errc::invalid_input);
  const auto garbled = error("e.io/x");
  EXPECT_EQ(garbled.code, Errc::invalid_input);
  EXPECT_THAT(garbled.remedy, HasSubstr("docker login e.io"));
  folder_.write("config.json", "{\"auths\": {\"a.io\": {\"auth\": \"" + secret + "\"}");
  const auto broken = error("a.io/x");
  EXPECT_EQ(broken.code, Errc::invalid_input);
  for (const auto& one : {fails, lies, missing, garbled, broken}) EXPECT_THAT(one.message(), Not(HasSubstr(secret)));
}

TEST_F(CredentialsTest, OfAHelperThatHangsAreNotWaitedFor) {
  helper("hangs", "touch '" + (folder_ / "asked") + "'; sleep 3600");
  config(Json{{"credsStore", "hangs"}});
  const auto late = header("a.io/x", Seconds(0.05));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timed_out) << late.error();
  Cancel cancel;
  Result<std::string> value;
  auto thread = Thread::start(scope, "login", [&] { value = header("a.io/x", Seconds(3600), &cancel); });
  ASSERT_TRUE(thread) << thread.error();
  EXPECT_TRUE(testing::eventually([&] { return testing::path_exists(folder_ / "asked"); }));
  cancel.request();
  thread->join();
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Errc::closed) << value.error();
}

TEST_F(CredentialsTest, OpenARegistryThatAsksForThem) {
  REQUIRE_DOCKER();
  if (testing::docker_engine()->address().kind != EngineAddress::Kind::unix_socket)
    GTEST_SKIP() << "an engine elsewhere does not see our registry";
  const auto& engine = *testing::docker_engine();
  for (const auto how : {Registry::Login::basic, Registry::Login::token}) {
    Registry registry;
    const auto name = registry.put("awm/private:1", {testing::tar_of_file("x", sys::random_hex(100))});
    registry.want(how, "user", "open sesame");
    PullOptions options{.platform = "linux/amd64"};
    const auto shut = pull_image(engine, name, options, Deadline::in(Seconds(60)));
    ASSERT_FALSE(shut);
    EXPECT_EQ(shut.error().code, Errc::permission) << shut.error();
    helper("test", R"(echo '{"Username":"user","Secret":"shut"}')");
    config(Json{{"credHelpers", {{registry.host(), "test"}}}});
    options.registry_auth = header(name).value();
    const auto wrong = pull_image(engine, name, options, Deadline::in(Seconds(60)));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::permission) << wrong.error();
    helper("test", R"(echo '{"Username":"user","Secret":"open sesame"}')");
    options.registry_auth = header(name).value();
    const auto open = pull_image(engine, name, options, Deadline::in(Seconds(60)));
    EXPECT_TRUE(open) << open.error();
    EXPECT_EQ(registry.tokens() > 0, how == Registry::Login::token);
    EXPECT_TRUE(remove_image(engine, name, Deadline::in(Seconds(60))));
  }
}

}  // namespace
}  // namespace awm
