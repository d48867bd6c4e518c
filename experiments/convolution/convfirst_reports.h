// SPDX-License-Identifier: Apache-2.0
//
// What convfirst says of its cases beside their times: waterlines, efficiencies, whole networks.
#pragma once

#include <cmath>
#include <optional>

#include "experiments/convolution/convfirst_block.h"
#include "experiments/convolution/convfirst_waterline.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::convfirst_blocks {

inline double total(const std::vector<KernelCost>& kernels, double KernelCost::*part) {
  double sum = 0;
  for (const KernelCost& kernel : kernels) sum += kernel.*part;
  return sum;
}

/// Peak of the GPU that a time was measured on, as its maker prints it; none for a CPU or an unknown GPU.
inline std::optional<Machine> machine_of(const Measured& time) {
  const bench::DataSheet* sheet = bench::data_sheet_of(time.on);
  if (!time.value || sheet == nullptr) return std::nullopt;
  return Machine{.peak = sheet->values.at("gpu-mma-f16"), .bandwidth = sheet->values.at("gpu-read-dram")};
}

/// Each way to run a block as a sequence of kernels, with what the waterline says and what was measured.
inline void report_waterline(Trial& t, const BlockCase& c) {
  struct Row {
    const char *what, *variant;
    Fusion fusion;
  };
  std::vector<Row> rows = {{"activation a kernel of its own", "", Fusion::none},
                           {"layers with epilogues, ours", "unfused", Fusion::epilogues},
                           {"layers with epilogues, libraries'", "vendor", Fusion::epilogues}};
  if (c.block != Block::convnext) rows.push_back({"the block in one kernel", "kernel", Fusion::block});
  reports::Table table{.name = "waterline",
                       .title = "Attainable time on an H200 (model), f16, and the measured one",
                       .columns = {"as", "kernels", "MACs", "flop/byte", "attainable", "efficiency at best",
                                   "measured", "measured / attainable", "efficiency"},
                       .rows = {}};
  const double flops = 2 * kernels::block_macs(c.block, c.shape);
  std::optional<double> fused_time, layers_time;
  bool above = true;
  for (const Row& row : rows) {
    const std::vector<KernelCost> sequence = block_kernels(c.block, c.shape, row.fusion);
    const double attainable = bench::waterline_seconds(sequence, h200());
    std::vector<std::string> cells = {row.what,
                                      std::to_string(sequence.size()),
                                      fmt::format("{:.3g}", flops / 2),
                                      fmt::format("{:.1f}", flops / total(sequence, &KernelCost::bytes)),
                                      fmt::format("{:.3g} us", 1e6 * attainable),
                                      fmt::format("{:.2f}", bench::waterline_efficiency(sequence, h200())),
                                      "",
                                      "",
                                      ""};
    const Measured time = *row.variant == '\0' ? Measured{} : t.time(c.named(row.variant));
    if (const std::optional<Machine> machine = machine_of(time)) {
      const double seconds = time.value->median, predicted = bench::waterline_seconds(sequence, *machine);
      cells[6] = fmt::format("{:.3g} us", 1e6 * seconds);
      cells[7] = fmt::format("{:.2f}", seconds / predicted);
      cells[8] = fmt::format("{:.2f}", bench::efficiency_gap(flops, seconds, machine->peak).efficiency);
      above = above && seconds > 0.95 * predicted;
      if (row.fusion == Fusion::block) fused_time = seconds;
      if (row.fusion == Fusion::epilogues) layers_time = std::min(seconds, layers_time.value_or(seconds));
    }
    table.rows.push_back(std::move(cells));
  }
  t.table(std::move(table));
  for (const Fusion fusion : {Fusion::epilogues, Fusion::block}) {
    if (fusion == Fusion::block && c.block == Block::convnext) continue;
    const std::vector<KernelCost> sequence = block_kernels(c.block, c.shape, fusion);
    t.metric({.name = fusion == Fusion::block ? "efficiency at best, one kernel (model of an H200)"
                                              : "efficiency at best, layers (model of an H200)",
              .value = bench::waterline_efficiency(sequence, h200()),
              .unit = "",
              .exact = true});
    t.plot(bench::waterline_plot(
        fusion == Fusion::block ? "waterline-fused" : "waterline-layers",
        fusion == Fusion::block ? "One kernel for the block" : "A kernel for each layer", sequence, h200()));
  }
  t.metric({.name = "activations moved by layers over the fused block",
            .value = kernels::unfused_traffic(c.block, c.shape.expansion, false) / 2,
            .unit = "x",
            .exact = true});
  if (fused_time && layers_time) {
    t.claim("waterline", above && *fused_time < *layers_time,
            fmt::format("{}: fused {:.3g} us, layers {:.3g} us", to_string(c.block), 1e6 * *fused_time,
                        1e6 * *layers_time));
  }
}

