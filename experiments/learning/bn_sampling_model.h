// SPDX-License-Identifier: Apache-2.0
//
// What sampling can gain by bytes alone: batch normalisation layers of residual networks, the traffic of full
// and sampled layers, Amdahl's law, and what is left of a sample in frameworks' older layout.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bench/trial.h"
#include "datasets/convolution/layers.h"
#include "kernels/learning/batch_norm.h"

namespace remeasure::experiments::bn_sampling_parts {

using kernels::BatchNormShape;
using kernels::BatchNormWork;
using kernels::StatisticsGradient;

struct NormLayers {
  BatchNormShape shape;
  int count = 1;
};
struct Network {
  std::string name;
  std::vector<NormLayers> layers;
};

/// Of batches as the papers train them.
inline std::vector<Network> residual_networks() {
  const auto imagenet = [](const char* name, int images, const auto& layers) {
    Network network{name, {}};
    for (const datasets::NormalisationLayer& layer : layers)
      network.layers.push_back({{images, layer.extent, layer.extent, layer.channels}, layer.count});
    return network;
  };
  const auto cifar = [](const char* name, const auto& layers) {  // one behind each convolution
    Network network{name, {}};
    for (const datasets::ConvolutionLayer& layer : layers) {
      const int side = layer.extent / layer.stride;
      network.layers.push_back({{128, side, side, layer.out_channels}, layer.count});
    }
    return network;
  };
  return {imagenet("ResNet-18, 128 x 224^2", 128, datasets::kResNet18Normalisation),
          imagenet("ResNet-50, 64 x 224^2", 64, datasets::kResNet50Normalisation),
          cifar("ResNet-20, 128 x 32^2", datasets::kResNet20Cifar),
          cifar("ResNet-56, 128 x 32^2", datasets::kResNet56Cifar)};
}

struct LayerTraffic {
  double forward = 0, backward = 0;  ///< bytes
  double both() const { return forward + backward; }
};
/// Of our kernels with ReLU, one of `parts` rows sampled; 1: full batch normalisation.
inline LayerTraffic traffic_of(const BatchNormShape& shape, int parts) {
  const std::size_t rows = sampled_features(shape, parts, {}).rows();
  const auto mode = parts == 1 ? StatisticsGradient::exact : StatisticsGradient::sampled;
  return {(statistics_work(shape, rows, true) + normalize_work(shape)).bytes,
          (gradient_sums_work(shape, rows, true) + input_gradient_work(shape, rows, mode, true)).bytes};
}
inline LayerTraffic traffic_of(const Network& network, int parts) {
  LayerTraffic sum;
  for (const NormLayers& layers : network.layers) {
    const LayerTraffic one = traffic_of(layers.shape, parts);
    sum.forward += layers.count * one.forward;
    sum.backward += layers.count * one.backward;
  }
  return sum;
}

/// Speedup of the whole, of which `share` becomes `speedup` times as fast.
inline double amdahl(double share, double speedup) {
  return 1 / (1 - share + share / speedup);
}
/// The paper's: batch normalisation slows training by more than 30 %, so it is 0.3 / 1.3 of the time; read as
/// a share of 30 % it favours the paper.
inline constexpr double kReportedShare = 0.3;

/// Share of the 32-byte sectors of f16 maps, planes of side x side one after another, that a sampled
/// rectangle touches: mean over draws.
inline double touched_sectors(int side, int parts) {
  constexpr int kMaps = 64, kDraws = 20;
  const BatchNormShape one{1, side, side, 8};
  double sum = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const kernels::SampleBox box = sampled_features(one, parts, {9, 0, draw});
    std::set<std::int64_t> sectors;
    for (std::int64_t map = 0; map < kMaps; ++map) {
      for (int y = box.y; y < box.y + box.height; ++y) {
        const std::int64_t first = 2 * ((map * side + y) * side + box.x), last = first + 2 * box.width - 1;
        for (std::int64_t sector = first / 32; sector <= last / 32; ++sector) sectors.insert(sector);
      }
    }
    sum += static_cast<double>(sectors.size()) / std::ceil(2.0 * kMaps * side * side / 32) / kDraws;
  }
  return sum;
}

