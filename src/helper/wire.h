// The protocol between a sandbox's client (src/sandbox) and the helper inside it: frames, message types, limits. Pure
// data: no I/O, no system calls, no other room. Text: docs/helper-protocol.md.
//
// A frame is a header of 12 bytes and a payload; numbers are little-endian:
//   u32 payload length | u16 type | u16 flags | u32 request id | payload
// The helper speaks first (hello, or fatal and end of stream). The client numbers its requests with ids other than 0
// that are unique among those in flight; requests run side by side, and each is answered by exactly one final frame
// with its id, after any data and window frames. Bytes in a payload field: u32 length, then the bytes. Lists: u32
// count, then the elements. A payload must be used up exactly.
//
// Flow control, both ways: data frames of one request may carry `window` bytes in all, and what window frames added
// since. Who runs out waits. The helper always reads, so a client may write without reading only as far as its stream's
// buffers go: read side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace awm::wire {

inline constexpr uint32_t kMagic = 0x484d5741;  // "AWMH"
inline constexpr uint32_t kVersion = 1;         // both sides must have the same
inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kMaxPayload = std::size_t{8} << 20;  // a longer frame is a violation: fatal, end of stream
inline constexpr std::size_t kMaxData = std::size_t{256} << 10;   // payload of one data frame, either way
inline constexpr std::size_t kMaxRead = std::size_t{4} << 20;     // bytes one read answers with
inline constexpr std::size_t kMaxText = std::size_t{6}
                                        << 20;  // a shell command's text; an exec's input; a write's content
inline constexpr uint32_t kMaxKeep = 2u << 20;  // Exec::keep and ShellRun::keep are cut to this
inline constexpr uint32_t kMaxInFlight = 64;    // one more is answered by error EAGAIN
inline constexpr uint32_t kMaxShells = 8;
inline constexpr uint32_t kUploadWindow = 1u << 20;  // what a client may send of a put before the first window frame

enum class Type : uint16_t {
  // client → helper                     final answer
  setup = 1,            // Setup           ok | error
  exec = 2,             // Exec            exec_result | error     (data before it where Exec::stream)
  shell_open = 3,       // ShellOpen       shell_answer | error    (finished; output: what the set-up printed)
  shell_run = 4,        // ShellRun        shell_answer | error
  shell_wait = 5,       // ShellWait       shell_answer | error
  shell_input = 6,      // ShellInput      shell_answer | error
  shell_interrupt = 7,  // ShellInterrupt  shell_answer | error
  shell_close = 8,      // ShellClose      ok | error              (its whole tree is killed)
  signal = 9,           // Signal          ok | error ESRCH
  read = 10,            // Read            read_result | error
  write = 11,           // Write           ok | error
  stat = 12,            // Stat            stat_result | error
  list = 13,            // List            list_result | error
  mkdir = 14,           // Mkdir           ok | error
  remove = 15,          // Remove          ok | error
  rename = 16,          // Rename          ok | error
  put = 17,  // Put, then data…, end          archive_result | error   (the answer may come before the end: stop sending
             // then)
  get = 18,  // Get             archive_result | error  (data before it)
  usage = 19,   // (empty)         usage_result
  cancel = 20,  // (empty) id: of the request. No answer of its own: exec ends as cancelled, a shell_* request is
                // answered at once with
  // what there is (the command goes on), put, get and remove end with error ECANCELED. Unknown ids are ignored.
  shutdown = 21,  // (empty)         none: everything inside is killed and the stream ends; so does an end of file

  // either way, within a request
  data = 40,    // raw bytes, at most kMaxData; flags: Stream
  end = 41,     // (empty) client → helper: the put's archive is complete
  window = 42,  // Window

  // helper → client
  hello = 64,           // Hello; id 0; the first frame
  fatal = 65,           // Failure; id 0; the stream ends after it
  ok = 66,              // (empty)
  error = 67,           // Failure
  exec_result = 68,     // ExecResult
  shell_answer = 69,    // ShellAnswer
  read_result = 70,     // ReadResult
  stat_result = 71,     // FileInfo
  list_result = 72,     // ListResult
  archive_result = 73,  // ArchiveResult
  usage_result = 74,    // UsageResult
};

// Header flags of a data frame.
enum class Stream : uint16_t { out = 1, err = 2 };

struct Header {
  uint32_t length = 0;  // of the payload
  uint16_t type = 0;    // a Type, or a number that this version does not know
  uint16_t flags = 0;
  uint32_t id = 0;
};

// ---- messages. Each lists its fields once, in wire order; encode() and decode() follow the list. Times are
// milliseconds; 0: none. ----

