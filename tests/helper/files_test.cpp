// File operations and archives.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "client.h"

namespace awm::helper_test {
namespace {

using wire::Type;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/awm-helper-files-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root = pattern;
  }
  void TearDown() override {
    client.bash("chmod -R u+rwx " + root + "; rm -rf " + root);
    std::filesystem::remove_all(root);
  }
  void put_file(const std::string& name, const std::string& text) {
    std::ofstream(root + "/" + name, std::ios::binary) << text;
  }
  std::string text_of(const std::string& name) {
    std::ifstream in(root + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  wire::ReadResult read(const std::string& name) {
    return client.wait_for<wire::ReadResult>(client.send(Type::read, wire::Read{root + "/" + name}), Type::read_result);
  }
  template <class Message>
  int error_of(Type type, const Message& message) {
    const wire::Failure failure = client.failure(client.send(type, message));
    EXPECT_FALSE(failure.operation.empty());
    return failure.number;
  }

  std::string root;
  Client client;
};

TEST_F(Files, AreReadInPieces) {
  std::string text;
  for (int i = 0; text.size() < 6'000'000; ++i) text += std::to_string(i) + "\n";
  put_file("big", text);
  std::string got;
  while (true) {
    wire::Read request{root + "/big"};
    request.offset = got.size();
    const auto result = client.wait_for<wire::ReadResult>(client.send(Type::read, request), Type::read_result);
    EXPECT_EQ(result.info.size, text.size());
    EXPECT_LE(result.bytes.size(), wire::kMaxRead);
    got += result.bytes;
    if (result.end) break;
    ASSERT_FALSE(result.bytes.empty());
  }
  EXPECT_TRUE(got == text);
  put_file("empty", "");
  EXPECT_TRUE(read("empty").end);
}

TEST_F(Files, OnlyRegularOnesAreReadAndNothingBlocks) {
  ASSERT_EQ(::mkfifo((root + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_of(Type::read, wire::Read{root + "/pipe"}), EINVAL);
  EXPECT_EQ(error_of(Type::read, wire::Read{"/dev/zero"}), EINVAL);
  EXPECT_EQ(error_of(Type::read, wire::Read{root}), EISDIR);
  EXPECT_EQ(error_of(Type::read, wire::Read{root + "/nosuch"}), ENOENT);
  EXPECT_EQ(error_of(Type::read, wire::Read{"relative"}), EINVAL);
  EXPECT_EQ(error_of(Type::read, wire::Read{std::string("/etc\0/passwd", 12)}), EINVAL);
  EXPECT_EQ(error_of(Type::write, wire::Write{root + "/pipe", "x"}), ENXIO);
  EXPECT_EQ(error_of(Type::write, wire::Write{"/dev/null", "x"}), EINVAL);
}

TEST_F(Files, OfTheHelperItselfAreNotGivenAway) {
  EXPECT_EQ(error_of(Type::read, wire::Read{"/proc/1/environ"}), EACCES);
  EXPECT_EQ(error_of(Type::read, wire::Read{"/proc/self/mem"}), EACCES);
  EXPECT_EQ(error_of(Type::read, wire::Read{"/proc/thread-self/maps"}), EACCES);
  std::filesystem::create_symlink("/proc/self/maps", root + "/link");
  EXPECT_EQ(error_of(Type::read, wire::Read{root + "/link"}), EACCES);
  EXPECT_EQ(error_of(Type::write, wire::Write{.path = "/proc/self/oom_score_adj", .bytes = "0"}), EACCES);
  EXPECT_NE(
      client.wait_for<wire::ReadResult>(client.send(Type::read, wire::Read{"/proc/cpuinfo"}), Type::read_result).bytes,
      "");
}

TEST_F(Files, AreWritten) {
  client.expect_ok(client.send(Type::write, wire::Write{root + "/new", "first", 0640}));
  EXPECT_EQ(text_of("new"), "first");
  EXPECT_EQ(std::filesystem::status(root + "/new").permissions(), std::filesystem::perms{0640});
  client.expect_ok(client.send(Type::write, wire::Write{root + "/new", "2", 0777}));
  EXPECT_EQ(text_of("new"), "2");
  EXPECT_EQ(std::filesystem::status(root + "/new").permissions(), std::filesystem::perms{0640});
  wire::Write append{root + "/new", " and more"};
  append.append = true;
  client.expect_ok(client.send(Type::write, append));
  EXPECT_EQ(text_of("new"), "2 and more");
  wire::Write deep{root + "/a/b/c/file", "deep"};
  EXPECT_EQ(error_of(Type::write, deep), ENOENT);
  deep.parents = true;
  client.expect_ok(client.send(Type::write, deep));
  EXPECT_EQ(text_of("a/b/c/file"), "deep");
  EXPECT_EQ(error_of(Type::write, wire::Write{root, "x"}), EISDIR);
}

TEST_F(Files, AreReplacedAtomically) {
  put_file("target", "old");
  ::chmod((root + "/target").c_str(), 0755);
  std::filesystem::create_symlink("target", root + "/link");
  wire::Write request{root + "/link", std::string(5'000'000, 'x')};
  request.atomic = true;
  client.expect_ok(client.send(Type::write, request));
  EXPECT_TRUE(std::filesystem::is_symlink(root + "/link"));
  EXPECT_EQ(text_of("target").size(), 5'000'000u);
  EXPECT_EQ(std::filesystem::status(root + "/target").permissions(), std::filesystem::perms{0755});
  request.path = root + "/fresh";
  client.expect_ok(client.send(Type::write, request));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root), {}), 3);  // nothing is left beside
  request.append = true;
  EXPECT_EQ(error_of(Type::write, request), EINVAL);
  request.append = false;
  request.path = root;
  EXPECT_EQ(error_of(Type::write, request), EISDIR);
}

TEST_F(Files, AreDescribedAndListed) {
  put_file("b", "12345");
  std::filesystem::create_directory(root + "/a");
  std::filesystem::create_symlink("b", root + "/c");
  ASSERT_EQ(::mkfifo((root + "/d").c_str(), 0600), 0);
  const auto list = client.wait_for<wire::ListResult>(client.send(Type::list, wire::List{root}), Type::list_result);
  ASSERT_EQ(list.entries.size(), 4u);
  EXPECT_FALSE(list.truncated);
  EXPECT_EQ(list.entries[0].name, "a");
  EXPECT_EQ(list.entries[0].info.type, wire::FileType::folder);
  EXPECT_EQ(list.entries[1].info.size, 5u);
  EXPECT_EQ(list.entries[2].info.type, wire::FileType::link);
  EXPECT_EQ(list.entries[2].info.target, "b");
  EXPECT_EQ(list.entries[3].info.type, wire::FileType::other);
  auto info = client.wait_for<wire::FileInfo>(client.send(Type::stat, wire::Stat{root + "/c"}), Type::stat_result);
  EXPECT_EQ(info.type, wire::FileType::file);
  EXPECT_EQ(info.size, 5u);
  EXPECT_GT(info.modified_s, 1'500'000'000);
  info = client.wait_for<wire::FileInfo>(client.send(Type::stat, wire::Stat{root + "/c", false}), Type::stat_result);
  EXPECT_EQ(info.type, wire::FileType::link);
  EXPECT_EQ(error_of(Type::list, wire::List{root + "/b"}), ENOTDIR);
  EXPECT_EQ(error_of(Type::stat, wire::Stat{root + "/nosuch"}), ENOENT);
}

TEST_F(Files, AHugeFolderIsCutNotRefused) {
  client.bash("cd " + root + " && mkdir many && cd many && seq -f '%0200.0f' 1 17000 | xargs touch");
  const auto list =
      client.wait_for<wire::ListResult>(client.send(Type::list, wire::List{root + "/many"}), Type::list_result);
  EXPECT_TRUE(list.truncated);
  EXPECT_GT(list.entries.size(), 1000u);
}

TEST_F(Files, FoldersAreMadeAndThingsRenamed) {
  EXPECT_EQ(error_of(Type::mkdir, wire::Mkdir{root + "/a/b"}), ENOENT);
  client.expect_ok(client.send(Type::mkdir, wire::Mkdir{root + "/a/b/c", 0700, true}));
  client.expect_ok(client.send(Type::mkdir, wire::Mkdir{root + "/a/b/c", 0700, true}));
  EXPECT_EQ(error_of(Type::mkdir, wire::Mkdir{root + "/a"}), EEXIST);
  put_file("x", "x");
  EXPECT_EQ(error_of(Type::mkdir, wire::Mkdir{root + "/x", 0755, true}), ENOTDIR);
  client.expect_ok(client.send(Type::rename, wire::Rename{root + "/x", root + "/a/y"}));
  EXPECT_EQ(text_of("a/y"), "x");
  EXPECT_EQ(error_of(Type::rename, wire::Rename{root + "/x", root + "/z"}), ENOENT);
}

TEST_F(Files, AreRemovedWhateverTheTreeIs) {
  put_file("keep", "kept");
  client.bash("cd " + root +
              " && mkdir -p t/ro/x && touch t/ro/x/f && ln -s ../keep t/link && mkfifo t/pipe && chmod 0 t/ro/x && "
              "chmod 555 t/ro");
  EXPECT_EQ(error_of(Type::remove, wire::Remove{root + "/t"}), ENOTEMPTY);
  client.expect_ok(client.send(Type::remove, wire::Remove{root + "/t", true}));
  EXPECT_FALSE(std::filesystem::exists(root + "/t"));
  EXPECT_EQ(text_of("keep"), "kept");
  EXPECT_EQ(error_of(Type::remove, wire::Remove{root + "/t", true}), ENOENT);
  client.expect_ok(client.send(Type::remove, wire::Remove{root + "/t", true, true}));
  client.expect_ok(client.send(Type::remove, wire::Remove{root + "/keep"}));
  EXPECT_EQ(error_of(Type::remove, wire::Remove{root + "/.", true}), EINVAL);
}

TEST_F(Files, ATreeDeeperThanAnyPathIsRemoved) {
  // 3,000 levels, whose whole path is longer than a path may be.
  const auto made =
      client.exec({.argv = {"python3", "-c", "import os\nfor i in range(3000): os.mkdir('ddddd'); os.chdir('ddddd')"},
                   .folder = root});
  ASSERT_EQ(made.code, 0) << made.out.bytes;
  client.expect_ok(client.send(Type::remove, wire::Remove{root + "/ddddd", true}));
  EXPECT_FALSE(std::filesystem::exists(root + "/ddddd"));
}

// ---- archives ----

class Archives : public Files {
 protected:
  // Sends bytes as an archive within the window; the final frame.
  Frame put(const std::string& bytes, const std::string& folder, bool parents = false) {
    const uint32_t id = client.send(Type::put, wire::Put{folder, parents});
    std::size_t sent = 0;
    uint64_t allowed = wire::kUploadWindow;
    while (sent < bytes.size()) {
      while (allowed > 0 && sent < bytes.size()) {
        const std::size_t size = std::min<std::size_t>({bytes.size() - sent, wire::kMaxData, allowed});
        client.send_frame(Type::data, id, std::string_view(bytes).substr(sent, size));
        sent += size;
        allowed -= size;
      }
      if (sent == bytes.size()) break;
      Frame frame;
      if (!client.next(frame)) return {};
      if (frame.type != Type::window) return frame;
      wire::Window window;
      EXPECT_TRUE(wire::decode(frame.payload, window));
      allowed += window.add;
    }
    client.send_frame(Type::end, id);
    return client.wait(id);
  }
  wire::ArchiveResult put_good(const std::string& bytes, const std::string& folder, bool parents = false) {
    const Frame frame = put(bytes, folder, parents);
    wire::ArchiveResult result;
    wire::Failure failure;
    if (frame.type == Type::archive_result) {
      EXPECT_TRUE(wire::decode(frame.payload, result));
    } else if (wire::decode(frame.payload, failure)) {
      ADD_FAILURE() << failure.operation << " " << failure.object << ": " << failure.text;
    }
    return result;
  }
  wire::Failure put_bad(const std::string& bytes, const std::string& folder) {
    const Frame frame = put(bytes, folder);
    wire::Failure failure;
    EXPECT_EQ(frame.type, Type::error);
    EXPECT_TRUE(wire::decode(frame.payload, failure));
    return failure;
  }
  std::string get(const std::string& path, const std::string& name = {}, wire::ArchiveResult* result = nullptr) {
    wire::Get request{path, name};
    request.window = 100'000;
    const uint32_t id = client.send(Type::get, request);
    Frame frame;
    std::string bytes;
    while (client.next(frame) && frame.type == Type::data) {
      bytes += frame.payload;
      client.grant(id, static_cast<uint32_t>(frame.payload.size()));
    }
    EXPECT_EQ(frame.type, Type::archive_result);
    wire::ArchiveResult got;
    EXPECT_TRUE(wire::decode(frame.payload, got));
    if (result != nullptr) *result = got;
    return bytes;
  }
  // What a real tar makes of `folder`.
  std::string real_tar(const std::string& options, const std::string& what) {
    EXPECT_EQ(client.bash("cd " + root + " && tar cf " + root + "/../" + name() + ".tar " + options + " " + what).code,
              0);
    std::ifstream in(root + "/../" + name() + ".tar", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::filesystem::remove(root + "/../" + name() + ".tar");
    return bytes;
  }
  std::string name() { return std::filesystem::path(root).filename(); }
};

std::string tar_member(const std::string& name, char type, const std::string& content, const std::string& link = {},
                       unsigned mode = 0644) {
  std::string header(512, '\0');
  const auto field = [&](std::size_t at, std::size_t size, const std::string& text) {
    header.replace(at, std::min(size, text.size()), text.substr(0, size));
  };
  char number[32];
  field(0, 100, name);
  std::snprintf(number, sizeof number, "%07o", mode);
  field(100, 8, number);
  field(108, 8, "0000000");
  field(116, 8, "0000000");
  std::snprintf(number, sizeof number, "%011zo", content.size());
  field(124, 12, number);
  field(136, 12, "14000000000");
  header[156] = type;
  field(157, 100, link);
  field(257, 8, std::string("ustar\00000", 8));
  field(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(number, sizeof number, "%06o", sum);
  field(148, 8, std::string(number) + std::string("\0 ", 2));
  return header + content + std::string((512 - content.size() % 512) % 512, '\0');
}
const std::string kTarEnd(1024, '\0');

TEST_F(Archives, GoInAndOut) {
  const std::string long_name(180, 'n');
  client.bash("cd " + root +
              " && mkdir -p t/sub/empty && echo hello >t/file && printf '\\0\\1' >t/sub/binary && ln -s ../file "
              "t/sub/link && chmod 750 t/sub && chmod 755 t/file && touch t/" +
              long_name + " && head -c 5000000 /dev/urandom >t/big && touch -d @1000000000 t/file");
  const std::string sums =
      client.bash("cd " + root + "/t && find . -type f | sort | xargs md5sum; find . -printf '%p %m %y %l\\n' | sort")
          .out.bytes;
  wire::ArchiveResult got;
  const std::string bytes = get(root + "/t", {}, &got);
  EXPECT_EQ(got.members, 8u);
  EXPECT_EQ(got.bytes, 5'000'008u);
  EXPECT_EQ(got.left_out, 0u);
  const auto result = put_good(bytes, root + "/copy/here", true);
  EXPECT_EQ(result.members, 8u);
  EXPECT_EQ(result.bytes, 5'000'008u);
  EXPECT_EQ(client
                .bash("cd " + root +
                      "/copy/here/t && find . -type f | sort | xargs md5sum; find . -printf '%p %m %y %l\\n' | sort")
                .out.bytes,
            sums);
  EXPECT_EQ(client.bash("stat -c %Y " + root + "/copy/here/t/file").out.bytes, "1000000000\n");
  // A real tar reads it as well.
  std::ofstream(root + "/archive.tar", std::ios::binary) << bytes;
  EXPECT_EQ(client
                .bash("mkdir " + root + "/real && tar xf " + root + "/archive.tar -C " + root + "/real && cd " + root +
                      "/real/t && find . -type f | sort | xargs md5sum; find . -printf '%p %m %y %l\\n' | sort")
                .out.bytes,
            sums);
}

TEST_F(Archives, OfOneFileAndUnderAnotherName) {
  put_file("one", "content");
  put_good(get(root + "/one", "two"), root + "/x", true);
  EXPECT_EQ(text_of("x/two"), "content");
  std::filesystem::create_directory(root + "/d");
  put_file("d/f", "f");
  put_good(get(root + "/d", "."), root + "/y", true);
  EXPECT_EQ(text_of("y/f"), "f");
}

TEST_F(Archives, OfEveryRealFormatAreRead) {
  const std::string long_name(150, 'l');
  client.bash("cd " + root +
              " && mkdir -p src/d && echo a >src/a && ln src/a src/hard && ln -s a src/soft && echo b >src/d/" +
              long_name + " && ln -s " + std::string(140, 't') + " src/longlink");
  for (const std::string format : {"--format=ustar", "--format=pax", "--format=gnu", "--format=v7"}) {
    const std::string what = format == "--format=v7" || format == "--format=ustar" ? "src/a src/hard src/soft" : "src";
    put_good(real_tar(format, what), root + "/out" + format, true);
    EXPECT_EQ(text_of("out" + format + "/src/a"), "a\n");
    EXPECT_EQ(
        client.bash("cd " + root + "/out" + format + "/src && readlink soft; [ a -ef hard ] && echo same").out.bytes,
        "a\nsame\n");
    if (what == "src") {
      EXPECT_EQ(text_of("out" + format + "/src/d/" + long_name), "b\n");
    }
  }
}

TEST_F(Archives, ReplaceWhatIsThereAndDoNotWriteThroughIt) {
  put_file("outside", "untouched");
  std::filesystem::create_directory(root + "/in");
  std::filesystem::create_symlink(root + "/outside", root + "/in/f");
  put_good(tar_member("f", '0', "new") + kTarEnd, root + "/in");
  EXPECT_EQ(text_of("in/f"), "new");
  EXPECT_EQ(text_of("outside"), "untouched");
  put_good(tar_member("f", '2', "", "elsewhere") + kTarEnd, root + "/in");
  EXPECT_EQ(std::filesystem::read_symlink(root + "/in/f"), "elsewhere");
}

TEST_F(Archives, FollowLinksThatStayInside) {
  std::filesystem::create_directories(root + "/in/lib64");
  std::filesystem::create_symlink("lib64", root + "/in/lib");
  put_good(tar_member("lib/", '5', "") + tar_member("lib/x", '0', "x") + kTarEnd, root + "/in");
  EXPECT_EQ(text_of("in/lib64/x"), "x");
  EXPECT_TRUE(std::filesystem::is_symlink(root + "/in/lib"));
}

TEST_F(Archives, ThatWouldLeaveTheFolderAreRefused) {
  std::filesystem::create_directory(root + "/in");
  std::filesystem::create_directory(root + "/victim");
  put_file("victim/secret", "secret");
  const std::string target = root + "/victim";
  for (const std::string& bytes : {
           tar_member("../victim/a", '0', "x"),
           tar_member("a/../../victim/a", '0', "x"),
           tar_member(target + "/a", '0', "x"),
           tar_member("..", '5', ""),
           tar_member("link", '2', "", target) + tar_member("link/a", '0', "x"),
           tar_member("link", '2', "", "../victim") + tar_member("link/a", '0', "x"),
           tar_member("x", '2', "", "..") + tar_member("y", '2', "", "x/victim") + tar_member("y/a", '0', "x"),
           tar_member("link", '2', "", "../victim") + tar_member("link/", '5', "", "", 0700),
           tar_member("hard", '1', "", "../victim/secret"),
           tar_member("hard", '1', "", target + "/secret"),
           tar_member("d", '2', "", target) + tar_member("hard", '1', "", "d/secret"),
           tar_member("pax", 'x', "27 path=../victim/created\n") + tar_member("ok", '0', "x"),
           tar_member("././@LongLink", 'L', "../victim/created") + tar_member("ok", '0', "x"),
       }) {
    std::filesystem::remove_all(root + "/in");
    std::filesystem::create_directory(root + "/in");
    const wire::Failure failure = put_bad(bytes + kTarEnd, root + "/in");
    EXPECT_NE(failure.number, 0);
    EXPECT_FALSE(failure.text.empty());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(target), {}), 1) << bytes.substr(0, 100).c_str();
    EXPECT_EQ(std::filesystem::hard_link_count(target + "/secret"), 1u);
  }
  EXPECT_EQ(text_of("victim/secret"), "secret");
}

TEST_F(Archives, WithDevicesOrNonsenseAreRefused) {
  std::filesystem::create_directory(root + "/in");
  EXPECT_EQ(put_bad(tar_member("null", '3', "") + kTarEnd, root + "/in").number, EPERM);
  EXPECT_EQ(put_bad(tar_member("pipe", '6', "") + kTarEnd, root + "/in").number, EPERM);
  EXPECT_EQ(put_bad("", root + "/in").number, EBADMSG);
  EXPECT_EQ(put_bad(std::string(10'000, 'x'), root + "/in").number, EBADMSG);
  EXPECT_EQ(put_bad(tar_member("cut", '0', std::string(5000, 'x')).substr(0, 2000), root + "/in").number, EBADMSG);
  EXPECT_EQ(put_bad(tar_member("no-end", '0', "x"), root + "/in").number, EBADMSG);
  std::string damaged = tar_member("damaged", '0', "x");
  damaged[5] = 'X';
  EXPECT_EQ(put_bad(damaged + kTarEnd, root + "/in").number, EBADMSG);
  EXPECT_EQ(
      put_bad(tar_member("p", 'x', "999999 path=x\n") + tar_member("ok", '0', "x") + kTarEnd, root + "/in").number,
      EBADMSG);
  EXPECT_EQ(
      put_bad(tar_member("p", 'x', "17 size=99999999\n") + tar_member("ok", '0', "x") + kTarEnd, root + "/in").number,
      EBADMSG);
  EXPECT_EQ(put_bad(tar_member("ok", '0', "x") + kTarEnd, root + "/nosuch").number, ENOENT);
  EXPECT_EQ(put_bad(tar_member("ok", '0', "x") + kTarEnd, "relative").number, EINVAL);
}

TEST_F(Archives, SetuidDoesNotComeAlongAndStrictModesComeLast) {
  put_good(tar_member("suid", '0', "x", "", 06755) + tar_member("ro/", '5', "", "", 0500) +
               tar_member("ro/f", '0', "x", "", 0400) + kTarEnd,
           root + "/in", true);
  EXPECT_EQ(client.bash("cd " + root + "/in && stat -c '%n %a' suid ro ro/f").out.bytes,
            "suid 755\nro 500\nro/f 400\n");
}

TEST_F(Archives, AnErrorComesBeforeTheEndAndTheRestIsIgnored) {
  std::filesystem::create_directory(root + "/in");
  const uint32_t id = client.send(Type::put, wire::Put{root + "/in"});
  client.send_frame(Type::data, id, std::string(2000, 'x'));
  EXPECT_EQ(client.failure(id).number, EBADMSG);
  client.send_frame(Type::data, id, std::string(2000, 'x'));
  client.send_frame(Type::end, id);
  EXPECT_EQ(client.bash("echo well").out.bytes, "well\n");
}

TEST_F(Archives, SpecialFilesAreLeftOutAndCounted) {
  client.bash("cd " + root + " && mkdir t && mkfifo t/pipe && echo x >t/file");
  wire::ArchiveResult result;
  get(root + "/t", {}, &result);
  EXPECT_EQ(result.members, 2u);
  EXPECT_EQ(result.left_out, 1u);
  EXPECT_EQ(result.first_problem, "t/pipe: not a file, folder or link");
  EXPECT_EQ(client.failure(client.send(Type::get, wire::Get{root + "/nosuch"})).number, ENOENT);
}

TEST_F(Archives, CanBeCancelledBothWays) {
  client.bash("head -c 20000000 /dev/zero >" + root + "/big");
  wire::Get request{root + "/big"};
  request.window = 1000;
  const uint32_t out = client.send(Type::get, request);
  const uint32_t in = client.send(Type::put, wire::Put{root});
  client.send_frame(Type::data, in, tar_member("f", '0', std::string(100'000, 'x')).substr(0, 50'000));
  EXPECT_EQ(client.bash("echo meanwhile").out.bytes, "meanwhile\n");
  client.send_frame(Type::cancel, out);
  EXPECT_EQ(client.failure(out).number, ECANCELED);
  client.send_frame(Type::cancel, in);
  EXPECT_EQ(client.failure(in).number, ECANCELED);
}

TEST_F(Archives, AWorkerThatIsKilledFromInsideIsAnError) {
  const uint32_t id = client.send(Type::put, wire::Put{root});
  client.bash("pkill -9 awm-helper");
  EXPECT_EQ(client.failure(id).number, EINTR);
}

TEST_F(Archives, OfAnySizeTakeNoMemory) {
  client.bash("head -c 200000000 /dev/zero >" + root + "/big");
  const uint32_t id = client.send(Type::get, wire::Get{root + "/big"});
  uint64_t got = 0;
  Frame frame;
  while (client.next(frame) && frame.type == Type::data) {
    got += frame.payload.size();
    client.grant(id, static_cast<uint32_t>(frame.payload.size()));
  }
  EXPECT_GT(got, 200'000'000u);
  std::ifstream status("/proc/" + std::to_string(client.pid()) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      EXPECT_LT(std::atoi(line.c_str() + 6), 16 * 1024) << line;
    }
  }
}

}  // namespace
}  // namespace awm::helper_test
