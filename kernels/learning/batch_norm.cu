// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation forward with sampled statistics (Chen et al., "Batch Normalization Sampling", arXiv
// 1810.10962, section 3): means and variances come from the rows of a sample S, all rows are normalised.
//
//   for (c) {
//     mean[c] = sum_{r in S} x[r, c] / |S|;
//     variance = sum_{r in S} (x[r, c] - mean[c])^2 / |S|;
//     inverse_deviation[c] = 1 / sqrt(variance + epsilon);
//     for (r) y[r, c] = max(0, gamma[c] (x[r, c] - mean[c]) inverse_deviation[c] + beta[c]);
//   }
//
// Optimisation: channels last, so that a rectangle of each map is read in whole 16-byte vectors whatever the
// size of the map (batch_norm_tile.h). Sums are of differences to the channel's first sampled value, in one
// pass without cancellation. Blocks' parts meet in the block that is done last: one launch, the same bits
// every time. Normalising is one more pass with four loads in flight.
//
// Launch: (channels / (8 columns), row blocks) blocks of 256. With s = |S| / rows: 2 s bytes a value for the
// statistics and 4 for normalising; 4 s + 3 flops. Limits: channels a multiple of 8, fewer than 2^30 rows.
#include <stdexcept>
#include <string>

#include "kernels/learning/batch_norm_checks.h"
#include "kernels/learning/batch_norm_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kAhead = 4;  // loads in flight

struct StatisticsOut {
  float *mean, *inverse_deviation, *running_mean, *running_variance;
  float momentum;
};

template <class Rows>
__global__ void __launch_bounds__(kBatchNormThreads, 2)
    statistics_kernel(int count, Rows rows, int columns, int vectors, const half* __restrict__ x,
                      float* parts, unsigned int* tickets, StatisticsOut out) {
  RM_DYNAMIC_SHARED(float, totals);
  const BatchNormPlace place(columns, vectors);
  const uint4* const from = reinterpret_cast<const uint4*>(x);
  const int pivot_row = rows(0);
  float sums[16] = {};
  if (place.exists()) {
    float pivot[8];
    const uint4 first = from[place.at(pivot_row)];
    unpack8(first, pivot);
    for (int begin = place.first_row; begin < count; begin += kAhead * place.row_step) {
      uint4 packed[kAhead];
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const int i = begin + u * place.row_step;
        if (i < count) packed[u] = from[place.at(rows(i))];
      }
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (begin + u * place.row_step >= count) break;
        float values[8];
        unpack8(packed[u], values);
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          const float difference = values[e] - pivot[e];
          sums[e] += difference;
          sums[8 + e] += difference * difference;
        }
      }
    }
  }
  if (!sum_over_rows(columns, sums, parts, tickets, totals)) return;

  const int of_slab = static_cast<int>(threadIdx.x);
  const int channel = static_cast<int>(blockIdx.x) * columns * kBatchNormVector + of_slab;
  if (of_slab >= columns * kBatchNormVector || channel >= vectors * kBatchNormVector) return;
  const int column = of_slab / kBatchNormVector, e = of_slab % kBatchNormVector;
  const float each = 1.0f / static_cast<float>(count);
  const float offset = totals[e * columns + column] * each;
  const float squares = totals[(8 + e) * columns + column] * each - offset * offset;
  const float variance = fmaxf(0.0f, squares);
  const half pivot = x[static_cast<std::size_t>(pivot_row) * (vectors * kBatchNormVector) + channel];
  const float mean = static_cast<float>(pivot) + offset;
  out.mean[channel] = mean;
  out.inverse_deviation[channel] = 1.0f / sqrtf(variance + kBatchNormEpsilon);
  if (out.running_mean != nullptr) {
    const float before = out.running_mean[channel], variance_before = out.running_variance[channel];
    out.running_mean[channel] = before + out.momentum * (mean - before);
    out.running_variance[channel] = variance_before + out.momentum * (variance - variance_before);
  }
}

template <bool kRelu>
__global__ void __launch_bounds__(kBatchNormThreads, 2)
    normalize_kernel(int rows, int columns, int vectors, const float* __restrict__ mean_of,
                     const float* __restrict__ inverse_deviation_of, const float* __restrict__ gamma_of,
                     const float* __restrict__ beta_of, const half* __restrict__ x, half* __restrict__ y) {
  const BatchNormPlace place(columns, vectors);
  if (!place.exists()) return;
  const uint4* const from = reinterpret_cast<const uint4*>(x);
  uint4* const to = reinterpret_cast<uint4*>(y);
  float mean[8], scale[8], beta[8];
  {
    float inverse_deviation[8];
    load8(mean_of, place.vector, mean);
    load8(inverse_deviation_of, place.vector, inverse_deviation);
    load8(gamma_of, place.vector, scale);
    load8(beta_of, place.vector, beta);
#pragma unroll
    for (int e = 0; e < 8; ++e) scale[e] *= inverse_deviation[e];
  }
  for (int begin = place.first_row; begin < rows; begin += kAhead * place.row_step) {
    uint4 packed[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int row = begin + u * place.row_step;
      if (row < rows) packed[u] = from[place.at(row)];
    }
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const int row = begin + u * place.row_step;
      if (row >= rows) break;
      float values[8];
      unpack8(packed[u], values);
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        values[e] = scale[e] * (values[e] - mean[e]) + beta[e];
        if constexpr (kRelu) values[e] = fmaxf(0.0f, values[e]);
      }
      const uint4 result = pack8(values);  // named: the checker misses a call's result that goes to memory
      to[place.at(row)] = result;
    }
  }
}

