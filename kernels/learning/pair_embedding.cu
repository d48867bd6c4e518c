// SPDX-License-Identifier: Apache-2.0
//
// The first layer of the networks of Prieto et al. ("Grokking at the Edge of Numerical Stability", ICLR 2025,
// section 3), which see a pair (x, y) as two one-hot vectors of length p.
//
//   for (i in rows) for (h in hidden) out[i][h] = max(w[x[i]][h] + w[p + y[i]][h], 0);
//   for (s in 2p)   for (h in hidden) dw[s][h] = sum of d[i][h] over the rows i in which input s is 1;
//
// Optimisation: as a product with a one-hot matrix this is 4 rows p hidden multiply-adds forward and as many
// back, and the matrix has to be stored and read (8 rows p bytes); as a gather it is one addition per output.
// Backward the rows of each input are listed once, before training (the batch never changes), so that a sum
// has one writer and one order: no float atomics.
//
// Launch: forward a warp per row, 8 to a block. Backward (2p, hidden / 32) blocks of 8 warps, each of which
// sums every eighth row of the segment for 32 columns. Bytes: forward 4 rows hidden + 8 p hidden + 4 rows,
// backward the same and 8 rows for the lists. Flops: rows hidden; 2 rows hidden and 14 p hidden.
#include "kernels/learning/pair_embedding.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr int kWarps = 8;

__global__ void __launch_bounds__(32 * kWarps)
    gather_kernel(const PairShape shape, const float* __restrict__ weights,
                  const std::uint16_t* __restrict__ pairs, float* __restrict__ out) {
  const int row = static_cast<int>(blockIdx.x) * kWarps + warp_id();
  if (row >= shape.rows) return;
  const float* const of_x = weights + static_cast<int>(pairs[2 * row]) * shape.hidden;
  const float* const of_y = weights + (shape.modulus + static_cast<int>(pairs[2 * row + 1])) * shape.hidden;
  float* const to = out + static_cast<std::size_t>(row) * static_cast<std::size_t>(shape.hidden);
  for (int column = lane_id(); column < shape.hidden; column += 32)
    to[column] = fmaxf(of_x[column] + of_y[column], 0.0f);
}

__global__ void __launch_bounds__(32 * kWarps)
    segments_kernel(int hidden, const std::int32_t* __restrict__ begin, const std::int32_t* __restrict__ rows,
                    const float* __restrict__ gradient, float* __restrict__ by_weights) {
  RM_SHARED(float, of_warp, [kWarps][32]);
  const int segment = static_cast<int>(blockIdx.x), lane = lane_id(), warp = warp_id();
  const int column = 32 * static_cast<int>(blockIdx.y) + lane;
  float sum = 0;
  if (column < hidden) {
    for (int i = begin[segment] + warp; i < begin[segment + 1]; i += kWarps)
      sum += gradient[static_cast<std::size_t>(rows[i]) * static_cast<std::size_t>(hidden) +
                      static_cast<std::size_t>(column)];
  }
  of_warp[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= hidden) return;
  for (int w = 1; w < kWarps; ++w) sum += of_warp[w][lane];
  by_weights[static_cast<std::size_t>(segment) * static_cast<std::size_t>(hidden) +
             static_cast<std::size_t>(column)] = sum;
}

void check(const char* what, const PairShape& shape, bool fits) {
  if (shape.rows > 0 && shape.modulus > 0 && shape.hidden > 0 && fits) return;
  throw std::invalid_argument(std::string(what) + ": arrays don't fit " + std::to_string(shape.rows) +
                              " pairs below " + std::to_string(shape.modulus) + " and " +
                              std::to_string(shape.hidden) + " hidden units (all positive)");
}

}  // namespace

template <class Target>
void pair_embedding(Stream<Target>& stream, const PairShape& shape, DeviceSpan<Target, const float> weights,
                    DeviceSpan<Target, const std::uint16_t> pairs, DeviceSpan<Target, float> out) {
  check("pair_embedding", shape,
        weights.size() == shape.weights() && pairs.size() == 2 * static_cast<std::size_t>(shape.rows) &&
            out.size() == shape.activations());
  launch({.name = "pair_embedding", .grid = blocks_for(shape.rows, kWarps), .block = 32 * kWarps}, stream,
         gather_kernel, shape, weights.data(), pairs.data(), out.data());
}

template <class Target>
void pair_embedding_gradient(Stream<Target>& stream, const PairShape& shape,
                             DeviceSpan<Target, const std::int32_t> begin,
                             DeviceSpan<Target, const std::int32_t> rows,
                             DeviceSpan<Target, const float> gradient, DeviceSpan<Target, float> by_weights) {
  const auto inputs = 2 * static_cast<std::size_t>(shape.modulus);
  check("pair_embedding_gradient", shape,
        begin.size() == inputs + 1 && rows.size() == 2 * static_cast<std::size_t>(shape.rows) &&
            gradient.size() == shape.activations() && by_weights.size() == shape.weights());
  launch({.name = "pair_embedding_gradient",
          .grid = dim3(static_cast<unsigned>(inputs), blocks_for(shape.hidden, 32)),
          .block = 32 * kWarps},
         stream, segments_kernel, shape.hidden, begin.data(), rows.data(), gradient.data(),
         by_weights.data());
}

template void pair_embedding(Stream<CompiledTarget>&, const PairShape&,
                             DeviceSpan<CompiledTarget, const float>,
                             DeviceSpan<CompiledTarget, const std::uint16_t>,
                             DeviceSpan<CompiledTarget, float>);
template void pair_embedding_gradient(Stream<CompiledTarget>&, const PairShape&,
                                      DeviceSpan<CompiledTarget, const std::int32_t>,
                                      DeviceSpan<CompiledTarget, const std::int32_t>,
                                      DeviceSpan<CompiledTarget, const float>,
                                      DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
