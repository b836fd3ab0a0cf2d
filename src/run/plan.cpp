#include "run/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "agent/rollout.h"
#include "base/json.h"
#include "base/text.h"
#include "memory/memory_file.h"
#include "memory/prompt_section.h"
#include "os/log.h"
#include "run/datasets.h"
#include "swebench/prediction.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

constexpr int max_workers = 4096;

struct Shard {
  std::size_t number = 1;
  std::size_t of = 1;
};

Result<Shard> parse_shard(const std::string& text) {
  Shard shard;
  if (text.empty()) return shard;
  const auto number = [](std::string_view part, std::size_t& to) {
    const auto [end, problem] = std::from_chars(part.data(), part.data() + part.size(), to);
    return problem == std::errc{} && end == part.data() + part.size();
  };
  const auto slash = text.find('/');
  if (slash == std::string::npos || !number(std::string_view(text).substr(0, slash), shard.number) ||
      !number(std::string_view(text).substr(slash + 1), shard.of) || shard.number < 1 || shard.number > shard.of) {
    return fail(Errc::invalid_input, "use", "--shard " + text, "not of the form K/N with 1 ≤ K ≤ N");
  }
  return shard;
}

class Planner {
 public:
  Planner(const Scope& scope, const Stop& stop, RunOptions options, const std::vector<std::string>& given)
      : scope_(scope), stop_(stop), given_(given) {
    plan_.options = std::move(options);
  }

  Result<RunPlan> make() {
    // Kept in the journal: a run is gone on with from any folder.
    for (auto& dataset : plan_.options.datasets) {
      AWM_TRY(dataset, dataset_name(dataset));
    }
    AWM_CHECK(open_earlier());
    AWM_CHECK(read_settings());
    AWM_CHECK(check_options());
    AWM_CHECK(read_tasks());
    AWM_CHECK(read_files());
    AWM_CHECK(check_task_folders());
    AWM_CHECK(check_repositories());
    AWM_CHECK(check_same_run());
    return std::move(plan_);
  }

 private:
  // Containers bring their repositories along. A local run with none of them would end in nothing but errors; one that
  // lacks some is told now, and not when their turn has come.
  Result<void> check_repositories() const {
    if (plan_.options.sandbox != "local" || plan_.earlier) return {};
    std::set<std::string> missing;
    std::optional<Error> first;
    bool any = false;
    for (const auto& row : plan_.rows) {
      if (missing.contains(row.repo)) continue;
      auto found = repository_of(plan_, row);
      any = any || found;
      if (found) continue;
      missing.insert(row.repo);
      log_debug(found.error().message());
      if (!first) first = std::move(found).error();
    }
    if (!first) return {};
    if (!any) return std::unexpected(*std::move(first));
    log_warning(fmt::format("{} repositories are missing, and their tasks will end in errors: {}", missing.size(),
                            join(std::vector<std::string>(missing.begin(), missing.end()), ", ")));
    return {};
  }

  // Harbor's tasks live in their images.
  Result<void> check_task_folders() const {
    for (const auto& row : plan_.rows) {
      if (!is_task_folder(row)) continue;
      const auto& options = plan_.options;
      if (options.sandbox != "docker") {
        return fail(Errc::invalid_input, "use", "--sandbox " + options.sandbox,
                    "the Harbor task " + row.instance_id + " runs in its image", "use --sandbox docker");
      }
      if (!options.repos.empty() || !plan_.repositories.empty()) {
        return fail(Errc::invalid_input, "use", "--repos, --repo",
                    "the Harbor task " + row.instance_id + " has its repository in its image", "leave them out");
      }
      if (row.image.empty() && options.image.empty() && options.image_template.empty()) {
        return fail(Errc::unsupported, "find the image of", row.task_folder,
                    "its task.toml names no docker_image, and awm builds none from its environment/Dockerfile",
                    fmt::format("docker build -t {0} {1}, for every task, and --image-template '{{instance_id}}'; or "
                                "name it as docker_image",
                                to_lower_ascii(row.instance_id), join_path(row.task_folder, "environment")));
      }
    }
    return {};
  }