template <class Target, class Rows>
void launch_statistics(Stream<Target>& stream, const BatchNormShape& shape, std::size_t count,
                       const Rows& rows, DeviceSpan<Target, const half> x,
                       const BatchNormStatistics<Target>& out, const BatchNormScratch<Target>& scratch) {
  const BatchNormGrid grid = batch_norm_grid(shape, count, kReduceRows, kReduceBlocks);
  launch({.name = "sampled_statistics",
          .grid = dim3(static_cast<unsigned>(grid.slabs), static_cast<unsigned>(grid.row_blocks)),
          .block = kBatchNormThreads,
          .shared_bytes = sum_over_rows_bytes<16>(grid.columns)},
         stream, statistics_kernel<Rows>, static_cast<int>(count), rows, grid.columns,
         shape.channels / kBatchNormVector, x.data(), scratch.partial_sums.data(), scratch.tickets.data(),
         StatisticsOut{out.mean.data(), out.inverse_deviation.data(), out.running_mean.data(),
                       out.running_variance.data(), out.momentum});
}

template <class Target>
void check_statistics(const char* what, const BatchNormShape& shape, DeviceSpan<Target, const half> x,
                      const BatchNormStatistics<Target>& out, const BatchNormScratch<Target>& scratch) {
  check_shape(what, shape);
  check_sizes(what, shape, {x.size()}, {out.mean.size(), out.inverse_deviation.size()}, scratch);
  if (!out.running_mean.empty() || !out.running_variance.empty())
    check_sizes(what, shape, {}, {out.running_mean.size(), out.running_variance.size()}, scratch);
}

}  // namespace

template <class Target>
void sampled_statistics(Stream<Target>& stream, const BatchNormShape& shape, const SampleBox& box,
                        DeviceSpan<Target, const half> x, const BatchNormStatistics<Target>& statistics,
                        const BatchNormScratch<Target>& scratch) {
  check_statistics("sampled_statistics", shape, x, statistics, scratch);
  check_box("sampled_statistics", shape, box);
  launch_statistics(stream, shape, box.rows(), BoxRows(shape, box), x, statistics, scratch);
}

template <class Target>
void scattered_statistics(Stream<Target>& stream, const BatchNormShape& shape,
                          DeviceSpan<Target, const std::int32_t> rows, DeviceSpan<Target, const half> x,
                          const BatchNormStatistics<Target>& statistics,
                          const BatchNormScratch<Target>& scratch) {
  check_statistics("scattered_statistics", shape, x, statistics, scratch);
  if (rows.empty() || rows.size() > shape.rows())
    throw std::invalid_argument("scattered_statistics: " + std::to_string(rows.size()) + " sampled rows of " +
                                std::to_string(shape.rows()));
  launch_statistics(stream, shape, rows.size(), ListedRows{rows.data()}, x, statistics, scratch);
}

template <class Target>
void normalize(Stream<Target>& stream, const BatchNormShape& shape, const BatchNormLayer<Target>& layer,
               DeviceSpan<Target, const half> x, DeviceSpan<Target, half> y) {
  check_shape("normalize", shape);
  check_layer<Target>("normalize", shape, layer, {x.size(), y.size()});
  const BatchNormGrid grid = batch_norm_grid(shape, shape.rows(), kWriteRows, kWriteBlocks);
  launch({.name = "normalize",
          .grid = dim3(static_cast<unsigned>(grid.slabs), static_cast<unsigned>(grid.row_blocks)),
          .block = kBatchNormThreads},
         stream, layer.relu ? normalize_kernel<true> : normalize_kernel<false>,
         static_cast<int>(shape.rows()), grid.columns, shape.channels / kBatchNormVector, layer.mean.data(),
         layer.inverse_deviation.data(), layer.gamma.data(), layer.beta.data(), x.data(), y.data());
}

template void sampled_statistics(Stream<CompiledTarget>&, const BatchNormShape&, const SampleBox&,
                                 DeviceSpan<CompiledTarget, const half>,
                                 const BatchNormStatistics<CompiledTarget>&,
                                 const BatchNormScratch<CompiledTarget>&);
template void scattered_statistics(Stream<CompiledTarget>&, const BatchNormShape&,
                                   DeviceSpan<CompiledTarget, const std::int32_t>,
                                   DeviceSpan<CompiledTarget, const half>,
                                   const BatchNormStatistics<CompiledTarget>&,
                                   const BatchNormScratch<CompiledTarget>&);
template void normalize(Stream<CompiledTarget>&, const BatchNormShape&, const BatchNormLayer<CompiledTarget>&,
                        DeviceSpan<CompiledTarget, const half>, DeviceSpan<CompiledTarget, half>);

}  // namespace remeasure::kernels
