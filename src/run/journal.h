// journal.jsonl: the one truth of a run. Append, fdatasync; every other file in the output folder is a view that can be
// made again from it.
//
// One JSON object a line, each with "type" and "time". The first line is the header:
// {"type":"header","schema":2,...,"settings":{...}}; a later {"type":"settings",...} replaces what it has of the
// header, when a resume changed it. Records of a sample carry "instance_id": started, patch, verdict, error, release,
// commit. A sample is judged once its verdict record is on disk, whatever comes after; it is part of the run's result
// once its commit record is there, and commits are in the order of the tasks. A last line without its end is what a
// crash left: it is cut off when the journal is opened again. A line's last key is "check", the first 16 digits of the
// SHA-256 of the line up to the comma before it: a record that a disk or a hand has changed is refused, with its place.
// Journals of schema 1 have no checks, and are gone on with as they are.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"
#include "os/file.h"

namespace awm {

inline constexpr int journal_schema = 2;

// Where a sample stands, as its records say.
struct SampleState {
  enum class Stage { started, patched, judged, errored } stage = Stage::started;
  int attempts = 0;          // tries of the agent begun so far
  std::string patch_record;  // JSON text of the last patch record; "" none
  std::string final_record;  // JSON text of the verdict or error record that stands; "" none
  std::vector<std::string> release_errors;
  bool committed = false;  // its commit record stands, and no later try of it was begun
};

// How much a record is worth: synced is on disk when append() returns; lazy is written, and on disk with the next
// synced one. A lazy record that a power cut takes is one whose work is done again.
enum class Durability { synced, lazy };

// Thread-safe. One descriptor, locked while open: two programs never write one journal.
class Journal {
 public:
  // Starts a journal in `folder`, which exists. Errors: already_exists when the folder holds a run.
  static Result<std::unique_ptr<Journal>> create(const Scope& scope, const std::string& folder, const Json& header);
  // Opens a run's journal to go on. Errors: not_found; invalid_input with file and line for a line that is no record;
  // exhausted when another program has it open.
  // `on_record`, where given, gets every whole record behind the header, in order.
  static Result<std::unique_ptr<Journal>> open(const Scope& scope, const std::string& folder,
                                               const std::function<void(const Json&)>& on_record = {});
  ~Journal();

  // One record, whole. "time" is added. Errors: io, exhausted (disk full), closed; then nothing of it is in the file.
  // After keep_what_fails() only closed: a record that cannot be written is kept in memory, behind those kept before
  // it, and tried again with each later one and by close().
  Result<void> append(Json record, Durability durability = Durability::synced);

  // From now on no record is lost to a disk that takes no more: what close() cannot write either goes to
  // `folder`/journal-ID.jsonl, `id` being the run's.
  void keep_what_fails(const std::string& folder, const std::string& id);
  // Why the last record could not be written, while records are kept; nullopt when all are in the file.
  [[nodiscard]] std::optional<Error> trouble() const;

  // The header, with what later settings records replaced. Not while another thread appends settings.
  [[nodiscard]] const Json& header() const;
  // As of opening plus what was appended since.
  [[nodiscard]] std::optional<SampleState> sample(const std::string& instance_id) const;
  [[nodiscard]] std::map<std::string, SampleState> samples() const;
  // Bytes of a torn last line that were cut off when it was opened; 0 none.
  [[nodiscard]] uint64_t torn_bytes() const;
  // Returns the file to which records went that the journal did not take; "" none. Idempotent.
  std::string close() noexcept;

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The journal's path in an output folder.
std::string journal_path(const std::string& folder);

}  // namespace awm
