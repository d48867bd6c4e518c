// SPDX-License-Identifier: Apache-2.0
#include "bench/waterline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace remeasure::bench {

KernelCost fused(const KernelCost& first, const KernelCost& second, double spared) {
  if (!(spared >= 0) || spared > first.bytes + second.bytes) {
    throw std::invalid_argument(fmt::format("waterline: {} and {} move {} bytes together; {} can't be spared",
                                            first.name, second.name, first.bytes + second.bytes, spared));
  }
  return {.name = first.name + " + " + second.name,
          .flops = first.flops + second.flops,
          .bytes = first.bytes + second.bytes - spared};
}

double attainable_seconds(const KernelCost& kernel, const Machine& machine) {
  return std::max(kernel.flops / machine.peak, kernel.bytes / machine.bandwidth);
}

double waterline_seconds(std::span<const KernelCost> kernels, const Machine& machine) {
  double seconds = 0;
  for (const KernelCost& kernel : kernels) seconds += attainable_seconds(kernel, machine);
  return seconds;
}

double ideal_seconds(std::span<const KernelCost> kernels, const Machine& machine) {
  double seconds = 0;  // rounded as the attainable times are, so that no efficiency exceeds 1
  for (const KernelCost& kernel : kernels) seconds += kernel.flops / machine.peak;
  return seconds;
}

double waterline_efficiency(std::span<const KernelCost> kernels, const Machine& machine) {
  return ideal_seconds(kernels, machine) / waterline_seconds(kernels, machine);
}

EfficiencyGap efficiency_gap(double flops, double seconds, double peak) {
  const double ideal = flops / peak;
  return {.ideal = ideal,
          .seconds = seconds,
          .efficiency = ideal / seconds,
          .octaves = std::log2(seconds / ideal)};
}

reports::Plot waterline_plot(const std::string& name, const std::string& title,
                             std::span<const KernelCost> kernels, const Machine& machine) {
  reports::Plot plot{.name = name,
                     .title = title,
                     .x_label = "operations, flop",
                     .y_label = "operations per byte",
                     .curves = {}};
  double from = 0;
  for (const KernelCost& kernel : kernels) {
    const double to = from + kernel.flops, high = kernel.intensity();
    plot.curves.push_back({.label = kernel.name, .x = {from, from, to, to}, .y = {0, high, high, 0}});
    from = to;
  }
  plot.curves.push_back({.label = "waterline: the machine's balance",
                         .x = {0, from},
                         .y = {machine.balance(), machine.balance()},
                         .reference = true});
  return plot;
}

}  // namespace remeasure::bench
