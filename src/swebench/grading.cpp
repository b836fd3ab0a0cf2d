#include "swebench/grading.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

#include "base/json.h"
#include "base/text.h"
#include "logparse/parsers.h"
#include "logparse/python_text.h"
#include "os/file.h"
#include "swebench/eval_script.h"
#include "swebench/log_text.h"

namespace awm {
namespace {

// Each in a log means that the tests' output is not to be looked at.
constexpr std::array<std::string_view, 4> bad_markers{">>>>> Patch Apply Failed", ">>>>> Reset Failed",
                                                      ">>>>> Tests Errored", ">>>>> Tests Timed Out"};

// A runner's own words that it ran something: what tells "nothing failed" from "nothing ran" where no test was read.
constexpr const char* suite_ran_expression =
    R"(Executed [1-9]\d* of \d+|TOTAL: [1-9]\d* (?:SUCCESS|FAILED)|[1-9]\d* passing|Tests:\s+[1-9]\d*)"
    R"(|Test Suites:\s+(?:\d+ \w+, )*[1-9]\d* total|^# tests [1-9]\d*|[1-9]\d* specs?, \d+ failures?|': ok$)";

class SuiteRan {
 public:
  SuiteRan() {
    int number = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile_8(units(suite_ran_expression), PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF, &number, &at,
                                nullptr));
  }
  [[nodiscard]] bool found_in(std::string_view text) const {
    // Each branch has one of these words in it: most texts have none, and finding that out is quick.
    static constexpr std::array<std::string_view, 8> words{
        "Executed ", "TOTAL: ", " passing", "Tests:", "Test Suites:", "# tests ", " spec", "': ok"};
    if (std::none_of(words.begin(), words.end(), [&](std::string_view word) { return python::has(text, word); })) {
      return false;
    }
    const std::unique_ptr<pcre2_match_data_8, void (*)(pcre2_match_data_8*)> data(pcre2_match_data_create_8(1, nullptr),
                                                                                  pcre2_match_data_free_8);
    return pcre2_match_8(code_.get(), units(text.empty() ? "" : text.data()), text.size(), 0, 0, data.get(), nullptr) >=
           0;
  }

 private:
  static PCRE2_SPTR8 units(const char* text) { return reinterpret_cast<PCRE2_SPTR8>(text); }
  std::unique_ptr<pcre2_code_8, void (*)(pcre2_code_8*)> code_{nullptr, pcre2_code_free_8};
};

// Calls `f` with the place of each `word` in `text`.
void each_place(std::string_view text, std::string_view word, const std::function<void(std::size_t)>& f) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size())) f(at);
}

// What a log has of markers, and where; offsets are in the decoded text.
struct Marks {
  bool bad = false;
  std::size_t starts = 0;
  std::size_t ends = 0;
  std::size_t exits = 0;
  uint64_t first_start = 0;              // behind the first start marker
  std::optional<uint64_t> second_start;  // in front of the second
  std::optional<uint64_t> end;           // in front of the first end marker behind the first start
  std::optional<int64_t> exit_code;      // of the first exit marker with a number behind it
  bool applied = false;                  // "applied patch" in any case
  uint64_t behind_applied = 0;           // behind the last ">>>>> Applied Patch (pred)"
  uint64_t size = 0;

  void look(std::string_view piece);
  void look_v1(std::string_view piece);  // after look()

 private:
  void read_code(std::string_view text);
  uint64_t before_ = 0;    // offset of the last piece
  bool code_due_ = false;  // an exit marker's colon was the last thing but white space
};

// The number behind a marker's colon: white space, perhaps a minus, digits.
void Marks::read_code(std::string_view text) {
  std::size_t at = python::skip_space(text, 0);
  if (at == text.size()) {
    code_due_ = true;
    return;
  }
  code_due_ = false;
  const bool minus = text[at] == '-';
  if (minus) ++at;
  const std::size_t behind = python::skip_digits(text, at);
  if (behind == at) return;
  int64_t value = 0;
  for (std::size_t i = at; i < behind; ++i) {
    constexpr int64_t enough = 1'000'000'000;
    const char c = text[i];
    value = std::min(enough, value * 10 + (c >= '0' && c <= '9' ? c - '0' : 1));
  }
  exit_code = minus ? -value : value;
}

void Marks::look(std::string_view piece) {
  for (const auto marker : bad_markers) bad = bad || python::has(piece, marker);
  if (code_due_ && !exit_code) read_code(piece);
  each_place(piece, start_marker, [&](std::size_t at) {
    ++starts;
    if (starts == 1) first_start = size + at + start_marker.size();
    if (starts == 2) second_start = size + at;
  });
  each_place(piece, end_marker, [&](std::size_t at) {
    ++ends;
    if (!end && starts > 0 && size + at >= first_start) end = size + at;
  });
  each_place(piece, exit_marker, [&](std::size_t at) {
    ++exits;
    const std::string_view rest = piece.substr(at + exit_marker.size());
    if (!exit_code && rest.starts_with(':')) read_code(rest.substr(1));
  });
  before_ = size;
  size += piece.size();
}

