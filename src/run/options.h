// What a person asks of `awm run`, as plain data: filled by the command line, kept in the journal's header, taken from
// there on resume.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "base/result.h"

namespace awm {

struct RunOptions {
  // What to work on.
  std::vector<std::string> datasets;  // files or folders of rows, names of the Hugging Face Hub
  std::string split = "test";         // of a data set that has splits
  std::string repo_filter;            // part of "owner/name"; "" all
  std::vector<std::string> instances;
  int64_t limit = 0;  // 0: all
  std::optional<uint64_t> shuffle_seed;
  std::string shard;  // "K/N": the K-th of N parts of what is left, 1 ≤ K ≤ N; "" all

  // The model.
  std::string config_file;  // "" : ./config.toml where there is one
  std::string llm_config;   // "llm.NAME"; "" : [llm]
  std::string model;
  std::string base_url;
  std::vector<std::string> api_key_env;  // names of variables, never keys

  // The agent, or given patches instead of one.
  std::string agent_class = "CodeActAgent";
  int max_iterations = 0;          // 0: the agent's own, CodeActAgent 100, BashAgent 250
  double max_budget_per_task = 0;  // US dollars; 0: none
  double command_timeout = 0;      // seconds; 0: the agent's own (60 for BashAgent, 120 for CodeActAgent)
  std::string predictions;         // file of given patches; "" none
  bool gold = false;               // the rows' own patches

  // The sandbox.
  std::string sandbox = "docker";  // or "local"
  std::string image;               // docker: for all rows; "" by the row
  std::string image_template;      // docker: with {instance_id}, {repo}, …; "" the row's own name or SWE-bench's rule
  std::string platform;            // docker: "linux/amd64" unless the row says otherwise
  std::string image_budget = "auto";  // docker: disk for images that the run pulls: a size, "auto", "none"
  bool keep_images = false;           // docker: the run removes none that it pulled
  int prefetch_images = 2;            // docker: so many that come next are pulled ahead
  std::string repos;                  // folder of OWNER__NAME repositories
  std::vector<std::string> repo;      // "OWNER/NAME=PATH"
  std::string env_setup;              // file with a shell prelude

  // Judging.
  bool skip_evaluation = false;
  double eval_timeout = 1800;  // seconds

  // Learning.
  std::string memory = "online";  // online: learn and use; frozen: use only; off
  std::string memory_from;        // file with a memory to begin with; "" none
  int induction_trigger = 10;     // new passes per induction
  int max_workflows = 50;
  bool classify = false;   // task types by the model; else by rules
  std::string truncation;  // tokens for workflows in a prompt: "" or "false" all, "true" 50,000, or a number
  int memory_lag = 0;      // law 12; 0: the number of workers at the run's first start

  // The run.
  int workers = 1;
  bool no_prewarm = false;
  bool strict_resources = false;  // a leak is an error of the run
  bool plain = false;             // the predecessor's two lines a sample
  std::string output_dir;
  std::string journal_fallback;  // folder for records that the journal does not take; "" : $TMPDIR or /tmp
  std::string run_id;
  std::string resume_from;
  bool retry_errors = false;
  bool force = false;  // go on though settings differ from the run's own
  bool quiet = false;
};

// A name for a run that was given none, from the clock (UTC): 20260131-123456.
std::string run_id_of_now();

// What stands in the journal's header: everything that a result depends on, and where its input was. No secret is among
// it: of a base URL with a password, the password is left out.
Json to_json(const RunOptions& options);

// Options for going on with a run: those in `given` (option names without dashes, as on the command line) are the
// person's, the rest are the header's. Errors: invalid_input naming each option that a result depends on and that
// differs, unless options.force; or saying that a base URL's password was not kept.
Result<RunOptions> resume_options(const Json& header_settings, const RunOptions& options,
                                  const std::vector<std::string>& given);

}  // namespace awm
