#include "logparse/parsers.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"
#include "logparse/families.h"

namespace awm {
namespace {

using namespace logparse;

// In the order of the reference's registry.
constexpr std::array parsers{
    LogParser{"parse_log_pytest", parse_log_pytest},
    LogParser{"parse_log_pytest_options", parse_log_pytest_options},
    LogParser{"parse_log_django", parse_log_django},
    LogParser{"parse_log_pytest_v2", parse_log_pytest_v2},
    LogParser{"parse_log_seaborn", parse_log_seaborn},
    LogParser{"parse_log_sympy", parse_log_sympy},
    LogParser{"parse_log_matplotlib", parse_log_matplotlib},
    LogParser{"parse_log_astroid", parse_log_pytest},
    LogParser{"parse_log_flask", parse_log_pytest},
    LogParser{"parse_log_marshmallow", parse_log_pytest},
    LogParser{"parse_log_pvlib", parse_log_pytest},
    LogParser{"parse_log_pyvista", parse_log_pytest},
    LogParser{"parse_log_sqlfluff", parse_log_pytest},
    LogParser{"parse_log_xarray", parse_log_pytest},
    LogParser{"parse_log_pydicom", parse_log_pytest_options},
    LogParser{"parse_log_requests", parse_log_pytest_options},
    LogParser{"parse_log_pylint", parse_log_pytest_options},
    LogParser{"parse_log_astropy", parse_log_pytest_v2},
    LogParser{"parse_log_scikit", parse_log_pytest_v2},
    LogParser{"parse_log_sphinx", parse_log_pytest_v2},
    LogParser{"parse_log_tap", parse_log_tap},
    LogParser{"parse_log_googletest", parse_log_googletest},
};

struct RepositoryParser {
  std::string_view repository;
  std::string_view parser;
};

constexpr std::array repository_parsers{
    RepositoryParser{"astropy/astropy", "parse_log_astropy"},
    RepositoryParser{"django/django", "parse_log_django"},
    RepositoryParser{"marshmallow-code/marshmallow", "parse_log_marshmallow"},
    RepositoryParser{"matplotlib/matplotlib", "parse_log_matplotlib"},
    RepositoryParser{"mwaskom/seaborn", "parse_log_seaborn"},
    RepositoryParser{"pallets/flask", "parse_log_flask"},
    RepositoryParser{"psf/requests", "parse_log_requests"},
    RepositoryParser{"pvlib/pvlib-python", "parse_log_pvlib"},
    RepositoryParser{"pydata/xarray", "parse_log_xarray"},
    RepositoryParser{"pydicom/pydicom", "parse_log_pydicom"},
    RepositoryParser{"pylint-dev/astroid", "parse_log_astroid"},
    RepositoryParser{"pylint-dev/pylint", "parse_log_pylint"},
    RepositoryParser{"pytest-dev/pytest", "parse_log_pytest"},
    RepositoryParser{"pyvista/pyvista", "parse_log_pyvista"},
    RepositoryParser{"scikit-learn/scikit-learn", "parse_log_scikit"},
    RepositoryParser{"sqlfluff/sqlfluff", "parse_log_sqlfluff"},
    RepositoryParser{"sphinx-doc/sphinx", "parse_log_sphinx"},
    RepositoryParser{"sympy/sympy", "parse_log_sympy"},
};

}  // namespace

namespace logparse {

std::unexpected<Error> refuse(std::string_view parser, std::string cause) {
  return fail(Errc::invalid_input, "read the test log", std::string(parser), std::move(cause));
}

}  // namespace logparse

const LogParser* find_log_parser(std::string_view name) {
  const auto* found = std::ranges::find(parsers, name, &LogParser::name);
  return found == parsers.end() ? nullptr : found;
}

Result<const LogParser*> require_log_parser(std::string_view name) {
  if (const LogParser* found = find_log_parser(name)) return found;
  std::vector<std::string> known;
  for (const LogParser& parser : parsers) known.emplace_back(parser.name);
  std::string near = nearest_word(name, known);
  if (near.empty() && !name.starts_with("parse_log_")) near = nearest_word("parse_log_" + std::string(name), known);
  return fail(Errc::not_found, "find", "log parser '" + std::string(name) + "'", "there is none of that name",
              near.empty() ? "awm parse-log --list names them all" : "did you mean " + near + "?");
}

std::vector<std::string_view> log_parser_names() {
  std::vector<std::string_view> names;
  for (const LogParser& parser : parsers) names.push_back(parser.name);
  return names;
}

std::string_view default_log_parser(std::string_view repository) {
  const auto* found = std::ranges::find(repository_parsers, repository, &RepositoryParser::repository);
  return found == repository_parsers.end() ? std::string_view() : found->parser;
}

std::string decode_log(std::string bytes) {
  if (!is_valid_utf8(bytes)) bytes = to_valid_utf8(bytes);
  const std::size_t first = bytes.find('\r');
  if (first == std::string::npos) return bytes;
  std::size_t out = first;
  for (std::size_t in = first; in < bytes.size(); ++in) {
    if (bytes[in] != '\r') {
      bytes[out++] = bytes[in];
      continue;
    }
    bytes[out++] = '\n';
    if (in + 1 < bytes.size() && bytes[in + 1] == '\n') ++in;
  }
  bytes.resize(out);
  return bytes;
}

}  // namespace awm
