// Predictions: patches that somebody's agent made, to be judged.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace awm {

struct Prediction {
  std::string instance_id;
  std::string model;                 // model_name_or_path; "" where the file does not say
  std::optional<std::string> patch;  // absent: null. "" is an empty patch
  std::string origin;                // "preds.jsonl:3", for messages
};

// Reads .jsonl, a .json list, or a .json object (SWE-agent's and mini-swe-agent's preds.json; its keys are the ids of
// members that have none). Lines of OpenHands' output.jsonl are known by their test_result: their git_patch is taken
// from its first "diff --git" on. Bytes of a patch stay as they are. Errors, each naming file, line, sample and key:
// not_found; invalid_input for broken JSON, no object, no instance_id, no model_patch, a patch that is neither string
// nor null, an instance twice.
Result<std::vector<Prediction>> read_predictions(const std::string& path);

}  // namespace awm
