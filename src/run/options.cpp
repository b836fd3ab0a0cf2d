#include "run/options.h"

#include <algorithm>

#include "base/deadline.h"
#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {

// One option: its name, whether a result depends on it, and both directions.
struct Field {
  const char* name;
  bool matters;
  void (*put)(Json&, const RunOptions&);
  bool (*take)(const Json&, RunOptions&);  // false: mistyped
};

template <auto Member>
void put_member(Json& json, const RunOptions& options) {
  json = options.*Member;
}

template <auto Member>
bool take_member(const Json& json, RunOptions& options) {
  using Value = std::remove_cvref_t<decltype(options.*Member)>;
  if constexpr (std::is_same_v<Value, std::string>) {
    if (!json.is_string()) return false;
    options.*Member = json.get<std::string>();
  } else if constexpr (std::is_same_v<Value, bool>) {
    if (!json.is_boolean()) return false;
    options.*Member = json.get<bool>();
  } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
    if (!json.is_array()) return false;
    Value list;
    for (const auto& item : json) {
      if (!item.is_string()) return false;
      list.push_back(item.get<std::string>());
    }
    options.*Member = std::move(list);
  } else {
    if (!json.is_number()) return false;
    options.*Member = json.get<Value>();
  }
  return true;
}

void put_seed(Json& json, const RunOptions& options) {
  if (options.shuffle_seed) json = *options.shuffle_seed;
}

bool take_seed(const Json& json, RunOptions& options) {
  if (json.is_null()) {
    options.shuffle_seed.reset();
    return true;
  }
  if (!json.is_number_integer()) return false;
  options.shuffle_seed = json.get<uint64_t>();
  return true;
}

constexpr std::string_view hidden_user = "***";

void put_base_url(Json& json, const RunOptions& options) {
  std::string url = options.base_url;
  if (const auto user = user_info_of(url); !user.empty())
    url.replace(static_cast<std::size_t>(user.data() - url.data()), user.size(), hidden_user);
  json = std::move(url);
}

#define AWM_FIELD(name, member, matters)                                             \
  Field {                                                                            \
    name, matters, put_member<&RunOptions::member>, take_member<&RunOptions::member> \
  }

const Field fields[] = {
    AWM_FIELD("dataset", datasets, true),
    AWM_FIELD("split", split, true),
    AWM_FIELD("repo-filter", repo_filter, true),
    AWM_FIELD("instance", instances, true),
    AWM_FIELD("limit", limit, false),
    Field{"shuffle", true, put_seed, take_seed},
    AWM_FIELD("shard", shard, true),
    AWM_FIELD("config", config_file, false),
    AWM_FIELD("llm-config", llm_config, true),
    AWM_FIELD("model", model, true),
    Field{"base-url", false, put_base_url, take_member<&RunOptions::base_url>},
    AWM_FIELD("api-key-env", api_key_env, false),
    AWM_FIELD("agent-class", agent_class, true),
    AWM_FIELD("max-iterations", max_iterations, true),
    AWM_FIELD("max-budget-per-task", max_budget_per_task, true),
    AWM_FIELD("command-timeout", command_timeout, true),
    AWM_FIELD("predictions", predictions, true),
    AWM_FIELD("gold", gold, true),
    AWM_FIELD("sandbox", sandbox, true),
    AWM_FIELD("image", image, true),
    AWM_FIELD("image-template", image_template, true),
    AWM_FIELD("platform", platform, true),
    AWM_FIELD("image-budget", image_budget, false),
    AWM_FIELD("keep-images", keep_images, false),
    AWM_FIELD("prefetch-images", prefetch_images, false),
    AWM_FIELD("repos", repos, false),
    AWM_FIELD("repo", repo, false),
    AWM_FIELD("env-setup", env_setup, true),
    AWM_FIELD("skip-evaluation", skip_evaluation, true),
    AWM_FIELD("eval-timeout", eval_timeout, true),
    AWM_FIELD("memory", memory, true),
    AWM_FIELD("memory-from", memory_from, true),
    AWM_FIELD("induction-trigger", induction_trigger, true),
    AWM_FIELD("max-workflows", max_workflows, true),
    AWM_FIELD("classify", classify, true),
    AWM_FIELD("truncation", truncation, true),
    AWM_FIELD("memory-lag", memory_lag, true),
    AWM_FIELD("workers", workers, false),
    AWM_FIELD("no-prewarm", no_prewarm, false),
    AWM_FIELD("run-id", run_id, true),
};

}  // namespace

std::string run_id_of_now() {
  constexpr std::size_t seconds_end = 19;
  std::string id;
  for (const char c : iso_time().substr(0, seconds_end)) {
    if (c >= '0' && c <= '9') id += c;
    if (c == 'T') id += '-';
  }
  return id;
}

Json to_json(const RunOptions& options) {
  Json json = Json::object();
  for (const auto& field : fields) field.put(json[field.name], options);
  return json;
}

Result<RunOptions> resume_options(const Json& header_settings, const RunOptions& options,
                                  const std::vector<std::string>& given) {
  RunOptions merged = options;
  std::string differing;
  for (const auto& field : fields) {
    const Json* saved = find_member(header_settings, field.name);
    if (saved == nullptr) continue;
    if (std::find(given.begin(), given.end(), field.name) == given.end()) {
      if (!field.take(*saved, merged)) {
        return fail(Errc::invalid_input, "resume", options.resume_from,
                    std::string("the journal's header has a mistyped setting \"") + field.name + "\"");
      }
      continue;
    }
    Json wanted;
    field.put(wanted, options);
    if (field.matters && wanted != *saved) {
      if (!differing.empty()) differing += "; ";
      differing += std::string("--") + field.name + " was " + dump_json(*saved) + ", now " + dump_json(wanted);
    }
  }
  if (!differing.empty() && !options.force) {
    return fail(Errc::invalid_input, "resume", options.resume_from,
                "the settings differ from the run's own: " + differing,
                "leave the options out to go on as before, or add --force");
  }
  if (user_info_of(merged.base_url) == hidden_user) {
    return fail(Errc::invalid_input, "resume", options.resume_from,
                "the run's --base-url had a password, and a journal keeps none", "give --base-url again");
  }
  return merged;
}

}  // namespace awm
