// SPDX-License-Identifier: Apache-2.0
//
// How the implicit products cut a convolution: the same arithmetic for kernels, launches and formulas of
// work.
#pragma once

#include <cstddef>

#include "kernels/convolution/tensor4.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

inline constexpr int kGemmThreads = 256;       ///< eight warps: four along the rows, two along the columns
inline constexpr int kGemmRows = 128;          ///< of a block's tile
inline constexpr int kGemmInnerBytes = 64;     ///< of a row of a stage
inline constexpr int kGemmStages = 4;          ///< of the ring of cp.async
inline constexpr int kGemmWarpRows = 32;       ///< of a warp's part of the tile
inline constexpr int kGemmBlocksWanted = 264;  ///< two for each multiprocessor of an H100 or H200

inline constexpr int kSumParts = 8;  ///< threads that share the slices of one weight

/// Columns of a block's tile: 64 where there are no more, else 128.
RM_HOST_DEVICE constexpr int gemm_columns(int columns) {
  return columns <= 64 ? 64 : 128;
}

/// The same where a tile of floats has the inner dimension first: each lane loads its own operands then,
/// which takes registers, so 64 columns only.
RM_HOST_DEVICE constexpr int gemm_columns_inner_first(int columns, std::size_t element_bytes) {
  return element_bytes == 4 ? 64 : gemm_columns(columns);
}

RM_HOST_DEVICE constexpr int divide_up(int a, int b) {
  return (a + b - 1) / b;
}

enum class GemmPass { forward, backward_data };

/// One axis of a gather: row position a and tap t read source position step * a + first + tap_step * t, and
/// the result goes to to_step * a + to_first. Backward data has one for each phase of the stride: input
/// positions that leave the same remainder are reached by the same taps.
struct GatherAxis {
  int positions = 0;  ///< rows of the product along this axis, in one picture
  int taps = 0;
  int step = 1, first = 0, tap_step = 1;
  int to_step = 1, to_first = 0;
  int kernel_first = 0, kernel_step = 1;  ///< tap t is the kernel's kernel_first + kernel_step * t

  RM_HOST_DEVICE constexpr int source(int position, int tap) const {
    return position * step + first + tap * tap_step;
  }
};

RM_HOST_DEVICE constexpr GatherAxis gather_axis(GemmPass pass, const ConvolutionShape& s, int extent,
                                                int phase) {
  GatherAxis axis;
  if (pass == GemmPass::forward) {
    axis.positions = (extent + 2 * s.pad - s.kernel) / s.stride + 1;
    axis.taps = s.kernel;
    axis.step = s.stride;
    axis.first = -s.pad;
    return axis;
  }
  axis.positions = phase < extent ? divide_up(extent - phase, s.stride) : 0;
  axis.to_step = axis.kernel_step = s.stride;
  axis.to_first = phase;
  axis.kernel_first = (phase + s.pad) % s.stride;
  axis.taps = axis.kernel_first < s.kernel ? divide_up(s.kernel - axis.kernel_first, s.stride) : 0;
  axis.first = (phase + s.pad - axis.kernel_first) / s.stride;
  axis.tap_step = -1;
  return axis;
}

/// The product of one group and one phase.
struct GemmPlan {
  GatherAxis vertical, horizontal;
  int rows = 0;            ///< pixels
  int columns = 0;         ///< channels of the result in a group
  int inner_channels = 0;  ///< channels of the source in a group
  int source_height = 0, source_width = 0, source_channels = 0;
  int to_height = 0, to_width = 0, to_channels = 0;

  RM_HOST_DEVICE constexpr int taps() const { return vertical.taps * horizontal.taps; }
  RM_HOST_DEVICE constexpr int inner() const { return taps() * inner_channels; }
};

RM_HOST_DEVICE constexpr int gemm_phases(GemmPass pass, const ConvolutionShape& s) {
  return pass == GemmPass::forward ? 1 : s.stride * s.stride;
}

RM_HOST_DEVICE constexpr GemmPlan gemm_plan(GemmPass pass, const ConvolutionShape& s, int phase) {
  const int out_height = (s.height + 2 * s.pad - s.kernel) / s.stride + 1,
            out_width = (s.width + 2 * s.pad - s.kernel) / s.stride + 1;
  const bool forward = pass == GemmPass::forward;
  GemmPlan plan;
  plan.vertical = gather_axis(pass, s, s.height, phase / s.stride);
  plan.horizontal = gather_axis(pass, s, s.width, phase % s.stride);
  plan.rows = s.batch * plan.vertical.positions * plan.horizontal.positions;
  plan.columns = (forward ? s.out_channels : s.in_channels) / s.groups;
  plan.inner_channels = (forward ? s.in_channels : s.out_channels) / s.groups;
  plan.source_height = forward ? s.height : out_height;
  plan.source_width = forward ? s.width : out_width;
  plan.source_channels = forward ? s.in_channels : s.out_channels;
  plan.to_height = forward ? out_height : s.height;
  plan.to_width = forward ? out_width : s.width;
  plan.to_channels = forward ? s.out_channels : s.in_channels;
  return plan;
}

/// Backward weights: rows are output channels, columns taps and input channels of a group, and the inner
/// dimension is pixels, cut into slices.
struct WeightsPlan {
  int rows = 0, columns = 0;
  int pixels = 0;
  int slice_pixels = 0;  ///< of a slice, a multiple of a stage
  int slices = 0;
};

constexpr WeightsPlan weights_plan(const ConvolutionShape& s, std::size_t element_bytes) {
  WeightsPlan plan;
  plan.rows = s.group_out();
  plan.columns = s.inner();
  plan.pixels = static_cast<int>(s.out_pixels());
  const int stage = kGemmInnerBytes / static_cast<int>(element_bytes);
  const int stages = divide_up(plan.pixels, stage);
  const int tiles = divide_up(plan.rows, kGemmRows) *
                    divide_up(plan.columns, gemm_columns_inner_first(plan.columns, element_bytes)) * s.groups;
  // A slice of fewer stages than twice the ring would only fill and empty it.
  const int most = stages / (2 * kGemmStages) > 1 ? stages / (2 * kGemmStages) : 1;
  const int wanted = divide_up(kGemmBlocksWanted, tiles);
  const int slice_stages = divide_up(stages, wanted < most ? wanted : most);
  plan.slice_pixels = slice_stages * stage;
  plan.slices = divide_up(stages, slice_stages);
  return plan;
}

}  // namespace remeasure::kernels
