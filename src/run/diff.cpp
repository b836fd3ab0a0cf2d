#include "run/diff.h"

#include <map>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "memory/memory_file.h"
#include "os/file.h"
#include "run/journal.h"
#include "run/sample.h"

namespace awm {
namespace {

constexpr std::size_t shown_chars = 200;
constexpr std::size_t any_number_of_workflows = 1'000'000;

bool may_differ(std::string_view key) {
  static const std::set<std::string_view> fields{
      "time",    "timestamp", "date",           "cost",  "cost_known",           "results_bytes", "descriptors",
      "threads", "children",  "resident_bytes", "leaks", "memory_revision_date", "attempts",      "calls_without_price",
      "check"};
  return fields.contains(key) || key.ends_with("_seconds");
}

Json without_what_may_differ(const Json& json) {
  if (json.is_object()) {
    Json kept = Json::object();
    for (const auto& [key, value] : json.items()) {
      if (!may_differ(key)) kept[key] = without_what_may_differ(value);
    }
    return kept;
  }
  if (!json.is_array()) return json;
  Json kept = Json::array();
  for (const auto& item : json) kept.push_back(without_what_may_differ(item));
  return kept;
}

struct Picture {
  std::string folder;
  Json header;
  std::vector<std::string> order;           // ids in the order of their last commits
  std::map<std::string, Json> commits;      // the last of each
  std::map<std::string, Json> uncommitted;  // outcomes without a commit
};

Result<Picture> read_picture(const Scope& scope, const std::string& folder) {
  Picture picture;
  AWM_TRY(picture.folder, absolute_path(folder));
  const auto path = journal_path(picture.folder);
  if (!exists(path)) {
    return fail(Errc::not_found, "compare", folder, "there is no journal.jsonl in it",
                "name the output folder of a run");
  }
  AWM_TRY(auto reader, LineReader::open(scope, path));
  for (;;) {
    AWM_TRY(const auto line, reader.next());
    if (!line) break;
    const std::string place = path + ":" + std::to_string(reader.line_number());
    auto record = parse_json(*line, place);
    if (!record && !reader.ended_with_newline()) break;  // torn
    if (!record) return std::unexpected(std::move(record).error());
    const auto type = string_or(*record, "type", "");
    const auto id = string_or(*record, "instance_id", "");
    if (type == "header") {
      picture.header = *std::move(record);
    } else if (type == "settings") {
      picture.header.update(*record);
    } else if (type == "commit") {
      std::erase(picture.order, id);
      picture.order.push_back(id);
      picture.uncommitted.erase(id);
      picture.commits[id] = *std::move(record);
    } else if (type == "verdict" || type == "error") {
      if (!picture.commits.contains(id)) picture.uncommitted[id] = *std::move(record);
    }
  }
  return picture;
}

std::string shown(const std::string& text) {
  return truncate_middle(to_valid_utf8(text), shown_chars, " … ");
}

class Comparison {
 public:
  Comparison(const Picture& a, const Picture& b) : a_(a), b_(b) {}

  Result<RunDiff> make() {
    for (const auto* key : {"dataset_hash", "tasks", "model_name", "memory_lag", "memory_hash"}) {
      compare(std::string("run: ") + key, text_of(a_.header, key), text_of(b_.header, key));
    }
    compare("run: order of the commits", join(a_.order, " "), join(b_.order, " "));
    std::set<std::string> ids;
    for (const auto* picture : {&a_, &b_}) {
      for (const auto& [id, record] : picture->commits) ids.insert(id);
      for (const auto& [id, record] : picture->uncommitted) ids.insert(id);
    }
    for (const auto& id : ids) AWM_CHECK(compare_sample(id));
    compare_memory();
    return std::move(diff_);
  }

 private:
  static std::string text_of(const Json& object, std::string_view key) {
    const Json* member = find_member(object, key);
    return member != nullptr ? dump_json(*member) : "";
  }

  void compare(const std::string& where, const std::string& a, const std::string& b) {
    if (a != b) diff_.differences.push_back({.where = where, .a = shown(a), .b = shown(b)});
  }

  static const Json* record_of(const Picture& picture, const std::string& id) {
    if (const auto it = picture.commits.find(id); it != picture.commits.end()) return &it->second;
    if (const auto it = picture.uncommitted.find(id); it != picture.uncommitted.end()) return &it->second;
    return nullptr;
  }

  Result<void> compare_sample(const std::string& id) {
    const std::string place = "sample " + id + ": ";
    const Json* a = record_of(a_, id);
    const Json* b = record_of(b_, id);
    if (a == nullptr || b == nullptr) {
      compare(place + "outcome", a != nullptr ? string_or(*a, "verdict", "?") : "",
              b != nullptr ? string_or(*b, "verdict", "?") : "");
      return {};
    }
    ++diff_.samples;
    const Json kept_a = without_what_may_differ(*a);
    const Json kept_b = without_what_may_differ(*b);
    std::set<std::string> keys;
    for (const auto& [key, value] : kept_a.items()) keys.insert(key);
    for (const auto& [key, value] : kept_b.items()) keys.insert(key);
    for (const auto& key : keys) compare(place + key, text_of(kept_a, key), text_of(kept_b, key));
    compare(place + "patch", patch_of(a_, id), patch_of(b_, id));
    compare(place + "actions", actions_of(a_, id), actions_of(b_, id));
    return {};
  }

  static std::string patch_of(const Picture& picture, const std::string& id) {
    return read_file(join_path(sample_folder(picture.folder, id), "patch.diff")).value_or("");
  }

  // What the agent did, without what it saw.
  static std::string actions_of(const Picture& picture, const std::string& id) {
    const auto path = join_path(sample_folder(picture.folder, id), "result.json");
    const auto text = read_file(path);
    if (!text) return {};
    const auto json = parse_json(*text, path);
    if (!json) return {};
    const Json* history = find_member(*json, "history");
    if (history == nullptr || !history->is_array()) return {};
    std::string actions;
    for (const auto& step : *history) {
      actions += string_or(step, "action_type", "?") + ": " + string_or(step, "action", "") + "\n";
    }
    return actions;
  }

  void compare_memory() {
    const auto hash = [](const Picture& picture) -> std::string {
      const auto path = join_path(picture.folder, "memory.json");
      if (!exists(path)) return "";
      const auto loaded = read_memory_file(path, any_number_of_workflows);
      return loaded ? loaded->memory->hash() + " (" + std::to_string(loaded->memory->size()) + " workflows)"
                    : loaded.error().message();
    };
    compare("run: memory at the end", hash(a_), hash(b_));
  }

  const Picture& a_;
  const Picture& b_;
  RunDiff diff_;
};

}  // namespace

Result<RunDiff> diff_runs(const Scope& scope, const std::string& folder_a, const std::string& folder_b) {
  AWM_TRY(const auto a, read_picture(scope, folder_a));
  AWM_TRY(const auto b, read_picture(scope, folder_b));
  return Comparison(a, b).make();
}

}  // namespace awm