  // What a run is resumed with must be what it began with, wherever it now comes from.
  Result<void> check_same_run() const {
    if (!plan_.earlier) return {};
    const Json& header = plan_.earlier->journal->header();
    const auto same = [&](const char* key, const std::string& now) -> Result<void> {
      const auto before = string_or(header, key, now);
      if (before == now) return {};
      const auto told = fmt::format("{} was {}, now {}", key, before, now);
      if (!plan_.options.force) {
        return fail(Errc::invalid_input, "resume", plan_.options.output_dir, told, "bring it back, or add --force");
      }
      log_warning(told + "; going on, as --force asks");
      return {};
    };
    AWM_CHECK(same("model_name", plan_.model_name));
    return same("memory_hash", plan_.memory_at_start->hash());
  }

  Result<void> open_earlier() {
    RunOptions& options = plan_.options;
    if (options.resume_from.empty()) return {};
    std::string folder = options.resume_from;
    // The predecessor's users name its checkpoint.json.
    if (file_name(folder) == "checkpoint.json") folder = parent_path(folder);
    AWM_TRY(folder, absolute_path(folder));
    EarlierRun earlier;
    AWM_TRY(earlier.journal, Journal::open(scope_, folder, [&](const Json& record) {
              if (string_or(record, "type", "") != "commit") return;
              earlier.commits.emplace_back(string_or(record, "instance_id", ""), dump_json(record));
            }));
    const Json* settings = find_member(earlier.journal->header(), "settings");
    AWM_TRY(options, resume_options(settings != nullptr ? *settings : Json::object(), options, given_));
    options.output_dir = folder;
    options.run_id = string_or(earlier.journal->header(), "run_id", options.run_id);
    plan_.earlier = std::move(earlier);
    return {};
  }

  // Where neither the person nor the run's journal says it, [awm.run] and its kin do.
  template <class Value, class Default>
  void fill(const char* name, Value& value, const std::optional<Default>& fallback) {
    if (plan_.earlier || !fallback) return;
    if (std::find(given_.begin(), given_.end(), name) == given_.end()) value = static_cast<Value>(*fallback);
  }

  Result<void> read_settings() {
    RunOptions& options = plan_.options;
    // Kept in the journal: a run is gone on with from any folder.
    if (!options.config_file.empty()) {
      AWM_TRY(options.config_file, absolute_path(options.config_file));
    }
    const SettingsFlags flags{.config_file = options.config_file,
                              .llm_config = options.llm_config,
                              .model = options.model,
                              .base_url = options.base_url,
                              .api_key_env = options.api_key_env,
                              .agent_class = options.agent_class};
    AWM_TRY(plan_.settings, load_settings(flags));
    const RunDefaults& defaults = plan_.settings.run;
    fill("sandbox", options.sandbox, defaults.sandbox);
    fill("repos", options.repos, defaults.repos);
    fill("env-setup", options.env_setup, defaults.env_setup);
    fill("output-dir", options.output_dir, defaults.output_dir);
    fill("eval-timeout", options.eval_timeout, defaults.eval_timeout);
    fill("command-timeout", options.command_timeout, defaults.command_timeout);
    fill("agent-class", options.agent_class, defaults.agent_class);
    fill("max-iterations", options.max_iterations, defaults.max_iterations);
    fill("max-budget-per-task", options.max_budget_per_task, defaults.max_budget_per_task);
    for (const auto& warning : plan_.settings.warnings) log_warning(warning);
    for (const auto& note : plan_.settings.notes) log_debug(note);
    if (plan_.patches_given()) {
      plan_.model_name = options.gold ? "gold" : "";
      return {};
    }
    AWM_CHECK(require_model(plan_.settings));
    plan_.llm = plan_.settings.llm;
    plan_.model_name = plan_.llm->model;
    return {};
  }

