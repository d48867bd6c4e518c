// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "baselines/convolution/residual_block.h"
#include "kernels/convolution/block_layers.h"
#include "kernels/convolution/unfused_block.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {

void residual_block_eigen(Block block, const BlockShape& shape, const BlockWeights<float>& weights,
                          std::span<const float> x, std::span<float> workspace, std::span<float> y,
                          int threads) {
  using namespace kernels::block_layers;
  kernels::check_block("residual_block_eigen", block, shape);
  kernels::check_block_sizes("residual_block_eigen", block, shape, x.size(), y.size(),
                             {weights.filter.size(), weights.filter_bias.size(),
                              weights.expand.size() == weights.project.size() ? weights.expand.size() : 0,
                              weights.expand_bias.size(), weights.project_bias.size(), weights.norm.size()});
  if (workspace.size() != kernels::unfused_workspace(block, shape))
    throw std::invalid_argument("residual_block_eigen: workspace of another size than unfused_workspace's");
  const int filtered = block == Block::mbconv ? shape.hidden() : shape.channels;
  const Matrix<float> taps =
      block == Block::convfirst ? Matrix<float>() : taps_first<float>(weights.filter, filtered, shape.kernel);
  /// layer(picture, first row, rows), each over all pictures before the next.
  const auto over_rows = [&](const auto& layer) {
    kernels::for_each_row_block(shape.batch, shape.height, threads, layer);
  };
  /// Where a row of a picture begins in a tensor of so many channels.
  const auto place = [&](int picture, int row, int channels) {
    return (static_cast<std::size_t>(picture) * static_cast<std::size_t>(shape.height) +
            static_cast<std::size_t>(row)) *
           static_cast<std::size_t>(shape.width * channels);
  };
  const std::size_t narrow = shape.elements(), wide = narrow * static_cast<std::size_t>(shape.expansion);
  float* h = workspace.data() + (block == Block::mbconv ? 0 : narrow);
  float* inner = h;
  const float* expanded = workspace.data();  // what the first dense layer reads
  if (block == Block::mbconv) {
    inner = workspace.data() + wide;
    expanded = x.data();
  } else {
    over_rows([&](int picture, int row, int rows) {
      float* z = workspace.data() + place(picture, row, shape.channels);
      const Band<const float> in{x.data() + place(picture, 0, shape.channels), 0};
      if (block == Block::convfirst) {
        grouped_convolution<float>(shape, weights, in, row, rows, z);
      } else {
        depthwise<float>(shape, filtered, taps, weights.filter_bias, in, row, rows, z);
        layer_norm<float>(weights.norm, filtered, rows * shape.width, z);
      }
    });
  }
  over_rows([&](int picture, int row, int rows) {
    expand<float>(shape, weights, rows * shape.width, expanded + place(picture, row, shape.channels),
                  h + place(picture, row, shape.hidden()));
  });
  if (block == Block::mbconv) {
    over_rows([&](int picture, int row, int rows) {
      float* g = inner + place(picture, row, filtered);
      depthwise<float>(shape, filtered, taps, weights.filter_bias, {h + place(picture, 0, filtered), 0}, row,
                       rows, g);
      gelu_in_place(Rows<float>(g, rows * shape.width, filtered));
    });
  }
  over_rows([&](int picture, int row, int rows) {
    const std::size_t at = place(picture, row, shape.channels);
    project<float>(shape, weights, rows * shape.width, inner + place(picture, row, shape.hidden()),
                   x.data() + at, y.data() + at);
  });
}

}  // namespace remeasure::baselines
