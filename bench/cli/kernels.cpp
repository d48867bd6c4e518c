// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/kernel_figures.h"
#include "reports/format.h"
#include "reports/record_io.h"
#include "reports/text_table.h"
#include "reports/view.h"

namespace remeasure::bench::cli {
namespace {

using reports::KernelFigures;

/// Records of `folder` whose launches are of interest; none if there is no folder yet.
std::vector<reports::Record> results_of(const KernelsOptions& options) {
  if (!std::filesystem::is_directory(options.results)) return {};
  std::vector<reports::Record> records = reports::read_records(options.results);
  std::erase_if(
      records, [&](const reports::Record& it) { return !options.id.empty() && it.experiment != options.id; });
  return records;
}

/// The kernels of one experiment are those of the files that it launched from; before it has run, those of
/// its theme. Occupancy follows from the experiment's launches and those of a log.
std::vector<KernelFigures> chosen_figures(const KernelsOptions& options, const Program& program,
                                          const std::vector<reports::Record>& records) {
  std::vector<KernelLaunch> launches;
  for (const reports::Record& record : records) {
    const auto more = launches_of(record.kernels);
    launches.insert(launches.end(), more.begin(), more.end());
  }
  std::set<std::string> sources;
  for (const KernelFigures& it : used_kernel_figures(program.ptxas_output, launches))
    sources.insert(it.source);
  if (!options.launches.empty()) {
    const auto more = logged_launches(options.launches);
    launches.insert(launches.end(), more.begin(), more.end());
  }
  std::vector<KernelFigures> figures = all_kernel_figures(program.ptxas_output, launches);
  if (options.id.empty()) return figures;
  const std::string theme = fmt::format("kernels/{}/", find_experiment(options.id, program).theme);
  std::erase_if(figures, [&](const KernelFigures& it) {
    return sources.empty() ? !it.source.starts_with(theme) : !sources.contains(it.source);
  });
  return figures;
}

std::string as_json(const std::vector<KernelFigures>& figures) {
  auto array = nlohmann::json::array();
  for (const KernelFigures& it : figures) {
    nlohmann::json one = {{"kernel", it.kernel},
                          {"source", it.source},
                          {"architecture", it.architecture},
                          {"registers", it.registers},
                          {"spill_bytes", it.spill_bytes},
                          {"stack_bytes", it.stack_bytes},
                          {"shared_bytes", it.shared_bytes}};
    if (it.block_threads) one["block_threads"] = *it.block_threads;
    if (it.dynamic_shared_bytes) one["dynamic_shared_bytes"] = *it.dynamic_shared_bytes;
    if (it.occupancy) one["occupancy"] = *it.occupancy;
    if (!it.limited_by.empty()) one["limited_by"] = it.limited_by;
    array.push_back(std::move(one));
  }
  return array.dump(2) + "\n";
}

std::string as_table(const std::vector<KernelFigures>& figures, const Console& console) {
  reports::TextTable table({{.title = "kernel", .least = 44},
                            {.title = "on", .whole = true},
                            {.title = "regs", .right = true, .whole = true},
                            {.title = "spill", .right = true, .whole = true},
                            {.title = "shared", .right = true, .whole = true},
                            {.title = "block", .right = true, .whole = true},
                            {.title = "occupancy", .least = 16}});
  std::string source, kernel;
  for (const KernelFigures& it : figures) {
    if (it.source != source) table.add_heading(it.source);
    const auto row = reports::view_kernel(it);
    const bool again = it.source == source && it.kernel == kernel;
    const std::string shared = reports::bytes_text(it.shared_bytes + it.dynamic_shared_bytes.value_or(0));
    table.add({{again ? "" : row.kernel},
               {row.architecture},
               {row.registers},
               {row.spilled, row.tone},
               {shared},
               {row.block},
               {row.occupancy}});
    source = it.source;
    kernel = it.kernel;
  }
  return table.text(console.width(), 0, console.colour());
}

/// "76 kernels in 7 files, 4 with spills."
std::string sum(const std::vector<KernelFigures>& figures) {
  std::set<std::string> sources;
  std::size_t spilling = 0;
  for (const KernelFigures& it : figures) {
    sources.insert(it.source);
    spilling += it.spill_bytes > 0 ? 1 : 0;
  }
  return fmt::format("\n{} kernels in {} file{}, {}.\n", figures.size(), sources.size(),
                     sources.size() == 1 ? "" : "s",
                     spilling == 0 ? "none with spills" : fmt::format("{} with spills", spilling));
}

std::string list_of(const std::string& title, const std::vector<std::string>& names) {
  return names.empty() ? "" : fmt::format("\n{}\n  {}\n", title, fmt::join(names, "\n  "));
}

/// Of the log alone: what an experiment launched, no test has checked.
int require_all_launched(const KernelsOptions& options, const Program& program, Console& console) {
  const LaunchGaps gaps =
      launch_gaps(all_kernel_figures(program.ptxas_output, logged_launches(options.launches)));
  console.print(list_of(fmt::format("Launched by nothing in {}:", options.launches), gaps.never));
  console.print(list_of("Launched in blocks that no GPU holds:", gaps.too_large));
  if (!gaps.never.empty() || !gaps.too_large.empty()) return kRegression;
  console.print(
      fmt::format("All were launched{}.\n",
                  gaps.exempt == 0 ? "" : fmt::format(", but for {} that a GPU alone runs", gaps.exempt)));
  return kFine;
}

}  // namespace

int kernels(const KernelsOptions& options, const Program& program, Console& console) {
  if (!options.id.empty()) find_experiment(options.id, program);
  if (program.ptxas_output.empty()) {
    throw CommandError(
        "this program was built without the CUDA toolkit, so its kernels have no figures; put nvcc on PATH "
        "or set CUDACXX, and configure and build again");
  }
  const auto figures = chosen_figures(options, program, results_of(options));
  if (options.json) {
    console.print(as_json(figures));
    return kFine;
  }
  const bool launched = std::any_of(figures.begin(), figures.end(),
                                    [](const auto& it) { return it.block_threads.has_value(); });
  console.print(as_table(figures, console));
  console.print(sum(figures));
  if (!launched) {
    console.print(fmt::format("Occupancy needs a launch: remeasure run {} --out {}\n",
                              options.id.empty() ? "--all" : options.id, options.results));
  }
  return options.all_launched ? require_all_launched(options, program, console) : kFine;
}

}  // namespace remeasure::bench::cli
