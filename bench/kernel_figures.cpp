// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel_figures.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "bench/occupancy.h"
#include "bench/ptxas.h"
#include "kernels/simt/launch_log.h"
#include "kernels/simt/program_symbols.h"

namespace remeasure::bench {
namespace {

using reports::KernelFigures;

std::string file_of(const std::string& source) {
  return source.substr(source.rfind('/') + 1);
}

bool tells_of(const KernelLaunch& launch, const KernelFigures& figures) {
  return launch.kernel == figures.kernel && (launch.file.empty() || launch.file == file_of(figures.source));
}

/// The shape of lowest occupancy; where that isn't known, the last: the one of most threads and shared
/// memory.
void add_shape(KernelFigures& figures, int barriers, const KernelLaunch& launch) {
  const auto found =
      occupancy(figures.architecture, {.threads = launch.block_threads,
                                       .registers_per_thread = figures.registers,
                                       .static_shared_bytes = static_cast<std::size_t>(figures.shared_bytes),
                                       .dynamic_shared_bytes = launch.shared_bytes,
                                       .barriers = barriers});
  if (found && figures.occupancy && found->fraction >= *figures.occupancy) return;
  figures.block_threads = launch.block_threads;
  figures.dynamic_shared_bytes = static_cast<int>(launch.shared_bytes);
  if (!found) return;
  figures.occupancy = found->fraction;
  figures.limited_by = found->limited_by;
}

}  // namespace

std::vector<KernelLaunch> named_launches(const std::set<simt::LaunchShape>& shapes) {
  std::set<const void*> functions;
  for (const simt::LaunchShape& shape : shapes) functions.insert(shape.function);
  const auto symbols = simt::program_symbols(functions);
  std::set<KernelLaunch> launches;
  for (const simt::LaunchShape& shape : shapes) {
    const auto symbol = symbols.find(shape.function);
    if (symbol == symbols.end()) continue;
    launches.insert({kernel_name(symbol->second.name), symbol->second.file,
                     static_cast<int>(shape.block_threads), shape.shared_bytes});
  }
  return {launches.begin(), launches.end()};
}

std::vector<KernelLaunch> logged_launches(const std::filesystem::path& log) {
  std::set<KernelLaunch> launches;
  for (const simt::LoggedLaunch& it : simt::read_launch_log(log))
    launches.insert({kernel_name(it.symbol), it.file, static_cast<int>(it.block_threads), it.shared_bytes});
  return {launches.begin(), launches.end()};
}

std::vector<KernelFigures> all_kernel_figures(std::string_view ptxas_output,
                                              const std::vector<KernelLaunch>& launches) {
  const std::vector<PtxasFigures> compiled = parse_ptxas(ptxas_output);
  std::map<std::tuple<std::string, std::string, std::string>, int> namesakes;
  for (const PtxasFigures& it : compiled) ++namesakes[{it.source, it.architecture, kernel_name(it.symbol)}];
  std::vector<KernelFigures> all;
  for (const PtxasFigures& it : compiled) {
    KernelFigures& figures = all.emplace_back(KernelFigures{.kernel = kernel_name(it.symbol),
                                                            .architecture = it.architecture,
                                                            .registers = it.registers,
                                                            .spill_bytes = it.spill_bytes,
                                                            .shared_bytes = it.shared_bytes,
                                                            .stack_bytes = it.stack_bytes,
                                                            .source = it.source});
    for (const KernelLaunch& launch : launches) {
      if (tells_of(launch, figures)) add_shape(figures, it.barriers, launch);
    }
    // Overloads differ in their parameters alone.
    if (namesakes[{it.source, it.architecture, figures.kernel}] > 1)
      figures.kernel += kernel_parameters(it.symbol);
  }
  std::stable_sort(all.begin(), all.end(), [](const KernelFigures& a, const KernelFigures& b) {
    return std::tie(a.source, a.kernel, a.architecture) < std::tie(b.source, b.kernel, b.architecture);
  });
  return all;
}

std::vector<KernelFigures> used_kernel_figures(std::string_view ptxas_output,
                                               const std::vector<KernelLaunch>& launches) {
  std::vector<KernelFigures> all = all_kernel_figures(ptxas_output, launches);
  std::set<std::string> sources;
  for (const KernelFigures& it : all) {
    if (it.block_threads) sources.insert(it.source);
  }
  std::erase_if(all, [&](const KernelFigures& it) { return !sources.contains(it.source); });
  return all;
}

LaunchGaps launch_gaps(const std::vector<KernelFigures>& figures) {
  struct Seen {
    bool launched = false, fits = false;
  };
  std::map<std::string, Seen> kernels;
  std::set<std::string> exempt;
  for (const KernelFigures& it : figures) {
    const std::string name = it.source + ": " + it.kernel;
    if (it.source.ends_with("_cuda.cu")) {
      exempt.insert(name);
      continue;
    }
    Seen& seen = kernels[name];
    seen.launched |= it.block_threads.has_value();
    seen.fits |= !it.occupancy || *it.occupancy > 0;
  }
  LaunchGaps gaps{.exempt = exempt.size()};
  for (const auto& [name, seen] : kernels) {
    if (!seen.launched)
      gaps.never.push_back(name);
    else if (!seen.fits)
      gaps.too_large.push_back(name);
  }
  return gaps;
}

std::vector<KernelLaunch> launches_of(const std::vector<KernelFigures>& figures) {
  std::set<KernelLaunch> launches;
  for (const KernelFigures& it : figures) {
    if (!it.block_threads) continue;
    launches.insert({it.kernel, file_of(it.source), *it.block_threads,
                     static_cast<std::size_t>(it.dynamic_shared_bytes.value_or(0))});
  }
  return {launches.begin(), launches.end()};
}

}  // namespace remeasure::bench
