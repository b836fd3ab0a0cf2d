#include "swebench/judge.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <functional>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/log.h"
#include "swebench/eval_script.h"
#include "swebench/log_text.h"
#include "swebench/review.h"
#include "swebench/steps.h"
#include "swebench/task_folder.h"

namespace awm {
namespace {

constexpr std::string_view patch_in_sandbox = "/tmp/patch.diff";
constexpr std::string_view applied_words = ">>>>> Applied Patch";
constexpr std::string_view failed_words = ">>>>> Patch Apply Failed";

// The ways in which a patch is tried, in order; from the second on the tree is cleaned before.
std::vector<std::vector<std::string>> ladder() {
  const std::string file(patch_in_sandbox);
  return {{"git", "apply", "--verbose", file},
          {"git", "apply", "--verbose", "--3way", file},
          {"git", "apply", "--verbose", "--reject", file},
          {"patch", "--batch", "--forward", "--fuzz=5", "-p1", "-i", file}};
}

const Scope& judge_scope() {
  static const Scope scope("process/judge");
  return scope;
}

// Words that a full disk leaves; a patch may have them in it, so they are only a reason to look.
bool smells_of_full_disk(const std::string& output) {
  return contains(output, "No space left on device") || contains(output, "Disk quota exceeded") ||
         contains(output, "unable to write");
}

// git's first line of error, behind ": "; "" when there is none.
std::string first_complaint(std::string_view output) {
  constexpr std::size_t room = 160;
  for (const auto line : split_lines(output)) {
    if (line.starts_with("error: ")) return ": " + to_valid_utf8(line.substr(7, room));
  }
  return {};
}

std::string seconds_text(Seconds seconds) {
  return fmt::format("{:g}", seconds.count());
}

class Judge {
 public:
  Judge(Sandbox& sandbox, const Row& row, std::string_view patch, const JudgeSettings& settings)
      : sandbox_(sandbox),
        row_(row),
        patch_(patch),
        settings_(settings),
        limit_(row.test_timeout > 0 ? Seconds(row.test_timeout) : settings.timeout) {}

  Result<Judgement> judge() {
    AWM_CHECK(open_folder());
    auto judged = steps();
    if (!judged) note(fmt::format("error: {}", judged.error().message()));
    if (auto written = write_awm_json(judged ? nullptr : &judged.error()); !written && judged)
      return std::unexpected(std::move(written).error());
    return judged;
  }

 private:
  Result<Judgement> steps() {
    if (patch_.empty()) return finish(JudgeVerdict::empty_patch, "the patch is empty");
    AWM_CHECK(check_judgeable(row_));
    AWM_CHECK(check_sandbox());
    AWM_TRY(const bool applied, apply());
    if (!applied) return finish(JudgeVerdict::patch_failed, "the patch does not apply" + why_not_);
    AWM_TRY(const std::string before, diff("before"));
    AWM_CHECK(make_script());
    AWM_TRY(const bool ended, run_tests());
    if (!ended)
      return finish(JudgeVerdict::timed_out,
                    fmt::format("the tests took longer than {}", human_seconds(limit_.count())));
    // What the tests did to the tree is worth a line, and no verdict.
    if (const auto after = diff("after"); after && *after != before) note("Git diff changed after running eval script");
    return grade();
  }

  // --- the folder
  [[nodiscard]] std::string file(std::string_view name) const { return join_path(settings_.log_folder, name); }

  Result<void> open_folder() {
    AWM_CHECK(make_folders(settings_.log_folder));
    for (const auto* name :
         {"report.json", "test_output.txt", "run_instance.log", "eval.sh", "awm.json", "reward.json", "reward.txt"})
      AWM_CHECK(remove_tree(file(name)));
    AWM_TRY(log_, AppendFile::open(judge_scope(), file("run_instance.log")));
    return write_file(file("patch.diff"), patch_, true);
  }

  void note(std::string_view text) {
    if (auto written = log_.append(fmt::format("{} - INFO - {}\n", iso_time(), to_valid_utf8(text)));
        !written && !log_failed_) {
      log_failed_ = true;
      log_warning(row_.instance_id + ": " + written.error().message());
    }
  }