void Marks::look_v1(std::string_view piece) {
  constexpr std::string_view applied_prediction = ">>>>> Applied Patch (pred)";
  each_place(piece, applied_prediction,
             [&](std::size_t at) { behind_applied = before_ + at + applied_prediction.size(); });
  applied = applied || python::has(to_lower_ascii(piece), "applied patch");
}

Result<Marks> marks_of(const LogText& log, LogFormat format) {
  Marks marks;
  AWM_CHECK(log.each_piece([&](std::string_view piece) {
    marks.look(piece);
    if (format == LogFormat::v1) marks.look_v1(piece);
  }));
  return marks;
}

Result<StatusMap> parse_range(const LogText& log, const LogParser& parser, const LogContext& context, uint64_t from,
                              uint64_t to) {
  if (log.is_whole()) return parser.parse(log.whole().substr(from, to - from), context);
  AWM_TRY(const std::string text, condensed(log, parser.name, from, to));
  return parser.parse(text, context);
}

Result<bool> suite_ran(const LogText& log) {
  static const SuiteRan expression;
  bool found = false;
  std::string tail;  // what a piece ends with: white space in a match may be a line's end
  AWM_CHECK(log.each_piece([&](std::string_view piece) {
    if (found) return;
    constexpr std::size_t overlap = 4096;
    if (tail.empty()) {
      found = expression.found_in(piece);
    } else {
      found = expression.found_in(piece) || expression.found_in(tail + std::string(piece.substr(0, overlap)));
    }
    const auto cut = piece.size() > overlap ? piece.find('\n', piece.size() - overlap) : std::string_view::npos;
    tail = cut == std::string_view::npos && piece.size() > overlap
               ? ""
               : std::string(piece.substr(cut == std::string_view::npos ? 0 : cut + 1));
  }));
  return found;
}

// --- a row's tests in a status map
class Judging {
 public:
  Judging(const StatusMap& statuses, EvalType type) : statuses_(statuses), type_(type) {}

  // `may_skip`: a skipped test is no regression, but no solution either.
  void sort(const std::vector<std::string>& tests, bool may_skip, TestList& into) const {
    for (const auto& test : tests) {
      if (type_ == EvalType::fail_only) {
        const std::string* status = statuses_.find(test);
        (status != nullptr && *status == test_status::failed ? into.failure : into.success).push_back(test);
        continue;
      }
      const std::string* status = status_of(test);
      if (status != nullptr && (passes(*status) || (may_skip && *status == test_status::skipped))) {
        into.success.push_back(test);
      } else if (status == nullptr || *status == test_status::failed || *status == test_status::error ||
                 *status == test_status::skipped) {
        into.failure.push_back(test);
      }
      // A status that is neither: the reference counts it on no side.
    }
  }

 private:
  static bool passes(std::string_view status) { return status == test_status::passed || status == test_status::xfail; }

  // Ids that were cut off within their parameters stand for those that begin so, where these agree.
  [[nodiscard]] const std::string* status_of(const std::string& test) const {
    if (const std::string* exact = statuses_.find(test)) return exact;
    if (std::count(test.begin(), test.end(), '[') <= std::count(test.begin(), test.end(), ']')) return nullptr;
    const std::string* first = nullptr;
    for (const auto& entry : statuses_) {
      if (!entry.test.starts_with(test)) continue;
      if (first == nullptr) {
        first = &entry.status;
      } else if (passes(*first) != passes(entry.status)) {
        return nullptr;
      }
    }
    return first;
  }

  const StatusMap& statuses_;
  EvalType type_;
};

bool all_succeeded(const TestList& list) {
  return list.failure.empty();
}

std::string names_of(const std::vector<std::string>& tests) {
  std::string text = tests.front();
  if (tests.size() > 1) text += fmt::format(" and {} more", tests.size() - 1);
  return text;
}

class Grader {
 public:
  Grader(const Row& row, const LogText& log) : row_(row), log_(log) {}