/// latency = operations / (peak efficiency), for every variant that has a time. On a CPU peak is the rate of
/// the fastest variant.
inline void check_formula(Trial& t, const BlockCase& c) {
  const double flops = 2 * kernels::block_macs(c.block, c.shape);
  std::vector<Measured> times;
  double fastest = INFINITY;
  std::vector<const char*> variants = {"unfused", "vendor"};
  if (c.on_host) variants.insert(variants.end(), {"eigen", "method"});
  if (c.block != Block::convnext) variants.push_back("kernel");
  for (const char* variant : variants) {
    const Measured time = t.time(c.named(variant));
    if (!time.value) continue;
    times.push_back(time);
    if (!machine_of(time)) fastest = std::min(fastest, time.value->median);
  }
  if (times.empty()) return;
  bool holds = true;
  for (const Measured& time : times) {
    const std::optional<Machine> machine = machine_of(time);
    const double peak = machine ? machine->peak : flops / fastest, seconds = time.value->median;
    const bench::EfficiencyGap gap = bench::efficiency_gap(flops, seconds, peak);
    holds = holds && gap.efficiency <= 1.0001 &&
            std::abs(flops / (peak * gap.efficiency) / seconds - 1) < 1e-12 &&
            std::abs(gap.ideal * std::exp2(gap.octaves) / seconds - 1) < 1e-12;
  }
  t.check("latency is operations over peak and efficiency in every row, and no row is above its peak", holds,
          fmt::format("{} rows of the {} block", times.size(), to_string(c.block)));
}

/// A whole network's blocks: depth times the stage's time, summed. `variant` with the stage's suffix.
inline Measured network_time(Trial& t, const Network& network, const std::string& variant,
                             const std::vector<BlockCase>& stages) {
  Measured sum;
  sum.value = reports::Estimate{0, 0, 0};
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Measured time = t.time(stages[i].named(variant));
    if (!time.value) return time;
    const double depth = network.stages[i].depth;
    sum.value->median += depth * time.value->median;
    sum.value->low += depth * time.value->low;
    sum.value->high += depth * time.value->high;
    sum.on = time.on;
  }
  return sum;
}

/// a / b; the interval from the ends of both.
inline Measured over(const Measured& a, const Measured& b) {
  if (!a.value) return a;
  if (!b.value) return b;
  Measured result = a;
  result.value = reports::Estimate{a.value->median / b.value->median, a.value->low / b.value->high,
                                   a.value->high / b.value->low};
  return result;
}

/// Ideal against attainable time of each stage: on the diagonal efficiency is 1, horizontals are equal times.
inline reports::Plot gap_plot(const std::vector<Network>& networks) {
  reports::Plot plot{.name = "efficiency-gap",
                     .title = "Efficiency gap of one block in each stage, model of an H200, f16",
                     .x_label = "ideal latency, s",
                     .y_label = "attainable latency, s",
                     .log_x = true,
                     .log_y = true,
                     .curves = {}};
  double least = INFINITY, most = 0;
  const auto add = [&](const Network& network, Fusion fusion, const char* how) {
    reports::Curve curve{.label = fmt::format("{}, {}", network.name, how)};
    for (const Stage& stage : network.stages) {
      const std::vector<KernelCost> sequence = block_kernels(network.block, stage.shape, fusion);
      curve.x.push_back(bench::ideal_seconds(sequence, h200()));
      curve.y.push_back(bench::waterline_seconds(sequence, h200()));
      least = std::min(least, curve.x.back()), most = std::max(most, curve.y.back());
    }
    plot.curves.push_back(std::move(curve));
  };
  for (const Network& network : networks) {
    add(network, Fusion::epilogues, "a kernel a layer");
    if (network.block != Block::convnext) add(network, Fusion::block, "a kernel a block");
  }
  plot.curves.push_back({.label = "efficiency 1", .x = {least, most}, .y = {least, most}, .reference = true});
  return plot;
}

}  // namespace remeasure::experiments::convfirst_blocks
