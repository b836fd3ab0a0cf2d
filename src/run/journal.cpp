#include "run/journal.h"

#include <mutex>

#include "base/json.h"
#include "base/text.h"
#include "os/fault.h"
#include "os/log.h"

namespace awm {

struct Journal::State {
  mutable std::mutex mutex;
  AppendFile file;
  std::string path;
  Json header;
  std::map<std::string, SampleState> samples;
  uint64_t torn = 0;
  bool keeps = false;  // what cannot be written
  std::string second_place;
  std::string kept;  // whole lines that the file did not take, in their order
  std::optional<Error> trouble;
  bool dirty = false;  // behind `whole` bytes stands what a failed write left
  uint64_t whole = 0;
  std::string written_elsewhere;

  // Whole or not at all.
  Result<void> write(const std::string& lines, bool synced) {
    if (dirty) {
      AWM_CHECK(sys::ftruncate(file.fd(), whole));
      dirty = false;
    }
    AWM_TRY(const auto before, sys::fstat(file.fd()));
    auto written = file.append(lines);
    if (written && synced) written = file.sync();
    // Half a line must not stand before the next one.
    if (!written) {
      whole = before.size;
      dirty = !sys::ftruncate(file.fd(), whole);
    }
    return written;
  }

  // Takes a record into the picture of the samples.
  void apply(const Json& record) {
    const auto type = string_or(record, "type", "");
    if (type == "settings") {
      for (const auto& [key, value] : record.items()) {
        if (key != "type" && key != "time") header[key] = value;
      }
      return;
    }
    const auto id = get_string(record, "instance_id");
    if (!id) return;
    auto& sample = samples[*id];
    if (type == "started") {
      ++sample.attempts;
      sample.stage = SampleState::Stage::started;
      sample.patch_record.clear();
      sample.final_record.clear();
      sample.committed = false;
    } else if (type == "patch") {
      sample.stage = SampleState::Stage::patched;
      sample.patch_record = dump_json(record);
    } else if (type == "verdict" || type == "error") {
      sample.stage = type == "verdict" ? SampleState::Stage::judged : SampleState::Stage::errored;
      sample.final_record = dump_json(record);
    } else if (type == "commit") {
      sample.committed = true;
    } else if (type == "release") {
      if (const auto error = get_string(record, "release_error")) sample.release_errors.push_back(*error);
    }
  }
};

namespace {

constexpr std::string_view check_key = R"(,"check":")";

std::string check_of(std::string_view text) {
  return sha256_hex(text).substr(0, 16);
}

// A record as a line: its last key is the check of what stands before it.
std::string sealed(const Json& record) {
  std::string line = dump_json(record);
  line.pop_back();  // the brace
  const auto check = check_of(line);
  return line.append(check_key).append(check).append("\"}\n");
}

enum class Seal { none, good, broken };

Seal seal_of(std::string_view line) {
  const std::size_t tail = check_key.size() + 16 + 2;
  if (line.size() <= tail || line.substr(line.size() - tail, check_key.size()) != check_key) return Seal::none;
  const auto text = line.substr(0, line.size() - tail);
  return line.substr(line.size() - 18, 16) == check_of(text) ? Seal::good : Seal::broken;
}

Error broken(const std::string& place) {
  return {
      .code = Errc::invalid_input,
      .operation = "read",
      .object = place,
      .cause = "this record is not as awm wrote it: its check differs",
      .remedy = "restore the file from a copy, or cut it off before this line: what stood behind is then done again"};
}

}  // namespace

std::string journal_path(const std::string& folder) {
  return join_path(folder, "journal.jsonl");
}

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::~Journal() {
  (void)close();
}

Result<std::unique_ptr<Journal>> Journal::create(const Scope& scope, const std::string& folder, const Json& header) {
  const auto path = journal_path(folder);
  const auto taken = [&] {
    return fail(Errc::already_exists, "start a run in", folder, "the folder holds another run",
                "go on with it by --resume-from " + folder + ", or name another --output-dir");
  };
  auto state = std::make_unique<State>();
  state->path = path;
  AWM_TRY(state->file, AppendFile::open(scope, path));
  // Of two that saw no journal only one gets the lock, and the other may get it when that one has ended.
  if (!sys::try_lock(state->file.fd())) return taken();
  // Without a whole line there was no run: even the header was not written.
  {
    AWM_TRY(auto reader, LineReader::open(scope, path));
    AWM_TRY(const auto line, reader.next());
    if (line && reader.ended_with_newline()) return taken();
    AWM_CHECK(sys::ftruncate(state->file.fd(), 0));
  }
  Json first = header;
  first["type"] = "header";
  first["schema"] = journal_schema;
  state->header = first;
  std::unique_ptr<Journal> journal(new Journal(std::move(state)));
  AWM_CHECK(journal->append(std::move(first)));
  // The name of a new file is durable only when its folder is.
  AWM_TRY(const auto dir, sys::open(scope, folder, sys::Open::folder));
  AWM_CHECK(sys::fsync(dir.get()));
  return journal;
}