  // --- the sandbox
  Result<void> check_sandbox() {
    const auto& facts = sandbox_.facts();
    const auto missing = [&](const char* what) {
      return fail(Errc::unavailable, "judge in", facts.kind + " sandbox", std::string(what) + " is missing in it",
                  "use an image that has it");
    };
    if (!facts.has_git) return missing("git");
    if (!facts.has_bash) return missing("bash");
    AWM_TRY(const auto head, run_step(sandbox_, {.argv = {"git", "rev-parse", "--verify", "HEAD"}}));
    if (head.exit_code != 0) {
      return fail(Errc::not_found, "judge in", "/testbed",
                  "it is no git repository with a commit: " + last_words(head.output));
    }
    note(fmt::format("Sandbox {} with HEAD {}", facts.kind, trim(head.output)));
    return {};
  }

  Result<bool> apply() {
    AWM_CHECK(sandbox_.write_file(std::string(patch_in_sandbox), patch_));
    bool full = false;
    std::string last;
    for (const auto& command : ladder()) {
      if (!last.empty()) AWM_CHECK(clean_up());
      AWM_TRY(auto done, run_step(sandbox_, {.argv = command}));
      if (done.exit_code == 0) {
        note(fmt::format("{}:\n{}", applied_words, done.output));
        return true;
      }
      note("Failed to apply patch to container: " + join(command, " ").substr(0, join(command, " ").rfind(' ')));
      full = full || smells_of_full_disk(done.output);
      if (why_not_.empty()) why_not_ = first_complaint(done.output);
      last = "exit code " + std::to_string(done.exit_code) + "\n" + std::move(done.output);
    }
    if (full) AWM_CHECK(check_disk());
    // The ladder may have left the patch applied though each of its steps failed.
    AWM_TRY(const auto check,
            run_step(sandbox_, {.argv = {"git", "apply", "--check", "--reverse", std::string(patch_in_sandbox)}}));
    if (check.exit_code == 0) {
      note(fmt::format("{}: verified already applied", applied_words));
      return true;
    }
    note(fmt::format("{}:\n{}", failed_words, last));
    return false;
  }

  // What the reference does between two tries. A conflict that --3way left makes the checkout fail, and stays: verdicts
  // depend on it. Any other failure is the sandbox's.
  Result<void> clean_up() {
    AWM_TRY(const auto checkout, run_step(sandbox_, {.argv = {"git", "checkout", "--", "."}}));
    if (checkout.exit_code != 0) {
      AWM_TRY(const auto unmerged, run_checked(sandbox_, {.argv = {"git", "ls-files", "--unmerged"}}));
      if (trim(unmerged.output).empty()) {
        if (smells_of_full_disk(checkout.output)) AWM_CHECK(check_disk());
        return fail(Errc::io, "clean up", "/testbed", "git checkout: " + last_words(checkout.output));
      }
    }
    AWM_CHECK(run_checked(sandbox_, {.argv = {"git", "clean", "-fd"}}));
    return {};
  }

  Result<void> check_disk() {
    const std::string probe(std::size_t{1} << 20, 'x');
    for (const auto* path : {"/testbed/.awm-probe", "/tmp/.awm-probe"}) {
      auto written = sandbox_.write_file(path, probe);
      (void)sandbox_.remove(path);
      if (!written) {
        written.error().os_errno = ENOSPC;
        return std::unexpected(std::move(written).error().within("the sandbox's disk is full"));
      }
    }
    return {};
  }

  Result<std::string> diff(std::string_view when) {
    AWM_TRY(const auto done, run_step(sandbox_, {.argv = {"git", "-c", "core.fileMode=false", "diff"}}));
    note(fmt::format("Git diff {}:\n{}", when, trim(done.output)));
    return done.output;
  }

  // --- the script
  Result<void> make_script() {
    if (is_task_folder(row_)) {
      AWM_TRY(script_, read_file(join_path(row_.task_folder, "tests/test.sh")));
      AWM_CHECK(write_file(file("eval.sh"), script_));
      return bring_task_tests(sandbox_, row_);
    }
    AWM_TRY(const std::string published, published_eval_script(row_));
    script_ = runnable_eval_script(published);
    if (sandbox_.facts().kind == "local") AWM_CHECK(adapt_to_local());
    AWM_CHECK(stage_assets());
    AWM_CHECK(write_file(file("eval.sh"), script_));
    return sandbox_.write_file(script_path(), script_);
  }

