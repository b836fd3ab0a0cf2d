#include "logparse/parsers.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "logparse/families.h"
#include "logparse/python_text.h"

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
    LogParser{"parse_log_calypso", parse_log_calypso},
    LogParser{"parse_log_bpmn_js", parse_log_bpmn_js},
    LogParser{"parse_log_carbon", parse_log_carbon},
    LogParser{"parse_log_eslint", parse_log_eslint},
    LogParser{"parse_log_grommet", parse_log_grommet},
    LogParser{"parse_log_highlightjs", parse_log_highlightjs},
    LogParser{"parse_log_lighthouse", parse_log_lighthouse},
    LogParser{"parse_log_next", parse_log_next},
    LogParser{"parse_log_openlayers", parse_log_openlayers},
    LogParser{"parse_log_prismjs", parse_log_prismjs},
    LogParser{"parse_log_quarto_cli", parse_log_quarto_cli},
    LogParser{"parse_log_chart_js", parse_log_chart_js},
    LogParser{"parse_log_marked", parse_log_marked},
    LogParser{"parse_log_p5js", parse_log_p5js},
    LogParser{"parse_log_react_pdf", parse_log_carbon},
    LogParser{"parse_log_jest", parse_log_jest},
    LogParser{"parse_log_jest_json", parse_log_jest_json},
    LogParser{"parse_log_vitest", parse_log_vitest},
    LogParser{"parse_log_karma", parse_log_karma},
    LogParser{"parse_log_tap", parse_log_tap},
    LogParser{"parse_log_immutable_js", parse_log_immutable_js},
    LogParser{"parse_log_redis", parse_log_redis},
    LogParser{"parse_log_jq", parse_log_jq},
    LogParser{"parse_log_doctest", parse_log_doctest},
    LogParser{"parse_log_micropython_test", parse_log_micropython_test},
    LogParser{"parse_log_googletest", parse_log_googletest},
    LogParser{"parse_log_gotest", parse_log_gotest},
    LogParser{"parse_log_maven", parse_log_maven},
    LogParser{"parse_log_ant", parse_log_ant},
    LogParser{"parse_log_gradle_custom", parse_log_gradle_custom},
    LogParser{"parse_log_phpunit", parse_log_phpunit},
    LogParser{"parse_log_minitest", parse_log_minitest},
    LogParser{"parse_log_cucumber", parse_log_cucumber},
    LogParser{"parse_log_ruby_unit", parse_log_ruby_unit},
    LogParser{"parse_log_rspec_transformed_json", parse_log_rspec_transformed_json},
    LogParser{"parse_log_jekyll", parse_log_jekyll},
    LogParser{"parse_log_cargo", parse_log_cargo},
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
    RepositoryParser{"redis/redis", "parse_log_redis"},
    RepositoryParser{"jqlang/jq", "parse_log_jq"},
    RepositoryParser{"nlohmann/json", "parse_log_doctest"},
    RepositoryParser{"micropython/micropython", "parse_log_micropython_test"},
    RepositoryParser{"valkey-io/valkey", "parse_log_redis"},
    RepositoryParser{"fmtlib/fmt", "parse_log_googletest"},
    RepositoryParser{"caddyserver/caddy", "parse_log_gotest"},
    RepositoryParser{"hashicorp/terraform", "parse_log_gotest"},
    RepositoryParser{"prometheus/prometheus", "parse_log_gotest"},
    RepositoryParser{"gohugoio/hugo", "parse_log_gotest"},
    RepositoryParser{"gin-gonic/gin", "parse_log_gotest"},
    RepositoryParser{"google/gson", "parse_log_maven"},
    RepositoryParser{"apache/druid", "parse_log_maven"},
    RepositoryParser{"javaparser/javaparser", "parse_log_maven"},
    RepositoryParser{"projectlombok/lombok", "parse_log_ant"},
    RepositoryParser{"apache/lucene", "parse_log_gradle_custom"},
    RepositoryParser{"reactivex/rxjava", "parse_log_gradle_custom"},
    RepositoryParser{"Automattic/wp-calypso", "parse_log_calypso"},
    RepositoryParser{"chartjs/Chart.js", "parse_log_chart_js"},
    RepositoryParser{"markedjs/marked", "parse_log_marked"},
    RepositoryParser{"processing/p5.js", "parse_log_p5js"},
    RepositoryParser{"diegomura/react-pdf", "parse_log_react_pdf"},
    RepositoryParser{"babel/babel", "parse_log_jest"},
    RepositoryParser{"vuejs/core", "parse_log_vitest"},
    RepositoryParser{"facebook/docusaurus", "parse_log_jest"},
    RepositoryParser{"immutable-js/immutable-js", "parse_log_immutable_js"},
    RepositoryParser{"mrdoob/three.js", "parse_log_tap"},
    RepositoryParser{"preactjs/preact", "parse_log_karma"},
    RepositoryParser{"axios/axios", "parse_log_tap"},
    RepositoryParser{"alibaba-fusion/next", "parse_log_next"},
    RepositoryParser{"bpmn-io/bpmn-js", "parse_log_bpmn_js"},
    RepositoryParser{"carbon-design-system/carbon", "parse_log_carbon"},
    RepositoryParser{"eslint/eslint", "parse_log_eslint"},
    RepositoryParser{"GoogleChrome/lighthouse", "parse_log_lighthouse"},
    RepositoryParser{"grommet/grommet", "parse_log_grommet"},
    RepositoryParser{"highlightjs/highlight.js", "parse_log_highlightjs"},
    RepositoryParser{"openlayers/openlayers", "parse_log_openlayers"},
    RepositoryParser{"prettier/prettier", "parse_log_carbon"},
    RepositoryParser{"PrismJS/prism", "parse_log_prismjs"},
    RepositoryParser{"quarto-dev/quarto-cli", "parse_log_quarto_cli"},
    RepositoryParser{"scratchfoundation/scratch-gui", "parse_log_carbon"},
    RepositoryParser{"phpoffice/phpspreadsheet", "parse_log_phpunit"},
    RepositoryParser{"laravel/framework", "parse_log_phpunit"},
    RepositoryParser{"php-cs-fixer/php-cs-fixer", "parse_log_phpunit"},
    RepositoryParser{"briannesbitt/carbon", "parse_log_phpunit"},
    RepositoryParser{"jekyll/jekyll", "parse_log_jekyll"},
    RepositoryParser{"fluent/fluentd", "parse_log_ruby_unit"},
    RepositoryParser{"fastlane/fastlane", "parse_log_rspec_transformed_json"},
    RepositoryParser{"jordansissel/fpm", "parse_log_rspec_transformed_json"},
    RepositoryParser{"faker-ruby/faker", "parse_log_ruby_unit"},
    RepositoryParser{"rubocop/rubocop", "parse_log_rspec_transformed_json"},
    RepositoryParser{"burntsushi/ripgrep", "parse_log_cargo"},
    RepositoryParser{"sharkdp/bat", "parse_log_cargo"},
    RepositoryParser{"astral-sh/ruff", "parse_log_cargo"},
    RepositoryParser{"tokio-rs/tokio", "parse_log_cargo"},
    RepositoryParser{"uutils/coreutils", "parse_log_cargo"},
    RepositoryParser{"nushell/nushell", "parse_log_cargo"},
    RepositoryParser{"tokio-rs/axum", "parse_log_cargo"},
};

}  // namespace

