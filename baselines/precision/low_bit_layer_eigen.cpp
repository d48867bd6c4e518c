// SPDX-License-Identifier: Apache-2.0
#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's: Eigen's own spin where cores are
                                // shared
#include <Eigen/Core>
#include <algorithm>

#include "baselines/precision/low_bit_convolution_cudnn.h"
#include "baselines/precision/low_bit_layer.h"
#include "kernels/parallel_tasks.h"
#include "kernels/precision/low_bit_reference.h"

namespace remeasure::baselines {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Map = Eigen::Map<Matrix>;
using ConstMap = Eigen::Map<const Matrix>;

constexpr int kRowsAtOnce = 512;  // patches in memory at a time

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// Values under the taps of an output row, zeros beside the map.
void gather(const LowBitShape& shape, std::span<const float> activations, int row, float* patch) {
  const int x = row % shape.out_width * shape.stride - shape.pad, line = row / shape.out_width;
  const int y = line % shape.out_height * shape.stride - shape.pad, image = line / shape.out_height;
  for (int tap_y = y; tap_y < y + shape.kernel; ++tap_y) {
    for (int tap_x = x; tap_x < x + shape.kernel; ++tap_x, patch += shape.channels) {
      if (tap_y < 0 || tap_y >= shape.height || tap_x < 0 || tap_x >= shape.width) {
        std::fill_n(patch, shape.channels, 0.0f);
      } else {
        const auto pixel = (size(image) * size(shape.height) + size(tap_y)) * size(shape.width) + size(tap_x);
        std::copy_n(activations.data() + pixel * size(shape.channels), shape.channels, patch);
      }
    }
  }
}

}  // namespace

void low_bit_layer_eigen(const LowBitShape& shape, std::span<const float> activations,
                         std::span<const float> weights, std::span<float> sums) {
  kernels::check_low_bit_shape("low_bit_layer_eigen", shape);
  kernels::check_low_bit_sizes("low_bit_layer_eigen",
                               {{"activations", activations.size(), shape.activation_codes()},
                                {"weights", weights.size(), shape.weight_codes()},
                                {"sums", sums.size(), shape.sums()}});
  const ConstMap w(weights.data(), shape.outputs, shape.inner());
  const bool is_product = shape.kernel == 1 && shape.stride == 1;
  kernels::for_each_row_block(1, shape.rows(), 0, [&](int, int first_row, int row_count) {
    Matrix patches(is_product ? 0 : kRowsAtOnce, shape.inner());
    for (int first = first_row; first < first_row + row_count; first += kRowsAtOnce) {
      const int count = std::min(kRowsAtOnce, first_row + row_count - first);
      Map out(sums.data() + size(first) * size(shape.outputs), count, shape.outputs);
      if (is_product) {
        const float* rows = activations.data() + size(first) * size(shape.channels);
        out.noalias() = ConstMap(rows, count, shape.channels) * w.transpose();
      } else {
        for (int i = 0; i < count; ++i) gather(shape, activations, first + i, &patches(i, 0));
        out.noalias() = patches.topRows(count) * w.transpose();
      }
    }
  });
}

void low_bit_network_eigen(const LowBitNetwork& network, std::span<const std::vector<float>> weights,
                           std::span<const kernels::LowBitLayerData> layers, std::span<const float> picture,
                           std::span<float> sums) {
  kernels::check_low_bit_network("low_bit_network_eigen", network);
  std::vector<std::uint8_t> codes = kernels::picture_codes<float>(
      picture, network.range.low, network.range.high, network.layers[0].activation_bits);
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const LowBitShape& shape = network.layers[i];
    const std::vector<float> values(codes.begin(), codes.end());
    if (i + 1 == network.layers.size()) return low_bit_layer_eigen(shape, values, weights[i], sums);
    std::vector<float> between(shape.sums());
    low_bit_layer_eigen(shape, values, weights[i], between);
    const std::vector<std::int32_t> whole(between.begin(), between.end());
    codes =
        kernels::requantised_codes<float>(shape, network.between[i], whole, layers[i].alpha, layers[i].beta);
  }
}

namespace {

template <class Element, class Value>
std::vector<Element> padded(int rows, int inner, std::size_t row, Value value) {
  std::vector<Element> matrix(size(rows) * row, static_cast<Element>(0.0f));
  for (std::size_t i = 0; i < size(rows); ++i) {
    for (std::size_t k = 0; k < size(inner); ++k)
      matrix[i * row + k] = static_cast<Element>(static_cast<float>(value(i * size(inner) + k)));
  }
  return matrix;
}

}  // namespace

template <class Element>
std::vector<Element> padded_weights(const LowBitShape& shape, std::span<const std::uint8_t> codes) {
  return padded<Element>(shape.outputs, shape.inner(), size(patch_row(shape)),
                         [&](std::size_t i) { return kernels::weight_value<int>(shape.encoding, codes[i]); });
}
template <class Element>
std::vector<Element> padded_activations(const LowBitShape& shape, std::span<const std::uint8_t> codes,
                                        int offset) {
  return padded<Element>(shape.rows(), shape.inner(), size(patch_row(shape)), [&](std::size_t i) {
    return kernels::activation_value<int>(shape.encoding, codes[i]) - offset;
  });
}

template <class Element>
std::vector<Element> activation_elements(const LowBitShape& shape, std::span<const std::uint8_t> codes) {
  return padded<Element>(shape.pixels(), shape.channels, size(shape.channels), [&](std::size_t i) {
    return kernels::activation_value<int>(shape.encoding, codes[i]);
  });
}
template <class Element>
std::vector<Element> weight_elements(const LowBitShape& shape, std::span<const std::uint8_t> codes) {
  return padded<Element>(shape.outputs, shape.inner(), size(shape.inner()),
                         [&](std::size_t i) { return kernels::weight_value<int>(shape.encoding, codes[i]); });
}

std::string why_no_int8_product(const LowBitShape& shape) {
  return shape.outputs % 4 == 0 ? "" : "int8 products of cuBLAS need a multiple of 4 outputs";
}

#define RM_INSTANTIATE(Element)                                                                    \
  template std::vector<Element> padded_weights(const LowBitShape&, std::span<const std::uint8_t>); \
  template std::vector<Element> padded_activations(const LowBitShape&, std::span<const std::uint8_t>, int)
RM_INSTANTIATE(std::int8_t);
RM_INSTANTIATE(half);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE
#define RM_INSTANTIATE(Element)                                                                         \
  template std::vector<Element> activation_elements(const LowBitShape&, std::span<const std::uint8_t>); \
  template std::vector<Element> weight_elements(const LowBitShape&, std::span<const std::uint8_t>)
RM_INSTANTIATE(std::int8_t);
RM_INSTANTIATE(half);
#undef RM_INSTANTIATE

}  // namespace remeasure::baselines
