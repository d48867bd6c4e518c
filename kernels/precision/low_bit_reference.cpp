// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/low_bit_reference.h"

#include <Eigen/Dense>
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/parallel_tasks.h"
#include "kernels/precision/quantize.h"

namespace remeasure::kernels {
namespace {

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// First place, in pixels, and taps of an output row.
struct Window {
  int image, y, x;
  Window(const LowBitShape& shape, std::size_t row) {
    const auto width = size(shape.out_width), height = size(shape.out_height);
    x = static_cast<int>(row % width) * shape.stride - shape.pad;
    y = static_cast<int>(row / width % height) * shape.stride - shape.pad;
    image = static_cast<int>(row / (width * height));
  }
  /// Pixel under the tap, or -1 beside the map.
  int pixel(const LowBitShape& shape, int tap) const {
    const int at_y = y + tap / shape.kernel, at_x = x + tap % shape.kernel;
    if (at_y < 0 || at_y >= shape.height || at_x < 0 || at_x >= shape.width) return -1;
    return (image * shape.height + at_y) * shape.width + at_x;
  }
};

constexpr int kRowsAtOnce = 128;  // patches of a block in Scalars: a few MB at most

}  // namespace

template <class Scalar>
void low_bit_patch(const LowBitShape& shape, std::span<const std::uint8_t> activations, std::size_t row,
                   Scalar* patch) {
  const Window window(shape, row);
  for (int tap = 0; tap < shape.taps(); ++tap, patch += shape.channels) {
    const int pixel = window.pixel(shape, tap);
    if (pixel < 0) {
      std::fill_n(patch, shape.channels, Scalar(0));
      continue;
    }
    const std::uint8_t* codes = activations.data() + size(pixel) * size(shape.channels);
    for (int c = 0; c < shape.channels; ++c) patch[c] = activation_value<Scalar>(shape.encoding, codes[c]);
  }
}

template <class Scalar>
void low_bit_sums_of(const LowBitShape& shape, const LowBitCodes& codes, std::span<const std::size_t> rows,
                     std::span<Scalar> sums, int threads) {
  check_low_bit_shape("low_bit_sums", shape);
  check_low_bit_sizes("low_bit_sums", {{"activations", codes.activations.size(), shape.activation_codes()},
                                       {"weights", codes.weights.size(), shape.weight_codes()},
                                       {"sums", sums.size(), rows.size() * size(shape.outputs)}});
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Matrix weights(shape.outputs, shape.inner());
  for (std::size_t i = 0; i < codes.weights.size(); ++i)
    weights.data()[i] = weight_value<Scalar>(shape.encoding, codes.weights[i]);
  const int blocks = (static_cast<int>(rows.size()) + kRowsAtOnce - 1) / kRowsAtOnce;
  for_each_row_block(1, blocks, threads, [&](int, int first_block, int block_count) {
    Matrix patches(kRowsAtOnce, shape.inner());
    for (int block = first_block; block < first_block + block_count; ++block) {
      const int first = block * kRowsAtOnce,
                count = std::min(kRowsAtOnce, static_cast<int>(rows.size()) - first);
      for (int i = 0; i < count; ++i)
        low_bit_patch<Scalar>(shape, codes.activations, rows[size(first + i)], &patches(i, 0));
      Eigen::Map<Matrix> out(sums.data() + size(first) * size(shape.outputs), count, shape.outputs);
      out.noalias() = patches.topRows(count) * weights.transpose();
    }
  });
}

template <class Scalar>
std::vector<Scalar> low_bit_sums(const LowBitShape& shape, const LowBitCodes& codes, int threads) {
  std::vector<std::size_t> rows(size(shape.rows()));
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  std::vector<Scalar> sums(shape.sums());
  low_bit_sums_of<Scalar>(shape, codes, rows, sums, threads);
  return sums;
}

std::vector<std::uint32_t> bit_planes(int rows, int inner, int bits, std::span<const std::uint8_t> codes) {
  const std::size_t words = size(chunks_of(inner) * kChunkWords), plane = size(rows) * words;
  std::vector<std::uint32_t> planes(size(bits) * plane, 0);
  for (std::size_t row = 0; row < size(rows); ++row) {
    for (std::size_t k = 0; k < size(inner); ++k) {
      const std::uint32_t code = codes[row * size(inner) + k];
      for (std::size_t bit = 0; bit < size(bits); ++bit)
        planes[bit * plane + row * words + k / 32] |= (code >> bit & 1u) << (k % 32);
    }
  }
  return planes;
}

std::vector<std::uint8_t> codes_of_planes(int rows, int inner, int bits,
                                          std::span<const std::uint32_t> planes) {
  const std::size_t words = size(chunks_of(inner) * kChunkWords), plane = size(rows) * words;
  std::vector<std::uint8_t> codes(size(rows) * size(inner), 0);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t row = i / size(inner), k = i % size(inner);
    unsigned code = 0;
    for (std::size_t bit = 0; bit < size(bits); ++bit)
      code |= (planes[bit * plane + row * words + k / 32] >> (k % 32) & 1u) << bit;
    codes[i] = static_cast<std::uint8_t>(code);
  }
  return codes;
}