namespace logparse {

std::unexpected<Error> refuse(std::string_view parser, std::string cause) {
  return fail(Errc::invalid_input, "read the test log", std::string(parser), std::move(cause));
}

std::size_t final_time(std::string_view line) {
  if (!line.ends_with("s)")) return std::string_view::npos;
  std::size_t at = line.size() - 2;
  if (at > 0 && line[at - 1] == 'm') --at;
  while (const std::size_t n = python::space_before(line, at)) at -= n;
  const std::size_t open = line.rfind('(');
  if (open == std::string_view::npos || open + 1 >= at || python::skip_digits(line, open + 1) != at) {
    return std::string_view::npos;
  }
  const std::size_t gap = python::space_before(line, open);
  return gap == 0 ? std::string_view::npos : open - gap;
}

}  // namespace logparse

const LogParser* find_log_parser(std::string_view name) {
  const auto* found = std::ranges::find(parsers, name, &LogParser::name);
  return found == parsers.end() ? nullptr : found;
}

Result<const LogParser*> require_log_parser(std::string_view name) {
  if (const LogParser* found = find_log_parser(name)) return found;
  std::vector<std::string> known;
  known.reserve(parsers.size());
  for (const LogParser& parser : parsers) known.emplace_back(parser.name);
  const std::string whole = name.starts_with("parse_log_") ? std::string(name) : "parse_log_" + std::string(name);
  constexpr std::size_t most = 3;
  std::string near;
  for (std::size_t i = 0; i < most; ++i) {
    const std::string word = nearest_word(whole, known);
    if (word.empty()) break;
    near += near.empty() ? "did you mean " : i + 1 == most ? " or " : ", ";
    near += word;
    std::erase(known, word);
  }
  return fail(Errc::not_found, "find", "log parser '" + std::string(name) + "'", "there is none of that name",
              near.empty() ? "awm parse-log --list names them all" : near + "?");
}

std::vector<std::string_view> log_parser_names() {
  std::vector<std::string_view> names;
  names.reserve(parsers.size());
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
