// SPDX-License-Identifier: Apache-2.0
//
// Bit decomposition (Feng et al., "APNN-TC: Accelerating Arbitrary Precision Neural Networks on Ampere GPU
// Tensor Cores", SC 2021, arXiv 2106.12169, section 4): codes of a few bits become one matrix of bits for
// each.
//
//   for (row) for (k) for (bit) planes[bit][row][k / 32] |= (code(row, k) >> bit & 1) << k % 32;
//
// Optimisation: a warp makes 128 places of a row at once. Each lane brings 4 codes, 32 apart, so that loads
// are whole sectors and a ballot is a word in the order of the places; the 4 words of a bit lie beside each
// other, and the lanes store those of all bits together (8 bits are 32 words). A first layer's patches are
// gathered, quantised and packed in one go: neither codes nor patches reach memory. Launch: a warp for each
// row and chunk of 128 places, 256 threads a block. Per launch no flops (patches: 3 per value within the
// picture: difference, quotient and product); bytes: the codes or the picture read, bits / 8 per place
// written. Limits: 1 to 8 bits; fewer than 2^31 words.
#include "kernels/precision/bit_planes.h"

#include "kernels/device/kernel.h"
#include "kernels/precision/quantize.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;

struct Codes {
  const std::uint8_t* codes;
  int inner;
  RM_DEVICE int operator()(int row, int k) const { return codes[static_cast<long long>(row) * inner + k]; }
};

struct Patches {
  LowBitShape shape;
  const float* picture;
  IntervalQuantizer<float> quantizer;
  RM_DEVICE int operator()(int row, int k) const {
    const int channel = k % shape.channels, tap = k / shape.channels;
    const int column = row % shape.out_width, line = row / shape.out_width % shape.out_height;
    const int image = row / (shape.out_width * shape.out_height);
    const int y = line * shape.stride - shape.pad + tap / shape.kernel;
    const int x = column * shape.stride - shape.pad + tap % shape.kernel;
    if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) return 0;
    const int pixel = (image * shape.height + y) * shape.width + x;
    return quantizer.code(picture[static_cast<long long>(pixel) * shape.channels + channel]);
  }
};

template <class Source>
__global__ void __launch_bounds__(kThreads) pack_kernel(Source code_at, int rows, int inner, int words,
                                                        int bits, std::uint32_t* __restrict__ planes) {
  const int lane = lane_id(), chunks = words / kChunkWords;
  const int item = static_cast<int>(blockIdx.x) * (kThreads / 32) + warp_id();
  const int row = item / chunks, chunk = item % chunks;
  if (row >= rows) return;  // the whole warp
  std::uint32_t mine = 0;   // lane 4 b + w keeps word w of bit b
#pragma unroll
  for (int word = 0; word < kChunkWords; ++word) {
    const int k = kChunkBits * chunk + 32 * word + lane;
    const int code = k < inner ? code_at(row, k) : 0;
    for (int bit = 0; bit < bits; ++bit) {
      const std::uint32_t ballot = __ballot_sync(kFullWarp, code >> bit & 1);
      if (lane == kChunkWords * bit + word) mine = ballot;
    }
  }
  if (lane >= kChunkWords * bits) return;
  const long long plane = static_cast<long long>(rows) * words;
  planes[lane / kChunkWords * plane + static_cast<long long>(row) * words + kChunkWords * chunk +
         lane % kChunkWords] = mine;
}

__global__ void __launch_bounds__(kThreads)
    unpack_kernel(int rows, int inner, int words, int bits, const std::uint32_t* __restrict__ planes,
                  std::uint8_t* __restrict__ codes) {
  const int lane = lane_id(), used = (inner + 31) / 32;
  const int item = static_cast<int>(blockIdx.x) * (kThreads / 32) + warp_id();
  const int row = item / used, word = item % used, k = 32 * word + lane;
  if (row >= rows || k >= inner) return;
  int code = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const std::uint32_t bits_of_word = planes[(static_cast<long long>(bit) * rows + row) * words + word];
    code |= static_cast<int>(bits_of_word >> lane & 1u) << bit;
  }
  codes[static_cast<long long>(row) * inner + k] = static_cast<std::uint8_t>(code);
}

