// SPDX-License-Identifier: Apache-2.0
//
// A layer of a network whose weights have p bits and whose activations have q: a matrix product, or a
// convolution, that is one over gathered rows. Shapes and layouts; apnn.h has the kernels, bit_planes.h how
// codes become planes, low_bit_reference.h what all of them must give.
//
//   activation codes  [images, height, width, channels]                    rows of the product: output pixels
//   weight codes      [outputs, kernel, kernel, channels]                  its columns: output channels
//   sums              [images, out_height, out_width, outputs]             int32
//   bit planes        [bit][pixel, or output and tap][channel words]       bit j of word i is channel 32 i +
//   j
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// What number a code stands for, and by which operation of bits products are made.
enum class Encoding {
  unsigned_codes,  ///< both are what their bits say: sum of 2^(s+t) popc(w_s & x_t)
  signs,           ///< p = q = 1, bit b is 2 b - 1: K - 2 popc(w ^ x)
  signs_by_and,    ///< the same numbers, with popc(w ^ x) = popc(w) + popc(x) - 2 popc(w & x)
  signed_weights,  ///< p = 1: weights 2 b - 1, activations unsigned: sum of 2^t (2 popc(w & x_t) - popc(x_t))
};
const char* to_string(Encoding encoding);

/// Channels are padded to whole chunks of 128 bits, which are what a cp.async moves.
inline constexpr int kChunkBits = 128;
inline constexpr int kChunkWords = kChunkBits / 32;
constexpr int chunks_of(int bits) {
  return (bits + kChunkBits - 1) / kChunkBits;
}

struct LowBitShape {
  int images = 1, height = 1, width = 1, channels = 0;
  int outputs = 0;
  int kernel = 1, stride = 1, pad = 0;  ///< pad: rows and columns before the map; behind it what out_* needs
  int out_height = 1, out_width = 1;
  int weight_bits = 1, activation_bits = 1;
  Encoding encoding = Encoding::unsigned_codes;

  constexpr int taps() const { return kernel * kernel; }
  constexpr int inner() const { return taps() * channels; }  ///< true K
  constexpr int rows() const { return images * out_height * out_width; }
  constexpr int pixels() const { return images * height * width; }
  constexpr int channel_words() const { return chunks_of(channels) * kChunkWords; }
  constexpr int chunks() const { return taps() * chunks_of(channels); }  ///< along the padded K
  constexpr int output_words() const {
    return chunks_of(outputs) * kChunkWords;
  }  ///< of a row of packed outputs
  constexpr std::size_t sums() const { return size(rows()) * size(outputs); }
  constexpr std::size_t activation_codes() const { return size(pixels()) * size(channels); }
  constexpr std::size_t weight_codes() const { return size(outputs) * size(inner()); }
  /// 32-bit words of all planes.
  constexpr std::size_t activation_words() const {
    return size(activation_bits) * size(pixels()) * size(channel_words());
  }
  constexpr std::size_t weight_words() const {
    return size(weight_bits) * size(outputs) * size(taps()) * size(channel_words());
  }
  /// The largest code of either operand.
  constexpr int largest_weight() const { return (1 << weight_bits) - 1; }
  constexpr int largest_activation() const { return (1 << activation_bits) - 1; }

 private:
  static constexpr std::size_t size(int n) { return static_cast<std::size_t>(n); }
};

/// sums[rows, outputs] = activations[rows, inner] * weights[outputs, inner]^T
LowBitShape low_bit_product(int rows, int outputs, int inner, int weight_bits, int activation_bits,
                            Encoding encoding);
/// A map that keeps its size up to the stride, zeros around it: out = ceil(in / stride).
LowBitShape low_bit_convolution(int images, int extent, int channels, int outputs, int kernel, int stride,
                                int weight_bits, int activation_bits, Encoding encoding);
/// A fully connected layer over a map of extent x extent: a kernel as large as the map.
LowBitShape low_bit_over_map(int images, int extent, int channels, int outputs, int weight_bits,
                             int activation_bits, Encoding encoding);

/// The same sums from a map of gathered patches, [images, out_height, out_width, kernel * kernel * channels].
LowBitShape product_of_patches(const LowBitShape& convolution);

/// Throws std::invalid_argument for sizes below 1, bits outside 1 to 8, an encoding that these bits don't
/// have, signs with padding (a zero beside the map is no sign), and sums that 31 bits may not hold.
void check_low_bit_shape(const char* what, const LowBitShape& shape);
struct NamedSize {
  const char* name;
  std::size_t is, expected;
};
/// Throws std::invalid_argument that names the first array of another size than the shape asks for.
void check_low_bit_sizes(const char* what, std::initializer_list<NamedSize> sizes);

/// The number that a code stands for.
template <class Scalar>
constexpr Scalar weight_value(Encoding encoding, int code) {
  return static_cast<Scalar>(encoding == Encoding::unsigned_codes ? code : 2 * code - 1);
}
template <class Scalar>
constexpr Scalar activation_value(Encoding encoding, int code) {
  const bool sign = encoding == Encoding::signs || encoding == Encoding::signs_by_and;
  return static_cast<Scalar>(sign ? 2 * code - 1 : code);
}

/// "w1a2"
std::string bits_name(const LowBitShape& shape);

/// What follows the sums of a layer: code = clip(floor(sum * alpha[output] + beta[output]), 0, 2^bits - 1),
/// the rectifier and batch norm folded into alpha and beta; then the largest of each 2 x 2 window, where
/// `pool` (an odd last row or column is left out).
struct Requantise {
  int bits = 1;
  bool pool = false;
};
constexpr int requantised_rows(const LowBitShape& shape, const Requantise& to) {
  return to.pool ? shape.images * (shape.out_height / 2) * (shape.out_width / 2) : shape.rows();
}
/// 32-bit words of all planes of the requantised outputs.
constexpr std::size_t requantised_words(const LowBitShape& shape, const Requantise& to) {
  return static_cast<std::size_t>(to.bits) * static_cast<std::size_t>(requantised_rows(shape, to)) *
         static_cast<std::size_t>(shape.output_words());
}
/// Throws std::invalid_argument for bits outside 1 to 8, a map too small to pool, and sums of 2^24 or more,
/// which a float may not hold.
void check_requantise(const char* what, const LowBitShape& shape, const Requantise& to);

}  // namespace remeasure::kernels