  Result<void> check_options() {
    RunOptions& options = plan_.options;
    if (options.datasets.empty()) {
      return fail(Errc::invalid_input, "run", "", "no tasks are named",
                  "add --dataset FILE.jsonl with SWE-bench rows, or lite, verified, …");
    }
    const auto& classes = agent_classes();
    if (std::find(classes.begin(), classes.end(), options.agent_class) == classes.end()) {
      return fail(Errc::invalid_input, "use", "--agent-class " + options.agent_class, "there is no such agent",
                  "choose one of " + join(classes, ", "));
    }
    if (options.sandbox != "local" && options.sandbox != "docker") {
      return fail(Errc::invalid_input, "use", "--sandbox " + options.sandbox, "there is no such sandbox",
                  "choose docker or local");
    }
    if (options.memory != "online" && options.memory != "frozen" && options.memory != "off") {
      return fail(Errc::invalid_input, "use", "--memory " + options.memory, "there is no such mode",
                  "choose online, frozen or off");
    }
    if (options.gold && !options.predictions.empty()) {
      return fail(Errc::invalid_input, "use", "--gold", "it excludes --predictions", "leave one of them out");
    }
    if (plan_.patches_given() && options.skip_evaluation) {
      return fail(Errc::invalid_input, "use", "--skip-evaluation",
                  "given patches that are not judged leave nothing to do");
    }
    if (options.workers < 1 || options.workers > max_workers) {
      return fail(Errc::invalid_input, "use", fmt::format("--workers {}", options.workers),
                  fmt::format("from 1 to {} make sense", max_workers));
    }
    if (options.memory_lag < 0 || options.memory_lag > 65536) {
      return fail(Errc::invalid_input, "use", fmt::format("--memory-lag {}", options.memory_lag),
                  "from 1 to 65536 make sense");
    }
    if (options.memory_lag == 0) options.memory_lag = options.workers;
    if (options.induction_trigger < 1) {
      return fail(Errc::invalid_input, "use", fmt::format("--induction-trigger {}", options.induction_trigger),
                  "at least one pass is needed for an induction");
    }
    if (options.max_workflows < 1) {
      return fail(Errc::invalid_input, "use", fmt::format("--max-workflows {}", options.max_workflows),
                  "at least one is needed; --memory off learns none");
    }
    if (!options.truncation.empty()) {
      AWM_TRY(plan_.truncation, parse_truncation(options.truncation));
    }
    return {};
  }

  Result<void> read_tasks() {
    RunOptions& options = plan_.options;
    DatasetRequest request{.datasets = options.datasets, .split = options.split, .revisions = {}};
    if (plan_.earlier) {
      if (const Json* seen = find_member(plan_.earlier->journal->header(), "dataset_revisions"); seen != nullptr) {
        for (const auto& dataset : options.datasets) {
          if (auto revision = get_string(*seen, dataset)) request.revisions[dataset] = *std::move(revision);
        }
      }
    }
    AWM_TRY(auto datasets, read_datasets(scope_.child("datasets"), stop_, request));
    plan_.rows = std::move(datasets.rows);
    plan_.dataset_revisions = std::move(datasets.revisions);
    plan_.dataset_hash = hash_of(plan_.rows);
    const RowFilter filter{.repo = options.repo_filter,
                           .instances = options.instances,
                           .limit = options.limit,
                           .shuffle_seed = options.shuffle_seed};
    AWM_TRY(plan_.rows, filter_rows(std::move(plan_.rows), filter));
    AWM_TRY(const Shard shard, parse_shard(options.shard));
    if (shard.of > 1) {
      std::vector<Row> mine;
      for (std::size_t i = shard.number - 1; i < plan_.rows.size(); i += shard.of)
        mine.push_back(std::move(plan_.rows[i]));
      plan_.rows = std::move(mine);
    }
    if (plan_.rows.empty()) {
      return fail(Errc::invalid_input, "choose from", join(options.datasets, ", "), "no row is left after the filters",
                  "check --repo-filter, --limit and --shard");
    }
    if (plan_.earlier) {
      const auto before = string_or(plan_.earlier->journal->header(), "dataset_hash", plan_.dataset_hash);
      if (before != plan_.dataset_hash) {
        if (!options.force) {
          return fail(Errc::invalid_input, "resume", options.output_dir,
                      "the data set is not the one the run began with: " + join(options.datasets, ", "),
                      "bring the old one back, or add --force");
        }
        log_warning("the data set is not the one the run began with; going on, as --force asks");
      }
    }
    if (!options.predictions.empty()) {
      AWM_CHECK(read_given_patches());
    } else if (!options.gold) {
      for (const auto& row : plan_.rows) {
        if (!trim(row.problem_statement).empty()) continue;
        return fail(Errc::invalid_input, "read", row.origin + ", " + row.instance_id + ", problem_statement",
                    "it is empty, and the agent has nothing else to go by");
      }
    }
    if (plan_.model_name.empty()) plan_.model_name = "unknown";
    return {};
  }