struct Hello {
  uint32_t magic = kMagic;
  uint32_t version = kVersion;
  std::string architecture;  // "x86_64", "aarch64" …: what the helper was built for
  uint32_t pid = 0;          // as seen inside; 1: kill -9 -1 cannot reach it
  uint32_t uid = 0;          // of the helper and of every command
  uint32_t gid = 0;
  std::string user;          // name of uid in /etc/passwd, else its number
  std::string host;          // host name
  std::string home;          // HOME of the base environment
  std::string bash;          // path; empty: missing
  std::string sh;            // path; empty: missing
  std::string git;           // path; empty: missing
  bool dropped = false;      // identity, capabilities and no_new_privs were dropped as the command line said
  uint64_t tree_memory = 0;  // the watchdog's limit in bytes; 0: no watchdog
  std::vector<std::string>
      notes;  // for people: what the command line asked for and the kernel refused (a limit that could not be raised …)
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.magic, s.version, s.architecture, s.pid, s.uid, s.gid, s.user, s.host, s.home, s.bash, s.sh, s.git, s.dropped,
      s.tree_memory, s.notes);
  }
};

// Why something could not be done. number: Linux errno as the helper's architecture numbers it (the same on x86-64 and
// aarch64).
struct Failure {
  int32_t number = 0;
  std::string operation;  // "open", "execve", "frame"
  std::string object;     // path, command, field; may be empty
  std::string text;       // a sentence for people
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.number, s.operation, s.object, s.text);
  }
};

// Applies to every exec and every shell that starts afterwards. Replaces what an earlier setup said.
struct Setup {
  std::string prelude;  // shell text, sourced by each shell at its start and by each exec with Exec::with_setup.
                        // Commands cannot alter it.
  std::vector<std::string> environment;  // "NAME=value" sets, "NAME" removes; on top of the helper's own
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.prelude, s.environment);
  }
};

// A fresh process, leader of its own session. It has ended when itself has ended, whoever else still holds its output.
struct Exec {
  std::vector<std::string> argv;         // argv[0] is looked for in the command's PATH unless it has a slash
  std::string folder;                    // working directory; empty: /
  std::vector<std::string> environment;  // as in Setup, on top of it
  std::string input;                     // stdin; empty: /dev/null
  uint32_t hard_ms = 0;                  // from the command's start; then its whole tree is killed
  uint32_t quiet_ms = 0;  // without output; then its whole tree is killed. Time during which the client's window was
                          // shut does not count.
  uint32_t grace_ms = 0;  // SIGTERM to the tree this long before SIGKILL; 0: SIGKILL at once
  uint32_t keep = 100 * 1024;  // bytes kept, half head and half tail, per stream; unused where `stream`
  bool separate = false;       // stderr apart; else both are one open file, so that the order holds
  bool stream = false;         // all output as data frames, nothing kept, within `window`
  uint32_t window = 1u << 20;  // bytes of data frames before window frames are needed
  bool with_setup = false;  // argv must be {"bash"|path of bash|"sh", "-c", text, …}: Setup::prelude is sourced first
  bool sh_instead = false;  // where bash is missing, run sh; ExecResult::used_sh tells
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.argv, s.folder, s.environment, s.input, s.hard_ms, s.quiet_ms, s.grace_ms, s.keep, s.separate, s.stream,
      s.window, s.with_setup, s.sh_instead);
  }
};

enum class End : uint8_t {
  exited = 0,         // code: exit code
  signalled = 1,      // code: signal number
  hard_timeout = 2,   // code: signal number, or 0 when it exited by itself within the grace
  quiet_timeout = 3,  // the same
  cancelled = 4,      // by a cancel frame
  not_started =
      5,  // code: errno; `failure` says at which step and on what. Distinct from a command's own exit code 126 or 127.
};

// Output as kept: what was omitted lay at `omitted_at` in bytes.
struct Kept {
  std::string bytes;
  uint64_t omitted = 0;
  uint64_t omitted_at = 0;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.bytes, s.omitted, s.omitted_at);
  }
};

struct ExecResult {
  End end = End::exited;
  int32_t code = 0;
  Failure failure;             // of not_started
  Kept out;                    // stdout, with stderr unless `separate`; empty where `stream`
  Kept err;                    // stderr where `separate`
  uint64_t total = 0;          // bytes of output read, kept or not
  uint64_t micros = 0;         // from start to end
  uint64_t peak_rss = 0;       // bytes, of the biggest process waited for
  bool out_of_memory = false;  // the watchdog or the kernel's counter (where it can be read inside) says that something
                               // of it was killed for memory
  bool survivors = false;      // after a kill some process of its tree would not die within 5 s (uninterruptible)
  bool used_sh = false;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.end, s.code, s.failure, s.out, s.err, s.total, s.micros, s.peak_rss, s.out_of_memory, s.survivors, s.used_sh);
  }
};