template <class Target, class Source>
void pack(const char* name, Stream<Target>& stream, const Source& source, int rows, int inner, int bits,
          DeviceSpan<Target, std::uint32_t> planes) {
  const int chunks = chunks_of(inner), words = chunks * kChunkWords;
  launch({.name = name,
          .grid = blocks_for(static_cast<long long>(rows) * chunks, kThreads / 32),
          .block = kThreads},
         stream, pack_kernel<Source>, source, rows, inner, words, bits, planes.data());
}

/// Shape of the planes, as that of a product's activations.
void check_planes(const char* what, int rows, int inner, int bits, std::size_t codes, std::size_t planes) {
  const LowBitShape shape = low_bit_product(rows, 1, inner, 1, bits, Encoding::unsigned_codes);
  check_low_bit_shape(what, shape);
  check_low_bit_sizes(
      what, {{"codes", codes, shape.activation_codes()}, {"planes", planes, shape.activation_words()}});
}

}  // namespace

template <class Target>
void pack_bit_planes(Stream<Target>& stream, int rows, int inner, int bits,
                     DeviceSpan<Target, const std::uint8_t> codes, DeviceSpan<Target, std::uint32_t> planes) {
  check_planes("pack_bit_planes", rows, inner, bits, codes.size(), planes.size());
  pack("pack_bit_planes", stream, Codes{codes.data(), inner}, rows, inner, bits, planes);
}

template <class Target>
void unpack_bit_planes(Stream<Target>& stream, int rows, int inner, int bits,
                       DeviceSpan<Target, const std::uint32_t> planes,
                       DeviceSpan<Target, std::uint8_t> codes) {
  check_planes("unpack_bit_planes", rows, inner, bits, codes.size(), planes.size());
  const int used = (inner + 31) / 32;
  launch({.name = "unpack_bit_planes",
          .grid = blocks_for(static_cast<long long>(rows) * used, kThreads / 32),
          .block = kThreads},
         stream, unpack_kernel, rows, inner, chunks_of(inner) * kChunkWords, bits, planes.data(),
         codes.data());
}

template <class Target>
void pack_picture_patches(Stream<Target>& stream, const LowBitShape& shape, const PictureRange& range,
                          DeviceSpan<Target, const float> picture, DeviceSpan<Target, std::uint32_t> planes) {
  check_low_bit_shape("pack_picture_patches", shape);
  const LowBitShape product = product_of_patches(shape);
  check_low_bit_shape("pack_picture_patches", product);
  check_low_bit_sizes("pack_picture_patches", {{"the picture", picture.size(), shape.activation_codes()},
                                               {"planes", planes.size(), product.activation_words()}});
  const Patches patches{
      shape, picture.data(), {range.low, range.high, unsigned_codes(shape.activation_bits)}};
  pack("pack_picture_patches", stream, patches, product.pixels(), product.channels, shape.activation_bits,
       planes);
}

template void pack_bit_planes(Stream<CompiledTarget>&, int, int, int,
                              DeviceSpan<CompiledTarget, const std::uint8_t>,
                              DeviceSpan<CompiledTarget, std::uint32_t>);
template void unpack_bit_planes(Stream<CompiledTarget>&, int, int, int,
                                DeviceSpan<CompiledTarget, const std::uint32_t>,
                                DeviceSpan<CompiledTarget, std::uint8_t>);
template void pack_picture_patches(Stream<CompiledTarget>&, const LowBitShape&, const PictureRange&,
                                   DeviceSpan<CompiledTarget, const float>,
                                   DeviceSpan<CompiledTarget, std::uint32_t>);

}  // namespace remeasure::kernels