std::vector<std::uint32_t> activation_planes(const LowBitShape& shape, std::span<const std::uint8_t> codes) {
  return bit_planes(shape.pixels(), shape.channels, shape.activation_bits, codes);
}
std::vector<std::uint32_t> weight_planes(const LowBitShape& shape, std::span<const std::uint8_t> codes) {
  return bit_planes(shape.outputs * shape.taps(), shape.channels, shape.weight_bits, codes);
}

namespace {

/// Set bits of a op b over 64-bit words (planes are whole chunks of 128 bits; memcpy since a row of 32-bit
/// words is aligned to 4 bytes).
template <class Operation>
std::int32_t popcount_of(const std::uint32_t* a, const std::uint32_t* b, int words, Operation operation) {
  std::uint64_t set = 0;
  for (int i = 0; i < words; i += 2) {
    std::uint64_t x, y;
    std::memcpy(&x, a + i, sizeof x);
    std::memcpy(&y, b + i, sizeof y);
    set += static_cast<std::uint64_t>(std::popcount(operation(x, y)));
  }
  return static_cast<std::int32_t>(set);
}

/// The planes of one row, gathered by tap: [bit][tap][words], zeros beside the map.
void gather_planes(const LowBitShape& shape, std::span<const std::uint32_t> planes, std::size_t row,
                   std::uint32_t* patch) {
  const Window window(shape, row);
  const std::size_t words = size(shape.channel_words()), plane = size(shape.pixels()) * words;
  for (std::size_t bit = 0; bit < size(shape.activation_bits); ++bit) {
    for (int tap = 0; tap < shape.taps(); ++tap, patch += words) {
      const int pixel = window.pixel(shape, tap);
      if (pixel < 0)
        std::fill_n(patch, words, 0u);
      else
        std::copy_n(planes.data() + bit * plane + size(pixel) * words, words, patch);
    }
  }
}

}  // namespace

void low_bit_popcount(const LowBitShape& shape, std::span<const std::uint32_t> activations,
                      std::span<const std::uint32_t> weights, std::span<std::int32_t> sums, int threads,
                      PlaneWeights planes) {
  check_low_bit_shape("low_bit_popcount", shape);
  check_low_bit_sizes("low_bit_popcount", {{"activations", activations.size(), shape.activation_words()},
                                           {"weights", weights.size(), shape.weight_words()},
                                           {"sums", sums.size(), shape.sums()}});
  const auto conjunction = [](std::uint64_t x, std::uint64_t y) { return x & y; };
  const auto difference = [](std::uint64_t x, std::uint64_t y) { return x ^ y; };
  const int words = shape.taps() * shape.channel_words();
  const std::size_t weight_plane = size(shape.outputs) * size(words);
  const auto code_sum = [&](const std::uint32_t* row, int bits) {  // of unsigned codes
    std::int32_t sum = 0;
    for (int bit = 0; bit < bits; ++bit) {
      const std::uint32_t* plane = row + size(bit) * size(words);
      sum += popcount_of(plane, plane, words, conjunction) << bit;
    }
    return sum;
  };
  std::vector<std::int32_t> weight_bits(size(shape.outputs), 0);
  if (shape.encoding == Encoding::signs_by_and) {
    for (std::size_t i = 0; i < weight_bits.size(); ++i)
      weight_bits[i] = code_sum(weights.data() + i * size(words), 1);
  }
  // A pair of planes at a time: its popcounts are added to the sums of a row and a block of outputs, whose
  // planes stay in the first-level cache over a block of rows.
  const auto add_pairs = [&](const std::uint32_t* row, int first, int last, std::int32_t* out) {
    std::fill(out + first, out + last, 0);
    for (int s = 0; s < shape.weight_bits; ++s) {
      for (int t = 0; t < shape.activation_bits; ++t) {
        const int shift = planes == PlaneWeights::weights_only ? s : s + t;
        const std::uint32_t* activation = row + size(t) * size(words);
        const std::uint32_t* weight = weights.data() + size(s) * weight_plane + size(first) * size(words);
        for (int output = first; output < last; ++output, weight += words) {
          const std::int32_t both = shape.encoding == Encoding::signs
                                        ? popcount_of(activation, weight, words, difference)
                                        : popcount_of(activation, weight, words, conjunction);
          out[output] += both << shift;
        }
      }
    }
  };
  const auto finish = [&](const std::uint32_t* row, std::int32_t* out) {
    if (shape.encoding == Encoding::unsigned_codes) return;
    const std::int32_t codes = shape.encoding == Encoding::signs ? 0 : code_sum(row, shape.activation_bits);
    for (std::size_t i = 0; i < weight_bits.size(); ++i) {
      if (shape.encoding == Encoding::signs) out[i] = shape.inner() - 2 * out[i];
      if (shape.encoding == Encoding::signs_by_and)
        out[i] = shape.inner() - 2 * (codes + weight_bits[i] - 2 * out[i]);
      if (shape.encoding == Encoding::signed_weights) {
        out[i] = 2 * out[i] - (planes == PlaneWeights::no_correction ? 0 : codes);
      }
    }
  };
  constexpr int kOutputsAtOnce = 64, kRowsOfBlock = 16;
  const int blocks = (shape.rows() + kRowsOfBlock - 1) / kRowsOfBlock;
  for_each_row_block(1, blocks, threads, [&](int, int first_block, int block_count) {
    const std::size_t patch_words = size(shape.activation_bits) * size(words);
    std::vector<std::uint32_t> patches(size(kRowsOfBlock) * patch_words);
    for (int block = first_block; block < first_block + block_count; ++block) {
      const int first_row = block * kRowsOfBlock,
                row_count = std::min(kRowsOfBlock, shape.rows() - first_row);
      const auto patch = [&](int i) { return patches.data() + size(i) * patch_words; };
      const auto out = [&](int i) { return sums.data() + size(first_row + i) * size(shape.outputs); };
      for (int i = 0; i < row_count; ++i) gather_planes(shape, activations, size(first_row + i), patch(i));
      for (int first = 0; first < shape.outputs; first += kOutputsAtOnce) {
        for (int i = 0; i < row_count; ++i) {
          add_pairs(patch(i), first, std::min(first + kOutputsAtOnce, shape.outputs), out(i));
        }
      }
      for (int i = 0; i < row_count; ++i) finish(patch(i), out(i));
    }
  });
}