// Starts persistent shell number `shell` (the client's choice, not open yet). One command at a time in each.
struct ShellOpen {
  uint32_t shell = 0;
  std::string folder;                    // working directory; empty: /
  std::vector<std::string> environment;  // as in Setup, on top of it
  uint32_t hard_ms = 60'000;             // for start and prelude; then error ETIMEDOUT
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.shell, s.folder, s.environment, s.hard_ms);
  }
};

// Runs text in the shell. Answered when it has ended, or when a soft limit passes: then it goes on, and wait, input or
// interrupt carry on with it; other runs meanwhile are error EBUSY. Text with a NUL byte is error EINVAL.
struct ShellRun {
  uint32_t shell = 0;
  std::string text;
  uint32_t soft_quiet_ms = 0;  // answer when there was no output for this long
  uint32_t soft_total_ms = 0;  // answer after this long
  uint32_t hard_ms = 0;  // from the command's start: SIGINT; after grace_ms SIGKILL to what the command started, then
                         // to the whole shell
  uint32_t grace_ms = 1000;
  uint32_t keep = 100 * 1024;
  bool no_input = false;  // stdin is /dev/null, not a pipe that shell_input writes to
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.shell, s.text, s.soft_quiet_ms, s.soft_total_ms, s.hard_ms, s.grace_ms, s.keep, s.no_input);
  }
};

// Waits on with an unfinished command. With none running: answered at once, `idle`.
struct ShellWait {
  uint32_t shell = 0;
  uint32_t soft_quiet_ms = 0;
  uint32_t soft_total_ms = 0;
  uint32_t hard_ms = 0;  // from now; 0: the limit set before stays
  uint32_t keep = 100 * 1024;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.shell, s.soft_quiet_ms, s.soft_total_ms, s.hard_ms, s.keep);
  }
};

struct ShellInput {
  ShellWait wait;
  std::string bytes;  // to the running command's stdin
  bool end = false;   // then end of file (^D), for this command alone
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.wait, s.bytes, s.end);
  }
};

struct ShellInterrupt {
  ShellWait wait;
  int32_t signal =
      2;  // SIGINT (^C), SIGQUIT, SIGTERM … to what the running command started, and for SIGINT to the shell
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.wait, s.signal);
  }
};

struct ShellClose {
  uint32_t shell = 0;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.shell);
  }
};

struct ShellAnswer {
  bool finished = true;    // false: a soft limit passed, or cancel; the command goes on
  bool idle = false;       // wait, input or interrupt found no command running: nothing was done
  bool restarted = false;  // the shell itself ended, with the status below; a new one takes its place, directory and
                           // variables are lost
  bool used_sh = false;    // the shell is sh, bash is missing
  End end = End::exited;   // exited, signalled (the shell itself, by this signal) or hard_timeout
  int32_t code = 0;        // $? of the command (130 after ^C), or of the shell that ended
  Kept out;                // since the last answer, of this command
  std::string
      earlier;  // what background jobs printed between the last answer and this command's start; at most 8 KiB of it
  std::string folder;   // the shell's working directory (of a new shell where restarted); empty while unfinished where
                        // it cannot be read
  uint64_t micros = 0;  // since the command's start
  bool out_of_memory = false;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.finished, s.idle, s.restarted, s.used_sh, s.end, s.code, s.out, s.earlier, s.folder, s.micros, s.out_of_memory);
  }
};

// A signal to the whole tree of an exec in flight: all it started, through double forks and new sessions.
struct Signal {
  uint32_t target = 0;  // request id of the exec
  int32_t signal = 15;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.target, s.signal);
  }
};

// File operations follow links and have the rights that commands have. Paths are absolute.

enum class FileType : uint8_t { file = 0, folder = 1, link = 2, other = 3 };

struct FileInfo {
  FileType type = FileType::other;
  uint64_t size = 0;
  uint32_t mode = 0;  // permission bits, 07777
  int64_t modified_s = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string target;  // of a link
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.type, s.size, s.mode, s.modified_s, s.uid, s.gid, s.target);
  }
};

// A regular file only: EISDIR for a folder, EINVAL for a device, pipe or socket (nothing blocks).
struct Read {
  std::string path;
  uint64_t offset = 0;
  uint32_t limit = kMaxRead;  // at most kMaxRead
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path, s.offset, s.limit);
  }
};

