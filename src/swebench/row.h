// Rows of a SWE-bench-like data set: one task each, in the classic schema or with the columns of 5.0.
//
// Format: SWE-bench 5.0.2 (its dataset card and harness), plus one column of our own, environment_setup.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace awm {

enum class EvalType {
  pass_and_fail,  // a test counts by the status that the log gives it
  fail_only,      // the log names failures only: a test that is not in it has passed
};

struct Row {
  std::string instance_id;  // safe as the name of a folder
  std::string repo;         // "owner/name"
  std::string base_commit;
  std::string patch;  // the gold patch
  std::string test_patch;
  std::string problem_statement;  // may be empty: judging does not need it
  std::string hints_text;
  std::string created_at;
  std::string version;
  std::string environment_setup_commit;
  std::vector<std::string> fail_to_pass;
  std::vector<std::string> pass_to_pass;
  bool has_tests = false;  // both lists were given

  // Columns of 5.0; empty in classic rows.
  std::string eval_script;
  std::string log_parser;  // "parse_log_django"
  EvalType eval_type = EvalType::pass_and_fail;
  std::string image;
  std::string image_assets;  // JSON text of {"test_patch": [{"path", "url"}], "patch": […]}

  // Ours: a shell prelude for every command in a local sandbox.
  std::string environment_setup;

  // Of a task that is a folder (swebench/task_folder.h); empty in rows of files.
  std::string task_folder;                    // on this machine
  std::string task_hash;                      // of what it is judged by
  double test_timeout = 0;                    // seconds that its tests may take; 0: the judge's own limit
  std::vector<std::string> test_environment;  // "NAME=value", for its tests alone

  std::string origin;  // "tasks.jsonl:17", for messages
};

// Reads files (.jsonl: a row a line; .json: a list of rows, an object of rows by any key, or one row) and folders
// (their .jsonl and .json files, by name). A row at a time: a file's rows and one line more are all that is held.
// Errors, each naming file, line (or place in the list), sample and key: not_found; invalid_input for what is no JSON,
// broken off, no object, without instance_id, repo, base_commit or problem_statement, of a wrong type (FAIL_TO_PASS and
// PASS_TO_PASS may be lists or JSON texts of lists), or there twice.
Result<std::vector<Row>> read_rows(const std::vector<std::string>& datasets);

struct RowFilter {
  std::string repo;                    // part of "owner/name", as it is written; "" all
  std::vector<std::string> instances;  // ids; empty all
  int64_t limit = 0;                   // at most so many; 0 all
  std::optional<uint64_t> shuffle_seed;
};

// Repository, then instances, then the shuffle, then the limit. Without a shuffle the order is that of the files; with
// one, rows are sorted by SHA-256("SEED:INSTANCE_ID") in hex, so that an order depends on nothing but seed and ids, and
// rows that come or go do not move the others. Errors: invalid_input for an instance that is not there, naming the
// nearest one that is.
Result<std::vector<Row>> filter_rows(std::vector<Row> rows, const RowFilter& filter);

// Lower-case hex SHA-256 of all that the row says (not of where it stood).
std::string hash_of(const Row& row);
// Of all rows in their order.
std::string hash_of(const std::vector<Row>& rows);

}  // namespace awm