Result<std::unique_ptr<Journal>> Journal::open(const Scope& scope, const std::string& folder,
                                               const std::function<void(const Json&)>& on_record) {
  const auto path = journal_path(folder);
  if (!exists(path)) {
    return fail(Errc::not_found, "resume", folder, "there is no journal.jsonl in it",
                "name the output folder of a run of awm");
  }
  auto state = std::make_unique<State>();
  state->path = path;
  AWM_TRY(state->file, AppendFile::open(scope, path));
  if (auto locked = sys::try_lock(state->file.fd()); !locked) {
    return fail(Errc::exhausted, "resume", folder, "another awm is writing this run", "wait for it, or stop it");
  }
  AWM_TRY(auto reader, LineReader::open(scope, path));
  uint64_t whole = 0;
  bool checked = false;  // journals of schema 1 have no checks
  for (;;) {
    AWM_TRY(const auto line, reader.next());
    if (!line) break;
    const std::string place = path + ":" + std::to_string(reader.line_number());
    if (!reader.ended_with_newline()) {
      // What a crash in mid-write leaves. Its caller never heard that it was written.
      state->torn = line->size();
      break;
    }
    const Seal seal = seal_of(*line);
    if (seal == Seal::broken) return std::unexpected(broken(place));
    auto record = parse_json(*line, place);
    if (!record) return std::unexpected(std::move(record).error());
    if (!record->is_object() || !get_string(*record, "type")) {
      return fail(Errc::invalid_input, "read", place, "not a journal record: an object with \"type\" is expected");
    }
    record->erase("check");
    const bool first = reader.line_number() == 1;
    if (first) {
      if (string_or(*record, "type", "") != "header") {
        return fail(
            Errc::invalid_input, "read", place,
            "the first line of a journal is its header, and this is \"" + string_or(*record, "type", "") + "\"");
      }
      const auto schema = get_int(*record, "schema").value_or(0);
      if (schema > journal_schema) {
        return fail(Errc::unsupported, "read", place, "schema " + std::to_string(schema) + " of a later awm",
                    "use the awm that wrote it, or a newer one");
      }
      if (schema < 1) return fail(Errc::invalid_input, "read", place, "the header names no schema");
      checked = schema >= 2;
    }
    if (checked && seal == Seal::none) return std::unexpected(broken(place));
    if (first) {
      state->header = *std::move(record);
    } else {
      state->apply(*record);
      if (on_record) on_record(*record);
    }
    whole = reader.offset();
  }
  if (state->header.is_null()) {
    return fail(Errc::invalid_input, "resume", folder, "its journal.jsonl has no header: the run died before it began",
                "start it anew, with the same --output-dir if you like");
  }
  if (state->torn > 0) {
    AWM_CHECK(sys::ftruncate(state->file.fd(), whole));
    AWM_CHECK(state->file.sync());
    log_warning(path + ": the last line was torn (" + std::to_string(state->torn) + " bytes) and is cut off");
  }
  return std::unique_ptr<Journal>(new Journal(std::move(state)));
}

Result<void> Journal::append(Json record, Durability durability) {
  if (!record.contains("time")) record["time"] = iso_time();
  const std::string line = sealed(record);
  const std::lock_guard lock(state_->mutex);
  if (!state_->file.is_open()) return fail(Errc::closed, "write", state_->path, "the journal is closed");
  const bool synced = durability == Durability::synced;
  // In their order: what was kept goes first.
  auto written = state_->kept.empty() ? state_->write(line, synced) : state_->write(state_->kept + line, true);
  if (!written && state_->keeps) {
    if (!state_->trouble) {
      log_error(written.error().message() + "; it is kept in memory, and no further sample is begun");
    }
    state_->kept += line;
    state_->trouble = std::move(written).error();
  } else if (!written) {
    return written;
  } else {
    state_->kept.clear();
    state_->trouble.reset();
  }
  state_->apply(record);
  fault::crash_point("journal");
  return {};
}

void Journal::keep_what_fails(const std::string& folder, const std::string& id) {
  const std::lock_guard lock(state_->mutex);
  state_->keeps = true;
  state_->second_place = join_path(folder, "journal-" + id + ".jsonl");
}

std::optional<Error> Journal::trouble() const {
  const std::lock_guard lock(state_->mutex);
  return state_->trouble;
}

const Json& Journal::header() const {
  return state_->header;
}

std::optional<SampleState> Journal::sample(const std::string& instance_id) const {
  const std::lock_guard lock(state_->mutex);
  const auto it = state_->samples.find(instance_id);
  if (it == state_->samples.end()) return std::nullopt;
  return it->second;
}

std::map<std::string, SampleState> Journal::samples() const {
  const std::lock_guard lock(state_->mutex);
  return state_->samples;
}

uint64_t Journal::torn_bytes() const {
  return state_->torn;
}

std::string Journal::close() noexcept {
  const std::lock_guard lock(state_->mutex);
  if (!state_->file.is_open()) return state_->written_elsewhere;
  if (!state_->kept.empty()) {
    if (auto written = state_->write(state_->kept, true); written) {
      state_->kept.clear();
      state_->trouble.reset();
    } else if (auto second = write_file(state_->second_place, state_->kept, true); second) {
      state_->written_elsewhere = state_->second_place;
      log_error(state_->path + " did not take its last records; they are in " + state_->second_place);
    } else {
      // The last place that is left.
      log_error("records of the run could be written neither to " + state_->path + " nor to " + state_->second_place +
                " (" + second.error().cause + "); they follow, a line each");
      print_out(state_->kept);
    }
  }
  state_->file.close();
  return state_->written_elsewhere;
}

}  // namespace awm
