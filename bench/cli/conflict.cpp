// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/conflict.h"

#include <algorithm>

namespace remeasure::bench::cli {

std::string conflict(const std::string& name, const Options& options) {
  if (name == "remeasure run") {
    if (options.run.ids.empty() && !options.run.all)
      return "which experiment? Give IDs (see `remeasure list`) or --all";
    if (!options.run.ids.empty() && options.run.all) return "either IDs or --all, not both";
    if (!options.run.budget.empty() && options.run.timeout) {
      return "--budget divides the time among the experiments itself: leave out --timeout";
    }
  }
  if (name == "remeasure data") return "which of list, make, verify, import, path?";
  if (name == "remeasure data verify") {
    if (options.data.files.empty() && !options.data.all) return "which files? Give their paths or --all";
    if (!options.data.files.empty() && options.data.all) return "either files or --all, not both";
  }
  if (name == "remeasure check" && options.check.against.size() > 1 &&
      std::count(options.check.against.begin(), options.check.against.end(), "recorded") > 0) {
    return "either --against recorded or folders, not both";
  }
  if (name == "remeasure kernels" && options.kernels.all_launched) {
    if (options.kernels.launches.empty()) return "--all-launched is about a log: give --launches FILE";
    if (!options.kernels.id.empty() || options.kernels.json)
      return "--all-launched is about all kernels, and in words: leave out the experiment and --json";
  }
  if (name == "remeasure report" && options.report.format == "all" && !options.report.output.empty()) {
    return "--format all writes into the results folder itself and takes no --output";
  }
  if (name == "remeasure report" && options.report.format == "html" && options.report.output.empty()) {
    return "an HTML page is for a browser: give --output FILE, for example --output results/index.html";
  }
  return {};
}

}  // namespace remeasure::bench::cli
