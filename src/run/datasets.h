// Data sets by path or by name. A name is a data set's on the Hugging Face Hub: its rows are fetched by the page, kept
// in the cache folder under their revision, and read from there like any file.
//
// In the cache folder, each file written once and whole:
//   datasets/HUB/OWNER/NAME/CONFIG/SPLIT/REVISION/FIRST-COUNT-TOTAL-HASH.jsonl   a page: its first row, how many, of
//   how many datasets/HUB/OWNER/NAME/CONFIG/SPLIT/REVISION/complete                       the pages that are all rows,
//   in order datasets/HUB/OWNER/NAME/CONFIG/SPLIT/latest                                  the revision that was
//   completed last
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/stop.h"
#include "swebench/row.h"

namespace awm {

// What stands for `given` wherever and whenever it is read again: an absolute path, or "OWNER/NAME" or
// "OWNER/NAME:CONFIG". A file or folder that is there wins over a name; then come the short names (lite, verified,
// full, multilingual, multimodal, and those of SWE-bench's harness), upper or lower case. Error: not_found for a word
// that is none of these.
Result<std::string> dataset_name(const std::string& given);

struct DatasetRequest {
  std::vector<std::string> datasets;  // as dataset_name() gives them
  std::string split = "test";         // of those by name
  // By name: the revision that an earlier part of the run saw. Where the cache has it, nobody is asked.
  std::map<std::string, std::string> revisions;
};

struct Datasets {
  std::vector<Row> rows;
  std::map<std::string, std::string> revisions;  // by name, of those that have one
};

// Reads them all, in their order; a folder that is a Harbor task, or holds some, gives these (run/harbor.h). What the
// cache has of a name's present revision is not fetched again; where the Hub does not answer (or HF_HUB_OFFLINE says
// not to ask) the latest revision in the cache is taken, and a line of the log says so. Rows are never used that the
// server cut, or that are of two revisions. Errors: those of read_rows() and of Hub; invalid_input for a split or
// configuration that is not there; stopped, as soon as the stop is drain.
Result<Datasets> read_datasets(const Scope& scope, const Stop& stop, const DatasetRequest& request);

}  // namespace awm
