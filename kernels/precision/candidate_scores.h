// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/precision/twin_quantizer.h"

namespace remeasure::kernels {

/// Products y = varied fixed^T of one layer, of which `varied` tries candidates of its scale while `fixed`
/// keeps its own.
struct ScoreShape {
  int matrices = 1;  ///< independent products with the same scales (images x heads of an attention)
  int rows = 0;      ///< of `varied`
  int inner = 0;     ///< a multiple of 16: padded with zeros
  int columns = 0;   ///< rows of `fixed`
  int varied_planes = 1, fixed_planes = 1;  ///< 2: twin; not both
  /// target and gradient are [columns, rows] with `target_stride` elements a row, since the weights are what
  /// varies; else [rows, columns]. A stride beyond the least only for one matrix.
  bool transposed = false;
  int target_stride = 0;  ///< 0: the least

  int stride() const { return target_stride > 0 ? target_stride : transposed ? rows : columns; }
  std::size_t varied_size() const { return count(matrices, rows) * static_cast<std::size_t>(inner); }
  std::size_t fixed_size() const {
    return count(matrices, columns) * static_cast<std::size_t>(inner);
  }  ///< of a plane
  /// From the first to the last element that is read of target and gradient.
  std::size_t target_size() const {
    const std::size_t lines = count(matrices, transposed ? columns : rows);
    return (lines - 1) * static_cast<std::size_t>(stride()) +
           static_cast<std::size_t>(transposed ? rows : columns);
  }

 private:
  static std::size_t count(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }
};

/// Throws std::invalid_argument for what candidate_scores doesn't take.
void check_shape(const ScoreShape& shape, std::size_t candidates);

/// What a launch is cut into.
struct ScoreTiling {
  int columns = 128;  ///< of a block's tile: 64 where that is all there are
  int at_once = 2;    ///< candidates that a block's accumulators hold
  int row_tiles = 0, column_tiles = 0, inner_tiles = 0;
  std::size_t partials = 0;  ///< of one candidate: one per warp
};
ScoreTiling score_tiling(const ScoreShape& shape);

/// scores[p] = sum over all outputs of ((y_p - target) gradient)^2, where y_p is the product of varied,
/// quantised by candidates[p], and fixed, given as codes. varied: [matrices, rows, inner] f16; fixed:
/// [planes, matrices, columns, inner] (low plane first, zeros where the other plane has the code);
/// fixed_step: [planes, columns]; candidates, scores: [p]; partials: score_tiling().partials * p floats of
/// scratch. For 1 plane of varied the candidates' `high` half counts.
template <class Target>
void candidate_scores(Stream<Target>& stream, const ScoreShape& shape, DeviceSpan<Target, const half> varied,
                      DeviceSpan<Target, const std::int8_t> fixed, DeviceSpan<Target, const float> fixed_step,
                      DeviceSpan<Target, const TwinQuantizer<float>> candidates,
                      DeviceSpan<Target, const float> target, DeviceSpan<Target, const float> gradient,
                      DeviceSpan<Target, float> partials, DeviceSpan<Target, float> scores);

/// One launch of candidate_scores without its scratch: one operand of a layer, all its candidates.
template <class Target>
struct ScorePass {
  ScoreShape shape;
  DeviceSpan<Target, const half> varied;
  DeviceSpan<Target, const std::int8_t> fixed;
  DeviceSpan<Target, const float> fixed_step;
  DeviceSpan<Target, const TwinQuantizer<float>> candidates;
  DeviceSpan<Target, const float> target, gradient;
  DeviceSpan<Target, float> scores;
};

/// scores[p] = sum of partials[p, :].  partials: [p, count]
template <class Target>
void sum_partials(Stream<Target>& stream, std::size_t count, DeviceSpan<Target, const float> partials,
                  DeviceSpan<Target, float> scores);

}  // namespace remeasure::kernels
