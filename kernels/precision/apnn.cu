// SPDX-License-Identifier: Apache-2.0
//
// Matrix product and convolution of low-bit codes on one-bit tensor cores (Feng et al., "APNN-TC:
// Accelerating Arbitrary Precision Neural Networks on Ampere GPU Tensor Cores", SC 2021, arXiv 2106.12169,
// sections 3 and 4: APMM and APConv).
//
//   for (row) for (output) for (s < p) for (t < q)
//     sums[row][output] += popcount(activations[t][row] & weights[s][output]) << (s + t);       // over the
//     gathered K
//
// Optimisation: mma of 16 x 8 x 256 bits; every plane of a tile is loaded once for all p * q products, and
// the products of a sum meet in the registers of one lane (apnn_tile.h). Rows are gathered by tap while they
// are loaded: a matrix product is a convolution of one tap. cp.async through a ring of 3 or 4 stages of 512
// bits. For signed weights the sum of a row's codes is counted beside the product, from the fragments that
// are there: a tap beside the map adds nothing to either. Launch: tiles of 64 x 64 by 256 threads, or 32 x 32
// by 64 where there are too few of those (low_bit_tiling). Per launch: 2 rows outputs K p q operations of
// bits on whole tiles (low_bit_operations); bytes: the planes, 4 rows outputs. Limits: the bits of
// has_low_bit_kernel; sums below 2^31; from sm_90 on the xor form may be emulated.
#include "kernels/precision/apnn_tile.h"

namespace remeasure::kernels {
namespace {

template <int kWeightBits, int kActivationBits, Encoding kEncoding>
__global__ void __launch_bounds__(kLowBitThreads, low_bit_blocks(kWeightBits + kActivationBits))
    layer_kernel(LowBitArguments arguments, std::int32_t* __restrict__ sums) {
  const LowBitTiling& tiling = arguments.tiling;
  LowBitSums of_lane;
  low_bit_sums<kWeightBits, kActivationBits, kEncoding>(of_lane, arguments,
                                                        static_cast<int>(blockIdx.x) * tiling.rows(),
                                                        static_cast<int>(blockIdx.y) * tiling.outputs());
  const int outputs = arguments.shape.outputs, rows = low_bit_computed_rows(arguments.shape, false);
#pragma unroll
  for (int half_tile = 0; half_tile < 2; ++half_tile) {
    const int row = warp_row(tiling) + lane_id() / 4 + 8 * half_tile;
    if (row >= rows) continue;
#pragma unroll
    for (int tile = 0; tile < 4; ++tile) {
      const int output = warp_output(tiling) + 8 * tile + 2 * (lane_id() % 4);
      std::int32_t* to = sums + static_cast<long long>(row) * outputs + output;
      const int first = of_lane[tile][2 * half_tile], second = of_lane[tile][2 * half_tile + 1];
      if (outputs % 2 == 0 && output < outputs) {
        *reinterpret_cast<int2*>(to) = make_int2(first, second);
      } else {
        if (output < outputs) to[0] = first;
        if (output + 1 < outputs) to[1] = second;
      }
    }
  }
}

}  // namespace

template <class Target>
void low_bit_layer(Stream<Target>& stream, const LowBitShape& shape,
                   DeviceSpan<Target, const std::uint32_t> activations,
                   DeviceSpan<Target, const std::uint32_t> weights, DeviceSpan<Target, std::int32_t> sums) {
  check_low_bit_shape("low_bit_layer", shape);
  check_low_bit_sizes("low_bit_layer", {{"activations", activations.size(), shape.activation_words()},
                                        {"weights", weights.size(), shape.weight_words()},
                                        {"sums", sums.size(), shape.sums()}});
  for_low_bits("low_bit_layer", shape, [&]<int kWeightBits, int kActivationBits, Encoding kEncoding>() {
    launch_low_bits("low_bit_layer", stream, shape, false, activations, weights,
                    layer_kernel<kWeightBits, kActivationBits, kEncoding>, sums.data());
  });
}

template void low_bit_layer(Stream<CompiledTarget>&, const LowBitShape&,
                            DeviceSpan<CompiledTarget, const std::uint32_t>,
                            DeviceSpan<CompiledTarget, const std::uint32_t>,
                            DeviceSpan<CompiledTarget, std::int32_t>);

}  // namespace remeasure::kernels