  Result<Grade> grade(LogFormat format) {
    if (!row_.has_tests) {
      return fail(Errc::invalid_input, "grade",
                  fmt::format("{}, {}, FAIL_TO_PASS, PASS_TO_PASS", row_.origin, row_.instance_id), "they are missing");
    }
    AWM_TRY(const std::string name, parser_of(row_));
    AWM_TRY(parser_, require_log_parser(name));
    AWM_TRY(marks_, marks_of(log_, format));
    grade_.start_markers = marks_.starts;
    grade_.end_markers = marks_.ends;
    grade_.exit_markers = marks_.exits;
    grade_.test_exit_code = marks_.exit_code;
    AWM_CHECK(format == LogFormat::v2 ? read_v2() : read_v1());
    if (!grade_.log_found) {
      AWM_CHECK(classify());
      return std::move(grade_);
    }
    const Judging judging(statuses_, row_.eval_type);
    judging.sort(row_.fail_to_pass, false, grade_.fail_to_pass);
    judging.sort(row_.pass_to_pass, true, grade_.pass_to_pass);
    grade_.resolved = all_succeeded(grade_.fail_to_pass) && all_succeeded(grade_.pass_to_pass);
    if (!grade_.fail_to_pass.failure.empty()) {
      grade_.why = fmt::format("{} of {} FAIL_TO_PASS tests failed: {}", grade_.fail_to_pass.failure.size(),
                               row_.fail_to_pass.size(), names_of(grade_.fail_to_pass.failure));
    } else if (!grade_.pass_to_pass.failure.empty()) {
      grade_.why = fmt::format("{} of {} PASS_TO_PASS tests failed: {}", grade_.pass_to_pass.failure.size(),
                               row_.pass_to_pass.size(), names_of(grade_.pass_to_pass.failure));
    }
    return std::move(grade_);
  }

 private:
  void not_found(std::string why) { grade_.why = std::move(why); }

  Result<void> read_v2() {
    if (marks_.bad) {
      not_found("the log has the marker of a failed patch, reset or test run");
      return {};
    }
    if (marks_.starts == 0 || marks_.ends == 0) {
      not_found(marks_.starts == 0 ? "the tests were not started" : "the test run broke off");
      return {};
    }
    const uint64_t to = std::min(marks_.second_start.value_or(marks_.size), marks_.end.value_or(marks_.size));
    AWM_CHECK(parse(marks_.first_start, to));
    // Some runners' results stand outside the markers.
    if (statuses_.empty()) AWM_CHECK(parse(0, marks_.size));
    if (statuses_.empty()) {
      AWM_TRY(const bool ran, suite_ran(log_));
      if (!ran) {
        not_found("the log shows no test, and no sign that any ran");
        return {};
      }
    }
    // Tests can print that they passed; an exit code that says otherwise tells.
    const bool failed = std::any_of(statuses_.begin(), statuses_.end(), [](const StatusMap::Entry& entry) {
      return entry.status == test_status::failed || entry.status == test_status::error;
    });
    if (marks_.exit_code.value_or(0) != 0 && !statuses_.empty() && !failed) {
      not_found(fmt::format("the test command exited {}, and the log shows no failure", *marks_.exit_code));
      return {};
    }
    grade_.log_found = true;
    return {};
  }

  // Logs of SWE-bench 1: what stands behind the last applied prediction is the tests' output.
  Result<void> read_v1() {
    if (marks_.bad) {
      not_found("the log has the marker of a failed patch, reset or test run");
      return {};
    }
    if (!marks_.applied) {
      not_found("the log has no sign that the patch was applied");
      return {};
    }
    AWM_CHECK(parse(marks_.behind_applied, marks_.size));
    grade_.log_found = true;
    return {};
  }

  Result<void> parse(uint64_t from, uint64_t to) {
    AWM_TRY(statuses_,
            parse_range(log_, *parser_, {.version = row_.version, .instance_id = row_.instance_id}, from, to));
    grade_.tests_seen = statuses_.size();
    return {};
  }

  Result<void> classify();

  const Row& row_;
  const LogText& log_;
  const LogParser* parser_ = nullptr;
  Marks marks_;
  StatusMap statuses_;
  Grade grade_;
};

// --- signs of an environment's failure, in the order in which the first counts
bool has_timeout_line(std::string_view text) {
  constexpr std::string_view front = "Timeout error: ";
  bool found = false;
  each_place(text, front, [&](std::size_t at) {
    const std::size_t end = python::skip_digits(text, at + front.size());
    found = found || (end > at + front.size() && text.substr(end).starts_with(" seconds exceeded"));
  });
  return found;
}

bool has_killed_line(std::string_view text) {
  bool found = false;
  constexpr std::string_view word = "Killed";
  each_place(text, word, [&](std::size_t at) {
    const std::size_t end = at + word.size();
    found = found || ((at == 0 || text[at - 1] == '\n') && (end == text.size() || text[end] == '\n'));
  });
  return found;
}

