// Which image a task runs in.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace awm {

struct ImageNaming {
  std::string image;          // --image: this one for every row; "" : not asked for
  std::string template_text;  // --image-template: with {instance_id}, {id}, {repo}, {version}; "" : not asked for
};

// What of a row matters here.
struct ImageNamed {
  std::string_view instance_id;
  std::string_view repo;     // "django/django"
  std::string_view version;  // "3.0"
  std::string_view image;    // the row's own; "" : a classic row
};

// --image; else the template filled in; else the row's own image; else SWE-bench's rule for its published images:
// swebench/sweb.eval.x86_64.ID:latest with ID in lower case and "__" as "_1776_". In a template {id} is that ID,
// {instance_id} and {version} the row's words in lower case, {repo} the repository with "__" for "/". Errors:
// invalid_input for a placeholder that does not exist, or for a name that cannot be one (white space, upper case).
Result<std::string> image_of(const ImageNamed& row, const ImageNaming& naming = {});

}  // namespace awm
