#include "run/views.h"

#include "base/json.h"
#include "base/text.h"
#include "memory/memory_file.h"
#include "memory/prompt_section.h"
#include "os/log.h"
#include "os/patience.h"
#include "run/sample.h"

namespace awm {
namespace {

constexpr std::string_view results_name = "results.jsonl";

// Whether the file's first `size` bytes end with a line end: somebody may have edited it.
Result<bool> ends_a_line(const Scope& scope, const std::string& path, uint64_t size) {
  AWM_TRY(const auto file, sys::open(scope, path, sys::Open::read));
  char last = 0;
  AWM_TRY(const std::size_t count, sys::pread(file.get(), &last, 1, size - 1));
  return count == 1 && last == '\n';
}

}  // namespace

Result<std::unique_ptr<Views>> Views::open(const Scope& scope, const std::string& output_dir, uint64_t results_bytes,
                                           const std::vector<std::string>& committed) {
  std::unique_ptr<Views> views(new Views(scope.child("views"), output_dir));
  const auto path = views->path(results_name);
  uint64_t size = 0;
  if (auto info = sys::stat(path)) size = info->size;
  bool whole = committed.empty() ? results_bytes == 0 : results_bytes > 0 && size >= results_bytes;
  if (whole && results_bytes > 0) {
    AWM_TRY(const bool ends, ends_a_line(scope, path, results_bytes));
    whole = ends;
  }
  if (!whole || committed.empty()) {
    AWM_CHECK(remove_tree(path));
    results_bytes = 0;
  }
  AWM_TRY(views->results_, AppendFile::open(views->scope_, path));
  if (whole && results_bytes > 0) {
    AWM_CHECK(sys::ftruncate(views->results_.fd(), results_bytes));
    views->bytes_ = results_bytes;
    return views;
  }
  for (const auto& id : committed) {
    if (auto added = views->add(id); !added) log_warning("results.jsonl: " + added.error().message());
  }
  return views;
}

Result<uint64_t> Views::add(const std::string& instance_id) {
  pending_.push_back(instance_id);
  while (!pending_.empty()) {
    const auto path = join_path(sample_folder(folder_, pending_.front()), "result.json");
    const auto line = patiently([&] { return awm::read_file(path); });
    if (!line) {
      pending_.pop_front();
      gap_ = true;
      return std::unexpected(line.error());
    }
    const auto written = patiently([&] {
      auto added = results_.append(*line);
      // Half a line must not stand before the next one.
      if (!added) (void)sys::ftruncate(results_.fd(), bytes_);
      return added;
    });
    if (!written) return std::unexpected(written.error());
    bytes_ += line->size();
    pending_.pop_front();
  }
  return gap_ ? 0 : bytes_;
}

Result<void> Views::write_checkpoint(const Checkpoint& checkpoint) {
  return awm::write_file(path("checkpoint.json"), dump_json(to_json(checkpoint), 2) + "\n");
}

Result<void> Views::write_memory(const WorkflowMemory& memory) {
  return write_memory_file(path("memory.json"), memory, iso_time());
}

Result<void> Views::write_end(const RunStatistics& statistics, const WorkflowMemory& memory, const Json& config) {
  AWM_CHECK(write_memory(memory));
  AWM_CHECK(write_buffer_view(scope_, path(results_name), path("buffer.json"), iso_time()));
  return write_result_view(scope_, path(results_name), memory, statistics_view(statistics, config),
                           path("result.json"));
}

Json config_view(const RunOptions& options, const std::string& model_name) {
  Json truncation = nullptr;
  if (!options.truncation.empty()) {
    if (const auto tokens = parse_truncation(options.truncation); tokens && *tokens) truncation = **tokens;
  }
  return Json{{"llm_config_name", options.llm_config.empty() ? model_name : options.llm_config},
              {"agent_class", options.agent_class},
              {"max_iterations", options.max_iterations},
              {"dataset_name", join(options.datasets, ",")},
              {"split", options.split},
              {"repo_filter", options.repo_filter},
              {"induction_trigger_count", options.induction_trigger},
              {"max_workflows", options.max_workflows},
              {"truncation_limit", truncation},
              {"output_dir", options.output_dir},
              {"checkpoint_interval", 1},
              {"skip_evaluation", options.skip_evaluation},
              {"verbose", !options.quiet}};
}

}  // namespace awm
