#include "swebench/row.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "swebench/json_items.h"

namespace awm {
namespace {

// One row's fields out of its JSON; messages name where it stood, its sample and the key.
class RowReader {
 public:
  explicit RowReader(const JsonItem& item) : json_(*item.value), origin_(item.origin) {}

  Result<Row> read() {
    if (!json_.is_object()) return wrong("", fmt::format("a row must be an object, not {}", json_.type_name()));
    Row row;
    row.origin = origin_;
    AWM_CHECK(text("instance_id", row.instance_id, true));
    id_ = row.instance_id;
    AWM_CHECK(check_id());
    AWM_CHECK(text("repo", row.repo, true));
    AWM_CHECK(check_repo(row.repo));
    AWM_CHECK(text("base_commit", row.base_commit, true));
    AWM_CHECK(check_commit("base_commit", row.base_commit));
    AWM_CHECK(text("problem_statement", row.problem_statement));
    AWM_CHECK(text("patch", row.patch));
    AWM_CHECK(text("test_patch", row.test_patch));
    AWM_CHECK(text("hints_text", row.hints_text));
    AWM_CHECK(text("created_at", row.created_at));
    AWM_CHECK(text("version", row.version));
    AWM_CHECK(text("environment_setup_commit", row.environment_setup_commit));
    AWM_CHECK(text("eval_script", row.eval_script));
    AWM_CHECK(text("log_parser", row.log_parser));
    AWM_CHECK(text("image", row.image));
    AWM_CHECK(text("environment_setup", row.environment_setup));
    AWM_TRY(const bool fail_to_pass, tests("FAIL_TO_PASS", row.fail_to_pass));
    AWM_TRY(const bool pass_to_pass, tests("PASS_TO_PASS", row.pass_to_pass));
    row.has_tests = fail_to_pass && pass_to_pass;
    AWM_CHECK(eval_type(row.eval_type));
    AWM_CHECK(image_assets(row.image_assets));
    return row;
  }

 private:
  [[nodiscard]] std::unexpected<Error> wrong(std::string_view key, std::string cause) const {
    std::string object = origin_;
    if (!id_.empty()) object += ", " + id_;
    if (!key.empty()) object += ", " + std::string(key);
    return fail(Errc::invalid_input, "read", std::move(object), std::move(cause));
  }

  // The member where it is there and not null.
  [[nodiscard]] const Json* member(std::string_view key) const {
    const Json* found = find_member(json_, key);
    return found == nullptr || found->is_null() ? nullptr : found;
  }

  Result<void> text(std::string_view key, std::string& into, bool needed = false) const {
    const Json* found = member(key);
    if (found == nullptr) {
      if (needed) return wrong(key, "it is missing");
      return {};
    }
    if (!found->is_string()) return wrong(key, fmt::format("must be a string, not {}", found->type_name()));
    into = found->get<std::string>();
    if (needed && into.empty()) return wrong(key, "it is empty");
    return {};
  }

  // Reports and logs lie in a folder of this name.
  Result<void> check_id() const {
    const bool plain =
        std::all_of(id_.begin(), id_.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f && c != '/'; });
    if (plain && id_.size() <= 200 && id_.front() != '.' && id_.front() != '-') return {};
    return wrong(
        "instance_id",
        "it is no name for a folder: no slash, space or control character, no dot in front, at most 200 bytes");
  }

