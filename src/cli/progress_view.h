// A run as it goes on, for a person: a live view on a terminal, else a line an event.
#pragma once

#include <memory>

#include "base/ledger.h"
#include "run/progress.h"

namespace awm {

enum class ProgressStyle {
  lines,  // a line an event
  live,   // a table of workers that is drawn again and again, lines above it; needs a terminal
  plain,  // the predecessor's two lines a sample
  quiet,  // nothing
};

// Lines go to standard error. The live view has a thread of its own until ended().
std::unique_ptr<ProgressListener> make_progress_view(ProgressStyle style, const Scope& scope);

}  // namespace awm