template <class Scalar>
std::vector<std::uint8_t> requantised_codes(const LowBitShape& shape, const Requantise& to,
                                            std::span<const std::int32_t> sums, std::span<const float> alpha,
                                            std::span<const float> beta) {
  check_requantise("requantised_codes", shape, to);
  check_low_bit_sizes("requantised_codes", {{"sums", sums.size(), shape.sums()},
                                            {"alpha", alpha.size(), size(shape.outputs)},
                                            {"beta", beta.size(), size(shape.outputs)}});
  const std::size_t outputs = size(shape.outputs);
  const auto code = [&](int row, std::size_t output) {
    return requantised<Rounding::floor>(sums[size(row) * outputs + output],
                                        static_cast<Scalar>(alpha[output]), static_cast<Scalar>(beta[output]),
                                        unsigned_codes(to.bits));
  };
  std::vector<std::uint8_t> codes(size(requantised_rows(shape, to)) * outputs);
  const int width = to.pool ? shape.out_width / 2 : shape.out_width,
            height = to.pool ? shape.out_height / 2 : shape.out_height;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const std::size_t output = i % outputs;
    const int row = static_cast<int>(i / outputs);
    std::int32_t largest = 0;
    if (to.pool) {
      const int x = row % width, y = row / width % height, image = row / (width * height);
      for (const int dy : {0, 1}) {
        for (const int dx : {0, 1}) {
          largest = std::max(
              largest, code((image * shape.out_height + 2 * y + dy) * shape.out_width + 2 * x + dx, output));
        }
      }
    } else {
      largest = code(row, output);
    }
    codes[i] = static_cast<std::uint8_t>(largest);
  }
  return codes;
}

template <class Scalar>
std::vector<std::uint8_t> picture_codes(std::span<const float> picture, float low, float high, int bits) {
  const Scalar steps = static_cast<Scalar>((1 << bits) - 1), begin = static_cast<Scalar>(low),
               end = static_cast<Scalar>(high);
  std::vector<std::uint8_t> codes;
  codes.reserve(picture.size());
  for (const float value : picture) {
    const Scalar clipped = std::clamp(static_cast<Scalar>(value), begin, end);
    codes.push_back(static_cast<std::uint8_t>(std::rint((clipped - begin) / (end - begin) * steps)));
  }
  return codes;
}

#define RM_INSTANTIATE(Scalar)                                                                          \
  template void low_bit_patch(const LowBitShape&, std::span<const std::uint8_t>, std::size_t, Scalar*); \
  template void low_bit_sums_of(const LowBitShape&, const LowBitCodes&, std::span<const std::size_t>,   \
                                std::span<Scalar>, int);                                                \
  template std::vector<Scalar> low_bit_sums(const LowBitShape&, const LowBitCodes&, int);               \
  template std::vector<std::uint8_t> requantised_codes<Scalar>(                                         \
      const LowBitShape&, const Requantise&, std::span<const std::int32_t>, std::span<const float>,     \
      std::span<const float>);                                                                          \
  template std::vector<std::uint8_t> picture_codes<Scalar>(std::span<const float>, float, float, int)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
