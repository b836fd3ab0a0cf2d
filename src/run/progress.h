// Who watches a run. All calls may come from several threads at once and must return soon.
#pragma once

#include <string>
#include <string_view>

#include "run/sample.h"

namespace awm {

struct RunStart {
  std::size_t tasks = 0;    // in all
  std::size_t earlier = 0;  // committed by an earlier part of the run
  std::size_t earlier_passed = 0;
  std::size_t workers = 1;
  std::string output_dir;
};

struct CommitNews {
  std::size_t number = 0;  // of the task in the data set's order, from 1
  std::size_t tasks = 0;
  std::size_t workflows = 0;
  double learning_cost = 0;
};

class ProgressListener {
 public:
  virtual ~ProgressListener() = default;
  virtual void started(const RunStart& start) = 0;
  virtual void sample(std::size_t number, const std::string& instance_id, SamplePhase phase, int iterations) = 0;
  virtual void waiting(std::string_view text) = 0;            // what is being pulled, a line each; "" : nothing
  virtual void learning(const std::string& instance_id) = 0;  // an induction may begin
  virtual void committed(const SampleResult& result, const CommitNews& news) = 0;
  virtual void note(std::string_view line) = 0;
  virtual void ended() = 0;
};

}  // namespace awm
