#include "sandbox/image_name.h"

#include <algorithm>

#include "base/text.h"

namespace awm {
namespace {

std::string published_id(std::string_view instance_id) {
  return replace_all(to_lower_ascii(instance_id), "__", "_1776_");
}

Result<std::string> fill_in(const ImageNamed& row, std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = text.find('}', open);
    const auto word = text.substr(open, close == std::string_view::npos ? close : close + 1 - open);
    if (word == "{id}") {
      out += published_id(row.instance_id);
    } else if (word == "{instance_id}") {
      out += to_lower_ascii(row.instance_id);
    } else if (word == "{repo}") {
      out += to_lower_ascii(replace_all(std::string(row.repo), "/", "__"));
    } else if (word == "{version}") {
      out += to_lower_ascii(row.version);
    } else {
      return fail(Errc::invalid_input, "read", "--image-template", "there is no placeholder " + std::string(word),
                  "use {id}, {instance_id}, {repo} or {version}");
    }
    text.remove_prefix(open + word.size());
  }
  return out;
}

}  // namespace

Result<std::string> image_of(const ImageNamed& row, const ImageNaming& naming) {
  std::string name = naming.image;
  if (name.empty() && !naming.template_text.empty()) {
    AWM_TRY(name, fill_in(row, naming.template_text));
  }
  if (name.empty()) name = trim(row.image);
  if (name.empty()) name = "swebench/sweb.eval.x86_64." + published_id(row.instance_id) + ":latest";
  // The registry's host may have upper case and the tag too; a space, or a control character, nowhere.
  const bool sane = std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == '?' || c == '#' || c == '%';
  });
  if (!sane || name.starts_with('-') || name.starts_with('/') || contains(name, "..") || contains(name, "//")) {
    return fail(Errc::invalid_input, "name the image of", std::string(row.instance_id),
                "'" + to_valid_utf8(name) + "' is no image's name", "check the row's image, --image, --image-template");
  }
  return name;
}

}  // namespace awm
