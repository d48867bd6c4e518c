// SPDX-License-Identifier: Apache-2.0
//
// The attainable time of a sequence of kernels, and how far a measured one is from it (Lavin, "On the
// Efficiency of Convolutional Neural Networks", arXiv 2404.03617): a roofline for kernels that run one after
// another. Each waits for the slower of its arithmetic and its traffic; a sequence adds times, so traffic of
// one can't hide behind arithmetic of another. Drawn, a kernel is a bar as wide as its operations and as high
// as its operations per byte; what lies under water, below the machine's balance, waits for memory.
//
//   const Machine h200{.peak = 989.5e12, .bandwidth = 4.8e12};
//   const KernelCost layers[] = {{"expand", 2 * pixels * e * c * c, 2 * pixels * (1 + e) * c}, ...};
//   waterline_seconds(layers, h200);      // attainable; waterline_efficiency: ideal over attainable
//   efficiency_gap(flops, measured, h200.peak).octaves;     // 0: the ideal; 1: half of it
#pragma once

#include <span>
#include <string>

#include "reports/record.h"

namespace remeasure::bench {

struct Machine {
  double peak = 0;       ///< flop/s of the kernels' dtype
  double bandwidth = 0;  ///< bytes/s of device memory
  /// Operations per byte at which a kernel needs both in full.
  double balance() const { return peak / bandwidth; }
};

/// One kernel. Operations are those of the definition: padding and recomputing are inefficiency, not work.
struct KernelCost {
  std::string name;
  double flops = 0;
  double bytes = 0;  ///< of device memory, each read or written once
  double intensity() const { return flops / bytes; }
};

/// Two kernels as one that keeps `spared` bytes between them on chip. Throws std::invalid_argument where that
/// is more than both move.
KernelCost fused(const KernelCost& first, const KernelCost& second, double spared);

/// max(flops / peak, bytes / bandwidth).
double attainable_seconds(const KernelCost& kernel, const Machine& machine);
/// Their sum: flops_i / peak max(1, balance / intensity_i).
double waterline_seconds(std::span<const KernelCost> kernels, const Machine& machine);
/// All operations at peak.
double ideal_seconds(std::span<const KernelCost> kernels, const Machine& machine);
/// ideal_seconds / waterline_seconds: at most 1.
double waterline_efficiency(std::span<const KernelCost> kernels, const Machine& machine);

/// A measured time in the efficiency-gap plot: x the ideal time, y the measured one. On the diagonal
/// efficiency is 1; horizontals are equal times, whatever the operations.
struct EfficiencyGap {
  double ideal = 0, seconds = 0;
  double efficiency = 0;  ///< ideal / seconds, so seconds = operations / (peak efficiency)
  double octaves = 0;     ///< log2 of the distance to the diagonal: -log2 efficiency
};
EfficiencyGap efficiency_gap(double flops, double seconds, double peak);

/// Bars of the kernels in their order, and the waterline.
reports::Plot waterline_plot(const std::string& name, const std::string& title,
                             std::span<const KernelCost> kernels, const Machine& machine);

}  // namespace remeasure::bench
