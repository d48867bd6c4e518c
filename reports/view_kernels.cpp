// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "reports/format.h"
#include "reports/view.h"

namespace remeasure::reports {
namespace {

/// "sm_80: 12 % at least (naive_kernel<...>: registers)": the kernel that fills a multiprocessor least.
std::vector<std::string> least_occupancies(const Record& record) {
  std::map<std::string, const KernelFigures*> least;
  for (const KernelFigures& it : record.kernels) {
    if (!it.occupancy) continue;
    const KernelFigures*& of = least[it.architecture];
    if (of == nullptr || *it.occupancy < *of->occupancy) of = &it;
  }
  std::vector<std::string> lines;
  for (const auto& [architecture, it] : least) {
    lines.push_back(fmt::format("lowest occupancy on {}: {}, {} (limited by {}; {} registers, block of {})",
                                architecture, percent_text(*it->occupancy), it->kernel, it->limited_by,
                                it->registers, it->block_threads.value_or(0)));
  }
  return lines;
}

}  // namespace

KernelRow view_kernel(const KernelFigures& it) {
  KernelRow row;
  row.kernel = it.kernel;
  row.source = it.source;
  row.architecture = it.architecture;
  row.registers = std::to_string(it.registers);
  row.spilled = bytes_text(it.spill_bytes);
  row.stack = bytes_text(it.stack_bytes);
  row.shared = bytes_text(it.shared_bytes);
  if (it.dynamic_shared_bytes.value_or(0) > 0) {
    // Most kernels have one of the two.
    const std::string dynamic = bytes_text(*it.dynamic_shared_bytes) + " dynamic";
    row.shared = it.shared_bytes > 0 ? row.shared + " + " + dynamic : dynamic;
  }
  if (it.block_threads) row.block = std::to_string(*it.block_threads);
  if (it.occupancy) row.occupancy = fmt::format("{} ({})", percent_text(*it.occupancy), it.limited_by);
  if (it.spill_bytes > 0) row.tone = Tone::bad;
  return row;
}

KernelsView view_kernels(const Record& record) {
  KernelsView view;
  std::size_t launched = 0;
  for (const KernelFigures& it : record.kernels) launched += it.block_threads ? 1 : 0;
  for (const KernelFigures& it : record.kernels) {
    if (launched > 0 && !it.block_threads && it.spill_bytes == 0) continue;
    view.rows.push_back(view_kernel(it));
    if (it.spill_bytes > 0) {
      view.spills.push_back(fmt::format("SPILL {} on {}: {} of registers go through memory", it.kernel,
                                        it.architecture, bytes_text(it.spill_bytes)));
    }
  }
  if (record.kernels.empty()) return view;
  view.summary = fmt::format("{} compiled, {} launched here, {} with spills", record.kernels.size(), launched,
                             view.spills.empty() ? "none" : std::to_string(view.spills.size()));
  view.least = least_occupancies(record);
  if (const std::size_t others = record.kernels.size() - view.rows.size(); others > 0) {
    view.others =
        fmt::format("{} more, for other sizes and types, compiled and not launched: remeasure kernels {}",
                    others, record.experiment);
  }
  return view;
}

}  // namespace remeasure::reports
