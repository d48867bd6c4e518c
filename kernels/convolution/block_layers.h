// SPDX-License-Identifier: Apache-2.0
//
// The layers of residual blocks in Eigen, on some rows of one picture: what a whole block is made of, layer
// by layer over the picture, or all layers of a band of rows before the next band. For .cpp files.
#pragma once

#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/convolution/residual_block.h"

namespace remeasure::kernels::block_layers {

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Rows = Eigen::Map<Matrix<Scalar>>;
template <class Scalar>
using ConstRows = Eigen::Map<const Matrix<Scalar>>;
template <class Scalar>
using ConstVector = Eigen::Map<const Eigen::Matrix<Scalar, 1, Eigen::Dynamic>>;

/// Rows [first, first + count) of a picture, [count * width, channels]; `data` is at its row `begins`.
template <class Scalar>
struct Band {
  Scalar* data;
  int begins;
};

template <class Map>
void gelu_in_place(Map&& values) {
  using Scalar = typename std::decay_t<Map>::Scalar;
  const Scalar linear = static_cast<Scalar>(2 * std::sqrt(2 / 3.14159265358979323846)),
               cubic = static_cast<Scalar>(0.044715) * linear;
  auto x = values.array();
  x = x / (1 + (-x * (linear + cubic * x.square())).exp());
}

/// z = conv(x) + b0, a product of patches [pixels, 9 x 8] with the filters of each group.
template <class Scalar>
void grouped_convolution(const BlockShape& shape, const BlockWeights<Scalar>& weights, Band<const Scalar> x,
                         int first, int count, Scalar* z) {
  const int c = shape.channels, k = shape.kernel, width = shape.width, inner = k * k * kGroupWidth;
  const int rows_at_once = std::max(1, 256 / width);
  Matrix<Scalar> patches(rows_at_once * width, inner);
  for (int row = first; row < first + count; row += rows_at_once) {
    const int rows = std::min(rows_at_once, first + count - row);
    Rows<Scalar> out(z + static_cast<std::ptrdiff_t>(row - first) * width * c, rows * width, c);
    for (int group = 0; group < c; group += kGroupWidth) {
      for (int pixel = 0; pixel < rows * width; ++pixel) {
        Scalar* to = patches.data() + static_cast<std::ptrdiff_t>(pixel) * inner;
        for (int tap = 0; tap < k * k; ++tap, to += kGroupWidth) {
          const int at_y = row + pixel / width + tap / k - k / 2, at_x = pixel % width + tap % k - k / 2;
          if (at_y < 0 || at_y >= shape.height || at_x < 0 || at_x >= width) {
            std::fill_n(to, kGroupWidth, Scalar(0));
          } else {
            std::copy_n(x.data + (static_cast<std::ptrdiff_t>(at_y - x.begins) * width + at_x) * c + group,
                        kGroupWidth, to);
          }
        }
      }
      const ConstRows<Scalar> filter(weights.filter.data() + static_cast<std::ptrdiff_t>(group) * inner,
                                     kGroupWidth, inner);
      out.middleCols(group, kGroupWidth).noalias() = patches.topRows(rows * width) * filter.transpose();
    }
    out.rowwise() += ConstVector<Scalar>(weights.filter_bias.data(), c);
  }
}

/// [channels, k, k] as [k, k, channels].
template <class Scalar>
Matrix<Scalar> taps_first(std::span<const Scalar> filter, int channels, int kernel) {
  return ConstRows<Scalar>(filter.data(), channels, kernel * kernel).transpose();
}

/// out = depthwise(x) + b0. `filter` by taps_first.
template <class Scalar>
void depthwise(const BlockShape& shape, int channels, const Matrix<Scalar>& filter,
               std::span<const Scalar> bias, Band<const Scalar> x, int first, int count, Scalar* out) {
  const int k = shape.kernel, width = shape.width;
  for (int pixel = 0; pixel < count * width; ++pixel) {
    Eigen::Map<Eigen::Array<Scalar, 1, Eigen::Dynamic>> to(
        out + static_cast<std::ptrdiff_t>(pixel) * channels, channels);
    to = ConstVector<Scalar>(bias.data(), channels).array();
    const int row = first + pixel / width, column = pixel % width;
    for (int tap = 0; tap < k * k; ++tap) {
      const int at_y = row + tap / k - k / 2, at_x = column + tap % k - k / 2;
      if (at_y < 0 || at_y >= shape.height || at_x < 0 || at_x >= width) continue;
      const Scalar* from = x.data + (static_cast<std::ptrdiff_t>(at_y - x.begins) * width + at_x) * channels;
      to += filter.row(tap).array() * ConstVector<Scalar>(from, channels).array();
    }
  }
}

/// Each row less its mean, over its deviation, times gain plus offset.
template <class Scalar>
void layer_norm(std::span<const Scalar> norm, int channels, int pixels, Scalar* rows) {
  const ConstVector<Scalar> gain(norm.data(), channels), offset(norm.data() + channels, channels);
  for (int pixel = 0; pixel < pixels; ++pixel) {
    Eigen::Map<Eigen::Array<Scalar, 1, Eigen::Dynamic>> row(
        rows + static_cast<std::ptrdiff_t>(pixel) * channels, channels);
    row -= row.mean();
    const Scalar variance = row.square().mean();
    row = row * (1 / std::sqrt(variance + static_cast<Scalar>(kNormEpsilon))) * gain.array() + offset.array();
  }
}

/// h = gelu(W1 z + b1)
template <class Scalar>
void expand(const BlockShape& shape, const BlockWeights<Scalar>& weights, int pixels, const Scalar* z,
            Scalar* h) {
  const ConstRows<Scalar> in(z, pixels, shape.channels);
  const ConstRows<Scalar> matrix(weights.expand.data(), shape.hidden(), shape.channels);
  Rows<Scalar> out(h, pixels, shape.hidden());
  out.noalias() = in * matrix.transpose();
  out.rowwise() += ConstVector<Scalar>(weights.expand_bias.data(), shape.hidden());
  gelu_in_place(out);
}

/// y = x + W2 h + b2
template <class Scalar>
void project(const BlockShape& shape, const BlockWeights<Scalar>& weights, int pixels, const Scalar* h,
             const Scalar* x, Scalar* y) {
  const ConstRows<Scalar> in(h, pixels, shape.hidden()), residual(x, pixels, shape.channels);
  const ConstRows<Scalar> matrix(weights.project.data(), shape.channels, shape.hidden());
  Rows<Scalar> out(y, pixels, shape.channels);
  out.noalias() = in * matrix.transpose();
  out += residual;
  out.rowwise() += ConstVector<Scalar>(weights.project_bias.data(), shape.channels);
}

}  // namespace remeasure::kernels::block_layers