struct ReadResult {
  FileInfo info;
  std::string bytes;
  bool end = false;  // end of file was met
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.info, s.bytes, s.end);
  }
};

struct Write {
  std::string path;
  std::string bytes;
  uint32_t mode = 0644;  // of a new file; an existing one keeps its own
  bool parents = false;  // missing folders are made, 0755
  bool append = false;   // for contents longer than kMaxText: the first write without, the others with
  bool atomic = false;   // written beside and renamed; a link's target is replaced, not the link. Not with append.
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path, s.bytes, s.mode, s.parents, s.append, s.atomic);
  }
};

struct Stat {
  std::string path;
  bool follow = true;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path, s.follow);
  }
};

struct List {
  std::string path;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path);
  }
};

struct Entry {
  std::string name;
  FileInfo info;  // of the entry itself, links not followed
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.name, s.info);
  }
};

struct ListResult {
  std::vector<Entry> entries;  // sorted by name's bytes; without . and ..
  bool truncated = false;      // more than fit into a frame
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.entries, s.truncated);
  }
};

struct Mkdir {
  std::string path;
  uint32_t mode = 0755;
  bool parents = false;  // parents are made as well, and an existing folder is fine
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path, s.mode, s.parents);
  }
};

struct Remove {
  std::string path;        // a link itself, not its target
  bool recursive = false;  // a whole tree
  bool missing_ok = false;
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path, s.recursive, s.missing_ok);
  }
};

struct Rename {
  std::string from;
  std::string to;  // replaced where it exists
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.from, s.to);
  }
};

// Unpacks a tar stream (ustar, pax, GNU long names; not compressed) under `folder`. Files, folders, links; owner is the
// helper's, modes without setuid and setgid. Refused with error: names that are absolute or have "..", a member or hard
// link that would be written through a link which leads out of the folder, device nodes, broken headers, an archive cut
// off. What was unpacked before stays.
struct Put {
  std::string folder;
  bool parents = false;  // the folder is made where missing
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.folder, s.parents);
  }
};

// Packs `path` as a pax tar stream. Sockets, pipes and devices are left out and counted.
struct Get {
  std::string path;  // file, link or folder
  std::string name;  // what the root is called in the archive; empty: the path's last component; ".": members are
                     // relative to it
  uint32_t window = 1u << 20;  // bytes of data frames before window frames are needed
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.path, s.name, s.window);
  }
};

struct ArchiveResult {
  uint64_t members = 0;
  uint64_t bytes = 0;         // of file contents
  uint64_t left_out = 0;      // get: special files and files that could not be read or changed while they were read
  std::string first_problem;  // of those left out
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.members, s.bytes, s.left_out, s.first_problem);
  }
};

struct Window {
  uint32_t add = 0;  // bytes
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.add);
  }
};

struct UsageResult {
  uint32_t processes = 0;  // inside, without the helper
  uint64_t memory = 0;     // bytes, theirs alone (resident less shared)
  uint64_t kills = 0;      // by the watchdog so far
  template <class S, class F>
  static void each(S& s, F& f) {
    f(s.processes, s.memory, s.kills);
  }
};

// ---- encoding ----

namespace detail {

template <class T>
concept Number = std::is_integral_v<T> || std::is_enum_v<T>;

inline void put_le(std::string& out, uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

inline uint64_t get_le(std::string_view bytes) {
  uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

struct Encoder {
  std::string& out;

  template <class... T>
  void operator()(const T&... fields) {
    (one(fields), ...);
  }
  void one(const std::string& s) {
    put_le(out, s.size(), 4);
    out.append(s);
  }
  template <class T>
  void one(const std::vector<T>& list) {
    put_le(out, list.size(), 4);
    for (const T& item : list) one(item);
  }
  template <class T>
  void one(const T& field) {
    if constexpr (Number<T>) {
      put_le(out, static_cast<uint64_t>(field), sizeof(T));
    } else {
      T::each(field, *this);
    }
  }
};

struct Decoder {
  std::string_view in;
  bool good = true;

  template <class... T>
  void operator()(T&... fields) {
    (one(fields), ...);
  }
  bool has(std::size_t bytes) {
    if (!good || in.size() < bytes) good = false;
    return good;
  }
  void one(std::string& s) {
    if (!has(4)) return;
    const auto size = static_cast<std::size_t>(get_le(in.substr(0, 4)));
    in.remove_prefix(4);
    if (!has(size)) return;
    s.assign(in.substr(0, size));
    in.remove_prefix(size);
  }
  template <class T>
  void one(std::vector<T>& list) {
    if (!has(4)) return;
    const auto count = static_cast<std::size_t>(get_le(in.substr(0, 4)));
    in.remove_prefix(4);
    if (!has(count * 4)) return;  // every element takes four bytes at least
    list.clear();
    for (std::size_t i = 0; i < count && good; ++i) one(list.emplace_back());
  }
  template <class T>
  void one(T& field) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!has(1)) return;
      if (static_cast<unsigned char>(in[0]) > 1) good = false;
      field = in[0] != 0;
      in.remove_prefix(1);
    } else if constexpr (Number<T>) {
      if (!has(sizeof(T))) return;
      field = static_cast<T>(get_le(in.substr(0, sizeof(T))));
      in.remove_prefix(sizeof(T));
    } else {
      T::each(field, *this);
    }
  }
};

}  // namespace detail

