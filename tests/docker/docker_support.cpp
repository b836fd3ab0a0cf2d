
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/text.h"
#include "docker/docker_support.h"
#include "os/file.h"

namespace awm::testing {
namespace {

struct Found {
  std::unique_ptr<Engine> engine;
  std::string why;
};

const Found& found() {
  static const Found once = [] {
    Found f;
    EngineAddress address;
    if (const char* ours = std::getenv("AWM_TEST_DOCKER_HOST"); ours != nullptr && *ours != '\0') {
      address = address_of(ours);
    } else if (auto theirs = engine_address_from_environment()) {
      address = *theirs;
    }
    auto engine = Engine::connect(Scope("test/engine"), address, Deadline::in(Seconds(10)));
    if (engine) {
      f.engine = *std::move(engine);
    } else {
      f.why = engine.error().message() + "; scripts/dockerd.sh with COMMAND starts one for a command";
    }
    return f;
  }();
  return once;
}

// Images that this program made; gone with it.
class MadeImages : public ::testing::Environment {
 public:
  void TearDown() override {
    for (const auto& name : names) {
      if (auto gone = remove_image(*docker_engine(), name, Deadline::in(Seconds(60))); !gone) {
        ADD_FAILURE() << gone.error();
      }
    }
    names.clear();
  }
  std::vector<std::string> names;
};

MadeImages& made_images() {
  // gtest owns it, and calls it at the end of all tests also when it is added in their middle.
  static auto* made = dynamic_cast<MadeImages*>(::testing::AddGlobalTestEnvironment(new MadeImages));
  return *made;
}
// Added before the tests run.
[[maybe_unused]] const auto& registered = made_images();

std::string output_of(const std::string& command) {
  std::string out;
  if (std::FILE* pipe = ::popen(command.c_str(), "re")) {
    char piece[4096];
    for (std::size_t n = 0; (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;) out.append(piece, n);
    ::pclose(pipe);
  }
  return std::string(trim(out));
}

}  // namespace

std::function<Result<std::string>()> pieces_of(const std::string& path) {
  std::shared_ptr<std::FILE> file(std::fopen(path.c_str(), "rbe"), [](std::FILE* f) {
    if (f != nullptr) std::fclose(f);
  });
  return [file]() -> Result<std::string> {
    std::string piece(std::size_t{1} << 20, '\0');
    piece.resize(file ? std::fread(piece.data(), 1, piece.size(), file.get()) : 0);
    return piece;
  };
}

EngineAddress address_of(const std::string& host) {
  EngineAddress address;
  if (host.starts_with("unix://")) {
    address.path = host.substr(7);
    return address;
  }
  address.kind = EngineAddress::Kind::tcp;
  const auto colon = host.rfind(':');
  address.host = host.substr(6, colon - 6);
  address.port = static_cast<uint16_t>(std::atoi(host.c_str() + colon + 1));
  return address;
}

const Engine* docker_engine() {
  return found().engine.get();
}

std::string why_no_docker() {
  return found().why;
}

namespace {
// Path of the archive; "" with a failure noted.
std::string host_archive(const std::string& name, const std::string& packages) {
  const std::string archive = output_of("cd '" AWM_SOURCE_DIR "' && AWM_TEST_IMAGE_PACKAGES='" + packages +
                                        "' scripts/test_image.sh build/" + name + ".tar 2>/dev/null");
  if (archive.empty()) ADD_FAILURE() << "scripts/test_image.sh made no image; run it to see why";
  return archive.empty() ? "" : AWM_SOURCE_DIR "/" + archive;
}

std::string host_image(const std::string& name, const std::string& packages) {
  const auto path = host_archive(name, packages);
  if (path.empty()) return "awm-test:none";
  const auto image = "awm-test:" + read_text(path + ".key").substr(0, 12);
  const auto& engine = *docker_engine();
  const auto there = inspect_image(engine, image, Deadline::in(Seconds(60)));
  if (!there || !*there) {
    if (auto made = import_image(engine, image, Deadline::in(Seconds(300)), pieces_of(path)); !made) {
      ADD_FAILURE() << made.error();
    }
    if (std::getenv("AWM_TEST_DOCKER_HOST") == nullptr) made_images().names.push_back(image);
  }
  return image;
}
}  // namespace

std::string docker_test_archive() {
  return host_archive("test-image", "");
}

const std::string& docker_test_image() {
  static const std::string name = host_image("test-image", "");
  return name;
}

const std::string& docker_build_image() {
  static const std::string name = host_image("test-image-build", "g++ libgtest-dev");
  return name;
}

std::string docker_made_image(const std::string& name, const std::vector<std::pair<std::string, std::string>>& files) {
  const TestFolder folder;
  for (const auto& [path, content] : files) {
    const auto at = folder.write("root/" + path, content);
    if (content.empty() && path.ends_with("/.keep")) continue;
    (void)sys::chmod(at, 0755);
  }
  const auto archive = folder / "image.tar";
  (void)output_of("tar -C '" + (folder / "root") + "' --owner=0 --group=0 -cf '" + archive + "' . 2>&1");
  const auto image = "awm-test-" + name + ":latest";
  if (auto made = import_image(*docker_engine(), image, Deadline::in(Seconds(300)), pieces_of(archive)); !made) {
    ADD_FAILURE() << made.error();
  }
  made_images().names.push_back(image);
  return image;
}

}  // namespace awm::testing
