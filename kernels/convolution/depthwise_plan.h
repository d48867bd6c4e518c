// SPDX-License-Identifier: Apache-2.0
//
// How the depthwise kernels cut their work: the same arithmetic for kernels, launches and formulas of work.
#pragma once

#include <cstddef>

#include "kernels/convolution/gemm_plan.h"
#include "kernels/convolution/tensor4.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

inline constexpr int kDepthwiseThreads = 256;
inline constexpr int kDepthwiseBlocks = 2112;  ///< at most, of one channel tile: 16 for each multiprocessor

/// Results that a thread has. nhwc: two channels of each; nchw: one column, two where the stride is
/// transposed, so that the parity of a column is known to the compiler.
inline constexpr int kNhwcRows = 2, kNhwcColumns = 4;
inline constexpr int kNchwRows = 8;
RM_HOST_DEVICE constexpr int nchw_columns(int stride, bool transposed) {
  return transposed ? stride : 1;
}

/// Which source places along one axis a run of results needs, and which tap lies between a source and a
/// result. Transposed (backward data with a stride): the run begins where result + pad is a multiple of the
/// stride.
template <int kKernel, int kStride, bool kTransposed>
struct DepthwiseTaps {
  static constexpr int kBefore = kTransposed ? (kKernel - 1) / kStride : 0;
  RM_HOST_DEVICE static constexpr int sources(int results) {
    return kTransposed ? kBefore + (results - 1) / kStride + 1 : (results - 1) * kStride + kKernel;
  }
  /// Outside 0 .. kKernel - 1: the source has no part in the result.
  RM_HOST_DEVICE static constexpr int tap(int source, int result) {
    return kTransposed ? result - (source - kBefore) * kStride : source - result * kStride;
  }
  RM_HOST_DEVICE static constexpr int first_source(int first_result, int pad) {
    return kTransposed ? (first_result + pad) / kStride - kBefore : first_result * kStride - pad;
  }
};

/// Source places of one axis before the end of the last result's taps.
RM_HOST_DEVICE constexpr int seen_extent(int source, int results, int kernel, int stride, int pad) {
  const int end = (results - 1) * stride - pad + kernel;
  return end < source ? end : source;
}

/// Forward, or backward data. With stride 1 backward data is forward with the taps in the other order.
struct DepthwisePlan {
  int batch = 0, channels = 0;
  int source_height = 0, source_width = 0, result_height = 0, result_width = 0;
  int seen_height = 0, seen_width = 0;  ///< of the source: what some result needs
  int pad = 0;
  bool flipped = false;
  bool transposed = false;
  int shift = 0;  ///< results before the first that only fill a run
  int row_runs = 0, column_runs = 0;
  int lanes = 0;  ///< nhwc: pairs of channels side by side in a block, a power of two up to 32

  RM_HOST_DEVICE constexpr int runs() const { return batch * row_runs * column_runs; }
};

/// Pairs of channels that a block of the nhwc kernels has side by side.
RM_HOST_DEVICE constexpr int depthwise_lanes(int channels) {
  int lanes = 1;
  while (lanes < 32 && 2 * lanes < channels) lanes *= 2;
  return lanes;
}

constexpr DepthwisePlan depthwise_plan(GemmPass pass, const ConvolutionShape& s, Layout layout) {
  DepthwisePlan plan;
  const bool forward = pass == GemmPass::forward;
  plan.batch = s.batch;
  plan.channels = s.in_channels;
  plan.source_height = forward ? s.height : s.out_height();
  plan.source_width = forward ? s.width : s.out_width();
  plan.result_height = forward ? s.out_height() : s.height;
  plan.result_width = forward ? s.out_width() : s.width;
  plan.transposed = !forward && s.stride > 1;
  plan.flipped = !forward && s.stride == 1;
  plan.pad = plan.flipped ? s.kernel - 1 - s.pad : s.pad;
  const auto seen = [&](int source, int results) {
    return forward ? seen_extent(source, results, s.kernel, s.stride, s.pad) : source;
  };
  plan.seen_height = seen(plan.source_height, plan.result_height);
  plan.seen_width = seen(plan.source_width, plan.result_width);
  plan.shift = plan.transposed ? s.pad % s.stride : 0;
  const bool last = layout == Layout::nhwc;
  plan.row_runs = divide_up(plan.result_height + plan.shift, last ? kNhwcRows : kNchwRows);
  plan.column_runs = divide_up(plan.result_width + plan.shift,
                               last ? kNhwcColumns : nchw_columns(s.stride, plan.transposed));
  plan.lanes = depthwise_lanes(s.in_channels);
  return plan;
}

/// Backward weights. nhwc: a thread has a pair of channels and a row of taps, and takes runs of four outputs
/// of one row; the block's parts and then the slices are added. nchw: a block has a channel and some
/// pictures, a thread all taps and runs of four rows.
inline constexpr int kWeightsRun = 4, kNchwWeightsRows = 4;
RM_HOST_DEVICE constexpr int weights_parts(int kernel) {  ///< of a block, nhwc: 32 kernel parts threads
  return kernel == 3 ? 6 : kernel == 5 ? 3 : 2;
}

struct DepthwiseWeightsPlan {
  int slices = 0;
  int lanes = 0;         ///< nhwc
  int slice_images = 0;  ///< nchw
};

constexpr DepthwiseWeightsPlan depthwise_weights_plan(const ConvolutionShape& s, Layout layout) {
  DepthwiseWeightsPlan plan;
  const auto at_least_one = [](int n) { return n > 1 ? n : 1; };
  if (layout == Layout::nchw) {
    const int wanted = divide_up(4 * kGemmBlocksWanted, s.in_channels);
    plan.slice_images = divide_up(s.batch, wanted < s.batch ? wanted : s.batch);
    plan.slices = divide_up(s.batch, plan.slice_images);
    return plan;
  }
  plan.lanes = depthwise_lanes(s.in_channels);
  const int runs = s.batch * s.out_height() * divide_up(s.out_width(), kWeightsRun);
  const int at_once = weights_parts(s.kernel) * (32 / plan.lanes);
  const int wanted = divide_up(kGemmBlocksWanted, divide_up(s.in_channels, 2 * plan.lanes));
  const int most = at_least_one(runs / (4 * at_once));  // a slice of at least four runs for each part
  plan.slices = wanted < most ? wanted : most;
  return plan;
}

}  // namespace remeasure::kernels