  Result<void> read_given_patches() {
    RunOptions& options = plan_.options;
    AWM_TRY(options.predictions, absolute_path(options.predictions));
    AWM_TRY(const auto predictions, read_predictions(options.predictions));
    std::set<std::string> known;
    for (const auto& row : plan_.rows) known.insert(row.instance_id);
    std::size_t unknown = 0;
    for (const auto& prediction : predictions) {
      plan_.given_patches[prediction.instance_id] = prediction.patch.value_or("");
      if (plan_.model_name.empty()) plan_.model_name = prediction.model;
      if (!known.contains(prediction.instance_id)) ++unknown;
    }
    if (unknown > 0) {
      log_warning(
          fmt::format("{}: {} predictions are for no chosen row and are left out", options.predictions, unknown));
    }
    std::erase_if(plan_.rows, [&](const Row& row) { return !plan_.given_patches.contains(row.instance_id); });
    if (plan_.rows.empty()) {
      return fail(Errc::invalid_input, "judge", options.predictions, "none of its predictions is for a chosen row");
    }
    return {};
  }

  Result<void> read_files() {
    RunOptions& options = plan_.options;
    if (!options.env_setup.empty()) {
      AWM_TRY(options.env_setup, absolute_path(options.env_setup));
      AWM_TRY(plan_.env_setup, read_file(options.env_setup, uint64_t{1} << 20));
    }
    for (auto& pair : options.repo) {
      const auto equals = pair.find('=');
      if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size()) {
        return fail(Errc::invalid_input, "read", "--repo " + pair, "not of the form OWNER/NAME=PATH");
      }
      AWM_TRY(const auto path, absolute_path(pair.substr(equals + 1)));
      if (!is_folder(path)) return fail(Errc::not_found, "use", "--repo " + pair, "there is no folder " + path);
      plan_.repositories[pair.substr(0, equals)] = path;
      pair.resize(equals + 1);
      pair += path;
    }
    if (!options.repos.empty()) {
      AWM_TRY(options.repos, absolute_path(options.repos));
      if (!is_folder(options.repos)) {
        return fail(Errc::not_found, "use", "--repos " + options.repos, "there is no such folder");
      }
    }
    plan_.memory_at_start = WorkflowMemory::empty();
    if (!options.memory_from.empty() && options.memory != "off") {
      AWM_TRY(options.memory_from, absolute_path(options.memory_from));
      AWM_TRY(auto loaded, read_memory_file(options.memory_from, static_cast<std::size_t>(options.max_workflows)));
      for (const auto& line : loaded.left_out) log_warning(options.memory_from + ": left out: " + line);
      for (const auto& line : loaded.defects) log_warning(options.memory_from + ": " + line);
      plan_.memory_at_start = std::move(loaded.memory);
    }
    return {};
  }

  const Scope& scope_;
  const Stop& stop_;
  const std::vector<std::string>& given_;
  RunPlan plan_;
};

}  // namespace

Result<RunPlan> make_plan(const Scope& scope, const Stop& stop, RunOptions options,
                          const std::vector<std::string>& given) {
  return Planner(scope, stop, std::move(options), given).make();
}

std::optional<std::string> find_repository(const RunPlan& plan, const Row& row) {
  if (const auto it = plan.repositories.find(row.repo); it != plan.repositories.end()) return it->second;
  if (plan.options.repos.empty()) return std::nullopt;
  const std::string base = join_path(plan.options.repos, replace_all(row.repo, "/", "__"));
  for (const auto& path : {base, base + ".git"}) {
    if (is_folder(path)) return path;
  }
  return std::nullopt;
}

Result<std::string> repository_of(const RunPlan& plan, const Row& row) {
  if (auto path = find_repository(plan, row)) return *std::move(path);
  const std::string name = replace_all(row.repo, "/", "__");
  if (plan.options.repos.empty()) {
    return fail(Errc::not_found, "find the repository", row.repo, "neither --repos nor --repo names it",
                "add --repos DIR (with DIR/" + name + ") or --repo " + row.repo + "=PATH");
  }
  return fail(Errc::not_found, "find the repository", row.repo, "there is no " + join_path(plan.options.repos, name),
              "git clone it there (bare or not), or name it with --repo " + row.repo + "=PATH");
}

}  // namespace awm