  Result<void> check_repo(const std::string& repo) const {
    const auto parts = split(repo, '/');
    const bool plain = std::all_of(repo.begin(), repo.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
    if (plain && parts.size() == 2 && !parts[0].empty() && !parts[1].empty() && parts[0].front() != '.' &&
        parts[1].front() != '.')
      return {};
    return wrong("repo", "must be of the form owner/name");
  }

  Result<void> check_commit(std::string_view key, const std::string& commit) const {
    const bool plain = std::all_of(commit.begin(), commit.end(), [](unsigned char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
             c == '/' || c == '-';
    });
    if (plain && commit.front() != '-') return {};
    return wrong(key, "must be the name of a commit");
  }

  Result<bool> tests(std::string_view key, std::vector<std::string>& into) const {
    const Json* found = member(key);
    if (found == nullptr) return false;
    Json parsed;
    if (found->is_string()) {
      auto list = parse_json(found->get_ref<const std::string&>(), key);
      if (!list) return wrong(key, "its text is no JSON list: " + list.error().cause);
      parsed = *std::move(list);
      found = &parsed;
    }
    if (!found->is_array()) return wrong(key, fmt::format("must be a list of test names, not {}", found->type_name()));
    into.reserve(found->size());
    for (const auto& name : *found) {
      if (!name.is_string())
        return wrong(key, fmt::format("each test name must be a string, not {}", name.type_name()));
      into.push_back(name.get<std::string>());
    }
    return true;
  }

  Result<void> eval_type(EvalType& into) const {
    std::string word;
    AWM_CHECK(text("eval_type", word));
    if (word.empty() || word == "pass_and_fail") {
      into = EvalType::pass_and_fail;
    } else if (word == "fail_only") {
      into = EvalType::fail_only;
    } else {
      return wrong("eval_type", fmt::format("must be pass_and_fail or fail_only, not {}", word));
    }
    return {};
  }

  Result<void> image_assets(std::string& into) const {
    const Json* found = member("image_assets");
    if (found == nullptr) return {};
    if (found->is_object()) {
      into = found->empty() ? "" : dump_json(*found);
      return {};
    }
    AWM_CHECK(text("image_assets", into));
    if (into.empty()) return {};
    auto parsed = parse_json(into, "image_assets");
    if (!parsed) return wrong("image_assets", "its text is no JSON object: " + parsed.error().cause);
    if (parsed->is_null() || (parsed->is_object() && parsed->empty())) {
      into.clear();
    } else if (!parsed->is_object()) {
      return wrong("image_assets", fmt::format("must be an object, not {}", parsed->type_name()));
    }
    return {};
  }

  const Json& json_;
  const std::string& origin_;
  std::string id_;
};

// The files that a name stands for: itself, or a folder's data files by name.
Result<std::vector<std::string>> files_of(const std::string& dataset) {
  if (!exists(dataset)) {
    return fail(Errc::not_found, "read", dataset, "there is no such file or folder",
                "name a .jsonl or .json file with SWE-bench rows");
  }
  if (!is_folder(dataset)) return std::vector<std::string>{dataset};
  AWM_TRY(auto names, sys::list_folder(dataset));
  std::erase_if(names, [](const std::string& name) {
    return name.starts_with('.') || (!name.ends_with(".jsonl") && !name.ends_with(".json"));
  });
  if (names.empty()) return fail(Errc::not_found, "read", dataset, "no .jsonl and no .json file is in it");
  std::sort(names.begin(), names.end());
  for (auto& name : names) name = join_path(dataset, name);
  return names;
}

void add_field(std::string& text, std::string_view value) {
  text += std::to_string(value.size());
  text += ':';
  text += value;
}

}  // namespace

Result<std::vector<Row>> read_rows(const std::vector<std::string>& datasets) {
  std::vector<Row> rows;
  std::map<std::string, std::string> places;
  for (const auto& dataset : datasets) {
    AWM_TRY(const auto files, files_of(dataset));
    for (const auto& file : files) {
      const auto before = rows.size();
      AWM_CHECK(for_each_item(
          file, [](std::string_view key) { return key == "instance_id"; },
          [&](const JsonItem& item) -> Result<void> {
            AWM_TRY(auto row, RowReader(item).read());
            const auto [place, fresh] = places.emplace(row.instance_id, item.origin);
            if (!fresh) {
              return fail(Errc::invalid_input, "read", fmt::format("{}, {}", item.origin, row.instance_id),
                          fmt::format("the row is there twice; the first is at {}", place->second),
                          "leave one of them out");
            }
            rows.push_back(std::move(row));
            return {};
          }));
      if (rows.size() == before) return fail(Errc::invalid_input, "read", file, "no row is in it");
    }
  }
  return rows;
}

Result<std::vector<Row>> filter_rows(std::vector<Row> rows, const RowFilter& filter) {
  if (!filter.instances.empty()) {
    std::vector<std::string> known;
    known.reserve(rows.size());
    for (const auto& row : rows) known.push_back(row.instance_id);
    const std::set<std::string> there(known.begin(), known.end());
    for (const auto& wanted : filter.instances) {
      if (there.contains(wanted)) continue;
      const auto near = nearest_word(wanted, known);
      return fail(Errc::invalid_input, "choose", wanted, "no row has this instance id",
                  near.empty() ? "" : "did you mean " + near + "?");
    }
    const std::set<std::string> wanted(filter.instances.begin(), filter.instances.end());
    std::erase_if(rows, [&](const Row& row) { return !wanted.contains(row.instance_id); });
  }
  if (!filter.repo.empty()) std::erase_if(rows, [&](const Row& row) { return !contains(row.repo, filter.repo); });
  if (filter.shuffle_seed) {
    std::vector<std::pair<std::string, std::size_t>> order;
    order.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      order.emplace_back(sha256_hex(fmt::format("{}:{}", *filter.shuffle_seed, rows[i].instance_id)), i);
    }
    std::sort(order.begin(), order.end());
    std::vector<Row> shuffled;
    shuffled.reserve(rows.size());
    for (const auto& [key, index] : order) shuffled.push_back(std::move(rows[index]));
    rows = std::move(shuffled);
  }
  if (filter.limit > 0 && rows.size() > static_cast<std::size_t>(filter.limit))
    rows.resize(static_cast<std::size_t>(filter.limit));
  return rows;
}

std::string hash_of(const Row& row) {
  std::string text;
  for (const auto* field :
       {&row.instance_id, &row.repo, &row.base_commit, &row.patch, &row.test_patch, &row.problem_statement,
        &row.hints_text, &row.created_at, &row.version, &row.environment_setup_commit, &row.eval_script,
        &row.log_parser, &row.image, &row.image_assets, &row.environment_setup}) {
    // That of a task folder holds variables of this machine, and its own text is in task_hash.
    if (field == &row.environment_setup && !row.task_folder.empty()) continue;
    add_field(text, *field);
  }
  add_field(text, row.eval_type == EvalType::fail_only ? "fail_only" : "pass_and_fail");
  for (const auto* list : {&row.fail_to_pass, &row.pass_to_pass}) {
    add_field(text, std::to_string(list->size()));
    for (const auto& name : *list) add_field(text, name);
  }
  if (!row.task_folder.empty()) {
    add_field(text, row.task_hash);
  }
  return sha256_hex(text);
}

std::string hash_of(const std::vector<Row>& rows) {
  std::string text;
  for (const auto& row : rows) text += hash_of(row);
  return sha256_hex(text);
}

}  // namespace awm
