#include "swebench/prediction.h"

#include <fmt/format.h>

#include <map>

#include "base/json.h"
#include "base/text.h"
#include "swebench/json_items.h"

namespace awm {
namespace {

// OpenHands' git_patch may have lines of the shell that made it in front, and its end is stripped.
std::string openhands_patch(const std::string& text) {
  std::size_t at = 0;
  if (!text.starts_with("diff --git")) {
    at = text.find("\ndiff --git");
    if (at == std::string::npos) return "";
    ++at;
  }
  std::string patch = text.substr(at);
  if (!patch.ends_with('\n')) patch += '\n';
  return patch;
}

class PredictionReader {
 public:
  explicit PredictionReader(const JsonItem& item) : item_(item), json_(*item.value) {}

  Result<Prediction> read() {
    if (!json_.is_object()) return wrong("", fmt::format("a prediction must be an object, not {}", json_.type_name()));
    Prediction prediction{.instance_id = {}, .model = {}, .patch = {}, .origin = item_.origin};
    const Json* id = find_member(json_, "instance_id");
    if (id == nullptr || id->is_null()) {
      if (item_.key.empty()) return wrong("instance_id", "it is missing");
      prediction.instance_id = item_.key;
    } else if (!id->is_string()) {
      return wrong("instance_id", fmt::format("must be a string, not {}", id->type_name()));
    } else {
      prediction.instance_id = id->get<std::string>();
    }
    id_ = prediction.instance_id;
    if (id_.empty()) return wrong("instance_id", "it is empty");
    if (const Json* result = find_member(json_, "test_result");
        result != nullptr && find_member(json_, "model_patch") == nullptr) {
      AWM_CHECK(openhands(*result, prediction));
      return prediction;
    }
    if (const Json* model = find_member(json_, "model_name_or_path"); model != nullptr && !model->is_null()) {
      if (!model->is_string())
        return wrong("model_name_or_path", fmt::format("must be a string, not {}", model->type_name()));
      prediction.model = model->get<std::string>();
    }
    const Json* patch = find_member(json_, "model_patch");
    if (patch == nullptr) return wrong("model_patch", "it is missing");
    if (patch->is_null()) return prediction;
    if (!patch->is_string())
      return wrong("model_patch", fmt::format("must be a string or null, not {}", patch->type_name()));
    prediction.patch = patch->get<std::string>();
    return prediction;
  }

 private:
  Result<void> openhands(const Json& result, Prediction& prediction) const {
    if (const Json* metadata = find_member(json_, "metadata"); metadata != nullptr) {
      if (const Json* config = find_member(*metadata, "llm_config"); config != nullptr)
        prediction.model = string_or(*config, "model", "");
    }
    if (result.is_null()) return {};
    if (!result.is_object()) return wrong("test_result", fmt::format("must be an object, not {}", result.type_name()));
    const Json* patch = find_member(result, "git_patch");
    if (patch == nullptr || patch->is_null()) return {};
    if (!patch->is_string())
      return wrong("test_result.git_patch", fmt::format("must be a string or null, not {}", patch->type_name()));
    prediction.patch = openhands_patch(patch->get_ref<const std::string&>());
    return {};
  }

  [[nodiscard]] std::unexpected<Error> wrong(std::string_view key, std::string cause) const {
    std::string object = item_.origin;
    if (!id_.empty()) object += ", " + id_;
    if (!key.empty()) object += ", " + std::string(key);
    return fail(Errc::invalid_input, "read", std::move(object), std::move(cause));
  }

  const JsonItem& item_;
  const Json& json_;
  std::string id_;
};

}  // namespace

Result<std::vector<Prediction>> read_predictions(const std::string& path) {
  std::vector<Prediction> predictions;
  std::map<std::string, std::string> places;
  AWM_CHECK(for_each_item(
      path, [](std::string_view key) { return key == "model_patch" || key == "instance_id"; },
      [&](const JsonItem& item) -> Result<void> {
        AWM_TRY(auto prediction, PredictionReader(item).read());
        const auto [place, fresh] = places.emplace(prediction.instance_id, item.origin);
        if (!fresh) {
          return fail(Errc::invalid_input, "read", fmt::format("{}, {}", item.origin, prediction.instance_id),
                      fmt::format("the instance is there twice; the first is at {}", place->second),
                      "leave one of them out");
        }
        predictions.push_back(std::move(prediction));
        return {};
      }));
  if (predictions.empty()) return fail(Errc::invalid_input, "read", path, "no prediction is in it");
  return predictions;
}

}  // namespace awm