  // A local sandbox is not the published image: its environment is what the environment set-up makes.
  Result<void> adapt_to_local() {
    bool has_locale = false;
    if (contains(script_, "en_US")) {
      AWM_TRY(const auto locales, run_step(sandbox_, {.argv = {"locale", "-a"}}));
      has_locale = contains(to_lower_ascii(locales.output), "en_us.utf");
    }
    const auto image = sandbox_.stat("/opt/miniconda3/bin/activate");
    if (image) return {};
    if (image.error().code != Errc::not_found) return std::unexpected(image.error());
    script_ = without_image_steps(script_, has_locale, left_out_);
    for (const auto& line : left_out_) note("Left out, the sandbox is not the published image: " + line);
    return {};
  }

  [[nodiscard]] std::string script_path() const {
    return sandbox_.facts().kind == "local" ? "/tmp/eval.sh" : "/eval.sh";
  }

  // Binary files that a text patch cannot carry: put where the tests look for them, right before these start.
  Result<void> stage_assets() {
    if (row_.image_assets.empty()) return {};
    AWM_TRY(const Json assets, parse_json(row_.image_assets, "image_assets"));
    std::string restore;
    for (const auto* key : {"test_patch", "patch"}) {
      const Json* list = find_member(assets, key);
      if (list == nullptr || !list->is_array()) continue;
      for (const auto& asset : *list) {
        const auto path = string_or(asset, "path", "");
        if (path.empty()) continue;
        if (!settings_.fetch_asset) {
          return fail(Errc::unsupported, "judge", row_.instance_id,
                      "its tests need the file " + path + ", which the row names by its address only");
        }
        AWM_TRY(const std::string bytes, settings_.fetch_asset(path, string_or(asset, "url", "")));
        const std::string staged = "/image_assets/" + replace_all(path, "/", "__");
        AWM_CHECK(sandbox_.write_file(staged, bytes));
        restore += fmt::format("mkdir -p \"$(dirname {0})\" && cp {1} {0}\n", shell_quote(path), shell_quote(staged));
      }
    }
    if (restore.empty()) return {};
    auto at = script_.find(start_marker);
    at = at == std::string::npos ? script_.size() : script_.rfind('\n', at) + 1;
    script_.insert(at, restore);
    return {};
  }

  // --- the tests
  // False: they ran longer than allowed.
  Result<bool> run_tests() {
    AWM_TRY(auto output, AppendFile::open(judge_scope(), file("test_output.txt")));
    Utf8Pieces text;
    Result<void> written;
    const auto write = [&](std::string_view bytes) {
      if (written && !bytes.empty()) written = output.append(bytes);
      log_bytes_ += bytes.size();
      return written.has_value();
    };
    ExecOptions options;
    options.hard_limit = limit_;
    options.environment = row_.test_environment;
    options.on_output = [&](std::string_view bytes) { return write(text.next(bytes)); };
    const auto argv =
        bash(is_task_folder(row_) ? std::string("exec ") + task_test_script : "exec /bin/bash " + script_path());
    note("Eval script for " + row_.instance_id + " copied to the sandbox; running it");
    AWM_TRY(const auto result, sandbox_.exec(argv, options));
    write(text.end());
    duration_ = result.duration;
    status_ = result.status;
    if (!written) return std::unexpected(std::move(written).error().within("save the tests' output"));
    note(fmt::format("Test runtime: {:.2f} seconds ({})", duration_.count(), status_.text()));
    switch (status_.kind()) {
      case ExitStatus::Kind::timed_out:
        write(fmt::format("\n\nTimeout error: {} seconds exceeded.", seconds_text(limit_)));
        if (!written) return std::unexpected(std::move(written).error().within("save the tests' output"));
        note(fmt::format("Test timed out after {} seconds.", seconds_text(limit_)));
        return false;
      case ExitStatus::Kind::lost:
        return fail(Errc::lost, "run the tests in", "the sandbox", "it was lost");
      case ExitStatus::Kind::out_of_memory:
        return fail(Errc::exhausted, "run the tests in", "the sandbox", "its memory limit ended them",
                    "give the sandbox more memory");
      default:
        return true;  // also killed by a signal: the log tells how far it came
    }
  }