inline void report_model(bench::Trial& t) {
  reports::Table bytes{
      .name = "bytes",
      .title = "Traffic of all normalisation layers of a training step, f16, and what it bounds",
      .columns = {"network", "activations", "full", "s = 1/8", "forward", "both passes", "exact gradient",
                  "end to end at 20 %", "30 %", "40 %", "x in 33 MB of registers"},
      .rows = {}};
  for (const Network& network : residual_networks()) {
    const LayerTraffic full = traffic_of(network, 1), eighth = traffic_of(network, 8);
    double values = 0, fits = 0;
    for (const NormLayers& layers : network.layers) {
      const double of_layers = static_cast<double>(layers.shape.values()) * layers.count;
      values += of_layers;
      if (2 * static_cast<double>(layers.shape.values()) < 33e6) fits += of_layers;
    }
    const double speedup = full.both() / eighth.both();
    bytes.rows.push_back(
        {network.name, fmt::format("{:.0f} M", values / 1e6), fmt::format("{:.2f} GB", full.both() / 1e9),
         fmt::format("{:.2f} GB", eighth.both() / 1e9), fmt::format("{:.2f}x", full.forward / eighth.forward),
         fmt::format("{:.2f}x", speedup),
         fmt::format("{:.2f}x", full.both() / (eighth.forward + full.backward)),
         fmt::format("{:.3f}x", amdahl(0.2, speedup)), fmt::format("{:.3f}x", amdahl(0.3, speedup)),
         fmt::format("{:.3f}x", amdahl(0.4, speedup)), fmt::format("{:.0f} %", 100 * fits / values)});
    t.metric({.name = fmt::format("end to end by bytes, {}, share of 30 %, s = 1/8", network.name),
              .value = amdahl(kReportedShare, speedup),
              .unit = "x",
              .reported = Interval{1.2, 1.217},
              .exact = true});
  }
  t.table(std::move(bytes));

  const Network resnet50 = residual_networks()[1];
  reports::Plot plot{.name = "bound",
                     .title = "ResNet-50: speedups that bytes allow",
                     .x_label = "s",
                     .y_label = "x",
                     .log_x = true};
  reports::Curve forward{.label = "layers forward"}, both{.label = "layers, both passes"},
      end{.label = "training, share of 30 %"}, reported{.label = "reported for training", .reference = true};
  for (const int parts : {1, 2, 4, 8, 16, 32, 64}) {
    const LayerTraffic full = traffic_of(resnet50, 1), sampled = traffic_of(resnet50, parts);
    const double speedup = full.both() / sampled.both();
    for (reports::Curve* curve : {&forward, &both, &end, &reported}) curve->x.push_back(1.0 / parts);
    forward.y.push_back(full.forward / sampled.forward);
    both.y.push_back(speedup);
    end.y.push_back(amdahl(kReportedShare, speedup));
    reported.y.push_back(1.2);
  }
  plot.curves = {reported, forward, both, end};
  t.plot(std::move(plot));

  reports::Table sectors{.name = "sectors",
                         .title =
                             "32-byte sectors that features touch where channels come first (f16); channels "
                             "last: s",
                         .columns = {"map", "s = 1/2", "1/4", "1/8", "1/16", "1/64"},
                         .rows = {}};
  for (const int side : {112, 56, 28, 14, 7}) {
    std::vector<std::string> row = {fmt::format("{0} x {0}", side)};
    for (const int parts : {2, 4, 8, 16, 64})
      row.push_back(fmt::format("{:.2f}", touched_sectors(side, parts)));
    sectors.rows.push_back(std::move(row));
  }
  t.table(std::move(sectors));
  t.check("no share of the sample gains 20 % where normalisation is 30 % of the time",
          amdahl(kReportedShare, 1.6) < 1.2,
          fmt::format("both passes gain at most 16 / 10 = 1.6x by bytes: {:.3f}x of training",
                      amdahl(kReportedShare, 1.6)));
}

}  // namespace remeasure::experiments::bn_sampling_parts
