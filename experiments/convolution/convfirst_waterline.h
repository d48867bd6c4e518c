// SPDX-License-Identifier: Apache-2.0
//
// Blocks and networks of convfirst as sequences of kernels: operations, bytes, attainable times.
#pragma once

#include <string>
#include <vector>

#include "bench/data_sheet.h"
#include "bench/waterline.h"
#include "kernels/convolution/residual_block.h"

namespace remeasure::experiments::convfirst_blocks {

using bench::KernelCost;
using bench::Machine;
using kernels::Block;
using kernels::BlockShape;

/// Dense f16 products and memory as the maker prints them: for the model, never for a measured percentage.
inline Machine h200() {
  const bench::DataSheet& sheet = *bench::data_sheet_of("NVIDIA H200");
  return {.peak = sheet.values.at("gpu-mma-f16"), .bandwidth = sheet.values.at("gpu-read-dram")};
}

enum class Fusion { none, epilogues, block };

/// The kernels of a block of two-byte elements. `epilogues`: bias, activation and residual inside the layers'
/// kernels; `none`: activations are kernels of their own.
inline std::vector<KernelCost> block_kernels(Block block, const BlockShape& shape, Fusion fusion,
                                             bool with_weights = true) {
  const kernels::BlockSizes sizes = kernels::block_sizes(block, shape);
  const auto pixels = static_cast<double>(shape.pixels()), c = static_cast<double>(shape.channels),
             hidden = static_cast<double>(shape.hidden());
  const auto layer = [&](const char* name, std::size_t weights, double channels_moved) {
    const auto w = static_cast<double>(weights);
    return KernelCost{name, 2 * w * pixels, 2 * (channels_moved * pixels + (with_weights ? w : 0))};
  };
  if (fusion == Fusion::block) return {layer(to_string(block), sizes.weights(), 2 * c)};
  const KernelCost expand = layer("expand", sizes.dense, c + hidden),
                   project = layer("project", sizes.dense, hidden + 2 * c),
                   gelu = layer("gelu", 0, 2 * hidden);
  const bool apart = fusion == Fusion::none;
  std::vector<KernelCost> kernels;
  if (block == Block::mbconv) {
    kernels = {expand};
    if (apart) kernels.push_back(gelu);
    kernels.push_back(layer("depthwise", sizes.filter, 2 * hidden));
  } else {
    kernels = {layer(block == Block::convfirst ? "grouped convolution" : "depthwise", sizes.filter, 2 * c)};
    if (block == Block::convnext) kernels.push_back(layer("norm", 0, 2 * c));
    kernels.push_back(expand);
  }
  if (apart) kernels.push_back(gelu);
  kernels.push_back(project);
  return kernels;
}

/// Blocks of one shape in a network, without what lies between its stages (down-sampling, stem, head).
struct Stage {
  BlockShape shape;
  int depth = 1;
};
struct Network {
  std::string name;
  Block block;
  std::vector<Stage> stages;

  double macs() const {
    double sum = 0;
    for (const Stage& stage : stages) sum += stage.depth * kernels::block_macs(block, stage.shape);
    return sum;
  }
  /// Attainable seconds of all blocks.
  double waterline(Fusion fusion, const Machine& machine) const {
    double sum = 0;
    for (const Stage& stage : stages)
      sum += stage.depth * bench::waterline_seconds(block_kernels(block, stage.shape, fusion), machine);
    return sum;
  }
};

/// Four stages at 56, 28, 14 and 7 pixels a side (a picture of 224), channels doubling.
inline Network network(std::string name, Block block, int batch, int channels, const std::vector<int>& depths,
                       int side = 56) {
  Network network{std::move(name), block, {}};
  for (const int depth : depths) {
    network.stages.push_back({{batch, side, side, channels, 4, block == Block::convnext ? 7 : 3}, depth});
    side /= 2, channels *= 2;
  }
  return network;
}
/// ConvNeXt-T (Liu et al., CVPR 2022): depths 3, 3, 9, 3, channels 96 to 768.
inline Network convnext_t(int batch) {
  return network("ConvNeXt-T", Block::convnext, batch, 96, {3, 3, 9, 3});
}
/// ConvFirst with 64 to 512 channels, as deep as ConvNeXt-T, and as deep as its operations allow. The paper's
/// own configuration isn't in its abstract.
inline Network convfirst_shallow(int batch) {
  return network("ConvFirst 3-3-9-3", Block::convfirst, batch, 64, {3, 3, 9, 3});
}
inline Network convfirst_deep(int batch) {
  return network("ConvFirst 6-6-20-6", Block::convfirst, batch, 64, {6, 6, 20, 6});
}

}  // namespace remeasure::experiments::convfirst_blocks
