#include "swebench/task_folder.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "sandbox/tar_writer.h"
#include "swebench/patch.h"
#include "swebench/steps.h"

namespace awm {
namespace {

constexpr std::string_view logs = "/logs/verifier/";
constexpr auto reward_files = std::to_array<std::string_view>({"reward.json", "reward.txt"});  // the first there counts
constexpr std::size_t most_reward_bytes = std::size_t{1} << 20;
constexpr Seconds solution_limit{3600};

Result<void> bring_folder(Sandbox& sandbox, const std::string& from, const std::string& to) {
  static const Scope scope("process/judge");
  AWM_CHECK(sandbox.remove(to));
  AWM_CHECK(run_checked(sandbox, {.argv = {"mkdir", "-p", to}, .environment = {}, .folder = "/"}));
  return sandbox.put_archive(to, tar_of_folder(scope, from, "", 0, 0));
}

std::unexpected<Error> no_reward(const std::string& file, std::string cause) {
  return fail(Errc::protocol, "read the reward in", file, std::move(cause));
}

Result<double> number_in(std::string_view text, const std::string& file) {
  const auto bare = trim(text);
  double value = 0;
  const auto [end, problem] = std::from_chars(bare.data(), bare.data() + bare.size(), value);
  if (bare.empty() || problem != std::errc{} || end != bare.data() + bare.size() || !std::isfinite(value))
    return no_reward(file, "it is no number: " + to_valid_utf8(bare.substr(0, 100)));
  return value;
}

Result<double> finite(const Json& json, const std::string& file) {
  if (json.is_boolean()) return json.get<bool>() ? 1 : 0;
  if (!json.is_number() || !std::isfinite(json.get<double>())) return no_reward(file, "a reward in it is no number");
  return json.get<double>();
}

}  // namespace

Result<void> bring_task_tests(Sandbox& sandbox, const Row& row) {
  AWM_CHECK(bring_folder(sandbox, join_path(row.task_folder, "tests"), parent_path(task_test_script)));
  AWM_CHECK(run_checked(sandbox, {.argv = {"chmod", "+x", task_test_script}, .environment = {}, .folder = "/"}));
  AWM_CHECK(run_checked(
      sandbox,
      {.argv = {"mkdir", "-p", "/logs/verifier", "/logs/agent", "/logs/artifacts"}, .environment = {}, .folder = "/"}));
  for (const auto name : reward_files) AWM_CHECK(sandbox.remove(std::string(logs) + std::string(name)));
  return {};
}

Result<void> fetch_reward(Sandbox& sandbox, const std::string& folder) {
  for (const auto name : reward_files) {
    const auto text = sandbox.read_file(std::string(logs) + std::string(name), most_reward_bytes);
    if (text) return write_file(join_path(folder, name), *text, true);
    if (text.error().code != Errc::not_found) return std::unexpected(text.error());
  }
  return no_reward("/logs/verifier", "the tests left neither reward.json nor reward.txt there");
}

Result<Grade> grade_reward(const std::string& folder) {
  std::vector<double> rewards;
  std::string file = join_path(folder, reward_files[0]);
  if (exists(file)) {
    AWM_TRY(const std::string text, read_file(file, most_reward_bytes));
    const auto json = parse_json(text, file);
    if (!json) return no_reward(file, "it is no JSON");
    if (json->is_object() && find_member(*json, "reward") != nullptr) {
      AWM_TRY(const double value, finite(*find_member(*json, "reward"), file));
      rewards.push_back(value);
    } else if (json->is_object()) {
      for (const auto& [key, one] : json->items()) {
        AWM_TRY(const double value, finite(one, file));
        rewards.push_back(value);
      }
    } else {
      AWM_TRY(const double value, finite(*json, file));
      rewards.push_back(value);
    }
    if (rewards.empty()) return no_reward(file, "no reward is in it");
  } else {
    file = join_path(folder, reward_files[1]);
    AWM_TRY(const std::string text, read_file(file, most_reward_bytes));
    AWM_TRY(const double value, number_in(text, file));
    rewards.push_back(value);
  }
  Grade grade;
  grade.log_found = true;
  grade.resolved = true;
  std::vector<std::string> words;
  for (const double reward : rewards) {
    grade.resolved = grade.resolved && reward >= 1;
    words.push_back(fmt::format("{:g}", reward));
  }
  grade.why = (words.size() == 1 ? "reward " : "rewards ") + join(words, ", ");
  return grade;
}

Result<std::string> patch_of_solution(Sandbox& sandbox, const Row& row) {
  const auto solution = join_path(row.task_folder, "solution");
  if (!exists(join_path(solution, "solve.sh"))) {
    return fail(Errc::not_found, "solve", row.instance_id, "the task has no solution/solve.sh");
  }
  AWM_TRY(const StartHead start, find_start_head(sandbox));
  AWM_CHECK(bring_folder(sandbox, solution, "/solution"));
  AWM_CHECK(run_checked(sandbox, {.argv = {"chmod", "+x", "/solution/solve.sh"}, .environment = {}, .folder = "/"}));
  ExecOptions options;
  options.hard_limit = solution_limit;
  AWM_TRY(const auto done, sandbox.exec(bash("exec /solution/solve.sh"), options));
  if (!done.status.ok()) {
    return fail(Errc::io, "solve", row.instance_id,
                fmt::format("its solution ended with {}: {}", done.status.text(), last_words(done.output)));
  }
  return extract_patch(sandbox, start);
}

}  // namespace awm