struct Sign {
  std::string_view reason;
  bool environment;
  std::array<std::string_view, 3> words;
  bool (*also)(std::string_view text);
};
constexpr std::array<Sign, 8> signs{{
    {"browser_launch_failed", true, {"Failed to launch", "Failed to connect to the bus", ""}, nullptr},
    {"display_unavailable", true, {"cannot open display", "Missing X server", "unable to open X display"}, nullptr},
    {"out_of_memory", true, {"Cannot allocate memory", "OutOfMemoryError", ""}, has_killed_line},
    {"container_unavailable", true, {"Error response from daemon", "Cannot connect to the Docker daemon", ""}, nullptr},
    {"network_unreachable", true, {"Could not resolve host", "Temporary failure in name resolution", ""}, nullptr},
    {"missing_module", false, {"Cannot find module", "MODULE_NOT_FOUND", "ModuleNotFoundError"}, nullptr},
    {"no_tests_collected", false, {"no tests ran", "collected 0 items", ""}, nullptr},
    {"tests_timed_out", false, {"", "", ""}, has_timeout_line},
}};

class SignFinder {
 public:
  void look(std::string_view text) {
    for (std::size_t i = 0; i < best_; ++i) {
      const Sign& sign = signs[i];
      const bool found = std::any_of(sign.words.begin(), sign.words.end(),
                                     [&](std::string_view word) { return !word.empty() && python::has(text, word); }) ||
                         (sign.also != nullptr && sign.also(text));
      if (found) {
        best_ = i;
        return;
      }
    }
  }
  [[nodiscard]] std::optional<FailureSign> best() const {
    if (best_ == signs.size()) return std::nullopt;
    return FailureSign{std::string(signs[best_].reason), signs[best_].environment};
  }

 private:
  std::size_t best_ = signs.size();
};

Result<void> Grader::classify() {
  SignFinder finder;
  AWM_CHECK(log_.each_piece([&](std::string_view piece) { finder.look(piece); }));
  if (const auto sign = finder.best()) {
    grade_.infra_failure = sign->environment;
    grade_.failure_reason = sign->reason;
  }
  return {};
}

Json to_json(const TestList& list) {
  return Json{{"success", list.success}, {"failure", list.failure}};
}

}  // namespace

Result<Grade> grade_log_file(const Row& row, const std::string& path, LogFormat format) {
  AWM_TRY(const auto log, LogText::open(path));
  return Grader(row, log).grade(format);
}

Result<Grade> grade_log(const Row& row, std::string_view log, LogFormat format) {
  const auto text = LogText::from(std::string(log));
  return Grader(row, text).grade(format);
}

Json report_json(const std::string& instance_id, const Grade* grade) {
  Json report{{"patch_is_None", grade == nullptr},
              {"patch_exists", grade != nullptr},
              {"patch_successfully_applied", grade != nullptr && grade->log_found},
              {"resolved", grade != nullptr && grade->resolved},
              {"infra_failure", grade != nullptr && grade->infra_failure}};
  if (grade != nullptr && !grade->failure_reason.empty()) report["infra_failure_reason"] = grade->failure_reason;
  if (grade != nullptr && grade->log_found) {
    report["tests_status"] = Json{{"FAIL_TO_PASS", to_json(grade->fail_to_pass)},
                                  {"PASS_TO_PASS", to_json(grade->pass_to_pass)},
                                  {"FAIL_TO_FAIL", to_json(TestList{})},
                                  {"PASS_TO_FAIL", to_json(TestList{})}};
  }
  return Json{{instance_id, std::move(report)}};
}

std::optional<FailureSign> classify_log(std::string_view text) {
  SignFinder finder;
  finder.look(text);
  return finder.best();
}

std::optional<FailureSign> classify_log_files(const std::vector<std::string>& paths) {
  SignFinder finder;
  for (const auto& path : paths) {
    auto log = LogText::open(path);
    if (!log) continue;
    (void)log->each_piece([&](std::string_view piece) { finder.look(piece); });
  }
  return finder.best();
}

Result<std::string> parser_of(const Row& row) {
  const auto unknown = [&](std::string cause, std::string remedy) {
    return fail(Errc::invalid_input, "judge", fmt::format("{}, {}, log_parser", row.origin, row.instance_id),
                std::move(cause), std::move(remedy));
  };
  if (row.log_parser.empty()) {
    const auto known = default_log_parser(row.repo);
    if (known.empty())
      return unknown(fmt::format("the row names none, and none belongs to {}", row.repo),
                     "awm parse-log --list names them all");
    return std::string(known);
  }
  if (auto found = require_log_parser(row.log_parser); !found)
    return unknown(fmt::format("there is no parser '{}'", row.log_parser), found.error().remedy);
  return row.log_parser;
}

}  // namespace awm