  Result<Judgement> grade() {
    if (is_task_folder(row_)) {
      AWM_CHECK(fetch_reward(sandbox_, settings_.log_folder));
      AWM_TRY(judgement_.grade, grade_reward(settings_.log_folder));
    } else {
      AWM_TRY(judgement_.grade, grade_log_file(row_, file("test_output.txt")));
    }
    const Grade& grade = judgement_.grade;
    AWM_CHECK(write_file(file("report.json"), dump_json(report_json(row_.instance_id, &grade), 4), true));
    note(fmt::format("Result for {}: resolved: {}", row_.instance_id, grade.resolved));
    if (grade.resolved && is_task_folder(row_)) return finish(JudgeVerdict::passed, grade.why);
    if (grade.resolved) {
      return finish(JudgeVerdict::passed,
                    fmt::format("{} FAIL_TO_PASS and {} PASS_TO_PASS tests pass", grade.fail_to_pass.success.size(),
                                grade.pass_to_pass.success.size()));
    }
    std::string why = grade.why;
    if (!grade.failure_reason.empty())
      why += fmt::format(" ({}: {})",
                         grade.infra_failure ? "the environment's fault is likely" : "perhaps the environment's fault",
                         grade.failure_reason);
    return finish(JudgeVerdict::tests_failed, std::move(why));
  }

  Judgement finish(JudgeVerdict verdict, std::string summary) {
    judgement_.verdict = verdict;
    judgement_.summary = std::move(summary);
    judgement_.test_duration = duration_;
    judgement_.flags = review_patch(row_, patch_, script_);
    for (auto& flag : review_log(judgement_.grade)) judgement_.flags.push_back(std::move(flag));
    return judgement_;
  }

  // What we know beyond the reference's report.
  Result<void> write_awm_json(const Error* error) {
    const auto& facts = sandbox_.facts();
    Json json{{"schema", 1},
              {"instance_id", row_.instance_id},
              {"model_name_or_path", settings_.model_name},
              {"verdict", error != nullptr ? "error" : to_string(judgement_.verdict)},
              {"summary", error != nullptr ? error->message() : judgement_.summary},
              {"patch_sha256", sha256_hex(patch_)},
              {"row_sha256", hash_of(row_)},
              {"attempt", settings_.attempt},
              {"judged_at", iso_time()},
              {"sandbox",
               {{"kind", facts.kind},
                {"architecture", facts.architecture},
                {"memory_limit", facts.memory_limit},
                {"pids_limit", facts.pids_limit},
                {"network", facts.network}}},
              {"timeout_seconds", limit_.count()},
              {"test_seconds", duration_.count()},
              {"eval_ended", log_bytes_ > 0 || duration_.count() > 0 ? status_.text() : ""},
              {"log_bytes", log_bytes_},
              {"flags", judgement_.flags},
              {"left_out_lines", left_out_}};
    if (error != nullptr) json["error_class"] = to_string(error->code);
    if (judgement_.grade.test_exit_code) json["test_exit_code"] = *judgement_.grade.test_exit_code;
    json["markers"] = {{"start", judgement_.grade.start_markers},
                       {"end", judgement_.grade.end_markers},
                       {"exit_code", judgement_.grade.exit_markers}};
    json["tests_seen"] = judgement_.grade.tests_seen;
    return write_file(file("awm.json"), dump_json(json, 2) + "\n");
  }

  Sandbox& sandbox_;
  const Row& row_;
  std::string_view patch_;
  const JudgeSettings& settings_;
  const Seconds limit_;  // of the tests
  AppendFile log_;
  bool log_failed_ = false;
  std::string why_not_;  // of the first way to apply the patch
  std::string script_;
  std::vector<std::string> left_out_;
  ExitStatus status_;
  Seconds duration_{0};
  uint64_t log_bytes_ = 0;
  Judgement judgement_;
};

}  // namespace

std::string_view to_string(JudgeVerdict verdict) {
  switch (verdict) {
    case JudgeVerdict::passed:
      return "passed";
    case JudgeVerdict::tests_failed:
      return "tests_failed";
    case JudgeVerdict::patch_failed:
      return "patch_failed";
    case JudgeVerdict::empty_patch:
      return "empty_patch";
    case JudgeVerdict::timed_out:
      return "timed_out";
  }
  return "tests_failed";
}

Result<Judgement> judge_patch(Sandbox& sandbox, const Row& row, std::string_view patch, const JudgeSettings& settings) {
  return Judge(sandbox, row, patch, settings).judge();
}

}  // namespace awm
