// SPDX-License-Identifier: Apache-2.0
//
// A low-bit layer with what follows it: batch norm, rectifier, quantiser, pooling and bit decomposition (Feng
// et al., "APNN-TC", SC 2021, arXiv 2106.12169, section 5: layer fusion).
//
//   code[row][output] = clip(floor(sums[row][output] * alpha[output] + beta[output]), 0, 2^bits - 1);
//   pooled[row]       = max of code over the 2 x 2 window;
//   planes[bit][row][output / 32] |= (pooled[row][output] >> bit & 1) << output % 32;
//
// Optimisation: all of it in the registers that hold the sums. Pooled rows are numbered by window, so that a
// window is four rows of one fragment column: two shuffles. A warp has 32 outputs, which are a word: each
// lane places its 8 bits of a row, and two shuffles join the four lanes (a ballot would need its 32 bits in
// the order of the lanes, which an mma's aren't). Launch: as apnn.cu. Per launch: its operations of bits, and
// 2 flops for each sum of the tiles (one fma); bytes: the planes, alpha and beta, bits / 8 per output
// written. Limits: those of apnn.cu; 1 to 8 bits out. |sum| < 2^24, where a float still holds it.
#include "kernels/precision/apnn_tile.h"
#include "kernels/precision/quantize.h"

namespace remeasure::kernels {
namespace {

struct RequantiseArguments {
  Requantise to;
  const float* alpha;
  const float* beta;
  std::uint32_t* planes;
};

/// The largest code of the 2 x 2 window: rows 4 g to 4 g + 3, lanes that differ in bits 2 and 3.
RM_DEVICE inline int pooled(int code) {
  code = max(code, __shfl_xor_sync(kFullWarp, code, 4));
  return max(code, __shfl_xor_sync(kFullWarp, code, 8));
}

template <int kWeightBits, int kActivationBits, Encoding kEncoding>
__global__ void __launch_bounds__(kLowBitThreads, low_bit_blocks(kWeightBits + kActivationBits))
    fused_kernel(LowBitArguments arguments, RequantiseArguments then) {
  const LowBitTiling& tiling = arguments.tiling;
  LowBitSums codes;
  low_bit_sums<kWeightBits, kActivationBits, kEncoding>(codes, arguments,
                                                        static_cast<int>(blockIdx.x) * tiling.rows(),
                                                        static_cast<int>(blockIdx.y) * tiling.outputs());
  const int outputs = arguments.shape.outputs, lane = lane_id(), first_output = warp_output(tiling);
  const int words = chunks_of(outputs) * kChunkWords, word = first_output / 32,
            last_word = (outputs - 1) / 32;
  if (word > last_word) return;  // the whole warp; padding is written with the last word
  const CodeRange range = unsigned_codes(then.to.bits);
#pragma unroll
  for (int tile = 0; tile < 4; ++tile) {
#pragma unroll
    for (int in_pair = 0; in_pair < 2; ++in_pair) {
      const int output = first_output + 8 * tile + 2 * (lane % 4) + in_pair;
      const bool exists = output < outputs;
      const float alpha = exists ? then.alpha[output] : 0.0f, beta = exists ? then.beta[output] : 0.0f;
#pragma unroll
      for (int r = in_pair; r < 4; r += 2) {
        int& code = codes[tile][r];
        code = requantised<Rounding::floor>(code, alpha, beta, range);  // beyond the outputs: 0
        if (then.to.pool) code = pooled(code);
      }
    }
  }
  const int rows = low_bit_computed_rows(arguments.shape, then.to.pool),
            rows_out = then.to.pool ? rows / 4 : rows;
#pragma unroll
  for (int half_tile = 0; half_tile < 2; ++half_tile) {
    const int row = warp_row(tiling) + lane / 4 + 8 * half_tile;
    const bool writes = row < rows && (!then.to.pool || lane / 4 % 4 == 0);
    const long long row_out = then.to.pool ? row / 4 : row;
    for (int bit = 0; bit < then.to.bits; ++bit) {
      std::uint32_t bits = 0;
#pragma unroll
      for (int tile = 0; tile < 4; ++tile) {
#pragma unroll
        for (int in_pair = 0; in_pair < 2; ++in_pair) {
          const auto one = static_cast<std::uint32_t>(codes[tile][2 * half_tile + in_pair] >> bit & 1);
          bits |= one << (8 * tile + 2 * (lane % 4) + in_pair);
        }
      }
      bits |= __shfl_xor_sync(kFullWarp, bits, 1);
      bits |= __shfl_xor_sync(kFullWarp, bits, 2);
      if (!writes || lane % 4 != bit % 4) continue;  // the four lanes take turns
      std::uint32_t* to = then.planes + (static_cast<long long>(bit) * rows_out + row_out) * words;
      to[word] = bits;
      if (word == last_word) {
        for (int padding = word + 1; padding < words; ++padding) to[padding] = 0;
      }
    }
  }
}

}  // namespace

template <class Target>
void low_bit_layer_fused(Stream<Target>& stream, const LowBitShape& shape, const Requantise& to,
                         DeviceSpan<Target, const std::uint32_t> activations,
                         DeviceSpan<Target, const std::uint32_t> weights,
                         DeviceSpan<Target, const float> alpha, DeviceSpan<Target, const float> beta,
                         DeviceSpan<Target, std::uint32_t> planes) {
  const char* const what = "low_bit_layer_fused";
  check_low_bit_shape(what, shape);
  check_requantise(what, shape, to);
  const auto outputs = static_cast<std::size_t>(shape.outputs);
  check_low_bit_sizes(what, {{"activations", activations.size(), shape.activation_words()},
                             {"weights", weights.size(), shape.weight_words()},
                             {"alpha", alpha.size(), outputs},
                             {"beta", beta.size(), outputs},
                             {"planes", planes.size(), requantised_words(shape, to)}});
  for_low_bits(what, shape, [&]<int kWeightBits, int kActivationBits, Encoding kEncoding>() {
    launch_low_bits(what, stream, shape, to.pool, activations, weights,
                    fused_kernel<kWeightBits, kActivationBits, kEncoding>,
                    RequantiseArguments{to, alpha.data(), beta.data(), planes.data()});
  });
}

template void low_bit_layer_fused(Stream<CompiledTarget>&, const LowBitShape&, const Requantise&,
                                  DeviceSpan<CompiledTarget, const std::uint32_t>,
                                  DeviceSpan<CompiledTarget, const std::uint32_t>,
                                  DeviceSpan<CompiledTarget, const float>,
                                  DeviceSpan<CompiledTarget, const float>,
                                  DeviceSpan<CompiledTarget, std::uint32_t>);

}  // namespace remeasure::kernels
