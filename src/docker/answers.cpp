#include "docker/answers.h"

#include <utility>

#include "base/json.h"

namespace awm {

Result<Json> parse_answer(std::string_view body, std::string_view what) {
  auto json = parse_json(body, what);
  if (!json) json.error().code = Errc::protocol;
  return json;
}

Error about(Error error, std::string operation, std::string object, std::string remedy) {
  if (error.http_status == 0) return error;
  error.operation = std::move(operation);
  error.object = std::move(object);
  if (!remedy.empty()) error.remedy = std::move(remedy);
  return error;
}

std::map<std::string, std::string> string_map(const Json* json) {
  std::map<std::string, std::string> map;
  if (json == nullptr || !json->is_object()) return map;
  for (const auto& item : json->items()) {
    if (item.value().is_string()) map[item.key()] = item.value().get<std::string>();
  }
  return map;
}

std::vector<std::string> string_list(const Json* json) {
  std::vector<std::string> list;
  if (json == nullptr || !json->is_array()) return list;
  for (const auto& item : *json) {
    if (item.is_string()) list.push_back(item.get<std::string>());
  }
  return list;
}

}  // namespace awm