// Appends a frame's header.
inline void append_header(std::string& out, Type type, uint32_t id, std::size_t payload, uint16_t flags = 0) {
  detail::put_le(out, payload, 4);
  detail::put_le(out, static_cast<uint64_t>(type), 2);
  detail::put_le(out, flags, 2);
  detail::put_le(out, id, 4);
}

// Appends a frame without fields: cancel, shutdown, usage, end, ok; and raw data (bytes.size() ≤ kMaxData).
inline void append_frame(std::string& out, Type type, uint32_t id, std::string_view bytes = {}, uint16_t flags = 0) {
  append_header(out, type, id, bytes.size(), flags);
  out.append(bytes);
}

// Appends a message as a frame. False, and nothing appended: it would be longer than kMaxPayload.
template <class Message>
[[nodiscard]] bool append_message(std::string& out, Type type, uint32_t id, const Message& message) {
  const std::size_t start = out.size();
  append_header(out, type, id, 0);
  detail::Encoder encoder{out};
  Message::each(message, encoder);
  const std::size_t size = out.size() - start - kHeaderSize;
  if (size > kMaxPayload) {
    out.resize(start);
    return false;
  }
  for (std::size_t i = 0; i < 4; ++i) out[start + i] = static_cast<char>((size >> (8 * i)) & 0xff);
  return true;
}

// Reads a message from a whole payload. False: too short, too long, or a count or length that does not fit; `message`
// is then in an unspecified state. Numbers outside an enumeration are let through: check them where they matter.
template <class Message>
[[nodiscard]] bool decode(std::string_view payload, Message& message) {
  detail::Decoder decoder{payload};
  Message::each(message, decoder);
  return decoder.good && decoder.in.empty();
}

// Cuts a byte stream into frames. Holds one unfinished frame at most, so at most kMaxPayload and what one feed()
// brought.
//   parser.feed(bytes); while (parser.next(header, payload)) …; if (parser.broken()) …
class FrameParser {
 public:
  void feed(std::string_view bytes) {
    if (used_ > 0 && used_ == buffer_.size()) {
      buffer_.clear();
      used_ = 0;
    } else if (used_ > (std::size_t{64} << 10) && used_ * 2 > buffer_.size()) {
      buffer_.erase(0, used_);
      used_ = 0;
    }
    if (buffer_.empty() && buffer_.capacity() > (std::size_t{1} << 20))
      std::string{}.swap(buffer_);  // one big frame does not stay paid for
    buffer_.append(bytes);
  }

  // The next whole frame; payload points into the parser and is good until the next feed().
  [[nodiscard]] bool next(Header& header, std::string_view& payload) {
    if (broken_ || buffer_.size() - used_ < kHeaderSize) return false;
    const auto at = std::string_view(buffer_).substr(used_, kHeaderSize);
    header.length = static_cast<uint32_t>(detail::get_le(at.substr(0, 4)));
    header.type = static_cast<uint16_t>(detail::get_le(at.substr(4, 2)));
    header.flags = static_cast<uint16_t>(detail::get_le(at.substr(6, 2)));
    header.id = static_cast<uint32_t>(detail::get_le(at.substr(8, 4)));
    if (header.length > kMaxPayload) {
      broken_ = true;
      return false;
    }
    if (buffer_.size() - used_ - kHeaderSize < header.length) return false;
    payload = std::string_view(buffer_).substr(used_ + kHeaderSize, header.length);
    used_ += kHeaderSize + header.length;
    return true;
  }

  // A frame announced more than kMaxPayload: the stream cannot be followed any more.
  [[nodiscard]] bool broken() const { return broken_; }
  // Bytes of an unfinished frame are there.
  [[nodiscard]] bool partial() const { return used_ < buffer_.size(); }

 private:
  std::string buffer_;
  std::size_t used_ = 0;
  bool broken_ = false;
};

}  // namespace awm::wire
